//! Reading a response object: a whole answer, and what the events that begin and end a stream carry.

use serde_json::{Map, Value};

use super::usage;
use crate::dialect::Dialect;
use crate::dialect::codec::Malformed;
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Stop};
use crate::dialect::id::Ids;
use crate::dialect::read::Path;
use items::Items;

pub(super) mod items;

/// The type of the raw event with those fields of an item that the model has no place for (`phase` of messages,
/// `namespace` of calls). It comes before the first event of the item's first block.
pub(in crate::dialect) const ITEM_FIELDS: &str = "response.output_item.fields";

/// Reads a whole answer, by the same steps as a stream.
pub(super) fn read(body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
    let Value::Object(mut response) = body else { return Err(Path::Root.malformed("expected an object")) };
    if !response.contains_key("output") {
        if response.get("error").is_none_or(Value::is_null) {
            return Err(Path::Root.field("output").malformed("is required"));
        }
        return Ok(vec![Event::first(EventKind::Failed(error::read_value(200, &Value::Object(response))))]);
    }
    let mut events = Vec::new();
    let mut items = Items::new(ids.clone());
    let last = Last::take(&mut response);
    events.push(Event::first(EventKind::Start(start(response))));
    last.read(&mut items, &mut events);
    *ids = items.into_ids();
    Ok(events)
}

/// The `error` of a response, if it has one.
fn error(response: &mut Map<String, Value>) -> Option<Value> {
    response.shift_remove("error").filter(|error| !error.is_null())
}

/// Reads how an answer begins.
pub(super) fn start(mut response: Map<String, Value>) -> Start {
    let mut text = |name: &str| match response.shift_remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (id, model) = (text("id"), text("model"));
    let created = response.shift_remove("created_at").and_then(|time| seconds(&time));
    // What the answer says itself, and a field that only SDKs have.
    for name in ["object", "status", "output", "usage", "error", "incomplete_details", "output_text"] {
        response.shift_remove(name);
    }
    response.retain(|_, value| !value.is_null());
    Start { id, model, created, extra: response, from: Some(Dialect::OpenAiResponses) }
}

/// Seconds since 1970, which some servers write as a fraction.
fn seconds(time: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is as good as its end")]
    time.as_i64().or_else(|| time.as_f64().map(|seconds| seconds as i64))
}

/// What a response object says once the answer is whole.
pub(super) struct Last {
    /// Its items.
    output: Vec<Value>,
    /// Its counts.
    usage: Option<Value>,
    /// What went wrong.
    error: Option<Value>,
    /// Its `status`.
    status: Option<Value>,
    /// Why it is not complete.
    reason: Option<String>,
}

// === impl Last ===

impl Last {
    /// Takes it out of the object.
    pub(super) fn take(response: &mut Map<String, Value>) -> Self {
        let reason = response.shift_remove("incomplete_details");
        Self {
            output: match response.shift_remove("output") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            },
            usage: response.shift_remove("usage"),
            error: error(response),
            status: response.shift_remove("status"),
            reason: reason.and_then(|details| Some(details.get("reason")?.as_str()?.to_owned())),
        }
    }

    /// The events that say it. Items are read only when the stream had none: it repeats them all at its end.
    pub(super) fn read(self, items: &mut Items, events: &mut Vec<Event>) {
        if items.is_new() {
            for (index, item) in self.output.into_iter().enumerate() {
                items.done(index as u64, item, events);
            }
        }
        items.close(events);
        let mut say = |kind| events.push(Event::first(kind));
        if let Some(usage) = self.usage.and_then(usage::read) {
            say(EventKind::Usage(usage));
        }
        let status = self.status.as_ref().and_then(Value::as_str).unwrap_or("completed");
        match (self.error, status) {
            (Some(error), _) => say(EventKind::Failed(error::read_value(200, &error))),
            (None, "failed") => say(EventKind::Failed(error::read_value(200, &Value::from("the response failed")))),
            (None, status) => {
                say(EventKind::Stop(stop(status, self.reason, items)));
                say(EventKind::End);
            }
        }
    }
}

/// Why an answer ended, which `completed` does not say by itself.
fn stop(status: &str, reason: Option<String>, items: &Items) -> Stop {
    match (status, reason.as_deref()) {
        ("completed", _) if items.called() => Stop::Tool,
        ("completed", _) if items.refused() => Stop::Refusal,
        ("completed", _) => Stop::End,
        ("incomplete", Some("max_output_tokens" | "max_tokens")) => Stop::Length,
        ("incomplete", Some("content_filter")) => Stop::Filter,
        (status, _) => Stop::Other(reason.unwrap_or_else(|| status.to_owned())),
    }
}
