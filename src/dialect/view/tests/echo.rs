//! Repeats say what the client was sent.

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::dialect::view::echo::Echo;
use crate::json::Limits;
use crate::stream::{Event, Wire};

fn sse(data: &str) -> Event {
    Event::new(Wire::Sse, None, Bytes::copy_from_slice(data.as_bytes()))
}

/// Passes events, of which `edit` makes others; what is sent in the end.
fn pass(dialect: Dialect, events: &[&str], edit: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut echo = Echo::of(dialect, Limits::default()).unwrap();
    let mut out = Vec::new();
    for event in events {
        let Some(event) = echo.before(sse(event)) else { continue };
        let text = String::from_utf8(event.data().to_vec()).unwrap();
        let mut sent: Vec<Event> = edit(&text).iter().map(|text| sse(text)).collect();
        echo.after(&event, &mut sent);
        out.extend(sent.iter().map(|event| String::from_utf8(event.data().to_vec()).unwrap()));
    }
    out
}

const STREAM: [&str; 8] = [
    r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"the "}"#,
    r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"secret "}"#,
    r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"cove"}"#,
    r#"{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"the secret cove", "n":1.0}"#,
    r#"{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"the secret cove"}}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"the secret cove"}]}}"#,
    r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"message","content":[{"type":"output_text","text":"the secret cove"}]}}"#,
    r#"{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"the secret cove"}]}]}}"#,
];

fn deltas(edit: impl Fn(&str) -> Vec<String>) -> impl Fn(&str) -> Vec<String> {
    move |text| if text.contains(".delta") { edit(text) } else { vec![text.to_owned()] }
}

#[test]
fn without_an_edit_nothing_changes() {
    assert_eq!(pass(Dialect::OpenAiResponses, &STREAM, |text| vec![text.to_owned()]), STREAM);
}

#[test]
fn later_repeats_say_what_was_sent() {
    let out = pass(Dialect::OpenAiResponses, &STREAM, deltas(|text| vec![text.replace("secret", "***")]));
    let expected: Vec<String> = STREAM
        .iter()
        .map(
            |text| if text.contains("\"output_index\":1") { (*text).to_owned() } else { text.replace("secret", "***") },
        )
        .collect();
    assert_eq!(out, expected);
}

#[test]
fn what_was_dropped_or_doubled_is_so_in_repeats() {
    let dropped = pass(
        Dialect::OpenAiResponses,
        &STREAM,
        deltas(|text| if text.contains("secret") { Vec::new() } else { vec![text.to_owned()] }),
    );
    assert!(dropped[2].contains(r#""text":"the cove", "n":1.0"#), "{dropped:?}");
    let doubled = pass(
        Dialect::OpenAiResponses,
        &STREAM,
        deltas(
            |text| if text.contains("secret") { vec![text.to_owned(), text.to_owned()] } else { vec![text.to_owned()] },
        ),
    );
    assert!(doubled.last().unwrap().contains("the secret secret cove"), "{doubled:?}");
}

#[test]
fn a_call_that_was_not_sent_or_renamed_is_so_in_repeats() {
    let stream = [
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"a","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"x\":1}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"x\":1}"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","name":"a","arguments":"{\"x\":1}"}}"#,
        r#"{"type":"response.completed","response":{"output":[{"type":"function_call","name":"a","arguments":"{\"x\":1}"},{"type":"message"}]}}"#,
    ];
    let unsent = pass(Dialect::OpenAiResponses, &stream, |text| {
        let part = text.contains("added") || text.contains(".delta");
        if part { Vec::new() } else { vec![text.to_owned()] }
    });
    assert_eq!(unsent, [r#"{"type":"response.completed","response":{"output":[{"type":"message"}]}}"#]);
    let renamed = pass(Dialect::OpenAiResponses, &stream, |text| {
        let text = if text.contains("added") { text.replace("\"a\"", "\"b\"") } else { text.to_owned() };
        vec![if text.contains(".delta") { text.replace('x', "y") } else { text }]
    });
    for repeat in &renamed[3..] {
        assert!(repeat.contains(r#""name":"b","arguments":"{\"y\":1}""#), "{repeat}");
    }
}

#[test]
fn a_block_that_was_not_sent_leaves_neither_its_end_nor_a_gap() {
    let stream = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let out =
        pass(
            Dialect::Anthropic,
            &stream,
            |text| {
                if text.contains("tool_use") { Vec::new() } else { vec![text.to_owned()] }
            },
        );
    let expected: Vec<String> = stream[3..].iter().map(|text| text.replace(r#""index":1"#, r#""index":0"#)).collect();
    assert_eq!(out, expected);
    let items = [
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"a"}}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","name":"a"}}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"message"}}"#,
        r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"x"}"#,
        r#"{"type":"response.output_text.done","output_index":1,"content_index":0,"text":"x"}"#,
    ];
    let out = pass(Dialect::OpenAiResponses, &items, |text| {
        if text.contains("added") && text.contains("call") { Vec::new() } else { vec![text.to_owned()] }
    });
    let expected: Vec<String> = items[2..].iter().map(|text| text.replace(r#"index":1"#, r#"index":0"#)).collect();
    assert_eq!(out, expected);
}

#[test]
fn a_message_beside_its_delta_says_what_was_sent() {
    let stream = [
        r#"{"choices":[{"index":0,"delta":{"content":"the "},"message":{"content":"the "}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"secret "},"message":{"content":"the secret "}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"cove"},"message":{"content":"the secret cove"}}]}"#,
    ];
    let out = pass(Dialect::OpenAiChat, &stream, |text| {
        vec![text.replace(r#"{"content":"secret "},"#, r#"{"content":"*** "},"#)]
    });
    assert_eq!(out, stream.map(|text| text.replace("secret", "***")));
}
