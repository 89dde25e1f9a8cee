//! The older `functions` and `function_call`, which became tools: read into tools, and remembered so that the answer has
//! the form that the client knows.

use serde_json::Value;

use super::tools;
use crate::dialect::chat::{Chat, Tool, ToolChoice};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// Takes `functions` and `function_call`. That they were there is remembered by a null in the extra fields, which asks
/// nothing of any upstream.
pub(super) fn read_functions(body: &mut Fields<'_>, chat: &mut Chat) -> Result<(), Malformed> {
    let path = body.path().field("functions");
    let functions = body.array("functions")?;
    if !functions.is_empty() {
        chat.extra.insert("functions".to_owned(), Value::Null);
    }
    for (at, function) in functions.into_iter().enumerate() {
        let path = path.item(at);
        let Value::Object(function) = function else {
            return Err(path.malformed("expected an object"));
        };
        chat.tools.push(Tool::Function(tools::read_function(function, &path)?));
    }
    match body.take("function_call") {
        None => {}
        Some(Value::String(word)) if word == "auto" => chat.tool_choice = Some(ToolChoice::Auto),
        Some(Value::String(word)) if word == "none" => chat.tool_choice = Some(ToolChoice::None),
        Some(choice) => {
            let path = Path::Root.field("function_call");
            let name = path.object(choice)?.need_string("name")?;
            chat.tool_choice = Some(ToolChoice::Function(name));
        }
    }
    Ok(())
}

/// Whether the client speaks of functions and not of tools.
pub(in super::super) fn asked(chat: &Chat) -> bool {
    chat.extra.get("functions").is_some_and(Value::is_null)
}
