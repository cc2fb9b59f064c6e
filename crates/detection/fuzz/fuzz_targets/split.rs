//! Any bytes as the body of an answer.
//!
//! Run on stable, in the folder above:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none split -- -max_total_time=600`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use watchbell_detection::{Alert, Detection, Malformed, Splitter, check_object, split};

fuzz_target!(|body: &[u8]| {
    let whole = split(body);
    // Also in a size that changes with the body.
    for size in [1, 2 + body.len() % 13] {
        assert_eq!(chunked(body, size), whole, "chunks of {size}");
    }
    let marked = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let array = serde_json::from_slice::<Vec<&RawValue>>(marked);
    match whole {
        Ok(alerts) => {
            let json: &RawValue = serde_json::from_slice(marked).expect("JSON");
            let is_page = !json.get().starts_with('[') && json.get().contains('[');
            match array {
                Ok(elements) => assert_eq!(elements.len(), alerts.len()),
                Err(_) => assert!(alerts.len() == 1 || is_page),
            }
            alerts.iter().for_each(check);
        }
        Err(fault) => {
            check_ranges(&fault, body.len() as u64);
            fault.alerts.iter().for_each(check);
            if fault.is_foreign {
                assert!(fault.alerts.is_empty() && fault.unreadable.is_empty());
            } else if let Ok(elements) = array {
                let read = fault.alerts.len() + fault.unreadable.len();
                assert_eq!(elements.len(), read, "the structure is that of JSON");
            }
        }
    }
});

fn chunked(body: &[u8], size: usize) -> Result<Vec<Alert>, Malformed> {
    let mut splitter = Splitter::new();
    body.chunks(size).for_each(|chunk| splitter.push(chunk));
    splitter.finish()
}

fn check_ranges(fault: &Malformed, length: u64) {
    assert!(fault.offset <= length);
    let mut from = 0;
    for range in &fault.unreadable {
        assert!(from <= range.start && range.start < range.end);
        from = range.end;
    }
    assert!(from <= length);
    let first = fault.unreadable.first();
    assert!(first.is_none_or(|first| first.contains(&fault.offset)));
    assert!(first.is_some() || fault.alerts.is_empty());
}

fn check(alert: &Alert) {
    assert_eq!(check_object(&alert.json), Ok(()));
    assert!(serde_json::from_str::<&RawValue>(&alert.json).is_ok());
    assert_eq!(Alert::from_json(&alert.json).as_ref(), Ok(alert));
    let again = Detection::from_json(&alert.json)
        .expect("an object")
        .to_json();
    assert_eq!(check_object(&again), Ok(()));
    let again = Alert::from_json(&again).expect("an object");
    assert_eq!(again.severity, alert.severity);
    assert_eq!(again.last_processed_time, alert.last_processed_time);
}
