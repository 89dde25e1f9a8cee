//! Reading what a chat request asks for besides its messages.

use serde_json::{Map, Value};

use super::{legacy, read_message, tools};
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Format, Sampling, Thinking, ThinkingMode};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// Reads a request. Azure names the model in the path (`/deployments/NAME/`), where the body may leave it out.
pub(in super::super) fn read(target: &str, body: Value) -> Result<Chat, Malformed> {
    let mut body = Path::Root.object(body)?;
    let model = match body.string("model")? {
        Some(model) => model,
        None => deployment(target).unwrap_or_default().to_owned(),
    };
    let messages = body.take("messages").ok_or_else(|| body.missing("messages"))?;
    let mut chat = Chat {
        model,
        stream: body.boolean("stream")?.unwrap_or(false),
        messages: read_message::messages(messages)?,
        tools: tools::read_tools(&mut body)?,
        parallel_tools: body.boolean("parallel_tool_calls")?,
        sampling: sampling(&mut body)?,
        user: body.string("user")?,
        origin: Some(Dialect::OpenAiChat),
        ..Chat::default()
    };
    if let Some(effort) = body.string("reasoning_effort")? {
        chat.thinking = Some(thinking(effort));
    }
    let options = stream_options(&mut body, &mut chat)?;
    let format = body.take("response_format");
    let choice = body.take("tool_choice");
    legacy::read_functions(&mut body, &mut chat)?;
    chat.extra.extend(body.rest());
    if !options.is_empty() {
        chat.extra.insert("stream_options".to_owned(), Value::Object(options));
    }
    if let Some(format) = format {
        chat.format = read_format(format)?;
    }
    if let Some(choice) = choice {
        match tools::read_choice(&choice) {
            Some(choice) => chat.tool_choice = Some(choice),
            None => drop(chat.extra.insert("tool_choice".to_owned(), choice)),
        }
    }
    Ok(chat)
}

/// The deployment that an Azure path names.
fn deployment(target: &str) -> Option<&str> {
    let (_, rest) = target.split_once("/deployments/")?;
    rest.split('/').next()
}

fn thinking(effort: String) -> Thinking {
    let mode = if effort == "none" { ThinkingMode::Off } else { ThinkingMode::On };
    Thinking { mode, effort: Some(effort), ..Thinking::default() }
}

fn stream_options(body: &mut Fields<'_>, chat: &mut Chat) -> Result<Map<String, Value>, Malformed> {
    let path = body.path().field("stream_options");
    let Some(options) = body.object("stream_options")? else { return Ok(Map::new()) };
    let mut options = Fields::new(options, &path);
    chat.stream_usage = options.boolean("include_usage")?.unwrap_or(false);
    Ok(options.rest())
}

/// Takes what says how words are chosen. Where both names of the limit of tokens are given, the newer counts.
pub(in crate::dialect) fn sampling(body: &mut Fields<'_>) -> Result<Sampling, Malformed> {
    let older = body.number("max_tokens")?;
    Ok(Sampling {
        max_tokens: body.number("max_completion_tokens")?.or(older),
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.number("top_k")?,
        min_p: body.number("min_p")?,
        seed: body.number("seed")?,
        frequency_penalty: body.number("frequency_penalty")?,
        presence_penalty: body.number("presence_penalty")?,
        stop: stop(body)?,
        n: body.number("n")?,
        logprobs: if matches!(body.get("logprobs"), Some(Value::Bool(_))) { body.boolean("logprobs")? } else { None },
        top_logprobs: body.number("top_logprobs")?,
    })
}

/// One text or several.
fn stop(body: &mut Fields<'_>) -> Result<Vec<String>, Malformed> {
    let path = body.path().field("stop");
    match body.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(texts)) => {
            texts.into_iter().enumerate().map(|(at, text)| path.item(at).string(text)).collect()
        }
        Some(_) => Err(path.malformed("expected a string or an array of strings")),
    }
}

/// The form of the answer; `text` is no form at all.
fn read_format(value: Value) -> Result<Option<Format>, Malformed> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let schema = value.get("json_schema").is_some_and(|form| form.get("schema").is_some_and(Value::is_object));
    match kind {
        "text" => Ok(None),
        "json_object" if value.as_object().is_some_and(|form| form.len() == 1) => Ok(Some(Format::Json)),
        "json_schema" if schema => {
            let place = Path::Root.field("response_format");
            let mut form = place.object(value)?;
            let place = place.field("json_schema");
            let mut form = Fields::new(form.object("json_schema")?.unwrap_or_default(), &place);
            Ok(Some(Format::Schema {
                name: form.string("name")?,
                description: form.string("description")?,
                schema: form.take("schema").unwrap_or_default(),
                strict: form.boolean("strict")?,
            }))
        }
        _ => Ok(Some(Format::Other(value))),
    }
}
