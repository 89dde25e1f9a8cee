//! Leaves alone what fails: closed while all is well, open for a time after too many failures, then half-open, when a
//! few may try whether it is well again. Pure: the time is told to it.

pub(super) mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::settings::Breaker as Rules;
use window::Window;

/// The breaker of one endpoint, or of one model of it.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    state: State,
    /// Counts changes of the state: what began before one is not taken for what it led to.
    era: u32,
    /// Failures since the last success.
    consecutive: u32,
    /// What became of the last attempts.
    window: Window,
    /// How often it has opened since it was last closed for long.
    openings: u32,
    /// When it was closed after it had been open.
    closed_at: Duration,
    /// Whether the last failure was that nobody was there, so that a sign of life is news.
    unreachable: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        /// When a few may try it.
        until: Duration,
    },
    HalfOpen {
        /// Probes under way.
        running: u32,
        /// Probes that succeeded.
        good: u32,
    },
}

/// How a breaker stands to an attempt that would begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All is well.
    Closed,
    /// A few may try.
    HalfOpen {
        /// Whether there is room for one more.
        free: bool,
    },
    /// Nobody may try yet.
    Open {
        /// When a few may.
        until: Duration,
    },
}

/// Leave for one attempt, to be brought back with what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    era: u32,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Plain,
    /// One of the few that try a half-open one.
    Probe,
    /// Made although nobody may: there was no other.
    Forced,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Success,
    /// It was not, or badly.
    Failure {
        /// Whether nobody was there at all.
        unreachable: bool,
    },
}

/// A change of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It opened.
    Opened {
        /// When a few may try again.
        until: Duration,
        /// How often it has opened since it was last closed for long.
        openings: u32,
    },
    /// A few may try.
    HalfOpened,
    /// All is well again.
    Closed,
}

// === impl Breaker ===

impl Breaker {
    /// How it stands.
    pub fn standing(&self, now: Duration, rules: &Rules) -> Standing {
        match self.state {
            _ if !rules.on => Standing::Closed,
            State::Closed => Standing::Closed,
            State::Open { until } if until > now => Standing::Open { until },
            State::Open { .. } => Standing::HalfOpen { free: true },
            State::HalfOpen { running, .. } => Standing::HalfOpen { free: running < rules.probes.get() },
        }
    }

    /// Whether it is closed, whatever the time.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Leave for an attempt; `None` when nobody may, unless it is `forced`.
    pub fn enter(&mut self, now: Duration, rules: &Rules, forced: bool) -> (Option<Pass>, Option<Turn>) {
        let mut turn = None;
        if let State::Open { until } = self.state
            && until <= now
        {
            self.half_open(0);
            turn = Some(Turn::HalfOpened);
        }
        let sort = match &mut self.state {
            State::Closed => Some(Sort::Plain),
            _ if !rules.on => Some(Sort::Plain),
            State::HalfOpen { running, .. } if *running < rules.probes.get() => {
                *running += 1;
                Some(Sort::Probe)
            }
            State::HalfOpen { .. } | State::Open { .. } => forced.then_some(Sort::Forced),
        };
        (sort.map(|sort| Pass { era: self.era, sort }), turn)
    }

