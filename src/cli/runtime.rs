//! What every long-running command needs: worker threads, and the signals that end it.

use std::io;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: finish what is under way.
    Gently,
    /// SIGINT: at once.
    AtOnce,
}

/// How many worker threads there are unless someone says.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A runtime with so many worker threads, one for each processor unless given.
pub fn build(threads: Option<usize>) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads.unwrap_or_else(processors).max(1))
        .thread_name("tidegate")
        .enable_all()
        .build()
}

/// Ends when a signal asks the process to stop.
pub async fn stop_signal() -> Stop {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => Stop::Gently,
        _ = int.recv() => Stop::AtOnce,
    }
}

/// Ends when any signal asks the process to stop.
pub async fn told_to_stop() {
    stop_signal().await;
}
