use super::*;

const HEAD: &[(&str, &[u8])] = &[("Content-Type", b"application/json")];

fn recording(wire: Option<Wire>) -> Recording {
    Recording {
        wire,
        dialect: Some("openai.chat"),
        grace: Duration::ZERO,
        ttl: Duration::from_mins(1),
        tags: vec!["chat".to_owned()],
        provenance: None,
    }
}

fn recorder(wire: Option<Wire>) -> Recorder {
    Recorder::new(Clock::live(), recording(wire), 10_000, 200, HEAD.iter().copied())
}

/// Records a stream that comes in pieces of a size.
fn stream(text: &str, size: usize, complete: bool) -> Result<Entry, Refusal> {
    let mut recorder = recorder(Some(Wire::Sse));
    for piece in text.as_bytes().chunks(size) {
        recorder.push(&Bytes::copy_from_slice(piece), false);
    }
    recorder.finish(complete)
}

const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"tide\"}}]}\n\n";
const CALL: &str =
    "data:{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\"}}]}}]}\r\n\r\n";
const LEAD: &str = ": warming up\n\ndata: {\"choices\":[],\"model\":\"\"}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"total_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn a_replayed_stream_is_the_recorded_one_byte_for_byte() {
    for parts in [[LEAD, TEXT, USAGE, DONE], [LEAD, CALL, USAGE, DONE]] {
        let text = parts.concat();
        for size in [1, 7, 1_000] {
            let entry = stream(&text, size, true).expect("a whole stream");
            assert_eq!(entry.body(), text.as_bytes());
            assert_eq!((entry.size, entry.chunks.len()), (text.len(), text.len().div_ceil(size)));
            assert_eq!(entry.times.len(), entry.chunks.len());
        }
    }
}

#[test]
fn half_a_stream_is_never_kept() {
    assert_eq!(stream(&[LEAD, TEXT].concat(), 9, true), Err(Refusal::NoEnd));
    assert_eq!(stream(&[LEAD, TEXT, DONE].concat(), 9, false), Err(Refusal::Incomplete), "the client left");
    assert_eq!(stream(&[LEAD, USAGE, DONE].concat(), 9, true), Err(Refusal::Empty));
    let blank = "data: {\"choices\":[{\"delta\":{\"content\":\" \"}}]}\n\n";
    assert_eq!(stream(&[LEAD, blank, DONE].concat(), 9, true), Err(Refusal::Empty));
    let error = "event: error\ndata: {\"message\":\"overloaded\"}\n\n";
    assert_eq!(stream(&[TEXT, error, DONE].concat(), 9, true), Err(Refusal::Error));
    assert_eq!(stream(&[TEXT, error.trim_end()].concat(), 9, true), Err(Refusal::Error));
}

#[test]
fn an_end_without_its_blank_line_counts() {
    assert!(stream(&[TEXT, "data: [DONE]"].concat(), 5, true).is_ok());
}

