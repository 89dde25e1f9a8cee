//! Token counts as the Responses API writes them, both ways.

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::event::Usage;
use crate::dialect::read::{Fields, Path};

/// The object with what is known of the input, and that of the output.
const DETAILS: [&str; 2] = ["input_tokens_details", "output_tokens_details"];

/// Reads `usage`; anything but an object is none.
pub(super) fn read(value: Value) -> Option<Usage> {
    let Value::Object(map) = value else { return None };
    let mut fields = Fields::new(map, &Path::Root);
    let [mut input, mut output] = DETAILS.map(|name| match fields.take(name) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    });
    let mut usage = Usage {
        input: count(fields.take("input_tokens")).unwrap_or_default(),
        output: count(fields.take("output_tokens")).unwrap_or_default(),
        cache_read: count(input.shift_remove("cached_tokens")),
        cache_write: count(input.shift_remove("cache_write_tokens")),
        reasoning: count(output.shift_remove("reasoning_tokens")),
        from: Some(Dialect::OpenAiResponses),
        ..Usage::default()
    };
    let total = fields.take("total_tokens");
    usage.extra = fields.rest();
    if let Some(total) = total.filter(|total| total.as_u64() != usage.input.checked_add(usage.output)) {
        usage.extra.insert("total_tokens".to_owned(), total);
    }
    for (name, rest) in DETAILS.into_iter().zip([input, output]).filter(|(_, rest)| !rest.is_empty()) {
        usage.extra.insert(name.to_owned(), Value::Object(rest));
    }
    Some(usage)
}

fn count(value: Option<Value>) -> Option<u64> {
    value?.as_u64()
}

/// Writes `usage`. Details that are not known are 0 where SDKs demand them.
pub(super) fn write(usage: &Usage) -> Value {
    let mut input = json!({"cached_tokens": usage.cache_read.unwrap_or_default()});
    if let (Some(written), Value::Object(map)) = (usage.cache_write, &mut input) {
        map.insert("cache_write_tokens".to_owned(), Value::from(written));
    }
    let mut written = Map::new();
    written.insert("input_tokens".to_owned(), Value::from(usage.input));
    written.insert("input_tokens_details".to_owned(), input);
    written.insert("output_tokens".to_owned(), Value::from(usage.output));
    let output = json!({"reasoning_tokens": usage.reasoning.unwrap_or_default()});
    written.insert("output_tokens_details".to_owned(), output);
    written.insert("total_tokens".to_owned(), Value::from(usage.input.saturating_add(usage.output)));
    for (name, value) in &usage.extra {
        match (written.get_mut(name), value) {
            (Some(Value::Object(details)), Value::Object(more)) => details.extend(more.clone()),
            _ => {
                written.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(written)
}
