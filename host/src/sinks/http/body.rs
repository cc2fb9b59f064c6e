//! Events as the body of a request.

use super::settings::{Compression, FramingMethod};
use crate::sinks::{Batch, is_json};
use bytes::Bytes;
use flate2::write::GzEncoder;
use http::HeaderValue;
use std::io::{self, Write};

/// As servers expect of those who compress while they send.
const ZSTD_LEVEL: i32 = 3;

/// The events of a batch as they are sent.
pub(super) fn of(batch: &Batch, framing: FramingMethod) -> Vec<u8> {
    match framing {
        FramingMethod::NewlineDelimited => {
            let header = batch.format.header.as_slice();
            [header, &batch.bytes()].concat()
        }
        FramingMethod::JsonArray => {
            let mut bytes = Vec::with_capacity(batch.size() + 2);
            bytes.push(b'[');
            for (index, event) in batch.events.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                bytes.extend_from_slice(&event.bytes);
            }
            bytes.push(b']');
            bytes
        }
        FramingMethod::None => {
            let events = batch.events.iter().map(|event| &event.bytes[..]);
            events.collect::<Vec<_>>().concat()
        }
    }
}

/// The media type of that.
pub(super) fn content_type(format: &str, framing: FramingMethod) -> Option<HeaderValue> {
    let is_json = is_json(format);
    match framing {
        FramingMethod::JsonArray => Some(HeaderValue::from_static("application/json")),
        FramingMethod::None if is_json => Some(HeaderValue::from_static("application/json")),
        FramingMethod::NewlineDelimited if is_json => {
            Some(HeaderValue::from_static("application/x-ndjson"))
        }
        _ => HeaderValue::from_str(format).ok(),
    }
}

/// Bytes as they are sent.
pub(super) fn compress(bytes: Vec<u8>, compression: Compression) -> io::Result<Bytes> {
    let bytes = match compression {
        Compression::None => bytes,
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&bytes)?;
            encoder.finish()?
        }
        Compression::Zstd => zstd::bulk::compress(&bytes, ZSTD_LEVEL)?,
    };
    Ok(bytes.into())
}

/// What a request says of it.
pub(super) fn encoding(compression: Compression) -> Option<HeaderValue> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some(HeaderValue::from_static("gzip")),
        Compression::Zstd => Some(HeaderValue::from_static("zstd")),
    }
}
