//! Where a translated request goes and what stands in its head: paths, keys, headers of other makers, the plan's model.

use super::clients::{CLIENTS, Client};
use super::scenes::Scene;
use super::upstreams::{UPS, Up};
use super::{gate, gate_with};
use crate::support::bundle::Bundled;
use crate::support::service::{Heard, Service, json};

/// Headers in which keys are shown.
const KEYS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Where an upstream is shown its key, and how.
fn shown(up: Up, key: &str) -> (&'static str, String) {
    match up {
        Up::Chat | Up::Responses | Up::Ollama => ("authorization", format!("Bearer {key}")),
        Up::Anthropic => ("x-api-key", key.to_owned()),
        Up::Gemini => ("x-goog-api-key", key.to_owned()),
    }
}

fn told(up: Up) -> Service {
    Service::saying(json(&up.whole(&Scene::named("text"))))
}

/// Asserts that a request shows this key and no other, anywhere.
fn shows(heard: &Heard, up: Up, key: &str, what: &str) {
    let (name, value) = shown(up, key);
    for header in KEYS {
        let expected = (header == name).then_some(value.as_str());
        assert_eq!(heard.header(header), expected, "{what}: {}", heard.head);
    }
}

#[test]
fn a_client_s_key_moves_to_where_the_upstream_looks_for_it() {
    for up in UPS {
        let upstream = told(up);
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        let forms = [
            (Client::Completions, "Authorization", "Bearer its-key"),
            (Client::Completions, "api-key", "its-key"),
            (Client::Anthropic, "x-api-key", "its-key"),
            (Client::Anthropic, "Authorization", "bearer its-key"),
            (Client::Gemini, "x-goog-api-key", "its-key"),
        ];
        for (client, name, value) in forms.into_iter().filter(|(client, ..)| !super::table::native(*client, up)) {
            let said = talk.post(client.path(false), &[(name, value)], &client.body(false));
            assert_eq!(said.status, 200, "{}", said.text());
            shows(upstream.heard().last().unwrap(), up, "its-key", &format!("{client:?} before {up:?}, {name}"));
        }
        if up != Up::Gemini {
            let path = format!("{}?key=its-key", Client::Gemini.path(false));
            talk.post(&path, &[], &Client::Gemini.body(false));
            let heard = upstream.heard();
            shows(heard.last().unwrap(), up, "its-key", "a key in the query");
            assert!(!heard.last().unwrap().target().contains("its-key"), "{}", heard.last().unwrap().target());
        }
    }
}

#[test]
fn a_key_of_the_settings_is_the_only_one_that_an_upstream_sees() {
    for up in UPS {
        let (name, value) = shown(up, "our-key");
        let upstream = told(up);
        let gate = gate(up.setting(), &upstream, &format!("headers = {{ {name} = \"{value}\" }}"));
        let mut talk = gate.talk();
        let keys: Vec<(&str, &str)> = KEYS.iter().map(|name| (*name, "Bearer its-key")).collect();
        // Also one that speaks the client's own dialect.
        for client in CLIENTS {
            talk.post(client.path(false), &keys, &client.body(false));
            let heard = upstream.heard();
            shows(heard.last().unwrap(), up, "our-key", &format!("{client:?} before {up:?}"));
            assert!(!heard.last().unwrap().head.contains("its-key"), "{}", heard.last().unwrap().head);
        }
        let path = Client::Gemini.path(false);
        for query in ["?key=its-key", "?alt=json&key=its-key", "?key=its-key&alt=json"] {
            talk.post(&format!("{path}{query}"), &[], &Client::Gemini.body(false));
            let heard = upstream.heard();
            let head = &heard.last().unwrap().head;
            assert!(!head.contains("its-key"), "{head}");
            assert_eq!(up == Up::Gemini && query.contains("alt"), head.contains("?alt=json"), "{head}");
        }
        if up == Up::Gemini {
            talk.get("/v1beta/files?pageSize=9&key=its-key", &[]);
            assert_eq!(upstream.heard().last().unwrap().target(), "/v1beta/files?pageSize=9");
        }
    }
}

#[test]
fn headers_of_another_maker_stay_behind() {
    let foreign = [
        ("anthropic-beta", "tools-2024"),
        ("anthropic-version", "2023-01-01"),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("OpenAI-Organization", "org"),
        ("openai-project", "proj"),
        ("x-goog-api-client", "genai"),
        ("X-Mine", "stays"),
        ("Accept-Encoding", "gzip, br"),
    ];
    for (up, own) in
        [(Up::Anthropic, "anthropic-"), (Up::Chat, "openai-"), (Up::Gemini, "x-goog-"), (Up::Responses, "openai-")]
    {
        let upstream = told(up);
        let gate = gate(up.setting(), &upstream, "");
        gate.talk().post("/api/chat", &foreign, &Client::Ollama.body(false));
        let heard = &upstream.heard()[0];
        for (name, value) in foreign {
            let lower = name.to_lowercase();
            let stays = lower.starts_with(own) || lower == "x-mine";
            let expected = if lower == "accept-encoding" { Some("identity") } else { stays.then_some(value) };
            assert_eq!(heard.header(name), expected, "{name} to {up:?}: {}", heard.head);
        }
        assert_eq!(heard.header("content-length"), Some(heard.body.len().to_string().as_str()));
    }
}

