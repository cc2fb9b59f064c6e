//! What the errors of Defender, and of the way there, mean: what happened, what the service
//! said, what to do.

use crate::telemetry::printable;
use watchbell_egress::{self as egress, Phase, TlsFault};
use watchbell_sandbox::contract::{Error, Refusal, Stage};

/// A contract error in one line: what happened, what the service said, what to do.
#[must_use]
pub(crate) fn explain(error: &Error, cause: Option<&egress::Error>) -> String {
    let remedy = match cause {
        Some(egress::Error::Denied(egress::Denied::Address { .. })) => {
            "; if you mean it, open its range with egress.allow_addresses (--allow-address)"
        }
        Some(egress::Error::TooManyAtOnce { .. }) => {
            "; raise limits.max_connections if you mean it"
        }
        _ => "",
    };
    let way = way_remedy(cause);
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
            "the application may not read this tenant's detections; in Microsoft Entra, grant it the API's permission and the administrator's consent",
        ),
        Error::Throttled(refusal) => said(refusal, "asked too often; later will work"),
        Error::Unavailable(refusal) => said(refusal, "the service is in trouble; later may work"),
        Error::UnexpectedStatus(refusal) if refusal.status == 407 => said(
            refusal,
            "the proxy wants a user name and password: put them into the proxy's URL",
        ),
        Error::UnexpectedStatus(refusal) => said(refusal, "check endpoint, authority and query"),
        Error::Unreachable(failure) => format!(
            "{}: {}{cause}{way}",
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
        Error::Malformed(fault) => {
            let (readable, not) = (fault.alerts.len(), fault.unreadable.len());
            let counts = if readable + not > 0 {
                format!("; {readable} readable, {not} not")
            } else {
                String::new()
            };
            format!(
                "{} answered what is not its documented JSON: byte {}: {}{counts}",
                whom(fault.stage),
                fault.offset,
                printable(&fault.message),
            )
        }
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

/// What to do about a connection that failed.
fn way_remedy(cause: Option<&egress::Error>) -> &'static str {
    match cause {
        Some(egress::Error::Tls {
            fault: TlsFault::Certificate,
            message,
            ..
        }) => {
            let message = message.to_ascii_lowercase();
            if message.contains("expired") || message.contains("notvalidyet") {
                "; set this machine's clock if it is wrong, else the certificate must be renewed"
            } else if message.contains("name") && !message.contains("issuer") {
                "; it is another host's certificate: check endpoint and authority"
            } else {
                "; if a proxy or gateway of yours signs certificates, name its CA in tls.ca_file (--ca-file)"
            }
        }
        Some(egress::Error::Proxy {
            status: Some(407), ..
        }) => "; the proxy wants a user name and password: put them into the proxy's URL",
        Some(egress::Error::Proxy {
            status: Some(400..=499),
            ..
        }) => "; have the proxy let these requests through, or check the proxy's URL",
        _ => "",
    }
}
