//! Who is recognised: `policies/identify.lua` in a running gate, asked with the strings that real clients send.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without is there, or the test fails")]

#[path = "support/client.rs"]
mod client;
#[path = "support/running.rs"]
mod running;

use std::fs;
use std::path::Path;

use client::Client;
use running::{Running, free_address};
use serde_json::Value;
use tempfile::TempDir;

/// Answers every request with whom the gate sees.
const WHOAMI: &str = r"--!strict
-- Answers every request with whom the gate sees.
return policy {
  api = 1,
  on_request = function(_req, ctx)
    local seen = { user = ctx.user, client = ctx.client, session = ctx.session, agent = ctx.agent, evidence = ctx.evidence }
    return respond { status = 200, json = seen }
  end,
}
";

/// What the identify policy is mounted with.
const SETTINGS: &str = r#"
[upstreams.none]
url = "http://127.0.0.1:9"

[[policies]]
file = "identify.lua"
params.keys = { KEY_HASH = "carol" }
params.rules = [
  { match = "^acme%-bot/", client = "acme-bot", user = "robot" },
  { header = "x-client-type", match = "^mobile", client = "mobile-app" },
]

[[policies]]
file = "whoami.lua"
"#;

/// User-Agents as clients write them, and who that is.
const KNOWN: [(&str, &str); 34] = [
    ("claude-cli/2.0.1 (external, cli)", "claude-code"),
    ("Claude Code/2.0.1", "claude-code"),
    ("claude-cli/2.0.1 (external, claude-vscode, agent-sdk/0.1.9)", "claude-code"),
    ("claude-cli/2.0.1 (external, sdk-py, agent-sdk/0.1.9)", "claude-agent-sdk"),
    ("OpenAIClientImpl/Java 4.0.0", "pycharm"),
    ("OpenAIClientAsyncImpl/Java 4.0.0", "openai-java"),
    ("openaiclientimpl/JAVA 17", "pycharm"),
    ("codex_cli_rs/0.50.0 (Debian 12; x86_64) xterm", "codex"),
    ("codex_vscode/0.50.0", "codex-vscode"),
    ("GeminiCLI/0.9/gemini-2.5-pro (linux; x64)", "gemini-cli"),
    ("GitHubCopilotChat/0.30.1", "copilot-chat"),
    ("opencode/1.0.0 ai-sdk/provider-utils/4.0.0 runtime/bun/1.3", "opencode"),
    ("ai/5.0.1 ai-sdk/provider-utils/3.0.1 runtime/node.js/24", "vercel-ai"),
    ("litellm/1.70.0", "litellm"),
    ("pydantic-ai/1.0.0", "pydantic-ai"),
    ("google-genai-sdk/1.40.0 gl-python/3.12 google-adk/1.2.0", "google-adk"),
    ("google-genai-sdk/1.40.0 gl-python/3.12", "google-genai"),
    ("OpenAI/Python 2.1.0", "openai-python"),
    ("AsyncOpenAI/Python 2.1.0", "openai-python"),
    ("AsyncAzureOpenAI/Python 2.1.0", "azure-openai-python"),
    ("OpenAI/JS 6.0.0", "openai-node"),
    ("Anthropic/Python 0.70.0", "anthropic-python"),
    ("anthropic-sdk-python/0.5.0", "anthropic-python"),
    ("AsyncAnthropicBedrock/Python 0.70.0", "anthropic-bedrock-python"),
    ("Anthropic/JS 0.60.0", "anthropic-node"),
    ("ollama-python/0.5.0 (x86_64 linux) Python/3.12", "ollama-python"),
    ("ollama/0.12.0 (amd64 linux) Go/go1.24", "ollama"),
    ("Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1", "boto3"),
    ("curl/8.5.0", "curl"),
    ("python-requests/2.32.0", "requests"),
    ("python-httpx/0.28.0", "httpx"),
    ("Go-http-client/1.1", "go"),
    ("node", "node"),
    ("Mozilla/5.0 (X11; Linux x86_64)", "browser"),
];

/// A gate that says whom it sees.
struct Asked {
    client: Client,
    /// Lives as long as the questions are asked.
    _gate: Running,
    /// The bundle, removed at the end.
    _bundle: TempDir,
}

// === impl Asked ===

impl Asked {
    fn start() -> Self {
        let bundle = TempDir::new().unwrap();
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        fs::create_dir(bundle.path().join("lib")).unwrap();
        for file in ["identify.lua", "lib/rules.lua", "lib/user_agents.lua"] {
            fs::copy(policies.join(file), bundle.path().join(file)).unwrap();
        }
        let hash = blake3::hash(b"sk-test").to_hex();
        fs::write(bundle.path().join("tidegate.toml"), SETTINGS.replace("KEY_HASH", &hash)).unwrap();
        fs::write(bundle.path().join("whoami.lua"), WHOAMI).unwrap();
        let (listen, admin) = (free_address(), free_address());
        let (at, admin) = (listen.to_string(), admin.to_string());
        let folder = bundle.path().to_str().unwrap();
        let gate = Running::start(&["serve", folder, "--listen", &at, "--admin", &admin, "--threads", "1"], listen);
        Self { client: Client::connect(listen), _gate: gate, _bundle: bundle }
    }

