//! What a reader of a dialect passes over: fields within known ones that nobody knows. They reach an upstream of the same
//! dialect, so requests that differ in them are not the same.

use serde_json::{Map, Value};

use crate::dialect::read::Path;

/// Fields of a body whose inside is read; all others are parts as they are.
const READ: &[&str] = &[
    "messages",
    "input",
    "contents",
    "system",
    "systemInstruction",
    "system_instruction",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "toolConfig",
    "tool_config",
    "response_format",
    "output_config",
    "output_format",
    "text",
    "reasoning",
    "thinking",
    "generationConfig",
    "generation_config",
    "requests",
    "content",
];

/// Fields whose inside is the client's own, and kept whole.
const WHOLE: &[&str] = &[
    "parameters",
    "parametersJsonSchema",
    "input_schema",
    "schema",
    "responseSchema",
    "responseJsonSchema",
    "arguments",
    "args",
    "response",
    "cache_control",
    "citations",
    "annotations",
    "reasoning_details",
    "metadata",
];

/// Names of fields that readers know, in whichever dialect, sorted. A new one may be missing here: then dialects do not share an
/// answer that has it, and nothing worse.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "allowedFunctionNames", "allowed_tools", "annotations", "args", "arguments", "budget_tokens", "cache_control",
    "call_id", "candidateCount", "citations", "content", "data", "description", "detail",
    "disable_parallel_tool_use", "display", "displayName", "display_name", "effort", "encrypted_content", "file",
    "fileData", "fileUri", "file_data", "file_id", "file_url", "filename", "format", "frequencyPenalty", "function",
    "functionCall", "functionCallingConfig", "functionDeclarations", "functionResponse", "generate_summary", "id",
    "image_url", "images", "includeThoughts", "index", "inlineData", "input", "input_audio", "input_schema",
    "is_error", "json_schema", "logprobs", "maxOutputTokens", "media_type", "mimeType", "mode", "model", "name",
    "output", "parameters", "parametersJsonSchema", "parts", "presencePenalty", "reasoning", "reasoning_content",
    "reasoning_details", "refusal", "response", "responseJsonSchema", "responseLogprobs", "responseMimeType",
    "responseSchema", "role", "schema", "seed", "signature", "source", "status", "stopSequences", "strict",
    "summary", "temperature", "text", "thinking", "thinkingBudget", "thinkingConfig", "thinkingLevel", "thought",
    "thoughtSignature", "title", "tool_call_id", "tool_calls", "tool_name", "tool_use_id", "tools", "topK", "topP",
    "type", "url",
];

/// The fields that nobody knows, by their paths.
pub(super) fn unread(body: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, value) in body.as_object().into_iter().flatten().filter(|(name, _)| READ.contains(&name.as_str())) {
        walk(value, &Path::Root.field(name), &mut found);
    }
    found
}

fn walk(value: &Value, path: &Path<'_>, found: &mut Map<String, Value>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_object() || item.is_array()) {
                walk(item, &path.item(index), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    name if WHOLE.contains(&name) => {}
                    name if KNOWN.binary_search(&name).is_err() && !field.is_null() => {
                        found.insert(path.field(name).to_string(), field.clone());
                    }
                    name if field.is_object() || field.is_array() => walk(field, &path.field(name), found),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}
