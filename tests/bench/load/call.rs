//! One client: sends the requests of a work in turn on one connection and looks at each answer.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::wire::{Head, Wire};
use crate::work::Variant;

/// A client with its connection.
pub(crate) struct Caller {
    address: SocketAddr,
    variants: Arc<[Variant]>,
    /// Which variant is next.
    turn: usize,
    /// Gone after an error; the next call connects again.
    wire: Option<Wire>,
    /// The body of the answer at hand.
    body: Vec<u8>,
}

/// How one call went.
pub(crate) struct Answer {
    /// From the first byte sent to the last received.
    pub total: Duration,
    /// From the first byte sent to the first piece of the body.
    pub first: Duration,
    /// Whether the answer showed that the work was done.
    pub matches: bool,
}

// === impl Caller ===

impl Caller {
    /// A client that begins with the variant number `turn`.
    pub(crate) fn new(address: SocketAddr, variants: Arc<[Variant]>, turn: usize) -> Self {
        Self { address, variants, turn, wire: None, body: Vec::new() }
    }

    /// Sends the next request and waits for its whole answer.
    pub(crate) async fn call(&mut self) -> io::Result<Answer> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.address).await?,
        };
        let variants = Arc::clone(&self.variants);
        let variant = variants.get(self.turn % variants.len()).ok_or(ErrorKind::InvalidInput)?;
        self.turn += 1;
        let start = Instant::now();
        wire.write(&variant.bytes).await?;
        let head = wire.head().await?.ok_or(ErrorKind::UnexpectedEof)?;
        let first = self.read_body(&mut wire, &head).await?;
        let total = start.elapsed();
        if !head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close")) {
            self.wire = Some(wire);
        }
        let matches = variant.matches(&head, &self.body);
        Ok(Answer { total, first: first.map_or(total, |first| first - start), matches })
    }

    /// Reads the body, and tells when it began.
    async fn read_body(&mut self, wire: &mut Wire, head: &Head) -> io::Result<Option<Instant>> {
        let mut first = None;
        let body = &mut self.body;
        body.clear();
        wire.body(head, |piece| {
            first.get_or_insert_with(Instant::now);
            body.extend_from_slice(piece);
        })
        .await?;
        Ok(first)
    }
}
