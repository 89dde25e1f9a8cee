//! One part of a candidate's content as events.

use serde_json::{Map, Value};

use super::{Candidate, Out};
use crate::dialect::event::EventKind;
use crate::dialect::id::Ids;
use crate::dialect::seal::Seal;

// === impl Candidate ===

impl Candidate {
    /// Reads one part.
    pub(super) fn part(&mut self, part: Value, ids: &mut Ids, out: &mut Out<'_>) {
        match part {
            Value::Object(mut part) if is_call(&part) => {
                let call = part.shift_remove("functionCall").unwrap_or_default();
                self.call(call, signature(&mut part), ids, out);
                leftover(part, out);
            }
            Value::Object(mut part) if part.get("text").is_some_and(Value::is_string) => {
                let thought = part.shift_remove("thought").is_some_and(|thought| thought == true);
                let seal = signature(&mut part);
                if let Some(Value::String(text)) = part.shift_remove("text") {
                    if thought { self.thought(text, seal, out) } else { self.text(text, seal, out) }
                }
                leftover(part, out);
            }
            part => {
                self.close(out);
                raw(part, out);
            }
        }
    }

    /// The seal of a text stands in a block of its own before it. An empty text, which often carries the last finish
    /// reason or a seal, begins no block.
    fn text(&mut self, text: String, seal: Option<Seal>, out: &mut Out<'_>) {
        if let Some(seal) = seal {
            self.seal(seal, out);
        }
        if text.is_empty() {
            return;
        }
        let block = self.block(false, out);
        out.push(EventKind::Text { block, text });
    }

    fn thought(&mut self, text: String, seal: Option<Seal>, out: &mut Out<'_>) {
        let block = self.block(true, out);
        out.push(EventKind::Reasoning { block, text });
        if let Some(seal) = seal {
            out.push(EventKind::Seal { block, seal });
            self.close(out);
        }
    }

    /// A call is whole in its part.
    fn call(&mut self, mut call: Value, seal: Option<Seal>, ids: &mut Ids, out: &mut Out<'_>) {
        self.close(out);
        self.calls = true;
        let block = self.number();
        let mut text = |name: &str| match call.get_mut(name).map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let id = text("id").unwrap_or_else(|| ids.next("call_"));
        let name = text("name").unwrap_or_default();
        out.push(EventKind::ToolStart { block, id, name });
        let arguments = call.get("args").filter(|args| args.as_object().is_some_and(|args| !args.is_empty()));
        if let Some(arguments) = arguments {
            out.push(EventKind::ToolArgs { block, json: arguments.to_string() });
        }
        if let Some(seal) = seal {
            out.push(EventKind::Seal { block, seal });
        }
        out.push(EventKind::BlockStop { block });
    }
}

/// Whether a part is a call that stands in it as a whole. Vertex can send arguments in pieces
/// (`streamFunctionCallArguments`), in a form that only its own clients ask for.
fn is_call(part: &Map<String, Value>) -> bool {
    let call = part.get("functionCall").and_then(Value::as_object);
    call.is_some_and(|call| {
        let args = call.get("args").is_none_or(|args| args.is_object() || args.is_null());
        args && call.get("name").is_some_and(Value::is_string)
            && !["partialArgs", "willContinue"].iter().any(|name| call.contains_key(*name))
    })
}

fn signature(part: &mut Map<String, Value>) -> Option<Seal> {
    match part.shift_remove("thoughtSignature")? {
        Value::String(signature) => Some(Seal::Gemini(signature)),
        _ => None,
    }
}

/// Fields of a part beside those that were read.
fn leftover(mut part: Map<String, Value>, out: &mut Out<'_>) {
    part.retain(|name, value| !value.is_null() && name != "thought");
    if !part.is_empty() {
        raw(Value::Object(part), out);
    }
}

/// A part that only Gemini knows.
fn raw(part: Value, out: &mut Out<'_>) {
    let content = Map::from_iter([("parts".to_owned(), Value::Array(vec![part]))]);
    out.raw(Map::from_iter([("content".to_owned(), Value::Object(content))]));
}
