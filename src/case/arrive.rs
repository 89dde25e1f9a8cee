//! Begins an exchange from a scripted head, through the same door as one off the wire.

use super::script::ScriptedDial;
use crate::exchange::begin::{Arrival, begin};
use crate::exchange::{Exchange, Peer, receive};
use crate::gate::Gate;
use crate::message::RequestHead;

/// An exchange whose request head was just read.
pub(super) fn arrive(gate: &Gate<ScriptedDial>, peer: Peer, head: RequestHead) -> Exchange {
    let host = head.headers.get("host").cloned();
    let body = receive::declared_body(&head);
    begin(gate, Arrival { peer, head, body, host, worker: 0 })
}
