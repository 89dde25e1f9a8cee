//! Bursts: the stretches for which a hook runs between two waits, with its deadlines and its memory bounded.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use mlua::Lua;
use parking_lot::MutexGuard;

use super::failure::Raised;
use super::hook::{Deadlines, Hook};
use super::host::Host;
use super::interrupt::now;
use super::place::Spot;
use super::run::RunState;

/// How often a hook's burst begins anew when it is found past its deadline. The deadline is in elapsed time, the only
/// clock that is cheap enough to read for every call, and the machine may have given the thread's time to others: a hook
/// that was only held up has a whole burst left when it is seen running again, and a runaway is three bursts old at its end.
const EXTENSIONS: u32 = 2;

/// One call of a hook, as the host functions see it.
pub(super) struct Frame {
    /// The exchange it belongs to; `None` in background work and at the top level.
    pub(super) run: Option<Arc<RunState>>,
    /// The policy.
    pub(super) mount: usize,
    /// The hook; `None` for the top level of a file.
    pub(super) hook: Option<Hook>,
    /// How long it may take.
    pub(super) deadlines: Deadlines,
    /// Nanoseconds that it has run.
    used: AtomicU64,
    /// When the running burst is over.
    burst_end: AtomicU64,
    /// How often its burst began anew.
    extensions: AtomicU32,
    /// Whether it was ended.
    overrun: AtomicBool,
    /// Where.
    stopped_at: OnceLock<Spot>,
}

/// A hook is over its time.
struct Overran;

/// A VM while a hook runs in it.
pub(super) struct Running<'h> {
    host: &'h Host,
    frame: &'h Frame,
    started: u64,
    /// Dropped last, when the hook is no longer the current one.
    _gate: MutexGuard<'h, ()>,
}

/// A hook's future, each of whose polls is a burst.
pub(super) struct Bursts<F> {
    future: F,
    host: Arc<Host>,
    lua: Lua,
    frame: Arc<Frame>,
}

// === impl Frame ===

impl Frame {
    /// A call that is about to be made.
    pub(super) fn new(run: Option<Arc<RunState>>, mount: usize, hook: Option<Hook>, deadlines: Deadlines) -> Self {
        Self {
            run,
            mount,
            hook,
            deadlines,
            used: AtomicU64::new(0),
            burst_end: AtomicU64::new(0),
            extensions: AtomicU32::new(0),
            overrun: AtomicBool::new(false),
            stopped_at: OnceLock::new(),
        }
    }

    /// Whether it was ended because it ran for too long. A `pcall` can hide the error, not this.
    pub(super) fn overran(&self) -> bool {
        self.overrun.load(Ordering::Relaxed)
    }

    /// Where it was ended.
    pub(super) fn stopped_at(&self) -> Option<Spot> {
        self.stopped_at.get().cloned()
    }

    /// How long it has run.
    pub(super) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// How long the next burst may take.
    fn allowance(&self) -> u64 {
        let total = nanos(self.deadlines.total).saturating_sub(self.used.load(Ordering::Relaxed));
        nanos(self.deadlines.burst).min(total)
    }

    /// Called at a safepoint past the deadline: when the burst is to end now, or that it is over.
    fn extend(&self) -> Result<u64, Overran> {
        let now = now();
        let end = self.burst_end.load(Ordering::Relaxed);
        if now < end && !self.overran() {
            return Ok(end);
        }
        if self.extensions.fetch_add(1, Ordering::Relaxed) >= EXTENSIONS {
            self.overrun.store(true, Ordering::Relaxed);
            return Err(Overran);
        }
        let end = now.saturating_add(nanos(self.deadlines.burst));
        self.burst_end.store(end, Ordering::Relaxed);
        Ok(end)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

// === impl Host: bursts ===

impl Host {
    /// Waits for the VM and makes `frame` what runs in it, until the result is dropped.
    pub(super) fn enter<'h>(&'h self, lua: &Lua, frame: &'h Arc<Frame>) -> Running<'h> {
        let gate = self.gate.lock();
        *self.current.lock() = Some(Arc::clone(frame));
        // One burst can take half of the memory at most, so that the others on this VM can go on while it is replaced.
        let room = lua.used_memory() + self.limits.memory / 2;
        let _ = lua.set_memory_limit(room.min(self.limits.memory));
        let started = now();
        let end = started.saturating_add(frame.allowance());
        frame.burst_end.store(end, Ordering::Relaxed);
        if let Some(watch) = self.watch.get() {
            watch.arm(end);
        }
        Running { host: self, frame, started, _gate: gate }
    }

    /// The interrupt: ends the running hook when it is over its time, again at every safepoint, so that no `pcall` keeps it alive.
    pub(super) fn step(&self, lua: &Lua) -> mlua::Result<()> {
        let (Some(frame), Some(watch)) = (self.frame(), self.watch.get()) else {
            return Ok(());
        };
        if let Ok(end) = frame.extend() {
            watch.postpone(end);
            return Ok(());
        }
        if let Some(spot) = Spot::here(lua) {
            let _ = frame.stopped_at.set(spot);
        }
        Err(Raised::Overrun(frame.deadlines.burst).into())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(watch) = self.host.watch.get() {
            watch.disarm();
        }
        self.frame.used.fetch_add(now().saturating_sub(self.started), Ordering::Relaxed);
        let frame = self.host.current.lock().take();
        drop(frame);
    }
}

// === impl Bursts ===

impl<F> Bursts<F> {
    /// Runs a hook's future in its VM.
    pub(super) fn new(future: F, host: Arc<Host>, lua: Lua, frame: Arc<Frame>) -> Self {
        Self { future, host, lua, frame }
    }
}

impl<F: Future + Unpin> Future for Bursts<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _running = this.host.enter(&this.lua, &this.frame);
        Pin::new(&mut this.future).poll(cx)
    }
}
