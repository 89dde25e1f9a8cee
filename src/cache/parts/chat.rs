//! The parts of a chat, in no dialect's words: who said what, with which tools, and how the answer is to be.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Making, media};
use crate::dialect::Dialect;
use crate::dialect::chat::{
    Chat, Format, Message, Part, Reasoning, Role, Sampling, Text, Thinking, ThinkingMode, Tool, ToolCall, ToolChoice,
    ToolResult,
};
use crate::json::exact;

/// The mark in a request that says how far an upstream may keep what it read.
const MARK: &str = "cache_control";

/// Room behind a name for its number and a role.
const ROOM: usize = 24;

/// Makes the parts of a chat that was asked in `dialect`.
pub(super) fn parts(chat: Chat, dialect: Dialect, making: &mut Making<'_>) {
    let marks = !making.choice.ignores(MARK);
    making.put("model", chat.model);
    making.put("stream", chat.stream);
    let chooses = matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiCompletions);
    if chooses && chat.stream && chat.stream_usage {
        making.put("stream_options", true);
    }
    messages(chat.messages, marks, making);
    for (index, tool) in chat.tools.into_iter().enumerate() {
        let told = told_tool(tool, marks, making);
        making.put(&format!("tools[{index}]"), told);
    }
    making.maybe("tool_choice", chat.tool_choice.map(told_choice));
    making.maybe("parallel_tools", chat.parallel_tools);
    if let Some(format) = chat.format {
        let told = told_format(format, making);
        making.put("response_format", told);
    }
    if let Some(thinking) = chat.thinking {
        making.own |= thinking.show.is_some();
        making.put("reasoning", told_thinking(thinking));
    }
    sampling(chat.sampling, making);
    making.maybe("user", chat.user);
    // What OpenAI keeps can be named by the client's next request; another dialect's answer was not kept.
    let kept = dialect == Dialect::OpenAiResponses && chat.extra.get("store") != Some(&Value::Bool(false));
    making.own |= kept;
    for (name, value) in chat.extra {
        if name != "store" || value != Value::Bool(false) {
            making.field(&name, value);
        }
    }
}

/// Whether a dialect's calls go on with a text instead of answering it.
pub(super) fn continues(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::OpenAiCompletions | Dialect::OllamaGenerate)
}

/// What stands before the path that all requests of a dialect have; `None` when it is another path.
pub(super) fn prefix(dialect: Dialect, path: &str) -> Option<&str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let known = match dialect {
        Dialect::OpenAiChat => "/chat/completions",
        Dialect::OpenAiCompletions => "/completions",
        Dialect::OpenAiResponses => "/responses",
        Dialect::Anthropic => "/messages",
        Dialect::OllamaChat => "/api/chat",
        Dialect::OllamaGenerate => "/api/generate",
        Dialect::Gemini => return path.rsplit_once("/models/").map(|(before, _)| before),
        _ => return None,
    };
    path.strip_suffix(known)
}

/// What was said: instructions at the start as `system`, then turn by turn.
fn messages(said: Vec<Message>, marks: bool, making: &mut Making<'_>) {
    let (mut instructions, mut turns) = (0_usize, 0_usize);
    for message in said {
        let name = match message.role {
            Role::System if turns == 0 => numbered("system", &mut instructions),
            Role::Developer if turns == 0 => numbered("developer", &mut instructions),
            role => {
                let mut name = numbered("messages", &mut turns);
                name.push('.');
                name.push_str(role_name(role));
                name
            }
        };
        if let Some(speaker) = message.name {
            making.put(&format!("{name}.name"), speaker);
        }
        let mut rest = message.extra;
        if !marks {
            rest.shift_remove(MARK);
        }
        making.below(&name, rest);
        all(&name, message.parts, marks, making);
    }
}

