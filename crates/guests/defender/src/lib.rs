//! The source component: detections out of Microsoft Defender.
//!
//! One call is one question: `authenticate` asks the login service for a token,
//! `poll` asks the API for detections. There are no retries, no clock and no state;
//! the host decides when to ask again and with what. Everything that leaves goes
//! through `wasi:http`, so the host (or whoever embeds the component) sees and
//! judges each request.
//!
//! The rooms: `question` turns the contract's config into a checked request and
//! names the field that it refuses; `http` is the narrow door to `wasi:http`;
//! `token` and `detections` are the two conversations; `refusal` reads what a
//! service says when it says no.

mod detections;
mod http;
mod question;
mod refusal;
mod token;

/// What wit-bindgen makes of `wit/`.
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]
#[allow(clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "defender-source",
        generate_all,
        pub_export_macro: false,
    });
}

use bindings::exports::watchbell::detections::source::{Config, Credentials, Error, Guest, Token};
use bindings::watchbell::detections::types::Alert;

struct Defender;

impl Guest for Defender {
    fn authenticate(config: Config) -> Result<Token, Error> {
        token::authenticate(&config)
    }

    fn poll(config: Config) -> Result<Vec<Alert>, Error> {
        let token = match &config.credentials {
            Credentials::Host => None,
            Credentials::AccessToken(token) => Some(token.clone()),
            _ => {
                // What is wrong with the question should show before a token is asked for.
                question::Detections::check(&config, None)?;
                Some(token::authenticate(&config)?.value)
            }
        };
        detections::poll(&question::Detections::check(&config, token)?)
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, clippy::all)]
mod export {
    super::bindings::export!(Defender with_types_in super::bindings);
    use super::Defender;
}
