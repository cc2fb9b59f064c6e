//! An order from the command line: to the process that runs, or done here.

use super::run::{data_dir, load, not_opened, prepare_config};
use crate::control::{Operator, Order, Outcome, Reply, send};
use crate::exit::{Exit, Failure};
use crate::schedule::Service;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use watchbell_ledger::{Ledger, Sqlite};

/// How long delivery may go on after an order that was done here.
const DRAIN: Duration = Duration::from_secs(60);

/// Has an order done; `heard` gets what is told meanwhile. Returns the words of its end.
pub(super) async fn give(
    config_file: &Path,
    order: Order,
    mut heard: impl FnMut(&Reply) + Send,
) -> Result<String, Failure> {
    let config = load(config_file)?;
    let folder = data_dir(&config, config_file)?;
    let sent = send(&folder, &order, &mut heard).await;
    if let Some(outcome) = sent.map_err(|e| Failure::new(Exit::Io, e))? {
        return end(outcome);
    }
    // Nobody runs, so it is done here, and what it yields is delivered.
    let ledger: Arc<dyn Ledger> = Arc::new(Sqlite::open(&folder).map_err(not_opened)?);
    let prepared = prepare_config(&config).await?;
    let opened = Service::open(Arc::clone(&ledger), &folder, prepared.plan, Vec::new());
    let (service, _) = opened.await.map_err(|e| Failure::new(Exit::Config, e))?;
    let operator = Operator::new(ledger, service.roster());
    let working = async {
        tokio::select! {
            outcome = operator.perform(order, |reply| heard(&reply)) => outcome,
            _ = super::asked_to_end() => {
                Outcome::Later("stopped; what was done is kept, run it again".to_owned())
            }
        }
    };
    let (outcome, ended) = service.during(working, DRAIN).await;
    for (sink, count) in &ended.waiting {
        tracing::warn!(%sink, detections = count, "not delivered; kept for the next start");
    }
    end(outcome)
}

fn end(outcome: Outcome) -> Result<String, Failure> {
    match outcome {
        Outcome::Done(words) => Ok(words),
        Outcome::Refused(words) => Err(Failure::new(Exit::Usage, words)),
        Outcome::Later(words) => Err(Failure::new(Exit::Later, words)),
    }
}
