//! The prompt box: a few lines of text that a person edits.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Clear;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};
use unicode_width::UnicodeWidthStr;

use crate::text::printable;
use crate::tui::theme::CARET;

/// More than any context takes; keeps a mistaken paste from freezing the editor.
const MAX_CHARS: usize = 64 * 1024;

/// What a key did to the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The text is another now.
    Changed,
    /// Only the cursor moved, or nothing happened.
    Kept,
    /// Not a key for a text box.
    Ignored,
}

/// Editor state.
#[derive(Clone, Debug)]
pub struct PromptBox {
    area: TextArea<'static>,
    /// Number of characters, kept so that the limit costs nothing per key.
    chars: usize,
}

impl Default for PromptBox {
    fn default() -> Self {
        Self::with_text("")
    }
}

impl PromptBox {
    fn with_text(text: &str) -> Self {
        let mut area = TextArea::new(text.split('\n').map(String::from).collect());
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.set_cursor_line_style(Style::new());
        area.set_max_histories(100);
        area.move_cursor(CursorMove::Bottom);
        area.move_cursor(CursorMove::End);
        let mut prompt = Self { area, chars: text.chars().count() };
        prompt.set_focus(false);
        prompt
    }

    /// The text, lines joined by `\n`.
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Whether there is nothing to route.
    pub fn is_blank(&self) -> bool {
        self.area.lines().iter().all(|line| line.trim().is_empty())
    }

    /// Replaces the text and puts the cursor at its end; [`Self::undo`] brings the old one back.
    pub fn set_text(&mut self, text: &str) {
        self.clear();
        self.insert(text);
    }

    /// Deletes all text; [`Self::undo`] brings it back.
    pub fn clear(&mut self) -> Edit {
        self.after(TextArea::clear)
    }

    /// Takes the last change back.
    pub fn undo(&mut self) -> Edit {
        self.after(TextArea::undo)
    }

    /// Makes a change again that was taken back.
    pub fn redo(&mut self) -> Edit {
        self.after(TextArea::redo)
    }

    /// Whether the cursor is in the first row, above which there is nothing.
    pub fn is_at_top(&self) -> bool {
        self.area.screen_cursor().row == 0
    }

    /// Whether the cursor is behind the last character.
    pub fn is_at_end(&self) -> bool {
        let lines = self.area.lines();
        let cursor = self.area.cursor();
        cursor.0 + 1 == lines.len() && lines.last().is_some_and(|line| cursor.1 == line.chars().count())
    }

    /// Shows the cursor or hides it.
    pub fn set_focus(&mut self, focus: bool) {
        let modifier = if focus { CARET } else { Modifier::empty() };
        self.area.set_cursor_style(Style::new().add_modifier(modifier));
    }

    /// A key that edits the text.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what keys terminals know is no set of ours")]
    pub fn on_key(&mut self, key: KeyEvent) -> Edit {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Tab | KeyCode::BackTab | KeyCode::F(_) => Edit::Ignored,
            KeyCode::Char('c' | 'm' | 'z') if ctrl => Edit::Ignored,
            KeyCode::Char(c) if !ctrl && !alt => self.insert(c.encode_utf8(&mut [0; 4])).0,
            _ => self.after(|area| area.input(key)),
        }
    }

    /// Deletes back to the head of the line, as shells do.
    pub fn delete_to_head(&mut self) -> Edit {
        self.after(|area| area.delete_line_by_head())
    }

    /// Begins a new line.
    pub fn new_line(&mut self) -> Edit {
        self.insert("\n").0
    }

    /// Inserts pasted text at the cursor. Also says how many characters were left out because they are
    /// invisible (control and direction marks) or beyond what the box takes.
    pub fn insert(&mut self, text: &str) -> (Edit, usize) {
        let (mut text, mut dropped) = clean(text);
        let room = MAX_CHARS.saturating_sub(self.chars);
        if let Some((end, _)) = text.char_indices().nth(room) {
            dropped += text[end..].chars().count();
            text.truncate(end);
        }
        (self.after(|area| !text.is_empty() && area.insert_str(&text)), dropped)
    }

    fn after(&mut self, change: impl FnOnce(&mut TextArea<'static>) -> bool) -> Edit {
        if !change(&mut self.area) {
            return Edit::Kept;
        }
        let lines = self.area.lines();
        self.chars = lines.len().saturating_sub(1) + lines.iter().map(|l| l.chars().count()).sum::<usize>();
        Edit::Changed
    }

    /// About how many rows the text takes at a width; wrapping at words may need one more.
    pub fn rows(&self, width: u16) -> usize {
        let width = usize::from(width.max(1));
        // The cursor needs a cell behind the last character.
        self.area.lines().iter().map(|line| line.width() / width + 1).sum()
    }

    /// Draws it, scrolled so that the cursor is visible and no row is blank while there is text above.
    pub fn draw(&self, frame: &mut Frame, area: Rect) {
        if area.is_empty() {
            return;
        }
        frame.render_widget(&self.area, area);
        let (top, _) = self.area.scroll_offset();
        if top == 0 {
            return;
        }
        // The editor scrolls no further than the cursor needs, so a box that grew shows what is below it only.
        let mut whole = self.area.clone();
        let cursor = self.area.cursor();
        whole.move_cursor(CursorMove::Bottom);
        whole.move_cursor(CursorMove::End);
        let rows = whole.screen_cursor().row + 1;
        let blank = (usize::from(top) + usize::from(area.height)).saturating_sub(rows).min(usize::from(top));
        if blank > 0 {
            let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
            whole.move_cursor(CursorMove::Jump(place(cursor.0), place(cursor.1)));
            whole.scroll((-(blank as i16), 0));
            frame.render_widget(Clear, area);
            frame.render_widget(&whole, area);
        }
    }
}

