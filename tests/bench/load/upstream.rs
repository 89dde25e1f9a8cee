//! The upstream of all measurements: it discards what it is sent, answers at once, and tells what it was told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::Failure;
use crate::translation;
use crate::voice::Voice;
use crate::wire::{Head, Wire};

/// Events in one write, unless they are paced.
const AT_ONCE: usize = 10;
/// What a request gets that should have been translated and was not.
const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/// An upstream that answers at once.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A name and an address, `a=127.0.0.1:9000`; once for each upstream.
    #[arg(long, required = true, value_parser = named_address)]
    listen: Vec<(String, SocketAddr)>,
}

/// One named upstream.
struct Upstream {
    /// How it answers on `/v1/messages`.
    anthropic: Voice,
    /// How it answers everywhere else.
    chat: Voice,
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
        Self { anthropic: Voice::anthropic(name), chat: Voice::chat(name) }
    }

    async fn converse(&self, socket: TcpStream) -> io::Result<()> {
        let mut wire = Wire::new(socket)?;
        let mut body = Vec::new();
        while let Some(head) = wire.head().await? {
            let mut wish = Wish::read(&head);
            if is_messages(&head) {
                body.clear();
                wire.body(&head, |piece| body.extend_from_slice(piece)).await?;
                if !translation::is_translated(&body) {
                    wire.write(REFUSAL).await?;
                    continue;
                }
                wish.events = translation::asks_for_stream(&body).then_some(translation::EVENTS);
                answer(&mut wire, &self.anthropic, &head, &wish).await?;
            } else {
                wire.body(&head, |_| ()).await?;
                answer(&mut wire, &self.chat, &head, &wish).await?;
            }
        }
        Ok(())
    }
}

/// Whether a request goes where Anthropic's dialect is spoken.
fn is_messages(head: &Head) -> bool {
    head.start().starts_with(b"POST /v1/messages")
}

async fn answer(wire: &mut Wire, voice: &Voice, head: &Head, wish: &Wish) -> io::Result<()> {
    let client = head.field("x-client").unwrap_or(b"-");
    let Some(events) = wish.events else {
        let answer = [voice.whole.as_bytes(), client, b"\r\n\r\n", voice.answer.as_bytes()].concat();
        return wire.write(&answer).await;
    };
    wire.write(&[voice.stream.as_bytes(), client, b"\r\n\r\n", &voice.begin].concat()).await?;
    stream(wire, voice, events, wish).await
}

/// Writes every event by itself when they are paced, else several at once: the upstream is not what is measured.
async fn stream(wire: &mut Wire, voice: &Voice, events: usize, wish: &Wish) -> io::Result<()> {
    let at_once = if wish.gap.is_zero() { AT_ONCE } else { 1 };
    let mut left = events;
    while left > 0 {
        let batch = left.min(at_once);
        wire.write(&voice.event.repeat(batch)).await?;
        left -= batch;
        if !wish.gap.is_zero() {
            tokio::time::sleep(wish.gap).await; // paced: the gap was asked for
        }
    }
    if wish.hold {
        return wire.gone().await;
    }
    wire.write(&voice.end).await
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
