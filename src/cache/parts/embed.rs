//! The parts of a call for embeddings: what is embedded in one part, everything that makes the vector what it is beside.

use serde_json::{Map, Value, json};

use super::{Choice, INPUT, Making, text_of};
use crate::dialect::Dialect;
use crate::dialect::embedding::{Content, Embed, Input};

/// Makes the parts of a call, and tells each of its inputs as a key has it.
pub(super) fn parts(embed: Embed, making: &mut Making<'_>) -> Vec<String> {
    around(&embed, making);
    making.maybe("user", embed.user);
    let mut told: Vec<Value> = embed.inputs.iter().map(|input| told(input, Some(making.choice))).collect();
    let inputs = told.iter().map(text_of).collect();
    let told = if embed.many { Value::Array(told) } else { told.pop().unwrap_or_default() };
    // A text of which nothing is left is no part.
    if told != "" || embed.inputs.first().is_some_and(is_empty) {
        making.put(INPUT, told);
    }
    inputs
}

fn is_empty(input: &Input) -> bool {
    matches!(&input.content, Content::Text(text) if text.is_empty())
}

/// What is the same for all inputs of a call.
fn around(embed: &Embed, making: &mut Making<'_>) {
    making.put("model", embed.model.as_str());
    making.maybe("dimensions", embed.dimensions.clone());
    if embed.base64 {
        making.put("encoding_format", "base64");
    }
    // Where nothing is said, OpenAI refuses what is too long and the others cut it.
    making.put("truncate", embed.truncate.unwrap_or(embed.origin != Dialect::OpenAiEmbeddings));
    for (name, value) in embed.extra.clone() {
        making.field(&name, value);
    }
}

/// One input: a text as it is compared, everything else by its kind.
pub(super) fn told(input: &Input, choice: Option<&Choice>) -> Value {
    let normal = |text: &str| choice.and_then(|choice| choice.normal(INPUT, text)).unwrap_or_else(|| text.to_owned());
    let content = match &input.content {
        Content::Text(text) if input.extra.is_empty() => return Value::from(normal(text)),
        Content::Text(text) => json!({"text": normal(text)}),
        Content::Tokens(tokens) => json!({"tokens": tokens}),
        Content::Parts(parts) => json!({"parts": parts}),
    };
    let mut told = content;
    if let Some(fields) = told.as_object_mut().filter(|_| !input.extra.is_empty()) {
        fields.insert("extra".to_owned(), Value::Object(Map::clone(&input.extra)));
    }
    told
}
