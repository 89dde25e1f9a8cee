//! All dialects say the same when they are asked the same.

use serde_json::{Value, json};

use super::*;

const PATHS: [&str; 5] =
    ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/any:generateContent", "/api/chat"];

/// One answer, whatever its dialect.
#[derive(Debug, PartialEq)]
struct Told {
    text: String,
    /// Names and arguments.
    calls: Vec<(String, Value)>,
    /// In and out.
    tokens: (u64, u64),
    /// Whether a limit ended it.
    cut: bool,
}

/// A body that all dialects read: each has what the others have, in its own place.
fn body(text: &str, more: &Value) -> String {
    let schema = json!({"type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer"}}});
    let declared = |name: &str| json!({"name": name, "parameters": schema, "input_schema": schema});
    let mut body = json!({
        "model": "any", "stream": false,
        "messages": [{"role": "user", "content": text}],
        "input": text,
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "tools": [
            {"type": "function", "function": declared("tide"), "name": "tide", "input_schema": schema, "parameters": schema},
            declared("wind"),
        ],
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

fn at<'a>(body: &'a Value, pointer: &str) -> &'a Value {
    body.pointer(pointer).unwrap_or(&Value::Null)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn parsed(arguments: &Value) -> Value {
    arguments.as_str().map_or_else(|| arguments.clone(), |text| serde_json::from_str(text).unwrap())
}

fn calls<'a>(items: impl IntoIterator<Item = &'a Value>, name: &str, arguments: &str) -> Vec<(String, Value)> {
    let items = items.into_iter().filter(|item| at(item, name).is_string() && !at(item, arguments).is_null());
    items.map(|item| (at(item, name).as_str().unwrap().to_owned(), parsed(at(item, arguments)))).collect()
}

fn texts<'a>(items: impl IntoIterator<Item = &'a Value>) -> String {
    items.into_iter().filter_map(|item| at(item, "/text").as_str()).collect()
}

fn told(path: &str, body: &Value) -> Told {
    let (text, calls, input, output, end) = match path {
        "/v1/chat/completions" => {
            let message = at(body, "/choices/0/message");
            let calls = calls(list(&message["tool_calls"]), "/function/name", "/function/arguments");
            let text = message["content"].as_str().unwrap_or_default().to_owned();
            (text, calls, "/usage/prompt_tokens", "/usage/completion_tokens", "/choices/0/finish_reason")
        }
        "/v1/responses" => {
            let output = list(&body["output"]);
            let text = texts(output.iter().flat_map(|item| list(&item["content"])));
            (text, calls(output, "/name", "/arguments"), "/usage/input_tokens", "/usage/output_tokens", "/status")
        }
        "/v1/messages" => {
            let content = list(&body["content"]);
            let calls = calls(content, "/name", "/input");
            (texts(content), calls, "/usage/input_tokens", "/usage/output_tokens", "/stop_reason")
        }
        "/api/chat" => {
            let calls = calls(list(&body["message"]["tool_calls"]), "/function/name", "/function/arguments");
            let text = body["message"]["content"].as_str().unwrap().to_owned();
            (text, calls, "/prompt_eval_count", "/eval_count", "/done_reason")
        }
        _ => {
            let parts = list(at(body, "/candidates/0/content/parts"));
            let calls = calls(parts, "/functionCall/name", "/functionCall/args");
            let (input, output) = ("/usageMetadata/promptTokenCount", "/usageMetadata/candidatesTokenCount");
            (texts(parts), calls, input, output, "/candidates/0/finishReason")
        }
    };
    let end = at(body, end).as_str().unwrap();
    let cut = ["length", "incomplete", "max_tokens", "MAX_TOKENS"].contains(&end);
    Told { text, calls, tokens: (at(body, input).as_u64().unwrap(), at(body, output).as_u64().unwrap()), cut }
}

/// What all dialects tell alike.
async fn tell(text: &str, more: Value) -> Told {
    let address = start().await;
    let mut all = Vec::new();
    for path in PATHS {
        let answer = ask(address, &post(path, "", &body(text, &more))).await;
        assert_eq!(answer.status(), 200, "{path} {}", answer.text());
        all.push(told(path, &answer.json()));
    }
    for (path, other) in PATHS.iter().zip(&all) {
        assert_eq!(&all[0], other, "{path}");
    }
    all.remove(0)
}

fn call(name: &str) -> (String, Value) {
    (name.to_owned(), json!({"place": "mock", "days": 7}))
}

#[tokio::test]
async fn a_text() {
    let told = tell("hello there", json!({})).await;
    let text = "You said: hello there".to_owned();
    assert_eq!(told, Told { text, calls: vec![], tokens: (12, 4), cut: false });
}

#[tokio::test]
async fn a_call_of_the_first_tool_and_of_two_when_parallel() {
    assert_eq!(tell("use a tool", json!({})).await.calls, [call("tide")]);
    let told = tell("parallel please", json!({})).await;
    assert_eq!((told.text.as_str(), told.calls), ("", vec![call("tide"), call("wind")]));
}

