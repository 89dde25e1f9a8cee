//! Attempts beside each other: the first good answer wins, the others are let go at once, and a race replays as it was.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tidegate::case::Player;
use tidegate::replay::truth;
use tidegate::settings::Settings;
use tidegate::tape::Watch;

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chat, chat_stream, chunk, chunked, json, open, say, stall};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

const STREAM: &str = r#"{"model":"m","stream":true,"messages":[]}"#;

/// A gate that asks the second endpoint too when the first gives no sign for 200 ms.
fn gate(first: &Service, second: &Service, settings: &str) -> Bundled {
    Bundled::shipped(&format!(
        "[upstreams.up]\nhedge.after = \"200ms\"\n{settings}\n\
         endpoints = [{{ name = \"one\", url = \"{}\" }}, {{ name = \"two\", url = \"{}\", weight = 0 }}]\n\
         [[policies]]\nfile = \"failover.lua\"\n",
        first.url(),
        second.url()
    ))
}

/// An upstream that answers after a while.
fn after(millis: u64, bytes: Vec<u8>) -> Service {
    Service::start(move |_, out| {
        std::thread::sleep(Duration::from_millis(millis)); // paced: how slow this endpoint is
        say(out, &bytes)
    })
}

fn good(word: &str) -> Vec<u8> {
    json(&chat(word))
}

/// What the gate kept of its only exchange, when it has ended.
fn attempts(gate: &Bundled) -> Vec<(String, Option<u16>, Option<&'static str>)> {
    assert!(until(|| !gate.gate.tapes.latest().is_empty()));
    let taken = gate.gate.tapes.latest();
    let kind = |error: &tidegate::error::Error| error.kind().as_str();
    taken[0].facts.attempts.iter().map(|it| (it.endpoint.clone(), it.status, it.error.as_ref().map(kind))).collect()
}

/// Plays everything that the gate kept again, and fails where it comes to something else.
pub(crate) fn plays_as_it_was(gate: &Bundled) {
    assert!(until(|| !gate.gate.tapes.latest().is_empty()));
    let taken = gate.gate.tapes.latest();
    let player = Player::as_served(Arc::clone(&taken[0].bundle), Arc::new(|_: &mut Settings| Ok(())));
    for taken in taken {
        let played = player.replay(&taken, Watch::Nothing).unwrap();
        let differences = truth::differences(&taken.facts, &played);
        assert!(differences.is_empty(), "{differences:?}");
    }
}

#[test]
fn a_second_endpoint_answers_when_the_first_gives_no_sign_and_the_first_is_let_go() {
    let (gone, told) = mpsc::channel();
    let slow = Service::start(move |_, out| {
        stall(out);
        gone.send(Instant::now()).unwrap();
        false
    });
    let quick = Service::saying(good("quick"));
    let gate = gate(&slow, &quick, "");
    let begun = Instant::now();
    let said = gate.talk().post(CHAT, &[], "{}");
    let answered = Instant::now();
    assert_eq!(said.text(), chat("quick"));
    assert!(
        (Duration::from_millis(190)..Duration::from_secs(2)).contains(&(answered - begun)),
        "{:?}",
        answered - begun
    );
    let let_go = told.recv_timeout(Duration::from_secs(2)).unwrap();
    assert!(let_go.saturating_duration_since(answered) < Duration::from_millis(100));
    assert_eq!(attempts(&gate), [("one".to_owned(), None, Some("outrun")), ("two".to_owned(), Some(200), None)]);
    plays_as_it_was(&gate);
}

#[test]
fn a_stream_that_opens_and_says_nothing_is_no_sign() {
    let slow = Service::start(|_, out| {
        say(out, open("text/event-stream"));
        say(out, chunk(": wait\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n"));
        stall(out)
    });
    let quick = Service::saying(chunked("text/event-stream", [chat_stream(&["quick"])]));
    let gate = gate(&slow, &quick, "dialect = \"openai\"");
    assert_eq!(gate.talk().post(CHAT, &[], STREAM).text(), chat_stream(&["quick"]));
    assert_eq!((slow.count(), quick.count()), (1, 1));
    attempts(&gate);
    plays_as_it_was(&gate);
}

#[test]
fn an_answer_in_time_is_asked_for_once() {
    let (first, second) = (Service::saying(good("first")), Service::saying(good("second")));
    let gate = gate(&first, &second, "");
    for _ in 0..5 {
        assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), chat("first"));
    }
    assert_eq!((first.count(), second.count()), (5, 0));
}

#[test]
fn the_first_endpoint_may_still_win() {
    let first = after(450, good("first"));
    let second = Service::start(|_, out| stall(out));
    let gate = gate(&first, &second, "");
    assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), chat("first"));
    assert_eq!(attempts(&gate), [("two".to_owned(), None, Some("outrun")), ("one".to_owned(), Some(200), None)]);
    plays_as_it_was(&gate);
}

#[test]
fn a_refusal_does_not_end_a_race_and_the_best_one_is_told_when_all_refuse() {
    let (first, second) = (after(500, good("first")), Service::saying(answer(503, &[], "busy")));
    let gate = gate(&first, &second, "");
    assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), chat("first"));
    attempts(&gate);
    plays_as_it_was(&gate);
    let (first, second) = (after(500, answer(503, &[], "busy")), Service::saying(answer(404, &[], "no such model")));
    let gate = self::gate(&first, &second, "");
    let said = gate.talk().post(CHAT, &[], "{}");
    assert_eq!((said.status, said.text().as_str()), (404, "no such model"));
    attempts(&gate);
    plays_as_it_was(&gate);
}

#[test]
fn only_what_may_be_repeated_is_asked_twice() {
    let (first, second) = (after(500, good("first")), Service::saying(good("second")));
    let gate = gate(&first, &second, "");
    assert_eq!(gate.talk().post("/orders", &[], "{}").text(), chat("first"));
    assert_eq!(second.count(), 0);
    assert_eq!(gate.talk().get("/orders", &[]).text(), chat("second"));
}

#[test]
fn the_only_endpoint_is_never_asked_beside_itself() {
    let only = after(600, good("only"));
    let gate = Bundled::shipped(&format!(
        "[upstreams.up]\nurl = \"{}\"\nhedge = {{ after = \"100ms\", most = 3 }}\n[[policies]]\nfile = \"failover.lua\"\n",
        only.url()
    ));
    assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), chat("only"));
    assert_eq!(only.count(), 1);
    attempts(&gate);
    plays_as_it_was(&gate);
}

#[test]
fn each_attempt_of_a_race_sends_the_same_bytes() {
    let body = "{ \"model\" : \"m\",\t\"big\": 9223372036854775807, \"x\": 1.0, \"x\": 2 }";
    let (first, second) = (Service::start(|_, out| stall(out)), Service::saying(good("second")));
    let gate = gate(&first, &second, "");
    assert_eq!(gate.talk().post(CHAT, &[], body).text(), chat("second"));
    assert_eq!((first.heard()[0].text().as_str(), second.heard()[0].text().as_str()), (body, body));
}

#[test]
fn a_client_that_leaves_a_race_lets_all_go() {
    let (gone, told) = mpsc::channel();
    let waits = || {
        let gone = gone.clone();
        Service::start(move |_, out| {
            stall(out);
            gone.send(()).unwrap();
            false
        })
    };
    let (first, second) = (waits(), waits());
    let gate = gate(&first, &second, "");
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{}");
    assert!(until(|| second.count() == 1));
    drop(talk);
    for _ in 0..2 {
        told.recv_timeout(Duration::from_millis(700)).unwrap();
    }
}
