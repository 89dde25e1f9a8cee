//! Plays what a gate has on tape: players of the bundles that served it, made once and kept for the next question.

use std::sync::Arc;

use parking_lot::Mutex;

use super::aspects::Aspects;
use super::explain::Explanation;
use super::keyed::Keyed;
use super::save::{self, Saved};
use crate::bundle::Bundle;
use crate::case::redact::{Redaction, Text};
use crate::case::{Played, Player};
use crate::fault::Fault;
use crate::gate::reload::Adjust;
use crate::tape::{Taken, Watch};

/// Bundles whose players are kept: the live one, the staged one, and two before them.
const MOST: usize = 4;

/// Plays a gate's tapes.
pub struct Archive {
    /// What flags and environment change in settings.
    adjust: Arc<Adjust>,
    /// The last players that were used, the newest last: of bundles as this machine serves them.
    players: Mutex<Vec<Arc<Player>>>,
    /// Likewise, of bundles as cases are played on them.
    pinning: Mutex<Vec<Arc<Player>>>,
    /// What stand-ins come from, so that all cases of this gate have the same for the same.
    key: [u8; 32],
}

// === impl Archive ===

impl Archive {
    /// An archive of a gate whose settings are changed by `adjust`.
    pub fn new(adjust: Arc<Adjust>) -> Self {
        Self {
            adjust,
            players: Mutex::default(),
            pinning: Mutex::default(),
            key: std::array::from_fn(|_| fastrand::u8(..)),
        }
    }

    /// Explains an exchange, and says what another bundle would do if one is given. It computes for a while.
    pub fn explain(&self, taken: &Taken, other: Option<&Arc<Bundle>>) -> Result<Explanation, Vec<Fault>> {
        let secrets = self.redaction(Text::Kept).credentials(&save::whole(taken));
        let play = |bundle| {
            let mut played = self.player(bundle).replay(taken, Watch::Edits)?;
            played.mask.hide(secrets.clone());
            Ok::<_, Vec<Fault>>(played)
        };
        let explanation = Explanation::new(taken, play(&taken.bundle)?);
        let Some(other) = other else { return Ok(explanation) };
        let played = play(other)?;
        Ok(explanation.with(&other.hash.to_string(), &played))
    }

    /// What the cache key of an exchange is made of. `None` when it was not played.
    pub fn keyed(&self, taken: &Taken) -> Result<Option<Keyed>, Vec<Fault>> {
        let secrets = self.redaction(Text::Kept).credentials(&save::whole(taken));
        let mut played = self.player(&taken.bundle).replay(taken, Watch::Nothing)?;
        played.mask.hide(secrets);
        Ok(Keyed::of(&taken.facts.id, &played, 0))
    }

    /// What an exchange came to on the bundle that served it, and comes to on another.
    pub fn compare(&self, taken: &Taken, other: &Arc<Bundle>) -> Result<(Aspects, Aspects), Vec<Fault>> {
        let aspects = |played: &Played| Aspects::of(played);
        let old = self.player(&taken.bundle).replay(taken, Watch::Nothing)?;
        let new = self.player(other).replay(taken, Watch::Nothing)?;
        Ok((aspects(&old), aspects(&new)))
    }

    /// How cases of this gate are redacted.
    pub fn redaction(&self, text: Text) -> Redaction {
        Redaction::new(self.key, text)
    }

    /// Makes a case of an exchange, pinned by another bundle than the one that served it.
    pub fn save_for(&self, taken: &Taken, by: &Arc<Bundle>, redaction: &Redaction) -> Result<Saved, Vec<Fault>> {
        let redaction = self.knowing(taken, redaction);
        save::save(taken, &kept(&self.pinning, by, || Player::new(by)), Some(&redaction))
    }

    /// Makes a case of an exchange, pinned by the bundle that served it.
    pub fn save(&self, taken: &Taken, redaction: Option<&Redaction>) -> Result<Saved, Vec<Fault>> {
        let redaction = redaction.map(|redaction| self.knowing(taken, redaction));
        let bundle = &taken.bundle;
        save::save(taken, &kept(&self.pinning, bundle, || Player::new(bundle)), redaction.as_ref())
    }

    /// A redaction that knows the secrets of the bundle that served.
    fn knowing(&self, taken: &Taken, redaction: &Redaction) -> Redaction {
        redaction.clone().knowing(self.player(&taken.bundle).secrets(&taken.case))
    }

    /// The player of a bundle as this machine serves it.
    fn player(&self, bundle: &Arc<Bundle>) -> Arc<Player> {
        kept(&self.players, bundle, || Player::as_served(Arc::clone(bundle), Arc::clone(&self.adjust)))
    }
}

/// The player of a bundle, made when it is not among those that are kept; the one not used for longest makes room.
fn kept(players: &Mutex<Vec<Arc<Player>>>, bundle: &Bundle, make: impl FnOnce() -> Player) -> Arc<Player> {
    let mut players = players.lock();
    let known = players.iter().position(|player| player.bundle().hash == bundle.hash);
    let player = known.map_or_else(|| Arc::new(make()), |at| players.remove(at));
    if players.len() >= MOST {
        players.remove(0);
    }
    players.push(Arc::clone(&player));
    player
}
