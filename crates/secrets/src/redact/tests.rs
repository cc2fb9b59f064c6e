use super::*;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};

const TOKEN: &str = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJhL2I_PT0ifQ.c2ln-_bmF0dXJl";

fn knowing(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    for secret in secrets {
        redactor.learn(&Secret::new((*secret).to_owned()));
    }
    redactor
}

#[test]
fn a_secret_is_taken_out_in_each_spelling_and_the_rest_stays() {
    let redactor = knowing(&["aB~9/+x"]);
    for (said, want) in [
        ("a aB~9/+x b", "a *** b"),
        ("grüße ab~9/+X, AB%7E9%2F%2Bx", "grüße ***, ***"),
        ("secret=aB%7e9%2f%2bx&", "secret=***&"),
        ("secret=aB%257e9%252f%252bx&", "secret=***&"),
        (r#"{"m":"aB~9\/\u002bx"}"#, r#"{"m":"***"}"#),
        (r"a\u0042~9%2F\u{2b}x", "***"),
        ("<p>aB~9&#x2F;&#43;x</p>", "<p>***</p>"),
        ("<p>aB~9&sol;&plus;x</p>", "<p>***</p>"),
        ("aB&#126&#57&#x2F&#x2bx!", "***!"),
        ("aB~9/\r\n  +x!", "***!"),
        ("aB~9/+xaB~9/+x aB~9/+x", "*** ***"),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ] {
        assert_eq!(redactor.text(said), want, "{said}");
    }
    assert!(redactor.shows("https://AB~9/+X.example") && !redactor.shows("aB~9"));
}

#[test]
fn base64_of_it_is_found_wherever_it_begins_and_in_either_alphabet() {
    for secret in ["aB~9/+x", "???>>>~~~", "longer than a run of twelve", TOKEN] {
        let redactor = knowing(&[secret]);
        for before in ["", "u", "us", "user:", "Bearer "] {
            for after in ["", "!", "!!"] {
                let whole = format!("{before}{secret}{after}");
                for coded in [
                    BASE64_STANDARD.encode(&whole),
                    BASE64_STANDARD_NO_PAD.encode(&whole),
                    BASE64_URL_SAFE.encode(&whole),
                    BASE64_URL_SAFE_NO_PAD.encode(&whole),
                ] {
                    let form: String =
                        url::form_urlencoded::byte_serialize(coded.as_bytes()).collect();
                    for said in [coded.clone(), form, coded.replace('/', "\\/")] {
                        let left = redactor.text(&format!("<{said}>"));
                        // What is left is of what stood around it.
                        let most = 4 + (before.len() + after.len()) * 8 / 6 + STARS.len() + 8;
                        assert!(left.contains("***") && left.len() <= most, "{said}: {left}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_was_cut_from_a_token_at_either_end_is_taken_out_too() {
    let redactor = knowing(&[TOKEN]);
    for range in [0..40, 20..TOKEN.len(), 10..30] {
        let said = format!("Authorization: Bearer {}", &TOKEN[range]);
        assert_eq!(redactor.text(&said), "Authorization: Bearer ***");
    }
    let coded = BASE64_STANDARD.encode(TOKEN);
    assert_eq!(redactor.text(&format!("x {}", &coded[..40])), "x ***");
    // Eleven characters are not worth a gap in the text.
    assert_eq!(redactor.text(&TOKEN[..11]), TOKEN[..11]);
}

#[test]
fn bytes_that_are_no_text_are_searched_as_well() {
    let redactor = knowing(&["MARKED0secret"]);
    let said = b"\xff\x00MARKED0secret\xfe".as_slice();
    assert_eq!(redactor.bytes(said), b"\xff\x00***\xfe");
    assert_eq!(redactor.bytes(b"\xffrest"), b"\xffrest");
}

#[test]
fn several_are_known_at_one_time_and_one_that_is_too_short_is_none() {
    let redactor = knowing(&["first secret", "second/secret", "abc"]);
    assert_eq!(
        redactor.text("abc first+secret second%2Fsecret"),
        "abc *** ***"
    );
    for n in 0..MOST_KNOWN {
        redactor.learn(&Secret::new(format!("token number {n}")));
    }
    assert!(!redactor.shows("first secret") && redactor.shows("token number 0"));
}

/// Whatever surrounds it and however it is coded.
#[test]
fn any_mixture_of_codings_shows_nothing() {
    let mut random = fastrand::Rng::with_seed(7);
    let redactor = knowing(&[TOKEN]);
    for _ in 0..300 {
        let mut said = String::new();
        for c in TOKEN.chars() {
            match random.u8(0..8) {
                0 => said.push_str(&format!("%{:02x}", u32::from(c))),
                1 => said.push_str(&format!("\\u{:04x}", u32::from(c))),
                2 => said.push_str(&format!("&#{};", u32::from(c))),
                _ => said.push(c),
            }
        }
        let before: String = std::iter::repeat_with(|| random.char(..)).take(5).collect();
        let left = redactor.text(&format!("{before} {said}|"));
        assert!(left.ends_with(" ***|"), "{said}: {left}");
    }
}
