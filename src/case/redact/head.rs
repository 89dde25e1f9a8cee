//! Redacts heads: targets with their queries, and headers by what their names say.

use super::scan::{Depth, Scan};
use super::spelled::{Notation, Spelled};
use super::tables::{COOKIE_HEADERS, ID_HEADERS, PLAIN_PARAMETERS, SECRET_ENDINGS, SECRET_FIELDS, SECRET_HEADERS};
use super::{Kind, json};
use crate::message::{RequestHead, ResponseHead};

use super::super::same::{request_headers, response_headers};

/// A credential that is shorter, or only letters and short, is not looked for elsewhere: it may be a part of any text.
const TELLING: usize = 8;

/// Keeps the credentials of a request in mind.
pub(super) fn collect(scan: &mut Scan<'_>, head: &RequestHead) {
    for (name, value) in &head.headers {
        let value = value.to_str().unwrap_or_default();
        if is_secret_header(name.as_str()) {
            keep(scan, value.rsplit(' ').next().unwrap_or_default());
        } else if COOKIE_HEADERS.contains(&name.as_str()) {
            for pair in value.split(';') {
                keep(scan, pair.split_once('=').map_or(pair, |(_, value)| value).trim());
            }
        }
    }
    let target = String::from_utf8_lossy(head.raw_path()).into_owned();
    for pair in target.split_once('?').map_or("", |(_, query)| query).split('&') {
        if let Some((_, value)) = pair.split_once('=').filter(|(name, _)| is_secret_field(name)) {
            keep(scan, &Spelled::read(value, Notation::Percent).text);
        }
    }
}

fn is_multipart(kind: &[u8]) -> bool {
    kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
}

