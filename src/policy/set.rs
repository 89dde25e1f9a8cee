//! The policies of one generation: a VM for each worker, and what the rest of the gate may know without asking them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::coverage::Covered;
use super::hook::{Hook, HostLimits};
use super::load::Program;
use super::place::Spot;
use super::run::{Facts, Run};
use super::services::{HookReport, Services};
use super::vm::{Definition, Vm};
use crate::error::Error;
use crate::fault::Fault;

/// Reports kept for the operator.
const KEPT_REPORTS: usize = 50;

/// The policies of one generation. Cheap to clone.
#[derive(Clone)]
pub struct PolicySet(pub(super) Arc<Inner>);

/// What a set's policies and hooks are called, without its VMs.
#[derive(Clone)]
pub(super) struct Names {
    program: Arc<Program>,
    definitions: Arc<[Definition]>,
}

/// What all runs of a generation share.
pub(super) struct Inner {
    program: Arc<Program>,
    pub(super) limits: HostLimits,
    definitions: Arc<[Definition]>,
    pub(super) services: Arc<dyn Services>,
    /// One for each worker; replaced when it is worn.
    vms: Box<[ArcSwap<Vm>]>,
    /// The policies that have a hook, in the order in which they are called, by [`Hook::index`].
    orders: [Vec<usize>; Hook::ALL.len()],
    /// The endpoints of all policies: pattern, policy, place in the policy's list.
    endpoints: Vec<(Pattern, usize, usize)>,
    /// VMs that were replaced.
    retired: AtomicU64,
    /// The newest failures, the newest last.
    reports: Mutex<VecDeque<HookReport>>,
    /// VMs that were replaced, kept when their code counts which of its lines run.
    worn: Mutex<Vec<Arc<Vm>>>,
}

/// What a mounted policy has, for status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountInfo {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// The names of its hooks.
    pub hooks: Vec<&'static str>,
    /// Its parameters: name, type, what it is for.
    pub params: Vec<(String, &'static str, Option<String>)>,
}

/// A local endpoint that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointMatch {
    pub(super) mount: usize,
    pub(super) index: usize,
    /// What `{name}` parts of the path matched.
    pub(super) captures: Vec<(String, String)>,
}

/// Periodic work that a policy declares. The host runs it once a process, never overlapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackgroundJob {
    /// The policy.
    pub policy: String,
    /// The work's name.
    pub name: String,
    /// How often it runs.
    pub every: Duration,
    mount: usize,
    index: usize,
}

/// `METHOD /path/{name}`.
pub(super) struct Pattern {
    method: String,
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Name(String),
}

// === impl PolicySet ===

impl PolicySet {
    pub(super) fn new(
        program: &Arc<Program>,
        limits: &HostLimits,
        definitions: &Arc<[Definition]>,
        services: Arc<dyn Services>,
        workers: usize,
    ) -> Result<Self, Vec<Fault>> {
        let vms =
            (0..workers).map(|_| build(program, limits, &services).map(ArcSwap::new)).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner {
            program: Arc::clone(program),
            limits: limits.clone(),
            definitions: Arc::clone(definitions),
            services,
            vms,
            orders: Hook::ALL.map(|hook| order(definitions, hook)),
            endpoints: endpoints(definitions),
            retired: AtomicU64::new(0),
            reports: Mutex::default(),
            worn: Mutex::default(),
        })))
    }

    /// Whether any policy has this hook.
    pub fn has(&self, hook: Hook) -> bool {
        !self.0.order(hook).is_empty()
    }

    /// The policies in their order, for status.
    pub fn mounts(&self) -> Vec<MountInfo> {
        let describe = |(index, definition): (usize, &Definition)| MountInfo {
            name: self.0.mount_name(index).to_owned(),
            file: self.0.program.mounts.get(index).map(|mount| mount.file.clone()).unwrap_or_default(),
            hooks: Hook::ALL
                .into_iter()
                .filter(|hook| definition.hooks[hook.index()].is_some())
                .map(Hook::name)
                .collect(),
            params: definition.params.iter().map(|param| (param.name.clone(), param.kind, param.doc.clone())).collect(),
        };
        self.0.definitions.iter().enumerate().map(describe).collect()
    }

    /// The endpoint for a method and a path. The policy that is mounted first wins; in it, text before names.
    pub fn match_endpoint(&self, method: &str, path: &str) -> Option<EndpointMatch> {
        self.0.endpoints.iter().find_map(|(pattern, mount, index)| {
            let captures = pattern.matches(method, path)?;
            Some(EndpointMatch { mount: *mount, index: *index, captures })
        })
    }

    /// The periodic work of all policies.
    pub fn background(&self) -> Vec<BackgroundJob> {
        let jobs = self.0.definitions.iter().enumerate().flat_map(|(mount, definition)| {
            definition.background.iter().enumerate().map(move |(index, (name, every, _))| (mount, index, name, *every))
        });
        jobs.map(|(mount, index, name, every)| BackgroundJob {
            policy: self.0.mount_name(mount).to_owned(),
            name: name.clone(),
            every,
            mount,
            index,
        })
        .collect()
    }

    /// Does a piece of periodic work once.
    pub async fn run_background(&self, job: &BackgroundJob) -> Result<(), Error> {
        super::run::background(&self.0, job.mount, job.index).await
    }

    /// Starts the policies' side of an exchange on the VM of a worker. Nothing is made in the VM before a hook is called.
    pub fn begin(&self, worker: usize, facts: Facts) -> Run {
        Run::new(Arc::clone(&self.0), worker, facts)
    }

    /// The newest failures, the newest last.
    pub fn reports(&self) -> Vec<HookReport> {
        self.0.reports.lock().iter().cloned().collect()
    }

    /// Which lines ran, by file; nothing unless the code counts them.
    pub fn covered(&self) -> Covered {
        let mut covered = Covered::default();
        if self.0.program.counts_lines() {
            let worn = self.0.worn.lock().clone();
            let vms = self.0.vms.iter().map(ArcSwap::load_full).chain(worn);
            vms.for_each(|vm| covered.add(&vm.covered()));
        }
        covered
    }

    /// How many VMs were replaced because their memory was used up.
    pub fn retired_vms(&self) -> u64 {
        self.0.retired.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicySet").field("mounts", &self.mounts()).finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// The policies that have a hook, in the order in which they are called.
    pub(super) fn order(&self, hook: Hook) -> &[usize] {
        &self.orders[hook.index()]
    }

    /// The VM of a worker.
    pub(super) fn vm(&self, worker: usize) -> Option<Arc<Vm>> {
        self.slot(worker).map(ArcSwap::load_full)
    }

    fn slot(&self, worker: usize) -> Option<&ArcSwap<Vm>> {
        self.vms.get(worker % self.vms.len().max(1))
    }

    /// Takes a worn VM out of use for exchanges that start from now on. Those that are on it stay there.
    pub(super) fn retire(&self, worker: usize, worn: &Arc<Vm>) {
        let Some(slot) = self.slot(worker) else { return };
        if !Arc::ptr_eq(&slot.load(), worn) {
            return;
        }
        if let Ok(fresh) = build(&self.program, &self.limits, &self.services) {
            let replaced = slot.compare_and_swap(worn, fresh);
            if Arc::ptr_eq(&replaced, worn) {
                self.retired.fetch_add(1, Ordering::Relaxed);
                if self.program.counts_lines() {
                    self.worn.lock().push(Arc::clone(worn));
                }
            }
        }
    }

    /// Where a hook starts.
    pub(super) fn spot(&self, hook: Hook, mount: usize) -> &Spot {
        spot(&self.definitions, hook, mount)
    }

    /// What its policies and hooks are called.
    pub(super) fn names(&self) -> Names {
        Names { program: Arc::clone(&self.program), definitions: Arc::clone(&self.definitions) }
    }

    /// A policy's name.
    pub(super) fn mount_name(&self, mount: usize) -> &str {
        self.program.mounts.get(mount).map_or("", |mount| mount.name.as_str())
    }

    /// What a policy's settings say about its failures.
    pub(super) fn on_error(&self, mount: usize) -> Option<super::source::OnError> {
        self.program.mounts.get(mount).and_then(|mount| mount.on_error)
    }

    /// Takes note of a failure.
    pub(super) fn report(&self, report: HookReport) {
        let mut reports = self.reports.lock();
        if reports.len() == KEPT_REPORTS {
            reports.pop_front();
        }
        reports.push_back(report.clone());
        drop(reports);
        self.services.report(report);
    }
}

