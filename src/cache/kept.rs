//! What is kept as HTTP says, in all stores: in memory, and behind it on the same disk and in the same Redis as answers
//! are. All that is kept of one URL goes there and comes back together.

use std::sync::Arc;
use std::time::SystemTime;

use super::entry::Entry;
use super::http::{Changed, Variants};
use super::{Cache, Key, common, memory, pick};
use crate::state::redis::News;

// === impl Cache ===

impl Cache {
    /// What is kept of a URL. Where nothing in memory `serves`, it is what other stores have of it too.
    pub async fn kept(&self, key: &Key, serves: impl Fn(&Variants) -> bool) -> Option<Arc<Variants>> {
        let near = self.http.get(key);
        if near.as_deref().is_some_and(&serves) || (self.disk.is_none() && self.common.is_none()) {
            return near;
        }
        // Boxed: an exchange that finds its answer in memory carries no room for the way to the others.
        Box::pin(self.kept_farther(key, near, serves)).await
    }

    async fn kept_farther(
        &self,
        key: &Key,
        near: Option<Arc<Variants>>,
        serves: impl Fn(&Variants) -> bool,
    ) -> Option<Arc<Variants>> {
        let mut known = near;
        // What is in memory is on disk too, and no newer there.
        if let (None, Some(disk)) = (&known, &self.disk) {
            known = disk.get(key).await.and_then(|entry| self.take_in(key, &entry));
        }
        if let Some(common) = &self.common
            && !known.as_deref().is_some_and(serves)
            && let Some(entry) = common.get(key).await
        {
            known = self.take_in(key, &entry).or(known);
        }
        known
    }

    /// Takes into memory what another store had, unless it was purged or forgotten since.
    fn take_in(&self, key: &Key, entry: &Entry) -> Option<Arc<Variants>> {
        if self.purges.forbid(entry.stored_at, || pick::labels(key, entry)) {
            return None;
        }
        let found = Variants::of_entry(entry)?;
        match self.http.change(key, &entry.tags, entry.stored_at, |variants| variants.joined(&found)) {
            Changed::Into(variants) => Some(variants),
            Changed::Nothing => Some(Arc::new(found)),
            Changed::Forbidden => None,
        }
    }

    /// Changes what is kept of a URL by an answer that was `asked` for then: in memory at once, elsewhere a little later.
    /// False when its like was purged or forgotten while it was on its way, so that it is not kept.
    pub fn change_kept(
        &self,
        key: &Key,
        tags: &[String],
        asked: SystemTime,
        change: impl FnOnce(&Variants) -> Variants,
    ) -> bool {
        let changed = match self.http.change(key, tags, asked, change) {
            Changed::Into(variants) => Some(variants),
            Changed::Nothing => None,
            Changed::Forbidden => return false,
        };
        if self.disk.is_none() && self.common.is_none() {
            return true;
        }
        match changed.and_then(|variants| variants.to_entry(2 * self.http.max_entry_bytes(), tags)) {
            Some(entry) => self.put_farther(key, entry),
            None => self.forget_farther(key),
        }
        true
    }

    fn put_farther(&self, key: &Key, entry: Entry) {
        let stored = Arc::new(memory::Stored { key: key.clone(), entry: Arc::new(entry) });
        if let Some(disk) = &self.disk {
            disk.put(Arc::clone(&stored));
        }
        if let Some(common) = &self.common {
            common.put(stored);
        }
    }

    /// Forgets what is kept of a URL: something was changed there at that time.
    pub fn forget_kept(&self, key: &Key, at: SystemTime) {
        self.http.forget(key.hash(), at);
        self.forget_farther(key);
    }

    fn forget_farther(&self, key: &Key) {
        if let Some(disk) = &self.disk {
            disk.forget(key.hash());
        }
        if let Some(common) = &self.common {
            common.forget(*key.hash());
        }
    }

    /// Forgets what another gate has forgotten, if that is what it tells.
    pub(super) fn adopt_forgotten(&self, news: &News) {
        if let Some(hash) = common::forgotten(news) {
            self.http.forget(&hash, self.clock.wall());
            if let Some(disk) = &self.disk {
                disk.forget(&hash);
            }
        }
    }
}