#[tokio::test]
async fn a_limit_ends_the_text() {
    let limits = json!({
        "max_tokens": 3, "max_output_tokens": 3, "generationConfig": {"maxOutputTokens": 3},
        "options": {"num_predict": 3},
    });
    let told = tell("hello there", limits).await;
    assert_eq!((told.text.as_str(), told.tokens.1, told.cut), ("You said: hello", 3, true));
}

#[tokio::test]
async fn a_document_that_fits_the_schema() {
    let schema =
        json!({"type": "object", "properties": {"kind": {"enum": ["ebb", "flood"]}, "high": {"type": "boolean"}}});
    let asked = json!({
        "response_format": {"type": "json_schema", "json_schema": {"name": "tide", "schema": schema}},
        "text": {"format": {"type": "json_schema", "name": "tide", "schema": schema}},
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": schema},
        "format": schema,
    });
    assert_eq!(tell("hello", asked).await.text, r#"{"kind":"ebb","high":true}"#);
}

#[tokio::test]
async fn the_named_tool_is_called_and_a_result_is_quoted() {
    let address = start().await;
    let named = json!({"tool_choice": {"type": "function", "function": {"name": "wind"}}});
    let chat = ask(address, &post(PATHS[0], "", &body("hi", &named))).await.json();
    assert_eq!(told(PATHS[0], &chat).calls, [call("wind")]);
    let config = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["wind"]}});
    let gemini = ask(address, &post(PATHS[3], "", &body("hi", &json!({"toolConfig": config})))).await.json();
    assert_eq!(told(PATHS[3], &gemini).calls, [call("wind")]);
    let user = json!({"role": "user", "content": "use a tool"});
    let results = json!({"messages": [user, {"role": "tool", "content": "2 m"}, {"role": "tool", "content": "3 m"}]});
    for path in [PATHS[0], PATHS[4]] {
        let body = ask(address, &post(path, "", &body("", &results))).await.json();
        assert_eq!(told(path, &body).text, "The tool said: 2 m, 3 m");
    }
}

#[tokio::test]
async fn one_call_when_several_are_forbidden() {
    let one = json!({"parallel_tool_calls": false, "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    let address = start().await;
    for path in &PATHS[..3] {
        let body = ask(address, &post(path, "", &body("parallel", &one))).await.json();
        assert_eq!(told(path, &body).calls.len(), 1, "{path}");
    }
}

#[tokio::test]
async fn images_are_mentioned() {
    let parts = json!([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:,"}}]);
    let body = json!({"model": "any", "messages": [{"role": "user", "content": parts}]});
    let body = ask_once("/v1/chat/completions", &body.to_string()).await.json();
    assert_eq!(body["choices"][0]["message"]["content"], "You said: look (with 1 image)");
}

#[tokio::test]
async fn half_of_a_cached_models_input_is_from_a_cache() {
    let address = start().await;
    let cached = json!({"model": "cached"});
    let usage = async |path: &str| ask(address, &post(path, "", &body("a b", &cached))).await.json();
    let chat = usage(PATHS[0]).await;
    assert_eq!(at(&chat, "/usage/prompt_tokens_details/cached_tokens"), &json!(6));
    assert_eq!(at(&chat, "/usage/prompt_tokens"), &json!(12));
    let messages = usage(PATHS[2]).await;
    assert_eq!(at(&messages, "/usage/cache_read_input_tokens"), &json!(6));
    assert_eq!(at(&messages, "/usage/input_tokens"), &json!(6));
}

#[tokio::test]
async fn parallel_calls_stream_one_after_the_other() {
    let address = start().await;
    let streamed = json!({"stream": true});
    let chat = ask(address, &post(PATHS[0], "", &body("parallel", &streamed))).await.events();
    let heads = chat.iter().filter(|event| at(event, "/choices/0/delta/tool_calls/0/id").is_string());
    assert_eq!(heads.map(|event| at(event, "/choices/0/delta/tool_calls/0/index")).collect::<Vec<_>>(), [0, 1]);
    let messages = ask(address, &post(PATHS[2], "", &body("parallel", &streamed))).await.events();
    let starts = messages.iter().filter(|event| event["type"] == "content_block_start");
    let starts: Vec<_> = starts.map(|event| (&event["index"], &event["content_block"]["name"])).collect();
    assert_eq!(starts, [(&json!(0), &json!("tide")), (&json!(1), &json!("wind"))]);
    let responses = ask(address, &post(PATHS[1], "", &body("parallel", &streamed))).await.events();
    let calls = calls(list(at(&responses[responses.len() - 1], "/response/output")), "/name", "/arguments");
    assert_eq!(calls, [call("tide"), call("wind")]);
}

#[tokio::test]
async fn several_choices_come_in_turn() {
    let address = start().await;
    let plain = ask(address, &post(PATHS[0], "", &body("hi", &json!({"n": 2})))).await.json();
    assert_eq!((&plain["choices"][1]["index"], &plain["usage"]["completion_tokens"]), (&json!(1), &json!(6)));
    let streamed = ask(address, &post(PATHS[0], "", &body("hi", &json!({"n": 2, "stream": true})))).await.events();
    let indexes: Vec<_> = streamed.iter().map(|event| event["choices"][0]["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
}
