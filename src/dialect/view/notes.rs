//! The parts that are being found: what each dialect's reading has in common.

use super::place::{Args, Gone, Place, Text};
use super::{Failed, Kind, Part, Tool, Usage, walk};
use crate::dialect::event::Stop;
use crate::json::{Doc, Item, NodeId};

/// A reading of one event or answer.
pub(super) struct Notes<'d> {
    /// Its JSON.
    pub(super) doc: &'d mut Doc,
    /// Whether it is a whole answer, in which each thing is a part of its own.
    pub(super) whole: bool,
    parts: Vec<Part>,
}

// === impl Notes ===

impl<'d> Notes<'d> {
    /// Nothing found yet.
    pub(super) fn new(doc: &'d mut Doc, whole: bool) -> Self {
        Self { doc, whole, parts: Vec::new() }
    }

    /// What was found.
    pub(super) fn parts(self) -> Vec<Part> {
        self.parts
    }

    /// Puts something into the last part, or into a new one where it is of another choice or has one of the kind.
    fn put(&mut self, choice: Option<u32>, taken: impl Fn(&Part) -> bool, write: impl FnOnce(&mut Part)) {
        let last = self.parts.last().filter(|_| !self.whole);
        if last.is_none_or(|part| choice.is_some_and(|choice| choice != part.choice) || taken(part)) {
            self.parts.push(Part { choice: choice.unwrap_or_default(), ..Part::default() });
        }
        if let Some(part) = self.parts.last_mut() {
            write(part);
        }
    }

    /// Notes the text at a key, if there is one: of the answer, a refusal or, as [`Kind::Reasoning`], thoughts.
    pub(super) fn text(&mut self, choice: u32, kind: Kind, place: Place, copies: Vec<Place>, gone: Option<Gone>) {
        let Some(blank) = walk::blank(self.doc, place.node, place.key) else { return };
        let gone = gone.unwrap_or_else(|| Gone::Emptied([&[place], &copies[..]].concat()));
        let text = Some(Text { place, copies, gone });
        if kind == Kind::Reasoning {
            let taken = |part: &Part| part.reasoning.is_some() || part.speaks() && !blank;
            self.put(Some(choice), taken, |part| part.name(kind, blank).reasoning = text);
        } else {
            let taken = |part: &Part| part.text.is_some() || part.speaks() && !blank;
            self.put(Some(choice), taken, |part| part.name(kind, blank).text = text);
        }
    }

    /// Notes a tool call, or a piece of one.
    pub(super) fn tool(&mut self, choice: u32, tool: Tool) {
        let put = |part: &mut Part| part.name(Kind::Tool, false).tool = Some(tool);
        self.put(Some(choice), Part::speaks, put);
    }

    /// Notes what was used, if the object says anything of it. `strip` is what says so.
    pub(super) fn usage(&mut self, usage: Option<Usage>, strip: &[(Place, Option<&'static str>)]) {
        if let Some(usage) = usage {
            let put = |part: &mut Part| {
                part.name(Kind::Usage, false).usage = Some(usage);
                part.strip.extend_from_slice(strip);
            };
            self.put(None, |_| false, put);
        }
    }

    /// Notes why an answer ended. `strip` is what says so.
    pub(super) fn stop(&mut self, choice: u32, stop: Stop, strip: &[(Place, Option<&'static str>)]) {
        let put = |part: &mut Part| {
            part.name(Kind::Stop, false).stop = Some(stop);
            part.strip.extend_from_slice(strip);
        };
        self.put(Some(choice), |part| part.stop.is_some(), put);
    }

    /// Notes something that has no field of its own. Whole answers have only parts with fields.
    pub(super) fn only(&mut self, choice: Option<u32>, kind: Kind) {
        if !self.whole {
            self.put(
                choice,
                |_| false,
                |part| {
                    part.name(kind, false);
                },
            );
        }
    }

    /// Notes the error at the key `error`, or in `root` itself when it `is_error` altogether; whether there is one.
    pub(super) fn failed(&mut self, root: NodeId, is_error: bool) -> bool {
        let node = match self.doc.get(root, "error") {
            Ok(Some(Item::Object(node))) => node,
            Ok(Some(Item::String(message))) => {
                let message = message.into_owned();
                let kind = walk::word(self.doc, root, "code");
                self.fail(Failed { message, kind });
                return true;
            }
            _ if is_error => root,
            _ => return false,
        };
        let kind = ["type", "code", "status"].into_iter().find_map(|key| match self.doc.get(node, key) {
            Ok(Some(Item::String(word))) if word != "error" => Some(word.into_owned()),
            Ok(Some(Item::Number(digits))) => Some(digits.to_owned()),
            _ => None,
        });
        let message = walk::word(self.doc, node, "message").unwrap_or_default();
        self.fail(Failed { message, kind });
        true
    }

    fn fail(&mut self, failed: Failed) {
        self.put(None, |_| false, |part| part.name(Kind::Error, false).error = Some(failed));
    }

    /// The arguments at a key: a string, or JSON that says something. An empty object is where others have no
    /// arguments yet, unless it is `all` of them.
    pub(super) fn args(&mut self, node: NodeId, key: &'static str, all: bool) -> Option<Args> {
        let place = Place { node, key };
        if walk::blank(self.doc, node, key).is_some() {
            return Some(Args { place, json: false });
        }
        let args = walk::object(self.doc, node, key)?;
        (all || !self.doc.is_empty(args).unwrap_or(true)).then_some(Args { place, json: true })
    }

    /// The place of a tool's name, if it is there and says something.
    pub(super) fn name(&mut self, node: NodeId, key: &'static str) -> Option<Place> {
        (walk::blank(self.doc, node, key) == Some(false)).then_some(Place { node, key })
    }
}

// === impl Part ===

impl Part {
    /// Whether it says something of the answer: then what else is said is another part, as it can be left out alone.
    fn speaks(&self) -> bool {
        self.weight >= Kind::Tool as u8 + 2
    }

    /// Notes what else the part is; something that says nothing is what it is least.
    fn name(&mut self, kind: Kind, blank: bool) -> &mut Self {
        let weight = if blank { 1 } else { kind as u8 + 2 };
        if weight > self.weight {
            self.weight = weight;
            self.kind = kind;
        }
        self
    }
}
