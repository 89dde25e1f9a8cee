//! What the client got otherwise than the upstream sent it: what hooks on responses and events came to, line by line.

use super::Explanation;
use crate::case::review::difference;
use crate::case::{Got, PlayedCall, wires};

/// The most lines of a difference that are shown.
const MOST: usize = 60;

// === impl Explanation ===

impl Explanation {
    /// What changed between the upstream's answer and the client's, each in a line; nothing when nothing did, or when
    /// no upstream answered.
    pub(super) fn answered(&self, call: &PlayedCall) -> Vec<String> {
        let Some(served) = self.facts.attempts.last().filter(|_| self.facts.status.is_some()) else {
            return Vec::new();
        };
        let wire = wires::attempts(call).into_iter().rposition(|owner| owner == Some(call.attempts.len() - 1));
        let Some(answer) = wire.and_then(|wire| self.played.case.answers.get(wire)) else { return Vec::new() };
        let (Some(from), Some(to)) = (answer.heads.last(), last_head(call)) else { return Vec::new() };
        let mut changes = Vec::new();
        self.header_changes(&from.headers, &to.headers, &mut changes);
        if let Some(dialect) = served.dialect {
            changes.push(format!("the body is translated from {}", dialect.as_str()));
            return changes;
        }
        let sent: Vec<u8> = answer.body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
        let got = body(call);
        if sent != got {
            let [old, new] = [&sent, &got].map(|body| self.played.mask.text(&String::from_utf8_lossy(body)));
            let lines = difference(&old, &new);
            let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
            let more = lines.len().saturating_sub(MOST);
            lines.truncate(MOST);
            changes.extend(lines);
            if more > 0 {
                changes.push(format!("and {more} lines more"));
            }
        }
        changes
    }
}

/// The head that the client got.
fn last_head(call: &PlayedCall) -> Option<&crate::message::ResponseHead> {
    let heads = call.got.iter().rev().filter_map(|got| match got {
        Got::Head(_, head) => Some(&**head),
        _ => None,
    });
    heads.into_iter().next()
}

/// The body that the client got.
fn body(call: &PlayedCall) -> Vec<u8> {
    let pieces = call.got.iter().filter_map(|got| match got {
        Got::Piece(_, bytes) => Some(bytes),
        _ => None,
    });
    pieces.flat_map(|bytes| bytes.iter().copied()).collect()
}
