//! Writes the conversation: the system field, and turns that alternate as Anthropic demands.

use serde_json::{Map, Value, json};

use super::blocks::{is_of_block, rest_of};
use super::parts::{Place, Scribe, asked, content};
use crate::dialect::chat::{Message, Role};

/// What stands where a conversation must begin with the user but does not.
const OPENING: &str = "Continue.";

/// The conversation as Anthropic takes it.
#[derive(Default)]
pub(super) struct Turns {
    /// The blocks of the system field.
    pub(super) system: Vec<Value>,
    /// The turns.
    turns: Vec<Turn>,
}

/// One turn, of one or several messages.
struct Turn {
    /// Its role's name.
    role: &'static str,
    /// Tool results, which must come first.
    results: Vec<Value>,
    /// All other blocks.
    blocks: Vec<Value>,
    /// Fields besides role and content.
    extra: Map<String, Value>,
}

// === impl Turns ===

impl Turns {
    /// Writes messages as turns.
    pub(super) fn of(messages: &[Message], scribe: &mut Scribe<'_>) -> Self {
        let mut turns = Self::default();
        let mut begun = false;
        for (index, message) in messages.iter().enumerate() {
            let system = matches!(message.role, Role::System | Role::Developer);
            begun |= !system;
            turns.add(index, message, system && !(begun && scribe.same), begun, scribe);
        }
        if !scribe.same {
            turns.open(scribe);
            turns.trim_end(messages.len().saturating_sub(1), scribe);
        }
        turns
    }

    /// Adds a message to the system field, to the last turn if that is of the same role, or as a new turn.
    fn add(&mut self, index: usize, message: &Message, in_system: bool, begun: bool, scribe: &mut Scribe<'_>) {
        let mut turn = Turn { role: role(message.role), results: Vec::new(), blocks: Vec::new(), extra: Map::new() };
        for (number, part) in message.parts.iter().enumerate() {
            let rest = if scribe.same { rest_of(&message.extra, number) } else { Map::new() };
            let place = Place::new(scribe.paths, index, number);
            let Some(block) = scribe.part(message.role, place, part, &rest) else {
                continue;
            };
            let is_result = block.get("type").is_some_and(|kind| kind == "tool_result");
            if is_result { turn.results.push(block) } else { turn.blocks.push(block) }
        }
        fields(index, message, &mut turn, scribe);
        if in_system {
            if begun && !turn.blocks.is_empty() {
                scribe.losses.approximated(scribe.paths.message(index), "instructions stand before the conversation");
            }
            self.system.append(&mut turn.blocks);
        } else if !(turn.results.is_empty() && turn.blocks.is_empty()) {
            self.push(turn);
        }
    }

    /// Adds a turn; two of the same role become one, as Anthropic reads them anyway.
    fn push(&mut self, mut turn: Turn) {
        match self.turns.last_mut() {
            Some(last) if last.role == turn.role => {
                last.results.append(&mut turn.results);
                last.blocks.append(&mut turn.blocks);
                last.extra.extend(turn.extra);
            }
            _ => self.turns.push(turn),
        }
    }

    /// The user must begin.
    fn open(&mut self, scribe: &mut Scribe<'_>) {
        if self.turns.first().is_none_or(|turn| turn.role != "user") {
            scribe.losses.invented(scribe.paths.message(0), "the user must begin");
            let opening = json!({"type": "text", "text": OPENING});
            let turn = Turn { role: "user", results: Vec::new(), blocks: vec![opening], extra: Map::new() };
            self.turns.insert(0, turn);
        }
    }

    /// Words that the model is to go on from must not end in a blank.
    fn trim_end(&mut self, index: usize, scribe: &mut Scribe<'_>) {
        let last = self.turns.last_mut().filter(|turn| turn.role == "assistant");
        let block = last.and_then(|turn| turn.blocks.last_mut()).and_then(|block| block.get_mut("text"));
        if let Some(Value::String(text)) = block {
            let end = text.trim_end().len();
            if end < text.len() {
                text.truncate(end);
                let path = format!("{}.content", scribe.paths.message(index));
                scribe.losses.approximated(path, "the answer's beginning must not end in blanks");
            }
        }
    }

    /// Whether the last turn gives tool results to a turn of the model that does not begin with its thoughts: with a
    /// budget for thinking Anthropic refuses that.
    pub(super) fn tool_turn_without_thoughts(&self) -> bool {
        let [.., asked, answered] = self.turns.as_slice() else {
            return false;
        };
        let first = asked.blocks.first().and_then(|block| block.get("type")).and_then(Value::as_str);
        !answered.results.is_empty() && !matches!(first, Some("thinking" | "redacted_thinking"))
    }

    /// The system field, if there is anything in it.
    pub(super) fn system(&mut self) -> Option<Value> {
        let blocks = std::mem::take(&mut self.system);
        (!blocks.is_empty()).then(|| content(blocks))
    }

    /// The `messages` field.
    pub(super) fn messages(self) -> Value {
        self.turns.into_iter().map(Turn::into_value).collect()
    }
}

// === impl Turn ===

impl Turn {
    fn into_value(mut self) -> Value {
        self.results.append(&mut self.blocks);
        let mut turn = Map::new();
        turn.insert("role".to_owned(), json!(self.role));
        turn.insert("content".to_owned(), content(self.results));
        turn.extend(self.extra);
        Value::Object(turn)
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

/// A message's name and other fields.
fn fields(index: usize, message: &Message, turn: &mut Turn, scribe: &mut Scribe<'_>) {
    let path = scribe.paths.message(index);
    if message.name.is_some() {
        scribe.losses.dropped(format!("{path}.name"), "speakers have no names");
    }
    for (name, value) in &message.extra {
        if !scribe.same {
            if asked(value) {
                scribe.losses.dropped(format!("{path}.{name}"), "only its own dialect knows it");
            }
        } else if !is_of_block(name) {
            turn.extra.insert(name.clone(), value.clone());
        }
    }
}
