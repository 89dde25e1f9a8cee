//! Writing what a request asks beside its input: tools, thinking, sampling, and what its own dialect knows.

use serde_json::{Map, Number, Value, json};

use super::read::LOGPROBS;
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Format, Function, Role, Thinking, ThinkingMode, Tool, ToolChoice};
use crate::dialect::loss::Losses;

/// The fewest tokens of answer that the API accepts (API reference, `max_output_tokens`).
const MIN_TOKENS: u64 = 16;

/// The longest `user` that the API accepts, in bytes.
const MAX_USER: usize = 64;

/// Where a request came from, and what follows from it.
#[derive(Debug)]
pub(super) struct Home {
    /// The dialect, where it is known.
    dialect: Option<Dialect>,
    /// Whether it is this one.
    pub(super) own: bool,
    /// Whether it is one of `OpenAI`'s, so that ids of its files API hold.
    pub(super) files: bool,
    /// How many messages stood apart from the others in that dialect: the leading system messages.
    apart: usize,
}

// === impl Home ===

impl Home {
    /// Where a request came from.
    pub(super) fn of(chat: &Chat) -> Self {
        let own = chat.origin == Some(Dialect::OpenAiResponses);
        let system = matches!(chat.origin, Some(Dialect::Anthropic | Dialect::AnthropicCount | Dialect::Gemini));
        let leading = || chat.messages.iter().take_while(|message| message.role == Role::System).count();
        Self {
            dialect: chat.origin,
            own,
            files: own || chat.origin == Some(Dialect::OpenAiChat),
            apart: if system { leading() } else { 0 },
        }
    }

    /// The path that a message had.
    pub(super) fn message_path(&self, index: usize) -> String {
        let place = index.checked_sub(self.apart);
        match (self.dialect, place) {
            (Some(Dialect::Gemini), Some(place)) => format!("contents[{place}]"),
            (Some(Dialect::Gemini), None) => "systemInstruction".to_owned(),
            (_, None) => "system".to_owned(),
            (Some(Dialect::OpenAiResponses), Some(place)) => format!("input[{place}]"),
            (_, Some(place)) => format!("messages[{place}]"),
        }
    }

    /// The path that a part of a message had.
    pub(super) fn part_path(&self, index: usize, part: usize) -> String {
        let message = self.message_path(index);
        match self.dialect {
            Some(Dialect::Gemini) => format!("{message}.parts[{part}]"),
            _ if message == "system" => format!("system[{part}]"),
            _ => format!("{message}.content[{part}]"),
        }
    }

    /// The path of a setting that has its own name in Gemini and its own place in Ollama.
    fn setting(&self, name: &str, gemini: &str) -> String {
        match self.dialect {
            Some(Dialect::Gemini) => format!("generationConfig.{gemini}"),
            Some(Dialect::OllamaChat | Dialect::OllamaGenerate) => format!("options.{name}"),
            Some(Dialect::Anthropic) if name == "stop" => "stop_sequences".to_owned(),
            _ => name.to_owned(),
        }
    }
}

/// Writes the settings of a request after its input.
pub(super) fn write(chat: &Chat, origin: &Home, body: &mut Map<String, Value>, losses: &mut Losses) {
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    if chat.stream {
        put("stream", Value::Bool(true));
    }
    if let Some(text) = format(chat, origin, losses) {
        put("text", json!({"format": text}));
    }
    if let Some(reasoning) = chat.thinking.as_ref().and_then(|thinking| reasoning(thinking, origin, losses)) {
        put("reasoning", Value::Object(reasoning));
    }
    tools(chat, origin, body, losses);
    sampling(chat, origin, body, losses);
    user(chat, origin, body, losses);
    extra(chat, origin, body, losses);
    if !origin.own {
        stateless(chat, body);
    }
    if chat.sampling.logprobs == Some(true) {
        include(body, LOGPROBS);
    }
}

/// Asks the upstream to keep nothing, and to give sealed thoughts away instead, so that they can come back.
fn stateless(chat: &Chat, body: &mut Map<String, Value>) {
    body.entry("store").or_insert(Value::Bool(false));
    if chat.thinking.as_ref().is_some_and(|thinking| thinking.mode != ThinkingMode::Off) {
        include(body, "reasoning.encrypted_content");
    }
}

fn include(body: &mut Map<String, Value>, what: &str) {
    if let Value::Array(list) = body.entry("include").or_insert_with(|| json!([])) {
        list.push(Value::from(what));
    }
}

