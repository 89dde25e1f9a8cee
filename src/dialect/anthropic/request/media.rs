//! Pictures and documents: Anthropic's `image` and `document` blocks and their sources (Anthropic's guides Vision, PDF
//! support and Files API).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::parts::{Place, Scribe, cache};
use crate::dialect::chat::{Media, Part, Source};
use crate::dialect::codec::Malformed;
use crate::dialect::read::Path;

/// What a document's source says, for a document that Anthropic takes as text.
const PLAIN: &str = "text/plain";

/// Reads an image or a document. One of a source that the model has no word for (documents made of blocks) is a part of
/// this dialect only.
pub(super) fn read(mut value: Value, path: &Path<'_>) -> Result<Part, Malformed> {
    let Some(source) = value.get_mut("source").and_then(take_source) else {
        return Ok(Part::Other(value));
    };
    let mut block = path.object(value)?;
    let image = block.string("type")?.as_deref() == Some("image");
    block.take("source");
    let mut media = Media::new(source);
    media.title = block.string("title")?;
    media.cache = block.take("cache_control");
    media.extra = block.rest();
    Ok(if image { Part::Image(media) } else { Part::Document(media) })
}

/// Takes a source apart, or leaves it whole.
fn take_source(source: &mut Value) -> Option<Source> {
    let known: &[&str] = match source.get("type")?.as_str()? {
        "base64" => &["type", "media_type", "data"],
        "text" if source.get("media_type").is_none_or(|kind| kind == PLAIN) => &["type", "media_type", "data"],
        "url" => &["type", "url"],
        "file" => &["type", "file_id"],
        _ => return None,
    };
    let fields = source.as_object_mut()?;
    if !fields.iter().all(|(name, value)| value.is_string() && known.contains(&name.as_str())) {
        return None;
    }
    let mut text = |name: &str| match fields.get_mut(name) {
        Some(Value::String(text)) => Some(std::mem::take(text)),
        _ => None,
    };
    match text("type")?.as_str() {
        "base64" => Some(Source::Data { base64: text("data")?, media_type: text("media_type").unwrap_or_default() }),
        "text" => text("data").map(Source::Text),
        "url" => text("url").map(Source::Url),
        _ => text("file_id").map(Source::File),
    }
}

/// Writes an image.
pub(super) fn image(scribe: &mut Scribe<'_>, place: Place, media: &Media) -> Option<Value> {
    if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
        scribe.losses.dropped(place.field("detail"), "pictures have no detail setting");
    }
    if media.title.is_some() && !scribe.same {
        scribe.losses.dropped(place.field("title"), "pictures have no title");
    }
    let source = match source(scribe, place, &media.source)? {
        Source::Data { media_type, base64 } => {
            let kind = if media_type.is_empty() { sniff(scribe, place, &base64)? } else { media_type };
            json!({"type": "base64", "media_type": kind, "data": base64})
        }
        Source::Url(url) => json!({"type": "url", "url": url}),
        Source::File(id) => json!({"type": "file", "file_id": id}),
        Source::Text(_) => {
            scribe.losses.dropped(place.path(), "a picture cannot be text");
            return None;
        }
    };
    Some(Value::Object(block(scribe, place, "image", source, media)))
}

/// Writes a document.
pub(super) fn document(scribe: &mut Scribe<'_>, place: Place, media: &Media) -> Option<Value> {
    let source = match source(scribe, place, &media.source)? {
        Source::Data { media_type, base64 } if media_type == "application/pdf" || scribe.same => {
            json!({"type": "base64", "media_type": media_type, "data": base64})
        }
        Source::Data { media_type, base64 } if media_type.starts_with("text/") => {
            let Some(text) = STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
                scribe.losses.dropped(place.path(), "the text of the document is not UTF-8 in base64");
                return None;
            };
            json!({"type": "text", "media_type": PLAIN, "data": text})
        }
        Source::Data { .. } => {
            scribe.losses.dropped(place.path(), "documents are PDF or plain text");
            return None;
        }
        Source::Text(text) => json!({"type": "text", "media_type": PLAIN, "data": text}),
        Source::Url(url) => json!({"type": "url", "url": url}),
        Source::File(id) => json!({"type": "file", "file_id": id}),
    };
    let mut block = block(scribe, place, "document", source, media);
    if let Some(title) = &media.title {
        block.insert("title".to_owned(), json!(title));
    }
    Some(Value::Object(block))
}

/// A source that Anthropic can fetch or decode: data URLs are taken apart, other makers' files dropped.
fn source(scribe: &mut Scribe<'_>, place: Place, source: &Source) -> Option<Source> {
    let why = match source {
        Source::Url(url) => match (data_url(url), scribe.same || is_http(url)) {
            (Some(data), _) => return Some(data),
            (None, true) => return Some(source.clone()),
            (None, false) => "only http and data URLs can be fetched",
        },
        Source::File(_) if !scribe.same => "a file of another upstream",
        _ => return Some(source.clone()),
    };
    scribe.losses.dropped(place.path(), why);
    None
}

fn is_http(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The media type and bytes of a `data:` URL in base64.
fn data_url(url: &str) -> Option<Source> {
    let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?.split(';').next()?;
    Some(Source::Data { media_type: media_type.to_owned(), base64: base64.to_owned() })
}

/// The type of a picture by its first bytes, for dialects that do not say it.
fn sniff(scribe: &mut Scribe<'_>, place: Place, base64: &str) -> Option<String> {
    const KINDS: [(&str, &str); 4] =
        [("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp")];
    let Some((_, kind)) = KINDS.iter().find(|(start, _)| base64.starts_with(start)) else {
        scribe.losses.dropped(place.path(), "a picture of no known type");
        return None;
    };
    scribe.losses.invented(place.path(), "the picture's type, by its first bytes");
    Some((*kind).to_owned())
}

/// A block with a source and the fields that images and documents share.
fn block(scribe: &mut Scribe<'_>, place: Place, kind: &str, source: Value, media: &Media) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), json!(kind));
    block.insert("source".to_owned(), source);
    cache(&mut block, media.cache.as_ref());
    scribe.extras(&mut block, place, &media.extra);
    block
}
