//! The typed fields of `ev` for a policy: what may be set where, what a mistake says, what a list may hold.

use bytes::Bytes;

use super::support::{Gate, begin, hook, load, request};
use crate::stream::{Event, Wire};

const TEXT: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}"#;
const LAST: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const CALLS: &str = r#"{"choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{}"}},{"index":1,"id":"b","function":{"name":"y","arguments":"{}"}}]}}]}"#;

/// What a policy makes of one event of a chat, and what it was reported for.
fn pass(body: &str, data: &str) -> (Vec<String>, Vec<String>) {
    let gate = Gate::new();
    let set = load(&gate, &[("p.lua", &hook("on_event", body))]);
    let mut run = begin(&set, &request(&[], ""));
    let events = run.on_event(Event::new(Wire::Ndjson, None, Bytes::copy_from_slice(data.as_bytes())));
    let events = events.iter().map(|event| String::from_utf8(event.data().to_vec()).unwrap()).collect();
    let reports = gate.reports.lock().iter().map(|report| report.message.clone()).collect();
    (events, reports)
}

/// What a policy makes of an event without a mistake.
#[track_caller]
fn out(body: &str, data: &str) -> Vec<String> {
    let (events, reports) = pass(body, data);
    assert!(reports.is_empty(), "{reports:?}");
    events
}

#[test]
fn a_mistake_says_what_is_wrong_and_the_event_passes() {
    for (body, data, expected) in [
        ("ev.text = 'x'", STOP, r#"ev.text: this event is "stop", it has no text"#),
        ("ev.reasoning = 'x'", TEXT, r#"ev.reasoning: this event is "text", it has no reasoning"#),
        ("ev.text = 'x'", "[DONE]", r#"ev.text: this event is "end", it has no text"#),
        ("ev.text = 5", TEXT, "ev.text must be a string, not number"),
        ("ev.text = nil", TEXT, "ev.text must be a string, not nil"),
        ("ev.txt = 'x'", TEXT, "ev has no field `txt`; did you mean `text`?"),
        ("local x = ev.reasonin", TEXT, "ev has no field `reasonin`; did you mean `reasoning`?"),
        ("ev.kind = 'stop'", TEXT, "ev.kind cannot be set"),
        ("ev.usage.input = 1", LAST, "readonly"),
        ("ev.tool.arg = 'x'", CALLS, "ev.tool has no field `arg`; did you mean `args`?"),
        ("ev.tool.index = 1", CALLS, "ev.tool.index cannot be set"),
        ("ev.text = 'a' error('no')", TEXT, "no"),
        ("return { { text = 'x' } }", STOP, r#"this event is "stop", it has no text"#),
        ("return { { text = 'x', data = 'y' } }", TEXT, "needs one of"),
        ("if ev.tool then ev.data = 'x' end", CALLS, "set its fields, not its data"),
        ("if ev.tool.index == 1 then return { { data = 'x' } } end", CALLS, "one of several parts"),
    ] {
        let (events, reports) = pass(body, data);
        assert_eq!(events, [data], "{body}");
        assert!(reports.len() == 1 && reports[0].contains(expected), "{body}: {reports:?}");
    }
}

#[test]
fn what_was_set_is_read_everywhere() {
    let show = "ev.text = 'Ho' ev.data = `{ev.text} {ev:json().choices[1].delta.content} {ev.raw == ev.data}`";
    assert_eq!(out(show, TEXT), ["Ho Ho true"]);
    let show = "ev:json().choices[1].delta.content = 'Ho' ev.data = ev.text";
    assert_eq!(out(show, TEXT), ["Ho"]);
    assert_eq!(out("ev.data = '[DONE]' ev.data = ev.kind", TEXT), ["end"]);
}

#[test]
fn copies_hold_a_text_and_nothing_else_of_the_answer() {
    let made = out("return { { text = 'a' }, ev, { json = { b = 1 } } }", LAST);
    let copy = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#;
    assert_eq!(made, [copy, LAST, r#"{"b":1}"#]);
}

#[test]
fn a_drop_keeps_the_end_that_stands_in_the_same_event() {
    assert!(out("if ev.text then return drop end", TEXT).is_empty());
    assert_eq!(out("if ev.text then return drop end", LAST), [LAST.replace("Hi", "")]);
    assert!(out("return drop", LAST).is_empty(), "who has not looked means the event");
    assert!(out("if ev.stop then return drop end", STOP).is_empty());
}

#[test]
fn each_of_several_parts_is_shown_to_who_looks() {
    let body = "if ev.tool then ev.tool.args = `[{ev.tool.index}{ev.tool.name}{ev.tool.id}]` end";
    let expected = CALLS
        .replacen(r#""arguments":"{}""#, r#""arguments":"[0xa]""#, 1)
        .replace(r#""arguments":"{}""#, r#""arguments":"[1yb]""#);
    assert_eq!(out(body, CALLS), [expected]);
    assert_eq!(out("ctx.vars.n = (ctx.vars.n or 0) + 1 ev.event = tostring(ctx.vars.n)", CALLS), [CALLS]);
    let one = out("if ev.tool.id == 'a' then return drop end", CALLS);
    assert!(!one[0].contains(r#""id":"a""#) && one[0].contains(r#""id":"b""#), "{one:?}");
    let none = out("if ev.tool then return drop end", CALLS);
    assert_eq!(none, [r#"{"choices":[{"index":0,"delta":{"content":null}}]}"#]);
}

#[test]
fn a_failure_on_one_part_leaves_the_others_edited() {
    let body = "ev:json().choices[1].x = 1 ev.tool.name = 'z' if ev.tool.index == 0 then error('no') end";
    let (events, reports) = pass(body, CALLS);
    let expected = CALLS.replace(r#""name":"y""#, r#""name":"z""#).replace("]}}]}", r#"]},"x":1}]}"#);
    assert_eq!((events, reports.len()), (vec![expected], 1));
}

#[test]
fn policies_see_what_those_before_them_made() {
    let gate = Gate::new();
    let (first, second) = (hook("on_event", "ev.text ..= 'a'"), hook("on_event", "ev.text ..= 'b'"));
    let set = load(&gate, &[("one.lua", &first), ("two.lua", &second)]);
    let mut run = begin(&set, &request(&[], ""));
    let events = run.on_event(Event::new(Wire::Ndjson, None, Bytes::from_static(TEXT.as_bytes())));
    assert_eq!(events[0].data(), &TEXT.replace("Hi", "Hiba"));
    let body = Bytes::from(TEXT.replace("delta", "message"));
    let whole = run.on_whole(crate::dialect::Dialect::OpenAiChat, &body).expect("an edit");
    assert_eq!(whole, TEXT.replace("delta", "message").replace("Hi", "Hiba"));
}
