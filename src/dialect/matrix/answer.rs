//! What becomes of a feature of an answer, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use super::side::{Feature, Side};
use super::{Outcome, Verdict, body, cut, join};
use crate::dialect::Dialect;
use crate::dialect::chat::{Part, Reasoning};
use crate::dialect::interpreter::{Interpreter, Told};
use crate::dialect::keep::Keep;

/// For whom the matrix keeps thoughts.
const HOLDER: &str = "matrix";

/// Room for the thoughts of one answer, in bytes.
const ROOM: usize = 64 * 1024;

/// An answer that the client got.
struct Got {
    answer: Value,
    told: Told,
}

/// Answers with the feature in one piece, and looks for it in what the client gets.
pub(super) fn whole(feature: &Feature, client: &Side, upstream: &Side) -> Outcome {
    cell(feature, client, upstream, false)
}

/// The same, event by event.
pub(super) fn streamed(feature: &Feature, client: &Side, upstream: &Side) -> Outcome {
    cell(feature, client, upstream, true)
}

fn cell(feature: &Feature, client: &Side, upstream: &Side, stream: bool) -> Outcome {
    let usual = got(client, upstream, stream, &upstream.answer);
    let mut answer = upstream.answer.clone();
    body::merge(&mut answer, feature.asks.get(&upstream.name).unwrap_or(&Value::Null));
    let (usual, got) = match usual.and_then(|usual| Ok((usual, got(client, upstream, stream, &answer)?))) {
        Ok(both) => both,
        Err(why) => return (Verdict::Lost, vec![why]),
    };
    let losses = got.told.losses.without(&usual.told.losses);
    let mut reasons: Vec<String> = losses.iter().map(ToString::to_string).collect();
    let found = feature.is_in(&got.answer, client);
    let mut verdict = Verdict::of(&losses, found);
    if verdict == Verdict::Lost {
        reasons.push(format!("not in {}", got.answer));
    }
    if verdict != Verdict::Carried && kept(client, upstream, got) {
        verdict = if found { Verdict::Carried } else { Verdict::Kept };
    }
    (verdict, reasons)
}

/// What the client gets of an upstream's answer.
fn got(client: &Side, upstream: &Side, stream: bool, answer: &Value) -> Result<Got, String> {
    let asked = client.between(upstream, stream, &client.plain(stream));
    let (mut interpreter, chat) = asked.map_err(|error| error.to_string())?;
    interpreter.request(&chat);
    interpreter.told = Told::default();
    let bytes = if stream {
        passed(&mut interpreter, upstream, answer)?
    } else {
        let body = interpreter.whole(answer.to_string().as_bytes(), None);
        body.map_err(|failure| failure.message)?
    };
    let answer = if stream {
        join::join(client.dialect(), interpreter.client_wire(), bytes)
    } else {
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())?
    };
    Ok(Got { answer, told: interpreter.told })
}

/// The client's stream of an answer that comes as one.
fn passed(interpreter: &mut Interpreter, upstream: &Side, answer: &Value) -> Result<Bytes, String> {
    let (wire, stream) = cut::cut(upstream.dialect(), answer);
    interpreter.begin(wire, None);
    let piece = interpreter.pass(stream).map_err(|error| error.to_string())?;
    if let Some(failure) = &interpreter.told.failure {
        return Err(failure.message.clone());
    }
    Ok(Bytes::from([piece, interpreter.end()].concat()))
}

/// Whether the sealed thoughts of an answer are there again when the client goes on with it.
fn kept(client: &Side, upstream: &Side, got: Got) -> bool {
    let (Some(speaks), Some(to)) = (client.dialect(), upstream.dialect()) else { return false };
    let keep = Keep::new(ROOM);
    keep.put(HOLDER, speaks, got.told.answer);
    let mut next = client.plain(false);
    body::merge(&mut next, &turn(speaks, &got.answer));
    let Ok((_, mut chat)) = client.between(upstream, false, &next) else { return false };
    keep.restore(HOLDER, to, &mut chat);
    chat.messages.iter().flat_map(|message| &message.parts).any(|part| match part {
        Part::Reasoning(Reasoning { seal: Some(seal), .. }) => seal.fits(to),
        Part::ToolCall(call) => call.seal.as_ref().is_some_and(|seal| seal.fits(to)),
        _ => false,
    })
}

/// An answer as the client sends it back.
fn turn(client: Dialect, answer: &Value) -> Value {
    let at = |path: &str| answer.pointer(path).cloned().unwrap_or_default();
    match client {
        Dialect::OpenAiChat => json!({"messages": [at("/choices/0/message")]}),
        Dialect::OpenAiResponses => json!({"input": at("/output")}),
        Dialect::Anthropic => json!({"messages": [{"role": "assistant", "content": at("/content")}]}),
        Dialect::Gemini => json!({"contents": [at("/candidates/0/content")]}),
        _ => json!({"messages": [at("/message")]}),
    }
}
