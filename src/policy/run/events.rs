//! A stream's events through `on_event` and `on_stream_end`: synchronous, and never in the way of the stream.

use std::sync::Arc;

use mlua::{AnyUserData, Value};

use super::Run;
use super::call::{at_once, report};
use crate::policy::answer::Reading;
use crate::policy::api::answer::Drop as DropEvent;
use crate::policy::api::event::Ev;
use crate::policy::burst::Frame;
use crate::policy::failure::{Cause, Failure};
use crate::policy::hook::Hook;
use crate::stream::{Event, Wire};

/// A stream as its policies have met it so far.
#[derive(Default)]
pub(super) struct Stream {
    /// By policy; the call counts the time of all events together.
    policies: Vec<(usize, PerPolicy)>,
}

/// One policy on a stream.
struct PerPolicy {
    frame: Arc<Frame>,
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
        let frame = match self.stream.policies.get(at) {
            Some((_, policy)) if !policy.off => Arc::clone(&policy.frame),
            _ => return out.push(event),
        };
        match self.edit(mount, &frame, &event) {
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
        self.stream.policies.push((mount, PerPolicy { frame, failed: false, off: false }));
        self.stream.policies.len() - 1
    }

    fn edit(&mut self, mount: usize, frame: &Arc<Frame>, event: &Event) -> Result<Vec<Event>, Failure> {
        let lua_error = |error: mlua::Error| Failure::from_lua(&error);
        let vm = self.vm().map_err(lua_error)?;
        let object = vm.lua.create_any_userdata(Ev::new(event.clone())).map_err(lua_error)?;
        let args = Ok(vec![Value::UserData(object.clone())]);
        let (function, args) = self.prepare(Hook::OnEvent, mount, args).map_err(lua_error)?;
        let value = at_once(&vm, frame, &function, args)?;
        match value {
            Value::Nil => edited(&object).map(|event| vec![event]),
            Value::UserData(answer) if answer.is::<DropEvent>() => Ok(Vec::new()),
            value => {
                let reading =
                    Reading { lua: &vm.lua, hook: Hook::OnEvent.name(), spot: self.set.spot(Hook::OnEvent, mount) };
                made(&reading, event.wire(), &value, Some(&object))
            }
        }
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

/// The event as the hook left it.
fn edited(object: &AnyUserData) -> Result<Event, Failure> {
    let event = object.borrow::<Ev>().map(|ev| ev.finished());
    event.map_err(|error| Failure::from_lua(&error))
}

/// The events of a list; the event that the hook was given may stand in it.
fn made(reading: &Reading<'_>, wire: Wire, value: &Value, given: Option<&AnyUserData>) -> Result<Vec<Event>, Failure> {
    let items = reading.list(value)?;
    let made = items.into_iter().map(|item| match (&item, given) {
        (Value::UserData(item), Some(given)) if item == given => edited(given),
        _ => reading.event(item).map(|(name, data)| Event::new(wire, name.as_deref(), data)),
    });
    made.collect()
}
