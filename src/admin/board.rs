//! What became of the bundle on disk, for status: written where it happens, read by whoever asks.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::generation::Generation;
use crate::policy::HookReport;

/// How many of the latest hook errors are shown.
const REPORTS: usize = 50;

/// What became of the bundle on disk, for status.
#[derive(Debug, Default)]
pub struct Board {
    /// The last bundle that was rejected, if it is the one on disk.
    rejected: Mutex<Option<Rejected>>,
    /// What a reload could not change.
    notes: Mutex<Vec<String>>,
    /// When what is live replaced another.
    since: Mutex<Option<SystemTime>>,
    /// What waits, and what was passed over.
    waits: Mutex<Map<String, Value>>,
    /// The latest hook errors.
    reports: Mutex<VecDeque<Value>>,
    /// Generations that were replaced, as long as exchanges are on them.
    draining: Mutex<Vec<Weak<Generation>>>,
}

/// A bundle that was not taken.
#[derive(Debug)]
struct Rejected {
    at: SystemTime,
    faults: Vec<Fault>,
}

// === impl Board ===

impl Board {
    /// The bundle on disk has no faults: it serves, or waits.
    pub fn sound(&self) {
        *self.rejected.lock() = None;
    }

    /// The bundle on disk has just replaced another; `notes` tell what of it does not serve.
    pub fn went_live(&self, notes: Vec<String>) {
        *self.since.lock() = Some(SystemTime::now());
        *self.notes.lock() = notes;
        self.sound();
    }

    /// When what is live replaced another; `None` when it serves from the start.
    pub fn since(&self) -> Option<SystemTime> {
        *self.since.lock()
    }

    /// What waits to serve, by the names that status has for it.
    pub fn waits(&self, waits: Map<String, Value>) {
        *self.waits.lock() = waits;
    }

    /// The bundle on disk was not taken.
    pub fn rejected(&self, faults: Vec<Fault>) {
        *self.rejected.lock() = Some(Rejected { at: SystemTime::now(), faults });
    }

    /// Keeps a hook's error for status.
    pub fn report(&self, report: &HookReport) {
        let mut reports = self.reports.lock();
        if reports.len() == REPORTS {
            reports.pop_front();
        }
        reports.push_back(json!({
            "policy": report.policy,
            "hook": report.hook,
            "file": report.file,
            "line": report.line,
            "message": report.message,
        }));
    }

    /// A generation was replaced and finishes its exchanges.
    pub fn draining(&self, old: &Arc<Generation>) {
        let mut draining = self.draining.lock();
        draining.retain(|generation| generation.strong_count() > 0);
        draining.push(Arc::downgrade(old));
    }

    /// Why the bundle on disk was not taken, and when; `null` when it was.
    pub fn faults(&self) -> Value {
        self.rejected.lock().as_ref().map_or(Value::Null, |rejected| {
            let faults: Vec<String> = rejected.faults.iter().map(ToString::to_string).collect();
            json!({"at": httpdate::fmt_http_date(rejected.at), "faults": faults})
        })
    }

    /// The latest hook errors.
    pub fn reports(&self) -> Value {
        json!(*self.reports.lock())
    }

    /// Adds what is known to the status.
    pub(super) fn show(&self, status: &mut Map<String, Value>) {
        let rejected = self.faults();
        if !rejected.is_null() {
            status.insert("rejected".into(), rejected);
        }
        status.extend(self.waits.lock().clone());
        let notes = self.notes.lock();
        if !notes.is_empty() {
            status.insert("needs_restart".into(), json!(*notes));
        }
        let draining: Vec<Value> = self.draining.lock().iter().filter_map(drained).collect();
        if !draining.is_empty() {
            status.insert("draining".into(), json!(draining));
        }
        status.insert("hook_errors".into(), self.reports());
    }
}

/// A replaced generation and how many exchanges are on it; one is held by who waits for them.
fn drained(generation: &Weak<Generation>) -> Option<Value> {
    let exchanges = generation.strong_count().saturating_sub(1);
    let generation = generation.upgrade()?;
    Some(json!({"generation": generation.number, "hash": generation.hash, "exchanges": exchanges}))
}
