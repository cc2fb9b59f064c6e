//! What a sink gets: events that know what they are.

use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Where detections come from. The events of one answer share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The source's name.
    pub source: String,
    /// What its tenant is called.
    pub tenant: String,
}

/// One encoded detection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What the codec made of it, without a separator.
    pub bytes: Bytes,
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// The detection's identity: its `FullId`, or a SHA-256 of its canonical JSON.
    pub id: String,
    /// Which it is of those that a transform made of one detection, from 0.
    pub ordinal: u32,
    /// When the service processed it last, or else when it was raised, in nanoseconds since
    /// 1970.
    pub time: Option<i64>,
}

impl Event {
    /// The same each time that this event is delivered, and of no other: what a service
    /// that tells repeated requests apart is given.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        match self.ordinal {
            0 => self.id.clone(),
            ordinal => format!("{}#{ordinal}", self.id),
        }
    }
}

/// How a codec's events become a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Format {
    /// What is at the start of a file, once, its separator included.
    pub header: Vec<u8>,
    /// What ends each event.
    pub separator: Vec<u8>,
    /// The media type of the whole.
    pub content_type: String,
}

/// Whether events of a media type are JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json") || essence.contains("ndjson")
}

/// Events that are delivered together, in order.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// How they become a file.
    pub format: Arc<Format>,
    /// The events.
    pub events: Vec<Event>,
}

impl Batch {
    /// Bytes of the events, each with its separator.
    #[must_use]
    pub fn size(&self) -> usize {
        let separators = self.events.len() * self.format.separator.len();
        let bytes = self.events.iter().map(|event| event.bytes.len());
        bytes.sum::<usize>() + separators
    }

    /// The events, each with its separator.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        for event in &self.events {
            bytes.extend_from_slice(&event.bytes);
            bytes.extend_from_slice(&self.format.separator);
        }
        bytes
    }

    /// Some of the events.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self {
            format: Arc::clone(&self.format),
            events: self.events.get(range).unwrap_or_default().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_the_events_of_one_detection_apart() {
        let event = |ordinal| Event {
            id: "a".to_owned(),
            ordinal,
            ..Event::default()
        };
        assert_eq!(event(0).idempotency_key(), "a");
        assert_eq!(event(1).idempotency_key(), "a#1");
    }

    #[test]
    fn a_batch_is_its_events_each_with_a_separator() {
        let event = |bytes: &'static str| Event {
            bytes: bytes.into(),
            ..Event::default()
        };
        let batch = Batch {
            format: Arc::new(Format {
                separator: b"\r\n".to_vec(),
                ..Format::default()
            }),
            events: ["a", "bb", "c"].map(event).to_vec(),
        };
        assert_eq!(batch.bytes(), b"a\r\nbb\r\nc\r\n");
        assert_eq!(batch.size(), batch.bytes().len());
        assert_eq!(batch.slice(1..3).bytes(), b"bb\r\nc\r\n");
    }
}
