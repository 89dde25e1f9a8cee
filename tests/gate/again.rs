//! Whatever became of an exchange over real sockets, it plays the same again, and as a case it passes at once.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::record::{CHAT, NAMES, ask as command, cases, kept, passes, said};
use crate::support::bundle::Bundled;
use crate::support::second::{Certificate, ask, client, plain, request, run};
use crate::support::service::{
    END, Heard, Service, answer, chat, chat_stream, chunk, chunked, json as saying, last, nobody, open, reset, say,
    stall,
};

/// What `/-/explain` says of an exchange.
#[track_caller]
pub(crate) fn explained(gate: &Bundled, id: &str) -> Value {
    kept(gate, id);
    let said = gate.tell("/-/explain", &json!({"id": id}));
    assert_eq!(said.status, 200, "{}", said.text());
    said.json()
}

/// That an exchange plays as it was, and is a case that passes; its text.
#[track_caller]
fn same_again(gate: &Bundled, id: &str) -> String {
    let told = explained(gate, id);
    assert_eq!(told["differences"], json!([]), "{}", told["text"].as_str().unwrap());
    let saved = gate.tell("/-/record", &json!({"id": id})).json();
    assert_eq!(saved["cases"][0]["differences"], json!([]), "{saved:#}");
    said(&command(gate, "record", &[id]));
    passes(gate);
    let found = cases(gate);
    std::fs::read_to_string(found.last().unwrap()).unwrap()
}

const ID: [(&str, &str); 1] = [("X-Request-Id", "this-one")];

/// A gate before one upstream that acts so.
fn before(act: impl Fn(&Heard, &mut TcpStream) -> bool + Send + Sync + 'static) -> (Service, Bundled) {
    let upstream = Service::start(act);
    let gate = Bundled::policy(&upstream.url(), "", NAMES);
    (upstream, gate)
}

#[test]
fn a_stored_answer_serves_again() {
    let upstream = Service::saying(saying(&chat("hi")));
    let settings = format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"identify.lua\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
        upstream.url()
    );
    let gate = Bundled::shipped(&settings);
    let mut talk = gate.talk();
    let body = r#"{"model":"m","messages":[{"role":"user","content":"moon"}]}"#;
    talk.post(CHAT, &[], body);
    assert!(talk.post(CHAT, &ID, body).header("x-cache").is_some_and(|told| told.starts_with("hit")));
    let told = explained(&gate, "this-one");
    assert!(told["text"].as_str().unwrap().contains("cache     hit"), "{}", told["text"].as_str().unwrap());
    let text = same_again(&gate, "this-one");
    assert_eq!(text.matches("> client").count(), 2, "the case has the call that filled the cache: {text}");
    let snapshot = cases(&gate)[0].with_extension("snap");
    let snapshot = gate.file("snapshots/recorded").join(snapshot.file_name().unwrap());
    assert!(std::fs::read_to_string(snapshot).unwrap().contains("cache: hit"));
}

#[test]
fn a_stored_stream_serves_again() {
    let upstream = Service::saying(chunked("text/event-stream", [chat_stream(&["a", "b", "c"])]));
    let settings = format!(
        "[upstreams.up]\nurl = \"{}\"\ndialect = \"openai\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
        upstream.url()
    );
    let gate = Bundled::shipped(&settings);
    let mut talk = gate.talk();
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"moon"}]}"#;
    talk.post(CHAT, &[], body);
    assert!(talk.post(CHAT, &ID, body).header("x-cache").is_some_and(|told| told.starts_with("hit")));
    same_again(&gate, "this-one");
}

#[test]
fn a_failover_fails_over_again() {
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/one/v1/chat/completions" => say(stream, answer(503, &[("Retry-After", "0")], "busy")),
        "/two/v1/chat/completions" => reset(stream),
        _ => say(stream, saying(&chat("hi"))),
    });
    let settings = format!(
        "[upstreams.up]\nendpoints = [{{ name = \"one\", url = \"{url}/one\" }}, {{ name = \"two\", url = \"{url}/two\" }}, \
         {{ name = \"none\", url = \"http://{none}\" }}, {{ name = \"good\", url = \"{url}/good\", weight = 0 }}]\n\
         [[policies]]\nfile = \"failover.lua\"\nparams.attempts = 4\n",
        url = upstream.url(),
        none = nobody()
    );
    let gate = Bundled::shipped(&settings);
    let said = gate.talk().post(CHAT, &ID, r#"{"model":"m","messages":[]}"#);
    assert_eq!(said.status, 200);
    assert!((3..=4).contains(&upstream.count()), "what is reset on a kept connection is asked again");
    let text = same_again(&gate, "this-one");
    for fault in ["< upstream up/two fault=reset", "< upstream up/none fault=refuse"] {
        assert!(text.contains(fault), "{text}");
    }
    let told = explained(&gate, "this-one");
    assert_eq!(told["attempts"].as_array().unwrap().len(), 4);
}

