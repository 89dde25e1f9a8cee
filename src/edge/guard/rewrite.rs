//! The one form in which an unusual but valid head passes: a path as target with the authority as `Host`
//! (RFC 9112 §3.2.2), and nothing listed in `Connection` that frames the message. All other bytes stay as they came.

use super::head::{Facts, is_unlistable, items, name_and_value};
use super::target::{Form, RequestLine};

/// Writes a head anew that has been checked; `head` includes its empty line.
pub(super) fn rewrite(head: &[u8], facts: &Facts) -> Vec<u8> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut out = Vec::with_capacity(head.len() + 64);
    let authority = lines.next().and_then(|line| request_line(line, &mut out)).filter(|_| facts.absolute);
    if let Some(authority) = authority.filter(|_| !facts.host) {
        push_line(&mut out, &[b"Host: ", authority]);
    }
    for line in lines.filter(|line| !line.is_empty()) {
        field(line, authority, facts, &mut out);
    }
    push_line(&mut out, &[]);
    out
}

/// Writes the request line with a path as target and hands back the authority of an absolute target.
fn request_line<'a>(line: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let parsed = RequestLine::parse(line).ok()?;
    let Form::Absolute { authority, rest } = parsed.form else {
        push_line(out, &[line]);
        return None;
    };
    // An absolute target without path asks OPTIONS about the whole server (RFC 9112 §3.2.4), others for the root.
    let root: &[u8] = match rest.first() {
        Some(b'/') => b"",
        None if parsed.method == b"OPTIONS" => b"*",
        _ => b"/",
    };
    push_line(out, &[parsed.method, b" ", root, rest, b" ", parsed.version]);
    Some(authority)
}

/// Writes one field line, changed or left out where it has to be.
fn field(line: &[u8], authority: Option<&[u8]>, facts: &Facts, out: &mut Vec<u8>) {
    let (name, value) = name_and_value(line);
    if let Some(authority) = authority.filter(|_| name.eq_ignore_ascii_case(b"host")) {
        return push_line(out, &[name, b": ", authority]);
    }
    if facts.drop_upgrade && name.eq_ignore_ascii_case(b"upgrade") {
        return;
    }
    let dropped = |item: &[u8]| is_unlistable(item) || (facts.drop_upgrade && item.eq_ignore_ascii_case(b"upgrade"));
    if name.eq_ignore_ascii_case(b"connection") && items(value).any(dropped) {
        let kept: Vec<&[u8]> = items(value).filter(|item| !dropped(item)).collect();
        if !kept.is_empty() {
            push_line(out, &[name, b": ", &kept.join(&b", "[..])]);
        }
        return;
    }
    push_line(out, &[line]);
}

/// Writes `pieces` and a line end.
fn push_line(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}
