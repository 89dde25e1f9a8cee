//! What a model answers, in no dialect's words: the events of a stream, and of a whole answer too, which is the list of
//! its events.

use serde_json::{Map, Value};

use super::failure::Failure;
use super::loss::Losses;
use super::seal::Seal;
use super::{Dialect, way};

/// One thing that an answer says. A whole answer and a stream of the same content give the same events, but for where
/// text is cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which of several answers (`n`) it belongs to; 0 where the dialect has only one.
    pub choice: u32,
    /// What it says.
    pub kind: EventKind,
}

/// What an event says. A *block* is one text, one run of thoughts or one tool call; blocks are numbered from 0 within
/// a choice in the order they begin, and events of two blocks may alternate.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// The answer begins. Comes once, first but for pings and failures.
    Start(Start),
    /// Text of a block, in pieces; may be empty where the wire had an empty piece.
    Text {
        /// The block.
        block: u32,
        /// The piece.
        text: String,
    },
    /// Thoughts of a block, in pieces.
    Reasoning {
        /// The block.
        block: u32,
        /// The piece.
        text: String,
    },
    /// The seal of a reasoning block or of a tool call; a block may consist of nothing else.
    Seal {
        /// The block.
        block: u32,
        /// The seal.
        seal: Seal,
    },
    /// The model declines, in pieces of a block.
    Refusal {
        /// The block.
        block: u32,
        /// The piece.
        text: String,
    },
    /// A tool call begins.
    ToolStart {
        /// The block.
        block: u32,
        /// The call's id, the wire's own or one made by [`super::id`].
        id: String,
        /// The tool's name.
        name: String,
    },
    /// Arguments of a tool call as JSON text, in pieces. A call without arguments has none; their sum is then `{}`.
    ToolArgs {
        /// The block.
        block: u32,
        /// The piece, byte for byte.
        json: String,
    },
    /// A block is whole. Comes for every block, at the latest before [`EventKind::Stop`].
    BlockStop {
        /// The block.
        block: u32,
    },
    /// A citation or annotation of a text block, as its dialect writes it.
    Citation {
        /// The block.
        block: u32,
        /// Its JSON as it came.
        value: Value,
    },
    /// Log probabilities of the text, in `OpenAI`'s shape (`{"content": […]}`).
    Logprobs(Value),
    /// What was used so far. The last one counts; they do not add up.
    Usage(Usage),
    /// The answer is whole: why it ended. Once per choice.
    Stop(Stop),
    /// The upstream failed; nothing but the end follows.
    Failed(Failure),
    /// A sign of life.
    Ping,
    /// The stream ended as its dialect ends streams (`[DONE]`, `message_stop`, `done: true`, `response.completed`).
    /// Comes last, also when the wire just ended after a `Stop`.
    End,
    /// Something that only its own dialect knows (a server tool's block, annotations of a kind of its own), as it came.
    Raw {
        /// The dialect.
        from: Dialect,
        /// Its JSON.
        value: Value,
    },
}

/// How an answer begins; whatever the wire does not say (yet) is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// The answer's id.
    pub id: Option<String>,
    /// The model that answers.
    pub model: Option<String>,
    /// When, in seconds since 1970.
    pub created: Option<i64>,
    /// Top-level fields that nothing above stands for (`system_fingerprint`, `service_tier`, `timings`).
    pub extra: Map<String, Value>,
    /// The dialect that the further fields are of.
    pub from: Option<Dialect>,
}

/// Tokens used. All dialects' ways of counting are brought to one: `input` and `output` are whole numbers of tokens
/// including their parts below.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Tokens read, those from a cache and those written to it included (Anthropic counts them apart).
    pub input: u64,
    /// Tokens written, reasoning included (Gemini counts it apart).
    pub output: u64,
    /// Of `input`: read from the upstream's prompt cache.
    pub cache_read: Option<u64>,
    /// Of `input`: written to the upstream's prompt cache.
    pub cache_write: Option<u64>,
    /// Of `output`: reasoning.
    pub reasoning: Option<u64>,
    /// Whether the gate estimated it because the upstream said nothing.
    pub estimated: bool,
    /// Fields that nothing above stands for, by the name in their dialect.
    pub extra: Map<String, Value>,
    /// The dialect that the further fields are of.
    pub from: Option<Dialect>,
}

/// Why an answer ended. Codecs derive [`Stop::Tool`] from the content where the wire says otherwise (Ollama, Gemini).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was finished.
    End,
    /// It ran into the limit of tokens.
    Length,
    /// A tool is to be called.
    Tool,
    /// It wrote one of the stop texts, this one where the wire says it.
    Sequence(Option<String>),
    /// A content policy held it back.
    Filter,
    /// The model declined.
    Refusal,
    /// It paused and may be called again with what it said (Anthropic's `pause_turn`).
    Pause,
    /// Another reason, in the word of its dialect.
    Other(String),
}

// === impl Event ===

impl Event {
    /// An event of the first, mostly only, answer.
    pub fn first(kind: EventKind) -> Self {
        Self { choice: 0, kind }
    }

    /// The event as a client of a dialect may know it: without the fields of another maker's, which are lost; `None`
    /// where nothing is left. Every writer begins with it.
    pub fn known_to(mut self, to: Dialect, losses: &mut Losses) -> Option<Self> {
        let stranger = |from: &Option<Dialect>| from.is_none_or(|from| !way::kin(from, to));
        match &mut self.kind {
            EventKind::Start(start) if stranger(&start.from) => {
                for (name, _) in std::mem::take(&mut start.extra).iter().filter(|(_, value)| is_told(value)) {
                    losses.dropped(format!("answer.{name}"), "only the upstream's dialect knows it");
                }
            }
            EventKind::Usage(usage) if stranger(&usage.from) => {
                let counts = std::mem::take(&mut usage.extra).into_iter();
                let told: Vec<String> =
                    counts.filter_map(|(name, value)| counts_some(&value).then_some(name)).collect();
                if !told.is_empty() {
                    let why = format!("only the upstream's dialect counts {}", told.join(", "));
                    losses.dropped("answer.usage", why);
                }
            }
            EventKind::Raw { from, value } if !way::kin(*from, to) => {
                let what = value.get("type").and_then(Value::as_str).unwrap_or("event");
                losses.dropped(format!("answer.{what}"), "only the upstream's dialect knows it");
                return None;
            }
            _ => {}
        }
        Some(self)
    }
}

/// Whether the loss of a field of the answer's head is worth telling.
fn is_told(value: &Value) -> bool {
    !value.is_null() && !value.as_object().is_some_and(Map::is_empty)
}

/// Whether a count is more than zero, or holds one that is.
fn counts_some(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(list) => list.iter().any(counts_some),
        Value::Object(fields) => fields.values().any(counts_some),
        Value::Bool(_) | Value::String(_) => true,
    }
}
