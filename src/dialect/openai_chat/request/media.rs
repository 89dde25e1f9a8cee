//! Pictures, documents and sound as parts of a message, both ways.

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::chat::{Media, Part, Source};
use crate::dialect::codec::Malformed;
use crate::dialect::loss::Losses;
use crate::dialect::read::Fields;

/// The media part of this type; `Err` gives a part back that is none, or none that this dialect documents.
pub(super) fn read(part: Value, place: &crate::dialect::read::Path<'_>) -> Result<Result<Part, Value>, Malformed> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let inner = match kind {
        "image_url" if part.get(kind).is_some_and(Value::is_string) => return image_of_string(part, place).map(Ok),
        "image_url" | "input_audio" | "file" if part.get(kind).is_some_and(Value::is_object) => kind.to_owned(),
        _ => return Ok(Err(part)),
    };
    let mut fields = place.object(part)?;
    fields.take("type");
    let cache = fields.take("cache_control");
    let path = place.field(&inner);
    let mut inner_fields = Fields::new(fields.object(&inner)?.unwrap_or_default(), &path);
    let found = match inner.as_str() {
        "image_url" => Some(image(&mut inner_fields)?),
        "input_audio" => audio(&mut inner_fields)?,
        _ => file(&mut inner_fields)?,
    };
    let Some(mut part) = found else {
        return Err(path.malformed("names no content"));
    };
    if let Part::Image(media) | Part::Audio(media) | Part::Document(media) = &mut part {
        media.cache = cache;
        media.extra = inner_fields.rest();
        media.extra.extend(fields.rest());
    }
    Ok(Ok(part))
}

/// An older form: `"image_url": "https://…"`.
fn image_of_string(part: Value, place: &crate::dialect::read::Path<'_>) -> Result<Part, Malformed> {
    let mut fields = place.object(part)?;
    fields.take("type");
    let mut media = Media::new(source_of_url(fields.need_string("image_url")?));
    media.detail = fields.string("detail")?;
    media.cache = fields.take("cache_control");
    media.extra = fields.rest();
    Ok(Part::Image(media))
}

fn image(fields: &mut Fields<'_>) -> Result<Part, Malformed> {
    let mut media = Media::new(source_of_url(fields.need_string("url")?));
    media.detail = fields.string("detail")?;
    Ok(Part::Image(media))
}

fn audio(fields: &mut Fields<'_>) -> Result<Option<Part>, Malformed> {
    let format = fields.string("format")?;
    let media_type = format.map_or_else(String::new, |format| format!("audio/{format}"));
    let data = fields.string("data")?;
    Ok(data.map(|base64| Part::Audio(Media::new(Source::Data { media_type, base64 }))))
}

fn file(fields: &mut Fields<'_>) -> Result<Option<Part>, Malformed> {
    let source = match (fields.string("file_data")?, fields.string("file_id")?) {
        (Some(data), _) => source_of_url(data),
        (None, Some(id)) => Source::File(id),
        (None, None) => return Ok(None),
    };
    let mut media = Media::new(source);
    media.title = fields.string("filename")?;
    Ok(Some(Part::Document(media)))
}

/// A `data:` URL in base64 is data; its text up to `;base64,` is kept whole, so that it comes back byte for byte.
fn source_of_url(mut url: String) -> Source {
    let Some((media_type, _)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else {
        return Source::Url(url);
    };
    let media_type = media_type.to_owned();
    let base64 = url.split_off("data:".len() + media_type.len() + ";base64,".len());
    Source::Data { media_type, base64 }
}

fn data_url(media_type: &str, base64: &str) -> String {
    ["data:", media_type, ";base64,", base64].concat()
}

/// Writes a picture.
pub(super) fn write_image(media: &Media, at: &str, losses: &mut Losses) -> Option<Value> {
    let url = match &media.source {
        Source::Data { media_type, base64 } => data_url(or(media_type, sniffed(base64)), base64),
        Source::Url(url) => url.clone(),
        Source::File(_) => {
            losses.dropped(at, "chat completions take no pictures of the files API");
            return None;
        }
        Source::Text(text) => return Some(json!({"type": "text", "text": text})),
    };
    let mut inner = Map::from_iter([("url".to_owned(), url.into())]);
    if let Some(detail) = &media.detail {
        inner.insert("detail".to_owned(), detail.clone().into());
    }
    Some(json!({"type": "image_url", "image_url": inner}))
}

/// Writes sound.
pub(super) fn write_audio(media: &Media, at: &str, losses: &mut Losses) -> Option<Value> {
    let Source::Data { media_type, base64 } = &media.source else {
        losses.dropped(at, "chat completions take sound as data only");
        return None;
    };
    let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" => "mp3",
        "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    };
    Some(json!({"type": "input_audio", "input_audio": {"data": base64, "format": format}}))
}

/// Writes a document. `OpenAI` demands a file name with data.
pub(super) fn write_document(media: &Media, at: &str, origin: Option<Dialect>, losses: &mut Losses) -> Option<Value> {
    let own = origin == Some(Dialect::OpenAiChat);
    let mut file = Map::new();
    match &media.source {
        Source::Data { media_type, base64 } => {
            let name = media.title.clone().or_else(|| {
                (!own).then(|| {
                    losses.invented(format!("{at}.title"), "a file needs a name");
                    "document.pdf".to_owned()
                })
            });
            file.extend(name.map(|name| ("filename".to_owned(), name.into())));
            file.insert("file_data".to_owned(), data_url(or(media_type, "application/pdf"), base64).into());
        }
        Source::File(id) if own || origin == Some(Dialect::OpenAiResponses) => {
            file.extend(media.title.clone().map(|name| ("filename".to_owned(), name.into())));
            file.insert("file_id".to_owned(), id.clone().into());
        }
        Source::File(_) => {
            losses.dropped(at, "a file that is with another maker");
            return None;
        }
        Source::Url(url) if own => {
            file.extend(media.title.clone().map(|name| ("filename".to_owned(), name.into())));
            file.insert("file_data".to_owned(), url.clone().into());
        }
        Source::Url(_) => {
            losses.dropped(at, "chat completions take no documents by URL");
            return None;
        }
        Source::Text(text) => {
            losses.approximated(at, "chat completions take no documents of text, so it is plain text");
            return Some(json!({"type": "text", "text": text}));
        }
    }
    Some(json!({"type": "file", "file": file}))
}

fn or<'a>(media_type: &'a str, fallback: &'a str) -> &'a str {
    if media_type.is_empty() { fallback } else { media_type }
}

/// The type of a picture by how its bytes begin, in base64; JPEG where that says nothing.
fn sniffed(base64: &str) -> &'static str {
    const STARTS: [(&str, &str); 3] = [("iVBORw0KGgo", "image/png"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    STARTS.iter().find(|(start, _)| base64.starts_with(start)).map_or("image/jpeg", |(_, kind)| kind)
}
