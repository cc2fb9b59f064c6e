//! The feeds that run, for orders and backfills that work beside the scheduler.

use super::feed::Handle;
use crate::names::Name;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use watchbell_ledger::FeedId;

/// The feeds of a process by their numbers. Clones share it.
#[derive(Clone, Default)]
pub struct FeedRegistry {
    feeds: Arc<RwLock<BTreeMap<FeedId, Handle>>>,
}

/// There is no such feed, in words for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownFeed(String);

impl FeedRegistry {
    /// Puts a feed there, in place of the one with its number.
    pub fn insert(&self, handle: Handle) {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        feeds.insert(handle.id, handle);
    }

    /// Takes one away.
    pub fn remove(&self, id: FeedId) {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        feeds.remove(&id);
    }

    /// The feed with that number.
    #[must_use]
    pub fn get(&self, id: FeedId) -> Option<Handle> {
        self.read().get(&id).cloned()
    }

    /// Every number.
    #[must_use]
    pub fn ids(&self) -> Vec<FeedId> {
        self.read().keys().copied().collect()
    }

    /// Tells those who deliver that something may wait.
    pub fn notify_sinks(&self) {
        if let Some(feed) = self.read().values().next() {
            feed.shared.news.send_modify(|count| *count += 1);
        }
    }

    /// The feed of a source and, where it has several, of a tenant.
    ///
    /// # Errors
    /// [`UnknownFeed`], which says what there is.
    pub fn find(&self, source: &str, tenant: Option<&str>) -> Result<Handle, UnknownFeed> {
        let feeds = self.read();
        let of_source: Vec<&Handle> = feeds
            .values()
            .filter(|feed| feed.name.as_str() == source)
            .collect();
        let refuse = |words: String| Err(UnknownFeed(words));
        match (of_source.as_slice(), tenant) {
            ([], _) => {
                let mut names: Vec<&str> = feeds
                    .values()
                    .map(|feed| Name::as_str(&feed.name))
                    .collect();
                names.sort_unstable();
                names.dedup();
                refuse(format!(
                    "there is no source {source}; there is {}",
                    names.join(", ")
                ))
            }
            ([one], None) => Ok((*one).clone()),
            (many, None) => refuse(format!(
                "{source} has {} tenants; say which with --tenant",
                many.len()
            )),
            (many, Some(tenant)) => match many.iter().find(|feed| feed.tenant() == tenant) {
                Some(feed) => Ok((*feed).clone()),
                None => refuse(format!("{source} has no tenant {tenant}")),
            },
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<FeedId, Handle>> {
        self.feeds.read().unwrap_or_else(PoisonError::into_inner)
    }
}
