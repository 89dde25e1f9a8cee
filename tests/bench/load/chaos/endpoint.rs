//! An endpoint that answers as its mood is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::hits::Hits;
use super::mood::Mood;
use super::question::{number_in, words};
use super::voice::Voice;
use crate::wire::{Head, Wire};

/// One endpoint; its listener and connections live in tasks of their own.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Its name in the bundle.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    mood: Arc<watch::Sender<Mood>>,
}

/// How long a late answer takes.
const LATE: Duration = Duration::from_millis(400);

/// What says nothing in any dialect.
const PAGE: &str = "<html><body>The service will be back soon.</body></html>";

/// Between two events.
const GAP: Duration = Duration::from_millis(2);

/// How long an endpoint may be without a port that it can have back.
const RETRY: Duration = Duration::from_millis(5);

// === impl Endpoint ===

impl Endpoint {
    /// Listens on a free port.
    pub(crate) fn start(name: String, hits: Arc<Hits>) -> io::Result<Self> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let (mood, moods) = watch::channel(Mood::Sound);
        tokio::spawn(serve(listener, address, moods, hits));
        Ok(Self { name, address, mood: Arc::new(mood) })
    }

    /// Changes its mood, at once for new requests; going down also ends the running ones.
    pub(crate) async fn turn_to(&self, mood: Mood) {
        self.mood.send_replace(mood);
        tokio::task::yield_now().await;
    }

    /// Makes it sound.
    pub(crate) fn wake(&self) {
        self.mood.send_replace(Mood::Sound);
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Takes connections while it is up.
async fn serve(mut listener: TcpListener, address: SocketAddr, mut moods: watch::Receiver<Mood>, hits: Arc<Hits>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((socket, _)) = accepted {
                    tokio::spawn(converse(socket, moods.clone(), Arc::clone(&hits)));
                }
            }
            changed = moods.changed() => {
                if changed.is_err() {
                    return;
                }
                if *moods.borrow() == Mood::Down {
                    drop(listener);
                    if moods.wait_for(|mood| *mood != Mood::Down).await.is_err() {
                        return;
                    }
                    listener = loop {
                        match listen(address) {
                            Ok(listener) => break listener,
                            Err(_) => tokio::time::sleep(RETRY).await, // paced: the port is not free yet
                        }
                    };
                }
            }
        }
    }
}

/// Answers on one connection until it ends, or the endpoint goes down.
async fn converse(socket: TcpStream, moods: watch::Receiver<Mood>, hits: Arc<Hits>) {
    // A connection that is given up is reset, not ended.
    let _ = socket.set_zero_linger();
    let Ok(mut wire) = Wire::new(socket) else { return };
    let mut down = moods.clone();
    tokio::select! {
        _ = down.wait_for(|mood| *mood == Mood::Down) => {}
        _ = answer_all(&mut wire, &moods, &hits) => {}
    }
}

async fn answer_all(wire: &mut Wire, moods: &watch::Receiver<Mood>, hits: &Hits) -> io::Result<()> {
    while let Some(head) = wire.head().await? {
        let mut body = Vec::new();
        wire.body(&head, |piece| body.extend_from_slice(piece)).await?;
        let Some(number) = number_in(&body) else {
            wire.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await?;
            continue;
        };
        hits.count(number);
        let mood = *moods.borrow();
        let stream = memchr::memmem::find(&body, b"\"stream\":true").is_some();
        if !answer(wire, voice(&head), mood, number, stream).await? {
            return Ok(());
        }
    }
    Ok(())
}

fn voice(head: &Head) -> Voice {
    if head.start().starts_with(b"POST /v1/messages") { Voice::Messages } else { Voice::Chat }
}

/// Answers one request; false when the connection is at its end.
async fn answer(wire: &mut Wire, voice: Voice, mood: Mood, number: u64, stream: bool) -> io::Result<bool> {
    match mood {
        Mood::Down => Ok(false),
        Mood::Mute => wire.gone().await.map(|()| false),
        Mood::Refusing(status) => refuse(wire, status).await.map(|()| true),
        Mood::Garbage => garbage(wire).await.map(|()| true),
        Mood::Late => {
            tokio::time::sleep(LATE).await; // paced: a slow endpoint
            say(wire, voice, Mood::Sound, number, stream).await
        }
        mood => say(wire, voice, mood, number, stream).await,
    }
}

async fn refuse(wire: &mut Wire, status: u16) -> io::Result<()> {
    let body = r#"{"error":{"message":"not now","type":"server_error"}}"#;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Not Now\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    wire.write(head.as_bytes()).await
}

async fn garbage(wire: &mut Wire) -> io::Result<()> {
    let length = PAGE.len();
    let head = format!("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{PAGE}");
    wire.write(head.as_bytes()).await
}

async fn say(wire: &mut Wire, voice: Voice, mood: Mood, number: u64, stream: bool) -> io::Result<bool> {
    let words = words(number);
    if stream {
        return say_stream(wire, voice, mood, &words).await;
    }
    let body = if mood == Mood::Babble { PAGE.to_owned() } else { voice.whole(&words) };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    wire.write(head.as_bytes()).await?;
    let half = body.as_bytes().get(..length / 2).unwrap_or_default();
    match mood {
        Mood::CutAtHead => return Ok(false),
        Mood::Cut | Mood::Unfinished => return wire.write(half).await.map(|()| false),
        Mood::Stalled => {
            wire.write(half).await?;
            return wire.gone().await.map(|()| false);
        }
        _ => {}
    }
    wire.write(body.as_bytes()).await.map(|()| true)
}

async fn say_stream(wire: &mut Wire, voice: Voice, mood: Mood, words: &[String]) -> io::Result<bool> {
    wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    match mood {
        Mood::CutAtHead => return Ok(false),
        Mood::Babble => {
            chunk(wire, PAGE).await?;
            return wire.write(b"0\r\n\r\n").await.map(|()| true);
        }
        Mood::Overloaded => {
            chunk(wire, &voice.overloaded()).await?;
            return wire.write(b"0\r\n\r\n").await.map(|()| true);
        }
        _ => {}
    }
    let (begin, middle, end) = voice.events(words);
    let breaks = matches!(mood, Mood::Cut | Mood::Unfinished | Mood::Stalled);
    let until = if breaks { middle.len() / 2 } else { middle.len() };
    for event in begin.iter().chain(middle.iter().take(until)) {
        chunk(wire, event).await?;
        tokio::time::sleep(GAP).await; // paced: a model's tokens
    }
    match mood {
        Mood::Cut => return Ok(false),
        Mood::Stalled => return wire.gone().await.map(|()| false),
        Mood::Unfinished => return wire.write(b"0\r\n\r\n").await.map(|()| true),
        _ => {}
    }
    for event in &end {
        chunk(wire, event).await?;
    }
    wire.write(b"0\r\n\r\n").await.map(|()| true)
}

async fn chunk(wire: &mut Wire, event: &str) -> io::Result<()> {
    wire.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await
}
