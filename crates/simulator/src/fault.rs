//! What can be made to go wrong, and how it is asked for.
//!
//! A fault is one line, the same in a flag, in [`Config::faults`](crate::Config::faults)
//! and at the control endpoint:
//!
//! ```text
//! STAGE:EFFECT[:KEY[=VALUE]]...
//! ```
//!
//! `STAGE` is `token` or `detections`. `docs/guides/simulator.md` has this table for people who
//! run the program. Effects and the keys they take:
//!
//! | effect | what happens | keys |
//! |---|---|---|
//! | `400` … `599` | this status with a body as the service writes it | `retry-after=SECS`, `retry-after-date=SECS` (as an HTTP date, that far ahead) |
//! | `delay` | the answer's first byte waits | `ms=N` (needed) |
//! | `stall` | the answer stops for a while inside its body | `ms=N` (needed), `at=BYTES` |
//! | `truncate` | the connection ends inside the body | `at=BYTES`, `framing=length` (Content-Length promises more) or `framing=chunked` (the default) |
//! | `cut-short` | the body ends too early but HTTP calls it whole | `at=BYTES` |
//! | `garbage` | 200 and JSON's type, but bytes that are not JSON | |
//! | `bad-element` | one detection is not JSON | `index=N` (always that detection of the catalog; else the answer's first), `end=lost` (so that nobody can say where it ends; else its strings and brackets are in order) |
//! | `sign-in-page` | 200 and an HTML page | |
//! | `redirect` | 302 | `to=URL` (must be the last key, since it takes the rest of the line) |
//! | `endless` | a JSON array that goes on | `bytes=N` (then it ends, and is JSON; else never) |
//! | `expire-tokens` | every token issued so far is void; then an ordinary answer | |
//! | `drop` | the connection closes without an answer | |
//!
//! A body that is shorter than `at` ends, or stops, a byte before its end;
//! without `at`, in the middle of its first 256 KiB. When a fault strikes, on any effect:
//!
//! | key | meaning | without it |
//! |---|---|---|
//! | `times=N` | strikes this often, then is used up | for ever |
//! | `skip=N` | lets this many requests through first | 0 |
//! | `rate=F` | strikes this fraction of requests, from the seed | 1 |
//! | `tenant=ID` | only this tenant's requests | all |
//! | `over=N` | only answers of more than this many detections | all |
//! | `touching=N` | only answers whose range holds this detection of the catalog | all |
//!
//! One fault strikes a request: the first in order that wants to.
//!
//! ```
//! use watchbell_simulator::Fault;
//! let fault: Fault = "detections:429:retry-after=5:times=3".parse()?;
//! assert_eq!(fault.to_string(), "detections:429:retry-after=5:times=3");
//! assert!("detections:429:retry-after=soon".parse::<Fault>().is_err());
//! assert!("token:bad-element".parse::<Fault>().is_err());
//! # Ok::<(), watchbell_simulator::FaultError>(())
//! ```

mod parse;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use parse::FaultError;

/// One thing that goes wrong; see the [module](self) for how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fault {
    /// Which requests it is about.
    pub stage: Stage,
    /// What happens to them.
    pub effect: Effect,
    /// How often it strikes before it is used up.
    pub times: Option<u64>,
    /// How many requests that it could have struck it lets through first.
    pub skip: u64,
    /// The fraction of requests that it strikes, 0 to 1.
    pub rate: f64,
    /// Only requests of this tenant.
    pub tenant: Option<String>,
    /// Only answers of more than this many detections.
    pub over: Option<u64>,
    /// Only answers whose range of time holds this detection of the catalog.
    pub touching: Option<u64>,
}

impl Fault {
    /// A fault that strikes every request of a stage.
    pub fn new(stage: Stage, effect: Effect) -> Self {
        Self {
            stage,
            effect,
            times: None,
            skip: 0,
            rate: 1.0,
            tenant: None,
            over: None,
            touching: None,
        }
    }
}

/// The two kinds of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The token endpoint.
    Token,
    /// The detections endpoint.
    Detections,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// A refusal with this status, 400 to 599.
    Status {
        /// The status.
        status: u16,
        /// The Retry-After header.
        retry_after: Option<RetryAfter>,
    },
    /// The headers come this much later.
    Delay(Duration),
    /// The body stops for a while.
    Stall {
        /// For how long.
        pause: Duration,
        /// After how many bytes.
        at: Option<u64>,
    },
    /// The connection closes inside the body.
    Truncate {
        /// After how many bytes.
        at: Option<u64>,
        /// Whether a Content-Length had promised more; else the chunks just end.
        content_length: bool,
    },
    /// The body ends too early, but HTTP calls it whole.
    CutShort {
        /// After how many bytes.
        at: Option<u64>,
    },
    /// Bytes that are not JSON, called JSON.
    Garbage,
    /// One detection is not JSON; the array around it is whole.
    BadElement(BadElement),
    /// 200 with an HTML page.
    SignInPage,
    /// 302.
    Redirect {
        /// The Location header.
        to: String,
    },
    /// An array that goes on.
    Endless {
        /// Where it ends after all.
        bytes: Option<u64>,
    },
    /// Every token issued so far is void.
    ExpireTokens,
    /// The connection closes without an answer.
    Drop,
}

impl Effect {
    /// Every effect as it is written in a fault, a status standing for all of them.
    pub const NAMES: &[&str] = &[
        "400 to 599",
        "delay",
        "stall",
        "truncate",
        "cut-short",
        "garbage",
        "bad-element",
        "sign-in-page",
        "redirect",
        "endless",
        "expire-tokens",
        "drop",
    ];
}

/// A detection that is not JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadElement {
    /// Which of the catalog; without it, the answer's first.
    pub index: Option<u64>,
    /// What is wrong is between its tokens, so that its end is anybody's guess; else
    /// it is inside one of them.
    pub end_lost: bool,
}

/// The Retry-After header, in either of its forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// As a number of seconds.
    Seconds(u64),
    /// As an HTTP date, this many seconds after the answer's own Date.
    Date(u64),
}
