//! Writes requests of `/api/chat` and `/api/generate`.

use serde_json::{Map, Number, Value, json};

use super::messages::said;
use super::names::Names;
use super::transcript::transcript;
use crate::dialect::chat::{Chat, Format, Function, Sampling, Thinking, ThinkingMode, Tool, ToolChoice};
use crate::dialect::codec::Outgoing;
use crate::dialect::loss::Losses;
use crate::dialect::ollama::read::blank;

/// Writes the body of `/api/chat`.
pub(in crate::dialect::ollama) fn chat(chat: &Chat, losses: &mut Losses) -> Outgoing {
    let mut body = Map::new();
    body.insert("model".to_owned(), chat.model.as_str().into());
    let messages = said(chat, losses).into_iter().map(super::messages::Said::json).collect();
    body.insert("messages".to_owned(), Value::Array(messages));
    let tools = tools(chat, losses);
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    common(chat, &mut body, losses);
    let foreign = |key: &str| matches!(key, "prompt" | "suffix" | "system" | "template" | "raw" | "context");
    extra(chat, &mut body, foreign, losses);
    Outgoing { target: "/api/chat".to_owned(), body: Value::Object(body) }
}

/// Writes the body of `/api/generate`. It has one prompt and no tools: a conversation becomes a transcript.
pub(in crate::dialect::ollama) fn generate(chat: &Chat, losses: &mut Losses) -> Outgoing {
    let mut body = Map::new();
    body.insert("model".to_owned(), chat.model.as_str().into());
    let said = said(chat, losses);
    transcript(said, Names(chat.origin), losses, &mut body);
    if !chat.tools.is_empty() {
        losses.dropped("tools", "Ollama's generate call has no tools");
    }
    common(chat, &mut body, losses);
    extra(chat, &mut body, |key| key == "messages" || key == "tools", losses);
    Outgoing { target: "/api/generate".to_owned(), body: Value::Object(body) }
}

/// What both calls have.
fn common(chat: &Chat, body: &mut Map<String, Value>, losses: &mut Losses) {
    let names = Names(chat.origin);
    if let Some(format) = format(chat, names, losses) {
        body.insert("format".to_owned(), format);
    }
    if let Some(think) = chat.thinking.as_ref().map(|thinking| think(thinking, &chat.model, names, losses)) {
        body.insert("think".to_owned(), think);
    }
    let options = options(chat, names);
    if !options.is_empty() {
        body.insert("options".to_owned(), Value::Object(options));
    }
    body.insert("stream".to_owned(), chat.stream.into());
    if chat.sampling.logprobs == Some(true) {
        body.insert("logprobs".to_owned(), true.into());
    }
    if let Some(number) = &chat.sampling.top_logprobs {
        body.insert("top_logprobs".to_owned(), number.clone().into());
    }
    if chat.sampling.n.as_ref().and_then(Number::as_u64).is_some_and(|n| n > 1) {
        losses.approximated(names.n(), "Ollama gives one answer");
    }
    if chat.user.as_ref().is_some_and(|user| !user.is_empty()) {
        losses.dropped(names.user(), "Ollama has no field for the end user");
    }
    if chat.parallel_tools == Some(false) {
        losses.dropped(names.parallel_tools(), "Ollama cannot forbid several calls at once");
    }
}

fn format(chat: &Chat, names: Names, losses: &mut Losses) -> Option<Value> {
    match chat.format.as_ref()? {
        Format::Json => Some("json".into()),
        Format::Schema { name, description, schema, .. } => {
            let labels = [("name", name), ("description", description)];
            for (field, _) in labels.iter().filter(|(_, text)| text.as_ref().is_some_and(|text| !text.is_empty())) {
                losses.dropped(format!("{}.{field}", names.format()), "Ollama's format is the bare schema");
            }
            Some(schema.clone())
        }
        Format::Other(value) if names.own() => Some(value.clone()),
        Format::Other(_) => {
            losses.dropped(names.format(), "Ollama does not know this form");
            None
        }
    }
}

/// `think` is a truth value, but for gpt-oss, which takes levels (Ollama's documentation, "Thinking").
fn think(thinking: &Thinking, model: &str, names: Names, losses: &mut Losses) -> Value {
    if names.own() {
        return thinking.effort.as_deref().map_or((thinking.mode != ThinkingMode::Off).into(), Value::from);
    }
    if thinking.mode == ThinkingMode::Off || thinking.effort.as_deref() == Some("none") {
        return false.into();
    }
    if thinking.budget.is_some() {
        losses.dropped(names.budget(), "Ollama cannot limit thoughts");
    }
    if thinking.show.as_deref().is_some_and(|show| !matches!(show, "auto" | "true")) {
        losses.dropped(names.show(), "Ollama shows thoughts as they are");
    }
    if thinking.mode == ThinkingMode::Adaptive {
        losses.approximated(names.thinking(), "Ollama's models do not choose whether to think");
    }
    let Some(effort) = thinking.effort.as_deref() else { return true.into() };
    if !model.rsplit('/').next().unwrap_or_default().starts_with("gpt-oss") {
        losses.approximated(names.effort(), "this model thinks or does not");
        return true.into();
    }
    let level = match effort {
        "minimal" | "low" => "low",
        "high" | "xhigh" | "max" => "high",
        _ => "medium",
    };
    if level != effort {
        losses.approximated(names.effort(), "Ollama's levels are low, medium and high");
    }
    level.into()
}

