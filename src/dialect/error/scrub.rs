//! What an upstream's words must not carry to a client: keys, and addresses that only the operator should know.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

#[cfg(test)]
mod tests;

/// The longest text that leaves, in characters.
const MAX_CHARS: usize = 2_000;

/// What stands for a key.
const KEY: &str = "***";

/// What stands for an address.
const ADDRESS: &str = "[internal]";

/// How keys begin: `OpenAI`, Anthropic and `OpenRouter`, Google, xAI, Groq, Perplexity, Hugging Face, Replicate,
/// Fireworks, Cerebras, NVIDIA, AWS, GitHub, Google OAuth, and any JSON web token.
const PREFIXES: [&str; 16] = [
    "sk-", "AIza", "xai-", "gsk_", "pplx-", "hf_", "r8_", "fw_", "csk-", "nvapi-", "AKIA", "ASIA", "ghp_", "ya29.",
    "eyJ", "sk_",
];

/// Characters that a key has at least after its prefix; fewer are a word such as `sk-learn`.
const KEY_CHARS: usize = 12;

/// Characters that a run has at least to be a key where only the word "key" before it says so.
const BARE_KEY_CHARS: usize = 20;

/// How far before a run the word "key" may stand, in bytes.
const NEAR: usize = 40;

/// The text without keys and internal addresses, at most 2,000 characters of it.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let (head, cut) = match text.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => (&text[..at], true),
        None => (text, false),
    };
    let mut marks = keys(head);
    addresses(head, &mut marks);
    if marks.is_empty() && !cut {
        return Cow::Borrowed(text);
    }
    marks.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(head.len());
    let mut at = 0;
    for (range, mask) in marks {
        if range.start >= at {
            out.push_str(&head[at..range.start]);
            out.push_str(mask);
            at = range.end;
        }
    }
    out.push_str(&head[at..]);
    if cut {
        out.push('…');
    }
    Cow::Owned(out)
}

/// Where keys stand.
fn keys(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut marks = Vec::new();
    let mut previous: Range<usize> = 0..0;
    for run in runs(text, |c| c.is_ascii_alphanumeric() || "-_.*+=~".contains(c)) {
        let word = &text[run.clone()];
        let bearer =
            text[previous.clone()].eq_ignore_ascii_case("bearer") && text[previous.end..run.start].trim().is_empty();
        previous = run.clone();
        if bearer && word.len() >= KEY_CHARS {
            marks.push((run, KEY));
        } else {
            marks.extend(parts(text, run));
        }
    }
    marks
}

/// The keys within one run: `key=AIza…` is a run.
fn parts(text: &str, run: Range<usize>) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    let mut start = run.start;
    for part in text[run].split('=') {
        let end = start + part.len();
        let trimmed = part.trim_end_matches('.');
        if let Some(prefix) = prefix(trimmed) {
            found.push((start + prefix..start + trimmed.len(), KEY));
        } else if bare(trimmed) && near_key(text, start) {
            found.push((start..start + trimmed.len(), KEY));
        }
        start = end + 1;
    }
    found
}

/// How long the prefix is by which a word is a key.
fn prefix(word: &str) -> Option<usize> {
    let known = PREFIXES.iter().find(|prefix| word.starts_with(**prefix))?;
    (word.len() >= known.len() + KEY_CHARS).then_some(known.len())
}

/// Whether a word could be a key without a prefix: hex, base64, or a UUID, with letters and digits.
fn bare(word: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(&kind);
    let uuid = || word.len() == 36 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let run = || {
        word.len() >= BARE_KEY_CHARS && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+".contains(&byte))
    };
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && (uuid() || run())
}

/// Whether the text shortly before speaks of a key.
fn near_key(text: &str, at: usize) -> bool {
    let start = (at.saturating_sub(NEAR)..=at).find(|start| text.is_char_boundary(*start)).unwrap_or(at);
    let before = text[start..at].to_ascii_lowercase();
    ["key", "secret", "password"].iter().any(|word| before.contains(word))
}

/// Adds where internal addresses stand.
fn addresses(text: &str, marks: &mut Vec<(Range<usize>, &'static str)>) {
    for run in runs(text, |c| c.is_alphanumeric() || "-_.:/[]%@".contains(c)) {
        let word = &text[run.clone()];
        let (start, url) = match word.find("://") {
            Some(at) => (at + 3, true),
            None => (word.len() - word.trim_start_matches(['/', '@', '.']).len(), false),
        };
        let authority = word[start..].split('/').next().unwrap_or_default().trim_end_matches([':', '.', ']']);
        let authority = &word[start..start + authority.len() + usize::from(unclosed(word, start, authority))];
        if internal(authority, url) {
            let from = run.start + start;
            marks.push((from..from + authority.len(), ADDRESS));
        }
    }
}

/// Whether trimming took the bracket that closes an IPv6 address.
fn unclosed(word: &str, start: usize, authority: &str) -> bool {
    authority.starts_with('[') && !authority.contains(']') && word[start + authority.len()..].starts_with(']')
}

/// Whether a host, with or without a port, is one of a private network.
fn internal(authority: &str, url: bool) -> bool {
    let authority = authority.rsplit('@').next().unwrap_or_default();
    if let Some(rest) = authority.strip_prefix('[') {
        let literal = rest.split([']', '%']).next().unwrap_or_default();
        return literal.parse().is_ok_and(private_v6);
    }
    let colons = authority.bytes().filter(|byte| *byte == b':').count();
    if colons > 1 {
        // Without brackets Rust's own sockets and the gate print only addresses: `::1`, `fd00::7`.
        return authority.split('%').next().unwrap_or_default().parse().is_ok_and(private_v6);
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let port = port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => private_v4(address),
        Ok(IpAddr::V6(address)) => private_v6(address),
        Err(_) => inner_name(host, url, port),
    }
}

/// Whether a name is one that only a private network resolves.
fn inner_name(host: &str, url: bool, port: bool) -> bool {
    let host = host.to_ascii_lowercase();
    let ends = |suffix: &&str| host.len() > suffix.len() && host.ends_with(*suffix);
    [".local", ".internal", ".localdomain"].iter().any(ends)
        || (host == "localhost" && (url || port))
        || (url && !host.is_empty() && !host.contains('.'))
}

fn private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    // 100.64.0.0/10 is what carriers and clouds share inside (RFC 6598).
    address.is_private() || address.is_loopback() || address.is_link_local() || (a == 100 && (64..128).contains(&b))
}

fn private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some_and(private_v4)
}

/// The longest runs of characters that belong to a kind.
fn runs(text: &str, belongs: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(&belongs)?;
        let end = text[start..].find(|c| !belongs(c)).map_or(text.len(), |length| start + length);
        at = end;
        Some(start..end)
    })
}
