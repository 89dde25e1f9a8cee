//! Tests of the reading helpers.

use serde_json::json;

use super::*;

#[test]
fn a_path_is_written_as_a_person_would() {
    let messages = Path::Root.field("messages");
    let third = messages.item(2);
    assert_eq!(third.field("content").to_string(), "messages[2].content");
    assert_eq!(Path::Root.to_string(), "");
}

#[test]
fn fields_are_taken_once_and_the_rest_keeps_its_order() {
    let body = json!({"z": 1, "model": "m", "a": [true], "n": null, "b": {"k": "v"}, "on": false, "y": 2});
    let mut fields = Path::Root.object(body).unwrap();
    assert_eq!(fields.peek("model"), Some("m"));
    assert_eq!(fields.need_string("model"), Ok("m".to_owned()));
    assert_eq!(fields.string("model"), Ok(None));
    assert_eq!(fields.array("a"), Ok(vec![json!(true)]));
    assert_eq!(fields.array("none"), Ok(Vec::new()));
    assert_eq!(fields.boolean("on"), Ok(Some(false)));
    assert_eq!(fields.object("b").unwrap().unwrap()["k"], "v");
    let rest = fields.rest();
    assert_eq!(rest.keys().collect::<Vec<_>>(), ["z", "y"]);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let messages = Path::Root.field("messages");
    let first = messages.item(0);
    let mut fields = first.object(json!({"role": 1, "n": "x", "list": {}, "flag": 0, "map": []})).unwrap();
    assert_eq!(fields.string("role").unwrap_err().to_string(), "messages[0].role: expected a string");
    assert_eq!(fields.number("n").unwrap_err().to_string(), "messages[0].n: expected a number");
    assert_eq!(fields.array("list").unwrap_err().to_string(), "messages[0].list: expected an array");
    assert_eq!(fields.boolean("flag").unwrap_err().to_string(), "messages[0].flag: expected true or false");
    assert_eq!(fields.object("map").unwrap_err().to_string(), "messages[0].map: expected an object");
    assert_eq!(fields.need_string("role").unwrap_err().to_string(), "messages[0].role: is required");
    assert_eq!(first.object(json!(1)).unwrap_err().to_string(), "messages[0]: expected an object");
}

#[test]
fn a_lenient_string_leaves_what_is_none() {
    let mut fields = Path::Root.object(json!({"id": 7, "model": "m", "null": null})).unwrap();
    assert_eq!(fields.string_if("id"), None);
    assert_eq!(fields.string_if("model"), Some("m".to_owned()));
    assert_eq!(fields.string_if("null"), None);
    assert_eq!(Value::Object(fields.rest_as_it_came()), json!({"id": 7, "null": null}));
}

#[test]
fn numbers_stay_as_they_were_written() {
    let mut fields = Path::Root.object(json!({"t": 1.0})).unwrap();
    assert_eq!(fields.number("t").unwrap().unwrap().to_string(), "1.0");
}
