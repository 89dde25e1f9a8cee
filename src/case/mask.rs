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

/// What stands where a text was cut.
const CUT: char = '…';

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
        let mut mask = Self { secrets };
        mask.order();
        mask
    }

    /// Hides more, whoever they are of.
    pub(crate) fn hide(&mut self, secrets: impl IntoIterator<Item = String>) {
        // A scheme such as `Bearer` before a credential is no part of it.
        let bare = |secret: String| secret.rsplit(' ').next().unwrap_or_default().to_owned();
        self.secrets.extend(secrets.into_iter().map(|secret| (bare(secret), "the exchange's".to_owned())));
        self.order();
    }

    fn order(&mut self) {
        let secrets = &mut self.secrets;
        secrets.retain(|(value, _)| !value.is_empty());
        secrets.sort_by(|(a, from_a), (b, from_b)| b.len().cmp(&a.len()).then_with(|| (a, from_a).cmp(&(b, from_b))));
        secrets.dedup_by(|(a, _), (b, _)| a == b);
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
        if shown.contains(CUT) { self.without_beginnings(&shown) } else { shown }
    }

    /// A text without the beginnings of secrets at which it was cut.
    fn without_beginnings(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for part in text.split_inclusive(CUT) {
            let whole = part.strip_suffix(CUT).unwrap_or(part);
            let begun = |secret: &str| {
                let lengths = (SHORTEST..secret.len()).rev().filter(|length| secret.is_char_boundary(*length));
                let mut lengths = lengths.filter(|length| whole.ends_with(secret.get(..*length).unwrap_or(secret)));
                lengths.next()
            };
            let cut =
                if part.len() > whole.len() { self.secrets.iter().find_map(|(secret, _)| begun(secret)) } else { None };
            match cut {
                Some(length) => {
                    shown.push_str(whole.get(..whole.len() - length).unwrap_or_default());
                    shown.push_str("***");
                    shown.push(CUT);
                }
                None => shown.push_str(part),
            }
        }
        shown
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_HEADERS.contains(&name)
}
