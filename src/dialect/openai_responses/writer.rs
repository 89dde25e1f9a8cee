//! Writing an answer: as the stream that `OpenAI`'s SDKs accumulate (API reference, Streaming events), and whole, which
//! is the response object that the stream ends with.

use serde_json::{Map, Value};

use super::answer::ITEM_FIELDS;
use super::usage;
use crate::dialect::Dialect;
use crate::dialect::codec::{Stamp, Writer};
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::loss::Losses;
use crate::dialect::transcript::Marks;
use crate::stream;
use items::Items;
use out::{Body, Out};

mod citation;
mod items;
mod out;
mod settings;

#[cfg(test)]
mod tests;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct StreamWriter {
    /// What the answer needs that its events may not say.
    stamp: Stamp,
    /// The response object: empty until the start, and without its output until the end.
    response: Map<String, Value>,
    /// The items.
    items: Items,
    /// The events of the wire.
    out: Out,
    /// The last counts.
    usage: Option<Usage>,
    /// Why the answer ended.
    stop: Option<Stop>,
    /// Whether the last event was written.
    ended: bool,
}

/// Writes a whole answer.
pub(super) fn whole(events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
    let mut writer = StreamWriter { out: Out::silent(), ..StreamWriter::new(stamp.clone()) };
    for event in events {
        writer.event(event, losses);
    }
    writer.end(None, losses);
    Value::Object(writer.response)
}

// === impl StreamWriter ===

impl StreamWriter {
    /// A writer at the start of a stream.
    pub(super) fn new(stamp: Stamp) -> Self {
        Self {
            stamp,
            response: Map::new(),
            items: Items::default(),
            out: Out::new(),
            usage: None,
            stop: None,
            ended: false,
        }
    }

    fn event(&mut self, event: Event, losses: &mut Losses) {
        if self.ended {
            return;
        }
        if event.choice > 0 {
            losses.dropped(format!("choices[{}]", event.choice), "the Responses API gives one answer");
            return;
        }
        let Some(event) = event.known_to(Dialect::OpenAiResponses, losses) else { return };
        match event.kind {
            EventKind::Start(start) => self.start(start),
            EventKind::Ping => {}
            EventKind::Usage(usage) => self.usage = Some(usage),
            EventKind::Stop(stop) => {
                self.stop.get_or_insert(stop);
            }
            EventKind::Failed(failure) => self.end(Some(failure), losses),
            EventKind::End => self.end(None, losses),
            kind => self.content(kind, losses),
        }
    }

    fn content(&mut self, kind: EventKind, losses: &mut Losses) {
        self.start(Start::default());
        let (items, ids, out) = (&mut self.items, &mut self.stamp.ids, &mut self.out);
        match kind {
            EventKind::Text { block, text } => items.speak(block, &text, false, ids, out),
            EventKind::Refusal { block, text } => items.speak(block, &text, true, ids, out),
            EventKind::Reasoning { block, text } => items.think(block, &text, ids, out),
            EventKind::Seal { block, seal } => items.seal(block, seal, ids, out, losses),
            EventKind::ToolStart { block, id, name } => items.call(block, id, name, ids, out),
            EventKind::ToolArgs { block, json } => items.arguments(block, &json, out),
            EventKind::BlockStop { block } => items.stop(block, out),
            EventKind::Citation { block, value } => items.cite(block, value, ids, out, losses),
            EventKind::Logprobs(value) => items.logprobs(value, out),
            EventKind::Raw { value, .. } => match value.get("type").and_then(Value::as_str) {
                Some(ITEM_FIELDS) => items.fields(value),
                Some(kind) if is_item(kind) => items.raw(value, out),
                _ => losses.dropped("event", "something that only its own dialect knows"),
            },
            _ => {}
        }
    }

    /// Begins the response, unless it was begun.
    fn start(&mut self, start: Start) {
        if !self.response.is_empty() {
            return;
        }
        self.response = settings::response(start, &mut self.stamp);
        for name in ["response.created", "response.in_progress"] {
            self.out.emit(name, Body { response: Some(&self.response), ..Body::default() });
        }
    }

