//! The body of an answer, counted and timed as it is read.
//!
//! A wrapper around hyper's body that hands its frames on untouched. The waiting time is
//! measured only while somebody waits: a reader that takes its time is not the service's
//! fault. One timer serves the whole body and is moved only when it fires early, since
//! moving it for each of a body's thousands of frames would be a lock each time. After an
//! error hyper's body is dropped, which closes the connection, and there is nothing more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::bounds::Bounds;
use super::exchange::Record;
use crate::dial::{QuotaPermit, after};
use crate::error::{Error, Phase};

/// The body of an answer: an [`http_body::Body`] whose frames are hyper's own.
pub struct Body {
    /// None after the end or an error.
    inner: Option<Incoming>,
    record: Record,
    bounds: Bounds,
    deadline: Instant,
    /// Bytes of body in the whole session.
    session_bytes: Arc<AtomicU64>,
    timer: Pin<Box<Sleep>>,
    /// Given back at the end.
    permit: Option<QuotaPermit>,
    waiting_since: Option<Instant>,
}

impl Body {
    pub(super) fn new(
        inner: Incoming,
        record: Record,
        bounds: Bounds,
        deadline: Instant,
        session_bytes: Arc<AtomicU64>,
        permit: QuotaPermit,
    ) -> Self {
        let ended = http_body::Body::is_end_stream(&inner);
        if ended {
            record.completed();
        }
        Self {
            inner: (!ended).then_some(inner),
            record,
            bounds,
            deadline,
            session_bytes,
            timer: Box::pin(sleep_until(deadline)),
            permit: (!ended).then_some(permit),
            waiting_since: None,
        }
    }

    fn end(&mut self) {
        self.inner = None;
        self.permit = None;
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.end();
        self.record.failed(error.clone());
        Poll::Ready(Some(Err(error)))
    }

    /// Books a frame, or says why it must not go on.
    fn take(&self, frame: &Frame<Bytes>) -> Result<(), Error> {
        let Some(data) = frame.data_ref() else {
            return Ok(());
        };
        let limit = self.bounds.response_bytes;
        let len = data.len() as u64;
        let before = self.session_bytes.fetch_add(len, Ordering::Relaxed);
        if before.saturating_add(len) > limit {
            return Err(Error::ResponseTooLarge { limit });
        }
        // A body that never lets anybody wait is ended here.
        if Instant::now() >= self.deadline {
            return Err(self.timed_out());
        }
        self.record.read(data);
        Ok(())
    }

    fn timed_out(&self) -> Error {
        if Instant::now() >= self.deadline {
            Error::TimedOut {
                phase: Phase::Total,
                limit: self.bounds.total,
            }
        } else {
            let limit = self.bounds.between_bytes;
            Error::TimedOut {
                phase: Phase::BetweenBytes,
                limit,
            }
        }
    }

    /// Nothing to read: has it lasted too long?
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let due = after(since, self.bounds.between_bytes).min(self.deadline);
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting_since = None;
                match this.take(&frame) {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(error) => this.fail(error),
                }
            }
            Poll::Ready(Some(Err(error))) => this.fail(Error::from_hyper(&error)),
            Poll::Ready(None) => {
                this.end();
                this.record.completed();
                Poll::Ready(None)
            }
            Poll::Pending => match this.poll_timer(cx) {
                Poll::Ready(()) => {
                    let error = this.timed_out();
                    this.fail(error)
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("ended", &self.inner.is_none())
            .finish_non_exhaustive()
    }
}
