//! Operations besides chats: lists of models, counts of tokens, embeddings, and what clients ask of an Ollama.

use serde_json::{Value, json};

use super::gate;
use super::upstreams::{UPS, Up};
use crate::support::service::{Service, answer, json as json_answer, say};
use crate::support::talk::{Said, Talk};

/// An upstream's list of two models.
fn list(up: Up) -> String {
    let list = match up {
        Up::Chat | Up::Responses => json!({"object": "list", "data": [
            {"id": "one", "object": "model", "created": 1_700_000_000, "owned_by": "us"},
            {"id": "two", "object": "model", "created": 1_700_000_001, "owned_by": "us"}]}),
        Up::Anthropic => json!({"data": [
            {"type": "model", "id": "one", "display_name": "One", "created_at": "2025-01-02T03:04:05Z"},
            {"type": "model", "id": "two", "display_name": "Two", "created_at": "2025-01-02T03:04:05Z"}],
            "has_more": false, "first_id": "one", "last_id": "two"}),
        Up::Ollama => json!({"models": [
            {"name": "one", "model": "one", "modified_at": "2025-01-02T03:04:05.678+02:00", "size": 7, "digest": "abc",
             "details": {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8B", "quantization_level": "Q4_K_M"}},
            {"name": "two", "model": "two", "modified_at": "2025-01-02T03:04:05.678+02:00", "size": 7, "digest": "abd", "details": {}}]}),
        Up::Gemini => json!({"models": [
            {"name": "models/one", "version": "1", "displayName": "One", "inputTokenLimit": 100, "outputTokenLimit": 10, "supportedGenerationMethods": ["generateContent"]},
            {"name": "models/two", "version": "1", "displayName": "Two", "supportedGenerationMethods": ["generateContent"]}]}),
    };
    list.to_string()
}

/// A client's path, its headers, where the list stands in the answer, and the names in it.
type List = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

/// Where each kind of client lists models, with which header, and where names stand in the answer.
const LISTS: [List; 4] = [
    ("/v1/models", &[], "/data", "id"),
    ("/v1/models?limit=20", &[("anthropic-version", "2023-06-01")], "/data", "id"),
    ("/api/tags", &[], "/models", "name"),
    ("/v1beta/models?pageSize=5", &[], "/models", "name"),
];

#[test]
fn every_client_lists_the_models_of_every_upstream() {
    for up in UPS {
        let upstream = Service::start(move |heard, out| {
            // An Ollama has a list in OpenAI's words too.
            let words = if up == Up::Ollama && heard.target() == "/v1/models" { Up::Chat } else { up };
            say(out, json_answer(&list(words)))
        });
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        for (path, headers, place, name) in LISTS {
            let said = talk.get(path, headers);
            let body = said.json();
            let names: Vec<_> = body
                .pointer(place)
                .unwrap_or_else(|| panic!("{path} of {up:?}: {body}"))
                .as_array()
                .unwrap()
                .iter()
                .map(|model| model[name].as_str().unwrap())
                .collect();
            let expected = if path.starts_with("/v1beta") { ["models/one", "models/two"] } else { ["one", "two"] };
            assert_eq!(names, expected, "{path} of {up:?}: {body}");
            if !headers.is_empty() {
                assert_eq!(
                    (&body["data"][0]["type"], &body["has_more"]),
                    (&json!("model"), &json!(false)),
                    "{up:?}: {body}"
                );
                assert!(body["data"][0]["created_at"].is_string() && body["last_id"] == "two", "{up:?}: {body}");
            } else if path == "/v1/models" {
                assert_eq!(
                    (&body["object"], &body["data"][0]["object"]),
                    (&json!("list"), &json!("model")),
                    "{up:?}: {body}"
                );
            }
            let heard = upstream.heard();
            let heard = heard.last().unwrap();
            let expected = match up {
                Up::Chat | Up::Responses | Up::Anthropic => "/v1/models",
                Up::Ollama if path.starts_with("/v1/models") && headers.is_empty() => "/v1/models",
                Up::Ollama => "/api/tags",
                Up::Gemini => "/v1beta/models",
            };
            assert_eq!(heard.target().split('?').next(), Some(expected), "{path} of {up:?}");
            assert!(heard.head.starts_with("GET ") && heard.body.is_empty(), "{}", heard.head);
        }
    }
}

#[test]
fn a_list_that_is_refused_or_garbage_is_told_in_the_client_s_shape() {
    let refusal = answer(
        401,
        &[("Content-Type", "application/json")],
        r#"{"error":{"message":"Incorrect API key provided","type":"x","code":"invalid_api_key"}}"#,
    );
    for (said_by, status) in [(refusal, 401), (json_answer("hello"), 502), (json_answer("{}"), 502)] {
        let upstream = Service::saying(said_by);
        let gate = gate("openai", &upstream, "");
        let mut talk = gate.talk();
        let tags = talk.get("/api/tags", &[]);
        assert_eq!((tags.status, tags.json()["error"].is_string()), (status, true), "{}", tags.text());
        let gemini = talk.get("/v1beta/models", &[]);
        assert_eq!((gemini.status, &gemini.json()["error"]["code"]), (status, &json!(status)), "{}", gemini.text());
        let anthropic = talk.get("/v1/models", &[("anthropic-version", "2023-06-01")]);
        assert_eq!((anthropic.status, &anthropic.json()["type"]), (status, &json!("error")), "{}", anthropic.text());
    }
}

#[test]
fn clients_of_ollama_find_what_they_ask_for() {
    for up in UPS.into_iter().filter(|up| *up != Up::Ollama) {
        let upstream = Service::saying(json_answer(&list(up)));
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        let version = talk.get("/api/version", &[]).json();
        assert!(version["version"].as_str().is_some_and(|version| version.split('.').count() == 3), "{version}");
        assert_eq!(talk.get("/api/ps", &[]).json(), json!({"models": []}));
        assert_eq!(upstream.count(), 0, "these concern the gate alone");
        for body in [r#"{"model":"one"}"#, r#"{"name":"one:latest"}"#] {
            let show = talk.post("/api/show", &[], body);
            assert_eq!(show.status, 200, "{up:?}: {}", show.text());
            let show = show.json();
            assert!(
                show["model_info"].is_object() && show["capabilities"].is_array() && show["details"].is_object(),
                "{show}"
            );
        }
        let unknown = talk.post("/api/show", &[], r#"{"model":"three"}"#);
        assert_eq!((unknown.status, unknown.json()["error"].is_string()), (404, true), "{}", unknown.text());
        let one = talk.get("/v1beta/models/two", &[]);
        if up != Up::Gemini {
            assert_eq!((one.status, &one.json()["name"]), (200, &json!("models/two")), "{up:?}: {}", one.text());
        }
    }
}

#[test]
fn tokens_are_counted_where_the_upstream_cannot() {
    let words = "word ".repeat(100);
    let anthropic = json!({"model": "m", "messages": [{"role": "user", "content": words}]}).to_string();
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": words}]}]}).to_string();
    for up in UPS {
        let upstream = Service::saying(json_answer(r#"{"input_tokens":7,"totalTokens":7}"#));
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        let counted = talk.post("/v1/messages/count_tokens", &[("anthropic-version", "2023-06-01")], &anthropic).json()
            ["input_tokens"]
            .as_u64()
            .unwrap();
        assert_eq!(counted == 7, up == Up::Anthropic, "{up:?}: {counted}");
        assert!(up == Up::Anthropic || (90..140).contains(&counted), "{up:?}: {counted}");
        let counted = talk.post("/v1beta/models/g:countTokens", &[], &gemini).json()["totalTokens"].as_u64().unwrap();
        assert_eq!(counted == 7, up == Up::Gemini, "{up:?}: {counted}");
        assert!(up == Up::Gemini || (90..140).contains(&counted), "{up:?}: {counted}");
        let bad = talk.post("/v1/messages/count_tokens", &[], "{");
        assert_eq!(bad.status == 400, up != Up::Anthropic, "{up:?}: {}", bad.text());
    }
}

/// An upstream with embeddings of its dialect: a text of n letters becomes `[n, 0.5]`.
fn embedding(up: Up) -> Service {
    Service::start(move |heard, out| {
        let body = heard.json();
        let vector = |text: &Value| json!([text.as_str().unwrap().len(), 0.5]);
        let many = |input: &Value| match input {
            Value::Array(list) => list.iter().map(vector).collect::<Vec<_>>(),
            text => vec![vector(text)],
        };
        let said = match up {
            _ if heard.target() == "/v1/embeddings" => {
                let data = many(&body["input"])
                    .into_iter()
                    .enumerate()
                    .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}));
                json!({"object": "list", "model": "e", "data": data.collect::<Vec<_>>(), "usage": {"prompt_tokens": 9, "total_tokens": 9}})
            }
            Up::Chat | Up::Responses | Up::Anthropic => panic!("{}", heard.target()),
            Up::Ollama => {
                json!({"model": "e", "embeddings": many(&body["input"]), "prompt_eval_count": 9, "total_duration": 5})
            }
            Up::Gemini => {
                let text = |request: &Value| vector(&request["content"]["parts"][0]["text"]);
                if heard.target().contains("batchEmbedContents") {
                    let all =
                        body["requests"].as_array().unwrap().iter().map(|request| json!({"values": text(request)}));
                    json!({"embeddings": all.collect::<Vec<_>>()})
                } else {
                    json!({"embedding": {"values": text(&body)}})
                }
            }
        };
        say(out, json_answer(&said.to_string()))
    })
}

fn embed(talk: &mut Talk, path: &str, body: &Value) -> Said {
    let said = talk.post(path, &[], &body.to_string());
    assert_eq!(said.status, 200, "{path}: {}", said.text());
    said
}

#[test]
fn every_client_embeds_with_every_upstream_that_can() {
    let values = json!([[3, 0.5], [5, 0.5]]);
    for up in [Up::Chat, Up::Ollama, Up::Gemini] {
        let upstream = embedding(up);
        let name = if up == Up::Chat { "openai" } else { up.setting() };
        let gate = gate(name, &upstream, "");
        let mut talk = gate.talk();
        let openai = embed(&mut talk, "/v1/embeddings", &json!({"model": "e", "input": ["abc", "defgh"]})).json();
        let list: Vec<_> = openai["data"].as_array().unwrap().iter().map(|entry| entry["embedding"].clone()).collect();
        assert_eq!(Value::Array(list), values, "{up:?}: {openai}");
        let ollama = embed(&mut talk, "/api/embed", &json!({"model": "e", "input": ["abc", "defgh"]})).json();
        assert_eq!(ollama["embeddings"], values, "{up:?}: {ollama}");
        let one = embed(&mut talk, "/api/embed", &json!({"model": "e", "input": "abc"})).json();
        assert_eq!(one["embeddings"], json!([[3, 0.5]]), "{up:?}: {one}");
        if up != Up::Ollama {
            let old = embed(&mut talk, "/api/embeddings", &json!({"model": "e", "prompt": "abc"})).json();
            assert_eq!(old, json!({"embedding": [3, 0.5]}), "{up:?}");
        }
        let content = |text: &str| json!({"model": "models/e", "content": {"parts": [{"text": text}]}});
        let single = embed(&mut talk, "/v1beta/models/e:embedContent", &content("abc")).json();
        assert_eq!(single["embedding"]["values"], json!([3, 0.5]), "{up:?}: {single}");
        let batch = json!({"requests": [content("abc"), content("defgh")]});
        let batch = embed(&mut talk, "/v1beta/models/e:batchEmbedContents", &batch).json();
        let list: Vec<_> =
            batch["embeddings"].as_array().unwrap().iter().map(|entry| entry["values"].clone()).collect();
        assert_eq!(Value::Array(list), values, "{up:?}: {batch}");
    }
}

#[test]
fn an_upstream_without_embeddings_says_so_in_the_client_s_shape() {
    let upstream = embedding(Up::Anthropic);
    let gate = gate("anthropic", &upstream, "");
    let said = gate.talk().post("/v1/embeddings", &[], r#"{"model":"e","input":"a"}"#);
    assert_eq!((said.status, &said.json()["error"]["code"]), (400, &json!("unsupported")), "{}", said.text());
    let said = gate.talk().post("/api/embed", &[], r#"{"model":"e","input":"a"}"#);
    assert_eq!((said.status, said.json()["error"].is_string()), (400, true), "{}", said.text());
    assert_eq!(upstream.count(), 0);
}
