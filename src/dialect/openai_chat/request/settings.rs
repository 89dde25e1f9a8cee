//! Writing what a chat request asks for besides messages and tools.

use serde_json::{Map, Number, Value, json};

use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Format, Sampling, Thinking, ThinkingMode};
use crate::dialect::habits::Habits;
use crate::dialect::loss::Losses;

/// Fields of `OpenAI`'s other dialects that mean the same here.
const SHARED: [&str; 8] = [
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "logit_bias",
    "moderation",
];

/// So many stop texts `OpenAI` takes.
const MAX_STOPS: usize = 4;

/// Whether a value asks for nothing: a default that no one misses.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Where the dialect of a request keeps a setting that the chat dialect names so.
fn source(origin: Option<Dialect>, name: &str) -> String {
    match origin {
        Some(Dialect::Gemini) => {
            let mut camel = "generationConfig.".to_owned();
            let mut up = false;
            for letter in name.chars() {
                match letter {
                    '_' => up = true,
                    letter => camel.push(if std::mem::take(&mut up) { letter.to_ascii_uppercase() } else { letter }),
                }
            }
            camel
        }
        Some(Dialect::OllamaChat | Dialect::OllamaGenerate) => format!("options.{name}"),
        Some(Dialect::Anthropic) if name == "stop" => "stop_sequences".to_owned(),
        _ => name.to_owned(),
    }
}

/// Writes how words are chosen.
pub(in crate::dialect) fn sampling(body: &mut Map<String, Value>, chat: &Chat, limit: &str, losses: &mut Losses) {
    let own = matches!(chat.origin, Some(Dialect::OpenAiChat | Dialect::OpenAiCompletions));
    let Sampling { max_tokens, temperature, top_p, top_k, min_p, seed, .. } = &chat.sampling;
    let mut put = |name: &str, number: &Option<Number>| {
        body.extend(number.clone().map(|number| (name.to_owned(), Value::Number(number))));
    };
    put(limit, max_tokens);
    put("temperature", temperature);
    put("top_p", top_p);
    put("seed", seed);
    put("frequency_penalty", &chat.sampling.frequency_penalty);
    put("presence_penalty", &chat.sampling.presence_penalty);
    put("n", &chat.sampling.n);
    put("top_logprobs", &chat.sampling.top_logprobs);
    for (name, number) in [("top_k", top_k), ("min_p", min_p)] {
        if own {
            put(name, number);
        } else if number.is_some() {
            losses.dropped(source(chat.origin, name), "OpenAI's API has no such setting");
        }
    }
    if let Some(wanted) = chat.sampling.logprobs {
        body.insert("logprobs".to_owned(), wanted.into());
    }
    let stop = &chat.sampling.stop;
    let stop = if own || stop.len() <= MAX_STOPS {
        &stop[..]
    } else {
        losses.approximated(source(chat.origin, "stop"), "OpenAI's API takes four stop texts");
        &stop[..MAX_STOPS]
    };
    if !stop.is_empty() {
        body.insert("stop".to_owned(), stop.into());
    }
}

/// Writes the form of the answer.
pub(super) fn format(body: &mut Map<String, Value>, chat: &Chat, habits: Habits, losses: &mut Losses) {
    let format = match &chat.format {
        None => return,
        Some(Format::Json) => json!({"type": "json_object"}),
        Some(Format::Schema { .. }) if !habits.json_schema => {
            losses.approximated("response_format", "the upstream takes no schema, so any JSON");
            json!({"type": "json_object"})
        }
        Some(Format::Schema { name, description, schema, strict }) => {
            let mut form = Map::new();
            if name.is_none() && chat.origin != Some(Dialect::OpenAiChat) {
                losses.invented("response_format.json_schema.name", "a schema needs a name");
            }
            form.insert("name".to_owned(), name.as_deref().unwrap_or("response").into());
            form.extend(description.clone().map(|text| ("description".to_owned(), text.into())));
            form.insert("schema".to_owned(), schema.clone());
            form.extend(strict.map(|strict| ("strict".to_owned(), strict.into())));
            json!({"type": "json_schema", "json_schema": form})
        }
        Some(Format::Other(form)) if chat.origin == Some(Dialect::OpenAiChat) => form.clone(),
        Some(Format::Other(_)) => {
            losses.dropped("response_format", "a form that chat completions do not have");
            return;
        }
    };
    body.insert("response_format".to_owned(), format);
}

