//! The claims of the view for random texts, random edits and random damage, with `serde_json` as the judge.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::{Doc, Fragment, Item, JsonError, Limits, NodeId, validate};

/// A JSON text in the making, spacing included.
#[derive(Clone, Debug)]
enum Tree {
    Scalar(&'static str),
    Array(Vec<Tree>, Blanks),
    Object(Vec<(&'static str, Tree)>, Blanks),
}

/// White space in a container: after the opening bracket, commas and colons, before commas, before the closing bracket.
type Blanks = [&'static str; 5];

/// Where a value of the text stands: the way to it and its range.
type Place = (Vec<usize>, std::ops::Range<usize>);

/// An edit of one container, its numbers taken modulo what is there.
#[derive(Clone, Debug)]
struct Edit {
    kind: u8,
    container: usize,
    member: usize,
    value: &'static str,
}

fn scalar() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.0",
        "1e3",
        "9223372036854775807",
        "\"\"",
        "\"a\\nb \\\"q\\\" {[\"",
        "\"\\u00e9 \\ud83d\\ude00\"",
        "\"plain text that is longer than two words of eight bytes\"",
        "\"]}\\\\\"",
    ])
}

fn tree(keys: &'static [&'static str], repeat: bool) -> impl Strategy<Value = Tree> {
    let blank = || prop::sample::select(vec!["", "", " ", "\n  ", "\t"]);
    let blanks = move || [blank(), blank(), blank(), blank(), blank()];
    scalar().prop_map(Tree::Scalar).prop_recursive(4, 40, 6, move |inner| {
        let key = prop::sample::select(keys);
        let members = vec((key, inner.clone()), 0..6).prop_map(move |mut members| {
            let mut seen = Vec::new();
            members.retain(|(key, _)| {
                repeat
                    || !seen.contains(key) && {
                        seen.push(*key);
                        true
                    }
            });
            members
        });
        prop_oneof![
            (vec(inner, 0..6), blanks()).prop_map(|(items, blanks)| Tree::Array(items, blanks)),
            (members, blanks()).prop_map(|(members, blanks)| Tree::Object(members, blanks)),
        ]
    })
}

const KEYS: &[&str] = &["a", "b", "model", "x\\u0041", "\\n", "\\\"", "", "é"];

fn edit() -> impl Strategy<Value = Edit> {
    let value =
        prop_oneof![scalar(), prop::sample::select(vec!["[]", "{}", "[1, {\"k\": 2}]", "{\"a\":[[]], \"b\" : 1}"])];
    (0..4_u8, any::<usize>(), any::<usize>(), value).prop_map(|(kind, container, member, value)| Edit {
        kind,
        container,
        member,
        value,
    })
}

impl Tree {
    fn write(&self, out: &mut String, path: &mut Vec<usize>, places: &mut Vec<Place>) {
        let start = out.len();
        let slot = places.len();
        places.push((path.clone(), 0..0));
        match self {
            Tree::Scalar(text) => out.push_str(text),
            Tree::Array(items, blanks) => {
                let all = items.iter().map(|item| (None, item));
                write_members(all, blanks, "[]", out, path, places);
            }
            Tree::Object(members, blanks) => {
                let all = members.iter().map(|(key, value)| (Some(*key), value));
                write_members(all, blanks, "{}", out, path, places);
            }
        }
        places[slot].1 = start..out.len();
    }

    fn text(&self) -> (String, Vec<Place>) {
        let (mut out, mut places) = (String::from(" "), Vec::new());
        self.write(&mut out, &mut Vec::new(), &mut places);
        out.push('\n');
        (out, places)
    }
}

