//! Instants, beside those that chrono reads.

use crate::CASES;
use chrono::DateTime;
use proptest::collection::vec;
use proptest::prelude::*;
use watchbell_detection::Timestamp;

/// The text of an instant, and the same for RFC 3339, which wants a zone.
fn instant() -> impl Strategy<Value = (String, String)> {
    // Beyond what 64 bits hold at both ends, and close to it.
    let year = prop_oneof![8 => 1970..2040_u32, 2 => 1676..2264_u32, 1 => Just(1677_u32)];
    let date = (year, 0..14_u32, 0..33_u32);
    let time = (0..25_u32, 0..61_u32, 0..60_u32);
    let fraction = prop::option::of("[0-9]{1,9}");
    let zone = prop_oneof![
        Just(String::new()),
        Just("Z".to_owned()),
        (any::<bool>(), 0..24_u32, 0..60_u32)
            .prop_map(|(east, h, m)| format!("{}{h:02}:{m:02}", if east { '+' } else { '-' })),
    ];
    (date, time, fraction, zone).prop_map(|((y, m, d), (h, i, s), fraction, zone)| {
        let fraction = fraction.map_or_else(String::new, |digits| format!(".{digits}"));
        let clock = format!("{y:04}-{m:02}-{d:02}T{h:02}:{i:02}:{s:02}{fraction}");
        let full = if zone.is_empty() { "Z" } else { &zone };
        (format!("{clock}{zone}"), format!("{clock}{full}"))
    })
}

fn chrono_nanos(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text)
        .ok()?
        .timestamp_nanos_opt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn instants_are_those_that_chrono_reads((text, full) in instant()) {
        let read = text.parse::<Timestamp>().ok().map(Timestamp::as_nanos);
        prop_assert_eq!(read, chrono_nanos(&full), "{}", text);
    }

    #[test]
    fn the_order_of_timestamps_is_that_of_the_instants(one in instant(), other in instant()) {
        let (Some(one_nanos), Some(other_nanos)) = (chrono_nanos(&one.1), chrono_nanos(&other.1)) else {
            return Ok(());
        };
        let one: Timestamp = one.0.parse().expect("an instant");
        let other: Timestamp = other.0.parse().expect("an instant");
        prop_assert_eq!(one.cmp(&other), one_nanos.cmp(&other_nanos));
    }

    #[test]
    fn a_cut_fraction_is_in_its_place_among_full_ones(ticks in 0..10_000_000_u32, other in 0..10_000_000_u32) {
        // As the service writes it: trailing zeros cut, and the point with them.
        let write = |ticks: u32| {
            let full = format!("2020-09-30T14:09:20.{ticks:07}");
            format!("{}Z", full.trim_end_matches('0').trim_end_matches('.'))
        };
        // "…20Z" keeps its zero: no more than the fraction may go.
        let read = |ticks: u32| {
            let text = if ticks == 0 { "2020-09-30T14:09:20Z".to_owned() } else { write(ticks) };
            text.parse::<Timestamp>().expect("an instant")
        };
        prop_assert_eq!(read(ticks).cmp(&read(other)), ticks.cmp(&other));
    }

    #[test]
    fn written_and_read_again_is_the_same_to_100_ns(nanos in any::<i64>()) {
        let floor = nanos.div_euclid(100).checked_mul(100);
        let text = Timestamp::from_nanos(nanos).to_string();
        prop_assert_eq!(text.len(), "2020-09-30T14:09:20.3574300Z".len());
        prop_assert_eq!(text.parse().ok(), floor.map(Timestamp::from_nanos));
        prop_assert!(floor.is_none() || chrono_nanos(&text) == floor);
    }

    #[test]
    fn no_text_makes_reading_panic(
        any in ".*",
        near in vec(prop::sample::select("0123456789-+:.TtZz é".chars().collect::<Vec<_>>()), 0..36),
        (text, _) in instant(),
        cut in any::<prop::sample::Index>(),
        c in any::<char>(),
    ) {
        let _ = any.parse::<Timestamp>();
        let _ = near.into_iter().collect::<String>().parse::<Timestamp>();
        let mut text = text;
        text.insert(cut.index(text.len() + 1), c);
        let _ = text.parse::<Timestamp>();
    }
}

#[test]
fn zones_and_forms_are_read_as_meant() {
    let read = |text: &str| text.parse().ok().map(Timestamp::as_nanos);
    let noon = read("2020-01-31T12:00:00Z");
    assert_eq!(noon, Some(1_580_472_000_000_000_000));
    for text in [
        "2020-01-31T12:00:00",
        "2020-01-31 12:00:00.0",
        "2020-01-31t12:00:00.000000000z",
        "2020-01-31T13:30:00+01:30",
        "2020-01-30T12:01:00-23:59",
    ] {
        assert_eq!(read(text), noon, "{text}");
    }
    for text in [
        "",
        "2020-01-31",
        "2020-01-31T12:00",
        "2020-01-31T12:00:00.",
        "2020-01-31T12:00:00.0123456789Z",
        "2020-01-31T12:00:00+24:00",
        "2020-01-31T12:00:00+0100",
        "2020-01-31T12:00:00Z ",
        "2020-02-30T12:00:00Z",
        "2019-02-29T12:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn the_ends_of_the_range_are_read_to_the_nanosecond() {
    let read = |text: &str| text.parse().ok().map(Timestamp::as_nanos);
    assert_eq!(read("1677-09-21T00:12:43.145224192Z"), Some(i64::MIN));
    assert_eq!(read("1677-09-21T00:12:43.145224191Z"), None);
    assert_eq!(read("2262-04-11T23:47:16.854775807Z"), Some(i64::MAX));
    assert_eq!(read("2262-04-11T23:47:16.854775808Z"), None);
}
