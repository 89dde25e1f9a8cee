//! Reads content blocks: strings and arrays of blocks, as they stand in turns, in the system field and in tool results.

use serde_json::{Map, Value};

use super::media;
use crate::dialect::chat::{Part, Reasoning, Text, ToolCall, ToolResult};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};
use crate::dialect::seal::Seal;

/// How the path of what a part has no room for begins.
const BLOCK: &str = "content[";

/// A part, and what it has no room for.
pub(super) struct Piece {
    /// The part.
    pub(super) part: Part,
    /// The block's other fields.
    pub(super) rest: Map<String, Value>,
}

/// Reads content: a string is one text block.
pub(super) fn content(value: Value, path: &Path<'_>) -> Result<Vec<Piece>, Malformed> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Piece::whole(Part::plain(text))]),
        Value::Array(blocks) => {
            let blocks = blocks.into_iter().enumerate();
            blocks.map(|(index, value)| block(value, &path.item(index))).collect()
        }
        _ => Err(path.malformed("expected a string or an array")),
    }
}

/// Parts apart from what they have no room for, which is kept under its path: `content[2].caller`.
pub(super) fn unzip(pieces: Vec<Piece>) -> (Vec<Part>, Map<String, Value>) {
    let mut parts = Vec::with_capacity(pieces.len());
    let mut rests = Map::new();
    for (index, Piece { part, rest }) in pieces.into_iter().enumerate() {
        rests.extend(rest.into_iter().map(|(name, value)| (format!("{BLOCK}{index}].{name}"), value)));
        parts.push(part);
    }
    (parts, rests)
}

/// What [`unzip`] kept for the part with this index.
pub(super) fn rest_of(fields: &Map<String, Value>, index: usize) -> Map<String, Value> {
    if fields.is_empty() {
        return Map::new();
    }
    let path = format!("{BLOCK}{index}].");
    let own = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(&path)?, value)));
    own.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// Whether a field was kept by [`unzip`], and is none of the message itself.
pub(super) fn is_of_block(name: &str) -> bool {
    name.starts_with(BLOCK)
}

/// Reads one block.
fn block(value: Value, path: &Path<'_>) -> Result<Piece, Malformed> {
    let Some(kind) = value.get("type").and_then(Value::as_str) else {
        return Err(path.malformed("expected an object with a type"));
    };
    match kind {
        "text" => text(path.object(value)?),
        "tool_use" => tool_use(path.object(value)?),
        "tool_result" => tool_result(path.object(value)?, path),
        "thinking" => thinking(path.object(value)?),
        "redacted_thinking" => redacted_thinking(path.object(value)?),
        "image" | "document" => media::read(value, path).map(Piece::whole),
        _ => Ok(Piece::whole(Part::Other(value))),
    }
}

fn text(mut block: Fields<'_>) -> Result<Piece, Malformed> {
    let text = Text {
        text: block.need_string("text")?,
        cache: block.take("cache_control"),
        citations: block.take("citations"),
    };
    Ok(Piece::new(Part::Text(text), block))
}

fn tool_use(mut block: Fields<'_>) -> Result<Piece, Malformed> {
    let call = ToolCall {
        id: block.need_string("id")?,
        name: block.need_string("name")?,
        arguments: block.take("input").map_or_else(|| "{}".to_owned(), |input| input.to_string()),
        seal: None,
        cache: block.take("cache_control"),
    };
    // That the model itself called is what a call without a caller says too.
    let caller = block.take("caller").filter(|caller| caller["type"] != "direct");
    let mut piece = Piece::new(Part::ToolCall(call), block);
    piece.rest.extend(caller.map(|caller| ("caller".to_owned(), caller)));
    Ok(piece)
}

fn tool_result(mut block: Fields<'_>, path: &Path<'_>) -> Result<Piece, Malformed> {
    let pieces = block.take("content").map(|value| content(value, &path.field("content"))).transpose()?;
    let (parts, rests) = unzip(pieces.unwrap_or_default());
    let result = Part::ToolResult(ToolResult {
        id: block.need_string("tool_use_id")?,
        name: None,
        parts,
        failed: block.boolean("is_error")?.unwrap_or_default(),
        cache: block.take("cache_control"),
    });
    let mut piece = Piece::new(result, block);
    piece.rest.extend(rests);
    Ok(piece)
}

/// Reads thoughts. An empty signature, as the gate itself writes for thoughts of other makers, seals nothing.
fn thinking(mut block: Fields<'_>) -> Result<Piece, Malformed> {
    let text = block.string("thinking")?.unwrap_or_default();
    let seal = block.string("signature")?.filter(|signature| !signature.is_empty()).map(Seal::Anthropic);
    Ok(Piece::new(Part::Reasoning(Reasoning { text, seal }), block))
}

fn redacted_thinking(mut block: Fields<'_>) -> Result<Piece, Malformed> {
    let seal = Some(Seal::AnthropicRedacted(block.need_string("data")?));
    Ok(Piece::new(Part::Reasoning(Reasoning { text: String::new(), seal }), block))
}

// === impl Piece ===

impl Piece {
    /// A part that holds the whole of its block.
    fn whole(part: Part) -> Self {
        Self { part, rest: Map::new() }
    }

    /// A part and what was not taken of its block.
    fn new(part: Part, mut block: Fields<'_>) -> Self {
        block.take("type");
        Self { part, rest: block.rest() }
    }
}
