//! What a conversation of any dialect comes to: the user's last text, what else it holds, and the results of tools.

use serde_json::Value;

/// What an answer depends on in a conversation.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// The user's last text, parts joined.
    pub(super) text: String,
    /// Whether nothing came after it.
    pub(super) last: bool,
    /// What the tools returned, when that is what the conversation ends with; in the order of the conversation.
    pub(super) results: Vec<String>,
    /// How many images there are in all.
    pub(super) images: usize,
    /// How many documents.
    pub(super) documents: usize,
    /// How many answers came back with what the model had thought.
    pub(super) thoughts: usize,
}

// === impl Said ===

impl Said {
    /// A text without a conversation around it.
    pub(super) fn only(text: &str) -> Self {
        Self { text: text.to_owned(), last: true, ..Self::default() }
    }

    /// What the messages, contents or items of any dialect say.
    pub(super) fn of(turns: &[Value]) -> Self {
        let ending = turns.iter().rev().map(results).take_while(|results| !results.is_empty());
        let mut ending: Vec<Vec<String>> = ending.collect();
        ending.reverse();
        let texts = turns.iter().rev().enumerate().filter(|(_, turn)| is_users(turn));
        let mut texts = texts.map(|(age, turn)| (age, text_of(parts_of(turn)))).filter(|(_, text)| !text.is_empty());
        let (age, text) = texts.next().unwrap_or_default();
        Self {
            text,
            last: age == 0 && ending.is_empty(),
            results: ending.concat(),
            images: turns.iter().map(images).sum(),
            documents: turns
                .iter()
                .flat_map(|turn| list(Some(parts_of(turn))))
                .filter(|part| is_document(part))
                .count(),
            thoughts: turns.iter().filter(|turn| is_thoughtful(turn)).count(),
        }
    }

    /// What an `input` of Responses says: a text or a list of items.
    pub(super) fn of_input(input: &Value) -> Option<Self> {
        match input {
            Value::String(text) => Some(Self::only(text)),
            Value::Array(items) => Some(Self::of(items)),
            _ => None,
        }
    }
}

/// Gemini lets the user's role be left out.
fn is_users(turn: &Value) -> bool {
    match turn.get("role").and_then(Value::as_str) {
        Some(role) => role == "user",
        None => turn.get("parts").is_some(),
    }
}

/// The content of a turn: `parts` in Gemini, `content` elsewhere.
fn parts_of(turn: &Value) -> &Value {
    turn.get("content").or_else(|| turn.get("parts")).unwrap_or(&Value::Null)
}

/// A text given as one string, one part or a list of parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text_of).collect(),
        Value::Object(part) => part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The results of tools in one turn: the whole turn in `OpenAI` chat and Ollama, the item's `output` in Responses,
/// `tool_result` blocks in Anthropic, `functionResponse` parts in Gemini.
fn results(turn: &Value) -> Vec<String> {
    if turn.get("role").and_then(Value::as_str) == Some("tool") {
        return vec![text_of(parts_of(turn))];
    }
    if let Some(output) = turn.get("output").filter(|_| turn.get("call_id").is_some()) {
        return vec![text_of(output)];
    }
    list(Some(parts_of(turn))).iter().filter_map(result).collect()
}

fn result(part: &Value) -> Option<String> {
    if part.get("type").and_then(Value::as_str) == Some("tool_result") {
        return Some(part.get("content").map(text_of).unwrap_or_default());
    }
    let response = part.pointer("/functionResponse/response")?;
    Some(unwrapped(response).map_or_else(|| response.to_string(), str::to_owned))
}

/// Gemini takes objects only, so clients wrap a text in one of these fields ("Function calling", Gemini API).
fn unwrapped(response: &Value) -> Option<&str> {
    let fields = response.as_object().filter(|fields| fields.len() == 1)?;
    ["output", "result", "error", "content"].iter().find_map(|name| fields.get(*name)?.as_str())
}

/// Ollama lists images beside the text, all others among the parts.
fn images(turn: &Value) -> usize {
    list(turn.get("images")).len() + list(Some(parts_of(turn))).iter().filter(|part| is_image(part)).count()
}

fn is_image(part: &Value) -> bool {
    let kind = part.get("type").and_then(Value::as_str);
    matches!(kind, Some("image" | "image_url" | "input_image"))
        || media(part).is_some_and(|name| name.starts_with("image/"))
}

