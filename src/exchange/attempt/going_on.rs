//! An answer that goes on at another upstream after the first one died: what the next attempts need to know, and what
//! they are asked.

use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::Committed;
use super::progress::{Progress, Try};
use super::translate::{self, Hearing};
use crate::clock::Clock;
use crate::dialect::chat::Chat;
use crate::dialect::continuation::{self, CutTool, Handing};
use crate::dialect::failure::Failure;
use crate::dialect::habits::Habits;
use crate::dialect::interpreter::Interpreter;
use crate::dialect::interpreter::resume::Remains;
use crate::dialect::keep::Keep;
use crate::dialect::loss::Losses;
use crate::dialect::servers::Server;
use crate::dialect::transcript::Said;
use crate::dialect::way::Way;
use crate::dialect::{Dialect, count};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exchange::decision::PlannedAttempt;
use crate::exchange::wire::{Client, Dial};
use crate::gate::Gate;
use crate::message::{Body, Request};
use crate::policy::Hook;
use crate::tape::connection::TapedConnection;
use crate::upstream::{ContinueBy, Endpoint, Upstream};

/// How often one answer may go on elsewhere.
pub const MOST: u32 = 3;

/// What an exchange keeps so that its answer may go on elsewhere.
pub struct GoingOn {
    /// What becomes of a tool call that was cut.
    pub(super) rule: CutTool,
    /// The plan as far as it was worked through, and the attempt whose answer the client hears; taken while others are
    /// made.
    pub(super) progress: Option<(Progress, Try)>,
    /// What is left of the stream that stopped, until another goes on with it.
    remains: Option<Remains>,
    /// What was said when it stopped, until an attempt that goes on with it is committed to.
    said: Option<Said>,
    /// How often the answer went on.
    continued: u32,
    /// Bytes of what was said that count as held in memory.
    weighed: usize,
}

// === impl Exchange ===

impl Exchange {
    /// How often its answer went on elsewhere.
    pub fn continued(&self) -> u32 {
        self.going_on.as_ref().map_or(0, |going_on| going_on.continued)
    }

    /// Whether the client hears an answer that stopped, so that the next attempt must go on with it.
    pub(super) fn goes_on(&self) -> bool {
        self.said().is_some()
    }

    /// Whether it still waits for an attempt to go on with what stopped.
    pub fn awaits_an_answer(&self) -> bool {
        self.going_on.as_ref().is_some_and(|going_on| going_on.remains.is_some())
    }

    /// What the client heard of an answer that stopped.
    pub(super) fn said(&self) -> Option<Said> {
        self.going_on.as_ref().and_then(|going_on| going_on.said)
    }

    /// Keeps what is needed to go on elsewhere, if the plan wants that of this attempt's answer, or wanted it of the one
    /// that this goes on with.
    pub(super) fn may_go_on(&mut self, progress: Progress, made: Try) {
        match (&mut self.going_on, made.planned.continue_cut) {
            (Some(going_on), _) => {
                going_on.progress = Some((progress, made));
                going_on.said = None;
            }
            (place @ None, Some(rule)) if self.generation.policies.has(Hook::Failover) => {
                let progress = Some((progress, made));
                let new = GoingOn { rule, progress, remains: None, said: None, continued: 0, weighed: 0 };
                *place = Some(Box::new(new));
            }
            (None, _) => {}
        }
    }
}

// === impl GoingOn ===

impl GoingOn {
    /// Whether the answer may go on once more.
    pub fn may_again(&self) -> bool {
        self.continued < MOST
    }

    /// How many more bytes of what was said are held now.
    pub fn grown(&mut self, size: usize) -> usize {
        let grown = size.saturating_sub(self.weighed);
        self.weighed += grown;
        grown
    }
}

/// Takes what is left of a stream that stopped, if another upstream may go on with it.
pub fn stopped(x: &mut Exchange, mut interpreter: Box<Interpreter>) -> Result<(), Box<Interpreter>> {
    let Some((chat, asked)) = asked(x) else { return Err(interpreter) };
    let said = interpreter.said();
    let Some(going_on) = x.going_on.as_mut().filter(|going_on| going_on.may_again()) else { return Err(interpreter) };
    let rule = going_on.rule;
    if interpreter.sent().is_none_or(|sent| continuation::may_go_on(&chat, &sent, rule).is_err()) {
        return Err(interpreter);
    }
    going_on.remains = interpreter.take_remains(asked);
    going_on.said = going_on.remains.as_ref().map(|_| said);
    if going_on.said.is_some() { Ok(()) } else { Err(interpreter) }
}

/// The client's chat, and about how many tokens it asks.
fn asked(x: &Exchange) -> Option<(Chat, u64)> {
    let body = x.request.lock().body.bytes()?;
    let chat = Interpreter::read(x.dialect?, &x.target, &body).ok()?;
    let tokens = count::estimate(&chat);
    Some((chat, tokens))
}

/// Stands beside a stream that passes in its own dialect, so that it may go on elsewhere.
pub fn beside(x: &Exchange) -> Option<Interpreter> {
    let (chat, _) = asked(x)?;
    // The start of the stream says when it was; nothing here needs another time.
    Interpreter::verbatim(x.dialect?, &x.target, chat.without_turns(), &x.id, 0)
}