fn write_members<'a>(
    members: impl Iterator<Item = (Option<&'static str>, &'a Tree)>,
    blanks: &Blanks,
    brackets: &str,
    out: &mut String,
    path: &mut Vec<usize>,
    places: &mut Vec<Place>,
) {
    out.push_str(&brackets[..1]);
    out.push_str(blanks[0]);
    for (at, (key, value)) in members.enumerate() {
        if at > 0 {
            out.extend([blanks[3], ",", blanks[1]]);
        }
        if let Some(key) = key {
            out.extend(["\"", key, "\"", blanks[3], ":", blanks[2]]);
        }
        path.push(at);
        value.write(out, path, places);
        path.pop();
    }
    out.push_str(blanks[4]);
    out.push_str(&brackets[1..]);
}

/// Touches every value there is, and fails where any of them does.
fn read_all(doc: &mut Doc) -> Result<(), JsonError> {
    let mut open: Vec<NodeId> = match doc.root()? {
        Item::Object(node) | Item::Array(node) => vec![node],
        _ => Vec::new(),
    };
    while let Some(node) = open.pop() {
        let keys = doc.keys(node)?;
        let count = doc.len(node)?;
        for at in 0..count {
            let item = match keys.get(at) {
                Some(key) => doc.get(node, key)?,
                None => doc.at(node, at)?,
            };
            if let Item::Object(child) | Item::Array(child) = item.expect("a member that was counted") {
                open.push(child);
            }
        }
    }
    Ok(())
}

/// Containers of a value by path, outermost first.
fn containers(value: &Value, path: &[usize], out: &mut Vec<Vec<usize>>) {
    let inside: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => return,
    };
    out.push(path.to_vec());
    for (at, value) in inside.into_iter().enumerate() {
        containers(value, &[path, &[at]].concat(), out);
    }
}

fn enter(doc: &mut Doc, path: &[usize]) -> NodeId {
    let mut node = NodeId(0);
    for at in path {
        let item = match doc.keys(node).unwrap().get(*at) {
            Some(key) => doc.get(node, key),
            None => doc.at(node, *at),
        };
        node = super::node(item);
    }
    node
}

fn value_at<'a>(mut value: &'a mut Value, path: &[usize]) -> &'a mut Value {
    for at in path {
        value = match value {
            Value::Array(items) => &mut items[*at],
            Value::Object(members) => members.values_mut().nth(*at).unwrap(),
            _ => panic!("the path leads through a scalar"),
        };
    }
    value
}

/// Makes the same edit in the view and in the model; tells how many members the edited container had before and has now,
/// or nothing when there is no container to edit.
fn apply(edit: &Edit, doc: &mut Doc, model: &mut Value) -> Option<(usize, usize)> {
    let mut paths = Vec::new();
    containers(model, &[], &mut paths);
    let path = paths.get(edit.container.checked_rem(paths.len())?)?;
    let node = enter(doc, path);
    let bytes = Fragment::parse(&Bytes::from(edit.value)).unwrap();
    let value: Value = serde_json::from_str(edit.value).unwrap();
    let target = value_at(model, path);
    let before = members_of(target);
    match target {
        Value::Array(items) => {
            let at = edit.member % (items.len() + 1);
            match edit.kind {
                0 | 1 if at < items.len() => {
                    items[at] = value;
                    doc.set_at(node, at, &bytes).unwrap();
                }
                0..=2 => {
                    items.insert(at, value);
                    doc.insert_at(node, at, &bytes).unwrap();
                }
                _ => {
                    assert_eq!(doc.remove_at(node, at), Ok(at < items.len()));
                    if at < items.len() {
                        items.remove(at);
                    }
                }
            }
        }
        Value::Object(members) => {
            let key = members.keys().nth(edit.member % (members.len() + 1)).cloned().unwrap_or("new".into());
            if edit.kind < 3 {
                members.insert(key.clone(), value);
                doc.set(node, &key, &bytes).unwrap();
            } else {
                assert_eq!(doc.remove(node, &key), Ok(members.shift_remove(&key).is_some()));
            }
        }
        _ => panic!("not a container"),
    }
    Some((before, members_of(value_at(model, path))))
}

fn new_doc(text: &str) -> Doc {
    Doc::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::default()).unwrap()
}

