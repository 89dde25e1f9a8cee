//! Embeddings in `OpenAI`'s words (API reference, "Create embeddings"), which most servers speak.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::raw::{Object, items};
use super::{Content, Embed, Input, Vector, Vectors};
use crate::dialect::Dialect;
use crate::dialect::codec::{Malformed, Outgoing};
use crate::dialect::count::estimate_text;
use crate::dialect::event::Usage;
use crate::dialect::loss::Losses;
use crate::dialect::read::Path;

const SELF: Dialect = Dialect::OpenAiEmbeddings;

/// An answer on its way out.
#[derive(Serialize)]
struct Answer<'a> {
    /// Always `list`.
    object: &'static str,
    /// The vectors.
    data: Vec<Item<'a>>,
    /// The model.
    model: &'a str,
    /// Tokens read.
    usage: Map<String, Value>,
    /// What nothing above stands for.
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

/// A vector on its way out.
#[derive(Serialize)]
struct Item<'a> {
    /// Always `embedding`.
    object: &'static str,
    /// Which input it belongs to.
    index: usize,
    /// Its numbers.
    embedding: Numbers<'a>,
}

/// The numbers of a vector, in one of their forms.
#[derive(Serialize)]
#[serde(untagged)]
enum Numbers<'a> {
    /// An array.
    Floats(&'a RawValue),
    /// Base64.
    Base64(Cow<'a, str>),
}

pub(super) fn read_request(body: Value) -> Result<Embed, Malformed> {
    let root = Path::Root;
    let mut fields = root.object(body)?;
    let input = fields.take("input").ok_or_else(|| fields.missing("input"))?;
    let (inputs, many) = inputs(input)?;
    Ok(Embed {
        model: fields.need_string("model")?,
        inputs,
        many,
        dimensions: fields.number("dimensions")?,
        base64: match fields.string("encoding_format")?.as_deref() {
            Some("base64") => true,
            None | Some("float") => false,
            Some(_) => return Err(Malformed::at("encoding_format", "expected \"float\" or \"base64\"")),
        },
        truncate: None,
        user: fields.string("user")?,
        extra: fields.rest(),
        origin: SELF,
    })
}

/// One text, texts, the tokens of one, or tokens of each.
fn inputs(input: Value) -> Result<(Vec<Input>, bool), Malformed> {
    let one = |content| Ok((vec![Input::new(content)], false));
    match input {
        Value::String(text) => one(Content::Text(text)),
        Value::Array(items) if items.first().is_some_and(Value::is_number) => one(Content::Tokens(items.into())),
        Value::Array(items) => {
            let inputs = items.into_iter().map(|item| match item {
                Value::String(text) => Content::Text(text),
                Value::Array(_) => Content::Tokens(item),
                other => Content::Parts(other),
            });
            Ok((inputs.map(Input::new).collect(), true))
        }
        _ => Err(Malformed::at("input", "expected a string or an array")),
    }
}

pub(super) fn write_request(embed: &Embed, losses: &mut Losses) -> Result<Outgoing, Malformed> {
    let item = |(index, input): (usize, &Input)| match &input.content {
        Content::Tokens(tokens) => Ok(tokens.clone()),
        Content::Parts(parts) if embed.same_maker(SELF) => Ok(parts.clone()),
        Content::Parts(_) | Content::Text(_) => input.text(index).map(Value::from),
    };
    let mut inputs = embed.inputs.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>()?;
    let input = if embed.many { None } else { inputs.pop() };
    let mut body = Map::new();
    body.insert("model".into(), embed.model.as_str().into());
    body.insert("input".into(), input.unwrap_or(Value::Array(inputs)));
    if let Some(dimensions) = &embed.dimensions {
        body.insert("dimensions".into(), dimensions.clone().into());
    }
    if embed.base64 {
        body.insert("encoding_format".into(), "base64".into());
    }
    if let Some(user) = &embed.user {
        body.insert("user".into(), user.as_str().into());
    }
    if embed.truncate == Some(true) {
        losses.dropped("truncate", "the upstream refuses inputs that are too long");
    }
    if embed.origin == Dialect::OllamaEmbeddings {
        losses.approximated("prompt", "the vector may be of another length than that of Ollama's older call");
    }
    embed.lose_input_extra(losses);
    embed.put_extra(SELF, &mut body, losses);
    Ok(Outgoing { target: "/v1/embeddings".into(), body: body.into() })
}

pub(super) fn read_answer(body: &[u8]) -> Result<Vectors, Malformed> {
    let mut fields = Object::of_body(body)?;
    let mut numbered = Vec::new();
    for (at, item) in items(fields.need("data")?, "data")?.into_iter().enumerate() {
        let path = format!("data[{at}]");
        let mut item = Object::of(item, &path)?;
        let index = item.number("index").unwrap_or(at as u64);
        numbered.push((index, Vector::read(item.need("embedding")?, &path)?));
    }
    numbered.sort_by_key(|(index, _)| *index);
    fields.take("object");
    let usage = fields.take("usage").map(|usage| Object::of(usage, "usage")).transpose()?;
    Ok(Vectors {
        model: fields.string("model"),
        vectors: numbered.into_iter().map(|(_, vector)| vector).collect(),
        usage: usage.map(self::usage),
        extra: fields.rest(),
        origin: SELF,
    })
}

/// Voyage says only how many tokens there were in all.
fn usage(mut fields: Object<'_>) -> Usage {
    let (prompt, total) = (fields.number("prompt_tokens"), fields.number("total_tokens"));
    Usage { input: prompt.or(total).unwrap_or(0), extra: fields.rest(), ..Usage::default() }
}

pub(super) fn write_answer(vectors: &Vectors, asked: &Embed, losses: &mut Losses) -> Result<Vec<u8>, Malformed> {
    let own = vectors.origin == SELF;
    let mut data = Vec::with_capacity(vectors.vectors.len());
    let floats = if own || asked.base64 { Vec::new() } else { vectors.floats()? };
    for (index, vector) in vectors.vectors.iter().enumerate() {
        let embedding = match (vector, floats.get(index)) {
            (_, Some(floats)) => Numbers::Floats(floats),
            // A server that answers base64 unasked has a form of its own (Perplexity's is of bytes).
            (Vector::Base64(base64), _) => Numbers::Base64(base64.as_str().into()),
            (Vector::Floats(_), _) if asked.base64 => Numbers::Base64(vector.base64(index)?),
            (Vector::Floats(floats), _) => Numbers::Floats(floats),
        };
        data.push(Item { object: "embedding", index, embedding });
    }
    let extra = vectors.extra_for(SELF, losses);
    let model = vectors.model.as_deref().unwrap_or(&asked.model);
    let usage = write_usage(vectors, asked, losses);
    serialized(&Answer { object: "list", data, model, usage, extra })
}

/// The usage that SDKs demand: what the upstream said, else an estimate.
fn write_usage(vectors: &Vectors, asked: &Embed, losses: &mut Losses) -> Map<String, Value> {
    let input = if let Some(usage) = &vectors.usage {
        usage.input
    } else {
        losses.invented("usage", "the upstream counted no tokens, so they are estimated");
        asked.inputs.iter().map(tokens).sum()
    };
    let mut usage = Map::new();
    usage.insert("prompt_tokens".into(), input.into());
    usage.insert("total_tokens".into(), input.into());
    if let Some(said) = vectors.usage.as_ref().filter(|_| vectors.origin == SELF) {
        usage.extend(said.extra.clone());
    }
    usage
}

/// About how many tokens an input has.
fn tokens(input: &Input) -> u64 {
    match &input.content {
        Content::Text(text) => estimate_text(text),
        Content::Tokens(tokens) => tokens.as_array().map_or(0, |tokens| tokens.len() as u64),
        Content::Parts(parts) => estimate_text(&parts.to_string()),
    }
}

/// The bytes of an answer. Writing to memory what was parsed before cannot fail; if it does, the upstream is blamed.
pub(super) fn serialized(answer: &impl Serialize) -> Result<Vec<u8>, Malformed> {
    serde_json::to_vec(answer).map_err(|error| Malformed::at("", error.to_string()))
}
