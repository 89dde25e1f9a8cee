//! One exchange's side of the policy host: the hooks in the order of an exchange, composed over all policies.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mlua::{AnyUserData, Function, MultiValue, Table, Value};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::api::json::to_lua;
use super::api::request::Req;
use super::api::response::Res;
use super::failure::Failure;
use super::hook::Hook;
use super::picture::Subject;
use super::set::{EndpointMatch, Inner};
use super::vm::Vm;
use crate::dialect::Dialect;
use crate::dialect::loss::Losses;
use crate::error::Error;
use crate::exchange::decision::{Answer, CacheRule, Failover, Identity, Outcome, PlannedAttempt, Route};
use crate::message::{Request, Response, Shared};
use crate::tape::Tape;

mod call;
mod commit;
mod events;
mod step;

pub use commit::HeldFacts;
use step::Step;
pub use step::{Decision, Trace};

pub(super) use call::background;

/// What policies may know of an exchange from its start.
#[derive(Debug)]
pub struct Facts {
    /// Its id.
    pub id: String,
    /// The client's address.
    pub client_ip: IpAddr,
    /// Whether the client's connection is under TLS.
    pub tls: bool,
    /// The dialect that the path speaks.
    pub dialect: Option<Dialect>,
    /// When its head had been read.
    pub started: Instant,
    /// When it must be over.
    pub deadline: Option<Instant>,
    /// The generation's short hash.
    pub generation: String,
    /// The request.
    pub request: Shared<Request>,
    /// What the exchange is told from outside.
    pub tape: Tape,
}

/// What `on_attempt` is told of an attempt.
pub struct AttemptFacts<'a> {
    /// The plan's entry.
    pub planned: &'a PlannedAttempt,
    /// 1 for the first attempt.
    pub number: u32,
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// What the request lost when it was translated for this upstream.
    pub losses: Option<&'a Losses>,
}

/// One exchange's side of the policy host. It stays on one VM.
pub struct Run {
    set: Arc<Inner>,
    worker: usize,
    /// The VM, from the first hook on.
    vm: Option<Arc<Vm>>,
    state: Arc<RunState>,
    /// The client's request, as policies see it.
    request: Option<AnyUserData>,
    /// `ctx` of each policy that was called, by policy.
    contexts: Vec<Option<AnyUserData>>,
    /// Hooks that were called, but those for single events.
    trace: Trace,
    /// The stream that passes, if one does.
    stream: events::Stream,
    /// Streams that are held back, as policies have met them so far.
    held: Vec<commit::Held>,
    /// The message that the next hook may change, in place of the client's request.
    subject: Option<Subject>,
}

/// What the objects of an exchange share inside a VM.
pub(super) struct RunState {
    /// What is known from the start.
    pub(super) facts: Facts,
    /// Who is calling.
    pub(super) identity: Mutex<Identity>,
    /// `ctx.vars` by policy. Emptied with the run, because a table can hold `ctx` itself.
    pub(super) vars: Mutex<Vec<(usize, Table)>>,
    /// `ctx.shared`.
    pub(super) shared: Mutex<Option<Table>>,
    /// Work left for after the response.
    pub(super) after: Mutex<Vec<(usize, Function)>>,
    /// The exchange's random numbers, from the first one on.
    pub(super) random: Mutex<Option<fastrand::Rng>>,
}

// === impl Run ===

impl Run {
    pub(super) fn new(set: Arc<Inner>, worker: usize, facts: Facts) -> Self {
        let trace = Trace::new(&set);
        Self {
            set,
            worker,
            vm: None,
            state: Arc::new(RunState::new(facts)),
            request: None,
            contexts: Vec::new(),
            trace,
            stream: events::Stream::default(),
            held: Vec::new(),
            subject: None,
        }
    }

    /// The same exchange once more, of which nothing but the identity and what policies keep for it is known: `ctx.vars`
    /// and `ctx.shared` are the same tables.
    #[must_use]
    pub fn once_more(&self, facts: Facts) -> Self {
        let mut run = Self::new(Arc::clone(&self.set), self.worker, facts);
        run.vm.clone_from(&self.vm);
        run.set_identity(self.state.identity.lock().clone());
        run.state.vars.lock().clone_from(&self.state.vars.lock());
        run.state.shared.lock().clone_from(&self.state.shared.lock());
        run
    }

    /// The worker whose VM it stays on.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Asks who is calling. The first answer wins.
    pub async fn identify(&mut self) -> Result<Option<Identity>, Error> {
        self.ask_first(Hook::Identify, |reading, value| reading.identity(&value)).await
    }

    /// Tells policies who is calling.
    pub fn set_identity(&mut self, identity: Identity) {
        *self.state.identity.lock() = identity;
    }

    /// Lets policies edit the request, top to bottom, until one answers it.
    pub async fn on_request(&mut self) -> Result<Option<Answer>, Error> {
        self.ask_first(Hook::OnRequest, |reading, value| reading.answer(&value)).await
    }

    /// Asks where the request goes. The first answer wins.
    pub async fn route(&mut self) -> Result<Option<Route>, Error> {
        self.ask_first(Hook::Route, |reading, value| reading.route(&value)).await
    }

