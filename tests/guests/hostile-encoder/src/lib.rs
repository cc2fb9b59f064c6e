//! An encoder that attacks its host: the option `attack` says how.

// An attack that the list does not have, and so no test, does not compile.
#![deny(dead_code)]
#![allow(
    clippy::infinite_loop,
    clippy::unnecessary_wraps,
    reason = "attacks have one shape, and what goes wrong in one is meant to"
)]

use std::hint::black_box;
use watchbell_sdk::{Alert, Description, Encoder, Error, OptionsError};

include!("../attacks.rs");

#[derive(serde::Deserialize)]
struct Hostile {
    #[serde(default)]
    attack: String,
}

type Answer = Result<Vec<Vec<u8>>, Error>;

impl Encoder for Hostile {
    type Options = Self;

    fn new(options: Self) -> Result<Self, OptionsError> {
        Ok(options)
    }

    fn describe(&self) -> Result<Description, Error> {
        let usual = Description {
            quote: Some('"'),
            ..Description::lines("text/plain", "txt")
        };
        let with_header = |header: &[u8]| Description {
            header: Some(header.to_vec()),
            ..usual.clone()
        };
        Ok(match self.attack.as_str() {
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

    fn encode(&self, alerts: Vec<Alert>) -> Answer {
        run(&self.attack, alerts.len())
    }
}

macro_rules! dispatch {
    ($($name:ident,)*) => {
        fn run(name: &str, alerts: usize) -> Answer {
            match name {
                $(stringify!($name) => attack::$name(alerts),)*
                _ => Err(Error::Other(format!("no attack is called {name}"))),
            }
        }
    };
}

attacks!(dispatch);

mod attack {
    use super::{Answer, Error, black_box};

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
        Err(Error::Other(
            "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\r\n2026-01-01 ERROR a line of its own".to_owned(),
        ))
    }
}

watchbell_sdk::export_encoder!(Hostile);
