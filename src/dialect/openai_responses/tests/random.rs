//! Streams in no order at all: reader and writer keep their grammar.

use std::collections::BTreeSet;

use super::traffic::{accumulates, exchanges};
use super::*;
use crate::dialect::Dialect;
use crate::dialect::event::{Start, Stop};
use crate::dialect::seal::Seal;

/// A random event of a few blocks.
fn event(random: &mut fastrand::Rng) -> Event {
    let block = random.u32(..4);
    let text = "x".repeat(random.usize(..3));
    Event::first(match random.u32(..16) {
        0..=2 => EventKind::Text { block, text },
        3..=4 => EventKind::Reasoning { block, text },
        5 => EventKind::Refusal { block, text },
        6 => EventKind::Seal { block, seal: Seal::OpenAi { id: text, encrypted: Some("e".to_owned()) } },
        7 => EventKind::ToolStart { block, id: "c".to_owned(), name: "n".to_owned() },
        8 => EventKind::ToolArgs { block, json: text },
        9..=10 => EventKind::BlockStop { block },
        11 => EventKind::Citation { block, value: json!({"type": "file_path", "file_id": "f"}) },
        12 => EventKind::Logprobs(json!({"content": [{"token": "x"}]})),
        13 => EventKind::Raw { from: Dialect::OpenAiResponses, value: json!({"type": "web_search_call", "id": "w"}) },
        14 => EventKind::Start(Start::default()),
        _ => EventKind::Stop(Stop::End),
    })
}

#[test]
fn events_in_any_order_are_written_so_that_an_sdk_accumulates_them() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let mut events: Vec<Event> = (0..random.usize(..25)).map(|_| event(&mut random)).collect();
        events.push(Event::first(EventKind::End));
        accumulates(&write_stream(events, stamp(Chat::default()), &mut Losses::default()));
    }
}

/// The start comes first and once, every block that was begun is ended, and nothing follows the last event.
fn grammatical(events: &[Event]) {
    let (mut open, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for (index, event) in events.iter().enumerate() {
        match event.kind {
            EventKind::Start(_) => assert_eq!(index, 0),
            EventKind::Text { block, .. }
            | EventKind::Reasoning { block, .. }
            | EventKind::Seal { block, .. }
            | EventKind::Refusal { block, .. }
            | EventKind::ToolStart { block, .. }
            | EventKind::ToolArgs { block, .. }
            | EventKind::Citation { block, .. } => {
                assert!(!ended.contains(&block), "{event:?} after its block");
                open.insert(block);
            }
            EventKind::BlockStop { block } => assert!(ended.insert(block), "{event:?} twice"),
            EventKind::End | EventKind::Failed(_) => assert_eq!(index, events.len() - 1),
            _ => {}
        }
    }
    assert!(open.is_subset(&ended), "{open:?} {ended:?}");
    assert!(matches!(events.last(), Some(Event { kind: EventKind::End | EventKind::Failed(_), .. })));
}

#[test]
fn a_recorded_stream_out_of_order_is_read_grammatically() {
    let mut random = fastrand::Rng::with_seed(11);
    for exchange in exchanges().into_iter().filter(|exchange| exchange.sse) {
        let mut values: Vec<&str> = exchange.body.lines().filter(|line| line.starts_with("data:")).collect();
        values.truncate(60);
        for _ in 0..3 {
            random.shuffle(&mut values);
            let text = values.join("\n\n") + "\n\n";
            let events = read_stream(&text, text.len());
            let said: Vec<Event> = events.into_iter().filter(|event| event.kind != EventKind::Ping).collect();
            grammatical(&said);
        }
    }
}
