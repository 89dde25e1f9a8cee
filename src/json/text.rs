//! JSON strings: checking them, and turning their escapes into text.

use std::borrow::Cow;

use memchr::memchr;

use super::scan::{quote_or_escape, unexpected};
use super::{ErrorKind, JsonError};

/// The end of the string whose opening quote stands at `at`, all of it checked but its UTF-8, which [`decode`] and
/// `validate` check for a whole run at a time.
pub(super) fn check_string(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut from = at + 1;
    loop {
        let Some(hit) = quote_or_escape(text, from) else {
            return Err(unexpected(text, text.len()));
        };
        check_controls(text, from, hit)?;
        if text.get(hit) == Some(&b'"') {
            return Ok(hit + 1);
        }
        from = escape(text, hit)?.1;
    }
}

/// The text of the string token (quotes included) that is `text[start..end]`. A lone surrogate, which UTF-8 cannot hold,
/// is read as U+FFFD.
pub(super) fn decode(text: &[u8], start: usize, end: usize) -> Result<Cow<'_, str>, JsonError> {
    let (start, end) = (start + 1, end.saturating_sub(1));
    let inside = text.get(start..end).unwrap_or_default();
    check_controls(text, start, end)?;
    let plain = std::str::from_utf8(inside).map_err(|e| JsonError::new(ErrorKind::BadUtf8, start + e.valid_up_to()))?;
    if memchr(b'\\', inside).is_none() {
        return Ok(Cow::Borrowed(plain));
    }
    let mut out = String::with_capacity(plain.len());
    let mut from = 0;
    while let Some(n) = memchr(b'\\', inside.get(from..).unwrap_or_default()) {
        out.push_str(plain.get(from..from + n).unwrap_or_default());
        let (c, after) = escape(inside, from + n).map_err(|e| JsonError::new(e.kind, start + e.offset))?;
        out.push(c);
        from = after;
    }
    out.push_str(plain.get(from..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// Whether the key token `raw` (quotes included, already checked) reads as `key`.
pub(super) fn key_is(raw: &[u8], key: &str) -> bool {
    let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    // An escape is always longer than what it stands for, so only a longer key can be an escaped form of this one.
    if inside.len() == key.len() {
        return inside == key.as_bytes() && memchr(b'\\', inside).is_none();
    }
    inside.len() > key.len()
        && memchr(b'\\', inside).is_some()
        && decode(raw, 0, raw.len()).is_ok_and(|decoded| decoded == key)
}

/// Refuses control characters in `text[start..end]` (RFC 8259 §7).
pub(super) fn check_controls(text: &[u8], start: usize, end: usize) -> Result<(), JsonError> {
    let run = text.get(start..end).unwrap_or_default();
    // Looking at all bytes without a branch lets the compiler use vectors; the place is only searched on failure.
    if run.iter().fold(u8::MAX, |least, b| least.min(*b)) >= 0x20 {
        return Ok(());
    }
    let at = run.iter().position(|b| *b < 0x20).unwrap_or_default();
    Err(JsonError::new(ErrorKind::BadString, start + at))
}

/// The character that the escape at `at` stands for, and where the text goes on.
pub(super) fn escape(text: &[u8], at: usize) -> Result<(char, usize), JsonError> {
    let c = match text.get(at + 1) {
        Some(c @ (b'"' | b'\\' | b'/')) => char::from(*c),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(text, at),
        Some(_) => return Err(JsonError::new(ErrorKind::BadString, at)),
        None => return Err(unexpected(text, text.len())),
    };
    Ok((c, at + 2))
}

/// `\uXXXX`, or two of them when they are a surrogate pair.
fn unicode_escape(text: &[u8], at: usize) -> Result<(char, usize), JsonError> {
    let first = code_unit(text, at + 2).ok_or(JsonError::new(ErrorKind::BadString, at))?;
    let follows = text.get(at + 6..at + 8) == Some(b"\\u");
    let second = if follows { code_unit(text, at + 8) } else { None };
    if let (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) = (first, second) {
        let code = 0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00);
        return Ok((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), at + 12));
    }
    Ok((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), at + 6))
}

fn code_unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |unit, b| Some(unit << 4 | char::from(*b).to_digit(16)?))
}
