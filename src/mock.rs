//! A deterministic upstream that speaks every dialect and fails on request, so that the demo, the tests and the
//! benches need neither a key nor a network.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

mod answer;
mod anthropic;
mod ask;
mod chat;
mod connection;
mod control;
mod embedding;
mod failure;
mod fault;
mod gemini;
mod http;
mod ollama;
mod openai;
mod reply;
mod responses;
mod route;
mod said;
mod sample;
mod send;
mod state;
mod stream;
mod tool;

use state::Mock;

/// Where a mock upstream listens and what it calls itself.
#[derive(Clone, Debug)]
pub struct MockSettings {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Stands in the `x-mock` header of every answer, so that a test can tell which upstream answered.
    pub name: String,
}

// === impl MockSettings ===

impl MockSettings {
    /// Opens the listener that [`serve`] takes. Fails when the address is taken or not ours.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.listen).await
    }
}

/// How long accepting rests after a failure such as too many open files, which no retry at once would mend.
const REST: Duration = Duration::from_millis(10);

/// Answers the connections of `listener` until `shutdown` is ready; connections that are still open are then closed.
/// Fails at once when `name` cannot stand in a header.
pub async fn serve(listener: TcpListener, name: String, shutdown: impl Future) -> io::Result<()> {
    if ::http::HeaderValue::from_str(&name).is_err() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name of a mock upstream must fit in a header"));
    }
    let mock = Arc::new(Mock::new(name));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            _ = &mut shutdown => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(welcome(Arc::clone(&mock), stream)); }
                Err(_) => tokio::time::sleep(REST).await, // paced: the system is out of files
            },
        }
    }
}

/// Carries one connection. Without `TCP_NODELAY` small events would wait for the client's acknowledgements; a socket
/// that refuses the option is already closed.
async fn welcome(mock: Arc<Mock>, stream: TcpStream) {
    if stream.set_nodelay(true).is_ok() {
        connection::run(&mock, stream).await;
    }
}

#[cfg(test)]
mod tests;
