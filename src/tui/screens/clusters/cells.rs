//! Where points and their names stand on a map of character cells, so that none hides another.

use crate::tui::text_width;

/// A cell of the map, counted from its upper left corner.
pub type Place = (u16, u16);

/// How far a point may be moved, in columns and in rows; beyond that its place would say nothing.
const REACH: (i32, i32) = (8, 4);

/// Which cells of a map are taken.
pub struct Cells {
    width: u16,
    height: u16,
    taken: Vec<bool>,
}

impl Cells {
    /// A map of this size without anything on it; neither may be 0.
    pub fn new(width: u16, height: u16) -> Self {
        Self { width, height, taken: vec![false; usize::from(width) * usize::from(height)] }
    }

    fn at(&self, (x, y): Place) -> usize {
        usize::from(y) * usize::from(self.width) + usize::from(x)
    }

    fn is_free(&self, place: Place) -> bool {
        self.taken.get(self.at(place)).is_some_and(|taken| !taken)
    }

    fn take(&mut self, place: Place) {
        let at = self.at(place);
        if let Some(cell) = self.taken.get_mut(at) {
            *cell = true;
        }
    }

    /// A cell for each point, both axes with the same scale. Whose cell is taken moves to the nearest free
    /// one in [`REACH`], or shares it where there is none. `None` for points that are nowhere.
    pub fn place(&mut self, points: &[(f32, f32)]) -> Vec<Option<Place>> {
        let ideal = self.ideal(points);
        let mut places = vec![None; points.len()];
        // First come those that stay where they belong.
        for (place, &wanted) in places.iter_mut().zip(&ideal) {
            if let Some(wanted) = wanted.filter(|&wanted| self.is_free(wanted)) {
                self.take(wanted);
                *place = Some(wanted);
            }
        }
        let offsets = offsets();
        for (place, wanted) in places.iter_mut().zip(ideal) {
            let Some(wanted) = wanted.filter(|_| place.is_none()) else { continue };
            let found = self.free_near(wanted, &offsets).unwrap_or(wanted);
            self.take(found);
            *place = Some(found);
        }
        places
    }

