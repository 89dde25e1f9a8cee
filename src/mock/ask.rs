//! What a request asks for, read from the body of any dialect and only as far as the answer depends on it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields of all dialects that change an answer; all others are skipped.
#[derive(Deserialize)]
pub(super) struct Ask<'a> {
    /// Any name is served.
    pub(super) model: Option<String>,
    /// The conversation, of the chat dialects.
    #[serde(borrow)]
    pub(super) messages: Option<Vec<Turn<'a>>>,
    /// Text, texts or a conversation, of Responses and embeddings.
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    /// Text or texts, of completions.
    #[serde(borrow)]
    pub(super) prompt: Option<&'a RawValue>,
    /// Whether the answer is a stream; the default depends on the dialect.
    pub(super) stream: Option<bool>,
    /// `OpenAI`'s wish for a usage chunk.
    pub(super) stream_options: Option<StreamOptions>,
    /// The tools that may be called.
    #[serde(borrow)]
    pub(super) tools: Option<Vec<&'a RawValue>>,
    /// Whether one must be called.
    #[serde(borrow)]
    pub(super) tool_choice: Option<&'a RawValue>,
    /// How long an embedding is to be.
    pub(super) dimensions: Option<usize>,
    /// How an embedding is to be written: `float` or `base64`.
    pub(super) encoding_format: Option<String>,
}

/// One message or item of a conversation.
#[derive(Deserialize)]
pub(super) struct Turn<'a> {
    /// Who speaks; items that nobody speaks have none.
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    /// Text or parts.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// Of `stream_options`.
#[derive(Deserialize)]
pub(super) struct StreamOptions {
    /// Whether a chunk with the usage ends the stream.
    include_usage: Option<bool>,
}

/// One part of a message; parts without text are skipped.
#[derive(Deserialize)]
struct Part {
    /// The text of a text part.
    text: Option<String>,
}

/// What the user said last.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    /// The text, parts joined.
    pub(super) text: String,
    /// Whether nothing came after it, such as the result of a tool.
    pub(super) last: bool,
}

// === impl Ask ===

impl Ask<'_> {
    pub(super) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }
}

/// The last text of the user in a conversation.
pub(super) fn said(turns: &[Turn<'_>]) -> Said {
    let texts = turns.iter().rev().enumerate().filter(|(_, turn)| turn.role == "user");
    let found = texts.filter_map(|(age, turn)| Some((age, text(turn.content?)?)).filter(|(_, text)| !text.is_empty()));
    let (age, text) = found.into_iter().next().unwrap_or_default();
    Said { text, last: age == 0 }
}

/// What is said by an `input` of Responses: a text or a conversation.
pub(super) fn said_in(input: &RawValue) -> Option<Said> {
    if input.get().starts_with('"') {
        return text(input).map(|text| Said { text, last: true });
    }
    serde_json::from_str::<Vec<Turn<'_>>>(input.get()).ok().map(|turns| said(&turns))
}

/// A text, or the texts of a list, one by one.
pub(super) fn texts(raw: &RawValue) -> Option<Vec<String>> {
    if raw.get().starts_with('[') { serde_json::from_str(raw.get()).ok() } else { text(raw).map(|text| vec![text]) }
}

/// The things to embed: each text or token list of a list, else the one thing given.
pub(super) fn items(raw: &RawValue) -> Vec<&RawValue> {
    let list = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
    let nested = list.iter().all(|item| item.get().starts_with(['"', '[']));
    if nested && raw.get().starts_with('[') { list } else { vec![raw] }
}

/// A text given as one string or as parts.
fn text(raw: &RawValue) -> Option<String> {
    if raw.get().starts_with('[') {
        let parts: Vec<Part> = serde_json::from_str(raw.get()).ok()?;
        return Some(parts.into_iter().filter_map(|part| part.text).collect());
    }
    serde_json::from_str(raw.get()).ok()
}
