//! Tells the requests of attempts from those of policies, and finds the ones that were sent again because a kept connection
//! turned out to be closed.

use super::Mishap;
use super::play::PlayedCall;
use super::script::Wire;
use crate::error::Kind;
use crate::exchange::AttemptRecord;
use crate::message::RequestHead;

/// For each wire of a call, the number of the attempt that it belongs to; `None` for a policy's own.
pub(crate) fn attempts(call: &PlayedCall) -> Vec<Option<usize>> {
    let marked = call.wires.iter().any(|wire| wire.head.as_ref().is_some_and(|head| has_id(head, &call.id)));
    let carries = |wire: &Wire, attempt: &AttemptRecord| {
        let ours = |head: &RequestHead| !marked || has_id(head, &call.id);
        wire.upstream == attempt.upstream && wire.endpoint == attempt.endpoint && wire.head.as_ref().is_none_or(ours)
    };
    // Attempts that were made beside each other are told in the order in which they ended.
    let raced = call.attempts.iter().any(|attempt| attempt.beside);
    let mut owners = vec![None; call.wires.len()];
    let mut from = 0;
    for (index, attempt) in call.attempts.iter().enumerate() {
        let from_here = call.wires.iter().enumerate().skip(if raced { 0 } else { from });
        let free = from_here.filter(|(number, _)| owners.get(*number).is_some_and(Option::is_none));
        let theirs: Vec<(usize, &Wire)> = free.filter(|(_, wire)| carries(wire, attempt)).collect();
        let later = call.attempts.iter().skip(index + 1).filter(|later| same_endpoint(later, attempt)).count();
        for (at, (number, wire)) in theirs.iter().enumerate() {
            if let Some(owner) = owners.get_mut(*number) {
                *owner = Some(index);
            }
            from = number + 1;
            if !is_repeated(wire, attempt, theirs.len() - at - 1, later) {
                break;
            }
        }
    }
    owners
}

/// Whether a request was sent again: its kept connection was closed, and either the attempt came to something else, or
/// there are more requests to come than attempts.
fn is_repeated(wire: &Wire, attempt: &AttemptRecord, wires: usize, attempts: usize) -> bool {
    let stale = wire.reused && wire.fault == Some(Mishap::Reset) && wires > 0;
    let ended_so = attempt.error.as_ref().is_some_and(|error| error.kind() == Kind::Reset);
    stale && (!ended_so || wires > attempts)
}

fn same_endpoint(one: &AttemptRecord, other: &AttemptRecord) -> bool {
    one.upstream == other.upstream && one.endpoint == other.endpoint
}

/// Whether a request carries the exchange's id, as the gate's own do unless settings or a policy take it off.
pub(super) fn has_id(head: &RequestHead, id: &str) -> bool {
    head.headers.values().any(|value| value.as_bytes() == id.as_bytes())
}
