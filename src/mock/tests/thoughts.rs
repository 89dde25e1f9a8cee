//! What the model thought is shown when each dialect's client asks for it.

use serde_json::json;

use super::*;

const THOUGHT: &str = "The user said: hi";

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

async fn stream(path: &str, body: &str) -> Vec<Value> {
    ask_once(path, body).await.events()
}

#[tokio::test]
async fn chat_shows_those_of_a_model_that_reasons() {
    let body = r#"{"model":"mock-reason","messages":[{"role":"user","content":"hi"}],"stream":false}"#;
    let plain = ask_once("/v1/chat/completions", body).await.json();
    assert_eq!(plain["choices"][0]["message"]["reasoning_content"], THOUGHT);
    assert_eq!(plain["usage"]["completion_tokens"], 7);
    assert_eq!(plain["usage"]["completion_tokens_details"]["reasoning_tokens"], 4);
    let streamed = stream("/v1/chat/completions", &body.replace("false", "true")).await;
    assert_eq!(joined(&streamed, "/choices/0/delta/reasoning_content"), THOUGHT);
}

#[tokio::test]
async fn messages_sign_them() {
    let body = r#"{"model":"any","messages":[{"role":"user","content":"hi"}],"thinking":{"type":"enabled","budget_tokens":1024},"stream":false}"#;
    let plain = ask_once("/v1/messages", body).await.json();
    assert_eq!((&plain["content"][0]["type"], &plain["content"][0]["thinking"]), (&json!("thinking"), &json!(THOUGHT)));
    assert_eq!((&plain["content"][1]["type"], &plain["usage"]["output_tokens"]), (&json!("text"), &json!(7)));
    let streamed = stream("/v1/messages", &body.replace("false", "true")).await;
    assert_eq!(joined(&streamed, "/delta/thinking"), THOUGHT);
    assert!(joined(&streamed, "/delta/signature").len() > 20);
    let starts: Vec<_> = streamed.iter().filter_map(|event| event.pointer("/content_block/type")?.as_str()).collect();
    assert_eq!(starts, ["thinking", "text"]);
}

#[tokio::test]
async fn responses_seal_them_when_asked() {
    let body = r#"{"model":"any","input":"hi","include":["reasoning.encrypted_content"],"stream":false}"#;
    let plain = ask_once("/v1/responses", body).await.json();
    assert_eq!(plain["output"][0]["summary"][0]["text"], THOUGHT);
    assert!(plain["output"][0]["encrypted_content"].as_str().unwrap().len() > 20);
    assert_eq!(plain["output"][1]["type"], "message");
    let effort = body.replace(r#""include":["reasoning.encrypted_content"]"#, r#""reasoning":{"effort":"low"}"#);
    let plain = ask_once("/v1/responses", &effort).await.json();
    assert_eq!((plain["output"][0].get("encrypted_content"), &plain["output"][0]["type"]), (None, &json!("reasoning")));
    let answer = ask_once("/v1/responses", &effort.replace("false", "true")).await;
    let added = answer.names().iter().filter(|name| *name == "response.output_item.added").count();
    assert_eq!(added, 2);
    let deltas = answer.events().into_iter().filter(|event| event["type"] == "response.reasoning_summary_text.delta");
    assert_eq!(joined(&deltas.collect::<Vec<_>>(), "/delta"), THOUGHT);
}

#[tokio::test]
async fn gemini_marks_them_and_seals_what_follows() {
    let body =
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}"#;
    let plain = ask_once("/v1beta/models/any:generateContent", body).await.json();
    let parts = &plain["candidates"][0]["content"]["parts"];
    assert_eq!((&parts[0]["thought"], &parts[0]["text"]), (&json!(true), &json!(THOUGHT)));
    assert!(parts[0].get("thoughtSignature").is_none() && parts[1]["thoughtSignature"].is_string());
    let usage = &plain["usageMetadata"];
    assert_eq!((&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]), (&json!(3), &json!(4)));
    let snakes = body.replace("thinkingConfig", "thinking_config").replace("includeThoughts", "include_thoughts");
    let other = ask_once("/v1beta/models/any:generateContent", &snakes).await.json();
    assert_eq!(other["candidates"][0]["content"]["parts"][0], parts[0]);
    let streamed = stream("/v1beta/models/any:streamGenerateContent?alt=sse", body).await;
    let seals =
        streamed.iter().filter(|event| event.pointer("/candidates/0/content/parts/0/thoughtSignature").is_some());
    assert_eq!(seals.count(), 1);
}

#[tokio::test]
async fn ollama_keeps_them_apart() {
    let body =
        r#"{"model":"any","messages":[{"role":"user","content":"hi"}],"prompt":"hi","think":true,"stream":false}"#;
    for (path, pointer) in [("/api/chat", "/message/thinking"), ("/api/generate", "/thinking")] {
        assert_eq!(ask_once(path, body).await.json().pointer(pointer), Some(&json!(THOUGHT)));
        let streamed = stream(path, &body.replace(r#""stream":false"#, r#""stream":true"#)).await;
        assert_eq!(joined(&streamed, pointer), THOUGHT);
        let unasked = ask_once(path, &body.replace(r#""think":true"#, r#""think":false"#)).await.json();
        assert_eq!(unasked.pointer(pointer), None);
    }
}
