//! Waits for a turn: before the gate when it serves as many exchanges as it may, before an endpoint that works on as many
//! requests as it can. A client that leaves leaves the line with it.

mod stay;

use std::time::Duration;

use super::wire::{Client, Dial};
use super::{Exchange, heads, opening, receive};
use crate::error::{Error, Kind};
use crate::gate::{Gate, preview};
use crate::message::Body;
use crate::policy::Hook;
use crate::settings::Priority;
use crate::upstream::queue::Place;
use crate::upstream::{Endpoint, Upstream};
use stay::{End, Stay, stand};

/// The name of the gate's own line on tapes.
const ADMISSION: &str = "admission";

/// The code of an error that tells of a line in which there was no room.
pub(super) const FULL: &str = "queue_full";

/// The code of an error that tells of a wait that took too long.
pub(super) const LATE: &str = "queue_timeout";

/// How an exchange waited in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// How long it was there.
    pub time: Duration,
    /// Where it stood when it came, from 1; 0 when it did not have to wait.
    pub position: u64,
}

/// Waits until an endpoint can take one more request, and tells how it waited and what place it has.
pub(super) async fn before_endpoint<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    upstream: &Upstream,
    endpoint: &Endpoint,
    class: Option<Priority>,
) -> (Option<Waited>, Result<Option<Place>, Error>) {
    let Some(rule) = &upstream.queue else { return (None, Ok(None)) };
    // A place is for work: it is not taken while the request is still on its way. And a client whose body is off the wire
    // can be seen to leave.
    if let Err(error) = take_in(client, x).await {
        return (None, Err(error));
    }
    let queue = gate.queues.of(upstream, endpoint, rule, say(gate, x));
    let stood = stand(x, &queue, name(upstream, endpoint), class.unwrap_or(rule.priority), rule.longest);
    x.opening.about = Some(format!("waiting in line, place {}", stood.position()));
    let over = opening::meanwhile(client, x, stood.over()).await;
    x.opening.about = None;
    let (stay, place) = match over {
        Ok(over) => over,
        Err(error) => return (None, Err(error)),
    };
    let served = match stay.end {
        End::Placed => Ok(place),
        End::Full => Err(stay.refused(FULL, "the upstream has no room for the request, and nobody more may wait")),
        End::Late | End::Left => Err(stay.refused(LATE, "the upstream had no room for the request in time")),
    };
    (Some(stay.waited()), served)
}

/// Takes a place before an endpoint without waiting for it; nothing when none is free.
pub(super) fn at_once<D: Dial>(
    gate: &Gate<D>,
    x: &Exchange,
    upstream: &Upstream,
    endpoint: &Endpoint,
) -> Option<(Option<Waited>, Option<Place>)> {
    let rule = upstream.queue.as_ref()?;
    let place = gate.queues.of(upstream, endpoint, rule, say(gate, x)).take();
    let end = if place.is_some() { End::Placed } else { End::Full };
    let stay: Stay = x.tape.ask(|| name(upstream, endpoint), || Stay::of(end));
    (stay.end == End::Placed).then(|| (Some(stay.waited()), place))
}

/// The names of the endpoints that would let a request wait; none where there is no choice or no line.
pub(super) fn crowded<D: Dial>(gate: &Gate<D>, x: &Exchange, upstream: &Upstream) -> Vec<String> {
    if upstream.queue.is_none() || upstream.endpoints.len() < 2 {
        return Vec::new();
    }
    let crowded = || {
        let full = upstream.endpoints.iter().filter(|endpoint| !gate.queues.has_room(upstream, endpoint));
        full.map(|endpoint| endpoint.name.clone()).collect()
    };
    x.tape.ask(|| format!("crowded {}", upstream.name), crowded)
}

/// Waits until the gate may serve one more exchange, when that is limited.
pub(super) async fn before_gate<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
) -> Result<Option<Place>, Error> {
    let limits = &x.generation.settings.limits;
    if limits.exchanges == 0 || is_exempt(x) {
        return Ok(None);
    }
    let queue = gate.admission.queue(limits, say(gate, x));
    let stood = stand(x, &queue, ADMISSION.to_owned(), Priority::Normal, limits.exchanges_wait);
    if stood.position() > 0 {
        take_in(client, x).await?;
    }
    // In silence: whether this client may ask at all is not known yet.
    let (stay, place) = unless_gone(client, stood.over()).await?;
    let reason = match stay.end {
        End::Placed => return Ok(place),
        End::Full => FULL,
        End::Late | End::Left => LATE,
    };
    gate.metrics.turned_away(reason);
    Err(stay.refused(reason, "the gate serves as many requests as it may"))
}

/// What say an exchange's generation has in the limits of a line: none, unless it is the one that serves everybody. A
/// preview or a canary waits in the line as it is.
fn say<D: Dial>(gate: &Gate<D>, x: &Exchange) -> u64 {
    let own = &x.generation;
    if preview::is_marked(own) || own.number != gate.live.load().number { 0 } else { own.number }
}

/// The name of the line before an endpoint, on tapes.
fn name(upstream: &Upstream, endpoint: &Endpoint) -> String {
    format!("queue {}/{}", upstream.name, endpoint.name)
}

/// Whether an exchange is for an endpoint that a policy serves itself, such as one for health.
fn is_exempt(x: &Exchange) -> bool {
    let policies = &x.generation.policies;
    let request = x.request.lock();
    let (method, path) = (request.head.method.as_str(), request.head.uri.path());
    policies.has(Hook::Endpoints) && policies.match_endpoint(method, path).is_some()
}

/// Reads the body of a request that may have to wait into memory, if it fits by what its head says of it.
async fn take_in<C: Client>(client: &mut C, x: &mut Exchange) -> Result<(), Error> {
    let declared = {
        let request = x.request.lock();
        if !matches!(request.body, Body::Unread) {
            return Ok(());
        }
        heads::content_length(&request.head.headers)
    };
    let limits = &x.generation.settings.limits;
    if declared.is_some_and(|length| length > limits.body as u64) {
        return Ok(());
    }
    Box::pin(receive::buffer(client, &x.request, limits, &mut x.intake)).await
}

/// Waits for a step, unless the client leaves.
async fn unless_gone<C: Client, F: Future>(client: &mut C, step: F) -> Result<F::Output, Error> {
    let watch = client.body_done();
    tokio::select! {
        biased;
        output = step => Ok(output),
        () = client.gone(), if watch => Err(receive::gone()),
    }
}

/// Whether an error tells of a line in which there was no turn, so that nothing was sent to anybody.
pub(super) fn is_turned_away(error: &Error) -> bool {
    error.kind() == Kind::Overloaded && matches!(error.code(), FULL | LATE)
}

// === impl Waited ===

impl Waited {
    /// As a header tells it: `waited=1.204s; position=3`.
    pub fn header(&self) -> String {
        format!("waited={:.3}s; position={}", self.time.as_secs_f64(), self.position)
    }
}
