//! The content of messages and of tool results, both ways.

use serde_json::{Map, Value, json};

use super::super::leftover::{self, Leftovers};
use super::super::media::{self, Medium};
use crate::dialect::chat::{Media, Part, Text};
use crate::dialect::codec::Malformed;
use crate::dialect::loss::Losses;
use crate::dialect::read::Path;

/// A part, and those of its fields that the model has no place for.
type Read = (Part, Map<String, Value>);

/// Who speaks decides the type of a text, and whether there is room for media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The client, or a tool of its.
    Input,
    /// The model.
    Output,
}

/// What writing content needs to know of the request around it.
#[derive(Debug)]
pub(super) struct Content<'a> {
    /// Whether the request was read from this dialect.
    pub(super) own: bool,
    /// Whether ids of `OpenAI`'s files API hold.
    pub(super) files: bool,
    /// What this dialect kept of the message.
    pub(super) left: &'a Leftovers<'a>,
}

// === impl Content ===

impl Content<'_> {
    /// Writes a part; `None`, with a loss, when there is no room for it. `kept` is the path of its leftovers, `path`
    /// that of its losses.
    pub(super) fn part(&self, part: &Part, voice: Voice, kept: &str, path: &str, losses: &mut Losses) -> Option<Value> {
        let mut written = match part {
            Part::Text(text) => self.text(text, voice, path, losses),
            Part::Refusal(text) if voice == Voice::Output => json!({"type": "refusal", "refusal": text}),
            Part::Refusal(text) => json!({"type": "input_text", "text": text}),
            Part::Image(media) => self.media(Medium::Image, media, voice, path, losses)?,
            Part::Document(media) => self.media(Medium::File, media, voice, path, losses)?,
            Part::Audio(media) => self.media(Medium::Audio, media, voice, path, losses)?,
            Part::Other(value) if self.own => value.clone(),
            Part::Other(_) => {
                losses.dropped(path, "a part that only its own dialect knows");
                return None;
            }
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning(_) => {
                losses.dropped(path, "not a part of a message's content");
                return None;
            }
        };
        if let (true, Value::Object(map)) = (self.own, &mut written) {
            self.left.put_back(kept, map);
        }
        Some(written)
    }

    fn text(&self, text: &Text, voice: Voice, path: &str, losses: &mut Losses) -> Value {
        let kind = if voice == Voice::Output { "output_text" } else { "input_text" };
        let mut part = json!({"type": kind, "text": text.text});
        if text.cache.is_some() {
            losses.dropped(format!("{path}.cache_control"), "the Responses API caches prompts by itself");
        }
        match (&text.citations, &mut part) {
            (Some(citations), Value::Object(map)) if self.own => {
                map.insert("annotations".to_owned(), citations.clone());
            }
            (Some(_), _) => losses.dropped(format!("{path}.citations"), "citations of another dialect"),
            (None, _) => {}
        }
        part
    }

    fn media(&self, medium: Medium, media: &Media, voice: Voice, path: &str, losses: &mut Losses) -> Option<Value> {
        if voice == Voice::Output {
            losses.dropped(path, "a message of the model's holds only text");
            return None;
        }
        if media.cache.is_some() {
            losses.dropped(format!("{path}.cache_control"), "the Responses API caches prompts by itself");
        }
        let mut part = media::write(medium, media, self.files, path, losses)?;
        for (name, value) in media.extra.iter().filter(|(_, value)| !value.is_null()) {
            match &mut part {
                Value::Object(map) if self.own => {
                    map.insert(name.clone(), value.clone());
                }
                _ => losses.dropped(format!("{path}.{name}"), "not a field of the Responses API"),
            }
        }
        Some(part)
    }

    /// Writes the output of a tool: one text as a string, anything else as parts.
    pub(super) fn output(&self, parts: &[Part], kept: &str, path: &str, losses: &mut Losses) -> Value {
        match parts {
            [] => return Value::from(""),
            [Part::Text(Text { text, cache: None, citations: None })]
                if !self.left.any(&format!("{kept}.output[0]")) =>
            {
                return Value::from(text.as_str());
            }
            _ => {}
        }
        let mut output = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let (kept, path) = (format!("{kept}.output[{index}]"), format!("{path}.content[{index}]"));
            output.extend(self.part(part, Voice::Input, &kept, &path, losses));
        }
        Value::Array(output)
    }

    /// Whether a mark of this dialect stands at a path.
    pub(super) fn marked(&self, path: &str, name: &str) -> bool {
        self.own && self.left.marked(path, name)
    }

    /// Whether a part stands in a message's content, and is not an item of its own.
    pub(super) fn is_content(&self, part: &Part, kept: &str) -> bool {
        match part {
            Part::Text(_) | Part::Refusal(_) | Part::Image(_) | Part::Document(_) | Part::Audio(_) => true,
            Part::Other(_) => self.marked(kept, leftover::PART),
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning(_) => false,
        }
    }
}

/// Reads content: a text, parts or nothing.
pub(super) fn read(content: Option<Value>, path: &Path<'_>) -> Result<Vec<Read>, Malformed> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![(Part::plain(text), Map::new())]),
        Some(Value::Array(parts)) => {
            parts.into_iter().enumerate().map(|(index, part)| read_part(part, &path.item(index))).collect()
        }
        Some(_) => Err(path.malformed("expected a string or an array")),
    }
}

fn read_part(part: Value, path: &Path<'_>) -> Result<Read, Malformed> {
    let medium = match part.get("type").and_then(Value::as_str) {
        Some("input_text" | "output_text" | "text") => return read_text(part, path),
        Some("refusal") => {
            let mut fields = path.object(part)?;
            fields.take("type");
            return Ok((Part::Refusal(fields.need_string("refusal")?), fields.rest()));
        }
        Some("input_image") => Medium::Image,
        Some("input_file") => Medium::File,
        Some("input_audio") => Medium::Audio,
        Some(_) => return Ok((Part::Other(part), Map::new())),
        None => return Err(path.field("type").malformed("is required")),
    };
    read_media(medium, part, path)
}

fn read_text(part: Value, path: &Path<'_>) -> Result<Read, Malformed> {
    let mut fields = path.object(part)?;
    // Log probabilities are an echo of the answer that the model does not read.
    for name in ["type", "logprobs"] {
        fields.take(name);
    }
    let text = fields.need_string("text")?;
    let citations = fields.take("annotations").filter(|list| list.as_array().is_none_or(|list| !list.is_empty()));
    Ok((Part::Text(Text { text, cache: None, citations }), fields.rest()))
}

fn read_media(medium: Medium, part: Value, path: &Path<'_>) -> Result<Read, Malformed> {
    let mut fields = path.object(part)?;
    fields.take("type");
    let Some(mut media) = media::read(medium, &mut fields)? else {
        return Err(path.malformed("names no data, URL or file"));
    };
    media.extra = fields.rest();
    let part = match medium {
        Medium::Image => Part::Image(media),
        Medium::File => Part::Document(media),
        Medium::Audio => Part::Audio(media),
    };
    Ok((part, Map::new()))
}
