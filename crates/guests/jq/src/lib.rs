//! The jq processor component: a filter over each detection.
//!
//! The filter sees a detection as jq sees any JSON value. Its outputs are the alerts
//! that go on: none drops the detection, several make several, and each must be an
//! object. An output that is the detection itself, as of `select(…)`, goes on untouched,
//! byte for byte. Any other is written anew on one line, its repeated members gone, and
//! its envelope is read again from what was written: a filter that changes `Severity`
//! changes what the alert is routed by, and one that makes two of one and keeps `FullId`
//! makes two alerts with one identity, of which a later deduplication keeps one. That is
//! its author's to decide.
//!
//! The language is jq as jaq speaks it, without what is not a function of the detection
//! alone: the clock, the environment, other input, side output, ending the program.
//!
//! | module | |
//! |---|---|
//! | `processor` | the processor, and the contract's two functions for tests |
//! | `options` | what a user may set |
//! | `filter` | compiling and running |
//! | `fromjson` | text of a detection as a value |
//! | `fault` | where a filter is wrong |
//! | `refused` | what a filter may not use |
//! | `unchanged` | whether an output is the input |
//! | `write` | a value as JSON |
//! | `budget`, `complexity`, `depth` | bounds |

mod budget;
mod complexity;
mod depth;
mod fault;
mod filter;
mod fromjson;
mod options;
mod processor;
mod refused;
mod unchanged;
mod write;

pub use budget::GROWTH_BYTES;
pub use complexity::MAX_OPERATORS;
pub use filter::MAX_MESSAGE_BYTES;
pub use options::MAX_FILTER_BYTES;
pub use processor::{Jq, check, process};
pub use watchbell_sdk::Error as PluginError;

watchbell_sdk::export_processor!(Jq);