/// Text without what a terminal would obey or hide, and the number of characters left out. Tabs become
/// blanks, line breaks of all systems `\n`.
fn clean(text: &str) -> (String, usize) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
    let mut out = String::with_capacity(text.len());
    let mut dropped = 0;
    let mut buffer = [0; 4];
    for c in text.chars() {
        let shown =
            c == '\n' || matches!(printable(c.encode_utf8(&mut buffer)), std::borrow::Cow::Borrowed(_));
        if shown { out.push(c) } else { dropped += 1 }
    }
    (out, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(prompt: &mut PromptBox, code: KeyCode, modifiers: KeyModifiers) -> Edit {
        prompt.on_key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn types_wide_characters_and_line_breaks() {
        let mut prompt = PromptBox::default();
        assert!(prompt.is_blank());
        for c in "日本 é".chars() {
            assert_eq!(press(&mut prompt, KeyCode::Char(c), KeyModifiers::NONE), Edit::Changed);
        }
        assert_eq!(prompt.new_line(), Edit::Changed);
        assert_eq!(prompt.new_line(), Edit::Changed);
        press(&mut prompt, KeyCode::Char('X'), KeyModifiers::SHIFT);
        assert_eq!(prompt.text(), "日本 é\n\nX");
        assert_eq!(prompt.rows(40), 3);
        assert_eq!(press(&mut prompt, KeyCode::Backspace, KeyModifiers::NONE), Edit::Changed);
        assert_eq!(press(&mut prompt, KeyCode::Left, KeyModifiers::NONE), Edit::Kept);
        assert_eq!(press(&mut prompt, KeyCode::Enter, KeyModifiers::NONE), Edit::Ignored);
        assert_eq!(press(&mut prompt, KeyCode::Esc, KeyModifiers::NONE), Edit::Ignored);
        assert_eq!(press(&mut prompt, KeyCode::Char('c'), KeyModifiers::CONTROL), Edit::Ignored);
    }

    #[test]
    fn pastes_lose_what_a_terminal_would_obey() {
        let mut prompt = PromptBox::default();
        let (edit, dropped) = prompt.insert("a\x1b[2Jb\r\nc\td\u{202e}e");
        assert_eq!((edit, dropped), (Edit::Changed, 2));
        assert_eq!(prompt.text(), "a[2Jb\nc    de");
        assert_eq!(prompt.insert("\x07"), (Edit::Kept, 1));
    }

    #[test]
    fn a_huge_paste_is_cut() {
        let mut prompt = PromptBox::default();
        let (_, dropped) = prompt.insert(&"é".repeat(MAX_CHARS + 5));
        assert_eq!(dropped, 5);
        assert_eq!(prompt.insert("x"), (Edit::Kept, 1));
        press(&mut prompt, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(prompt.insert("x"), (Edit::Changed, 0));
    }

    #[test]
    fn control_u_clears_to_the_head_of_the_line() {
        let mut prompt = PromptBox::default();
        prompt.set_text("one\ntwo");
        prompt.delete_to_head();
        assert_eq!(prompt.text(), "one\n");
    }

    #[test]
    fn all_text_can_be_deleted_and_brought_back() {
        let mut prompt = PromptBox::default();
        let long = "a line\n".repeat(600);
        prompt.insert(&long);
        assert_eq!(prompt.clear(), Edit::Changed);
        assert!(prompt.text().is_empty() && prompt.clear() == Edit::Kept);
        assert_eq!(prompt.undo(), Edit::Changed);
        assert_eq!(prompt.text(), long);
        assert_eq!(prompt.redo(), Edit::Changed);
        assert_eq!(prompt.insert("x"), (Edit::Changed, 0), "the limit counts what is there");
    }

    #[test]
    fn a_box_that_grows_shows_what_stands_above() {
        let mut prompt = PromptBox::default();
        prompt.insert(&(0..40).map(|i| format!("line {i}\n")).collect::<String>());
        let drawn = |prompt: &PromptBox, rows: u16| {
            let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(12, rows)).unwrap();
            terminal.draw(|frame| prompt.draw(frame, frame.area())).unwrap();
            crate::tui::testing::text(terminal.backend().buffer())
        };
        assert_eq!(drawn(&prompt, 1).trim(), "");
        assert_eq!(drawn(&prompt, 4), "line 37\nline 38\nline 39\n\n");
        assert_eq!(drawn(&prompt, 2), "line 39\n\n");
        // The cursor keeps its place.
        prompt.on_key(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE));
        prompt.on_key(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE));
        prompt.insert("x");
        assert!(drawn(&prompt, 4).starts_with("line 37\nxline 38\n"), "{}", drawn(&prompt, 4));
    }
}
