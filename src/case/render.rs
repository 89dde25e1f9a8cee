//! Writes what happened in a case as text: every decision with its place, every byte sent, secrets masked.

mod body;

mod decisions;

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;

use super::client::Got;
use super::mask::Mask;
use super::play::{Played, PlayedCall};
use super::script::Wire;
use super::{Answer, Mishap, wires};
use crate::exchange::AttemptRecord;
use crate::exchange::refresh::refresh_id;
use crate::message::ResponseHead;

/// A snapshot as it is being written.
pub(super) struct Page<'m> {
    text: String,
    mask: &'m Mask,
}

/// The snapshot of a played case.
pub fn render(played: &Played) -> String {
    let mut page = Page { text: String::new(), mask: &played.mask };
    for (index, call) in played.calls.iter().enumerate() {
        if index > 0 {
            page.text.push('\n');
        }
        write_call(&mut page, call);
    }
    for answer in &played.unused {
        page.line(&format!("never asked for: {}", name_of(answer)));
    }
    page.text
}

/// One call, from who is calling to what was said about it.
fn write_call(page: &mut Page<'_>, call: &PlayedCall) {
    let head = &call.call.head;
    let after = Some(call.call.after).filter(|after| !after.is_zero());
    let after = after.map_or_else(String::new, |after| format!(" after {}", time(after)));
    let target = page.mask.target(&String::from_utf8_lossy(head.raw_path()));
    page.line(&format!("> client{after}: {} {target}", head.method));
    decisions::before(page, call);
    let owners = wires::attempts(call);
    let wires: Vec<(Option<usize>, &Wire)> = owners.iter().copied().zip(&call.wires).collect();
    let mut told = 0;
    for (index, attempt) in call.attempts.iter().enumerate() {
        if let Some(last) = owners.iter().rposition(|owner| *owner == Some(index)) {
            write_own_calls(page, call, wires.get(told..last).unwrap_or_default());
            told = told.max(last + 1);
        }
        let own: Vec<&Wire> = wires.iter().filter(|(owner, _)| *owner == Some(index)).map(|(_, wire)| *wire).collect();
        write_attempt(page, call, index, attempt, &own);
    }
    write_own_calls(page, call, wires.get(told..).unwrap_or_default());
    write_got(page, &call.got);
    decisions::after(page, call);
}

/// An attempt: what was sent, what came of it, and what was decided then. What was sent on kept connections that were
/// closed came again as the last of `wires`.
fn write_attempt(page: &mut Page<'_>, call: &PlayedCall, index: usize, attempt: &AttemptRecord, wires: &[&Wire]) {
    let dialect = attempt.dialect.map_or_else(String::new, |dialect| format!(" in {}", dialect.as_str()));
    let goes_on =
        attempt.goes_on.map_or_else(String::new, |said| format!(", going on after {} bytes of text", said.text));
    page.line(&format!("< upstream {}/{}{dialect}{goes_on}", attempt.upstream, attempt.endpoint));
    if let Some(queued) = attempt.queued.filter(|queued| queued.position > 0) {
        page.indented(&format!("(waited {} in line, from place {})", time(queued.time), queued.position));
    }
    let wire = wires.last().copied();
    if wires.len() > 1 {
        page.indented("(sent again: the kept connection was closed)");
    }
    match wire {
        Some(wire) => write_wire(page, wire),
        None => page.indented("(nothing was sent)"),
    }
    let took = Some(attempt.took).filter(|took| !took.is_zero());
    let took = took.map_or_else(String::new, |took| format!(" after {}", time(took)));
    let outcome = match (&attempt.error, attempt.status) {
        (Some(error), Some(status)) => format!("{status} and then {}: {error}", error.kind().as_str()),
        (Some(error), None) => format!("{}: {error}", error.kind().as_str()),
        (None, Some(status)) => status.to_string(),
        (None, None) => "nothing".to_owned(),
    };
    let scripted = match wire {
        Some(Wire { line: None, .. }) => " (the case has no answer for it)",
        _ => "",
    };
    page.line(&format!("= {outcome}{took}{scripted}{}", decisions::turn(call, index)));
}

/// Those of some requests that policies made themselves, or that fetch a response anew once the client has its own.
fn write_own_calls(page: &mut Page<'_>, call: &PlayedCall, wires: &[(Option<usize>, &Wire)]) {
    let again = refresh_id(&call.id);
    for (_, wire) in wires.iter().filter(|(owner, _)| owner.is_none()) {
        let scripted = if wire.line.is_some() { "" } else { " (the case has no answer for it)" };
        let refreshes = wire.head.as_ref().is_some_and(|head| wires::has_id(head, &again));
        let why = if refreshes { "asked anew in the background" } else { "called by a policy" };
        page.line(&format!("< upstream {}/{}, {why}{scripted}", wire.upstream, wire.endpoint));
        write_wire(page, wire);
    }
}

