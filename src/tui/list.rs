//! A cursor in a long list, and the slice of it that is visible.

use std::cell::Cell;
use std::ops::Range;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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

    /// Moves by arrows, `j`/`k`, page keys, `g`/`G`, Home and End. Whether the key was one of them.
    pub fn on_key(&mut self, key: KeyEvent, len: usize) -> bool {
        let page = self.height.get().saturating_sub(1).max(1);
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let to = match key.code {
            KeyCode::Char('d') if ctrl => self.cursor + page / 2 + 1,
            KeyCode::Char('u') if ctrl => self.cursor.saturating_sub(page / 2 + 1),
            _ if ctrl => return false,
            KeyCode::Down | KeyCode::Char('j') => self.cursor + 1,
            KeyCode::Up | KeyCode::Char('k') => self.cursor.saturating_sub(1),
            KeyCode::PageDown => self.cursor + page,
            KeyCode::PageUp => self.cursor.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => len,
            _ => return false,
        };
        self.select(to, len);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::testing::{code, key};

    #[test]
    fn scrolls_only_when_the_cursor_leaves_the_window() {
        let mut list = List::default();
        assert_eq!(list.window(100, 10), 0..10);
        (0..12).for_each(|_| assert!(list.on_key(key('j'), 100)));
        assert_eq!(list.window(100, 10), 3..13);
        list.on_key(key('k'), 100);
        assert_eq!(list.window(100, 10), 3..13);
        list.on_key(key('G'), 100);
        assert_eq!(list.window(100, 10), 90..100);
        list.on_key(code(KeyCode::PageUp), 100);
        assert_eq!((list.cursor(), list.window(100, 10)), (90, 90..100));
    }

    #[test]
    fn survives_lists_that_shrink() {
        let mut list = List::default();
        list.select(50, 100);
        list.window(100, 10);
        assert_eq!(list.window(3, 10), 0..3);
        assert_eq!(list.window(0, 10), 0..0);
        list.on_key(key('j'), 0);
        assert_eq!(list.cursor(), 0);
    }
}
