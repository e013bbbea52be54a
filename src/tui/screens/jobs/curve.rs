//! Loss curves as numbers: smoothed, on a scale, thinned out to what a screen shows, read at one place.

use crate::jobs::Point;

/// What each step keeps of the average before it, by the levels of smoothing; the first is none.
pub const SMOOTHING: [f64; 4] = [0.0, 0.6, 0.9, 0.98];

/// How the points of a curve become places in a plot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scale {
    /// Heights are logarithms.
    pub logarithmic: bool,
    /// Across is the time of work, in seconds; else steps.
    pub by_time: bool,
}

impl Scale {
    /// The place of a point across.
    pub fn across(self, point: &Point) -> f64 {
        if self.by_time { point.seconds } else { point.step as f64 }
    }

    /// The height of a value; `None` where it has none on this scale.
    pub fn height(self, value: f64) -> Option<f64> {
        let height = if self.logarithmic { value.ln() } else { value };
        height.is_finite().then_some(height)
    }

    /// The value at a height.
    pub fn value(self, height: f64) -> f64 {
        if self.logarithmic { height.exp() } else { height }
    }

    /// The places of all points that have one, averaged over those before them: the exponential moving average,
    /// divided by the sum of its weights, so that it begins where the curve does.
    pub fn places(self, points: &[Point], kept: f64) -> Vec<(f64, f64)> {
        let (mut sum, mut weight) = (0.0, 0.0);
        let place = |point: &Point| {
            if !point.value.is_finite() {
                return None;
            }
            sum = kept * sum + (1.0 - kept) * point.value;
            weight = kept * weight + (1.0 - kept);
            Some((self.across(point), self.height(sum / weight)?))
        };
        points.iter().filter_map(place).collect()
    }
}

/// The lowest and the highest of each of `columns` columns of places, which are in order across: peaks of one step
/// stay visible.
pub fn decimate(places: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return Vec::new() };
    if columns == 0 || places.len() <= 2 * columns {
        return places.to_vec();
    }
    let width = ((last.0 - first.0) / columns as f64).max(f64::MIN_POSITIVE);
    let column = |across: f64| (((across - first.0) / width) as usize).min(columns - 1);
    let mut kept = Vec::with_capacity(2 * columns);
    for bucket in places.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let least = bucket.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied();
        let most = bucket.iter().max_by(|a, b| a.1.total_cmp(&b.1)).copied();
        let mut pair: Vec<(f64, f64)> = least.into_iter().chain(most).collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair.dedup();
        kept.extend(pair);
    }
    kept
}

/// The last place at or before `across`.
pub fn place_at(places: &[(f64, f64)], across: f64) -> Option<(f64, f64)> {
    let behind = places.partition_point(|place| place.0 <= across);
    places.get(behind.checked_sub(1)?).copied()
}

/// `most` numbers of `0..count`, evenly spread, the first and the last among them.
pub fn spread(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    let gaps = most.saturating_sub(1).max(1);
    (0..most).map(|at| (at * (count - 1) + gaps / 2) / gaps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let point = |(at, &value): (usize, &f64)| Point { step: at + 1, seconds: 2.0 * at as f64, value };
        values.iter().enumerate().map(point).collect()
    }

    #[test]
    fn a_peak_of_one_step_survives() {
        let mut places: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        places[4321].1 = 9.0;
        let kept = decimate(&places, 50);
        assert!(kept.len() <= 100);
        assert!(kept.contains(&(4321.0, 9.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn averages_begin_at_the_first_value_and_a_scale_leaves_out_what_it_cannot_show() {
        let scale = Scale::default();
        let values = points(&[4.0, 2.0, f64::NAN, 0.0]);
        assert_eq!(scale.places(&values, 0.0), [(1.0, 4.0), (2.0, 2.0), (4.0, 0.0)]);
        // By hand: 0.5·4 / 0.5; (0.25·4 + 0.5·2) / 0.75; (0.125·4 + 0.25·2) / 0.875.
        let averages: Vec<f64> = scale.places(&values, 0.5).iter().map(|place| place.1).collect();
        let wanted = [4.0, 2.0 / 0.75, 1.0 / 0.875];
        assert!(
            averages.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12),
            "{averages:?}"
        );
        let logarithmic = Scale { logarithmic: true, by_time: true };
        let places = logarithmic.places(&values, 0.0);
        assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), [0.0, 2.0]);
        assert!((logarithmic.value(places[0].1) - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_place_is_read_at_or_before_where_one_looks() {
        let places = [(1.0, 5.0), (4.0, 3.0)];
        let found = [0.5, 1.0, 3.9, 4.0, 9.0].map(|across| place_at(&places, across).map(|place| place.1));
        assert_eq!(found, [None, Some(5.0), Some(5.0), Some(3.0), Some(3.0)]);
        assert_eq!(spread(5, 12), [0, 1, 2, 3, 4]);
        assert_eq!(spread(10_000, 3), [0, 5000, 9999]);
        assert_eq!(spread(9, 1).len(), 1);
    }

    proptest! {
        #[test]
        fn keeps_the_extremes(values in prop::collection::vec(-10.0f64..10.0, 1..400), columns in 1usize..40) {
            let places = Scale::default().places(&points(&values), 0.0);
            let kept = decimate(&places, columns);
            prop_assert!(kept.len() <= 2 * columns || kept.len() == places.len());
            let most = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::MIN, f64::max);
            prop_assert_eq!(most(&mut kept.iter().map(|p| p.1)), most(&mut values.iter().copied()));
        }
    }
}
