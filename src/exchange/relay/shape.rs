//! Lets `on_response` shape an answer before its head is sent.

use std::future::Future;
use std::pin::pin;

use http::StatusCode;
use http::header::HeaderName;

use crate::error::Error;
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection};
use crate::exchange::{Exchange, receive};
use crate::gate::memory::Share;
use crate::message::{Body, Response, ResponseHead, Shared};
use crate::policy::Hook;

/// Runs `on_response`, reading the body when it asks for it. What it changes of a head that the client has already is
/// kept for the log.
pub(super) async fn on_response<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    response: &Shared<Response>,
    source: &mut Source<N>,
) -> Result<(), Error> {
    if !x.generation.policies.has(Hook::OnResponse) {
        return Ok(());
    }
    let cap = x.generation.settings.limits.response_body;
    // Few clients hear signs of life, and of those few only while they wait.
    let shown = x.opening.is_open().then(|| Box::new(response.lock().head.clone()));
    let hook = x.run.on_response(response);
    with_response_body(client, response, source, cap, &mut x.intake.share, hook).await??;
    if let Some(shown) = shown {
        x.opening.unsent = put_back(&mut response.lock().head, *shown);
    }
    Ok(())
}

/// Puts a head back as it was shown, for its client has one already, and tells what was changed in vain: `status`, and
/// names of headers. A success is told in the stream that is open, and so is a failure: whether it is one still counts.
fn put_back(head: &mut ResponseHead, shown: ResponseHead) -> Vec<String> {
    let values =
        |head: &ResponseHead, name: &HeaderName| head.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    let mut names: Vec<&HeaderName> = shown.headers.keys().chain(head.headers.keys()).collect();
    names.sort_by_key(|name| name.as_str());
    names.dedup();
    let status = (shown.status != head.status && head.status.is_success() && head.status != StatusCode::OK)
        .then(|| "status".to_owned());
    let headers = names.into_iter().filter(|name| values(&shown, name) != values(head, name)).map(ToString::to_string);
    let unsent = status.into_iter().chain(headers).collect();
    let status = if head.status.is_success() { StatusCode::OK } else { head.status };
    *head = shown;
    let _ = head.set_status(status);
    unsent
}

/// Runs a hook to its end, reading the response body into memory when it asks for it.
pub(super) async fn with_response_body<C: Client, N: Connection, F: Future>(
    client: &mut C,
    response: &Shared<Response>,
    source: &mut Source<N>,
    cap: usize,
    share: &mut Share,
    hook: F,
) -> Result<F::Output, Error> {
    let mut hook = pin!(hook);
    loop {
        let watch = client.body_done();
        tokio::select! {
            biased;
            output = &mut hook => return Ok(output),
            () = response.wanted() => {
                while source.uploading() {
                    let piece = client.read_body().await?;
                    source.upload(piece).await;
                }
                let bytes = tokio::select! {
                    bytes = source.read_all(cap, Some(share)) => bytes?,
                    () = client.gone(), if watch => return Err(receive::gone()),
                };
                response.fill(Body::Whole(bytes));
            }
            () = client.gone(), if watch => return Err(receive::gone()),
        }
    }
}
