//! Saves what made a canary go back: each exchange that offended becomes a case, pinned by the generation that serves,
//! so that the next review of the other one shows what it did wrong.

use std::sync::Arc;
use std::time::Duration;

use super::archive::Archive;
use crate::bundle::Bundle;
use crate::case::redact::Text;
use crate::case::review::CASES;
use crate::gate::Gate;
use crate::tape::Taken;
use crate::upstream::dial::Dialer;

/// How often it is looked whether a canary went back.
const LOOK: Duration = Duration::from_millis(500);

/// How long an exchange is waited for that had not ended when its canary did.
const PATIENCE: u32 = 20;

/// Saves offenders until the process ends.
pub async fn follow(gate: Arc<Gate<Dialer>>, archive: Arc<Archive>) {
    let mut waiting: Vec<(String, u32)> = Vec::new();
    loop {
        tokio::time::sleep(LOOK).await; // paced: canaries end seldom
        waiting.extend(gate.canary.take_offenders().into_iter().map(|id| (id, 0)));
        if waiting.is_empty() {
            continue;
        }
        let (there, late): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|(id, _)| gate.tapes.get(id).is_some());
        let later = late.into_iter().map(|(id, looks)| (id, looks + 1));
        let (wait, lost): (Vec<_>, Vec<_>) = later.partition(|(_, looks)| *looks < PATIENCE);
        for (id, _) in lost {
            let why = "it is not on tape: `[record]` in the settings says which exchanges are";
            tracing::warn!(id, why, "what made the canary go back could not be saved");
        }
        waiting.extend(wait);
        let taken: Vec<Arc<Taken>> = there.iter().filter_map(|(id, _)| gate.tapes.get(id)).collect();
        let (archive, live) = (Arc::clone(&archive), gate.live.load_full());
        let _ = tokio::task::spawn_blocking(move || {
            if let Some(bundle) = &live.bundle {
                for taken in &taken {
                    save(&archive, taken, bundle);
                }
            }
        })
        .await;
    }
}

/// Saves one, and says where.
fn save(archive: &Archive, taken: &Taken, live: &Arc<Bundle>) {
    let id = &taken.facts.id;
    let made = archive.save_for(taken, live, &archive.redaction(Text::Replaced));
    let written = match made {
        Ok(saved) => saved.files().write(&live.root).map(|()| saved.name).map_err(|error| error.to_string()),
        Err(faults) => Err(faults.first().map_or_else(String::new, ToString::to_string)),
    };
    match written {
        Ok(name) => tracing::warn!(id, case = %format!("{CASES}/{name}.http"), "saved what made the canary go back"),
        Err(why) => tracing::warn!(id, why, "what made the canary go back could not be saved"),
    }
}
