//! The measuring side of `scripts/bench` and `scripts/chaos`: an upstream that answers at once, clients that check what they get, and the
//! table that compares.
//!
//! Both ends run on one thread each and share a core, so that the gate has the other one to itself.

#![warn(clippy::pedantic)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[path = "load/call.rs"]
mod call;
#[path = "load/chaos.rs"]
mod chaos;
#[path = "load/follow.rs"]
mod follow;
#[path = "load/memory.rs"]
mod memory;
#[path = "load/process.rs"]
mod process;
#[path = "load/record.rs"]
mod record;
#[path = "load/reload.rs"]
mod reload;
#[path = "load/report.rs"]
mod report;
#[path = "load/run.rs"]
mod run;
#[path = "load/slow.rs"]
mod slow;
#[path = "load/target.rs"]
mod target;
#[path = "load/translation.rs"]
mod translation;
#[path = "load/upstream.rs"]
mod upstream;
#[path = "load/voice.rs"]
mod voice;
#[path = "load/wire.rs"]
mod wire;
#[path = "load/work.rs"]
mod work;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every part of a command may fail with.
type Failure = Box<dyn Error + Send + Sync>;

/// Measures proxies that carry the same work.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers requests at once and tells what it got.
    Upstream(upstream::Arguments),
    /// Loads a target with many connections.
    Run(run::RunArguments),
    /// One client, one request after the other.
    Latency(run::LatencyArguments),
    /// Holds streams open, loads, rests, and watches the memory of a process.
    Memory(memory::Arguments),
    /// Asks many times at once for one stream that the cache takes.
    Follow(follow::Arguments),
    /// Holds many streams whose events come seldom, to their ends.
    Slow(slow::Arguments),
    /// Saves a policy again and again and waits until it serves.
    Reload(reload::Arguments),
    /// Waits until a target answers.
    Ready(run::ReadyArguments),
    /// Lets the upstreams of a gate fail at random, and tells what became of every request.
    Chaos(chaos::Arguments),
    /// Compares recorded figures.
    Report {
        /// The lines that the other commands wrote.
        file: PathBuf,
        /// Writes JSON in place of a table.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let ended = run(Arguments::parse().command).and_then(|output| Ok(std::io::stdout().write_all(output.as_bytes())?));
    let Err(error) = ended else { return ExitCode::SUCCESS };
    // Where this cannot be said either, the code says it.
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::FAILURE
}

fn run(command: Command) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(execute(command))
}

/// Carries a command out and returns what it has to say.
async fn execute(command: Command) -> Result<String, Failure> {
    match command {
        Command::Upstream(arguments) => upstream::serve(&arguments).await.map(|()| String::new()),
        Command::Run(arguments) => line(&run::run(&arguments).await?),
        Command::Latency(arguments) => line(&run::latency(&arguments).await?),
        Command::Memory(arguments) => line(&memory::measure(&arguments).await?),
        Command::Follow(arguments) => line(&follow::measure(&arguments).await?),
        Command::Slow(arguments) => line(&slow::measure(&arguments).await?),
        Command::Reload(arguments) => line(&reload::measure(&arguments).await?),
        Command::Ready(arguments) => run::ready(&arguments).await.map(|()| String::new()),
        Command::Chaos(arguments) => chaos::storm(&arguments).await,
        Command::Report { file, json } => report::report(&std::fs::read_to_string(file)?, json),
    }
}

/// A record as one line of JSON.
fn line(record: &record::Record) -> Result<String, Failure> {
    Ok(serde_json::to_string(record)? + "\n")
}
