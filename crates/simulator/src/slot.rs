//! From a kind of detection to JSON, by copying.
//!
//! Each story is compiled once into pieces: JSON text that never changes, and
//! slots. Writing a detection is then some fifty copies of memory and a few
//! words of hexadecimal: about a microsecond for 1.9 KB, so that serving costs a
//! client's measurements little. What fills a slot is already safe inside a JSON
//! string.

use crate::random::Random;
use crate::shape::Value;
use crate::text::{base64_10, base64_char, hex8, push_instant, push_number};
use crate::world::Machine;

/// What a detection fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    AlertTime,
    LastProcessed,
    AlertId,
    Ioc,
    Part,
    Report,
    External,
    Sha1,
    Md5,
    Sha256,
    Guid,
    Ip,
    Host,
    Word,
    Blob,
    /// A text of the machine, by its place in [`Machine::texts`].
    Machine(usize),
}

impl Slot {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alert-time" => Self::AlertTime,
            "last-processed" => Self::LastProcessed,
            "alert-id" => Self::AlertId,
            "ioc" => Self::Ioc,
            "part" => Self::Part,
            "report" => Self::Report,
            "external" => Self::External,
            "sha1" => Self::Sha1,
            "md5" => Self::Md5,
            "sha256" => Self::Sha256,
            "guid" => Self::Guid,
            "ip" => Self::Ip,
            "host" => Self::Host,
            "word" => Self::Word,
            "blob" => Self::Blob,
            other => Self::Machine(Machine::TEXTS.iter().position(|text| *text == other)?),
        })
    }
}

enum Piece {
    Text(Box<[u8]>),
    Slot(Slot),
}

/// A compiled story.
pub(crate) struct Template(Vec<Piece>);

/// What one detection fills its slots from.
pub(crate) struct Filling<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) alert_id: &'a [u8],
    pub(crate) alert_time: i64,
    pub(crate) last_processed: i64,
    pub(crate) part: u64,
    /// Distinct for each detection.
    pub(crate) unique: u64,
    /// The same for each detection of one alert.
    pub(crate) of_alert: u64,
    /// The same for each detection of one file.
    pub(crate) of_file: u64,
    /// The same for each detection of one kind.
    pub(crate) of_rule: u64,
}

impl Template {
    /// Compiles one JSON object; with `nulls`, texts that are empty become null.
    pub(crate) fn compile(members: &[(&'static str, Value)], nulls: bool) -> Self {
        let mut template = Self(Vec::new());
        let mut text = String::from("{");
        for (position, (name, value)) in members.iter().enumerate() {
            text.push_str(if position == 0 { "\"" } else { ",\"" });
            text.push_str(name);
            text.push_str("\":");
            match value {
                Value::Text("") if nulls => text.push_str("null"),
                Value::Text(value) => {
                    text.push('"');
                    template.add(&mut text, value);
                    text.push('"');
                }
                Value::Bare(value) => template.add(&mut text, value),
            }
        }
        text.push('}');
        template.0.push(Piece::Text(text.into_bytes().into()));
        template
    }

    /// Adds a value's text; braces that name no slot are text.
    fn add(&mut self, text: &mut String, value: &str) {
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('{') {
            escape(text, before);
            rest = after;
            if let Some((name, after)) = rest.split_once('}')
                && let Some(slot) = Slot::named(name)
            {
                self.0
                    .push(Piece::Text(std::mem::take(text).into_bytes().into()));
                self.0.push(Piece::Slot(slot));
                rest = after;
            } else {
                text.push('{');
            }
        }
        escape(text, rest);
    }

    /// Appends one detection's JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>, filling: &Filling<'_>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Slot(slot) => filling.write(out, *slot),
            }
        }
    }
}

impl Filling<'_> {
    fn write(&self, out: &mut Vec<u8>, slot: Slot) {
        match slot {
            Slot::AlertTime => push_instant(out, self.alert_time),
            Slot::LastProcessed => push_instant(out, self.last_processed),
            Slot::AlertId => out.extend_from_slice(self.alert_id),
            Slot::Ioc => self.write_ioc(out),
            Slot::Part => push_number(out, self.part),
            Slot::Report => push_number(out, (self.of_alert >> 34) + 1),
            Slot::External => hexadecimal::<5>(out, self.of_alert ^ 1, true),
            Slot::Sha1 => hexadecimal::<5>(out, self.of_file, false),
            Slot::Md5 => hexadecimal::<4>(out, self.of_file ^ 1, false),
            Slot::Sha256 => hexadecimal::<8>(out, self.of_file ^ 2, false),
            Slot::Guid => write_guid(out, self.of_rule),
            Slot::Ip => write_ip(out, self.of_alert),
            Slot::Host => {
                out.extend_from_slice(b"cdn-");
                out.extend_from_slice(&hex8((self.of_alert >> 32) as u32, false));
                out.extend_from_slice(b".updates.example.net");
            }
            Slot::Word => out.extend_from_slice(&hex8((self.of_file >> 32) as u32, false)),
            Slot::Blob => {
                let mut random = Random::new(self.unique);
                for _ in 0..6 {
                    out.extend_from_slice(&base64_10(random.next()));
                }
            }
            Slot::Machine(text) => out.extend_from_slice(self.machine.text(text)),
        }
    }

    /// 32 bytes as base64, the first eight of which are `unique`.
    fn write_ioc(&self, out: &mut Vec<u8>) {
        let mut random = Random::new(self.unique);
        out.extend_from_slice(&base64_10(self.unique));
        out.extend_from_slice(&base64_10((self.unique >> 60) | (random.next() << 4)));
        out.extend_from_slice(&base64_10(random.next()));
        out.extend_from_slice(&base64_10(random.next()));
        let last = random.next();
        // Forty-three characters hold 32 bytes and two bits, which are zero.
        out.extend_from_slice(&[
            base64_char(last),
            base64_char(last >> 6),
            base64_char((last >> 12) << 2),
            b'=',
        ]);
    }
}

/// `WORDS` times eight digits.
fn hexadecimal<const WORDS: usize>(out: &mut Vec<u8>, state: u64, upper: bool) {
    let mut random = Random::new(state);
    for _ in 0..WORDS {
        out.extend_from_slice(&hex8((random.next() >> 32) as u32, upper));
    }
}

fn write_guid(out: &mut Vec<u8>, state: u64) {
    let mut random = Random::new(state);
    let (a, b) = (
        hex8((random.next() >> 32) as u32, false),
        hex8((random.next() >> 32) as u32, false),
    );
    let (c, d) = (
        hex8((random.next() >> 32) as u32, false),
        hex8((random.next() >> 32) as u32, false),
    );
    for part in [
        &a[..],
        b"-",
        &b[..4],
        b"-",
        &b[4..],
        b"-",
        &c[..4],
        b"-",
        &c[4..],
        &d,
    ] {
        out.extend_from_slice(part);
    }
}

fn write_ip(out: &mut Vec<u8>, state: u64) {
    // The documentation's networks, so that no real address is accused.
    out.extend_from_slice(if state & 1 == 0 {
        b"203.0.113."
    } else {
        b"198.51.100."
    });
    push_number(out, (state >> 8) % 254 + 1);
}

/// Appends `text` as it stands inside a JSON string.
pub(crate) fn escape(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                out.push_str("\\u00");
                out.push_str(&format!("{:02x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
}
