//! Calls a hook of one policy: its arguments, its deadlines, and what its failure means.

use std::sync::Arc;
use std::time::Duration;

use mlua::{Function, IntoLua, MultiValue, Value};
use tokio::time::Instant;

use super::{Run, Step};
use crate::error::Error;
use crate::policy::answer::Reading;
use crate::policy::api::ctx::Ctx;
use crate::policy::api::request::Req;
use crate::policy::burst::{Bursts, Frame};
use crate::policy::failure::{Cause, Failure, Outside};
use crate::policy::hook::{Hook, OnFailure};
use crate::policy::picture::{Picture, Subject};
use crate::policy::place::Spot;
use crate::policy::services::HookReport;
use crate::policy::set::Inner;
use crate::policy::source::OnError;
use crate::policy::vm::Vm;

/// How much longer a hook may take when its exchange is played again: its tape tells which hooks were too slow.
const REPLAY_PATIENCE: u32 = 20;

// === impl Run ===

impl Run {
    pub(super) fn mounts(&self, hook: Hook) -> Vec<usize> {
        self.set.order(hook).to_vec()
    }

    pub(super) fn vm(&mut self) -> mlua::Result<Arc<Vm>> {
        if self.vm.is_none() {
            self.vm = self.set.vm(self.worker);
        }
        self.vm.clone().ok_or_else(|| mlua::Error::runtime("there is no VM"))
    }

    /// The client's request as policies see it.
    pub(super) fn request_object(&mut self) -> mlua::Result<Value> {
        if let Some(request) = &self.request {
            return Ok(Value::UserData(request.clone()));
        }
        let vm = self.vm()?;
        let object = vm.lua.create_any_userdata(Req::new(&self.state.facts.request, &self.state, false))?;
        self.request = Some(object.clone());
        Ok(Value::UserData(object))
    }

    /// The arguments of a hook: `ctx` comes last.
    pub(super) fn with_ctx(&mut self, mount: usize, args: Vec<Value>) -> mlua::Result<MultiValue> {
        let vm = self.vm()?;
        if self.contexts.len() <= mount {
            self.contexts.resize(mount + 1, None);
        }
        let slot = self.contexts.get_mut(mount).ok_or(mlua::Error::StackError)?;
        let ctx = match slot {
            Some(ctx) => ctx.clone(),
            None => slot.insert(vm.lua.create_any_userdata(Ctx::new(Some(&self.state), mount))?).clone(),
        };
        Ok(args.into_iter().chain([Value::UserData(ctx)]).collect())
    }

