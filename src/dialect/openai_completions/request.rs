//! Requests of the completions dialect: a prompt is a message of the user's.

use serde_json::{Map, Value};

use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Message, Part, Role};
use crate::dialect::codec::{Malformed, Outgoing};
use crate::dialect::loss::Losses;
use crate::dialect::openai_chat::request;
use crate::dialect::read::{Fields, Path};

/// Reads a request. A prompt of tokens, or several prompts at once, only their own dialect knows: they stay as they
/// came.
pub(super) fn read(body: Value) -> Result<Chat, Malformed> {
    let mut body = Path::Root.object(body)?;
    let mut chat = Chat {
        model: body.string("model")?.unwrap_or_default(),
        stream: body.boolean("stream")?.unwrap_or(false),
        sampling: request::read_sampling(&mut body)?,
        user: body.string("user")?,
        origin: Some(Dialect::OpenAiCompletions),
        ..Chat::default()
    };
    let path = Path::Root.field("stream_options");
    let mut options = Fields::new(body.object("stream_options")?.unwrap_or_default(), &path);
    chat.stream_usage = options.boolean("include_usage")?.unwrap_or(false);
    match prompt(body.take("prompt")) {
        Ok(text) => chat.messages.push(Message::new(Role::User, vec![Part::plain(text)])),
        Err(prompt) => drop(chat.extra.insert("prompt".to_owned(), prompt)),
    }
    chat.extra.extend(body.rest());
    let options = options.rest();
    if !options.is_empty() {
        chat.extra.insert("stream_options".to_owned(), options.into());
    }
    Ok(chat)
}

/// The one text of a prompt; other prompts are given back. None is an empty text, as `OpenAI` takes it.
fn prompt(value: Option<Value>) -> Result<String, Value> {
    match value {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Array(mut texts)) => match texts.as_mut_slice() {
            [Value::String(text)] => Ok(std::mem::take(text)),
            _ => Err(texts.into()),
        },
        Some(other) => Err(other),
    }
}

/// Writes a request.
pub(super) fn write(chat: &Chat, losses: &mut Losses) -> Outgoing {
    let mut body = Map::new();
    if !chat.model.is_empty() {
        body.insert("model".to_owned(), chat.model.clone().into());
    }
    body.insert("prompt".to_owned(), transcript(chat, losses).into());
    request::write_stream(&mut body, chat, true, losses);
    request::write_sampling(&mut body, chat, "max_tokens", losses);
    logprobs(&mut body, chat);
    body.extend(chat.user.clone().map(|user| ("user".to_owned(), Value::String(user))));
    unheard(chat, losses);
    request::write_extra(&mut body, chat, Dialect::OpenAiCompletions, losses);
    Outgoing { target: "/v1/completions".to_owned(), body: body.into() }
}

/// Here the number of alternatives is all that is asked of log probabilities.
fn logprobs(body: &mut Map<String, Value>, chat: &Chat) {
    let alternatives = body.shift_remove("top_logprobs");
    body.shift_remove("logprobs");
    if chat.sampling.logprobs == Some(true) {
        body.insert("logprobs".to_owned(), alternatives.unwrap_or_else(|| 0.into()));
    }
}

/// What a completion cannot be asked for.
fn unheard(chat: &Chat, losses: &mut Losses) {
    let asked = [
        ("tools", !chat.tools.is_empty()),
        ("tool_choice", chat.tool_choice.is_some() && !chat.tools.is_empty()),
        ("response_format", chat.format.is_some()),
        ("thinking", chat.thinking.is_some()),
    ];
    for (name, _) in asked.iter().filter(|(_, asked)| *asked) {
        losses.dropped(*name, "completions have no such field");
    }
}

/// The prompt: one text of the user's as it is, a conversation as who said what, with the model to speak next.
fn transcript(chat: &Chat, losses: &mut Losses) -> String {
    for (at, message) in chat.messages.iter().enumerate() {
        for (n, part) in message.parts.iter().enumerate() {
            if !matches!(part, Part::Text(_)) {
                losses.dropped(format!("messages[{at}].content[{n}]"), "completions take text only");
            }
        }
    }
    match chat.messages.as_slice() {
        [] => return String::new(),
        [message] if message.role == Role::User => return message.text(),
        _ => losses.approximated("messages", "a conversation became one prompt"),
    }
    let mut prompt = String::new();
    for message in &chat.messages {
        let speaker = match message.role {
            Role::System | Role::Developer => "System",
            Role::User => "User",
            Role::Assistant => "Assistant",
            Role::Tool => continue,
        };
        prompt.extend([speaker, ": ", &message.text(), "\n\n"]);
    }
    prompt + "Assistant:"
}