fn numbered(name: &str, next: &mut usize) -> String {
    let mut numbered = String::with_capacity(name.len() + ROOM);
    numbered.push_str(name);
    let _ = write!(numbered, "[{next}]");
    *next += 1;
    numbered
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// The parts of a message. One that is the only one needs no number.
fn all(name: &str, parts: Vec<Part>, marks: bool, making: &mut Making<'_>) {
    let began = making.named.len();
    let mut kept: Vec<usize> = Vec::new();
    let alone = parts.len() == 1;
    let none = parts.is_empty();
    for part in parts {
        let at = making.named.len();
        let place = if alone { name.to_owned() } else { format!("{name}[{}]", kept.len()) };
        if one(&place, part, marks, making) {
            kept.push(at);
        }
    }
    if none {
        making.put(name, Value::Null);
    }
    // Of several, only one may be left: then it has the name of one that came alone.
    if !alone && kept.len() == 1 {
        let several = format!("{name}[0]");
        for (named, _) in making.named.iter_mut().skip(began) {
            if let Some(rest) = named.strip_prefix(&several) {
                *named = format!("{name}{rest}");
            }
        }
    }
}

/// One part. Says whether anything is left of it.
fn one(name: &str, part: Part, marks: bool, making: &mut Making<'_>) -> bool {
    let told = match part {
        Part::Text(text) => return told_text(name, text, marks, making),
        Part::ToolResult(result) => return told_result(name, result, marks, making),
        Part::Image(image) => media::told("image", image, marks),
        Part::Document(document) => media::told("document", document, marks),
        Part::Audio(audio) => media::told("audio", audio, marks),
        Part::ToolCall(call) => told_call(call, marks),
        Part::Reasoning(reasoning) => told_reasoning(&reasoning),
        Part::Refusal(text) => json!({"refusal": text}),
        Part::Other(mut value) => {
            making.own = true;
            unmark(&mut value, marks);
            value
        }
    };
    making.put(name, told);
    true
}

fn told_text(name: &str, text: Text, marks: bool, making: &mut Making<'_>) -> bool {
    let left = making.text(name.to_owned(), &text.text);
    if let Some(citations) = text.citations.filter(|_| left) {
        making.put(&format!("{name}.citations"), citations);
    }
    if let Some(mark) = text.cache.filter(|_| left && marks) {
        making.put(&format!("{name}.{MARK}"), mark);
    }
    left
}

fn told_result(name: &str, result: ToolResult, marks: bool, making: &mut Making<'_>) -> bool {
    let mut told = Map::new();
    told.insert("result_of".into(), result.id.into());
    told.extend(result.name.map(|name| ("name".to_owned(), name.into())));
    if result.failed {
        told.insert("failed".into(), true.into());
    }
    told.extend(marked(result.cache, marks));
    making.put(name, told);
    all(&format!("{name}.content"), result.parts, marks, making);
    true
}

fn told_call(call: ToolCall, marks: bool) -> Value {
    let mut told = Map::new();
    told.insert("call".into(), call.name.into());
    told.insert("id".into(), call.id.into());
    // Their spacing says nothing; what readers may differ over is compared as it came.
    match exact::read(call.arguments.as_bytes()) {
        Some(arguments) => told.insert("arguments".into(), arguments),
        None => told.insert("written".into(), call.arguments.into()),
    };
    told.extend(call.seal.map(|seal| ("seal".to_owned(), media::sealed(&seal))));
    told.extend(marked(call.cache, marks));
    told.into()
}

fn told_reasoning(reasoning: &Reasoning) -> Value {
    json!({"thought": reasoning.text, "seal": reasoning.seal.as_ref().map(media::sealed)})
}

fn told_tool(tool: Tool, marks: bool, making: &mut Making<'_>) -> Value {
    let function = match tool {
        Tool::Function(function) => function,
        Tool::Server(mut value) => {
            making.own = true;
            unmark(&mut value, marks);
            return value;
        }
    };
    let mut told = Map::new();
    told.insert("name".into(), function.name.into());
    told.extend(function.description.map(|text| ("description".to_owned(), text.into())));
    told.extend(function.schema.map(|schema| ("parameters".to_owned(), schema)));
    told.extend(function.strict.map(|strict| ("strict".to_owned(), strict.into())));
    told.extend(marked(function.cache, marks));
    if !function.extra.is_empty() {
        making.own = true;
        told.insert("extra".into(), function.extra.into());
    }
    told.into()
}

fn told_choice(choice: ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Function(name) => json!({"function": name}),
        ToolChoice::Allowed { names, required } => json!({"allowed": names, "required": required}),
    }
}

fn told_format(format: Format, making: &mut Making<'_>) -> Value {
    match format {
        Format::Json => "json".into(),
        Format::Schema { name, description, schema, strict } => {
            json!({"name": name, "description": description, "schema": schema, "strict": strict})
        }
        Format::Other(value) => {
            making.own = true;
            json!({"other": value})
        }
    }
}

fn told_thinking(thinking: Thinking) -> Value {
    let mode = match thinking.mode {
        ThinkingMode::On => "on",
        ThinkingMode::Off => "off",
        ThinkingMode::Adaptive => "adaptive",
    };
    let mut told = Map::from_iter([("mode".to_owned(), Value::from(mode))]);
    told.extend(thinking.effort.map(|effort| ("effort".to_owned(), effort.into())));
    told.extend(thinking.budget.map(|budget| ("budget".to_owned(), budget.into())));
    told.extend(thinking.show.map(|show| ("show".to_owned(), show.into())));
    told.into()
}

fn sampling(sampling: Sampling, making: &mut Making<'_>) {
    let numbers = [
        ("max_tokens", sampling.max_tokens),
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_k", sampling.top_k),
        ("min_p", sampling.min_p),
        ("seed", sampling.seed),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
        ("n", sampling.n),
        ("top_logprobs", sampling.top_logprobs),
    ];
    for (name, number) in numbers {
        making.maybe(name, number);
    }
    making.maybe("logprobs", sampling.logprobs);
    if !sampling.stop.is_empty() {
        making.put("stop", sampling.stop);
    }
}

/// The mark as a member, where marks are parts.
fn marked(mark: Option<Value>, marks: bool) -> Option<(String, Value)> {
    mark.filter(|_| marks).map(|mark| (MARK.to_owned(), mark))
}

/// Takes the mark off what only its dialect knows.
fn unmark(value: &mut Value, marks: bool) {
    if let Some(fields) = value.as_object_mut().filter(|_| !marks) {
        fields.shift_remove(MARK);
    }
}