/// Reads bytes in every way; nothing may panic, the full check must say what `serde_json` says, and what it accepts must
/// be readable to the last value.
fn survives(bytes: &[u8]) {
    let valid = validate(bytes, Limits::default()).is_ok();
    let read = Doc::parse(Bytes::copy_from_slice(bytes), Limits::default()).and_then(|mut doc| read_all(&mut doc));
    let judged = serde_json::from_slice::<Box<RawValue>>(bytes).is_ok();
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(valid, judged, "validate and serde_json differ on {text}");
    if valid {
        assert_eq!(read, Ok(()), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

    #[test]
    fn without_an_edit_the_bytes_are_identical(tree in tree(KEYS, true)) {
        let (text, _) = tree.text();
        let mut doc = new_doc(&text);
        read_all(&mut doc).unwrap();
        prop_assert_eq!(doc.render(), text);
    }

    #[test]
    fn setting_a_value_changes_its_bytes_and_no_other(tree in tree(KEYS, false), pick in any::<usize>(), value in scalar()) {
        let (text, places) = tree.text();
        prop_assume!(places.len() > 1);
        let (path, range) = &places[1 + pick % (places.len() - 1)];
        let mut doc = new_doc(&text);
        let (at, around) = path.split_last().unwrap();
        let node = enter(&mut doc, around);
        let bytes = Fragment::parse(&Bytes::from(value)).unwrap();
        match doc.keys(node).unwrap().get(*at) {
            Some(key) => doc.set(node, key, &bytes).unwrap(),
            None => doc.set_at(node, *at, &bytes).unwrap(),
        }
        prop_assert_eq!(doc.edited(), &text[range.clone()] != value);
        prop_assert_eq!(doc.render(), [&text[..range.start], value, &text[range.end..]].concat());
    }

    #[test]
    fn adding_only_inserts_and_removing_only_cuts_out(tree in tree(KEYS, false), edit in edit()) {
        let (text, _) = tree.text();
        let (mut doc, mut model) = (new_doc(&text), serde_json::from_str(&text).unwrap());
        let change = apply(&edit, &mut doc, &mut model);
        prop_assume!(change.is_some_and(|(before, now)| before != now));
        let new = String::from_utf8(doc.render().to_vec()).unwrap();
        let same = text.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
        let tail = text.bytes().rev().zip(new.bytes().rev()).take_while(|(a, b)| a == b).count();
        prop_assert!(same + tail >= text.len().min(new.len()), "{} -> {}", text, new);
    }

    #[test]
    fn many_edits_read_as_the_same_edits_of_a_value(tree in tree(KEYS, false), edits in vec(edit(), 1..12)) {
        let (text, _) = tree.text();
        let (mut doc, mut model) = (new_doc(&text), serde_json::from_str::<Value>(&text).unwrap());
        for edit in &edits {
            apply(edit, &mut doc, &mut model);
            let now: Value = serde_json::from_slice(&doc.render()).unwrap();
            prop_assert_eq!(now.to_string(), model.to_string());
        }
        read_all(&mut doc).unwrap();
        if let Ok(bytes) = doc.bytes_of(NodeId(0)) {
            let rendered = doc.render();
            prop_assert_eq!(bytes, rendered.trim_ascii());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(prop::sample::select(&b"{}[]\",:\\u0d8e-+.1 \ntruefalsn\x01\x80\xff\xc3\xa9"[..]), 0..40)) {
        survives(&bytes);
    }

    #[test]
    fn damaged_texts_never_panic(tree in tree(KEYS, true), at in any::<usize>(), byte in any::<u8>(), how in 0..3_u8) {
        let mut bytes = tree.text().0.into_bytes();
        let at = at % bytes.len();
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        survives(&bytes);
    }
}

fn members_of(container: &Value) -> usize {
    container.as_array().map_or_else(|| container.as_object().unwrap().len(), Vec::len)
}
