//! The admin listener: health, status and metrics, apart from the clients' traffic.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use http::{Method, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::edge::local::Answer;
use crate::fault::Fault;
use crate::gate::Gate;
use crate::generation::Generation;
use crate::policy::{HookReport, MountInfo, PolicySet};
use crate::upstream::dial::Dialer;

/// How many of the latest hook errors are shown.
const REPORTS: usize = 50;

/// What became of the bundle on disk, for status.
#[derive(Debug, Default)]
pub struct Board {
    /// The last bundle that was rejected, if it is the one on disk.
    rejected: Mutex<Option<Rejected>>,
    /// What a reload could not change.
    notes: Mutex<Vec<String>>,
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

/// Answers the admin listener's requests.
pub struct Admin {
    /// The gate it speaks of.
    pub gate: Arc<Gate<Dialer>>,
    /// What became of the bundle on disk.
    pub board: Arc<Board>,
}

// === impl Board ===

impl Board {
    /// The bundle on disk serves now; `notes` tell what of it does not.
    pub fn accepted(&self, notes: Vec<String>) {
        *self.rejected.lock() = None;
        *self.notes.lock() = notes;
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

    fn show(&self, status: &mut serde_json::Map<String, Value>) {
        if let Some(rejected) = &*self.rejected.lock() {
            let faults: Vec<String> = rejected.faults.iter().map(ToString::to_string).collect();
            status.insert("rejected".into(), json!({"at": httpdate::fmt_http_date(rejected.at), "faults": faults}));
        }
        let notes = self.notes.lock();
        if !notes.is_empty() {
            status.insert("needs_restart".into(), json!(*notes));
        }
        let draining: Vec<Value> = self.draining.lock().iter().filter_map(drained).collect();
        if !draining.is_empty() {
            status.insert("draining".into(), json!(draining));
        }
        let reports = self.reports.lock();
        status.insert("hook_errors".into(), json!(*reports));
    }
}

/// A replaced generation and how many exchanges are on it; one is held by who waits for them.
fn drained(generation: &Weak<Generation>) -> Option<Value> {
    let exchanges = generation.strong_count().saturating_sub(1);
    let generation = generation.upgrade()?;
    Some(json!({"generation": generation.number, "hash": generation.hash, "exchanges": exchanges}))
}

/// The policies in their order, with their hooks and parameters.
fn policies(set: &PolicySet) -> Vec<Value> {
    let show = |mount: MountInfo| {
        let params: Vec<&String> = mount.params.iter().map(|(name, _, _)| name).collect();
        json!({"name": mount.name, "file": mount.file, "hooks": mount.hooks, "params": params})
    };
    set.mounts().into_iter().map(show).collect()
}

// === impl Admin ===

impl Admin {
    /// What serves now, since when, what was rejected and why.
    pub fn status(&self) -> Value {
        let live = self.gate.live.load();
        let mut status = serde_json::Map::new();
        status.insert("version".into(), json!(env!("CARGO_PKG_VERSION")));
        status.insert(
            "live".into(),
            json!({
                "generation": live.number,
                "hash": live.short_hash(),
                "since": httpdate::fmt_http_date(live.loaded_at),
                "policies": policies(&live.policies),
            }),
        );
        let upstreams: Vec<Value> = live
            .upstreams
            .iter()
            .map(|upstream| {
                let endpoints: Vec<&str> = upstream.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
                json!({"name": upstream.name, "dialect": upstream.server.map(|server| server.name), "endpoints": endpoints})
            })
            .collect();
        status.insert("upstreams".into(), json!(upstreams));
        status.insert("cache".into(), self.gate.cache.stats().to_json());
        self.board.show(&mut status);
        Value::Object(status)
    }
}

impl Answer for Admin {
    fn answer(&self, method: &Method, path: &str) -> Response<Vec<u8>> {
        let json = "application/json";
        let (status, kind, body) = match (method, path) {
            (&Method::GET, "/-/health") => (200, json, json!({"status": "ok"}).to_string()),
            (&Method::GET, "/-/status") => (200, json, format!("{:#}\n", self.status())),
            (&Method::GET, "/-/metrics") => {
                (200, "application/openmetrics-text; version=1.0.0; charset=utf-8", self.gate.metrics.render())
            }
            (_, "/-/health" | "/-/status" | "/-/metrics") => (405, json, json!({"error": "only GET"}).to_string()),
            _ => (404, json, json!({"error": "there is /-/health, /-/status and /-/metrics"}).to_string()),
        };
        let mut response = Response::new(body.into_bytes());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let length = response.body().len();
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static(kind));
        headers.insert("content-length", http::HeaderValue::from(length));
        response
    }
}
