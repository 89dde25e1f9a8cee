//! The format: what a file means, and that each mistake in it is told with its line.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::super::{Mishap, Piece, read};
use super::case;

/// The faults of a text, each on a line of its own.
fn faults(text: &str) -> Vec<String> {
    let faults = read::read("t.http", text).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

/// The pieces of the only answer's body, as text with their pauses.
fn pieces(body: &[Piece]) -> Vec<(u128, String)> {
    let text = |piece: &Piece| String::from_utf8_lossy(&piece.bytes).into_owned();
    body.iter().map(|piece| (piece.pause.as_millis(), text(piece))).collect()
}

fn answer(opening: &str, message: &str) -> super::super::Answer {
    let text = format!("# A.\n> client\nGET / HTTP/1.1\n\n< upstream sea{opening}\n{message}");
    case(&text).answers.remove(0)
}

#[test]
fn the_preamble_sets_what_holds() {
    let case = case(
        "# One line\n# and another.\nset clock 2026-05-01T00:00:00Z\nset seed 9\nset client 10.0.0.1\n\
         set env KEY a b\nset param route.rules [1]\n\n> client\nGET / HTTP/1.1\n",
    );
    assert_eq!(case.about, "One line and another.");
    assert_eq!(case.setup.clock, SystemTime::UNIX_EPOCH + Duration::from_hours(493_776));
    assert_eq!((case.setup.seed, case.setup.client), (9, IpAddr::from([10, 0, 0, 1])));
    assert_eq!(case.setup.env["KEY"], "a b");
    assert_eq!(case.setup.params[0].value, serde_json::json!([1]));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = "set colour red\n> client loudly\nGET / HTTP/1.1\n> cleint\n< upstream\n< upstream sea fault=fire\n\
                < upstream sea\n> client\nGET /\n";
    let faults = faults(text);
    let places: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "t.http:1:1",
            "t.http:1:1",
            "t.http:2:1",
            "t.http:4:1",
            "t.http:5:1",
            "t.http:6:1",
            "t.http:7:1",
            "t.http:9:1"
        ]
    );
    assert!(faults.iter().any(|fault| fault.contains("`fault=fire` means nothing here")), "{faults:?}");
}

#[test]
fn a_header_without_a_colon_is_a_mistake_and_not_a_body() {
    let faults = faults("# A.\n> client\nPOST / HTTP/1.1\nhost gate\n\nx\n");
    assert!(faults[0].starts_with("t.http:4:1: this is not a header"), "{faults:?}");
}

#[test]
fn a_fault_and_a_message_must_go_together() {
    for opening in ["fault=cut", "fault=refuse\nHTTP/1.1 200 OK\n", "fault=reset\nHTTP/1.1 200 OK\n"] {
        let faults = faults(&format!("# A.\n> client\nGET / HTTP/1.1\n< upstream sea {opening}\n"));
        assert!(faults[0].starts_with("t.http:4:1"), "{opening}: {faults:?}");
    }
}

#[test]
fn blank_lines_between_blocks_are_no_part_of_a_body() {
    let case = case("# A.\n> client\nPOST / HTTP/1.1\n\n{\"a\":\n\n1}\n\n\n< upstream sea fault=refuse\n");
    assert_eq!(pieces(&case.calls[0].body), [(0, "{\"a\":\n\n1}".to_owned())]);
    assert_eq!(case.calls[0].head.headers["content-length"], "9");
}

#[test]
fn an_event_stream_ends_with_its_blank_line_wherever_the_file_ends() {
    for end in ["", "\n", "\n\n\n"] {
        let answer = answer("", &format!("HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\ndata: 1{end}"));
        assert_eq!(pieces(&answer.body), [(0, "data: 1\n\n".to_owned())]);
        assert_eq!(answer.heads[0].headers["transfer-encoding"], "chunked");
    }
}

#[test]
fn a_torn_body_ends_in_mid_line() {
    let answer = answer(" torn fault=cut", "HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\ndata: {\"a\n\n");
    assert_eq!(pieces(&answer.body), [(0, "data: {\"a".to_owned())]);
    assert_eq!(answer.fault, Some(Mishap::Cut));
}

#[test]
fn tildes_cut_a_body_and_let_time_pass() {
    let answer = answer(" slow=2s", "HTTP/1.1 200 OK\n\na\n~ 200ms\nb\n~\nc\n");
    let expected = [(0, "a\n"), (200, "b\n"), (0, "c")].map(|(pause, text)| (pause, text.to_owned()));
    assert_eq!(pieces(&answer.body), expected);
    assert_eq!(answer.slow, Duration::from_secs(2));
}

#[test]
fn a_body_is_cut_anywhere_on_request() {
    let answer = answer(" split=3 pause=10ms crlf", "HTTP/1.1 200 OK\n\nab\ncd\n");
    let expected = [(0, "ab\r"), (10, "\ncd")].map(|(pause, text)| (pause, text.to_owned()));
    assert_eq!(pieces(&answer.body), expected);
}

#[test]
fn a_line_that_looks_like_a_marker_can_be_part_of_a_body() {
    let answer = answer("", "HTTP/1.1 200 OK\n\n\\> client\n\\~ 1s\n\\\\> x\n<p>\n\\n\n");
    assert_eq!(pieces(&answer.body), [(0, "> client\n~ 1s\n\\> x\n<p>\n\\n".to_owned())]);
}

#[test]
fn an_answer_names_its_endpoint_and_gives_interim_heads_first() {
    let answer = answer("/north early", "HTTP/1.1 103 Early Hints\nlink: <a>\n\nHTTP/1.1 204 No Content\n");
    assert_eq!((answer.upstream.as_str(), answer.endpoint.as_deref(), answer.early), ("sea", Some("north"), true));
    let statuses: Vec<u16> = answer.heads.iter().map(|head| head.status.as_u16()).collect();
    assert_eq!(statuses, [103, 204]);
    assert!(!answer.heads[1].headers.contains_key("content-length"));
}
