//! The detections endpoint: the query answered, chunk by chunk.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};

use crate::body::{Answer, Source, answer};
use crate::catalog::{Catalog, Filter};
use crate::fault::BadElement;
use crate::query::Query;
use crate::refusal;
use crate::state::State;
use crate::token::{self, Claims, Denied};

/// What one `write` hands to the kernel. Measured: 64 KiB to 1 MiB are alike,
/// below it the calls begin to cost.
const CHUNK: usize = 256 * 1024;
/// Room for the detection that crosses the chunk's end.
const SLACK: usize = 8 * 1024;

/// A request for detections, understood but not answered.
pub(crate) struct Asked {
    /// The tenant, even of a token that is no longer good.
    pub(crate) tenant: Option<String>,
    /// What the answer would be.
    pub(crate) outcome: Result<Selection, Box<Answer>>,
}

/// Which detections an answer holds.
pub(crate) struct Selection {
    catalog: Catalog,
    filter: Filter,
    /// Candidates; those not visible yet or filtered out are skipped.
    pub(crate) range: Range<u64>,
    /// Below this index everything is visible.
    settled: u64,
    now: i64,
}

/// Understands a request: the method, the token, the query.
pub(crate) fn ask<B>(state: &State, request: &Request<B>, id: &str, now: i64) -> Asked {
    let claims = bearer(request).map(|token| token::verify(state, token, now));
    let tenant = match &claims {
        Some(Ok(claims)) => Some(claims.tid.clone()),
        Some(Err(Denied::Expired(claims))) => Some(claims.tid.clone()),
        _ => None,
    };
    let outcome = select(state, request, claims, id, now);
    Asked { tenant, outcome }
}

fn select<B>(
    state: &State,
    request: &Request<B>,
    claims: Option<Result<Claims, Denied>>,
    id: &str,
    now: i64,
) -> Result<Selection, Box<Answer>> {
    let refuse = |status, code, message: &str| Box::new(refusal::api(status, code, message, id));
    if request.method() != Method::GET {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut refusal = refuse(status, "MethodNotAllowed", "Only GET is supported.");
        let get = HeaderValue::from_static("GET");
        refusal.headers_mut().insert(header::ALLOW, get);
        return Err(refusal);
    }
    let (tenant, message) = match &claims {
        Some(Ok(claims)) => (claims.tid.as_str(), None),
        Some(Err(Denied::Expired(claims))) => {
            (claims.tid.as_str(), Some("The access token has expired."))
        }
        Some(Err(Denied::Invalid)) => ("common", Some("The access token is not valid.")),
        None => ("common", Some("The access token is missing.")),
    };
    if let Some(message) = message {
        let mut refusal = refuse(StatusCode::UNAUTHORIZED, "Unauthorized", message);
        challenge(&mut refusal, tenant, message);
        return Err(refusal);
    }
    if !matches!(&claims, Some(Ok(claims)) if !claims.roles.is_empty()) {
        let message =
            "Missing application roles. API required roles: Alert.Read.All, application roles: .";
        return Err(refuse(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    let query = request.uri().query().unwrap_or("");
    let query = Query::parse(query, now, &state.config.bounds)
        .map_err(|message| refuse(StatusCode::BAD_REQUEST, "BadRequest", &message))?;
    Ok(Selection::new(state.catalog(tenant), query, now))
}

impl Selection {
    fn new(catalog: Catalog, query: Query, now: i64) -> Self {
        let range = catalog.ticks_range(query.since, query.until);
        let settled = catalog.settled(now);
        let mut selection = Self {
            catalog,
            filter: query.filter,
            range,
            settled,
            now,
        };
        if let Some(limit) = query.limit {
            let nth = usize::try_from(limit - 1).unwrap_or(usize::MAX);
            let first = selection
                .range
                .clone()
                .rev()
                .filter(|index| selection.holds(*index))
                .nth(nth);
            selection.range.start = first.unwrap_or(selection.range.start);
        }
        selection
    }

    fn holds(&self, index: u64) -> bool {
        (index < self.settled || self.catalog.visible_ticks(index) <= self.now)
            && self.catalog.admits(&self.filter, index)
    }

    /// How many detections it holds, for small answers exactly.
    pub(crate) fn exceeds(&self, count: u64) -> bool {
        let beyond = usize::try_from(count).unwrap_or(usize::MAX);
        self.range
            .clone()
            .filter(|index| self.holds(*index))
            .nth(beyond)
            .is_some()
    }
}

/// An answer's JSON array, made as it is read.
pub(crate) struct DetectionStream {
    selection: Selection,
    state: Arc<State>,
    /// Which detection is not JSON: one of the catalog, or the first.
    bad: Option<BadElement>,
    opened: bool,
    empty: bool,
    over: bool,
}

impl DetectionStream {
    /// Its bytes to come; `bad` as in [`Effect::BadElement`](crate::Effect::BadElement).
    pub(crate) fn new(state: Arc<State>, selection: Selection, bad: Option<BadElement>) -> Self {
        Self {
            selection,
            state,
            bad,
            opened: false,
            empty: true,
            over: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) fn next_chunk(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let few = usize::try_from(self.selection.range.end - self.selection.range.start)
            .unwrap_or(usize::MAX);
        let mut out = Vec::with_capacity(few.saturating_mul(2560).min(CHUNK) + SLACK);
        if !self.opened {
            out.push(b'[');
            self.opened = true;
        }
        let mut written = 0;
        while out.len() < CHUNK {
            let Some(index) = self.selection.range.next() else {
                out.push(b']');
                self.over = true;
                break;
            };
            if !self.selection.holds(index) {
                continue;
            }
            if !self.empty {
                out.push(b',');
            }
            let begins = out.len();
            self.selection.catalog.write(index, &mut out);
            if let Some(bad) = self.bad
                && bad.index.map_or(self.empty, |bad| bad == index)
            {
                spoil(&mut out, begins, bad.end_lost);
            }
            self.empty = false;
            written += 1;
            self.state.record_detection(index);
        }
        self.state.count_detections(written, out.len() as u64);
        Some(out.into())
    }
}

/// Makes the object that begins at `begins` something that is not JSON, without
/// changing its length: a control character in its first value, or no colon before it.
fn spoil(out: &mut [u8], begins: usize, end_lost: bool) {
    let colon = out
        .get(begins..)
        .and_then(|object| object.iter().position(|byte| *byte == b':'));
    let Some(colon) = colon.map(|colon| begins + colon) else {
        return;
    };
    let (place, with) = if end_lost {
        (colon, b'=')
    } else {
        (colon + 2, 1)
    };
    if let Some(byte) = out.get_mut(place) {
        *byte = with;
    }
}

/// The answer, of which nothing is made before it is read.
pub(crate) fn found(state: &Arc<State>, selection: Selection, bad: Option<BadElement>) -> Answer {
    let stream = DetectionStream::new(Arc::clone(state), selection, bad);
    answer(
        StatusCode::OK,
        refusal::JSON,
        Source::Detections(Box::new(stream)),
    )
}

fn bearer<B>(request: &Request<B>) -> Option<&str> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// Adds what a 401 of this API tells: where to get a token, and why.
fn challenge(refusal: &mut Answer, tenant: &str, message: &str) {
    let challenge = format!(
        "Bearer authorization_uri=\"https://login.windows.net/{tenant}/oauth2/authorize\", error=\"invalid_token\", error_description=\"{message}\""
    );
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        refusal
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
}
