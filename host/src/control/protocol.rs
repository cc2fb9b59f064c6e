//! What goes over the socket: one order as a line of JSON, replies as lines until the
//! outcome.

use super::moved::text;
use crate::polling::Progress;
use crate::telemetry::printable;
use serde::{Deserialize, Serialize};
use std::fmt;
use watchbell_ledger::Time;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Move a source's cursor.
    SetCursor {
        /// The source.
        source: String,
        /// Which of its tenants, where it has several.
        #[serde(default)]
        tenant: Option<String>,
        /// To when.
        to: Time,
        /// Forget what was read from there on, so that it comes again.
        replay: bool,
    },
    /// Try what is in quarantine again at the next poll.
    Retry {
        /// Which; none is all of it.
        id: Option<i64>,
    },
    /// Give up what is in quarantine.
    Drop {
        /// Which.
        id: i64,
    },
    /// Give up what is kept of a tenant that is not in the configuration any more.
    Forget {
        /// The source.
        source: String,
        /// The tenant, by its name or its id.
        tenant: String,
    },
    /// Read a range of the past.
    Backfill {
        /// Of which source.
        source: String,
        /// Which of its tenants, where it has several.
        #[serde(default)]
        tenant: Option<String>,
        /// From when.
        from: Time,
        /// Until when, without this instant.
        to: Time,
        /// What was read before comes again.
        again: bool,
    },
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |tenant: &Option<String>| match tenant {
            Some(tenant) => format!(" tenant {}", printable(tenant)),
            None => String::new(),
        };
        match self {
            Self::SetCursor {
                source,
                tenant,
                to,
                replay,
            } => {
                let (source, replay) = (
                    printable(source),
                    if *replay { ", with replay" } else { "" },
                );
                write!(
                    f,
                    "set the cursor of {source}{} to {}{replay}",
                    of(tenant),
                    text(*to)
                )
            }
            Self::Retry { id: Some(id) } => write!(f, "retry {id} of the quarantine"),
            Self::Retry { id: None } => f.write_str("retry all of the quarantine"),
            Self::Drop { id } => write!(f, "drop {id} of the quarantine"),
            Self::Forget { source, tenant } => {
                write!(
                    f,
                    "forget tenant {} of {}",
                    printable(tenant),
                    printable(source)
                )
            }
            Self::Backfill {
                source,
                tenant,
                from,
                to,
                again,
            } => {
                let (source, again) = (printable(source), if *again { ", again" } else { "" });
                write!(
                    f,
                    "backfill {source}{} from {} to {}{again}",
                    of(tenant),
                    text(*from),
                    text(*to)
                )
            }
        }
    }
}

/// What is told while an order is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How far a backfill is.
    Progress(Progress),
    /// The end.
    Ended(Outcome),
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done; words for a person.
    Done(String),
    /// It is not, and doing it again as it is will not help.
    Refused(String),
    /// It is not yet; later may work.
    Later(String),
}
