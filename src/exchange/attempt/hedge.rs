//! Attempts beside each other: when one gives no sign for too long another is begun, the first good answer wins, and the
//! others are cancelled at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::best::{better, keep};
use super::desk::Desk;
use super::prepare::{Prepared, Ready, prepare};
use super::progress::{Progress, Try};
use super::send::{Landed, fly, land};
use super::{Best, Committed, Ended, MOST_ATTEMPTS, ended, number, record, turn_at_once};
use crate::error::{Error, Kind};
use crate::exchange::wire::{Client, Dial};
use crate::exchange::{Exchange, opening};
use crate::gate::Gate;
use crate::tape::connection::TapedConnection;
use crate::upstream::hold::Hedge;

/// Attempts that are under way beside each other.
pub(super) struct Race<'a, D: Dial> {
    gate: &'a Gate<D>,
    rule: Hedge,
    desk: &'a Desk,
    runners: Vec<Runner<'a, D>>,
    /// How many were begun.
    begun: usize,
    /// When the last one was begun.
    last: Instant,
    /// How long the gate waited before the first.
    waited: Duration,
}

/// An attempt on its way to an answer.
struct Runner<'a, D: Dial> {
    /// Its number in the race, from 0.
    number: usize,
    made: Try,
    started: Instant,
    flight: Pin<Box<dyn Future<Output = Arrived<D>> + Send + 'a>>,
    /// What it came to, until that is looked at.
    arrived: Option<Arrived<D>>,
}

type Arrived<D> = Result<Landed<TapedConnection<<D as Dial>::Connection>>, Error>;

type Made<D> = Result<Committed<TapedConnection<<D as Dial>::Connection>>, Error>;

/// What happens next in a race. The same happens next when the exchange is played again.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Turn {
    /// Nobody gave a sign for so long that another attempt is begun.
    Begin,
    /// The attempt of this number came to an end.
    Arrived(usize),
}

/// No runner's number: nobody's end is waited for.
const NOBODY: usize = usize::MAX;

/// When other attempts may be made beside this one. What is no call of an LLM API is only repeated if its method may be,
/// or if the plan says so for this very request.
pub(super) fn rule(x: &Exchange, next: &Try) -> Option<Hedge> {
    if next.planned.hedge.is_some() {
        return next.planned.hedge;
    }
    let harmless = x.dialect.is_some() || x.method.is_idempotent();
    next.upstream.hedge.filter(|_| harmless)
}

// === impl Race ===

impl<'a, D: Dial> Race<'a, D> {
    /// A race without runners, `waited` for.
    pub(super) fn new(gate: &'a Gate<D>, rule: Hedge, desk: &'a Desk, waited: Duration) -> Self {
        Self { gate, rule, desk, runners: Vec::new(), begun: 0, last: Instant::now(), waited }
    }

    /// Begins an attempt that was made ready at `started`.
    pub(super) fn begin(&mut self, mut made: Try, started: Instant, prepared: Box<Prepared>) {
        made.held.begins();
        let flight = Box::pin(fly(&self.gate.dial, prepared, self.desk, self.begun));
        self.runners.push(Runner { number: self.begun, made, started, flight, arrived: None });
        self.begun += 1;
        self.last = started;
    }

    /// Runs until there is a good answer, or until all attempts have failed. Returns the one that this came from, and puts
    /// the refusals that others met to the best. An error when nobody waits for an answer any more.
    pub(super) async fn run<C: Client>(
        mut self,
        client: &mut C,
        x: &mut Exchange,
        progress: &mut Progress,
        best: &mut Best<D>,
    ) -> Result<(Try, Ended<TapedConnection<D::Connection>>), Error> {
        loop {
            let turn = match self.turn(client, x).await {
                Ok(Turn::Begin) => self.another(client, x, progress).await.map(|()| None),
                Ok(Turn::Arrived(number)) => Ok(Some(number)),
                Err(error) => Err(error),
            };
            match turn {
                Err(error) => {
                    self.broken_off(x, &error);
                    return Err(error);
                }
                Ok(None) => {}
                Ok(Some(number)) => {
                    if let Some(ended) = self.arrived(client, x, number, best).await {
                        return Ok(ended);
                    }
                }
            }
        }
    }

    /// Waits for what happens next.
    async fn turn<C: Client>(&mut self, client: &mut C, x: &mut Exchange) -> Result<Turn, Error> {
        let may_begin = self.begun <= usize::try_from(self.rule.most).unwrap_or(usize::MAX).min(MOST_ATTEMPTS);
        let told = x.tape.told(tape_key).filter(|turn| match turn {
            Turn::Begin => may_begin,
            Turn::Arrived(number) => self.runners.iter().any(|runner| runner.number == *number),
        });
        let wanted = match told {
            Some(Turn::Arrived(number)) => Some(number),
            Some(Turn::Begin) => Some(NOBODY),
            None => None,
        };
        let due = (may_begin && !matches!(told, Some(Turn::Arrived(_)))).then(|| self.last + self.rule.after);
        let (runners, desk) = (&mut self.runners, self.desk);
        let step = async {
            tokio::select! {
                biased;
                number = first(runners, wanted) => Turn::Arrived(number),
                () = silence(due, desk, told.is_some()), if due.is_some() => Turn::Begin,
            }
        };
        let turn = opening::attend(client, x, desk, pin!(step)).await?;
        x.tape.note(tape_key, &turn);
        Ok(turn)
    }

