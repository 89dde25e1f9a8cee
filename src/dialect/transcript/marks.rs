//! Numbers and ids of a stream that passes in its client's own dialect: events leave them out, but what another upstream
//! adds must go on from them.

use serde::Deserialize;

use crate::dialect::Dialect;
use crate::stream;

/// The numbers and ids of a stream, as far as its dialect has any.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Marks {
    /// There are none: chunks stand for themselves, or a writer of ours numbered them.
    #[default]
    None,
    /// Anthropic's content blocks.
    Blocks {
        /// The index of the next new block.
        next: usize,
        /// The block that is open: its index and type.
        open: Option<(usize, String)>,
    },
    /// The output items of `OpenAI`'s Responses.
    Items {
        /// The number of the next event.
        sequence: u64,
        /// The items in order, as they began: each with its id and type.
        items: Vec<(String, String)>,
        /// Whether the last item is open.
        open: bool,
    },
}

/// The fields of an event that marks are taken from.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type", default)]
    kind: String,
    index: Option<usize>,
    content_block: Option<Item>,
    item: Option<Item>,
    sequence_number: Option<u64>,
}

/// A block or an item.
#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    id: String,
}

// === impl Marks ===

impl Marks {
    /// The marks of a stream of this dialect that begins.
    pub fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Anthropic => Self::Blocks { next: 0, open: None },
            Dialect::OpenAiResponses => Self::Items { sequence: 0, items: Vec::new(), open: false },
            _ => Self::None,
        }
    }

    /// Takes the marks of an event that was passed on as it came.
    pub fn take(&mut self, event: &stream::Event) {
        let frequent = || event.name().is_some_and(|name| name.ends_with("_block_delta"));
        if matches!(self, Self::None) || matches!(self, Self::Blocks { .. }) && frequent() {
            return;
        }
        let Ok(line) = serde_json::from_slice::<Line>(event.data()) else { return };
        match self {
            Self::None => {}
            Self::Blocks { next, open } => match (line.kind.as_str(), line.index, line.content_block) {
                ("content_block_start", Some(index), Some(block)) => {
                    *next = index + 1;
                    *open = Some((index, block.kind));
                }
                ("content_block_stop", ..) => *open = None,
                _ => {}
            },
            Self::Items { sequence, items, open } => {
                *sequence = line.sequence_number.unwrap_or(*sequence).saturating_add(1);
                match (line.kind.as_str(), line.item) {
                    ("response.output_item.added", Some(item)) => {
                        items.push((item.id, item.kind));
                        *open = true;
                    }
                    ("response.output_item.done", _) => *open = false,
                    _ => {}
                }
            }
        }
    }

    /// Why nobody else can go on from here, if so: something is open that only its own dialect can end.
    pub fn bound(&self) -> Option<&'static str> {
        let kind = match self {
            Self::None => return None,
            Self::Blocks { open, .. } => open.as_ref().map(|(_, kind)| kind.as_str()),
            Self::Items { items, open, .. } => items.last().filter(|_| *open).map(|(_, kind)| kind.as_str()),
        };
        let known = ["text", "thinking", "redacted_thinking", "tool_use", "message", "reasoning", "function_call"];
        kind.filter(|kind| !known.contains(kind)).map(|_| "it stopped within a part that only its own dialect knows")
    }

    /// The ids that the client knows its items by, in order.
    pub fn ids(&self) -> Vec<String> {
        let Self::Items { items, .. } = self else { return Vec::new() };
        let ours = |kind: &str| matches!(kind, "message" | "reasoning" | "function_call");
        items.iter().filter(|(_, kind)| ours(kind)).map(|(id, _)| id.clone()).collect()
    }
}
