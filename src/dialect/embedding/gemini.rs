//! Embeddings in Gemini's words (Gemini API reference, "Embeddings"): one content, or a batch of whole requests.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value, json};

use super::openai::serialized;
use super::raw::{Object, items};
use super::{Content, Embed, Input, Vector, Vectors};
use crate::dialect::Dialect;
use crate::dialect::codec::{Malformed, Outgoing};
use crate::dialect::event::Usage;
use crate::dialect::loss::Losses;
use crate::dialect::read::Path;
use crate::dialect::servers::segment;

const SELF: Dialect = Dialect::GeminiEmbed;

/// An answer on its way out: a batch's has `embeddings`, a single one's `embedding`.
#[derive(Serialize)]
struct Answer<'a> {
    /// The vector of a single request.
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Values<'a>>,
    /// The vectors of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Values<'a>>>,
    /// Tokens read.
    #[serde(rename = "usageMetadata", skip_serializing_if = "Option::is_none")]
    usage: Option<Map<String, Value>>,
    /// What nothing above stands for.
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

/// A vector on its way out.
#[derive(Serialize)]
struct Values<'a> {
    /// Its numbers.
    values: Cow<'a, RawValue>,
}

pub(super) fn read_request(target: &str, body: Value) -> Result<Embed, Malformed> {
    let root = Path::Root;
    let mut fields = root.object(body)?;
    let list = root.field("requests");
    let (requests, many, extra) = match fields.take("requests") {
        Some(requests) => (list.array(requests)?, true, fields.rest()),
        None => (vec![Value::Object(fields.rest())], false, Map::new()),
    };
    let mut inputs = Vec::with_capacity(requests.len());
    let mut sizes = Vec::with_capacity(requests.len());
    for (index, request) in requests.into_iter().enumerate() {
        let (input, size) = read_input(if many { list.item(index) } else { root }, request)?;
        inputs.push(input);
        sizes.push(size);
    }
    let dimensions = shared(&mut inputs, sizes);
    Ok(Embed {
        model: model(target).ok_or_else(|| Malformed::at("", "the path names no model"))?,
        inputs,
        many,
        dimensions,
        base64: false,
        truncate: None,
        user: None,
        extra,
        origin: SELF,
    })
}

/// The model that a path names: `…/models/{model}:embedContent`.
fn model(target: &str) -> Option<String> {
    let path = target.split('?').next()?;
    let (_, rest) = path.rsplit_once("/models/")?;
    let (model, _) = rest.rsplit_once(':')?;
    decoded(model)
}

/// A step of a path without its percent signs; `None` when they spell nothing.
fn decoded(step: &str) -> Option<String> {
    let mut parts = step.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

fn read_input(path: Path<'_>, request: Value) -> Result<(Input, Option<Number>), Malformed> {
    let mut fields = path.object(request)?;
    // A batch names the model of the path once more in every request.
    fields.take("model");
    let size = fields.number("outputDimensionality")?;
    let size = size.map_or_else(|| fields.number("output_dimensionality"), |size| Ok(Some(size)))?;
    let content = fields.take("content").ok_or_else(|| fields.missing("content"))?;
    let place = path.field("content");
    // Beside its parts a content has a role, which means nothing to an embedding.
    let mut content = place.object(content)?;
    let parts = content.array("parts")?;
    let text = match parts.as_slice() {
        [Value::Object(part)] if part.len() == 1 => part.get("text").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let content = text.map_or(Content::Parts(Value::Array(parts)), Content::Text);
    Ok((Input { content, extra: fields.rest() }, size))
}

/// The size that all requests share; sizes that differ stay with their requests.
fn shared(inputs: &mut [Input], sizes: Vec<Option<Number>>) -> Option<Number> {
    let first = sizes.first()?.clone();
    if sizes.iter().all(|size| *size == first) {
        return first;
    }
    for (input, size) in inputs.iter_mut().zip(sizes) {
        input.extra.extend(size.map(|size| ("outputDimensionality".to_owned(), Value::Number(size))));
    }
    None
}

pub(super) fn write_request(embed: &Embed, losses: &mut Losses) -> Result<Outgoing, Malformed> {
    let name = embed.model.strip_prefix("models/").unwrap_or(&embed.model);
    let mut requests = Vec::with_capacity(embed.inputs.len());
    for (index, input) in embed.inputs.iter().enumerate() {
        requests.push(write_input(embed, index, input)?);
    }
    embed.lose_user(losses);
    if embed.truncate == Some(false) {
        losses.dropped("truncate", "the upstream cuts inputs that are too long");
    }
    if embed.origin == Dialect::OllamaEmbeddings {
        losses.approximated("prompt", "the vector may be of another length than that of Ollama's older call");
    }
    let single = if embed.many { None } else { requests.pop() };
    let (method, mut body) = match single {
        Some(request) => ("embedContent", request),
        None => ("batchEmbedContents", batch(name, requests)),
    };
    embed.put_extra(SELF, &mut body, losses);
    Ok(Outgoing { target: format!("/v1beta/models/{}:{method}", segment(name)), body: body.into() })
}

/// A batch, whose every request names the model once more.
fn batch(model: &str, mut requests: Vec<Map<String, Value>>) -> Map<String, Value> {
    for request in &mut requests {
        request.insert("model".into(), format!("models/{model}").into());
    }
    Map::from_iter([("requests".to_owned(), requests.into())])
}

fn write_input(embed: &Embed, index: usize, input: &Input) -> Result<Map<String, Value>, Malformed> {
    let parts = match &input.content {
        Content::Parts(parts) if embed.same_maker(SELF) => parts.clone(),
        _ => json!([{"text": input.text(index)?}]),
    };
    let mut request = Map::new();
    request.insert("content".into(), json!({"parts": parts}));
    if let Some(dimensions) = &embed.dimensions {
        request.insert("outputDimensionality".into(), dimensions.clone().into());
    }
    request.extend(input.extra.clone());
    Ok(request)
}

pub(super) fn read_answer(body: &[u8]) -> Result<Vectors, Malformed> {
    let mut fields = Object::of_body(body)?;
    let vectors = match fields.take("embedding") {
        Some(single) => vec![single],
        None => items(fields.need("embeddings")?, "embeddings")?,
    };
    let vectors = vectors.into_iter().map(|vector| {
        let mut vector = Object::of(vector, "embeddings")?;
        Vector::read(vector.need("values")?, "values")
    });
    let vectors = vectors.collect::<Result<Vec<_>, _>>()?;
    let usage = fields.take("usageMetadata").map(|usage| Object::of(usage, "usageMetadata")).transpose()?;
    let usage = usage.map(|mut usage| Usage {
        input: usage.number("promptTokenCount").unwrap_or(0),
        extra: usage.rest(),
        ..Usage::default()
    });
    Ok(Vectors { model: None, vectors, usage, extra: fields.rest(), origin: SELF })
}

pub(super) fn write_answer(vectors: &Vectors, asked: &Embed, losses: &mut Losses) -> Result<Vec<u8>, Malformed> {
    let mut all: Vec<_> = vectors.floats()?.into_iter().map(|values| Values { values }).collect();
    let embedding = if asked.many { None } else { all.pop() };
    let embeddings = asked.many.then_some(all);
    let usage = vectors.usage.as_ref().map(|usage| {
        let mut fields = Map::new();
        fields.insert("promptTokenCount".into(), usage.input.into());
        if vectors.origin == SELF {
            fields.extend(usage.extra.clone());
        }
        fields
    });
    let extra = vectors.extra_for(SELF, losses);
    serialized(&Answer { embedding, embeddings, usage, extra })
}
