//! Why a poll gave nothing, in words for an operator and as an exit code.

use super::defender::CredentialError;
use super::defender::explain;
use crate::exit::Exit;
use watchbell_egress::{self as egress, TlsFault};
use watchbell_sandbox::CallError;
use watchbell_sandbox::contract::{Error, Malformed, Stage};

/// Why a poll gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PollError {
    /// What the service said, or did not say, as the component reports it.
    #[error("{}", explain(.error, .cause.as_ref()))]
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
    Credential(#[from] CredentialError),
    /// The client cannot be made: a CA file that cannot be read.
    #[error(transparent)]
    Egress(#[from] egress::Error),
}

impl PollError {
    /// The exit code of a verb that ends with this.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Service { error, cause } => match **error {
                Error::Unreachable(_) => {
                    mendable(cause.as_ref()).map_or(Exit::Later, |obstacle| match obstacle {
                        Obstacle::Certificate => Exit::Config,
                        Obstacle::Proxy => Exit::Denied,
                    })
                }
                Error::UnexpectedStatus(ref refusal) if refusal.status == 407 => Exit::Denied,
                Error::InvalidConfig(_) => Exit::Config,
                Error::Unauthorized(_) | Error::Forbidden(_) | Error::Denied(_) => Exit::Denied,
                Error::Throttled(_) | Error::Unavailable(_) | Error::TimedOut(_) => Exit::Later,
                Error::UnexpectedStatus(_)
                | Error::Malformed(_)
                | Error::TooLarge(_)
                | Error::Other(_) => Exit::Service,
            },
            Self::Component(_) => Exit::Internal,
            Self::Credential(_) | Self::Egress(_) => Exit::Config,
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
        let (error, cause) = match self {
            Self::Service { error, cause } => (&**error, cause),
            Self::Component(_) => return "component".to_owned(),
            Self::Credential(_) | Self::Egress(_) => return "settings".to_owned(),
        };
        let (what, stage) = match error {
            Error::Unauthorized(refusal) => ("unauthorized", refusal.stage),
            Error::Forbidden(refusal) => ("forbidden", refusal.stage),
            Error::Throttled(refusal) => ("throttled", refusal.stage),
            Error::Unavailable(refusal) => ("unavailable", refusal.stage),
            Error::UnexpectedStatus(refusal) => ("unexpected_status", refusal.stage),
            Error::Unreachable(failure) => (
                match mendable(cause.as_ref()) {
                    Some(Obstacle::Certificate) => "untrusted",
                    Some(Obstacle::Proxy) => "proxy_refused",
                    None => "unreachable",
                },
                failure.stage,
            ),
            Error::TimedOut(failure) => ("timed_out", failure.stage),
            Error::Denied(failure) => ("denied", failure.stage),
            Error::Malformed(fault) => ("malformed", fault.stage),
            Error::TooLarge(fault) => ("too_large", fault.stage),
            Error::InvalidConfig(_) => return "invalid_config".to_owned(),
            Error::Other(_) => return "other".to_owned(),
        };
        format!("{}_{what}", at(stage))
    }

    /// The readable part of an answer of which some elements could not be read; else the
    /// error itself.
    ///
    /// # Errors
    /// The error, when nothing of the answer could be read.
    pub fn into_partly(self) -> Result<Malformed, Self> {
        match self {
            Self::Service { error, cause } => match *error {
                Error::Malformed(fault)
                    if fault.stage == Stage::Detections && !fault.unreadable.is_empty() =>
                {
                    Ok(fault)
                }
                error => Err(Self::Service {
                    error: Box::new(error),
                    cause,
                }),
            },
            error => Err(error),
        }
    }

    /// Whether the way there is barred by what a person must mend: a certificate, a proxy.
    pub(crate) fn is_mendable(&self) -> bool {
        matches!(self, Self::Service { error, cause }
            if matches!(**error, Error::Unreachable(_)) && mendable(cause.as_ref()).is_some())
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

/// What bars the way to a service until a person has mended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// Its certificate is not trusted.
    Certificate,
    /// The proxy refuses us.
    Proxy,
}

fn mendable(cause: Option<&egress::Error>) -> Option<Obstacle> {
    match cause? {
        egress::Error::Tls {
            fault: TlsFault::Certificate,
            ..
        } => Some(Obstacle::Certificate),
        // It did not understand in time, or was asked too often.
        egress::Error::Proxy {
            status: Some(408 | 429),
            ..
        } => None,
        egress::Error::Proxy {
            status: Some(400..=499),
            ..
        } => Some(Obstacle::Proxy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use watchbell_egress::Phase;
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
        let words = explain(&late, Some(&cause));
        assert!(words.contains("7s"), "{words}");
        assert!(words.contains("timeouts.between_bytes_secs"), "{words}");

        let large = Error::TooLarge(TooLarge {
            stage: Stage::Detections,
            limit: 0,
        });
        let cause = egress::Error::HeadersTooLarge { limit: 4321 };
        let words = explain(&large, Some(&cause));
        assert!(words.contains("4321 bytes"), "{words}");
        assert!(words.contains("limits.max_header_bytes"), "{words}");
        assert!(!words.contains("max_response_bytes"), "{words}");
    }

    /// Both used to be told as an outage, which passes by itself.
    #[test]
    fn a_certificate_or_a_proxy_that_bars_the_way_is_for_a_person_to_mend() {
        let unreachable = |cause: egress::Error| PollError::Service {
            error: Box::new(Error::Unreachable(Failure {
                stage: Stage::Detections,
                message: "no way".to_owned(),
            })),
            cause: Some(cause),
        };
        let certificate = |message: &str| {
            unreachable(egress::Error::Tls {
                host: "a.example".to_owned(),
                fault: TlsFault::Certificate,
                message: message.to_owned(),
            })
        };
        let proxy = |status| {
            unreachable(egress::Error::Proxy {
                proxy: "p.example:1".to_owned(),
                status,
                message: "it answered so".to_owned(),
            })
        };
        let untrusted = certificate("invalid peer certificate: UnknownIssuer");
        assert_eq!(untrusted.exit(), Exit::Config);
        assert!(untrusted.is_mendable());
        assert!(untrusted.to_string().contains("tls.ca_file"), "{untrusted}");
        let expired = certificate("invalid peer certificate: certificate expired");
        assert!(!expired.to_string().contains("tls.ca_file"), "{expired}");
        for (status, exit) in [
            (Some(407), Exit::Denied),
            (Some(403), Exit::Denied),
            (Some(429), Exit::Later),
            (Some(502), Exit::Later),
            (None, Exit::Later),
        ] {
            let error = proxy(status);
            assert_eq!(error.exit(), exit, "{status:?}");
            assert_eq!(error.is_mendable(), exit == Exit::Denied, "{status:?}");
        }
        assert!(
            proxy(Some(407))
                .to_string()
                .contains("user name and password")
        );
    }
}
