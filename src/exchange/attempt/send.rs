//! Makes one attempt: a request to one endpoint, and its response up to the commit point.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::desk::{self, Desk, is_interim};
use super::patience::Patience;
use super::prepare::Prepared;
use super::translate::{self, Hearing};
use super::upload::{Passing, Upload};
use super::{Committed, hear, hold, receive};
use crate::error::{Error, Kind};
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection, Dial};
use crate::exchange::{Exchange, heads, opening, storing};
use crate::message::ResponseHead;
use crate::tape::connection::{TapedConnection, connect};

/// How long a client that waits for leave to send is kept waiting for the upstream's word.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// A reused connection that ends so soon after a request was closed while it was idle; later the upstream may have
/// acted on it, and only what may be repeated is.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// How long an upstream that took a request badly is listened to for its answer.
const LAST_WORD: Duration = Duration::from_secs(1);

/// An answer that is there, and what it is heard by.
pub(super) struct Landed<N: Connection> {
    /// The answer, in the upstream's dialect.
    pub(super) response: Committed<N>,
    /// What puts it into the client's.
    hearing: Option<Hearing>,
}

// === impl Landed ===

impl<N: Connection> Landed<N> {
    /// Whether it is worth cancelling other attempts for.
    pub(super) fn is_good(&self) -> bool {
        self.response.served()
    }
}

/// The number of an attempt that has a desk to itself.
const ALONE: usize = 0;

/// Tries one endpoint. A response is an answer of any status; everything else is an error. `resent` tells whether the
/// request was sent a second time.
pub(super) async fn attempt<C: Client, D: Dial>(
    dial: &D,
    client: &mut C,
    x: &mut Exchange,
    prepared: Box<Prepared>,
    resent: &mut bool,
) -> Result<Committed<TapedConnection<D::Connection>>, Error> {
    let desk = Desk::default();
    let landed = if matches!(prepared.upload, Upload::Streaming(_)) {
        Box::pin(pass_on(dial, client, x, prepared, &desk)).await
    } else {
        opening::attend(client, x, &desk, pin!(fly(dial, prepared, &desk, ALONE))).await.flatten()
    };
    *resent = desk.was_resent(ALONE);
    land(client, x, landed?).await
}

/// Puts an answer that was chosen into the client's dialect.
pub(super) async fn land<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    mut landed: Landed<N>,
) -> Result<Committed<N>, Error> {
    storing::begin(x, &translate::spoken(landed.hearing.as_ref()), &mut landed.response);
    match landed.hearing {
        Some(hearing) => Box::pin(hear::hear(client, x, hearing, landed.response)).await,
        None => Ok(landed.response),
    }
}

/// Makes an attempt whose request is all in memory. It needs neither the client nor the exchange, so that others can be
/// made beside it, and leaves what it wants of them on the desk, by its `number` there.
pub(super) async fn fly<D: Dial>(
    dial: &D,
    mut prepared: Box<Prepared>,
    desk: &Desk,
    number: usize,
) -> Result<Landed<TapedConnection<D::Connection>>, Error> {
    let mut fresh = false;
    loop {
        let mut connection = dialled(dial, &mut prepared, fresh).await?;
        let began = Instant::now();
        let head = match ask(&mut connection, &mut prepared).await {
            Ok(Some(head)) => Ok(head),
            Ok(None) => final_head(&mut connection, &prepared.patience, desk).await,
            Err(error) => Err(error),
        };
        match head.and_then(heads::check_response) {
            Ok(head) => return answered(head, connection, prepared, desk).await,
            Err(error) => {
                let again = !fresh && closed_while_idle(&error, &connection, &prepared, began);
                connection.release(false).await;
                if !again {
                    return Err(error);
                }
                desk.resend(number);
                fresh = true;
            }
        }
    }
}

/// Makes an attempt whose request is still on the client's wire, at least in part.
async fn pass_on<C: Client, D: Dial>(
    dial: &D,
    client: &mut C,
    x: &mut Exchange,
    mut prepared: Box<Prepared>,
    desk: &Desk,
) -> Result<Landed<TapedConnection<D::Connection>>, Error> {
    let mut fresh = false;
    loop {
        let mut connection = opening::attend(client, x, desk, pin!(dialled(dial, &mut prepared, fresh))).await??;
        let began = Instant::now();
        let head = match upload(client, x, &mut connection, &mut prepared).await {
            Ok(Some(head)) => Ok(head),
            Ok(None) => {
                let heard = pin!(final_head(&mut connection, &prepared.patience, desk));
                opening::attend(client, x, desk, heard).await?
            }
            Err(error) => Err(error),
        };
        match head.and_then(heads::check_response) {
            Ok(head) => {
                let goes_on = prepared.upload.overtaken() && head.status.as_u16() < 400 && !x.intake.expects_continue;
                let answer = pin!(answered(head, connection, prepared, desk));
                let mut landed = opening::attend(client, x, desk, answer).await??;
                if goes_on {
                    landed.response.source.go_on_uploading();
                }
                return Ok(landed);
            }
            Err(error) => {
                let again = !fresh && closed_while_idle(&error, &connection, &prepared, began);
                connection.release(false).await;
                if !again {
                    return Err(error);
                }
                desk.resend(ALONE);
                fresh = true;
            }
        }
    }
}

async fn dialled<D: Dial>(
    dial: &D,
    prepared: &mut Prepared,
    fresh: bool,
) -> Result<TapedConnection<D::Connection>, Error> {
    let connecting = connect(dial, &prepared.tape, &prepared.upstream, &prepared.endpoint, fresh);
    prepared.patience.connect(connecting).await?
}

