//! Names what a loss befell in the words of the dialect that the request was read from.

use crate::dialect::Dialect;

/// The dialect whose words are used.
#[derive(Clone, Copy)]
pub(super) struct Paths(pub(super) Option<Dialect>);

// === impl Paths ===

impl Paths {
    /// A setting that stands beside the messages, by its name in `OpenAI`'s chat dialect.
    pub(super) fn setting(self, name: &'static str) -> String {
        let gemini = match name {
            "max_tokens" => "maxOutputTokens",
            "temperature" => "temperature",
            "top_p" => "topP",
            "top_k" => "topK",
            "seed" => "seed",
            "frequency_penalty" => "frequencyPenalty",
            "presence_penalty" => "presencePenalty",
            "stop" => "stopSequences",
            "n" => "candidateCount",
            "logprobs" => "responseLogprobs",
            "top_logprobs" => "logprobs",
            "response_format" => "responseSchema",
            "thinking" => "thinkingConfig",
            _ => name,
        };
        match (self.0, name) {
            (Some(Dialect::Gemini), "tool_choice") => "toolConfig".to_owned(),
            (Some(Dialect::Gemini), "tools") => "tools".to_owned(),
            (Some(Dialect::Gemini), _) => format!("generationConfig.{gemini}"),
            (Some(Dialect::OllamaChat | Dialect::OllamaGenerate), "thinking") => "think".to_owned(),
            (Some(Dialect::OllamaChat | Dialect::OllamaGenerate), "response_format") => "format".to_owned(),
            (Some(Dialect::OllamaChat | Dialect::OllamaGenerate), "max_tokens") => "options.num_predict".to_owned(),
            (Some(Dialect::OllamaChat | Dialect::OllamaGenerate), "tools" | "tool_choice") => name.to_owned(),
            (Some(Dialect::OllamaChat | Dialect::OllamaGenerate), _) => format!("options.{name}"),
            (Some(Dialect::OpenAiChat), "thinking") => "reasoning_effort".to_owned(),
            (Some(Dialect::OpenAiResponses), "thinking") => "reasoning".to_owned(),
            (Some(Dialect::OpenAiResponses), "response_format") => "text.format".to_owned(),
            (Some(Dialect::OpenAiResponses), "max_tokens") => "max_output_tokens".to_owned(),
            (Some(Dialect::Anthropic | Dialect::AnthropicCount), "response_format") => {
                "output_config.format".to_owned()
            }
            (Some(Dialect::Anthropic | Dialect::AnthropicCount), "stop") => "stop_sequences".to_owned(),
            _ => name.to_owned(),
        }
    }

    /// A message.
    pub(super) fn message(self, index: usize) -> String {
        let list = match self.0 {
            Some(Dialect::Gemini) => "contents",
            Some(Dialect::OpenAiResponses) => "input",
            _ => "messages",
        };
        format!("{list}[{index}]")
    }

    /// A part of a message.
    pub(super) fn part(self, message: usize, part: usize) -> String {
        let list = if self.0 == Some(Dialect::Gemini) { "parts" } else { "content" };
        format!("{}.{list}[{part}]", self.message(message))
    }
}
