//! What a guest's HTTP may cost: time by phase, bytes, number of requests.
//!
//! Each default is there to end what would otherwise never end, with room for the
//! slowest honest service; an operator changes them, a guest can only shorten them.

use std::time::Duration;

use crate::dial::{ConnectLimits, ConnectionQuota};

/// The most that [`Bounds::header_bytes`] can be, in bytes, whatever it says: a
/// connection is shared between sessions, and its read buffer is this large.
pub const MAX_HEADER_BYTES: usize = 256 * 1024;

/// Limits of one [`Session`](crate::Session).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// To resolve a name: [`ConnectLimits::resolve`].
    pub resolve: Duration,
    /// To connect, over all of a host's addresses: [`ConnectLimits::connect`].
    pub connect: Duration,
    /// For the TLS handshake: [`ConnectLimits::tls`].
    pub tls: Duration,
    /// From the connection being ready to the answer's head, the sending of the request
    /// included. 100 s: Microsoft's gateways answer 504 after about that.
    pub first_byte: Duration,
    /// Waiting for the next part of a body. 30 s.
    pub between_bytes: Duration,
    /// The whole session, from when it was opened to the last byte of its last answer.
    /// 5 min.
    pub total: Duration,
    /// Bytes of body, over all answers of the session. 64 MiB: a day of 30,000
    /// detections is about that.
    pub response_bytes: u64,
    /// Bytes of the head of one answer: names and values. 64 KiB; at most
    /// [`MAX_HEADER_BYTES`].
    pub header_bytes: usize,
    /// Requests in one session. 1,000: more pages than any query has.
    pub requests: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let ConnectLimits {
            resolve,
            connect,
            tls,
            ..
        } = ConnectLimits::default();
        Self {
            resolve,
            connect,
            tls,
            first_byte: Duration::from_secs(100),
            between_bytes: Duration::from_secs(30),
            total: Duration::from_secs(300),
            response_bytes: 64 * 1024 * 1024,
            header_bytes: 64 * 1024,
            requests: 1000,
        }
    }
}

/// What a guest asks for with one request: the three timeouts that wasi:http knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// For each of resolving, connecting and TLS.
    pub connect: Option<Duration>,
    /// See [`Bounds::first_byte`].
    pub first_byte: Option<Duration>,
    /// See [`Bounds::between_bytes`].
    pub between_bytes: Option<Duration>,
}

impl Bounds {
    /// These bounds, shorter where that was asked. Nothing gets longer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use watchbell_egress::{Asked, Bounds};
    ///
    /// let asked = Asked {
    ///     connect: Some(Duration::from_secs(1)),
    ///     first_byte: Some(Duration::from_secs(100_000)),
    ///     between_bytes: None,
    /// };
    /// let bounds = Bounds::default();
    /// let shorter = bounds.shorten(asked);
    /// assert_eq!(shorter.tls, Duration::from_secs(1));
    /// assert_eq!(shorter.first_byte, bounds.first_byte);
    /// ```
    #[must_use]
    pub fn shorten(self, asked: Asked) -> Self {
        let shorter = |own: Duration, asked: Option<Duration>| asked.map_or(own, |a| a.min(own));
        Self {
            resolve: shorter(self.resolve, asked.connect),
            connect: shorter(self.connect, asked.connect),
            tls: shorter(self.tls, asked.connect),
            first_byte: shorter(self.first_byte, asked.first_byte),
            between_bytes: shorter(self.between_bytes, asked.between_bytes),
            ..self
        }
    }

    /// What of them is for making one connection.
    pub(super) fn connect_limits(&self, quota: &ConnectionQuota) -> ConnectLimits {
        ConnectLimits {
            resolve: self.resolve,
            connect: self.connect,
            tls: self.tls,
            quota: quota.clone(),
        }
    }
}
