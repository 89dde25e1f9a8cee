//! What holds several parts, an event or an answer that is not streamed: `on_event` sees each part by itself, and all
//! edits go into one document.

use std::sync::Arc;

use bytes::Bytes;
use mlua::{AnyUserData, Value};
use parking_lot::Mutex;

use super::with;
use crate::dialect::Dialect;
use crate::dialect::view::{self, Gone, Memory, Part};
use crate::json::Doc;
use crate::policy::answer::Made;
use crate::policy::api::answer::Drop as DropEvent;
use crate::policy::api::event::{Ev, Pieces, Slot};
use crate::policy::failure::Failure;
use crate::policy::hook::Hook;
use crate::policy::run::Run;
use crate::stream::{Event, Wire};

/// A hook's call on the first part: its object, what came of it, and the event as it was before.
type First = (AnyUserData, Result<Value, Failure>, Event);

// === impl Run: pieces ===

impl Run {
    /// Lets policies edit the parts of an answer that is not streamed, bottom to top; the body to send if any was edited.
    /// Where a policy fails, the part passes as it came to it.
    pub fn on_whole(&mut self, dialect: Dialect, body: &Bytes) -> Option<Bytes> {
        let mut now = body.clone();
        for mount in self.mounts(Hook::OnEvent) {
            // A line of NDJSON carries its data to the byte.
            let event = Event::new(Wire::Ndjson, None, now.clone());
            if let Some(pieces) = self.look(dialect, event, true) {
                let at = self.stream_policy(mount);
                now = self.all_pieces(mount, at, pieces, None).data().clone();
            }
        }
        (now != *body).then_some(now)
    }

    /// The parts of an event's data; nothing when it is not JSON.
    fn look(&self, dialect: Dialect, event: Event, whole: bool) -> Option<Pieces> {
        let mut doc = Doc::parse(event.data().clone(), self.set.limits.json).ok()?;
        let mut parts =
            if whole { view::whole(dialect, &mut doc) } else { view::event(dialect, event.name(), &mut doc) };
        Memory::default().complete(dialect, &mut parts);
        Some(Pieces { event, doc: Arc::new(Mutex::new(doc)), parts: Arc::new(parts), whole })
    }

    /// Shows all parts to one policy; returns the event with its edits. The first may have been shown already.
    pub(super) fn all_pieces(
        &mut self,
        mount: usize,
        at: usize,
        mut pieces: Pieces,
        mut first: Option<First>,
    ) -> Event {
        let mut dropped = Vec::new();
        for number in 0..pieces.parts.len() {
            let (object, result) = match first.take() {
                Some((object, result, event)) => {
                    if result.is_err() {
                        pieces.event = event;
                    }
                    (object, result)
                }
                None => match self.one_piece(mount, at, &pieces, number) {
                    Some(asked) => asked,
                    None => break,
                },
            };
            match result.and_then(|value| self.conclude(mount, &object, value)) {
                Ok(true) => dropped.push(number),
                Ok(false) => {}
                Err(failure) => {
                    self.failed_on_stream(mount, at, &failure);
                    self.put_back(&mut pieces, &object);
                }
            }
        }
        let mut doc = pieces.doc.lock();
        let gone: Vec<Gone> = dropped.iter().filter_map(|at| pieces.parts.get(*at)).flat_map(Part::gone).collect();
        view::leave_out(&mut doc, &gone);
        if doc.edited() {
            if let Some(dialect) = self.state.facts.dialect.filter(|_| pieces.whole) {
                view::mend(dialect, &mut doc);
            }
            pieces.event.set_data(doc.render());
        }
        drop(doc);
        pieces.event
    }

    /// Shows one part to a policy; nothing once the policy used up its time.
    fn one_piece(
        &mut self,
        mount: usize,
        at: usize,
        pieces: &Pieces,
        number: usize,
    ) -> Option<(AnyUserData, Result<Value, Failure>)> {
        let (frame, ground) = self.still_on(at)?;
        match self.object(Ev::piece(pieces, number, &ground)) {
            Ok(object) => {
                let result = self.ask(mount, &frame, &object);
                Some((object, result))
            }
            Err(failure) => {
                self.failed_on_stream(mount, at, &failure);
                None
            }
        }
    }

    /// Undoes what a hook that failed may have done to the document itself.
    fn put_back(&self, pieces: &mut Pieces, object: &AnyUserData) {
        let before = object.borrow::<Ev>().ok().and_then(|ev| ev.before());
        let (Some(before), Some(dialect)) = (before, self.state.facts.dialect) else { return };
        let mut event = pieces.event.clone();
        event.set_data(before);
        if let Some(again) = self.look(dialect, event, pieces.whole) {
            *pieces = again;
        }
    }

    /// Makes edits of what a hook did to a part; whether the part is to be left out when all were shown.
    fn conclude(&mut self, mount: usize, object: &AnyUserData, value: Value) -> Result<bool, Failure> {
        match value {
            Value::Nil => with(object, |ev| ev.commit().map(|()| false)),
            Value::UserData(answer) if answer.is::<DropEvent>() => Ok(true),
            value => {
                let texts = self.reading(mount, |reading| {
                    let items = reading.list(&value)?;
                    let made = items.into_iter().map(|item| match &item {
                        Value::UserData(item) if item == object => Ok(None),
                        _ => match reading.event(item)? {
                            Made::Text(text) => Ok(Some((Slot::Text, text))),
                            Made::Reasoning(text) => Ok(Some((Slot::Reasoning, text))),
                            Made::Data(..) => Err(reading.misuse(
                                "returned data for one of several parts of an answer; only { text = } and { reasoning = } can take its place",
                            )),
                        },
                    });
                    made.collect::<Result<Vec<_>, _>>()
                })?;
                if texts.is_empty() {
                    return Ok(true);
                }
                with(object, |ev| {
                    join(ev, &texts)?;
                    ev.commit().map(|()| false)
                })
            }
        }
    }
}

/// Sets the texts of a part to what a list of pieces says in a row; nothing in the list stands for the part itself.
fn join(ev: &mut Ev, texts: &[Option<(Slot, String)>]) -> mlua::Result<()> {
    for slot in [Slot::Text, Slot::Reasoning] {
        let said = ev.said(slot);
        if !texts.iter().flatten().any(|(of, _)| *of == slot) && (said.is_none() || texts.contains(&None)) {
            continue;
        }
        let mut all = String::new();
        for piece in texts {
            match piece {
                None => all.push_str(said.as_deref().unwrap_or_default()),
                Some((of, text)) if *of == slot => all.push_str(text),
                Some(_) => {}
            }
        }
        ev.assign(slot, all)?;
    }
    Ok(())
}
