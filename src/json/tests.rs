//! Claims about reading and splicing, by hand-made texts; `random` and `traffic` claim the same for many more.

use bytes::Bytes;

use super::{Doc, ErrorKind, Fragment, Item, JsonError, Limits, NodeId, validate};

mod random;
mod traffic;

const ROOT: NodeId = NodeId(0);

fn doc(text: &str) -> Doc {
    Doc::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::default()).unwrap()
}

fn fragment(text: &str) -> Fragment {
    Fragment::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// The text after one edit.
fn edited(text: &str, edit: impl FnOnce(&mut Doc)) -> String {
    let mut doc = doc(text);
    edit(&mut doc);
    String::from_utf8(doc.render().to_vec()).unwrap()
}

fn node(item: Result<Option<Item<'_>>, JsonError>) -> NodeId {
    match item {
        Ok(Some(Item::Object(node) | Item::Array(node))) => node,
        other => panic!("no container but {other:?}"),
    }
}

fn set(text: &str, key: &str, value: &str) -> String {
    edited(text, |doc| doc.set(ROOT, key, &fragment(value)).unwrap())
}

fn remove(text: &str, key: &str) -> String {
    edited(text, |doc| assert!(doc.remove(ROOT, key).unwrap()))
}

const ODD: &str = " {\"big\" : 9223372036854775807,\t\"one\":1.0,\"huge\":1e400,\"k\":1,\"k\":[ ],\"lone\":\"\\ud800x\",\
                   \"none\": null,\"e\":{},\"a\":[],\"deep\":[[1 ,2],{\"x\":[{}]}]}\n";

#[test]
fn an_unedited_document_is_the_very_same_bytes() {
    let body = Bytes::from(ODD);
    let mut doc = Doc::parse(body.clone(), Limits::default()).unwrap();
    let deep = node(doc.get(ROOT, "deep"));
    doc.at(deep, 1).unwrap();
    assert!(!doc.edited());
    assert_eq!(doc.render().as_ptr(), body.as_ptr());
    assert_eq!(doc.render(), body);
}

#[test]
fn odd_values_are_read_as_written() {
    let mut doc = doc(ODD);
    assert_eq!(doc.get(ROOT, "big"), Ok(Some(Item::Number("9223372036854775807"))));
    assert_eq!(doc.get(ROOT, "one"), Ok(Some(Item::Number("1.0"))));
    assert_eq!(doc.get(ROOT, "huge"), Ok(Some(Item::Number("1e400"))));
    assert_eq!(doc.get(ROOT, "lone"), Ok(Some(Item::String("\u{fffd}x".into()))));
    assert_eq!(doc.get(ROOT, "none"), Ok(Some(Item::Null)));
    assert_eq!(doc.get(ROOT, "absent"), Ok(None));
    assert!(matches!(doc.get(ROOT, "e"), Ok(Some(Item::Object(_)))));
    assert!(matches!(doc.get(ROOT, "a"), Ok(Some(Item::Array(_)))));
    assert!(matches!(doc.get(ROOT, "k"), Ok(Some(Item::Array(_)))), "the last duplicate wins");
}

#[test]
fn one_edit_leaves_every_odd_byte_alone() {
    let members = [
        ("big", r#""big" : 9223372036854775807"#, r#""big" : "new""#),
        ("one", r#""one":1.0"#, r#""one":"new""#),
        ("huge", r#""huge":1e400"#, r#""huge":"new""#),
        ("k", r#""k":[ ]"#, r#""k":"new""#),
        ("lone", r#""lone":"\ud800x""#, r#""lone":"new""#),
        ("none", r#""none": null"#, r#""none": "new""#),
        ("e", r#""e":{}"#, r#""e":"new""#),
        ("a", r#""a":[]"#, r#""a":"new""#),
        ("deep", r#""deep":[[1 ,2],{"x":[{}]}]"#, r#""deep":"new""#),
    ];
    for (key, old, new) in members {
        assert_eq!(ODD.matches(old).count(), 1, "{old}");
        assert_eq!(set(ODD, key, r#""new""#), ODD.replace(old, new));
    }
}

#[test]
fn setting_a_duplicate_changes_the_last_and_removing_takes_all() {
    assert_eq!(set(r#"{"k":1,"k":2}"#, "k", "3"), r#"{"k":1,"k":3}"#);
    assert_eq!(remove(r#"{"k":1, "x":0, "\u006b":2}"#, "k"), r#"{"x":0}"#);
    let mut doc = doc(r#"{"k":1,"x":0,"k":2}"#);
    assert_eq!(doc.keys(ROOT).unwrap(), ["k", "x"]);
    assert_eq!(doc.len(ROOT), Ok(2));
}

#[test]
fn removing_takes_exactly_one_comma() {
    let text = r#"{"a": 1, "b": 2 , "c": 3}"#;
    assert_eq!(remove(text, "a"), r#"{"b": 2 , "c": 3}"#);
    assert_eq!(remove(text, "b"), r#"{"a": 1, "c": 3}"#);
    assert_eq!(remove(text, "c"), r#"{"a": 1, "b": 2}"#);
    assert_eq!(remove(r#"{ "a": 1 }"#, "a"), "{}");
    let lines = "{\n  \"a\": 1,\n  \"b\": 2\n}";
    assert_eq!(remove(lines, "a"), "{\n  \"b\": 2\n}");
    assert_eq!(remove(lines, "b"), "{\n  \"a\": 1\n}");
    assert!(!doc(text).remove(ROOT, "z").unwrap());
}

#[test]
fn an_added_key_is_spaced_like_the_others() {
    assert_eq!(set(r#"{"a":1,"b":2}"#, "c", "3"), r#"{"a":1,"b":2,"c":3}"#);
    assert_eq!(set(r#"{"a": 1, "b": 2}"#, "c", "3"), r#"{"a": 1, "b": 2, "c": 3}"#);
    assert_eq!(set(r#"{"a": 1}"#, "c", "3"), r#"{"a": 1, "c": 3}"#);
    assert_eq!(set("{\n\t\"a\": 1\n}\n", "c", "3"), "{\n\t\"a\": 1,\n\t\"c\": 3\n}\n");
    assert_eq!(set("{}", "q\"\n", "3"), r#"{"q\"\n":3}"#);
    assert_eq!(set("{ }", "c", "3"), r#"{"c":3 }"#);
}

#[test]
fn items_are_put_in_taken_out_and_replaced() {
    let one = fragment("0");
    assert_eq!(edited("[1, 2]", |d| d.insert_at(ROOT, 0, &one).unwrap()), "[0, 1, 2]");
    assert_eq!(edited("[1, 2]", |d| d.insert_at(ROOT, 1, &one).unwrap()), "[1, 0, 2]");
    assert_eq!(edited("[1, 2]", |d| d.set_at(ROOT, 2, &one).unwrap()), "[1, 2, 0]");
    assert_eq!(edited("[1, 2]", |d| d.set_at(ROOT, 1, &one).unwrap()), "[1, 0]");
    assert_eq!(edited("[1, 2]", |d| assert!(d.remove_at(ROOT, 0).unwrap())), "[2]");
    assert_eq!(edited("[1]", |d| assert!(!d.remove_at(ROOT, 1).unwrap())), "[1]");
    assert_eq!(doc("[1]").set_at(ROOT, 2, &one).unwrap_err().kind, ErrorKind::NoSuchIndex);
    assert_eq!(doc("[1]").set(ROOT, "a", &one).unwrap_err().kind, ErrorKind::NotAnObject);
    assert_eq!(doc("{}").set_at(ROOT, 0, &one).unwrap_err().kind, ErrorKind::NotAnArray);
}

#[test]
fn a_value_equal_to_the_one_there_is_no_edit() {
    let mut doc = doc(r#"{"a":[1, {"b":2}]}"#);
    doc.set(ROOT, "a", &fragment(r#" [1, {"b":2}] "#)).unwrap();
    assert!(!doc.edited());
    let array = node(doc.get(ROOT, "a"));
    doc.set_at(array, 0, &fragment("7")).unwrap();
    doc.set(ROOT, "a", &fragment(r#"[7, {"b":2}]"#)).unwrap();
    assert_eq!(doc.at(array, 0), Ok(Some(Item::Number("7"))), "the node was not replaced");
}

#[test]
fn an_edited_place_reads_as_edited_and_can_be_entered() {
    let mut doc = doc(r#"{"a":1, "z":[]}"#);
    doc.set(ROOT, "a", &fragment(r#"{"in": [true]}"#)).unwrap();
    let object = node(doc.get(ROOT, "a"));
    let array = node(doc.get(object, "in"));
    doc.set_at(array, 1, &fragment("null")).unwrap();
    doc.set(object, "more", &Fragment::from("é\u{1}")).unwrap();
    assert_eq!(doc.at(array, 1), Ok(Some(Item::Null)));
    assert_eq!(doc.get(object, "more"), Ok(Some(Item::String("é\u{1}".into()))));
    assert_eq!(doc.bytes_of(array).unwrap(), "[true,null]");
    assert_eq!(doc.render(), r#"{"a":{"in": [true,null], "more": "é\u0001"}, "z":[]}"#);
}

#[test]
fn a_node_that_was_replaced_or_removed_is_an_error_to_use() {
    let mut doc = doc(r#"{"a":{"b":[1]},"c":[{}]}"#);
    let (outer, list) = (node(doc.get(ROOT, "a")), node(doc.get(ROOT, "c")));
    let (inner, item) = (node(doc.get(outer, "b")), node(doc.at(list, 0)));
    doc.set(ROOT, "a", &Fragment::null()).unwrap();
    doc.remove_at(list, 0).unwrap();
    doc.set(ROOT, "new", &fragment("[[5]]")).unwrap();
    for gone in [outer, inner, item, NodeId(99)] {
        assert_eq!(doc.len(gone).unwrap_err().kind, ErrorKind::Detached);
        assert_eq!(doc.set(gone, "x", &Fragment::null()).unwrap_err().kind, ErrorKind::Detached);
        assert_eq!(doc.bytes_of(gone).unwrap_err().kind, ErrorKind::Detached);
    }
    assert_eq!(doc.render(), r#"{"a":null,"c":[],"new":[[5]]}"#);
}

#[test]
fn editing_in_a_loop_does_not_pile_up_texts() {
    let mut doc = doc(r#"{"a":1}"#);
    for round in 0..1000_i64 {
        doc.set(ROOT, "a", &Fragment::from(round + 2)).unwrap();
        doc.set(ROOT, "b", &Fragment::from(round)).unwrap();
        doc.remove(ROOT, "b").unwrap();
    }
    assert_eq!(doc.render(), r#"{"a":1001}"#);
    assert!(doc.texts.len() < 8);
}

#[test]
fn a_document_can_be_sent_to_another_thread() {
    let doc = doc("[1]");
    let rendered = std::thread::spawn(move || doc.render()).join().unwrap();
    assert_eq!(rendered, "[1]");
}

#[test]
fn keys_match_in_their_decoded_form() {
    let mut doc = doc(r#"{"mod\u0065l":"gpt","a\\n":1,"a\n":2,"\ud83d\ude00":3}"#);
    assert_eq!(doc.get(ROOT, "model"), Ok(Some(Item::String("gpt".into()))));
    assert_eq!(doc.get(ROOT, "a\\n"), Ok(Some(Item::Number("1"))));
    assert_eq!(doc.get(ROOT, "a\n"), Ok(Some(Item::Number("2"))));
    assert_eq!(doc.get(ROOT, "😀"), Ok(Some(Item::Number("3"))));
    assert_eq!(doc.keys(ROOT).unwrap(), ["model", "a\\n", "a\n", "😀"]);
}

#[test]
fn a_large_object_answers_like_a_small_one() {
    let members: Vec<String> = (0..100).map(|n| format!(r#""k{}":{n}"#, n % 60)).collect();
    let mut doc = doc(&format!("{{{}}}", members.join(", ")));
    assert_eq!(doc.get(ROOT, "k7"), Ok(Some(Item::Number("67"))));
    assert_eq!(doc.get(ROOT, "k50"), Ok(Some(Item::Number("50"))));
    doc.set(ROOT, "new", &Fragment::from(true)).unwrap();
    assert_eq!(doc.get(ROOT, "new"), Ok(Some(Item::Bool(true))));
    assert!(doc.remove(ROOT, "k7").unwrap());
    assert_eq!(doc.get(ROOT, "k7"), Ok(None));
    assert_eq!(doc.get(ROOT, "k8"), Ok(Some(Item::Number("68"))));
    assert_eq!(doc.len(ROOT), Ok(60));
}

#[test]
fn malformed_texts_are_refused_where_they_are_read() {
    for text in ["", "  ", "x", "}", "\u{feff}{}"] {
        assert!(Doc::parse(Bytes::from(text), Limits::default()).is_err(), "{text}");
    }
    for text in
        ["{", "[1 2]", "[1,]", "{,}", r#"{"a"}"#, r#"{"a":01}"#, "[+1]", "[tru]", "{} x", r#"["a]"#, "[1}", "[[}]"]
    {
        assert!(doc(text).len(ROOT).is_err(), "{text}");
        assert!(validate(text.as_bytes(), Limits::default()).is_err(), "{text}");
    }
    for text in [r#""\x""#, "\"\u{1}\"", r#""\u12g4""#, "1.", "-", "1e", "nul", "1 1"] {
        assert!(doc(text).root().is_err(), "{text}");
        assert!(validate(text.as_bytes(), Limits::default()).is_err(), "{text}");
    }
    let raw = Bytes::from_static(b"[\"a\", \"\xff\"]");
    assert_eq!(validate(&raw, Limits::default()), Err(JsonError { offset: 7, kind: ErrorKind::BadUtf8 }));
    let mut doc = Doc::parse(raw, Limits::default()).unwrap();
    assert_eq!(doc.at(ROOT, 1), Err(JsonError { offset: 7, kind: ErrorKind::BadUtf8 }));
}

#[test]
fn a_megabyte_of_brackets_is_refused_at_the_limit() {
    let text = "[".repeat(1 << 20);
    let too_deep = Err(JsonError { offset: 128, kind: ErrorKind::TooDeep });
    assert_eq!(doc(&text).len(ROOT), too_deep.map(|()| 0));
    assert_eq!(validate(text.as_bytes(), Limits { depth: usize::MAX }), too_deep);
    let fits = format!("{}{}", "[".repeat(3), "]".repeat(3));
    assert!(validate(fits.as_bytes(), Limits { depth: 3 }).is_ok());
    assert!(validate(fits.as_bytes(), Limits { depth: 2 }).is_err());
}

#[test]
fn splices_cannot_pile_up_beyond_the_depth_limit() {
    let mut doc = Doc::parse(Bytes::from("[0]"), Limits { depth: 3 }).unwrap();
    assert_eq!(doc.set_at(ROOT, 0, &fragment("[[[]]]")).unwrap_err().kind, ErrorKind::TooDeep);
    doc.set_at(ROOT, 0, &fragment("[[]]")).unwrap();
    let middle = node(doc.at(ROOT, 0));
    let inner = node(doc.at(middle, 0));
    assert_eq!(doc.set_at(inner, 0, &fragment("{}")).unwrap_err().kind, ErrorKind::TooDeep);
    doc.set_at(inner, 0, &fragment("1")).unwrap();
    assert_eq!(doc.render(), "[[[1]]]");
}

#[test]
fn fragments_are_written_as_an_upstream_expects_them() {
    let number = |value: f64| Fragment::try_from(value).map(|f| String::from_utf8(f.bytes().to_vec()).unwrap());
    assert_eq!(number(100.0).unwrap(), "100");
    assert_eq!(number(-0.5).unwrap(), "-0.5");
    assert_eq!(number(1e300).unwrap(), "1e+300");
    assert_eq!(number(f64::NAN).unwrap_err().kind, ErrorKind::NotFinite);
    let value = serde_json::json!({"b": [1, "x"], "a": null});
    assert_eq!(Fragment::try_from(&value).unwrap().bytes(), r#"{"b":[1,"x"],"a":null}"#);
    assert!(Fragment::parse(&Bytes::from("[1,]")).is_err());
    assert_eq!(fragment(" \n[ 1 ] ").bytes(), "[ 1 ]");
}

#[test]
fn an_error_names_a_place_and_not_the_text() {
    let error = doc(r#"{"key":"sk-secret" oops}"#).len(ROOT).unwrap_err();
    assert_eq!(error.to_string(), "unexpected byte at byte 19");
}
