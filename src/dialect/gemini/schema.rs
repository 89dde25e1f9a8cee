//! From Google's schema language, a subset of `OpenAPI` 3.0 with types in upper case (Gemini API reference, `Schema`), to
//! JSON Schema. The way back is not needed: Gemini takes JSON Schema in fields of their own.

use serde_json::{Map, Number, Value, json};

use super::spelling::camel_name;

/// The names of the types by their numbers in Google's `Type`, as clients of its binary form write them.
const TYPES: [&str; 8] = ["", "string", "number", "integer", "boolean", "array", "object", "null"];

/// The schema in JSON Schema. What is JSON Schema already stays as it is.
pub(super) fn to_json_schema(schema: Value) -> Value {
    let Value::Object(map) = schema else { return schema };
    let mut nullable = false;
    let mut out = Map::with_capacity(map.len());
    for (name, value) in map {
        let key = keyword(&name);
        match (key.as_str(), value) {
            ("nullable", Value::Bool(value)) => nullable = value,
            ("type", value) => {
                if let Some(value) = type_name(value) {
                    out.insert(key, value);
                }
            }
            ("properties" | "$defs" | "defs" | "definitions" | "patternProperties", Value::Object(named)) => {
                let named = named.into_iter().map(|(name, schema)| (name, to_json_schema(schema))).collect();
                out.insert(key, Value::Object(named));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                out.insert(key, schemas.into_iter().map(to_json_schema).collect());
            }
            ("items" | "additionalProperties" | "not", value) => {
                out.insert(key, to_json_schema(value));
            }
            (_, value) => {
                let value = count(&key, value);
                out.insert(key, value);
            }
        }
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

/// A keyword in camel case, where its snake case is one of Google's.
fn keyword(name: &str) -> String {
    let camel = camel_name(name);
    let known = matches!(
        camel.as_ref(),
        "anyOf" | "prefixItems" | "propertyOrdering" | "additionalProperties" | "minItems" | "maxItems" | "minLength"
    ) || matches!(camel.as_ref(), "maxLength" | "minProperties" | "maxProperties");
    if known { camel.into_owned() } else { name.to_owned() }
}

/// A type in lower case; `None` for the one that says nothing.
fn type_name(value: Value) -> Option<Value> {
    match value {
        Value::String(name) if name == "TYPE_UNSPECIFIED" => None,
        Value::String(name) => Some(Value::String(name.to_ascii_lowercase())),
        Value::Array(names) => Some(names.into_iter().filter_map(type_name).collect()),
        Value::Number(number) => {
            let name = number.as_u64().and_then(|number| TYPES.get(usize::try_from(number).ok()?));
            name.filter(|name| !name.is_empty()).map(|&name| Value::String(name.to_owned()))
        }
        value => Some(value),
    }
}

/// A limit as a number: Google writes 64-bit numbers as strings.
fn count(key: &str, value: Value) -> Value {
    match value {
        Value::String(text) if key.starts_with("min") || key.starts_with("max") => {
            text.parse::<u64>().map_or(Value::String(text), |number| Value::Number(Number::from(number)))
        }
        value => value,
    }
}

/// `OpenAPI`'s `nullable` in JSON Schema's words.
fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::String(name)) = schema.get("type") {
        let names = json!([name, "null"]);
        schema.insert("type".to_owned(), names);
    }
    if let Some(Value::Array(schemas)) = schema.get_mut("anyOf") {
        schemas.push(json!({"type": "null"}));
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_lower_case_and_names_of_properties_stay() {
        let schema = json!({
            "type": "OBJECT",
            "properties": {
                "type": {"type": "STRING", "enum": ["STRING"]},
                "any_of": {"any_of": [{"type": 3}, {"type": "NUMBER"}]},
                "list": {"type": "ARRAY", "items": {"type": "BOOLEAN"}, "minItems": "2"},
            },
            "property_ordering": ["type"],
            "title": "OBJECT",
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["STRING"]},
                "any_of": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
                "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
            },
            "propertyOrdering": ["type"],
            "title": "OBJECT",
        });
        assert_eq!(to_json_schema(schema).to_string(), expected.to_string());
    }

    #[test]
    fn nullable_is_said_in_the_words_of_json_schema() {
        let schema = json!({"type": "STRING", "enum": ["a"], "nullable": true});
        assert_eq!(to_json_schema(schema), json!({"type": ["string", "null"], "enum": ["a", null]}));
        let schema = json!({"nullable": true, "anyOf": [{"type": "STRING"}]});
        assert_eq!(to_json_schema(schema), json!({"anyOf": [{"type": "string"}, {"type": "null"}]}));
    }

    #[test]
    fn json_schema_stays_as_it_is() {
        let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "$ref": "#/$defs/x"});
        assert_eq!(to_json_schema(schema.clone()), schema);
    }
}
