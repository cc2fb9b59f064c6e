//! Which part of time to ask for next.
//!
//! A poll reads a stretch of time as a row of windows, each asked, narrowed and tried
//! again on its own. Bounds are whole milliseconds, and each question begins a
//! millisecond before its window: whether the service takes its bounds as inside or
//! outside, and whether it cuts them to milliseconds, nobody knows, and either way the
//! neighbours then share what lies between them.
//!
//! A window that was too large is halved, down to one millisecond, and those after it
//! are as small until answers are small again.

use chrono::{DateTime, TimeDelta, Utc};

/// One millisecond.
pub(super) const MILLI: TimeDelta = TimeDelta::milliseconds(1);

/// Bytes of an answer above which the next window is made smaller: large enough that a
/// request's cost does not show, small enough that memory stays flat.
const TARGET_BYTES: u64 = 16 << 20;

/// A part of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Where it begins.
    pub from: DateTime<Utc>,
    /// Where it ends; later than `from`.
    pub to: DateTime<Utc>,
}

impl Span {
    /// What is asked for, so that neither way of taking bounds loses a detection.
    #[must_use]
    pub fn question(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.from - MILLI, self.to)
    }

    /// A millisecond on either side, so far from it that their questions touch nothing of
    /// it; on both, since what cannot be answered here may lie there too.
    pub(super) fn neighbours(&self) -> [Self; 2] {
        let apart = MILLI * 2;
        [self.to + apart, self.from - apart - MILLI].map(|from| Self {
            from,
            to: from + MILLI,
        })
    }

    /// Those, and one a minute further back: rows that came in a burst may spoil all around
    /// them.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = Self> {
        let back = TimeDelta::minutes(1);
        let further = Self {
            from: self.from - back,
            to: self.from - back + MILLI,
        };
        self.neighbours().into_iter().chain([further])
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> TimeDelta {
        self.to - self.from
    }

    /// Whether it cannot be narrowed.
    #[must_use]
    pub fn is_least(&self) -> bool {
        self.length() <= MILLI
    }
}

/// A walk through a stretch of time, window by window.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    at: DateTime<Utc>,
    end: DateTime<Utc>,
    /// Not asked for: what is in quarantine. In order.
    around: Vec<Span>,
    pace: Pace,
}

/// How long windows are. Kept between walks, so that what was learned of the service is
/// not learned anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    length: TimeDelta,
    longest: TimeDelta,
}

impl Pace {
    /// Windows of at most `longest`, at least a millisecond.
    #[must_use]
    pub(super) fn new(longest: TimeDelta) -> Self {
        let longest = longest.max(MILLI);
        Self {
            length: longest,
            longest,
        }
    }
}

impl Walk {
    /// From `from` to `to`, widened to whole milliseconds, around what is in quarantine.
    #[must_use]
    pub(super) fn new(
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        mut around: Vec<Span>,
        pace: Pace,
    ) -> Self {
        around.sort_by_key(|span| span.from);
        Self {
            at: floor(from),
            end: ceiling(to),
            around,
            pace,
        }
    }

    /// The window to ask for; none when all was read.
    pub(super) fn window(&mut self) -> Option<Span> {
        for gap in &self.around {
            if gap.from <= self.at && self.at < gap.to {
                self.at = gap.to;
            }
        }
        let next_gap = self.around.iter().find(|gap| gap.from >= self.at);
        let end = next_gap.map_or(self.end, |gap| gap.from.min(self.end));
        if self.at >= end {
            // At a gap's edge there is nothing before it.
            return match next_gap {
                Some(gap) if gap.to < self.end && gap.to > self.at => {
                    self.at = gap.to;
                    self.window()
                }
                _ => None,
            };
        }
        let to = self
            .at
            .checked_add_signed(self.pace.length)
            .map_or(end, |to| to.min(end));
        Some(Span { from: self.at, to })
    }

    /// The window was read; its answer had so many bytes.
    pub(super) fn read(&mut self, window: Span, bytes: u64) {
        self.at = self.at.max(window.to);
        if bytes > TARGET_BYTES {
            self.pace.length = halved(window.length());
        } else if bytes < TARGET_BYTES / 2 && window.length() >= self.pace.length {
            self.pace.length = (self.pace.length * 2).min(self.pace.longest);
        }
    }

    /// The window is given up; it is in quarantine.
    pub(super) fn skip(&mut self, window: Span) {
        self.at = self.at.max(window.to);
    }

    /// Halves the window; false when it is as short as can be.
    pub(super) fn narrow(&mut self, window: Span) -> bool {
        if window.is_least() {
            return false;
        }
        self.pace.length = halved(window.length());
        true
    }

