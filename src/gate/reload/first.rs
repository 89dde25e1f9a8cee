//! Which generation a gate starts with: what is on disk, or the last that was accepted where changes are reviewed.

use std::path::Path;
use std::sync::Arc;

use super::{Adjust, Serving};
use crate::bundle::shelf::{Shelf, Shelved};
use crate::bundle::{self, Bundle};
use crate::fault::Fault;
use crate::generation::{Candidate, SETTINGS_FILE};
use crate::review::acceptance::{self, REVIEWS, Standing};
use crate::review::write;
use crate::settings::{self, GoLive};

/// What a gate starts with.
pub struct First {
    /// The generation to build.
    pub candidate: Candidate,
    /// What the reloader needs to know of it.
    pub serving: Serving,
}

/// What to start with in a folder. On error, every fault of what is on disk, or that nothing was accepted.
pub fn first(dir: &Path, adjust: &Adjust) -> Result<First, Vec<Fault>> {
    if let Err(error) = write::recover(dir) {
        tracing::warn!("an acceptance that was broken off cannot be put in order: {error}");
    }
    let shelf = Shelf::open(dir);
    let last = shelf.pointer().and_then(|pointer| shelf.get(&pointer.generation)).cloned();
    let read = |bundle: Arc<Bundle>| Candidate::from_bundle(&bundle, adjust).map(|candidate| (bundle, candidate));
    let disk = bundle::read(dir).map(Arc::new).and_then(read);
    let last_reviewed = last.as_ref().is_some_and(|last| is_reviewed(last, adjust));
    let (bundle, candidate) = match disk {
        // What is on disk cannot serve. Where changes are reviewed it would not have been asked for either.
        Err(faults) => {
            let last = last.filter(|_| last_reviewed).ok_or(faults)?;
            return kept(shelf, &last, adjust);
        }
        Ok(disk) => disk,
    };
    let passed_over = shelf.pointer().is_some_and(|pointer| pointer.over == Some(bundle.hash));
    if candidate.settings.go_live == GoLive::OnSave && !last_reviewed {
        // Without a review nothing keeps what is on disk from serving when what someone went back to cannot.
        let back = last.filter(|last| passed_over && Candidate::from_bundle(&last.bundle, adjust).is_ok());
        return match back {
            Some(last) => kept(shelf, &last, adjust),
            None => Ok(First { candidate, serving: Serving { bundle, accepted_by: None, over: None, shelf } }),
        };
    }
    let standing = acceptance::standing(dir, &bundle.hash);
    match (&standing, &last) {
        (_, Some(last)) if passed_over => kept(shelf, last, adjust),
        (Standing::Accepted(accepted), _) if accepted.live => {
            let accepted_by = Some(accepted.accepted_by.clone());
            Ok(First { candidate, serving: Serving { bundle, accepted_by, over: None, shelf } })
        }
        // It served when the gate was stopped, and nothing was saved since.
        (_, Some(last)) if last.bundle.hash == bundle.hash => {
            let accepted_by = last.accepted_by.clone();
            Ok(First { candidate, serving: Serving { bundle, accepted_by, over: None, shelf } })
        }
        _ => {
            let last = last.filter(|last| last.accepted_by.is_some() || last_reviewed);
            let last =
                last.or_else(|| newest_accepted(&shelf)).ok_or_else(|| vec![refusal(dir, &bundle, &standing)])?;
            kept(shelf, &last, adjust)
        }
    }
}

/// Starts with a bundle from the shelf.
fn kept(shelf: Shelf, last: &Shelved, adjust: &Adjust) -> Result<First, Vec<Fault>> {
    let bundle = Arc::clone(&last.bundle);
    let candidate = Candidate::from_bundle(&bundle, adjust)?;
    let over = shelf.pointer().filter(|pointer| pointer.generation == bundle.hash).and_then(|pointer| pointer.over);
    Ok(First { candidate, serving: Serving { bundle, accepted_by: last.accepted_by.clone(), over, shelf } })
}

/// Whether changes of this generation are reviewed. That it cannot serve any more, since a secret of it is gone or a
/// policy of it has faults by now, must not switch the review off: only its settings are asked.
fn is_reviewed(last: &Shelved, adjust: &Adjust) -> bool {
    let Bundle { settings_text, root, .. } = &*last.bundle;
    let read = settings::parse_in(settings_text, SETTINGS_FILE, root, &|_| Ok("none".to_owned()));
    if let Ok(settings) = read.and_then(|mut settings| adjust(&mut settings).map(|()| settings)) {
        return settings.go_live == GoLive::Reviewed;
    }
    let table: Option<toml::Table> = toml::from_str(settings_text).ok();
    let said = table.as_ref().and_then(|table| table.get("go_live")).and_then(toml::Value::as_str);
    said == Some(GoLive::Reviewed.as_str())
}

/// The one that went live last of those that someone accepted.
fn newest_accepted(shelf: &Shelf) -> Option<Shelved> {
    let accepted = shelf.kept().into_iter().filter(|kept| kept.accepted_by.is_some() && kept.live_at.is_some());
    accepted.max_by_key(|kept| kept.live_at).cloned()
}

fn refusal(dir: &Path, bundle: &Bundle, standing: &Standing) -> Fault {
    let message = format!(
        "generation {} is {standing}, and no accepted one is kept: run `tidegate review {}`",
        bundle.hash,
        dir.display()
    );
    Fault::in_file(REVIEWS, message)
}
