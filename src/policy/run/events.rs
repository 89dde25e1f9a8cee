//! Events through `on_event` and `on_stream_end`: synchronous, and never in the way of the stream.

use std::sync::Arc;

use mlua::{AnyUserData, Value};
use parking_lot::Mutex;

use super::Run;
use super::call::{at_once, report};
use crate::dialect::view::Memory;
use crate::dialect::view::echo::Echo;
use crate::policy::answer::{Made, Reading};
use crate::policy::api::answer::Drop as DropEvent;
use crate::policy::api::event::{Ev, Ground, Slot};
use crate::policy::burst::Frame;
use crate::policy::failure::{Cause, Failure};
use crate::policy::hook::Hook;
use crate::stream::{Event, Wire};

mod pieces;

/// A stream as its policies have met it so far.
#[derive(Default)]
pub(super) struct Stream {
    /// By policy; the call counts the time of all events together.
    policies: Vec<(usize, PerPolicy)>,
    /// Whether an event came.
    begun: bool,
    /// How often a hook was asked about one.
    asked: u64,
    /// What keeps its repeats in step with edits, where its dialect repeats itself.
    echo: Option<Echo>,
}

/// One policy on a stream.
struct PerPolicy {
    frame: Arc<Frame>,
    /// What gives its events their meaning.
    ground: Arc<Ground>,
    /// Whether it failed before: only the first failure is reported.
    failed: bool,
    /// Whether it used up its time: it sees no more events of this stream.
    off: bool,
}

// === impl Run: events ===

impl Run {
    /// Lets policies edit an event, bottom to top; returns what to send in its place. Where a policy fails, the event passes
    /// as it came to it.
    pub fn on_event(&mut self, event: Event) -> Vec<Event> {
        if !std::mem::replace(&mut self.stream.begun, true) {
            self.stream.echo = self.state.facts.dialect.and_then(|dialect| Echo::of(dialect, self.set.limits.json));
        }
        let Some(mut echo) = self.stream.echo.take() else { return self.through(event) };
        let mut events = Vec::new();
        if let Some(event) = echo.before(event) {
            events = self.through(event.clone());
            echo.after(&event, &mut events);
        }
        self.stream.echo = Some(echo);
        events
    }

    fn through(&mut self, event: Event) -> Vec<Event> {
        let mut events = vec![event];
        for mount in self.mounts(Hook::OnEvent) {
            let mut next = Vec::with_capacity(events.len());
            for event in events {
                self.one(mount, event, &mut next);
            }
            events = next;
        }
        events
    }

    /// Asks policies for more events at the end of a stream, bottom to top; `reason` says how it ended.
    pub fn on_stream_end(&mut self, reason: &str, wire: Wire) -> Vec<Event> {
        let mut events = Vec::new();
        for mount in self.mounts(Hook::OnStreamEnd) {
            let args = self.vm().and_then(|vm| {
                let end = vm.lua.create_table_from([("reason", reason)])?;
                Ok(vec![Value::Table(end)])
            });
            let result = self.call_now(Hook::OnStreamEnd, mount, args);
            let added = self.read(Hook::OnStreamEnd, mount, result, |reading, value| match value {
                Value::Nil => Ok(Vec::new()),
                value => made(reading, wire, &value, None),
            });
            events.extend(self.judge(Hook::OnStreamEnd, mount, added).ok().flatten().unwrap_or_default());
        }
        events
    }

    /// Whether a policy failed on this stream.
    pub fn stream_marked(&self) -> bool {
        self.stream.policies.iter().any(|(_, policy)| policy.failed)
    }

    fn one(&mut self, mount: usize, event: Event, out: &mut Vec<Event>) {
        let at = self.stream_policy(mount);
        let Some((frame, ground)) = self.still_on(at) else { return out.push(event) };
        let object = match self.object(Ev::new(event.clone(), &ground)) {
            Ok(object) => object,
            Err(failure) => {
                self.failed_on_stream(mount, at, &failure);
                return out.push(event);
            }
        };
        let result = self.ask(mount, &frame, &object);
        let pieces = object.borrow::<Ev>().ok().and_then(|ev| ev.pieces());
        if let Some(pieces) = pieces {
            out.push(self.all_pieces(mount, at, pieces, Some((object, result, event))));
            return;
        }
        let events = result.and_then(|value| self.edit(mount, event.wire(), &object, value));
        match events {
            Ok(events) => out.extend(events),
            Err(failure) => {
                self.failed_on_stream(mount, at, &failure);
                out.push(event);
            }
        }
    }

