//! A source that attacks its host: the option `attack` says how.

// An attack that the list does not have, and so no test, does not compile.
#![deny(dead_code)]

#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    dead_code,
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

mod attack;

use bindings::exports::watchbell::detections::source::{Config, Error, Guest, Token};
use bindings::watchbell::detections::types::{Alert, Severity};

include!("../attacks.rs");

struct Hostile;

impl Guest for Hostile {
    fn authenticate(_: Config) -> Result<Token, Error> {
        Ok(Token {
            value: "hostile".to_owned(),
            expires_in: Some(3600),
            expires_on: None,
            refresh_token: None,
        })
    }

    fn poll(config: Config) -> Result<Vec<Alert>, Error> {
        run(&option(&config, "attack"), &config)
    }
}

macro_rules! dispatch {
    ($($name:ident,)*) => {
        fn run(name: &str, config: &Config) -> Result<Vec<Alert>, Error> {
            match name {
                $(stringify!($name) => attack::$name(config),)*
                _ => Err(Error::Other(format!("no attack is called {name}"))),
            }
        }
    };
}

attacks!(dispatch);

/// A setting of the test's.
fn option(config: &Config, name: &str) -> String {
    let mut options = config.options.iter();
    let found = options.find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// An alert with that text.
fn alert(json: String) -> Alert {
    Alert {
        id: "hostile".to_owned(),
        alert_id: None,
        alert_time: None,
        last_processed_time: None,
        severity: Severity::Unspecified,
        category: None,
        json,
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, clippy::all)]
mod export {
    super::bindings::export!(Hostile with_types_in super::bindings);
    use super::Hostile;
}
