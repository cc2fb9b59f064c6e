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

use super::reader::instant;
use chrono::{DateTime, TimeDelta, Utc};
use watchbell_ledger::Time;

/// One millisecond.
pub(super) const MILLI: TimeDelta = TimeDelta::milliseconds(1);

/// Bytes of an answer above which the next window is made smaller: large enough that a
/// request's cost does not show, small enough that memory stays flat.
const TARGET_BYTES: u64 = 16 << 20;

/// A part of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// Where it begins.
    pub from: DateTime<Utc>,
    /// Where it ends; later than `from`.
    pub to: DateTime<Utc>,
}

impl TimeRange {
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

    /// Its halves, in whole milliseconds; none of what is as short as can be.
    #[must_use]
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        if self.is_least() {
            return None;
        }
        let middle = self.from + halved(self.length());
        let first = Self {
            to: middle,
            ..*self
        };
        let second = Self {
            from: middle,
            ..*self
        };
        Some([first, second])
    }

    /// Cut into windows of at most `longest`.
    pub(super) fn pieces(self, longest: TimeDelta) -> impl Iterator<Item = Self> {
        let mut from = self.from;
        std::iter::from_fn(move || {
            let to = (from + longest).min(self.to);
            let piece = Self { from, to };
            from = to;
            (piece.from < piece.to).then_some(piece)
        })
    }

    /// Its parts that are not among `covered`, which are in order and apart.
    #[must_use]
    pub fn missing(self, covered: &[(Time, Time)]) -> Vec<Self> {
        let mut all = Vec::new();
        let mut at = self.from;
        for (from, to) in covered {
            // Inwards to whole milliseconds: what lies in a part of one is asked for again.
            let (from, to) = (ceiling(instant(*from)), floor(instant(*to)));
            if from > at && at < self.to {
                all.push(Self {
                    from: at,
                    to: from.min(self.to),
                });
            }
            at = at.max(to);
        }
        if at < self.to {
            all.push(Self {
                from: at,
                to: self.to,
            });
        }
        all
    }

    /// Whether it cannot be narrowed.
    #[must_use]
    pub fn is_least(&self) -> bool {
        self.length() <= MILLI
    }
}

/// The windows of a stretch of time, one after the other.
#[derive(Debug, Clone)]
pub(super) struct WindowPlan {
    at: DateTime<Utc>,
    end: DateTime<Utc>,
    /// Not asked for: what is in quarantine. In order.
    around: Vec<TimeRange>,
    size: WindowSize,
}

/// How long windows are. Kept between plans, so that what was learned of the service is
/// not learned anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowSize {
    length: TimeDelta,
    longest: TimeDelta,
}

impl WindowSize {
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

impl WindowPlan {
    /// From `from` to `to`, widened to whole milliseconds, around what is in quarantine.
    #[must_use]
    pub(super) fn new(
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        mut around: Vec<TimeRange>,
        size: WindowSize,
    ) -> Self {
        around.sort_by_key(|span| span.from);
        Self {
            at: floor(from),
            end: ceiling(to),
            around,
            size,
        }
    }