    /// Begins another attempt, if there is another endpoint.
    async fn another<C: Client>(
        &mut self,
        client: &mut C,
        x: &mut Exchange,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let made = progress.next(self.gate, x);
        // One beside another does not wait in line: that would help nobody.
        let Some(made) = made.and_then(|made| turn_at_once(self.gate, x, made)) else {
            self.rule.most = 0;
            return Ok(());
        };
        let number = number(x, self.runners.len());
        let preparing = prepare(self.gate, client, x, &made, true, number);
        let ready: Result<Ready<TapedConnection<D::Connection>>, Error> = beside(&mut self.runners, preparing).await;
        match ready {
            Ok(Ready::Ask(prepared)) => self.begin(made, started, prepared),
            // What the gate answers itself needs no race.
            Ok(Ready::Here(_)) => self.rule.most = 0,
            Err(error) if error.kind() == Kind::ClientGone => return Err(error),
            Err(error) => {
                record(x, &made, started, Duration::ZERO, &Made::<D>::Err(error), true);
                self.rule.most = 0;
            }
        }
        Ok(())
    }

    /// Looks at an attempt that came to an end. `None`: others are still under way.
    async fn arrived<C: Client>(
        &mut self,
        client: &mut C,
        x: &mut Exchange,
        number: usize,
        best: &mut Best<D>,
    ) -> Option<(Try, Ended<TapedConnection<D::Connection>>)> {
        let at = self.runners.iter().position(|runner| runner.number == number)?;
        let Runner { mut made, started, arrived, .. } = self.runners.remove(at);
        let waited = self.waited_for(number);
        made.held.resent = self.desk.was_resent(number);
        // What another attempt was told is not about this one.
        x.translated = None;
        let result = match arrived? {
            Ok(landed) if landed.is_good() => {
                self.outrun(x);
                land(client, x, landed).await
            }
            Ok(landed) => beside(&mut self.runners, land(client, x, landed)).await,
            Err(error) => Err(error),
        };
        record(x, &made, started, waited, &result, !self.runners.is_empty());
        let ended = ended(x, &mut made, result);
        if self.runners.is_empty() {
            return Some((made, ended));
        }
        if let Ended::Response(response) = ended {
            let keeping = beside(&mut self.runners, Box::pin(keep(*response)));
            // A client that left meanwhile is noticed again by who waits for the others.
            if let Ok(kept) = opening::meanwhile(client, x, keeping).await {
                *best = Some(better(best.take(), kept));
            }
        }
        None
    }

    /// Cancels all that are still under way: another has answered.
    fn outrun(&mut self, x: &mut Exchange) {
        for runner in std::mem::take(&mut self.runners) {
            let Runner { mut made, started, number, flight, .. } = runner;
            drop(flight);
            made.held.resent = self.desk.was_resent(number);
            let error = Error::upstream(Kind::Outrun, "another attempt answered first");
            record(x, &made, started, self.waited_for(number), &Made::<D>::Err(error), true);
        }
    }

    /// The race is over for a reason of its own, such as that the client left.
    fn broken_off(&mut self, x: &mut Exchange, error: &Error) {
        for mut runner in std::mem::take(&mut self.runners) {
            let waited = self.waited_for(runner.number);
            runner.made.held.resent = self.desk.was_resent(runner.number);
            record(x, &runner.made, runner.started, waited, &Made::<D>::Err(error.clone()), true);
        }
    }

    fn waited_for(&self, number: usize) -> Duration {
        if number == 0 { self.waited } else { Duration::ZERO }
    }
}

/// Lets attempts go on while something else is waited for.
async fn beside<D: Dial, F: Future>(runners: &mut [Runner<'_, D>], step: F) -> F::Output {
    let mut step = pin!(step);
    poll_fn(|cx| {
        drive(runners, cx);
        step.as_mut().poll(cx)
    })
    .await
}

/// Lets attempts go on until one has come to an end, and returns its number; the `wanted` one alone if it is said.
async fn first<D: Dial>(runners: &mut [Runner<'_, D>], wanted: Option<usize>) -> usize {
    poll_fn(|cx| {
        drive(runners, cx);
        let counts =
            |runner: &&Runner<'_, D>| runner.arrived.is_some() && wanted.is_none_or(|wanted| wanted == runner.number);
        runners.iter().find(counts).map_or(Poll::Pending, |runner| Poll::Ready(runner.number))
    })
    .await
}

fn drive<D: Dial>(runners: &mut [Runner<'_, D>], cx: &mut Context<'_>) {
    for runner in runners.iter_mut().filter(|runner| runner.arrived.is_none()) {
        if let Poll::Ready(arrived) = runner.flight.as_mut().poll(cx) {
            runner.arrived = Some(arrived);
        }
    }
}

/// Ends when there was no sign of an answer for so long, or when it is known that there was none.
async fn silence(due: Option<Instant>, desk: &Desk, known: bool) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await; // paced: so long there must be no sign of an answer
    }
    if desk.has_sign() && !known {
        std::future::pending::<()>().await;
    }
}

fn tape_key() -> String {
    "race".to_owned()
}
