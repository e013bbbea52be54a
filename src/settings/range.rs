//! The ranges that values of settings lie in, and the words for them.

/// A range of numbers. Nothing that is not finite lies in any.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// What a value has to be, for people.
    pub words: &'static str,
    holds: fn(f64) -> bool,
}

/// Above 0.
pub const POSITIVE: Range = Range { words: "a number above 0", holds: |x| x > 0.0 };
/// Above 0, for what makes no sense beyond a million.
pub const UP_TO_A_MILLION: Range =
    Range { words: "a number above 0, at most 1000000", holds: |x| x > 0.0 && x <= 1e6 };
/// Above 0, and such that what f32 stores can be divided by it.
pub const DIVISOR: Range =
    Range { words: "a positive number (1e-30 to 1e30)", holds: |x| (1e-30..=1e30).contains(&x) };
/// From 0, and such that it times a number of common size is one in f32.
pub const FACTOR: Range =
    Range { words: "a number of at least 0 (at most 1e30)", holds: |x| (0.0..=1e30).contains(&x) };
/// From 0.
pub const NON_NEGATIVE: Range = Range { words: "0 or a number above 0", holds: |x| x >= 0.0 };
/// From 0 to 1.
pub const SHARE: Range = Range { words: "a number from 0 to 1", holds: |x| (0.0..=1.0).contains(&x) };
/// Above 0 and at most 1.
pub const SHARE_ABOVE_ZERO: Range =
    Range { words: "a number above 0 and at most 1", holds: |x| x > 0.0 && x <= 1.0 };
/// From 0 to below 1.
pub const BELOW_ONE: Range =
    Range { words: "a number from 0 to below 1", holds: |x| (0.0..1.0).contains(&x) };

impl Range {
    /// Whether `x` lies in it.
    pub fn contains(&self, x: f64) -> bool {
        x.is_finite() && (self.holds)(x)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// What it has to be.
    pub fn parse(&self, text: &str) -> Result<f64, String> {
        match text.trim().parse() {
            Ok(x) if self.contains(x) => Ok(x),
            _ => Err(self.words.into()),
        }
    }
}

/// A range of whole numbers, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Smallest.
    pub low: u64,
    /// Largest.
    pub high: u64,
}

impl Whole {
    /// All numbers from `low`.
    pub const fn from(low: u64) -> Self {
        Self { low, high: u64::MAX }
    }

    /// Whether `n` lies in it.
    pub fn contains(&self, n: u64) -> bool {
        (self.low..=self.high).contains(&n)
    }

    /// What a value has to be, for people.
    pub fn words(&self) -> String {
        match self.high {
            u64::MAX => format!("a whole number from {}", self.low),
            high => format!("a whole number from {} to {high}", self.low),
        }
    }

    /// Reads a whole number.
    ///
    /// # Errors
    /// What it has to be.
    pub fn parse(&self, text: &str) -> Result<u64, String> {
        text.trim().parse().ok().filter(|n| self.contains(*n)).ok_or_else(|| self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_in_or_out_and_what_is_not_finite_is_out() {
        for (range, inside, outside) in [
            (POSITIVE, [f64::MIN_POSITIVE, 1e300], [0.0, -1.0]),
            (DIVISOR, [1e-30, 1e30], [0.0, 1e-31]),
            (FACTOR, [0.0, 1e30], [-1.0, 1e31]),
            (NON_NEGATIVE, [0.0, 1e300], [-f64::MIN_POSITIVE, -1.0]),
            (UP_TO_A_MILLION, [f64::MIN_POSITIVE, 1e6], [0.0, 1.1e6]),
            (SHARE, [0.0, 1.0], [-0.1, 1.1]),
            (SHARE_ABOVE_ZERO, [f64::MIN_POSITIVE, 1.0], [0.0, 1.1]),
            (BELOW_ONE, [0.0, 0.999], [-0.1, 1.0]),
        ] {
            assert!(inside.iter().all(|&x| range.contains(x)), "{range:?}");
            assert!(!outside.iter().any(|&x| range.contains(x)), "{range:?}");
            assert!(![f64::NAN, f64::INFINITY].iter().any(|&x| range.contains(x)), "{range:?}");
        }
        assert_eq!(Whole::from(2).parse("1").unwrap_err(), "a whole number from 2");
        assert_eq!(Whole { low: 1, high: 3 }.parse("3"), Ok(3));
    }
}
