//! The control endpoint: faults and figures, over HTTP.
//!
//! Under `/_control/`, a path that no real service has. It asks for no token, since the
//! simulator is for loopback. `docs/guides/simulator.md` describes it for people who run the
//! program, with a command for each row.
//!
//! | request | answer |
//! |---|---|
//! | `GET /_control/stats` | [`Stats`](crate::Stats) |
//! | `GET /_control/requests` | the last exchanges, oldest first ([`Exchange`](crate::Exchange)) |
//! | `GET /_control/faults` | the faults that are left: `[{"fault":"detections:429:times=3","struck":1}]` |
//! | `POST /_control/faults` with `["detections:429:times=3", …]` | adds them; answers as GET |
//! | `DELETE /_control/faults` | removes all |
//! | `POST /_control/clock` with `{"offset_secs":-3600}` or `{"frozen_at":"2026-05-01T00:00:00Z"}` | sets the clock |

use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::body::Answer;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::refusal;
use crate::state::State;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClockOrder {
    OffsetSecs(i64),
    FrozenAt(String),
}

/// Answers a request below `/_control/`.
pub(crate) fn answer(state: &State, method: &Method, path: &str, body: &[u8]) -> Answer {
    let done = order(state, method, path, body);
    match done {
        Ok(value) => refusal::json(StatusCode::OK, &value),
        Err((status, message)) => refusal::json(status, &json!({ "error": message })),
    }
}

type Refused = (StatusCode, String);

fn order(
    state: &State,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<serde_json::Value, Refused> {
    match (method.as_str(), path) {
        ("GET", "stats") => Ok(json!(state.stats())),
        ("GET", "requests") => Ok(json!(state.exchanges())),
        ("GET", "faults") => Ok(faults(state)),
        ("POST", "faults") => {
            state.add_faults(read::<Vec<Fault>>(body)?);
            Ok(faults(state))
        }
        ("DELETE", "faults") => {
            state.clear_faults();
            Ok(faults(state))
        }
        ("POST", "clock") => {
            state.set_clock(clock(read(body)?)?);
            Ok(json!({ "now": crate::text::instant(state.now()).to_rfc3339() }))
        }
        (_, path) => Err(match methods(path) {
            Some(methods) => (
                StatusCode::METHOD_NOT_ALLOWED,
                format!("/_control/{path} does not take {method}; it takes {methods}"),
            ),
            None => (
                StatusCode::NOT_FOUND,
                format!("there is no /_control/{path}; there are stats, requests, faults, clock"),
            ),
        }),
    }
}

/// What a path takes; none for a path that is not there.
fn methods(path: &str) -> Option<&'static str> {
    match path {
        "stats" | "requests" => Some("GET"),
        "faults" => Some("GET, POST, DELETE"),
        "clock" => Some("POST"),
        _ => None,
    }
}

fn faults(state: &State) -> serde_json::Value {
    state
        .faults()
        .into_iter()
        .map(|(fault, struck)| json!({ "fault": fault, "struck": struck }))
        .collect()
}

fn clock(order: ClockOrder) -> Result<Clock, Refused> {
    let refused = |message: &str| (StatusCode::BAD_REQUEST, message.to_owned());
    match order {
        ClockOrder::OffsetSecs(secs) => TimeDelta::try_seconds(secs)
            .map(Clock::Offset)
            .ok_or_else(|| refused("offset_secs is too large")),
        ClockOrder::FrozenAt(text) => {
            let at: DateTime<Utc> = text.parse().map_err(|_| {
                refused("frozen_at must be an instant such as 2026-05-01T00:00:00Z")
            })?;
            Ok(Clock::Frozen(at))
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}
