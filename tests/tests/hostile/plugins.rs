//! Processors and encoders, which have nothing.

use crate::field::{Field, on_host};
use std::sync::LazyLock;
use std::time::Duration;
use watchbell::telemetry::printable;
use watchbell_sandbox::{Alert, Encoder, Limits, Processor, Severity};
use watchbell_tests::{HOSTILE_ENCODER, HOSTILE_PROCESSOR};

/// Small enough that each attack ends soon.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| Limits {
    memory_bytes: 64 << 20,
    cpu: Duration::from_millis(300),
    transfer_bytes: 1 << 20,
    output_count: 1000,
    ..Limits::for_plugin()
});

fn alerts() -> Vec<Alert> {
    vec![Alert {
        id: "one".to_owned(),
        alert_id: None,
        alert_time: None,
        last_processed_time: None,
        severity: Severity::Low,
        category: None,
        json: "{}".to_owned(),
    }]
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part}: {text}");
}

/// A processor written by hand, since no Rust grows a table: its `process` does it until
/// it gets no more, and traps.
const TABLE_GROWTH: &str = r#"
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (func (export "watchbell:detections/processor@0.1.0#check") (param i32 i32) (result i32)
    i32.const 16)
  (func (export "watchbell:detections/processor@0.1.0#process")
    (param i32 i32 i32 i32) (result i32)
    (loop $more
      (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
    unreachable))
"#;

#[test]
fn table_growth() {
    on_host(grow_a_table());
}

async fn grow_a_table() {
    let field = Field::new().await;
    let component = watchbell_guest_build::component_of(TABLE_GROWTH, "alert-processor").unwrap();
    let processor = Processor::load(&field.runtime.engine, &component).unwrap();
    let process = move || {
        let processor = processor.clone();
        async move { processor.process(&Vec::new(), &alerts(), &LIMITS).await }
    };
    let outcome = field.withstand("table_growth", process).await;
    let text = outcome.unwrap_err().to_string();
    says(&text, "table elements: 20000 (limits.max_table_elements)");
}

mod processor {
    use super::*;

    include!("../../guests/hostile-processor/attacks.rs");

    macro_rules! suite {
        ($($name:ident,)*) => {
            $(
                #[test]
                fn $name() {
                    on_host(async {
                        let field = Field::new().await;
                        contained::$name(&attack(&field, stringify!($name)).await);
                    });
                }
            )*
        };
    }

    attacks!(suite);

    /// What a person would be told.
    async fn attack(field: &Field, name: &str) -> String {
        let processor = Processor::load(&field.runtime.engine, HOSTILE_PROCESSOR).unwrap();
        let options = vec![("attack".to_owned(), name.to_owned())];
        let process = move || {
            let (processor, options) = (processor.clone(), options.clone());
            async move { processor.process(&options, &alerts(), &LIMITS).await }
        };
        let name = format!("processor: {name}");
        let outcome = field.withstand(&name, process).await;
        match outcome {
            Ok(Ok(alerts)) => alerts.into_iter().map(|alert| alert.json).collect(),
            Ok(Err(error)) => printable(&format!("{error:?}")),
            Err(error) => error.to_string(),
        }
    }

    mod contained {
        use super::says;

        pub(super) fn endless_loop(text: &str) {
            says(text, "CPU time: 300ms (limits.max_cpu_secs)");
        }

        pub(super) fn endless_recursion(text: &str) {
            says(text, "limit on stack: 1 MiB");
        }

        pub(super) fn memory_growth(text: &str) {
            says(text, "memory: 67108864 bytes (limits.max_memory_bytes)");
        }

        pub(super) fn huge_result(text: &str) {
            says(text, "1048576 bytes (limits.max_output_bytes)");
        }

        pub(super) fn many_results(text: &str) {
            says(text, "in one result: 1000 (limits.max_output_count)");
        }

        pub(super) fn huge_error(text: &str) {
            says(text, "1048576 bytes (limits.max_output_bytes)");
        }

        pub(super) fn panic(text: &str) {
            says(text, "the plugin trapped");
        }

        pub(super) fn panic_at_some(text: &str) {
            says(text, "the plugin trapped");
        }

        /// What becomes of a batch in which some make it trap is the pipeline's:
        /// `host/tests/program/plugins.rs`.
        pub(super) fn panic_for_south(text: &str) {
            assert_eq!(text, "{}", "there is none of the south");
        }

        pub(super) fn panic_unless_north(text: &str) {
            says(text, "the plugin trapped");
        }

        /// Not too much for one alert; how much all may be is the pipeline's, as above.
        pub(super) fn grown_results(text: &str) {
            assert!(text.len() > 100 << 10, "{}", text.len());
        }

        pub(super) fn state_between_calls(text: &str) {
            says(text, "call 1\"");
        }

        pub(super) fn second_line(text: &str) {
            says(text, "not one object on one line");
        }

        /// The sandbox knows no tenants; the pipeline, which does, refuses it:
        /// `a_processor_cannot_say_whose_an_alert_is` in `host/tests/program/plugins.rs`.
        pub(super) fn other_tenant(text: &str) {
            says(text, "ten\\u0061nt");
        }

        /// As `other_tenant`.
        pub(super) fn hidden_tenant(text: &str) {
            says(text, "\\ud800");
        }

        pub(super) fn terminal_escapes(text: &str) {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}

mod encoder {
    use super::*;

    include!("../../guests/hostile-encoder/attacks.rs");

    macro_rules! suite {
        ($($name:ident,)*) => {
            $(
                #[test]
                fn $name() {
                    on_host(async {
                        let field = Field::new().await;
                        contained::$name(&attack(&field, stringify!($name)).await);
                    });
                }
            )*
        };
    }

    attacks!(suite);

    /// What a person would be told.
    async fn attack(field: &Field, name: &str) -> String {
        let encoder = Encoder::load(&field.runtime.engine, HOSTILE_ENCODER).unwrap();
        let options = vec![("attack".to_owned(), name.to_owned())];
        let encode = move || {
            let (encoder, options) = (encoder.clone(), options.clone());
            async move {
                let format = match encoder.describe(&options, &LIMITS).await? {
                    Ok(format) => format,
                    Err(error) => return Ok(Err(error)),
                };
                encoder.encode(&options, &format, &alerts(), &LIMITS).await
            }
        };
        let name = format!("encoder: {name}");
        let outcome = field.withstand(&name, encode).await;
        match outcome {
            Ok(Ok(events)) => String::from_utf8(events.concat()).unwrap(),
            Ok(Err(error)) => printable(&format!("{error:?}")),
            Err(error) => error.to_string(),
        }
    }

    mod contained {
        use super::says;

        pub(super) fn endless_loop(text: &str) {
            says(text, "CPU time: 300ms (limits.max_cpu_secs)");
        }

        pub(super) fn memory_growth(text: &str) {
            says(text, "memory: 67108864 bytes (limits.max_memory_bytes)");
        }

        pub(super) fn huge_result(text: &str) {
            says(text, "1048576 bytes (limits.max_output_bytes)");
        }

        pub(super) fn second_line(text: &str) {
            says(text, "event 0 holds a line end");
        }

        pub(super) fn quoted_line(text: &str) {
            says(text, "event 0 holds a line end");
        }

        pub(super) fn zero_separator(text: &str) {
            says(text, "event 0 holds a line end");
        }

        pub(super) fn unclosed_quote(text: &str) {
            says(text, "event 0 opens a quote and does not close it");
        }

        pub(super) fn too_few_events(text: &str) {
            says(text, "0 events for 1 alerts");
        }

        pub(super) fn too_many_events(text: &str) {
            says(text, "in one result: 1000 (limits.max_output_count)");
        }

        pub(super) fn two_events_for_one(text: &str) {
            says(text, "2 events for 1 alerts");
        }

        /// The sandbox knows no tenants; the pipeline, which does, refuses it:
        /// `an_encoder_cannot_say_whose_an_alert_is` in `host/tests/program/plugins.rs`.
        pub(super) fn other_tenant(text: &str) {
            says(text, "ten\\u0061nt");
        }

        /// As `other_tenant`.
        pub(super) fn hidden_tenant(text: &str) {
            says(text, "\\ud800");
        }

        /// As `other_tenant`.
        pub(super) fn two_records(text: &str) {
            says(text, "} {");
        }

        pub(super) fn absurd_separator(text: &str) {
            says(text, "describe: the separator is neither");
        }

        pub(super) fn escapes_in_describe(text: &str) {
            says(text, "describe: the content type is not");
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }

        pub(super) fn huge_header(text: &str) {
            says(text, "describe: the header is longer than");
        }

        pub(super) fn header_of_two_lines(text: &str) {
            says(text, "describe: the header holds a line end");
        }

        pub(super) fn header_that_is_a_record(text: &str) {
            says(text, "describe: the header begins like JSON");
        }

        pub(super) fn terminal_escapes(text: &str) {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}
