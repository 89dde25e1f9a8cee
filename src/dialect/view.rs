//! Where the typed things of an answer stand in its JSON, so that a policy can read and edit text, reasoning and tool
//! calls the same way whatever the dialect, and each edit is a splice into bytes that otherwise stay.
//!
//! One event of the wire, or a whole answer, is seen as a list of [`Part`]s. A part says at most one thing of the answer:
//! an event of most dialects is one part, a chunk with a text and two tool calls is three.

use super::Dialect;
use super::event::Stop;
use crate::json::{Doc, Item};

mod anthropic;
mod chat;
pub mod echo;
mod gemini;
mod memory;
mod notes;
mod ollama;
mod place;
mod responses;
#[cfg(test)]
mod tests;
mod usage;
mod walk;

pub use memory::Memory;
use notes::Notes;
pub use place::{Args, Gone, Place, Text, leave_out};
pub use usage::Usage;

/// What a part is most of all. In rising order: a part that is several things is the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nothing of the below.
    #[default]
    Raw,
    /// It only says what was used.
    Usage,
    /// The answer begins.
    Start,
    /// The stream ends as its dialect ends streams.
    End,
    /// It says why the answer ended.
    Stop,
    /// A sign of life.
    Ping,
    /// A source of a text.
    Citation,
    /// A tool call, or a piece of one.
    Tool,
    /// Thoughts.
    Reasoning,
    /// Text.
    Text,
    /// Text by which the model declines.
    Refusal,
    /// The answer failed.
    Error,
}

/// What stands in one event, or in one piece of a whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Which of several answers (`n`) it belongs to, from 0.
    pub choice: u32,
    /// What it is most of all.
    pub kind: Kind,
    /// Text that the client shows, refusals included; it may be empty.
    pub text: Option<Text>,
    /// Thoughts; they may be empty.
    pub reasoning: Option<Text>,
    /// A tool call, or a piece of one.
    pub tool: Option<Tool>,
    /// What was used so far.
    pub usage: Option<Usage>,
    /// Why the answer ended.
    pub stop: Option<Stop>,
    /// How the answer failed.
    pub error: Option<Failed>,
    /// What makes a copy of the event a piece of text alone: its end and its usage belong to the event itself.
    strip: Vec<(Place, Option<&'static str>)>,
    /// How much its kind outweighs others that it could be named after.
    weight: u8,
}

/// A tool call, or a piece of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Which call of the answer, as the wire counts: pieces of one call have the same.
    pub index: u64,
    /// Its id; most dialects say it in the first piece only.
    pub id: Option<String>,
    /// Its name; most dialects say it in the first piece only.
    pub name: Option<Place>,
    /// Its arguments, or a piece of them.
    pub args: Option<Args>,
    /// Whether the arguments are all there in one piece, whatever the dialect usually does.
    pub whole: bool,
    /// How it is left out.
    pub gone: Gone,
}

/// How an answer failed after its status was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// What it says to people.
    pub message: String,
    /// What it says to programs: its type, else its code or status, as the wire has it.
    pub kind: Option<String>,
}

/// Whether answers of a dialect hold typed things.
pub fn speaks(dialect: Dialect) -> bool {
    use Dialect::{Anthropic, Gemini, OllamaChat, OllamaGenerate, OpenAiChat, OpenAiCompletions, OpenAiResponses};
    matches!(
        dialect,
        OpenAiChat | OpenAiCompletions | OpenAiResponses | Anthropic | OllamaChat | OllamaGenerate | Gemini
    )
}

/// The parts of an event whose data is no JSON, or of no dialect: exactly one.
pub fn plain(data: &[u8]) -> Vec<Part> {
    let kind = if data.trim_ascii() == b"[DONE]" { Kind::End } else { Kind::Raw };
    vec![Part { kind, ..Part::default() }]
}

/// The parts of one event of a stream, at least one. `name` is what `event:` says. What is malformed is not seen.
pub fn event(dialect: Dialect, name: Option<&str>, doc: &mut Doc) -> Vec<Part> {
    let mut notes = Notes::new(doc, false);
    if let Ok(Item::Object(root)) = notes.doc.root() {
        match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiCompletions => chat::answer(&mut notes, root, name),
            Dialect::OpenAiResponses => responses::event(&mut notes, root, name),
            Dialect::Anthropic => anthropic::event(&mut notes, root, name),
            Dialect::OllamaChat | Dialect::OllamaGenerate => ollama::answer(&mut notes, root),
            Dialect::Gemini => gemini::answer(&mut notes, root),
            _ => {}
        }
    }
    let parts = notes.parts();
    if parts.is_empty() { vec![Part::default()] } else { parts }
}

