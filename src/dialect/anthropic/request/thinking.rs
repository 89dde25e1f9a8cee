//! Thinking, effort and the form of the answer: `thinking`, `output_config` and the older `output_format`.

use serde_json::{Map, Value, json};

use super::model::Model;
use super::parts::Scribe;
use crate::dialect::chat::{Chat, Format, Thinking, ThinkingMode};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// The least budget that Anthropic takes.
const LEAST_BUDGET: u64 = 1024;

/// The budget where thinking is asked for and nothing says how much.
const USUAL_BUDGET: u64 = 8192;

/// The system line that stands for a wish for any JSON, which has no setting here.
const JSON_LINE: &str = "Answer with one valid JSON value and nothing else: no prose, no code fence.";

/// How the model is to think, as Anthropic takes it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The `thinking` field.
    pub(super) field: Option<Value>,
    /// The effort in `output_config`.
    pub(super) effort: Option<String>,
    /// The budget in tokens, where there is one.
    pub(super) budget: Option<u64>,
    /// Whether it thinks, which forbids some settings.
    pub(super) thinks: bool,
}

// === reading ===

/// Reads `thinking`, `output_config` and `output_format`.
pub(super) fn read(body: &mut Fields<'_>, chat: &mut Chat) -> Result<(), Malformed> {
    if let Some(thinking) = body.take("thinking") {
        read_thinking(thinking, chat)?;
    }
    if let Some(output) = body.object("output_config")? {
        let path = Path::Root.field("output_config");
        let mut output = Fields::new(output, &path);
        if let Some(effort) = output.string("effort")? {
            chat.thinking.get_or_insert_default().effort = Some(effort);
        }
        chat.format = output.take("format").map(read_format);
        let rest = output.rest();
        if !rest.is_empty() {
            chat.extra.insert("output_config".to_owned(), Value::Object(rest));
        }
    }
    if let Some(format) = body.take("output_format") {
        chat.format.get_or_insert(read_format(format));
    }
    Ok(())
}

/// Reads `thinking`; one of an unknown type stays whole, and so do unknown fields.
fn read_thinking(value: Value, chat: &mut Chat) -> Result<(), Malformed> {
    let path = Path::Root.field("thinking");
    let mode = match value.get("type").and_then(Value::as_str) {
        Some("enabled") => ThinkingMode::On,
        Some("disabled") => ThinkingMode::Off,
        Some("adaptive") => ThinkingMode::Adaptive,
        _ => {
            chat.extra.insert("thinking".to_owned(), value);
            return Ok(());
        }
    };
    let mut thinking = path.object(value)?;
    thinking.take("type");
    let budget = match thinking.number("budget_tokens")? {
        None => None,
        Some(budget) => Some(budget.as_u64().ok_or_else(|| path.field("budget_tokens").malformed("expected a count"))?),
    };
    let show = thinking.string("display")?;
    chat.thinking = Some(Thinking { mode, effort: None, budget, show });
    let rest = thinking.rest();
    if !rest.is_empty() {
        chat.extra.insert("thinking".to_owned(), Value::Object(rest));
    }
    Ok(())
}

fn read_format(format: Value) -> Format {
    match format {
        Value::Object(mut fields)
            if fields.len() == 2 && fields.get("type").is_some_and(|kind| kind == "json_schema") =>
        {
            match fields.shift_remove("schema") {
                Some(schema) => Format::Schema { name: None, description: None, schema, strict: None },
                None => Format::Other(Value::Object(fields)),
            }
        }
        other => Format::Other(other),
    }
}

// === writing ===

/// Decides how the model is to think.
pub(super) fn plan(chat: &Chat, model: Model, scribe: &mut Scribe<'_>) -> Plan {
    match &chat.thinking {
        None => Plan::default(),
        Some(thinking) if scribe.same => same(thinking),
        Some(thinking) => other(thinking, model, scribe),
    }
}

/// As this dialect said it. On without a budget is what an effort alone was read as.
fn same(thinking: &Thinking) -> Plan {
    let kind = match (thinking.mode, thinking.budget) {
        (ThinkingMode::Off, _) => Some("disabled"),
        (ThinkingMode::Adaptive, _) => Some("adaptive"),
        (ThinkingMode::On, Some(_)) => Some("enabled"),
        (ThinkingMode::On, None) => None,
    };
    let field = kind.map(|kind| {
        let mut field = json!({"type": kind});
        if let Some(budget) = thinking.budget {
            field["budget_tokens"] = json!(budget);
        }
        if let Some(show) = &thinking.show {
            field["display"] = json!(show);
        }
        field
    });
    let thinks = matches!(kind, Some("enabled" | "adaptive"));
    Plan { field, effort: thinking.effort.clone(), budget: thinking.budget, thinks }
}

