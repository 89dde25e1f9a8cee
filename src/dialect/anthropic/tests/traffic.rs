//! Every recorded exchange of this dialect, through the codec and back.

use serde_json::{Map, Value, json};

use super::{digest, ids, pairs, read, read_in_pieces, sse, stamp, written};
use crate::dialect::anthropic::Anthropic;
use crate::dialect::codec::Codec;
use crate::dialect::event::EventKind;
use crate::dialect::loss::Losses;

/// What was recorded of this dialect; nothing where the file is not at hand.
fn recorded(file: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/").to_owned() + file;
    let Ok(lines) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recorded traffic here");
        return Vec::new();
    };
    let ours = |line: &&str| line.contains("\"anthropic.messages\"") || line.contains("\"anthropic.count_tokens\"");
    let parsed = lines.lines().filter(ours).map(|line| serde_json::from_str::<Value>(line).unwrap());
    parsed
        .filter(|line| matches!(line["api"].as_str(), Some("anthropic.messages" | "anthropic.count_tokens")))
        .collect()
}

/// The same request, with all that is optional gone.
fn plain_request(mut body: Value) -> Value {
    if let Some(format) = body.as_object_mut().unwrap().shift_remove("output_format") {
        body["output_config"]["format"] = format;
    }
    for (name, default) in [("stream", json!(false)), ("tools", json!([]))] {
        if body[name] == default {
            body[name].take();
        }
    }
    let mut turns: Vec<Value> = Vec::new();
    for mut turn in body["messages"].as_array().unwrap().clone() {
        turn["content"] = blocks(turn["content"].take());
        match turns.last_mut() {
            Some(last) if last["role"] == turn["role"] => {
                let more = turn["content"].as_array().unwrap().clone();
                last["content"].as_array_mut().unwrap().extend(more);
            }
            _ => turns.push(turn),
        }
    }
    body["messages"] = json!(turns);
    if !body["system"].is_null() {
        body["system"] = blocks(body["system"].take());
    }
    without_defaults(body)
}

/// Content as blocks, results with their content as blocks.
fn blocks(content: Value) -> Value {
    match content {
        Value::Array(mut blocks) => {
            for block in blocks.iter_mut().filter(|block| block["type"] == "tool_result") {
                block["content"] = self::blocks(block["content"].take());
            }
            Value::Array(blocks)
        }
        Value::String(text) => json!([{"type": "text", "text": text}]),
        _ => json!([]),
    }
}

