//! A one-line text field.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

use super::Theme;

/// Longest text taken, in characters; pastes are cut.
const LONGEST: usize = 4096;

/// Text and a cursor. Control characters never get in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextField {
    chars: Vec<char>,
    /// Characters before the cursor.
    cursor: usize,
    /// The text was put in for the person, who has not touched it: what is typed replaces it.
    suggested: bool,
}

impl TextField {
    /// A field with `text`, the cursor at its end.
    pub fn new(text: &str) -> Self {
        let mut input = Self::default();
        input.insert(text);
        input
    }

    /// A field with a text that the first typed character replaces, as selected text is; moving the cursor
    /// takes it over.
    pub fn suggestion(text: &str) -> Self {
        Self { suggested: !text.is_empty(), ..Self::new(text) }
    }

    /// Whether the text is an untouched suggestion.
    pub fn is_suggestion(&self) -> bool {
        self.suggested
    }

    /// What was typed.
    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// Replaces the text; the cursor goes to its end.
    pub fn set(&mut self, text: &str) {
        *self = Self::new(text);
    }

    /// Inserts at the cursor, leaving out control characters; an untouched suggestion goes.
    pub fn insert(&mut self, text: &str) {
        if std::mem::take(&mut self.suggested) {
            *self = Self::default();
        }
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.chars.len() >= LONGEST {
                break;
            }
            self.chars.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    /// Takes an editing key. `None`: not an editing key; `Some(changed)`: whether the text is another.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what keys terminals know is no set of ours")]
    pub fn on_key(&mut self, key: KeyEvent) -> Option<bool> {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        if self.suggested {
            return self.on_first_key(key);
        }
        let before = self.chars.len();
        match key.code {
            KeyCode::Char('u') if ctrl => {
                self.chars.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('w') if ctrl => {
                let start = self.word_start();
                self.chars.drain(start..self.cursor);
                self.cursor = start;
            }
            KeyCode::Char('a') if ctrl => self.cursor = 0,
            KeyCode::Char('e') if ctrl => self.cursor = self.chars.len(),
            KeyCode::Char(c) if !ctrl && !key.modifiers.contains(KeyModifiers::ALT) => {
                self.insert(c.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Backspace => {
                if self.cursor > 0 {
                    self.cursor -= 1;
                    self.chars.remove(self.cursor);
                }
            }
            KeyCode::Delete => {
                if self.cursor < self.chars.len() {
                    self.chars.remove(self.cursor);
                }
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.chars.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.chars.len(),
            _ => return None,
        }
        Some(self.chars.len() != before)
    }

    /// As [`Self::on_key`], for an untouched suggestion: it goes as a whole, or it stays and is text like any.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what keys terminals know is no set of ours")]
    fn on_first_key(&mut self, key: KeyEvent) -> Option<bool> {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let deletes = match key.code {
            KeyCode::Backspace | KeyCode::Delete => true,
            KeyCode::Char(c) => ctrl && matches!(c, 'u' | 'w'),
            _ => false,
        };
        if deletes {
            *self = Self::default();
            return Some(true);
        }
        let mut taken = Self { suggested: false, ..self.clone() };
        if let KeyCode::Char(c) = key.code
            && !ctrl
            && !key.modifiers.contains(KeyModifiers::ALT)
            && !c.is_control()
        {
            taken = Self::default();
        }
        let changed = taken.on_key(key)?;
        *self = taken;
        Some(changed)
    }

    fn word_start(&self) -> usize {
        let boundary = |c: char| c.is_whitespace() || c == '/';
        let mut start = self.cursor;
        while start > 0 && boundary(self.chars[start - 1]) {
            start -= 1;
        }
        while start > 0 && !boundary(self.chars[start - 1]) {
            start -= 1;
        }
        start
    }

    /// The part around the cursor that fits `cells`; the caret is marked when `focused`.
    pub fn line(&self, cells: usize, focused: bool, theme: &Theme) -> Line<'static> {
        if cells == 0 {
            return Line::default();
        }
        let width = |c: &char| c.width().unwrap_or(0);
        // One cell is kept for a cursor behind the last character.
        let mut start = self.cursor;
        let mut used = 1;
        while start > 0 && used + width(&self.chars[start - 1]) <= cells {
            start -= 1;
            used += width(&self.chars[start]);
        }
        let mut end = self.cursor;
        while end < self.chars.len() && used + width(&self.chars[end]) <= cells {
            used += width(&self.chars[end]);
            end += 1;
        }
        if !focused {
            // Without a cursor the beginning says more than the end, except in paths.
            let style = if self.suggested { theme.dim() } else { theme.text() };
            return Line::styled(super::text_width::truncate_start(&self.text(), cells), style);
        }
        let before: String = self.chars[start..self.cursor].iter().collect();
        let (under, after) = match self.chars.get(self.cursor) {
            Some(c) if self.cursor < end => {
                (c.to_string(), self.chars[self.cursor + 1..end].iter().collect())
            }
            _ => (" ".to_string(), String::new()),
        };
        let style = if self.suggested { theme.selection() } else { theme.text() };
        Line::from(vec![
            Span::styled(before, style),
            Span::styled(under, theme.caret()),
            Span::styled(after, theme.text()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::testing::{code, ctrl, key};
    use crate::tui::{Depth, Theme};
    use proptest::prelude::*;

    #[test]
    fn edits_like_a_shell() {
        let mut input = TextField::new("tasks/past tense");
        input.on_key(ctrl('w'));
        assert_eq!(input.text(), "tasks/past ");
        input.on_key(code(KeyCode::Home));
        input.on_key(key('x'));
        assert_eq!(input.text(), "xtasks/past ");
        input.on_key(ctrl('u'));
        assert_eq!(input.text(), "tasks/past ");
        assert_eq!(input.on_key(code(KeyCode::Tab)), None);
        assert_eq!(input.on_key(code(KeyCode::Left)), Some(false));
    }

    #[test]
    fn a_suggestion_goes_with_the_first_character_and_stays_where_the_cursor_moves() {
        let after = |keys: &[KeyEvent]| {
            let mut input = TextField::suggestion("colours");
            keys.iter().for_each(|key| _ = input.on_key(*key));
            (input.text(), input.is_suggestion())
        };
        assert_eq!(after(&[]), ("colours".into(), true));
        assert_eq!(after(&[key('h'), key('u'), key('e')]), ("hue".into(), false));
        assert_eq!(after(&[code(KeyCode::Left), key('x')]), ("colourxs".into(), false));
        for gone in [code(KeyCode::Backspace), code(KeyCode::Delete), ctrl('u'), ctrl('w')] {
            assert_eq!(after(&[gone]), (String::new(), false));
        }
        // Keys that are none of a field's leave it alone.
        assert_eq!(after(&[code(KeyCode::Tab), ctrl('b')]), ("colours".into(), true));
        let mut pasted = TextField::suggestion("colours");
        pasted.insert("hues");
        assert_eq!(pasted.text(), "hues");
        assert_eq!(TextField::suggestion("x").on_key(key('y')), Some(true), "of the same length");
    }

    #[test]
    fn pasted_control_characters_stay_out() {
        let mut input = TextField::default();
        input.insert("a\x1b[2J\nb");
        assert_eq!(input.text(), "a[2Jb");
    }

    proptest! {
        #[test]
        fn never_wider_than_its_place(text in ".{0,40}", lefts in 0usize..40, cells in 0usize..20) {
            let theme = Theme::new(Depth::Plain);
            let mut input = TextField::new(&text);
            (0..lefts).for_each(|_| { input.on_key(code(KeyCode::Left)); });
            prop_assert!(input.line(cells, true, &theme).width() <= cells.max(1) + 1);
            prop_assert!(input.line(cells, false, &theme).width() <= cells);
        }
    }
}
