//! Every field of a request changes its key, or stands on the list of those that do not: nothing is forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Parts, of, shipped};
use crate::dialect::Dialect;

/// What requests of every dialect can ask for, feature by feature.
const FEATURES: &str = include_str!("../../../dialect/matrix/requests.json");

/// Recorded exchanges, where they lie beside the repository.
const RECORDED: &str = "../shared/traffic/exchanges.jsonl";

/// Fields that change nothing, besides those of the shipped list: by the end of their path, each with its reason.
const ALIKE: &[(&str, &str)] = &[
    ("type", "says what the fields beside it say; an upstream refuses one that does not fit"),
    ("index", "says where in its list it stands"),
    ("systemInstruction/role", "means nothing"),
    ("content/role", "means nothing to an embedding"),
    ("requests/content", "has nothing beside its parts that an embedding is made of"),
    ("requests/model", "names the model of Gemini's path once more"),
    ("messages/reasoning", "says what reasoning_details says"),
    ("input/id", "names what stands beside it"),
    ("input/status", "says how the answer that it was ended"),
];

/// Longer bodies take too long.
const LONG: usize = 20_000;

/// Changes of one body: what was changed, and the body then.
fn mutations(body: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    walk(body, "", &mut |path, value| all.extend(changed(value).into_iter().map(|new| (path.to_owned(), new))));
    all.into_iter().map(|(path, new)| (path.clone(), with(body, &path, new))).collect()
}

/// Other values that could stand in the place of one.
fn changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(on) => vec![json!(!on)],
        Value::Number(number) => vec![json!(number.as_f64().unwrap() + 1.0)],
        Value::String(text) => vec![json!(format!("{text}~"))],
        Value::Array(items) => {
            let mut fewer = items.clone();
            let mut turned = items.clone();
            turned.reverse();
            let mut new = Vec::new();
            if fewer.pop().is_some() {
                new.push(Value::Array(fewer));
            }
            if turned != *items {
                new.push(Value::Array(turned));
            }
            new
        }
        Value::Object(fields) => {
            let mut more = fields.clone();
            more.insert("swell".to_owned(), json!("high"));
            vec![Value::Object(more)]
        }
    }
}

/// Visits every value with its path as a JSON pointer.
fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, value);
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| walk(item, &format!("{path}/{at}"), visit));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| {
                walk(field, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), visit);
            });
        }
        _ => {}
    }
}

fn with(body: &Value, path: &str, new: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(path).unwrap() = new;
    body
}

/// Whether a change at a path is one of a field that is on the list.
fn listed(path: &str) -> bool {
    let steps: Vec<&str> = path.split('/').filter(|step| step.parse::<usize>().is_err()).collect();
    let ignored = shipped().ignore;
    steps.iter().any(|step| ignored.iter().any(|name| name == step))
        || ALIKE
            .iter()
            .any(|(end, _)| steps.join("/").trim_start_matches('/') == *end || path.ends_with(&format!("/{end}")))
}

fn parts(dialect: Dialect, target: &str, body: &Value) -> Option<Parts> {
    let mut parts = of(Some(dialect), target, body.to_string().as_bytes(), &shipped())?;
    parts.named.sort();
    Some(parts)
}

/// The paths of a body at which a change does not change the parts, though it should.
fn forgotten(dialect: Dialect, target: &str, body: &Value) -> (usize, Vec<String>) {
    let Some(asked) = parts(dialect, target, body) else { return (0, Vec::new()) };
    let mut all = mutations(body);
    let step = 1 + all.len() / 100;
    all = all.into_iter().step_by(step).collect();
    let same = |(path, new): &(String, Value)| !listed(path) && parts(dialect, target, new).as_ref() == Some(&asked);
    (all.len(), all.iter().filter(|change| same(change)).map(|(path, new)| format!("{path}: {new}")).collect())
}

