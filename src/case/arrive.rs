//! Begins an exchange from a scripted head, through the same door as one off the wire.

use http::Version;

use super::Call;
use super::script::ScriptedDial;
use crate::exchange::begin::{Arrival, Replay, begin};
use crate::exchange::{Exchange, Peer, receive};
use crate::gate::Gate;
use crate::message::Body;

/// An exchange whose request head was just read.
pub(super) fn arrive(gate: &Gate<ScriptedDial>, peer: Peer, call: &Call, replay: Replay) -> Exchange {
    let mut head = call.head.clone();
    let host = head.headers.get("host").cloned();
    let body = match receive::declared_body(&head) {
        // HTTP/2 needs no header to have a body.
        Body::Empty if !call.body.is_empty() => Body::Unread,
        body => body,
    };
    if head.version == Version::HTTP_2 {
        head.set_version(Version::HTTP_11);
    }
    begin(gate, Arrival { peer, head, body, host, worker: 0, replay: Some(replay) })
}
