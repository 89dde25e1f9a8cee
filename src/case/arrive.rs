//! Begins an exchange as `edge` does, from a scripted head in place of one off the wire.

use tokio::time::Instant;

use super::script::ScriptedDial;
use crate::dialect::Dialect;
use crate::exchange::decision::Identity;
use crate::exchange::{CacheState, Exchange, Intake, Peer, Sent, forwarding, receive};
use crate::gate::Gate;
use crate::message::{RequestHead, Shared};
use crate::policy::Facts;

/// An exchange whose request head was just read.
pub(super) fn begin(gate: &Gate<ScriptedDial>, peer: Peer, head: RequestHead) -> Exchange {
    let generation = gate.live.load_full();
    let host = head.headers.get("host").cloned();
    let client_ip = generation.forwarding.client_ip(peer.ip, &head);
    let offered = generation.forwarding.request_id.as_ref().and_then(|name| head.headers.get(name.as_str()));
    let id = forwarding::request_id(offered, || gate.state.random.wide());
    let dialect = Dialect::of_path(head.uri.path());
    let started = Instant::now();
    let deadline = generation.settings.limits.deadline.map(|total| started + total);
    let intake = Intake {
        expects_continue: receive::expects_continue(&head, &peer),
        share: gate.held.share(generation.settings.limits.buffered_total),
    };
    let method = head.method.clone();
    let target = String::from_utf8_lossy(head.raw_path()).into_owned();
    let request = Shared::new(receive::request(head));
    let facts = Facts {
        id: id.clone(),
        client_ip,
        tls: peer.tls,
        dialect: dialect.map(Dialect::as_str),
        started,
        deadline,
        generation: generation.short_hash().to_owned(),
        request: request.clone(),
    };
    let run = generation.policies.begin(0, facts);
    Exchange {
        id,
        started,
        deadline,
        generation,
        peer,
        client_ip,
        method,
        target,
        host,
        dialect,
        request,
        run,
        identity: Identity::default(),
        plan: None,
        cache: CacheState::default(),
        attempts: Vec::new(),
        sent: Sent::default(),
        intake,
    }
}
