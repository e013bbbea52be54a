//! How the values of a matrix are spread: their range and a histogram.

/// Bins of a histogram.
const BINS: usize = 24;

/// Of the pairs of different experts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Smallest and largest value; `None` without any.
    pub range: Option<(f32, f32)>,
    /// Counts of the values above the diagonal in equal bins of `range`; empty without a range.
    pub histogram: Vec<u64>,
}

impl Spread {
    /// Of a symmetric matrix of `n` rows.
    pub(super) fn of(matrix: &[f32], n: usize) -> Self {
        let range = value_range(matrix, n, true);
        Self { range, histogram: range.map(|range| histogram(matrix, n, range)).unwrap_or_default() }
    }
}

fn histogram(matrix: &[f32], n: usize, (low, high): (f32, f32)) -> Vec<u64> {
    let mut bins = vec![0; BINS];
    let scale = if high > low { BINS as f32 / (high - low) } else { 0.0 };
    for (row, values) in matrix.chunks(n.max(1)).enumerate() {
        for value in values.iter().skip(row + 1).filter(|value| !value.is_nan()) {
            bins[(((value - low) * scale) as usize).min(BINS - 1)] += 1;
        }
    }
    bins
}

/// Smallest and largest of values in rows of `stride`, optionally without the diagonal; `None` without any.
pub fn value_range(values: &[f32], stride: usize, skip_diagonal: bool) -> Option<(f32, f32)> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    let mut take = |part: &[f32]| {
        for &value in part {
            // Comparisons with NaN are false, so missing values change nothing.
            low = if value < low { value } else { low };
            high = if value > high { value } else { high };
        }
    };
    for (index, row) in values.chunks(stride.max(1)).enumerate() {
        if skip_diagonal && index < row.len() {
            take(&row[..index]);
            take(&row[index + 1..]);
        } else {
            take(row);
        }
    }
    (low <= high).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_counted_once_and_the_diagonal_and_missing_values_never() {
        let matrix = [1.0, 0.1, 0.5, 0.1, 1.0, f32::NAN, 0.5, f32::NAN, 1.0];
        let spread = Spread::of(&matrix, 3);
        assert_eq!(spread.range, Some((0.1, 0.5)));
        let mut histogram = vec![0; BINS];
        (histogram[0], histogram[BINS - 1]) = (1, 1);
        assert_eq!(spread.histogram, histogram);
        assert_eq!(Spread::of(&[1.0], 1), Spread::default());
    }
}
