//! An answer that is not streamed through `on_event`: a hook that exists runs on all of them.

use super::shape::with_response_body;
use crate::dialect::view;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection};
use crate::message::{Body, Response, ResponseHead, Shared};
use crate::policy::Hook;

/// Shows each piece of a successful answer in a dialect with events to the policies, in memory; other bodies are not
/// touched.
pub(super) async fn on_event<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    response: &Shared<Response>,
    source: &mut Source<N>,
) -> Result<(), Error> {
    let Some(dialect) = x.dialect.filter(|_| x.generation.policies.has(Hook::OnEvent)).filter(|d| view::speaks(*d))
    else {
        return Ok(());
    };
    {
        let response = response.lock();
        if !is_answer(&response.head) || matches!(response.body, Body::Empty) {
            return Ok(());
        }
    }
    let cap = x.generation.settings.limits.response_body;
    with_response_body(client, response, source, cap, &mut x.intake.share, response.read()).await??;
    let body = response.lock().body.bytes();
    if let Some(edited) = body.and_then(|body| x.run.on_whole(dialect, &body)) {
        response.fill(Body::Whole(edited));
    }
    Ok(())
}

/// Whether a head announces a successful answer in plain JSON.
fn is_answer(head: &ResponseHead) -> bool {
    let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let json = kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json");
    json && head.status.is_success() && !head.headers.contains_key("content-encoding")
}
