//! Messages as Gemini's turns: of the user and of the model by turns, with instructions apart.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::thinking::is_third;
use super::write::asked;
use super::{Places, contents, media, result};
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

/// What stands for a signature that a call does not have (Gemini API, "Thought signatures", on histories of other
/// models). Gemini 3 refuses calls with none.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Writes the turns of a chat.
pub(super) struct Turns<'a> {
    /// The chat.
    chat: &'a Chat,
    /// The names of its places.
    places: Places,
    /// Whether it came from Gemini's own dialect.
    ours: bool,
    /// Where each call stands among all calls, and its tool's name, by its id.
    calls: HashMap<&'a str, (usize, &'a str)>,
    /// The parts of the system's instruction.
    pub(super) system: Vec<Value>,
    /// The turns so far.
    pub(super) contents: Vec<Value>,
}

/// The parts of one turn, as they are made.
#[derive(Default)]
struct Turn {
    /// Its parts.
    parts: Vec<Value>,
    /// The seal of the text that follows.
    seal: Option<String>,
    /// The first call, and its message and part in the chat.
    call: Option<(usize, (usize, usize))>,
    /// Whether a call has a seal.
    sealed: bool,
}

// === impl Turns ===

impl<'a> Turns<'a> {
    /// Writes all messages of a chat.
    pub(super) fn write(chat: &'a Chat, losses: &mut Losses) -> Self {
        let parts = chat.messages.iter().flat_map(|message| &message.parts);
        let calls = parts.filter_map(|part| match part {
            Part::ToolCall(call) => Some((call.id.as_str(), call.name.as_str())),
            _ => None,
        });
        let calls = calls.enumerate().map(|(at, (id, name))| (id, (at, name))).collect();
        let ours = chat.origin == Some(Dialect::Gemini);
        let places = Places(chat.origin);
        let mut turns = Self { chat, places, ours, calls, system: Vec::new(), contents: Vec::new() };
        let mut from = 0;
        while let Some(message) = chat.messages.get(from) {
            let to = from + chat.messages.iter().skip(from).take_while(|other| other.role == message.role).count();
            match message.role {
                Role::System | Role::Developer => (from..to).for_each(|index| turns.instruct(index, losses)),
                Role::Tool => turns.results(from, to, losses),
                Role::User => (from..to).for_each(|index| turns.turn(index, "user", losses)),
                Role::Assistant => (from..to).for_each(|index| turns.turn(index, "model", losses)),
            }
            from = to;
        }
        turns
    }

    fn instruct(&mut self, index: usize, losses: &mut Losses) {
        let Some(message) = self.chat.messages.get(index) else { return };
        if !self.contents.is_empty() {
            losses.approximated(self.places.message(index), "instructions amid the turns go before all of them");
        }
        for name in self.beside(index, message, losses).keys() {
            losses.dropped(format!("{}.{name}", self.places.message(index)), "Gemini's instructions are parts alone");
        }
        for (position, part) in message.parts.iter().enumerate() {
            let place = self.places.part(index, position);
            match part {
                Part::Text(text) => {
                    self.text_losses(text, &place, losses);
                    self.system.push(json!({"text": text.text}));
                }
                Part::Other(part) if self.ours => self.system.push(part.clone()),
                _ => losses.dropped(place, "Gemini's instructions are text"),
            }
        }
    }

    /// Writes the results of one turn's calls in the order of the calls, since Gemini may tell two calls of one tool
    /// apart by nothing else. What they hold beside text follows all of them.
    fn results(&mut self, from: usize, to: usize, losses: &mut Losses) {
        let mut turn = Turn::default();
        let mut results = Vec::new();
        let messages = self.chat.messages.iter().enumerate().take(to).skip(from);
        let mut extra = Map::new();
        for (index, message) in messages {
            extra.extend(self.beside(index, message, losses));
            for (position, part) in message.parts.iter().enumerate() {
                match part {
                    Part::ToolResult(result) => results.push((index, position, result)),
                    part => self.part(part, (index, position), &mut turn, losses),
                }
            }
        }
        results.sort_by_key(|(_, _, result)| self.calls.get(result.id.as_str()).map_or(usize::MAX, |(at, _)| *at));
        let mut after = std::mem::take(&mut turn.parts);
        for (index, position, result) in results {
            let place = self.places.part(index, position);
            let response = self.result(result, &place, &mut after, losses);
            turn.parts.push(response);
        }
        turn.parts.append(&mut after);
        self.push("user", turn, extra, losses);
    }

