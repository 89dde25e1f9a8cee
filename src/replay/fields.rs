//! Which fields of a request change its cache key: one that is forgotten has two questions share an answer.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};

use super::keyed::Keyed;
use crate::case::{Case, Piece, Player};

/// Headers that carry the message and are no part of what is asked.
const FRAMING: [&str; 6] = ["host", "content-length", "content-type", "transfer-encoding", "connection", "expect"];

/// A field of a request, and what another value of it does to the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its path in the body, such as `messages[0].content`, or `header` and a name.
    pub field: String,
    /// The parts of the key that change with it.
    pub parts: Vec<String>,
    /// Whether another value of it has no key at all, so that nothing is kept.
    pub unkept: bool,
}

/// Tries every field of a case's call, counted from 0: each with another value of its kind. `None` when there is no such
/// call, or no policy makes a key of it.
pub fn fields(player: &Player, case: &Case, call: usize) -> Option<Vec<Field>> {
    let call = case.calls.get(call)?;
    let only = Case { calls: vec![call.clone()], ..case.clone() };
    let key = |case: &Case| Keyed::of("", &player.play(case).ok()?, 0).filter(|keyed| keyed.scope.is_some());
    let asked = key(&only)?;
    let tried = variants(&only).into_iter().map(|(field, case)| {
        let Some(other) = key(&case) else { return Field { field, parts: Vec::new(), unkept: true } };
        let parts = asked.differences(&other).into_iter().map(|difference| difference.part).collect();
        Field { field, parts, unkept: false }
    });
    Some(tried.collect())
}

/// The fields for people: a line for each.
pub fn to_text(fields: &[Field]) -> String {
    let wide = fields.iter().map(|field| field.field.len()).max().unwrap_or_default();
    fields.iter().fold(String::new(), |mut text, Field { field, parts, unkept }| {
        let does = match parts.as_slice() {
            _ if *unkept => "otherwise nothing is kept".to_owned(),
            [] => "changes nothing".to_owned(),
            parts => format!("changes {}", parts.join(", ")),
        };
        let _ = writeln!(text, "{field:<wide$}  {does}");
        text
    })
}

/// The case with one field changed, for each.
fn variants(case: &Case) -> Vec<(String, Case)> {
    let Some(call) = case.calls.first() else { return Vec::new() };
    let names = call.head.headers.iter().filter(|(name, _)| !FRAMING.contains(&name.as_str()));
    let headers = names.filter_map(|(name, value)| Some((format!("header {name}"), with_header(case, name, value)?)));
    let body: Vec<u8> = call.body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut leaves = Vec::new();
    walk(&body, "", "", &mut leaves);
    let bodies = leaves.into_iter().filter_map(|(field, pointer, value)| {
        let mut body = body.clone();
        *body.pointer_mut(&pointer)? = value;
        Some((field, with_body(case, &body)))
    });
    headers.chain(bodies).collect()
}

/// Every value that holds no others: how a person names it, its JSON pointer, and another value in its place.
fn walk(value: &Value, name: &str, pointer: &str, leaves: &mut Vec<(String, String, Value)>) {
    let mut leaf = |other: Value| leaves.push((name.to_owned(), pointer.to_owned(), other));
    match value {
        Value::Null => {}
        Value::Bool(on) => leaf(json!(!on)),
        Value::Number(number) => leaf(match number.as_i64() {
            Some(whole) => json!(whole.saturating_add(1)),
            None => json!(number.as_f64().unwrap_or_default() + 1.0),
        }),
        Value::String(text) => leaf(json!(format!("{text}~"))),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| {
            walk(item, &format!("{name}[{at}]"), &format!("{pointer}/{at}"), leaves);
        }),
        Value::Object(fields) => fields.iter().for_each(|(field, value)| {
            let below = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
            walk(value, &below, &format!("{pointer}/{}", field.replace('~', "~0").replace('/', "~1")), leaves);
        }),
    }
}

fn with_header(case: &Case, name: &HeaderName, value: &HeaderValue) -> Option<Case> {
    let mut case = case.clone();
    let other = HeaderValue::from_bytes(&[value.as_bytes(), b"~"].concat()).ok()?;
    case.calls.first_mut()?.head.insert_header(name.clone(), other).ok()?;
    Some(case)
}

fn with_body(case: &Case, body: &Value) -> Case {
    let mut case = case.clone();
    let bytes = Bytes::from(body.to_string());
    if let Some(call) = case.calls.first_mut() {
        if call.head.headers.contains_key("content-length") {
            let _ = call.head.insert_header("Content-Length", bytes.len());
        }
        call.body = vec![Piece { pause: Duration::ZERO, bytes }];
    }
    case
}
