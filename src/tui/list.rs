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
