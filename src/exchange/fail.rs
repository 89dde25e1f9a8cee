//! Turns what went wrong into the response the client's SDK understands: the one place that makes error responses.

use std::time::Duration;

use bytes::Bytes;

use super::decision::{Answer, Place};
use super::wire::{Client, Dial};
use super::{End, Exchange, Reason, opening, relay};
use crate::dialect;
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::policy::Hook;

/// When a client that found the gate at one of its limits may come again, where nothing more is known.
const SOON: Duration = Duration::from_secs(1);

/// Answers an exchange that failed before its commit point.
pub async fn answer<C: Client, D: Dial>(_gate: &Gate<D>, client: &mut C, x: &mut Exchange, error: Error) -> End {
    x.sent.reason = Some(reason(&error));
    x.sent.error = Some(error.clone());
    if x.opening.is_open() && error.kind() != Kind::ClientGone {
        return Box::pin(opening::fail(client, x, &error)).await;
    }
    if error.kind() == Kind::ClientGone || x.sent.status.is_some() {
        client.break_off().await;
        return End::Broken;
    }
    let mut answer = draft(x, &error);
    if x.generation.policies.has(Hook::OnError) {
        answer = x.run.on_error(&error, answer);
    }
    if write(client, x, answer).await.is_ok() {
        return End::Answered;
    }
    client.break_off().await;
    End::Broken
}

/// The built-in shape: the error of the client's dialect, with the request id, and nothing internal.
fn draft(x: &Exchange, error: &Error) -> Answer {
    let body = dialect::error_body(x.dialect, error, &x.id);
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let again = error.retry_after().or((error.kind() == Kind::Overloaded).then_some(SOON));
    if let Some(after) = again {
        headers.push(("retry-after".to_owned(), after.as_millis().div_ceil(1000).to_string()));
    }
    Answer { status: error.status(), headers, body: Bytes::from(body), made_by: Place("gate".to_owned()) }
}

async fn write<C: Client>(client: &mut C, x: &mut Exchange, answer: Answer) -> Result<(), Error> {
    let mut head = relay::marked(x, relay::answer_head(&answer)?);
    if x.sent.error.as_ref().is_some_and(|error| error.fault() == Fault::Client && error.kind() == Kind::BadRequest) {
        let _ = head.insert_header("Connection", "close");
    }
    let end = x.method == http::Method::HEAD || answer.body.is_empty();
    x.sent.status = Some(answer.status);
    x.sent.head_after = Some(x.elapsed());
    client.send_head(head, end).await?;
    if !end {
        x.sent.bytes += answer.body.len() as u64;
        client.send_body(answer.body).await?;
        client.end_body(None).await?;
    }
    Ok(())
}

/// Why an exchange that met this error ended.
pub fn reason(error: &Error) -> Reason {
    match (error.kind(), error.fault()) {
        (Kind::ClientGone, _) => Reason::ClientGone,
        (Kind::Timeout | Kind::PolicyTimeout, _) => Reason::Timeout,
        (_, Fault::Policy) => Reason::PolicyError,
        (_, Fault::Upstream) => Reason::UpstreamError,
        (_, Fault::Client | Fault::Gate) => Reason::Limit,
    }
}
