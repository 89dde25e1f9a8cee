//! Writes an answer as Anthropic's stream (Anthropic's guide Streaming messages).

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::layout::{Layout, Step};
use crate::dialect::Dialect;
use crate::dialect::codec::{Stamp, Writer};
use crate::dialect::error;
use crate::dialect::event::Event;
use crate::dialect::loss::Losses;
use crate::dialect::transcript::Marks;
use crate::stream::{self, Wire};

/// A stream's writer.
pub(super) struct AnthropicWriter {
    /// The order of what is written.
    layout: Layout,
    /// The index of the open block, or of the next.
    index: usize,
}

/// A delta of the open block.
#[derive(Serialize)]
struct BlockDelta<'a, D> {
    /// The event's type.
    #[serde(rename = "type")]
    kind: &'a str,
    /// The block's index.
    index: usize,
    /// What it says more.
    delta: D,
}

/// The frequent deltas, which are written without building JSON first.
#[derive(Serialize)]
#[serde(tag = "type")]
enum Piece<'a> {
    /// Text.
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    /// Thoughts.
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    /// Arguments.
    #[serde(rename = "input_json_delta")]
    Args { partial_json: &'a str },
}

// === impl AnthropicWriter ===

impl AnthropicWriter {
    /// A writer at the start of a stream.
    pub(super) fn new(stamp: Stamp) -> Self {
        Self { layout: Layout::new(stamp), index: 0 }
    }

    fn render(&mut self, step: Step) -> stream::Event {
        let index = self.index;
        match step {
            Step::Start(message) => event("message_start", &json!({"type": "message_start", "message": message})),
            Step::Open(block) => event(
                "content_block_start",
                &json!({"type": "content_block_start", "index": index, "content_block": block}),
            ),
            Step::Text(text) => self.delta(Piece::Text { text: &text }),
            Step::Thinking(text) => self.delta(Piece::Thinking { thinking: &text }),
            Step::Args(json) => self.delta(Piece::Args { partial_json: &json }),
            Step::Delta(delta) => self.delta(delta),
            Step::Close => {
                self.index += 1;
                event("content_block_stop", &json!({"type": "content_block_stop", "index": index}))
            }
            Step::Finish(fields) => {
                let mut delta = Map::new();
                delta.insert("type".to_owned(), json!("message_delta"));
                delta.extend(fields);
                event("message_delta", &Value::Object(delta))
            }
            Step::End => event("message_stop", &json!({"type": "message_stop"})),
            Step::Failed(failed) => event("error", &error::within(Dialect::Anthropic, &failed)),
            Step::Ping => event("ping", &json!({"type": "ping"})),
        }
    }

    fn delta(&self, delta: impl Serialize) -> stream::Event {
        event("content_block_delta", &BlockDelta { kind: "content_block_delta", index: self.index, delta })
    }
}

impl Writer for AnthropicWriter {
    fn write(&mut self, event: Event, losses: &mut Losses) -> Vec<stream::Event> {
        let steps = self.layout.take(event, losses);
        steps.into_iter().map(|step| self.render(step)).collect()
    }

    /// A block that is open on the wire and holds nothing is ended: no event began it here.
    fn align(&mut self, marks: &Marks) -> Vec<stream::Event> {
        let Marks::Blocks { next, open } = marks else { return Vec::new() };
        self.index = open.as_ref().map_or(*next, |(index, _)| *index);
        let left_open = open.is_some() && !self.layout.is_open();
        if left_open { vec![self.render(Step::Close)] } else { Vec::new() }
    }
}

/// An event of the wire. What is written here always has a JSON form.
fn event(name: &str, data: &impl Serialize) -> stream::Event {
    stream::Event::new(Wire::Sse, Some(name), Bytes::from(serde_json::to_vec(data).unwrap_or_default()))
}
