//! Embeddings in Ollama's words (its API documentation, "Generate Embeddings"), with the older call of one prompt.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::openai::serialized;
use super::raw::{Object, items};
use super::{Content, Embed, Input, Vector, Vectors};
use crate::dialect::Dialect;
use crate::dialect::codec::{Malformed, Outgoing};
use crate::dialect::event::Usage;
use crate::dialect::loss::Losses;
use crate::dialect::read::Path;

/// An answer on its way out.
#[derive(Serialize)]
struct Answer<'a> {
    /// The model.
    model: &'a str,
    /// The vectors.
    embeddings: Vec<Cow<'a, RawValue>>,
    /// Tokens read.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u64>,
    /// What nothing above stands for: durations.
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

/// An answer of the older call on its way out.
#[derive(Serialize)]
struct Single<'a> {
    /// The vector.
    embedding: &'a RawValue,
}

pub(super) fn read_request(dialect: Dialect, body: Value) -> Result<Embed, Malformed> {
    let root = Path::Root;
    let mut fields = root.object(body)?;
    let (inputs, many) = match fields.take(if dialect == Dialect::OllamaEmbed { "input" } else { "prompt" }) {
        Some(Value::String(text)) => (vec![Input::new(Content::Text(text))], false),
        Some(Value::Array(items)) => {
            let text = |(index, item)| Path::Field(&root, "input").item(index).string(item);
            let texts = items.into_iter().enumerate().map(text).collect::<Result<Vec<_>, _>>()?;
            (texts.into_iter().map(Content::Text).map(Input::new).collect(), true)
        }
        // Ollama loads the model and embeds nothing.
        None => (Vec::new(), true),
        Some(_) => return Err(Malformed::at("input", "expected a string or an array of strings")),
    };
    Ok(Embed {
        model: fields.need_string("model")?,
        inputs,
        many,
        dimensions: fields.number("dimensions")?,
        base64: false,
        truncate: fields.boolean("truncate")?,
        user: None,
        extra: fields.rest(),
        origin: dialect,
    })
}

pub(super) fn write_request(embed: &Embed, dialect: Dialect, losses: &mut Losses) -> Result<Outgoing, Malformed> {
    let texts = embed.texts()?;
    let mut body = Map::new();
    body.insert("model".into(), embed.model.as_str().into());
    let old = match (texts.as_slice(), dialect) {
        ([text], Dialect::OllamaEmbeddings) if embed.dimensions.is_none() && embed.truncate.is_none() => Some(*text),
        _ => None,
    };
    if let Some(prompt) = old {
        body.insert("prompt".into(), prompt.into());
    } else {
        let input = if embed.many {
            texts.into()
        } else {
            texts.first().map_or_else(|| Value::Array(Vec::new()), |text| (*text).into())
        };
        body.insert("input".into(), input);
        // Unasked Ollama cuts what is too long; OpenAI's clients count on a refusal.
        let unasked = (embed.origin == Dialect::OpenAiEmbeddings).then_some(false);
        if let Some(truncate) = embed.truncate.or(unasked) {
            body.insert("truncate".into(), truncate.into());
        }
        if let Some(dimensions) = &embed.dimensions {
            body.insert("dimensions".into(), dimensions.clone().into());
        }
        if embed.origin == Dialect::OllamaEmbeddings {
            losses.approximated("prompt", "the newer call brings vectors to length 1, the older one does not");
        }
    }
    embed.lose_user(losses);
    embed.lose_input_extra(losses);
    embed.put_extra(dialect, &mut body, losses);
    let target = if old.is_some() { "/api/embeddings" } else { "/api/embed" };
    Ok(Outgoing { target: target.into(), body: body.into() })
}

/// Reads an answer of either call, by the field that it has.
pub(super) fn read_answer(dialect: Dialect, body: &[u8]) -> Result<Vectors, Malformed> {
    let mut fields = Object::of_body(body)?;
    let vectors = if let Some(single) = fields.take("embedding") {
        vec![Vector::read(single, "embedding")?]
    } else {
        let all = items(fields.need("embeddings")?, "embeddings")?;
        all.into_iter().map(|vector| Vector::read(vector, "embeddings")).collect::<Result<_, _>>()?
    };
    let input = fields.number("prompt_eval_count");
    Ok(Vectors {
        model: fields.string("model"),
        vectors,
        usage: input.map(|input| Usage { input, ..Usage::default() }),
        extra: fields.rest(),
        origin: dialect,
    })
}

pub(super) fn write_answer(
    vectors: &Vectors,
    dialect: Dialect,
    asked: &Embed,
    losses: &mut Losses,
) -> Result<Vec<u8>, Malformed> {
    let embeddings = vectors.floats()?;
    let extra = vectors.extra_for(dialect, losses);
    if dialect == Dialect::OllamaEmbeddings {
        let embedding = embeddings.first().ok_or_else(|| Malformed::at("data", "holds no vector"))?;
        return serialized(&Single { embedding });
    }
    let model = vectors.model.as_deref().unwrap_or(&asked.model);
    let prompt_eval_count = vectors.usage.as_ref().map(|usage| usage.input);
    serialized(&Answer { model, embeddings, prompt_eval_count, extra })
}
