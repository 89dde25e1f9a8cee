//! `scripts/chaos`: endpoints that are killed, stalled and brought back at random while clients ask
//! through a gate, and a tally of what became of every request.
//!
//! Every question has one right answer, so that a wrong or a cut one is told from a whole one; of each upstream one
//! endpoint is sound at any time, so that no request has to fail before its answer began.

#[path = "chaos/caller.rs"]
mod caller;
#[path = "chaos/endpoint.rs"]
mod endpoint;
#[path = "chaos/gate.rs"]
mod gate;
#[path = "chaos/hits.rs"]
mod hits;
#[path = "chaos/journal.rs"]
mod journal;
#[path = "chaos/mood.rs"]
mod mood;
#[path = "chaos/question.rs"]
mod question;
#[path = "chaos/tally.rs"]
mod tally;
#[path = "chaos/voice.rs"]
mod voice;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Failure;
use endpoint::Endpoint;
use gate::Gate;
use hits::Hits;
use journal::Journal;
use mood::Weather;
use tally::Tally;

/// Lets a gate serve while its upstreams fail, and tells what became of every request.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The gate's program.
    #[arg(long)]
    gate: PathBuf,
    /// A bundle that it serves, with `@NAME@` where addresses belong; of several, the later over the earlier.
    #[arg(long, required = true)]
    bundle: Vec<PathBuf>,
    /// Seconds of load.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Clients that ask one question after the other.
    #[arg(long, default_value_t = 48)]
    clients: usize,
    /// What chance begins with: the same number, the same sequence of failures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Endpoints of each upstream.
const ENDPOINTS: usize = 3;

/// How often the gate's memory is looked at, a policy is saved and the tally is shown.
const LOOK: Duration = Duration::from_secs(1);
const SAVE: u64 = 15;
const SHOW: u64 = 10;

/// Runs the whole of it and says what became of every request; an error when something was lost.
pub(crate) async fn storm(arguments: &Arguments) -> Result<String, Failure> {
    let hits = Arc::new(Hits::default());
    let mut upstreams = Vec::new();
    for name in ["chat", "claude"] {
        let mut endpoints = Vec::new();
        for number in 0..ENDPOINTS {
            endpoints.push(Endpoint::start(format!("{name}-{number}"), Arc::clone(&hits))?);
        }
        upstreams.push(endpoints);
    }
    let mut gate = Gate::start(&arguments.gate, &arguments.bundle, &upstreams).await?;
    let journal = Journal::read(gate.take_log()?);
    let tally = Arc::new(Tally::default());
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let weather = upstreams.iter().zip(1..).map(|(endpoints, number)| {
        let weather = Weather::new(endpoints.clone(), arguments.seed.wrapping_mul(1000) + number);
        tokio::spawn(weather.rage(end))
    });
    let weather: Vec<_> = weather.collect();
    let callers = (0..arguments.clients).map(|number| {
        let seed = arguments.seed.wrapping_mul(1_000_000) + number as u64;
        tokio::spawn(caller::call_until(end, gate.address, seed, Arc::clone(&tally)))
    });
    let callers: Vec<_> = callers.collect();
    watch(&mut gate, &tally, end).await?;
    for task in callers.into_iter().chain(weather) {
        task.await?;
    }
    let memory = std::mem::take(&mut gate.memory);
    gate.stop().await?;
    let report = tally.report(&journal.finish().await?, &hits, &memory);
    if report.sound { Ok(report.text) } else { Err(format!("the gate lost something\n{}", report.text).into()) }
}

/// Watches the gate until `end`: its memory, and that it goes on when a policy is saved.
async fn watch(gate: &mut Gate, tally: &Tally, end: Instant) -> Result<(), Failure> {
    let mut second = 0;
    while Instant::now() < end {
        tokio::time::sleep(LOOK).await; // paced: one look a second
        second += 1;
        gate.look()?;
        if second % SAVE == 0 {
            gate.save(second)?;
        }
        if second % SHOW == 0 {
            writeln!(std::io::stderr(), "{second:>5} s  {}", tally.line())?;
        }
    }
    Ok(())
}
