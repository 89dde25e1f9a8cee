//! Tells an answer that was made for another exchange: a stored one, or one that still comes and is joined.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::cache::{Entry, Fill, Following};
use crate::error::Error;
use crate::exchange::decision::Pace;
use crate::stream::{Splitter, Wire};
use crate::tape::Overheard;

/// Who tells the answer.
pub enum Teller {
    /// The cache, as fast as it is taken.
    Stored {
        /// The stored answer.
        entry: Arc<Entry>,
        /// The next piece.
        next: usize,
    },
    /// The cache, at a pace.
    Paced(Box<Paced>),
    /// Another exchange, which is answered at present.
    Joined(Box<Joined>),
}

/// An answer that is told at a pace.
pub struct Paced {
    pieces: Vec<Bytes>,
    /// When each piece is due, counted from the first time that one is asked for.
    times: Vec<Duration>,
    begun: Option<Instant>,
    next: usize,
    /// How it ends behind the last piece; `None`: nothing more was heard.
    end: Option<Result<(), Error>>,
}

/// An answer that is joined.
pub struct Joined {
    /// The place among those who joined, as long as it is listened to.
    pub following: Following,
    /// The answer.
    pub fill: Arc<Fill>,
    /// What was heard of it, for who plays the exchange again.
    pub overheard: Option<Overheard>,
    next: usize,
}

// === impl Teller ===

impl Teller {
    /// A stored answer, told at a pace; one that does not stream is told at once.
    pub fn stored(entry: Arc<Entry>, pace: Pace) -> Self {
        let wire = entry.provenance.as_ref().and_then(|provenance| provenance.wire);
        match (pace, wire) {
            (Pace::Recorded, Some(_)) => {
                let (pieces, times) = (entry.chunks.clone(), entry.times.clone());
                Self::Paced(Box::new(Paced { pieces, times, begun: None, next: 0, end: Some(Ok(())) }))
            }
            (Pace::Rate(rate), Some(wire)) => Self::Paced(Box::new(Paced::at_rate(&entry, wire, rate))),
            _ => Self::Stored { entry, next: 0 },
        }
    }

    /// An answer that another exchange is given.
    pub fn joined(following: Following, fill: Arc<Fill>, overheard: Option<Overheard>) -> Self {
        Self::Joined(Box::new(Joined { following, fill, overheard, next: 0 }))
    }

    /// What was heard of a joined answer when it was recorded.
    pub fn replayed(overheard: &Overheard) -> Self {
        let (pieces, times) = (overheard.entry.chunks.clone(), overheard.entry.times.clone());
        Self::Paced(Box::new(Paced { pieces, times, begun: None, next: 0, end: overheard.end.clone() }))
    }

    /// The next piece; `None` at the end. Safe to drop before it is ready.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Stored { entry, next } => {
                let piece = entry.chunks.get(*next).cloned();
                *next += 1;
                Ok(piece)
            }
            Self::Paced(paced) => paced.next().await,
            Self::Joined(joined) => joined.next().await,
        }
    }

    /// Whether nothing is left to tell.
    pub fn done(&self) -> bool {
        match self {
            Self::Stored { entry, next } => *next >= entry.chunks.len(),
            Self::Paced(paced) => paced.next >= paced.pieces.len() && paced.end.is_some(),
            Self::Joined(joined) => joined.fill.has_said(joined.next),
        }
    }
}

// === impl Paced ===

impl Paced {
    /// So many events a second, whatever pieces they came in.
    fn at_rate(entry: &Entry, wire: Wire, rate: f64) -> Self {
        let mut splitter = Splitter::new(wire, entry.size.max(1));
        splitter.push(entry.body());
        let mut pieces = Vec::new();
        while let Ok(Some(event)) = splitter.next() {
            pieces.push(event.to_bytes());
        }
        pieces.extend(splitter.finish());
        let step = Duration::from_secs_f64(1.0 / rate);
        let times = (0..pieces.len()).map(|number| step.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)));
        Self { times: times.collect(), pieces, begun: None, next: 0, end: Some(Ok(())) }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        match (self.pieces.get(self.next), self.times.get(self.next)) {
            (Some(piece), Some(due)) => {
                tokio::time::sleep_until(begun + *due).await; // paced: the pace that the cache rule asks for
                self.next += 1;
                Ok(Some(piece.clone()))
            }
            _ => match &self.end {
                Some(end) => end.clone().map(|()| None),
                None => std::future::pending().await,
            },
        }
    }
}

