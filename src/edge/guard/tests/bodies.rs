//! Bodies, upgrades and the corpus: what comes behind a head.

use std::path::Path;

use base64::Engine;

use super::super::{H2_PREFACE, Refusal, refusal_header};
use super::*;

#[test]
fn chunked_is_the_only_coding() {
    for value in [
        "identity",
        "chunked, identity",
        "chunked, chunked",
        "xchunked",
        "\"chunked\"",
        ",chunked",
        "chunked,",
        "",
        "chunked;a=b",
        "\u{b}chunked",
        "chunked\u{0}",
        "ch unked",
    ] {
        assert!(matches!(judge_field(&format!("Transfer-Encoding: {value}")), End::Refused(400, _)), "{value:?}");
    }
    for value in ["gzip, chunked", "gzip ,br,\tChunked"] {
        assert_eq!(
            judge_field(&format!("Transfer-Encoding: {value}")),
            End::Refused(501, "transfer coding not offered")
        );
    }
    for value in ["chunked", "  CHUNKED\t"] {
        assert_eq!(judge_field(&format!("tRANSFER-eNCODING:{value}")), End::InBody);
    }
    assert_eq!(
        judge_field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        bad("Transfer-Encoding given twice")
    );
    assert_eq!(judge_field("Transfer_Encoding: chunked"), End::Clean);
}

