//! The SIEM API of Defender for Endpoint: one GET, whose answer is split as it arrives.

use super::envelopes;
use super::request::Request;
use crate::bindings::exports::watchbell::detections::source::{
    ByteRange, Config, Error, Malformed, Query, Stage,
};
use crate::bindings::watchbell::detections::types::Alert;
use crate::checks::{check_text, invalid};
use crate::refusal;
use crate::url::pair;
use ixdtf::parsers::IsoDurationParser;
use watchbell_detection::{Splitter, Timestamp};

/// Bytes of an answer's beginning that are kept, for its words where it is none: an error
/// has some hundred.
const MAX_HEAD: usize = 4096;

/// Checks everything that a poll uses. `token` is what to send as bearer token.
pub(super) fn request(config: &Config, token: Option<String>) -> Result<Request, Error> {
    Request::new(config, token, |base| {
        let query = encode_query(&config.query)?;
        let separator = if query.is_empty() { "" } else { "?" };
        Ok(format!("{base}/api/alerts{separator}{query}"))
    })
}

/// Asks for detections.
pub(super) fn poll(request: &Request) -> Result<Vec<Alert>, Error> {
    let answer = request.send()?;
    let mut splitter = Splitter::new();
    let mut head = Vec::new();
    answer.read(request.max_bytes(), |chunk| {
        let room = MAX_HEAD.saturating_sub(head.len());
        head.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        splitter.push(chunk);
    })?;
    match splitter.finish() {
        Ok(alerts) => Ok(envelopes(alerts)),
        Err(fault) => Err(Error::Malformed(Malformed {
            stage: Stage::Detections,
            offset: fault.offset,
            message: match refusal::words(&head, request.secrets()) {
                Some(words) if fault.is_foreign => format!("{}: {words}", fault.message),
                _ => fault.message,
            },
            alerts: envelopes(fault.alerts),
            unreadable: fault
                .unreadable
                .into_iter()
                .map(|range| ByteRange {
                    start: range.start,
                    end: range.end,
                })
                .collect(),
        })),
    }
}

/// The query string of the SIEM API, in the documentation's order.
fn encode_query(query: &Query) -> Result<String, Error> {
    let mut pairs = Vec::new();
    let since = instant("query.since", query.since.as_deref())?;
    let until = instant("query.until", query.until.as_deref())?;
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(invalid("query.until", "must not lie before query.since"));
    }
    if let Some(since) = since {
        pairs.push(pair("sinceTimeUtc", &since.to_string()));
    }
    if let Some(until) = until {
        pairs.push(pair("untilTimeUtc", &until.to_string()));
    }
    if let Some(ago) = &query.ago {
        if since.is_some() || until.is_some() {
            return Err(invalid("query.ago", "excludes query.since and query.until"));
        }
        if let Some(fault) = duration_fault(ago) {
            return Err(invalid("query.ago", fault));
        }
        pairs.push(pair("ago", ago));
    }
    if let Some(limit) = query.limit {
        if limit == 0 {
            return Err(invalid("query.limit", "must be 1 or more"));
        }
        pairs.push(pair("limit", &limit.to_string()));
    }
    for group in &query.machine_groups {
        check_text("query.machine-groups", group)?;
        pairs.push(pair("machinegroups", group));
    }
    let tags = [
        (
            "query.device-created-machine-tags",
            "DeviceCreatedMachineTags",
            &query.device_created_machine_tags,
        ),
        (
            "query.cloud-created-machine-tags",
            "CloudCreatedMachineTags",
            &query.cloud_created_machine_tags,
        ),
    ];
    for (field, name, tag) in tags {
        if let Some(tag) = tag {
            check_text(field, tag)?;
            pairs.push(pair(name, tag));
        }
    }
    Ok(pairs.join("&"))
}

/// What is wrong with an ISO 8601 duration that counts back, so without a sign. In
/// capitals, as the service documents it; `P15M` would be fifteen months.
fn duration_fault(text: &str) -> Option<&'static str> {
    let parsed = IsoDurationParser::from_str(text).parse();
    let Ok(duration) = parsed else {
        return Some("must be an ISO 8601 duration such as PT10M");
    };
    if !text.starts_with('P') || text.contains(|c: char| c.is_ascii_lowercase()) {
        return Some("must be an ISO 8601 duration in capitals and without a sign, such as PT10M");
    }
    let varies = duration
        .date
        .is_some_and(|date| date.years > 0 || date.months > 0);
    varies.then_some(
        "must not count years or months, whose length varies; write days (P30D), or minutes with a T (PT15M)",
    )
}

fn instant(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    text.map(|text| {
        text.parse().map_err(|_| {
            invalid(
                field,
                "must be an RFC 3339 instant such as 2026-01-31T12:00:00Z",
            )
        })
    })
    .transpose()
}
