//! What is kept as HTTP says, in all stores: in memory, and behind it on the same disk and in the same Redis as answers
//! are. All that is kept of one URL goes there and comes back together.

use std::sync::Arc;
use std::time::SystemTime;

use super::entry::Entry;
use super::http::{Stored, Variants};
use super::memory;
use super::pick::Pick;
use super::{Cache, Key, common};
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

    /// Takes into memory what another store had, unless it was purged since.
    fn take_in(&self, key: &Key, entry: &Entry) -> Option<Arc<Variants>> {
        if self.purges.forbid(entry.stored_at, key, entry) {
            return None;
        }
        let found = Variants::of_entry(entry)?;
        self.http.change(key, |variants| variants.joined(&found)).or_else(|| Some(Arc::new(found)))
    }

    /// Keeps an answer that is whole; false when it was purged while it was on its way.
    pub fn keep_as_http(&self, key: &Key, stored: Stored, request: &::http::HeaderMap) -> bool {
        if self.purges.forbid_tagged(stored.terms.came, key, &stored.tags) {
            return false;
        }
        let stored = Arc::new(stored);
        self.change_kept(key, |variants| variants.with(stored, request));
        true
    }

    /// Changes what is kept of a URL: in memory at once, elsewhere a little later.
    pub fn change_kept(&self, key: &Key, change: impl FnOnce(&Variants) -> Variants) {
        let changed = self.http.change(key, change);
        if self.disk.is_none() && self.common.is_none() {
            return;
        }
        let Some(entry) = changed.and_then(|variants| variants.to_entry(2 * self.http.max_entry_bytes())) else {
            return self.forget_farther(key);
        };
        let stored = Arc::new(memory::Stored { key: key.clone(), entry: Arc::new(entry) });
        if let Some(disk) = &self.disk {
            disk.put(Arc::clone(&stored));
        }
        if let Some(common) = &self.common {
            common.put(stored);
        }
    }

    /// Forgets what is kept of a URL: something was changed there.
    pub fn forget_kept(&self, key: &Key) {
        self.http.forget(key.hash());
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
            self.http.forget(&hash);
            if let Some(disk) = &self.disk {
                disk.forget(&hash);
            }
        }
    }

    /// Takes away what was kept in memory before a purge, URL by URL; says how many.
    pub(super) fn purge_kept(&self, pick: &Pick, at: SystemTime) -> usize {
        self.http.purge(|key, variants| {
            let before = variants.iter().any(|stored| stored.terms.came <= at);
            before && pick.picks_tagged(key, &variants.tags())
        })
    }
}
