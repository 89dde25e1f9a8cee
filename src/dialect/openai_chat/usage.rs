//! Usage as `OpenAI`'s chat dialect counts it, both ways.

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::event::Usage;

const INPUT_DETAILS: &str = "prompt_tokens_details";
const OUTPUT_DETAILS: &str = "completion_tokens_details";

/// Reads a usage object; `None` for one that counts nothing. Servers that count reasoning apart from the completion
/// (xAI) give themselves away by their total.
pub(in crate::dialect) fn read(value: Value) -> Option<Usage> {
    let Value::Object(mut map) = value else { return None };
    let mut count = |name: &str, other: &str| take_count(&mut map, name).or_else(|| take_count(&mut map, other));
    let (input, output) = (count("prompt_tokens", "input_tokens"), count("completion_tokens", "output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, mut output) = (input.unwrap_or(0), output.unwrap_or(0));
    let total = map.get("total_tokens").and_then(Value::as_u64);
    let mut usage = Usage { input, ..Usage::default() };
    if let Some(Value::Object(mut details)) = map.shift_remove(INPUT_DETAILS) {
        usage.cache_read = take_count(&mut details, "cached_tokens");
        usage.cache_write = take_count(&mut details, "cache_write_tokens");
        keep(&mut map, INPUT_DETAILS, details);
    }
    if let Some(Value::Object(mut details)) = map.shift_remove(OUTPUT_DETAILS) {
        usage.reasoning = take_count(&mut details, "reasoning_tokens");
        keep(&mut map, OUTPUT_DETAILS, details);
    }
    let apart = usage.reasoning.unwrap_or(0);
    if apart > 0 && total == input.checked_add(output).and_then(|sum| sum.checked_add(apart)) {
        map.insert("completion_tokens".to_owned(), output.into());
        output = output.saturating_add(apart);
    }
    usage.output = output;
    if total == input.checked_add(output) {
        map.shift_remove("total_tokens");
    }
    let elsewhere = |name: &str| map.get(name).and_then(Value::as_u64);
    usage.cache_read = usage.cache_read.or_else(|| elsewhere("prompt_cache_hit_tokens"));
    usage.cache_write = usage.cache_write.or_else(|| elsewhere("cache_creation_input_tokens"));
    map.retain(|_, value| !value.is_null());
    usage.extra = map;
    usage.from = Some(Dialect::OpenAiChat);
    Some(usage)
}

/// Writes a usage object.
pub(in crate::dialect) fn write(usage: &Usage) -> Value {
    let mut map = Map::from_iter([
        ("prompt_tokens".to_owned(), usage.input.into()),
        ("completion_tokens".to_owned(), usage.output.into()),
        ("total_tokens".to_owned(), usage.input.saturating_add(usage.output).into()),
    ]);
    let mut details = |group: &str, counts: &[(&str, Option<u64>)]| {
        let counts: Map<String, Value> =
            counts.iter().filter_map(|(name, count)| count.map(|count| ((*name).to_owned(), json!(count)))).collect();
        if !counts.is_empty() {
            map.insert(group.to_owned(), counts.into());
        }
    };
    details(INPUT_DETAILS, &[("cached_tokens", usage.cache_read), ("cache_write_tokens", usage.cache_write)]);
    details(OUTPUT_DETAILS, &[("reasoning_tokens", usage.reasoning)]);
    for (name, value) in &usage.extra {
        match (map.get_mut(name), value) {
            (Some(Value::Object(counts)), Value::Object(more)) => counts.extend(more.clone()),
            _ => drop(map.insert(name.clone(), value.clone())),
        }
    }
    map.into()
}

fn take_count(map: &mut Map<String, Value>, name: &str) -> Option<u64> {
    let count = map.get(name)?.as_u64()?;
    map.shift_remove(name);
    Some(count)
}

/// Keeps the details that the model has no room for.
fn keep(map: &mut Map<String, Value>, group: &str, mut details: Map<String, Value>) {
    details.retain(|_, value| !value.is_null());
    if !details.is_empty() {
        map.insert(group.to_owned(), details.into());
    }
}
