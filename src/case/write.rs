//! Writes a case as the text that reads back as the same case: how a recorded exchange becomes a file.
//!
//! Of all texts that mean the same, the plainest is taken: what the format adds by itself is left out, and a body stands
//! as its lines unless bytes of it cannot.

mod body;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Version};
use jiff::Timestamp;

use super::body::Ending;
use super::message::{NO_REASON, TARGET, VERSIONS};
use super::same::{request_headers, response_headers, same_answer, same_call};
use super::{Answer, Call, Case, Mishap, Setup, read};
use crate::message::{RequestHead, ResponseHead};

/// The longest line of the comment at the top, in characters.
const WIDTH: usize = 118;

/// What a case says of itself that says nothing.
const ABOUT: &str = "A recorded exchange.";

/// How a block's length is told, from the plainest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// By the header that reading adds, which is left out.
    Added,
    /// By its headers, or by what its head means.
    Headers,
    /// Not at all.
    Raw,
}

/// Headers in their spelling.
type Headers = Vec<(Vec<u8>, HeaderValue)>;

/// The text of a case. Times are rounded to milliseconds, pauses so that no moment is off by more than one.
///
/// A name that no bundle can have (an upstream with a blank in it) is the one thing that does not come back.
pub fn write(case: &Case) -> String {
    let mut text = String::new();
    about(&mut text, &case.about);
    setup(&mut text, &case.setup);
    for call in &case.calls {
        text.push('\n');
        text.push_str(&call_block(call));
    }
    for answer in &case.answers {
        text.push('\n');
        text.push_str(&answer_block(answer));
    }
    text
}

/// The comment at the top, in lines that fit a screen.
fn about(text: &mut String, about: &str) {
    let about = if about.trim().is_empty() { ABOUT } else { about.trim() };
    let mut width = 0;
    let mut last = "";
    for word in about.split(' ').flat_map(|word| word.split(['\n', '\r'])) {
        // A line is only broken between words: more than one blank would not come back.
        let breaks = width + word.chars().count() > WIDTH && !word.is_empty() && !last.is_empty();
        if width == 0 || breaks {
            text.push_str(if width == 0 { "# " } else { "\n# " });
            width = 2;
        } else {
            text.push(' ');
        }
        text.push_str(word);
        width += word.chars().count() + 1;
        last = word;
    }
    text.push('\n');
}

/// The `set` lines, for what is not usual.
fn setup(text: &mut String, setup: &Setup) {
    let usual = Setup::default();
    let clock = Some(setup.clock).filter(|clock| *clock != usual.clock);
    if let Some(clock) = clock.and_then(|clock: SystemTime| Timestamp::try_from(clock).ok()) {
        let _ = writeln!(text, "set clock {clock}");
    }
    if setup.seed != usual.seed {
        let _ = writeln!(text, "set seed {}", setup.seed);
    }
    if let Some(id) = &setup.id {
        let _ = writeln!(text, "set id {id}");
    }
    if setup.client != usual.client {
        let _ = writeln!(text, "set client {}", setup.client);
    }
    for (name, value) in &setup.env {
        let _ = writeln!(text, "set env {name} {value}");
    }
    for param in &setup.params {
        let _ = writeln!(text, "set param {}.{} {}", param.policy, param.name, param.value);
    }
    for read in &setup.reads {
        let _ = writeln!(text, "set read {} {}", serde_json::Value::from(read.what.as_str()), read.value);
    }
}

fn call_block(call: &Call) -> String {
    let mut opening = "> client".to_owned();
    if !call.after.is_zero() {
        let _ = write!(opening, " after={}", time(call.after));
    }
    if let Some(leaves) = call.leaves {
        let _ = write!(opening, " leaves={}", time(leaves));
    }
    if let Some(takes) = call.takes {
        let takes = if takes.head { takes.bytes.to_string() } else { "nothing".to_owned() };
        let _ = write!(opening, " takes={takes}");
    }
    if call.beside {
        opening.push_str(" beside");
    }
    if call.tls {
        opening.push_str(" tls");
    }
    let headers = request_headers(&call.head);
    let wanted = Call { body: body::rounded(&call.body), ..call.clone() };
    let ending = Ending::of(&call.head.headers);
    plainest(&headers, &wanted.body, ending, |framing, body| {
        let mut text = opening.clone();
        let headers = opened(&mut text, framing, body, &headers);
        request_line(&mut text, &call.head);
        header_lines(&mut text, headers);
        text.push_str(&body.text);
        let back = read::read("", &format!("# A.\n{text}")).ok();
        let same = back.and_then(|back| back.calls.into_iter().next()).is_some_and(|back| {
            let rounded = Call { after: back.after, leaves: back.leaves, ..wanted.clone() };
            same_call(&back, &rounded)
        });
        (text, same)
    })
}

