//! Bodies, whole or in pieces, and what can befall them on the way.
//!
//! A large answer is a stream that makes each chunk when the connection has room
//! for it; memory holds a chunk or two for each connection, however long the
//! answer is.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

use crate::detections::DetectionStream;

/// How long a broken connection lives on, so that what was sent before arrives.
const BEFORE_BREAKING: Duration = Duration::from_millis(5);

/// An answer that a fault may still strike.
pub(crate) type Answer = Response<Source>;
/// An answer as hyper sends it.
pub(crate) type Sent = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// An answer of a type and nothing else.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: Source) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Where a body comes from.
pub(crate) enum Source {
    Whole(Option<Bytes>),
    Detections(Box<DetectionStream>),
    Endless(Endless),
}

/// Blanks inside an array, for this many bytes or without end.
pub(crate) struct Endless {
    left: Option<u64>,
    opened: bool,
}

impl Source {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    pub(crate) fn endless(bytes: Option<u64>) -> Self {
        Self::Endless(Endless {
            left: bytes.map(|bytes| bytes.max(2)),
            opened: false,
        })
    }

    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => bytes.take(),
            Self::Detections(stream) => stream.next_chunk(),
            Self::Endless(endless) => endless.next_chunk(),
        }
    }

    /// Whether there is nothing after what `next` gave last.
    fn is_over(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Detections(stream) => stream.is_over(),
            Self::Endless(endless) => endless.left == Some(0),
        }
    }
}

impl Endless {
    fn next_chunk(&mut self) -> Option<Bytes> {
        const BLANKS: &[u8] = &[b' '; 1 << 16];
        if !self.opened {
            self.opened = true;
            self.left = self.left.map(|left| left - 1);
            return Some(Bytes::from_static(b"["));
        }
        let Some(left) = &mut self.left else {
            return Some(Bytes::from_static(BLANKS));
        };
        if *left <= 1 {
            return (std::mem::take(left) == 1).then(|| Bytes::from_static(b"]"));
        }
        let length = usize::try_from(*left - 1).map_or(BLANKS.len(), |left| left.min(BLANKS.len()));
        *left -= length as u64;
        BLANKS.get(..length).map(Bytes::from_static)
    }
}

/// What happens inside a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mishap {
    Pause(Duration),
    /// The connection ends; with a Content-Length that had promised more, or not.
    Break {
        content_length: bool,
    },
    /// The body ends as if it were whole.
    End,
}

struct Flow {
    /// Made, but not sent.
    ready: Option<Bytes>,
    source: Source,
    /// What is still to happen, and after how many bytes from here.
    planned: Option<(Mishap, u64)>,
    /// What happens before anything else is sent.
    now: Option<Mishap>,
}

/// The answer on its way, with `mishap` after that many bytes (without a number:
/// in the middle of the first chunk).
pub(crate) fn flowing(answer: Answer, mishap: Option<(Mishap, Option<u64>)>) -> Sent {
    let (mut head, mut source) = answer.into_parts();
    let first = source.next().unwrap_or_default();
    let length = first.len() as u64;
    if mishap.is_none() && source.is_over() {
        return Response::from_parts(
            head,
            Full::new(first)
                .map_err(|never| match never {})
                .boxed_unsync(),
        );
    }
    let planned = mishap.map(|(mishap, at)| (mishap, at.unwrap_or(length / 2)));
    if let Some((
        Mishap::Break {
            content_length: true,
        },
        at,
    )) = planned
    {
        let promised = if source.is_over() {
            length
        } else {
            at.max(length) + 4096
        };
        head.headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
    }
    let flow = Flow {
        ready: Some(first),
        source,
        planned,
        now: None,
    };
    let body = stream::unfold(Some(flow), |flow| async { flow?.next().await });
    Response::from_parts(head, BodyExt::boxed_unsync(StreamBody::new(body)))
}

impl Flow {
    async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Option<Self>)> {
        loop {
            match self.now.take() {
                None => {}
                Some(Mishap::End) => return None,
                Some(Mishap::Pause(pause)) => tokio::time::sleep(pause).await,
                Some(Mishap::Break { .. }) => {
                    tokio::time::sleep(BEFORE_BREAKING).await;
                    return Some((Err(io::Error::other("cut on request")), None));
                }
            }
            let mut chunk = self.ready.take().or_else(|| self.source.next())?;
            if let Some((mishap, at)) = self.planned {
                let length = chunk.len() as u64;
                let last = self.source.is_over();
                if at < length || last {
                    let head = usize::try_from(at)
                        .unwrap_or(usize::MAX)
                        .min(chunk.len().saturating_sub(1));
                    let head = chunk.split_to(head);
                    (self.ready, self.planned, self.now) = (Some(chunk), None, Some(mishap));
                    if head.is_empty() {
                        continue;
                    }
                    return Some((Ok(Frame::data(head)), Some(self)));
                }
                self.planned = Some((mishap, at - length));
            }
            return Some((Ok(Frame::data(chunk)), Some(self)));
        }
    }
}
