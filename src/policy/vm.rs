//! One VM: the sandbox, built in the one order that is both safe and fast, and the policies evaluated in it.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mlua::{AnyUserData, Function, Lua, LuaOptions, StdLib, Table, Value};
use parking_lot::Mutex;

use super::answer::nearest;
use super::api::policy::PolicyTable;
use super::api::{kind, number};
use super::burst::Frame;
use super::failure::Failure;
use super::hook::{Deadlines, Hook, HostLimits};
use super::host::Host;
use super::interrupt::{Watch, WatchGuard};
use super::load::Program;
use super::modules::Loading;
use super::params::Declared;
use super::place::Spot;
use super::services::Services;
use crate::fault::Fault;

/// One VM with all policies of a generation.
pub(super) struct Vm {
    /// Given up before the VM is.
    watch: Option<WatchGuard>,
    /// The VM.
    pub(super) lua: Lua,
    /// Its host.
    pub(super) host: Arc<Host>,
    /// The policies in their order.
    pub(super) policies: Vec<Policy>,
    /// The files as functions, when they count which of their lines run.
    pub(super) chunks: Vec<(String, Function)>,
}

/// A policy as it was evaluated in one VM.
#[derive(Default)]
pub(super) struct Policy {
    /// Its hooks, by [`Hook::index`].
    pub(super) hooks: [Option<Function>; Hook::ALL.len()],
    /// Its local endpoints, as in its definition.
    pub(super) endpoints: Vec<Function>,
    /// Its periodic work, as in its definition.
    pub(super) background: Vec<Function>,
    /// What is the same in all VMs.
    pub(super) definition: Definition,
}

/// What a policy declares: the same in every VM.
#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    /// Where each hook starts, by [`Hook::index`]; `None` for a hook it does not have.
    pub(super) hooks: [Option<Spot>; Hook::ALL.len()],
    /// `METHOD /path/{name}` and where its function starts.
    pub(super) endpoints: Vec<(String, Spot)>,
    /// Periodic work: its name, how often, where it starts.
    pub(super) background: Vec<(String, Duration, Spot)>,
    /// Its parameters.
    pub(super) params: Vec<Declared>,
}

/// A VM, and what evaluating the policies in it showed.
pub(super) struct Built {
    pub(super) vm: Vm,
    pub(super) faults: Vec<Fault>,
    pub(super) secrets_used: BTreeSet<String>,
}

/// Globals that policies do without: ways out of the sandbox, ways around its limits, and what has a better counterpart.
const UNWANTED: [&str; 14] = [
    "loadstring",
    "getfenv",
    "setfenv",
    "newproxy",
    "collectgarbage",
    "gcinfo",
    "debug",
    "os",
    "print",
    "_G",
    "_VERSION",
    "coroutine",
    "dofile",
    "integer",
];

/// Coroutines that hooks run on, kept for reuse.
const POOLED_THREADS: usize = 64;

// === impl Vm ===

impl Vm {
    /// Builds a VM and evaluates the policies in it. What is wrong with a policy is a fault, not an error.
    pub(super) fn build(
        program: &Arc<Program>,
        limits: &HostLimits,
        services: Option<Arc<dyn Services>>,
    ) -> mlua::Result<Built> {
        let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new().thread_pool_size(POOLED_THREADS))?;
        let host = Arc::new(Host {
            program: Arc::clone(program),
            limits: limits.clone(),
            services,
            loading: Mutex::new(Loading::default()),
            patterns: Mutex::default(),
            current: Mutex::new(None),
            gate: Mutex::new(()),
            watch: OnceLock::new(),
        });
        let step = Arc::clone(&host);
        let watch = Watch::install(&lua, move |lua| step.step(lua))?;
        let _ = host.watch.set(Arc::clone(&watch.0));
        lua.set_app_data(Arc::clone(&host));
        close_in(&lua)?;
        let mut faults = Vec::new();
        let policies = (0..program.mounts.len())
            .map(|mount| evaluate(&lua, &host, mount, &mut faults).unwrap_or_default())
            .collect();
        let loading = std::mem::take(&mut *host.loading.lock());
        faults.extend(loading.faults);
        let vm = Self { watch: Some(watch), lua, host, policies, chunks: loading.chunks };
        Ok(Built { vm, faults, secrets_used: loading.secrets })
    }

    /// What the policies declare.
    pub(super) fn definitions(&self) -> Arc<[Definition]> {
        self.policies.iter().map(|policy| policy.definition.clone()).collect()
    }

    /// Whether it holds so much that new exchanges should start on another.
    pub(super) fn is_worn(&self) -> bool {
        self.lua.used_memory() > self.host.limits.memory / 2
    }
}

