//! What an answer used, in each dialect's words.

use super::walk;
use crate::json::{Doc, NodeId};

/// Tokens used so far, counted as [`crate::dialect::event::Usage`] counts: `input` includes what came from a cache and
/// what went there, `output` includes reasoning. What the wire does not say is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub input: Option<u64>,
    /// Tokens written.
    pub output: Option<u64>,
    /// Of `input`: read from a prompt cache.
    pub cache_read: Option<u64>,
    /// Of `input`: written to a prompt cache.
    pub cache_write: Option<u64>,
    /// Of `output`: reasoning.
    pub reasoning: Option<u64>,
    /// What the wire calls the total, else the sum of both where it says both.
    pub total: Option<u64>,
}

/// `usage` of OpenAI's chat, completions and Responses: two words for each of the same figures.
pub(super) fn openai(doc: &mut Doc, root: NodeId) -> Option<Usage> {
    let node = walk::object(doc, root, "usage")?;
    let detail = |doc: &mut Doc, keys: [&str; 2], figure: &str| {
        let details = keys.into_iter().find_map(|key| walk::object(doc, node, key))?;
        walk::number(doc, details, figure)
    };
    let input = ["prompt_tokens_details", "input_tokens_details"];
    let output = ["completion_tokens_details", "output_tokens_details"];
    let cache_read = detail(doc, input, "cached_tokens")
        .or_else(|| walk::number(doc, node, "cached_tokens"))
        .or_else(|| walk::number(doc, node, "prompt_cache_hit_tokens"));
    Usage {
        input: either(doc, node, ["prompt_tokens", "input_tokens"]),
        output: either(doc, node, ["completion_tokens", "output_tokens"]),
        cache_read,
        cache_write: detail(doc, input, "cache_write_tokens"),
        reasoning: detail(doc, output, "reasoning_tokens"),
        total: walk::number(doc, node, "total_tokens"),
    }
    .told()
}

/// `usage` of Anthropic, which counts what concerns the cache beside its input.
pub(super) fn anthropic(doc: &mut Doc, holder: NodeId) -> Option<Usage> {
    let node = walk::object(doc, holder, "usage")?;
    let cache_read = walk::number(doc, node, "cache_read_input_tokens");
    let cache_write = walk::number(doc, node, "cache_creation_input_tokens");
    let input = walk::number(doc, node, "input_tokens");
    let input = sum(sum(input, cache_read), cache_write).filter(|_| input.is_some());
    let output = walk::number(doc, node, "output_tokens");
    let details = walk::object(doc, node, "output_tokens_details");
    let reasoning = details.and_then(|details| walk::number(doc, details, "thinking_tokens"));
    Usage { input, output, cache_read, cache_write, reasoning, total: None }.told()
}

/// The counts in Ollama's last line.
pub(super) fn ollama(doc: &mut Doc, root: NodeId) -> Option<Usage> {
    let input = walk::number(doc, root, "prompt_eval_count");
    let output = walk::number(doc, root, "eval_count");
    Usage { input, output, ..Usage::default() }.told()
}

/// `usageMetadata` of Gemini, which counts thoughts beside its output and tools' prompts beside its input.
pub(super) fn gemini(doc: &mut Doc, root: NodeId) -> Option<Usage> {
    let node = walk::object(doc, root, "usageMetadata")?;
    let mut figure = |key| walk::number(doc, node, key);
    let reasoning = figure("thoughtsTokenCount");
    let prompt = figure("promptTokenCount");
    let input = sum(prompt, figure("toolUsePromptTokenCount"));
    let output = sum(figure("candidatesTokenCount"), reasoning);
    let cache_read = figure("cachedContentTokenCount");
    let total = figure("totalTokenCount");
    Usage { input, output, cache_read, cache_write: None, reasoning, total }.told()
}

/// The sum of what is there.
fn sum(one: Option<u64>, more: Option<u64>) -> Option<u64> {
    one.map_or(more, |one| Some(one.saturating_add(more.unwrap_or_default())))
}

fn either(doc: &mut Doc, node: NodeId, keys: [&str; 2]) -> Option<u64> {
    keys.into_iter().find_map(|key| walk::number(doc, node, key))
}

// === impl Usage ===

impl Usage {
    /// It with its total; nothing when it says nothing.
    fn told(self) -> Option<Self> {
        (self != Self::default()).then(|| self.summed())
    }

    fn summed(mut self) -> Self {
        self.total = self.total.or_else(|| Some(self.input?.saturating_add(self.output?)));
        self
    }

    /// It with what only an earlier event of the stream said.
    pub(super) fn after(self, earlier: Self) -> Self {
        Self {
            input: self.input.or(earlier.input),
            output: self.output.or(earlier.output),
            cache_read: self.cache_read.or(earlier.cache_read),
            cache_write: self.cache_write.or(earlier.cache_write),
            reasoning: self.reasoning.or(earlier.reasoning),
            total: self.total,
        }
        .summed()
    }
}