/// As near as the model takes it to what another dialect said.
fn other(thinking: &Thinking, model: Model, scribe: &mut Scribe<'_>) -> Plan {
    if thinking.mode == ThinkingMode::Off || thinking.effort.as_deref() == Some("none") {
        return Plan { field: Some(json!({"type": "disabled"})), ..Plan::default() };
    }
    let wants_budget = thinking.budget.is_some() && model.takes_budget();
    if model.adapts() && !wants_budget { adaptive(thinking, model, scribe) } else { budgeted(thinking, scribe) }
}

/// Newer models think as they see fit, and take an effort.
fn adaptive(thinking: &Thinking, model: Model, scribe: &mut Scribe<'_>) -> Plan {
    let path = scribe.paths.setting("thinking");
    let effort = match (thinking.effort.as_deref(), thinking.budget) {
        (Some("minimal"), _) | (None, Some(..=2048)) => Some(("low", true)),
        (Some("xhigh"), _) if !model.takes_xhigh() => Some(("high", true)),
        (Some(effort), _) => Some((effort, false)),
        (None, Some(..=8192)) => Some(("medium", true)),
        (None, Some(_)) => Some(("high", true)),
        (None, None) => None,
    };
    if let Some((effort, true)) = effort {
        scribe.losses.approximated(path, format!("the model is asked for {effort} effort"));
    }
    let mut field = json!({"type": "adaptive"});
    match thinking.show.as_deref() {
        None => {}
        Some("omitted" | "false") => field["display"] = json!("omitted"),
        Some(_) => field["display"] = json!("summarized"),
    }
    Plan { field: Some(field), effort: effort.map(|(effort, _)| effort.to_owned()), budget: None, thinks: true }
}

/// Older models take a budget.
fn budgeted(thinking: &Thinking, scribe: &mut Scribe<'_>) -> Plan {
    let path = scribe.paths.setting("thinking");
    let budget = match (thinking.budget, thinking.effort.as_deref()) {
        (Some(budget), _) => {
            if budget < LEAST_BUDGET {
                scribe.losses.approximated(path, "the least budget is 1024 tokens");
            }
            budget.max(LEAST_BUDGET)
        }
        (None, Some(effort)) => {
            let budget = match effort {
                "minimal" => LEAST_BUDGET,
                "low" => 2048,
                "high" => 16_384,
                "xhigh" | "max" => 32_768,
                _ => USUAL_BUDGET,
            };
            scribe.losses.approximated(path, format!("the effort is a budget of {budget} tokens"));
            budget
        }
        (None, None) => {
            scribe.losses.invented(path, "a budget of 8192 tokens");
            USUAL_BUDGET
        }
    };
    let field = Some(json!({"type": "enabled", "budget_tokens": budget}));
    Plan { field, effort: None, budget: Some(budget), thinks: true }
}

/// Writes `thinking` and `output_config`.
pub(super) fn write(chat: &Chat, plan: Plan, body: &mut Map<String, Value>, scribe: &mut Scribe<'_>) {
    if let Some(field) = plan.field {
        body.insert("thinking".to_owned(), field);
    }
    let mut output = Map::new();
    if let Some(effort) = plan.effort {
        output.insert("effort".to_owned(), Value::String(effort));
    }
    if let Some(format) = write_format(chat.format.as_ref(), scribe) {
        output.insert("format".to_owned(), format);
    }
    if !output.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(output));
    }
}

fn write_format(format: Option<&Format>, scribe: &mut Scribe<'_>) -> Option<Value> {
    let path = scribe.paths.setting("response_format");
    match format? {
        // Stands in the system field: see `json_line`.
        Format::Json => None,
        Format::Schema { name, description, schema, .. } => {
            if name.is_some() {
                scribe.losses.dropped(format!("{path}.name"), "schemas have no names");
            }
            if description.is_some() {
                scribe.losses.dropped(format!("{path}.description"), "schemas have no descriptions");
            }
            Some(json!({"type": "json_schema", "schema": schema}))
        }
        Format::Other(format) if scribe.same => Some(format.clone()),
        Format::Other(_) => {
            scribe.losses.dropped(path, "a form that only its own dialect knows");
            None
        }
    }
}

/// The system block that asks for JSON where the request does.
pub(super) fn json_line(chat: &Chat, scribe: &mut Scribe<'_>) -> Option<Value> {
    if chat.format != Some(Format::Json) {
        return None;
    }
    scribe.losses.approximated(scribe.paths.setting("response_format"), "the instructions ask for JSON");
    Some(json!({"type": "text", "text": JSON_LINE}))
}