    fn turn(&mut self, index: usize, role: &str, losses: &mut Losses) {
        let Some(message) = self.chat.messages.get(index) else { return };
        let extra = self.beside(index, message, losses);
        let mut turn = Turn::default();
        for (position, part) in message.parts.iter().enumerate() {
            self.part(part, (index, position), &mut turn, losses);
        }
        self.push(role, turn, extra, losses);
    }

    /// What stands beside a message's parts: put back where it came from Gemini.
    fn beside(&self, index: usize, message: &Message, losses: &mut Losses) -> Map<String, Value> {
        let place = self.places.message(index);
        if message.name.is_some() {
            losses.dropped(format!("{place}.name"), "Gemini's turns have no names");
        }
        let mut out = Map::new();
        for (name, value) in &message.extra {
            if self.ours && !name.starts_with("parts[") {
                out.insert(name.clone(), value.clone());
            } else if asked(value) {
                losses.dropped(format!("{place}.{name}"), "Gemini has no place for it here");
            }
        }
        out
    }

    /// Adds a turn, to the last one where the same side speaks.
    fn push(&mut self, role: &str, mut turn: Turn, extra: Map<String, Value>, losses: &mut Losses) {
        turn.flush_seal();
        if let Some((at, (message, part))) = turn.call.filter(|_| !turn.sealed && is_third(&self.chat.model)) {
            if let Some(part) = turn.parts.get_mut(at) {
                part["thoughtSignature"] = Value::from(NO_SIGNATURE);
            }
            let place = format!("{}.thoughtSignature", self.places.part(message, part));
            losses.invented(place, "Gemini 3 demands a signature of calls, and this one's maker gave none");
        }
        if turn.parts.is_empty() && extra.is_empty() {
            return;
        }
        let last = self.contents.last_mut().filter(|last| extra.is_empty() && last["role"] == role);
        if let Some(Value::Array(parts)) = last.and_then(|last| last.get_mut("parts")) {
            parts.append(&mut turn.parts);
            return;
        }
        let mut content = Map::new();
        content.insert("role".to_owned(), Value::from(role));
        content.insert("parts".to_owned(), Value::Array(turn.parts));
        content.extend(extra);
        self.contents.push(Value::Object(content));
    }

    fn part(&self, part: &Part, (index, position): (usize, usize), turn: &mut Turn, losses: &mut Losses) {
        let place = self.places.part(index, position);
        let made = match part {
            Part::Text(text) => {
                self.text_losses(text, &place, losses);
                if text.text.is_empty() && !self.ours {
                    return;
                }
                return turn.say(&text.text);
            }
            Part::Refusal(text) => {
                losses.approximated(place, "Gemini has no refusals: it stands as text");
                return turn.say(text);
            }
            Part::Reasoning(reasoning) => return Self::reasoning(reasoning, &place, turn, losses),
            Part::ToolCall(call) => {
                let part = self.call(call, &place, turn, losses);
                turn.push(part);
                turn.call.get_or_insert((turn.parts.len() - 1, (index, position)));
                return;
            }
            Part::ToolResult(result) => {
                let mut after = Vec::new();
                let response = self.result(result, &place, &mut after, losses);
                turn.push(response);
                turn.parts.append(&mut after);
                return;
            }
            Part::Image(media) => media::write(media, "image", self.ours, &place, losses),
            Part::Audio(media) => media::write(media, "audio", self.ours, &place, losses),
            Part::Document(media) => media::write(media, "application", self.ours, &place, losses),
            Part::Other(part) if self.ours => Some(part.clone()),
            Part::Other(_) => {
                losses.dropped(place, "a part that only its own dialect knows");
                None
            }
        };
        if let Some(part) = made {
            turn.push(part);
        }
    }

    fn text_losses(&self, text: &Text, place: &str, losses: &mut Losses) {
        if text.cache.is_some() {
            losses.dropped(format!("{place}.cache_control"), "Gemini marks no parts for its cache");
        }
        if text.citations.as_ref().is_some_and(asked) && !self.ours {
            losses.dropped(format!("{place}.citations"), "Gemini takes no citations back");
        }
    }