/// Whether a request met a kept connection that the endpoint had closed, and can be sent again.
fn closed_while_idle<N: Connection>(error: &Error, connection: &N, prepared: &Prepared, began: Instant) -> bool {
    let soon = began.elapsed() < STALE_WITHIN || prepared.idempotent;
    let stale = error.kind() == Kind::Reset && connection.untouched() && soon;
    stale && connection.reused() && prepared.upload.at_hand()
}

/// What is made of a final head: an answer, once enough of it was seen.
async fn answered<N: Connection>(
    head: ResponseHead,
    connection: N,
    prepared: Box<Prepared>,
    desk: &Desk,
) -> Result<Landed<N>, Error> {
    let mut prepared = *prepared;
    let patience = &prepared.patience;
    let streams = hold::streams(&head, prepared.holding.as_ref());
    if !streams && head.status.is_success() {
        desk.give_sign();
    }
    let source = Source::live(connection, patience.idle(), patience.rest(streams));
    let mut response = Committed::new(head, source, prepared.upstream, prepared.endpoint);
    response.asked = matches!(prepared.upload, Upload::Streaming(_)).then(|| patience.sent());
    if let Some(holding) = prepared.holding.take().filter(|_| !prepared.upload.overtaken()) {
        let translated = prepared.hearing.is_some();
        holding.hold(&mut response, translated, patience, desk).await?;
    }
    Ok(Landed { response, hearing: prepared.hearing })
}

/// Sends a request that is all in memory. An upstream that did not take it may have answered all the same.
async fn ask<N: Connection>(connection: &mut N, prepared: &mut Prepared) -> Result<Option<ResponseHead>, Error> {
    let head = prepared.head.clone();
    let Upload::Whole(bytes) = &prepared.upload else {
        connection.send_head(head, false).await?;
        prepared.patience.renew();
        return Ok(None);
    };
    connection.body_follows();
    connection.send_head(head, true).await?;
    let sending = connection.send_body(bytes.clone(), true);
    match prepared.patience.wait(sending).await {
        Ok(Ok(())) => {
            prepared.patience.renew();
            Ok(None)
        }
        // An upstream that answers early may stop reading: its answer is still there to be read.
        Ok(Err(error)) | Err(error) => last_word(connection).await.ok_or(error).map(Some),
    }
}

/// Reads heads until the final one.
async fn final_head<N: Connection>(
    connection: &mut N,
    patience: &Patience,
    desk: &Desk,
) -> Result<ResponseHead, Error> {
    loop {
        let head = patience.wait(connection.read_head()).await??;
        if !is_interim(&head) {
            return Ok(head);
        }
        desk.interim(head);
    }
}

/// The answer of an upstream that does not take the rest of a request, if it gave one.
async fn last_word<N: Connection>(connection: &mut N) -> Option<ResponseHead> {
    let reading = async {
        loop {
            match connection.read_head().await {
                Ok(head) if is_interim(&head) => {}
                other => return other.ok(),
            }
        }
    };
    tokio::time::timeout(LAST_WORD, reading).await.ok().flatten()
}

/// Sends a request whose body is on the client's wire. Returns the answer, if one came before its end.
async fn upload<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    connection: &mut N,
    prepared: &mut Prepared,
) -> Result<Option<ResponseHead>, Error> {
    connection.send_head(prepared.head.clone(), true).await?;
    receive::mark_streamed(&x.request);
    let Upload::Streaming(passing) = &mut prepared.upload else { return Ok(None) };
    let answer = stream_body(client, x, connection, passing, &mut prepared.patience).await?;
    if answer.is_some() {
        passing.overtake();
    }
    Ok(answer)
}

/// Passes the body on as it comes, listening for an early answer all the while. Returns that answer, if one came.
async fn stream_body<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    connection: &mut N,
    passing: &mut Passing,
    patience: &mut Patience,
) -> Result<Option<ResponseHead>, Error> {
    for piece in passing.kept() {
        connection.send_body(piece.clone(), false).await?;
    }
    if x.intake.expects_continue
        && let Some(head) = await_continue(client, x, connection, patience).await?
    {
        return Ok(Some(head));
    }
    loop {
        let piece = tokio::select! {
            biased;
            head = connection.read_head() => {
                let head = head?;
                if !is_interim(&head) {
                    return Ok(Some(head));
                }
                desk::forward_interim(client, x, head).await?;
                continue;
            }
            piece = client.read_body() => piece?,
            // The endpoint waits for the client as well.
            _ = patience.over() => {
                return Err(Error::client(Kind::Timeout, 408, "the request body did not come in time"));
            }
        };
        let end = piece.is_none();
        if let Some(piece) = &piece {
            passing.keep(piece);
        }
        let sent = patience.taking(connection.send_body(piece.unwrap_or_default(), end)).await;
        match sent {
            Some(Ok(())) if !end => {}
            // It may have answered before it stopped taking: its head is looked for.
            None => {
                patience.lose();
                return Ok(None);
            }
            Some(_) => {
                patience.renew();
                return Ok(None);
            }
        }
    }
}

/// Waits for the upstream's leave to send, but not for ever: some servers never give it.
async fn await_continue<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    connection: &mut N,
    patience: &Patience,
) -> Result<Option<ResponseHead>, Error> {
    let leave = (Instant::now() + CONTINUE_PATIENCE).min(patience.head());
    loop {
        match tokio::time::timeout_at(leave, connection.read_head()).await {
            Ok(Ok(head)) if head.status == http::StatusCode::CONTINUE => break,
            Ok(Ok(head)) if is_interim(&head) => desk::forward_interim(client, x, head).await?,
            Ok(Ok(head)) => return Ok(Some(head)),
            Ok(Err(error)) => return Err(error),
            Err(_) => break,
        }
    }
    x.intake.expects_continue = false;
    client.send_continue().await?;
    Ok(None)
}
