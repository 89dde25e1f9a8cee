//! What every long-running command needs: worker threads, and the signals that end it.

use std::io;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: finish what is under way.
    Gently,
    /// SIGINT: at once.
    AtOnce,
}

/// The signals that end a command, heeded from when this is made: before it, each of them kills the process at once.
pub struct Signals {
    term: Signal,
    int: Signal,
}

/// How many worker threads there are unless someone says.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A runtime with so many worker threads, one for each processor unless given.
pub fn build(threads: Option<usize>) -> io::Result<Runtime> {
    let threads = threads.unwrap_or_else(processors).max(1);
    if threads == 1 {
        // One worker has nobody to share work with: the plain scheduler does without the care that sharing needs.
        return Builder::new_current_thread().enable_all().build();
    }
    Builder::new_multi_thread().worker_threads(threads).thread_name("tidegate").enable_all().build()
}

/// Ends when any signal asks the process to stop.
pub async fn told_to_stop() {
    match Signals::listen() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    };
}

// === impl Signals ===

impl Signals {
    /// Begins to heed them.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// The next one that comes.
    pub async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.term.recv() => Stop::Gently,
            _ = self.int.recv() => Stop::AtOnce,
        }
    }
}
