//! Recorded traffic: what real clients and servers sent must come back, whole and streamed.

use super::*;

const TRAFFIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl");

const BODIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/bodies.jsonl");

/// What a file holds of the two calls, each with its codec.
fn recorded(file: &str) -> Vec<(Value, &'static dyn Codec)> {
    let Ok(file) = std::fs::read_to_string(file) else {
        eprintln!("skipped: no recorded traffic here");
        return Vec::new();
    };
    let mut found: Vec<(Value, &'static dyn Codec)> = Vec::new();
    for line in file.lines().filter(|line| line.contains("\"ollama.")) {
        let item: Value = serde_json::from_str(line).unwrap();
        match item["api"].as_str() {
            Some("ollama.chat") => found.push((item, &OllamaChat)),
            Some("ollama.generate") => found.push((item, &OllamaGenerate)),
            _ => {}
        }
    }
    assert!(!found.is_empty(), "the recorded traffic holds exchanges of Ollama");
    found
}

/// An answer comes back from the model as it was.
fn answer_comes_back(codec: &dyn Codec, body: &str, id: &Value) {
    let body: Value = serde_json::from_str(body).unwrap();
    let events = codec.read_answer(body.clone(), &mut ids()).unwrap();
    let mut losses = Losses::default();
    let mut back = codec.write_answer(events, &stamp(), &mut losses);
    assert_eq!(told(&losses), Vec::<String>::new());
    // The model counts time in seconds.
    if let Some(time) = body.get("created_at").and_then(Value::as_str) {
        assert_eq!(back["created_at"].as_str().unwrap()[..19], time[..19]);
        back["created_at"] = time.into();
    }
    // Older servers give calls neither an id nor an index.
    let calls = |body: &Value| body["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    for (at, call) in calls(&body).iter().enumerate() {
        let written = &mut back["message"]["tool_calls"][at];
        if call.get("id").is_none() {
            written.as_object_mut().unwrap().remove("id").unwrap();
        }
        if call["function"].get("index").is_none() {
            written["function"].as_object_mut().unwrap().remove("index").unwrap();
        }
    }
    assert_eq!(back, body, "{id}");
}

/// A stream says the same however it is cut, after it was written again, and as a whole answer.
fn stream_comes_back(codec: &dyn Codec, lines: &str, id: &Value) {
    let read = events(codec.reader(ids()), lines, false);
    assert_eq!(events(codec.reader(ids()), lines, true), read);
    assert_eq!(read.last(), Some(&Event::first(EventKind::End)));
    let mut writer = codec.writer(stamp());
    let mut losses = Losses::default();
    let mut written = String::new();
    for line in read.iter().flat_map(|event| writer.write(event.clone(), &mut losses)).collect::<Vec<_>>() {
        written.push_str(std::str::from_utf8(&line.to_bytes()).unwrap());
    }
    assert_eq!(told(&losses), Vec::<String>::new());
    assert_eq!(events(codec.reader(ids()), &written, false), read, "{id}");
    let whole = codec.write_answer(read.clone(), &stamp(), &mut losses);
    let again = codec.read_answer(whole, &mut ids()).unwrap();
    assert_eq!(again, joined(read), "{id}");
}

/// Takes out what says nothing, and puts in what is understood: streams are the default.
fn plain(mut value: Value) -> Value {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.values_mut().for_each(clean);
                map.retain(|_, value| !super::super::read::blank(value));
            }
            Value::Array(list) => list.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut value);
    if value["raw"] == json!(false) {
        value.as_object_mut().unwrap().remove("raw");
    }
    value
}

#[test]
fn recorded_requests_come_back() {
    let mut seen = 0;
    for (exchange, codec) in recorded(TRAFFIC) {
        let mut body = exchange["request"]["body_json"].clone();
        let back = plain(round(codec, body.clone()));
        body.as_object_mut().unwrap().entry("stream").or_insert(json!(true));
        let mut body = plain(body);
        // A result without a tool's name gets the name of its call.
        let messages = body["messages"].as_array_mut().into_iter().flatten();
        for (at, message) in messages.enumerate().filter(|(_, message)| message["role"] == "tool") {
            if message.get("tool_name").is_none() {
                message["tool_name"] = back["messages"][at]["tool_name"].clone();
            }
        }
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(back, body, "{}", exchange["id"]);
        seen += 1;
    }
    eprintln!("{seen} requests");
}

#[test]
fn recorded_answers_come_back() {
    let (mut answers, mut streams) = (0, 0);
    for (exchange, codec) in recorded(TRAFFIC) {
        let (body, id) = (exchange["response"]["body_text"].as_str().unwrap(), &exchange["id"]);
        if exchange["wire"] == "ndjson" {
            stream_comes_back(codec, body, id);
            streams += 1;
        } else {
            answer_comes_back(codec, body, id);
            answers += 1;
        }
    }
    eprintln!("{answers} answers, {streams} streams");
}

#[test]
fn recorded_bodies_come_back() {
    let (mut answers, mut streams) = (0, 0);
    for (item, codec) in recorded(BODIES) {
        let (body, id) = (item["body_text"].as_str().unwrap(), &item["id"]);
        if item["stream"] == true {
            stream_comes_back(codec, body, id);
            streams += 1;
        } else {
            answer_comes_back(codec, body, id);
            answers += 1;
        }
    }
    eprintln!("{answers} bodies, {streams} of streams");
}
