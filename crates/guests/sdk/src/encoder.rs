//! Encoders: the trait, and the glue between it and the bindings.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

pub use crate::bindings::encoder::exports::watchbell::detections::encoder::Description;
use crate::bindings::encoder::exports::watchbell::detections::encoder::Guest;
use crate::bindings::types;
use crate::options::{self, OptionsError};
use crate::{Alert, Error};

/// A component that turns alerts into bytes of another format.
///
/// [`export_encoder!`](crate::export_encoder) makes a component of it.
pub trait Encoder: Sized {
    /// What a user may set, see [`OptionsError`]. `()` for a plugin without options.
    type Options: DeserializeOwned;

    /// Judges the options. The host calls it at load, before any alert is there, and
    /// again for every batch.
    ///
    /// # Errors
    /// When an option is not usable.
    fn new(options: Self::Options) -> Result<Self, OptionsError>;

    /// What the bytes are and how events stand in a file. [`Description::lines`] is that
    /// of most formats.
    ///
    /// # Errors
    /// When there is none with these options.
    fn describe(&self) -> Result<Description, Error>;

    /// One event for each alert, in the same order, without the separator and without
    /// line ends (see [`Description::quote`]). One that is a JSON object gets the host's
    /// own members.
    ///
    /// # Errors
    /// [`Error::BadRecord`] when an alert cannot be handled; no alert of the call was.
    fn encode(&self, alerts: Vec<Alert>) -> Result<Vec<Vec<u8>>, Error>;

    /// The encoder with the options as the contract has them: names and texts.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] when an option is unknown, missing, repeated or not usable.
    fn from_options(options: &[(String, String)]) -> Result<Self, Error> {
        Ok(Self::new(options::parse(options)?)?)
    }
}

impl Description {
    /// Events of one line each, which a line feed ends, in a file without a header.
    #[must_use]
    pub fn lines(content_type: &str, extension: &str) -> Self {
        Self {
            content_type: content_type.to_owned(),
            header: None,
            separator: b"\n".to_vec(),
            quote: None,
            extension: extension.to_owned(),
        }
    }
}

/// The contract's functions over an [`Encoder`].
pub struct Component<E>(PhantomData<E>);

impl<E: Encoder> Guest for Component<E> {
    fn check(options: types::Options) -> Result<(), types::PluginError> {
        E::from_options(&options)?;
        Ok(())
    }

    fn describe(options: types::Options) -> Result<Description, types::PluginError> {
        Ok(E::from_options(&options)?.describe()?)
    }

    fn encode(
        options: types::Options,
        alerts: Vec<Alert>,
    ) -> Result<Vec<Vec<u8>>, types::PluginError> {
        Ok(E::from_options(&options)?.encode(alerts)?)
    }
}

/// Where there is no component: keeps the plugin's code in use, and judges its types.
pub const fn is_encoder<E: Encoder>() {
    let _ = E::from_options;
    let _ = E::describe;
    let _ = E::encode;
}

/// Exports a type that implements [`Encoder`] as the component of this crate.
///
/// Write it once, in a crate of the type `cdylib`. It exports when the crate is built for
/// WebAssembly; elsewhere, as in the plugin's tests, it only checks the type.
#[macro_export]
macro_rules! export_encoder {
    ($encoder:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, clippy::all, clippy::restriction)]
        const _: () = {
            type Component = $crate::encoder::Component<$encoder>;
            $crate::bindings::encoder::export!(
                Component with_types_in $crate::bindings::encoder
            );
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::encoder::is_encoder::<$encoder>();
    };
}
