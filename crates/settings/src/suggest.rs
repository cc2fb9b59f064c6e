//! "Did you mean": the known word nearest to one that is not known.

/// How alike two words must be, from 0 to 1, before one is suggested for the other
/// (Jaro-Winkler). 0.8 takes a swap, a slip or a missing letter in a word of four
/// letters, and does not take another word that merely begins alike.
const ALIKE: f64 = 0.8;

/// The known word that `word` was probably meant to be.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&word, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// What to do instead of writing `word`: the nearest known word, else all of them.
#[must_use]
pub fn instead(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_mended_and_another_word_is_not() {
        let known = ["region", "endpoint", "authority", "scrape_interval_secs"];
        for (word, want) in [
            ("regoin", Some("region")),
            ("Region", Some("region")),
            ("end_point", Some("endpoint")),
            ("scrape_interval", Some("scrape_interval_secs")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }
}
