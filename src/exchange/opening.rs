//! The time in which a client waits for its answer. It is watched for leaving and, where the settings ask for it, hears
//! signs of life in its dialect: the first one opens its stream, and what fails from there on is told within it. They go on
//! when an answer stops and another upstream is to go on with it.

mod fit;

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

pub(super) use fit::{fit, fits};

use super::attempt::desk::{self, Desk};
use super::heads::{self, Framing};
use super::relay::{self, events::Events};
use super::wire::Client;
use super::{AttemptRecord, End, Exchange, receive};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::json::{self, Item};
use crate::message::{Body, HeadError, Request, ResponseHead};
use crate::stream::Wire;

/// A sign of life for Anthropic's clients: their streams may hold any number of it ("Streaming messages").
const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// The name of signs of life on tapes.
const SIGNS: &str = "signs of life";

/// How far a client's stream was opened before there was an answer.
#[derive(Debug, Default)]
pub struct Opening {
    /// What the client is told while it waits for something in particular, such as its place in a queue. Only those who
    /// read comments are told.
    pub about: Option<String>,
    /// How it is kept waiting, once that is known.
    manner: Option<Manner>,
    stage: Stage,
    /// Signs of life sent.
    sent: u32,
    /// How many of them are on the tape.
    noted: u32,
    /// What was told with those that told something, by their number; none where a tape does not say.
    told: Option<Vec<(u32, String)>>,
    /// How often the answer stopped.
    stops: u32,
    /// When the next one is due.
    next: Option<Instant>,
    /// What `on_response` changed of a head that the client had already: `status`, and names of headers.
    pub unsent: Vec<String>,
}

/// How a client is kept waiting.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// In silence.
    Silent,
    /// With signs of life.
    Signs {
        sign: Sign,
        every: Duration,
        /// How many there were until now when this exchange was recorded.
        recorded: Option<u32>,
    },
}

/// What a client takes for a sign of life.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// Anthropic's event.
    Ping,
    /// A comment of server-sent events (WHATWG HTML §9.2.6: a line that begins with a colon is ignored).
    Comment,
}

/// What the client has of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing.
    #[default]
    Closed,
    /// A head and signs of life.
    Open,
    /// What an answer, or a failure, is making of it.
    Taken,
    /// A part of an answer, with which another upstream is to go on.
    Stopped,
}

/// Waits for a step, but not for a client that has left; the client hears signs of life meanwhile if it is to.
pub(super) async fn meanwhile<C: Client, F: Future>(
    client: &mut C,
    x: &mut Exchange,
    step: F,
) -> Result<F::Output, Error> {
    attend(client, x, &Desk::default(), pin!(step)).await
}

/// The same for attempts, which may need the exchange on their way: what they leave on the desk is seen to at once.
pub(super) async fn attend<C: Client, F: Future>(
    client: &mut C,
    x: &mut Exchange,
    desk: &Desk,
    mut step: Pin<&mut F>,
) -> Result<F::Output, Error> {
    loop {
        let watch = client.body_done();
        let at = due(x);
        let word = tokio::select! {
            biased;
            word = desk.next() => Some(word),
            output = &mut step => {
                while let Some(word) = desk.left() {
                    desk::heed(client, x, word).await?;
                }
                return Ok(output);
            }
            () = client.gone(), if watch => return Err(receive::gone()),
            () = until(at), if at.is_some() => None,
        };
        match word {
            Some(word) => desk::heed(client, x, word).await?,
            None => Box::pin(sign(client, x)).await?,
        }
    }
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await; // paced: the next sign of life
    }
}

/// When the client is to hear a sign of life, if ever.
fn due(x: &mut Exchange) -> Option<Instant> {
    let every = x.generation.settings.limits.ping?;
    if x.opening.stage == Stage::Taken {
        return None;
    }
    if x.opening.manner.is_none() && !matches!(x.request.lock().body, Body::Unread) {
        x.opening.manner = Some(manner(x, every));
        x.opening.next = Some(x.started + every);
    }
    match x.opening.manner {
        Some(Manner::Signs { recorded, .. }) if recorded.is_none_or(|most| x.opening.sent < most) => x.opening.next,
        _ => None,
    }
}

