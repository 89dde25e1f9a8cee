//! No secret that passed the gate is in a file that it writes or in an answer that it gives about it, unless asked for.

use std::fs;

use serde_json::json;

use crate::record::{CHAT, ask, cases, kept, passes, said};
use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chat_stream, chunked, say};
use crate::support::talk::Talk;

/// A secret of each place that it may come from, each told apart.
const SECRETS: [&str; 8] = [
    "sk-proj-header0header0header0header0h1",
    "AIzaSyQuery0query0query0query0query0qu1",
    "sk-ant-api03-body0body0body0body0body0bo1",
    "ghp_prompt0prompt0prompt0prompt0prompt0p1",
    "xoxb-2222222222-stream0stream0stream0str1",
    "cookie0cookie0cookie0cookie1",
    "setcookie0setcookie0setcookie1",
    "sk-live-stored0stored0stored0stored0st1",
];

/// Sends all of them, through a policy that keeps one in the store and moves others about.
fn gate() -> (Service, Bundled) {
    let upstream = Service::start(|heard, stream| {
        if heard.target().starts_with("/plain") {
            return say(stream, answer(200, &[], "stored"));
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: sid=";
        let streamed = String::from_utf8(chunked("text/event-stream", [chat_stream(&["take", SECRETS[4]])])).unwrap();
        let streamed = streamed.replacen(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream",
            &format!("{head}{}", SECRETS[6]),
            1,
        );
        say(stream, streamed)
    });
    let lua = "return policy { api = 1,\n  identify = function(req) return { user = \"ann\" } end,\n  on_request = function(req)\n    \
               local mine = req.headers:get(\"x-keep\")\n    if mine then store:set(\"mine\", mine) end\n    \
               local stored = store:get(\"mine\")\n    if stored then req.headers:set(\"x-vault\", stored) end\n    \
               req.headers:set(\"x-forwarded-authorization\", req.headers:get(\"authorization\") or \"none\")\n    \
               local body = req:json()\n    if body then body.api_key = nil body.note = \"k=\" .. tostring(req.headers:get(\"authorization\")) end\n  end,\n  \
               on_response = function(res) res.headers:delete(\"set-cookie\") end }\n";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    talk.get("/plain", &[("X-Request-Id", "first"), ("X-Keep", SECRETS[7])]);
    let body = json!({
        "model": "m",
        "stream": true,
        "api_key": SECRETS[2],
        "messages": [{"role": "user", "content": format!("my key is {} as you know", SECRETS[3])}],
    });
    let headers = [
        ("X-Request-Id", "secret-one"),
        ("Authorization", &*format!("Bearer {}", SECRETS[0])),
        ("Cookie", &*format!("theme=dark; sid={}", SECRETS[5])),
    ];
    talk.post(&format!("{CHAT}?key={}", SECRETS[1]), &headers, &body.to_string());
    kept(&gate, "secret-one");
    (upstream, gate)
}

/// The secrets that stand in a text, or enough of one to be used as a hint.
fn in_it(text: &str) -> Vec<&'static str> {
    SECRETS.into_iter().filter(|secret| text.contains(&secret[secret.len() / 2 - 6..secret.len() / 2 + 6])).collect()
}

#[test]
fn no_secret_is_in_what_is_written_or_told() {
    let (upstream, gate) = gate();
    let heard = upstream.heard();
    assert_eq!(heard[1].header("x-vault"), Some(SECRETS[7]), "it passed");
    let mut shown = vec![said(&ask(&gate, "record", &["secret-one"])), said(&ask(&gate, "explain", &["secret-one"]))];
    for arguments in [&["--last", "9", "--jsonl"][..], &["--list"], &["secret-one", "--keep-text", "--jsonl"]] {
        shown.push(said(&ask(&gate, "record", arguments)));
    }
    shown.push(gate.tell("/-/record", &json!({"last": 9, "keep_text": true})).text());
    for id in ["first", "secret-one"] {
        shown.push(gate.tell("/-/explain", &json!({"id": id})).text());
        let hash = gate.on_disk().to_string();
        shown.push(gate.tell("/-/explain", &json!({"id": id, "with": hash})).text());
    }
    for path in ["/-/exchanges", "/-/status", "/-/metrics", "/-/generations"] {
        let mut admin = Talk::to(gate.admin);
        admin.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", gate.admin));
        shown.push(admin.read().text());
    }
    for path in cases(&gate) {
        let snapshot = gate.file("snapshots/recorded").join(path.file_name().unwrap()).with_extension("snap");
        shown.push(fs::read_to_string(path).unwrap());
        shown.push(fs::read_to_string(snapshot).unwrap());
    }
    for text in &shown {
        assert_eq!(in_it(text), Vec::<&str>::new(), "{text}");
    }
    let case = &shown[shown.len() - 2];
    assert!(case.contains("Authorization: Bearer sk-proj-") && case.contains("Cookie: theme="), "{case}");
    assert!(!case.contains("as you know"), "texts go too: {case}");
    passes(&gate);
}

#[test]
fn texts_stay_when_asked_and_everything_only_when_asked() {
    let (_upstream, gate) = gate();
    said(&ask(&gate, "record", &["secret-one", "--keep-text", "--name", "kept"]));
    let text = fs::read_to_string(gate.file("cases/kept.http")).unwrap();
    assert!(text.contains("my key is ghp_") && text.contains("as you know"), "{text}");
    assert_eq!(in_it(&text), Vec::<&str>::new(), "{text}");
    said(&ask(&gate, "record", &["secret-one", "--as-is", "--name", "whole"]));
    let text = fs::read_to_string(gate.file("cases/whole.http")).unwrap();
    assert_eq!(in_it(&text), SECRETS, "{text}");
    passes(&gate);
}
