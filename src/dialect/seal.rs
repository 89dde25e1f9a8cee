//! Seals: what a maker of models puts on thoughts and calls so that it can trust them when they come back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Dialect;

/// A seal, opaque to everyone but its maker. A codec writes only the seals of its own maker; for others it reports a
/// loss, and the gate's keep puts the sealed part back when the turn returns to its maker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Seal {
    /// The `signature` of Anthropic's `thinking` block.
    Anthropic(String),
    /// The `data` of Anthropic's `redacted_thinking` block, which has no text.
    AnthropicRedacted(String),
    /// `OpenAI` Responses: the item's `id` and `encrypted_content`.
    OpenAi {
        /// The id of the reasoning item.
        id: String,
        /// What only `OpenAI` can read; absent unless it was asked for.
        encrypted: Option<String>,
    },
    /// Gemini's `thoughtSignature`.
    Gemini(String),
    /// `OpenRouter`'s `reasoning_details`, the array as it came.
    OpenRouter(Value),
}

// === impl Seal ===

impl Seal {
    /// Whether requests and answers of this dialect have room for it, which only its maker's have.
    pub fn fits(&self, dialect: Dialect) -> bool {
        match self {
            Self::Anthropic(_) | Self::AnthropicRedacted(_) => dialect == Dialect::Anthropic,
            Self::OpenAi { .. } => dialect == Dialect::OpenAiResponses,
            Self::Gemini(_) => dialect == Dialect::Gemini,
            Self::OpenRouter(_) => dialect == Dialect::OpenAiChat,
        }
    }

    /// Its size in memory, roughly.
    pub fn size(&self) -> usize {
        match self {
            Self::Anthropic(text) | Self::AnthropicRedacted(text) | Self::Gemini(text) => text.len(),
            Self::OpenAi { id, encrypted } => id.len() + encrypted.as_ref().map_or(0, String::len),
            Self::OpenRouter(details) => details.to_string().len(),
        }
    }
}