fn is_document(part: &Value) -> bool {
    let kind = part.get("type").and_then(Value::as_str);
    matches!(kind, Some("file" | "input_file" | "document")) || media(part) == Some("application/pdf")
}

/// The media type of a part of Gemini's.
fn media(part: &Value) -> Option<&str> {
    part.get("inlineData").or_else(|| part.get("fileData"))?.get("mimeType")?.as_str()
}

/// Whether a turn holds thoughts: the whole item in Responses, a field beside the content in `OpenAI` chat and Ollama,
/// parts elsewhere.
fn is_thoughtful(turn: &Value) -> bool {
    let has = |name: &str| turn.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let kind = |value: &Value| value.get("type").and_then(Value::as_str).map(str::to_owned);
    let is_thought = |part: &Value| {
        matches!(kind(part).as_deref(), Some("thinking" | "redacted_thinking"))
            || part.get("thought").is_some_and(|thought| *thought == Value::Bool(true))
    };
    has("reasoning_content")
        || has("thinking")
        || kind(turn).as_deref() == Some("reasoning")
        || list(Some(parts_of(turn))).iter().any(is_thought)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(turns: &Value) -> Said {
        Said::of(turns.as_array().unwrap())
    }

    #[test]
    fn every_dialect_says_the_same() {
        let result = |results: &[&str]| Said {
            text: "a tool".to_owned(),
            results: results.iter().map(|&text| text.to_owned()).collect(),
            ..Said::default()
        };
        let user = json!({"role": "user", "content": "a tool"});
        let chat =
            json!([user, {"role": "assistant"}, {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]);
        assert_eq!(said(&chat), result(&["1", "2"]));
        let items = json!([user, {"type": "function_call", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "1"}]}]);
        assert_eq!(said(&items), result(&["1"]));
        let blocks = json!([user, {"role": "assistant", "content": [{"type": "tool_use"}]}, {"role": "user", "content": [
            {"type": "tool_result", "content": "1"}, {"type": "tool_result", "content": [{"type": "text", "text": "2"}]}]}]);
        assert_eq!(said(&blocks), result(&["1", "2"]));
        let contents = json!([{"parts": [{"text": "a tool"}]}, {"role": "model", "parts": [{"functionCall": {}}]},
            {"role": "user", "parts": [{"functionResponse": {"response": {"output": "1"}}}]}]);
        assert_eq!(said(&contents), result(&["1"]));
    }

    #[test]
    fn a_result_that_is_an_object_stays_json() {
        let part = json!({"functionResponse": {"response": {"height": 2, "unit": "m"}}});
        assert_eq!(super::result(&part), Some(r#"{"height":2,"unit":"m"}"#.to_owned()));
    }

    #[test]
    fn images_count_in_each_form() {
        for part in [
            json!({"type": "image_url"}),
            json!({"type": "input_image"}),
            json!({"type": "image"}),
            json!({"inlineData": {"mimeType": "image/png"}}),
            json!({"fileData": {"mimeType": "image/png"}}),
        ] {
            assert_eq!(said(&json!([{"role": "user", "content": [part, {"text": "x"}]}])).images, 1, "{part}");
        }
        assert_eq!(said(&json!([{"role": "user", "content": "x", "images": ["eA==", "eA=="]}])).images, 2);
        assert_eq!(said(&json!([{"parts": [{"inlineData": {"mimeType": "application/pdf"}}]}])).images, 0);
    }

    #[test]
    fn documents_count_in_each_form() {
        for part in [
            json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,eA=="}}),
            json!({"type": "input_file"}),
            json!({"type": "document"}),
            json!({"inlineData": {"mimeType": "application/pdf"}}),
        ] {
            assert_eq!(said(&json!([{"role": "user", "content": [part, {"text": "x"}]}])).documents, 1, "{part}");
        }
    }

    #[test]
    fn thoughts_that_come_back_count_in_each_form() {
        for turn in [
            json!({"role": "assistant", "content": "a", "reasoning_content": "t"}),
            json!({"role": "assistant", "content": "a", "thinking": "t"}),
            json!({"type": "reasoning", "summary": []}),
            json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text"}]}),
            json!({"role": "model", "parts": [{"text": "t", "thought": true}, {"text": "a"}]}),
        ] {
            assert_eq!(said(&json!([turn])).thoughts, 1, "{turn}");
        }
        assert_eq!(said(&json!([{"role": "assistant", "content": "a", "thinking": ""}])).thoughts, 0);
    }
}