    /// What was learned of the service.
    #[must_use]
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }
}

fn halved(length: TimeDelta) -> TimeDelta {
    TimeDelta::milliseconds(length.num_milliseconds() / 2).max(MILLI)
}

/// Down to a whole millisecond.
pub(super) fn floor(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}

/// Up to a whole millisecond.
pub(super) fn ceiling(time: DateTime<Utc>) -> DateTime<Utc> {
    let floor = floor(time);
    if floor < time { floor + MILLI } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_780_000_000_000 + millis).unwrap()
    }

    fn span(from: i64, to: i64) -> Span {
        Span {
            from: at(from),
            to: at(to),
        }
    }

    fn walk(to: i64, around: Vec<Span>, longest: i64) -> Walk {
        let pace = Pace::new(TimeDelta::milliseconds(longest));
        Walk::new(at(0), at(to), around, pace)
    }

    /// The windows when every answer is small.
    fn windows(mut walk: Walk) -> Vec<Span> {
        let mut all = Vec::new();
        while let Some(window) = walk.window() {
            all.push(window);
            walk.read(window, 0);
        }
        all
    }

    #[test]
    fn a_backlog_is_split_into_windows_and_neighbours_share_a_millisecond() {
        let all = windows(walk(25, vec![], 10));
        assert_eq!(all, [span(0, 10), span(10, 20), span(20, 25)]);
        assert_eq!(all[1].question(), (at(9), at(20)));
    }

    #[test]
    fn bounds_within_a_millisecond_are_widened_to_whole_ones() {
        let micro = TimeDelta::microseconds(1);
        let mut walk = Walk::new(
            at(5) + micro,
            at(7) + micro,
            vec![],
            Pace::new(TimeDelta::hours(1)),
        );
        assert_eq!(walk.window(), Some(span(5, 8)));
    }

    #[test]
    fn a_window_is_halved_down_to_one_millisecond_and_grows_again() {
        let mut walk = walk(100, vec![], 8);
        for length in [8, 4, 2] {
            let window = walk.window().unwrap();
            assert_eq!(window, span(0, length));
            assert!(walk.narrow(window));
        }
        let least = walk.window().unwrap();
        assert_eq!(least, span(0, 1));
        assert!(!walk.narrow(least));
        walk.read(least, 0);
        for want in [span(1, 3), span(3, 7), span(7, 15), span(15, 23)] {
            let window = walk.window().unwrap();
            assert_eq!(window, want);
            walk.read(window, 0);
        }
    }

    #[test]
    fn large_answers_make_the_next_window_smaller_and_medium_ones_leave_it() {
        let mut walk = walk(100, vec![], 8);
        let window = walk.window().unwrap();
        walk.read(window, TARGET_BYTES + 1);
        let window = walk.window().unwrap();
        assert_eq!(window, span(8, 12));
        walk.read(window, TARGET_BYTES - 1);
        assert_eq!(walk.window(), Some(span(12, 16)));
    }

    #[test]
    fn what_is_in_quarantine_is_asked_around() {
        let around = vec![span(0, 2), span(7, 8), span(8, 9), span(20, 30)];
        let all = windows(walk(25, around, 10));
        assert_eq!(all, [span(2, 7), span(9, 19), span(19, 20)]);
        assert_eq!(windows(walk(5, vec![span(0, 9)], 10)), []);
        assert_eq!(windows(walk(0, vec![], 10)), []);
    }

    proptest! {
        #[test]
        fn every_millisecond_is_read_once_or_in_quarantine(
            length in 0_i64..200, longest in 1_i64..50,
            gaps in prop::collection::vec((0_i64..200, 1_i64..20), 0..5),
            narrow in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let gaps: Vec<Span> = gaps.into_iter().map(|(from, long)| span(from, from + long)).collect();
            let mut walk = walk(length, gaps.clone(), longest);
            let mut narrow = narrow.into_iter();
            let mut read = vec![0; 400];
            while let Some(window) = walk.window() {
                prop_assert!(window.from < window.to);
                if narrow.next().unwrap_or(false) && walk.narrow(window) {
                    continue;
                }
                for milli in (window.from - at(0)).num_milliseconds()..(window.to - at(0)).num_milliseconds() {
                    read[usize::try_from(milli).unwrap()] += 1;
                }
                walk.read(window, 0);
            }
            for milli in 0..length {
                let held = gaps.iter().any(|gap| gap.from <= at(milli) && at(milli) < gap.to);
                prop_assert_eq!(read[usize::try_from(milli).unwrap()], i32::from(!held));
            }
        }
    }
}
