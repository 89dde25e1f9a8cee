//! What a client asks of a model, in no dialect's words: where requests of all dialects meet on their way to another.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::seal::Seal;

/// A conversation and what is asked of the model. A codec reads it from one dialect's body and writes another's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// The model's name as the upstream is to see it.
    pub model: String,
    /// Whether the answer is wanted event by event.
    pub stream: bool,
    /// Whether the client asked for a usage event at the end of a stream, where its dialect lets it choose.
    pub stream_usage: bool,
    /// What was said so far, in order; system and developer messages stand where they stood.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tools: Option<bool>,
    /// The form that the text of the answer must have.
    pub format: Option<Format>,
    /// How it is to think before it answers.
    pub thinking: Option<Thinking>,
    /// How words are chosen, and how many.
    pub sampling: Sampling,
    /// The end user's id as the client gave it.
    pub user: Option<String>,
    /// Fields that no part above stands for, by their name in the dialect that [`Self::origin`] names. A codec of the
    /// same maker puts back those that fit; others report a loss for each.
    pub extra: Map<String, Value>,
    /// The dialect that it was read from.
    pub origin: Option<super::Dialect>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The instructions of who runs the application.
    System,
    /// The same, under the name that newer `OpenAI` models give it.
    Developer,
    /// The person, or the program that speaks for it. Tool results stand in messages of [`Role::Tool`].
    User,
    /// The model.
    Assistant,
    /// Tools: parts are [`Part::ToolResult`] only.
    Tool,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// The speaker's name, where a dialect has it.
    pub name: Option<String>,
    /// Fields of the message that no part above stands for.
    pub extra: Map<String, Value>,
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Plain text.
    Text(Text),
    /// A picture.
    Image(Media),
    /// A document: PDF, plain text.
    Document(Media),
    /// Sound.
    Audio(Media),
    /// A call that the model made.
    ToolCall(ToolCall),
    /// What a call gave.
    ToolResult(ToolResult),
    /// What the model thought, with the seal that lets its maker trust it.
    Reasoning(Reasoning),
    /// The model's words when it declines (`OpenAI`'s `refusal`).
    Refusal(String),
    /// A part that only its own dialect knows: server tools, search results. Its JSON as it came.
    Other(Value),
}

/// Plain text with what clings to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Anthropic's `cache_control` object, kept as it came.
    pub cache: Option<Value>,
    /// Citations or annotations, kept as they came.
    pub citations: Option<Value>,
}

/// A picture, document or sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Where its bytes are.
    pub source: Source,
    /// Its title or file name.
    pub title: Option<String>,
    /// `OpenAI`'s `detail` of images.
    pub detail: Option<String>,
    /// Anthropic's `cache_control` object, kept as it came.
    pub cache: Option<Value>,
    /// Fields of the part that no field above stands for.
    pub extra: Map<String, Value>,
}

/// Where the bytes of a picture, document or sound are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here, in base64.
    Data {
        /// The media type, such as `image/png`; empty when the dialect does not say (Ollama).
        media_type: String,
        /// The bytes in base64, as they came.
        base64: String,
    },
    /// Elsewhere.
    Url(String),
    /// With the upstream, under an id of its files API.
    File(String),
    /// Here, as plain text (Anthropic's `text` source of documents).
    Text(String),
}

/// A call of a tool by the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The id that the result names; dialects without ids get one made (see [`super::id`]).
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text, byte for byte where the dialect carries text. Never empty: none are `{}`.
    pub arguments: String,
    /// The maker's seal on this call (Gemini's `thoughtSignature`).
    pub seal: Option<Seal>,
    /// Anthropic's `cache_control` object, kept as it came.
    pub cache: Option<Value>,
}

/// What a call of a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// The tool's name, where the dialect says it (Gemini, Ollama); else filled in from the call with this id.
    pub name: Option<String>,
    /// What it gave: text, pictures, documents.
    pub parts: Vec<Part>,
    /// Whether the call failed.
    pub failed: bool,
    /// Anthropic's `cache_control` object, kept as it came.
    pub cache: Option<Value>,
}

/// What the model thought before it answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// The thoughts, or the summary of them that the maker shows; may be empty.
    pub text: String,
    /// What proves to the maker that the thoughts are its own.
    pub seal: Option<Seal>,
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function of the client's.
    Function(Function),
    /// A tool that runs with the upstream (web search, code); its JSON as it came.
    Server(Value),
}