    /// Asks whether the response may be stored. The first answer wins; a failure means no.
    pub async fn cache(&mut self) -> Result<Option<CacheRule>, Error> {
        self.ask_first(Hook::Cache, |reading, value| reading.cache(&value)).await
    }

    /// Lets policies edit what one attempt sends: a fresh copy of the request.
    pub async fn on_attempt(&mut self, request: &Shared<Request>, attempt: &AttemptFacts<'_>) -> Result<(), Error> {
        self.subject = self.state.facts.tape.watches().then(|| Subject::Request(request.clone()));
        let mut copy = None;
        for mount in self.mounts(Hook::OnAttempt) {
            let args = self.attempt_args(&mut copy, request, attempt);
            self.act(Hook::OnAttempt, mount, args).await?;
        }
        self.subject = None;
        Ok(())
    }

    fn attempt_args(
        &mut self,
        copy: &mut Option<AnyUserData>,
        request: &Shared<Request>,
        attempt: &AttemptFacts<'_>,
    ) -> mlua::Result<Vec<Value>> {
        let vm = self.vm()?;
        let object = match copy {
            Some(object) => object.clone(),
            None => copy.insert(vm.lua.create_any_userdata(Req::new(request, &self.state, true))?).clone(),
        };
        let table = vm.lua.create_table()?;
        table.raw_set("upstream", attempt.planned.upstream.as_str())?;
        table.raw_set("endpoint", attempt.endpoint)?;
        table.raw_set("model", attempt.planned.model.as_deref())?;
        table.raw_set("number", attempt.number)?;
        let losses = vm.lua.create_table()?;
        for loss in attempt.losses.into_iter().flat_map(Losses::iter) {
            let entry = [("path", loss.path.as_str()), ("verdict", loss.verdict.as_str()), ("why", &loss.why)];
            losses.raw_push(vm.lua.create_table_from(entry)?)?;
        }
        losses.set_readonly(true);
        table.raw_set("losses", losses)?;
        table.set_readonly(true);
        Ok(vec![Value::UserData(object), Value::Table(table)])
    }

