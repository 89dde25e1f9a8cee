//! Reading a request: its settings here, its input in the neighbours.

use serde_json::{Map, Value};

use super::turns::Turns;
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Format, Function, Sampling, Thinking, ThinkingMode, Tool, ToolChoice};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// What asks for log probabilities in `include`.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a request's body.
pub(in super::super) fn read(body: Value) -> Result<Chat, Malformed> {
    let root = Path::Root;
    let prompt = body.get("prompt").is_some_and(Value::is_object);
    let mut fields = root.object(body)?;
    let stream = fields.boolean("stream")?.unwrap_or_default();
    let mut chat = Chat {
        model: model(&mut fields, prompt)?,
        stream,
        // Every stream of this dialect ends with its usage, so its clients count on it.
        stream_usage: stream,
        tools: tools(&mut fields)?,
        parallel_tools: fields.boolean("parallel_tool_calls")?,
        user: fields.string("user")?,
        origin: Some(Dialect::OpenAiResponses),
        ..Chat::default()
    };
    let mut turns = Turns::default();
    if let Some(text) = fields.string("instructions")? {
        turns.instructions(text);
    }
    if let Some(input) = fields.take("input") {
        turns.input(input, &fields.path().field("input"))?;
    }
    chat.messages = turns.finish();
    let mut extra = Map::new();
    chat.thinking = thinking(&mut fields, &mut extra)?;
    chat.format = format(&mut fields, &mut extra)?;
    chat.sampling = sampling(&mut fields, &mut extra)?;
    chat.tool_choice = fields
        .take("tool_choice")
        .and_then(|value| tool_choice(value).map_err(|value| extra.insert("tool_choice".to_owned(), value)).ok());
    chat.extra = fields.rest();
    chat.extra.extend(extra);
    Ok(chat)
}

/// The model's name, which may be left out where a stored prompt says it.
fn model(fields: &mut Fields<'_>, optional: bool) -> Result<String, Malformed> {
    match fields.string("model")? {
        Some(model) => Ok(model),
        None if optional => Ok(String::new()),
        None => Err(fields.missing("model")),
    }
}

fn sampling(fields: &mut Fields<'_>, extra: &mut Map<String, Value>) -> Result<Sampling, Malformed> {
    let mut include = fields.array("include")?;
    let all = include.len();
    include.retain(|item| item != LOGPROBS);
    let logprobs = (include.len() < all).then_some(true);
    if !include.is_empty() {
        extra.insert("include".to_owned(), Value::Array(include));
    }
    Ok(Sampling {
        max_tokens: fields.number("max_output_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_logprobs: fields.number("top_logprobs")?,
        logprobs,
        ..Sampling::default()
    })
}

fn thinking(fields: &mut Fields<'_>, extra: &mut Map<String, Value>) -> Result<Option<Thinking>, Malformed> {
    let path = fields.path().field("reasoning");
    let Some(map) = fields.object("reasoning")? else { return Ok(None) };
    let mut reasoning = Fields::new(map, &path);
    let effort = reasoning.string("effort")?;
    // `generate_summary` is the older name.
    let older = reasoning.string("generate_summary")?;
    let show = reasoning.string("summary")?.or(older);
    keep(extra, "reasoning", reasoning);
    if effort.is_none() && show.is_none() {
        return Ok(None);
    }
    let mode = if effort.as_deref() == Some("none") { ThinkingMode::Off } else { ThinkingMode::On };
    Ok(Some(Thinking { mode, effort, budget: None, show }))
}

fn format(fields: &mut Fields<'_>, extra: &mut Map<String, Value>) -> Result<Option<Format>, Malformed> {
    let path = fields.path().field("text");
    let Some(map) = fields.object("text")? else { return Ok(None) };
    let mut text = Fields::new(map, &path);
    let at = path.field("format");
    let format = text.object("format")?;
    keep(extra, "text", text);
    let Some(map) = format else { return Ok(None) };
    let mut format = Fields::new(map, &at);
    let kind = match format.peek("type") {
        Some("text") => return Ok(None),
        Some("json_object") => return Ok(Some(Format::Json)),
        Some("json_schema") => format.take("type"),
        _ => None,
    };
    if kind.is_none() {
        return Ok(Some(Format::Other(Value::Object(format.rest_as_it_came()))));
    }
    let schema = Format::Schema {
        name: format.string("name")?,
        description: format.string("description")?,
        schema: format.take("schema").ok_or_else(|| format.missing("schema"))?,
        strict: format.boolean("strict")?,
    };
    keep(extra, "text.format", format);
    Ok(Some(schema))
}

/// Keeps what is left of an object under its path.
fn keep(extra: &mut Map<String, Value>, path: &str, fields: Fields<'_>) {
    extra.extend(fields.rest().into_iter().map(|(name, value)| (format!("{path}.{name}"), value)));
}

fn tools(fields: &mut Fields<'_>) -> Result<Vec<Tool>, Malformed> {
    let path = fields.path().field("tools");
    let tools = fields.array("tools")?;
    tools.into_iter().enumerate().map(|(index, tool)| read_tool(tool, &path.item(index))).collect()
}

fn read_tool(tool: Value, path: &Path<'_>) -> Result<Tool, Malformed> {
    if tool.get("type").and_then(Value::as_str) != Some("function") {
        return Ok(Tool::Server(tool));
    }
    let mut fields = path.object(tool)?;
    fields.take("type");
    Ok(Tool::Function(Function {
        name: fields.need_string("name")?,
        description: fields.string("description")?,
        schema: fields.take("parameters"),
        strict: fields.boolean("strict")?,
        cache: None,
        extra: fields.rest(),
    }))
}

/// Reads `tool_choice`, or gives it back when it names a tool of the upstream's own.
fn tool_choice(value: Value) -> Result<ToolChoice, Value> {
    let word = value.as_str().or_else(|| value.get("type").and_then(Value::as_str));
    let choice = match word {
        Some("auto") => Some(ToolChoice::Auto),
        Some("none") => Some(ToolChoice::None),
        Some("required") => Some(ToolChoice::Required),
        Some("function") => function_name(&value).map(ToolChoice::Function),
        Some("allowed_tools") => allowed(&value),
        _ => None,
    };
    choice.ok_or(value)
}

fn function_name(value: &Value) -> Option<String> {
    let function = value.get("type").and_then(Value::as_str) == Some("function");
    value.get("name").filter(|_| function)?.as_str().map(str::to_owned)
}

/// `allowed_tools`, unless one of them is no function.
fn allowed(value: &Value) -> Option<ToolChoice> {
    let names = value.get("tools")?.as_array()?.iter().map(function_name).collect::<Option<Vec<_>>>()?;
    let required = value.get("mode").and_then(Value::as_str) == Some("required");
    Some(ToolChoice::Allowed { names, required })
}
