//! The simplest JSON that fits a schema, for the arguments of calls and for answers that must be JSON.

use serde_json::{Map, Value, json};

/// How deep a schema is followed; one that refers to itself has no bottom.
const DEPTH: usize = 8;

/// A value for a schema of JSON Schema or of Gemini, whose types are in capitals: texts are "mock", numbers are 7.
pub(super) fn sample(schema: &Value) -> Value {
    value(schema, schema, DEPTH)
}

fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(fixed) = schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
        return fixed.clone();
    }
    if let Some(other) = elsewhere(schema, root) {
        return value(other, root, depth - 1);
    }
    match kind(schema).as_str() {
        "object" => object(schema, root, depth),
        "array" => array(schema, root, depth),
        "integer" | "number" => json!(7),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!("mock"),
    }
}

/// Where the schema itself stands: behind a reference within the document, or first among several.
fn elsewhere<'a>(schema: &'a Value, root: &'a Value) -> Option<&'a Value> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return root.pointer(reference.strip_prefix('#')?);
    }
    ["anyOf", "oneOf", "allOf"].iter().find_map(|word| schema.get(*word)?.get(0))
}

/// The type in small letters; of several the first; without one, what the other words imply.
fn kind(schema: &Value) -> String {
    let named = schema.get("type");
    let named = named.and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    let implied = || if schema.get("properties").is_some() { "object" } else { "string" };
    named.unwrap_or_else(implied).to_ascii_lowercase()
}

/// An object with a value for every property that the schema names.
fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return json!({}) };
    let values = properties.iter().map(|(name, property)| (name.clone(), value(property, root, depth - 1)));
    Value::Object(values.collect::<Map<_, _>>())
}

fn array(schema: &Value, root: &Value, depth: usize) -> Value {
    schema.get("items").map_or_else(|| json!([]), |items| json!([value(items, root, depth - 1)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_value() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "string"}, "b": {"type": "NUMBER"}, "c": {"type": ["boolean", "null"]},
            "d": {"type": "ARRAY", "items": {"type": "INTEGER"}}, "e": {"enum": ["one", "two"]},
            "f": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "g": {"$ref": "#/$defs/G"}, "h": {"type": "array"},
        }, "$defs": {"G": {"properties": {"x": {}}}}});
        let wanted = json!({"a": "mock", "b": 7, "c": true, "d": [7], "e": "one", "f": 7, "g": {"x": "mock"}, "h": []});
        assert_eq!(sample(&schema).to_string(), wanted.to_string());
    }

    #[test]
    fn a_schema_without_a_bottom_ends() {
        let schema = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(sample(&schema).to_string().ends_with("null}}}}"));
    }
}