    fn ideal(&self, points: &[(f32, f32)]) -> Vec<Option<Place>> {
        let bounds = |values: &mut dyn Iterator<Item = f32>| {
            let finite = values.filter(|value| value.is_finite());
            finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let (x0, x1) = bounds(&mut points.iter().map(|point| point.0));
        let (y0, y1) = bounds(&mut points.iter().map(|point| point.1));
        // A cell is twice as high as wide.
        let (wide, high) = (f32::from(self.width - 1), f32::from(self.height - 1) * 2.0);
        // An axis along which nothing differs sets no scale.
        let fits = |room: f32, extent: f32| if extent > 1e-6 { room / extent } else { f32::INFINITY };
        let scale = fits(wide, x1 - x0).min(fits(high, y1 - y0));
        let scale = if scale.is_finite() { scale } else { 0.0 };
        let cell = |value: f32, most: u16| (value.round().max(0.0) as u16).min(most);
        let place = |&(x, y): &(f32, f32)| {
            let x = wide / 2.0 + (x - (x0 + x1) / 2.0) * scale;
            // Screens count downwards.
            let y = (high / 2.0 - (y - (y0 + y1) / 2.0) * scale) / 2.0;
            (x.is_finite() && y.is_finite()).then(|| (cell(x, self.width - 1), cell(y, self.height - 1)))
        };
        points.iter().map(place).collect()
    }

    fn free_near(&self, (x, y): Place, offsets: &[(i32, i32)]) -> Option<Place> {
        let inside = |value: i32, size: u16| u16::try_from(value).ok().filter(|value| *value < size);
        offsets.iter().find_map(|&(dx, dy)| {
            let place = (inside(i32::from(x) + dx, self.width)?, inside(i32::from(y) + dy, self.height)?);
            self.is_free(place).then_some(place)
        })
    }

    /// Room for a name of at most `most` cells right or left of a point, and the name cut to it; takes it.
    /// A free cell stays at each end, so that no other point's letter seems to belong to it.
    pub fn name(&mut self, (x, y): Place, name: &str, most: usize) -> Option<(Place, String)> {
        let text = text_width::truncate_middle(name, most);
        let width = u16::try_from(text_width::width(&text)).ok().filter(|width| *width > 0)?;
        let right = x.checked_add(2);
        let left = x.checked_sub(width + 1);
        let start = [right, left].into_iter().flatten().find(|&start| {
            let end = start.saturating_add(width);
            end <= self.width
                && (start.saturating_sub(1)..(end + 1).min(self.width))
                    .all(|column| column == x || self.is_free((column, y)))
        })?;
        (start..start + width).for_each(|column| self.take((column, y)));
        Some(((start, y), text))
    }
}

/// Steps to other cells, the shortest first; a row counts as two columns.
fn offsets() -> Vec<(i32, i32)> {
    let (columns, rows) = REACH;
    let mut offsets: Vec<(i32, i32)> = (-rows..=rows)
        .flat_map(|dy| (-columns..=columns).map(move |dx| (dx, dy)))
        .filter(|&offset| offset != (0, 0))
        .collect();
    offsets.sort_by_key(|&(dx, dy)| (dx * dx + 4 * dy * dy, dy.abs(), dx < 0, dy < 0));
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn points_in_one_place_spread_around_it() {
        let mut points = vec![(0.0, 0.0), (1.0, 1.0)];
        points.extend([(0.5, 0.5); 12]);
        let places = Cells::new(41, 11).place(&points);
        let different: HashSet<_> = places.iter().flatten().collect();
        assert_eq!(different.len(), 14);
        // One of them has the place itself, the others are near it.
        assert_eq!(places[2], Some((20, 5)));
        assert!(places[2..].iter().flatten().all(|(x, y)| x.abs_diff(20) <= 4 && y.abs_diff(5) <= 2));
    }

    #[test]
    fn a_point_alone_keeps_its_cell_whoever_comes_before() {
        let points = [(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (1.0, 0.0), (40.0, 0.0)];
        let places = Cells::new(41, 3).place(&points);
        assert_eq!(places[3], Some((1, 1)));
    }

    #[test]
    fn points_that_find_no_free_cell_share_one() {
        let places = Cells::new(2, 2).place(&[(0.0, 0.0); 9]);
        assert!(places.iter().all(Option::is_some));
        assert_eq!(places.iter().collect::<HashSet<_>>().len(), 4);
    }

    #[test]
    fn names_stand_beside_their_points_and_never_on_others() {
        let mut cells = Cells::new(20, 1);
        let places = cells.place(&[(0.0, 0.0), (10.0, 0.0), (19.0, 0.0)]);
        assert_eq!(places, [Some((0, 0)), Some((10, 0)), Some((19, 0))]);
        assert_eq!(cells.name((0, 0), "first", 9), Some(((2, 0), "first".into())));
        // No room before the last point.
        assert_eq!(cells.name((10, 0), "too long", 9), None);
        assert_eq!(cells.name((19, 0), "end", 9), Some(((15, 0), "end".into())));
    }

    proptest! {
        #[test]
        fn everything_stays_inside(
            points in prop::collection::vec((-1e30f32..1e30, prop::num::f32::ANY), 0..60),
            width in 1u16..30, height in 1u16..12, name in ".{0,20}",
        ) {
            let mut cells = Cells::new(width, height);
            for (x, y) in cells.place(&points).into_iter().flatten() {
                prop_assert!(x < width && y < height);
                if let Some(((start, _), text)) = cells.name((x, y), &name, 12) {
                    prop_assert!(usize::from(start) + text_width::width(&text) <= usize::from(width));
                }
            }
        }
    }
}
