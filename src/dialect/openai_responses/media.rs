//! Pictures, files and sound as parts of a Responses request, both ways.

use serde_json::{Map, Value, json};

use crate::dialect::chat::{Media, Source};
use crate::dialect::codec::Malformed;
use crate::dialect::loss::Losses;
use crate::dialect::read::Fields;

/// The three kinds of media, whose parts differ in their fields' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// `input_image`.
    Image,
    /// `input_file`.
    File,
    /// `input_audio`.
    Audio,
}

/// Reads a part of a kind; `None` when it names no source that is known.
pub(super) fn read(medium: Medium, fields: &mut Fields<'_>) -> Result<Option<Media>, Malformed> {
    let source = match medium {
        Medium::Image => fields.string("image_url")?.map(inline_or_url),
        Medium::File => match fields.string("file_data")? {
            Some(data) => Some(inline(data)),
            None => fields.string("file_url")?.map(inline_or_url),
        },
        Medium::Audio => return audio(fields).map(|source| source.map(Media::new)),
    };
    let source = match source {
        Some(source) => Some(source),
        None => fields.string("file_id")?.map(Source::File),
    };
    let Some(source) = source else { return Ok(None) };
    let mut media = Media::new(source);
    media.detail = fields.string("detail")?;
    media.title = if medium == Medium::File { fields.string("filename")? } else { None };
    Ok(Some(media))
}

/// `input_audio`: the bytes and the name of their format.
fn audio(fields: &mut Fields<'_>) -> Result<Option<Source>, Malformed> {
    let path = fields.path().field("input_audio");
    let Some(map) = fields.object("input_audio")? else { return Ok(None) };
    let mut audio = Fields::new(map, &path);
    let format = audio.need_string("format")?;
    Ok(Some(Source::Data { media_type: format!("audio/{format}"), base64: audio.need_string("data")? }))
}

/// A data URL taken apart, or another URL as it is.
fn inline_or_url(url: String) -> Source {
    split(&url).unwrap_or(Source::Url(url))
}

/// A data URL taken apart, or bare base64, which the API reference allows in `file_data`.
fn inline(data: String) -> Source {
    split(&data).unwrap_or(Source::Data { media_type: String::new(), base64: data })
}

/// The parts of a data URL in base64.
fn split(url: &str) -> Option<Source> {
    let (media_type, base64) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some(Source::Data { media_type: media_type.to_owned(), base64: base64.to_owned() })
}

/// Writes a part; `None`, with a loss, when this dialect has no form for its source. `own` says whether it
/// came in a dialect of `OpenAI`'s, so that ids of its files API hold and nothing needs to be made up.
pub(super) fn write(medium: Medium, media: &Media, own: bool, path: &str, losses: &mut Losses) -> Option<Value> {
    let mut part = Map::new();
    let kind = match medium {
        Medium::Image => "input_image",
        Medium::File => "input_file",
        Medium::Audio => "input_audio",
    };
    part.insert("type".to_owned(), Value::from(kind));
    match (&media.source, medium) {
        (Source::Text(text), Medium::File) => return Some(text_document(text, media, path, losses)),
        (Source::File(id), Medium::Image | Medium::File) if own => {
            part.insert("file_id".to_owned(), Value::from(id.as_str()));
        }
        (Source::File(_), _) => {
            losses.dropped(path, "a file of another upstream's files API");
            return None;
        }
        (Source::Data { media_type, base64 }, Medium::Audio) => {
            let format = media_type.rsplit('/').next().unwrap_or_default();
            part.insert("input_audio".to_owned(), json!({"data": base64, "format": audio_format(format)}));
        }
        (Source::Url(url), Medium::Image) => {
            part.insert("image_url".to_owned(), Value::from(url.as_str()));
        }
        (Source::Url(url), Medium::File) => {
            part.insert("file_url".to_owned(), Value::from(url.as_str()));
        }
        (Source::Data { media_type, base64 }, Medium::Image) => {
            let media_type = if media_type.is_empty() { guess(base64) } else { media_type };
            part.insert("image_url".to_owned(), Value::from(format!("data:{media_type};base64,{base64}")));
        }
        (Source::Data { media_type, base64 }, Medium::File) => file_data(&mut part, media_type, base64),
        (Source::Url(_), Medium::Audio) | (Source::Text(_), Medium::Image | Medium::Audio) => {
            losses.dropped(path, "the Responses API has no part for media of this source");
            return None;
        }
    }
    name(&mut part, medium, media, path, losses);
    if let (false, Some(invented)) = (own, unnamed(&part, media)) {
        part.insert("filename".to_owned(), Value::from(invented));
        losses.invented(format!("{path}.filename"), "the Responses API wants a name with a file's bytes");
    }
    Some(Value::Object(part))
}

/// The bytes of a file: as a data URL, or bare when that is how they came.
fn file_data(part: &mut Map<String, Value>, media_type: &str, base64: &str) {
    let data = if media_type.is_empty() { base64.to_owned() } else { format!("data:{media_type};base64,{base64}") };
    part.insert("file_data".to_owned(), Value::from(data));
}

/// What stands beside the source.
fn name(part: &mut Map<String, Value>, medium: Medium, media: &Media, path: &str, losses: &mut Losses) {
    if let Some(detail) = &media.detail {
        part.insert("detail".to_owned(), Value::from(detail.as_str()));
    }
    match &media.title {
        Some(title) if medium == Medium::File => {
            part.insert("filename".to_owned(), Value::from(title.as_str()));
        }
        Some(_) => losses.dropped(format!("{path}.title"), "only files have a name"),
        None => {}
    }
}

/// The name for a file whose bytes stand in the part without one.
fn unnamed(part: &Map<String, Value>, media: &Media) -> Option<&'static str> {
    if !part.contains_key("file_data") || part.contains_key("filename") {
        return None;
    }
    match &media.source {
        Source::Data { media_type, .. } if media_type == "application/pdf" => Some("document.pdf"),
        _ => Some("document"),
    }
}

/// A document of plain text: as text, since not every model that speaks this dialect reads files.
fn text_document(text: &str, media: &Media, path: &str, losses: &mut Losses) -> Value {
    losses.approximated(path, "a document of plain text stands as text");
    let text = match &media.title {
        Some(title) => format!("{title}\n\n{text}"),
        None => text.to_owned(),
    };
    json!({"type": "input_text", "text": text})
}

/// The name that the API reference has for a format: `mp3` or `wav`.
fn audio_format(subtype: &str) -> &str {
    match subtype {
        "mpeg" | "x-mp3" => "mp3",
        "wave" | "x-wav" | "vnd.wave" => "wav",
        other => other,
    }
}

/// The media type of a picture whose dialect does not say it (Ollama), by its first bytes.
fn guess(base64: &str) -> &'static str {
    match base64.get(..4) {
        Some("/9j/") => "image/jpeg",
        Some("R0lG") => "image/gif",
        Some("UklG") => "image/webp",
        _ => "image/png",
    }
}
