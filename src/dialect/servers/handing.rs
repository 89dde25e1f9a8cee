//! Which servers go on from the last assistant turn, by each maker's documents.

use super::Server;
use crate::dialect::Dialect;
use crate::dialect::continuation::Handing;

// === impl Server ===

impl Server {
    /// How this server is handed the beginning of an answer when it is asked in a dialect. `prefix` stands before its
    /// paths; `thinks` says that thoughts are asked for, which mostly excludes going on from a turn. What nothing is
    /// known of is asked to go on.
    pub fn handing(&self, asked: Dialect, model: &str, prefix: &str, thinks: bool) -> Handing {
        match (self.name, asked) {
            (_, Dialect::OpenAiCompletions) => Handing::Prompt,
            _ if thinks => Handing::Request,
            // Claude up to 4.5; later models answer 400 (Anthropic, What's new in Claude 4.6, Prefill removal).
            (_, Dialect::Anthropic) if goes_on(model) => Handing::LastTurn,
            // Ollama's maintainers in its issue 6778; models with a parser of their own (gpt-oss) may not.
            // llama.cpp's pull requests 13174 and 13608 (`--no-prefill-assistant` turns it off).
            // LM Studio's documents do not promise it: its engine's templates do it.
            ("ollama", Dialect::OllamaChat) | ("ollama" | "llama.cpp" | "lmstudio", Dialect::OpenAiChat) => {
                Handing::LastTurn
            }
            // Mistral, Chat completion, Prefix. The answer holds the prefix.
            ("mistral", Dialect::OpenAiChat) => Handing::Prefix,
            // DeepSeek, Chat Prefix Completion (Beta): under the path /beta only.
            ("deepseek", Dialect::OpenAiChat) if prefix.contains("/beta") => Handing::Prefix,
            // vLLM, OpenAI-compatible server, Extra parameters of chat.
            ("vllm", Dialect::OpenAiChat) => Handing::FinalMessage,
            _ => Handing::Request,
        }
    }
}

/// Whether a Claude of this name goes on from an assistant turn. The first numbers of a name are its version: in
/// `claude-sonnet-4-5-20250929` and `us.anthropic.claude-3-7-sonnet-v1:0` as well.
fn goes_on(model: &str) -> bool {
    let Some((_, name)) = model.rsplit_once("claude") else { return false };
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let mut version = words.filter_map(|word| word.parse::<u32>().ok()).filter(|number| *number < 100);
    let (major, minor) = (version.next(), version.next());
    match (major, minor) {
        (Some(4), Some(minor)) => minor <= 5,
        (Some(major), _) => major <= 4,
        (None, _) => name.contains("instant"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_claudes_go_on_from_their_turn() {
        for model in [
            "claude-3-5-haiku-latest",
            "claude-sonnet-4-20250514",
            "claude-opus-4-1",
            "anthropic/claude-sonnet-4.5",
            "claude-haiku-4-5@20251001",
            "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        ] {
            assert!(goes_on(model), "{model}");
        }
        for model in ["claude-opus-4-6", "us.anthropic.claude-opus-4-6-v1", "claude-sonnet-5", "gpt-5", "claude-next"] {
            assert!(!goes_on(model), "{model}");
        }
    }

    #[test]
    fn each_server_is_handed_an_answer_in_its_way() {
        let of = |name: &str, dialect, prefix: &str, thinks| {
            Server::named(name).unwrap().handing(dialect, "m", prefix, thinks)
        };
        let chat = Dialect::OpenAiChat;
        assert_eq!(of("openai", chat, "", false), Handing::Request);
        assert_eq!(of("openai", Dialect::OpenAiResponses, "", false), Handing::Request);
        assert_eq!(of("openai", Dialect::OpenAiCompletions, "", false), Handing::Prompt);
        assert_eq!(of("vllm", chat, "", false), Handing::FinalMessage);
        assert_eq!(of("vllm", chat, "", true), Handing::Request);
        assert_eq!(of("mistral", chat, "", false), Handing::Prefix);
        assert_eq!(of("deepseek", chat, "", false), Handing::Request);
        assert_eq!(of("deepseek", chat, "/beta", false), Handing::Prefix);
        assert_eq!(of("ollama", Dialect::OllamaChat, "", false), Handing::LastTurn);
        assert_eq!(of("gemini", Dialect::Gemini, "", false), Handing::Request);
    }
}
