//! Which request goes where, and which fault strikes it.
//!
//! hyper is used directly: a fault must be able to close a connection without an
//! answer, which a framework's router cannot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;

use crate::body::{Answer, Mishap, Sent, Source, answer, flowing};
use crate::detections::{Asked, ask, found};
use crate::fault::{Effect, Fault, Stage};
use crate::state::{Exchange, State};
use crate::{control, refusal, token};

/// What a request's body may hold.
const BODY_LIMIT: usize = 1 << 20;
const SIGN_IN_PAGE: &str = "<!DOCTYPE html>\r\n<html dir=\"ltr\" lang=\"en\"><head><title>Sign in to your account</title></head><body><form method=\"post\" action=\"/common/login\"><input type=\"email\" name=\"loginfmt\"><input type=\"submit\" value=\"Next\"></form></body></html>\r\n";

/// Answers one request; an error closes the connection.
pub(crate) async fn serve(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Sent, io::Error> {
    let now = state.now();
    let id = refusal::request_id(state.config.seed, u64::try_from(now).unwrap_or(0));
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let mut sent = if let Some(rest) = path.strip_prefix("/_control/") {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map(Collected::to_bytes)
            .unwrap_or_default();
        flowing(control::answer(&state, &parts.method, rest, &body), None)
    } else if path.eq_ignore_ascii_case("/api/alerts") {
        detections(&state, &request, &id, now).await?
    } else if let Some(tenant) = token_path(&path) {
        token_request(&state, request, tenant, &id, now).await?
    } else {
        flowing(
            refusal::api(
                StatusCode::NOT_FOUND,
                "NotFound",
                "There is nothing here.",
                &id,
            ),
            None,
        )
    };
    let headers = sent.headers_mut();
    headers.insert(header::DATE, refusal::http_date(state.now()));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-ms-request-id", id);
    }
    Ok(sent)
}

fn token_path(path: &str) -> Option<&str> {
    let (tenant, rest) = path.strip_prefix('/')?.split_once('/')?;
    rest.eq_ignore_ascii_case("oauth2/token").then_some(tenant)
}

async fn detections(
    state: &Arc<State>,
    request: &Request<Incoming>,
    id: &str,
    now: i64,
) -> Result<Sent, io::Error> {
    let Asked { tenant, outcome } = ask(state, request, id, now);
    let fault = state.strike(Stage::Detections, |fault| {
        let selection = outcome.as_ref().ok();
        fault.tenant.as_ref().is_none_or(|only| {
            tenant
                .as_ref()
                .is_some_and(|tenant| tenant.eq_ignore_ascii_case(only))
        }) && fault
            .over
            .is_none_or(|over| selection.is_some_and(|selection| selection.exceeds(over)))
            && fault.touching.is_none_or(|index| {
                selection.is_some_and(|selection| selection.range.contains(&index))
            })
    });
    let effect = fault.as_ref().map(|fault| &fault.effect);
    let outcome = match effect {
        Some(Effect::ExpireTokens) => {
            state.generation.fetch_add(1, Ordering::Relaxed);
            ask(state, request, id, now).outcome
        }
        _ => outcome,
    };
    let bad = match effect {
        Some(Effect::BadElement(bad)) => Some(*bad),
        _ => None,
    };
    let answer = match outcome {
        Ok(selection) => found(state, selection, bad),
        Err(refusal) => *refusal,
    };
    let query = request.uri().query().unwrap_or("").to_owned();
    let exchange = Exchange {
        stage: Stage::Detections,
        tenant,
        query,
        status: 0,
        fault: None,
    };
    finish(state, exchange, fault, answer, id, now).await
}

