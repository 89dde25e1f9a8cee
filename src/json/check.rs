//! The full check of a JSON text (RFC 8259): before a fragment is spliced in, and to tell whether a body is JSON at all.

use super::node::Span;
use super::scan::{Brackets, key, skip_blank, skip_scalar, unexpected};
use super::text::check_string;
use super::{ErrorKind, JsonError, Limits};

/// What a check found out about a valid text.
pub(super) struct Checked {
    /// The value without the white space around it.
    pub(super) span: Span,
    /// The most brackets that were open at once.
    pub(super) depth: usize,
}

/// One pass over a text.
struct Checker<'a> {
    /// All of the text.
    text: &'a [u8],
    /// The next byte to look at.
    at: usize,
    /// Levels that may be open at once.
    room: usize,
    /// The containers around `at`.
    open: Brackets,
    /// The most that were ever open.
    deepest: usize,
}

/// Checks that `bytes` is one JSON value with nothing but white space around it.
///
/// Duplicate keys, numbers beyond any machine type and lone surrogates are valid JSON (RFC 8259 §4, §6, §8.2).
pub fn validate(bytes: &[u8], limits: Limits) -> Result<(), JsonError> {
    check(bytes, limits).map(|_| ())
}

/// [`validate`], and what was seen on the way.
pub(super) fn check(text: &[u8], limits: Limits) -> Result<Checked, JsonError> {
    if u32::try_from(text.len()).is_err() {
        return Err(JsonError::new(ErrorKind::TooLarge, 0));
    }
    std::str::from_utf8(text).map_err(|e| JsonError::new(ErrorKind::BadUtf8, e.valid_up_to()))?;
    let start = skip_blank(text, 0);
    let mut checker = Checker { text, at: start, room: limits.room(), open: Brackets::default(), deepest: 0 };
    checker.run()?;
    let end = checker.at;
    let rest = skip_blank(text, end);
    if rest < text.len() {
        return Err(unexpected(text, rest));
    }
    Ok(Checked { span: Span::new(start, end), depth: checker.deepest })
}

// === impl Checker ===

impl Checker<'_> {
    /// Goes over one value of any depth.
    fn run(&mut self) -> Result<(), JsonError> {
        loop {
            let inside = self.value()?;
            if !inside && self.ended()? {
                return Ok(());
            }
        }
    }

    /// Takes a scalar, or opens a container; true when the container's first value is next.
    fn value(&mut self) -> Result<bool, JsonError> {
        match self.text.get(self.at) {
            Some(&bracket @ (b'{' | b'[')) => self.container(bracket),
            Some(b'"') => {
                self.at = check_string(self.text, self.at)?;
                Ok(false)
            }
            _ => {
                self.at = skip_scalar(self.text, self.at)?;
                Ok(false)
            }
        }
    }

    fn container(&mut self, bracket: u8) -> Result<bool, JsonError> {
        self.open.push(bracket, self.at, self.room)?;
        self.deepest = self.deepest.max(self.open.depth());
        self.at = skip_blank(self.text, self.at + 1);
        match self.text.get(self.at) {
            // The bracket itself is closed by `ended`, which sees that it is the right one.
            Some(b'}' | b']') => Ok(false),
            _ => self.member().map(|()| true),
        }
    }

    /// Takes a key where the innermost container wants one.
    fn member(&mut self) -> Result<(), JsonError> {
        if self.open.in_object() {
            self.at = key(self.text, self.at)?.1;
        }
        Ok(())
    }

    /// Takes what follows a value: brackets that close, then a comma; true when the outermost value has ended.
    fn ended(&mut self) -> Result<bool, JsonError> {
        while self.open.depth() > 0 {
            self.at = skip_blank(self.text, self.at);
            match self.text.get(self.at) {
                Some(b',') => {
                    self.at = skip_blank(self.text, self.at + 1);
                    return self.member().map(|()| false);
                }
                Some(&bracket @ (b'}' | b']')) => {
                    self.open.pop(bracket, self.at)?;
                    self.at += 1;
                }
                _ => return Err(unexpected(self.text, self.at)),
            }
        }
        Ok(true)
    }
}
