//! Whole answers, read and written by the same steps as streams.

use serde_json::{Map, Value, json};

use super::layout::{Layout, Step};
use super::reader::AnthropicReader;
use crate::dialect::Dialect;
use crate::dialect::codec::{Malformed, Stamp};
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind};
use crate::dialect::loss::Losses;
use crate::dialect::read::Path;

/// Fields of a message that streams bring at their end, beside the reason.
const LATE: [&str; 4] = ["stop_reason", "stop_sequence", "stop_details", "container"];

/// A message as it is put together.
#[derive(Default)]
struct Sheet {
    /// The message but for its content.
    message: Map<String, Value>,
    /// Its blocks.
    content: Vec<Value>,
    /// Arguments of the last block.
    args: String,
    /// The body of an error, which stands for all.
    error: Option<Value>,
}

/// Reads a message. An error with a good status is a failure.
pub(super) fn read(body: Value) -> Result<Vec<Event>, Malformed> {
    if body.get("error").is_some_and(|error| !error.is_null()) {
        return Ok(vec![Event::first(EventKind::Failed(error::read_value(200, &body)))]);
    }
    let mut body = Path::Root.object(body)?;
    let content = body.take("content").ok_or_else(|| body.missing("content"))?;
    let content = Path::Root.field("content").array(content)?;
    let late = LATE.into_iter().filter_map(|name| Some((name.to_owned(), body.take(name)?)));
    let delta: Map<String, Value> = late.collect();
    let mut end = Map::new();
    end.insert("delta".to_owned(), Value::Object(delta));
    for name in ["usage", "context_management"] {
        end.extend(body.take(name).map(|value| (name.to_owned(), value)));
    }
    let mut reader = AnthropicReader::default();
    let mut out = Vec::with_capacity(2 * content.len() + 5);
    reader.start(body.rest(), &mut out);
    for (index, block) in (0..).zip(content) {
        reader.block_start(index, block, &mut out);
        reader.block_stop(index, &mut out);
    }
    reader.message_delta(end, &mut out);
    reader.end(&mut out);
    Ok(out)
}

/// Writes a message, or the body of an error when the answer failed.
pub(super) fn write(events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
    let mut layout = Layout::new(stamp.clone());
    let mut sheet = Sheet::default();
    for event in events.into_iter().chain([Event::first(EventKind::End)]) {
        for step in layout.take(event, losses) {
            sheet.add(step, losses);
        }
    }
    sheet.into_value()
}

// === impl Sheet ===

impl Sheet {
    fn add(&mut self, step: Step, losses: &mut Losses) {
        match step {
            Step::Start(message) => self.message = message,
            Step::Open(block) => self.content.push(block),
            Step::Text(text) => self.append("text", &text),
            Step::Thinking(text) => self.append("thinking", &text),
            Step::Args(json) => self.args.push_str(&json),
            Step::Delta(delta) => self.delta(delta),
            Step::Close => self.close(losses),
            Step::Finish(fields) => self.finish(fields),
            Step::Failed(failed) => self.error = Some(error::within(Dialect::Anthropic, &failed)),
            Step::End | Step::Ping => {}
        }
    }

    /// Adds text to a field of the last block.
    fn append(&mut self, field: &str, more: &str) {
        if let Some(Value::String(text)) = self.content.last_mut().and_then(|block| block.get_mut(field)) {
            text.push_str(more);
        }
    }

    /// Adds a delta that is no text to the last block.
    fn delta(&mut self, mut delta: Value) {
        let Some(Value::Object(block)) = self.content.last_mut() else {
            return;
        };
        if delta["type"] == "citations_delta" {
            if let Value::Array(citations) = block.entry("citations").or_insert_with(|| json!([])) {
                citations.push(delta["citation"].take());
            }
        } else if let Value::Object(delta) = delta {
            block.extend(delta.into_iter().filter(|(name, _)| name != "type"));
        }
    }

    /// Ends the last block: its arguments are whole now. Those that are no object stand whole in a field of one.
    fn close(&mut self, losses: &mut Losses) {
        let args = std::mem::take(&mut self.args);
        let index = self.content.len().saturating_sub(1);
        if let (false, Some(Value::Object(block))) = (args.is_empty(), self.content.last_mut()) {
            let input = serde_json::from_str(&args).ok().filter(Value::is_object).unwrap_or_else(|| {
                losses.approximated(
                    format!("content[{index}].input"),
                    "arguments that are no JSON object stand in `_raw`",
                );
                json!({"_raw": args})
            });
            block.insert("input".to_owned(), input);
        }
    }

    /// Adds what streams bring at their end.
    fn finish(&mut self, fields: Map<String, Value>) {
        for (name, value) in fields {
            match value {
                Value::Object(delta) if name == "delta" => self.message.extend(delta),
                value => {
                    self.message.insert(name, value);
                }
            }
        }
    }

    fn into_value(mut self) -> Value {
        if let Some(error) = self.error {
            return error;
        }
        self.message.insert("content".to_owned(), Value::Array(self.content));
        Value::Object(self.message)
    }
}
