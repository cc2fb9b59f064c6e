//! An encoder that attacks its host: the option `attack` says how.

// An attack that the list does not have, and so no test, does not compile.
#![deny(dead_code)]
#![allow(
    clippy::infinite_loop,
    clippy::unnecessary_wraps,
    reason = "attacks have one shape, and what goes wrong in one is meant to"
)]

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
        world: "alert-encoder",
        pub_export_macro: false,
    });
}

use bindings::exports::watchbell::detections::encoder::{Description, Guest};
use bindings::watchbell::detections::types::{Alert, Options, PluginError};
use std::hint::black_box;

include!("../attacks.rs");

struct Hostile;

type Answer = Result<Vec<Vec<u8>>, PluginError>;

impl Guest for Hostile {
    fn check(_: Options) -> Result<(), PluginError> {
        Ok(())
    }

    fn describe(options: Options) -> Result<Description, PluginError> {
        let usual = Description {
            content_type: "text/plain".to_owned(),
            header: None,
            separator: b"\n".to_vec(),
            quote: Some('"'),
            extension: "txt".to_owned(),
        };
        let with_header = |header: &[u8]| Description {
            header: Some(header.to_vec()),
            ..usual.clone()
        };
        Ok(match attack(&options) {
            "zero_separator" => Description {
                separator: b"\0".to_vec(),
                quote: None,
                ..usual
            },
            "absurd_separator" => Description {
                separator: b"\n{\"tenant\":\"other\"}\n".to_vec(),
                ..usual
            },
            "escapes_in_describe" => Description {
                content_type: "text/\u{1b}]0;owned\u{7}".to_owned(),
                ..usual
            },
            "huge_header" => with_header(&[b'x'; 512 << 10]),
            "header_of_two_lines" => with_header(b"\"a\n{\"tenant\":\"other\"}\n\""),
            "header_that_is_a_record" => with_header(b"{\"tenant\":\"other\"}"),
            _ => usual,
        })
    }

    fn encode(options: Options, alerts: Vec<Alert>) -> Answer {
        run(attack(&options), alerts.len())
    }
}

fn attack(options: &Options) -> &str {
    let attack = options.iter().find(|(name, _)| name == "attack");
    attack.map(|(_, value)| value.as_str()).unwrap_or_default()
}

macro_rules! dispatch {
    ($($name:ident,)*) => {
        fn run(name: &str, alerts: usize) -> Answer {
            match name {
                $(stringify!($name) => attack::$name(alerts),)*
                _ => Err(PluginError::Other(format!("no attack is called {name}"))),
            }
        }
    };
}

attacks!(dispatch);

mod attack {
    use super::{Answer, PluginError, black_box};

    pub(crate) fn endless_loop(_: usize) -> Answer {
        let mut count = 0_u64;
        loop {
            count = black_box(count.wrapping_add(1));
        }
    }

    pub(crate) fn memory_growth(_: usize) -> Answer {
        let mut kept = Vec::new();
        loop {
            kept.push(black_box(vec![1_u8; 1 << 20]));
        }
    }

    pub(crate) fn huge_result(alerts: usize) -> Answer {
        Ok(vec![vec![b'x'; 8 << 20]; alerts])
    }

    pub(crate) fn second_line(alerts: usize) -> Answer {
        Ok(vec![b"an event\na forged one".to_vec(); alerts])
    }

    fn each(event: &[u8], alerts: usize) -> Answer {
        Ok(vec![event.to_vec(); alerts])
    }

    /// Each line end is between two quotes, and there is an odd number of them around.
    pub(crate) fn quoted_line(alerts: usize) -> Answer {
        each(b"\"\n{\"tenant\":\"other\"}\n\"", alerts)
    }

    pub(crate) fn zero_separator(alerts: usize) -> Answer {
        each(b"a\n{\"tenant\":\"other\"}\n", alerts)
    }

    pub(crate) fn other_tenant(alerts: usize) -> Answer {
        each(b"{\"a\":1,\"ten\\u0061nt\":\"other\"}", alerts)
    }

    pub(crate) fn hidden_tenant(alerts: usize) -> Answer {
        each(b" {\"\\ud800\":1,\"tenant\":\"other\"}", alerts)
    }

    pub(crate) fn two_records(alerts: usize) -> Answer {
        each(b"{\"a\":1} {\"tenant\":\"other\"}", alerts)
    }

    pub(crate) fn too_many_events(_: usize) -> Answer {
        each(b"x", 5000)
    }

    pub(crate) fn two_events_for_one(alerts: usize) -> Answer {
        each(b"x", alerts * 2)
    }

    pub(crate) fn absurd_separator(alerts: usize) -> Answer {
        each(b"x", alerts)
    }

    pub(crate) fn escapes_in_describe(alerts: usize) -> Answer {
        each(b"x", alerts)
    }

    pub(crate) fn huge_header(alerts: usize) -> Answer {
        each(b"x", alerts)
    }

    pub(crate) fn header_of_two_lines(alerts: usize) -> Answer {
        each(b"x", alerts)
    }

    pub(crate) fn header_that_is_a_record(alerts: usize) -> Answer {
        each(b"x", alerts)
    }

    pub(crate) fn unclosed_quote(alerts: usize) -> Answer {
        Ok(vec![b"swallows \"the next event".to_vec(); alerts])
    }

    pub(crate) fn too_few_events(_: usize) -> Answer {
        Ok(Vec::new())
    }

    pub(crate) fn terminal_escapes(_: usize) -> Answer {
        Err(PluginError::Other(
            "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\r\n2026-01-01 ERROR a line of its own".to_owned(),
        ))
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, clippy::all)]
mod export {
    super::bindings::export!(Hostile with_types_in super::bindings);
    use super::Hostile;
}
