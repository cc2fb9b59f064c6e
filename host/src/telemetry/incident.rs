//! Something that goes wrong for a while: one line when it begins, one when it ends, and
//! one ever more rarely in between, so that a log is neither silent nor full.

use std::fmt;
use std::time::{Duration, Instant};

/// From the first line to the second; each later wait is twice as long.
const FIRST_REMINDER: Duration = Duration::from_secs(60);

/// The longest wait for a reminder.
const LAST_REMINDER: Duration = Duration::from_secs(3600);

/// What may be wrong with one thing: a source, a sink.
#[derive(Debug, Default)]
pub struct Incident {
    now: Option<Now>,
}

#[derive(Debug)]
struct Now {
    kind: String,
    words: String,
    began: Instant,
    times: u64,
    said: Instant,
    wait: Duration,
}

/// What is worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// It begins, or is something else now.
    Begins(String),
    /// It is still so.
    Goes {
        /// What is wrong.
        words: String,
        /// How often it was met.
        times: u64,
        /// Since when.
        lasted: Duration,
    },
    /// It is over.
    Ends {
        /// What was wrong.
        words: String,
        /// How often it was met.
        times: u64,
        /// How long it lasted.
        lasted: Duration,
    },
}

impl fmt::Display for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins(words) => f.write_str(words),
            Self::Goes {
                words,
                times,
                lasted,
            } => write!(
                f,
                "still, after {} s and {times} times: {words}",
                lasted.as_secs()
            ),
            Self::Ends {
                words,
                times,
                lasted,
            } => write!(
                f,
                "over, after {} s and {times} times: {words}",
                lasted.as_secs()
            ),
        }
    }
}

impl Incident {
    /// It was met; what to say of it, if anything.
    pub fn record(&mut self, error: &impl fmt::Display) -> Option<Say> {
        let words = error.to_string();
        self.record_at(words.clone(), words, Instant::now())
    }

    /// As [`Incident::record`], of something whose words differ each time.
    pub fn record_kind(&mut self, kind: &str, error: &impl fmt::Display) -> Option<Say> {
        self.record_at(kind.to_owned(), error.to_string(), Instant::now())
    }

    fn record_at(&mut self, kind: String, words: String, at: Instant) -> Option<Say> {
        match &mut self.now {
            Some(now) if now.kind == kind => {
                now.times += 1;
                if at.duration_since(now.said) < now.wait {
                    return None;
                }
                now.said = at;
                now.wait = (now.wait * 2).min(LAST_REMINDER);
                Some(Say::Goes {
                    words,
                    times: now.times,
                    lasted: at.duration_since(now.began),
                })
            }
            _ => {
                let (began, times) = self
                    .now
                    .as_ref()
                    .map_or((at, 0), |now| (now.began, now.times));
                self.now = Some(Now {
                    kind,
                    words: words.clone(),
                    began,
                    times: times + 1,
                    said: at,
                    wait: FIRST_REMINDER,
                });
                Some(Say::Begins(words))
            }
        }
    }

    /// All is well; what to say of it, if something was wrong.
    pub fn end(&mut self) -> Option<Say> {
        self.now.take().map(|now| Say::Ends {
            words: now.words,
            times: now.times,
            lasted: now.began.elapsed(),
        })
    }

    /// What is wrong now.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        self.now.as_ref().map(|now| now.words.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_when_it_begins_one_when_it_ends_and_ever_fewer_in_between() {
        let mut incident = Incident::default();
        let start = Instant::now();
        let mut lines = 0;
        for second in 0..86_400 {
            let at = start + Duration::from_secs(second);
            lines += usize::from(
                incident
                    .record_at("down".to_owned(), "down".to_owned(), at)
                    .is_some(),
            );
        }
        assert!((20..40).contains(&lines), "{lines} in a day");
        assert!(matches!(
            incident.end(),
            Some(Say::Ends { times: 86_400, .. })
        ));
        assert_eq!(incident.end(), None);
    }

    #[test]
    fn another_cause_is_said_at_once_and_the_whole_is_one_trouble() {
        let mut incident = Incident::default();
        assert_eq!(incident.record(&"a"), Some(Say::Begins("a".to_owned())));
        assert_eq!(incident.record(&"a"), None);
        assert_eq!(incident.record(&"b"), Some(Say::Begins("b".to_owned())));
        assert!(matches!(incident.end(), Some(Say::Ends { times: 3, .. })));
    }
}
