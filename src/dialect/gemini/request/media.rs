//! Pictures, sound and documents: `inlineData` and `fileData`, both ways.

use serde_json::{Map, Value, json};

use super::super::spelling::{camel, object};
use crate::dialect::chat::{Media, Part, Source};
use crate::dialect::codec::Malformed;
use crate::dialect::loss::Losses;
use crate::dialect::read::Fields;

/// What a part with data was found to be.
pub(super) enum Found {
    /// A picture, sound or document, and which of them.
    Media(fn(Media) -> Part, Media),
    /// Something that only Gemini takes, such as video: the field's name and its value.
    Other(&'static str, Value),
}

/// Files of the Gemini API and of Google Cloud Storage, which nobody else can fetch.
const OWN_FILES: [&str; 2] = ["https://generativelanguage.googleapis.com/", "gs://"];

/// Takes the data of a part; `None` when it has none.
pub(super) fn read(part: &mut Fields<'_>) -> Result<Option<Found>, Malformed> {
    if let Some(value) = part.take("inlineData") {
        return inline(value, part).map(Some);
    }
    part.take("fileData").map(|value| file(value, part)).transpose()
}

fn inline(value: Value, part: &Fields<'_>) -> Result<Found, Malformed> {
    let path = part.path().field("inlineData");
    let media_type = peek(&value, "mimeType", "mime_type").unwrap_or_default().to_owned();
    let Some(make) = maker(&media_type) else { return Ok(Found::Other("inlineData", whole(value))) };
    let mut fields = object(&path, value)?;
    fields.take("mimeType");
    let base64 = fields.need_string("data")?;
    let mut media = Media::new(Source::Data { media_type, base64 });
    media.title = fields.string("displayName")?;
    media.extra = fields.rest();
    Ok(Found::Media(make, media))
}

fn file(value: Value, part: &Fields<'_>) -> Result<Found, Malformed> {
    let path = part.path().field("fileData");
    let uri = peek(&value, "fileUri", "file_uri").unwrap_or_default();
    let media_type = peek(&value, "mimeType", "mime_type").or_else(|| guess(uri)).unwrap_or_default();
    let Some(make) = maker(media_type) else { return Ok(Found::Other("fileData", whole(value))) };
    let mut fields = object(&path, value)?;
    let uri = fields.need_string("fileUri")?;
    let own = OWN_FILES.iter().any(|start| uri.starts_with(start)) || !uri.starts_with("http");
    let mut media = Media::new(if own { Source::File(uri) } else { Source::Url(uri) });
    media.title = fields.string("displayName")?;
    media.extra = fields.rest();
    Ok(Found::Media(make, media))
}

fn peek<'a>(value: &'a Value, camel: &str, snake: &str) -> Option<&'a str> {
    value.get(camel).or_else(|| value.get(snake)).and_then(Value::as_str)
}

fn whole(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(camel(map)),
        value => value,
    }
}

/// What data of a media type is; `None` for what no other dialect takes.
fn maker(media_type: &str) -> Option<fn(Media) -> Part> {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => Some(Part::Image),
        "audio" => Some(Part::Audio),
        "text" | "application" => Some(Part::Document),
        _ => None,
    }
}

/// The media type that a file's ending speaks of.
fn guess(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        _ => return None,
    })
}

/// Writes data as a part; `None`, with its loss, when Gemini cannot have it. `kind` is the first half of the media type
/// where the dialect does not say it.
pub(super) fn write(media: &Media, kind: &str, ours: bool, place: &str, losses: &mut Losses) -> Option<Value> {
    if media.cache.is_some() {
        losses.dropped(format!("{place}.cache_control"), "Gemini marks no parts for its cache");
    }
    if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
        losses.dropped(format!("{place}.detail"), "Gemini has no detail of one image");
    }
    let mut rest = Map::new();
    let mut mime = None;
    for (name, value) in &media.extra {
        match value {
            Value::String(value) if ours && name == "mimeType" => mime = Some(value.as_str()),
            value if ours => {
                rest.insert(name.clone(), value.clone());
            }
            value if super::write::asked(value) => {
                losses.dropped(format!("{place}.{name}"), "Gemini has no such field");
            }
            _ => {}
        }
    }
    if let Source::Text(text) = &media.source {
        losses.approximated(place, "a document of plain text stands as text");
        return Some(json!({"text": text}));
    }
    let (name, mut data) = data(&media.source, kind, mime, ours, place, losses)?;
    if let Some(title) = &media.title {
        if ours {
            data["displayName"] = Value::from(title.as_str());
        } else {
            losses.dropped(format!("{place}.title"), "Gemini's parts have no title");
        }
    }
    let mut part = Map::new();
    part.insert(name.to_owned(), data);
    part.extend(rest);
    Some(Value::Object(part))
}

/// The field of a source and its value.
fn data(
    source: &Source,
    kind: &str,
    mime: Option<&str>,
    ours: bool,
    place: &str,
    losses: &mut Losses,
) -> Option<(&'static str, Value)> {
    match source {
        Source::Data { media_type, base64 } => {
            let media_type = match media_type.as_str() {
                "" => sniff(base64, kind),
                "audio/mp3" => "audio/mpeg",
                known => known,
            };
            Some(("inlineData", json!({"mimeType": media_type, "data": base64})))
        }
        Source::Text(_) => None,
        Source::Url(uri) => {
            let Some(mime) = mime.or_else(|| guess(uri)).or(ours.then_some("")) else {
                losses.dropped(place, "Gemini must be told the media type of a URL, and this one does not show it");
                return None;
            };
            if !ours {
                losses.approximated(place, "Gemini fetches its own and public addresses only");
            }
            Some(("fileData", file_data(uri, mime)))
        }
        Source::File(uri) if ours => Some(("fileData", file_data(uri, mime.unwrap_or_default()))),
        Source::File(_) => {
            losses.dropped(place, "a file of another maker's");
            None
        }
    }
}

fn file_data(uri: &str, mime: &str) -> Value {
    if mime.is_empty() { json!({"fileUri": uri}) } else { json!({"mimeType": mime, "fileUri": uri}) }
}

/// The media type of bytes that came without one, by how their base64 begins.
fn sniff(base64: &str, kind: &str) -> &'static str {
    const STARTS: [(&str, &str); 6] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("JVBERi", "application/pdf"),
        ("SUQz", "audio/mpeg"),
    ];
    let known = STARTS.iter().find(|(start, _)| base64.starts_with(start)).map(|(_, media_type)| *media_type);
    known.unwrap_or(match kind {
        "image" => "image/png",
        "audio" => "audio/wav",
        _ => "application/pdf",
    })
}
