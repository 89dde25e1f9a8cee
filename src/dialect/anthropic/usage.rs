//! Tokens used, in Anthropic's way of counting: tokens read from the cache and written to it stand apart from
//! `input_tokens` (Anthropic's guide Prompt caching).

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::event::Usage;

/// Usage as it grows: a stream tells the input at its start and the output at its end, and may tell fields again.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Tokens read, but for those from the cache and those written to it.
    input: u64,
    /// All that is read off as it is.
    usage: Usage,
}

// === impl Tally ===

impl Tally {
    /// Takes a usage object; its fields replace those of the same name.
    pub(super) fn add(&mut self, usage: Map<String, Value>) {
        for (name, mut value) in usage {
            match (name.as_str(), value.as_u64()) {
                _ if value.is_null() => {}
                ("input_tokens", Some(count)) => self.input = count,
                ("output_tokens", Some(count)) => self.usage.output = count,
                ("cache_read_input_tokens", Some(count)) => self.usage.cache_read = Some(count),
                ("cache_creation_input_tokens", Some(count)) => self.usage.cache_write = Some(count),
                ("output_tokens_details", _) => {
                    self.usage.reasoning = value.get("thinking_tokens").and_then(Value::as_u64);
                    if let (Some(_), Some(details)) = (self.usage.reasoning, value.as_object_mut()) {
                        details.shift_remove("thinking_tokens");
                    }
                    if value.as_object().is_none_or(|details| !details.is_empty()) {
                        self.usage.extra.insert(name, value);
                    }
                }
                _ => {
                    self.usage.extra.insert(name, value);
                }
            }
        }
    }

    /// What was used so far.
    pub(super) fn usage(&self) -> Usage {
        let cached =
            self.usage.cache_read.unwrap_or_default().saturating_add(self.usage.cache_write.unwrap_or_default());
        let from = Some(Dialect::Anthropic);
        Usage { input: self.input.saturating_add(cached), from, ..self.usage.clone() }
    }
}

/// Writes a usage object.
pub(super) fn write(usage: &Usage) -> Map<String, Value> {
    // Some servers tell of more cached tokens than of tokens read; the sum must stay what was read.
    let cache_write = usage.cache_write.map(|count| count.min(usage.input));
    let cache_read = usage.cache_read.map(|count| count.min(usage.input - cache_write.unwrap_or_default()));
    let cached = cache_read.unwrap_or_default() + cache_write.unwrap_or_default();
    let mut object = Map::new();
    object.insert("input_tokens".to_owned(), json!(usage.input - cached));
    if let Some(count) = cache_write {
        object.insert("cache_creation_input_tokens".to_owned(), json!(count));
    }
    if let Some(count) = cache_read {
        object.insert("cache_read_input_tokens".to_owned(), json!(count));
    }
    object.insert("output_tokens".to_owned(), json!(usage.output));
    object.extend(usage.extra.clone());
    if let Some(count) = usage.reasoning {
        match object.entry("output_tokens_details").or_insert_with(|| json!({})) {
            Value::Object(details) => details.insert("thinking_tokens".to_owned(), json!(count)),
            other => Some(std::mem::replace(other, json!({"thinking_tokens": count}))),
        };
    }
    object
}
