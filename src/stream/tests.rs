use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Streams with the habits of the servers we know: line ends, comments, padding, missing ends.
const SSE_STREAMS: &[&str] = &[
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"Möwe\"}}]}\n\ndata: [DONE]\n\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"tide\"}]}}]}\r\n\r\ndata: {\"candidates\": [{\"finishReason\": \"STOP\"}]}\r\n\r\n",
    "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"   }\n\n",
    ": WARMING UP\n\n: WARMING UP\n\ndata:{\"a\":1}\nid: 7\nretry: 100\n: note\nevent:named\n\n",
    "\u{feff}data: first\n\ndata: a\ndata:b\ndata:  c\ndata\n\n",
    "data: x\r\rdata: y\revent: z\r\r\ndata: q\r\n\r\n\n\n",
    "error: {\"detail\":\"out of memory\"}\n\ndata: unfinished\n",
    "\r\n\r\ndata: late\r\n\r",
    "\u{feff}\n\ndata: after a marked blank line\n\n",
];

const NDJSON_STREAMS: &[&str] = &[
    "{\"message\":{\"content\":\"ebb\"},\"done\":false}\n{\"message\":{\"content\":\"\"},\"done\":true}\n",
    "{\"a\":1}\r\n\n  {\"b\":\"\u{2028}\"}  \r\n{\"done\":true}",
];

/// What a stream gave: the bytes, name and data of each event, and the rest.
type Taken = (Vec<(Bytes, Option<String>, Bytes)>, Option<Bytes>);

fn take(wire: Wire, pieces: &[&[u8]]) -> Taken {
    let mut splitter = Splitter::new(wire, 1 << 20);
    let mut events = Vec::new();
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        while let Some(event) = splitter.next().expect("no event is too long") {
            events.push((event.to_bytes(), event.name().map(str::to_owned), event.data().clone()));
        }
    }
    (events, splitter.finish())
}

fn joined(taken: &Taken) -> Vec<u8> {
    let mut bytes: Vec<u8> = taken.0.iter().flat_map(|event| event.0.to_vec()).collect();
    bytes.extend_from_slice(taken.1.as_deref().unwrap_or_default());
    bytes
}

fn one(wire: Wire, text: &str) -> Event {
    let mut splitter = Splitter::new(wire, 1 << 20);
    splitter.push(Bytes::copy_from_slice(text.as_bytes()));
    splitter.next().expect("short").expect("a whole event")
}

fn sse(data: &str) -> Event {
    Event::new(Wire::Sse, None, Bytes::copy_from_slice(data.as_bytes()))
}

#[test]
fn a_stream_is_known_by_its_media_type() {
    for name in ["text/event-stream", "Text/Event-Stream;charset=UTF-8", "text/event-stream ; a=b"] {
        assert_eq!(Wire::of(name), Some(Wire::Sse), "{name}");
    }
    for name in ["application/x-ndjson", "application/stream+json; charset=utf-8", "application/jsonl"] {
        assert_eq!(Wire::of(name), Some(Wire::Ndjson), "{name}");
    }
    for name in ["application/json", "text/event-streams", ""] {
        assert_eq!(Wire::of(name), None, "{name}");
    }
}

