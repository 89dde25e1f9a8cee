//! What an error says, in whichever shape it came: no two makers agree on one.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

/// What was found in an error.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    /// The words for a person.
    pub(super) message: Cow<'a, str>,
    /// Words for a program, the most telling first: codes, reasons, types.
    pub(super) labels: Vec<&'a str>,
    /// A status that the body itself names.
    pub(super) number: Option<u16>,
    /// The parameter at fault.
    pub(super) param: Option<Cow<'a, str>>,
    /// What is used up comes back with the next day: waiting a little does not help.
    pub(super) for_the_day: bool,
}

/// Labels that say no more than the status does.
const VAGUE: [&str; 6] =
    ["error", "invalid_request_error", "api_error", "server_error", "invalid_argument", "upstream_error"];

// === impl Said ===

impl<'a> Said<'a> {
    /// Words for a person and nothing else.
    pub(super) fn of_text(text: &'a str) -> Self {
        Self { message: Cow::Borrowed(text.trim()), ..Self::default() }
    }

    /// What a JSON body says.
    pub(super) fn of(value: &'a Value) -> Self {
        let mut said = Self::default();
        match value {
            Value::Object(map) => said.body(map),
            Value::String(text) => said.message = Cow::Borrowed(text),
            Value::Array(items) => said.list(items),
            _ => {}
        }
        if said.message.trim().is_empty() {
            let label = said.code().map(|label| format!("the upstream says only: {label}"));
            said.message = Cow::Owned(label.unwrap_or_else(|| "the upstream failed without saying why".to_owned()));
        }
        said
    }

    /// The label that stands for the error's code: the first that says more than the status.
    pub(super) fn code(&self) -> Option<&'a str> {
        let vague = |label: &str| VAGUE.iter().any(|vague| label.eq_ignore_ascii_case(vague));
        self.labels.iter().copied().find(|label| !vague(label))
    }

    /// A list: Gemini's stream of one array holds error bodies, Hugging Face's the texts themselves.
    fn list(&mut self, items: &'a [Value]) {
        match items.first() {
            Some(Value::Object(map)) if map.contains_key("error") => self.body(map),
            _ => self.message = joined(items),
        }
    }

    /// The object of a whole body. An `error` that is an object says all; beside one that is a text its code stands
    /// outside (xAI).
    fn body(&mut self, map: &'a Map<String, Value>) {
        match map.get("error").or_else(|| map.get("response")?.get("error")) {
            Some(Value::Object(inner)) => {
                self.object(inner);
                // Ollama's cloud writes the status beside the error.
                return self.number(map.get("status_code"));
            }
            Some(Value::String(text)) => self.message = Cow::Borrowed(text),
            Some(Value::Array(items)) => self.message = joined(items),
            _ => {}
        }
        self.object(map);
    }

    /// The fields of the error itself, wherever they stand. What was found before stays.
    fn object(&mut self, map: &'a Map<String, Value>) {
        self.number(map.get("code"));
        self.number(map.get("status"));
        self.number(map.get("status_code"));
        self.details(map.get("details"));
        for name in ["code", "error_type", "error_code", "__type", "status", "type"] {
            self.label(map.get(name));
        }
        self.label(map.get("innererror").and_then(|inner| inner.get("code")));
        for name in ["message", "Message", "detail", "msg", "error_message", "errors"] {
            self.message(map.get(name));
        }
        self.behind(map.get("metadata"));
        if let Some(param) = map.get("param").and_then(Value::as_str).filter(|param| !param.is_empty()) {
            self.param.get_or_insert(Cow::Borrowed(param));
        }
    }

    fn number(&mut self, value: Option<&Value>) {
        let number = value.and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok());
        self.number = self.number.or(number.filter(|number| (400..600).contains(number)));
    }

    fn label(&mut self, value: Option<&'a Value>) {
        let Some(label) = value.and_then(Value::as_str) else { return };
        // AWS puts a namespace before and a link behind the name of the exception.
        let label = label.rsplit('#').next().unwrap_or(label);
        let label = label.split_once(":http").map_or(label, |(name, _)| name);
        if label.bytes().all(|byte| byte.is_ascii_digit()) {
            // Azure writes the status as text.
            self.number = self.number.or(label.parse().ok().filter(|number| (400..600).contains(number)));
        } else if !self.labels.contains(&label) {
            self.labels.push(label);
        }
    }

    fn message(&mut self, value: Option<&'a Value>) {
        if !self.message.is_empty() {
            return;
        }
        match value {
            Some(Value::String(text)) => self.message = Cow::Borrowed(text),
            Some(Value::Array(items)) => {
                self.message = joined(items);
                self.param = self.param.take().or_else(|| items.iter().find_map(place).map(Cow::Owned));
            }
            Some(Value::Object(map)) => self.object(map),
            _ => {}
        }
    }

    /// Google's list of details: the reason tells more than the status beside it.
    fn details(&mut self, details: Option<&'a Value>) {
        for detail in details.and_then(Value::as_array).into_iter().flatten() {
            self.label(detail.get("reason"));
            let field = detail.get("fieldViolations").and_then(|fields| fields.get(0)?.get("field")?.as_str());
            if let Some(field) = field {
                self.param.get_or_insert(Cow::Borrowed(field));
            }
            let mut violations = detail.get("violations").and_then(Value::as_array).into_iter().flatten();
            self.for_the_day |= violations.any(|violation| {
                violation.get("quotaId").and_then(Value::as_str).is_some_and(|id| id.contains("PerDay"))
            });
        }
    }

    /// `OpenRouter` says that another failed and puts that one's words in `metadata.raw`.
    fn behind(&mut self, metadata: Option<&'a Value>) {
        let Some(raw) = metadata.and_then(|metadata| metadata.get("raw")?.as_str()) else { return };
        let inner = serde_json::from_str::<Value>(raw).ok();
        let words = inner.as_ref().map_or(Cow::Borrowed(raw), |inner| Cow::Owned(Said::of(inner).message.into_owned()));
        let message = std::mem::take(&mut self.message);
        self.message = if message.is_empty() { words } else { Cow::Owned(format!("{message}: {words}")) };
    }
}

/// The texts of a list, each with the place it names (`FastAPI`'s `{loc, msg}`, which Mistral and `vLLM` send).
fn joined(items: &[Value]) -> Cow<'_, str> {
    let texts: Vec<Cow<'_, str>> = items.iter().filter_map(text).collect();
    match <[Cow<'_, str>; 1]>::try_from(texts) {
        Ok([text]) => text,
        Err(texts) => Cow::Owned(texts.join("; ")),
    }
}

fn text(item: &Value) -> Option<Cow<'_, str>> {
    if let Some(text) = item.as_str() {
        return Some(Cow::Borrowed(text));
    }
    let words = item.get("msg").or_else(|| item.get("message"))?.as_str()?;
    Some(place(item).map_or(Cow::Borrowed(words), |place| Cow::Owned(format!("{place}: {words}"))))
}

/// `FastAPI`'s `loc`, without the word that it lies in the body.
fn place(item: &Value) -> Option<String> {
    let steps = item.get("loc")?.as_array()?;
    let steps = steps.iter().filter(|step| step.as_str() != Some("body")).map(|step| match step {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    });
    Some(steps.collect::<Vec<_>>().join(".")).filter(|place| !place.is_empty())
}

/// How long the body of an error asks to wait: Google's `RetryInfo` (`"34.07s"`), for the response that has no
/// `Retry-After`.
pub fn retry_after(body: &[u8]) -> Option<Duration> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let error = value.get("error").or_else(|| value.get(0)?.get("error"))?;
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
}
