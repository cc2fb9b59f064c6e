//! Median and range of what was measured.
//!
//! A median, since one slow run says something of the machine and nothing of the
//! program; the range beside it, since that is how much the machine says.

use std::fmt;

/// The least, the median and the greatest of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of `figures`, of which there is at least one; else all are NaN.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self {
            min: at(0),
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            max: at(last),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(
            f,
            "{:>9.digits$}   ({:.digits$} .. {:.digits$})",
            self.median, self.min, self.max
        )
    }
}

/// The figure that `percent` of the sorted figures do not exceed; 0 of none.
#[must_use]
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_one_outlier_does_not_move_it() {
        assert_eq!(
            Spread::of([9.0, 1.0, 2.0]),
            Spread {
                min: 1.0,
                median: 2.0,
                max: 9.0
            }
        );
        assert_eq!(Spread::of([1.0, 2.0, 3.0, 900.0]).median, 2.5);
        assert_eq!(Spread::of([7.0]).median, 7.0);
    }

    #[test]
    fn a_percentile_is_a_figure_that_was_measured() {
        let figures: Vec<u64> = (1..=200).collect();
        assert_eq!(
            (percentile(&figures, 50), percentile(&figures, 99)),
            (100, 198)
        );
        assert_eq!((percentile(&[5], 99), percentile(&[], 50)), (5, 0));
    }
}
