//! A conversation as a request's path and body.

use serde_json::{Map, Number, Value, json};

use super::super::thinking;
use super::Places;
use super::target::Target;
use super::turns::Turns;
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Format, Function, Tool, ToolChoice};
use crate::dialect::codec::Outgoing;
use crate::dialect::loss::Losses;

/// How many stop texts Gemini takes (Gemini API reference, `GenerationConfig`).
const MOST_STOPS: usize = 5;

/// Writes a request.
pub(in crate::dialect::gemini) fn write(chat: &Chat, losses: &mut Losses) -> Outgoing {
    let target = Target { model: chat.model.clone(), stream: chat.stream }.write();
    let mut body = Map::new();
    turns(chat, &mut body, losses);
    let tools = tools(chat, losses);
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    if let Some(choice) = &chat.tool_choice {
        body.insert("toolConfig".to_owned(), json!({"functionCallingConfig": calling(choice)}));
    }
    let config = generation(chat, losses);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    let places = Places(chat.origin);
    if chat.parallel_tools == Some(false) {
        losses.dropped(places.parallel_tools(), "Gemini may always call several tools at once");
    }
    if chat.user.is_some() {
        losses.dropped(places.user(), "Gemini is not told who asks");
    }
    for (name, value) in &chat.extra {
        if chat.origin == Some(Dialect::Gemini) {
            put_back(&mut body, name, value.clone());
        } else if asked(value) {
            losses.dropped(name.as_str(), "Gemini has no such field");
        }
    }
    Outgoing { target, body: Value::Object(body) }
}

/// Whether a value asks for anything: false, nothing and empty ones do not.
pub(super) fn asked(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Puts a field back where its dotted path says that it stood.
fn put_back(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            body.insert(path.to_owned(), value);
        }
        Some((name, rest)) => {
            let inner = body.entry(name).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                put_back(inner, rest, value);
            }
        }
    }
}

fn turns(chat: &Chat, body: &mut Map<String, Value>, losses: &mut Losses) {
    let mut turns = Turns::write(chat, losses);
    if turns.contents.is_empty() && !turns.system.is_empty() && chat.origin != Some(Dialect::Gemini) {
        losses.approximated(Places(chat.origin).message(0), "Gemini demands a turn: the instructions stand in it");
        turns.contents.push(json!({"role": "user", "parts": std::mem::take(&mut turns.system)}));
    }
    if !turns.system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({"parts": turns.system}));
    }
    body.insert("contents".to_owned(), Value::Array(turns.contents));
}

/// The tools: all functions in one item, where the first of them stood, and Google's own each in one.
fn tools(chat: &Chat, losses: &mut Losses) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut functions = Vec::new();
    let mut at = None;
    for (index, tool) in chat.tools.iter().enumerate() {
        match tool {
            Tool::Function(tool) => {
                at.get_or_insert(out.len());
                functions.push(function(
                    tool,
                    chat.origin == Some(Dialect::Gemini),
                    &format!("tools[{index}]"),
                    losses,
                ));
            }
            Tool::Server(tool) if chat.origin == Some(Dialect::Gemini) => out.push(tool.clone()),
            Tool::Server(_) => losses.dropped(format!("tools[{index}]"), "a tool that runs with another maker"),
        }
    }
    if let Some(at) = at {
        out.insert(at, json!({"functionDeclarations": functions}));
    }
    out
}

fn function(function: &Function, ours: bool, place: &str, losses: &mut Losses) -> Value {
    let mut out = Map::new();
    out.insert("name".to_owned(), Value::from(function.name.as_str()));
    if let Some(description) = &function.description {
        out.insert("description".to_owned(), Value::from(description.as_str()));
    }
    if let Some(schema) = &function.schema {
        out.insert("parametersJsonSchema".to_owned(), schema.clone());
    }
    if function.strict == Some(true) {
        losses.dropped(format!("{place}.strict"), "Gemini does not promise arguments that fit their schema");
    }
    if function.cache.is_some() {
        losses.dropped(format!("{place}.cache_control"), "Gemini marks no tools for its cache");
    }
    for (name, value) in &function.extra {
        if ours {
            out.insert(name.clone(), value.clone());
        } else if asked(value) {
            losses.dropped(format!("{place}.{name}"), "Gemini's functions have no such field");
        }
    }
    Value::Object(out)
}

fn calling(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Function(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        ToolChoice::Allowed { names, required: true } => json!({"mode": "ANY", "allowedFunctionNames": names}),
        // The mode that lets the model answer in words and yet takes names.
        ToolChoice::Allowed { names, required: false } => json!({"mode": "VALIDATED", "allowedFunctionNames": names}),
    }
}

fn generation(chat: &Chat, losses: &mut Losses) -> Map<String, Value> {
    let places = Places(chat.origin);
    let sampling = &chat.sampling;
    let mut out = Map::new();
    let numbers: [(&str, &Option<Number>); 9] = [
        ("temperature", &sampling.temperature),
        ("topP", &sampling.top_p),
        ("topK", &sampling.top_k),
        ("maxOutputTokens", &sampling.max_tokens),
        ("candidateCount", &sampling.n),
        ("seed", &sampling.seed),
        ("presencePenalty", &sampling.presence_penalty),
        ("frequencyPenalty", &sampling.frequency_penalty),
        ("logprobs", &sampling.top_logprobs),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            out.insert(name.to_owned(), Value::Number(number.clone()));
        }
    }
    if let Some(logprobs) = sampling.logprobs.filter(|logprobs| *logprobs || chat.origin == Some(Dialect::Gemini)) {
        out.insert("responseLogprobs".to_owned(), Value::Bool(logprobs));
    }
    if sampling.min_p.is_some() {
        losses.dropped(places.sampling("min_p"), "Gemini has no smallest probability");
    }
    if !sampling.stop.is_empty() {
        let kept = sampling.stop.get(..MOST_STOPS).unwrap_or(&sampling.stop);
        if kept.len() < sampling.stop.len() {
            losses.approximated(places.sampling("stop"), "Gemini takes at most five stop texts");
        }
        out.insert("stopSequences".to_owned(), json!(kept));
    }
    format(chat, &mut out, losses);
    let thinking = thinking::write(chat, places, losses);
    if !thinking.is_empty() {
        out.insert("thinkingConfig".to_owned(), Value::Object(thinking));
    }
    out
}

/// The form of the answer's text.
fn format(chat: &Chat, out: &mut Map<String, Value>, losses: &mut Losses) {
    let places = Places(chat.origin);
    match &chat.format {
        None => {}
        Some(Format::Json) => {
            out.insert("responseMimeType".to_owned(), Value::from("application/json"));
        }
        Some(Format::Schema { name, description, schema, strict: _ }) => {
            out.insert("responseMimeType".to_owned(), Value::from("application/json"));
            out.insert("responseJsonSchema".to_owned(), schema.clone());
            for (field, value) in [("name", name), ("description", description)] {
                if value.is_some() {
                    losses.dropped(places.format(field), "Gemini has the schema alone");
                }
            }
        }
        Some(Format::Other(Value::Object(fields))) if chat.origin == Some(Dialect::Gemini) => {
            out.extend(fields.clone());
        }
        Some(Format::Other(_)) => losses.dropped(places.format(""), "a form that only its own dialect knows"),
    }
}