    /// The policy's place in the list of those that this stream has met.
    fn stream_policy(&mut self, mount: usize) -> usize {
        if let Some(at) = self.stream.policies.iter().position(|(owner, _)| *owner == mount) {
            return at;
        }
        let frame = self.frame(Hook::OnEvent, mount);
        let (dialect, limits) = (self.state.facts.dialect, self.set.limits.json);
        let ground = Arc::new(Ground { dialect, limits, memory: Mutex::new(Memory::default()) });
        self.stream.policies.push((mount, PerPolicy { frame, ground, failed: false, off: false }));
        self.stream.policies.len() - 1
    }

    /// What a policy's next call needs; nothing once it used up its time.
    fn still_on(&self, at: usize) -> Option<(Arc<Frame>, Arc<Ground>)> {
        let (_, policy) = self.stream.policies.get(at)?;
        (!policy.off).then(|| (Arc::clone(&policy.frame), Arc::clone(&policy.ground)))
    }

    fn object(&mut self, ev: Ev) -> Result<AnyUserData, Failure> {
        let made = self.vm().and_then(|vm| vm.lua.create_any_userdata(ev));
        made.map_err(|error| Failure::from_lua(&error))
    }

    /// Calls the hook.
    fn ask(&mut self, mount: usize, frame: &Arc<Frame>, object: &AnyUserData) -> Result<Value, Failure> {
        let lua_error = |error: mlua::Error| Failure::from_lua(&error);
        let args = Ok(vec![Value::UserData(object.clone())]);
        let (function, args) = self.prepare(Hook::OnEvent, mount, args).map_err(lua_error)?;
        let vm = self.vm().map_err(lua_error)?;
        let result = at_once(&vm, frame, &function, args);
        self.stream.asked += 1;
        self.on_tape(|| format!("event {}", self.stream.asked), result)
    }

    /// What the hook made of an event that is one part.
    fn edit(&mut self, mount: usize, wire: Wire, object: &AnyUserData, value: Value) -> Result<Vec<Event>, Failure> {
        match value {
            Value::Nil => with(object, |ev| Ok(vec![ev.finished()])),
            Value::UserData(answer) if answer.is::<DropEvent>() => {
                with(object, |ev| Ok(ev.emptied().into_iter().collect()))
            }
            value => self.reading(mount, |reading| made(reading, wire, &value, Some(object))),
        }
    }

    /// Reads what the hook returned.
    fn reading<R>(
        &mut self,
        mount: usize,
        read: impl FnOnce(&Reading<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let vm = self.vm().map_err(|error| Failure::from_lua(&error))?;
        read(&Reading { lua: &vm.lua, hook: Hook::OnEvent.name(), spot: self.set.spot(Hook::OnEvent, mount) })
    }

    fn failed_on_stream(&mut self, mount: usize, at: usize, failure: &Failure) {
        let Some((_, policy)) = self.stream.policies.get_mut(at) else { return };
        policy.off |= matches!(failure.cause, Cause::Deadline);
        if std::mem::replace(&mut policy.failed, true) {
            return;
        }
        self.set.report(report(&self.set, Hook::OnEvent, mount, failure, Some(&self.state.facts.id)));
        if matches!(failure.cause, Cause::Memory)
            && let Some(vm) = self.vm.clone()
        {
            self.set.retire(self.worker, &vm);
        }
    }
}

/// Uses the event behind an object.
fn with<R>(object: &AnyUserData, use_it: impl FnOnce(&mut Ev) -> mlua::Result<R>) -> Result<R, Failure> {
    let used = object.borrow_mut::<Ev>().and_then(|mut ev| use_it(&mut ev));
    used.map_err(|error| Failure::from_lua(&error))
}

/// The events of a list; the event that the hook was given may stand in it, and copies of it.
fn made(reading: &Reading<'_>, wire: Wire, value: &Value, given: Option<&AnyUserData>) -> Result<Vec<Event>, Failure> {
    let items = reading.list(value)?;
    let made = items.into_iter().map(|item| match (&item, given) {
        (Value::UserData(item), Some(given)) if item == given => with(given, |ev| Ok(ev.finished())),
        _ => match (reading.event(item)?, given) {
            (Made::Data(name, data), _) => Ok(Event::new(wire, name.as_deref(), data)),
            (Made::Text(text), Some(given)) => with(given, |ev| ev.copy(Slot::Text, text)),
            (Made::Reasoning(text), Some(given)) => with(given, |ev| ev.copy(Slot::Reasoning, text)),
            (Made::Text(_) | Made::Reasoning(_), None) => {
                Err(reading.misuse("returned a text without an event that it could be a copy of"))
            }
        },
    });
    made.collect()
}