impl Drop for Vm {
    /// Closing a VM frees its whole heap, which takes too long for a worker: another thread does it.
    fn drop(&mut self) {
        drop(self.watch.take());
        let rest = (std::mem::take(&mut self.policies), std::mem::take(&mut self.chunks), self.lua.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(rest));
        }
    }
}

/// Every function and type is there before anything is taken away; then globals are closed. A global assignment is an error.
fn close_in(lua: &Lua) -> mlua::Result<()> {
    super::api::install(lua)?;
    for name in UNWANTED {
        lua.globals().raw_set(name, Value::Nil)?;
    }
    lua.sandbox(true)?;
    lua.globals().set_readonly(true);
    Ok(())
}

/// Evaluates the file of one mount.
fn evaluate(lua: &Lua, host: &Arc<Host>, mount: usize, faults: &mut Vec<Fault>) -> Option<Policy> {
    let file = host.program.mounts.get(mount)?.file.clone();
    let limit = host.limits.top_level;
    let deadlines = Deadlines { burst: limit, total: limit, wall: limit };
    let frame = Arc::new(Frame::new(None, mount, None, deadlines));
    host.loading.lock().stack = vec![file.clone()];
    let result = {
        let _running = host.enter(lua, &frame);
        let chunk = host.program.load(lua, &file);
        let run = |chunk: Function| {
            host.keep(&file, &chunk);
            chunk.call::<Value>(())
        };
        chunk.and_then(|chunk| chunk.map(run).transpose())
    };
    let declared = declared(host, mount);
    let failure = match result {
        Ok(None) => return None,
        Ok(Some(_)) | Err(_) if frame.overran() => Failure::overrun(frame.stopped_at(), limit),
        Ok(Some(Value::UserData(value))) if value.is::<PolicyTable>() => {
            return Some(read(host, &file, &value, declared, faults));
        }
        Ok(Some(other)) => {
            let kind = kind(&other);
            Failure::misuse(None, format!("a policy returns policy {{ api = 1, … }}, not {kind}"))
        }
        Err(error) => Failure::from_lua(&error),
    };
    let message = match &failure.spot {
        Some(spot) if spot.file != file => format!("{} (loaded by {file})", failure.message),
        _ => failure.message,
    };
    let (file, line) = failure.spot.map_or((file, None), |spot| (spot.file, Some(spot.line)));
    faults.push(Fault { file, line, column: None, message });
    None
}

/// The parameters that a file declared. One that declares none takes none.
fn declared(host: &Host, mount: usize) -> Vec<Declared> {
    let mut loading = host.loading.lock();
    if let (None, Some(mount)) = (&loading.declared, host.program.mounts.get(mount)) {
        let unknown = mount.params.keys().map(|name| super::params::unknown(mount, name, &[]));
        loading.faults.extend(unknown);
    }
    loading.declared.take().unwrap_or_default()
}

/// Reads the table given to `policy { … }`.
fn read(host: &Host, file: &str, value: &AnyUserData, params: Vec<Declared>, faults: &mut Vec<Fault>) -> Policy {
    let mut policy = Policy::default();
    policy.definition.params = params;
    let mut reader = Reader { host, file, faults };
    let Ok(table) = value.borrow::<PolicyTable>().map(|policy| policy.table.clone()) else {
        return policy;
    };
    let mut keys = Vec::new();
    let collected = table.for_each(|key: Value, value: Value| {
        keys.push((key, value));
        Ok(())
    });
    if collected.is_err() {
        reader.fault("", "the policy table cannot be read".to_owned());
    }
    if !keys.iter().any(|(key, _)| key.as_string().is_some_and(|key| key == "api")) {
        reader.fault("policy", "policy { … } needs `api = 1`".to_owned());
    }
    for (key, value) in keys {
        match key.as_string().map(mlua::LuaString::to_string_lossy) {
            Some(key) => reader.entry(&mut policy, &key, value),
            None => reader.fault("policy", "policy { … } takes named hooks only".to_owned()),
        }
    }
    policy.definition.endpoints.sort_by(|a, b| a.0.cmp(&b.0));
    policy
}

