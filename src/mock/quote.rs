//! JSON strings for answers that are written as text, without a tree of values in between.

use std::fmt::{self, Display, Formatter, Write};

/// Displays a text as a JSON string, quotes included (RFC 8259 §7).
#[derive(Clone, Copy)]
pub(super) struct Quoted<'a>(pub(super) &'a str);

// === impl Quoted ===

impl Display for Quoted<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_char('"')?;
        let mut rest = self.0;
        // Every byte that needs an escape is ASCII, so the text is only ever cut between characters.
        while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            let (plain, special) = rest.split_at(at);
            out.write_str(plain)?;
            let mut characters = special.chars();
            if let Some(character) = characters.next() {
                escape(character, out)?;
            }
            rest = characters.as_str();
        }
        out.write_str(rest)?;
        out.write_char('"')
    }
}

fn escape(character: char, out: &mut Formatter<'_>) -> fmt::Result {
    match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        other => write!(out, "\\u{:04x}", u32::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::Quoted;

    #[test]
    fn any_text_survives_quoting() {
        let text = "plain \"quoted\" back\\slash \n\r\t \u{1} \u{1f} ünïcödé 🌊 \u{2028}";
        let read: String = serde_json::from_str(&Quoted(text).to_string()).unwrap();
        assert_eq!(read, text);
        assert_eq!(Quoted("").to_string(), "\"\"");
    }
}
