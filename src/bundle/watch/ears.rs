//! Listens to the machine's file events in a changing set of folders, and says so when it cannot.

use std::sync::Arc;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::Mode;
use super::places::Places;

/// Opens a source of events that hands each to the function.
pub(super) type Listen = Box<dyn Fn(Hear) -> notify::Result<RecommendedWatcher> + Send>;

/// Takes one event; it runs on the source's own thread.
pub(super) type Hear = Box<dyn FnMut(notify::Result<Event>) + Send>;

/// The open source of events, if any.
pub(super) struct Ears {
    /// Opens sources.
    listen: Listen,
    /// The present source; dropping it closes it.
    source: Option<RecommendedWatcher>,
    /// Where it listens.
    places: Places,
    /// Holds one permit when something was heard.
    heard: Arc<Notify>,
    /// Whether an event came since the source was opened: a folder may have been replaced under its old name.
    stirred: bool,
    /// How changes are noticed.
    mode: Mode,
}

/// The machine's own events.
pub(super) fn machine() -> Listen {
    Box::new(notify::recommended_watcher)
}

// === impl Ears ===

impl Ears {
    /// Ears that are not open yet.
    pub(super) fn new(listen: Listen) -> Self {
        Self {
            listen,
            source: None,
            places: Places::default(),
            heard: Arc::new(Notify::new()),
            stirred: true,
            mode: Mode::Events,
        }
    }

    /// How changes are noticed.
    pub(super) fn mode(&self) -> &Mode {
        &self.mode
    }

    /// Waits until something is heard that may concern the bundle. Dropping the future loses nothing.
    pub(super) async fn heard(&mut self) {
        self.heard.notified().await;
        self.stirred = true;
        self.heard.notify_one();
    }

    /// Forgets what was heard.
    pub(super) fn forget(&mut self) {
        let permit = std::pin::pin!(self.heard.notified());
        if permit.enable() {
            self.stirred = true;
        }
    }

    /// Opens a new source next time, wherever it is turned to.
    pub(super) fn doubt(&mut self) {
        self.stirred = true;
    }

    /// Listens at `places`. Returns whether a source was opened for it, so that what came before went unheard.
    pub(super) fn turn_to(&mut self, places: Places) -> bool {
        let stirred = std::mem::take(&mut self.stirred);
        if places == self.places && !stirred && self.source.is_some() {
            return false;
        }
        self.places = places;
        match self.open() {
            Ok(source) => {
                // The old source is closed only now: there is no moment in which nobody listens.
                self.source = Some(source);
                self.set_mode(Mode::Events);
                true
            }
            Err(error) => {
                self.source = None;
                self.set_mode(Mode::Polling(error.to_string()));
                false
            }
        }
    }

    /// Opens a new source: watches that died with a replaced folder cannot survive in it.
    fn open(&self) -> notify::Result<RecommendedWatcher> {
        let (heard, places) = (Arc::clone(&self.heard), self.places.clone());
        let mut source = (self.listen)(Box::new(move |event| {
            if event.as_ref().map_or(true, |event| places.concern(event)) {
                heard.notify_one();
            }
        }))?;
        for folder in self.places.folders() {
            match source.watch(folder, RecursiveMode::NonRecursive) {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(source)
    }

    fn set_mode(&mut self, mode: Mode) {
        if let Mode::Polling(reason) = &mode
            && self.mode == Mode::Events
        {
            tracing::warn!(%reason, "file events are not available: the bundle is read every second");
        }
        self.mode = mode;
    }
}

/// Whether a folder vanished since it was found; the next scan will show it.
fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}
