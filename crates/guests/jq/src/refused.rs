//! The names a filter may not use, with the reason that its author is told.
//!
//! A processor is pure: what it returns depends on its options and the alerts alone, so
//! that a batch delivered again gives the same bytes again. jq has filters that break
//! this. None of them is in the set that filters are compiled against, so a call of one
//! is an undefined name and the compiler knows where it stands: a `.now` member, a
//! string or a filter's own `def now: …` is not mistaken for it. This table only turns
//! "undefined" into words that help.

const CLOCK: &str = "it reads the clock";
const ZONE: &str = "it depends on the local time zone";
const ENVIRONMENT: &str = "it reads the environment";
const PROGRAM: &str = "it depends on how a program was started";
const EXIT: &str = "it ends the program; `empty` drops a detection and `error` refuses it";
const INPUT: &str = "it reads other input; a filter sees one detection at a time";
const OUTPUT: &str = "it writes to the side; a processor has no such output";

/// Names of filters and variables, and why each is refused.
const REFUSED: &[(&str, &str)] = &[
    ("now", CLOCK),
    ("localtime", ZONE),
    ("strflocaltime", ZONE),
    ("env", ENVIRONMENT),
    ("$ENV", ENVIRONMENT),
    ("$__prog_args", PROGRAM),
    ("$__prog_name", PROGRAM),
    ("get_search_list", PROGRAM),
    ("halt", EXIT),
    ("halt_error", EXIT),
    ("input", INPUT),
    ("inputs", INPUT),
    ("input_filename", INPUT),
    ("input_line_number", INPUT),
    ("debug", OUTPUT),
    ("debug_empty", OUTPUT),
    ("stderr", OUTPUT),
    ("stderr_empty", OUTPUT),
];

/// Why a filter may not use `name`; none when nothing speaks against it.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    let (_, reason) = REFUSED.iter().find(|(refused, _)| *refused == name)?;
    Some(reason)
}