    fn who(&mut self, headers: &[(&str, &str)]) -> Value {
        let (head, body) = self.client.get("/", headers);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn client_of(&mut self, user_agent: &str) -> Option<String> {
        self.who(&[("User-Agent", user_agent)])["client"].as_str().map(str::to_owned)
    }
}

#[test]
fn clients_are_known_by_their_user_agent() {
    let mut asked = Asked::start();
    for (user_agent, client) in KNOWN {
        assert_eq!(asked.client_of(user_agent).as_deref(), Some(client), "{user_agent}");
    }
    assert_eq!(asked.client_of("something/1.0"), None);
}

#[test]
fn every_recorded_client_has_a_name() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traffic/user_agents.json");
    let Ok(text) = fs::read_to_string(recorded) else {
        eprintln!("skipped: the recorded traffic is not here");
        return;
    };
    let all: Value = serde_json::from_str(&text).unwrap();
    let mut asked = Asked::start();
    let mut unnamed = Vec::new();
    let mut seen = 0;
    for family in ["recorded", "other_evidence"].iter().flat_map(|part| all[*part].as_array().unwrap()) {
        for user_agent in strings_of(family) {
            seen += 1;
            if asked.client_of(&user_agent).is_none() {
                unnamed.push(format!("{}: {user_agent}", family["client"]));
            }
        }
    }
    assert!(unnamed.is_empty(), "{} of {seen}:\n{}", unnamed.len(), unnamed.join("\n"));
    assert!(seen > 200, "only {seen} strings were found");
}

/// The strings of a family: those recorded, or examples, or its pattern with versions filled in.
fn strings_of(family: &Value) -> Vec<String> {
    let list = ["user_agents", "examples"].iter().find_map(|key| family[*key].as_array());
    let texts = |list: &Vec<Value>| list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect();
    list.map_or_else(
        || {
            let pattern = family["pattern"].as_str().unwrap_or_default();
            let one = pattern.split(" / ").next().unwrap_or_default();
            vec![one.replace("[-<client>]", "").replace(['<', '>'], "")]
        },
        texts,
    )
}

#[test]
fn the_user_comes_from_the_trusted_header_then_the_key_then_a_rule() {
    let mut asked = Asked::start();
    let key = ("Authorization", "Bearer sk-test");
    let named = asked.who(&[("X-User-ID", " anna "), key]);
    assert_eq!((&named["user"], &named["evidence"]), (&"anna".into(), &"header x-user-id".into()));
    for empty in ["", "  "] {
        assert_eq!(asked.who(&[("x-user-id", empty), key])["user"], "carol");
    }
    assert_eq!(asked.who(&[("x-api-key", "sk-test")])["evidence"], "api key");
    assert_eq!(asked.who(&[("Authorization", "Bearer sk-other")])["user"], "anonymous");
    let robot = asked.who(&[("User-Agent", "acme-bot/3"), ("x-client-type", "mobile")]);
    assert_eq!((&robot["user"], &robot["client"]), (&"robot".into(), &"acme-bot".into()), "the first rule decides");
    assert_eq!(asked.who(&[("X-Client-Type", "Mobile-App")])["client"], "mobile-app");
}

#[test]
fn claude_code_tells_its_session_and_agent() {
    let mut asked = Asked::start();
    let headers = [("x-claude-code-session-id", "s-1"), ("x-claude-code-agent-id", "a-2"), ("User-Agent", "node")];
    let seen = asked.who(&headers);
    assert_eq!(seen["client"], "claude-code", "known by the header when a router hides the User-Agent");
    assert_eq!((&seen["session"], &seen["agent"]), (&"s-1".into(), &"a-2".into()));
}

#[test]
fn odd_values_never_fail_the_request() {
    let mut asked = Asked::start();
    let long = "x".repeat(10_000);
    for value in [long.as_str(), "%%%[[", "%", "(", "ünï ☃", "a\tb"] {
        let seen = asked.who(&[("User-Agent", value), ("x-user-id", value), ("x-client-type", value)]);
        assert!(seen["user"].is_string(), "{value:.20}");
    }
    let twice = asked.who(&[("User-Agent", "unknown/1"), ("User-Agent", "curl/8.0")]);
    assert_eq!(twice["client"], "curl", "every value of a repeated header is looked at");
    assert_eq!(asked.who(&[])["user"], "anonymous");
}
