//! Writing: what reads back is what was written, and an ordinary exchange looks as if a hand had written it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::super::same::same;
use super::super::{Answer, Call, Case, Mishap, Param, Piece, Setup, Takes, read};
use super::write;
use crate::message::{RequestHead, ResponseHead};
use crate::tape::Read;

#[track_caller]
fn comes_back(case: &Case) -> String {
    let text = write(case);
    let back = read::read("t.http", &text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    assert!(same(case, &back), "{case:#?}\nis written as\n{text}\nand read as\n{back:#?}");
    text
}

/// The bodies and headers of a text, as they stand in it again after reading and writing.
#[track_caller]
fn stays(text: &str) {
    assert_eq!(comes_back(&read::read("t.http", text).unwrap()), text);
}

fn pieces(pieces: &[(u64, &[u8])]) -> Vec<Piece> {
    let piece = |(pause, bytes): &(u64, &[u8])| Piece {
        pause: Duration::from_millis(*pause),
        bytes: Bytes::copy_from_slice(bytes),
    };
    pieces.iter().map(piece).collect()
}

/// A case whose upstream answers with a body of this type.
fn answered(kind: &str, body: Vec<Piece>) -> Case {
    let mut case = read::read("t.http", "# A.\n> client\nGET / HTTP/1.1\n").unwrap();
    let mut head = ResponseHead::build(200, None).unwrap();
    head.append_header("Content-Type", kind).unwrap();
    head.append_header("Transfer-Encoding", "chunked").unwrap();
    case.answers.push(Answer {
        line: 0,
        upstream: "sea".to_owned(),
        endpoint: None,
        fault: None,
        slow: Duration::ZERO,
        early: false,
        reused: false,
        heads: vec![head],
        body,
        trailers: None,
    });
    case
}

fn cases_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cases_below(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "http") {
            found.push(path);
        }
    }
}

#[test]
fn every_case_of_this_repository_comes_back() {
    let mut files = Vec::new();
    cases_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"), &mut files);
    assert!(files.len() > 80);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        comes_back(&read::read("t.http", &text).unwrap());
    }
}

#[test]
fn an_ordinary_exchange_is_written_as_by_hand() {
    stays(
        "# Who asks, and what is said.\nset seed 4\n\n> client\nPOST /v1/messages HTTP/1.1\nHost: gate.test\n\
         content-type: application/json\n\n{\"model\":\"m\"}\n\n< upstream sea/north slow=1200ms\nHTTP/1.1 200 OK\n\
         content-type: application/json\n\n{\n  \"a\": 1\n}\n",
    );
}

#[test]
fn a_stream_of_one_event_a_piece_has_marks_for_its_pauses_only() {
    let body = pieces(&[(0, b"data: 1\n\n"), (0, b"data: 2\n\n"), (31, b"data: 3\n\n"), (0, b"data: [DONE]\n\n")]);
    let text = comes_back(&answered("text/event-stream", body));
    let expected = "< upstream sea split=events\nHTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n\
                    data: 1\n\ndata: 2\n\n~ 31ms\ndata: 3\n\ndata: [DONE]\n\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn lines_of_a_stream_of_json_are_pieces_too() {
    let body = pieces(&[(5, b"{\"a\":1}\n"), (0, b"{\"b\":1}\n"), (0, b"{\"c\":1}\n")]);
    let text = comes_back(&answered("application/x-ndjson", body));
    assert!(text.ends_with(" split=events\nHTTP/1.1 200 OK\nContent-Type: application/x-ndjson\n\n~ 5ms\n{\"a\":1}\n{\"b\":1}\n{\"c\":1}\n"), "{text}");
}

#[test]
fn a_cut_in_mid_line_is_a_mark() {
    let text = comes_back(&answered("text/event-stream", pieces(&[(0, b"data: a"), (12, b"b\n\n"), (0, b"~> \n\n")])));
    assert!(text.ends_with("data: a\n~ 12ms torn\nb\n\n\\~> \n\n"), "{text}");
}

#[test]
fn what_is_no_text_stands_in_base64_and_the_rest_as_it_is() {
    let lines = b"one\ntwo\nthree\nfour\nf\xffve\nsix".as_slice();
    let text = comes_back(&answered("text/plain", pieces(&[(0, lines)])));
    assert!(text.ends_with("one\ntwo\nthree\nfour\n~ base64 Zv92ZQo=\nsix\n"), "{text}");
}

#[test]
fn a_final_line_end_is_kept() {
    for (kind, body) in [
        ("application/json", b"{}\n".as_slice()),
        ("application/json", b"\n"),
        ("application/json", b"\n\n{}\r\n\r\n"),
        ("text/event-stream", b"data: 1\n"),
        ("text/event-stream", b"data: 1"),
        ("text/event-stream", b"data: 1\n\n\n"),
        ("application/x-ndjson", b"{}\n\n"),
        ("text/plain", b"a\rb\r"),
        ("text/plain", b"\0"),
    ] {
        comes_back(&answered(kind, pieces(&[(0, body)])));
    }
}

#[test]
fn headers_that_are_no_text_come_back() {
    let mut case = answered("text/plain", Vec::new());
    let head = &mut case.answers[0].heads[0];
    head.append_header("X-Odd", b" \xe9\xff ".as_slice()).unwrap();
    head.append_header("X-Empty", "").unwrap();
    head.set_reason_phrase(Some("")).unwrap();
    head.set_version(http::Version::HTTP_2);
    case.calls[0].head = RequestHead::build("GET", b"/\xff?a", None).unwrap();
    comes_back(&case);
}

