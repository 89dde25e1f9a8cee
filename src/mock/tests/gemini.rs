//! Gemini has the forms that Google's own clients read.

use serde_json::json;

use super::*;

const CONTENTS: &str = r#"{"contents":[{"parts":[{"text":"hello there"}]}]}"#;

#[tokio::test]
async fn an_answer_is_indented() {
    let answer = ask_once("/v1beta/models/any:generateContent", CONTENTS).await;
    let body = answer.json();
    assert!(answer.text().starts_with("{\n  \"candidates\": [\n"), "{}", answer.text());
    assert_eq!(body["candidates"][0]["content"]["parts"], json!([{"text": "You said: hello there"}]));
    assert_eq!(body["candidates"][0]["finishReason"], "STOP");
    for path in ["/v1/models/any", "/v1beta1/projects/p/locations/l/publishers/google/models/any"] {
        let other = ask_once(&format!("{path}:generateContent"), CONTENTS).await.json();
        assert_eq!(
            (&other["candidates"], &other["modelVersion"]),
            (&body["candidates"], &body["modelVersion"]),
            "{path}"
        );
    }
    assert_eq!((&body["modelVersion"], &body["usageMetadata"]["totalTokenCount"]), (&json!("any"), &json!(16)));
}

#[tokio::test]
async fn a_stream_has_events_that_end_with_cr_lf() {
    let answer = ask_once("/v1beta/models/any:streamGenerateContent?key=k&alt=sse", CONTENTS).await;
    let events = answer.events();
    assert_eq!(header(&answer.head, "content-type"), Some("text/event-stream"));
    assert!(answer.text().split("\r\n\r\n").filter(|event| !event.is_empty()).all(|event| !event.contains('\n')));
    let texts = events.iter().filter_map(|event| event.pointer("/candidates/0/content/parts/0/text")?.as_str());
    assert_eq!(texts.collect::<String>(), "You said: hello there");
    let reasons: Vec<_> = events.iter().map(|event| event["candidates"][0].get("finishReason").is_some()).collect();
    assert_eq!(reasons, [false, false, false, false, true]);
}

#[tokio::test]
async fn without_the_wish_a_stream_is_one_array() {
    let address = start().await;
    let path = "/v1beta/models/any:streamGenerateContent";
    let answer = ask(address, &post(path, "", CONTENTS)).await;
    assert_eq!(answer.json().as_array().unwrap().len(), 5);
    assert!(answer.text().starts_with("[{\n  \"") && answer.text().ends_with("\n]\n"), "{}", answer.text());
    let failed = ask(address, &post(path, "x-mock-fault: error-event=2\r\n", CONTENTS)).await.json();
    assert_eq!((failed.as_array().unwrap().len(), &failed[2]["error"]["code"]), (3, &json!(500)));
    let open = ask(address, &post(path, "x-mock-fault: no-done\r\n", CONTENTS)).await;
    assert!(!open.text().trim_end().ends_with(']'));
}

#[tokio::test]
async fn calls_have_no_ids_and_come_in_one_chunk() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"parallel"}]}],"tools":[{"functionDeclarations":[{"name":"tide","parameters":{"type":"OBJECT","properties":{"place":{"type":"STRING"}}}},{"name":"now"}]}]}"#;
    let parts = json!([
        {"functionCall": {"name": "tide", "args": {"place": "mock"}}}, {"functionCall": {"name": "now", "args": {}}},
    ]);
    let address = start().await;
    let plain = ask(address, &post("/v1beta/models/any:generateContent", "", body)).await.json();
    assert_eq!(plain["candidates"][0]["content"]["parts"], parts);
    let streamed = ask(address, &post("/v1beta/models/any:streamGenerateContent?alt=sse", "", body)).await.events();
    assert_eq!(streamed[0]["candidates"][0]["content"]["parts"], parts);
}

#[tokio::test]
async fn embeddings_are_those_of_other_dialects() {
    let address = start().await;
    let content = r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":4}"#;
    let one = ask(address, &post("/v1beta/models/any:embedContent", "", content)).await.json();
    let batch = format!(r#"{{"requests":[{content},{content}]}}"#);
    let batch = ask(address, &post("/v1beta/models/any:batchEmbedContents", "", &batch)).await.json();
    let openai = r#"{"model":"any","input":"a","dimensions":4}"#;
    let openai = ask(address, &post("/v1/embeddings", "", openai)).await.json();
    assert_eq!(one["embedding"]["values"], openai["data"][0]["embedding"]);
    assert_eq!(batch["embeddings"][1], one["embedding"]);
}

#[tokio::test]
async fn tokens_are_counted_as_they_are_told() {
    let address = start().await;
    let counted = ask(address, &post("/v1beta/models/any:countTokens", "", CONTENTS)).await.json();
    let within = format!(r#"{{"generateContentRequest":{CONTENTS}}}"#);
    let within = ask(address, &post("/v1beta/models/any:countTokens", "", &within)).await.json();
    assert_eq!((&counted["totalTokens"], &within), (&json!(12), &counted));
}
