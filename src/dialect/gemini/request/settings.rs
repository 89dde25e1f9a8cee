//! Everything of a request but its turns, read: `generationConfig`, `tools` and `toolConfig`.

use serde_json::{Map, Value, json};

use super::super::schema::to_json_schema;
use super::super::spelling::object;
use super::super::thinking;
use crate::dialect::chat::{Chat, Format, Function, Tool, ToolChoice};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// Reads `generationConfig`.
pub(super) fn read_generation(config: Value, path: &Path<'_>, chat: &mut Chat) -> Result<(), Malformed> {
    let mut fields = object(path, config)?;
    let sampling = &mut chat.sampling;
    sampling.max_tokens = fields.number("maxOutputTokens")?;
    sampling.temperature = fields.number("temperature")?;
    sampling.top_p = fields.number("topP")?;
    sampling.top_k = fields.number("topK")?;
    sampling.seed = fields.number("seed")?;
    sampling.frequency_penalty = fields.number("frequencyPenalty")?;
    sampling.presence_penalty = fields.number("presencePenalty")?;
    sampling.n = fields.number("candidateCount")?;
    sampling.logprobs = fields.boolean("responseLogprobs")?;
    sampling.top_logprobs = fields.number("logprobs")?;
    let here = path.field("stopSequences");
    for (index, stop) in fields.array("stopSequences")?.into_iter().enumerate() {
        sampling.stop.push(here.item(index).string(stop)?);
    }
    chat.format = format(&mut fields)?;
    if let Some(value) = fields.take("thinkingConfig") {
        let (thinking, rest) = thinking::read(value, &path.field("thinkingConfig"))?;
        chat.thinking = Some(thinking);
        keep("generationConfig.thinkingConfig", rest, chat);
    }
    keep("generationConfig", fields.rest(), chat);
    Ok(())
}

/// Keeps fields that the model has no place for, under their path.
fn keep(path: &str, fields: Map<String, Value>, chat: &mut Chat) {
    chat.extra.extend(fields.into_iter().map(|(name, value)| (format!("{path}.{name}"), value)));
}

/// The form of the answer's text. `text/plain` is what Gemini writes unasked.
fn format(fields: &mut Fields<'_>) -> Result<Option<Format>, Malformed> {
    let mime = fields.string("responseMimeType")?;
    let openapi = fields.take("responseSchema");
    let schema = fields.take("responseJsonSchema").or_else(|| openapi.map(to_json_schema));
    Ok(match (mime.as_deref(), schema) {
        (None | Some("application/json"), Some(schema)) => {
            Some(Format::Schema { name: None, description: None, schema, strict: None })
        }
        (Some("application/json"), None) => Some(Format::Json),
        (None | Some("text/plain"), None) => None,
        (Some(mime), None) => Some(Format::Other(json!({"responseMimeType": mime}))),
        (Some(mime), Some(schema)) => {
            Some(Format::Other(json!({"responseMimeType": mime, "responseJsonSchema": schema})))
        }
    })
}

/// Reads `toolConfig`.
pub(super) fn read_tool_choice(choice: Value, path: &Path<'_>, chat: &mut Chat) -> Result<(), Malformed> {
    let mut fields = object(path, choice)?;
    if let Some(calling) = fields.take("functionCallingConfig") {
        let path = path.field("functionCallingConfig");
        let mut calling = object(&path, calling)?;
        let here = path.field("allowedFunctionNames");
        let names = calling.array("allowedFunctionNames")?.into_iter().enumerate();
        let names = names.map(|(index, name)| here.item(index).string(name)).collect::<Result<Vec<_>, _>>()?;
        let mode = mode(calling.take("mode"));
        chat.tool_choice = match (mode.as_str(), names) {
            ("AUTO", names) if names.is_empty() => Some(ToolChoice::Auto),
            ("NONE", _) => Some(ToolChoice::None),
            ("ANY", names) if names.is_empty() => Some(ToolChoice::Required),
            ("ANY", mut names) if names.len() == 1 => names.pop().map(ToolChoice::Function),
            ("ANY", names) => Some(ToolChoice::Allowed { names, required: true }),
            (_, names) if !names.is_empty() => Some(ToolChoice::Allowed { names, required: false }),
            ("MODE_UNSPECIFIED", _) => None,
            (other, _) => {
                chat.extra.insert("toolConfig.functionCallingConfig.mode".to_owned(), Value::from(other));
                None
            }
        };
        keep("toolConfig.functionCallingConfig", calling.rest(), chat);
    }
    keep("toolConfig", fields.rest(), chat);
    Ok(())
}

/// The mode's name, also for its number (clients of the binary form).
fn mode(mode: Option<Value>) -> String {
    let number = mode.as_ref().and_then(Value::as_u64);
    match (mode, number) {
        (Some(Value::String(mode)), _) => mode.to_ascii_uppercase(),
        (_, Some(1)) => "AUTO".to_owned(),
        (_, Some(2)) => "ANY".to_owned(),
        (_, Some(3)) => "NONE".to_owned(),
        _ => "MODE_UNSPECIFIED".to_owned(),
    }
}

/// Reads one item of `tools`: functions, and tools that Google runs, each under its name.
pub(super) fn read_tool(tool: Value, path: &Path<'_>, tools: &mut Vec<Tool>) -> Result<(), Malformed> {
    let mut fields = object(path, tool)?;
    let here = path.field("functionDeclarations");
    for (index, function) in fields.array("functionDeclarations")?.into_iter().enumerate() {
        tools.push(Tool::Function(read_function(function, &here.item(index))?));
    }
    tools.extend(fields.rest().into_iter().map(|(name, value)| Tool::Server(json!({name: value}))));
    Ok(())
}

fn read_function(function: Value, path: &Path<'_>) -> Result<Function, Malformed> {
    let mut fields = object(path, function)?;
    let name = fields.need_string("name")?;
    let description = fields.string("description")?;
    let openapi = fields.take("parameters");
    let schema = fields.take("parametersJsonSchema").or_else(|| openapi.map(to_json_schema));
    Ok(Function { name, description, schema, strict: None, cache: None, extra: fields.rest() })
}