#[test]
fn short_pauses_are_not_lost_in_sum() {
    let piece = Piece { pause: Duration::from_micros(400), bytes: Bytes::from_static(b"data: 1\n\n") };
    let text = write(&answered("text/event-stream", vec![piece; 100]));
    let back = read::read("t.http", &text).unwrap();
    let sum: Duration = back.answers[0].body.iter().map(|piece| piece.pause).sum();
    assert_eq!((back.answers[0].body.len(), sum), (100, Duration::from_millis(40)));
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        Just(b"data: 1\n\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"> client\n".to_vec()),
        Just(b"< upstream sea\n".to_vec()),
        Just(b"\\~\n".to_vec()),
        Just(b"~ 20ms\n".to_vec()),
        Just(b"~ end\n".to_vec()),
        Just(b"# no comment\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\n".to_vec()),
        "[a-z{}\" ~<>\\\\é\u{4e00}]{0,12}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
    ];
    vec(parts, 0..8).prop_map(|parts| parts.concat())
}

fn body() -> impl Strategy<Value = Vec<Piece>> {
    let pause = prop_oneof![Just(0u64), Just(0), 0..5000u64];
    let piece = (pause, bytes().prop_filter("a piece has bytes", |bytes| !bytes.is_empty()));
    let piece = piece.prop_map(|(pause, bytes)| Piece { pause: Duration::from_millis(pause), bytes: bytes.into() });
    vec(piece, 0..6)
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let kind = prop_oneof![Just("text/event-stream"), Just("application/json"), Just("application/x-ndjson")];
    let value = prop_oneof!["[ -~]{0,20}".prop_map(String::into_bytes), vec(0x80u8.., 0..5)];
    let any = ("[A-Za-z][A-Za-z-]{0,8}", value);
    let framing = prop_oneof![
        Just(("Content-Length".to_owned(), b"5".to_vec())),
        Just(("transfer-encoding".to_owned(), b"chunked".to_vec())),
    ];
    let kind = kind.prop_map(|kind| ("Content-Type".to_owned(), kind.as_bytes().to_vec()));
    vec(prop_oneof![3 => any, 1 => kind, 1 => framing], 0..5)
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0u64), 0..100_000u64].prop_map(Duration::from_millis)
}

prop_compose! {
    fn call()(
        (after, leaves, tls) in (durations(), option::of(durations()), any::<bool>()),
        takes in option::of(prop_oneof![Just(Takes::default()), any::<u64>().prop_map(|bytes| Takes { head: true, bytes })]),
        target in "/[!-~]{0,12}",
        (headers, body) in (headers(), body()),
        version in 0..super::VERSIONS.len(),
    ) -> Option<Call> {
        let mut head = RequestHead::build("POST", target.as_bytes(), None).ok()?;
        head.set_version(super::VERSIONS[version].1);
        for (name, value) in headers {
            head.append_header(name, value).ok()?;
        }
        Some(Call { line: 0, after, beside: false, leaves, takes, tls, head, body })
    }
}

prop_compose! {
    fn answer()(
        (slow, early, reused, endpoint) in (durations(), any::<bool>(), any::<bool>(), option::of(Just("north".to_owned()))),
        (statuses, headers, body) in (vec(100..104u16, 0..2), headers(), body()),
        (status, reason) in (200..600u16, option::of("[ -~]{0,9}")),
        fault in option::of(0..Mishap::WORDS.len()),
    ) -> Answer {
        let fault = fault.map(|index| Mishap::WORDS[index].1);
        let headless = matches!(fault, Some(Mishap::Refuse | Mishap::Unreachable | Mishap::Tls | Mishap::Reset));
        let mut heads: Vec<_> = statuses.iter().map(|status| ResponseHead::build(*status, None).unwrap()).collect();
        let mut head = ResponseHead::build(status, None).unwrap();
        head.set_reason_phrase(reason.as_deref().map(str::trim).filter(|reason| *reason != "~")).unwrap();
        for (name, value) in headers {
            head.append_header(name, value).unwrap();
        }
        heads.push(head);
        let heads = if headless { Vec::new() } else { heads };
        let body = if headless { Vec::new() } else { body };
        Answer { line: 0, upstream: "sea".to_owned(), endpoint, fault, slow, early, reused, heads, body, trailers: None }
    }
}

prop_compose! {
    fn setup()(
        (nanos, seed, client) in (0..2_000_000_000_000_000_000u64, any::<u64>(), any::<u32>()),
        (id, value) in (option::of("[0-9a-f]{8}"), "[!-~]([ -~]{0,8}[!-~])?"),
        (what, number) in ("[ -~\n\u{e9}]{0,12}", any::<f64>()),
    ) -> Setup {
        Setup {
            clock: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos),
            seed,
            client: std::net::Ipv4Addr::from(client).into(),
            env: [("KEY".to_owned(), value.clone())].into(),
            params: vec![Param { policy: "p".to_owned(), name: "n".to_owned(), value: json!({"a": value}), line: 0 }],
            id,
            reads: vec![Read { what: what.clone(), value: json!({"1\"": [number, what, 1e-7, -3], "": number / 3.0}) }],
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_recording_comes_back(
        setup in setup(),
        calls in vec(call(), 1..3),
        answers in vec(answer(), 0..3),
        about in "[!-~]([a-z\u{e9} ]{0,300}[!-~])?",
    ) {
        let calls: Vec<Call> = calls.into_iter().flatten().collect();
        prop_assume!(!calls.is_empty());
        comes_back(&Case { file: "t.http".to_owned(), about, setup, calls, answers });
    }
}