/// Writes how the model is to think. Models of `OpenAI` that do not think refuse the field, so nothing is written for
/// what only says "as usual".
pub(super) fn thinking(body: &mut Map<String, Value>, chat: &Chat, losses: &mut Losses) {
    let Some(thinking) = &chat.thinking else { return };
    let place = match chat.origin {
        Some(Dialect::Gemini) => "generationConfig.thinkingConfig",
        Some(Dialect::OpenAiResponses) => "reasoning",
        Some(Dialect::OllamaChat | Dialect::OllamaGenerate) => "think",
        _ => "thinking",
    };
    if let Some(effort) = effort(thinking, place, losses) {
        body.insert("reasoning_effort".to_owned(), effort.into());
    }
    if thinking.show.as_deref().is_some_and(|show| !matches!(show, "omitted" | "false")) {
        let field = match chat.origin {
            Some(Dialect::Gemini) => "includeThoughts",
            Some(Dialect::OpenAiResponses) => "summary",
            _ => "display",
        };
        losses.dropped(format!("{place}.{field}"), "chat completions cannot ask for thoughts");
    }
}

/// The effort asked for, or the one nearest to a budget.
fn effort(thinking: &Thinking, place: &str, losses: &mut Losses) -> Option<String> {
    match (&thinking.effort, thinking.budget, thinking.mode) {
        (Some(effort), _, _) if effort == "max" => {
            losses.approximated(format!("{place}.effort"), "the highest effort is xhigh");
            Some("xhigh".to_owned())
        }
        (Some(effort), _, _) => Some(effort.clone()),
        (None, Some(budget), ThinkingMode::On) => {
            losses.approximated(place, "a budget of tokens became an effort");
            Some(match budget {
                0..=2048 => "low".to_owned(),
                2049..=8192 => "medium".to_owned(),
                _ => "high".to_owned(),
            })
        }
        _ => {
            losses.approximated(place, "left to the model, which may not take an effort");
            None
        }
    }
}

/// Writes the fields that no part of the model stands for: all to an upstream of the same dialect, what means the same
/// from `OpenAI`'s other dialects, of others none.
pub(in crate::dialect) fn extra(body: &mut Map<String, Value>, chat: &Chat, own: Dialect, losses: &mut Losses) {
    let kin = matches!(chat.origin, Some(Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses));
    for (name, value) in &chat.extra {
        if value.is_null() || name == "stream_options" {
            continue;
        }
        if chat.origin == Some(own) || kin && SHARED.contains(&name.as_str()) {
            body.insert(name.clone(), value.clone());
        } else if !is_nothing(value) {
            losses.dropped(name.as_str(), "the upstream's dialect has no such field");
        }
    }
}

/// Writes whether it is a stream, and asks for its usage wherever the upstream lets it: without it no one knows what a
/// stream cost.
pub(in crate::dialect) fn stream(body: &mut Map<String, Value>, chat: &Chat, options: bool, losses: &mut Losses) {
    if !chat.stream {
        return;
    }
    body.insert("stream".to_owned(), true.into());
    let asked = chat.extra.get("stream_options").and_then(Value::as_object);
    if options {
        let mut wanted = Map::from_iter([("include_usage".to_owned(), Value::Bool(true))]);
        wanted.extend(asked.cloned().unwrap_or_default());
        body.insert("stream_options".to_owned(), wanted.into());
    } else if asked.is_some() {
        losses.dropped("stream_options", "the upstream does not take it");
    }
}
