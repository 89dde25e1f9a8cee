//! Hides secrets: what a snapshot shows of keys is whose they are, never what they are.

use super::Case;

/// Headers whose values are secrets, in small letters.
const SECRET_HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "set-cookie",
    "x-amz-security-token",
];

/// Query parameters whose values are secrets.
const SECRET_PARAMETERS: [&str; 5] = ["key", "api_key", "api-key", "token", "access_token"];

/// Shorter secrets are hidden in headers only: in a text they could be part of any word.
const SHORTEST: usize = 6;

/// What must not be shown.
pub(crate) struct Mask {
    /// Values, longest first, each with where it comes from.
    secrets: Vec<(String, String)>,
}

// === impl Mask ===

impl Mask {
    /// Hides `secrets`, each with where it comes from, and the client's own keys in a case.
    pub(super) fn new(secrets: Vec<(String, String)>, case: &Case) -> Self {
        let mut secrets = secrets;
        for call in &case.calls {
            for (name, value) in &call.head.headers {
                if is_secret(name.as_str())
                    && let Ok(value) = value.to_str()
                {
                    let bare = value.rsplit(' ').next().unwrap_or(value);
                    secrets.push((bare.to_owned(), "the client's".to_owned()));
                }
            }
        }
        secrets.retain(|(value, _)| !value.is_empty());
        secrets.sort_by(|(a, from_a), (b, from_b)| b.len().cmp(&a.len()).then_with(|| (a, from_a).cmp(&(b, from_b))));
        secrets.dedup_by(|(a, _), (b, _)| a == b);
        Self { secrets }
    }

    /// A header's value as it may be shown.
    pub(crate) fn header(&self, name: &str, value: &str) -> String {
        if !is_secret(&name.to_ascii_lowercase()) {
            return self.text(value);
        }
        let whose = self.secrets.iter().find(|(secret, _)| value.contains(secret.as_str()));
        whose.map_or_else(|| "***".to_owned(), |(_, from)| format!("*** ({from})"))
    }

    /// A request target as it may be shown.
    pub(crate) fn target(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else {
            return self.text(target);
        };
        let shown = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET_PARAMETERS.contains(&name) => format!("{name}=***"),
            _ => pair.to_owned(),
        });
        self.text(&format!("{path}?{}", shown.collect::<Vec<_>>().join("&")))
    }

    /// Any text as it may be shown.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (secret, _) in self.secrets.iter().filter(|(secret, _)| secret.len() >= SHORTEST) {
            if shown.contains(secret.as_str()) {
                shown = shown.replace(secret.as_str(), "***");
            }
        }
        shown
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_HEADERS.contains(&name)
}
