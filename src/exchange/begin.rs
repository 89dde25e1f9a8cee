//! Begins an exchange with a request head that was read: live, or from a case.

use std::mem;
use std::sync::Arc;

use http::HeaderValue;
use tokio::time::Instant;

use super::affinity::Bond;
use super::attempt::held::Held;
use super::decision::Identity;
use super::opening::Opening;
use super::wire::Dial;
use super::{CacheState, Exchange, Intake, Peer, Sent, forwarding, heads, receive};
use crate::dialect::Dialect;
use crate::gate::Gate;
use crate::generation::Generation;
use crate::message::{Body, Owned, Request, RequestHead, Shared};
use crate::policy::Facts;
use crate::tape::{Arrived, Tape};

/// A request whose head has arrived.
pub struct Arrival {
    /// The connection it came on.
    pub peer: Peer,
    /// Its head, with a target of path and query.
    pub head: RequestHead,
    /// What is known of its body.
    pub body: Body,
    /// `Host` or `:authority`.
    pub host: Option<HeaderValue>,
    /// The number of the thread at work, which chooses the VM.
    pub worker: usize,
    /// What it is told when it is played again; a live one may be recorded.
    pub replay: Option<Replay>,
}

/// What an exchange that is played again is told from outside.
pub struct Replay {
    /// The id it had.
    pub id: Option<String>,
    /// The answers.
    pub tape: Tape,
}

/// An exchange on the generation that is live now.
pub fn begin<D: Dial>(gate: &Gate<D>, arrival: Arrival) -> Exchange {
    let Arrival { peer, mut head, body, host, worker, replay } = arrival;
    let generation = gate.live.load_full();
    let refused = matches!(body, Body::Failed(_));
    let (replayed_id, tape) = replay.map_or_else(|| (None, tape(gate, &generation, refused)), |it| (it.id, it.tape));
    tape.arrived(|| Arrived {
        at: gate.clock.wall(),
        elapsed: gate.clock.elapsed(),
        peer,
        head: head.clone(),
        host: host.clone(),
    });
    let upgrade = receive::wants_upgrade(&head, &peer);
    // Before any hook: a client must not be able to nominate away what policies set.
    heads::strip_request(&mut head);
    let client_ip = generation.forwarding.client_ip(peer.ip, &head);
    let offered = generation.forwarding.request_id.as_ref().and_then(|name| head.headers.get(name.as_str()));
    let id = replayed_id.unwrap_or_else(|| forwarding::request_id(offered, || gate.state.random.wide()));
    let dialect = Dialect::of_path(head.uri.path());
    let started = Instant::now();
    let deadline = generation.settings.limits.deadline.map(|total| started + total);
    let intake = Intake {
        expects_continue: matches!(body, Body::Unread) && receive::expects_continue(&head, &peer),
        share: gate.held.share(generation.settings.limits.buffered_total),
    };
    let method = head.method.clone();
    let target = String::from_utf8_lossy(head.raw_path()).into_owned();
    let request = Owned::new(Request { head, body });
    let facts = Facts {
        id: id.clone(),
        client_ip,
        tls: peer.tls,
        dialect,
        started,
        deadline,
        generation: generation.short_hash().to_owned(),
        request: Shared::clone(&request),
        tape: tape.clone(),
    };
    let run = generation.policies.begin(worker, facts);
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
        held: Held::default(),
        going_on: None,
        translated: None,
        meter: None,
        used: None,
        sent: Sent::default(),
        bond: Bond::default(),
        admitted: None,
        opening: Opening::default(),
        intake,
        upgrade,
        tape,
    }
}

/// The tape of an exchange that nobody plays again.
fn tape<D: Dial>(gate: &Gate<D>, generation: &Generation, refused: bool) -> Tape {
    // What was refused before it was read is no request that anybody could play again.
    if generation.bundle.is_none() || refused {
        return Tape::default();
    }
    gate.tapes.tape(&generation.settings.record, gate.clock.elapsed(), gate.canary.is_running())
}

/// Puts an exchange of which nothing but the identity was decided onto another generation, as if it had begun there.
/// What was read of its body stays.
pub fn move_to(x: &mut Exchange, generation: Arc<Generation>) {
    // What the other generation was told is none of this one's.
    x.tape = x.tape.handed_over();
    let facts = Facts {
        id: x.id.clone(),
        client_ip: x.client_ip,
        tls: x.peer.tls,
        dialect: x.dialect,
        started: x.started,
        deadline: x.deadline,
        generation: generation.short_hash().to_owned(),
        request: Shared::clone(&x.request),
        tape: x.tape.clone(),
    };
    let run = generation.policies.begin(x.run.worker(), facts);
    let left = mem::replace(&mut x.run, run);
    if left.has_work_left() {
        tokio::spawn(left.run_after());
    }
    x.identity = Identity::default();
    x.generation = generation;
}