    /// Ends the response, unless it was ended.
    fn end(&mut self, failure: Option<Failure>, losses: &mut Losses) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.start(Start::default());
        let stop = self.stop.take().unwrap_or(Stop::End);
        let (status, reason) = ending(&stop, self.items.refused(), losses);
        let cut = status == "incomplete" || failure.is_some();
        let output = self.items.finish(cut, &mut self.out);
        let mut set = |name: &str, value: Value| {
            self.response.insert(name.to_owned(), value);
        };
        set("output", Value::Array(output));
        let status = if failure.is_some() { "failed" } else { status };
        set("status", Value::from(status));
        match (failure, reason) {
            (Some(failure), _) => set("error", error(&failure)),
            (None, Some(reason)) => set("incomplete_details", serde_json::json!({"reason": reason})),
            (None, None) => {}
        }
        if let Some(usage) = &self.usage {
            set("usage", usage::write(usage));
        }
        let name = match status {
            "completed" => "response.completed",
            "failed" => "response.failed",
            _ => "response.incomplete",
        };
        self.out.emit(name, Body { response: Some(&self.response), ..Body::default() });
    }
}

impl Writer for StreamWriter {
    fn write(&mut self, event: Event, losses: &mut Losses) -> Vec<stream::Event> {
        self.event(event, losses);
        self.out.take()
    }

    fn align(&mut self, marks: &Marks) -> Vec<stream::Event> {
        if let Marks::Items { sequence, items, .. } = marks {
            self.out.go_on_from(*sequence);
            self.items.fill(items, &mut self.out);
            self.stamp.ids = self.stamp.ids.clone().with_given(Vec::new());
        }
        self.out.take()
    }
}

/// The status of a response, and why it is not complete. `refused` says that the model declined in words of a refusal's
/// own; where it did not, a client sees that it declined by the reason alone.
fn ending<'a>(stop: &'a Stop, refused: bool, losses: &mut Losses) -> (&'a str, Option<&'a str>) {
    match stop {
        Stop::End | Stop::Tool | Stop::Sequence(None) => ("completed", None),
        Stop::Refusal if refused => ("completed", None),
        Stop::Refusal => {
            losses.approximated("stop_reason", "content_filter stands for a refusal without words");
            ("incomplete", Some("content_filter"))
        }
        Stop::Sequence(Some(_)) => {
            losses.dropped("stop_sequence", "the Responses API does not say which text ended the answer");
            ("completed", None)
        }
        Stop::Pause => {
            losses.approximated("stop_reason", "a pause looks like an end");
            ("completed", None)
        }
        Stop::Length => ("incomplete", Some("max_output_tokens")),
        Stop::Filter => ("incomplete", Some("content_filter")),
        Stop::Other(status) if matches!(status.as_str(), "cancelled" | "queued" | "in_progress") => (status, None),
        // Not pretending to be complete: what other dialects end with and no codec knows is mostly a fault.
        Stop::Other(reason) => ("incomplete", Some(reason)),
    }
}

/// Whether a type is that of an output item which only this dialect knows (API reference, the response object).
fn is_item(kind: &str) -> bool {
    kind.ends_with("_call")
        || kind.ends_with("_call_output")
        || matches!(
            kind,
            "mcp_list_tools" | "mcp_approval_request" | "mcp_approval_response" | "tool_search_output" | "compaction"
        )
}

/// The `error` of an answer that failed.
fn error(failure: &Failure) -> Value {
    let code = failure.code.as_deref().unwrap_or(match failure.kind {
        FailureKind::RateLimit => "rate_limit_exceeded",
        FailureKind::Quota => "insufficient_quota",
        FailureKind::ContextLength => "context_length_exceeded",
        FailureKind::Invalid | FailureKind::ContentPolicy => "invalid_prompt",
        _ => "server_error",
    });
    serde_json::json!({"code": code, "message": failure.message})
}