fn build(program: &Arc<Program>, limits: &HostLimits, services: &Arc<dyn Services>) -> Result<Arc<Vm>, Vec<Fault>> {
    let built = Vm::build(program, limits, Some(Arc::clone(services)))
        .map_err(|error| vec![Fault::in_file("policies", error.to_string())])?;
    if built.faults.is_empty() { Ok(Arc::new(built.vm)) } else { Err(built.faults) }
}

fn order(definitions: &[Definition], hook: Hook) -> Vec<usize> {
    let having = definitions.iter().enumerate().filter(|(_, definition)| definition.hooks[hook.index()].is_some());
    let mut order: Vec<usize> = having.map(|(mount, _)| mount).collect();
    if hook.spec().outward {
        order.reverse();
    }
    order
}

/// Sorted patterns have `{` after all letters, so that text comes before names.
fn endpoints(definitions: &[Definition]) -> Vec<(Pattern, usize, usize)> {
    let all = definitions.iter().enumerate().flat_map(|(mount, definition)| {
        let patterns = definition.endpoints.iter().enumerate();
        patterns.filter_map(move |(index, (text, _))| Some((Pattern::parse(text)?, mount, index)))
    });
    all.collect()
}

// === impl Names ===

impl Names {
    /// Where a policy's hook starts.
    pub(super) fn spot(&self, hook: Hook, mount: usize) -> &Spot {
        spot(&self.definitions, hook, mount)
    }

    /// A policy's name.
    pub(super) fn mount(&self, mount: usize) -> &str {
        self.program.mounts.get(mount).map_or("", |mount| mount.name.as_str())
    }
}

/// Where a policy's hook starts.
fn spot(definitions: &[Definition], hook: Hook, mount: usize) -> &Spot {
    static NOWHERE: Spot = Spot { file: String::new(), line: 0 };
    definitions.get(mount).and_then(|definition| definition.hooks[hook.index()].as_ref()).unwrap_or(&NOWHERE)
}

// === impl Pattern ===

impl Pattern {
    /// Reads `METHOD /path/{name}`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (method, path) = text.split_once(' ')?;
        let path = path.strip_prefix('/')?;
        let well_formed = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let parts = path.split('/').map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => Part::Name(name.to_owned()),
            None => Part::Text(part.to_owned()),
        });
        well_formed.then(|| Self { method: method.to_owned(), parts: parts.collect() })
    }

    fn matches(&self, method: &str, path: &str) -> Option<Vec<(String, String)>> {
        if method != self.method {
            return None;
        }
        let mut given = path.strip_prefix('/')?.split('/');
        let mut captures = Vec::new();
        for part in &self.parts {
            match (part, given.next()?) {
                (Part::Text(text), given) if text == given => {}
                (Part::Name(name), given) if !given.is_empty() => captures.push((name.clone(), given.to_owned())),
                _ => return None,
            }
        }
        given.next().is_none().then_some(captures)
    }
}
