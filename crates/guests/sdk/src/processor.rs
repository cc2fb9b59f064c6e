//! Processors: the trait, and the glue between it and the bindings.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bindings::processor::exports::watchbell::detections::processor::Guest;
use crate::bindings::types;
use crate::options::{self, OptionsError};
use crate::{Alert, Error};

/// A component that filters, redacts, enriches or groups alerts.
///
/// [`export_processor!`](crate::export_processor) makes a component of it.
pub trait Processor: Sized {
    /// What a user may set, see [`OptionsError`]. `()` for a plugin without options.
    type Options: DeserializeOwned;

    /// Judges the options. The host calls it at load, before any alert is there, and
    /// again for every batch.
    ///
    /// # Errors
    /// When an option is not usable.
    fn new(options: Self::Options) -> Result<Self, OptionsError>;

    /// The alerts that go on, in order. One alert may become none, one or several.
    ///
    /// # Errors
    /// [`Error::BadRecord`] when an alert cannot be handled; no alert of the call was.
    fn process(&self, alerts: Vec<Alert>) -> Result<Vec<Alert>, Error>;

    /// The processor with the options as the contract has them: names and texts.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] when an option is unknown, missing, repeated or not usable.
    fn from_options(options: &[(String, String)]) -> Result<Self, Error> {
        Ok(Self::new(options::parse(options)?)?)
    }
}

/// The contract's functions over a [`Processor`].
pub struct Component<P>(PhantomData<P>);

impl<P: Processor> Guest for Component<P> {
    fn check(options: types::Options) -> Result<(), types::PluginError> {
        P::from_options(&options)?;
        Ok(())
    }

    fn process(
        options: types::Options,
        alerts: Vec<Alert>,
    ) -> Result<Vec<Alert>, types::PluginError> {
        Ok(P::from_options(&options)?.process(alerts)?)
    }
}

/// Where there is no component: keeps the plugin's code in use, and judges its types.
pub const fn is_processor<P: Processor>() {
    let _ = P::from_options;
    let _ = P::process;
}

/// Exports a type that implements [`Processor`] as the component of this crate.
///
/// Write it once, in a crate of the type `cdylib`. It exports when the crate is built for
/// WebAssembly; elsewhere, as in the plugin's tests, it only checks the type.
#[macro_export]
macro_rules! export_processor {
    ($processor:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, clippy::all, clippy::restriction)]
        const _: () = {
            type Component = $crate::processor::Component<$processor>;
            $crate::bindings::processor::export!(
                Component with_types_in $crate::bindings::processor
            );
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::processor::is_processor::<$processor>();
    };
}
