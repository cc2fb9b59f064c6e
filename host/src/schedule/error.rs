//! Why a poll gave nothing, in words for an operator and as an exit code.

use crate::exit::Exit;
use crate::observe::printable;
use crate::secret::SecretError;
use watchbell_egress::{self as egress, Phase};
use watchbell_sandbox::CallError;
use watchbell_sandbox::contract::{Error, Refusal, Stage};

/// Why a poll gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// What the service said, or did not say, as the component reports it.
    #[error("{}", words(.error, .cause.as_ref()))]
    Service {
        /// The contract's error.
        error: Box<Error>,
        /// What egress saw of the request that failed: the component is told less.
        cause: Option<egress::Error>,
    },
    /// The component was stopped, or broke the contract.
    #[error("the source component failed: {0}")]
    Component(#[from] CallError),
    /// There is no secret to be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The client cannot be made: a CA file that cannot be read.
    #[error(transparent)]
    Egress(#[from] egress::Error),
}

impl PullError {
    /// The exit code of a verb that ends with this.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Service { error, .. } => match **error {
                Error::InvalidConfig(_) => Exit::Config,
                Error::Unauthorized(_) | Error::Forbidden(_) | Error::Denied(_) => Exit::Denied,
                Error::Throttled(_)
                | Error::Unavailable(_)
                | Error::Unreachable(_)
                | Error::TimedOut(_) => Exit::Later,
                Error::UnexpectedStatus(_)
                | Error::Malformed(_)
                | Error::TooLarge(_)
                | Error::Other(_) => Exit::Service,
            },
            Self::Component(_) => Exit::Internal,
            Self::Secret(_) | Self::Egress(_) => Exit::Config,
        }
    }

    /// What kind of error it is: one of a few dozen, whatever a service or component says,
    /// since it tells errors apart in the log and is a label of a metric.
    #[must_use]
    pub fn kind(&self) -> String {
        let at = |stage: Stage| match stage {
            Stage::Token => "token",
            Stage::Detections => "detections",
        };
        let error = match self {
            Self::Service { error, .. } => &**error,
            Self::Component(_) => return "component".to_owned(),
            Self::Secret(_) | Self::Egress(_) => return "settings".to_owned(),
        };
        let (what, stage) = match error {
            Error::Unauthorized(refusal) => ("unauthorized", refusal.stage),
            Error::Forbidden(refusal) => ("forbidden", refusal.stage),
            Error::Throttled(refusal) => ("throttled", refusal.stage),
            Error::Unavailable(refusal) => ("unavailable", refusal.stage),
            Error::UnexpectedStatus(refusal) => ("unexpected_status", refusal.stage),
            Error::Unreachable(failure) => ("unreachable", failure.stage),
            Error::TimedOut(failure) => ("timed_out", failure.stage),
            Error::Denied(failure) => ("denied", failure.stage),
            Error::Malformed(fault) => ("malformed", fault.stage),
            Error::TooLarge(fault) => ("too_large", fault.stage),
            Error::InvalidConfig(_) => return "invalid_config".to_owned(),
            Error::Other(_) => return "other".to_owned(),
        };
        format!("{}_{what}", at(stage))
    }

    /// Whether the login service refused the secret, which may have been rotated.
    pub(super) fn refuses_secret(&self) -> bool {
        matches!(self, Self::Service { error, .. }
            if matches!(&**error, Error::Unauthorized(refusal) if refusal.stage == Stage::Token))
    }

    /// Whether a new token may help: the API refused the one that was sent.
    pub(super) fn wants_new_token(&self) -> bool {
        matches!(self, Self::Service { error, .. }
            if matches!(&**error, Error::Unauthorized(refusal) if refusal.stage == Stage::Detections))
    }
}