fn tools(chat: &Chat, origin: &Home, body: &mut Map<String, Value>, losses: &mut Losses) {
    let mut tools = Vec::with_capacity(chat.tools.len());
    for (index, tool) in chat.tools.iter().enumerate() {
        match tool {
            Tool::Function(tool) => tools.push(function(tool, origin, index, losses)),
            Tool::Server(tool) if origin.own => tools.push(tool.clone()),
            Tool::Server(_) => losses.dropped(format!("tools[{index}]"), "a tool that only its own upstream runs"),
        }
    }
    let any = !tools.is_empty();
    if any {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    if let Some(choice) = &chat.tool_choice {
        if any || origin.own {
            body.insert("tool_choice".to_owned(), tool_choice(choice));
        } else if !matches!(choice, ToolChoice::Auto | ToolChoice::None) {
            losses.dropped("tool_choice", "there is no tool to choose");
        }
    }
    if let Some(parallel) = chat.parallel_tools.filter(|_| any || origin.own) {
        body.insert("parallel_tool_calls".to_owned(), Value::Bool(parallel));
    }
}

fn function(tool: &Function, origin: &Home, index: usize, losses: &mut Losses) -> Value {
    let mut written = Map::new();
    let mut put = |name: &str, value: Value| {
        written.insert(name.to_owned(), value);
    };
    put("type", Value::from("function"));
    put("name", Value::from(tool.name.as_str()));
    if let Some(description) = &tool.description {
        put("description", Value::from(description.as_str()));
    }
    match &tool.schema {
        Some(schema) => put("parameters", schema.clone()),
        None if origin.own => put("parameters", Value::Null),
        None => put("parameters", json!({"type": "object", "properties": {}})),
    }
    // Here a function is strict unless it says no; in every other dialect it is the other way round.
    if let Some(strict) = tool.strict.or((!origin.own).then_some(false)) {
        put("strict", Value::Bool(strict));
    }
    for (name, value) in tool.extra.iter().filter(|(_, value)| !value.is_null()) {
        if origin.own {
            put(name, value.clone());
        } else {
            losses.dropped(format!("tools[{index}].{name}"), "not a field of the Responses API");
        }
    }
    if tool.cache.is_some() {
        losses.dropped(format!("tools[{index}].cache_control"), "the Responses API caches prompts by itself");
    }
    Value::Object(written)
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => Value::from("auto"),
        ToolChoice::None => Value::from("none"),
        ToolChoice::Required => Value::from("required"),
        ToolChoice::Function(name) => json!({"type": "function", "name": name}),
        ToolChoice::Allowed { names, required } => {
            let tools: Vec<Value> = names.iter().map(|name| json!({"type": "function", "name": name})).collect();
            json!({"type": "allowed_tools", "mode": if *required { "required" } else { "auto" }, "tools": tools})
        }
    }
}

fn format(chat: &Chat, origin: &Home, losses: &mut Losses) -> Option<Value> {
    let (name, description, schema, strict) = match chat.format.as_ref()? {
        Format::Json => return Some(json!({"type": "json_object"})),
        Format::Schema { name, description, schema, strict } => (name, description, schema, strict),
        Format::Other(value) if origin.own => return Some(value.clone()),
        Format::Other(_) => {
            losses.dropped("response_format", "a form of answer that only its own dialect knows");
            return None;
        }
    };
    let mut format = Map::new();
    let mut put = |name: &str, value: Value| {
        format.insert(name.to_owned(), value);
    };
    put("type", Value::from("json_schema"));
    if name.is_none() {
        losses.invented("text.format.name", "the Responses API wants a name with a schema");
    }
    put("name", Value::from(name.as_deref().unwrap_or("response")));
    if let Some(description) = description {
        put("description", Value::from(description.as_str()));
    }
    put("schema", schema.clone());
    if let Some(strict) = strict {
        put("strict", Value::Bool(*strict));
    }
    Some(Value::Object(format))
}

fn reasoning(thinking: &Thinking, origin: &Home, losses: &mut Losses) -> Option<Map<String, Value>> {
    let mut written = Map::new();
    if let Some(effort) = effort(thinking, origin, losses) {
        written.insert("effort".to_owned(), Value::from(effort));
    }
    let show = match thinking.show.as_deref() {
        Some("true" | "summarized") => Some("auto"),
        Some("omitted" | "false") if !origin.own => None,
        show => show,
    };
    written.extend(show.map(|show| ("summary".to_owned(), Value::from(show))));
    (!written.is_empty()).then_some(written)
}

/// How hard to think: in the dialect's own words, or the one nearest to a number of tokens.
fn effort<'a>(thinking: &'a Thinking, origin: &Home, losses: &mut Losses) -> Option<&'a str> {
    if thinking.mode == ThinkingMode::Off {
        return Some("none");
    }
    if thinking.budget.is_some() {
        let path = match origin.dialect {
            Some(Dialect::Gemini) => "generationConfig.thinkingConfig.thinkingBudget",
            _ => "thinking.budget_tokens",
        };
        losses.approximated(path, "an effort stands for the number of tokens");
    }
    match (thinking.effort.as_deref(), thinking.budget) {
        (Some("max"), _) if !origin.own => {
            losses.approximated("effort", "the highest effort is xhigh");
            Some("xhigh")
        }
        (Some(effort), _) => Some(effort),
        (None, Some(..=2048)) => Some("low"),
        (None, Some(..=8192)) => Some("medium"),
        (None, Some(_)) => Some("high"),
        (None, None) => None,
    }
}