fn options(chat: &Chat, names: Names) -> Map<String, Value> {
    let Sampling { max_tokens, temperature, top_p, top_k, min_p, seed, stop, .. } = &chat.sampling;
    let numbers = [
        ("num_predict", max_tokens),
        ("temperature", temperature),
        ("top_p", top_p),
        ("top_k", top_k),
        ("min_p", min_p),
        ("seed", seed),
        ("frequency_penalty", &chat.sampling.frequency_penalty),
        ("presence_penalty", &chat.sampling.presence_penalty),
    ];
    let asked = numbers.into_iter().filter_map(|(key, number)| Some((key, number.as_ref()?)));
    let mut options: Map<_, _> = asked.map(|(key, number)| (key.to_owned(), number.clone().into())).collect();
    if !stop.is_empty() {
        options.insert("stop".to_owned(), json!(stop));
    }
    if let Some(Value::Object(rest)) = chat.extra.get("options").filter(|_| names.own()) {
        for (key, value) in rest {
            options.entry(key.as_str()).or_insert_with(|| value.clone());
        }
    }
    options
}

/// The tools that the model may call. Ollama has no `tool_choice`: what can be said by leaving tools out is said so.
fn tools(chat: &Chat, losses: &mut Losses) -> Vec<Value> {
    let names = Names(chat.origin);
    if chat.tools.is_empty() {
        return Vec::new();
    }
    let choice = names.tool_choice();
    let allowed: Option<Vec<&str>> = match &chat.tool_choice {
        None | Some(ToolChoice::Auto) => None,
        Some(ToolChoice::None) => {
            losses.approximated(choice, "Ollama has no tool_choice: the tools are left out");
            return Vec::new();
        }
        Some(ToolChoice::Required) => {
            losses.dropped(choice, "Ollama cannot demand a call");
            None
        }
        Some(ToolChoice::Function(name)) => {
            losses.approximated(choice, "Ollama cannot demand a call: only this tool is offered");
            Some(vec![name])
        }
        Some(ToolChoice::Allowed { names, .. }) => {
            losses.approximated(choice, "Ollama has no tool_choice: only these tools are offered");
            Some(names.iter().map(String::as_str).collect())
        }
    };
    let tools = chat.tools.iter().enumerate().filter_map(|(at, tool)| match tool {
        Tool::Function(function) => {
            let offered = allowed.as_ref().is_none_or(|allowed| allowed.contains(&function.name.as_str()));
            offered.then(|| signature(function, at, names, losses))
        }
        Tool::Server(value) if names.own() => Some(value.clone()),
        Tool::Server(_) => {
            losses.dropped(format!("tools[{at}]"), "a tool that runs with another upstream");
            None
        }
    });
    tools.collect()
}

fn signature(function: &Function, at: usize, names: Names, losses: &mut Losses) -> Value {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), function.name.as_str().into());
    if let Some(description) = &function.description {
        fields.insert("description".to_owned(), description.as_str().into());
    }
    if let Some(schema) = &function.schema {
        fields.insert("parameters".to_owned(), schema.clone());
    }
    let mut tool = Map::new();
    tool.insert("type".to_owned(), "function".into());
    if function.cache.as_ref().is_some_and(|cache| !blank(cache)) {
        losses.dropped(format!("tools[{at}].cache_control"), "Ollama's cache cannot be steered");
    }
    if !names.own() {
        if function.strict == Some(true) {
            losses.dropped(format!("tools[{at}].strict"), "Ollama does not hold arguments to the schema");
        }
        for (key, _) in function.extra.iter().filter(|(_, value)| asked(value, names)) {
            losses.dropped(format!("tools[{at}].{key}"), "Ollama does not know it");
        }
        tool.insert("function".to_owned(), Value::Object(fields));
        return Value::Object(tool);
    }
    if let Some(strict) = function.strict {
        fields.insert("strict".to_owned(), strict.into());
    }
    let mut rest = function.extra.clone();
    if let Some(Value::Object(mut inner)) = rest.remove("function") {
        fields.append(&mut inner);
    }
    tool.insert("function".to_owned(), Value::Object(fields));
    tool.append(&mut rest);
    Value::Object(tool)
}

/// Fields without a place in the model go back to Ollama if they came from there and this call has them.
fn extra(chat: &Chat, body: &mut Map<String, Value>, foreign: impl Fn(&str) -> bool, losses: &mut Losses) {
    let names = Names(chat.origin);
    let own = names.own();
    for (key, value) in chat.extra.iter().filter(|(_, value)| asked(value, names)) {
        if own && key == "options" {
            continue;
        }
        if own && !foreign(key) && !body.contains_key(key) {
            body.insert(key.clone(), value.clone());
        } else if own {
            losses.dropped(key.as_str(), "the other call of Ollama's does not have it");
        } else {
            losses.dropped(key.as_str(), "Ollama does not know it");
        }
    }
}

/// Whether a field asks for anything. `false` does not, but for fields of Ollama's own that are true unless said
/// otherwise (`truncate`).
fn asked(value: &Value, names: Names) -> bool {
    !blank(value) && (names.own() || *value != Value::Bool(false))
}
