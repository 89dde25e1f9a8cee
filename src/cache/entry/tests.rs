use super::*;

fn entry() -> Entry {
    let empty = Entry {
        status: 200,
        headers: vec![("X-Model".to_owned(), Bytes::from_static(b"caf\xe9"))],
        chunks: Vec::new(),
        times: Vec::new(),
        size: 0,
        stored_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
        ttl: Duration::from_mins(1),
        grace: Duration::ZERO,
        age_before: Duration::ZERO,
        tags: vec!["chat".to_owned()],
        provenance: Some(Provenance {
            dialect: Dialect::Anthropic,
            wire: Some(Wire::Sse),
            upstream: "sea".to_owned(),
            model: None,
            first: Listener { dialect: Dialect::OllamaChat, wire: Some(Wire::Ndjson), id: "7f".to_owned(), created: 3 },
            tokens: Some(Tokens { input: 1, output: 2 }),
        }),
    };
    let pieces = [Bytes::from_static(b"one "), Bytes::from_static(b"two\xff")];
    empty.with_body(pieces.iter(), vec![Duration::ZERO, Duration::from_millis(20)])
}

#[test]
fn what_is_written_down_is_read_back() {
    let text = serde_json::to_string(&entry()).unwrap();
    let read: Entry = serde_json::from_str(&text).unwrap();
    assert_eq!(read, entry());
}

#[test]
fn pieces_that_are_not_those_of_the_body_are_refused() {
    let mut value = serde_json::to_value(entry()).unwrap();
    for ends in [serde_json::json!([4, 9]), serde_json::json!([8, 4]), serde_json::json!([8])] {
        value["ends"] = ends;
        assert!(serde_json::from_value::<Entry>(value.clone()).is_err(), "{value}");
    }
}
