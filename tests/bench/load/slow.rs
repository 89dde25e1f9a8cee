//! Many streams at once whose events come seldom, as from models that think: what they need of memory and of the core.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::process;
use crate::record::{Record, count};
use crate::target::Watched;
use crate::wire::Wire;
use crate::work::Variant;

/// Connections that are opened at once: as many as a listener's queue takes.
const OPENING: usize = 100;
/// Streams on one connection of HTTP/2.
const SHARED: usize = 100;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What the command is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    watched: Watched,
    /// Streams at once.
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// How many of them go over connections of HTTP/2, that a process which may hold 20,000 sockets can have both ends of all.
    #[arg(long, default_value_t = 200)]
    h2: usize,
}

/// Opens all streams, reads them to their ends and tells the most that the process held meanwhile.
pub(crate) async fn measure(arguments: &Arguments) -> Result<Record, Failure> {
    let (target, pid) = (&arguments.watched.target, arguments.watched.pid);
    let variant = Arc::new(target.variants().into_iter().next().ok_or("the work has no requests")?);
    let (idle, spent, begin) = (process::resident_kib(pid)?, process::busy(pid)?, Instant::now());
    let mut streams = JoinSet::new();
    let opening = Arc::new(Semaphore::new(OPENING));
    for _ in 0..arguments.count.saturating_sub(arguments.h2) {
        streams.spawn(read(target.address, Arc::clone(&variant), Arc::clone(&opening)));
    }
    for from in (0..arguments.h2).step_by(SHARED) {
        let sender = connect(target.address).await?;
        for _ in from..arguments.h2.min(from + SHARED) {
            streams.spawn(read_shared(sender.clone(), Arc::clone(&variant)));
        }
    }
    let (mut whole, mut broken, mut most) = (0, 0, idle);
    while !streams.is_empty() {
        tokio::select! {
            Some(read) = streams.join_next() => *if read?? { &mut whole } else { &mut broken } += 1,
            () = sleep(LOOK) => {} // paced: memory is looked at now and then
        }
        if (whole + broken) % SHARED == 0 {
            most = most.max(process::resident_kib(pid)?);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let mut record = Record::new(&target.peer, "slow", target.work.name());
    record.set("requests", count(whole));
    record.set("mismatches", count(broken));
    record.set("idle_kib", idle);
    record.set("most_kib", most);
    record.set("per_stream_kib", (most - idle) / count(arguments.count.max(1)));
    record.set("seconds", seconds);
    record.set("busy", process::busy(pid)?.saturating_sub(spent).as_secs_f64() / seconds);
    Ok(record)
}

/// One stream on a connection of its own: whether it came whole.
async fn read(address: SocketAddr, variant: Arc<Variant>, opening: Arc<Semaphore>) -> Result<bool, Failure> {
    let turn = opening.acquire_owned().await?;
    let mut wire = Wire::connect(address).await?;
    wire.write(&variant.bytes).await?;
    let head = wire.head().await?.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?;
    drop(turn);
    let mut body = Vec::new();
    wire.body(&head, |piece| body.extend_from_slice(piece)).await?;
    Ok(variant.matches(&head, &body))
}

/// A connection of HTTP/2 without TLS (RFC 9113 §3.3).
async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>, Failure> {
    let socket = TcpStream::connect(address).await?;
    let (sender, connection) = h2::client::handshake(socket).await?;
    // A connection that breaks shows in its streams.
    tokio::spawn(connection);
    Ok(sender.ready().await?)
}

/// One stream on a connection of several.
async fn read_shared(sender: SendRequest<Bytes>, variant: Arc<Variant>) -> Result<bool, Failure> {
    let (target, body) = variant.parts().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
    let request = http::Request::post(format!("http://bench.test{target}")).header("content-type", "application/json");
    let mut sender = sender.ready().await?;
    let (answer, mut sent) = sender.send_request(request.body(())?, false)?;
    sent.send_data(Bytes::copy_from_slice(body), true)?;
    let answer = answer.await?;
    let is_ok = answer.status() == http::StatusCode::OK;
    let mut pieces = answer.into_body();
    let mut body = Vec::new();
    while let Some(piece) = pieces.data().await {
        let piece = piece?;
        pieces.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    Ok(is_ok && variant.is_whole(&body))
}
