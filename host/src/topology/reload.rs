//! Another configuration for what runs: what differs is begun, replaced or ended, and all
//! else goes on.

use super::sinks::RunningSinks;
use super::{Plan, buffer_limit, register_feeds, register_sinks};
use crate::polling::{Feed, FeedChanges, FeedRegistry, Handle, Shared};
use std::collections::HashSet;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use watchbell_ledger as ledger;

/// A plan, and who hears what it changed.
pub(super) type Planned = (Plan, oneshot::Sender<Result<Changed, String>>);

/// What a new plan changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Feeds: source and tenant.
    pub feeds: Difference<(String, String)>,
    /// Sinks.
    pub sinks: Difference<String>,
}

/// How what there is differs from what there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference<T> {
    /// What is new.
    pub added: Vec<T>,
    /// What is there still, with other settings or another component.
    pub changed: Vec<T>,
    /// What went.
    pub removed: Vec<T>,
}

impl<T> Default for Difference<T> {
    fn default() -> Self {
        Self {
            added: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
        }
    }
}

/// Hands plans to a service at work. Cheap to clone.
#[derive(Clone)]
pub struct Replan(pub(super) mpsc::Sender<Planned>);

impl Replan {
    /// Has a plan take the place of the one before, as far as they differ.
    ///
    /// # Errors
    /// Why the one before goes on, in words.
    pub async fn put(&self, plan: Plan) -> Result<Changed, String> {
        let (told, hears) = oneshot::channel();
        let gone = |()| "it is ending".to_owned();
        self.0.send((plan, told)).await.map_err(|_| gone(()))?;
        hears.await.map_err(|_| gone(()))?
    }
}

/// A service while its plan changes.
pub(super) struct Reload<'s> {
    pub(super) shared: &'s Shared,
    pub(super) registry: &'s FeedRegistry,
    pub(super) stop: &'s CancellationToken,
    pub(super) sinks: &'s mut RunningSinks,
}

impl Reload<'_> {
    /// Changes the sinks; the feeds' change is the caller's to hand on.
    pub(super) async fn apply(self, plan: Plan) -> Result<(Changed, FeedChanges), ledger::Error> {
        let mut changed = Changed::default();
        let ledger = &*self.shared.ledger;
        // First, since a feed that is registered and not polled does no harm.
        let ids = register_feeds(ledger, &plan.sources).await?;
        let sinks = plan.pipeline.sinks;
        // What changes comes to rest first, so that nobody writes to what is registered.
        let stays: HashSet<String> = sinks
            .iter()
            .filter(|sink| self.sinks.is_same(sink))
            .map(|sink| sink.spec.name().to_owned())
            .collect();
        let rested = self.sinks.rest(&stays).await;
        if let Err(error) = register_sinks(ledger, &sinks, &[]).await {
            for sink in rested {
                self.sinks.start(sink);
            }
            return Err(error);
        }
        self.shared
            .backpressure
            .set_limits(sinks.iter().map(|one| buffer_limit(&one.spec)).collect())
            .await;
        let mut went: Vec<String> = rested
            .iter()
            .map(|old| old.spec.name().to_owned())
            .collect();
        for sink in sinks {
            let name = sink.spec.name().to_owned();
            if stays.contains(&name) {
                continue;
            }
            match went.iter().position(|old| *old == name) {
                Some(at) => changed.sinks.changed.push(went.swap_remove(at)),
                None => changed.sinks.added.push(name),
            }
            self.sinks.start(sink);
        }
        went.sort();
        changed.sinks.removed = went;
        let mut feeds = FeedChanges::default();
        let mut kept = HashSet::new();
        for (id, (name, client)) in ids.into_iter().zip(plan.sources) {
            kept.insert(id);
            let old = self.registry.get(id);
            if old
                .as_ref()
                .is_some_and(|old| old.client.is_same_config(&*client))
            {
                continue;
            }
            let feed = (name.to_string(), client.settings().tenant.clone());
            let handle = Handle {
                name,
                id,
                client,
                shared: self.shared.clone(),
            };
            match old {
                Some(_) => changed.feeds.changed.push(feed),
                None => changed.feeds.added.push(feed),
            }
            feeds.put.push(Feed::new(&handle, self.stop.clone()));
            self.registry.insert(handle);
        }
        for id in self.registry.ids() {
            if !kept.contains(&id) {
                if let Some(gone) = self.registry.get(id) {
                    let feed = (gone.name.to_string(), gone.tenant().to_owned());
                    changed.feeds.removed.push(feed);
                }
                self.registry.remove(id);
                feeds.remove.push(id);
            }
        }
        // Whoever comes back may have something waiting.
        self.shared.news.send_modify(|count| *count += 1);
        Ok((changed, feeds))
    }
}
