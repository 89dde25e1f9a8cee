//! Prepares an upgrade: the head that the endpoint is sent, and the peer that the engine's own flow connects to.

use pingora_core::upstreams::peer::HttpPeer;

use crate::exchange::attempt::send;
use crate::error::{Error, Fault, Kind};
use crate::exchange::Exchange;
use crate::message::RequestHead;
use crate::upstream::balance;
use crate::upstream::dial::Dialer;

/// The endpoint chosen for an exchange that asks to leave HTTP, and the head it is sent.
pub(super) async fn prepare(dial: &Dialer, x: &mut Exchange) -> Result<(Box<HttpPeer>, RequestHead), Error> {
    let planned = x.plan.as_ref().and_then(|plan| plan.attempts.first());
    let chosen = planned.and_then(|planned| {
        let upstream = x.generation.upstreams.get(&planned.upstream)?;
        balance::choose(&upstream.endpoints, |_| false, fastrand::f64())
    });
    let Some(endpoint) = chosen.cloned() else {
        return Err(Error::new(Fault::Gate, Kind::NoRoute, 502, "the plan holds no endpoint"));
    };
    let head = send::address(x, &endpoint)?;
    let peer = dial.peer(&endpoint).await?;
    Ok((peer, head))
}
