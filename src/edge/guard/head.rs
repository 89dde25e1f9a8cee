//! The rules for a head, checked line by line while it arrives, so that no byte is looked at twice and a wrong one is
//! refused at once (RFC 9112 §2 to §6).

use super::chunk::is_field_byte;
use super::target::{Form, RequestLine, is_host, is_token, split_at};
use super::{Limits, Refusal};
use memchr::memchr;

/// Empty lines tolerated before a request line (RFC 9112 §2.2).
const EMPTY_LINES: u8 = 2;

/// Names that a `Connection` field must not list, for a proxy that strips listed fields would strip the framing.
const UNLISTABLE: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"host"];

/// A head as far as it has arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is not yet complete.
    line: usize,
    /// Up to where a line end has been looked for.
    searched: usize,
    /// How many empty lines came before the request line.
    empty_lines: u8,
    /// Whether the request line is complete.
    begun: bool,
    /// What the complete lines said.
    facts: Facts,
}

/// What a head says about its framing, its host and its hop.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent observations, each made by one line of the head")]
pub(super) struct Facts {
    /// How many fields there are, against the limit.
    fields: usize,
    /// Whether the version is HTTP/1.0.
    http10: bool,
    /// Whether the target is a whole URI, whose authority replaces the `Host` field.
    pub(super) absolute: bool,
    /// Whether there is a `Host` field.
    pub(super) host: bool,
    /// Whether there is a `Content-Type` field.
    content_type: bool,
    /// The declared length of the body in bytes.
    length: Option<u64>,
    /// Whether the body is chunked.
    chunked: bool,
    /// Whether there is an `Upgrade` field.
    upgrade: bool,
    /// Whether the `Upgrade` field names a protocol that a connection can be switched to here.
    switchable: bool,
    /// Whether `Connection` lists `upgrade`.
    lists_upgrade: bool,
    /// Whether `Connection` lists one of [`UNLISTABLE`].
    lists_framing: bool,
    /// Whether `Upgrade` is to be dropped, because nobody may act on it.
    pub(super) drop_upgrade: bool,
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub(super) enum Progress {
    /// The head is not complete.
    More,
    /// That many bytes of empty lines come first and can be forgotten.
    Skip(usize),
    /// The head is complete and in order.
    Complete {
        /// Its length in bytes, empty line included.
        length: usize,
        /// How the bytes behind it are framed.
        framing: Framing,
        /// Whether it has to be written anew before it may pass.
        rewrite: bool,
    },
    /// The head may not pass.
    Refused(Refusal),
}

/// How the bytes behind a head are framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// A body of so many bytes, possibly none.
    Length(u64),
    /// A chunked body.
    Chunked,
    /// No body, and perhaps another protocol once the client has been told so.
    Switch,
}

// === impl Head ===

impl Head {
    /// What the complete lines said.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Looks at the bytes that came since the last call; `bytes` begins where the head begins, each time.
    pub(super) fn follow(&mut self, bytes: &[u8], limits: &Limits) -> Progress {
        if !self.begun && bytes.first().is_some_and(|first| !is_token(*first) && *first != b'\r') {
            return Progress::Refused(Refusal::bad("malformed request line"));
        }
        loop {
            let limit = if self.begun { limits.head_bytes } else { limits.head_bytes.min(limits.request_line + 2) };
            let reach = bytes.len().min(limit);
            let Some(found) = memchr(b'\n', bytes.get(self.searched..reach).unwrap_or_default()) else {
                self.searched = reach;
                return if bytes.len() < limit { Progress::More } else { Progress::Refused(self.too_large()) };
            };
            let end = self.searched + found;
            let line = bytes.get(self.line..end).unwrap_or_default();
            self.line = end + 1;
            self.searched = end + 1;
            match self.line(line, limits) {
                Ok(None) => {}
                Ok(Some(progress)) => return progress,
                Err(refusal) => return Progress::Refused(refusal),
            }
        }
    }

    /// Takes one line, its LF cut off.
    fn line(&mut self, line: &[u8], limits: &Limits) -> Result<Option<Progress>, Refusal> {
        let line = line.strip_suffix(b"\r").ok_or(Refusal::bad("line not ended by CRLF"))?;
        if !self.begun {
            if line.is_empty() {
                return self.skip().map(Some);
            }
            let line = RequestLine::parse(line)?;
            self.facts.http10 = line.is_http10();
            self.facts.absolute = matches!(line.form, Form::Absolute { .. });
            self.begun = true;
            return Ok(None);
        }
        if line.is_empty() {
            return self.complete().map(Some);
        }
        self.facts.fields += 1;
        if self.facts.fields > limits.headers {
            return Err(Refusal { status: 431, reason: "too many header fields" });
        }
        self.facts.field(line)?;
        Ok(None)
    }

    /// An empty line before the request line.
    fn skip(&mut self) -> Result<Progress, Refusal> {
        let empty_lines = self.empty_lines + 1;
        if empty_lines > EMPTY_LINES {
            return Err(Refusal::bad("empty lines before the request line"));
        }
        let length = self.line;
        *self = Self { empty_lines, ..Self::default() };
        Ok(Progress::Skip(length))
    }