/// Without nulls and fields that say what is so without them.
fn without_defaults(value: Value) -> Value {
    let is_default = |name: &str, value: &Value| match name {
        "disable_parallel_tool_use" | "is_error" | "strict" => *value == false,
        "citations" => value.is_null() || *value == json!([]),
        "caller" => value["type"] == "direct",
        _ => value.is_null(),
    };
    match value {
        Value::Array(items) => items.into_iter().map(without_defaults).collect(),
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, value)| !is_default(name, value));
            Value::Object(kept.map(|(name, value)| (name, without_defaults(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[test]
fn every_recorded_request_survives_the_model() {
    let (mut read, mut refused) = (0, 0);
    for exchange in recorded("exchanges.jsonl") {
        let (id, body) = (&exchange["id"], exchange["request"]["body_json"].clone());
        let chat = match Anthropic.read_request(exchange["request"]["path"].as_str().unwrap(), body.clone()) {
            Ok(chat) => chat,
            Err(wrong) => {
                assert_eq!(exchange["response"]["status"], 400, "{id}: {wrong}");
                refused += 1;
                continue;
            }
        };
        if exchange["response"]["status"] == 400 && body["messages"][0]["content"] == "" {
            refused += 1;
            continue;
        }
        let mut losses = Losses::default();
        let out = Anthropic.write_request(&chat, &mut losses);
        assert_eq!(pairs(&losses), [], "{id}");
        assert_eq!(plain_request(out.body.clone()), plain_request(body.clone()), "{id}");
        assert_eq!(out.target.contains("count_tokens"), exchange["api"] == "anthropic.count_tokens", "{id}");
        for (was, is) in
            body["tools"].as_array().into_iter().flatten().zip(out.body["tools"].as_array().unwrap_or(&vec![]))
        {
            assert_eq!(was["input_schema"].to_string(), is["input_schema"].to_string(), "{id}");
        }
        read += 1;
    }
    eprintln!("{read} requests, {refused} that Anthropic refused too");
}

/// Asserts that a whole answer comes back, and as a stream too.
fn assert_answer_survives(id: &Value, body: Value) {
    let events = Anthropic.read_answer(body.clone(), &mut ids()).unwrap();
    let mut losses = Losses::default();
    let again = Anthropic.write_answer(events.clone(), &stamp(), &mut losses);
    assert_eq!(pairs(&losses), [], "{id}");
    assert_eq!(without_defaults(again), without_defaults(body), "{id}");
    let (stream, losses) = written(events.clone());
    assert_eq!(pairs(&losses), [], "{id}");
    assert_eq!(digest(&read(&sse(&stream))), digest(&events), "{id}");
}

/// Asserts that a stream comes back, and as a whole answer too.
fn assert_stream_survives(id: &Value, text: &str) {
    let events = read(text);
    assert_eq!(events, read_in_pieces(text, 1), "{id}");
    assert_eq!(events.last().unwrap().kind, EventKind::End, "{id}");
    let unknown = events.iter().find(|event| match &event.kind {
        EventKind::Raw { value, .. } => value["type"].as_str().is_none_or(|kind| kind.starts_with("content_block")),
        _ => false,
    });
    assert_eq!(unknown, None, "{id}");
    let (stream, losses) = written(events.clone());
    assert_eq!(pairs(&losses), [], "{id}");
    assert_eq!(digest(&read(&sse(&stream))), digest(&events), "{id}");
    let mut losses = Losses::default();
    let whole = Anthropic.write_answer(events.clone(), &stamp(), &mut losses);
    assert_eq!(pairs(&losses), [], "{id}");
    assert_eq!(digest(&Anthropic.read_answer(whole, &mut ids()).unwrap()), digest(&events), "{id}");
}

#[test]
fn every_recorded_answer_survives_the_model() {
    let mut count = 0;
    for exchange in recorded("exchanges.jsonl") {
        let response = &exchange["response"];
        if response["status"] != 200 || exchange["wire"] != "json" || exchange["api"] != "anthropic.messages" {
            continue;
        }
        let body = response["body_text"].as_str().unwrap();
        assert_answer_survives(&exchange["id"], serde_json::from_str(body).unwrap());
        count += 1;
    }
    eprintln!("{count} whole answers");
}

#[test]
fn every_recorded_stream_survives_the_model() {
    let mut count = 0;
    for exchange in recorded("exchanges.jsonl").iter().filter(|exchange| exchange["wire"] == "sse") {
        assert_stream_survives(&exchange["id"], exchange["response"]["body_text"].as_str().unwrap());
        count += 1;
    }
    eprintln!("{count} streams");
}

#[test]
fn every_bare_body_survives_the_model() {
    let (mut whole, mut streams) = (0, 0);
    for recorded in recorded("bodies.jsonl") {
        let (id, text) = (&recorded["id"], recorded["body_text"].as_str().unwrap());
        match recorded["kind"].as_str().unwrap() {
            "json" => {
                assert_answer_survives(id, serde_json::from_str(text).unwrap());
                whole += 1;
            }
            "data-lines" => {
                let data: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_stream_survives(id, &sse(&data));
                streams += 1;
            }
            _ => {
                assert_stream_survives(id, text);
                streams += 1;
            }
        }
    }
    eprintln!("{whole} bare answers, {streams} bare streams");
}
