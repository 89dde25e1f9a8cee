//! Holds an answer back until it is known to be one, so that what fails at once can still fail over: the client has heard
//! nothing of it.

use http::Method;
use tokio::time::Instant;

use super::Committed;
use super::desk::Desk;
use super::patience::Patience;
use super::progress::Try;
use crate::dialect::way::Way;
use crate::dialect::{Dialect, view};
use crate::error::{Error, Kind};
use crate::exchange::decision::Commit;
use crate::exchange::source::Source;
use crate::exchange::wire::Connection;
use crate::exchange::{Exchange, heads};
use crate::gate::memory::Share;
use crate::message::ResponseHead;
use crate::policy::{HeldFacts, Hook};
use crate::stream::{self, Event, Splitter, Wire};
use crate::upstream::hold::{Hold, Until};

mod whole;

/// How the answer of one attempt is held back.
pub(super) struct Holding {
    rule: Hold,
    /// What the answer is written in, when the gate knows its events: there they are JSON, and an end has a form.
    dialect: Option<Dialect>,
    /// Whether an answer in JSON streams as an array.
    array: bool,
    method: Method,
    /// Largest event.
    event: usize,
    /// What `commit` is told of the attempt, when there is such a hook.
    asked: Option<Box<HeldFacts>>,
    /// What is held counts here.
    share: Share,
}

/// What becomes of an attempt after an event.
enum Turn {
    /// It is held on.
    Hold,
    /// It goes out.
    Go,
    /// It failed, and has nothing that could be sent.
    Failed(Error),
    /// Its stream says itself that it failed.
    Refused(Error),
}

/// A stream while it is held.
struct Stream<'a> {
    holding: &'a Holding,
    splitter: Splitter,
    /// When it first said something that counts.
    spoken: Option<Instant>,
    /// Whether nothing but white space has come.
    blank: bool,
    /// Events that had data.
    events: u32,
    desk: &'a Desk,
    sent: Instant,
}

// === impl Holding ===

impl Holding {
    /// How an attempt's answer is held back: only where something can become of one that fails.
    pub(super) fn of(x: &Exchange, next: &Try, way: Way, number: u32, again: bool) -> Option<Self> {
        let hooked = x.generation.policies.has(Hook::Commit);
        if !again && !hooked {
            return None;
        }
        let dialect = if way == Way::Untouched { x.dialect } else { way.dialect() };
        let streams_array = x.target.contains(":streamGenerateContent") && !x.target.contains("alt=sse");
        Some(Self {
            rule: rule(next),
            dialect,
            array: dialect == Some(Dialect::Gemini) && way == Way::Untouched && streams_array,
            method: x.method.clone(),
            event: x.generation.settings.limits.event,
            asked: hooked.then(|| Box::new(facts(next, number))),
            share: x.intake.share.apart(),
        })
    }

    /// Reads an answer as far as it is held. An error event is noted in the response: the attempt failed, but should no
    /// other be made, the stream is passed on as it came. Any other failure leaves nothing that could be sent.
    pub(super) async fn hold<N: Connection>(
        mut self,
        response: &mut Committed<N>,
        translated: bool,
        patience: &Patience,
        desk: &Desk,
    ) -> Result<(), Error> {
        let head = &response.head;
        if head.status != 200 || coded(head) || !heads::has_body(&self.method, head.status) {
            return Ok(());
        }
        match self.wire(head) {
            Some(wire) => self.stream(response, wire, patience, desk).await?,
            // What is translated is read to its end anyway.
            None if self.dialect.is_some() && !translated => self.whole(response, patience).await?,
            None => return Ok(()),
        }
        if let Source::Live { held, .. } = &mut response.source {
            *held = Some(self.share);
        }
        Ok(())
    }

    /// How the events of an answer stand, if it streams.
    fn wire(&self, head: &ResponseHead) -> Option<Wire> {
        let kind = head.headers.get("content-type")?.to_str().ok()?;
        Wire::of(kind).or_else(|| (self.array && is_json(kind)).then_some(Wire::JsonArray))
    }

