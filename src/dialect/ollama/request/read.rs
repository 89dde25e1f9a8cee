//! Reads requests of `/api/chat` and `/api/generate` ("Generate a chat message" and "Generate a response" of Ollama's
//! API documentation).

use serde_json::{Map, Value};

use super::messages::Reading;
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Format, Function, Message, Part, Role, Sampling, Thinking, ThinkingMode, Tool};
use crate::dialect::codec::Malformed;
use crate::dialect::ollama::read::{blank, flag, list, object, text};

/// Reads the body of `/api/chat`.
pub(in crate::dialect::ollama) fn chat(body: Value) -> Result<Chat, Malformed> {
    let mut chat = empty(Dialect::OllamaChat);
    for (key, value) in object(body).map_err(|wrong| wrong.at("body"))? {
        match key.as_str() {
            "messages" => {
                let said = list(value).map_err(|wrong| wrong.at("messages"))?;
                let mut reading = Reading::default();
                chat.messages = said
                    .into_iter()
                    .enumerate()
                    .map(|(at, message)| reading.message(message, at))
                    .collect::<Result<_, _>>()?;
            }
            "tools" => {
                let tools = list(value).map_err(|wrong| wrong.at("tools"))?;
                chat.tools = tools.into_iter().enumerate().map(|(at, it)| tool(it, at)).collect::<Result<_, _>>()?;
            }
            _ => common(&mut chat, key, value)?,
        }
    }
    named(chat)
}

/// Reads the body of `/api/generate`: the system text and one message of the user.
pub(in crate::dialect::ollama) fn generate(body: Value) -> Result<Chat, Malformed> {
    let mut chat = empty(Dialect::OllamaGenerate);
    let (mut parts, mut prompt) = (Vec::new(), String::new());
    for (key, value) in object(body).map_err(|wrong| wrong.at("body"))? {
        match key.as_str() {
            "prompt" => prompt = text(value).map_err(|wrong| wrong.at("prompt"))?,
            "system" => {
                let system = text(value).map_err(|wrong| wrong.at("system"))?;
                if !system.is_empty() {
                    chat.messages.push(Message::new(Role::System, vec![Part::plain(system)]));
                }
            }
            "images" => parts = super::messages::images(value, || "images".to_owned())?,
            "raw" if value == Value::Bool(false) => {}
            _ => common(&mut chat, key, value)?,
        }
    }
    if !prompt.is_empty() {
        parts.push(Part::plain(prompt));
    }
    if !parts.is_empty() {
        chat.messages.push(Message::new(Role::User, parts));
    }
    named(chat)
}

/// A request that says nothing yet. Ollama streams unless told otherwise.
fn empty(origin: Dialect) -> Chat {
    Chat { stream: true, stream_usage: true, origin: Some(origin), ..Chat::default() }
}

fn named(chat: Chat) -> Result<Chat, Malformed> {
    if chat.model.is_empty() { Err(Malformed::at("model", "expected the name of a model")) } else { Ok(chat) }
}

/// A field that both calls have.
fn common(chat: &mut Chat, key: String, value: Value) -> Result<(), Malformed> {
    match key.as_str() {
        "model" => chat.model = text(value).map_err(|wrong| wrong.at("model"))?,
        "stream" => chat.stream = flag(&value).map_err(|wrong| wrong.at("stream"))?.unwrap_or(true),
        "logprobs" => chat.sampling.logprobs = flag(&value).map_err(|wrong| wrong.at("logprobs"))?,
        "options" => {
            let rest = options(value, &mut chat.sampling)?;
            if !rest.is_empty() {
                chat.extra.insert(key, Value::Object(rest));
            }
        }
        _ if blank(&value) => {}
        "top_logprobs" => match value {
            Value::Number(number) => chat.sampling.top_logprobs = Some(number),
            _ => return Err(Malformed::at("top_logprobs", "expected a number")),
        },
        "format" => chat.format = Some(format(value)),
        "think" => chat.thinking = Some(think(value)?),
        _ => {
            chat.extra.insert(key, value);
        }
    }
    Ok(())
}