    fn reasoning(reasoning: &Reasoning, place: &str, turn: &mut Turn, losses: &mut Losses) {
        let seal = match &reasoning.seal {
            Some(Seal::Gemini(seal)) => Some(seal.clone()),
            Some(_) => {
                losses.dropped(format!("{place}.signature"), "sealed thoughts of another maker");
                None
            }
            None => None,
        };
        match (reasoning.text.as_str(), seal) {
            ("", None) => {}
            ("", seal) => {
                turn.flush_seal();
                turn.seal = seal;
            }
            (text, seal) => {
                let mut part = json!({"text": text, "thought": true});
                if let Some(seal) = seal {
                    part["thoughtSignature"] = Value::String(seal);
                }
                turn.push(part);
            }
        }
    }

    fn call(&self, call: &ToolCall, place: &str, turn: &mut Turn, losses: &mut Losses) -> Value {
        if call.cache.is_some() {
            losses.dropped(format!("{place}.cache_control"), "Gemini marks no parts for its cache");
        }
        let arguments = match serde_json::from_str(&call.arguments) {
            Ok(Value::Object(arguments)) => Value::Object(arguments),
            _ if call.arguments.trim().is_empty() => json!({}),
            _ => {
                losses.approximated(format!("{place}.arguments"), "not a JSON object: it stands under `arguments`");
                json!({"arguments": call.arguments})
            }
        };
        let mut body = Map::new();
        if self.ours && !contents::is_made(&call.id) {
            body.insert("id".to_owned(), Value::from(call.id.as_str()));
        }
        body.insert("name".to_owned(), Value::from(call.name.as_str()));
        body.insert("args".to_owned(), arguments);
        let mut part = json!({"functionCall": body});
        match &call.seal {
            Some(Seal::Gemini(seal)) => {
                turn.sealed = true;
                part["thoughtSignature"] = Value::from(seal.as_str());
            }
            Some(_) => losses.dropped(format!("{place}.signature"), "the seal of another maker"),
            None => {}
        }
        part
    }

    /// Writes a result. Gemini 3 has its media within it (Gemini API, "Multimodal function responses"); others get them
    /// in parts `after` it.
    fn result(&self, result: &ToolResult, place: &str, after: &mut Vec<Value>, losses: &mut Losses) -> Value {
        if result.cache.is_some() {
            losses.dropped(format!("{place}.cache_control"), "Gemini marks no parts for its cache");
        }
        let within = self.ours || is_third(&self.chat.model);
        let mut turn = Turn::default();
        let mut text = String::new();
        for (position, part) in result.parts.iter().enumerate() {
            let place = format!("{place}.content[{position}]");
            match part {
                Part::Text(part) => {
                    self.text_losses(part, &place, losses);
                    if !text.is_empty() && !part.text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(&part.text);
                }
                Part::Image(media) => turn.parts.extend(media::write(media, "image", self.ours, &place, losses)),
                Part::Audio(media) => turn.parts.extend(media::write(media, "audio", self.ours, &place, losses)),
                Part::Document(media) => {
                    turn.parts.extend(media::write(media, "application", self.ours, &place, losses));
                }
                Part::Other(part) if self.ours => turn.parts.push(part.clone()),
                _ => losses.dropped(place, "Gemini's results hold text and media"),
            }
        }
        let mut body = Map::new();
        if self.ours && !contents::is_made(&result.id) {
            body.insert("id".to_owned(), Value::from(result.id.as_str()));
        }
        let name = self.calls.get(result.id.as_str()).map(|(_, name)| *name).or(result.name.as_deref());
        if name.is_none() {
            losses.invented(format!("{place}.name"), "the tool's name is not known: no call has this id");
        }
        body.insert("name".to_owned(), Value::from(name.unwrap_or("unknown")));
        body.insert("response".to_owned(), result::payload(&text, result.failed));
        if within && !turn.parts.is_empty() {
            body.insert("parts".to_owned(), Value::Array(turn.parts));
        } else if !turn.parts.is_empty() {
            losses.approximated(place, "what a result holds beside text stands after it");
            after.append(&mut turn.parts);
        }
        json!({"functionResponse": body})
    }
}

// === impl Turn ===

impl Turn {
    fn say(&mut self, text: &str) {
        let mut part = json!({"text": text});
        if let Some(seal) = self.seal.take() {
            part["thoughtSignature"] = Value::String(seal);
        }
        self.parts.push(part);
    }

    /// Adds a part that is no text; a seal that waits for a text gets an empty one.
    fn push(&mut self, part: Value) {
        self.flush_seal();
        self.parts.push(part);
    }

    fn flush_seal(&mut self) {
        if let Some(seal) = self.seal.take() {
            self.parts.push(json!({"text": "", "thoughtSignature": seal}));
        }
    }
}
