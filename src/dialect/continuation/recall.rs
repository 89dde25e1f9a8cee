//! A call that was cut, told again by another model: it is the same call only if it begins as the first one did.

/// Follows one call that is told again.
#[derive(Clone, Debug)]
pub(super) struct Recall {
    /// The block that the client knows it by.
    pub(super) block: u32,
    /// The tool's name.
    pub(super) name: String,
    /// The arguments that the client has, without the blanks between JSON's tokens.
    sent: Vec<u8>,
    /// How many bytes of those came again.
    seen: usize,
    /// Whether the last byte that came stands in a text, and whether after a backslash.
    scan: Scan,
    /// Whether the client knows that the call is whole.
    pub(super) ended: bool,
}

/// Where in JSON a byte stands.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    in_text: bool,
    escaped: bool,
}

/// The call is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Differs;

// === impl Recall ===

impl Recall {
    /// A call of which the client has so much.
    pub(super) fn new(block: u32, name: String, sent: &str, ended: bool) -> Self {
        let mut scan = Scan::default();
        let sent = sent.bytes().filter(|byte| scan.counts(*byte)).collect();
        Self { block, name, sent, seen: 0, scan: Scan::default(), ended }
    }

    /// What of a piece of arguments the client does not have.
    pub(super) fn push<'a>(&mut self, piece: &'a str) -> Result<&'a str, Differs> {
        for (at, byte) in piece.bytes().enumerate() {
            let Some(expected) = self.sent.get(self.seen) else {
                let rest = piece.get(at..).ok_or(Differs)?;
                return if self.ended && !rest.trim().is_empty() { Err(Differs) } else { Ok(rest) };
            };
            if self.scan.counts(byte) {
                if byte != *expected {
                    return Err(Differs);
                }
                self.seen += 1;
            }
        }
        Ok("")
    }

    /// Whether all came again that the client has.
    pub(super) fn reached(&self) -> bool {
        // A call without arguments may stand as `{}` with one upstream and as nothing with another.
        self.seen == self.sent.len() || self.seen == 0 && self.sent == b"{}"
    }
}

// === impl Scan ===

impl Scan {
    /// Whether a byte is more than a blank between tokens.
    fn counts(&mut self, byte: u8) -> bool {
        if !self.in_text {
            self.in_text = byte == b'"';
            return !byte.is_ascii_whitespace();
        }
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_text = false,
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest of a call's arguments, told again in pieces of every size.
    fn rest(sent: &str, ended: bool, again: &str) -> Option<String> {
        let mut results = Vec::new();
        for size in 1..=again.chars().count().max(1) {
            let mut recall = Recall::new(0, "f".to_owned(), sent, ended);
            let chars: Vec<char> = again.chars().collect();
            let pieces: Vec<String> = chars.chunks(size).map(|piece| piece.iter().collect()).collect();
            let said: Result<Vec<&str>, Differs> = pieces.iter().map(|piece| recall.push(piece)).collect();
            results.push(said.ok().filter(|_| recall.reached()).map(|said| said.concat()));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{sent:?} {again:?}: {results:?}");
        results.pop().unwrap()
    }

    #[test]
    fn the_same_call_gives_its_rest() {
        let cases = [
            ("", "{\"a\":1}", "{\"a\":1}"),
            ("{\"city\": \"Par", "{\"city\":\"Paris\"}", "is\"}"),
            ("{\"city\":\"Par", "{ \"city\" : \"Paris\" }", "is\" }"),
            ("{\"n\": 1", "{\"n\":12}", "2}"),
            ("{\"q\":\"a \\", "{\"q\":\"a \\\"b\\\"\"}", "\"b\\\"\"}"),
            ("{\"q\":\"Mün", "{\"q\":\"München\"}", "chen\"}"),
            ("{\"a\":1}", "{\"a\":1}", ""),
        ];
        for (sent, again, expected) in cases {
            assert_eq!(rest(sent, false, again).as_deref(), Some(expected), "{sent} {again}");
        }
    }

    #[test]
    fn another_call_is_told_apart() {
        for (sent, again) in [
            ("{\"city\":\"Par", "{\"city\":\"Rome\"}"),
            ("{\"city\":\"Par", "{\"city\":\"P"),
            ("{\"a\":\"x y", "{\"a\":\"xy\"}"),
            ("{\"a\"", "{\"b\":1}"),
        ] {
            assert_eq!(rest(sent, false, again), None, "{sent} {again}");
        }
        assert_eq!(rest("{\"n\":1", true, "{\"n\":12}"), None);
        assert_eq!(rest("{}", true, ""), Some(String::new()));
    }
}