#[test]
fn a_request_that_is_sent_again_on_a_fresh_connection_is_one_attempt() {
    let (upstream, gate) = before(|heard, stream| match heard.number {
        2 => false,
        _ => say(stream, saying("{}")),
    });
    let mut talk = gate.talk();
    talk.get("/first", &[]);
    assert_eq!(talk.get("/second", &ID).status, 200);
    assert_eq!(upstream.count(), 3, "the kept connection was closed under the request");
    let told = explained(&gate, "this-one");
    assert_eq!(told["attempts"].as_array().unwrap().len(), 1);
    let changed = &told["attempts"][0]["changed"];
    assert!(changed.to_string().contains("header via added"), "{changed}");
    let text = same_again(&gate, "this-one");
    assert!(text.contains("fault=reset") && text.contains(" reused\n"), "{text}");
    let snapshot = told["snapshot"].as_str().unwrap();
    assert!(snapshot.contains("(sent again: the kept connection was closed)"), "{snapshot}");
    assert!(!snapshot.contains("called by a policy"), "{snapshot}");
}

#[test]
fn a_stream_that_is_cut_is_cut_again() {
    let (_upstream, gate) = before(|_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk(chat_stream(&["a", "b"]).split_at(200).0));
        reset(stream)
    });
    let said = gate.talk().post(CHAT, &ID, r#"{"model":"m","stream":true,"messages":[]}"#);
    assert!(!said.whole || said.text().contains("error"), "{}", said.text());
    let text = same_again(&gate, "this-one");
    assert!(text.contains("fault=cut"), "{text}");
}

