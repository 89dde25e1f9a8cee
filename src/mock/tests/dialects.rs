//! Each dialect has the form that its clients read.

use serde_json::{Value, json};

use super::*;

const HELLO: &str = r#""messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"hello "},{"type":"text","text":"there"}]}]"#;
const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"tide","parameters":{"type":"object","properties":{"place":{"type":"string"},"days":{"type":"integer"}}}}}]"#;

fn contents(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[tokio::test]
async fn chat_answers_what_the_user_said_last() {
    let answer = ask_once("/v1/chat/completions", &format!(r#"{{"model":"any","n":1,{HELLO}}}"#)).await;
    let body = answer.json();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer.head, "x-mock"), Some("m1"));
    assert_eq!(body["choices"][0]["message"]["content"], "You said: hello there");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!((&body["model"], &body["created"]), (&json!("any"), &json!(1_700_000_000)));
    assert_eq!(body["usage"]["completion_tokens"], 4);
}

#[tokio::test]
async fn a_chat_stream_has_role_words_finish_usage_and_done() {
    let body = format!(r#"{{"model":"any","stream":true,"stream_options":{{"include_usage":true}},{HELLO}}}"#);
    let answer = ask_once("/v1/chat/completions", &body).await;
    let events = answer.events();
    assert_eq!(header(&answer.head, "content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(contents(&events, "/choices/0/delta/content"), "You said: hello there");
    assert_eq!(events[5]["choices"][0]["finish_reason"], "stop");
    assert!(events[..6].iter().all(|event| event.get("usage") == Some(&Value::Null)));
    assert_eq!((&events[6]["choices"], &events[6]["usage"]["completion_tokens"]), (&json!([]), &json!(4)));
    assert_eq!(events.len(), 7);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_chat_stream_without_the_wish_has_no_usage() {
    let answer = ask_once("/v1/chat/completions", &format!(r#"{{"model":"any","stream":true,{HELLO}}}"#)).await;
    assert!(!answer.text().contains("usage"));
}

#[tokio::test]
async fn chat_calls_a_tool_when_asked_or_required() {
    let address = start().await;
    let chat = |rest: String| post("/v1/chat/completions", "", &format!(r#"{{"model":"any",{TOOLS},{rest}}}"#));
    let asked = chat(r#""messages":[{"role":"user","content":"use a tool"}]"#.to_owned());
    let call = &ask(address, &asked).await.json()["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "tide");
    assert_eq!(call["function"]["arguments"], r#"{"place":"mock","days":7}"#);
    let required = ask(address, &chat(format!(r#""tool_choice":"required",{HELLO}"#))).await.json();
    assert_eq!(required["choices"][0]["finish_reason"], "tool_calls");
    for rest in [
        HELLO.to_owned(),
        r#""tool_choice":"none","messages":[{"role":"user","content":"a tool"}]"#.to_owned(),
        r#""messages":[{"role":"user","content":"a tool"},{"role":"tool","content":"2 m"}]"#.to_owned(),
    ] {
        let plain = ask(address, &chat(rest)).await.json();
        assert_eq!(plain["choices"][0]["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn a_chat_stream_sends_arguments_in_fragments() {
    let body = format!(r#"{{"model":"any","stream":true,{TOOLS},"tool_choice":"required",{HELLO}}}"#);
    let events = ask_once("/v1/chat/completions", &body).await.events();
    let arguments = "/choices/0/delta/tool_calls/0/function/arguments";
    assert_eq!(events[1].pointer(arguments), Some(&json!("")));
    assert_eq!(contents(&events, arguments), r#"{"place":"mock","days":7}"#);
    assert!(events.len() > 4);
    assert_eq!(events[events.len() - 1]["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn completions_answer_each_prompt() {
    let address = start().await;
    let body = r#"{"model":"any","prompt":["a","b"]}"#;
    let plain = ask(address, &post("/v1/completions", "", body)).await.json();
    assert_eq!(plain["choices"][1]["text"], "You said: b");
    assert_eq!(plain["choices"][1]["index"], 1);
    let body = r#"{"model":"any","prompt":"a b","stream":true}"#;
    let streamed = ask(address, &post("/v1/completions", "", body)).await;
    assert_eq!(contents(&streamed.events(), "/choices/0/text"), "You said: a b");
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn responses_answer_texts_and_items() {
    let address = start().await;
    for input in [r#""hi""#, r#"[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]"#] {
        let body = format!(r#"{{"model":"any","input":{input}}}"#);
        let body = ask(address, &post("/v1/responses", "", &body)).await.json();
        assert_eq!(body["output"][0]["content"][0]["text"], "You said: hi");
        assert_eq!((&body["status"], &body["usage"]["output_tokens"]), (&json!("completed"), &json!(3)));
    }
}

#[tokio::test]
async fn a_responses_stream_is_numbered_and_ends_with_the_whole_response() {
    let answer = ask_once("/v1/responses", r#"{"model":"any","input":"hi","stream":true}"#).await;
    let (names, events) = (answer.names(), answer.events());
    let expected = "created in_progress output_item.added content_part.added output_text.delta output_text.delta \
        output_text.delta output_text.done content_part.done output_item.done completed";
    assert_eq!(names, expected.split(' ').map(|name| format!("response.{name}")).collect::<Vec<_>>());
    for (number, (event, name)) in events.iter().zip(&names).enumerate() {
        assert_eq!((&event["sequence_number"], &event["type"]), (&json!(number), &json!(name)));
    }
    assert_eq!(contents(&events, "/delta"), "You said: hi");
    assert_eq!(events[10]["response"]["output"][0]["content"][0]["text"], "You said: hi");
}

#[tokio::test]
async fn a_responses_stream_calls_tools() {
    let body = r#"{"model":"any","input":"a tool","stream":true,"tools":[{"type":"function","name":"tide","parameters":{"properties":{"place":{"enum":["pier"]}}}}]}"#;
    let events = ask_once("/v1/responses", body).await.events();
    assert_eq!(contents(&events, "/delta"), r#"{"place":"pier"}"#);
    let last = &events[events.len() - 1]["response"]["output"][0];
    assert_eq!((&last["type"], &last["name"]), (&json!("function_call"), &json!("tide")));
}

#[tokio::test]
async fn embeddings_depend_on_the_text_alone() {
    let address = start().await;
    let embed = |body: &str| post("/v1/embeddings", "", body);
    let two = ask(address, &embed(r#"{"model":"m","input":["a","b"],"dimensions":4}"#)).await.json();
    let one = ask(address, &embed(r#"{"model":"other","input":"b","dimensions":4}"#)).await.json();
    assert_eq!(two["data"][1]["embedding"], one["data"][0]["embedding"]);
    assert_ne!(two["data"][0]["embedding"], two["data"][1]["embedding"]);
    assert_eq!(two["data"][1]["embedding"].as_array().unwrap().len(), 4);
    let tokens = ask(address, &embed(r#"{"model":"m","input":[1,2,3]}"#)).await.json();
    assert_eq!(tokens["data"].as_array().unwrap().len(), 1);
    let coded = ask(address, &embed(r#"{"model":"m","input":"a","encoding_format":"base64"}"#)).await.json();
    assert_eq!(coded["data"][0]["embedding"].as_str().unwrap().len(), 88);
}

#[tokio::test]
async fn messages_answer_what_the_user_said_last() {
    let body = ask_once("/v1/messages?beta=true", &format!(r#"{{"model":"any","max_tokens":9,{HELLO}}}"#)).await.json();
    assert_eq!(body["content"][0]["text"], "You said: hello there");
    assert_eq!((&body["stop_reason"], &body["usage"]["output_tokens"]), (&json!("end_turn"), &json!(4)));
}

#[tokio::test]
async fn a_messages_stream_has_the_events_of_the_real_one() {
    let answer = ask_once("/v1/messages", &format!(r#"{{"model":"any","stream":true,{HELLO}}}"#)).await;
    let expected = "message_start content_block_start ping content_block_delta content_block_delta \
        content_block_delta content_block_delta content_block_stop message_delta message_stop";
    assert_eq!(answer.names(), expected.split(' ').collect::<Vec<_>>());
    assert_eq!(contents(&answer.events(), "/delta/text"), "You said: hello there");
    assert_eq!(answer.events()[8]["usage"]["output_tokens"], 4);
    assert!(answer.text().contains("data: {\"type\": \"ping\"}\n\n"));
}

#[tokio::test]
async fn messages_call_tools_with_and_without_arguments() {
    let address = start().await;
    let body = |schema: &str, rest: &str| {
        let tools = format!(r#""tools":[{{"type":"web_search"}},{{"name":"tide","input_schema":{schema}}}]"#);
        post("/v1/messages", "", &format!(r#"{{"model":"any",{tools},"tool_choice":{{"type":"any"}},{rest}{HELLO}}}"#))
    };
    let schema = r#"{"properties":{"place":{}}}"#;
    let plain = ask(address, &body(schema, "")).await.json();
    assert_eq!(plain["content"][0]["input"], json!({"place": "mock"}));
    let streamed = ask(address, &body(schema, r#""stream":true,"#)).await.events();
    assert_eq!(contents(&streamed, "/delta/partial_json"), r#"{"place":"mock"}"#);
    assert_eq!(streamed[3]["delta"]["partial_json"], "");
    let empty = ask(address, &body("{}", r#""stream":true,"#)).await.events();
    assert_eq!(empty.iter().filter(|event| event["delta"]["type"] == "input_json_delta").count(), 1);
}

#[tokio::test]
async fn an_ollama_chat_streams_lines_unless_told_otherwise() {
    let address = start().await;
    let streamed = ask(address, &post("/api/chat", "", &format!(r#"{{"model":"any",{HELLO}}}"#))).await;
    let events = streamed.events();
    assert_eq!(header(&streamed.head, "content-type"), Some("application/x-ndjson"));
    assert_eq!(contents(&events, "/message/content"), "You said: hello there");
    assert!(events[..4].iter().all(|event| event["done"] == false));
    assert_eq!((&events[4]["done"], &events[4]["eval_count"]), (&json!(true), &json!(4)));
    let plain = post("/api/chat", "", &format!(r#"{{"model":"any","stream":false,{HELLO}}}"#));
    let plain = ask(address, &plain).await.json();
    assert_eq!((&plain["done"], &plain["message"]["content"]), (&json!(true), &json!("You said: hello there")));
}

#[tokio::test]
async fn an_ollama_tool_call_is_an_object_and_a_plain_stop() {
    let body = format!(r#"{{"model":"any",{TOOLS},"messages":[{{"role":"user","content":"a tool"}}]}}"#);
    let events = ask_once("/api/chat", &body).await.events();
    let function = &events[0]["message"]["tool_calls"][0]["function"];
    assert_eq!(function["arguments"], json!({"place": "mock", "days": 7}));
    assert_eq!(events[1]["done_reason"], "stop");
}

#[tokio::test]
async fn ollama_generates_and_embeds() {
    let address = start().await;
    let generated = ask(address, &post("/api/generate", "", r#"{"model":"any","prompt":"hi"}"#)).await.events();
    assert_eq!(contents(&generated, "/response"), "You said: hi");
    let new = ask(address, &post("/api/embed", "", r#"{"model":"any","input":["hi"]}"#)).await.json();
    let old = ask(address, &post("/api/embeddings", "", r#"{"model":"any","prompt":"hi"}"#)).await.json();
    assert_eq!(new["embeddings"][0], old["embedding"]);
    let shown = ask(address, &post("/api/show", "", r#"{"model":"any"}"#)).await.json();
    assert_eq!(shown["capabilities"], json!(["completion", "tools", "thinking", "vision"]));
}

#[tokio::test]
async fn lists_and_greetings_answer_get_and_head() {
    let address = start().await;
    for (path, pointer, value) in [
        ("/v1/models", "/data/0/id", "mock-small"),
        ("/api/v0/models", "/data/0/state", "loaded"),
        ("/v1/models/any", "/id", "any"),
        ("/v1beta/models", "/models/0/name", "models/mock-small"),
        ("/v1beta/models/any", "/displayName", "any"),
        ("/api/tags", "/models/0/name", "mock-small:latest"),
        ("/api/ps", "/models/0/details/format", "gguf"),
        ("/api/version", "/version", "0.0.0-mock"),
        ("/api/hello", "/message", "hello"),
    ] {
        let body = ask(address, &get(path)).await.json();
        assert_eq!(body.pointer(pointer), Some(&json!(value)), "{path}");
        let mut client = Client::connect(address).await;
        client.send(get(path).replace("GET", "HEAD")).await;
        client.send(get("/")).await;
        assert!(text(&client.until("\r\n\r\n").await).starts_with("HTTP/1.1 200 OK"));
        assert_eq!(client.answer().await.text(), "tidegate mock m1\n");
    }
}

#[tokio::test]
async fn models_are_listed_as_the_client_lists_them() {
    let request = get("/v1/models").replace("host: m", "host: m\r\nAnthropic-Version: 2023-06-01");
    let body = ask(start().await, &request).await.json();
    assert_eq!((&body["data"][1]["type"], &body["first_id"]), (&json!("model"), &json!("mock-small")));
    let gemini = ask(start().await, &request.replace("Anthropic-Version", "x-goog-api-key")).await.json();
    assert_eq!(gemini["models"][0]["name"], "models/mock-small");
}

#[tokio::test]
async fn count_tokens_counts() {
    let body = ask_once("/v1/messages/count_tokens", &format!(r#"{{"model":"any",{HELLO}}}"#)).await.json();
    assert!(body["input_tokens"].as_u64().unwrap() > 10);
}

#[tokio::test]
async fn each_dialect_refuses_in_its_own_shape() {
    let address = start().await;
    for (path, pointer) in [
        ("/v1/chat/completions", "/error/message"),
        ("/v1/completions", "/error/message"),
        ("/v1/responses", "/error/type"),
        ("/v1/embeddings", "/error/message"),
        ("/v1/messages", "/error/type"),
        ("/v1/messages/count_tokens", "/error/message"),
        ("/api/chat", "/error"),
        ("/api/generate", "/error"),
        ("/api/embed", "/error"),
        ("/v1beta/models/any:generateContent", "/error/status"),
        ("/v1beta/models/any:streamGenerateContent", "/error/message"),
        ("/v1beta/models/any:batchEmbedContents", "/error/message"),
    ] {
        for body in ["", "{", "[]", "{}", r#"{"model":5}"#, r#"{"model":""}"#] {
            let answer = ask(address, &post(path, "", body)).await;
            assert_eq!(answer.status(), 400, "{path} {body}");
            assert!(answer.json().pointer(pointer).is_some_and(Value::is_string), "{path} {body}");
        }
    }
    let lost = ask(address, &get("/v1/nothing")).await;
    assert_eq!((lost.status(), &lost.json()["error"]["code"]), (404, &json!("not_found")));
    let wrong = ask(address, &get("/v1/messages")).await;
    assert_eq!((wrong.status(), header(&wrong.head, "allow")), (405, Some("POST")));
}

#[tokio::test]
async fn equal_requests_get_equal_bytes() {
    let (first, second) = (start().await, start().await);
    for path in ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"] {
        let body = format!(r#"{{"model":"any","stream":true,"input":"hi",{HELLO}}}"#);
        let request = post(path, "", &body);
        let (one, two) = (ask(first, &request).await, ask(second, &request).await);
        assert_eq!((&one.head, &one.raw), (&two.head, &two.raw));
        let other = ask(first, &request.replace("any", "one")).await;
        assert_ne!(one.raw, other.raw);
    }
}

#[tokio::test]
async fn hostile_text_stays_json() {
    let said = "quotes \" and \\ and \u{7} and 🌊";
    let messages = json!({"model": "any \"x\"", "stream": true, "messages": [{"role": "user", "content": said}]});
    let events = ask_once("/v1/chat/completions", &messages.to_string()).await.events();
    assert_eq!(contents(&events, "/choices/0/delta/content"), format!("You said: {said}"));
    assert_eq!(events[0]["model"], "any \"x\"");
}
