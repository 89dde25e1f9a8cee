//! `thinkingConfig`: how Gemini is told to think, by a budget of tokens (2.5) or by a level (3).

use serde_json::{Map, Number, Value};

use super::request::Places;
use super::spelling::object;
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Thinking, ThinkingMode};
use crate::dialect::codec::Malformed;
use crate::dialect::loss::Losses;
use crate::dialect::read::Path;

/// Whether a model is of Gemini 3, by its name.
pub(super) fn is_third(model: &str) -> bool {
    model.rsplit('/').next().is_some_and(|name| name.starts_with("gemini-3"))
}

/// Reads a `thinkingConfig`; the second value is what has no place in the model.
pub(super) fn read(value: Value, path: &Path<'_>) -> Result<(Thinking, Map<String, Value>), Malformed> {
    let mut fields = object(path, value)?;
    let mut thinking = Thinking::default();
    if let Some(budget) = fields.number("thinkingBudget")? {
        match budget.as_i64() {
            Some(0) => thinking.mode = ThinkingMode::Off,
            Some(-1) => thinking.mode = ThinkingMode::Adaptive,
            Some(budget) if budget > 0 => thinking.budget = budget.try_into().ok(),
            _ => return Err(path.field("thinkingBudget").malformed("expected a whole number of -1 or more")),
        }
    }
    if let Some(level) = fields.string("thinkingLevel")? {
        let level = level.to_ascii_lowercase();
        thinking.effort = (level != "thinking_level_unspecified").then_some(level);
    }
    if fields.boolean("includeThoughts")? == Some(true) {
        thinking.show = Some("true".to_owned());
    }
    Ok((thinking, fields.rest()))
}

/// Writes a `thinkingConfig`.
pub(super) fn write(chat: &Chat, places: Places, losses: &mut Losses) -> Map<String, Value> {
    let mut out = Map::new();
    let Some(thinking) = &chat.thinking else { return out };
    let ours = chat.origin == Some(Dialect::Gemini);
    if includes_thoughts(chat, thinking, places, losses) {
        out.insert("includeThoughts".to_owned(), Value::Bool(true));
    }
    let effort = thinking.effort.as_deref().filter(|_| thinking.mode != ThinkingMode::Off);
    let third = is_third(&chat.model);
    match (effort, thinking.budget) {
        (Some(effort), _) if ours || third => {
            let level = if ours { effort } else { level(effort, &chat.model) };
            if level != effort {
                losses.approximated(places.effort(), format!("the thinking level {level} stands for it"));
            }
            out.insert("thinkingLevel".to_owned(), Value::from(level));
        }
        (Some(effort), None) if thinking.mode == ThinkingMode::On => {
            let budget = tokens(effort);
            losses.approximated(places.effort(), format!("a budget of {budget} thinking tokens stands for it"));
            out.insert("thinkingBudget".to_owned(), Value::from(budget));
        }
        (Some(_), _) => losses.dropped(places.effort(), "the model takes a budget of thinking tokens instead"),
        (None, _) => {}
    }
    let levelled = out.contains_key("thinkingLevel");
    let budget = match thinking.mode {
        ThinkingMode::Off if third && !ours => {
            losses.approximated(places.effort(), "Gemini 3 always thinks: its lowest level stands for none");
            out.insert("thinkingLevel".to_owned(), Value::from(level("none", &chat.model)));
            None
        }
        ThinkingMode::Off => Some(Number::from(0)),
        ThinkingMode::Adaptive if levelled && !ours => None,
        ThinkingMode::Adaptive => Some(Number::from(-1)),
        ThinkingMode::On if levelled && !ours && thinking.budget.is_some() => {
            losses.dropped(places.budget(), "Gemini 3 takes a level or a budget, not both");
            None
        }
        ThinkingMode::On => thinking.budget.map(Number::from),
    };
    if let Some(budget) = budget {
        out.insert("thinkingBudget".to_owned(), Value::Number(budget));
    }
    out
}

