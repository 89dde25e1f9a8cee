//! Finds where a JSON value ends without looking into it, because most of a body is never read by any policy.

use memchr::memchr2;

use super::node::Span;
use super::text::check_string;
use super::{ErrorKind, JsonError};

/// The brackets that are open, one bit each (an object is 1): no allocation, and no recursion that input could drive.
#[derive(Default)]
pub(super) struct Brackets {
    /// The innermost bracket is the lowest bit.
    bits: u128,
    /// How many bits count.
    depth: usize,
}

/// What a byte means outside strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Part of a number, literal, separator or white space.
    Plain,
    Quote,
    Open,
    Close,
    /// May not stand outside a string.
    Illegal,
}

/// Class of every byte, as a table so that the loop over plain bytes is one load and one compare each.
static CLASSES: [Class; 256] = classes();

/// Words looked at before `memchr` is called: keys and most values are shorter than the call is worth.
const NEAR_WORDS: usize = 2;

// === impl Brackets ===

impl Brackets {
    /// Opens the bracket `byte` that stands at `at`.
    pub(super) fn push(&mut self, byte: u8, at: usize, room: usize) -> Result<(), JsonError> {
        if self.depth >= room {
            return Err(JsonError::new(ErrorKind::TooDeep, at));
        }
        self.bits = self.bits << 1 | u128::from(byte == b'{');
        self.depth += 1;
        Ok(())
    }

    /// Closes the innermost bracket with `byte`, which must be its pair.
    pub(super) fn pop(&mut self, byte: u8, at: usize) -> Result<(), JsonError> {
        if self.depth == 0 || self.in_object() != (byte == b'}') {
            return Err(JsonError::new(ErrorKind::Unexpected, at));
        }
        self.bits >>= 1;
        self.depth -= 1;
        Ok(())
    }

    /// Whether the innermost bracket is an object's.
    pub(super) fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }

    /// How many brackets are open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

// === scanning ===

/// The first byte at or after `at` that is not white space (RFC 8259 §2).
pub(super) fn skip_blank(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().position(|b| !is_blank(*b)).map_or(text.len(), |n| at + n)
}

/// Whether `byte` is white space (RFC 8259 §2).
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// What is wrong at `at`: the end of the text, or the byte there.
pub(super) fn unexpected(text: &[u8], at: usize) -> JsonError {
    let kind = if at < text.len() { ErrorKind::Unexpected } else { ErrorKind::Truncated };
    JsonError::new(kind, at.min(text.len()))
}

/// The end of the value that starts at `at`. Containers and strings are only matched, scalars are checked.
pub(super) fn skip_value(text: &[u8], at: usize, room: usize) -> Result<usize, JsonError> {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'{' | b'[') => skip_container(text, at, room),
        _ => skip_scalar(text, at),
    }
}

/// The end of the string whose opening quote stands at `at`.
pub(super) fn skip_string(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut from = at + 1;
    while let Some(hit) = quote_or_escape(text, from) {
        if text.get(hit) == Some(&b'"') {
            return Ok(hit + 1);
        }
        from = hit + 2;
    }
    Err(JsonError::new(ErrorKind::Truncated, text.len()))
}

/// The first `"` or `\` at or after `from`.
pub(super) fn quote_or_escape(text: &[u8], mut from: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    for _ in 0..NEAR_WORDS {
        let Some(word) = text.get(from..)?.first_chunk::<8>() else {
            break;
        };
        let word = u64::from_le_bytes(*word);
        let hits = zero_bytes(word ^ (ONES * u64::from(b'"'))) | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if hits != 0 {
            return Some(from + hits.trailing_zeros() as usize / 8);
        }
        from += 8;
    }
    memchr2(b'"', b'\\', text.get(from..)?).map(|n| from + n)
}

/// The end of the number or literal at `at`; what follows it is the caller's to judge.
pub(super) fn skip_scalar(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let word: &[u8] = match text.get(at) {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        Some(b'-' | b'0'..=b'9') => return skip_number(text, at),
        _ => return Err(unexpected(text, at)),
    };
    let rest = text.get(at..).unwrap_or_default();
    match word.iter().zip(rest).position(|(want, got)| want != got) {
        Some(wrong) => Err(unexpected(text, at + wrong)),
        None if rest.len() < word.len() => Err(unexpected(text, text.len())),
        None => Ok(at + word.len()),
    }
}

/// The key at `at` with its quotes, and where its value starts. Keys are checked in full: lookups rely on them.
pub(super) fn key(text: &[u8], at: usize) -> Result<(Span, usize), JsonError> {
    if text.get(at) != Some(&b'"') {
        return Err(unexpected(text, at));
    }
    let end = check_string(text, at)?;
    let colon = skip_blank(text, end);
    if text.get(colon) != Some(&b':') {
        return Err(unexpected(text, colon));
    }
    Ok((Span::new(at, end), skip_blank(text, colon + 1)))
}

fn skip_container(text: &[u8], mut at: usize, room: usize) -> Result<usize, JsonError> {
    let mut open = Brackets::default();
    loop {
        while text.get(at).is_some_and(|b| CLASSES[usize::from(*b)] == Class::Plain) {
            at += 1;
        }
        let Some(&byte) = text.get(at) else {
            return Err(unexpected(text, at));
        };
        match CLASSES[usize::from(byte)] {
            Class::Quote => at = skip_string(text, at)?,
            Class::Open => {
                open.push(byte, at, room)?;
                at += 1;
            }
            Class::Close => {
                open.pop(byte, at)?;
                at += 1;
                if open.depth() == 0 {
                    return Ok(at);
                }
            }
            Class::Plain | Class::Illegal => return Err(unexpected(text, at)),
        }
    }
}

/// RFC 8259 §6: no leading zero, and digits on both sides of the point and after the exponent.
pub(super) fn skip_number(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let is = |at: usize, wanted: &[u8]| text.get(at).is_some_and(|b| wanted.contains(b));
    let whole = at + usize::from(is(at, b"-"));
    let mut end = if is(whole, b"0") { whole + 1 } else { digits(text, whole)? };
    if is(end, b".") {
        end = digits(text, end + 1)?;
    }
    if is(end, b"eE") {
        end = digits(text, end + 1 + usize::from(is(end + 1, b"+-")))?;
    }
    Ok(end)
}

/// The end of one or more digits.
fn digits(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let count = text.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 { Err(unexpected(text, at)) } else { Ok(at + count) }
}

/// The high bit of every byte of `word` that is zero; bits above the lowest hit may be wrong, so only that one counts.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(u64::from_ne_bytes([0x01; 8])) & !word & u64::from_ne_bytes([0x80; 8])
}

const fn classes() -> [Class; 256] {
    const PLAIN: &[u8] = b" \t\r\n,:+-.0123456789eEtrufalsn";
    let mut table = [Class::Illegal; 256];
    let mut i = 0;
    while i < PLAIN.len() {
        table[PLAIN[i] as usize] = Class::Plain;
        i += 1;
    }
    table[b'"' as usize] = Class::Quote;
    table[b'{' as usize] = Class::Open;
    table[b'[' as usize] = Class::Open;
    table[b'}' as usize] = Class::Close;
    table[b']' as usize] = Class::Close;
    table
}
