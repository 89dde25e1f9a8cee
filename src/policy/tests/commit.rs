//! `commit`: it reads every dialect, the first answer wins, and a failing policy has no opinion.

use bytes::Bytes;

use super::support::{Gate, begin, hook, load, request};
use crate::dialect::Dialect;
use crate::exchange::decision::Commit;
use crate::policy::{HeldFacts, PolicySet};
use crate::stream::{Event, Wire};

const TEXT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#;

const TWO_CALLS: &str = r#"{"choices":[{"index":0,"delta":{"tool_calls":[
    {"index":0,"id":"a","function":{"name":"tide","arguments":"{}"}},
    {"index":1,"id":"b","function":{"name":"moon","arguments":"{}"}}]}}]}"#;

fn event(data: &str) -> Event {
    Event::new(Wire::Sse, None, Bytes::copy_from_slice(data.as_bytes()))
}

fn facts() -> HeldFacts {
    HeldFacts { upstream: "up".to_owned(), endpoint: "one".to_owned(), number: 2, events: 3, ..HeldFacts::default() }
}

/// What a policy says of an event of a dialect that is not the client's.
fn asked(set: &PolicySet, dialect: Dialect, data: &str) -> Option<Commit> {
    begin(set, &request(&[], "")).commit(&event(data), Some(dialect), &facts())
}

fn says(body: &str) -> PolicySet {
    load(&Gate::new(), &[("p.lua", &hook("commit", body))])
}

#[test]
fn the_event_is_read_in_the_dialect_of_its_upstream() {
    let set = says("if ev.kind == 'text' and ev.text == 'Hi' then return 'go' end");
    assert_eq!(asked(&set, Dialect::Anthropic, TEXT), Some(Commit::Go));
    assert_eq!(asked(&set, Dialect::OpenAiChat, TEXT), None);
}

#[test]
fn each_part_of_an_event_is_shown() {
    let set = says("if ev.tool and ev.tool.name == 'moon' then return 'fail' end");
    assert_eq!(asked(&set, Dialect::OpenAiChat, TWO_CALLS), Some(Commit::Fail));
}

#[test]
fn the_attempt_is_told() {
    let set = says(
        "assert(a.upstream == 'up' and a.endpoint == 'one' and a.number == 2 and a.events == 3 and a.elapsed == 0)
        return 'wait'",
    );
    assert_eq!(asked(&set, Dialect::Anthropic, TEXT), Some(Commit::Wait));
}

#[test]
fn the_first_answer_wins_and_no_opinion_asks_the_next() {
    let policies = [hook("commit", "return nil"), hook("commit", "return 'wait'"), hook("commit", "return 'fail'")];
    let files: Vec<(&str, &str)> =
        ["a.lua", "b.lua", "c.lua"].into_iter().zip(policies.iter().map(String::as_str)).collect();
    assert_eq!(asked(&load(&Gate::new(), &files), Dialect::Anthropic, TEXT), Some(Commit::Wait));
}

#[test]
fn a_failing_policy_has_no_opinion_and_is_reported_once() {
    for body in ["error('no')", "return 'gone'", "ev.text = 'x'", "return { go = true }", "while true do end"] {
        let gate = Gate::new();
        let set = load(&gate, &[("p.lua", &hook("commit", body))]);
        let mut run = begin(&set, &request(&[], ""));
        for _ in 0..3 {
            assert_eq!(run.commit(&event(TEXT), Some(Dialect::Anthropic), &facts()), None, "{body}");
        }
        let reports = gate.reports.lock();
        assert_eq!(reports.len(), 1, "{body}: {reports:?}");
        assert_eq!(reports[0].hook, "commit");
    }
}

#[test]
fn an_event_cannot_be_edited_and_the_message_says_where() {
    let gate = Gate::new();
    asked(&load(&gate, &[("p.lua", &hook("commit", "ev.text = 'x'"))]), Dialect::Anthropic, TEXT);
    let message = gate.reports.lock()[0].message.clone();
    assert!(message.contains("E_READ_ONLY") && message.contains("on_event"), "{message}");
}

#[test]
fn an_answer_is_traced_and_no_opinion_is_not() {
    for (body, steps) in [("return nil", 0), ("return 'go'", 1)] {
        let mut run = begin(&says(body), &request(&[], ""));
        run.commit(&event(TEXT), Some(Dialect::Anthropic), &facts());
        assert_eq!(run.trace().len(), steps, "{body}");
    }
}
