//! Hooks on streams: events are edited, dropped and added one by one, however the bytes were cut.

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, chunk, chunked, open, say};

/// Edits by the event's text.
const EDITING: &str = r#"return policy { api = 1,
  on_event = function(ev)
    local body = ev:json()
    if not body or not body.t then return nil end
    if body.t == "drop" then return drop end
    if body.t == "twice" then return { ev, { event = ev.event, json = { t = "again" } } } end
    if body.t == "none" then return {} end
    if body.t == "edit" then body.t = "edited" end
  end,
  on_stream_end = function(finish) return { { json = { t = "end", why = finish.reason } } } end,
}"#;

const SSE: &str = ": a comment\r\n\r\ndata:{\"t\": \"keep\",\"n\":1.0}\r\n\r\nevent: x\r\ndata: {\"t\":\"edit\",\r\ndata: \"n\":1.0}\r\n\r\ndata: {\"t\":\"drop\"}\n\nevent: y\ndata: {\"t\":\"twice\"}\n\ndata: {\"t\":\"none\"}\n\ndata: [DONE]\n\n";

#[test]
fn server_sent_events_are_edited_dropped_and_doubled_however_they_are_cut() {
    let upstream = Service::start(|heard, stream| {
        let size: usize = heard.target().trim_start_matches('/').parse().unwrap();
        say(stream, chunked("text/event-stream", SSE.as_bytes().chunks(size)))
    });
    let gate = Bundled::policy(&upstream.url(), "", EDITING);
    let mut talk = gate.talk();
    let whole = talk.get("/10000", &[]).text();
    assert!(whole.starts_with(": a comment\r\n\r\ndata:{\"t\": \"keep\",\"n\":1.0}\r\n\r\nevent: x\r\n"), "{whole:?}");
    assert!(whole.contains("\"t\":\"edited\"") && !whole.contains("drop") && !whole.contains("none"), "{whole:?}");
    assert!(whole.contains("event: y\ndata: {\"t\":\"twice\"}\n\nevent: y\ndata: {\"t\":\"again\"}\n\n"), "{whole:?}");
    assert!(whole.contains("data: [DONE]\n\ndata: {"), "{whole:?}");
    assert!(whole.contains("\"t\":\"end\"") && whole.contains("\"why\":\"done\""), "{whole:?}");
    for size in 1..60 {
        assert_eq!(talk.get(&format!("/{size}"), &[]).text(), whole, "in pieces of {size}");
    }
}

#[test]
fn lines_of_json_are_edited_like_events() {
    let lines = "{\"t\":\"keep\", \"n\":1.0}\n{\"t\":\"edit\"}\n{\"t\":\"drop\"}\n{\"t\":\"twice\"}\n";
    let upstream = Service::start(move |heard, stream| {
        let size: usize = heard.target().trim_start_matches('/').parse().unwrap();
        say(stream, chunked("application/x-ndjson", lines.as_bytes().chunks(size)))
    });
    let gate = Bundled::policy(&upstream.url(), "", EDITING);
    let mut talk = gate.talk();
    for size in [1, 2, 5, 11, 1000] {
        let text = talk.get(&format!("/{size}"), &[]).text();
        let said: Vec<&str> = text.lines().collect();
        assert_eq!(
            said[..4],
            [r#"{"t":"keep", "n":1.0}"#, r#"{"t":"edited"}"#, r#"{"t":"twice"}"#, r#"{"t":"again"}"#],
            "{text}"
        );
        assert!(said[4].contains(r#""t":"end""#) && said.len() == 5, "{text}");
    }
}

#[test]
fn an_edited_event_leaves_before_the_next_one_comes() {
    let (go, told) = std::sync::mpsc::channel::<()>();
    let told = parking_lot::Mutex::new(told);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: {\"t\":\"edit\"}\n\n"));
        told.lock().recv().unwrap();
        say(stream, chunk("data: [DONE]\n\n")) && say(stream, END)
    });
    let gate = Bundled::policy(&upstream.url(), "", EDITING);
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    talk.wait_for("edited");
    go.send(()).unwrap();
    assert!(talk.read().whole);
}

#[test]
fn an_event_whose_hook_fails_passes_as_it_came() {
    let upstream =
        Service::saying(chunked("text/event-stream", ["data: {\"t\": \"a\"}\n\n", "data: b\n\n", "data: c\n\n"]));
    let failing = [
        "error(\"no\")",
        "ev.data = \"x\"; error(\"after an edit\")",
        "while true do end",
        "return 5",
        "return { { dta = \"x\" } }",
        "upstream.call(\"up\")",
    ];
    for body in failing {
        let lua = format!("return policy {{ api = 1,\n  on_event = function(ev)\n    {body}\n  end }}");
        let gate = Bundled::policy(&upstream.url(), "", &lua);
        let said = gate.talk().get("/", &[]);
        assert_eq!(said.text(), "data: {\"t\": \"a\"}\n\ndata: b\n\ndata: c\n\n", "{body}");
        let errors = gate.status()["hook_errors"].clone();
        assert_eq!(errors.as_array().unwrap().len(), 1, "{body}: only the first is reported: {errors:#}");
        assert_eq!(
            (&errors[0]["hook"], &errors[0]["file"]),
            (&"on_event".into(), &"p.lua".into()),
            "{body}: {errors:#}"
        );
        assert!(errors[0]["line"] == 2 || errors[0]["line"] == 3, "{body}: {errors:#}");
    }
}

#[test]
fn an_event_larger_than_the_limit_never_passes_hooks_unseen() {
    let large = format!("data: {{\"t\":\"edit\",\"x\":\"{}\"}}\n\n", "x".repeat(5000));
    let stream = ["data: {\"t\":\"edit\"}\n\n".to_owned(), large.clone(), "data: {\"t\":\"last\"}\n\n".to_owned()];
    let upstream = Service::saying(chunked("text/event-stream", &stream));
    let gate = Bundled::policy(&upstream.url(), "[limits]\nevent = \"4KiB\"\n", EDITING);
    let said = gate.talk().get("/", &[]);
    assert!(!said.whole, "the client can tell that it is not all");
    assert!(said.text().starts_with("data: {\"t\":\"edited\"}\n\n"), "{:.60}", said.text());
    assert!(!said.text().contains(&large) && said.text().contains("larger than this gate holds"), "{}", said.text());

    let plain = Bundled::policy(&upstream.url(), "[limits]\nevent = \"4KiB\"\n", "return policy { api = 1 }");
    let said = plain.talk().get("/", &[]);
    assert!(said.whole && said.text() == stream.concat(), "where no hook watches, it passes as it came");
}
