//! Gemini's `usageMetadata`, which counts thoughts and the input of server tools apart.

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::event::Usage;
use crate::dialect::loss::Losses;

/// Reads it; `None` where it counts nothing yet (Vertex's first chunks).
pub(super) fn read(mut fields: Map<String, Value>) -> Option<Usage> {
    let prompt = take(&mut fields, "promptTokenCount");
    let candidates = take(&mut fields, "candidatesTokenCount");
    let thoughts = take(&mut fields, "thoughtsTokenCount");
    let cached = take(&mut fields, "cachedContentTokenCount");
    let tools = fields.get("toolUsePromptTokenCount").and_then(Value::as_u64).unwrap_or_default();
    let total = fields.get("totalTokenCount").and_then(Value::as_u64);
    if prompt.is_none() && candidates.is_none() && total.is_none() {
        return None;
    }
    let input = prompt.unwrap_or_default().saturating_add(tools);
    let output = candidates.unwrap_or_default().saturating_add(thoughts.unwrap_or_default());
    if total == Some(input.saturating_add(output)) {
        fields.shift_remove("totalTokenCount");
    }
    let usage = Usage { input, output, cache_read: cached, reasoning: thoughts, ..Usage::default() };
    Some(Usage { extra: fields, from: Some(Dialect::Gemini), ..usage })
}

/// Writes it, the fields that only Gemini has included.
pub(super) fn write(usage: Usage, losses: &mut Losses) -> Value {
    let Usage { input, output, cache_read, cache_write, reasoning, extra, .. } = usage;
    let tools = extra.get("toolUsePromptTokenCount").and_then(Value::as_u64).unwrap_or_default();
    // Some servers count thoughts apart from the output that they are part of elsewhere.
    let reasoning = reasoning.map(|count| count.min(output));
    let mut out = Map::new();
    out.insert("promptTokenCount".to_owned(), json!(input.saturating_sub(tools)));
    out.insert("candidatesTokenCount".to_owned(), json!(output.saturating_sub(reasoning.unwrap_or_default())));
    out.insert("totalTokenCount".to_owned(), json!(input.saturating_add(output)));
    for (name, count) in [("cachedContentTokenCount", cache_read), ("thoughtsTokenCount", reasoning)] {
        if let Some(count) = count {
            out.insert(name.to_owned(), json!(count));
        }
    }
    if cache_write.is_some_and(|count| count > 0) {
        losses.dropped("usage.cache_write", "Gemini does not count what is written to a cache");
    }
    out.extend(extra);
    Value::Object(out)
}

/// Takes a count that is a whole number; anything else stays for `extra`.
fn take(fields: &mut Map<String, Value>, name: &str) -> Option<u64> {
    let count = fields.get(name)?.as_u64()?;
    fields.shift_remove(name);
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(value: &Value) -> Option<Usage> {
        read(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn thoughts_and_tool_input_are_counted_in_and_out_again() {
        let value = json!({
            "promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 7,
            "cachedContentTokenCount": 4, "totalTokenCount": 25, "trafficType": "ON_DEMAND",
        });
        let usage = read_json(&value).unwrap();
        assert_eq!((usage.input, usage.output, usage.cache_read, usage.reasoning), (15, 10, Some(4), Some(7)));
        let mut losses = Losses::default();
        assert_eq!(write(usage, &mut losses), value);
        assert!(losses.is_empty());
    }

    #[test]
    fn usage_without_a_count_is_none_and_an_odd_total_stays() {
        assert_eq!(read_json(&json!({"trafficType": "ON_DEMAND"})), None);
        let usage = read_json(&json!({"promptTokenCount": 2, "totalTokenCount": 9})).unwrap();
        assert_eq!(write(usage, &mut Losses::default())["totalTokenCount"], 9);
    }

    #[test]
    fn what_gemini_cannot_count_is_a_loss() {
        let usage = Usage { cache_write: Some(3), ..Usage::default() };
        let mut losses = Losses::default();
        write(usage, &mut losses);
        let paths: Vec<&str> = losses.iter().map(|loss| loss.path.as_str()).collect();
        assert_eq!(paths, ["usage.cache_write"]);
    }
}