/// How this client is kept waiting: it must have asked for a stream, in a dialect in which a sign of life is known.
fn manner(x: &mut Exchange, every: Duration) -> Manner {
    if x.plan.as_ref().is_some_and(|plan| plan.attempts.iter().any(|attempt| attempt.silent)) {
        return Manner::Silent;
    }
    let Some(sign) = x.dialect.and_then(|dialect| sign_of(x, dialect)) else { return Manner::Silent };
    let json = x.generation.settings.limits.json();
    if !asks_for_stream(&mut x.request.lock(), json) {
        return Manner::Silent;
    }
    Manner::Signs { sign, every, recorded: recorded(x) }
}

fn sign_of(x: &Exchange, dialect: Dialect) -> Option<Sign> {
    match dialect {
        Dialect::Anthropic => Some(Sign::Ping),
        Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses => {
            let request = x.request.lock();
            let agent = request.head.headers.get("user-agent")?.as_bytes();
            let begins = |known: &String| {
                agent.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known.as_bytes()))
            };
            x.generation.settings.limits.ping_comments.iter().any(begins).then_some(Sign::Comment)
        }
        // Ollama's lines have no place for one, and of Gemini's clients nothing is known.
        _ => None,
    }
}

/// How many signs of life there are to be until the answer goes on, if this exchange is one that was recorded.
fn recorded(x: &mut Exchange) -> Option<u32> {
    let told = x.tape.told(|| tape_key(&x.opening));
    if told.is_some() {
        x.opening.told = x.tape.told(|| about_key(&x.opening));
    }
    told.or_else(|| x.tape.is_bound().then_some(0)).map(|more: u32| x.opening.sent + more)
}

/// Whether a request's JSON says `"stream": true`.
pub(super) fn asks_for_stream(request: &mut Request, limits: json::Limits) -> bool {
    if request.body.bytes().is_none_or(|bytes| bytes.is_empty()) {
        return false;
    }
    let Ok(doc) = request.body.json(limits) else {
        return false;
    };
    let Ok(Item::Object(root)) = doc.root() else {
        return false;
    };
    matches!(doc.get(root, "stream"), Ok(Some(Item::Bool(true))))
}

/// Sends a sign of life, into a stream that begins with the first.
async fn sign<C: Client>(client: &mut C, x: &mut Exchange) -> Result<(), Error> {
    let Some(Manner::Signs { sign, every, .. }) = x.opening.manner else { return Ok(()) };
    if x.opening.stage == Stage::Closed {
        open(client, x).await?;
    }
    let bytes = match sign {
        Sign::Ping => Bytes::from_static(PING),
        // Without an empty line: some clients take one for the end of an event (openai-python up to 2.37).
        Sign::Comment => match x.opening.telling() {
            Some(about) => Bytes::from(format!(": {}\n", about.replace(['\r', '\n'], " "))),
            None => Bytes::from_static(b": waiting\n"),
        },
    };
    x.opening.sent += 1;
    x.opening.next = Some(Instant::now() + every);
    x.sent.bytes += bytes.len() as u64;
    client.send_body(bytes).await
}

