//! Tools and the choice among them, read and written.

use serde_json::{Map, Value, json};

use super::parts::{Scribe, asked, cache};
use crate::dialect::chat::{Chat, Function, Tool, ToolChoice};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// Reads `tools` and `tool_choice`.
pub(super) fn read(body: &mut Fields<'_>, chat: &mut Chat) -> Result<(), Malformed> {
    let path = Path::Root.field("tools");
    for (index, tool) in body.array("tools")?.into_iter().enumerate() {
        chat.tools.push(read_tool(tool, &path.item(index))?);
    }
    if let Some(choice) = body.take("tool_choice") {
        read_choice(choice, chat)?;
    }
    Ok(())
}

/// Reads a tool: one with a type of its own runs with Anthropic, or is known to the model by that type.
fn read_tool(tool: Value, path: &Path<'_>) -> Result<Tool, Malformed> {
    if tool.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "custom") {
        return Ok(Tool::Server(tool));
    }
    let mut tool = path.object(tool)?;
    tool.take("type");
    Ok(Tool::Function(Function {
        name: tool.need_string("name")?,
        description: tool.string("description")?,
        schema: tool.take("input_schema"),
        strict: tool.boolean("strict")?,
        cache: tool.take("cache_control"),
        extra: tool.rest(),
    }))
}

fn read_choice(choice: Value, chat: &mut Chat) -> Result<(), Malformed> {
    let path = Path::Root.field("tool_choice");
    let whole = choice.clone();
    let mut choice = path.object(choice)?;
    chat.tool_choice = Some(match choice.need_string("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Function(choice.need_string("name")?),
        _ => {
            chat.extra.insert("tool_choice".to_owned(), whole);
            return Ok(());
        }
    });
    chat.parallel_tools = choice.boolean("disable_parallel_tool_use")?.map(|disabled| !disabled);
    let rest = choice.rest();
    if !rest.is_empty() {
        chat.extra.insert("tool_choice".to_owned(), Value::Object(rest));
    }
    Ok(())
}

/// Writes `tools` and `tool_choice`. `free` says that thinking forbids to demand a call.
pub(super) fn write(chat: &Chat, free: bool, body: &mut Map<String, Value>, scribe: &mut Scribe<'_>) {
    let mut tools = Vec::with_capacity(chat.tools.len());
    for (index, tool) in chat.tools.iter().enumerate() {
        tools.extend(match tool {
            Tool::Function(function) if is_allowed(chat, &function.name) => {
                Some(write_function(index, function, scribe))
            }
            Tool::Function(_) => None,
            Tool::Server(tool) if scribe.same => Some(tool.clone()),
            Tool::Server(_) => {
                scribe.losses.dropped(format!("tools[{index}]"), "a tool of another maker");
                None
            }
        });
    }
    let choice = write_choice(chat, free, scribe);
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    } else if !scribe.same {
        if matches!(chat.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_))) {
            scribe.losses.dropped(scribe.paths.setting("tool_choice"), "there are no tools");
        }
        return;
    }
    if let Some(choice) = choice {
        body.insert("tool_choice".to_owned(), choice);
    }
}

/// Whether the choice lets this tool be called. There is no such choice here, so only the allowed tools are sent.
fn is_allowed(chat: &Chat, name: &str) -> bool {
    match &chat.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|allowed| allowed == name),
        _ => true,
    }
}

fn write_function(index: usize, function: &Function, scribe: &mut Scribe<'_>) -> Value {
    let mut tool = Map::new();
    tool.insert("name".to_owned(), json!(function.name));
    if let Some(description) = &function.description {
        tool.insert("description".to_owned(), json!(description));
    }
    if scribe.same {
        tool.extend(function.schema.clone().map(|schema| ("input_schema".to_owned(), schema)));
    } else {
        tool.insert("input_schema".to_owned(), input_schema(function.schema.as_ref()));
    }
    if function.strict == Some(true) {
        tool.insert("strict".to_owned(), Value::Bool(true));
    }
    cache(&mut tool, function.cache.as_ref());
    for (name, value) in &function.extra {
        if scribe.same {
            tool.insert(name.clone(), value.clone());
        } else if asked(value) {
            scribe.losses.dropped(format!("tools[{index}].{name}"), "only its own dialect knows it");
        }
    }
    Value::Object(tool)
}

/// The schema of a tool's input, which must say that it is an object.
fn input_schema(schema: Option<&Value>) -> Value {
    match schema {
        Some(Value::Object(schema)) if schema.contains_key("type") => Value::Object(schema.clone()),
        Some(Value::Object(schema)) => {
            let kind = std::iter::once(("type".to_owned(), json!("object")));
            Value::Object(kind.chain(schema.clone()).collect())
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

fn write_choice(chat: &Chat, free: bool, scribe: &mut Scribe<'_>) -> Option<Value> {
    let one_at_a_time = chat.parallel_tools == Some(false);
    let mut choice = match &chat.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Allowed { required: true, .. }) if free => {
            scribe.losses.approximated(scribe.paths.setting("tool_choice"), "a thinking model calls as it likes");
            json!({"type": "auto"})
        }
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Function(name)) => json!({"type": "tool", "name": name}),
        Some(ToolChoice::Allowed { names, required }) => {
            scribe.losses.approximated(scribe.paths.setting("tool_choice"), "only the allowed tools are sent");
            match names.as_slice() {
                [name] if *required => json!({"type": "tool", "name": name}),
                _ => json!({"type": if *required { "any" } else { "auto" }}),
            }
        }
        None if one_at_a_time => json!({"type": "auto"}),
        None => return None,
    };
    if let (true, Value::Object(choice)) = (one_at_a_time, &mut choice) {
        choice.insert("disable_parallel_tool_use".to_owned(), Value::Bool(true));
    }
    Some(choice)
}
