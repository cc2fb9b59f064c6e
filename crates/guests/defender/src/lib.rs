//! The source component: detections out of Microsoft Defender.
//!
//! One call is one question: `authenticate` asks the login service for a token,
//! `poll` asks the API for detections. There are no retries, no clock and no state;
//! the host decides when to ask again and with what. Everything that leaves goes
//! through `wasi:http`, so the host (or whoever embeds the component) sees and
//! judges each request.
//!
//! Each conversation parses what it is given into a request that may be sent, and names
//! the field that it refuses.
//!
//! | module | | to add |
//! |---|---|---|
//! | `oauth` | asks the login service for a token | an OAuth flow or an endpoint is a file there |
//! | `dialect` | asks an API for detections | an API is a file there |
//! | `checks` | what every request has to pass | |
//! | `url` | base URLs, queries and forms | |
//! | `http` | the narrow door to `wasi:http` | |
//! | `refusal` | what a service says when it says no | |

mod checks;
mod dialect;
mod http;
mod oauth;
mod refusal;
mod url;

/// What wit-bindgen makes of `wit/`, `wasi:http` and `wasi:io` included. The crate `wasi`
/// has these two ready-made, but its bindings make this component larger: 296,786 bytes in
/// place of 293,389 with wasi 0.13.1, the last that imports WASI 0.2.0. Later ones import
/// 0.2.1 and up, which hosts of 0.2.0 do not have.
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
        oauth::authenticate(&config)
    }

    fn poll(config: Config) -> Result<Vec<Alert>, Error> {
        let token = match &config.credentials {
            Credentials::Host => None,
            Credentials::AccessToken(token) => Some(token.clone()),
            _ => {
                // What is wrong with the question should show before a token is asked for.
                dialect::check(&config)?;
                Some(oauth::authenticate(&config)?.value)
            }
        };
        dialect::poll(&config, token)
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, clippy::all)]
mod export {
    super::bindings::export!(Defender with_types_in super::bindings);
    use super::Defender;
}