/// What an upstream was sent, exactly.
fn write_wire(page: &mut Page<'_>, wire: &Wire) {
    let Some(head) = &wire.head else {
        return page.indented("(no connection)");
    };
    let target = page.mask.target(&String::from_utf8_lossy(head.raw_path()));
    page.indented(&format!("{} {target} {:?}", head.method, head.version));
    for (name, value) in head.case_header_iter() {
        page.header(name.as_slice(), value);
    }
    body::pieces(page, &[(Duration::ZERO, &wire.body)]);
    if !wire.complete {
        page.indented("(broken off)");
    }
}

/// What the client got, in the order it came.
fn write_got(page: &mut Page<'_>, got: &[Got]) {
    let first = got.iter().find_map(|got| match got {
        Got::Head(at, _) => Some(*at),
        _ => None,
    });
    let Some(first) = first else {
        return page.line("= the client got nothing");
    };
    let after = if first.is_zero() { String::new() } else { format!(" after {}", time(first)) };
    page.line(&format!("= to the client{after}"));
    let mut pieces: Vec<(Duration, &[u8])> = Vec::new();
    for got in got {
        match got {
            Got::Continue => page.indented("HTTP/1.1 100 Continue\n"),
            Got::Head(at, head) => {
                if !pieces.is_empty() {
                    page.blank();
                }
                write_response_head(page, head);
                pieces.push((*at, b""));
            }
            Got::Piece(at, bytes) => pieces.push((*at, bytes)),
            Got::Trailers(_) | Got::BrokenOff(_) => {}
        }
    }
    body::pieces(page, &pieces);
    for got in got {
        match got {
            Got::Trailers(trailers) => {
                page.blank();
                for (name, value) in trailers {
                    page.header(name.as_str().as_bytes(), value);
                }
            }
            Got::BrokenOff(at) => page.indented(&format!("(broken off after {})", time(*at))),
            _ => {}
        }
    }
}

fn write_response_head(page: &mut Page<'_>, head: &ResponseHead) {
    let reason = head.get_reason_phrase().unwrap_or_default();
    page.indented(format!("{:?} {} {reason}", head.version, head.status.as_u16()).trim_end());
    for (name, value) in head.case_header_iter() {
        page.header(name.as_slice(), value);
    }
}

/// A scripted answer, as its opening line in the case names it.
fn name_of(answer: &Answer) -> String {
    let mut name = format!("< upstream {}", answer.upstream);
    if let Some(endpoint) = &answer.endpoint {
        let _ = write!(name, "/{endpoint}");
    }
    let fault = answer.fault.and_then(|fault| Mishap::WORDS.iter().find(|(_, mishap)| *mishap == fault));
    if let Some((word, _)) = fault {
        let _ = write!(name, " fault={word}");
    }
    name
}

/// A duration in the unit that shows it shortest.
pub(super) fn time(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        _ if millis.is_multiple_of(1000) && millis > 0 => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

// === impl Page ===

impl Page<'_> {
    /// Writes a line of the gate's own.
    fn line(&mut self, text: &str) {
        let shown = self.mask.text(text);
        self.push(&shown, "");
    }

    /// Writes lines that somebody else wrote, so that they cannot be taken for the gate's.
    fn indented(&mut self, text: &str) {
        let shown = self.mask.text(text);
        self.push(&shown, "    ");
    }

    fn header(&mut self, name: &[u8], value: &HeaderValue) {
        let name = String::from_utf8_lossy(name);
        let value = String::from_utf8_lossy(value.as_bytes());
        let shown = format!("{name}: {}", self.mask.header(&name, &value)).trim_end().to_owned();
        self.push(&shown, "    ");
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Writes text line by line; what an editor would not show is written as its picture (Unicode, 2400 block).
    fn push(&mut self, text: &str, indent: &str) {
        for line in text.split('\n') {
            if !line.is_empty() {
                self.text.push_str(indent);
            }
            for c in line.chars() {
                self.text.push(match c {
                    '\t' => c,
                    '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
                    _ => c,
                });
            }
            if line.ends_with(' ') {
                self.text.push('\u{2423}');
            }
            self.text.push('\n');
        }
    }
}