    /// Asks what to do after an attempt that failed. The first answer wins.
    pub fn failover(&mut self, outcome: &Outcome) -> Result<Option<Failover>, Error> {
        for mount in self.mounts(Hook::Failover) {
            let args = self.outcome(outcome).map(|table| vec![Value::Table(table)]);
            let result = self.call_now(Hook::Failover, mount, args);
            let answer = self.read(Hook::Failover, mount, result, |reading, value| reading.failover(&value));
            if let Some(answer) = self.judge(Hook::Failover, mount, answer)? {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    fn outcome(&mut self, outcome: &Outcome) -> mlua::Result<Table> {
        let vm = self.vm()?;
        let table = vm.lua.create_table()?;
        let seconds = |duration: Duration| duration.as_secs_f64();
        table.raw_set("number", outcome.number)?;
        table.raw_set("upstream", outcome.upstream.as_str())?;
        table.raw_set("endpoint", outcome.endpoint.as_str())?;
        table.raw_set("status", outcome.status)?;
        table.raw_set("kind", outcome.error.as_ref().map_or("status", |error| error.kind().as_str()))?;
        table.raw_set("error", outcome.error.as_ref().map(Error::message))?;
        table.raw_set("retry_after", outcome.retry_after.map(seconds))?;
        table.raw_set("took", seconds(outcome.took))?;
        table.raw_set("remaining", outcome.remaining.map(seconds))?;
        table.raw_set("untried", outcome.untried)?;
        table.raw_set("committed", outcome.said.is_some())?;
        if let Some(said) = outcome.said {
            let heard = vm.lua.create_table()?;
            heard.raw_set("text", said.text)?;
            heard.raw_set("reasoning", said.reasoning)?;
            heard.raw_set("calls", said.calls)?;
            heard.raw_set("tool_open", said.tool_open)?;
            heard.set_readonly(true);
            table.raw_set("said", heard)?;
        }
        table.set_readonly(true);
        Ok(table)
    }

    /// Lets policies edit the response, bottom to top.
    pub async fn on_response(&mut self, response: &Shared<Response>) -> Result<(), Error> {
        self.subject = self.state.facts.tape.watches().then(|| Subject::Response(response.clone()));
        let mut object = None;
        for mount in self.mounts(Hook::OnResponse) {
            let args = match &object {
                Some(object) => Ok(AnyUserData::clone(object)),
                None => self.vm().and_then(|vm| vm.lua.create_any_userdata(Res::new(response))),
            };
            let args = args.map(|made| vec![Value::UserData(object.insert(made).clone())]);
            self.act(Hook::OnResponse, mount, args).await?;
        }
        Ok(())
    }

    /// Lets policies shape an error that the gate makes, bottom to top. What fails here changes nothing.
    pub fn on_error(&mut self, error: &Error, draft: Answer) -> Answer {
        let mut answer = draft;
        for mount in self.mounts(Hook::OnError) {
            let args = self.error_table(error, &answer).map(|table| vec![Value::Table(table)]);
            let result = self.call_now(Hook::OnError, mount, args);
            let shaped = self.read(Hook::OnError, mount, result, |reading, value| reading.answer(&value));
            if let Ok(Some(Some(shaped))) = self.judge(Hook::OnError, mount, shaped) {
                answer = shaped;
            }
        }
        answer
    }

    fn error_table(&mut self, error: &Error, draft: &Answer) -> mlua::Result<Table> {
        let vm = self.vm()?;
        let table = vm.lua.create_table()?;
        table.raw_set("kind", error.kind().as_str())?;
        table.raw_set("status", draft.status)?;
        table.raw_set("message", error.message())?;
        table.raw_set("text", vm.lua.create_string(&draft.body)?)?;
        table.set_readonly(true);
        Ok(table)
    }

    /// Shows policies the finished exchange, bottom to top. What fails here is only reported.
    pub async fn on_log(&mut self, summary: serde_json::Value) {
        for mount in self.mounts(Hook::OnLog) {
            let args = self.vm().and_then(|vm| to_lua(&vm.lua, &summary)).map(|value| vec![value]);
            // An observer has nothing to fail: its fault is reported by `act`.
            let _ = self.act(Hook::OnLog, mount, args).await;
        }
    }

    /// Serves a local endpoint.
    pub async fn endpoint(&mut self, matched: EndpointMatch) -> Result<Option<Answer>, Error> {
        let mount = matched.mount;
        let function = self.endpoint_args(&matched);
        let result = match function {
            Ok((function, args)) => self.call_function(Hook::Endpoints, mount, function, args).await,
            Err(error) => Err(Failure::from_lua(&error)),
        };
        let answer = self.read(Hook::Endpoints, mount, result, |reading, value| reading.answer(&value));
        self.judge(Hook::Endpoints, mount, answer).map(Option::flatten)
    }

    fn endpoint_args(&mut self, matched: &EndpointMatch) -> mlua::Result<(Function, MultiValue)> {
        let vm = self.vm()?;
        let path =
            vm.lua.create_table_from(matched.captures.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        {
            // Only who has the VM may wait for the variables.
            let _gate = vm.host.gate.lock();
            self.state.vars(&vm.lua, matched.mount)?.raw_set("path", path)?;
        }
        let functions = vm.policies.get(matched.mount).map(|policy| &policy.endpoints);
        let function = functions.and_then(|functions| functions.get(matched.index)).cloned();
        let function = function.ok_or_else(|| mlua::Error::runtime("there is no such endpoint"))?;
        let request = self.request_object()?;
        let args = self.with_ctx(matched.mount, vec![request])?;
        Ok((function, args))
    }

    /// The hooks that were called, in order; single events are left out.
    pub fn trace(&self) -> Vec<Decision> {
        self.trace.told()
    }

    /// The same, as it is kept; the run forgets it.
    pub fn take_trace(&mut self) -> Trace {
        std::mem::take(&mut self.trace)
    }

    /// Whether a hook left work for after the response.
    pub fn has_work_left(&self) -> bool {
        !self.state.after.lock().is_empty()
    }

    /// Does the work that hooks left for after the response, in the order in which they left it, within one deadline.
    pub async fn run_after(mut self) {
        let work = std::mem::take(&mut *self.state.after.lock());
        let limit = self.set.limits.after_response;
        let all = async {
            for (mount, function) in work {
                let args = self.with_ctx(mount, Vec::new());
                let result = match args {
                    Ok(args) => self.call_function(Hook::Background, mount, function, args).await,
                    Err(error) => Err(Failure::from_lua(&error)),
                };
                // There is no one left to tell but the operator, and `judge` does.
                let _ = self.judge(Hook::Background, mount, result.map(|_| None::<()>));
            }
        };
        // The time is up for all of it; the calls that still wait are dropped with their upstream calls.
        let _ = tokio::time::timeout(limit, all).await;
    }
}

impl Drop for Run {
    /// What is dropped wants the VM, and who has the VM may want these: they are taken out under their locks, and dropped
    /// outside.
    fn drop(&mut self) {
        let vars = std::mem::take(&mut *self.state.vars.lock());
        let shared = self.state.shared.lock().take();
        let after = std::mem::take(&mut *self.state.after.lock());
        drop((vars, shared, after));
    }
}

// === impl RunState ===

impl RunState {
    /// An exchange that no hook has seen.
    pub(super) fn new(facts: Facts) -> Self {
        Self {
            facts,
            identity: Mutex::default(),
            vars: Mutex::default(),
            shared: Mutex::default(),
            after: Mutex::default(),
            random: Mutex::default(),
        }
    }

    /// `ctx.vars` of a policy.
    pub(super) fn vars(&self, lua: &mlua::Lua, mount: usize) -> mlua::Result<Table> {
        let mut vars = self.vars.lock();
        if let Some((_, table)) = vars.iter().find(|(owner, _)| *owner == mount) {
            return Ok(table.clone());
        }
        let table = lua.create_table()?;
        vars.push((mount, table.clone()));
        Ok(table)
    }
}
