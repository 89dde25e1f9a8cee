//! Waits for a turn: before the gate when it serves as many exchanges as it may, before an endpoint that works on as many
//! requests as it can. A client that leaves leaves the line with it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::wire::{Client, Dial};
use super::{Exchange, heads, receive};
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::message::Body;
use crate::settings::Priority;
use crate::tape::Tape;
use crate::upstream::queue::{Entry, Place, Queue, Turn};
use crate::upstream::{Endpoint, Upstream};

/// How much earlier than the exchange itself a wait ends, so that the client hears what it waited for.
const EARLIER: Duration = Duration::from_millis(5);

/// The name of the gate's own line on tapes.
const ADMISSION: &str = "admission";

/// The code of an error that tells of a line in which there was no room.
pub const FULL: &str = "queue_full";

/// The code of an error that tells of a wait that took too long.
pub const LATE: &str = "queue_timeout";

/// What an exchange went through in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// How long it was there.
    pub time: Duration,
    /// Where it stood when it came, from 1; 0 when it did not have to wait.
    pub position: u64,
}

/// What came of a stay in a line, as a tape keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stay {
    end: End,
    #[serde(default)]
    waited_ms: u64,
    #[serde(default)]
    position: u64,
    /// In whole seconds.
    #[serde(default)]
    retry_after: u64,
}

/// How a stay in a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// With a place.
    Placed,
    /// There was no room.
    Full,
    /// The time was over.
    Late,
    /// The client left, or the exchange was over.
    Left,
}

/// A stay that is not over yet. When it is dropped the client has left.
struct Staying<'a> {
    tape: &'a Tape,
    what: &'a str,
    position: u64,
    since: Instant,
    over: bool,
}

/// Waits until an endpoint can take one more request, and tells how that went and what it is served in.
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
    let queue = gate.queues.of(upstream, endpoint, rule, x.generation.number);
    let what = format!("queue {}/{}", upstream.name, endpoint.name);
    let stood = match x.tape.told(|| what.clone()) {
        Some(stay) => retold(client, stay).await.map(|stay| (stay, None)),
        None => {
            let entry = queue.enter(class.unwrap_or(rule.priority), over(x, rule.longest));
            stay(client, x, &queue, &what, entry).await
        }
    };
    let (stay, place) = match stood {
        Ok(stood) => stood,
        Err(error) => return (None, Err(error)),
    };
    let served = match stay.end {
        End::Placed => Ok(place),
        End::Full => Err(stay.refused(FULL, "the upstream works on as many requests as it can, and more wait than may")),
        End::Late | End::Left => Err(stay.refused(LATE, "the upstream had no room for the request in time")),
    };
    (Some(stay.waited()), served)
}

/// Waits until the gate may serve one more exchange, when that is limited.
pub(super) async fn before_gate<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
) -> Result<Option<Place>, Error> {
    if x.generation.settings.limits.exchanges == 0 || is_exempt(x) {
        return Ok(None);
    }
    let limits = &x.generation.settings.limits;
    let wait = limits.exchanges_wait;
    let queue = gate.admission.queue(limits, x.generation.number);
    let (stay, place) = match x.tape.told(|| ADMISSION.to_owned()) {
        Some(stay) => (retold(client, stay).await?, None),
        None => {
            let entry = queue.enter(Priority::Normal, over(x, wait));
            if matches!(entry, Entry::Waits(_)) {
                take_in(client, x).await?;
            }
            stay(client, x, &queue, ADMISSION, entry).await?
        }
    };
    let reason = match stay.end {
        End::Placed => return Ok(place),
        End::Full => FULL,
        End::Late | End::Left => LATE,
    };
    gate.metrics.turned_away(reason);
    Err(stay.refused(reason, "the gate serves as many requests as it may"))
}

/// Whether an exchange is for an endpoint that a policy serves itself, such as one for health.
fn is_exempt(x: &Exchange) -> bool {
    let request = x.request.lock();
    let (method, path) = (request.head.method.as_str(), request.head.uri.path());
    x.generation.policies.match_endpoint(method, path).is_some()
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

/// When a wait is over at the latest.
fn over(x: &Exchange, longest: Duration) -> Instant {
    let own = Instant::now() + longest;
    x.deadline.map_or(own, |deadline| own.min(deadline - EARLIER))
}

/// Stays in a line that was entered.
async fn stay<C: Client>(
    client: &mut C,
    x: &Exchange,
    queue: &Arc<Queue>,
    what: &str,
    entry: Entry,
) -> Result<(Stay, Option<Place>), Error> {
    let mut turn: Turn = match entry {
        Entry::Place(place) => {
            let stay = Stay::of(End::Placed);
            x.tape.note(|| what.to_owned(), &stay);
            return Ok((stay, Some(place)));
        }
        Entry::Full(again) => {
            let stay = Stay { retry_after: seconds(again), ..Stay::of(End::Full) };
            x.tape.note(|| what.to_owned(), &stay);
            return Ok((stay, None));
        }
        Entry::Waits(turn) => turn,
    };
    let position = turn.position() as u64;
    let mut staying = Staying { tape: &x.tape, what, position, since: Instant::now(), over: false };
    let place = unless_gone(client, turn.come()).await?;
    let (end, again) = match &place {
        Some(_) => (End::Placed, 0),
        None => (End::Late, seconds(queue.estimate())),
    };
    Ok((staying.end(end, again), place))
}

/// Goes through what another exchange went through in a line.
async fn retold<C: Client>(client: &mut C, stay: Stay) -> Result<Stay, Error> {
    let staying = async {
        if stay.end == End::Left {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(stay.waited_ms)).await; // paced: as long as it was told
    };
    unless_gone(client, staying).await?;
    Ok(stay)
}

/// Waits for a step, unless the client leaves.
pub(super) async fn unless_gone<C: Client, F: Future>(client: &mut C, step: F) -> Result<F::Output, Error> {
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

fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

// === impl Stay ===

impl Stay {
    fn of(end: End) -> Self {
        Self { end, waited_ms: 0, position: 0, retry_after: 0 }
    }

    fn waited(&self) -> Waited {
        Waited { time: Duration::from_millis(self.waited_ms), position: self.position }
    }

    /// What a client is told that had no turn.
    fn refused(&self, code: &'static str, message: &str) -> Error {
        Error::new(Fault::Gate, Kind::Overloaded, 503, message)
            .with_code(code)
            .with_retry_after(Duration::from_secs(self.retry_after.max(1)))
    }
}

// === impl Staying ===

impl Staying<'_> {
    /// Notes how it ended.
    fn end(&mut self, end: End, retry_after: u64) -> Stay {
        self.over = true;
        let waited_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let stay = Stay { end, waited_ms, position: self.position, retry_after };
        self.tape.note(|| self.what.to_owned(), &stay);
        stay
    }
}

impl Drop for Staying<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.end(End::Left, 0);
        }
    }
}

// === impl Waited ===

impl Waited {
    /// As a header tells it: `waited=1.2s; position=3`.
    pub fn header(&self) -> String {
        format!("waited={:.3}s; position={}", self.time.as_secs_f64(), self.position)
    }
}
