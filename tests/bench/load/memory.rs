//! The memory of a process: idle, with streams held open, after load, and after a rest.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Failure;
use crate::process::resident_kib;
use crate::record::{Record, count};
use crate::run::{self, RunArguments};
use crate::target::Watched;
use crate::wire::Wire;
use crate::work::held_stream;

/// Time for what was opened or closed to arrive everywhere.
const SETTLE: Duration = Duration::from_millis(500);
/// How long one stream may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the command is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    watched: Watched,
    /// Streams held open at once.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// How long to load.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How long to rest after it.
    #[arg(long, default_value_t = 60.0)]
    rest: f64,
}

/// Takes the process through all four states.
pub(crate) async fn measure(arguments: &Arguments) -> Result<Record, Failure> {
    let pid = arguments.watched.pid;
    let mut record = Record::new(&arguments.watched.target.peer, "memory", arguments.watched.target.work.name());
    let idle = resident_kib(pid)?;
    record.set("idle_kib", idle);
    let streams = hold(arguments.watched.target.address, arguments.count).await?;
    sleep(SETTLE).await; // paced: memory is looked at when all is quiet
    let held = resident_kib(pid)?;
    record.set("held_kib", held);
    record.set("per_stream_kib", (held - idle) / count(arguments.count.max(1)));
    drop(streams);
    sleep(SETTLE).await; // paced: the streams are let go
    let load = run::run(&load(arguments)).await?;
    for figure in ["requests", "errors", "mismatches"] {
        record.set(figure, load.figures.get(figure).copied().unwrap_or_default());
    }
    sleep(SETTLE).await; // paced: the load's connections are let go
    record.set("loaded_kib", resident_kib(pid)?);
    sleep(Duration::from_secs_f64(arguments.rest)).await; // paced: the rest that was asked for
    record.set("rested_kib", resident_kib(pid)?);
    Ok(record)
}

fn load(arguments: &Arguments) -> RunArguments {
    RunArguments {
        target: arguments.watched.target.clone(),
        connections: 64,
        seconds: arguments.seconds,
        warmup: 0.0,
        pid: None,
    }
}

/// Opens streams and waits for the first event of each.
async fn hold(address: SocketAddr, count: usize) -> Result<Vec<Wire>, Failure> {
    let mut opening = JoinSet::new();
    for _ in 0..count {
        opening.spawn(timeout(PATIENCE, open(address)));
    }
    let mut streams = Vec::with_capacity(count);
    while let Some(stream) = opening.join_next().await {
        streams.push(stream???);
    }
    Ok(streams)
}

async fn open(address: SocketAddr) -> io::Result<Wire> {
    let mut wire = Wire::connect(address).await?;
    wire.write(&held_stream()).await?;
    let head = wire.head().await?.ok_or(ErrorKind::UnexpectedEof)?;
    if !head.is_ok() {
        return Err(io::Error::other("a stream was refused"));
    }
    wire.more().await?;
    Ok(wire)
}
