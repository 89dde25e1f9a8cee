use serde_json::{Value, json};

use super::read;

#[test]
fn a_text_reads_as_any_reader_reads_it() {
    let texts = [
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "-1",
        "1.0",
        "1.5e3",
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "\"\"",
        "\"plain\"",
        r#""\"\\\/\b\f\n\r\té\ud83c\udf0a\ufffd\uFFFD x""#,
        "\"é�\"",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[1,[2 , {\"a\":[]}],\"x\"]",
        "\t{\r\n\"a\" : {\"b\":null} , \"c\":-0.0}\n",
        "1e2",
        r#"{"b":1,"a":2,"\u0061\u0062":3}"#,
    ];
    for text in texts {
        assert_eq!(read(text.as_bytes()), serde_json::from_str(text).ok(), "{text}");
        assert!(read(text.as_bytes()).is_some(), "{text}");
    }
    let names: Vec<String> = read(br#"{"z":1,"a":2}"#).unwrap().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["z", "a"], "in their order");
}

#[test]
fn what_is_no_json_is_refused() {
    let texts = [
        "",
        " ",
        "nul",
        "truer",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":}",
        "[",
        "{",
        "[1}",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\u{1}\"",
        "\"a\nb\\n\"",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1 2",
        "\u{feff}1",
    ];
    for text in texts {
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text:?}");
        assert_eq!(read(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(read(b"\"\xff\""), None);
}

#[test]
fn what_readers_differ_over_is_refused() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"[{"a":1,"\u0061":2}]"#,
        "18446744073709551617",
        "-9223372036854775809",
        "[1e300]",
        "1e400",
        "9007199254740993.0",
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":1}"#,
    ] {
        assert_eq!(read(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn it_nests_as_deep_as_any_document_may() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [1, 126, 127, 128, 129, 100_000] {
        let text = nested(depth);
        assert_eq!(read(text.as_bytes()), serde_json::from_str(&text).ok(), "{depth}");
    }
}

#[test]
fn changes_anywhere_are_read_as_any_reader_reads_them() {
    let text = json!({"a": ["\n\"x\" é", -12, 1.5, {"b": null, "c": [true, false]}], "d": "\u{1}"}).to_string();
    let mut random = fastrand::Rng::with_seed(5);
    let bytes = br#"{}[],:"\u0nabc19.-e tf "#;
    for _ in 0..20_000 {
        let mut changed = text.clone().into_bytes();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..changed.len());
            changed[at] = bytes[random.usize(..bytes.len())];
        }
        let Some(value) = read(&changed) else { continue };
        assert_eq!(Some(value), serde_json::from_slice(&changed).ok(), "{}", String::from_utf8_lossy(&changed));
    }
}
