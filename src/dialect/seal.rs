//! Seals: what a maker of models puts on thoughts and calls so that it can trust them when they come back.

use serde_json::Value;

/// A seal, opaque to everyone but its maker. A codec writes only the seals of its own maker; for others it reports a
/// loss, and the gate's keep puts the sealed part back when the turn returns to its maker.
#[derive(Clone, Debug, PartialEq)]
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