    /// The empty line behind the fields.
    fn complete(&mut self) -> Result<Progress, Refusal> {
        let framing = self.facts.framing()?;
        let facts = &mut self.facts;
        facts.drop_upgrade = facts.upgrade && framing != Framing::Switch;
        let rewrite = facts.absolute || facts.lists_framing || facts.drop_upgrade;
        Ok(Progress::Complete { length: self.line, framing, rewrite })
    }

    /// The refusal of a head that goes on beyond its limit.
    fn too_large(&self) -> Refusal {
        if self.begun {
            Refusal { status: 431, reason: "head too large" }
        } else {
            Refusal { status: 414, reason: "request line too long" }
        }
    }
}

// === impl Facts ===

impl Facts {
    /// Takes one field line, which must be a token, a colon and a value (RFC 9112 §5).
    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let colon = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
        let (name, rest) = line.split_at(colon);
        let value = match rest {
            [b':', value @ ..] if !name.is_empty() => value,
            [b' ' | b'\t', ..] if name.is_empty() => {
                return Err(Refusal::bad("folded header line"));
            }
            [b' ' | b'\t', ..] => return Err(Refusal::bad("white space in a header name")),
            _ => return Err(Refusal::bad("malformed header name")),
        };
        // Without an early exit the loop compiles to vector instructions.
        if !value.iter().fold(true, |valid, byte| valid & is_field_byte(*byte)) {
            return Err(Refusal::bad("invalid byte in a header value"));
        }
        self.meaning(name, value.trim_ascii())
    }

    /// Notes what the few fields mean that decide where a message ends and where it goes.
    fn meaning(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => self.host(value),
            7 if is(b"upgrade") => {
                self.upgrade = true;
                self.switchable |= items(value).any(|item| !item.eq_ignore_ascii_case(b"h2c"));
                Ok(())
            }
            10 if is(b"connection") => {
                for item in items(value) {
                    self.lists_upgrade |= item.eq_ignore_ascii_case(b"upgrade");
                    self.lists_framing |= is_unlistable(item);
                }
                Ok(())
            }
            12 if is(b"content-type") => {
                let again = std::mem::replace(&mut self.content_type, true);
                if again { Err(Refusal::bad("Content-Type given twice")) } else { Ok(()) }
            }
            14 if is(b"content-length") => self.length(value),
            17 if is(b"transfer-encoding") => self.coding(value),
            _ => Ok(()),
        }
    }

    /// A `Host` field: one, and naming a host (RFC 9112 §3.2).
    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.host, true) {
            return Err(Refusal::bad("Host given twice"));
        }
        if is_host(value) { Ok(()) } else { Err(Refusal::bad("invalid Host")) }
    }

    /// A `Content-Length` field: one, of digits only. Even identical repeats are refused, for they come from no client
    /// and from every smuggling kit.
    fn length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::bad("invalid Content-Length"));
        }
        // The engine counts in signed numbers.
        let length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
        let length = length.and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or(Refusal::bad("Content-Length too large"))?;
        if self.length.replace(length).is_some() {
            return Err(Refusal::bad("Content-Length given twice"));
        }
        Ok(())
    }

    /// A `Transfer-Encoding` field: one, and exactly `chunked` (RFC 9112 §6.1). Other codings before a final `chunked`
    /// are well-formed and merely not offered.
    fn coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.chunked, true) {
            return Err(Refusal::bad("Transfer-Encoding given twice"));
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            return Ok(());
        }
        let mut codings = value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let last_is_chunked = codings.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        let named = |coding: &[u8]| {
            !coding.is_empty() && coding.iter().copied().all(is_token) && !coding.eq_ignore_ascii_case(b"chunked")
        };
        if last_is_chunked && codings.all(named) {
            return Err(Refusal { status: 501, reason: "transfer coding not offered" });
        }
        Err(Refusal::bad("invalid Transfer-Encoding"))
    }

    /// What the fields together say about the bytes behind the head.
    fn framing(&self) -> Result<Framing, Refusal> {
        if !self.host && !self.http10 {
            return Err(Refusal::bad("Host missing"));
        }
        if self.chunked {
            return match self.length {
                Some(_) => Err(Refusal::bad("Content-Length beside Transfer-Encoding")),
                None if self.http10 => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
                None => Ok(Framing::Chunked),
            };
        }
        let length = self.length.unwrap_or(0);
        // An upgrade with a body, without the hop's consent, or to HTTP/2 in clear is no upgrade: a server may ignore
        // it (RFC 9110 §7.8), and what nobody acts on must not reach a parser that would.
        let switch = self.upgrade && self.lists_upgrade && self.switchable && !self.http10 && length == 0;
        Ok(if switch { Framing::Switch } else { Framing::Length(length) })
    }
}

/// The items of a comma-separated list, without the empty ones.
pub(super) fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// Whether `item` may not be listed in a `Connection` field.
pub(super) fn is_unlistable(item: &[u8]) -> bool {
    UNLISTABLE.iter().any(|name| item.eq_ignore_ascii_case(name))
}

/// The name and the value of a field line that has been checked, the value with its white space.
pub(super) fn name_and_value(line: &[u8]) -> (&[u8], &[u8]) {
    split_at(line, b':').unwrap_or((line, b""))
}
