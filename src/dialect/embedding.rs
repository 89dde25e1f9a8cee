//! Embeddings between dialects: texts to vectors, the one call besides chat that every maker words its own way.

use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::Dialect;
use super::codec::{Malformed, Outgoing};
use super::event::Usage;
use super::loss::Losses;

mod gemini;
mod ollama;
mod openai;
mod raw;
#[cfg(test)]
mod tests;
mod vector;

/// What is to be embedded, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed {
    /// The model's name as the upstream is to see it.
    pub model: String,
    /// What is to be embedded, in order.
    pub inputs: Vec<Input>,
    /// Whether the inputs stood in a list: one text alone is answered differently by Ollama's older call and Gemini's.
    pub many: bool,
    /// So many numbers a vector.
    pub dimensions: Option<Number>,
    /// Whether the client wants vectors in base64 (`OpenAI`'s `encoding_format`; its SDKs ask for it by default).
    pub base64: bool,
    /// Whether an input that is too long is cut (Ollama's `truncate`). Where not said, `OpenAI` refuses it and the
    /// others cut it.
    pub truncate: Option<bool>,
    /// The end user's id as the client gave it.
    pub user: Option<String>,
    /// Fields that nothing above stands for, by their name in the dialect of [`Self::origin`].
    pub extra: Map<String, Value>,
    /// The dialect that it was read from.
    pub origin: Dialect,
}

/// One thing to be embedded.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// What it is.
    pub content: Content,
    /// What its dialect says of this one alone (Gemini's `taskType` and `title`).
    pub extra: Map<String, Value>,
}

/// What an input is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A text.
    Text(String),
    /// Ids of tokens, which mean something to the model's own maker only.
    Tokens(Value),
    /// Several parts, or pictures, as their dialect writes them.
    Parts(Value),
}

/// What an upstream answers.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// The model that answered.
    pub model: Option<String>,
    /// One vector for each input, in their order.
    pub vectors: Vec<Vector>,
    /// Tokens read.
    pub usage: Option<Usage>,
    /// Fields that nothing above stands for, by their name in the dialect of [`Self::origin`].
    pub extra: Map<String, Value>,
    /// The dialect that it was read from.
    pub origin: Dialect,
}

/// A vector, as it stood on the wire: its numbers do not change where they are not converted.
#[derive(Clone, Debug)]
pub enum Vector {
    /// The JSON text of an array of numbers.
    Floats(Box<RawValue>),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}

// === impl Embed ===

impl Embed {
    /// Reads a request for embeddings. `target` is the path and query it came with: Gemini names its model there.
    pub fn read(dialect: Dialect, target: &str, body: Value) -> Result<Self, Malformed> {
        match dialect {
            Dialect::OllamaEmbed | Dialect::OllamaEmbeddings => ollama::read_request(dialect, body),
            Dialect::GeminiEmbed => gemini::read_request(target, body),
            _ => openai::read_request(body),
        }
    }

    /// Writes it for an upstream of a dialect. What cannot be embedded there at all is malformed: to leave an input
    /// out would shift the others' vectors.
    pub fn write(&self, dialect: Dialect, losses: &mut Losses) -> Result<Outgoing, Malformed> {
        match dialect {
            Dialect::OllamaEmbed | Dialect::OllamaEmbeddings => ollama::write_request(self, dialect, losses),
            Dialect::GeminiEmbed => gemini::write_request(self, losses),
            _ => openai::write_request(self, losses),
        }
    }

    /// Whether it was read from a dialect of the same maker, so that what only that one knows may go back.
    fn same_maker(&self, dialect: Dialect) -> bool {
        maker(self.origin) == maker(dialect)
    }

    /// Adds the extra fields to a body for the same maker; for another each is a loss.
    fn put_extra(&self, dialect: Dialect, body: &mut Map<String, Value>, losses: &mut Losses) {
        for (name, value) in &self.extra {
            if self.same_maker(dialect) {
                body.insert(name.clone(), value.clone());
            } else {
                losses.dropped(name.as_str(), "embeddings of the upstream have no such field");
            }
        }
    }

    /// The same for what is said of one input.
    fn lose_input_extra(&self, losses: &mut Losses) {
        for (index, input) in self.inputs.iter().enumerate() {
            for name in input.extra.keys() {
                let path = if self.many { format!("requests[{index}].{name}") } else { name.clone() };
                losses.dropped(path, "embeddings of the upstream have no such field");
            }
        }
    }

    /// The user's id, for an upstream that does not take it.
    fn lose_user(&self, losses: &mut Losses) {
        if self.user.is_some() {
            losses.dropped("user", "embeddings of the upstream name no end user");
        }
    }

    /// The texts of all inputs, where all are texts.
    fn texts(&self) -> Result<Vec<&str>, Malformed> {
        self.inputs.iter().enumerate().map(|(index, input)| input.text(index)).collect()
    }
}

// === impl Input ===

impl Input {
    fn new(content: Content) -> Self {
        Self { content, extra: Map::new() }
    }

    fn text(&self, index: usize) -> Result<&str, Malformed> {
        let what = match &self.content {
            Content::Text(text) => return Ok(text),
            Content::Tokens(_) => "token ids mean nothing to this model",
            Content::Parts(_) => "this model embeds plain text only",
        };
        Err(Malformed::at(format!("input[{index}]"), what))
    }
}

// === impl Vectors ===

impl Vectors {
    /// Reads an answer. From bytes, so that numbers stay the text they are.
    pub fn read(dialect: Dialect, body: &[u8]) -> Result<Self, Malformed> {
        match dialect {
            Dialect::OllamaEmbed | Dialect::OllamaEmbeddings => ollama::read_answer(dialect, body),
            Dialect::GeminiEmbed => gemini::read_answer(body),
            _ => openai::read_answer(body),
        }
    }

    /// Writes the answer to a request in the client's dialect. A vector that must change its form and cannot (base64
    /// of something else than 32-bit floats) is malformed.
    pub fn write(&self, dialect: Dialect, asked: &Embed, losses: &mut Losses) -> Result<Vec<u8>, Malformed> {
        match dialect {
            Dialect::OllamaEmbed | Dialect::OllamaEmbeddings => ollama::write_answer(self, dialect, asked, losses),
            Dialect::GeminiEmbed => gemini::write_answer(self, asked, losses),
            _ => openai::write_answer(self, asked, losses),
        }
    }

    /// The extra fields for a client of the same maker; for another each is a loss.
    fn extra_for(&self, dialect: Dialect, losses: &mut Losses) -> Option<&Map<String, Value>> {
        if maker(self.origin) == maker(dialect) {
            return Some(&self.extra);
        }
        for name in self.extra.keys() {
            losses.dropped(name.as_str(), "the client's dialect has no such field");
        }
        None
    }

    /// All vectors as arrays of numbers.
    fn floats(&self) -> Result<Vec<std::borrow::Cow<'_, RawValue>>, Malformed> {
        self.vectors.iter().enumerate().map(|(index, vector)| vector.floats(index)).collect()
    }
}

/// Whose dialect it is, as far as embeddings go.
fn maker(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::OllamaEmbed | Dialect::OllamaEmbeddings => Dialect::OllamaEmbed,
        Dialect::GeminiEmbed => Dialect::GeminiEmbed,
        _ => Dialect::OpenAiEmbeddings,
    }
}