/// The parts of a whole answer in their order, each one thing: what it says, then usage, then why it ended.
pub fn whole(dialect: Dialect, doc: &mut Doc) -> Vec<Part> {
    let mut notes = Notes::new(doc, true);
    match (notes.doc.root(), dialect) {
        (Ok(Item::Object(root)), Dialect::OpenAiChat | Dialect::OpenAiCompletions) => {
            chat::answer(&mut notes, root, None);
        }
        (Ok(Item::Object(root)), Dialect::OpenAiResponses) => responses::whole(&mut notes, root),
        (Ok(Item::Object(root)), Dialect::Anthropic) => anthropic::whole(&mut notes, root),
        (Ok(Item::Object(root)), Dialect::OllamaChat | Dialect::OllamaGenerate) => ollama::answer(&mut notes, root),
        (Ok(Item::Object(root)), Dialect::Gemini) => gemini::answer(&mut notes, root),
        // Without `alt=sse` Gemini streams one array of what would be its events.
        (Ok(Item::Array(chunks)), Dialect::Gemini) => {
            for chunk in walk::objects(notes.doc, chunks) {
                gemini::answer(&mut notes, chunk);
            }
        }
        _ => {}
    }
    notes.parts()
}

/// What a whole answer used: as the last of [`whole`]'s parts that says it, without looking at any other.
pub fn used(dialect: Dialect, doc: &mut Doc) -> Option<Usage> {
    match (doc.root().ok()?, dialect) {
        (Item::Object(root), Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses) => {
            usage::openai(doc, root)
        }
        (Item::Object(root), Dialect::Anthropic) => usage::anthropic(doc, root),
        (Item::Object(root), Dialect::OllamaChat | Dialect::OllamaGenerate) => {
            walk::truth(doc, root, "done").then(|| usage::ollama(doc, root)).flatten()
        }
        (Item::Object(root), Dialect::Gemini) => usage::gemini(doc, root),
        (Item::Array(chunks), Dialect::Gemini) => {
            walk::objects(doc, chunks).into_iter().rev().find_map(|chunk| usage::gemini(doc, chunk))
        }
        _ => None,
    }
}

/// Makes what a whole answer says twice say the same again, after an edit.
pub fn mend(dialect: Dialect, doc: &mut Doc) {
    if let (Dialect::OpenAiResponses, Ok(Item::Object(root))) = (dialect, doc.root()) {
        responses::mend(doc, root);
    }
}

/// The word for why an answer ended; the wire's own for a reason that has no other.
pub fn stop_word(stop: &Stop) -> &str {
    match stop {
        Stop::End => "end",
        Stop::Length => "length",
        Stop::Tool => "tool",
        Stop::Sequence(_) => "sequence",
        Stop::Filter => "filter",
        Stop::Refusal => "refusal",
        Stop::Pause => "pause",
        Stop::Other(word) => word,
    }
}

// === impl Kind ===

impl Kind {
    /// Its name for policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Usage => "usage",
            Self::Start => "start",
            Self::End => "end",
            Self::Stop => "stop",
            Self::Ping => "ping",
            Self::Citation => "citation",
            Self::Tool => "tool",
            Self::Reasoning => "reasoning",
            Self::Text => "text",
            Self::Refusal => "refusal",
            Self::Error => "error",
        }
    }
}

// === impl Part ===

impl Part {
    /// Whether it says something of the answer itself, and beside it how the answer ended or what it cost.
    pub fn says_both(&self) -> bool {
        let content = matches!(self.kind, Kind::Text | Kind::Refusal | Kind::Reasoning | Kind::Tool);
        content && (self.stop.is_some() || self.usage.is_some())
    }

    /// What has to go when the content of the part is left out.
    pub fn gone(&self) -> Vec<Gone> {
        let texts = [&self.text, &self.reasoning].into_iter().flatten().map(|text| text.gone.clone());
        texts.chain(self.tool.iter().map(|tool| tool.gone.clone())).collect()
    }

    /// Leaves of the event only its text, or only its reasoning, in a copy of it.
    pub fn strip(&self, doc: &mut Doc, keep_reasoning: bool) {
        let other = if keep_reasoning { &self.text } else { &self.reasoning };
        if let Some(other) = other {
            other.write(doc, "");
        }
        for (place, value) in &self.strip {
            place.put(doc, *value);
        }
        if let Some(tool) = &self.tool {
            leave_out(doc, std::slice::from_ref(&tool.gone));
        }
    }
}
