//! What goes wrong at load, where a person mends it, and on the way, where it is tried
//! again.

use crate::component::BuildError;
use crate::names::Name;
use crate::sinks::DeliveryError;
use crate::telemetry::printable;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinError;
use watchbell_ledger as ledger;
use watchbell_sandbox::{CallError, LoadError, PluginError};

/// A transform or sink that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{section}.{name}: {fault}")]
pub struct PipelineError {
    /// `transforms` or `sinks`.
    pub section: &'static str,
    /// Which.
    pub name: Name,
    /// Why.
    pub fault: LoadFault,
}

/// Why a transform or sink cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadFault {
    /// The component's file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The component cannot be used.
    #[error(transparent)]
    Component(#[from] LoadError),
    /// A sink cannot be built.
    #[error(transparent)]
    Sink(#[from] BuildError),
    /// The component refuses its options.
    #[error("{}", plugin_words(.0))]
    Options(PluginError),
    /// The component was stopped while it judged its options.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A batch did not reach its sink.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A plugin was stopped or broke the contract.
    #[error("{name}: {source}")]
    Call {
        /// The transform or the sink's encoder.
        name: String,
        /// What happened.
        source: CallError,
    },
    /// A plugin gave an error that is about no single alert.
    #[error("{name}: {}", plugin_words(.error))]
    Plugin {
        /// The transform or the sink's encoder.
        name: String,
        /// Its words.
        error: PluginError,
    },
    /// A plugin or a sink failed for everything, and never handled anything else: it may be
    /// broken, so nothing is quarantined.
    #[error("{reason}; it has handled nothing yet, so nothing is quarantined and its sink waits")]
    Unproven {
        /// The transform, the sink's encoder or the sink.
        name: String,
        /// What happened.
        reason: String,
    },
    /// The sink did not take it now.
    #[error("{source}")]
    Sink {
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
        /// How long the other side wants to be left alone.
        after: Option<Duration>,
    },
    /// The sink will never take it, as the other side says.
    #[error("{0}")]
    Refused(String),
    /// Nobody takes anything there any more.
    #[error("{0}")]
    Closed(Box<dyn Error + Send + Sync>),
    /// The ledger.
    #[error(transparent)]
    Ledger(ledger::Error),
    /// The ledger holds what this program did not write.
    #[error(transparent)]
    Record(#[from] crate::record::Unreadable),
    /// The program is ending, and this was not begun.
    #[error("the program is ending")]
    Cancelled,
    /// A defect of ours.
    #[error("a defect: {0}")]
    Defect(String),
}

impl RouteError {
    /// Whether trying again is of no use as long as this process lives.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// How long the other side wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Sink { after, .. } => *after,
            _ => None,
        }
    }

    /// What kind it is: one of a few, since it is a label of a metric.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Call { .. } | Self::Plugin { .. } | Self::Unproven { .. } => "plugin_failed",
            Self::Closed(_) => "closed",
            Self::Sink { .. } => "write_failed",
            Self::Refused(_) => "refused",
            Self::Ledger(_) | Self::Record(_) => "ledger",
            Self::Cancelled => "cancelled",
            Self::Defect(_) => "defect",
        }
    }
}

impl From<ledger::Error> for RouteError {
    fn from(error: ledger::Error) -> Self {
        match error {
            ledger::Error::Cancelled => Self::Cancelled,
            error => Self::Ledger(error),
        }
    }
}

impl From<JoinError> for RouteError {
    fn from(error: JoinError) -> Self {
        DeliveryError::from(error).into()
    }
}

impl From<DeliveryError> for RouteError {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Retry { source, after } => Self::Sink { source, after },
            DeliveryError::Refused(reason) => Self::Refused(reason),
            DeliveryError::Closed(source) => Self::Closed(source),
            DeliveryError::Cancelled => Self::Cancelled,
            DeliveryError::Defect(words) => Self::Defect(words),
        }
    }
}

/// A plugin's error in one line, fit for a log.
pub(super) fn plugin_words(error: &PluginError) -> String {
    match error {
        PluginError::InvalidOption(fault) => {
            let place = fault
                .offset
                .map(|offset| format!("byte {offset}: "))
                .unwrap_or_default();
            format!(
                "{}: {place}{}",
                printable(&fault.name),
                printable(&fault.message)
            )
        }
        PluginError::BadRecord(record) => {
            format!("alert {}: {}", record.index, printable(&record.message))
        }
        PluginError::TooLarge(limit) => format!("the result would pass {limit} bytes"),
        PluginError::Other(message) => printable(message),
    }
}