/// Makes the attempts that are to go on with an answer that stopped, if `failover` wants that. The response is one that
/// goes on only if the exchange then no longer waits for one.
pub async fn go_on<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
) -> Result<Committed<TapedConnection<D::Connection>>, Error> {
    let stopped = || Error::gate("nothing goes on with an answer that stopped");
    let progress = x.going_on.as_mut().and_then(|going_on| going_on.progress.take());
    let (mut progress, made) = progress.ok_or_else(stopped)?;
    let outcome = super::outcome(x, &progress, &made, None).ok_or_else(stopped)?;
    let answer = x.run.failover(&outcome).ok().flatten().filter(|answer| answer.retry);
    let waited = progress.turn(x, &made, answer.ok_or_else(stopped)?);
    progress.made(made);
    super::wait(client, x, waited).await?;
    super::work(gate, client, x, progress, waited).await
}

/// In which dialect an upstream is asked to go on.
pub(super) fn way(x: &Exchange, upstream: &Upstream) -> Option<Way> {
    let client = x.dialect.filter(|_| x.goes_on())?;
    Some(Way::Chat(match upstream.server {
        None => client,
        // Generate has a prompt and no turns.
        Some(server) if server.speaks(client) && client != Dialect::OllamaGenerate => client,
        Some(server) => server.chat,
    }))
}

/// Puts the request and what was said so far into the upstream's dialect.
pub(super) fn ask(
    x: &mut Exchange,
    keep: &Keep,
    clock: &Clock,
    planned: &PlannedAttempt,
    upstream: &Upstream,
    endpoint: &Endpoint,
    request: &mut Request,
) -> Result<Option<Hearing>, Error> {
    let (Some(client), Some(Way::Chat(to))) = (x.dialect, way(x, upstream)) else { return Ok(None) };
    let body = request.body.bytes().unwrap_or_default();
    let mut chat = Interpreter::read(client, &x.target, &body).map_err(|error| translate::malformed(&error))?;
    let asked = chat.without_turns();
    translate::prepare_chat(x, keep, to, planned, &mut chat);
    let handing = handing(upstream, endpoint, to, &chat);
    let created = x.tape.wall(clock).duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let created = i64::try_from(created).unwrap_or_default();
    let habits = upstream.server.map_or(Habits::OPENAI, |server| server.habits);
    let name = format!("{} {}", x.id, x.continued() + 1);
    let made = Interpreter::new(client, to, &x.target, habits, asked, &name, created);
    let mut interpreter = made.ok_or_else(|| Error::gate("there is no codec for this pair of dialects"))?;
    let remains = x.going_on.as_ref().and_then(|going_on| going_on.remains.as_ref());
    let remains = remains.ok_or_else(|| Error::gate("another attempt goes on with the answer"))?;
    let mut losses = Losses::default();
    let seam = continuation::go_on(&mut chat, &remains.transcript, handing, &mut losses);
    let mut outgoing = interpreter.request(&chat);
    interpreter.told.losses.extend(losses);
    continuation::mark(&mut outgoing, handing);
    translate::refuse_losses(upstream, &interpreter.told)?;
    interpreter.join_with(seam);
    let hearing = Hearing::Chat(Box::new(interpreter));
    let Some(server) = upstream.server else {
        // Nothing is known of it but that it takes this request.
        request.body = Body::Whole(outgoing.bytes());
        return Ok(Some(hearing));
    };
    let model = planned.model.as_deref().unwrap_or_default();
    translate::send_to(request, server, endpoint, Some(outgoing), model, &hearing)?;
    super::headers::translate(&mut request.head, server, endpoint, &x.target);
    Ok(Some(hearing))
}

/// How an upstream is handed what was said: as its settings say, or as is known of its kind.
fn handing(upstream: &Upstream, endpoint: &Endpoint, to: Dialect, chat: &Chat) -> Handing {
    let thinks = continuation::thinks(chat);
    let known = |server: &Server| server.handing(to, &chat.model, &endpoint.prefix, thinks);
    match (upstream.continue_by, upstream.server.map_or(Handing::Request, known)) {
        _ if to == Dialect::OpenAiCompletions => Handing::Prompt,
        (ContinueBy::Request, _) => Handing::Request,
        (ContinueBy::Turn, Handing::Request) => Handing::LastTurn,
        (ContinueBy::Known | ContinueBy::Turn, known) => known,
    }
}

/// Joins an answer that streams to the one before it.
pub(super) fn join(x: &mut Exchange, interpreter: &mut Interpreter) {
    let Some(going_on) = x.going_on.as_mut() else { return };
    if let Some(remains) = going_on.remains.take() {
        interpreter.resume(remains);
        going_on.continued += 1;
    }
}

/// The last words of a stream that nobody goes on with, in the client's dialect. Empty where the client hears an
/// upstream's own bytes.
pub fn give_up(x: &mut Exchange, error: &Error) -> Bytes {
    let Some(remains) = x.going_on.as_mut().and_then(|going_on| going_on.remains.take()) else { return Bytes::new() };
    let (last, told) = remains.fail(Failure::from(error));
    // Of bytes that pass untouched the meter knows more.
    x.translated = told.map(|told| translate::translated(x, told));
    last
}
