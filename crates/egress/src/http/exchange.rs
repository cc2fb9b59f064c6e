//! What the host saw of each request of a session.
//!
//! The ledger needs to know what happened even if the guest lies about it: the status,
//! the service's clock, how much came, and the body of a poll that failed. So this is
//! written down on this side of the wall, while the bytes pass. Large frames of a body are
//! kept by reference; small ones are copied, so that the connection can use its read
//! buffer again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use crate::error::Error;

/// How much of a body is kept at most: 1 MiB.
pub const BODY_HEAD_BYTES: usize = 1024 * 1024;

/// A frame below that is copied. A reference would hold its read buffer, of which the
/// connection then needs another for each frame: many polls that wait in the middle of
/// their answers held twice the memory.
const SMALL: usize = 64 << 10;

/// One request and what came of it, as far as it has got.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exchange {
    /// The request's method.
    pub method: Method,
    /// Where it went, in the spelling that was dialled, without query and user
    /// information. For a URL that was refused for its form, `(refused)`.
    pub url: String,
    /// The address that answered.
    pub remote: Option<SocketAddr>,
    /// The answer's status. None: there was no answer (yet).
    pub status: Option<StatusCode>,
    /// The answer's Date header, as it came.
    pub date: Option<HeaderValue>,
    /// Bytes of body handed on so far.
    pub bytes: u64,
    /// Whether the body was read to its end.
    pub complete: bool,
    /// When the request was made.
    pub sent_at: Instant,
    /// When the answer's head was there.
    pub answered_at: Option<Instant>,
    /// The first [`BODY_HEAD_BYTES`] of the body, for keeping what a failed poll got.
    /// Only the session's last eight exchanges have it.
    pub body_head: BodyHead,
    /// Why it failed. None with no `status` either: still under way, or given up by the
    /// guest.
    pub error: Option<Error>,
}

/// The beginning of a body, in the pieces that it came in.
#[derive(Clone, Default)]
pub struct BodyHead {
    pieces: Vec<Bytes>,
    tail: Vec<u8>,
    len: usize,
}

impl BodyHead {
    /// In one piece; this copies.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        self.pieces
            .iter()
            .for_each(|piece| all.extend_from_slice(piece));
        all.extend_from_slice(&self.tail);
        all
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, frame: &Bytes) {
        let room = BODY_HEAD_BYTES - self.len;
        if room == 0 {
            return;
        }
        let part = frame.slice(..frame.len().min(room));
        self.len += part.len();
        if part.len() < SMALL {
            self.tail.extend_from_slice(&part);
            return;
        }
        if !self.tail.is_empty() {
            self.pieces.push(std::mem::take(&mut self.tail).into());
        }
        self.pieces.push(part);
    }
}

impl std::fmt::Debug for BodyHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BodyHead({} bytes)", self.len)
    }
}

/// The one place that an exchange is written to, shared by the session, which reads it,
/// and the answer's body.
#[derive(Clone)]
pub(super) struct Record {
    exchange: Arc<Mutex<Exchange>>,
}

impl Record {
    pub(super) fn new(method: Method, url: String) -> Self {
        let exchange = Exchange {
            method,
            url,
            remote: None,
            status: None,
            date: None,
            bytes: 0,
            complete: false,
            sent_at: Instant::now(),
            answered_at: None,
            body_head: BodyHead::default(),
            error: None,
        };
        Self {
            exchange: Arc::new(Mutex::new(exchange)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> Exchange {
        self.lock().clone()
    }

    pub(super) fn connected(&self, remote: SocketAddr) {
        self.lock().remote = Some(remote);
    }

    pub(super) fn answered(&self, head: &http::response::Parts) {
        let mut exchange = self.lock();
        exchange.answered_at = Some(Instant::now());
        exchange.status = Some(head.status);
        exchange.date = head.headers.get(http::header::DATE).cloned();
    }

    pub(super) fn read(&self, frame: &Bytes) {
        let mut exchange = self.lock();
        exchange.bytes += frame.len() as u64;
        exchange.body_head.push(frame);
    }

    pub(super) fn completed(&self) {
        self.lock().complete = true;
    }

    pub(super) fn failed(&self, error: Error) {
        self.lock().error = Some(error);
    }

    pub(super) fn forget_body(&self) {
        self.lock().body_head = BodyHead::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_body_is_its_beginning_whatever_the_frames() {
        let body: Vec<u8> = (0..=250).cycle().take(3 * BODY_HEAD_BYTES).collect();
        for sizes in [
            vec![1],
            vec![4096],
            vec![7, 5000, 100, 70_000],
            vec![BODY_HEAD_BYTES * 2],
        ] {
            let mut head = BodyHead::default();
            let mut rest = Bytes::from(body.clone());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                head.push(&rest.split_to(rest.len().min(*size)));
            }
            assert_eq!(head.len(), BODY_HEAD_BYTES);
            assert!(head.to_vec() == body[..BODY_HEAD_BYTES], "{sizes:?}");
        }
    }
}
