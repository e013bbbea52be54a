//! How panes share the rows of a column.

use ratatui::layout::Rect;

/// Rows that a pane needs to say anything, and rows that it can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub least: usize,
    pub most: usize,
}

impl Wish {
    /// Between so many rows and so many; nothing where there is nothing to show.
    pub fn new(least: usize, most: usize) -> Self {
        Self { least: least.min(most), most }
    }
}

/// The places of panes in a column, from the top. In the order of `wanted` each gets what it needs, as far as there is
/// room, then each in turn what it can use; what is left goes between them.
pub fn column(area: Rect, wishes: &[Wish], wanted: &[usize]) -> Vec<Rect> {
    let mut left = usize::from(area.height);
    let mut rows = vec![0; wishes.len()];
    for &pane in wanted {
        // An empty row before the others, where more than their headings distinguishes them.
        let least = wishes.get(pane).map_or(0, |wish| wish.least);
        if least > 0 && least <= left {
            rows[pane] = least;
            left -= least;
        }
    }
    let shown = rows.iter().filter(|rows| **rows > 0).count();
    let gaps = shown.saturating_sub(1);
    let mut spare = left.saturating_sub(gaps);
    for &pane in wanted {
        if let Some(wish) = wishes.get(pane).filter(|_| rows[pane] > 0) {
            let more = wish.most.saturating_sub(rows[pane]).min(spare);
            rows[pane] += more;
            spare -= more;
        }
    }
    let gap = usize::from(left >= gaps);
    let mut y = area.y;
    rows.into_iter()
        .map(|rows| {
            let height = (rows as u16).min(area.bottom().saturating_sub(y));
            let place = Rect { y: y.min(area.bottom()), height, ..area };
            if height > 0 {
                y += height + gap as u16;
            }
            place
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(rows: u16, wishes: &[(usize, usize)]) -> Vec<u16> {
        let wishes: Vec<Wish> = wishes.iter().map(|&(least, most)| Wish::new(least, most)).collect();
        let wanted: Vec<usize> = (0..wishes.len()).collect();
        let places = column(Rect::new(0, 5, 10, rows), &wishes, &wanted);
        let mut end = 5;
        for place in &places {
            assert!(place.height == 0 || place.y >= end, "{places:?}");
            end = end.max(place.bottom());
        }
        assert!(end <= 5 + rows, "{places:?}");
        places.iter().map(|place| place.height).collect()
    }

    #[test]
    fn what_is_wanted_most_is_there_first_and_nothing_overlaps() {
        assert_eq!(heights(3, &[(2, 9), (2, 9), (1, 1)]), [2, 0, 1]);
        assert_eq!(heights(20, &[(2, 6), (3, 30), (0, 0)]), [6, 13, 0]);
        assert_eq!(heights(0, &[(2, 6)]), [0]);
        for rows in 0..40 {
            heights(rows, &[(3, 9), (4, 31), (2, 5), (5, 5)]);
        }
    }
}