/// A function that the model may call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments, key order kept.
    pub schema: Option<Value>,
    /// Whether arguments must fit the schema exactly (`OpenAI`'s `strict`).
    pub strict: Option<bool>,
    /// Anthropic's `cache_control` object, kept as it came.
    pub cache: Option<Value>,
    /// Fields of the tool that no field above stands for.
    pub extra: Map<String, Value>,
}

/// Which tools the model must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Function(String),
    /// One of these, or none unless `required` (`OpenAI`'s `allowed_tools`, Gemini's `allowedFunctionNames`).
    Allowed {
        /// Their names.
        names: Vec<String>,
        /// Whether one must be called.
        required: bool,
    },
}

/// The form of the answer's text.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON.
    Json,
    /// JSON of a schema.
    Schema {
        /// The schema's name, where the dialect has one.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The JSON Schema, key order kept.
        schema: Value,
        /// Whether the answer must fit exactly.
        strict: Option<bool>,
    },
    /// Another form that only its dialect knows (a grammar); its JSON as it came.
    Other(Value),
}

/// How the model is to think.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    /// Off, on as the model likes, or on.
    pub mode: ThinkingMode,
    /// How hard, in the words of the dialect: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub effort: Option<String>,
    /// At most so many tokens (Anthropic's `budget_tokens`, Gemini's `thinkingBudget`).
    pub budget: Option<u64>,
    /// Whether, and how, the thoughts are shown: `auto`, `concise`, `detailed` (`OpenAI`), `true` (Gemini's
    /// `includeThoughts`), `omitted`, `summarized` (Anthropic's `display`).
    pub show: Option<String>,
}

/// Whether the model thinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkingMode {
    /// Yes.
    #[default]
    On,
    /// No.
    Off,
    /// As it sees fit (Anthropic's `adaptive`, Gemini's budget −1).
    Adaptive,
}

/// How words are chosen, and how many. Numbers stay as they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// At most so many tokens of answer.
    pub max_tokens: Option<Number>,
    /// Temperature.
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    pub top_p: Option<Number>,
    /// The number of candidates per token.
    pub top_k: Option<Number>,
    /// The smallest probability, relative to the best candidate's.
    pub min_p: Option<Number>,
    /// The seed.
    pub seed: Option<Number>,
    /// Frequency penalty.
    pub frequency_penalty: Option<Number>,
    /// Presence penalty.
    pub presence_penalty: Option<Number>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers.
    pub n: Option<Number>,
    /// Whether log probabilities are wanted.
    pub logprobs: Option<bool>,
    /// Log probabilities of so many alternatives a token.
    pub top_logprobs: Option<Number>,
}

// === impl Message ===

impl Message {
    /// A message of these parts and nothing else.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None, extra: Map::new() }
    }

    /// Its plain text, all text parts joined.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(Part::text).collect()
    }
}

// === impl Part ===

impl Part {
    /// Plain text with nothing clinging to it.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), ..Text::default() })
    }

    /// The text of a text part.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.text),
            _ => None,
        }
    }
}

// === impl Media ===

impl Media {
    /// Media of a source and nothing else.
    pub fn new(source: Source) -> Self {
        Self { source, title: None, detail: None, cache: None, extra: Map::new() }
    }
}

// === impl Chat ===

impl Chat {
    /// What is asked without what was said: an answer that repeats its request's settings repeats no turns. Instructions
    /// stay.
    #[must_use]
    pub fn without_turns(&self) -> Self {
        let instructs = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
        Self {
            model: self.model.clone(),
            messages: self.messages.iter().filter(instructs).cloned().collect(),
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            format: self.format.clone(),
            thinking: self.thinking.clone(),
            sampling: self.sampling.clone(),
            user: self.user.clone(),
            extra: self.extra.clone(),
            ..*self
        }
    }

    /// The name of the tool that the call with this id called, for dialects whose results must name it.
    pub fn tool_of(&self, id: &str) -> Option<&str> {
        let parts = self.messages.iter().rev().flat_map(|message| &message.parts);
        parts.into_iter().find_map(|part| match part {
            Part::ToolCall(call) if call.id == id => Some(call.name.as_str()),
            _ => None,
        })
    }
}
