//! Makes the answer to a request out of a kept one: all of it, a part, only its head, or that nothing has changed.

use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;

use super::Stored;
use super::admit::Asked;
use super::choose;
use super::range::Part;
use crate::message::{HeadError, ResponseHead};

/// Fields that say nothing new to a client that has the body (RFC 9110 §15.4.5).
const NOT_WITH_304: [&str; 5] =
    ["content-encoding", "content-language", "content-length", "content-md5", "content-type"];

/// What to send of the body.
enum Slice {
    All,
    Nothing(StatusCode),
    Some(Part, Bytes),
}

/// The head and the body to send. Errors when a kept field cannot be sent, which does not happen to fields that came.
pub fn answer(stored: &Stored, asked: &Asked<'_>, now: SystemTime) -> Result<(ResponseHead, Bytes), HeadError> {
    let slice = slice(stored, asked);
    let (status, body) = match &slice {
        Slice::All => (stored.status, stored.body.clone()),
        Slice::Nothing(status) => (*status, Bytes::new()),
        Slice::Some(_, bytes) => (StatusCode::PARTIAL_CONTENT, bytes.clone()),
    };
    let mut head = ResponseHead::build(status, Some(stored.headers.len() + 3))?;
    let leave_out = |name: &str| {
        let known = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        (status == StatusCode::NOT_MODIFIED && known(&NOT_WITH_304))
            || (body_differs(&slice) && known(&["content-range"]))
    };
    for (name, value) in stored.headers.iter().filter(|(name, _)| !leave_out(name)) {
        head.append_header(name.clone(), value.as_ref())?;
    }
    match &slice {
        Slice::Some(part, _) => head.insert_header("Content-Range", part.to_text())?,
        Slice::Nothing(StatusCode::RANGE_NOT_SATISFIABLE) => {
            head.insert_header("Content-Range", format!("bytes */{}", stored.body.len()))?;
        }
        Slice::All | Slice::Nothing(_) => {}
    }
    head.insert_header("Age", stored.age(now).as_secs())?;
    if !matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT) {
        head.insert_header("Content-Length", body.len())?;
    }
    Ok((head, body))
}

fn body_differs(slice: &Slice) -> bool {
    !matches!(slice, Slice::All)
}

/// Conditions come first, and then the range (RFC 9110 §13.2.2); both are about successful answers only.
fn slice(stored: &Stored, asked: &Asked<'_>) -> Slice {
    let conditional = matches!(stored.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    if conditional && stored.validators.unchanged(asked.headers) {
        return Slice::Nothing(StatusCode::NOT_MODIFIED);
    }
    match (stored.status, stored.part, choose::wanted(asked)) {
        (_, Some(_), _) if choose::asked_alike(stored, asked.headers) => Slice::All,
        (_, Some(_), Some(wanted)) => stored.cut(wanted).map_or(Slice::All, |(part, bytes)| Slice::Some(part, bytes)),
        (StatusCode::OK, None, Some(wanted)) if stored.validators.allows_range(asked.headers) => stored
            .cut(wanted)
            .map_or(Slice::Nothing(StatusCode::RANGE_NOT_SATISFIABLE), |(part, bytes)| Slice::Some(part, bytes)),
        _ => Slice::All,
    }
}
