//! Servers are found by name, and operations where each has them.

use std::collections::HashSet;

use super::{Auth, SERVERS, Server, names, segment};
use crate::dialect::Dialect;
use crate::dialect::habits::Habits;

fn server(name: &str) -> &'static Server {
    Server::named(name).unwrap()
}

#[test]
fn every_server_has_a_name_of_its_own_and_speaks_its_chat() {
    let unique: HashSet<&str> = names().collect();
    assert_eq!(unique.len(), SERVERS.len());
    for server in &SERVERS {
        assert!(server.speaks(server.chat), "{}", server.name);
        assert_eq!(Server::named(server.name), Some(server));
    }
    assert_eq!(Server::named("OpenAI"), None);
}

#[test]
fn operations_lie_where_the_server_has_them() {
    let chat = "/v1/chat/completions";
    let cases = [
        ("openai", chat, "/v1/chat/completions"),
        ("groq", chat, "/openai/v1/chat/completions"),
        ("openrouter", "/v1/models?q=1", "/api/v1/models?q=1"),
        ("openrouter", "/v1/messages", "/api/v1/messages"),
        ("deepseek", "/v1/responses", "/responses"),
        ("perplexity", chat, "/chat/completions"),
        ("fireworks", chat, "/inference/v1/chat/completions"),
        ("azure", chat, "/openai/v1/chat/completions"),
        ("lmstudio", "/api/v0/chat/completions", "/api/v0/chat/completions"),
        ("lmstudio", chat, "/v1/chat/completions"),
        ("openai", "/api/v0/chat/completions", "/v1/chat/completions"),
        ("openai", "/openai/v1/embeddings", "/v1/embeddings"),
        ("ollama", "/api/chat", "/api/chat"),
        ("ollama", chat, "/v1/chat/completions"),
        ("anthropic", "/v1/messages?beta=true", "/v1/messages?beta=true"),
        ("gemini", "/v1beta/models/g:generateContent", "/v1beta/models/g:generateContent"),
        ("openai", "/v1/files", "/v1/files"),
    ];
    for (name, target, expected) in cases {
        assert_eq!(server(name).target(target, "m", None), expected, "{name} {target}");
    }
}

#[test]
fn azure_has_operations_under_their_deployment_and_version() {
    let at = |target, model| server("azure").target(target, model, Some("2024-10-21")).into_owned();
    assert_eq!(at("/v1/chat/completions", "gpt"), "/openai/deployments/gpt/chat/completions?api-version=2024-10-21");
    assert_eq!(at("/v1/embeddings?x=1", "gpt"), "/openai/deployments/gpt/embeddings?x=1&api-version=2024-10-21");
    assert_eq!(at("/v1/responses", "gpt"), "/openai/responses?api-version=2024-10-21");
    assert_eq!(at("/v1/completions?api-version=1", "gpt"), "/openai/deployments/gpt/completions?api-version=1");
    assert_eq!(server("groq").target("/v1/models", "m", Some("1")), "/openai/v1/models");
}

#[test]
fn a_model_s_name_cannot_choose_the_path() {
    let target = server("azure").target("/v1/chat/completions", "../x?a=b#c", Some("v"));
    assert_eq!(target, "/openai/deployments/..%2Fx%3Fa%3Db%23c/chat/completions?api-version=v");
    assert_eq!(segment(".."), "%2E%2E");
    assert_eq!(segment("gpt-4.1_mini~"), "gpt-4.1_mini~");
}

#[test]
fn a_key_is_shown_as_the_server_wants_it() {
    let header = |name: &str| server(name).auth.header("k");
    assert_eq!(header("openai"), Some(("authorization", "Bearer k".to_owned())));
    assert_eq!(header("anthropic"), Some(("x-api-key", "k".to_owned())));
    assert_eq!(header("azure"), Some(("api-key", "k".to_owned())));
    assert_eq!(header("gemini"), Some(("x-goog-api-key", "k".to_owned())));
    assert_eq!(server("mlx").auth, Auth::None);
    assert_eq!(header("mlx"), None);
}

#[test]
fn servers_differ_where_they_are_known_to() {
    assert_eq!(server("openai").habits, Habits::OPENAI);
    assert!(server("openrouter").habits.cache_control);
    assert!(!server("mistral").habits.stream_options);
    assert_eq!(server("deepseek").habits.reasoning_input, Some("reasoning_content"));
    assert!(!server("deepseek").habits.json_schema);
    assert!(server("ollama").speaks(Dialect::OpenAiEmbeddings) && !server("ollama").speaks(Dialect::Anthropic));
    assert!(!server("openai-chat").speaks(Dialect::OpenAiResponses));
}
