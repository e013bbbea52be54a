//! The prompt box: a few lines of text that a person edits.

use std::borrow::Cow;

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

/// Versions that can be brought back.
const MAX_VERSIONS: usize = 100;

/// Editor state. The text is what the model gets, to the character; what a terminal would obey or hide is escaped where
/// it is drawn.
#[derive(Clone, Debug)]
pub struct PromptBox {
    area: TextArea<'static>,
    /// Number of characters, kept so that the limit costs nothing per key.
    chars: usize,
    focused: bool,
    /// What [`Self::undo`] and [`Self::redo`] bring back, the nearest last.
    past: Vec<Version>,
    future: Vec<Version>,
    /// What was typed or deleted last, which the next key of the kind goes on with: one change.
    run: Option<Run>,
}

/// Keys that make one change: a word with the space behind it, or characters that are deleted one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    deletes: bool,
    /// Where the cursor was left.
    cursor: (usize, usize),
    /// The last character was a space, behind which another word begins.
    ends_word: bool,
}

impl Run {
    /// Whether a key at this place goes on with it; `typed` is the character, none where one is deleted.
    fn takes(&self, typed: Option<char>, cursor: (usize, usize)) -> bool {
        let goes_on = match typed {
            Some(c) => !self.deletes && (!self.ends_word || c.is_whitespace()),
            None => self.deletes,
        };
        goes_on && self.cursor == cursor
    }
}

/// A text as it was, with the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    lines: Vec<String>,
    /// Line and character.
    cursor: (usize, usize),
}

impl Version {
    /// A text with the cursor behind it.
    fn of(text: &str) -> Self {
        let lines: Vec<String> = text.split('\n').map(String::from).collect();
        let end = lines.last().map_or(0, |line| line.chars().count());
        Self { cursor: (lines.len().saturating_sub(1), end), lines }
    }

    /// The same with a text inserted at the cursor.
    fn with(mut self, text: &str) -> Self {
        let (row, column) = self.cursor;
        let Some(line) = self.lines.get_mut(row) else { return self };
        let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let rest = line.split_off(at);
        let inserted = Self::of(&format!("{line}{text}"));
        self.cursor = (row + inserted.cursor.0, inserted.cursor.1);
        self.lines.splice(row..=row, inserted.lines);
        if let Some(line) = self.lines.get_mut(self.cursor.0) {
            line.push_str(&rest);
        }
        self
    }

    /// What is drawn of it.
    fn printable(&self) -> Self {
        let (row, column) = self.cursor;
        let before: String =
            self.lines.get(row).map_or(String::new(), |line| line.chars().take(column).collect());
        Self {
            lines: self.lines.iter().map(|line| printable(line).into_owned()).collect(),
            cursor: (row, printable(&before).chars().count()),
        }
    }

    /// An editor of it.
    fn area(self, focused: bool) -> TextArea<'static> {
        let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        let (row, column) = self.cursor;
        let mut area = TextArea::new(self.lines);
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.set_cursor_line_style(Style::new());
        // Its own history takes the replacement of a text for two changes.
        area.set_max_histories(0);
        area.move_cursor(CursorMove::Jump(place(row), place(column)));
        let modifier = if focused { CARET } else { Modifier::empty() };
        area.set_cursor_style(Style::new().add_modifier(modifier));
        area
    }
}

impl Default for PromptBox {
    fn default() -> Self {
        Self::with_text("")
    }
}

impl PromptBox {
    fn with_text(text: &str) -> Self {
        let (past, future) = (Vec::new(), Vec::new());
        Self {
            area: Version::of(text).area(false),
            chars: text.chars().count(),
            focused: false,
            past,
            future,
            run: None,
        }
    }

    fn version(&self) -> Version {
        let cursor = self.area.cursor();
        Version { lines: self.area.lines().to_vec(), cursor: (cursor.0, cursor.1) }
    }

    fn restore(&mut self, version: Version) {
        self.area = version.area(self.focused);
        self.count();
    }

