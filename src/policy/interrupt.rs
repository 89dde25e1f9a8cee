//! Stops hooks that run too long, at no cost to those that do not: Luau looks for an interrupt at every loop and call,
//! and a watchdog thread puts one there only once a deadline has passed.
//!
//! mlua can only install an interrupt for good, under the VM's lock, and a handler that looks at the clock makes every
//! loop several times slower; that is why this file reaches below mlua. It is the one file of the gate with `unsafe`, and rests on:
//! - `lua.h`: "interrupt is safe to set from an arbitrary thread"; Luau reads the field through a volatile pointer;
//! - the field has the size of a pointer, so it is written as one atomic pointer;
//! - the place is given up when [`WatchGuard`] is dropped, under the mutex that the watchdog holds while it writes: never after the VM is gone.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mlua::{Lua, VmState, ffi};
use parking_lot::Mutex;

/// How often deadlines are looked at while any is set.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without any deadline after which the watchdog sleeps until it is called.
const IDLE_TICKS: u32 = 50;

/// No deadline is set.
const NONE: u64 = 0;

/// A VM's deadline.
pub(super) struct Watch(Arc<Slot>);

/// Keeps the watchdog off a VM once it is dropped. Whoever owns a VM owns this too, and drops it first.
pub(super) struct WatchGuard(pub(super) Arc<Watch>);

/// What the watchdog sees of a VM.
struct Slot {
    /// When the running burst is over, in nanoseconds on [`now`]'s scale.
    deadline: AtomicU64,
    /// Where the interrupt goes; `None` once the VM is gone.
    place: Mutex<Option<Place>>,
}

/// The interrupt field of a VM, and what to put there.
struct Place {
    /// The field, which lives as long as the VM.
    field: *const AtomicPtr<()>,
    /// mlua's handler, which calls the function given to [`Watch::install`].
    handler: *mut (),
}

// SAFETY: the pointers are used under the slot's mutex, and only until `WatchGuard` is dropped, which is before the VM.
unsafe impl Send for Place {}

/// The watchdog thread's side.
struct Dog {
    /// All VMs that were not dropped.
    slots: Mutex<Vec<Weak<Slot>>>,
    /// Whether it sleeps until it is called.
    asleep: AtomicBool,
    /// Its thread.
    thread: OnceLock<Thread>,
}

// === impl Watch ===

impl Watch {
    /// Prepares a VM whose `step` is to be called at every safepoint past a deadline. The interrupt is not set yet.
    pub(super) fn install<F>(lua: &Lua, step: F) -> mlua::Result<WatchGuard>
    where
        F: Fn(&Lua) -> mlua::Result<()> + Send + 'static,
    {
        lua.set_interrupt(move |lua| step(lua).map(|()| VmState::Continue));
        if !started() {
            return Err(mlua::Error::runtime("the machine refuses the thread that ends runaway policies"));
        }
        let mut field: *const AtomicPtr<()> = ptr::null();
        // SAFETY: the state is valid during the call, and the stack is left as it is. `lua_callbacks` returns a pointer into
        // the global state, whose `interrupt` is a nullable function pointer: same size and alignment as `AtomicPtr`.
        unsafe {
            lua.exec_raw::<()>((), |state| {
                field = ptr::addr_of!((*ffi::lua_callbacks(state)).interrupt).cast();
            })?;
        }
        // SAFETY: the field was read from a live VM a moment ago.
        let handler = unsafe { (*field).swap(ptr::null_mut(), Ordering::Relaxed) };
        let slot = Arc::new(Slot { deadline: AtomicU64::new(NONE), place: Mutex::new(Some(Place { field, handler })) });
        dog().slots.lock().push(Arc::downgrade(&slot));
        Ok(WatchGuard(Arc::new(Self(slot))))
    }

    /// Sets the deadline of the burst that is about to run.
    pub(super) fn arm(&self, deadline: u64) {
        self.0.deadline.store(deadline.max(1), Ordering::SeqCst);
        let dog = dog();
        if dog.asleep.load(Ordering::SeqCst)
            && dog.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = dog.thread.get()
        {
            thread.unpark();
        }
    }

    /// Moves the deadline on from inside the interrupt, which comes back when it has passed again.
    pub(super) fn postpone(&self, deadline: u64) {
        self.0.deadline.store(deadline.max(1), Ordering::SeqCst);
        self.0.put(false);
    }

    /// Takes the deadline away, and the interrupt with it.
    pub(super) fn disarm(&self) {
        let deadline = self.0.deadline.swap(NONE, Ordering::SeqCst);
        if deadline <= now() {
            self.0.put(false);
        }
    }
}

// === impl WatchGuard ===

impl Drop for WatchGuard {
    fn drop(&mut self) {
        *self.0.0.place.lock() = None;
    }
}

// === impl Slot ===

impl Slot {
    /// Sets the VM's interrupt, or clears it.
    fn put(&self, on: bool) {
        if let Some(place) = &*self.place.lock() {
            let handler =
                if on && self.deadline.load(Ordering::SeqCst) != NONE { place.handler } else { ptr::null_mut() };
            // SAFETY: the VM lives as long as its place is here, and the mutex is held.
            unsafe { (*place.field).store(handler, Ordering::Relaxed) };
        }
    }

    /// Looks at the deadline; tells whether there is one.
    fn look(&self, now: u64) -> bool {
        let deadline = self.deadline.load(Ordering::SeqCst);
        if deadline != NONE && deadline <= now {
            self.put(true);
        }
        deadline != NONE
    }
}

// === impl Dog ===

impl Dog {
    fn watch(&self) {
        let _ = self.thread.set(std::thread::current());
        let mut idle = 0;
        loop {
            idle = if self.tick() { 0 } else { idle + 1 };
            if idle < IDLE_TICKS {
                std::thread::park_timeout(TICK);
                continue;
            }
            self.asleep.store(true, Ordering::SeqCst);
            // A deadline that was set before `asleep` could be seen is found by one more look.
            if self.tick() {
                self.asleep.store(false, Ordering::SeqCst);
            }
            while self.asleep.load(Ordering::SeqCst) {
                std::thread::park();
            }
            idle = 0;
        }
    }

    /// Looks at all deadlines; tells whether there is any.
    fn tick(&self) -> bool {
        let now = now();
        let mut any = false;
        self.slots.lock().retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            any |= slot.look(now);
            true
        });
        any
    }
}

/// Nanoseconds since the first call, on the machine's own clock: a hook uses up real time even when a case's clock stands.
pub(super) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
}

/// The watchdog's side, its thread running or not.
fn dog() -> &'static Dog {
    static DOG: Dog = Dog { slots: Mutex::new(Vec::new()), asleep: AtomicBool::new(false), thread: OnceLock::new() };
    &DOG
}

/// Starts the watchdog with the first VM; tells whether it runs.
fn started() -> bool {
    static STARTED: OnceLock<bool> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let named = std::thread::Builder::new().name("policy-watchdog".to_owned());
        named.spawn(|| dog().watch()).is_ok()
    })
}
