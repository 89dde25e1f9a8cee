//! An endpoint that a request belongs to and that is left alone just now, because it fails: waited for, where its owner
//! wants that.

use std::time::Duration;

use tokio::time::Instant;

use super::choices;
use crate::error::Error;
use crate::exchange::decision::Plan;
use crate::exchange::wire::{Client, Dial};
use crate::exchange::{Exchange, attempt, opening};
use crate::gate::Gate;
use crate::settings::Lost;
use crate::upstream::affinity::Rule;

/// The longest pause between two looks: others may find it well before its time is over.
const LOOK: Duration = Duration::from_millis(100);

/// The shortest, for one whose time is over while others are trying it.
const SOON: Duration = Duration::from_millis(10);

/// How long the endpoint that `pinned` leads to is still to be left alone, after the wait that the rule allows. `None`: it
/// may be asked; so may the only one of a plan, by the rules of its breaker.
pub(super) async fn still<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: &Plan,
    pinned: &Plan,
    rule: Rule,
) -> Result<Option<Duration>, Error> {
    let what = || "affinity away".to_owned();
    if let Some(told) = x.tape.told(what) {
        return Ok(told);
    }
    let Some(planned) = pinned.attempts.first() else { return Ok(None) };
    let mut away = attempt::left_alone(gate, x, planned);
    if away.is_none() || (rule.lost != Lost::Wait && choices(x, plan) < 2) {
        return Ok(None);
    }
    let deadline = Instant::now() + rule.longest;
    while let Some(left) = away.filter(|_| rule.lost == Lost::Wait) {
        let most = deadline.saturating_duration_since(Instant::now());
        if most.is_zero() {
            break;
        }
        x.opening.about = Some("waiting for the endpoint that the request belongs to".to_owned());
        let pause = tokio::time::sleep(left.clamp(SOON, LOOK).min(most)); // paced: until the endpoint may be asked again
        let waited = opening::meanwhile(client, x, pause).await;
        x.opening.about = None;
        waited?;
        away = attempt::left_alone(gate, x, planned);
    }
    // What follows from the endpoint's being well need not be told.
    x.tape.note(what, &away);
    Ok(away)
}