    /// The text, lines joined by `\n`.
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Whether there is nothing to route.
    pub fn is_blank(&self) -> bool {
        self.area.lines().iter().all(|line| line.trim().is_empty())
    }

    /// Replaces the text and puts the cursor at its end; [`Self::undo`] brings the old one back. Says how many characters
    /// are beyond what the box takes, which were left out.
    pub fn set_text(&mut self, text: &str) -> usize {
        let (text, dropped) = cut(text, MAX_CHARS);
        let before = self.version();
        if text != self.text() {
            self.restore(Version::of(text));
            self.keep(before);
        }
        dropped
    }

    /// Deletes all text; [`Self::undo`] brings it back.
    pub fn clear(&mut self) -> Edit {
        self.after(TextArea::clear)
    }

    /// Takes the last change back.
    pub fn undo(&mut self) -> Edit {
        let Some(version) = self.past.pop() else { return Edit::Kept };
        self.run = None;
        self.future.push(self.version());
        self.restore(version);
        Edit::Changed
    }

    /// Makes a change again that was taken back.
    pub fn redo(&mut self) -> Edit {
        let Some(version) = self.future.pop() else { return Edit::Kept };
        self.run = None;
        self.past.push(self.version());
        self.restore(version);
        Edit::Changed
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
        self.focused = focus;
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
            KeyCode::Char(c) if !ctrl && !alt => {
                self.going_on(Some(c), |prompt| prompt.insert(c.encode_utf8(&mut [0; 4])).0)
            }
            KeyCode::Backspace if !ctrl && !alt => {
                self.going_on(None, |prompt| prompt.after(|area| area.input(key)))
            }
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

    /// Inserts what a terminal pastes, as [`Self::insert`] does. Many terminals send every line break as a carriage
    /// return; where there is a line feed, they did not, and the text is what was copied.
    pub fn paste(&mut self, text: &str) -> (Edit, usize) {
        if text.contains('\n') { self.insert(text) } else { self.insert(&text.replace('\r', "\n")) }
    }

    /// Inserts text at the cursor as it is. Also says how many characters were left out because they are beyond what the
    /// box takes.
    pub fn insert(&mut self, text: &str) -> (Edit, usize) {
        let (text, dropped) = cut(text, MAX_CHARS.saturating_sub(self.chars));
        if text.is_empty() {
            return (Edit::Kept, dropped);
        }
        if !text.contains('\r') {
            return (self.after(|area| area.insert_str(text)), dropped);
        }
        // The editor would take carriage returns before line breaks away.
        let before = self.version();
        // What is selected goes first.
        self.area.delete_str(0);
        let version = self.version().with(text);
        self.restore(version);
        self.keep(before);
        (Edit::Changed, dropped)
    }

    fn cursor(&self) -> (usize, usize) {
        let cursor = self.area.cursor();
        (cursor.0, cursor.1)
    }

    /// A change by a character that is typed, or deleted for none; with those before it that it goes on with it is one
    /// change.
    fn going_on(&mut self, typed: Option<char>, change: impl FnOnce(&mut Self) -> Edit) -> Edit {
        let goes_on = self.run.is_some_and(|run| run.takes(typed, self.cursor()));
        // The version before the run stays the nearest, and none is pushed out at the other end.
        let first = if goes_on { self.past.pop() } else { None };
        let edit = change(self);
        match (edit, first) {
            (Edit::Changed, Some(first)) => {
                if let Some(last) = self.past.last_mut() {
                    *last = first;
                }
            }
            (Edit::Kept | Edit::Ignored, Some(first)) => self.past.push(first),
            (_, None) => {}
        }
        if edit == Edit::Changed {
            let ends_word = typed.is_some_and(char::is_whitespace);
            self.run = Some(Run { deletes: typed.is_none(), cursor: self.cursor(), ends_word });
        }
        edit
    }

    fn after(&mut self, change: impl FnOnce(&mut TextArea<'static>) -> bool) -> Edit {
        let before = self.version();
        if !change(&mut self.area) {
            return Edit::Kept;
        }
        self.count();
        self.keep(before);
        Edit::Changed
    }

    /// Makes what was there before a change the nearest version to come back to.
    fn keep(&mut self, before: Version) {
        self.future.clear();
        self.run = None;
        if self.past.len() >= MAX_VERSIONS {
            self.past.remove(0);
        }
        self.past.push(before);
    }

    fn count(&mut self) {
        let lines = self.area.lines();
        self.chars = lines.len().saturating_sub(1) + lines.iter().map(|l| l.chars().count()).sum::<usize>();
    }

    /// About how many rows the text takes at a width; wrapping at words may need one more.
    pub fn rows(&self, width: u16) -> usize {
        let width = usize::from(width.max(1));
        // The cursor needs a cell behind the last character.
        self.area.lines().iter().map(|line| printable(line).width() / width + 1).sum()
    }

    /// Draws it, scrolled so that the cursor is visible and no row is blank while there is text above.
    pub fn draw(&self, frame: &mut Frame, area: Rect) {
        if area.is_empty() {
            return;
        }
        // Also where another one is seen: it remembers how its lines are broken, and so which row the cursor is in.
        frame.render_widget(&self.area, area);
        if self.area.lines().iter().any(|line| matches!(printable(line), Cow::Owned(_))) {
            frame.render_widget(Clear, area);
            frame.render_widget(&self.version().printable().area(self.focused), area);
            return;
        }
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

/// The beginning of a text in so many characters, and how many are behind it.
fn cut(text: &str, room: usize) -> (&str, usize) {
    match text.char_indices().nth(room) {
        Some((end, _)) => (&text[..end], text[end..].chars().count()),
        None => (text, 0),
    }
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
    fn the_text_is_what_was_given_and_is_drawn_escaped() {
        const TEXT: &str = "a\x1b[2Jb\r\nc\td\u{202e}e \u{1f469}\u{200d}\u{1f527}\u{200b}\r";
        let drawn = |prompt: &PromptBox| {
            let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(60, 3)).unwrap();
            terminal.draw(|frame| prompt.draw(frame, frame.area())).unwrap();
            crate::tui::testing::text(terminal.backend().buffer())
        };
        let mut pasted = PromptBox::default();
        assert_eq!(pasted.paste(TEXT), (Edit::Changed, 0));
        let mut edited = PromptBox::default();
        assert_eq!(edited.set_text(TEXT), 0);
        for prompt in [&pasted, &edited] {
            assert_eq!(prompt.text(), TEXT);
            let drawn = drawn(prompt);
            let rows: Vec<&str> = drawn.lines().map(str::trim_end).collect();
            assert_eq!(rows[0], r"a\u{1b}[2Jb\r");
            assert!(
                rows[1].starts_with(r"c\td\u{202e}e ") && rows[1].ends_with(r"\u{200d}🔧\u{200b}\r"),
                "{drawn}"
            );
        }
        // In the middle, and what follows stays behind it.
        let mut prompt = PromptBox::default();
        prompt.insert("onetwo");
        (0..3).for_each(|_| _ = press(&mut prompt, KeyCode::Left, KeyModifiers::NONE));
        prompt.paste("\r\n\r\n");
        press(&mut prompt, KeyCode::Char('x'), KeyModifiers::NONE);
        assert_eq!(prompt.text(), "one\r\n\r\nxtwo");
        // Terminals send line breaks as carriage returns.
        let mut prompt = PromptBox::default();
        prompt.paste("one\rtwo");
        assert_eq!(prompt.text(), "one\ntwo");
    }

    #[test]
    fn the_caret_stands_on_what_is_drawn_of_its_character() {
        let mut prompt = PromptBox::default();
        prompt.set_focus(true);
        prompt.set_text("a\tb");
        press(&mut prompt, KeyCode::Left, KeyModifiers::NONE);
        let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(8, 1)).unwrap();
        terminal.draw(|frame| prompt.draw(frame, frame.area())).unwrap();
        let drawn = terminal.backend().buffer();
        let carets: Vec<u16> = (0..8).filter(|&x| drawn[(x, 0)].modifier.contains(CARET)).collect();
        assert_eq!((carets, drawn[(3, 0)].symbol()), (vec![3], "b"));
    }

    #[test]
    fn one_change_is_taken_back_at_once() {
        let mut prompt = PromptBox::default();
        prompt.set_text("first");
        prompt.set_text("second");
        prompt.set_text("second");
        assert_eq!((prompt.undo(), prompt.text().as_str()), (Edit::Changed, "first"));
        assert_eq!((prompt.redo(), prompt.text().as_str()), (Edit::Changed, "second"));
        assert_eq!(prompt.redo(), Edit::Kept);
        prompt.paste("\r\n!");
        assert_eq!((prompt.undo(), prompt.text().as_str()), (Edit::Changed, "second"));
        prompt.undo();
        prompt.undo();
        assert_eq!((prompt.undo(), prompt.is_blank()), (Edit::Kept, true));
        assert_eq!(prompt.set_text(&"é".repeat(MAX_CHARS + 7)), 7);
    }

    #[test]
    fn typed_characters_are_taken_back_by_words() {
        let mut prompt = PromptBox::default();
        let write = |prompt: &mut PromptBox, text: &str| {
            text.chars().for_each(|c| _ = press(prompt, KeyCode::Char(c), KeyModifiers::NONE));
        };
        write(&mut prompt, "Plural of foxes");
        (0..3).for_each(|_| _ = press(&mut prompt, KeyCode::Backspace, KeyModifiers::NONE));
        write(&mut prompt, "x?");
        // What is typed elsewhere is another change.
        press(&mut prompt, KeyCode::Home, KeyModifiers::NONE);
        write(&mut prompt, "The ");
        let mut said = vec![prompt.text()];
        while prompt.undo() == Edit::Changed {
            said.push(prompt.text());
        }
        let changes = [
            "The Plural of fox?",
            "Plural of fox?",
            "Plural of fo",
            "Plural of foxes",
            "Plural of ",
            "Plural ",
            "",
        ];
        assert_eq!(said, changes);
        for text in changes.iter().rev().skip(1) {
            assert_eq!((prompt.redo(), prompt.text().as_str()), (Edit::Changed, *text));
        }
        assert_eq!(prompt.redo(), Edit::Kept);
        // What is typed after a step back takes the place of what could be made again.
        prompt.undo();
        write(&mut prompt, "Plural? ");
        assert_eq!((prompt.redo(), prompt.text().as_str()), (Edit::Kept, "Plural? Plural of fox?"));
        assert_eq!((prompt.undo(), prompt.text().as_str()), (Edit::Changed, "Plural of fox?"));
        assert_eq!((prompt.undo(), prompt.text().as_str()), (Edit::Changed, "Plural of fo"));
    }

    #[test]
    fn a_hundred_changes_are_taken_back_and_made_again() {
        let mut prompt = PromptBox::default();
        let word = |at: usize| format!("word{at} ");
        let words = |count: usize| (0..count).map(word).collect::<String>();
        let all = MAX_VERSIONS + 20;
        for c in words(all).chars() {
            press(&mut prompt, KeyCode::Char(c), KeyModifiers::NONE);
        }
        for left in (20..all).rev() {
            assert_eq!((prompt.undo(), prompt.text()), (Edit::Changed, words(left)));
        }
        assert_eq!((prompt.undo(), prompt.text()), (Edit::Kept, words(20)));
        for count in 21..=all {
            assert_eq!((prompt.redo(), prompt.text()), (Edit::Changed, words(count)));
        }
        assert_eq!(prompt.redo(), Edit::Kept);
        assert_eq!(MAX_VERSIONS, 100);
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
