//! What can go wrong around a plugin, apart from what the plugin itself reports.

use crate::limits::{Limit, Limits, Meter};
use crate::structure::Structure;
use std::path::PathBuf;
use thiserror::Error;
use wasmtime::WasmBacktrace;
use watchbell_settings::printable;

/// A component or its compiled code cannot be used. What is the component's own text in
/// it, names of imports for one, is escaped and cut.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The machine refused what the engine needs.
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
    /// Not a component, or one that wasmtime refuses.
    #[error("not a WebAssembly component that can run here: {0}")]
    Invalid(String),
    /// It is made of more than may be compiled.
    #[error("the component has {found} {part}; the limit is {}", part.most())]
    Structure {
        /// What it has too much of.
        part: Structure,
        /// How much it has, as far as it was counted.
        found: u64,
    },
    /// Compiling it hit a limit of the process that does it.
    #[error("compiling the component hit the limit on {limit}: {value}")]
    CompileLimit {
        /// Which.
        limit: &'static str,
        /// Its value, with its unit.
        value: String,
    },
    /// Compiling it ended in a defect, or could not begin.
    #[error("the compiler failed: {0}")]
    Compiler(String),
    /// It imports what its world does not offer.
    #[error(
        "the component imports {import}, which the world {world} does not offer; build it for wasm32-unknown-unknown, without WASI, as examples/processor in Watchbell's repository does"
    )]
    Import {
        /// The import's name.
        import: String,
        /// The world that it was loaded as.
        world: &'static str,
    },
    /// It lacks an export of its world.
    #[error("the component is no {world}: {reason}")]
    World {
        /// The world that it was loaded as.
        world: &'static str,
        /// What is missing.
        reason: String,
    },
    /// The folder for compiled code is another user's.
    #[error("{}: the folder for compiled code {problem}; compiled code is machine code, so nobody else may write there: give it to this user, or name another", path.display())]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder for compiled code cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl LoadError {
    pub(crate) fn engine(error: &wasmtime::Error) -> Self {
        Self::Engine(printable(&format!("{error:#}")))
    }

    pub(crate) fn invalid(error: &wasmtime::Error) -> Self {
        Self::Invalid(printable(&format!("{error:#}")))
    }
}

/// A call that gave neither a value nor an error of the contract.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// It hit a bound. The instance was dropped.
    #[error("the plugin hit its limit on {limit}: {value}{}", limit.setting().map(|name| format!(" ({name})")).unwrap_or_default())]
    Limit {
        /// Which bound.
        limit: Limit,
        /// Its value, with its unit.
        value: String,
    },
    /// It trapped.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// It returned what the contract forbids.
    #[error("the plugin broke the contract: {0}")]
    Contract(String),
}

impl CallError {
    /// A bound was hit.
    #[must_use]
    pub fn limit(limit: Limit, limits: &Limits) -> Self {
        Self::Limit {
            limit,
            value: limits.value(limit),
        }
    }

    /// Sorts what wasmtime reports of a call that did not return.
    pub(crate) fn of(error: &wasmtime::Error, meter: &Meter) -> Self {
        let says = |words: &str| error.chain().any(|cause| cause.to_string().contains(words));
        let fuel = || says("hostcalls has been exhausted");
        let limit = match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::StackOverflow) => Some(Limit::Stack),
            // A host call fails with the guest below it, a result when it has returned.
            _ if fuel() && error.is::<WasmBacktrace>() => Some(Limit::HostCall),
            _ if fuel() => Some(Limit::Transfer),
            _ if says("total size of fields exceeds limit") => Some(Limit::Headers),
            _ if says("handle limit exceeded") || says("resource table has no free keys") => {
                Some(Limit::Handles)
            }
            _ if says("resource limit exceeded") => Some(Limit::Instances),
            _ => meter.met,
        };
        match limit {
            Some(limit) => Self::limit(limit, meter.limits()),
            None => Self::Trap(printable(&error.root_cause().to_string())),
        }
    }
}
