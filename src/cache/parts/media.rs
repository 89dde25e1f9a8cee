//! Pictures, documents and seals in a cache key: not their bytes, which nobody can read, but a hash of them.

use serde_json::{Map, Value, json};

use crate::dialect::chat::{Media, Source};
use crate::dialect::seal::Seal;

/// What says of a picture, document or sound which one it is.
pub(super) fn told(kind: &str, media: Media, marks: bool) -> Value {
    let mut fields = Map::new();
    match media.source {
        Source::Data { media_type, base64 } => {
            fields.insert("type".into(), media_type.into());
            fields.insert("blake3".into(), hash(base64.as_bytes()));
            fields.insert("length".into(), base64.len().into());
        }
        Source::Url(url) => drop(fields.insert("url".into(), url.into())),
        Source::File(id) => drop(fields.insert("file".into(), id.into())),
        Source::Text(text) => drop(fields.insert("text".into(), text.into())),
    }
    fields.extend(media.title.map(|title| ("title".to_owned(), title.into())));
    fields.extend(media.detail.map(|detail| ("detail".to_owned(), detail.into())));
    fields.extend(media.cache.filter(|_| marks).map(|cache| ("cache_control".to_owned(), cache)));
    if !media.extra.is_empty() {
        fields.insert("extra".into(), media.extra.into());
    }
    json!({ kind: fields })
}

/// A seal, by its hash: it is as opaque to the gate as to people.
pub(super) fn sealed(seal: &Seal) -> Value {
    match seal {
        Seal::Anthropic(text) => json!({"anthropic": hash(text.as_bytes())}),
        Seal::AnthropicRedacted(text) => json!({"redacted": hash(text.as_bytes())}),
        Seal::OpenAi { id, encrypted } => {
            json!({"openai": id, "encrypted": encrypted.as_ref().map(|text| hash(text.as_bytes()))})
        }
        Seal::Gemini(text) => json!({"gemini": hash(text.as_bytes())}),
        Seal::OpenRouter(details) => json!({"openrouter": hash(details.to_string().as_bytes())}),
    }
}

fn hash(bytes: &[u8]) -> Value {
    Value::from(blake3::hash(bytes).to_hex().as_str())
}
