//! `fromjson`: a text as a value, or several.
//!
//! jaq's own reads by recursion, and what it reads is often a detection's command line,
//! which an attacker writes: enough brackets there would end the component. Here depth is
//! counted first, and half a surrogate pair is U+FFFD as everywhere.

use jaq_core::data::JustLut;
use jaq_core::native::{Fun, run, v};
use jaq_core::{Exn, ValX};
use jaq_json::{Error, Val, read};
use watchbell_detection::without_halves;

use crate::depth;

/// Its name in a filter.
pub(crate) const NAME: &str = "fromjson";

/// The filter.
pub(crate) fn native() -> Fun<JustLut<Val>> {
    run((NAME, v(0), |(_, input)| {
        let values: Vec<ValX<'_, Val>> = values(&input);
        Box::new(values.into_iter())
    }))
}

fn values(input: &Val) -> Vec<ValX<'static, Val>> {
    let failed = |message: String| vec![Err(Exn::from(Error::str(message)))];
    let text = match input {
        Val::TStr(text) => String::from_utf8_lossy(text),
        _ => return vec![Err(Exn::from(Error::typ(input.clone(), "string")))],
    };
    if depth::exceeds(text.as_bytes(), depth::MAX_DEPTH) {
        let deepest = depth::MAX_DEPTH;
        return failed(format!("cannot parse JSON nested more than {deepest} deep"));
    }
    let text = without_halves(&text);
    let parsed = read::parse_many(text.as_bytes());
    let value = |value: Result<Val, read::Error>| {
        value.map_err(|error| {
            Exn::from(Error::str(format_args!(
                "cannot parse {input} as JSON: {error}"
            )))
        })
    };
    parsed.map(value).collect()
}