fn sampling(chat: &Chat, origin: &Home, body: &mut Map<String, Value>, losses: &mut Losses) {
    let sampling = &chat.sampling;
    let mut put = |name: &str, number: &Option<Number>| {
        body.extend(number.clone().map(|number| (name.to_owned(), Value::Number(number))));
    };
    put("temperature", &sampling.temperature);
    put("top_p", &sampling.top_p);
    put("top_logprobs", &sampling.top_logprobs);
    let few = sampling.max_tokens.as_ref().and_then(Number::as_u64).is_some_and(|tokens| tokens < MIN_TOKENS);
    if few && !origin.own {
        losses.approximated(origin.setting("max_tokens", "maxOutputTokens"), "the Responses API wants at least 16");
        put("max_output_tokens", &Some(MIN_TOKENS.into()));
    } else {
        put("max_output_tokens", &sampling.max_tokens);
    }
    let unknown = [
        ("top_k", "topK", sampling.top_k.is_some()),
        ("min_p", "minP", sampling.min_p.is_some()),
        ("seed", "seed", sampling.seed.is_some()),
        ("frequency_penalty", "frequencyPenalty", asked(sampling.frequency_penalty.as_ref())),
        ("presence_penalty", "presencePenalty", asked(sampling.presence_penalty.as_ref())),
        ("stop", "stopSequences", !sampling.stop.is_empty()),
    ];
    for (name, gemini, _) in unknown.into_iter().filter(|(_, _, asked)| *asked) {
        losses.dropped(origin.setting(name, gemini), "the Responses API has no such setting");
    }
    if sampling.n.as_ref().and_then(Number::as_u64).is_some_and(|n| n > 1) {
        losses.approximated(origin.setting("n", "candidateCount"), "the Responses API gives one answer");
    }
}

/// Whether a penalty is more than its default, 0.
fn asked(penalty: Option<&Number>) -> bool {
    penalty.and_then(Number::as_f64).is_some_and(|penalty| penalty != 0.0)
}

fn user(chat: &Chat, origin: &Home, body: &mut Map<String, Value>, losses: &mut Losses) {
    match &chat.user {
        Some(user) if origin.own || user.len() <= MAX_USER => {
            body.insert("user".to_owned(), Value::from(user.as_str()));
        }
        Some(_) if origin.dialect == Some(Dialect::Anthropic) => {
            losses.dropped("metadata.user_id", "longer than the 64 characters that are accepted");
        }
        Some(_) => losses.dropped("user", "longer than the 64 characters that are accepted"),
        None => {}
    }
}

/// Puts back what the dialect that the request came from has in common with this one, and reports the rest.
fn extra(chat: &Chat, origin: &Home, body: &mut Map<String, Value>, losses: &mut Losses) {
    for (name, value) in chat.extra.iter().filter(|(_, value)| !value.is_null()) {
        match accepted(name, origin) {
            Some(name) => put_at(body, name, value.clone()),
            None if is_default(value) => {}
            None => losses.dropped(name.as_str(), "not a field of the Responses API"),
        }
    }
}

/// The path in this dialect of a field that the model has no place for.
fn accepted<'a>(name: &'a str, origin: &Home) -> Option<&'a str> {
    /// What the chat completions of the same maker share with this dialect (API reference of both).
    const SHARED: [&str; 7] = [
        "metadata",
        "store",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "safety_identifier",
    ];
    match name {
        _ if origin.own => Some(name),
        "verbosity" if origin.dialect == Some(Dialect::OpenAiChat) => Some("text.verbosity"),
        _ if origin.dialect == Some(Dialect::OpenAiChat) && SHARED.contains(&name) => Some(name),
        _ => None,
    }
}

/// Puts a value at its path: in `text` and `reasoning`, of which the model has a part, below them.
fn put_at(body: &mut Map<String, Value>, path: &str, value: Value) {
    let nested = path.split_once('.').filter(|(first, _)| matches!(*first, "text" | "reasoning" | "format"));
    let Some((first, rest)) = nested else {
        body.insert(path.to_owned(), value);
        return;
    };
    if let Value::Object(inner) = body.entry(first).or_insert_with(|| json!({})) {
        put_at(inner, rest, value);
    }
}

/// Whether a value asks for nothing.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(_) => false,
    }
}