async fn token_request(
    state: &Arc<State>,
    request: Request<Incoming>,
    tenant: &str,
    id: &str,
    now: i64,
) -> Result<Sent, io::Error> {
    let (parts, body) = request.into_parts();
    let fault = state.strike(Stage::Token, |fault| {
        fault
            .tenant
            .as_ref()
            .is_none_or(|only| only.eq_ignore_ascii_case(tenant))
    });
    if matches!(
        fault.as_ref().map(|fault| &fault.effect),
        Some(Effect::ExpireTokens)
    ) {
        state.generation.fetch_add(1, Ordering::Relaxed);
    }
    let form_type = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .split(';')
                .next()
                .unwrap_or("")
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
    let answer = if parts.method == http::Method::POST
        && !parts.headers.contains_key(header::CONTENT_LENGTH)
    {
        let page = "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">\r\n<HTML><HEAD><TITLE>Length Required</TITLE></HEAD>\r\n<BODY><h2>Length Required</h2>\r\n<hr><p>HTTP Error 411. The request must be chunked or have a content length.</p>\r\n</BODY></HTML>\r\n";
        answer(
            StatusCode::LENGTH_REQUIRED,
            "text/html; charset=us-ascii",
            Source::whole(page),
        )
    } else {
        let body = Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map(Collected::to_bytes)
            .unwrap_or_default();
        let ask = token::Ask {
            method: &parts.method,
            tenant,
            form_type,
            body: &body,
        };
        token::issue(state, &ask, id, now)
    };
    let exchange = Exchange {
        stage: Stage::Token,
        tenant: Some(tenant.to_owned()),
        query: String::new(),
        status: 0,
        fault: None,
    };
    finish(state, exchange, fault, answer, id, now).await
}

/// Lets the fault strike, remembers the exchange and sends what is left.
async fn finish(
    state: &State,
    mut exchange: Exchange,
    fault: Option<Fault>,
    mut whole: Answer,
    id: &str,
    now: i64,
) -> Result<Sent, io::Error> {
    let mut mishap = None;
    let mut dropped = false;
    match fault.as_ref().map(|fault| &fault.effect) {
        // These have struck already.
        None | Some(Effect::BadElement(_) | Effect::ExpireTokens) => {}
        Some(Effect::Delay(by)) => tokio::time::sleep(*by).await,
        Some(Effect::Stall { pause, at }) => mishap = Some((Mishap::Pause(*pause), *at)),
        Some(Effect::Truncate { at, content_length }) => {
            mishap = Some((
                Mishap::Break {
                    content_length: *content_length,
                },
                *at,
            ));
        }
        Some(Effect::CutShort { at }) => mishap = Some((Mishap::End, *at)),
        Some(Effect::Garbage) => {
            whole = answer(StatusCode::OK, refusal::JSON, Source::whole(GARBAGE));
        }
        Some(Effect::SignInPage) => {
            whole = answer(
                StatusCode::OK,
                "text/html; charset=utf-8",
                Source::whole(SIGN_IN_PAGE),
            );
        }
        Some(Effect::Redirect { to }) => {
            whole = answer(StatusCode::FOUND, "text/html", Source::whole(""));
            if let Ok(to) = HeaderValue::from_str(to) {
                whole.headers_mut().insert(header::LOCATION, to);
            }
        }
        Some(Effect::Endless { bytes }) => {
            whole = answer(StatusCode::OK, refusal::JSON, Source::endless(*bytes));
        }
        Some(Effect::Status {
            status,
            retry_after,
        }) => {
            whole = refusal::fault(exchange.stage, *status, id, now);
            if let Some(after) = retry_after {
                refusal::retry_after(whole.headers_mut(), *after, now);
            }
        }
        Some(Effect::Drop) => dropped = true,
    }
    exchange.status = if dropped { 0 } else { whole.status().as_u16() };
    exchange.fault = fault.map(|fault| fault.to_string());
    state.remember(exchange);
    if dropped {
        return Err(io::Error::other("dropped on request"));
    }
    Ok(flowing(whole, mishap))
}

/// Neither JSON nor UTF-8.
const GARBAGE: &[u8] = b"[{\"AlertTime\":\xff\xfe <<<not json>>> \x00\x01";