#[test]
fn the_url_may_name_the_first_steps_of_the_path_or_not() {
    let cases = [
        ("openai-chat", Up::Chat, "", "/v1/chat/completions"),
        ("openai-chat", Up::Chat, "/v1", "/v1/chat/completions"),
        ("openai-chat", Up::Chat, "/proxy", "/proxy/v1/chat/completions"),
        ("openai-chat", Up::Chat, "/proxy/v1", "/proxy/v1/chat/completions"),
        ("openai-chat", Up::Chat, "/proxy/v1/", "/proxy/v1/chat/completions"),
        ("openai-responses", Up::Responses, "/v1", "/v1/responses"),
        ("anthropic", Up::Anthropic, "", "/v1/messages"),
        ("anthropic", Up::Anthropic, "/v1", "/v1/messages"),
        ("ollama", Up::Ollama, "", "/api/chat"),
        ("ollama", Up::Ollama, "/api", "/api/chat"),
        ("gemini", Up::Gemini, "", "/v1beta/models/a-model:generateContent"),
        ("gemini", Up::Gemini, "/v1beta", "/v1beta/models/a-model:generateContent"),
        ("groq", Up::Chat, "", "/openai/v1/chat/completions"),
        ("groq", Up::Chat, "/openai", "/openai/v1/chat/completions"),
        ("groq", Up::Chat, "/openai/v1", "/openai/v1/chat/completions"),
        ("openrouter", Up::Chat, "/api/v1", "/api/v1/chat/completions"),
        ("deepseek", Up::Chat, "", "/chat/completions"),
    ];
    for (dialect, up, prefix, target) in cases {
        let upstream = told(up);
        let settings = format!("[upstreams.up]\nurl = \"{}{prefix}\"\ndialect = \"{dialect}\"\n", upstream.url());
        let gate = Bundled::serve(&[("tidegate.toml", &settings)]);
        let client = if up == Up::Gemini { Client::Completions } else { Client::Gemini };
        let said = gate.talk().post(client.path(false), &[], &client.body(false));
        assert_eq!((said.status, upstream.heard()[0].target()), (200, target), "{dialect} at {prefix:?}");
    }
}

#[test]
fn a_client_of_the_upstream_s_own_dialect_finds_it_too() {
    let cases = [
        ("openai", Up::Chat, Client::Chat, "/v1", "/v1/chat/completions"),
        ("openai", Up::Chat, Client::Chat, "", "/v1/chat/completions"),
        ("anthropic", Up::Anthropic, Client::Anthropic, "/v1", "/v1/messages?beta=true"),
        ("gemini", Up::Gemini, Client::Gemini, "/v1beta", "/v1beta/models/a-model:generateContent"),
        ("ollama", Up::Ollama, Client::Ollama, "/api", "/api/chat"),
        ("groq", Up::Chat, Client::Chat, "/openai/v1", "/openai/v1/chat/completions"),
        ("openai", Up::Chat, Client::Chat, "/proxy", "/proxy/v1/chat/completions"),
    ];
    for (dialect, up, client, prefix, target) in cases {
        let upstream = told(up);
        let settings = format!("[upstreams.up]\nurl = \"{}{prefix}\"\ndialect = \"{dialect}\"\n", upstream.url());
        let gate = Bundled::serve(&[("tidegate.toml", &settings)]);
        gate.talk().post(client.path(false), &[], &client.body(false));
        assert_eq!(upstream.heard()[0].target(), target, "{dialect} at {prefix:?}");
    }
}

#[test]
fn the_plan_s_model_reaches_body_and_path() {
    for up in UPS {
        let upstream = told(up);
        let lua = "return policy { api = 1, route = function() return { upstream = \"up\", model = \"planned/model:1\" } end }";
        let gate = gate_with(up.setting(), &upstream, lua);
        let client = if up == Up::Gemini { Client::Chat } else { Client::GeminiArray };
        let said = gate.talk().post(client.path(false), &[], &client.body(false));
        assert_eq!(said.status, 200, "{}", said.text());
        let heard = &upstream.heard()[0];
        if up == Up::Gemini {
            assert!(heard.target().ends_with("/models/planned%2Fmodel%3A1:generateContent"), "{}", heard.target());
        } else {
            assert_eq!(heard.json()["model"], "planned/model:1", "{up:?}");
        }
    }
}

#[test]
fn a_model_s_name_is_no_way_to_another_path() {
    let upstream = told(Up::Gemini);
    let gate = gate("gemini", &upstream, "");
    for name in ["../../v1/files", "..", "x?key=y", "a#b", "a b\\r\\nX-Evil: 1", "%2e%2e/x", "\\u00fc"] {
        let body = format!(r#"{{"model":"{name}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let said = gate.talk().post("/v1/chat/completions", &[], &body);
        let heard = upstream.heard();
        let heard = heard.last().unwrap();
        assert_eq!(said.status, 200, "{name}: {}", said.text());
        let step =
            heard.target().strip_prefix("/v1beta/models/").and_then(|rest| rest.strip_suffix(":generateContent"));
        let step = step.unwrap_or_else(|| panic!("{name}: {}", heard.target()));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.%=&".contains(&byte);
        assert!(step.bytes().all(plain), "{name}: {}", heard.target());
        assert!(heard.header("x-evil").is_none());
    }
}
