//! What people ask of generations: to list them, to go back to one, to promote one, to look at one beside the live one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::{Desk, Reloader, Waits, drain};
use crate::admin::Board;
use crate::bundle::shelf::Shelved;
use crate::bundle::{Bundle, Hash};
use crate::fault::Fault;
use crate::gate::Gate;
use crate::gate::canary::{Canary, Order};
use crate::gate::preview::{Lane, MOST};
use crate::generation::Generation;
use crate::review::acceptance::{self, Standing};
use crate::settings::GoLive;
use crate::upstream::dial::Dialer;

/// How often a canary's conditions are looked at, beside at each failure of a hook.
const LOOK: Duration = Duration::from_secs(1);

/// The longest that one token lasts.
const LONGEST_PREVIEW: Duration = Duration::from_hours(30 * 24);

/// Why something that was asked for was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The status that says so.
    pub status: u16,
    /// The reason, for people.
    pub message: String,
}

/// How a generation is promoted.
#[derive(Clone, Debug)]
pub enum Promotion {
    /// It serves everyone at once.
    Whole,
    /// It serves a share at first.
    Share(Order),
}

// === impl Denied ===

impl Denied {
    /// With this status and reason.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn faulty(hash: &Hash, faults: &[Fault]) -> Self {
        let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Self::new(409, format!("generation {hash} has faults now: {}", all.join("; ")))
    }
}

// === impl Reloader ===

impl Reloader {
    /// Everything that is kept, what was saved last first, and what each of it is.
    pub fn list(&self) -> Value {
        let desk = self.desk.lock();
        let live = self.gate.live.load().full();
        let canary = self.gate.canary.running().map(|canary| canary.hash);
        let entry = |kept: &Shelved| {
            let hash = kept.bundle.hash;
            json!({
                "hash": hash,
                "full": hash.full(),
                "state": self.state(&desk, &hash),
                "saved_at": kept.saved_at.to_string(),
                "live_at": kept.live_at.map(|at| at.to_string()),
                "accepted_by": kept.accepted_by,
                "files": kept.bundle.files.len() + 1,
            })
        };
        let generations: Vec<Value> = desk.shelf.kept().into_iter().map(entry).collect();
        json!({
            "generations": generations,
            "live": live,
            "on_disk": desk.on_disk,
            "canary": canary,
            "rejected": self.board.faults(),
            "written": desk.shelf.unwritten().is_none(),
        })
    }

