//! Many clients that ask for the same stream at the same time: one of them fills the cache, all others follow.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Failure;
use crate::process;
use crate::record::{Record, Times, count, micros};
use crate::target::Watched;
use crate::wire::Wire;
use crate::work::Variant;

/// How long the whole of it may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the command is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    watched: Watched,
    /// Clients at once.
    #[arg(long, default_value_t = 1001)]
    count: usize,
}

/// What one client saw.
struct Seen {
    /// From the moment that all ask to the end of its answer.
    total: Duration,
    /// Whether the gate asked the upstream for it.
    asked: bool,
    /// Whether it got the whole stream.
    whole: bool,
}

/// Lets all ask at once and tells what they got.
pub(crate) async fn measure(arguments: &Arguments) -> Result<Record, Failure> {
    let target = &arguments.watched.target;
    let variant = Arc::new(target.variants().into_iter().next().ok_or("the work has no requests")?);
    let start = Arc::new(Barrier::new(arguments.count));
    let (before, busy) = (process::resident_kib(arguments.watched.pid)?, process::busy(arguments.watched.pid)?);
    let mut clients = JoinSet::new();
    for _ in 0..arguments.count {
        clients.spawn(timeout(PATIENCE, ask(target.address, Arc::clone(&variant), Arc::clone(&start))));
    }
    let (mut times, mut asked, mut broken) = (Times::default(), 0, 0);
    while let Some(seen) = clients.join_next().await {
        let seen = seen???;
        times.push(seen.total);
        asked += usize::from(seen.asked);
        broken += usize::from(!seen.whole);
    }
    let spent = process::busy(arguments.watched.pid)?.saturating_sub(busy);
    let mut record = Record::new(&target.peer, "follow", target.work.name());
    record.set("requests", times.count());
    record.set("asked", count(asked));
    record.set("mismatches", count(broken));
    record.set("cpu_us", micros(spent) / times.count().max(1.0));
    record.set("grown_kib", process::resident_kib(arguments.watched.pid)? - before);
    record.set_times("", &mut times);
    Ok(record)
}

/// Connects, waits for all others, asks and reads.
async fn ask(address: SocketAddr, variant: Arc<Variant>, start: Arc<Barrier>) -> io::Result<Seen> {
    let mut wire = Wire::connect(address).await?;
    start.wait().await;
    let begin = Instant::now();
    wire.write(&variant.bytes).await?;
    let head = wire.head().await?.ok_or(ErrorKind::UnexpectedEof)?;
    let mut body = Vec::new();
    wire.body(&head, |piece| body.extend_from_slice(piece)).await?;
    let asked = head.field("x-cache").is_none_or(|told| told == b"miss");
    Ok(Seen { total: begin.elapsed(), asked, whole: variant.matches(&head, &body) })
}
