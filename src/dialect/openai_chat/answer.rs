//! Writing whole answers of the chat dialect from all their events.

use serde_json::{Map, Value, json};

use super::fold::Fold;
use super::head::Head;
use super::{request, usage};
use crate::dialect::codec::Stamp;
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Usage};
use crate::dialect::loss::Losses;
use crate::dialect::{Dialect, way};

/// What all events of an answer say, choice by choice.
#[derive(Default)]
struct Sum {
    /// Its head, once known.
    start: Start,
    /// The choices, in the order they came.
    choices: Vec<Fold>,
    /// Top-level fields that came later than the start.
    late: Map<String, Value>,
    /// The last usage.
    usage: Option<Usage>,
}

/// Writes a whole answer; an error's body if it failed.
pub(super) fn write(events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
    let mut sum = Sum::default();
    let mut own = false;
    for event in events {
        let Some(Event { choice, kind }) = event.known_to(Dialect::OpenAiChat, losses) else { continue };
        match kind {
            EventKind::Start(start) => {
                own = start.from.is_some_and(|from| way::kin(from, Dialect::OpenAiChat));
                sum.start = start;
            }
            EventKind::Usage(usage) => sum.usage = Some(usage),
            EventKind::Failed(failure) => return error::within(Dialect::OpenAiChat, &failure),
            EventKind::Raw { value, .. } => sum.raw(value),
            EventKind::Ping | EventKind::End => {}
            kind => sum.choice(choice).add(kind, own, losses),
        }
    }
    sum.finish(stamp, losses)
}

// === impl Sum ===

impl Sum {
    fn choice(&mut self, index: u32) -> &mut Fold {
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Fold::new(index));
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }

    fn raw(&mut self, value: Value) {
        let Value::Object(mut raw) = value else { return };
        if let Some(Value::Array(choices)) = raw.shift_remove("choices") {
            for choice in choices {
                let Value::Object(choice) = choice else { continue };
                let index = choice.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok());
                self.choice(index.unwrap_or(0)).raw(choice);
            }
        }
        self.late.extend(raw);
    }

    fn finish(mut self, stamp: &Stamp, losses: &mut Losses) -> Value {
        self.choice(0);
        self.choices.sort_by_key(|choice| choice.index);
        let functions = request::asked_for_functions(&stamp.chat);
        let Head { id, created, model, extra, own } = Head::new(self.start, "chatcmpl-", &mut stamp.clone());
        let choices: Vec<Value> =
            self.choices.into_iter().map(|choice| choice.choice(own, functions, losses)).collect();
        let mut body = json!({
            "id": id, "object": "chat.completion", "created": created, "model": model, "choices": choices,
        });
        if let Some(body) = body.as_object_mut() {
            body.extend(self.usage.map(|usage| ("usage".to_owned(), usage::write(&usage))));
            body.extend(extra);
            body.extend(self.late);
        }
        body
    }
}