fn answer_block(answer: &Answer) -> String {
    let mut opening = opening(answer);
    if !answer.slow.is_zero() {
        let _ = write!(opening, " slow={}", time(answer.slow));
    }
    if answer.early {
        opening.push_str(" early");
    }
    if answer.reused {
        opening.push_str(" reused");
    }
    let Some((last, interim)) = answer.heads.split_last() else {
        return format!("{opening}\n");
    };
    let headers = response_headers(last);
    let wanted = Answer { body: body::rounded(&answer.body), ..answer.clone() };
    plainest(&headers, &wanted.body, Ending::of(&last.headers), |framing, body| {
        let mut text = opening.clone();
        let headers = opened(&mut text, framing, body, &headers);
        for head in interim {
            status_line(&mut text, head);
            header_lines(&mut text, &response_headers(head));
            text.push('\n');
        }
        status_line(&mut text, last);
        header_lines(&mut text, headers);
        text.push_str(&body.text);
        let back = read::read("", &format!("# A.\n> client\nGET / HTTP/1.1\n\n{text}")).ok();
        let same = back.and_then(|back| back.answers.into_iter().next()).is_some_and(|back| {
            let rounded = Answer { slow: back.slow, ..wanted.clone() };
            same_answer(&back, &rounded)
        });
        (text, same)
    })
}

/// The name and the fault of an answer, as its block opens.
fn opening(answer: &Answer) -> String {
    let mut opening = format!("< upstream {}", answer.upstream);
    if let Some(endpoint) = &answer.endpoint {
        let _ = write!(opening, "/{endpoint}");
    }
    let word = Mishap::WORDS.iter().find(|(_, mishap)| answer.fault == Some(*mishap));
    if let Some((word, _)) = word {
        let _ = write!(opening, " fault={word}");
    }
    opening
}

/// The first block, from the plainest, that reads back as what it was written from.
fn plainest(
    headers: &Headers,
    pieces: &[super::Piece],
    ending: Ending,
    block: impl Fn(Told, &body::Written) -> (String, bool),
) -> String {
    let bodies = body::forms(pieces, ending);
    let added =
        headers.last().is_some_and(|(name, _)| matches!(name.as_slice(), b"Content-Length" | b"Transfer-Encoding"));
    let mut last = String::new();
    for body in &bodies {
        for framing in [Told::Added, Told::Headers, Told::Raw] {
            if framing == Told::Added && !added {
                continue;
            }
            let (text, same) = block(framing, body);
            if same {
                return text;
            }
            last = text;
        }
    }
    last
}

/// Ends the opening line; gives back the headers that are to be written.
fn opened<'h>(
    text: &mut String,
    framing: Told,
    body: &body::Written,
    headers: &'h Headers,
) -> &'h [(Vec<u8>, HeaderValue)] {
    text.push_str(&body.words);
    if framing == Told::Raw {
        text.push_str(" raw");
    }
    text.push('\n');
    match headers.split_last() {
        Some((_, rest)) if framing == Told::Added => rest,
        _ => headers,
    }
}

fn request_line(text: &mut String, head: &RequestHead) {
    let target = head.raw_path();
    let shown = String::from_utf8_lossy(target);
    let _ = writeln!(text, "{} {shown} {}", head.method, version(head.version));
    if !head.raw_path_is_utf8() {
        let _ = writeln!(text, "~ base64 {TARGET} {}", BASE64_STANDARD.encode(target));
    }
}

fn status_line(text: &mut String, head: &ResponseHead) {
    let reason = match head.get_reason_phrase() {
        Some("") => NO_REASON,
        reason => reason.unwrap_or_default(),
    };
    let line = format!("{} {} {reason}", version(head.version), head.status.as_u16());
    let _ = writeln!(text, "{}", line.trim_end());
}

fn version(version: Version) -> &'static str {
    VERSIONS.iter().find(|(_, known)| *known == version).map_or("HTTP/1.1", |(name, _)| name)
}

fn header_lines(text: &mut String, headers: &[(Vec<u8>, HeaderValue)]) {
    for (name, value) in headers {
        let name = String::from_utf8_lossy(name);
        let _ = match shown(value) {
            Some("") => writeln!(text, "{name}:"),
            Some(value) => writeln!(text, "{name}: {value}"),
            None => writeln!(text, "~ base64 {name} {}", BASE64_STANDARD.encode(value.as_bytes())),
        };
    }
}

/// A value that stands in a line as it is.
fn shown(value: &HeaderValue) -> Option<&str> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    (text.trim() == text && !text.chars().any(|c| c.is_control() && c != '\t')).then_some(text)
}

/// A duration as the format has it.
fn time(duration: Duration) -> String {
    let millis = rounded(duration);
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let unit = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit) && millis > 0);
    let (unit, name) = unit.unwrap_or((1, "ms"));
    format!("{}{name}", millis / unit)
}

/// Milliseconds, to the nearest.
fn rounded(duration: Duration) -> u128 {
    (duration.as_micros() + 500) / 1000
}

#[cfg(test)]
mod tests;
