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

/// Where a long value was cut.
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

    /// A text whose long values end in `…`, as it may be shown: the beginning of a secret is hidden like the whole.
    pub(crate) fn cut(&self, text: &str) -> String {
        let whole = self.text(text);
        let mut parts = whole.split(CUT).peekable();
        let mut shown = String::with_capacity(whole.len());
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                shown.push_str(part);
                break;
            }
            let begun = self.secrets.iter().map(|(secret, _)| begun(part, secret)).max().unwrap_or_default();
            shown.push_str(part.get(..part.len() - begun).unwrap_or_default());
            shown.push_str(if begun > 0 { "***" } else { "" });
            shown.push(CUT);
        }
        shown
    }
}

/// How many bytes at the end of a text are the beginning of a secret.
fn begun(text: &str, secret: &str) -> usize {
    let starts = (SHORTEST..secret.len()).rev().filter_map(|length| secret.get(..length));
    starts.filter(|start| text.ends_with(start)).map(str::len).next().unwrap_or_default()
}

fn is_secret(name: &str) -> bool {
    SECRET_HEADERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_secret_is_hidden_where_it_was_cut() {
        let mask = Mask { secrets: vec![("sk-0123456789abcdef".to_owned(), "env:KEY".to_owned())] };
        let shown = |text: &str| mask.cut(text);
        assert_eq!(
            shown("a: Bearer sk-0123456789… (26 bytes) → sk-0123… (9 bytes)"),
            "a: Bearer ***… (26 bytes) → ***… (9 bytes)"
        );
        assert_eq!(shown("sk-0123456789abcdef… and sk-01"), "***… and sk-01");
        assert_eq!(shown("nothing … here"), "nothing … here");
    }
}
