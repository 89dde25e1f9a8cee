//! Takes the client's request within limits: the head at once, the body only when something asks for it.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{CONNECTION, UPGRADE};

use super::heads::{self, Framing};
use super::wire::Client;
use super::{Exchange, Intake, Peer};
use crate::error::{Error, Kind};
use crate::message::{Body, HasBody, Request, RequestHead, Shared};
use crate::settings::Limits;

/// Checks what can be said of a request from its head alone.
pub fn check(x: &mut Exchange) -> Result<(), Error> {
    let request = x.request.lock();
    if let Body::Failed(error) = &request.body {
        return Err(error.clone());
    }
    if request.head.uri.path_and_query().is_none() && request.head.method == http::Method::CONNECT {
        return Err(Error::client(Kind::BadRequest, 405, "this gate does not tunnel"));
    }
    Ok(())
}

/// Whether a request asks to leave HTTP for WebSocket (RFC 6455 §4.1); only HTTP/1.1 can. A request that asks for
/// any other protocol is served as if it did not (RFC 9110 §7.8), on the one path that all take.
pub fn wants_upgrade(head: &RequestHead, peer: &Peer) -> bool {
    let nominated = head
        .headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    let websocket = head.headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    peer.version == Version::HTTP_11 && nominated && websocket
}

/// What a request's head says of its body.
pub fn declared_body(head: &RequestHead) -> Body {
    match heads::request_framing(head) {
        Framing::None => Body::Empty,
        Framing::Length(_) | Framing::Open => Body::Unread,
    }
}

/// Whether the client waits for leave to send its body (RFC 9110 §10.1.1).
pub fn expects_continue(head: &RequestHead, peer: &Peer) -> bool {
    peer.version != Version::HTTP_10
        && head.headers.get("expect").is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Runs `hook` to its end, reading the request body when it asks for it, and gives up when the client leaves.
/// `copies` are requests that share the original's body.
pub async fn with_body<C: Client, F: Future>(
    client: &mut C,
    original: &Shared<Request>,
    copy: Option<&Shared<Request>>,
    limits: &Limits,
    intake: &mut Intake,
    hook: F,
) -> Result<F::Output, Error> {
    let mut hook = pin!(hook);
    let asked = copy.unwrap_or(original);
    loop {
        let on_the_wire = matches!(original.lock().body, Body::Unread);
        tokio::select! {
            biased;
            output = &mut hook => return Ok(output),
            () = asked.wanted() => {
                buffer(client, original, limits, intake).await?;
                if let Some(copy) = copy {
                    let body = original.lock().body.bytes();
                    copy.fill(body.map_or(Body::Streamed, Body::Whole));
                }
            }
            () = client.gone(), if !on_the_wire => return Err(gone()),
        }
    }
}

/// Reads the whole body into memory. Over the limit it is refused, and nothing more of it is read.
pub async fn buffer<C: Client>(
    client: &mut C,
    request: &Shared<Request>,
    limits: &Limits,
    intake: &mut Intake,
) -> Result<(), Error> {
    if !matches!(request.lock().body, Body::Unread) {
        return Ok(());
    }
    let declared = heads::content_length(&request.lock().head.headers);
    let cap = limits.body;
    if declared.is_some_and(|length| length > cap as u64) {
        return refuse(request, cap);
    }
    let (bytes, whole) = read_up_to(client, Bytes::new(), cap, declared, intake).await?;
    if !whole {
        return refuse(request, cap);
    }
    request.fill(Body::Whole(bytes));
    Ok(())
}

/// Reads the body on from `prefix` until its end or until more than `cap` bytes are in memory.
/// Tells whether the end was reached.
pub async fn read_up_to<C: Client>(
    client: &mut C,
    prefix: Bytes,
    cap: usize,
    declared: Option<u64>,
    intake: &mut Intake,
) -> Result<(Bytes, bool), Error> {
    if std::mem::take(&mut intake.expects_continue) {
        client.send_continue().await?;
    }
    let mut first = prefix;
    let mut rest = BytesMut::new();
    while let Some(piece) = client.read_body().await? {
        intake.share.grow(piece.len())?;
        if first.is_empty() && rest.is_empty() {
            first = piece;
        } else {
            if rest.is_empty() {
                let length = declared.and_then(|length| usize::try_from(length).ok());
                rest.reserve(length.unwrap_or(first.len() * 2).min(cap));
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&piece);
        }
        if first.len().max(rest.len()) > cap {
            return Ok((if rest.is_empty() { first } else { rest.freeze() }, false));
        }
    }
    Ok((if rest.is_empty() { first } else { rest.freeze() }, true))
}

fn refuse(request: &Shared<Request>, cap: usize) -> Result<(), Error> {
    let error = too_large(cap);
    request.fill(Body::Failed(error.clone()));
    Err(error)
}

/// A body that does not fit into memory.
pub fn too_large(cap: usize) -> Error {
    let message = format!("the request body is larger than the {cap} bytes this gate holds in memory");
    Error::client(Kind::TooLarge, 413, message)
}

/// Reads and discards what is left of the request body, for at most `within`: closing a socket with unread bytes
/// can destroy the response on its way.
pub async fn drain<C: Client>(client: &mut C, within: Duration) {
    let _ = tokio::time::timeout(within, async {
        while !client.body_done() {
            if !matches!(client.read_body().await, Ok(Some(_))) {
                break;
            }
        }
    })
    .await;
}

/// The client has left.
pub fn gone() -> Error {
    Error::client(Kind::ClientGone, 499, "the client left")
}

/// Marks a body as passed on, so that later hooks are told instead of waiting.
pub fn mark_streamed<M: HasBody>(message: &Shared<M>) {
    let mut message = message.lock();
    if matches!(message.body_mut(), Body::Unread) {
        *message.body_mut() = Body::Streamed;
    }
}
