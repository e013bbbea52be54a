//! The prompts that were tried: stepping through them in the box, and a list to find one in.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{heading, put, tint};
use crate::text::printable;
use crate::tui::text_width::truncate;
use crate::tui::widgets::below;
use crate::tui::{List, TextField, Theme};

/// Prompts that are shown without being asked for, at most.
const RECENT: usize = 12;

/// What was tried, the newest first.
#[derive(Debug, Default)]
pub struct History {
    entries: Vec<String>,
    /// The one that is in the box.
    at: Option<usize>,
    /// What stood in the box before the first step.
    draft: String,
    /// The list, while it is open: what is looked for and where the cursor is.
    pub finding: Option<(TextField, List)>,
}

impl History {
    /// Takes what was tried.
    pub fn take(&mut self, entries: &[String]) {
        let now = self.at.and_then(|at| self.entries.get(at)).cloned();
        self.entries = entries.to_vec();
        self.at = now.and_then(|now| self.entries.iter().position(|entry| *entry == now));
    }

    /// Whether anything was tried.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A prompt is tried: it is the newest. False where it was that before.
    pub fn remember(&mut self, prompt: &str) -> bool {
        self.at = None;
        if prompt.trim().is_empty() || self.entries.first().is_some_and(|newest| newest == prompt) {
            return false;
        }
        self.entries.retain(|entry| entry != prompt);
        self.entries.insert(0, prompt.to_string());
        true
    }

    /// The next older prompt, or the next newer one, for a box that holds `now`; at last what stood there before.
    pub fn step(&mut self, older: bool, now: &str) -> Option<String> {
        // What was changed since is what one comes back to.
        if self.at.and_then(|at| self.entries.get(at)).is_none_or(|entry| entry != now) {
            self.at = None;
            self.draft = now.to_string();
        }
        if older {
            let mut next = self.at.map_or(0, |at| at + 1);
            // The newest may be what stands there.
            while self.entries.get(next).is_some_and(|entry| entry == now) {
                next += 1;
            }
            let entry = self.entries.get(next)?.clone();
            self.at = Some(next);
            return Some(entry);
        }
        let at = self.at?;
        self.at = at.checked_sub(1);
        Some(self.at.and_then(|at| self.entries.get(at)).unwrap_or(&self.draft).clone())
    }

    /// Opens the list.
    pub fn find(&mut self) {
        self.finding = Some((TextField::default(), List::default()));
    }

    /// The prompts that have all words of what is looked for.
    pub fn found(&self) -> Vec<&str> {
        let text = self.finding.as_ref().map_or(String::new(), |(field, _)| field.text().to_lowercase());
        let words: Vec<&str> = text.split_whitespace().collect();
        let has = |entry: &&String| {
            let entry = entry.to_lowercase();
            words.iter().all(|word| entry.contains(word))
        };
        self.entries.iter().filter(has).map(String::as_str).collect()
    }

    /// Closes the list; what its cursor is on.
    pub fn choose(&mut self) -> Option<String> {
        let chosen = self.finding.as_ref().map(|(_, list)| list.cursor());
        let found = chosen.and_then(|at| self.found().get(at).map(|entry| entry.to_string()));
        self.finding = None;
        found
    }

    /// What there is to come back to: the prompts that were tried or, before one was, `examples`; with a heading.
    fn recent<'a>(&'a self, examples: &'a [String]) -> (&'static str, &'static str, &'a [String]) {
        match self.entries.is_empty() {
            true => ("prompts to try", "n fills one in", examples),
            false => ("prompts tried", "Ctrl-R finds", &self.entries),
        }
    }

    /// Rows that the newest of them take.
    pub fn recent_rows(&self, examples: &[String]) -> usize {
        1 + self.recent(examples).2.len().min(RECENT)
    }

    /// Draws the newest of them, a line each, `now` marked where it is among them.
    pub fn draw_recent(&self, buf: &mut Buffer, area: Rect, examples: &[String], now: &str, theme: &Theme) {
        let (title, note, entries) = self.recent(examples);
        heading(buf, area, 0, title, note, theme);
        let rows = usize::from(area.height.saturating_sub(1));
        for (y, entry) in entries.iter().take(rows).enumerate() {
            let here = entry == now;
            put(buf, area, 0, y as u16 + 1, if here { "›" } else { " " }, theme.accent());
            let text = truncate(&shown(entry), usize::from(area.width).saturating_sub(1));
            put(buf, area, 1, y as u16 + 1, &text, if here { theme.text() } else { theme.dim() });
        }
    }

    /// Draws the list.
    pub fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let Some((field, list)) = &self.finding else { return };
        let found = self.found();
        let note = format!("{} of {}", found.len(), self.entries.len());
        heading(frame.buffer_mut(), area, 0, "prompts tried", &note, theme);
        let line = below(area, 1);
        let used = put(frame.buffer_mut(), line, 0, 0, " find: ", theme.dim());
        let place = Rect {
            x: line.x + used,
            width: line.width.saturating_sub(used),
            height: line.height.min(1),
            ..line
        };
        frame.render_widget(field.line(usize::from(place.width), true, theme), place);
        let rows = below(area, 2);
        let buf = frame.buffer_mut();
        if found.is_empty() {
            put(buf, rows, 1, 0, "nothing like that was tried; Esc goes back", theme.dim());
        }
        let room = usize::from(rows.width).saturating_sub(2);
        for (y, at) in list.window(found.len(), usize::from(rows.height)).enumerate() {
            let chosen = at == list.cursor();
            put(buf, rows, 0, y as u16, if chosen { "›" } else { " " }, theme.accent());
            put(buf, rows, 1, y as u16, &truncate(&shown(found[at]), room), theme.text());
            if chosen {
                tint(buf, rows, 1, y as u16, rows.width.saturating_sub(1), theme.selection());
            }
        }
    }
}

/// A prompt in one line.
fn shown(prompt: &str) -> String {
    printable(&prompt.trim().replace('\n', "⏎")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_to_older_prompts_and_back_to_what_was_being_written() {
        let mut history = History::default();
        assert_eq!(history.step(true, "draft"), None);
        for prompt in ["one", "two", "three", "three", " "] {
            history.remember(prompt);
        }
        assert_eq!(history.step(true, "draft").as_deref(), Some("three"));
        assert_eq!(history.step(true, "three").as_deref(), Some("two"));
        assert_eq!(history.step(false, "two").as_deref(), Some("three"));
        assert_eq!(history.step(false, "three").as_deref(), Some("draft"));
        assert_eq!(history.step(false, "draft"), None);
        // What was changed on the way is kept.
        history.step(true, "draft");
        assert_eq!(history.step(true, "three!").as_deref(), Some("three"));
        assert_eq!(history.step(false, "three").as_deref(), Some("three!"));
        // The newest is passed over where it is in the box already.
        assert_eq!(history.step(true, "three").as_deref(), Some("two"));
    }

    #[test]
    fn a_prompt_is_found_by_its_words() {
        let mut history = History::default();
        history.take(&["Plural of fox?".into(), "Sum 1 2".into(), "Plural of ox?".into()]);
        history.find();
        history.finding.as_mut().unwrap().0.insert("ox plu");
        assert_eq!(history.found(), ["Plural of fox?", "Plural of ox?"]);
        history.finding.as_mut().unwrap().1.go(crate::tui::keymap::Motion::Down, 2);
        assert_eq!(history.choose().as_deref(), Some("Plural of ox?"));
        assert!(history.finding.is_none());
    }
}