/// Whether thoughts are to be shown. Anthropic and Ollama show them unless asked not to.
fn includes_thoughts(chat: &Chat, thinking: &Thinking, places: Places, losses: &mut Losses) -> bool {
    match thinking.show.as_deref() {
        Some("omitted") => false,
        Some(show) => {
            if matches!(show, "concise" | "detailed") {
                losses.approximated(places.show(), "Gemini shows its thoughts in one way");
            }
            true
        }
        None => {
            let shown = [Dialect::Anthropic, Dialect::OllamaChat, Dialect::OllamaGenerate];
            thinking.mode != ThinkingMode::Off && chat.origin.is_some_and(|origin| shown.contains(&origin))
        }
    }
}

/// The level of Gemini 3 for an effort. All take `low` and `high`; Flash also those between and below (Gemini API,
/// "Thinking levels").
fn level(effort: &str, model: &str) -> &'static str {
    let flash = model.contains("flash");
    match effort {
        "none" | "minimal" if flash => "minimal",
        "none" | "minimal" | "low" => "low",
        "medium" if flash => "medium",
        _ => "high",
    }
}

/// The budget in tokens for an effort: as Google's own `OpenAI`-compatible endpoint maps `reasoning_effort`.
fn tokens(effort: &str) -> u64 {
    match effort {
        "none" => 0,
        "minimal" | "low" => 1024,
        "medium" => 8192,
        _ => 24576,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(model: &str, origin: Dialect, thinking: Thinking) -> (Value, Vec<String>) {
        let chat = Chat { model: model.to_owned(), thinking: Some(thinking), origin: Some(origin), ..Chat::default() };
        let mut losses = Losses::default();
        let out = write(&chat, Places(chat.origin), &mut losses);
        (Value::Object(out), losses.iter().map(ToString::to_string).collect())
    }

    fn effort(effort: &str) -> Thinking {
        Thinking { effort: Some(effort.to_owned()), ..Thinking::default() }
    }

    #[test]
    fn what_gemini_says_comes_back() {
        for value in [
            json!({"thinkingBudget": 0}),
            json!({"thinkingBudget": -1}),
            json!({"includeThoughts": true, "thinkingBudget": 512}),
            json!({"includeThoughts": true, "thinkingLevel": "medium"}),
            json!({}),
        ] {
            let (thinking, rest) = read(value.clone(), &Path::Root).unwrap();
            assert!(rest.is_empty());
            assert_eq!(written("gemini-3-pro", Dialect::Gemini, thinking), (value, vec![]));
        }
    }

    #[test]
    fn an_effort_is_a_budget_or_a_level_by_the_model() {
        let (value, losses) = written("gemini-2.5-pro", Dialect::OpenAiChat, effort("medium"));
        assert_eq!(value, json!({"thinkingBudget": 8192}));
        assert_eq!(losses.len(), 1);
        assert!(losses[0].starts_with("reasoning_effort approximated"), "{losses:?}");
        let (value, losses) = written("gemini-3-pro-preview", Dialect::OpenAiChat, effort("low"));
        assert_eq!((value, losses), (json!({"thinkingLevel": "low"}), vec![]));
        let (value, losses) = written("gemini-3-pro-preview", Dialect::OpenAiChat, effort("medium"));
        assert_eq!((value, losses.len()), (json!({"thinkingLevel": "high"}), 1));
        assert_eq!(written("gemini-3-flash", Dialect::OpenAiChat, effort("medium")).1, Vec::<String>::new());
    }

    #[test]
    fn thinking_that_is_off_is_a_budget_of_none() {
        let off = Thinking { mode: ThinkingMode::Off, ..Thinking::default() };
        assert_eq!(written("gemini-2.5-flash", Dialect::Anthropic, off.clone()).0, json!({"thinkingBudget": 0}));
        let (value, losses) = written("gemini-3-pro", Dialect::Anthropic, off);
        assert_eq!((value, losses.len()), (json!({"thinkingLevel": "low"}), 1));
    }

    #[test]
    fn anthropic_thoughts_are_shown_unless_omitted() {
        let on = Thinking { budget: Some(2048), ..Thinking::default() };
        let (value, _) = written("gemini-2.5-flash", Dialect::Anthropic, on.clone());
        assert_eq!(value, json!({"includeThoughts": true, "thinkingBudget": 2048}));
        let omitted = Thinking { show: Some("omitted".to_owned()), ..on };
        assert_eq!(written("gemini-2.5-flash", Dialect::Anthropic, omitted).0, json!({"thinkingBudget": 2048}));
    }
}
