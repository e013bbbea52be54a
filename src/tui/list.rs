//! A cursor in a long list, and the slice of it that is visible.

use std::cell::Cell;
use std::ops::Range;

use super::keymap::Motion;

/// Which row is selected. The first visible row is remembered from one drawing to the next, so that the
/// list scrolls only when the cursor leaves it.
#[derive(Clone, Debug, Default)]
pub struct List {
    cursor: usize,
    first: Cell<usize>,
    height: Cell<usize>,
}

impl List {
    /// The selected row.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Selects a row; kept inside `len`.
    pub fn select(&mut self, row: usize, len: usize) {
        self.cursor = row.min(len.saturating_sub(1));
    }

    /// The visible rows of `len` in `height` rows of screen, the cursor among them.
    pub fn window(&self, len: usize, height: usize) -> Range<usize> {
        self.height.set(height);
        if height == 0 || len == 0 {
            return 0..0;
        }
        let cursor = self.cursor.min(len - 1);
        let mut first = self.first.get().min(len.saturating_sub(height));
        if cursor < first {
            first = cursor;
        } else if cursor >= first + height {
            first = cursor + 1 - height;
        }
        self.first.set(first);
        first..(first + height).min(len)
    }

    /// [`Self::window`] of entries that take so many rows each: as many as fit, and the one with the cursor.
    pub fn window_of(&self, rows: &[usize], height: usize) -> Range<usize> {
        let fits = |window: Range<usize>| rows[window].iter().sum::<usize>() <= height;
        let Some(last) = rows.len().checked_sub(1).filter(|_| height > 0) else {
            self.height.set(height);
            return 0..0;
        };
        let cursor = self.cursor.min(last);
        let mut first = self.first.get().min(cursor);
        while first < cursor && !fits(first..cursor + 1) {
            first += 1;
        }
        // Nothing stays empty where something would fit.
        while first > 0 && fits(first - 1..rows.len()) {
            first -= 1;
        }
        let mut end = cursor + 1;
        while end < rows.len() && fits(first..end + 1) {
            end += 1;
        }
        self.first.set(first);
        self.height.set(end - first);
        first..end
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion, len: usize) {
        let page = self.height.get().saturating_sub(1).max(1);
        let to = match motion {
            Motion::HalfDown => self.cursor + page / 2 + 1,
            Motion::HalfUp => self.cursor.saturating_sub(page / 2 + 1),
            Motion::Down => self.cursor + 1,
            Motion::Up => self.cursor.saturating_sub(1),
            Motion::PageDown => self.cursor + page,
            Motion::PageUp => self.cursor.saturating_sub(page),
            Motion::First => 0,
            Motion::Last => len,
        };
        self.select(to, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrolls_only_when_the_cursor_leaves_the_window() {
        let mut list = List::default();
        assert_eq!(list.window(100, 10), 0..10);
        (0..12).for_each(|_| list.go(Motion::Down, 100));
        assert_eq!(list.window(100, 10), 3..13);
        list.go(Motion::Up, 100);
        assert_eq!(list.window(100, 10), 3..13);
        list.go(Motion::Last, 100);
        assert_eq!(list.window(100, 10), 90..100);
        list.go(Motion::PageUp, 100);
        assert_eq!((list.cursor(), list.window(100, 10)), (90, 90..100));
    }

    #[test]
    fn entries_of_several_rows_fill_the_room() {
        let rows = [1, 2, 1, 3, 1];
        let mut list = List::default();
        assert_eq!(list.window_of(&rows, 4), 0..3);
        list.go(Motion::Down, 5);
        assert_eq!(list.window_of(&rows, 4), 0..3);
        list.select(3, 5);
        assert_eq!(list.window_of(&rows, 4), 2..4);
        list.go(Motion::Last, 5);
        assert_eq!(list.window_of(&rows, 4), 3..5);
        list.go(Motion::First, 5);
        assert_eq!(list.window_of(&rows, 4), 0..3);
        // One that is higher than the room is shown from its beginning.
        list.select(3, 5);
        assert_eq!(list.window_of(&rows, 2), 3..4);
        assert_eq!(
            (list.window_of(&rows, 100), list.window_of(&rows, 0), list.window_of(&[], 5)),
            (0..5, 0..0, 0..0)
        );
    }

    #[test]
    fn survives_lists_that_shrink() {
        let mut list = List::default();
        list.select(50, 100);
        list.window(100, 10);
        assert_eq!(list.window(3, 10), 0..3);
        assert_eq!(list.window(0, 10), 0..0);
        list.go(Motion::Down, 0);
        assert_eq!(list.cursor(), 0);
    }
}