#[test]
fn length_and_coding_exclude_each_other_and_http10_has_no_coding() {
    let both = bad("Content-Length beside Transfer-Encoding");
    assert_eq!(judge_field("Content-Length: 5\r\nTransfer-Encoding: chunked"), both);
    assert_eq!(judge_field("Transfer-Encoding: chunked\r\nContent-Length: 5"), both);
    let old = judge("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(old.end, bad("Transfer-Encoding in HTTP/1.0"));
}

#[test]
fn what_connection_must_not_list_is_taken_from_the_list() {
    assert_becomes(
        "GET / HTTP/1.1\r\nHost: h\r\ncONNECTION: close, transfer-ENCODING ,host,x\r\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\ncONNECTION: close, x\r\nA: b\r\n\r\n",
    );
    let outcome = judge("GET / HTTP/1.1\r\nHost: h\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(
        outcome.messages,
        [("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n".to_owned(), b"ok".to_vec())]
    );
    assert_untouched("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive,  X-Y\r\n\r\n");
}

#[test]
fn an_upgrade_holds_back_what_follows() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\n\r\n";
    let outcome = judge(&format!("{head}GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!((outcome.heads(), &outcome.end), (vec![head], &End::Held(27)));
}

#[test]
fn a_settled_upgrade_passes_everything_or_expects_a_head() {
    let head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    for switched in [true, false] {
        let mut framer = Framer::new(Limits::default(), false);
        assert_eq!(framer.advance(head), Step::Pass(head.len()));
        assert_eq!(framer.advance(b"\0\n"), Step::Hold);
        framer.settle(switched);
        let expected = if switched { Step::Pass(2) } else { Step::Refuse(Refusal::bad("malformed request line")) };
        assert_eq!(framer.advance(b"\0\n"), expected);
    }
    let mut framer = Framer::new(Limits::default(), false);
    framer.settle(true);
    assert_eq!(framer.advance(b"\0"), Step::Refuse(Refusal::bad("malformed request line")));
}

#[test]
fn an_upgrade_that_nobody_may_act_on_is_left_out() {
    assert_becomes(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n",
    );
    assert_becomes("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_becomes("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET / HTTP/1.0\r\n\r\n");
    let body = judge("PUT / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nContent-Length: 2\r\nUpgrade: ws\r\n\r\nok");
    assert_eq!(body.messages, [("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n".to_owned(), b"ok".to_vec())]);
}

#[test]
fn chunks_pass_untouched() {
    for body in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "0005\r\nhello\r\n000\r\n\r\n",
        "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        "5;a;b=c;d=\"e f;\\\"\u{e9}\"\r\nhello\r\n0;x\r\n\r\n",
        "0\r\nVary: *\r\nX-Empty:\r\nX-Long-Name-Beyond-The-Array: \t y\r\n\r\n",
    ] {
        let outcome = judge(&format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        assert_eq!((&outcome.messages[0].1, outcome.end), (&bytes(body), End::Clean), "{body:?}");
    }
}

#[test]
fn chunk_sizes_are_bare_hexadecimal() {
    for body in ["\r\n", ";a\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "g\r\n", "\n"] {
        assert!(
            matches!(judge_body(body), End::Fault("chunk without a size" | "invalid byte in a chunk size")),
            "{body:?}"
        );
    }
    for body in ["1 \r\n", "1\t;a\r\n", "1_0\r\n", "1\n"] {
        assert_eq!(judge_body(body), End::Fault("invalid byte in a chunk size"), "{body:?}");
    }
    for body in ["00000000000000001\r\n", "ffffffffffffffff\r\n", "8000000000000000\r\n"] {
        assert_eq!(judge_body(body), End::Fault("chunk size too large"), "{body:?}");
    }
    assert_eq!(judge_body("7fffffffffffffff\r\nx"), End::InBody);
}

#[test]
fn chunk_lines_end_with_crlf_where_the_size_says() {
    assert_eq!(judge_body("5\rXhello"), End::Fault("chunk size not ended by CRLF"));
    assert_eq!(judge_body("5\r\nhelloX"), End::Fault("chunk data longer than its size"));
    assert_eq!(judge_body("5\r\nhello\rX"), End::Fault("chunk data not ended by CRLF"));
    assert_eq!(judge_body("5\r\nhello\n0\r\n\r\n"), End::Fault("chunk data longer than its size"));
    assert_eq!(judge_body("5\r\nhello\r\n0\r\n"), End::InBody);
}

#[test]
fn chunk_extensions_follow_their_grammar() {
    for line in [
        "1;\r\n",
        "1; a\r\n",
        "1;a =b\r\n",
        "1;a=\r\n",
        "1;a=b c\r\n",
        "1;a=\"b\r\n",
        "1;a=\"b\"c\r\n",
        "1;a=\"\u{1}\"\r\n",
        "1;=b\r\n",
        "1;a\n",
        "1;a\rb\r\n",
    ] {
        assert!(matches!(judge_body(line), End::Fault(_)), "{line:?}");
    }
    let limits = Limits { chunk_ext: 8, ..Limits::default() };
    for (length, end) in [(7, End::InBody), (8, End::Fault("chunk extension too long"))] {
        let body = format!("1;{}\r\nx", "a".repeat(length + 1));
        let raw = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(judge_with(limits, raw.as_bytes()).end, end);
    }
}

#[test]
fn trailers_are_fields_that_may_come_late() {
    for body in [
        "0\r\n x: y\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\nx: \u{1}\r\n\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx: y\r\n\n",
        "0\r\n\rX",
    ] {
        assert_eq!(judge_body(body), End::Fault("malformed trailer"), "{body:?}");
    }
    for name in ["Content-Length", "TRANSFER-encoding", "Host", "te"] {
        assert_eq!(
            judge_body(&format!("0\r\nA: b\r\n{name}: 1\r\n\r\n")),
            End::Fault("a trailer that belongs into the head")
        );
    }
    let limits = Limits { trailer_bytes: 16, ..Limits::default() };
    let raw = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nabcdefgh: ijklmnopqrst\r\n\r\n";
    assert_eq!(judge_with(limits, raw.as_bytes()).end, End::Fault("trailers too large"));
}

#[test]
fn limits_hold_to_the_byte() {
    let raw = "GET /abc HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    let fits = Limits { head_bytes: raw.len(), headers: 2, request_line: 17, ..Limits::default() };
    let verdict = |limits| judge_with(limits, raw.as_bytes()).end;
    assert_eq!(verdict(fits), End::Clean);
    assert_eq!(verdict(Limits { head_bytes: raw.len() - 1, ..fits }), End::Refused(431, "head too large"));
    assert_eq!(verdict(Limits { headers: 1, ..fits }), End::Refused(431, "too many header fields"));
    assert_eq!(verdict(Limits { request_line: 16, ..fits }), End::Refused(414, "request line too long"));
}

#[test]
fn the_preface_passes_only_with_leave_and_only_first() {
    let limits = Limits::default();
    for allow in [true, false] {
        for size in [1, 5, 24] {
            let outcome = feed(limits, allow, H2_PREFACE.chunks(size));
            assert_eq!(outcome.end == End::Raw, allow);
        }
    }
    let late = [&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], H2_PREFACE].concat();
    assert_eq!(feed(limits, true, [&late[..]]).end, End::Refused(505, "HTTP version not spoken here"));
    let almost = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX";
    assert_eq!(feed(limits, true, almost.chunks(1)).end, End::Refused(505, "HTTP version not spoken here"));
}

#[test]
fn nothing_passes_after_a_refusal() {
    let mut framer = Framer::new(Limits::default(), false);
    assert!(matches!(framer.advance(b"GET /\r\n"), Step::Refuse(_)));
    assert_eq!(framer.advance(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Skip(27));
}

#[test]
fn a_stand_in_passes_the_gate_and_can_be_read_back() {
    let refusal = Refusal { status: 431, reason: "head too large" };
    let head = String::from_utf8(refusal.stand_in()).unwrap();
    assert_untouched(&head);
    let value = head.lines().find_map(|line| line.strip_prefix(&format!("{}: ", refusal_header()))).unwrap();
    assert_eq!(Refusal::parse(value), Some((431, "head too large")));
    assert_eq!(refusal_header().len(), "x-refused-".len() + 32);
    assert_eq!(refusal_header(), refusal_header());
}

/// One request of the corpus.
struct Abuse {
    id: String,
    raw: Vec<u8>,
    expect: String,
}

/// The corpus that lies beside the tree on the machines that have it.
fn corpus() -> Option<Vec<Abuse>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/abuse/corpus.jsonl");
    let lines = std::fs::read_to_string(path).ok()?;
    let read = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| value[name].as_str().unwrap().to_owned();
        let raw = base64::engine::general_purpose::STANDARD.decode(field("raw")).unwrap();
        Abuse { id: field("id"), raw, expect: field("expect") }
    };
    Some(lines.lines().map(read).collect())
}

#[test]
#[allow(clippy::print_stdout, reason = "the totals are the point of the test")]
fn the_corpus_of_abuse_is_judged_as_it_expects() {
    let Some(corpus) = corpus() else {
        println!("skipped: no corpus beside the tree");
        return;
    };
    let mut totals = std::collections::BTreeMap::<&str, (usize, usize)>::new();
    let (mut refused_valid, mut passed_invalid) = (Vec::new(), Vec::new());
    for abuse in &corpus {
        let outcome = feed(Limits::default(), false, [&abuse.raw[..]]);
        for size in [1, 2, 3, 7, 61] {
            assert_eq!(feed(Limits::default(), false, abuse.raw.chunks(size)), outcome, "{} by {size}", abuse.id);
        }
        let refused = outcome.is_refused();
        let total = totals.entry(&abuse.expect).or_default();
        total.0 += usize::from(refused);
        total.1 += 1;
        match (abuse.expect.as_str(), refused) {
            ("accept", true) => refused_valid.push((&abuse.id, outcome)),
            ("reject", false) => passed_invalid.push((&abuse.id, outcome)),
            _ => {}
        }
    }
    let total = |expect| totals.get(expect).copied().unwrap_or_default();
    let (accept, reject, any) = (total("accept"), total("reject"), total("any"));
    println!(
        "accept passed {}/{}, reject refused {}/{}, any refused {}/{}",
        accept.1 - accept.0,
        accept.1,
        reject.0,
        reject.1,
        any.0,
        any.1
    );
    println!("passed though marked reject: {passed_invalid:#?}");
    assert!(refused_valid.is_empty(), "{refused_valid:#?}");
    assert!(passed_invalid.len() * 100 <= reject.1 * 3, "{} passed", passed_invalid.len());
}