/// Begins the client's stream before there is an answer.
async fn open<C: Client>(client: &mut C, x: &mut Exchange) -> Result<(), Error> {
    let bad = |error: HeadError| Error::gate("the head of a stream cannot be sent").with_detail(error.to_string());
    let mut head = ResponseHead::build(StatusCode::OK, Some(6)).map_err(bad)?;
    for (name, value) in
        [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
    {
        head.insert_header(name, value).map_err(bad)?;
    }
    heads::frame_response(&mut head, Framing::Open);
    x.opening.stage = Stage::Open;
    x.sent.status = Some(StatusCode::OK.as_u16());
    x.sent.head_after = Some(x.elapsed());
    client.send_head(relay::marked_early(x, head), false).await
}

/// Reads a request whose client may hear signs of life: it says whether a stream is asked for.
pub(super) async fn ready<C: Client>(client: &mut C, x: &mut Exchange) -> Result<(), Error> {
    let limits = &x.generation.settings.limits;
    if limits.ping.is_none() || x.dialect.is_none() {
        return Ok(());
    }
    let declared = heads::content_length(&x.request.lock().head.headers);
    if declared.is_some_and(|length| length <= limits.body as u64) {
        receive::buffer(client, &x.request, limits, &mut x.intake).await?;
    }
    Ok(())
}

/// Sends the head, unless the client's stream was opened before. Tells whether that was all.
pub(super) async fn begin<C: Client>(
    client: &mut C,
    x: &mut Exchange,
    head: ResponseHead,
    end: bool,
) -> Result<bool, Error> {
    if take(client, x).await? {
        return Ok(false);
    }
    x.sent.status = Some(head.status.as_u16());
    let sent = client.send_head(relay::marked(x, head), end).await;
    if client.has_left() {
        x.sent.status = None;
    } else {
        x.sent.head_after = Some(x.elapsed());
    }
    sent.map(|()| end)
}

/// Hands the client's stream over to an answer whose head is about to be sent. Tells whether it was opened, so that the
/// head must not be sent again.
async fn take<C: Client>(client: &mut C, x: &mut Exchange) -> Result<bool, Error> {
    catch_up(client, x).await?;
    Ok(std::mem::replace(&mut x.opening.stage, Stage::Taken) == Stage::Open)
}

/// Sends the signs of life that there were when this was recorded: played again, the wait may be a little shorter.
async fn catch_up<C: Client>(client: &mut C, x: &mut Exchange) -> Result<(), Error> {
    if let Some(Manner::Signs { recorded: Some(most), .. }) = x.opening.manner {
        while x.opening.sent < most {
            Box::pin(sign(client, x)).await?;
        }
    }
    Ok(())
}

/// The answer stopped between two events: the client hears signs of life until another upstream goes on with it.
pub(super) fn stop(x: &mut Exchange) {
    note(x);
    let Some(Manner::Signs { sign, every, .. }) = x.opening.manner else { return };
    x.opening.stops += 1;
    x.opening.manner = Some(Manner::Signs { sign, every, recorded: recorded(x) });
    x.opening.next = Some(Instant::now() + every);
    x.opening.stage = Stage::Stopped;
}

/// The answer goes on, or nobody goes on with it.
pub(super) async fn go_on<C: Client>(client: &mut C, x: &mut Exchange) -> Result<(), Error> {
    if x.opening.stage != Stage::Stopped {
        return Ok(());
    }
    let caught_up = catch_up(client, x).await;
    x.opening.stage = Stage::Taken;
    caught_up
}

/// Tells a failure within a stream that was opened before there was an answer.
pub(super) async fn fail<C: Client>(client: &mut C, x: &mut Exchange, error: &Error) -> End {
    if last_words(client, x, error).await.is_ok() {
        return End::Answered;
    }
    client.break_off().await;
    End::Broken
}

async fn last_words<C: Client>(client: &mut C, x: &mut Exchange, error: &Error) -> Result<(), Error> {
    take(client, x).await?;
    for piece in Events::new(Wire::Sse, x).fail(x, error) {
        x.sent.bytes += piece.len() as u64;
        client.send_body(piece).await?;
    }
    client.end_body(None).await
}

/// Notes for who plays the exchange again how many signs of life there were since the answer began or stopped.
pub(super) fn note(x: &mut Exchange) {
    let new = x.opening.sent - x.opening.noted;
    if new > 0 {
        x.tape.note(|| tape_key(&x.opening), &new);
        // Where nothing was waited for in particular, nothing could be told.
        let stood = |attempt: &AttemptRecord| attempt.queued.is_some_and(|queued| queued.position > 0);
        let told = x.opening.told.take().or_else(|| x.attempts.iter().any(stood).then(Vec::new));
        if let Some(told) = told {
            x.tape.note(|| about_key(&x.opening), &told);
        }
        x.opening.noted = x.opening.sent;
    }
}

/// What was told with them.
fn about_key(opening: &Opening) -> String {
    format!("{} told", tape_key(opening))
}

fn tape_key(opening: &Opening) -> String {
    match opening.stops {
        0 => SIGNS.to_owned(),
        stops => format!("{SIGNS} {stops}"),
    }
}

// === impl Opening ===

impl Opening {
    /// What the next sign of life tells: now, or when this was recorded.
    fn telling(&mut self) -> Option<String> {
        let number = self.sent;
        if let Some(Manner::Signs { recorded: Some(_), .. }) = self.manner {
            let Some(told) = &self.told else { return self.about.clone() };
            return told.iter().find(|(of, _)| *of == number).map(|(_, about)| about.clone());
        }
        let about = self.about.clone()?;
        self.told.get_or_insert_default().push((number, about.clone()));
        Some(about)
    }

    /// Whether the client's stream was opened and nobody has taken it over yet.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Signs of life that the client was sent.
    pub fn signs(&self) -> u32 {
        self.sent
    }
}
