//! The encoder, and the functions of the contract over this workspace's own types.
//!
//! Lines end with a line feed, not with the CR LF of RFC 4180: what reads security logs
//! (Splunk, Filebeat, Fluent Bit, Vector, `wc -l`) splits at line feeds, and would keep
//! the CR as a part of the last column. Readers of CSV take both. A value with a line
//! end stands in quotes, as it came: `description.quote` says so, and who must have one
//! line for each event chooses `fields` without the few that hold free text.

use csv::{Terminator, WriterBuilder};
use watchbell_detection::Detection;
use watchbell_sdk::{Alert, Encoder, Error, OptionsError, detection};

use crate::cell;
use crate::options::{Format, QuoteStyle};

/// What ends the header and each event.
pub(crate) const SEPARATOR: u8 = b'\n';

/// A line for each alert.
pub struct Csv(Format);

impl Encoder for Csv {
    type Options = Format;

    fn new(format: Format) -> Result<Self, OptionsError> {
        Ok(Self(format))
    }

    fn describe(&self) -> Result<watchbell_sdk::Description, Error> {
        let mut lines = Lines::new(&self.0);
        lines.push(self.0.fields.iter())?;
        Ok(watchbell_sdk::Description {
            content_type: "text/csv; charset=utf-8; header=present".to_owned(),
            header: lines.finish().pop(),
            separator: vec![SEPARATOR],
            quote: Some('"'),
            extension: "csv".to_owned(),
        })
    }

    fn encode(&self, alerts: Vec<Alert>) -> Result<Vec<Vec<u8>>, Error> {
        self.lines(alerts.iter().map(|alert| alert.json.as_str()))
    }
}

impl Csv {
    fn lines<'a>(&self, alerts: impl Iterator<Item = &'a str>) -> Result<Vec<Vec<u8>>, Error> {
        let format = &self.0;
        let mut lines = Lines::new(format);
        for (index, json) in alerts.enumerate() {
            let detection =
                Detection::from_json(json).map_err(|error| Error::bad_record(index, error))?;
            let cells = format.fields.iter();
            lines.push(cells.map(|name| cell::text(&detection, name, format.escape_formulas)))?;
        }
        Ok(lines.finish())
    }
}

/// The contract's description, without what no CSV lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Media type of a whole file.
    pub content_type: String,
    /// What stands once at the start of a file, without the separator.
    pub header: Vec<u8>,
    /// What ends the header and each event.
    pub separator: Vec<u8>,
    /// Between two of these an event may hold the separator.
    pub quote: char,
    /// File extension without the dot.
    pub extension: String,
}

/// Judges the options at load.
pub fn check(options: &[(String, String)]) -> Result<(), Error> {
    Csv::from_options(options).map(drop)
}

/// What [`encode`] will produce with these options.
pub fn describe(options: &[(String, String)]) -> Result<Description, Error> {
    let described = Csv::from_options(options)?.describe()?;
    Ok(Description {
        content_type: described.content_type,
        header: described.header.unwrap_or_default(),
        separator: described.separator,
        quote: described.quote.unwrap_or_default(),
        extension: described.extension,
    })
}

/// One line for each alert, in the same order, without the separator.
pub fn encode(
    options: &[(String, String)],
    alerts: &[detection::Alert],
) -> Result<Vec<Vec<u8>>, Error> {
    Csv::from_options(options)?.lines(alerts.iter().map(|alert| alert.json.as_str()))
}

/// Text for a writer that takes bytes.
struct Cell<T>(T);

impl<T: AsRef<str>> AsRef<[u8]> for Cell<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref().as_bytes()
    }
}

/// Lines as they come out of one writer: its buffers are made once for all of them.
struct Lines {
    writer: csv::Writer<Vec<u8>>,
    ends: Vec<usize>,
}

impl Lines {
    fn new(format: &Format) -> Self {
        let writer = WriterBuilder::new()
            .delimiter(format.delimiter)
            .terminator(Terminator::Any(SEPARATOR))
            .quote_style(match format.quote_style {
                QuoteStyle::Necessary => csv::QuoteStyle::Necessary,
                QuoteStyle::NonNumeric => csv::QuoteStyle::NonNumeric,
                QuoteStyle::Always => csv::QuoteStyle::Always,
            })
            .from_writer(Vec::new());
        Self {
            writer,
            ends: Vec::new(),
        }
    }

    fn push(&mut self, cells: impl Iterator<Item = impl AsRef<str>>) -> Result<(), Error> {
        self.writer
            .write_record(cells.map(Cell))
            .and_then(|()| Ok(self.writer.flush()?))
            .map_err(|error| Error::Other(error.to_string()))?;
        self.ends.push(self.writer.get_ref().len());
        Ok(())
    }

    fn finish(self) -> Vec<Vec<u8>> {
        let bytes = self.writer.get_ref();
        let mut start = 0;
        let lines = self.ends.iter().map(|end| {
            let line = bytes.get(start..end - 1).unwrap_or_default();
            start = *end;
            line.to_vec()
        });
        lines.collect()
    }
}