#[test]
fn a_client_that_left_leaves_again() {
    let (_upstream, gate) = before(|_, stream| {
        say(stream, open("text/event-stream"));
        for word in ["a", "b", "c", "d"] {
            say(stream, chunk(chat_stream(&[word]).split("\n\n").next().unwrap().to_owned() + "\n\n"));
        }
        stall(stream)
    });
    let mut talk = gate.talk();
    talk.ask(CHAT, &ID, r#"{"model":"m","stream":true,"messages":[]}"#);
    talk.wait_for("\"d\"");
    drop(talk);
    let text = same_again(&gate, "this-one");
    assert!(text.contains("> client leaves="), "{text}");
    assert_eq!(explained(&gate, "this-one")["reason"], "client_gone");
}

#[test]
fn a_client_that_left_before_any_answer_leaves_again() {
    let (_upstream, gate) = before(|_, stream| stall(stream));
    let mut talk = gate.talk();
    talk.ask(CHAT, &ID, r#"{"model":"m","messages":[]}"#);
    thread::sleep(Duration::from_millis(50)); // paced: the request reaches the upstream before its client goes
    drop(talk);
    same_again(&gate, "this-one");
    assert_eq!(explained(&gate, "this-one")["status"], Value::Null);
}

#[test]
fn a_stream_with_pauses_keeps_them() {
    let (_upstream, gate) = before(|_, stream| {
        say(stream, open("text/event-stream"));
        for piece in chat_stream(&["a", "b"]).split_inclusive("\n\n") {
            say(stream, chunk(piece));
            thread::sleep(Duration::from_millis(30)); // paced: the upstream is slow
        }
        say(stream, END)
    });
    gate.talk().post(CHAT, &ID, r#"{"model":"m","stream":true,"messages":[]}"#);
    let text = same_again(&gate, "this-one");
    assert!(text.contains("~ pause ") || text.contains("ms"), "{text}");
}

#[test]
fn bodies_in_gzip_are_kept_as_they_are_and_read_by_redaction() {
    let squeezed = |text: &str| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let answered = squeezed(&chat("the password of ann@example.org"));
    let (upstream, gate) = before(move |_, stream| {
        say(stream, answer(200, &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")], &answered))
    });
    let body = squeezed(r#"{"model":"m","messages":[{"role":"user","content":"write to ann@example.org"}]}"#);
    let mut talk = gate.talk();
    talk.send(format!(
        "POST {CHAT} HTTP/1.1\r\nHost: g\r\nX-Request-Id: this-one\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    talk.send(&body);
    assert_eq!(talk.read().status, 200);
    assert_eq!(upstream.heard()[0].body, body);
    let text = same_again(&gate, "this-one");
    assert!(text.contains("\"model\":\"m\"") && !text.contains("ann@example.org"), "{text}");
}

#[test]
fn a_request_by_http_2_or_under_tls_comes_so_again() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let h2c = "[[listen]]\naddress = \"127.0.0.1:8800\"\nh2c = true\n";
    let gate = Bundled::policy(&upstream.url(), h2c, NAMES);
    run(async {
        let mut client = plain(gate.address).await;
        let two = request("POST", "/a?b=c").header("x-request-id", "this-one").header("user-agent", "two");
        assert_eq!(ask(&mut client, two, "some bytes").await.body, b"some bytes");
    });
    let text = same_again(&gate, "this-one");
    assert!(text.contains("POST /a?b=c HTTP/2"), "{text}");

    let certificate = Certificate::of("gate.test");
    let settings = format!(
        "[[listen]]\naddress = \"127.0.0.1:8800\"\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n[upstreams.up]\nurl = \"{}\"\n",
        upstream.url()
    );
    let gate =
        Bundled::serve(&[("tidegate.toml", &settings), ("cert.pem", &certificate.cert), ("key.pem", &certificate.key)]);
    run(async {
        let stream = certificate.connect(gate.address, "gate.test", &["h2"]).await;
        let mut client = client(stream).await;
        let secure = request("POST", "/s").header("x-request-id", "this-one");
        assert_eq!(ask(&mut client, secure, "x").await.body, b"x");
    });
    let text = same_again(&gate, "this-one");
    assert!(text.contains("> client tls"), "{text}");
}

#[test]
fn a_policy_is_told_again_what_it_was_told() {
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/who" => say(stream, saying(&format!(r#"{{"n":{}}}"#, heard.number))),
        _ => say(stream, answer(200, &[], format!("{:?}", heard.header("x-told")))),
    });
    let lua = "return policy { api = 1, on_request = function(req)\n  local res = upstream.call(\"up\", { path = \"/who\" })\n  \
               req.headers:set(\"x-told\", store:incr(\"n\", 1) .. \" \" .. math.random() .. \" \" .. clock.now() .. \" \" .. res:json().n)\nend }\n";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    talk.get("/", &[]);
    let told = talk.get("/", &ID);
    let text = same_again(&gate, "this-one");
    assert!(text.contains("set read \"store.incr"), "what matters stays in the case: {text}");
    assert!(text.contains("set read \"clock.now\"") && text.contains("set read \"seed\""), "{text}");
    assert!(!text.contains("set read \"took\""), "what does not matter goes: {text}");
    let explained = explained(&gate, "this-one");
    let text = explained["text"].as_str().unwrap();
    let header = told.text().replace("Some(\"", "").replace("\")", "");
    assert!(text.contains(&format!("header x-told added: {header}")), "{text}");
    let changed = explained["attempts"][0]["changed"].to_string();
    assert!(changed.contains(&header), "the attempt's own request, not the policy's: {changed}");
}

#[test]
fn an_exchange_of_a_canary_is_played_on_the_canary() {
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/who" => say(stream, saying(&format!(r#"{{"n":{}}}"#, heard.number))),
        _ => say(stream, answer(200, &[], format!("{:?}", heard.header("x-told")))),
    });
    let asking = |word: &str| {
        format!(
            "return policy {{ api = 1, identify = function(req)\n  local res = upstream.call(\"up\", {{ path = \"/who\" }})\n  \
             return {{ user = \"{word} \" .. res:json().n .. \" \" .. store:incr(\"n\", 1) }} end,\n  \
             on_request = function(req, ctx) req.headers:set(\"x-told\", ctx.user) end }}\n"
        )
    };
    let gate = Bundled::policy(&upstream.url(), "", &asking("two"));
    let hash = gate.on_disk().to_string();
    gate.save_live("p.lua", &asking("one"));
    assert_eq!(gate.tell("/-/promote", &json!({"generation": hash, "percent": 100, "by": "ip"})).status, 200);
    let told = gate.talk().get("/", &ID);
    assert_eq!(told.text(), "Some(\"two 2 2\")");
    let explained = explained(&gate, "this-one");
    assert_eq!((&explained["generation"], &explained["true"]), (&json!(hash), &json!(true)), "{explained:#}");
}

#[test]
fn an_exchange_of_a_preview_is_explained_and_shown_as_such() {
    let upstream = Service::saying(saying("{}"));
    let gate = Bundled::policy(&upstream.url(), "", NAMES);
    let hash = gate.on_disk().to_string();
    gate.save_live("p.lua", &(NAMES.to_owned() + "\n"));
    let token = gate.tell("/-/preview", &json!({"generation": hash})).json()["token"].as_str().unwrap().to_owned();
    let mut talk = gate.talk();
    talk.get("/", &[("X-Request-Id", "live-one")]);
    talk.get("/", &[("X-Request-Id", "previewed"), ("X-Tidegate-Preview", &token)]);
    kept(&gate, "live-one");
    let listed = || said(&command(&gate, "record", &["--list"]));
    assert!(crate::support::until(|| listed().contains("previewed")), "{}", listed());
    assert!(listed().starts_with("previewed") && listed().contains("2 exchanges kept"), "{}", listed());
    let told = gate.tell("/-/explain", &json!({"id": "previewed"})).json();
    assert_eq!((&told["generation"], &told["true"]), (&json!(hash), &json!(true)), "{told:#}");
    let text = said(&command(&gate, "record", &["previewed", "--jsonl"]));
    assert!(!text.contains(&token), "the token opens a preview: it is in no recording");
}

#[test]
fn an_answer_that_ends_with_its_connection_ends_so_again() {
    let (_upstream, gate) = before(|_, stream| {
        last(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nuntil the end")
    });
    assert_eq!(gate.talk().get("/", &ID).text(), "until the end");
    same_again(&gate, "this-one");
}
