//! `commit`: policies see the events of a stream while it is held back, and say when it may go out.

use std::sync::Arc;
use std::time::Duration;

use mlua::{AnyUserData, Table, Value};
use parking_lot::Mutex;

use super::call::{at_once, report};
use super::{Run, Step};
use crate::dialect::Dialect;
use crate::dialect::view::Memory;
use crate::exchange::decision::Commit;
use crate::policy::answer::Reading;
use crate::policy::api::event::{Ev, Ground};
use crate::policy::burst::Frame;
use crate::policy::failure::{Cause, Failure};
use crate::policy::hook::Hook;
use crate::stream::Event;

/// What `commit` is told of the attempt whose stream is held.
#[derive(Clone, Debug, Default)]
pub struct HeldFacts {
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The model that the plan asks for.
    pub model: Option<String>,
    /// 1 for the first attempt.
    pub number: u32,
    /// Since the request was sent.
    pub elapsed: Duration,
    /// Events of the stream so far, this one included.
    pub events: u32,
}

/// One attempt's stream, as one policy has met it.
pub(super) struct Held {
    mount: usize,
    /// The attempt's number.
    attempt: u32,
    frame: Arc<Frame>,
    /// What gives its events their meaning.
    ground: Arc<Ground>,
    /// Whether it failed before: only the first failure is reported.
    failed: bool,
    /// Whether it used up its time: it is asked no more about this stream.
    off: bool,
    /// What it answered last.
    said: Option<Commit>,
}

// === impl Run: commit ===

impl Run {
    /// Asks whether a stream that is held may go out with this event. It is written in `dialect`, the upstream's own. The
    /// first answer wins.
    pub fn commit(&mut self, event: &Event, dialect: Option<Dialect>, attempt: &HeldFacts) -> Option<Commit> {
        let elapsed = self.state.facts.tape.ask(
            || format!("held {} {}", attempt.number, attempt.events),
            || u64::try_from(attempt.elapsed.as_micros()).unwrap_or(u64::MAX),
        );
        let attempt = HeldFacts { elapsed: Duration::from_micros(elapsed), ..attempt.clone() };
        for mount in self.mounts(Hook::Commit) {
            let at = self.held(mount, &attempt, dialect);
            if let Some(answer) = self.commit_by(mount, at, event, &attempt) {
                return Some(answer);
            }
        }
        None
    }

    /// The place of what a policy knows of an attempt's stream.
    fn held(&mut self, mount: usize, attempt: &HeldFacts, dialect: Option<Dialect>) -> usize {
        let known = |held: &Held| held.mount == mount && held.attempt == attempt.number;
        if let Some(at) = self.held.iter().position(known) {
            return at;
        }
        let frame = self.frame(Hook::Commit, mount);
        let ground = Ground { dialect, limits: self.set.limits.json, memory: Mutex::new(Memory::default()) };
        let ground = Arc::new(ground);
        self.held.push(Held { mount, attempt: attempt.number, frame, ground, failed: false, off: false, said: None });
        self.held.len() - 1
    }

    /// Asks one policy, about each part of the event.
    fn commit_by(&mut self, mount: usize, at: usize, event: &Event, attempt: &HeldFacts) -> Option<Commit> {
        let held = self.held.get(at).filter(|held| !held.off)?;
        let (frame, ground) = (Arc::clone(&held.frame), Arc::clone(&held.ground));
        let mut next = Some(Ev::new(event.clone(), &ground));
        let mut number = 0;
        while let Some(ev) = next.take() {
            let asked = self.commit_on(mount, &frame, ev, attempt);
            let (object, answer) = match asked {
                Ok(asked) => asked,
                Err(failure) => {
                    self.failed_on_held(mount, at, &failure);
                    return None;
                }
            };
            if answer.is_some() {
                self.answered(mount, at, &frame, answer);
                return answer;
            }
            number += 1;
            let pieces = object.borrow::<Ev>().ok().and_then(|ev| ev.pieces());
            next =
                pieces.filter(|pieces| number < pieces.parts.len()).map(|pieces| Ev::piece(&pieces, number, &ground));
        }
        None
    }

    fn commit_on(
        &mut self,
        mount: usize,
        frame: &Arc<Frame>,
        ev: Ev,
        attempt: &HeldFacts,
    ) -> Result<(AnyUserData, Option<Commit>), Failure> {
        let lua_error = |error: mlua::Error| Failure::from_lua(&error);
        let vm = self.vm().map_err(lua_error)?;
        let object = vm.lua.create_any_userdata(ev).map_err(lua_error)?;
        let table = self.held_table(attempt).map_err(lua_error)?;
        let args = Ok(vec![Value::UserData(object.clone()), Value::Table(table)]);
        let (function, args) = self.prepare(Hook::Commit, mount, args).map_err(lua_error)?;
        let result = at_once(&vm, frame, &function, args);
        let result = self.on_tape(|| format!("commit {} {}", attempt.number, attempt.events), result);
        if vm.is_worn() || matches!(result, Err(Failure { cause: Cause::Memory, .. })) {
            self.set.retire(self.worker, &vm);
        }
        let reading = Reading { lua: &vm.lua, hook: Hook::Commit.name(), spot: self.set.spot(Hook::Commit, mount) };
        let answer = reading.commit(&result?)?;
        Ok((object, answer))
    }

    fn held_table(&mut self, attempt: &HeldFacts) -> mlua::Result<Table> {
        let table = self.vm()?.lua.create_table()?;
        table.raw_set("upstream", attempt.upstream.as_str())?;
        table.raw_set("endpoint", attempt.endpoint.as_str())?;
        table.raw_set("model", attempt.model.as_deref())?;
        table.raw_set("number", attempt.number)?;
        table.raw_set("elapsed", attempt.elapsed.as_secs_f64())?;
        table.raw_set("events", attempt.events)?;
        table.set_readonly(true);
        Ok(table)
    }

    /// Notes that a policy decided; that it had no opinion, or still the same, is not noted.
    fn answered(&mut self, mount: usize, at: usize, frame: &Frame, answer: Option<Commit>) {
        let known = self.held.get_mut(at).map(|held| std::mem::replace(&mut held.said, answer));
        if known.flatten() == answer {
            return;
        }
        let (used, answered, failed) = (frame.used(), true, false);
        self.trace.steps.push(Step { hook: Hook::Commit, mount, used, answered, failed, edits: Vec::new() });
    }

    fn failed_on_held(&mut self, mount: usize, at: usize, failure: &Failure) {
        let Some(held) = self.held.get_mut(at) else { return };
        held.off |= matches!(failure.cause, Cause::Deadline);
        if !std::mem::replace(&mut held.failed, true) {
            self.set.report(report(&self.set, Hook::Commit, mount, failure, Some(&self.state.facts.id)));
        }
    }
}
