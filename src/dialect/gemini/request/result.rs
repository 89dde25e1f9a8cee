//! Results of calls: `functionResponse`, whose payload is an object where other dialects have text.

use serde_json::{Map, Value, json};

use super::super::spelling::object;
use super::media::{self, Found};
use crate::dialect::chat::{Message, Part, ToolResult};
use crate::dialect::codec::Malformed;
use crate::dialect::read::Path;

/// Reads one. `id_of` finds the id of the call by the result's own id and its tool's name.
pub(super) fn read(
    response: Value,
    path: &Path<'_>,
    position: usize,
    message: &mut Message,
    id_of: impl FnOnce(Option<String>, &str) -> String,
) -> Result<Part, Malformed> {
    let mut fields = object(path, response)?;
    let name = fields.need_string("name")?;
    let id = id_of(fields.string("id")?.filter(|id| !id.is_empty()), &name);
    let payload = fields.object("response")?.unwrap_or_default();
    let (text, failed) = payload_text(payload);
    let mut parts = vec![Part::plain(text)];
    let here = path.field("parts");
    for (index, part) in fields.array("parts")?.into_iter().enumerate() {
        let here = here.item(index);
        let mut part = object(&here, part)?;
        match media::read(&mut part)? {
            Some(Found::Media(make, mut media)) => {
                media.extra.extend(part.rest());
                parts.push(make(media));
            }
            Some(Found::Other(name, value)) => parts.push(Part::Other(json!({name: value}))),
            None => parts.push(Part::Other(Value::Object(part.rest()))),
        }
    }
    for (name, value) in fields.rest() {
        message.extra.insert(format!("parts[{position}].functionResponse.{name}"), value);
    }
    Ok(Part::ToolResult(ToolResult { id, name: Some(name), parts, failed, cache: None }))
}

/// The text of a payload, and whether it tells of an error. What [`payload`] wraps is unwrapped; the rest stays JSON.
fn payload_text(mut payload: Map<String, Value>) -> (String, bool) {
    if payload.len() == 1 {
        if let Some(Value::String(text)) = payload.get_mut("error") {
            return (std::mem::take(text), true);
        }
        let text = payload.get_mut("result").filter(|text| text.as_str().is_some_and(|text| !is_object(text)));
        if let Some(Value::String(text)) = text {
            return (std::mem::take(text), false);
        }
    }
    (Value::Object(payload).to_string(), false)
}

/// The payload for a result's text: the object that it is, or one around it.
pub(super) fn payload(text: &str, failed: bool) -> Value {
    if failed {
        return json!({"error": text});
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({"result": text}),
    }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_back_as_they_were() {
        for value in [
            json!({"result": "fine"}),
            json!({"result": "{\"a\":1}"}),
            json!({"result": {"a": 1}}),
            json!({"error": "no"}),
            json!({"output": "x"}),
            json!({}),
        ] {
            let Value::Object(map) = value.clone() else { continue };
            let (text, failed) = payload_text(map);
            assert_eq!(payload(&text, failed), value);
        }
    }

    #[test]
    fn text_that_is_no_object_is_wrapped() {
        assert_eq!(payload("[1]", false), json!({"result": "[1]"}));
        assert_eq!(payload("{\"a\":1}", true), json!({"error": "{\"a\":1}"}));
    }
}
