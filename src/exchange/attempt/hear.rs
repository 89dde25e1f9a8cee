//! Hears a translated attempt's answer: at once when it is whole or an error, event by event when it streams.

use bytes::Bytes;
use http::StatusCode;

use super::going_on;
use super::translate::{self, Hearing};
use super::{Committed, REFUSAL_BYTES, REFUSAL_TIME};
use crate::dialect::Dialect;
use crate::dialect::interpreter::Told;
use crate::error::{Error, Kind};
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection};
use crate::exchange::{Exchange, opening};
use crate::stream::Wire;
use crate::stream::decode::Decoder;

/// Puts an answer into the client's dialect. Redirects and the like pass as they are.
pub(super) async fn hear<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    hearing: Hearing,
    mut response: Committed<N>,
) -> Result<Committed<N>, Error> {
    let Some(dialect) = x.dialect.map(|operation| hearing.client(operation)) else { return Ok(response) };
    let status = response.head.status;
    let wire = wire(&response);
    match hearing {
        Hearing::Chat(mut interpreter) if status.is_success() && wire.is_some() && interpreter.streams() => {
            let decoder = decoder(x, &response)?;
            translate::reword(&mut response.head, interpreter.content_type(), None)?;
            going_on::join(x, &mut interpreter);
            interpreter.begin(wire.unwrap_or(Wire::Sse), decoder);
            let told = Told { losses: interpreter.told.losses.clone(), ..Told::default() };
            x.translated = Some(translate::translated(x, told));
            response.source.interpret(interpreter);
            Ok(response)
        }
        hearing if status.is_success() => whole(client, x, dialect, hearing, response, wire).await,
        hearing if status.as_u16() >= 400 => refusal(client, x, dialect, hearing, response).await,
        _ => Ok(response),
    }
}

/// Translates an answer that is read to its end first: should it be garbage, another endpoint can be tried.
async fn whole<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    dialect: Dialect,
    mut hearing: Hearing,
    mut response: Committed<N>,
    wire: Option<Wire>,
) -> Result<Committed<N>, Error> {
    let cap = x.generation.settings.limits.response_body;
    let mut share = x.intake.share.apart();
    let reading = opening::meanwhile(client, x, response.source.read_all(cap, Some(&mut share))).await;
    x.intake.share.join(share);
    let read = reading.and_then(|read| read);
    response.source.release(read.is_ok()).await;
    let mut body = read?;
    if let Some(mut decoder) = decoder(x, &response)? {
        body = decoder.push(&body).map_err(|error| coded(&error.to_string()))?;
    }
    let (status, body) = match hearing.whole(dialect, &body, wire) {
        Ok(body) => (StatusCode::OK.as_u16(), body),
        Err(failure) => {
            response.status = failure.status;
            translate::refused(dialect, &failure, &x.id)
        }
    };
    let content_type = if status == StatusCode::OK.as_u16() { hearing.content_type() } else { "application/json" };
    x.translated = Some(hearing.into_translated(x));
    answered(response, status, content_type, body)
}

/// Translates an error.
async fn refusal<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    dialect: Dialect,
    hearing: Hearing,
    mut response: Committed<N>,
) -> Result<Committed<N>, Error> {
    let reading = tokio::time::timeout(REFUSAL_TIME, response.source.read_all(REFUSAL_BYTES, None));
    let read = opening::meanwhile(client, x, reading).await?;
    let body = match read {
        Ok(Ok(body)) => Some(body),
        _ => None,
    };
    response.source.release(body.is_some()).await;
    let (status, body) = hearing.refusal(dialect, response.head.status, &body.unwrap_or_default(), &x.id);
    answered(response, status, "application/json", body)
}

fn answered<N: Connection>(
    mut response: Committed<N>,
    status: u16,
    content_type: &'static str,
    body: Bytes,
) -> Result<Committed<N>, Error> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if status != response.head.status {
        let _ = response.head.set_status(status);
        let _ = response.head.set_reason_phrase(None); // the upstream's words were for another status
    }
    translate::reword(&mut response.head, content_type, Some(body.len()))?;
    response.source = Source::Whole(Some(body));
    Ok(response)
}

/// What undoes the compression of an answer, if it has one.
fn decoder<N: Connection>(x: &Exchange, response: &Committed<N>) -> Result<Option<Decoder>, Error> {
    let Some(coding) = response.head.headers.get("content-encoding") else { return Ok(None) };
    let coding = coding.to_str().unwrap_or_default();
    if coding.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    let decoder = Decoder::of(coding, x.generation.settings.limits.response_body);
    decoder.map(Some).ok_or_else(|| coded(coding))
}

fn coded(what: &str) -> Error {
    let message = "the upstream compressed its answer in a way that cannot be undone";
    Error::upstream(Kind::Garbage, message).with_detail(what.to_owned())
}

/// How the upstream streams, if it does.
fn wire<N: Connection>(response: &Committed<N>) -> Option<Wire> {
    Wire::of(response.head.headers.get("content-type")?.to_str().ok()?)
}