    /// The window to ask for; none when all was read.
    pub(super) fn next_window(&mut self) -> Option<TimeRange> {
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
                    self.next_window()
                }
                _ => None,
            };
        }
        let to = self
            .at
            .checked_add_signed(self.size.length)
            .map_or(end, |to| to.min(end));
        Some(TimeRange { from: self.at, to })
    }

    /// The window was read; its answer had so many bytes.
    pub(super) fn mark_read(&mut self, window: TimeRange, bytes: u64) {
        self.at = self.at.max(window.to);
        if bytes > TARGET_BYTES {
            self.size.length = halved(window.length());
        } else if bytes < TARGET_BYTES / 2 && window.length() >= self.size.length {
            self.size.length = (self.size.length * 2).min(self.size.longest);
        }
    }

    /// The window is given up; it is in quarantine.
    pub(super) fn skip(&mut self, window: TimeRange) {
        self.at = self.at.max(window.to);
    }

    /// Halves the window; false when it is as short as can be.
    pub(super) fn halve(&mut self, window: TimeRange) -> bool {
        if window.is_least() {
            return false;
        }
        self.size.length = halved(window.length());
        true
    }

    /// What was learned of the service.
    #[must_use]
    pub(super) fn size(&self) -> WindowSize {
        self.size
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

    fn span(from: i64, to: i64) -> TimeRange {
        TimeRange {
            from: at(from),
            to: at(to),
        }
    }

    fn plan(to: i64, around: Vec<TimeRange>, longest: i64) -> WindowPlan {
        let size = WindowSize::new(TimeDelta::milliseconds(longest));
        WindowPlan::new(at(0), at(to), around, size)
    }

    /// The windows when every answer is small.
    fn windows(mut plan: WindowPlan) -> Vec<TimeRange> {
        let mut all = Vec::new();
        while let Some(window) = plan.next_window() {
            all.push(window);
            plan.mark_read(window, 0);
        }
        all
    }

    #[test]
    fn a_backlog_is_split_into_windows_and_neighbours_share_a_millisecond() {
        let all = windows(plan(25, vec![], 10));
        assert_eq!(all, [span(0, 10), span(10, 20), span(20, 25)]);
        assert_eq!(all[1].question(), (at(9), at(20)));
    }

    #[test]
    fn bounds_within_a_millisecond_are_widened_to_whole_ones() {
        let micro = TimeDelta::microseconds(1);
        let mut plan = WindowPlan::new(
            at(5) + micro,
            at(7) + micro,
            vec![],
            WindowSize::new(TimeDelta::hours(1)),
        );
        assert_eq!(plan.next_window(), Some(span(5, 8)));
    }

    #[test]
    fn a_window_is_halved_down_to_one_millisecond_and_grows_again() {
        let mut plan = plan(100, vec![], 8);
        for length in [8, 4, 2] {
            let window = plan.next_window().unwrap();
            assert_eq!(window, span(0, length));
            assert!(plan.halve(window));
        }
        let least = plan.next_window().unwrap();
        assert_eq!(least, span(0, 1));
        assert!(!plan.halve(least));
        plan.mark_read(least, 0);
        for want in [span(1, 3), span(3, 7), span(7, 15), span(15, 23)] {
            let window = plan.next_window().unwrap();
            assert_eq!(window, want);
            plan.mark_read(window, 0);
        }
    }

    #[test]
    fn large_answers_make_the_next_window_smaller_and_medium_ones_leave_it() {
        let mut plan = plan(100, vec![], 8);
        let window = plan.next_window().unwrap();
        plan.mark_read(window, TARGET_BYTES + 1);
        let window = plan.next_window().unwrap();
        assert_eq!(window, span(8, 12));
        plan.mark_read(window, TARGET_BYTES - 1);
        assert_eq!(plan.next_window(), Some(span(12, 16)));
    }

    #[test]
    fn what_is_in_quarantine_is_asked_around() {
        let around = vec![span(0, 2), span(7, 8), span(8, 9), span(20, 30)];
        let all = windows(plan(25, around, 10));
        assert_eq!(all, [span(2, 7), span(9, 19), span(19, 20)]);
        assert_eq!(windows(plan(5, vec![span(0, 9)], 10)), []);
        assert_eq!(windows(plan(0, vec![], 10)), []);
    }

    fn epoch(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[test]
    fn what_was_read_is_left_out() {
        let range = TimeRange {
            from: epoch(10),
            to: epoch(50),
        };
        let ms = |from: i64, to: i64| (from * 1_000_000, to * 1_000_000);
        let spans = |covered: &[(Time, Time)]| -> Vec<(i64, i64)> {
            let spans = range.missing(covered);
            spans
                .iter()
                .map(|span| (span.from.timestamp_millis(), span.to.timestamp_millis()))
                .collect()
        };
        assert_eq!(spans(&[]), [(10, 50)]);
        assert_eq!(spans(&[ms(0, 10), ms(50, 60)]), [(10, 50)]);
        assert_eq!(spans(&[ms(0, 20), ms(30, 40)]), [(20, 30), (40, 50)]);
        assert_eq!(spans(&[ms(0, 100)]), []);
        assert_eq!(spans(&[ms(0, 5), ms(60, 70), ms(80, 90)]), [(10, 50)]);
        assert_eq!(spans(&[(0, 20_500_000)]), [(20, 50)]);
    }

    #[test]
    fn a_long_range_is_cut_into_windows_that_touch() {
        let range = TimeRange {
            from: epoch(0),
            to: epoch(25),
        };
        let all: Vec<_> = range.pieces(TimeDelta::milliseconds(10)).collect();
        let ends: Vec<_> = all.iter().map(|span| span.to.timestamp_millis()).collect();
        assert_eq!(ends, [10, 20, 25]);
    }

    proptest! {
        #[test]
        fn every_millisecond_is_read_once_or_in_quarantine(
            length in 0_i64..200, longest in 1_i64..50,
            gaps in prop::collection::vec((0_i64..200, 1_i64..20), 0..5),
            narrow in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let gaps: Vec<TimeRange> = gaps.into_iter().map(|(from, long)| span(from, from + long)).collect();
            let mut plan = plan(length, gaps.clone(), longest);
            let mut narrow = narrow.into_iter();
            let mut read = vec![0; 400];
            while let Some(window) = plan.next_window() {
                prop_assert!(window.from < window.to);
                if narrow.next().unwrap_or(false) && plan.halve(window) {
                    continue;
                }
                for milli in (window.from - at(0)).num_milliseconds()..(window.to - at(0)).num_milliseconds() {
                    read[usize::try_from(milli).unwrap()] += 1;
                }
                plan.mark_read(window, 0);
            }
            for milli in 0..length {
                let held = gaps.iter().any(|gap| gap.from <= at(milli) && at(milli) < gap.to);
                prop_assert_eq!(read[usize::try_from(milli).unwrap()], i32::from(!held));
            }
        }
    }
}
