//! The rules for the request line: method, target in its four forms, version, and the authority that a target or a
//! `Host` field names (RFC 9112 §3).

use super::Refusal;

/// A request line taken apart; its pieces obey their grammars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    /// The method as sent.
    pub(super) method: &'a [u8],
    /// The target as sent.
    pub(super) target: &'a [u8],
    /// The version, `HTTP/1.0` or `HTTP/1.1`.
    pub(super) version: &'a [u8],
    /// What the target is made of.
    pub(super) form: Form<'a>,
}

/// The forms of a request target that may pass; the authority form belongs to CONNECT, which is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// A path with an optional query.
    Path,
    /// `*`, about the server as a whole.
    Asterisk,
    /// A whole URI.
    Absolute {
        /// Host and optional port, without user information.
        authority: &'a [u8],
        /// What follows the authority: empty, or from the first `/` or `?`.
        rest: &'a [u8],
    },
}

// === impl RequestLine ===

impl<'a> RequestLine<'a> {
    /// Takes a request line (without its line end) apart.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let (method, rest) = split_at(line, b' ').ok_or(Refusal::bad("malformed request line"))?;
        let (target, version) = split_at(rest, b' ').ok_or(Refusal::bad("malformed request line"))?;
        if method.is_empty() || !method.iter().copied().all(is_token) {
            return Err(Refusal::bad("invalid method"));
        }
        check_version(version)?;
        if method == b"CONNECT" {
            return Err(Refusal { status: 501, reason: "CONNECT is not offered" });
        }
        let form = Form::parse(target, method)?;
        Ok(Self { method, target, version, form })
    }

    /// Whether the version is HTTP/1.0.
    pub(super) fn is_http10(&self) -> bool {
        self.version.ends_with(b"0")
    }
}

// === impl Form ===

impl<'a> Form<'a> {
    /// Recognises the form of `target`, which must suit `method`.
    fn parse(target: &'a [u8], method: &[u8]) -> Result<Self, Refusal> {
        if !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
            return Err(Refusal::bad("invalid byte in the request target"));
        }
        if target.starts_with(b"/") {
            return Ok(Self::Path);
        }
        if target == b"*" && method == b"OPTIONS" {
            return Ok(Self::Asterisk);
        }
        let after_scheme = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
            let (head, rest) = target.split_at_checked(scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then_some(rest)
        });
        let after_scheme = after_scheme.ok_or(Refusal::bad("invalid request target"))?;
        let end = after_scheme.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after_scheme.len());
        let (authority, rest) = after_scheme.split_at(end);
        let authority = without_user_information(authority)?;
        if !is_host(authority) {
            return Err(Refusal::bad("invalid authority in the request target"));
        }
        Ok(Self::Absolute { authority, rest })
    }
}

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// One answer per byte, because names are the largest part of a head that is looked at byte by byte.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
            || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// Whether `value` is a host with an optional port (RFC 9110 §7.2, RFC 3986 §3.2.2).
///
/// An empty host is not one: a URI of the schemes `http` and `https` must name its host (RFC 9110 §4.2.1).
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host, port) = if let Some(literal) = value.strip_prefix(b"[") {
        let Some((address, after)) = split_at(literal, b']') else {
            return false;
        };
        if !is_address(address) {
            return false;
        }
        if after.is_empty() {
            return true;
        }
        let Some(port) = after.strip_prefix(b":") else {
            return false;
        };
        return is_port(port);
    } else {
        match split_at(value, b':') {
            Some((host, port)) => (host, port),
            None => (value, &b""[..]),
        }
    };
    !host.is_empty() && is_plain(host) && is_port(port)
}

/// Whether `address` between brackets is an IPv6 address.
fn is_address(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Whether `part` of an authority holds only unreserved characters, sub-delimiters and whole percent escapes
/// (RFC 3986 §3.2).
fn is_plain(part: &[u8]) -> bool {
    let mut rest = part;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
                _ => return false,
            },
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                after
            }
            _ if byte.is_ascii_alphanumeric() => after,
            _ => return false,
        };
    }
    true
}

/// Whether `port` is empty, as the grammar allows, or a number up to 65535.
fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
        && (port.is_empty() || std::str::from_utf8(port).is_ok_and(|text| text.parse::<u16>().is_ok()))
}

/// Drops `user:password@`, which clients of this day may still send and which must not travel on (RFC 9110 §4.2.4).
fn without_user_information(authority: &[u8]) -> Result<&[u8], Refusal> {
    match split_at(authority, b'@') {
        None => Ok(authority),
        Some((user, host)) if user.split(|byte| *byte == b':').all(is_plain) && !host.contains(&b'@') => Ok(host),
        Some(_) => Err(Refusal::bad("ambiguous authority in the request target")),
    }
}

/// Accepts HTTP/1.0 and HTTP/1.1, and tells versions not spoken here from what is no version at all.
fn check_version(version: &[u8]) -> Result<(), Refusal> {
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Refusal { status: 505, reason: "HTTP version not spoken here" })
        }
        _ => Err(Refusal::bad("malformed HTTP version")),
    }
}

/// The bytes before and after the first `mark`.
pub(super) fn split_at(bytes: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(mark, bytes)?;
    let (before, rest) = bytes.split_at(at);
    Some((before, rest.get(1..)?))
}
