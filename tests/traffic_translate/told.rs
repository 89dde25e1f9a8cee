//! What an answer or a request says, in a form that can be compared across dialects.

use serde_json::Value;
use tidegate::dialect::Dialect;
use tidegate::dialect::chat::{Chat, Part, Role, Tool};
use tidegate::dialect::event::{Event, EventKind, Stop};

/// What the first answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// Its text, and what it says instead when it declines.
    pub(crate) text: String,
    /// Names and arguments of calls.
    pub(crate) calls: Vec<(String, Value)>,
    /// Why it ended.
    pub(crate) stop: Option<&'static str>,
    /// Tokens read and written.
    pub(crate) usage: Option<(u64, u64)>,
    /// Whether it failed.
    pub(crate) failed: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// The model.
    pub(crate) model: String,
    /// The instructions.
    system: String,
    /// The person's words.
    user: String,
    /// The model's words.
    assistant: String,
    /// Names and arguments of calls.
    calls: Vec<(String, Value)>,
    /// What tools gave, as text.
    results: Vec<String>,
    /// Names of functions.
    tools: Vec<String>,
}

// === impl Told ===

impl Told {
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut told = Self::default();
        let mut blocks: Vec<(u32, String, String)> = Vec::new();
        for event in events.iter().filter(|event| event.choice == 0) {
            match &event.kind {
                EventKind::Text { text, .. } | EventKind::Refusal { text, .. } => told.text += text,
                EventKind::ToolStart { block, name, .. } => blocks.push((*block, name.clone(), String::new())),
                EventKind::ToolArgs { block, json } => {
                    blocks.iter_mut().find(|(known, ..)| known == block).unwrap().2 += json;
                }
                EventKind::Stop(stop) => told.stop = Some(word(stop)),
                EventKind::Usage(usage) => told.usage = Some((usage.input, usage.output)),
                EventKind::Failed(_) => told.failed = true,
                _ => {}
            }
        }
        told.calls = blocks.into_iter().map(|(_, name, arguments)| (name, arguments_of(&arguments))).collect();
        told
    }

    /// What another dialect must say too.
    pub(crate) fn in_words_of(mut self, dialect: Dialect) -> Self {
        self.usage = self.usage.filter(|usage| *usage != (0, 0) && !self.failed);
        self.stop = self.stop.filter(|_| !self.failed);
        // Ollama has no word for what was held back, completions none for who declines.
        let wordless = [Dialect::OpenAiCompletions, Dialect::OllamaChat, Dialect::OllamaGenerate];
        if wordless.contains(&dialect) && self.stop == Some("filter") {
            self.stop = Some("end");
        }
        // Arguments that were cut off are no object, as some dialects demand.
        let broken = |arguments: &Value| {
            arguments.is_string()
                || ["_raw", "arguments"].iter().any(|name| arguments.get(name).is_some_and(Value::is_string))
        };
        for (_, arguments) in self.calls.iter_mut().filter(|(_, arguments)| broken(arguments)) {
            *arguments = Value::Null;
        }
        self
    }
}

/// Reasons that some dialects have no word for count as the one they are told by.
fn word(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Pause | Stop::Other(_) => "end",
        Stop::Length => "length",
        Stop::Tool => "tool",
        Stop::Filter | Stop::Refusal => "filter",
    }
}

/// Arguments as JSON; what is none, such as one that was cut off, as the text it is.
fn arguments_of(text: &str) -> Value {
    let text = if text.is_empty() { "{}" } else { text };
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

// === impl Asked ===

impl Asked {
    pub(crate) fn of(chat: &Chat) -> Self {
        let words = |roles: &[Role]| {
            let messages = chat.messages.iter().filter(|message| roles.contains(&message.role));
            messages.map(tidegate::dialect::chat::Message::text).collect()
        };
        let parts = || chat.messages.iter().flat_map(|message| &message.parts);
        let mut asked = Self {
            model: chat.model.clone(),
            system: words(&[Role::System, Role::Developer]),
            user: words(&[Role::User]),
            assistant: words(&[Role::Assistant]),
            calls: Vec::new(),
            results: Vec::new(),
            tools: Vec::new(),
        };
        for part in parts() {
            match part {
                Part::ToolCall(call) => asked.calls.push((call.name.clone(), arguments_of(&call.arguments))),
                Part::ToolResult(result) => asked.results.push(result.parts.iter().filter_map(Part::text).collect()),
                _ => {}
            }
        }
        asked.tools.extend(chat.tools.iter().filter_map(|tool| match tool {
            Tool::Function(function) => Some(function.name.clone()),
            Tool::Server(_) => None,
        }));
        asked
    }

    /// Asserts that another dialect asks the same. It may add to the instructions what it has no field for, and words where
    /// it demands them; lines between texts that it joins are its own.
    pub(crate) fn is_in(&self, left: &Self, dialect: Dialect, what: &str) {
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        // Where nobody but the system speaks, Gemini takes its words for the person's.
        let system = if left.system.is_empty() { &left.user } else { &left.system };
        for (ours, theirs) in [(&self.system, system), (&self.user, &left.user)] {
            assert!(squeezed(theirs).starts_with(&squeezed(ours)), "{what}: {ours} became {theirs}");
        }
        let model = if dialect == Dialect::Gemini { self.model.trim_start_matches("models/") } else { &self.model };
        assert_eq!(model, left.model, "{what}");
        assert_eq!((&self.assistant, &self.calls, &self.tools), (&left.assistant, &left.calls, &left.tools), "{what}");
        assert_eq!(self.results.len(), left.results.len(), "{what}");
        for (ours, theirs) in self.results.iter().zip(&left.results) {
            // Gemini carries results as objects.
            let same = squeezed(ours) == squeezed(theirs) || arguments_of(ours) == arguments_of(theirs);
            assert!(same, "{what}: {ours} became {theirs}");
        }
    }
}
