//! The chunked coding, byte for byte (RFC 9112 §7.1), so that nothing passes which two parsers could cut differently.

use super::Limits;
use super::target::is_token;

/// The longest trailer name that matters; longer ones are not in [`FORBIDDEN`].
const NAME: usize = 17;

/// Fields that frame, route or steer a message and so cannot come after it (RFC 9110 §6.5.1).
const FORBIDDEN: [&[u8]; 7] =
    [b"content-length", b"transfer-encoding", b"host", b"connection", b"upgrade", b"te", b"trailer"];

/// How far a chunked body has been followed.
#[derive(Clone, Debug)]
pub(super) struct Chunked {
    /// What the next byte must be.
    at: At,
    /// The size being read, then the data bytes still to come.
    left: u64,
    /// Bytes of the current size, extension or trailer section, against its limit.
    spent: usize,
    /// The lower-case beginning of the trailer name being read.
    name: [u8; NAME],
    /// The length of that name, which may exceed what `name` holds.
    name_len: usize,
    /// The rule that the next byte broke, when it has been looked at.
    broken: Option<&'static str>,
}

/// The places in the grammar of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the hexadecimal size.
    Size,
    /// At the first byte of an extension's name.
    ExtensionStart,
    /// In an extension's name.
    ExtensionName,
    /// At the first byte of an extension's value.
    ValueStart,
    /// In a value that is a token.
    Value,
    /// In a value between quotes.
    Quoted,
    /// After a backslash between quotes.
    Escaped,
    /// After the closing quote.
    Unquoted,
    /// At the LF that ends the size line.
    SizeLf,
    /// In the data.
    Data,
    /// At the CR behind the data.
    DataCr,
    /// At the LF behind the data.
    DataLf,
    /// At the first byte of a trailer line, or at the CR of the last, empty one.
    TrailerStart,
    /// In a trailer's name.
    TrailerName,
    /// In a trailer's value.
    TrailerValue,
    /// At the LF that ends a trailer line.
    TrailerLf,
    /// At the LF that ends the body.
    LastLf,
    /// Behind the body.
    Done,
}

// === impl Chunked ===

impl Chunked {
    /// A body of which nothing has been seen.
    pub(super) const fn new() -> Self {
        Self { at: At::Size, left: 0, spent: 0, name: [0; NAME], name_len: 0, broken: None }
    }

    /// Whether the last byte of the body has been seen.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Follows `bytes` and says how many of them belong to the body and are in order; when they are fewer than given
    /// and the body is not done, the second value names the rule that the next byte broke.
    pub(super) fn follow(&mut self, bytes: &[u8], limits: &Limits) -> (usize, Option<&'static str>) {
        let mut index = 0;
        while let Some(&byte) = bytes.get(index).filter(|_| self.broken.is_none()) {
            match self.at {
                At::Done => break,
                At::Data => {
                    let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - index);
                    index += here;
                    self.left -= here as u64;
                    if self.left == 0 {
                        self.at = At::DataCr;
                    }
                }
                _ => match self.step(byte, limits) {
                    Ok(at) => {
                        self.at = at;
                        index += 1;
                    }
                    Err(reason) => self.broken = Some(reason),
                },
            }
        }
        (index, self.broken)
    }

    /// Where one byte outside the data leads.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<At, &'static str> {
        match self.at {
            At::Size => self.size(byte),
            At::SizeLf => self.size_end(byte),
            At::DataCr => expect(byte, b'\r', At::DataLf, "chunk data longer than its size"),
            At::DataLf => {
                self.left = 0;
                self.spent = 0;
                expect(byte, b'\n', At::Size, "chunk data not ended by CRLF")
            }
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLf | At::LastLf => {
                self.spent += 1;
                if self.spent > limits.trailer_bytes {
                    return Err("trailers too large");
                }
                self.trailer(byte)
            }
            _ => {
                self.spent += 1;
                if self.spent > limits.chunk_ext && byte != b'\r' {
                    return Err("chunk extension too long");
                }
                self.extension(byte)
            }
        }
    }

    /// One byte of the size: at most 16 digits, and no number that would overflow a signed sum behind the gate.
    fn size(&mut self, byte: u8) -> Result<At, &'static str> {
        match char::from(byte).to_digit(16) {
            Some(digit) if self.spent < 16 && self.left >> 59 == 0 => {
                self.left = self.left << 4 | u64::from(digit);
                self.spent += 1;
                Ok(At::Size)
            }
            Some(_) => Err("chunk size too large"),
            None if self.spent == 0 => Err("chunk without a size"),
            None => {
                self.spent = 0;
                match byte {
                    b'\r' => Ok(At::SizeLf),
                    b';' => Ok(At::ExtensionStart),
                    _ => Err("invalid byte in a chunk size"),
                }
            }
        }
    }

    /// The LF of the size line, behind which come data or, after the last chunk, trailers.
    fn size_end(&mut self, byte: u8) -> Result<At, &'static str> {
        self.spent = 0;
        let next = if self.left == 0 { At::TrailerStart } else { At::Data };
        expect(byte, b'\n', next, "chunk size not ended by CRLF")
    }

    /// One byte of an extension. The white space that the grammar calls bad is refused: parsers differ about it.
    fn extension(&self, byte: u8) -> Result<At, &'static str> {
        let next = match (self.at, byte) {
            (At::ExtensionName | At::Value | At::Unquoted, b'\r') => At::SizeLf,
            (At::ExtensionName | At::Value | At::Unquoted, b';') => At::ExtensionStart,
            (At::ExtensionName, b'=') => At::ValueStart,
            (At::ExtensionStart | At::ExtensionName, _) if is_token(byte) => At::ExtensionName,
            (At::ValueStart, b'"') => At::Quoted,
            (At::ValueStart | At::Value, _) if is_token(byte) => At::Value,
            (At::Quoted, b'"') => At::Unquoted,
            (At::Quoted, b'\\') => At::Escaped,
            (At::Quoted | At::Escaped, _) if is_field_byte(byte) => At::Quoted,
            _ => return Err("malformed chunk extension"),
        };
        Ok(next)
    }

    /// One byte of the trailer section.
    fn trailer(&mut self, byte: u8) -> Result<At, &'static str> {
        match (self.at, byte) {
            (At::TrailerStart, b'\r') => Ok(At::LastLf),
            (At::LastLf, b'\n') => Ok(At::Done),
            (At::TrailerLf, b'\n') => {
                self.name_len = 0;
                Ok(At::TrailerStart)
            }
            (At::TrailerStart | At::TrailerName, _) if is_token(byte) => {
                if let Some(slot) = self.name.get_mut(self.name_len) {
                    *slot = byte.to_ascii_lowercase();
                }
                self.name_len += 1;
                Ok(At::TrailerName)
            }
            (At::TrailerName, b':') => {
                let forbidden = self.name.get(..self.name_len).is_some_and(|name| FORBIDDEN.contains(&name));
                if forbidden { Err("a trailer that belongs into the head") } else { Ok(At::TrailerValue) }
            }
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if is_field_byte(byte) => Ok(At::TrailerValue),
            _ => Err("malformed trailer"),
        }
    }
}

/// Whether `byte` may stand in a field value (RFC 9110 §5.5): no control character but HTAB; bytes beyond ASCII are old
/// text that passes untouched.
pub(super) const fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Goes to `next` when `byte` is the `wanted` one.
fn expect(byte: u8, wanted: u8, next: At, reason: &'static str) -> Result<At, &'static str> {
    if byte == wanted { Ok(next) } else { Err(reason) }
}
