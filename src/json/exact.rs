//! A whole document as a value, for who compares documents: nothing in it is said twice, lost or rounded, so that two
//! documents that mean different things to any reader never look like one.

use serde_json::{Map, Number, Value};

use super::MAX_DEPTH;
use super::scan::{quote_or_escape, skip_blank, skip_number};
use super::text::{check_controls, escape};

#[cfg(test)]
mod tests;

/// From here on a float does not tell whole numbers apart.
const LARGE: f64 = 9_007_199_254_740_992.0;

/// Numbers of so many digits fit into 64 bits, whatever the digits are.
const SAFE_DIGITS: usize = 18;

/// One pass over a text.
struct Reader<'a> {
    /// All of the text.
    text: &'a str,
    /// The next byte to look at.
    at: usize,
    /// Where strings are unescaped, so that each is given just the memory that it needs.
    scratch: String,
}

/// The value of a JSON text. `None` when it is no JSON, or when readers may differ over it: an object that has a name
/// twice (RFC 8259 §4), a number that would be rounded to a whole one (§6), half of a surrogate pair (§8.2).
pub fn read(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader { text, at: 0, scratch: String::new() };
    reader.blank();
    let value = reader.value(MAX_DEPTH - 1)?;
    reader.blank();
    (reader.at == text.len()).then_some(value)
}

// === impl Reader ===

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        self.at = skip_blank(self.text.as_bytes(), self.at);
    }

    /// Takes a byte, if it is this one, and white space behind it.
    fn takes(&mut self, byte: u8) -> bool {
        let is = self.byte() == Some(byte);
        if is {
            self.at += 1;
            self.blank();
        }
        is
    }

    /// The value here, with `room` for so many levels below it.
    fn value(&mut self, room: usize) -> Option<Value> {
        match self.byte()? {
            b'"' => self.string().map(Value::String),
            b'{' => self.object(room.checked_sub(1)?),
            b'[' => self.array(room.checked_sub(1)?),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number().map(Value::Number),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let is = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is.then_some(value)
    }

    fn array(&mut self, room: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.takes(b'[');
        if self.ends(b']') {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(room)?);
            self.blank();
            if self.ends(b']') {
                return Some(Value::Array(items));
            }
            if !self.takes(b',') {
                return None;
            }
        }
    }

    fn object(&mut self, room: usize) -> Option<Value> {
        let mut members = Map::new();
        self.takes(b'{');
        if self.ends(b'}') {
            return Some(Value::Object(members));
        }
        loop {
            let name = self.string()?;
            self.blank();
            if !self.takes(b':') || members.insert(name, self.value(room)?).is_some() {
                return None;
            }
            self.blank();
            if self.ends(b'}') {
                return Some(Value::Object(members));
            }
            if !self.takes(b',') {
                return None;
            }
        }
    }

    /// Takes the bracket that ends a value.
    fn ends(&mut self, byte: u8) -> bool {
        let is = self.byte() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn string(&mut self) -> Option<String> {
        let bytes = self.text.as_bytes();
        if self.byte() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let mut from = start;
        self.scratch.clear();
        loop {
            let hit = quote_or_escape(bytes, from)?;
            check_controls(bytes, from, hit).ok()?;
            let run = self.text.get(from..hit)?;
            if bytes.get(hit) == Some(&b'"') {
                self.at = hit + 1;
                if from == start {
                    return Some(run.to_owned());
                }
                self.scratch.push_str(run);
                return Some(self.scratch.clone());
            }
            self.scratch.push_str(run);
            let (char, after) = escape(bytes, hit).ok()?;
            // Half of a pair reads as this too.
            let meant = || bytes.get(hit + 2..hit + 6).is_some_and(|digits| digits.eq_ignore_ascii_case(b"fffd"));
            if char == char::REPLACEMENT_CHARACTER && !meant() {
                return None;
            }
            self.scratch.push(char);
            from = after;
        }
    }

    fn number(&mut self) -> Option<Number> {
        let start = self.at;
        self.at = skip_number(self.text.as_bytes(), start).ok()?;
        let text = self.text.get(start..self.at)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.len() <= SAFE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0" {
            return match text.parse::<i64>().ok()? {
                below @ ..0 => Some(below.into()),
                number => Some(number.unsigned_abs().into()),
            };
        }
        let number: Number = serde_json::from_str(text).ok()?;
        (!number.is_f64() || number.as_f64().is_some_and(|float| float.abs() < LARGE)).then_some(number)
    }
}