    /// Takes an attempt's end into account.
    pub fn record(&mut self, now: Duration, rules: &Rules, pass: Pass, outcome: Outcome) -> Option<Turn> {
        if !rules.on {
            return None;
        }
        self.release(pass);
        let current = pass.era == self.era && pass.sort != Sort::Plain;
        // Made while it was open, which another such attempt has ended meanwhile.
        let forced_before = pass.sort == Sort::Forced && pass.era.wrapping_add(1) == self.era;
        match self.state {
            State::Closed => self.count(now, rules, outcome),
            State::Open { .. } if current && outcome == Outcome::Success => self.sign_of_life(now, rules, 0),
            State::HalfOpen { good, .. } if current => match outcome {
                Outcome::Success => self.sign_of_life(now, rules, good),
                Outcome::Failure { unreachable } => Some(self.open(now, rules, unreachable)),
            },
            State::HalfOpen { good, .. } if forced_before && outcome == Outcome::Success => {
                self.sign_of_life(now, rules, good)
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Takes back the leave of an attempt that says nothing about the endpoint.
    pub fn release(&mut self, pass: Pass) {
        if let State::HalfOpen { running, .. } = &mut self.state
            && pass.sort == Sort::Probe
            && pass.era == self.era
        {
            *running = running.saturating_sub(1);
        }
    }

    /// Takes into account what the gate found out by itself. That it lives is no answer to why requests fail, so it
    /// revives early only what nobody was at.
    pub fn probed(&mut self, now: Duration, rules: &Rules, alive: bool) -> Option<Turn> {
        let due = match self.state {
            _ if !rules.on => return None,
            State::Closed if alive => return None,
            State::Closed => return self.count(now, rules, Outcome::Failure { unreachable: true }),
            State::Open { until } => until <= now,
            State::HalfOpen { .. } => true,
        };
        let good = if let State::HalfOpen { good, .. } = self.state { good } else { 0 };
        match alive {
            true if due || self.unreachable => self.sign_of_life(now, rules, good),
            false if due => Some(self.open(now, rules, true)),
            _ => None,
        }
    }

    /// Takes over that another gate opened it; `None` when that is not news.
    pub fn told_open(&mut self, until: Duration, openings: u32) -> Option<Turn> {
        if matches!(self.state, State::Open { until: own } if own >= until) {
            return None;
        }
        self.openings = self.openings.max(openings);
        Some(self.open_until(until))
    }

    /// Closes it, as another gate has or somebody wants; `None` when it is closed.
    pub fn reset(&mut self, now: Duration) -> Option<Turn> {
        self.openings = 0;
        (self.consecutive, self.window) = (0, Window::default());
        (!self.is_closed()).then(|| self.close(now))
    }

    /// Failures since the last success.
    pub fn consecutive(&self) -> u32 {
        self.consecutive
    }

    /// How often it has opened since it was last closed for long.
    pub fn openings(&self) -> u32 {
        self.openings
    }

    /// Attempts and failures within the window.
    pub fn counted(&self, now: Duration, rules: &Rules) -> (u32, u32) {
        self.window.sums(now, rules.window)
    }

    /// Counts an outcome while it is closed.
    fn count(&mut self, now: Duration, rules: &Rules, outcome: Outcome) -> Option<Turn> {
        let Outcome::Failure { unreachable } = outcome else {
            self.window.add(now, rules.window, false);
            self.consecutive = 0;
            return None;
        };
        self.window.add(now, rules.window, true);
        self.consecutive += 1;
        let (all, bad) = self.window.sums(now, rules.window);
        let often = all >= rules.of.get() && u64::from(bad) * 100 >= u64::from(all) * u64::from(rules.percent.get());
        (often || self.consecutive >= rules.consecutive.get()).then(|| self.open(now, rules, unreachable))
    }

    /// It has answered one that was let through.
    fn sign_of_life(&mut self, now: Duration, rules: &Rules, good: u32) -> Option<Turn> {
        let good = good + 1;
        if good >= rules.successes.get() {
            return Some(self.close(now));
        }
        if let State::HalfOpen { good: counted, .. } = &mut self.state {
            *counted = good;
            return None;
        }
        self.half_open(good);
        Some(Turn::HalfOpened)
    }

    fn open(&mut self, now: Duration, rules: &Rules, unreachable: bool) -> Turn {
        if self.is_closed() && now.saturating_sub(self.closed_at) >= rules.longest {
            self.openings = 0;
        }
        let time = rules.open.saturating_mul(1 << self.openings.min(20)).min(rules.longest);
        self.openings = self.openings.saturating_add(1);
        self.unreachable = unreachable;
        self.open_until(now + time)
    }

    fn open_until(&mut self, until: Duration) -> Turn {
        self.turn(State::Open { until });
        Turn::Opened { until, openings: self.openings }
    }

    fn half_open(&mut self, good: u32) {
        self.turn(State::HalfOpen { running: 0, good });
    }

    fn close(&mut self, now: Duration) -> Turn {
        self.closed_at = now;
        self.turn(State::Closed);
        Turn::Closed
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.era = self.era.wrapping_add(1);
        self.consecutive = 0;
        self.window = Window::default();
    }
}