/// Reads a policy table, entry by entry.
struct Reader<'a> {
    host: &'a Host,
    file: &'a str,
    faults: &'a mut Vec<Fault>,
}

// === impl Reader ===

impl Reader<'_> {
    fn fault(&mut self, key: &str, message: String) {
        let line = self.host.program.line_of(self.file, key);
        self.faults.push(Fault { file: self.file.to_owned(), line, column: None, message });
    }

    fn entry(&mut self, policy: &mut Policy, key: &str, value: Value) {
        match (key, Hook::named(key), value) {
            ("api", _, value) if number(&value) == Some(1.0) => {}
            ("api", _, _) => self.fault("api", "this gate knows `api = 1`".to_owned()),
            (_, Some(Hook::Endpoints), Value::Table(table)) => self.endpoints(policy, &table),
            (_, Some(Hook::Background), Value::Table(table)) => self.background(policy, &table),
            (_, Some(Hook::Endpoints | Hook::Background), _) => self.fault(key, format!("`{key}` must be a table")),
            (_, Some(hook), Value::Function(function)) => {
                policy.definition.hooks[hook.index()] = Some(self.spot(&function));
                policy.hooks[hook.index()] = Some(function);
            }
            (_, Some(_), other) => self.fault(key, format!("`{key}` must be a function, not {}", kind(&other))),
            (_, None, _) => {
                let near = nearest(key, Hook::ALL.map(Hook::name));
                self.fault(key, format!("there is no hook `{key}`{near}"));
            }
        }
    }

    fn spot(&self, function: &Function) -> Spot {
        Spot::of(function).unwrap_or_else(|| Spot { file: self.file.to_owned(), line: 1 })
    }

    fn endpoints(&mut self, policy: &mut Policy, table: &Table) {
        let mut found: Vec<(String, Function)> = Vec::new();
        for pair in table.pairs::<String, Value>() {
            match pair {
                Ok((pattern, Value::Function(function))) if super::set::Pattern::parse(&pattern).is_some() => {
                    found.push((pattern, function));
                }
                Ok((pattern, Value::Function(_))) => {
                    self.fault("endpoints", format!("`{pattern}`: an endpoint is written \"GET /path/{{name}}\""));
                }
                Ok((pattern, _)) => self.fault("endpoints", format!("`{pattern}` must be a function")),
                Err(_) => self.fault("endpoints", "an endpoint is written [\"GET /path\"] = function".to_owned()),
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        for (pattern, function) in found {
            policy.definition.endpoints.push((pattern, self.spot(&function)));
            policy.endpoints.push(function);
        }
        policy.definition.hooks[Hook::Endpoints.index()] =
            policy.definition.endpoints.first().map(|(_, spot)| spot.clone());
    }

    fn background(&mut self, policy: &mut Policy, table: &Table) {
        for job in table.sequence_values::<Table>() {
            let read = job.and_then(|job| {
                Ok((job.raw_get::<String>("name")?, job.raw_get::<f64>("every")?, job.raw_get::<Function>("run")?))
            });
            match read {
                Ok((name, every, run)) if (1.0..=1e9).contains(&every) => {
                    let spot = self.spot(&run);
                    policy.definition.background.push((name, Duration::from_secs_f64(every), spot));
                    policy.background.push(run);
                }
                _ => self.fault(
                    "background",
                    "background work is written { every = 30, name = \"…\", run = function(ctx) … end }, every at least 1 s".to_owned(),
                ),
            }
        }
        let first = policy.definition.background.first().map(|(_, _, spot)| spot.clone());
        policy.definition.hooks[Hook::Background.index()] = first;
    }
}