    /// Asks all policies that have a hook on the client's request, until one answers.
    pub(super) async fn ask_first<T>(
        &mut self,
        hook: Hook,
        read: impl Fn(&Reading<'_>, Value) -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Error> {
        for mount in self.mounts(hook) {
            let args = self.request_object().map(|request| vec![request]);
            let result = self.call(hook, mount, args).await;
            let answer = self.read(hook, mount, result, &read);
            match self.judge(hook, mount, answer)? {
                Some(Some(answer)) => return Ok(Some(answer)),
                None if hook == Hook::Cache && self.set.on_error(mount).is_none() => return Ok(None),
                Some(None) | None => {}
            }
        }
        Ok(None)
    }

    /// Calls a hook that returns nothing.
    pub(super) async fn act(&mut self, hook: Hook, mount: usize, args: mlua::Result<Vec<Value>>) -> Result<(), Error> {
        let result = self.call(hook, mount, args).await;
        let answer = self.read(hook, mount, result, |reading, value| reading.nothing(&value));
        self.judge(hook, mount, answer).map(|_| ())
    }

    /// Calls a hook that may wait.
    pub(super) async fn call(
        &mut self,
        hook: Hook,
        mount: usize,
        args: mlua::Result<Vec<Value>>,
    ) -> Result<Value, Failure> {
        let prepared = self.prepare(hook, mount, args);
        match prepared {
            Ok((function, args)) => self.call_function(hook, mount, function, args).await,
            Err(error) => Err(Failure::from_lua(&error)),
        }
    }

    pub(super) fn prepare(
        &mut self,
        hook: Hook,
        mount: usize,
        args: mlua::Result<Vec<Value>>,
    ) -> mlua::Result<(Function, MultiValue)> {
        let args = self.with_ctx(mount, args?)?;
        let vm = self.vm()?;
        let function = vm.policies.get(mount).and_then(|policy| policy.hooks[hook.index()].clone());
        Ok((function.ok_or_else(|| mlua::Error::runtime("there is no such hook"))?, args))
    }

    pub(super) async fn call_function(
        &mut self,
        hook: Hook,
        mount: usize,
        function: Function,
        args: MultiValue,
    ) -> Result<Value, Failure> {
        let vm = self.vm().map_err(|error| Failure::from_lua(&error))?;
        let frame = self.frame(hook, mount);
        let before = self.picture();
        let result = waiting(&vm, &frame, function, args, self.remaining()).await;
        let result = self.on_tape(|| format!("hook {}", self.trace.steps.len()), result);
        self.after_call(&vm, hook, mount, &frame, &result);
        self.note_edits(before);
        result
    }

    /// Calls a hook that cannot wait.
    pub(super) fn call_now(
        &mut self,
        hook: Hook,
        mount: usize,
        args: mlua::Result<Vec<Value>>,
    ) -> Result<Value, Failure> {
        let (function, args) = self.prepare(hook, mount, args).map_err(|error| Failure::from_lua(&error))?;
        let vm = self.vm().map_err(|error| Failure::from_lua(&error))?;
        let frame = self.frame(hook, mount);
        let result = at_once(&vm, &frame, &function, args);
        let result = self.on_tape(|| format!("hook {}", self.trace.steps.len()), result);
        self.after_call(&vm, hook, mount, &frame, &result);
        result
    }

    pub(super) fn frame(&self, hook: Hook, mount: usize) -> Arc<Frame> {
        let deadlines = self.set.limits.deadlines(hook);
        let patient = self.state.facts.tape.is_bound();
        let deadlines = if patient { deadlines.times(REPLAY_PATIENCE) } else { deadlines };
        Arc::new(Frame::new(Some(Arc::clone(&self.state)), mount, Some(hook), deadlines))
    }

    /// What is left until the exchange's deadline.
    pub(super) fn remaining(&self) -> Option<Duration> {
        self.state.facts.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Notes what was called, and replaces a VM that is worn.
    pub(super) fn after_call(
        &mut self,
        vm: &Arc<Vm>,
        hook: Hook,
        mount: usize,
        frame: &Frame,
        result: &Result<Value, Failure>,
    ) {
        let out_of_memory = matches!(result, Err(Failure { cause: Cause::Memory, .. }));
        if out_of_memory || vm.is_worn() {
            self.set.retire(self.worker, vm);
        }
        let answered = result.as_ref().is_ok_and(|value| !value.is_nil());
        self.trace.steps.push(Step {
            hook,
            mount,
            used: frame.used(),
            answered,
            failed: result.is_err(),
            edits: Vec::new(),
        });
    }

    /// What ended a hook from outside is noted, and comes again when the exchange is played.
    pub(super) fn on_tape(&self, name: impl Fn() -> String, result: Result<Value, Failure>) -> Result<Value, Failure> {
        let tape = &self.state.facts.tape;
        if let Some(outside) = result.as_ref().err().and_then(Failure::outside) {
            tape.note(&name, &outside);
        }
        match tape.told::<Outside>(&name) {
            Some(outside) => Err(outside.into()),
            None => result,
        }
    }

    /// The message that a hook may change, as it is, when the exchange is watched.
    fn picture(&self) -> Option<(Subject, Picture)> {
        if !self.state.facts.tape.watches() {
            return None;
        }
        let request = || Subject::Request(self.state.facts.request.clone());
        let subject = self.subject.clone().unwrap_or_else(request);
        let picture = subject.picture();
        Some((subject, picture))
    }

    /// Notes what the last hook changed.
    fn note_edits(&mut self, before: Option<(Subject, Picture)>) {
        if let Some((subject, before)) = before
            && let Some(step) = self.trace.steps.last_mut()
        {
            step.edits = before.changes(&subject.picture());
        }
    }

    pub(super) fn read<T>(
        &mut self,
        hook: Hook,
        mount: usize,
        result: Result<Value, Failure>,
        read: impl FnOnce(&Reading<'_>, Value) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let value = result?;
        let vm = self.vm().map_err(|error| Failure::from_lua(&error))?;
        let answer = read(&Reading { lua: &vm.lua, hook: hook.name(), spot: self.set.spot(hook, mount) }, value);
        if answer.is_err()
            && let Some(last) = self.trace.steps.last_mut()
        {
            last.failed = true;
        }
        answer
    }

    /// Decides what a failure means: `None` when the exchange goes on without this policy.
    pub(super) fn judge<T>(
        &mut self,
        hook: Hook,
        mount: usize,
        answer: Result<T, Failure>,
    ) -> Result<Option<T>, Error> {
        let failure = match answer {
            Ok(answer) => return Ok(Some(answer)),
            Err(failure) => failure,
        };
        let told = matches!(failure.cause, Cause::Told(_));
        if !told {
            self.set.report(report(&self.set, hook, mount, &failure, Some(&self.state.facts.id)));
        }
        let fails = match (hook.spec().on_failure, self.set.on_error(mount)) {
            (OnFailure::Fail(_), _) if told => true,
            (_, Some(OnError::Skip)) | (OnFailure::Ignore, None) => false,
            (_, Some(OnError::Fail)) | (OnFailure::Fail(_), None) => true,
        };
        if fails { Err(failure.into_error(hook, self.set.mount_name(mount))) } else { Ok(None) }
    }
}

/// Runs a function that may wait, for as long as its hook and the exchange allow.
pub(super) async fn waiting(
    vm: &Arc<Vm>,
    frame: &Arc<Frame>,
    function: Function,
    args: MultiValue,
    remaining: Option<Duration>,
) -> Result<Value, Failure> {
    let wall = remaining.map_or(frame.deadlines.wall, |left| left.min(frame.deadlines.wall));
    let bursts =
        Bursts::new(function.call_async::<Value>(args), Arc::clone(&vm.host), vm.lua.clone(), Arc::clone(frame));
    match tokio::time::timeout(wall, bursts).await {
        Ok(result) => checked(frame, &function, result),
        Err(_) => Err(Failure::waited(Spot::of(&function), wall)),
    }
}

/// Runs a function that cannot wait.
pub(super) fn at_once(vm: &Vm, frame: &Arc<Frame>, function: &Function, args: MultiValue) -> Result<Value, Failure> {
    let result = {
        let _running = vm.host.enter(&vm.lua, frame);
        function.call::<Value>(args)
    };
    checked(frame, function, result)
}

/// A hook that was ended has failed, whatever it managed to return.
fn checked(frame: &Frame, function: &Function, result: mlua::Result<Value>) -> Result<Value, Failure> {
    match result {
        _ if frame.overran() => {
            let spot = frame.stopped_at().or_else(|| Spot::of(function));
            Err(Failure::overrun(spot, frame.deadlines.burst))
        }
        Ok(value) => Ok(value),
        Err(error) => {
            let mut failure = Failure::from_lua(&error);
            // One that was ended does not say where: then where it starts must do.
            failure.spot = failure.spot.or_else(|| Spot::of(function));
            Err(failure)
        }
    }
}

pub(super) fn report(set: &Inner, hook: Hook, mount: usize, failure: &Failure, id: Option<&String>) -> HookReport {
    HookReport {
        policy: set.mount_name(mount).to_owned(),
        hook: hook.name(),
        file: failure.spot.as_ref().map(|spot| spot.file.clone()),
        line: failure.spot.as_ref().map(|spot| spot.line),
        message: failure.message.clone(),
        traceback: failure.traceback.clone(),
        request_id: id.cloned(),
    }
}

/// Does a piece of periodic work once, on the first worker's VM.
pub(in crate::policy) async fn background(set: &Arc<Inner>, mount: usize, index: usize) -> Result<(), Error> {
    let hook = Hook::Background;
    let Some(vm) = set.vm(0) else { return Ok(()) };
    let function = vm.policies.get(mount).and_then(|policy| policy.background.get(index)).cloned();
    let ctx = vm.lua.create_any_userdata(Ctx::new(None, mount)).and_then(|ctx| ctx.into_lua(&vm.lua));
    let (Some(function), Ok(ctx)) = (function, ctx) else { return Ok(()) };
    let deadlines = set.limits.deadlines(hook);
    let frame = Arc::new(Frame::new(None, mount, Some(hook), deadlines));
    let result = waiting(&vm, &frame, function, [ctx].into_iter().collect(), None).await;
    if vm.is_worn() {
        set.retire(0, &vm);
    }
    result.map(|_| ()).map_err(|failure| {
        set.report(report(set, hook, mount, &failure, None));
        failure.into_error(hook, set.mount_name(mount))
    })
}
