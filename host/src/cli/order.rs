//! An order from the command line: to the process that runs, or done here.

use super::data_dir::{folder_of, not_begun, open};
use super::run::{load, prepare_config};
use super::signals::Ends;
use crate::control::{Operator, Order, Outcome, Reply, send};
use crate::exit::{Exit, Failure};
use crate::topology::Service;
use chrono::{DateTime, Utc};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use watchbell_ledger::{Ledger, Time};

/// How long delivery may go on after an order that was done here.
const DRAIN: Duration = Duration::from_secs(60);

/// Has an order done; `heard` gets what is told meanwhile. Returns the words of its end.
pub(super) async fn give(
    config_file: &Path,
    order: Order,
    mut heard: impl FnMut(&Reply) + Send,
) -> Result<String, Failure> {
    // Whoever runs has read the rest of the file, and the secrets that it names.
    let folder = folder_of(config_file)?;
    let sent = send(&folder, &order, &mut heard).await;
    if let Some(outcome) = sent.map_err(|e| Failure::new(Exit::Io, e))? {
        return end(outcome);
    }
    // Nobody runs, so it is done here, and what it yields is delivered.
    let mut ends = Ends::listen()?;
    let mut again = ends.another()?;
    let config = load(config_file)?;
    let ledger: Arc<dyn Ledger> = Arc::new(open(&config, &folder)?);
    let prepared = prepare_config(&config).await?;
    let opened = Service::open(Arc::clone(&ledger), &folder, prepared.plan, Vec::new());
    let (service, _) = opened.await.map_err(not_begun)?;
    let operator = Operator::new(ledger, service.registry());
    let working = async {
        tokio::select! {
            outcome = operator.perform(order.clone(), |reply| heard(&reply)) => outcome,
            () = ends.asked(1) => {
                Outcome::Later("stopped; what was done is kept, run it again".to_owned())
            }
        }
    };
    let (outcome, ended) = tokio::select! {
        done = service.during(working, DRAIN) => done,
        // A second signal does not wait for the sinks.
        () = again.asked(2) => {
            return Err(Failure::new(Exit::Later, "ended at once; what was done is kept"));
        }
    };
    for (sink, count) in &ended.waiting {
        tracing::warn!(%sink, detections = count, "not delivered; kept for the next start");
    }
    // The sinks have ended: what they have not delivered by now is not delivered here.
    let outcome = operator.settle(&order, outcome, Duration::ZERO).await;
    if let (Outcome::Done(done), Some((sink, words))) = (&outcome, ended.lost.first()) {
        let words = format!("{done}; sinks.{sink}: {words}; what was not delivered is kept");
        return Err(Failure::new(Exit::Io, words));
    }
    end(outcome)
}

/// A time that was given, as an order says it.
pub(super) fn time(flag: &str, time: DateTime<Utc>) -> Result<Time, Failure> {
    time.timestamp_nanos_opt()
        .filter(|nanos| *nanos >= 0)
        .ok_or_else(|| {
            let words = format!("{flag}: {time} is outside of what can be asked for, 1970 to 2262");
            Failure::new(Exit::Usage, words)
        })
}

fn end(outcome: Outcome) -> Result<String, Failure> {
    match outcome {
        Outcome::Done(words) => Ok(words),
        Outcome::Refused(words) => Err(Failure::new(Exit::Usage, words)),
        Outcome::Later(words) => Err(Failure::new(Exit::Later, words)),
    }
}
