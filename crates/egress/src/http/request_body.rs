//! The body of a request.
//!
//! A service may answer before it has read a request to its end, and hyper keeps the
//! connection for as long as there is more to send. So the body, like the answer's, holds
//! its party's permit: otherwise one party could hold every socket with requests that are
//! answered and never end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use super::client::BoxError;
use crate::dial::QuotaPermit;

pub(super) struct RequestBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    /// Given back when hyper drops the body, which it does once it is sent.
    _permit: QuotaPermit,
}

impl RequestBody {
    pub(super) fn new<B>(body: B, permit: QuotaPermit) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self {
            inner: body.map_err(Into::into).boxed_unsync(),
            _permit: permit,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
