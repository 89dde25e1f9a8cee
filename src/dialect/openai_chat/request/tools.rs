//! Tools and the choice among them, both ways.

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Function, Tool, ToolChoice};
use crate::dialect::codec::Malformed;
use crate::dialect::habits::Habits;
use crate::dialect::loss::Losses;
use crate::dialect::read::{Fields, Path};

/// Takes `tools`.
pub(super) fn read_tools(body: &mut Fields<'_>) -> Result<Vec<Tool>, Malformed> {
    let path = body.path().field("tools");
    let tools = body.array("tools")?;
    tools.into_iter().enumerate().map(|(at, tool)| read_tool(tool, &path.item(at))).collect()
}

/// Anything but a function (`custom`, a server's search) is a tool of the upstream's own.
fn read_tool(tool: Value, path: &Path<'_>) -> Result<Tool, Malformed> {
    if !tool.get("function").is_some_and(Value::is_object) {
        return Ok(Tool::Server(tool));
    }
    let mut tool = path.object(tool)?;
    tool.take("type");
    let cache = tool.take("cache_control");
    let inner = path.field("function");
    let function = tool.object("function")?.unwrap_or_default();
    let mut function = read_function(function, &inner)?;
    function.cache = cache;
    function.extra.extend(tool.rest());
    Ok(Tool::Function(function))
}

/// A function's definition, also an item of the older `functions`.
pub(super) fn read_function(map: Map<String, Value>, path: &Path<'_>) -> Result<Function, Malformed> {
    let mut fields = Fields::new(map, path);
    Ok(Function {
        name: fields.need_string("name")?,
        description: fields.string("description")?,
        schema: fields.take("parameters"),
        strict: fields.boolean("strict")?,
        cache: None,
        extra: fields.rest(),
    })
}

/// The choice among tools; `None` for a form that only this dialect knows. `any` is Mistral's word for `required`.
pub(super) fn read_choice(value: &Value) -> Option<ToolChoice> {
    match value.as_str() {
        Some("auto") => return Some(ToolChoice::Auto),
        Some("none") => return Some(ToolChoice::None),
        Some("required" | "any") => return Some(ToolChoice::Required),
        Some(_) => return None,
        None => {}
    }
    if let Some(name) = value.pointer("/function/name").and_then(Value::as_str) {
        return Some(ToolChoice::Function(name.to_owned()));
    }
    let allowed = value.get("allowed_tools")?;
    let names = allowed.get("tools")?.as_array()?.iter();
    let names = names.map(|tool| tool.pointer("/function/name")?.as_str().map(str::to_owned));
    let required = allowed.get("mode").and_then(Value::as_str) == Some("required");
    Some(ToolChoice::Allowed { names: names.collect::<Option<_>>()?, required })
}

/// Writes `tools`, and what depends on them: `OpenAI` refuses a choice among no tools.
pub(super) fn write(body: &mut Map<String, Value>, chat: &Chat, habits: Habits, losses: &mut Losses) {
    let tools = chat.tools.iter().enumerate();
    let tools: Vec<Value> = tools.filter_map(|(at, tool)| write_tool(tool, at, chat, habits, losses)).collect();
    let any = !tools.is_empty();
    if any {
        body.insert("tools".to_owned(), tools.into());
    }
    if let Some(choice) = &chat.tool_choice {
        if any {
            body.insert("tool_choice".to_owned(), write_choice(choice, habits, losses));
        } else if !matches!(choice, ToolChoice::Auto | ToolChoice::None) {
            losses.dropped("tool_choice", "no tool is left to choose");
        }
    }
    if let Some(parallel) = chat.parallel_tools.filter(|_| any) {
        if habits.parallel_tool_calls {
            body.insert("parallel_tool_calls".to_owned(), parallel.into());
        } else if !parallel {
            losses.dropped("parallel_tool_calls", "the upstream does not take it");
        }
    }
}

fn write_tool(tool: &Tool, at: usize, chat: &Chat, habits: Habits, losses: &mut Losses) -> Option<Value> {
    let own = chat.origin == Some(Dialect::OpenAiChat);
    let function = match tool {
        Tool::Function(function) => function,
        Tool::Server(tool) if own => return Some(tool.clone()),
        Tool::Server(_) => {
            losses.dropped(format!("tools[{at}]"), "a tool that runs with another maker's upstream");
            return None;
        }
    };
    let mut inner = Map::new();
    inner.insert("name".to_owned(), function.name.clone().into());
    if let Some(description) = &function.description {
        inner.insert("description".to_owned(), description.clone().into());
    }
    if let Some(schema) = &function.schema {
        inner.insert("parameters".to_owned(), schema.clone());
    }
    match function.strict {
        Some(strict) if habits.strict => drop(inner.insert("strict".to_owned(), strict.into())),
        Some(true) => losses.dropped(format!("tools[{at}].strict"), "the upstream does not take it"),
        _ => {}
    }
    for (name, value) in &function.extra {
        if own {
            inner.insert(name.clone(), value.clone());
        } else if !super::settings::is_nothing(value) {
            losses.dropped(format!("tools[{at}].{name}"), "the chat dialect has no such field");
        }
    }
    let mut tool = Map::from_iter([("type".to_owned(), "function".into()), ("function".to_owned(), inner.into())]);
    super::write_message::cache(&mut tool, function.cache.as_ref(), habits, losses, || format!("tools[{at}]"));
    Some(tool.into())
}

fn write_choice(choice: &ToolChoice, habits: Habits, losses: &mut Losses) -> Value {
    let function = |name: &String| json!({"type": "function", "function": {"name": name}});
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        _ if !habits.tool_choice_required => {
            losses.approximated("tool_choice", "the upstream only takes auto and none");
            "auto".into()
        }
        ToolChoice::Required => "required".into(),
        ToolChoice::Function(name) => function(name),
        ToolChoice::Allowed { names, required } => {
            let tools: Vec<Value> = names.iter().map(function).collect();
            let mode = if *required { "required" } else { "auto" };
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
    }
}
