//! What a field of the model is called in the dialect that a request was read from, for the paths of losses.

use crate::dialect::Dialect;

/// The names of the dialect that a request was read from; where it is not known, those that most dialects share.
#[derive(Clone, Copy)]
pub(super) struct Names(pub(super) Option<Dialect>);

// === impl Names ===

impl Names {
    /// Whether the request came from an Ollama client, so that fields which only Ollama knows can go back.
    pub(super) fn own(self) -> bool {
        matches!(self.0, Some(Dialect::OllamaChat | Dialect::OllamaGenerate))
    }

    /// A message.
    pub(super) fn message(self, at: usize) -> String {
        match self.0 {
            Some(Dialect::Gemini) => format!("contents[{at}]"),
            Some(Dialect::OpenAiResponses) => format!("input[{at}]"),
            _ => format!("messages[{at}]"),
        }
    }

    /// A part of a message.
    pub(super) fn part(self, message: usize, part: usize) -> String {
        let parts = if self.0 == Some(Dialect::Gemini) { "parts" } else { "content" };
        format!("{}.{parts}[{part}]", self.message(message))
    }

    /// Whether the model thinks.
    pub(super) fn thinking(self) -> &'static str {
        match self.0 {
            Some(Dialect::Gemini) => "generationConfig.thinkingConfig",
            Some(Dialect::OpenAiChat | Dialect::OpenAiResponses) => "reasoning",
            _ => "thinking",
        }
    }

    /// How hard it thinks.
    pub(super) fn effort(self) -> &'static str {
        match self.0 {
            Some(Dialect::Gemini) => "generationConfig.thinkingConfig.thinkingLevel",
            Some(Dialect::Anthropic) => "output_config.effort",
            Some(Dialect::OpenAiResponses) => "reasoning.effort",
            _ => "reasoning_effort",
        }
    }

    /// How many tokens it may think.
    pub(super) fn budget(self) -> &'static str {
        match self.0 {
            Some(Dialect::Gemini) => "generationConfig.thinkingConfig.thinkingBudget",
            Some(Dialect::Anthropic) => "thinking.budget_tokens",
            _ => "reasoning.max_tokens",
        }
    }

    /// How its thoughts are shown.
    pub(super) fn show(self) -> &'static str {
        match self.0 {
            Some(Dialect::Gemini) => "generationConfig.thinkingConfig.includeThoughts",
            Some(Dialect::Anthropic) => "thinking.display",
            _ => "reasoning.summary",
        }
    }

    /// Which tools must be called.
    pub(super) fn tool_choice(self) -> &'static str {
        if self.0 == Some(Dialect::Gemini) { "toolConfig.functionCallingConfig" } else { "tool_choice" }
    }

    /// Whether several tools may be called at once.
    pub(super) fn parallel_tools(self) -> &'static str {
        match self.0 {
            Some(Dialect::Anthropic) => "tool_choice.disable_parallel_tool_use",
            _ => "parallel_tool_calls",
        }
    }

    /// The form of the answer's text.
    pub(super) fn format(self) -> &'static str {
        match self.0 {
            Some(Dialect::Gemini) => "generationConfig.responseSchema",
            Some(Dialect::Anthropic) => "output_config.format",
            Some(Dialect::OpenAiResponses) => "text.format",
            Some(Dialect::OpenAiChat) => "response_format.json_schema",
            _ => "format",
        }
    }

    /// How many answers.
    pub(super) fn n(self) -> &'static str {
        if self.0 == Some(Dialect::Gemini) { "generationConfig.candidateCount" } else { "n" }
    }

    /// The end user.
    pub(super) fn user(self) -> &'static str {
        if self.0 == Some(Dialect::Anthropic) { "metadata.user_id" } else { "user" }
    }

    /// What an array of messages is called.
    pub(super) fn messages(self) -> &'static str {
        match self.0 {
            Some(Dialect::Gemini) => "contents",
            Some(Dialect::OpenAiResponses) => "input",
            _ => "messages",
        }
    }
}