#[test]
fn every_split_gives_the_same_events_and_the_same_bytes() {
    let streams = SSE_STREAMS.iter().map(|text| (Wire::Sse, text));
    for (wire, text) in streams.chain(NDJSON_STREAMS.iter().map(|text| (Wire::Ndjson, text))) {
        let bytes = text.as_bytes();
        let whole = take(wire, &[bytes]);
        assert_eq!(joined(&whole), bytes, "{text:?}");
        for at in 0..=bytes.len() {
            assert_eq!(take(wire, &[&bytes[..at], &bytes[at..]]), whole, "{text:?} at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(take(wire, &single), whole, "{text:?} byte by byte");
    }
}

proptest! {
    #[test]
    fn random_bytes_split_anywhere_give_the_same_events(
        words in prop::collection::vec(prop::sample::select(vec![
            "\n", "\r", "\r\n", "data:", "data: ", "event: e", "x", " ", ":", "\u{feff}", "{\"a\":[]}", "id: 1", "\u{e9}",
        ]), 0..40),
        cuts in prop::collection::vec(0usize..200, 0..6),
        ndjson: bool,
    ) {
        let text = words.concat();
        let bytes = text.as_bytes();
        let wire = if ndjson { Wire::Ndjson } else { Wire::Sse };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let whole = take(wire, &[bytes]);
        prop_assert_eq!(joined(&whole), bytes);
        prop_assert_eq!(take(wire, &pieces), whole);
    }

    #[test]
    fn data_that_was_set_is_read_back(name in "[a-z]{0,8}", data in "[ a\n:\u{e9}]{0,20}", first in 0usize..SSE_STREAMS.len()) {
        let taken = take(Wire::Sse, &[SSE_STREAMS[first].as_bytes()]);
        let mut event = Event::parse(Wire::Sse, taken.0[0].0.clone());
        event.set_data(Bytes::from(data.clone()));
        event.set_name(Some(&name));
        let again = take(Wire::Sse, &[&event.to_bytes()]).0;
        prop_assert_eq!(again.len(), 1);
        prop_assert_eq!(&again[0].2, &Bytes::from(data));
        prop_assert_eq!(again[0].1.as_deref().unwrap_or_default(), name);
    }
}

#[test]
fn the_grammar_is_that_of_event_source() {
    let events = take(Wire::Sse, &[SSE_STREAMS[4].as_bytes()]).0;
    assert_eq!(events[0].2, "first");
    assert_eq!(events[1].2, "a\nb\n c\n");
    let event = one(Wire::Sse, SSE_STREAMS[3]);
    assert!(!event.has_data());
    let named = &take(Wire::Sse, &[SSE_STREAMS[3].as_bytes()]).0[2];
    assert_eq!((named.1.as_deref(), named.2.as_ref()), (Some("named"), b"{\"a\":1}".as_ref()));
    assert!(one(Wire::Sse, "data\n\n").has_data());
    assert_eq!(one(Wire::Sse, "event: x\nevent:\ndata: 1\n\n").name(), None);
    assert!(!one(Wire::Ndjson, "  \r\n").has_data());
}

#[test]
fn an_event_that_ends_in_carriage_returns_does_not_wait_for_the_next() {
    let mut splitter = Splitter::new(Wire::Sse, 100);
    splitter.push(Bytes::from_static(b"data: x\r\r"));
    assert_eq!(splitter.next().unwrap().unwrap().data(), "x");
}

#[test]
fn one_line_of_data_is_not_copied() {
    let chunk = Bytes::from_static(b"data: abc\n\n");
    let mut splitter = Splitter::new(Wire::Sse, 100);
    splitter.push(chunk.clone());
    let event = splitter.next().unwrap().unwrap();
    assert_eq!(event.data().as_ptr(), chunk[6..].as_ptr());
    assert_eq!(event.to_bytes().as_ptr(), chunk.as_ptr());
}

#[test]
fn a_changed_event_keeps_its_other_lines_and_its_line_ends() {
    let mut event = one(Wire::Sse, ": note\r\nid: 7\r\ndata:old\r\nretry: 5\r\ndata:line\r\n\r\n");
    event.set_data(Bytes::from_static(b"new\nlines"));
    event.set_name(Some("n\na"));
    assert_eq!(event.to_bytes(), ": note\r\nid: 7\r\nevent: n a\r\ndata:new\r\ndata:lines\r\nretry: 5\r\n\r\n");
    let mut event = one(Wire::Sse, "event: a\ndata: {}\n\n");
    event.set_name(None);
    assert_eq!(event.to_bytes(), "data: {}\n\n");
    let mut line = one(Wire::Ndjson, " {\"a\":1}\r\n");
    line.set_name(Some("none here"));
    assert_eq!(line.to_bytes(), " {\"a\":1}\r\n");
    line.set_data(Bytes::from_static(b"{\n\"a\":2}"));
    assert_eq!(line.to_bytes(), "{ \"a\":2}\r\n");
}

#[test]
fn setting_what_is_there_changes_no_byte() {
    let mut event = one(Wire::Sse, "data:x\nevent:  n\n\n");
    event.set_data(Bytes::from_static(b"x"));
    event.set_name(Some(" n"));
    assert_eq!(event.to_bytes(), "data:x\nevent:  n\n\n");
}

#[test]
fn an_event_over_the_limit_is_refused_and_its_bytes_are_given_back() {
    let text = "data: 1\n\ndata: 23456789\n\ndata: 2\n\n";
    for size in 1..text.len() {
        let mut splitter = Splitter::new(Wire::Sse, 10);
        let mut out = Vec::new();
        let mut refused = None;
        for piece in text.as_bytes().chunks(size) {
            splitter.push(Bytes::copy_from_slice(piece));
            loop {
                match splitter.next() {
                    Ok(Some(event)) => out.extend_from_slice(&event.to_bytes()),
                    Ok(None) => break,
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                }
            }
        }
        assert_eq!(refused, Some(TooLong { limit: 10 }), "pieces of {size}");
        assert_eq!(out, b"data: 1\n\n");
        out.extend_from_slice(&splitter.finish().unwrap());
        assert_eq!(out, text.as_bytes());
    }
}

#[test]
fn what_opens_a_stream_or_keeps_it_warm_means_nothing() {
    for data in [
        r#"{"choices":[],"id":"","model":"","prompt_filter_results":[{"prompt_index":0}]}"#,
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"obfuscation":"k2"}"#,
        r#"{"choices":[{"delta":{"content":null,"tool_calls":null,"refusal":null},"content_filter_results":{"hate":"safe"}}]}"#,
        r#"{"choices":[],"usage":{"total_tokens":3}}"#,
        r#"{"type": "ping"}"#,
        r#"{"type":"message_start","message":{"id":"m","role":"assistant","content":[]}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"response.created","response":{"id":"r","status":"in_progress","error":null}}"#,
        r#"{"type":"response.output_item.added","item":{"type":"message","status":"in_progress","content":[],"role":"assistant"}}"#,
        r#"{"model":"m","message":{"role":"assistant","content":""},"done":false}"#,
        r#"{"candidates":[{"content":{"role":"model"},"index":0,"safetyRatings":[{"category":"X"}]}]}"#,
        "",
    ] {
        assert_eq!(meaning(&sse(data)), Meaning::Nothing, "{data}");
    }
    assert_eq!(meaning(&one(Wire::Sse, ": PROCESSING\n\n")), Meaning::Nothing);
    assert_eq!(meaning(&one(Wire::Ndjson, "\n")), Meaning::Nothing);
}

#[test]
fn parts_of_an_answer_and_unknown_payloads_are_content() {
    for (data, visible) in [
        (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"error":null}"#, true),
        (r#"{"choices":[{"delta":{"content":" \n"}}]}"#, false),
        (r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#, false),
        (
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}}]}"#,
            true,
        ),
        (r#"{"choices":[{"text":"a","index":0}]}"#, true),
        (r#"{"type":"content_block_start","content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#, true),
        (r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}}"#, false),
        (r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}"#, false),
        (r#"{"type":"response.output_text.delta","delta":"a","sequence_number":4}"#, true),
        (r#"{"type":"response.reasoning_summary_text.delta","delta":"a"}"#, false),
        (r#"{"response":"a","done":false}"#, true),
        (r#"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#, false),
        (r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}]}"#, true),
        (r#"{"is_finished":false,"event_type":"text-generation","text":"a"}"#, true),
        (r#"{"value":"Sure"}"#, true),
        ("plain words", true),
        (r#"{"cut": "#, true),
    ] {
        let sight = look(&sse(data));
        assert_eq!((sight.meaning(), sight.visible), (Meaning::Content, visible), "{data}");
    }
}

#[test]
fn every_dialects_end_is_seen() {
    for data in [
        "[DONE]",
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"type":"message_stop"            }"#,
        r#"{"type":"response.completed","response":{"status":"completed"}}"#,
        r#"{"type":"response.incomplete","response":{}}"#,
        r#"{"message":{"role":"assistant","content":""},"done_reason":"stop","done":true}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"finishReason":1}]}"#,
        r#"{"type":"completion","completion":"","stop_reason":"stop_sequence"}"#,
        r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#,
        r#"{"is_finished":true,"event_type":"stream-end","response":{}}"#,
    ] {
        assert_eq!(meaning(&sse(data)), Meaning::Terminal, "{data}");
    }
    assert!(look(&sse(r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#)).visible);
}

#[test]
fn an_error_inside_a_stream_is_seen_in_every_shape() {
    for data in [
        r#"{"id":"g","error":{"code":502},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        r#"{"error":"model failed"}"#,
        r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
        r#"{"type":"response.failed","response":{"error":{"code":"x"}}}"#,
    ] {
        assert_eq!(meaning(&sse(data)), Meaning::Error, "{data}");
    }
    for text in ["event: error\ndata: {\"message\":\"x\"}\n\n", "error: {\"detail\":\"x\"}\n\n"] {
        assert_eq!(meaning(&one(Wire::Sse, text)), Meaning::Error, "{text}");
    }
}

/// Streams others recorded, when they lie beside the tree.
fn recorded() -> Vec<(String, Wire, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traffic");
    let mut streams = Vec::new();
    for file in ["exchanges.jsonl", "bodies.jsonl"] {
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
            continue;
        };
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let body = value.pointer("/response/body_text").or_else(|| value.get("body_text"));
            let wire = match (value["wire"].as_str(), value["stream"].as_bool()) {
                (Some("sse"), _) => Wire::Sse,
                (Some("ndjson"), _) | (None, Some(true)) => Wire::Ndjson,
                _ => continue,
            };
            let Some(body) = body.and_then(serde_json::Value::as_str) else {
                continue;
            };
            let wire =
                if ["data:", "event:", ":"].iter().any(|start| body.starts_with(start)) { Wire::Sse } else { wire };
            streams.push((value["id"].as_str().unwrap_or_default().to_owned(), wire, body.to_owned()));
        }
    }
    streams
}

#[test]
fn recorded_streams_pass_unchanged_and_their_ends_are_seen() {
    let streams = recorded();
    if streams.is_empty() {
        eprintln!("skipped: no recorded streams in ../shared/traffic");
        return;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, wire, body) in &streams {
        let bytes = body.as_bytes();
        let whole = take(*wire, &[bytes]);
        assert_eq!(joined(&whole), bytes, "{id}");
        for size in [1, 7, 1448].into_iter().filter(|size| bytes.len() / size < 20_000) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(take(*wire, &pieces), whole, "{id} in pieces of {size}");
        }
        let rest = whole.1.iter().map(|rest| Event::parse(*wire, rest.clone()));
        let events = whole.0.iter().map(|event| Event::parse(*wire, event.0.clone()));
        let sights: Vec<Sight> = events.chain(rest).map(|event| look(&event)).collect();
        let end = match () {
            () if sights.iter().any(|sight| sight.error) => "ended in an error",
            () if sights.iter().any(|sight| sight.terminal) => "ended",
            () => "without an end",
        };
        for (name, seen) in
            [(end, true), ("streams", true), ("never visible", !sights.iter().any(|sight| sight.visible))]
        {
            *counts.entry(name).or_default() += usize::from(seen);
        }
        *counts.entry("events").or_default() += sights.len();
    }
    eprintln!("{counts:?}");
}