    /// Whether the events of the answer are known to be JSON and to end in a form of their own.
    fn strict(&self) -> bool {
        self.dialect.is_some_and(view::speaks)
    }

    async fn stream<N: Connection>(
        &mut self,
        response: &mut Committed<N>,
        wire: Wire,
        patience: &Patience,
        desk: &Desk,
    ) -> Result<(), Error> {
        let mut share = self.share.apart();
        let splitter = Splitter::new(wire, self.event);
        let sent = patience.sent();
        let mut stream = Stream { holding: self, splitter, spoken: None, blank: true, events: 0, desk, sent };
        let mut bytes = 0;
        let turn = loop {
            if bytes >= stream.holding.rule.bytes {
                break Turn::Go;
            }
            let bound = stream.spoken.map(|spoken| spoken + stream.holding.rule.time);
            let until = bound.map_or_else(|| patience.first(), |bound| bound.min(patience.piece()));
            // A head that came later than its first event may: what stands behind it is too late however it was cut.
            let late = bound.is_none() && until <= Instant::now();
            let piece = match tokio::time::timeout_at(until, piece(response)).await {
                Ok(piece) if !late => piece?,
                Err(_) if bound.is_some_and(|bound| bound <= until) => break Turn::Go,
                _ => break Turn::Failed(silent(stream.spoken.is_some())),
            };
            let Some(piece) = piece else { break stream.end().await };
            bytes += piece.len();
            let full = share.grow(piece.len()).is_err();
            keep(response, piece.clone());
            match stream.push(piece).await {
                Turn::Hold if full => break Turn::Go,
                Turn::Hold => {}
                turn => break turn,
            }
        };
        self.share.join(share);
        match turn {
            Turn::Hold | Turn::Go => Ok(()),
            Turn::Failed(error) => Err(error),
            Turn::Refused(error) => {
                response.early_error = Some(error);
                Ok(())
            }
        }
    }
}

// === impl Stream ===

impl Stream<'_> {
    /// Takes the next piece, and looks at each event that it completes.
    async fn push(&mut self, piece: bytes::Bytes) -> Turn {
        if self.blank
            && let Some(first) = first_of(&piece)
        {
            self.blank = false;
            if self.holding.strict() && strange(self.splitter.wire(), first) {
                return Turn::Failed(garbage(&piece));
            }
        }
        self.splitter.push(piece);
        loop {
            match self.splitter.next() {
                Ok(Some(event)) => match self.event(event).await {
                    Turn::Hold => {}
                    turn => return turn,
                },
                Ok(None) => return Turn::Hold,
                // What does not fit is not understood: others may.
                Err(_) => return Turn::Go,
            }
        }
    }

    /// The stream ended while it was held.
    async fn end(&mut self) -> Turn {
        if let Some(rest) = self.splitter.finish()
            && let turn @ (Turn::Go | Turn::Failed(_) | Turn::Refused(_)) =
                self.event(Event::parse(self.splitter.wire(), rest)).await
        {
            return turn;
        }
        if self.holding.strict() {
            let message = "the upstream's stream ended before it had said anything";
            return Turn::Failed(Error::upstream(Kind::StreamError, message));
        }
        Turn::Go
    }

    async fn event(&mut self, event: Event) -> Turn {
        let sight = stream::look(&event);
        if sight.error {
            return Turn::Refused(failed("the upstream's stream began with an error", event.data()));
        }
        if !event.has_data() {
            return Turn::Hold;
        }
        if self.holding.strict() && !readable(event.data()) {
            return Turn::Failed(garbage(event.data()));
        }
        self.events += 1;
        if sight.content || sight.terminal {
            self.spoken.get_or_insert_with(Instant::now);
            self.desk.give_sign();
        }
        let enough = match self.holding.rule.until {
            Until::Event => sight.content || sight.terminal,
            Until::Text => sight.visible || sight.terminal,
        };
        match self.ask(event).await {
            Some(Commit::Go) => Turn::Go,
            Some(Commit::Fail) => {
                Turn::Failed(Error::upstream(Kind::StreamError, "a policy gave the upstream's stream up"))
            }
            Some(Commit::Wait) => {
                self.spoken.get_or_insert_with(Instant::now);
                Turn::Hold
            }
            None if enough => Turn::Go,
            None => Turn::Hold,
        }
    }

    /// Asks `commit`, if there is one.
    async fn ask(&self, event: Event) -> Option<Commit> {
        let mut facts = HeldFacts::clone(self.holding.asked.as_deref()?);
        facts.elapsed = self.sent.elapsed();
        facts.events = self.events;
        self.desk.ask(event, self.holding.dialect, facts).await
    }
}

