//! One VM's side of the host: what the functions that policies call need to know.

use std::sync::{Arc, OnceLock};

use mlua::{Function, Lua};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::regex::Patterns;
use super::burst::Frame;
use super::hook::{Hook, HostLimits};
use super::interrupt::Watch;
use super::load::Program;
use super::modules::Loading;
use super::place::Spot;
use super::run::RunState;
use super::services::Services;

/// What host functions reach through the VM they run in. It holds nothing of the VM itself, which holds it.
pub(super) struct Host {
    /// The files, their bytecode, and what is mounted.
    pub(super) program: Arc<Program>,
    /// What policies may use.
    pub(super) limits: HostLimits,
    /// The gate; `None` in the VM in which a bundle is only checked.
    pub(super) services: Option<Arc<dyn Services>>,
    /// What files evaluated so far have declared and returned.
    pub(super) loading: Mutex<Loading>,
    /// Compiled patterns of `regex`.
    pub(super) patterns: Mutex<Patterns>,
    /// The hook that is running.
    pub(super) current: Mutex<Option<Arc<Frame>>>,
    /// Held while anything runs in the VM, so that the hook that is running and its deadline are one and the same.
    pub(super) gate: Mutex<()>,
    /// The VM's deadline; set once, when the VM is built, and taken back before it goes.
    pub(super) watch: OnceLock<Arc<Watch>>,
}

// === impl Host ===

impl Host {
    /// The host of a VM.
    pub(super) fn of(lua: &Lua) -> mlua::Result<Arc<Self>> {
        lua.app_data_ref::<Arc<Self>>()
            .map(|host| Arc::clone(&host))
            .ok_or_else(|| mlua::Error::runtime("this VM has no host"))
    }

    /// Keeps a file's function at hand if it counts which of its lines run.
    pub(super) fn keep(&self, file: &str, chunk: &Function) {
        if self.program.counts_lines() {
            self.loading.lock().chunks.push((file.to_owned(), chunk.clone()));
        }
    }

    /// The hook that is running.
    pub(super) fn frame(&self) -> Option<Arc<Frame>> {
        self.current.lock().clone()
    }

    /// The hook that is running, for a function that needs a running gate.
    pub(super) fn in_hook(&self, what: &str) -> mlua::Result<Arc<Frame>> {
        self.frame()
            .filter(|frame| frame.hook.is_some())
            .ok_or_else(|| mlua::Error::runtime(format!("{what} cannot be used while a file is loaded, only in hooks")))
    }

    /// The gate, for a function that needs it.
    pub(super) fn services(&self, what: &str) -> mlua::Result<&Arc<dyn Services>> {
        self.in_hook(what)?;
        self.services.as_ref().ok_or_else(|| mlua::Error::runtime(format!("{what} needs a running gate")))
    }

    /// The exchange whose hook is running, if it is an exchange's.
    pub(super) fn run(&self) -> Option<Arc<RunState>> {
        self.current.lock().as_ref().and_then(|frame| frame.run.clone())
    }

    /// Asks for something that is not the exchange's own: noted on its tape, or told by it.
    pub(super) fn ask<T: Serialize + DeserializeOwned>(
        &self,
        what: impl FnOnce() -> String,
        take: impl FnOnce() -> T,
    ) -> T {
        match self.run() {
            Some(run) => run.facts.tape.ask(what, take),
            None => take(),
        }
    }

    /// The name of the policy that is running.
    pub(super) fn policy(&self) -> String {
        let mount = self.current.lock().as_ref().map(|frame| frame.mount);
        mount.and_then(|mount| self.program.mounts.get(mount)).map(|mount| mount.name.clone()).unwrap_or_default()
    }

    /// Refuses a function that waits where waiting is impossible, whether or not it would have to wait this time: what
    /// works in a test must work under load.
    pub(super) fn may_wait(&self, lua: &Lua, what: &str) -> mlua::Result<()> {
        let hook = match self.frame() {
            Some(frame) => frame.hook,
            None => None,
        };
        if hook.is_some_and(|hook| hook.spec().waits) {
            return Ok(());
        }
        let place = Spot::here(lua).map(|spot| format!(" ({spot})")).unwrap_or_default();
        let (where_, instead) = match hook {
            Some(hook) => {
                (hook.name(), "Call it in on_request and keep the result in ctx.vars, or use ctx:after_response()")
            }
            None => ("the top level of a file", "Call it in a hook"),
        };
        Err(mlua::Error::runtime(format!("E_NO_YIELD: {what} cannot wait in {where_}{place}. {instead}.")))
    }

    /// Refuses an edit of a message in a hook that only decides.
    pub(super) fn may_edit(&self, what: &str) -> mlua::Result<()> {
        let hook = self.current.lock().as_ref().and_then(|frame| frame.hook);
        match hook {
            Some(hook) if !hook.spec().edits => Err(mlua::Error::runtime(format!(
                "E_READ_ONLY: {what} cannot be changed in {}; edit it in {}",
                hook.name(),
                match hook {
                    Hook::Commit => Hook::OnEvent.name(),
                    _ if hook.spec().outward => Hook::OnResponse.name(),
                    _ => Hook::OnRequest.name(),
                },
            ))),
            _ => Ok(()),
        }
    }
}

/// The bundle's file that a chunk name stands for; `None` for the host's own chunks.
pub(super) fn short_name(chunk: &str) -> Option<&str> {
    chunk.strip_prefix('@')
}
