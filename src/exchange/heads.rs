//! The head rules of a gateway: what belongs to one connection only, what is added on the way, how a body is framed.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::error::{Error, Kind};
use crate::gate::preview::PREVIEW;
use crate::message::{RequestHead, ResponseHead};

/// Headers that concern one connection (RFC 9110 §7.6.1), whatever `Connection` says.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// How a message's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Until it ends: chunked in HTTP/1.1.
    Open,
}

/// A head whose headers can be taken out and put back in their order and spelling.
trait Headed {
    fn headers(&self) -> &HeaderMap;
    fn listed(&self) -> Vec<(Bytes, HeaderValue)>;
    fn remove(&mut self, name: &str);
    fn append(&mut self, name: Bytes, value: HeaderValue);
}

/// Removes from a request what concerned the client's connection or the gate itself. `TE: trailers` stays: it is about
/// the message.
pub fn strip_request(head: &mut RequestHead) {
    let trailers = head.headers.get("te").is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    strip(head, |name| name == "proxy-authorization" || name == PREVIEW);
    if trailers {
        let _ = head.insert_header("TE", "trailers");
    }
}

/// Removes from a response what concerned the upstream's connection.
pub fn strip_response(head: &mut ResponseHead) {
    strip(head, |_| false);
}

fn strip<H: Headed>(head: &mut H, also: impl Fn(&str) -> bool) {
    let nominated = nominated(head.headers());
    remove(head, |name| HOP_BY_HOP.contains(&name) || also(name) || nominated.iter().any(|other| other == name));
}

/// Removes headers and leaves the others in their order: the map itself fills a gap with its last header.
fn remove<H: Headed>(head: &mut H, goes: impl Fn(&str) -> bool) {
    if !head.headers().keys().any(|name| goes(name.as_str())) {
        return;
    }
    let mut names: Vec<String> = head.headers().keys().map(|name| name.as_str().to_owned()).collect();
    let listed = head.listed();
    if listed.is_empty() {
        names.retain(|name| goes(name));
    }
    for name in &names {
        head.remove(name);
    }
    for (name, value) in listed {
        if !goes(&String::from_utf8_lossy(&name).to_ascii_lowercase()) {
            head.append(name, value);
        }
    }
}

/// The headers that `Connection` names, without those that say where a message ends or whom it is for.
fn nominated(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && !matches!(name.as_str(), "close" | "content-length" | "host"))
        .collect()
}

/// How the body of a request is delimited, by its head.
pub fn request_framing(head: &RequestHead) -> Framing {
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return Framing::Open;
    }
    match content_length(&head.headers) {
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None if head.version == http::Version::HTTP_2 && head.send_end_stream() != Some(true) => Framing::Open,
        None => Framing::None,
    }
}

/// Whether a response has a body at all (RFC 9110 §6.4.1).
pub fn has_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Refuses a response in a transfer coding that is not understood here: where its body ends could only be guessed, and
/// what it holds would be passed on under a wrong name (RFC 9112 §6.1).
pub fn check_response(head: ResponseHead) -> Result<ResponseHead, Error> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::upstream(Kind::Garbage, "the upstream switched protocols unasked"));
    }
    let strange = |coding: &HeaderValue| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if head.headers.get_all(TRANSFER_ENCODING).iter().any(strange) {
        return Err(Error::upstream(
            Kind::Garbage,
            "the upstream answered in a transfer coding that is not known here",
        ));
    }
    Ok(head)
}

/// The declared length of a body.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Declares on a request that its body is delimited so. A head that already says so keeps its own spelling.
pub fn frame_request(head: &mut RequestHead, framing: Framing) {
    match framing {
        Framing::None => {
            head.remove_header(&TRANSFER_ENCODING);
            if content_length(&head.headers).is_some_and(|length| length != 0) {
                head.remove_header(&CONTENT_LENGTH);
            }
        }
        Framing::Length(length) => {
            head.remove_header(&TRANSFER_ENCODING);
            if content_length(&head.headers) != Some(length) {
                let _ = head.insert_header("Content-Length", HeaderValue::from(length));
            }
        }
        Framing::Open => {
            head.remove_header(&CONTENT_LENGTH);
            let _ = head.insert_header("Transfer-Encoding", "chunked");
        }
    }
}

/// Declares on a response that its body is delimited so; `chunked` where the client's protocol can.
pub fn frame_response(head: &mut ResponseHead, framing: Framing) {
    match framing {
        Framing::None => {
            head.remove_header(&TRANSFER_ENCODING);
        }
        Framing::Length(length) => {
            head.remove_header(&TRANSFER_ENCODING);
            if content_length(&head.headers) != Some(length) {
                let _ = head.insert_header("Content-Length", HeaderValue::from(length));
            }
        }
        Framing::Open => {
            head.remove_header(&CONTENT_LENGTH);
            let _ = head.insert_header("Transfer-Encoding", "chunked");
        }
    }
}

// === impl Headed ===

impl Headed for RequestHead {
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn listed(&self) -> Vec<(Bytes, HeaderValue)> {
        self.case_header_iter().map(|(name, value)| (Bytes::copy_from_slice(name.as_slice()), value.clone())).collect()
    }

    fn remove(&mut self, name: &str) {
        self.remove_header(name);
    }

    fn append(&mut self, name: Bytes, value: HeaderValue) {
        let _ = self.append_header(name, value);
    }
}

impl Headed for ResponseHead {
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn listed(&self) -> Vec<(Bytes, HeaderValue)> {
        self.case_header_iter().map(|(name, value)| (Bytes::copy_from_slice(name.as_slice()), value.clone())).collect()
    }

    fn remove(&mut self, name: &str) {
        self.remove_header(name);
    }

    fn append(&mut self, name: Bytes, value: HeaderValue) {
        let _ = self.append_header(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> RequestHead {
        let mut head = RequestHead::build("POST", b"/", None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    fn names(head: &RequestHead) -> Vec<String> {
        head.case_header_iter().map(|(name, _)| String::from_utf8_lossy(name.as_slice()).into_owned()).collect()
    }

    #[test]
    fn connection_headers_do_not_travel() {
        let mut head = request(&[
            ("Connection", "close, X-Private"),
            ("X-Private", "1"),
            ("Keep-Alive", "timeout=5"),
            ("TE", "gzip"),
            ("X-Public", "1"),
        ]);
        strip_request(&mut head);
        assert_eq!(names(&head), ["X-Public"]);
    }

    #[test]
    fn what_stays_keeps_its_order() {
        let mut head = request(&[("B", "1"), ("Connection", "close"), ("a", "2"), ("C", "3"), ("b", "4"), ("D", "5")]);
        strip_request(&mut head);
        assert_eq!(names(&head), ["B", "b", "a", "C", "D"]);
    }

    #[test]
    fn nominating_content_length_does_not_remove_it() {
        let mut head = request(&[("Connection", "Content-Length"), ("Content-Length", "3")]);
        strip_request(&mut head);
        assert_eq!(names(&head), ["Content-Length"]);
    }

    #[test]
    fn a_correct_length_is_not_respelled() {
        let mut head = request(&[("content-length", "3")]);
        frame_request(&mut head, Framing::Length(3));
        assert_eq!(names(&head), ["content-length"]);
        frame_request(&mut head, Framing::Length(4));
        assert_eq!(content_length(&head.headers), Some(4));
    }
}
