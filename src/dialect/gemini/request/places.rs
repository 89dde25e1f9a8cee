//! What the parts of a request are called where they came from, for the paths of losses.

use crate::dialect::Dialect;

/// Names places in the dialect that a request was read from.
#[derive(Clone, Copy)]
pub(in crate::dialect::gemini) struct Places(pub Option<Dialect>);

// === impl Places ===

impl Places {
    /// A message.
    pub(crate) fn message(self, index: usize) -> String {
        match self.0 {
            Some(Dialect::Gemini) => format!("contents[{index}]"),
            Some(Dialect::OpenAiResponses) => format!("input[{index}]"),
            _ => format!("messages[{index}]"),
        }
    }

    /// A part of a message.
    pub(crate) fn part(self, message: usize, part: usize) -> String {
        let name = if self.0 == Some(Dialect::Gemini) { "parts" } else { "content" };
        format!("{}.{name}[{part}]", self.message(message))
    }

    /// How hard the model is to think.
    pub(crate) fn effort(self) -> &'static str {
        match self.0 {
            Some(Dialect::OpenAiResponses) => "reasoning.effort",
            Some(Dialect::Anthropic) => "thinking",
            Some(Dialect::OllamaChat | Dialect::OllamaGenerate) => "think",
            Some(Dialect::Gemini) => "generationConfig.thinkingConfig",
            _ => "reasoning_effort",
        }
    }

    /// How many tokens it may think.
    pub(crate) fn budget(self) -> &'static str {
        if self.0 == Some(Dialect::Anthropic) { "thinking.budget_tokens" } else { self.effort() }
    }

    /// How its thoughts are shown.
    pub(crate) fn show(self) -> &'static str {
        match self.0 {
            Some(Dialect::OpenAiResponses) => "reasoning.summary",
            Some(Dialect::Anthropic) => "thinking.display",
            _ => self.effort(),
        }
    }

    /// Whether several tools may be called at once.
    pub(crate) fn parallel_tools(self) -> &'static str {
        if self.0 == Some(Dialect::Anthropic) { "tool_choice.disable_parallel_tool_use" } else { "parallel_tool_calls" }
    }

    /// The end user's id.
    pub(crate) fn user(self) -> &'static str {
        if self.0 == Some(Dialect::Anthropic) { "metadata.user_id" } else { "user" }
    }

    /// A setting of sampling by the name that most dialects have for it.
    pub(crate) fn sampling(self, name: &str) -> String {
        match (self.0, name) {
            (Some(Dialect::OllamaChat | Dialect::OllamaGenerate), name) => format!("options.{name}"),
            (Some(Dialect::Anthropic), "stop") => "stop_sequences".to_owned(),
            (Some(Dialect::Gemini), "stop") => "generationConfig.stopSequences".to_owned(),
            (_, name) => name.to_owned(),
        }
    }

    /// A field of the form of the answer's text.
    pub(crate) fn format(self, field: &str) -> String {
        match self.0 {
            Some(Dialect::OpenAiResponses) => format!("text.format.{field}"),
            Some(Dialect::Anthropic) => format!("output_config.format.{field}"),
            Some(Dialect::OllamaChat | Dialect::OllamaGenerate) => "format".to_owned(),
            _ if field.is_empty() => "response_format".to_owned(),
            _ => format!("response_format.json_schema.{field}"),
        }
    }
}
