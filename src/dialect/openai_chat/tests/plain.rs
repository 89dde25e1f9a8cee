//! Recorded bodies without what is optional, so that only what differs in meaning is compared.

use serde_json::{Value, json};

/// What is optional taken out: nulls, empty fields, and names that mean the same.
fn plain(value: Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(map) => {
            let fields = map.into_iter().map(|(name, value)| {
                let name = if name == "reasoning" && value.is_string() { "reasoning_content".to_owned() } else { name };
                let name = if name == "max_tokens" { "max_completion_tokens".to_owned() } else { name };
                (name, plain(value))
            });
            Value::Object(fields.filter(|(_, value)| !empty(value)).collect())
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}

/// A request in the form that the codec writes: what it may write in two ways, in one of them.
pub(super) fn plain_request(mut body: Value) -> Value {
    let map = body.as_object_mut().unwrap();
    for name in ["stream", "stream_options"] {
        map.shift_remove(name);
    }
    if let Some(Value::String(stop)) = map.get("stop").cloned() {
        map.insert("stop".to_owned(), json!([stop]));
    }
    if map.get("tool_choice").is_some_and(|choice| choice == "any") {
        map.insert("tool_choice".to_owned(), "required".into());
    }
    if let Some(Value::Array(texts)) = map.get("prompt").cloned()
        && let [Value::String(text)] = texts.as_slice()
    {
        map.insert("prompt".to_owned(), text.clone().into());
    }
    if let Some(functions) = map.shift_remove("functions") {
        let tools = functions.as_array().unwrap().iter();
        let tools: Vec<Value> = tools.map(|function| json!({"type": "function", "function": function})).collect();
        map.insert("tools".to_owned(), tools.into());
        if let Some(choice) = map.shift_remove("function_call") {
            map.insert("tool_choice".to_owned(), choice);
        }
    }
    let messages = map.get_mut("messages").and_then(Value::as_array_mut);
    messages.into_iter().flatten().enumerate().for_each(|(at, message)| plain_message(at, message));
    plain(body)
}

/// A message in the form that the codec writes: what it may write in two ways, in one of them.
fn plain_message(at: usize, message: &mut Value) {
    let role = message["role"].clone();
    for (n, call) in message["tool_calls"].as_array_mut().into_iter().flatten().enumerate() {
        if call["id"].is_null() {
            call["id"] = format!("call_{at}_{n}").into();
        }
    }
    if role == "tool" && message["tool_call_id"].is_null() {
        message["tool_call_id"] = format!("call_{}_0", at - 1).into();
    }
    let message = message.as_object_mut().unwrap();
    if message.get("reasoning_details").is_some() {
        message.shift_remove("reasoning_content");
    }
    let cache = message.shift_remove("cache_control");
    if let Some(cache) = cache {
        if role == "tool" {
            message.insert("cache_control".to_owned(), cache);
        } else if let Some(Value::String(text)) = message.get("content").cloned() {
            let part = json!({"type": "text", "text": text, "cache_control": cache});
            message.insert("content".to_owned(), json!([part]));
        }
    }
    let Some(Value::Array(parts)) = message.get_mut("content") else {
        if message.get("content").is_some_and(|content| content == "") {
            message.shift_remove("content");
        }
        return;
    };
    for part in parts.iter_mut().filter(|part| part["image_url"].is_string()) {
        part["image_url"] = json!({"url": part["image_url"]});
    }
    let thoughts: Vec<Value> = parts.extract_if(.., |part| part["type"] == "thinking").collect();
    let sole = match parts.as_slice() {
        [part] if part["type"] == "text" && part.as_object().unwrap().len() == 2 => Some(part["text"].clone()),
        _ => None,
    };
    if let Some(text) = sole {
        message.insert("content".to_owned(), text);
    }
    for thought in thoughts {
        message.insert("reasoning_content".to_owned(), thought["thinking"][0]["text"].clone());
    }
}

/// An answer in the form that the codec writes.
pub(super) fn plain_answer(mut body: Value) -> Value {
    body["object"] = Value::Null;
    if let Some(created) = body["created"].as_str() {
        body["created"] = created.parse::<i64>().unwrap().into();
    }
    for choice in body["choices"].as_array_mut().unwrap() {
        if choice["message"]["function_call"]["name"] == "" {
            choice["message"]["function_call"] = Value::Null;
        }
        let called = ["tool_calls", "function_call"].iter().any(|name| {
            let call = &choice["message"][name];
            !call.is_null() && *call != json!([])
        });
        let eos = ["eos", "", "null"].contains(&choice["finish_reason"].as_str().unwrap_or("null"));
        if eos || choice["finish_reason"] == "stop" {
            choice["finish_reason"] = if called { "tool_calls".into() } else { "stop".into() };
        }
        let choice = choice.as_object_mut().unwrap();
        choice.shift_remove("delta");
        choice.entry("index").or_insert_with(|| 0.into());
        if choice.get("logprobs").is_some_and(|value| value.get("content").is_some_and(Value::is_null)) {
            choice.shift_remove("logprobs");
        }
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else { continue };
        if let Some(Value::Array(parts)) = message.get("content").cloned() {
            let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            let thoughts = parts.iter().filter_map(|part| part["thinking"][0]["text"].as_str()).collect::<String>();
            message.insert("content".to_owned(), text.into());
            message.insert("reasoning_content".to_owned(), thoughts.into());
        }
        for name in ["content", "reasoning_content", "reasoning", "refusal"] {
            if message.get(name).is_some_and(|text| text == "") {
                message.shift_remove(name);
            }
        }
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            let call = call.as_object_mut().unwrap();
            call.shift_remove("index");
            if call.contains_key("function") {
                call.shift_remove("custom");
            }
        }
        if message.get("reasoning_details").and_then(Value::as_array).is_some_and(|details| !details.is_empty()) {
            message.shift_remove("reasoning");
            message.shift_remove("reasoning_content");
        }
    }
    if let Some(cached) = body.pointer("/usage/prompt_cache_hit_tokens").cloned() {
        body["usage"]["prompt_tokens_details"]["cached_tokens"] = cached;
    }
    if let Some(written) = body.pointer("/usage/cache_creation_input_tokens").cloned() {
        body["usage"]["prompt_tokens_details"]["cache_write_tokens"] = written;
    }
    plain(body)
}
