//! Prepares an upgrade: the head that the endpoint is sent, and the peer that the engine's own flow connects to.

use std::sync::Arc;

use pingora_core::upstreams::peer::HttpPeer;

use crate::error::{Error, Fault, Kind};
use crate::exchange::Exchange;
use crate::exchange::attempt::send;
use crate::message::{Body, Request, RequestHead, Shared};
use crate::policy::Hook;
use crate::upstream::Endpoint;
use crate::upstream::balance;
use crate::upstream::dial::Dialer;

/// The endpoint chosen for an exchange that asks to leave HTTP, and the head it is sent.
pub(super) async fn prepare(dial: &Dialer, x: &mut Exchange) -> Result<(Box<HttpPeer>, RequestHead), Error> {
    let planned = x.plan.as_ref().and_then(|plan| plan.attempts.first());
    let chosen = planned.and_then(|planned| {
        let upstream = x.generation.upstreams.get(&planned.upstream)?;
        let excluded = |endpoint: &Endpoint| planned.endpoint.as_ref().is_some_and(|wanted| *wanted != endpoint.name);
        let endpoint = balance::choose(&upstream.endpoints, excluded, fastrand::f64())?;
        Some((planned.clone(), Arc::clone(upstream), Arc::clone(endpoint)))
    });
    let Some((planned, upstream, endpoint)) = chosen else {
        return Err(Error::new(Fault::Gate, Kind::NoRoute, 502, "the plan holds no endpoint"));
    };
    let copy = Shared::new(Request { head: send::address(x, &endpoint)?, body: Body::Empty });
    if x.generation.policies.has(Hook::OnAttempt) {
        x.run.on_attempt(&copy, &planned, 1, &endpoint.name).await?;
    }
    let mut peer = dial.peer(&endpoint).await?;
    // The engine's own flow knows one time-out: for the head, and between pieces of what follows.
    peer.options.read_timeout = Some(upstream.timeouts.head.max(upstream.timeouts.idle));
    let head = copy.lock().head.clone();
    Ok((peer, head))
}
