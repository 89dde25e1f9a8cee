//! The claims of the view for recorded request bodies, where the recordings lie beside the repository.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use super::super::{Doc, Fragment, Item, Limits, NodeId, validate};

const RECORDED: &str = "../shared/traffic/exchanges.jsonl";

/// Recorded request bodies as texts, compact and pretty.
fn bodies() -> Option<Vec<String>> {
    let lines = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED)).ok()?;
    let mut texts = Vec::new();
    for line in lines.lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let body = &exchange["request"]["body_json"];
        if body.is_object() {
            texts.push(body.to_string());
            texts.push(serde_json::to_string_pretty(body).unwrap());
        }
    }
    Some(texts)
}

#[test]
fn recorded_requests_change_where_they_are_edited_and_nowhere_else() {
    let Some(bodies) = bodies() else {
        eprintln!("skipped: no {RECORDED}");
        return;
    };
    assert!(!bodies.is_empty());
    for text in bodies {
        validate(text.as_bytes(), Limits::default()).unwrap();
        let mut doc = Doc::parse(Bytes::from(text.clone()), Limits::default()).unwrap();
        let mut model: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in model.as_object().unwrap() {
            let item = doc.get(NodeId(0), key).unwrap().unwrap();
            assert_eq!(matches!(item, Item::Object(_)), value.is_object());
        }
        assert_eq!(doc.render(), text);
        doc.set(NodeId(0), "model", &Fragment::from("another")).unwrap();
        model["model"] = "another".into();
        let pretty = text.contains('\n');
        let wanted = if pretty { serde_json::to_string_pretty(&model).unwrap() } else { model.to_string() };
        assert_eq!(doc.render(), wanted);
    }
}
