//! A processor that attacks its host: the option `attack` says how.

// An attack that the list does not have, and so no test, does not compile.
#![deny(dead_code)]
#![allow(
    clippy::panic,
    clippy::infinite_loop,
    clippy::unnecessary_wraps,
    reason = "attacks have one shape, and what goes wrong in one is meant to"
)]

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use watchbell_sdk::{Alert, Error, OptionsError, Processor, Severity};

include!("../attacks.rs");

#[derive(serde::Deserialize)]
struct Hostile {
    #[serde(default)]
    attack: String,
}

type Answer = Result<Vec<Alert>, Error>;

impl Processor for Hostile {
    type Options = Self;

    fn new(options: Self) -> Result<Self, OptionsError> {
        Ok(options)
    }

    fn process(&self, alerts: Vec<Alert>) -> Answer {
        run(&self.attack, alerts)
    }
}

macro_rules! dispatch {
    ($($name:ident,)*) => {
        fn run(name: &str, alerts: Vec<Alert>) -> Answer {
            match name {
                $(stringify!($name) => attack::$name(alerts),)*
                _ => Err(Error::Other(format!("no attack is called {name}"))),
            }
        }
    };
}

attacks!(dispatch);

mod attack {
    #![allow(clippy::needless_pass_by_value, reason = "attacks have one shape")]

    use super::{Alert, Answer, AtomicU32, Error, Ordering, Severity, black_box};

    fn with(mut alerts: Vec<Alert>, json: &str) -> Answer {
        for alert in &mut alerts {
            json.clone_into(&mut alert.json);
        }
        Ok(alerts)
    }

    pub(crate) fn endless_loop(_: Vec<Alert>) -> Answer {
        let mut count = 0_u64;
        loop {
            count = black_box(count.wrapping_add(1));
        }
    }

    pub(crate) fn endless_recursion(alerts: Vec<Alert>) -> Answer {
        fn deeper(depth: u64) -> u64 {
            // Never, but the compiler cannot know.
            if depth == black_box(u64::MAX) {
                return 0;
            }
            black_box(deeper(black_box(depth + 1)) + 1)
        }
        with(alerts, &deeper(0).to_string())
    }

    pub(crate) fn memory_growth(_: Vec<Alert>) -> Answer {
        let mut kept = Vec::new();
        loop {
            kept.push(black_box(vec![1_u8; 1 << 20]));
        }
    }

    pub(crate) fn huge_result(alerts: Vec<Alert>) -> Answer {
        with(alerts, &format!("{{\"x\":\"{}\"}}", "x".repeat(8 << 20)))
    }

    pub(crate) fn many_results(alerts: Vec<Alert>) -> Answer {
        let first = alerts.first().map(|alert| alert.json.len());
        let one = |_| Alert {
            id: first.unwrap_or_default().to_string(),
            alert_id: None,
            alert_time: None,
            last_processed_time: None,
            severity: Severity::Low,
            category: None,
            json: "{}".to_owned(),
        };
        Ok((0..5000).map(one).collect())
    }

    pub(crate) fn huge_error(_: Vec<Alert>) -> Answer {
        Err(Error::Other("x".repeat(8 << 20)))
    }

    pub(crate) fn panic(_: Vec<Alert>) -> Answer {
        panic!("as it is meant to");
    }

    /// Some alerts are poison: the sum of their id's bytes is a multiple of 23.
    pub(crate) fn panic_at_some(alerts: Vec<Alert>) -> Answer {
        for alert in &alerts {
            let sum: u32 = alert.id.bytes().map(u32::from).sum();
            assert!(!sum.is_multiple_of(23), "as it is meant to");
        }
        Ok(alerts)
    }

    pub(crate) fn panic_for_south(alerts: Vec<Alert>) -> Answer {
        let is_south = |alert: &Alert| alert.json.contains("\"tenant\":\"south\"");
        assert!(!alerts.iter().any(is_south), "as it is meant to");
        Ok(alerts)
    }

    /// Fails for the sample that a host tries it with too.
    pub(crate) fn panic_unless_north(alerts: Vec<Alert>) -> Answer {
        let is_north = |alert: &Alert| alert.json.contains("\"tenant\":\"north\"");
        assert!(alerts.iter().all(is_north), "as it is meant to");
        Ok(alerts)
    }

    pub(crate) fn grown_results(alerts: Vec<Alert>) -> Answer {
        with(alerts, &format!("{{\"x\":\"{}\"}}", "x".repeat(100 << 10)))
    }

    pub(crate) fn state_between_calls(_: Vec<Alert>) -> Answer {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        Err(Error::Other(format!("call {call}")))
    }

    pub(crate) fn second_line(alerts: Vec<Alert>) -> Answer {
        with(alerts, "{\"a\":1}\n{\"forged\":1}")
    }

    pub(crate) fn other_tenant(alerts: Vec<Alert>) -> Answer {
        with(alerts, "{\"a\":1,\"ten\\u0061nt\":\"other\"}")
    }

    /// Half of a surrogate pair in a name is JSON, and no text: many a reader stops there.
    pub(crate) fn hidden_tenant(alerts: Vec<Alert>) -> Answer {
        with(alerts, "{\"\\ud800\":1,\"tenant\":\"other\"}")
    }

    pub(crate) fn terminal_escapes(_: Vec<Alert>) -> Answer {
        Err(Error::Other(
            "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\r\n2026-01-01 ERROR a line of its own".to_owned(),
        ))
    }
}

watchbell_sdk::export_processor!(Hostile);
