//! The events of the wire as they are written: numbered, named after their type, and not at all for a whole answer.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::stream::{self, Wire};

/// The events that were written and not yet taken.
#[derive(Debug)]
pub(super) struct Out {
    /// The events; `None` where only the response object is wanted.
    events: Option<Vec<stream::Event>>,
    /// The number of the next one.
    sequence: u64,
}

/// What an event says beside its type and number; every event has a few of these.
#[derive(Debug, Default, Serialize)]
pub(super) struct Body<'a> {
    /// The response object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<&'a Map<String, Value>>,
    /// The item's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    /// The item's place in the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    /// The part of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    /// The part of a summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    /// The item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<&'a Value>,
    /// The part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<&'a Value>,
    /// A piece of text, thoughts or arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    /// A whole text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    /// A whole refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    /// A call's whole arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    /// The name of what was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    /// The number of an annotation in its part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation_index: Option<usize>,
    /// The annotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation: Option<&'a Value>,
    /// Log probabilities of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [Value]>,
}

/// An event on the wire.
#[derive(Serialize)]
struct Written<'a> {
    /// Its type, which is also its name.
    r#type: &'a str,
    /// What it says.
    #[serde(flatten)]
    body: Body<'a>,
    /// Its number.
    sequence_number: u64,
}

// === impl Out ===

impl Out {
    /// Nothing written yet.
    pub(super) fn new() -> Self {
        Self { events: Some(Vec::new()), sequence: 0 }
    }

    /// Never writes anything.
    pub(super) fn silent() -> Self {
        Self { events: None, sequence: 0 }
    }

    /// Gives the next event this number.
    pub(super) fn go_on_from(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// Writes an event.
    pub(super) fn emit(&mut self, name: &str, body: Body<'_>) {
        let Some(events) = &mut self.events else { return };
        let written = Written { r#type: name, body, sequence_number: self.sequence };
        // Maps with text keys and numbers always have a JSON form.
        if let Ok(data) = serde_json::to_vec(&written) {
            self.sequence += 1;
            events.push(stream::Event::new(Wire::Sse, Some(name), Bytes::from(data)));
        }
    }

    /// Takes what was written.
    pub(super) fn take(&mut self) -> Vec<stream::Event> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
