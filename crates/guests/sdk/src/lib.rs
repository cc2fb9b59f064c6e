//! For authors of Watchbell's plugins: a processor or an encoder as one type with a trait.
//!
//! A plugin is a WebAssembly component of one of the worlds `alert-processor` and
//! `alert-encoder`. This crate has the bindings of both, so a plugin is a type of options,
//! a type that implements [`Processor`] or [`Encoder`], and one line that exports it:
//!
//! ```
//! use watchbell_sdk::{Alert, Error, OptionsError, Processor, Severity};
//!
//! /// What a user may set. An option that is not a field is refused by its name.
//! #[derive(serde::Deserialize)]
//! struct Options {
//!     at_least: Severity,
//! }
//!
//! struct AtLeast(Severity);
//!
//! impl Processor for AtLeast {
//!     type Options = Options;
//!
//!     fn new(options: Options) -> Result<Self, OptionsError> {
//!         Ok(Self(options.at_least))
//!     }
//!
//!     fn process(&self, mut alerts: Vec<Alert>) -> Result<Vec<Alert>, Error> {
//!         alerts.retain(|alert| alert.severity >= self.0);
//!         Ok(alerts)
//!     }
//! }
//!
//! watchbell_sdk::export_processor!(AtLeast);
//!
//! // The same code runs in a test on any machine.
//! let options = [("at_least".to_owned(), "high".to_owned())];
//! let alert = Alert::from_json(r#"{"AlertId":"1","Severity":"Low"}"#)?;
//! assert!(AtLeast::from_options(&options)?.process(vec![alert])?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown`, the target whose `std` imports
//! nothing: a plugin that imports more than the contract's types is refused at load.
//! `docs/guides/plugins.md` in Watchbell's repository is the guide.
//!
//! The host makes a new instance for every call. What a plugin keeps in a `static` is gone
//! with the call, and [`Processor::new`] runs once for each.
//!
//! | module | |
//! |---|---|
//! | `processor`, `encoder` | the traits, and the glue between them and the bindings |
//! | `options` | a plugin's options as a type |
//! | `error` | why a call gives no result |
//! | `alert` | alerts read from JSON |
//! | `bindings` | what wit-bindgen makes of the contract |

mod alert;
#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod encoder;
mod error;
mod options;
#[doc(hidden)]
pub mod processor;

pub use bindings::types::{Alert, Severity};
pub use encoder::{Description, Encoder};
pub use error::{Error, each};
pub use options::{OptionsError, json_offset};
pub use processor::Processor;

/// The documented members of a detection, and what else Watchbell knows of one.
pub use watchbell_detection as detection;
