//! Carries the requests of one connection, one after the other, from head to answer.

use std::io;

use tokio::net::TcpStream;

use super::fault::Faults;
use super::http::{Head, ReadError, Wire};
use super::reply::{Dialect, Reply};
use super::route::{self, Request};
use super::send::{Manner, Next, send};
use super::state::Mock;

/// Answers until the client leaves, a fault closes the connection, or a request cannot be read.
pub(super) async fn run(mock: &Mock, stream: TcpStream) {
    let mut wire = Wire::new(stream);
    loop {
        let done = match wire.head().await {
            Ok(Some(head)) => exchange(mock, &mut wire, &head).await,
            Ok(None) => return,
            Err(error) => refuse(mock, &mut wire, &error).await,
        };
        match done {
            Ok(Next::Again) => {}
            Ok(Next::Close) => return,
            Err(_) => return mock.count_aborted(),
        }
    }
}

/// Answers one request. An error means that the client left mid-answer.
async fn exchange(mock: &Mock, wire: &mut Wire, head: &Head) -> io::Result<Next> {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let found = route::find(path);
    mock.count(found);
    let route = found.and_then(route::at);
    let dialect = route.map_or(Dialect::OpenAi, |route| route.dialect);
    let asked = mock.faults(route, &head.faults);
    if let Ok(faults) = &asked
        && let Some(status) = faults.early
    {
        return answer_early(mock, wire, head, &dialect.error(status, "The body was not waited for.", ""), faults)
            .await;
    }
    let received = match wire.body(head).await {
        Ok(received) => received,
        Err(error) => return refuse(mock, wire, &error).await,
    };
    let in_place = wire.input.get(received.place).unwrap_or_default();
    let request = Request {
        method: &head.method,
        path,
        query,
        head: wire.input.get(..head.len).unwrap_or_default(),
        body: received.joined.as_deref().unwrap_or(in_place),
    };
    let (reply, faults) = match asked {
        Ok(faults) => route::answer(mock, route, &request, faults),
        Err(error) => (dialect.error(400, &error.to_string(), ""), Faults::default()),
    };
    wire.consume(received.end);
    send(wire, &reply, &faults, &Manner::of(mock, head)).await
}

/// Answers before the body is read, then reads it. A client that waits to be asked for its body may now never send
/// it, so that connection is closed.
async fn answer_early(mock: &Mock, wire: &mut Wire, head: &Head, reply: &Reply, faults: &Faults) -> io::Result<Next> {
    let mut manner = Manner::of(mock, head);
    manner.keep_alive &= !head.expects;
    let next = send(wire, reply, faults, &manner).await?;
    if next == Next::Close {
        return Ok(next);
    }
    match wire.body(head).await {
        Ok(received) => {
            wire.consume(received.end);
            Ok(next)
        }
        Err(error) => refuse(mock, wire, &error).await,
    }
}

/// Tells the client why its request cannot be read, when there still is a client, and closes.
async fn refuse(mock: &Mock, wire: &mut Wire, error: &ReadError) -> io::Result<Next> {
    if let ReadError::Refused(status, why) = error {
        let reply = Dialect::OpenAi.error(*status, why, "");
        send(wire, &reply, &Faults::default(), &Manner::closing(mock)).await?;
    }
    Ok(Next::Close)
}