/// The least that a dialect's request has.
fn base(name: &str) -> (Dialect, Value) {
    let said = json!([{"role": "user", "content": "Tide?"}]);
    match name {
        "openai-responses" => (Dialect::OpenAiResponses, json!({"model": "tide-1", "input": "Tide?"})),
        "anthropic" => (Dialect::Anthropic, json!({"model": "tide-1", "max_tokens": 9, "messages": said})),
        "ollama" => (Dialect::OllamaChat, json!({"model": "tide-1", "messages": said})),
        "gemini" => (Dialect::Gemini, json!({"contents": [{"role": "user", "parts": [{"text": "Tide?"}]}]})),
        _ => (Dialect::OpenAiChat, json!({"model": "tide-1", "messages": said})),
    }
}

#[test]
fn every_field_of_every_feature_changes_the_key_or_is_listed() {
    let features: Vec<Value> = serde_json::from_str(FEATURES).unwrap();
    let (mut made, mut found) = (0, Vec::new());
    for feature in &features {
        let asks: &Map<String, Value> = feature["asks"].as_object().unwrap();
        for (name, asked) in asks {
            let (dialect, mut body) = base(name);
            body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
            let (count, forgotten) = forgotten(dialect, super::target(dialect), &body);
            found.extend(forgotten.into_iter().map(|path| format!("{} of {name}: {path}", feature["name"])));
            made += count;
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(made > 1000, "only {made} changes were made");
}

#[test]
fn every_field_of_the_lesser_calls_changes_the_key_or_is_listed() {
    let bodies = [
        (
            Dialect::OpenAiEmbeddings,
            json!({"model": "m", "input": ["a", [1, 2]], "dimensions": 8, "encoding_format": "base64"}),
        ),
        (Dialect::OllamaEmbed, json!({"model": "m", "input": ["a", "b"], "truncate": true, "options": {"num_ctx": 9}})),
        (
            Dialect::OpenAiCompletions,
            json!({"model": "m", "prompt": "a", "suffix": "b", "echo": true, "best_of": 2, "n": 2}),
        ),
        (
            Dialect::OllamaGenerate,
            json!({"model": "m", "prompt": "a", "suffix": "b", "raw": true, "system": "s", "template": "t",
            "images": ["iVBORw0KGgo="], "context": [1, 2]}),
        ),
        (
            Dialect::GeminiEmbed,
            json!({"requests": [{"model": "models/tide-1", "content": {"parts": [{"text": "a"}]},
            "taskType": "RETRIEVAL_QUERY", "title": "t", "outputDimensionality": 4}]}),
        ),
    ];
    for (dialect, body) in bodies {
        let (_, forgotten) = forgotten(dialect, super::target(dialect), &body);
        assert!(forgotten.is_empty(), "{dialect:?}: {forgotten:#?}");
    }
}

#[test]
fn every_field_of_recorded_requests_changes_the_key_or_is_listed() {
    let Ok(lines) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED)) else { return };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for line in lines.lines().step_by(5) {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let request = &exchange["request"];
        let path = request["path"].as_str().unwrap_or_default();
        let Some(dialect) = Dialect::of_path(path.split('?').next().unwrap_or_default()) else { continue };
        if matches!(dialect, Dialect::GeminiCount | Dialect::AnthropicCount)
            || request["body_json"].to_string().len() > LONG
        {
            continue;
        }
        let (_, forgotten) = forgotten(dialect, path, &request["body_json"]);
        // Gemini's path names the model, a second one in the body is passed over; of a content its parts are embedded.
        let gemini = matches!(dialect, Dialect::Gemini | Dialect::GeminiEmbed);
        let passed_over = |path: &String| gemini && (path.starts_with("/model:") || path.starts_with("/content:"));
        for path in forgotten.into_iter().filter(|path| !passed_over(path)) {
            let shape: Vec<&str> = path.split(':').next().unwrap_or_default().split('/').collect();
            let shape: Vec<&str> =
                shape.into_iter().map(|step| if step.parse::<usize>().is_ok() { "#" } else { step }).collect();
            found
                .entry(format!("{} {}", dialect.as_str(), shape.join("/")))
                .or_insert_with(|| exchange["id"].to_string());
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
