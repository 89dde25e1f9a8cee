//! Answers before they are written.

use serde_json::Value;

use super::stream::Stream;

/// One answer.
pub(super) struct Reply {
    /// The final status.
    pub(super) status: u16,
    /// Written into `content-type`.
    pub(super) content_type: &'static str,
    /// Written into `allow`, with a 405.
    pub(super) allow: Option<&'static str>,
    /// What follows the head.
    pub(super) body: Body,
}

/// The body of an answer.
pub(super) enum Body {
    /// All of it, in memory.
    Whole(Vec<u8>),
    /// So many blanks, without memory for them.
    Blanks(u64),
    /// The events of a stream.
    Events(Stream),
}

/// The form that a route's answers and errors have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dialect {
    /// `OpenAI` chat, completions, embeddings and models; also what is spoken on unknown paths.
    OpenAi,
    /// `OpenAI` Responses.
    Responses,
    /// Anthropic Messages.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Ollama's own API.
    Ollama,
}

/// Where the blanks come from that fill a body up.
static BLANKS: [u8; 64 * 1024] = [b' '; 64 * 1024];

// === impl Reply ===

impl Reply {
    /// A successful answer in JSON.
    pub(super) fn json(body: &Value) -> Self {
        Self::whole(200, "application/json", body.to_string())
    }

    /// A successful answer in JSON, indented as Google indents.
    pub(super) fn indented(body: &Value) -> Self {
        Self::whole(200, "application/json; charset=UTF-8", format!("{body:#}\n"))
    }

    /// An error in JSON.
    pub(super) fn error(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    /// A successful answer in plain text.
    pub(super) fn text(body: String) -> Self {
        Self::whole(200, "text/plain; charset=utf-8", body)
    }

    /// So many blanks.
    pub(super) fn blanks(length: u64) -> Self {
        Self { status: 200, content_type: "application/octet-stream", allow: None, body: Body::Blanks(length) }
    }

    /// A stream that begins with a 200.
    pub(super) fn events(stream: Stream) -> Self {
        Self { status: 200, content_type: stream.content_type(), allow: None, body: Body::Events(stream) }
    }

    /// Fills a plain body up with blanks, which JSON allows at its end (RFC 8259 §2).
    pub(super) fn pad(&mut self, least: usize) {
        if let Body::Whole(bytes) = &mut self.body {
            bytes.resize(bytes.len().max(least), b' ');
        }
    }

    fn whole(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, allow: None, body: Body::Whole(body.into_bytes()) }
    }
}

// === impl Body ===

impl Body {
    /// The length in bytes, unless the body is a stream, which does not tell.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => u64::try_from(bytes.len()).ok(),
            Self::Blanks(length) => Some(*length),
            Self::Events(_) => None,
        }
    }

    /// The piece with this index: an event of a stream, else `step` bytes (at most 64 KiB) or what is left of them.
    pub(super) fn piece(&self, index: usize, step: usize) -> Option<&[u8]> {
        let piece = match self {
            Self::Events(stream) => return stream.event_at(index).map(str::as_bytes),
            Self::Whole(bytes) => {
                let start = index.checked_mul(step)?;
                bytes.get(start..bytes.len().min(start + step))?
            }
            Self::Blanks(length) => {
                let before = u64::try_from(index.checked_mul(step)?).ok()?;
                let left = usize::try_from(length.checked_sub(before)?).unwrap_or(usize::MAX);
                BLANKS.get(..left.min(step))?
            }
        };
        Some(piece).filter(|piece| !piece.is_empty())
    }
}

// === impl Dialect ===

impl Dialect {
    /// The dialect that the settings of an upstream call so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "openai-chat" => Self::OpenAi,
            "openai-responses" => Self::Responses,
            "anthropic" => Self::Anthropic,
            "gemini" => Self::Gemini,
            "ollama" => Self::Ollama,
            _ => return None,
        })
    }

    /// Whether a server of this dialect answers in the other as well ("OpenAI compatibility", Ollama's documentation).
    pub(super) fn understands(self, other: Self) -> bool {
        self == other || (self == Self::Ollama && other == Self::OpenAi)
    }
}