    /// What a kept generation is, in one word.
    fn state(&self, desk: &Desk, hash: &Hash) -> &'static str {
        if self.gate.live.load().full() == Some(*hash) {
            return "live";
        }
        if self.gate.canary.running().is_some_and(|canary| canary.hash == *hash) {
            return "canary";
        }
        match desk.staged.as_ref().filter(|staged| staged.bundle.hash == *hash).map(|staged| &staged.waits) {
            Some(Waits::Review(_)) => "staged",
            Some(Waits::Promotion(_)) => "held",
            None => "kept",
        }
    }

    /// A bundle that is kept, by the beginning of its hash.
    pub fn kept(&self, digits: &str) -> Result<Arc<Bundle>, Denied> {
        let desk = self.desk.lock();
        let hash = desk.shelf.find(digits).map_err(|why| Denied::new(404, why))?;
        let kept = desk.shelf.get(&hash).map(|kept| Arc::clone(&kept.bundle));
        kept.ok_or_else(|| Denied::new(404, format!("generation {hash} is not kept any more")))
    }

    /// The bundle that waits, if one does.
    pub fn staged(&self) -> Option<Arc<Bundle>> {
        self.desk.lock().staged.as_ref().map(|staged| Arc::clone(&staged.bundle))
    }

    /// Goes back to a generation, by default the one that was live before.
    pub fn rollback(&self, digits: Option<&str>) -> Result<Value, Denied> {
        let mut desk = self.desk.lock();
        let before = desk.shelf.pointer().and_then(|pointer| pointer.before);
        let hash = match digits {
            Some(digits) => desk.shelf.find(digits).map_err(|why| Denied::new(404, why))?,
            None => before.ok_or_else(|| Denied::new(409, "nothing was live before this generation"))?,
        };
        self.put_live(&mut desk, hash)
    }

    /// Lets a generation serve, at once or for a share.
    pub fn promote(&self, digits: &str, promotion: Promotion) -> Result<Value, Denied> {
        let mut desk = self.desk.lock();
        let hash = desk.shelf.find(digits).map_err(|why| Denied::new(404, why))?;
        match promotion {
            Promotion::Whole => self.put_live(&mut desk, hash),
            Promotion::Share(order) => self.start_canary(&mut desk, hash, order),
        }
    }

    /// Gives a canary's share back.
    pub fn stop(&self) -> Result<Value, Denied> {
        if self.gate.canary.end("stopped") {
            Ok(json!({"live": self.gate.live.load().hash}))
        } else {
            Err(Denied::new(409, "no canary runs"))
        }
    }

    /// A token with which a generation, by default the staged one, answers beside the live one.
    pub fn preview(&self, digits: Option<&str>, time: Duration) -> Result<Value, Denied> {
        if time > LONGEST_PREVIEW {
            return Err(Denied::new(400, "a token lasts 30 days at most"));
        }
        let mut desk = self.desk.lock();
        let hash = match (digits, &desk.staged) {
            (Some(digits), _) => desk.shelf.find(digits).map_err(|why| Denied::new(404, why))?,
            (None, Some(staged)) => staged.bundle.hash,
            (None, None) => return Err(Denied::new(409, "nothing is staged: name a generation")),
        };
        if self.gate.live.load().full() == Some(hash) {
            return Err(Denied::new(409, format!("generation {hash} is live: ask without a token")));
        }
        let key = desk.shelf.key().map_err(|error| Denied::new(500, format!("no key for tokens: {error}")))?;
        self.gate.lanes.sign_with(key);
        if self.gate.lanes.get(&hash).is_none() {
            self.open_lane(&mut desk, hash)?;
        }
        let now = self.gate.clock.wall();
        let token = self.gate.lanes.token(&hash, now, time);
        let (token, until) = token.ok_or_else(|| Denied::new(409, "the lane has just ended: ask again"))?;
        self.show(&desk);
        Ok(json!({"hash": hash, "token": token, "until": httpdate::fmt_http_date(until)}))
    }

    /// Puts a generation live that is kept.
    fn put_live(&self, desk: &mut Desk, hash: Hash) -> Result<Value, Denied> {
        let live = self.gate.live.load_full();
        if live.full() == Some(hash) {
            return Err(Denied::new(409, format!("generation {hash} is live already")));
        }
        let (bundle, accepted_by) = self.allowed(desk, hash)?;
        let staged = desk.staged.take_if(|staged| staged.bundle.hash == hash);
        let generation = match staged {
            Some(staged) => staged.generation,
            None => self.built(desk, &bundle)?,
        };
        let over = desk.on_disk.filter(|on_disk| *on_disk != hash);
        // What is on disk and waits goes on waiting; it was never passed over.
        let over = over.filter(|over| desk.staged.as_ref().is_none_or(|staged| staged.bundle.hash != *over));
        let before = live.hash.clone();
        drop(live);
        self.swap(desk, &bundle, generation, accepted_by.as_deref(), over);
        self.show(desk);
        Ok(json!({"live": hash, "before": before}))
    }

    fn start_canary(&self, desk: &mut Desk, hash: Hash, order: Order) -> Result<Value, Denied> {
        let live = self.gate.live.load_full();
        if live.full() == Some(hash) {
            return Err(Denied::new(409, format!("generation {hash} is live already")));
        }
        let (bundle, _) = self.allowed(desk, hash)?;
        let generation = self.built(desk, &bundle)?;
        let key = desk.shelf.key().map_err(|error| Denied::new(500, format!("no key to choose users by: {error}")))?;
        let percent = order.percent;
        let canary = self.gate.canary.start(Canary::new(generation, hash, order, &live, &key));
        tracing::info!(%hash, percent, "canary");
        tokio::spawn(look_after(Arc::clone(&self.gate), Arc::clone(&self.board), canary));
        Ok(json!({"canary": hash, "percent": percent, "live": live.hash}))
    }

    /// A kept bundle, if it may serve, and who accepted it.
    fn allowed(&self, desk: &Desk, hash: Hash) -> Result<(Arc<Bundle>, Option<String>), Denied> {
        let gone = || Denied::new(404, format!("generation {hash} is not kept any more"));
        let kept = desk.shelf.get(&hash).ok_or_else(gone)?;
        let standing = acceptance::standing(&kept.bundle.root, &hash);
        let accepted_by = match (&standing, &kept.accepted_by) {
            (Standing::Accepted(accepted), _) => Some(accepted.accepted_by.clone()),
            (Standing::Waiting(_), accepted_by) => accepted_by.clone(),
        };
        // What has served before may serve again: going back must not wait for anybody.
        let served = kept.live_at.is_some();
        if accepted_by.is_none() && !served && self.gate.live.load().settings.go_live == GoLive::Reviewed {
            let root = kept.bundle.root.display();
            let why = format!("generation {hash} is {standing}: run `tidegate review {root}`");
            return Err(Denied::new(409, why));
        }
        Ok((Arc::clone(&kept.bundle), accepted_by))
    }

    /// Builds a kept bundle.
    fn built(&self, desk: &mut Desk, bundle: &Bundle) -> Result<Arc<Generation>, Denied> {
        let built = self.candidate(bundle).and_then(|candidate| self.build(desk, candidate));
        built.map_err(|faults| Denied::faulty(&bundle.hash, &faults))
    }

    fn open_lane(&self, desk: &mut Desk, hash: Hash) -> Result<(), Denied> {
        let now = self.gate.clock.wall();
        self.drop_lanes_over(now);
        let gone = || Denied::new(404, format!("generation {hash} is not kept any more"));
        let bundle = Arc::clone(&desk.shelf.get(&hash).ok_or_else(gone)?.bundle);
        let number = desk.numbers + 1;
        let lane = self
            .candidate(&bundle)
            .and_then(|candidate| Lane::beside(&self.gate, hash, candidate, number, self.workers))
            .map_err(|faults| Denied::faulty(&hash, &faults))?;
        desk.numbers = number;
        if !self.gate.lanes.add(lane) {
            return Err(Denied::new(409, format!("{MOST} generations are previewed already, as many as may be")));
        }
        tracing::info!(%hash, "preview");
        tokio::spawn(close_lane(Arc::clone(&self.gate), hash));
        Ok(())
    }

    fn drop_lanes_over(&self, now: SystemTime) {
        for lane in self.gate.lanes.drop_if(|lane| lane.is_over(now)) {
            tokio::spawn(drain(lane));
        }
    }
}

/// Closes a lane when all of its tokens are over.
async fn close_lane(gate: Arc<Gate<Dialer>>, hash: Hash) {
    loop {
        let Some(left) = gate.lanes.get(&hash).map(|lane| lane.until().duration_since(gate.clock.wall())) else {
            return;
        };
        // Never less: a lane that is new has no token yet, and one that is over goes with the next look.
        let pause = left.unwrap_or_default().max(LOOK);
        tokio::time::sleep(pause).await; // paced: until the last token is over
        let now = gate.clock.wall();
        for lane in gate.lanes.drop_if(|lane| lane.hash == hash && lane.is_over(now)) {
            tracing::info!(%hash, "preview over");
            tokio::spawn(drain(lane));
        }
    }
}

/// Looks at a canary's conditions until it ends, then lets its exchanges end.
async fn look_after(gate: Arc<Gate<Dialer>>, board: Arc<Board>, canary: Arc<Canary>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while gate.canary.check(&canary) {
        canary.look_at_time();
        ticks.tick().await;
    }
    let generation = Arc::clone(&canary.generation);
    drop((gate, canary));
    board.draining(&generation);
    drain(generation).await;
}