/// A contract error in one line: what happened, what the service said, what to do.
#[must_use]
pub fn words(error: &Error, cause: Option<&egress::Error>) -> String {
    let remedy = match cause {
        Some(egress::Error::Denied(egress::Denied::Address { .. })) => {
            "; if you mean it, open its range with egress.allow_addresses (--allow-address)"
        }
        Some(egress::Error::TooManyAtOnce { .. }) => {
            "; raise limits.max_connections if you mean it"
        }
        _ => "",
    };
    let setting = cause.and_then(setting);
    let setting = setting.map(|name| format!("; {name} bounds that"));
    let setting = setting.unwrap_or_default();
    let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    match error {
        Error::InvalidConfig(fault) => {
            format!("{}: {}", printable(&fault.field), printable(&fault.message))
        }
        Error::Unauthorized(refusal) => match refusal.stage {
            Stage::Token => said(refusal, "check tenant_id, client_id and the secret"),
            Stage::Detections => said(
                refusal,
                "the API does not accept the token; check that the application is granted access",
            ),
        },
        Error::Forbidden(refusal) => said(
            refusal,
            "the application may not read this tenant's detections; grant it in the portal",
        ),
        Error::Throttled(refusal) => said(refusal, "asked too often; later will work"),
        Error::Unavailable(refusal) => said(refusal, "the service is in trouble; later may work"),
        Error::UnexpectedStatus(refusal) => said(refusal, "check endpoint, authority and query"),
        Error::Unreachable(failure) => format!(
            "{}: {}{cause}",
            whom(failure.stage),
            printable(&failure.message)
        ),
        Error::TimedOut(failure) => format!(
            "{}: {}{cause}{setting}",
            whom(failure.stage),
            printable(&failure.message)
        ),
        Error::Denied(failure) => format!(
            "{}: {}{cause}{}",
            whom(failure.stage),
            printable(&failure.message),
            remedy
        ),
        Error::Malformed(fault) => format!(
            "{} answered what is not its documented JSON: byte {}: {}; {} readable, {} not",
            whom(fault.stage),
            fault.offset,
            printable(&fault.message),
            fault.alerts.len(),
            fault.unreadable.len(),
        ),
        Error::TooLarge(fault) if !setting.is_empty() => format!(
            "{} answered with too large headers{cause}{setting}",
            whom(fault.stage)
        ),
        Error::TooLarge(fault) => format!(
            "{} answered more than {} bytes; ask for less at a time, or raise limits.max_response_bytes",
            whom(fault.stage),
            fault.limit
        ),
        Error::Other(message) => format!("{}{cause}", printable(message)),
    }
}

/// The setting that bounds what egress cut short, where there is one.
fn setting(cause: &egress::Error) -> Option<&'static str> {
    Some(match cause {
        egress::Error::HeadersTooLarge { .. } => "limits.max_header_bytes",
        egress::Error::TimedOut { phase, .. } => match phase {
            Phase::Resolve => "timeouts.resolve_secs",
            Phase::Socket | Phase::Connect => "timeouts.connect_secs",
            Phase::Tls => "timeouts.tls_secs",
            Phase::FirstByte => "timeouts.first_byte_secs",
            Phase::BetweenBytes => "timeouts.between_bytes_secs",
            Phase::Total => "timeouts.total_secs",
            _ => return None,
        },
        _ => return None,
    })
}

fn whom(stage: Stage) -> &'static str {
    match stage {
        Stage::Token => "the login service (authority)",
        Stage::Detections => "the API (endpoint)",
    }
}

fn said(refusal: &Refusal, remedy: &str) -> String {
    let mut line = format!("{} answered {}", whom(refusal.stage), refusal.status);
    // The login service repeats its code and its ids in the message: "CODE: words" and
    // then a line for each id.
    let message = refusal
        .message
        .as_deref()
        .and_then(|text| text.lines().next());
    let code = refusal
        .code
        .as_deref()
        .filter(|code| !message.is_some_and(|message| message.starts_with(code)));
    for (lead, words) in [
        (" ", code),
        (": ", message),
        ("; request id ", refusal.request_id.as_deref()),
    ] {
        if let Some(words) = words {
            line.push_str(lead);
            line.push_str(&printable(words));
        }
    }
    if let Some(seconds) = refusal.retry_after {
        line.push_str(&format!("; retry after {seconds} s"));
    }
    format!("{line}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use watchbell_sandbox::contract::{Failure, TooLarge};

    #[test]
    fn what_cut_an_answer_short_is_told_with_its_value_and_its_setting() {
        let late = Error::TimedOut(Failure {
            stage: Stage::Detections,
            message: "late".to_owned(),
        });
        let cause = egress::Error::TimedOut {
            phase: Phase::BetweenBytes,
            limit: Duration::from_secs(7),
        };
        let words = words(&late, Some(&cause));
        assert!(words.contains("7s"), "{words}");
        assert!(words.contains("timeouts.between_bytes_secs"), "{words}");

        let large = Error::TooLarge(TooLarge {
            stage: Stage::Detections,
            limit: 0,
        });
        let cause = egress::Error::HeadersTooLarge { limit: 4321 };
        let words = super::words(&large, Some(&cause));
        assert!(words.contains("4321 bytes"), "{words}");
        assert!(words.contains("limits.max_header_bytes"), "{words}");
        assert!(!words.contains("max_response_bytes"), "{words}");
    }
}
