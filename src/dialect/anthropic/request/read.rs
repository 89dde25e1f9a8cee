//! Reads a request's body: its settings, and the turns of its conversation.

use serde_json::{Map, Value};

use super::blocks::{self, Piece};
use super::{thinking, tools};
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Message, Part, Role, Sampling};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// Reads a request of `/v1/messages`, or of `/v1/messages/count_tokens`, which is the same with less.
pub(in super::super) fn read(target: &str, body: Value) -> Result<Chat, Malformed> {
    let mut body = Path::Root.object(body)?;
    let mut chat = Chat { origin: Some(operation(target)), ..Chat::default() };
    chat.model = body.string("model")?.unwrap_or_default();
    chat.stream = body.boolean("stream")?.unwrap_or_default();
    chat.stream_usage = chat.stream;
    if let Some(system) = body.take("system") {
        let pieces = blocks::content(system, &Path::Root.field("system"))?;
        chat.messages.extend(message(Role::System, pieces, Map::new()));
    }
    let turns = body.take("messages").ok_or_else(|| body.missing("messages"))?;
    let path = Path::Root.field("messages");
    for (index, turn) in path.array(turns)?.into_iter().enumerate() {
        read_turn(turn, &path.item(index), &mut chat.messages)?;
    }
    chat.sampling = sampling(&mut body)?;
    tools::read(&mut body, &mut chat)?;
    thinking::read(&mut body, &mut chat)?;
    read_metadata(&mut body, &mut chat)?;
    chat.extra.extend(body.rest());
    Ok(chat)
}

/// The dialect that a path names.
fn operation(target: &str) -> Dialect {
    let path = target.split('?').next().unwrap_or_default();
    match Dialect::of_path(path) {
        Some(Dialect::AnthropicCount) => Dialect::AnthropicCount,
        _ => Dialect::Anthropic,
    }
}

/// Reads how words are chosen.
fn sampling(body: &mut Fields<'_>) -> Result<Sampling, Malformed> {
    let path = Path::Root.field("stop_sequences");
    let stops = body.array("stop_sequences")?.into_iter().enumerate();
    Ok(Sampling {
        max_tokens: body.number("max_tokens")?,
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.number("top_k")?,
        stop: stops.map(|(index, stop)| path.item(index).string(stop)).collect::<Result<_, _>>()?,
        ..Sampling::default()
    })
}

/// Reads the end user's id out of `metadata`.
fn read_metadata(body: &mut Fields<'_>, chat: &mut Chat) -> Result<(), Malformed> {
    if let Some(metadata) = body.object("metadata")? {
        let path = Path::Root.field("metadata");
        let mut metadata = Fields::new(metadata, &path);
        chat.user = metadata.string("user_id")?;
        let rest = metadata.rest();
        if !rest.is_empty() {
            chat.extra.insert("metadata".to_owned(), Value::Object(rest));
        }
    }
    Ok(())
}

/// Reads one turn. Tool results, which stand in turns of the user, become messages of their own role.
fn read_turn(turn: Value, path: &Path<'_>, into: &mut Vec<Message>) -> Result<(), Malformed> {
    let mut turn = path.object(turn)?;
    let role = match turn.need_string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(path.field("role").malformed("expected user or assistant")),
    };
    let content = turn.take("content").ok_or_else(|| turn.missing("content"))?;
    let pieces = blocks::content(content, &path.field("content"))?;
    let mut rest = turn.rest();
    let before = into.len();
    let mut run: Vec<Piece> = Vec::new();
    for piece in pieces {
        if run.last().is_some_and(|last| is_result(last) != is_result(&piece)) {
            into.extend(message(role, std::mem::take(&mut run), std::mem::take(&mut rest)));
        }
        run.push(piece);
    }
    if !run.is_empty() || into.len() == before {
        into.push(message(role, run, rest).unwrap_or_else(|| Message::new(role, Vec::new())));
    }
    Ok(())
}

fn is_result(piece: &Piece) -> bool {
    matches!(piece.part, Part::ToolResult(_))
}

/// A message of pieces; none of none. What no part holds of a piece stands among the message's extras.
fn message(role: Role, pieces: Vec<Piece>, mut extra: Map<String, Value>) -> Option<Message> {
    let role = if role == Role::User && is_result(pieces.first()?) { Role::Tool } else { role };
    let (parts, rest) = blocks::unzip(pieces);
    if parts.is_empty() {
        return None;
    }
    extra.extend(rest);
    Some(Message { role, parts, name: None, extra })
}
