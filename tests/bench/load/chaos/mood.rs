//! How endpoints fare: what each does to its requests, and how that changes by chance.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::endpoint::Endpoint;

/// What an endpoint does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers.
    Sound,
    /// Answers after a while.
    Late,
    /// Refuses connections; those that were open are reset.
    Down,
    /// Takes the request and says nothing.
    Mute,
    /// Says 500, 503 or 529.
    Refusing(u16),
    /// Begins a stream with an error in place of its first event.
    Overloaded,
    /// Sends a web page.
    Garbage,
    /// Says 200, and then a web page where its dialect belongs.
    Babble,
    /// Resets the connection behind the head.
    CutAtHead,
    /// Resets the connection in the middle.
    Cut,
    /// Ends in the middle, as if that were the end.
    Unfinished,
    /// Stops in the middle and holds the connection.
    Stalled,
}

/// How the endpoints of one upstream fare: one of them is sound at any time.
pub(crate) struct Weather {
    endpoints: Vec<Endpoint>,
    rng: Rng,
    /// The endpoint that must not fail.
    sound: usize,
    /// The one before it, which must not fail yet: what began with it has time to end.
    before: Option<usize>,
    /// When the next one takes over, or the one before is let go.
    turn: Instant,
}

/// How long one endpoint is kept sound alone, and how long it stays so beside its successor: longer than any exchange
/// may take until its answer begins.
const ALONE: Duration = Duration::from_secs(8);
const BESIDE: Duration = Duration::from_secs(12);

// === impl Mood ===

impl Mood {
    fn by_chance(rng: &mut Rng) -> Self {
        match rng.u8(..15) {
            0 | 1 => Self::Sound,
            2 => Self::Late,
            3 | 4 => Self::Down,
            5 => Self::Mute,
            6 => Self::Refusing(500),
            7 => Self::Refusing([503, 529][rng.usize(..2)]),
            8 => Self::Overloaded,
            9 => Self::Garbage,
            10 => Self::CutAtHead,
            11 => Self::Cut,
            12 => Self::Unfinished,
            13 => Self::Babble,
            _ => Self::Stalled,
        }
    }
}

// === impl Weather ===

impl Weather {
    /// The weather over these endpoints, all of them sound.
    pub(crate) fn new(endpoints: Vec<Endpoint>, seed: u64) -> Self {
        Self { endpoints, rng: Rng::with_seed(seed), sound: 0, before: None, turn: Instant::now() + ALONE }
    }

    /// Changes until `end`; then all is well again.
    pub(crate) async fn rage(mut self, end: Instant) {
        while Instant::now() < end {
            self.take_turns();
            let place = self.rng.usize(..self.endpoints.len());
            if place != self.sound && Some(place) != self.before {
                let mood = Mood::by_chance(&mut self.rng);
                self.turn_to(place, mood).await;
            }
            let pause = Duration::from_millis(self.rng.u64(100..1500));
            tokio::time::sleep(pause).await; // paced: the weather changes when it changes
        }
        for place in 0..self.endpoints.len() {
            self.turn_to(place, Mood::Sound).await;
        }
    }

    fn take_turns(&mut self) {
        if Instant::now() < self.turn {
            return;
        }
        if self.before.take().is_some() {
            self.turn += ALONE;
        } else {
            self.before = Some(self.sound);
            self.sound = (self.sound + 1) % self.endpoints.len();
            self.turn += BESIDE;
        }
        if let Some(endpoint) = self.endpoints.get(self.sound) {
            endpoint.wake();
        }
    }

    async fn turn_to(&mut self, place: usize, mood: Mood) {
        if let Some(endpoint) = self.endpoints.get(place) {
            endpoint.turn_to(mood).await;
        }
    }
}
