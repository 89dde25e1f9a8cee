//! Whether two cases say the same, wherever their lines stand: what a written case must be once it is read again.

use http::{HeaderMap, HeaderValue};

use super::{Answer, Call, Case};
use crate::message::{RequestHead, ResponseHead};

/// Whether two cases say the same; their files and lines may differ.
pub fn same(a: &Case, b: &Case) -> bool {
    a.about == b.about
        && same_setup(a, b)
        && a.calls.len() == b.calls.len()
        && a.calls.iter().zip(&b.calls).all(|(a, b)| same_call(a, b))
        && a.answers.len() == b.answers.len()
        && a.answers.iter().zip(&b.answers).all(|(a, b)| same_answer(a, b))
}

fn same_setup(a: &Case, b: &Case) -> bool {
    let (a, b) = (&a.setup, &b.setup);
    let params = a.params.iter().zip(&b.params);
    (a.clock, a.seed, a.client, &a.env, &a.id, &a.reads) == (b.clock, b.seed, b.client, &b.env, &b.id, &b.reads)
        && a.params.len() == b.params.len()
        && params.into_iter().all(|(a, b)| (&a.policy, &a.name, &a.value) == (&b.policy, &b.name, &b.value))
}

/// Whether two calls say the same.
pub(super) fn same_call(a: &Call, b: &Call) -> bool {
    (a.after, a.leaves, a.takes, a.beside, a.tls) == (b.after, b.leaves, b.takes, b.beside, b.tls)
        && same_request(&a.head, &b.head)
        && a.body == b.body
}

/// Whether two answers say the same.
pub(super) fn same_answer(a: &Answer, b: &Answer) -> bool {
    (&a.upstream, &a.endpoint, a.fault, a.slow, a.early, a.reused)
        == (&b.upstream, &b.endpoint, b.fault, b.slow, b.early, b.reused)
        && a.heads.len() == b.heads.len()
        && a.heads.iter().zip(&b.heads).all(|(a, b)| same_response(a, b))
        && a.body == b.body
}

fn same_request(a: &RequestHead, b: &RequestHead) -> bool {
    (&a.method, a.version, a.raw_path()) == (&b.method, b.version, b.raw_path())
        && request_headers(a) == request_headers(b)
}

fn same_response(a: &ResponseHead, b: &ResponseHead) -> bool {
    (a.status, a.version, a.get_reason_phrase()) == (b.status, b.version, b.get_reason_phrase())
        && response_headers(a) == response_headers(b)
}

/// A request's headers as they are spelled.
pub(super) fn request_headers(head: &RequestHead) -> Vec<(Vec<u8>, HeaderValue)> {
    if !head.has_case() {
        return plain(&head.headers);
    }
    head.case_header_iter().map(|(name, value)| (name.as_slice().to_owned(), value.clone())).collect()
}

/// A response's headers as they are spelled.
pub(super) fn response_headers(head: &ResponseHead) -> Vec<(Vec<u8>, HeaderValue)> {
    if !head.has_case() {
        return plain(&head.headers);
    }
    head.case_header_iter().map(|(name, value)| (name.as_slice().to_owned(), value.clone())).collect()
}

/// Headers of a head that keeps no spelling: HTTP/2's are small.
fn plain(headers: &HeaderMap) -> Vec<(Vec<u8>, HeaderValue)> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes().to_owned(), value.clone())).collect()
}
