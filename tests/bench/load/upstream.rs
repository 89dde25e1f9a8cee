//! The upstream of all measurements: it discards what it is sent, answers at once, and tells what it was told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::Failure;
use crate::wire::{Head, Wire};

/// One event of a stream, as a chunk of its own.
const EVENT: &str = "data: {\"id\":\"chat-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\
    \"model-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tide\"},\"finish_reason\":null}]}\n\n";
/// Events in one write, unless they are paced.
const AT_ONCE: usize = 10;
const DONE: &str = "data: [DONE]\n\n";
/// The whole answer, about 300 bytes.
const ANSWER: &str = "{\"id\":\"chat-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"model-x\",\
    \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The tide comes in and the tide goes out, \
    and the gate stands.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":64,\"completion_tokens\":16,\
    \"total_tokens\":80}}";

/// An upstream that answers at once.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A name and an address, `a=127.0.0.1:9000`; once for each upstream.
    #[arg(long, required = true, value_parser = named_address)]
    listen: Vec<(String, SocketAddr)>,
}

/// What one named upstream says.
struct Upstream {
    /// The head of whole answers, up to the value of its last field: the client it was told of.
    whole: String,
    /// The same of streams.
    stream: String,
    event: Vec<u8>,
    end: Vec<u8>,
}

/// What a request's query asks for.
#[derive(Default)]
struct Wish {
    /// A stream of so many events.
    events: Option<usize>,
    /// The pause between two of them, counted in whole milliseconds by the timer.
    gap: Duration,
    /// Whether the stream stays open after the last one.
    hold: bool,
}

/// Serves until the process ends.
pub(crate) async fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let mut listeners = tokio::task::JoinSet::new();
    for (name, address) in &arguments.listen {
        let listener = TcpListener::bind(address).await?;
        listeners.spawn(accept(listener, Arc::new(Upstream::new(name))));
    }
    while let Some(ended) = listeners.join_next().await {
        ended??;
    }
    Ok(())
}

async fn accept(listener: TcpListener, upstream: Arc<Upstream>) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        let upstream = Arc::clone(&upstream);
        // A connection that breaks is the client's business; it counts there.
        tokio::spawn(async move { upstream.converse(socket).await });
    }
}

fn named_address(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("expected NAME=ADDRESS")?;
    Ok((name.to_owned(), address.parse().map_err(|error| format!("{address}: {error}"))?))
}

// === impl Upstream ===

impl Upstream {
    fn new(name: &str) -> Self {
        let head = |framing: &str, media: &str| {
            format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{framing}\r\nX-Served-By: {name}\r\nX-Seen-Client: ")
        };
        Self {
            whole: head(&format!("Content-Length: {}", ANSWER.len()), "application/json"),
            stream: head("Transfer-Encoding: chunked", "text/event-stream"),
            event: chunk(EVENT),
            end: [chunk(DONE), chunk("")].concat(),
        }
    }

    async fn converse(&self, socket: TcpStream) -> io::Result<()> {
        let mut wire = Wire::new(socket)?;
        while let Some(head) = wire.head().await? {
            wire.body(&head, |_| ()).await?;
            let client = head.field("x-client").unwrap_or(b"-");
            let wish = Wish::read(&head);
            let Some(events) = wish.events else {
                let answer = [self.whole.as_bytes(), client, b"\r\n\r\n", ANSWER.as_bytes()].concat();
                wire.write(&answer).await?;
                continue;
            };
            wire.write(&[self.stream.as_bytes(), client, b"\r\n\r\n"].concat()).await?;
            self.stream(&mut wire, events, &wish).await?;
        }
        Ok(())
    }

    /// Writes every event by itself when they are paced, else several at once: the upstream is not what is measured.
    async fn stream(&self, wire: &mut Wire, events: usize, wish: &Wish) -> io::Result<()> {
        let at_once = if wish.gap.is_zero() { AT_ONCE } else { 1 };
        let mut left = events;
        while left > 0 {
            let batch = left.min(at_once);
            wire.write(&self.event.repeat(batch)).await?;
            left -= batch;
            if !wish.gap.is_zero() {
                tokio::time::sleep(wish.gap).await; // paced: the gap was asked for
            }
        }
        if wish.hold {
            return wire.gone().await;
        }
        wire.write(&self.end).await
    }
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

// === impl Wish ===

impl Wish {
    fn read(head: &Head) -> Self {
        let mut wish = Self::default();
        let start = String::from_utf8_lossy(head.start());
        let query = start.split(' ').nth(1).and_then(|target| target.split_once('?')).map_or("", |(_, query)| query);
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match (key, value.parse()) {
                ("events", Ok(count)) => wish.events = Some(count),
                ("gap_us", Ok(gap)) => wish.gap = Duration::from_micros(gap as u64),
                ("hold", Ok(hold)) => wish.hold = hold != 0,
                _ => {}
            }
        }
        wish
    }
}