// === impl Joined ===

impl Joined {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = self.fill.piece(self.next).await;
        match &piece {
            Ok(Some(piece)) => {
                self.next += 1;
                if let Some(overheard) = &mut self.overheard {
                    overheard.piece(piece);
                }
            }
            Ok(None) => self.ended(Ok(())),
            Err(error) => self.ended(Err(error.clone())),
        }
        piece
    }

    fn ended(&mut self, how: Result<(), Error>) {
        if let Some(overheard) = &mut self.overheard {
            overheard.end.get_or_insert(how);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cache::{Listener, Provenance};
    use crate::dialect::Dialect;

    /// A stream of three events that came in two pieces, the second after five seconds.
    fn entry(wire: Option<Wire>) -> Arc<Entry> {
        let chunks = ["data: 1\n\ndata:", " 2\n\ndata: [DONE]\n\n"].map(|text| Bytes::from_static(text.as_bytes()));
        let first = Listener { dialect: Dialect::OpenAiChat, wire, id: "a".to_owned(), created: 0 };
        let (upstream, dialect) = ("up".to_owned(), Dialect::OpenAiChat);
        Arc::new(Entry {
            status: 200,
            headers: Vec::new(),
            size: chunks.iter().map(Bytes::len).sum(),
            chunks: chunks.to_vec(),
            times: vec![Duration::ZERO, Duration::from_secs(5)],
            stored_at: SystemTime::UNIX_EPOCH,
            ttl: Duration::from_secs(1),
            grace: Duration::ZERO,
            age_before: Duration::ZERO,
            tags: Vec::new(),
            provenance: Some(Provenance { dialect, wire, upstream, model: None, first, tokens: None }),
        })
    }

    /// When each piece comes, in milliseconds, and all of them together.
    async fn told(mut teller: Teller) -> (Vec<u128>, Vec<u8>) {
        let (begun, mut times, mut all) = (Instant::now(), Vec::new(), Vec::new());
        while let Some(piece) = teller.next().await.unwrap() {
            times.push(begun.elapsed().as_millis());
            all.extend_from_slice(&piece);
        }
        assert!(teller.done());
        (times, all)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stored_stream_is_told_at_the_pace_that_is_asked_for() {
        let body = entry(None).body();
        let sse = || entry(Some(Wire::Sse));
        assert_eq!(told(Teller::stored(sse(), Pace::Instant)).await, (vec![0, 0], body.to_vec()));
        assert_eq!(told(Teller::stored(sse(), Pace::Recorded)).await, (vec![0, 5000], body.to_vec()));
        assert_eq!(told(Teller::stored(sse(), Pace::Rate(4.0))).await, (vec![0, 250, 500], body.to_vec()));
        assert_eq!(
            told(Teller::stored(entry(None), Pace::Rate(0.1))).await,
            (vec![0, 0], body.to_vec()),
            "it is whole"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_heard_of_another_s_answer_is_told_as_it_was_heard() {
        let mut overheard = Overheard::new(entry(Some(Wire::Sse)), Duration::ZERO, 2);
        let mut unended = Teller::replayed(&overheard);
        for _ in 0..2 {
            assert!(unended.next().await.unwrap().is_some());
        }
        let more = tokio::time::timeout(Duration::from_mins(1), unended.next()).await;
        assert!(more.is_err() && !unended.done(), "nobody heard how it went on");
        overheard.end = Some(Err(Error::gate("no")));
        let mut failed = Teller::replayed(&overheard);
        for _ in 0..2 {
            assert!(failed.next().await.is_ok());
        }
        assert!(failed.next().await.is_err());
    }
}