/// Whether a header, in small letters, holds a credential.
fn is_secret_header(name: &str) -> bool {
    SECRET_HEADERS.contains(&name) || SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Keeps a credential in mind.
pub(super) fn keep(scan: &mut Scan<'_>, secret: &str) {
    let digits = secret.bytes().any(|byte| byte.is_ascii_digit());
    let letters = secret.bytes().any(|byte| byte.is_ascii_alphabetic());
    let telling = secret.len() >= TELLING * 2 || (secret.len() >= TELLING && digits && letters);
    if telling && secret.starts_with(char::is_alphanumeric) && !scan.secrets.iter().any(|known| known == secret) {
        scan.secrets.push(secret.to_owned());
        scan.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }
}

/// A request's head as it may be kept; without the coding of its body where that was undone.
pub(super) fn request(scan: &Scan<'_>, head: &RequestHead, length: Option<usize>) -> Option<RequestHead> {
    let target = target(scan, head.raw_path());
    let mut made = if head.has_case() {
        RequestHead::build(head.method.clone(), &target, None).ok()?
    } else {
        RequestHead::build_no_case(head.method.clone(), &target, None).ok()?
    };
    made.set_version(head.version);
    for (name, value) in request_headers(head) {
        let name = String::from_utf8_lossy(&name).into_owned();
        if let Some(value) = header(scan, &name, value.as_bytes(), length) {
            made.append_header(name, value).ok()?;
        }
    }
    Some(made)
}

/// A response's head, likewise.
pub(super) fn response(scan: &Scan<'_>, head: &ResponseHead, length: Option<usize>) -> Option<ResponseHead> {
    let mut made = if head.has_case() {
        ResponseHead::build(head.status, None).ok()?
    } else {
        ResponseHead::build_no_case(head.status, None).ok()?
    };
    made.set_version(head.version);
    made.set_reason_phrase(head.get_reason_phrase()).ok()?;
    for (name, value) in response_headers(head) {
        let name = String::from_utf8_lossy(&name).into_owned();
        if let Some(value) = header(scan, &name, value.as_bytes(), length) {
            made.append_header(name, value).ok()?;
        }
    }
    Some(made)
}

/// A header's value as it may be kept; `None` where it goes. `length` is the body's, where its coding was undone.
fn header(scan: &Scan<'_>, name: &str, value: &[u8], length: Option<usize>) -> Option<Vec<u8>> {
    let small = name.to_ascii_lowercase();
    match (small.as_str(), length) {
        ("content-encoding", Some(_)) => return None,
        // Bodies of several parts are cut at the boundary that stands here.
        ("content-type", _) if is_multipart(value) => return Some(value.to_owned()),
        ("content-length", Some(length)) => return Some(length.to_string().into_bytes()),
        _ => {}
    }
    let Ok(text) = std::str::from_utf8(value) else {
        let masked: Vec<u8> =
            value.iter().map(|byte| if byte.is_ascii_alphanumeric() { b'x' } else { *byte }).collect();
        scan.count(Kind::Text, "", "replaced");
        return Some(masked);
    };
    let made = if is_secret_header(&small) {
        credentials(scan, text)
    } else if COOKIE_HEADERS.contains(&small.as_str()) {
        cookies(scan, text, small == "set-cookie")
    } else if ID_HEADERS.contains(&small.as_str()) || small.ends_with("-id") {
        scan.text(text, Depth::Id)
    } else if let Some((before, query)) = text.split_once('?').filter(|_| text.contains("://")) {
        format!("{}?{}", scan.text(before, Depth::Structure), self::query(scan, query))
    } else {
        scan.text(text, Depth::Structure)
    };
    Some(made.into_bytes())
}

/// A credential with its scheme. What it says of its owner is kept in mind.
fn credentials(scan: &Scan<'_>, value: &str) -> String {
    if let Some(said) = value.rsplit(' ').next().and_then(super::said_in_base64) {
        scan.see(&said);
    }
    scan.secret(value)
}

/// Cookies: their names and attributes stay.
fn cookies(scan: &Scan<'_>, value: &str, set: bool) -> String {
    let mut out = Vec::new();
    for (index, pair) in value.split(';').enumerate() {
        if set && index > 0 {
            out.push(scan.text(pair, Depth::Structure));
            continue;
        }
        let (name, secret) = pair.split_once('=').unwrap_or(("", pair));
        let made = super::patterns::credential(scan, secret);
        scan.count(Kind::Cookie, secret, &made);
        let equals = if pair.len() > secret.len() { "=" } else { "" };
        out.push(format!("{name}{equals}{made}"));
    }
    out.join(";")
}

/// A target as it may be kept.
fn target(scan: &Scan<'_>, target: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(target) else {
        return target.iter().map(|byte| if byte.is_ascii() { *byte } else { b'x' }).collect();
    };
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let spelled = Spelled::read(path, Notation::Percent);
    // A plus sign is one in a path.
    let plain: String = spelled.text.chars().collect();
    let made = scan.text(&plain, Depth::Structure);
    let path = spelled.write(path, made.chars(), Notation::Percent);
    let query = query.map(|query| format!("?{}", self::query(scan, query)));
    format!("{path}{}", query.unwrap_or_default()).into_bytes()
}

/// A query or a form as it may be kept.
pub(super) fn query(scan: &Scan<'_>, query: &str) -> String {
    let pairs = query.split('&').map(|pair| {
        let Some((name, value)) = pair.split_once('=') else {
            return replaced(pair, |text| scan.text(text, Depth::Structure));
        };
        let value = replaced(value, |text| parameter(scan, name, text));
        format!("{}={value}", replaced(name, |text| scan.text(text, Depth::Structure)))
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A text in percent notation with what it says replaced.
fn replaced(raw: &str, replace: impl Fn(&str) -> String) -> String {
    let spelled = Spelled::read(raw, Notation::Percent);
    let made = replace(&spelled.text);
    spelled.write(raw, made.chars(), Notation::Percent)
}

/// The value of a parameter of a query or a form.
pub(super) fn parameter(scan: &Scan<'_>, name: &str, value: &str) -> String {
    if is_secret_field(name) {
        scan.secret(value)
    } else if PLAIN_PARAMETERS.contains(&name) || is_plain(value) {
        scan.text(value, Depth::Structure)
    } else if super::json::is_json(value) {
        json::value(scan, value, Depth::Words)
    } else {
        scan.text(value, Depth::Id)
    }
}

/// Whether a value says nothing of anybody: a number or a switch.
fn is_plain(value: &str) -> bool {
    matches!(value, "true" | "false" | "null" | "sse") || value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_secret_field(name: &str) -> bool {
    let small: String = name.chars().filter(|c| *c != '-' && *c != '_').map(|c| c.to_ascii_lowercase()).collect();
    SECRET_FIELDS.contains(&small.as_str())
}
