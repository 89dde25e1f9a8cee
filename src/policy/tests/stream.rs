//! Events: passed untouched, edited by splice, dropped, multiplied, and never held up by a failing policy.

use std::time::Duration;

use bytes::Bytes;

use super::support::{Gate, begin, hook, load, load_with, request, sources};
use crate::policy::{Deadlines, HostLimits, PolicySet};
use crate::stream::{Event, Wire};

const DATA: &str = r#"{"choices": [{"delta":{"content":"Hi"} }], "n":1.0}"#;

fn event() -> Event {
    Event::parse(Wire::Sse, Bytes::from(format!("event: chunk\r\n: note\r\ndata: {DATA}\r\n\r\n")))
}

fn pass(set: &PolicySet, event: Event) -> Vec<String> {
    let mut run = begin(set, &request(&[], ""));
    let events = run.on_event(event);
    events.iter().map(|event| String::from_utf8_lossy(&event.to_bytes()).into_owned()).collect()
}

fn edited(body: &str) -> Vec<String> {
    pass(&load(&Gate::new(), &[("p.lua", &hook("on_event", body))]), event())
}

#[test]
fn an_event_nobody_edits_leaves_as_it_came() {
    let came = String::from_utf8_lossy(&event().to_bytes()).into_owned();
    assert_eq!(edited("local x = ev:json().choices[1].delta.content"), std::slice::from_ref(&came));
    assert_eq!(edited("return { ev }"), [came]);
}

#[test]
fn an_edit_is_spliced() {
    let out = edited("ev:json().choices[1].delta.content = 'Ho'");
    assert_eq!(out, [format!("event: chunk\r\n: note\r\ndata: {}\r\n\r\n", DATA.replace("Hi", "Ho"))]);
}

#[test]
fn name_and_data_can_be_set() {
    let out = edited("ev.event = 'other' ev.data = 'x'");
    assert!(out[0].contains("event: other\r\n") && out[0].contains("data: x\r\n"), "{out:?}");
}

#[test]
fn drop_leaves_it_out_and_a_list_takes_its_place() {
    assert!(edited("return drop").is_empty());
    let out = edited(
        "ev.event = 'mine' return { { json = { b = 1, a = json.array {} } }, ev, { data = '[DONE]', event = 'end' } }",
    );
    assert_eq!(out.len(), 3, "{out:?}");
    assert!(
        out[0].contains(r#"data: {"a":[],"b":1}"#) && out[1].contains("event: mine") && out[2].contains("data: [DONE]")
    );
}

#[test]
fn a_failing_policy_lets_the_event_pass_and_is_reported_once() {
    for body in [
        "error('x')",
        "return { { jsn = {} } }",
        "return 'text'",
        "return { json = {} }",
        "return { {} }",
        "ev:json().choices.x = 1",
    ] {
        let gate = Gate::new();
        let set = load(&gate, &[("p.lua", &hook("on_event", body))]);
        let mut run = begin(&set, &request(&[], ""));
        for _ in 0..3 {
            let out = run.on_event(event());
            assert_eq!(out.len(), 1, "{body}");
            assert_eq!(out[0].to_bytes(), event().to_bytes(), "{body}");
        }
        assert!(run.stream_marked());
        let reports = gate.reports.lock();
        assert_eq!(reports.len(), 1, "{body}: {reports:?}");
        assert_eq!((reports[0].hook, reports[0].line), ("on_event", Some(1)), "{body}: {reports:?}");
    }
}

#[test]
fn a_looping_policy_is_taken_off_the_stream() {
    let ms = Duration::from_millis;
    let limits = HostLimits {
        deadlines: Some(Deadlines { burst: ms(2), total: ms(200), wall: ms(1000) }),
        ..HostLimits::default()
    };
    let set = load_with(&Gate::new(), &sources(&[("p.lua", &hook("on_event", "while true do end"))]), limits);
    let mut run = begin(&set, &request(&[], ""));
    let started = std::time::Instant::now();
    for _ in 0..50 {
        assert_eq!(run.on_event(event()).len(), 1);
    }
    assert!(started.elapsed() < ms(1000), "{:?}", started.elapsed());
}

#[test]
fn events_pass_policies_bottom_to_top() {
    let add =
        |name: &str| format!("return policy {{ api = 1, on_event = function(ev) ev.data = ev.data .. '{name}' end }}");
    let (a, b) = (add("a"), add("b"));
    let set = load(&Gate::new(), &[("a.lua", &a), ("b.lua", &b)]);
    let out = pass(&set, Event::new(Wire::Ndjson, None, Bytes::from_static(b"-")));
    assert_eq!(out, ["-ba\n"]);
}

#[test]
fn variables_last_for_the_stream_and_the_end_adds_events() {
    let policy = "return policy { api = 1,
        on_event = function(ev, ctx) ctx.vars.n = (ctx.vars.n or 0) + 1 end,
        on_stream_end = function(e, ctx) return { { json = { seen = ctx.vars.n, why = e.reason } } } end }";
    let set = load(&Gate::new(), &[("p.lua", policy)]);
    let mut run = begin(&set, &request(&[], ""));
    run.on_event(event());
    run.on_event(event());
    let end = run.on_stream_end("done", Wire::Sse);
    assert_eq!(end[0].to_bytes(), "data: {\"seen\":2,\"why\":\"done\"}\n\n");
}

#[test]
fn an_event_that_is_no_json_says_so() {
    let set = load(&Gate::new(), &[("p.lua", &hook("on_event", "local j, why = ev:json() ev.data = why"))]);
    let out = pass(&set, Event::new(Wire::Ndjson, None, Bytes::from_static(b"[DONE")));
    assert!(out[0].starts_with("[DONE") || out[0].contains("not JSON"), "{out:?}");
}