#[test]
fn two_equal_streams_at_once_give_one_whole_copy_each() {
    let mut recorders = [recorder(Some(Wire::Sse)), recorder(Some(Wire::Sse))];
    let text = [LEAD, TEXT, DONE].concat();
    for piece in text.as_bytes().chunks(11) {
        for recorder in &mut recorders {
            recorder.push(&Bytes::copy_from_slice(piece), false);
        }
    }
    for mut recorder in recorders {
        assert_eq!(recorder.finish(true).expect("a whole stream").body(), text.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_keep_their_times() {
    let mut recorder = recorder(Some(Wire::Sse));
    for (wait, text) in [(100, TEXT), (250, TEXT), (0, DONE)] {
        tokio::time::advance(Duration::from_millis(wait)).await;
        recorder.push(&Bytes::from_static(text.as_bytes()), false);
    }
    let entry = recorder.finish(true).expect("a whole stream");
    let times: Vec<u128> = entry.times.iter().map(Duration::as_millis).collect();
    assert_eq!(times, [100, 350, 350]);
}

#[test]
fn a_whole_answer_is_kept_and_an_empty_one_is_not() {
    let mut whole = recorder(None);
    whole.push(&Bytes::from_static(b"{\"choices\":[{\"message\":"), false);
    whole.push(&Bytes::from_static(b"{\"content\":\"a\"}}]}"), false);
    let entry = whole.finish(true).expect("an answer");
    assert_eq!(entry.body(), &b"{\"choices\":[{\"message\":{\"content\":\"a\"}}]}"[..]);
    assert_eq!((entry.status, entry.tags.as_slice()), (200, &["chat".to_owned()][..]));
    let mut empty = recorder(None);
    empty.push(&Bytes::from_static(b"{\"choices\":[]}"), false);
    assert_eq!(empty.finish(true), Err(Refusal::Empty));
    assert_eq!(recorder(None).finish(true), Err(Refusal::Empty));
    let failed = Recorder::new(Clock::live(), recording(None), 10_000, 500, HEAD.iter().copied());
    assert_eq!(failed.refused(), Some(Refusal::Status));
}

#[test]
fn past_the_limit_it_gives_up_and_frees_its_memory() {
    let mut large = recorder(None);
    large.push(&Bytes::from(vec![b' '; 9_999]), false);
    assert_eq!(large.refused(), None);
    for _ in 0..2 {
        large.push(&Bytes::from_static(b"{}"), false);
        assert_eq!(large.refused(), Some(Refusal::TooLarge));
        assert_eq!((large.room.capacity(), large.pieces.capacity(), large.times.capacity()), (0, 0, 0));
    }
    assert_eq!(large.finish(true), Err(Refusal::TooLarge));
    let mut tiny = recorder(Some(Wire::Sse));
    for _ in 0..1_000 {
        tiny.push(&Bytes::from_static(b"\n"), false);
    }
    assert_eq!(tiny.refused(), Some(Refusal::TooLarge), "a thousand pieces cost more than their bytes");
}

#[tokio::test(start_paused = true)]
async fn headers_of_one_exchange_are_not_stored() {
    let headers: &[(&str, &[u8])] = &[
        ("Content-Type", b"application/json"),
        ("Connection", b"close, X-Hop"),
        ("x-hop", b"1"),
        ("Transfer-Encoding", b"chunked"),
        ("Set-Cookie", b"a=b"),
        ("X-Request-Id", b"req_1"),
        ("request-id", b"req_2"),
        ("X-RateLimit-Remaining-Tokens", b"9"),
        ("anthropic-ratelimit-requests-limit", b"9"),
        ("Age", b"7"),
        ("Date", b"Mon, 02 Nov 2026 08:00:00 GMT"),
        ("X-Model", b"caf\xe9"),
        ("Vary", b"origin"),
        ("Vary", b"accept"),
    ];
    let clock = Clock::live();
    let mut recorder = Recorder::new(clock, recording(None), 10_000, 200, headers.iter().copied());
    recorder.push(&Bytes::from_static(b"{\"choices\":[{\"text\":\"a\"}]}"), false);
    let entry = recorder.finish(true).expect("an answer");
    let names: Vec<&str> = entry.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Content-Type", "Date", "X-Model", "Vary", "Vary"]);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(entry.age(&clock), Duration::from_secs(12));
    tokio::time::advance(Duration::from_millis(54_999)).await;
    assert!(entry.is_fresh(&clock));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!entry.is_fresh(&clock));
}

#[test]
fn a_refusal_says_when_to_come_again_to_those_who_wait_with_it() {
    let headers: &[(&str, &[u8])] = &[("Retry-After", b"3"), ("X-Request-Id", b"req_1")];
    for (status, kept) in [(429, 1), (200, 0)] {
        let recorder = Recorder::new(Clock::live(), recording(None), 100, status, headers.iter().copied());
        assert_eq!(recorder.head().headers.len(), kept, "{status}");
    }
}

#[test]
fn those_who_listen_hear_what_will_not_be_kept_and_no_more_than_the_limit_is_held() {
    let mut recorder = recorder(None);
    for number in 0..30_u8 {
        recorder.push(&Bytes::from(vec![number; 1_000]), true);
        assert!(recorder.size <= 10_000);
    }
    assert_eq!(recorder.refused(), Some(Refusal::TooLarge));
    assert_eq!(recorder.piece(0), Err(Lost));
    assert_eq!(recorder.piece(29).unwrap().unwrap()[0], 29);
    assert_eq!(recorder.piece(30), Ok(None));
    assert!(recorder.piece(20).is_ok_and(|piece| piece.is_some()) && recorder.piece(19).is_err());
}

#[test]
fn tiny_pieces_that_somebody_listens_to_are_bounded_too() {
    let mut recorder = recorder(None);
    for number in 0..100_000 {
        recorder.push(&Bytes::from_static(b"x"), true);
        assert!(recorder.pieces.len() * PIECE_COST <= 10_000 + PIECE_COST, "{} pieces", recorder.pieces.len());
        assert_eq!(recorder.piece(number).unwrap().as_deref(), Some(&b"x"[..]), "the newest is there");
    }
    assert_eq!((recorder.piece(0), recorder.refused()), (Err(Lost), Some(Refusal::TooLarge)));
}

#[test]
fn a_gate_that_holds_much_makes_no_copies() {
    let held = crate::gate::memory::Held::default();
    let mut first = recorder(None).counted(held.share(40));
    first.push(&Bytes::from_static(b"fourteen bytes"), false);
    let mut second = recorder(None).counted(held.share(40));
    second.push(&Bytes::from_static(b"ebb tide"), false);
    assert_eq!((first.refused(), second.refused(), held.bytes()), (None, Some(Refusal::NoRoom), 14));
    drop(first);
    assert_eq!(held.bytes(), 0);
}
