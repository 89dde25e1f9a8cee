//! Load from many clients, and the time that one client waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::Failure;
use crate::call::Caller;
use crate::process;
use crate::record::{Record, Times, count, micros};
use crate::target::Target;
use crate::work::Variant;

/// How long an answer may be late after the load has ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client that saw so many errors stops.
const ERRORS: usize = 20;

/// What a loading command is told.
#[derive(Clone, clap::Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub target: Target,
    /// Clients at once, each on its own connection.
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// How long to measure.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// How long to load before measuring.
    #[arg(long, default_value_t = 0.3)]
    pub warmup: f64,
    /// The process that is measured, for the time it spends.
    #[arg(long)]
    pub pid: Option<u32>,
}

/// What the one-client command is told.
#[derive(clap::Args)]
pub(crate) struct LatencyArguments {
    #[command(flatten)]
    target: Target,
    /// Requests to measure; a tenth more go before.
    #[arg(long, default_value_t = 2000)]
    n: usize,
}

/// What the waiting command is told.
#[derive(clap::Args)]
pub(crate) struct ReadyArguments {
    #[command(flatten)]
    target: Target,
    /// How long to wait at most.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// What one client, or all together, counted.
#[derive(Default)]
struct Tally {
    times: Times,
    /// Calls without an answer.
    errors: usize,
    /// Answers that did not show the work done.
    mismatches: usize,
}

/// Loads the target.
pub(crate) async fn run(arguments: &RunArguments) -> Result<Record, Failure> {
    let target = &arguments.target;
    let start = Instant::now() + Duration::from_secs_f64(arguments.warmup);
    let end = start + Duration::from_secs_f64(arguments.seconds);
    let variants: Arc<[Variant]> = target.variants().into();
    let mut clients = JoinSet::new();
    for turn in 0..arguments.connections {
        let caller = Caller::new(target.address, Arc::clone(&variants), turn);
        clients.spawn(repeat(caller, start, end));
    }
    let busy = || arguments.pid.map_or(Ok(Duration::ZERO), process::busy);
    sleep_until(start).await; // paced: what comes before is not measured
    let before = busy()?;
    sleep_until(end).await; // paced: the time of the measurement
    let spent = busy()?.saturating_sub(before);
    let mut all = Tally::default();
    while let Some(tally) = clients.join_next().await {
        all.add(tally?);
    }
    Ok(all.record(arguments, spent))
}

/// Calls until `end`, and counts what ends after `start`.
async fn repeat(mut caller: Caller, start: Instant, end: Instant) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < end && tally.errors < ERRORS {
        let answer = timeout_at(end + PATIENCE, caller.call()).await;
        let now = Instant::now();
        match answer {
            Ok(Ok(answer)) if now >= start && now < end => {
                tally.times.push(answer.total);
                tally.mismatches += usize::from(!answer.matches);
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => tally.errors += 1,
        }
    }
    tally
}

/// Measures how long one client waits.
pub(crate) async fn latency(arguments: &LatencyArguments) -> Result<Record, Failure> {
    let target = &arguments.target;
    let mut caller = Caller::new(target.address, target.variants().into(), 0);
    for _ in 0..arguments.n / 10 {
        timeout(PATIENCE, caller.call()).await??;
    }
    let (mut total, mut first, mut mismatches) = (Times::default(), Times::default(), 0);
    for _ in 0..arguments.n {
        let answer = timeout(PATIENCE, caller.call()).await??;
        total.push(answer.total);
        first.push(answer.first);
        mismatches += usize::from(!answer.matches);
    }
    let mut record = Record::new(&target.peer, "latency", target.work.name());
    record.set("requests", total.count());
    record.set("mismatches", count(mismatches));
    record.set_times("", &mut total);
    record.set_times("first_", &mut first);
    Ok(record)
}

/// Waits until the target does its work.
pub(crate) async fn ready(arguments: &ReadyArguments) -> Result<(), Failure> {
    const PAUSE: Duration = Duration::from_millis(20);
    let target = &arguments.target;
    let until = Instant::now() + Duration::from_secs_f64(arguments.seconds);
    let mut caller = Caller::new(target.address, target.variants().into(), 0);
    loop {
        let problem = match timeout_at(until, caller.call()).await {
            Ok(Ok(answer)) if answer.matches => return Ok(()),
            Ok(Ok(_)) => "the answer does not show the work done".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() >= until {
            return Err(format!("{} does not carry work {}: {problem}", target.peer, target.work.name()).into());
        }
        tokio::time::sleep(PAUSE).await; // paced: the target is starting
    }
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, other: Self) {
        self.times.append(other.times);
        self.errors += other.errors;
        self.mismatches += other.mismatches;
    }

    fn record(mut self, arguments: &RunArguments, spent: Duration) -> Record {
        let target = &arguments.target;
        let requests = self.times.count();
        let mut record = Record::new(&target.peer, "load", target.work.name());
        record.set("requests", requests);
        record.set("seconds", arguments.seconds);
        record.set("rps", requests / arguments.seconds);
        record.set_times("", &mut self.times);
        record.set("errors", count(self.errors));
        record.set("mismatches", count(self.mismatches));
        if arguments.pid.is_some() {
            record.set("cpu_us", micros(spent) / requests.max(1.0));
            record.set("busy", spent.as_secs_f64() / arguments.seconds);
        }
        record
    }
}
