//! A compiled filter, and what it makes of one detection.
//!
//! The set of filters that a text is compiled against is jaq's own less everything that
//! is not a function of its input (see [`crate::refused`]). Dates stay, in UTC: they are
//! arithmetic.
//!
//! What an output may cost is bounded before it is written, never after: jaq shares
//! parts of values, so a value that is small in memory can be of any length as text.
//! Time and memory while the filter runs are for whoever runs the component to bound.

use std::fmt::{Display, Write as _};

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars};
use jaq_json::Val;
use watchbell_detection::without_halves;

use crate::budget::{Budget, Spent};
use crate::fault::Fault;
use crate::unchanged::unchanged;
use crate::write::{self, Unwritable};
use crate::{complexity, depth, fromjson, refused};

/// The longest message about a record, in bytes. jq puts the offending value into its
/// messages, and that may be a whole detection.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// A filter that compiled.
pub(crate) struct Filter(jaq_core::Filter<JustLut<Val>>);

/// One output of a filter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The very value that went in: its text may stand as it came.
    Unchanged,
    /// Another object, as JSON on one line.
    Changed(String),
}

/// Why a filter made nothing of a detection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The detection, in words.
    Record(String),
    /// The call's budget is spent.
    Spent,
}

impl Filter {
    /// Compiles `text`.
    pub(crate) fn compile(text: &str) -> Result<Self, Fault> {
        complexity::check(text)?;
        let definitions = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .filter(|definition| refused::reason(definition.name).is_none());
        let natives = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .filter(|(name, _, _)| refused::reason(name).is_none() && *name != fromjson::NAME)
            .chain([fromjson::native()]);
        let arena = Arena::default();
        let file = File {
            code: text,
            path: (),
        };
        let modules = Loader::new(definitions)
            .load(&arena, file)
            .map_err(|errors| Fault::from_load(text, &errors))?;
        Compiler::default()
            .with_funs(natives)
            .compile(modules)
            .map(Self)
            .map_err(|errors| Fault::from_compile(text, &errors))
    }

    /// What the filter makes of a detection's JSON text, in its order.
    pub(crate) fn run(&self, json: &str, budget: &mut Budget) -> Result<Vec<Output>, Failure> {
        if depth::exceeds(json.as_bytes(), depth::MAX_DEPTH) {
            return Err(Unwritable::TooDeep.into());
        }
        // A filter cannot hold half a surrogate pair. What it leaves unchanged keeps its text.
        let json = without_halves(json);
        let input = jaq_json::read::parse_single(json.as_bytes())
            .map_err(|error| Failure::Record(format!("it is not JSON: {error}")))?;
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        self.0
            .id
            .run((context, input.clone()))
            .map(|output| match output {
                Ok(output) => written(&input, &output, json.len(), budget),
                Err(exception) => Err(Failure::Record(match exception.get_err() {
                    Ok(error) => told(error),
                    // Only `halt` ends a filter otherwise, and there is none.
                    Err(_) => "the filter stopped".to_owned(),
                })),
            })
            .collect()
    }
}

/// One output as text, or as the knowledge that it is the input's.
fn written(
    input: &Val,
    output: &Val,
    input_length: usize,
    budget: &mut Budget,
) -> Result<Output, Failure> {
    if !matches!(output, Val::Obj(_)) {
        let message = format!("the filter made {} of it, not an object", kind(output));
        return Err(Failure::Record(message));
    }
    if unchanged(input, output) {
        budget.spend(input_length)?;
        return Ok(Output::Unchanged);
    }
    let json = write::json(output, budget.left())?;
    budget.spend(json.len())?;
    Ok(Output::Changed(json))
}

fn kind(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "a boolean",
        Val::Num(_) => "a number",
        Val::BStr(_) => "a byte string",
        Val::TStr(_) => "a string",
        Val::Arr(_) => "an array",
        Val::Obj(_) => "an object",
    }
}

impl From<Spent> for Failure {
    fn from(Spent: Spent) -> Self {
        Self::Spent
    }
}

impl From<Unwritable> for Failure {
    fn from(reason: Unwritable) -> Self {
        match reason {
            Unwritable::TooLong => Self::Spent,
            Unwritable::TooDeep => {
                let deepest = depth::MAX_DEPTH;
                Self::Record(format!("it is nested more than {deepest} deep"))
            }
            Unwritable::NotJson(what) => {
                Self::Record(format!("the filter made {what} of it, which JSON lacks"))
            }
        }
    }
}

/// An error's text, at most [`MAX_MESSAGE_BYTES`] of it.
fn told(error: jaq_json::Error) -> String {
    let message = cut(&error);
    // What `error` raised. A string prints with its quotes; its author wrote none.
    match message.starts_with('"').then(|| error.into_val()) {
        Some(Val::TStr(text)) => cut(&String::from_utf8_lossy(&text)),
        _ => message,
    }
}

/// The start of a text. Never builds the whole, which may be of any length.
fn cut(text: &dyn Display) -> String {
    struct Cut(String);

    impl std::fmt::Write for Cut {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let ellipsis = '…';
            let room = MAX_MESSAGE_BYTES - ellipsis.len_utf8() - self.0.len();
            if text.len() <= room {
                self.0.push_str(text);
                return Ok(());
            }
            let end = text.floor_char_boundary(room);
            self.0.push_str(text.get(..end).unwrap_or_default());
            self.0.push(ellipsis);
            Err(std::fmt::Error)
        }
    }

    let mut message = Cut(String::new());
    // The only error is the writer's own, when it is full.
    let _ = write!(message, "{text}");
    message.0
}