/// Whether an answer is a stream, which may take as long as it comes.
pub(super) fn streams(head: &ResponseHead, holding: Option<&Holding>) -> bool {
    let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| Wire::of(kind).is_some()) || holding.is_some_and(|holding| holding.wire(head).is_some())
}

/// The settings' rule, where the plan does not say otherwise.
fn rule(next: &Try) -> Hold {
    let own = next.upstream.hold;
    let Some(said) = next.planned.hold.as_deref() else { return own };
    Hold {
        until: said.until.unwrap_or(own.until),
        time: said.time.unwrap_or(own.time),
        bytes: said.bytes.unwrap_or(own.bytes),
    }
}

fn facts(next: &Try, number: u32) -> HeldFacts {
    HeldFacts {
        upstream: next.upstream.name.clone(),
        endpoint: next.endpoint.name.clone(),
        model: next.planned.model.clone(),
        number,
        ..HeldFacts::default()
    }
}

/// The next piece straight from the connection.
async fn piece<N: Connection>(response: &mut Committed<N>) -> Result<Option<bytes::Bytes>, Error> {
    let Source::Live { connection: Some(connection), .. } = &mut response.source else {
        return Ok(None);
    };
    if connection.response_done() { Ok(None) } else { connection.read_body().await }
}

/// Puts a piece where the relay finds it.
fn keep<N: Connection>(response: &mut Committed<N>, piece: bytes::Bytes) {
    if let Source::Live { pending, .. } = &mut response.source {
        pending.push_back(piece);
    }
}

fn coded(head: &ResponseHead) -> bool {
    head.headers.get("content-encoding").is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json")
}

/// Whether an event's data can be read: JSON, or the words by which some streams end.
fn readable(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    data.is_empty() || data == b"[DONE]" || serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
}

/// The first byte that is no white space, nor part of a byte order mark.
fn first_of(piece: &[u8]) -> Option<u8> {
    piece.iter().copied().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf))
}

/// Whether the first byte of a stream shows that it is none: a page, or a document, under a stream's name.
fn strange(wire: Wire, first: u8) -> bool {
    match wire {
        Wire::Sse => matches!(first, b'<' | b'{' | b'['),
        Wire::Ndjson | Wire::JsonArray => first == b'<',
    }
}

fn silent(spoken: bool) -> Error {
    let what = if spoken { "the upstream stopped sending" } else { "the upstream's stream did not begin in time" };
    Error::upstream(Kind::Timeout, what)
}

/// An error in place of an answer.
fn failed(message: &str, data: &[u8]) -> Error {
    Error::upstream(Kind::StreamError, message).with_detail(shown(data))
}

/// Something that is no answer of the dialect.
fn garbage(data: &[u8]) -> Error {
    Error::upstream(Kind::Garbage, "the upstream's answer is not of its dialect").with_detail(shown(data))
}

fn shown(data: &[u8]) -> String {
    String::from_utf8_lossy(data.trim_ascii()).chars().take(300).collect()
}