fn format(value: Value) -> Format {
    match value {
        Value::Object(_) => Format::Schema { name: None, description: None, schema: value, strict: None },
        Value::String(text) if text == "json" => Format::Json,
        other => Format::Other(other),
    }
}

fn think(value: Value) -> Result<Thinking, Malformed> {
    match value {
        Value::Bool(true) => Ok(Thinking::default()),
        Value::Bool(false) => Ok(Thinking { mode: ThinkingMode::Off, ..Thinking::default() }),
        Value::String(effort) => Ok(Thinking { effort: Some(effort), ..Thinking::default() }),
        _ => Err(Malformed::at("think", "expected true, false or a level")),
    }
}

/// Reads the options that the model knows and gives back the others, and those of an unexpected kind, as they came.
fn options(value: Value, sampling: &mut Sampling) -> Result<Map<String, Value>, Malformed> {
    let mut rest = Map::new();
    for (key, value) in object(value).map_err(|wrong| wrong.at("options"))? {
        let slot = match key.as_str() {
            "temperature" => &mut sampling.temperature,
            "top_p" => &mut sampling.top_p,
            "top_k" => &mut sampling.top_k,
            "min_p" => &mut sampling.min_p,
            "seed" => &mut sampling.seed,
            "frequency_penalty" => &mut sampling.frequency_penalty,
            "presence_penalty" => &mut sampling.presence_penalty,
            // −1 and −2 mean "no limit" and "until the context is full", which no other dialect can say.
            "num_predict" if value.as_u64().is_some() => &mut sampling.max_tokens,
            "stop" => {
                sampling.stop = stop(value)?;
                continue;
            }
            _ => {
                if !blank(&value) {
                    rest.insert(key, value);
                }
                continue;
            }
        };
        match value {
            Value::Number(number) => *slot = Some(number),
            value if blank(&value) => {}
            value => {
                rest.insert(key, value);
            }
        }
    }
    Ok(rest)
}

fn stop(value: Value) -> Result<Vec<String>, Malformed> {
    match value {
        Value::String(one) if !one.is_empty() => Ok(vec![one]),
        value if blank(&value) => Ok(Vec::new()),
        value => {
            let texts = list(value).map_err(|wrong| wrong.at("options.stop"))?.into_iter();
            texts.map(|it| text(it).map_err(|wrong| wrong.at("options.stop"))).collect()
        }
    }
}

fn tool(value: Value, at: usize) -> Result<Tool, Malformed> {
    let kind = value.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "function") || value.get("function").is_none() {
        return Ok(Tool::Server(value));
    }
    let mut function = Function::default();
    for (key, value) in object(value).map_err(|wrong| wrong.at(format!("tools[{at}]")))? {
        match key.as_str() {
            "type" => {}
            "function" => {
                let fields = object(value).map_err(|wrong| wrong.at(format!("tools[{at}].function")))?;
                let rest = signature(fields, &mut function, at)?;
                if !rest.is_empty() {
                    function.extra.insert(key, Value::Object(rest));
                }
            }
            _ if blank(&value) => {}
            _ => {
                function.extra.insert(key, value);
            }
        }
    }
    Ok(Tool::Function(function))
}

/// Reads the inner object of a tool and gives back what the model does not know.
fn signature(fields: Map<String, Value>, function: &mut Function, at: usize) -> Result<Map<String, Value>, Malformed> {
    let wrong = |key: &str| format!("tools[{at}].function.{key}");
    let mut rest = Map::new();
    for (key, value) in fields {
        match key.as_str() {
            "name" => function.name = text(value).map_err(|it| it.at(wrong("name")))?,
            "description" => function.description = Some(text(value).map_err(|it| it.at(wrong("description")))?),
            "strict" => function.strict = flag(&value).map_err(|it| it.at(wrong("strict")))?,
            "parameters" if !value.is_null() => function.schema = Some(value),
            _ if blank(&value) => {}
            _ => {
                rest.insert(key, value);
            }
        }
    }
    Ok(rest)
}
