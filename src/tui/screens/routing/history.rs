//! The prompts that were tried: stepping through them in the box, and a list to find one in.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{heading, put, tint};
use crate::text::printable;
use crate::tui::text_width::{truncate, width};
use crate::tui::widgets::below;
use crate::tui::{List, TextField, Theme, TriedPrompt};

/// Prompts that are shown without being asked for, at most.
const RECENT: usize = 12;

/// What was tried, the newest first.
#[derive(Debug, Default)]
pub struct History {
    entries: Vec<TriedPrompt>,
    /// The one that is in the box.
    at: Option<usize>,
    /// What stood in the box before the first step.
    draft: String,
    /// The list, while it is open: what is looked for and where the cursor is.
    pub finding: Option<(TextField, List)>,
}

impl History {
    /// Takes what was tried.
    pub fn take(&mut self, entries: &[TriedPrompt]) {
        let now = self.at.and_then(|at| self.entries.get(at)).map(|entry| entry.text.clone());
        self.entries = entries.to_vec();
        self.at = now.and_then(|now| self.entries.iter().position(|entry| entry.text == now));
    }

    /// Whether anything was tried.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a prompt is among those that were tried.
    pub fn has(&self, prompt: &str) -> bool {
        self.entries.iter().any(|entry| entry.text == prompt)
    }

    /// A prompt is tried: it is the newest. False where it was that before.
    pub fn remember(&mut self, prompt: &str) -> bool {
        self.at = None;
        if prompt.trim().is_empty() || self.entries.first().is_some_and(|newest| newest.text == prompt) {
            return false;
        }
        let favourite = self.is_favourite(prompt);
        self.entries.retain(|entry| entry.text != prompt);
        self.entries.insert(0, TriedPrompt { text: prompt.to_string(), favourite });
        true
    }

    /// Whether a prompt is a favourite.
    pub fn is_favourite(&self, prompt: &str) -> bool {
        self.entries.iter().any(|entry| entry.favourite && entry.text == prompt)
    }

    /// Makes a prompt a favourite, or no longer; which of them. One that was not tried is kept all the same.
    pub fn favour(&mut self, prompt: &str) -> bool {
        let favourite = !self.is_favourite(prompt);
        match self.entries.iter_mut().find(|entry| entry.text == prompt) {
            Some(entry) => entry.favourite = favourite,
            None => self.entries.insert(0, TriedPrompt { text: prompt.to_string(), favourite }),
        }
        favourite
    }

    /// The prompt that the cursor of the list is on.
    pub fn under_cursor(&self) -> Option<String> {
        let (_, list) = self.finding.as_ref()?;
        self.found().get(list.cursor()).map(|entry| entry.text.clone())
    }

    /// Puts the cursor of the list on a prompt, where it is there.
    pub fn go_to(&mut self, prompt: &str) {
        let found = self.found();
        let (at, count) = (found.iter().position(|entry| entry.text == prompt), found.len());
        if let (Some(at), Some((_, list))) = (at, &mut self.finding) {
            list.select(at, count);
        }
    }

    /// The next older prompt, or the next newer one, for a box that contains `now`; at last what stood there before.
    pub fn step(&mut self, older: bool, now: &str) -> Option<String> {
        // What was changed since is what one comes back to.
        if self.at.and_then(|at| self.entries.get(at)).is_none_or(|entry| entry.text != now) {
            self.at = None;
            self.draft = now.to_string();
        }
        if older {
            let mut next = self.at.map_or(0, |at| at + 1);
            // The newest may be what stands there.
            while self.entries.get(next).is_some_and(|entry| entry.text == now) {
                next += 1;
            }
            let entry = self.entries.get(next)?.text.clone();
            self.at = Some(next);
            return Some(entry);
        }
        let at = self.at?;
        self.at = at.checked_sub(1);
        Some(self.at.and_then(|at| self.entries.get(at)).map_or(&self.draft, |entry| &entry.text).clone())
    }

    /// Opens the list.
    pub fn find(&mut self) {
        self.finding = Some((TextField::default(), List::default()));
    }

    /// The prompts that have all words of what is looked for, favourites first.
    pub fn found(&self) -> Vec<&TriedPrompt> {
        let text = self.finding.as_ref().map_or(String::new(), |(field, _)| field.text().to_lowercase());
        let words: Vec<&str> = text.split_whitespace().collect();
        let has = |entry: &&TriedPrompt| {
            let entry = entry.text.to_lowercase();
            words.iter().all(|word| entry.contains(word))
        };
        let mut found: Vec<&TriedPrompt> = self.entries.iter().filter(has).collect();
        found.sort_by_key(|entry| !entry.favourite);
        found
    }

    /// Closes the list; what its cursor is on.
    pub fn choose(&mut self) -> Option<String> {
        let found = self.under_cursor();
        self.finding = None;
        found
    }

    /// What there is to come back to: the prompts that were tried, then `examples`; with a heading.
    fn recent<'a>(&'a self, examples: &'a [String]) -> (&'static str, &'static str, Vec<(&'a str, bool)>) {
        let mut tried: Vec<(&str, bool)> =
            self.entries.iter().map(|entry| (entry.text.as_str(), entry.favourite)).collect();
        tried.sort_by_key(|(_, favourite)| !favourite);
        match tried.is_empty() {
            true => {
                let examples = examples.iter().map(|prompt| (prompt.as_str(), false));
                ("prompts to try", "n fills one in", examples.collect())
            }
            false => {
                // Where there is room, what could be tried next.
                let next = examples.iter().map(String::as_str);
                let next = next.filter(|prompt| !self.entries.iter().any(|entry| entry.text == *prompt));
                tried.extend(next.map(|prompt| (prompt, false)));
                ("prompts", "Ctrl-R finds one tried · * keeps it", tried)
            }
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
        let marked = entries.iter().any(|(_, favourite)| *favourite);
        let x = 1 + 2 * u16::from(marked);
        for (y, (entry, favourite)) in entries.into_iter().take(rows).enumerate() {
            let (here, y) = (entry == now, y as u16 + 1);
            put(buf, area, 0, y, if here { "›" } else { " " }, theme.accent());
            put(buf, area, 1, y, if favourite { "*" } else { " " }, theme.warning());
            let text = truncate(&shown(entry), usize::from(area.width.saturating_sub(x)));
            put(buf, area, x, y, &text, if here { theme.text() } else { theme.dim() });
        }
    }

    /// Draws the list; in few rows its heading makes way for a prompt.
    pub fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let Some((field, list)) = &self.finding else { return };
        let found = self.found();
        let note = format!("{} of {}", found.len(), self.entries.len());
        let head = u16::from(area.height > 3);
        let line = below(area, head);
        // How many there are stands in the heading, or behind what is typed.
        let behind = if head > 0 { 0 } else { (width(&note) as u16 + 1).min(line.width / 2) };
        if head > 0 {
            heading(frame.buffer_mut(), area, 0, "prompts tried", &note, theme);
        } else {
            put(
                frame.buffer_mut(),
                line,
                line.width.saturating_sub(behind.saturating_sub(1)),
                0,
                &note,
                theme.dim(),
            );
        }
        let used = put(frame.buffer_mut(), line, 0, 0, " find: ", theme.dim());
        let place = Rect {
            x: line.x + used,
            width: line.width.saturating_sub(used + behind),
            height: line.height.min(1),
            ..line
        };
        frame.render_widget(field.line(usize::from(place.width), true, theme), place);
        let rows = below(line, 1);
        let buf = frame.buffer_mut();
        if found.is_empty() {
            put(buf, rows, 1, 0, "nothing like that was tried; Esc goes back", theme.dim());
        }
        let x = 1 + 2 * u16::from(found.iter().any(|entry| entry.favourite));
        let room = usize::from(rows.width.saturating_sub(x + 1));
        for (y, at) in list.window(found.len(), usize::from(rows.height)).enumerate() {
            let chosen = at == list.cursor();
            put(buf, rows, 0, y as u16, if chosen { "›" } else { " " }, theme.accent());
            put(buf, rows, 1, y as u16, if found[at].favourite { "*" } else { " " }, theme.warning());
            put(buf, rows, x, y as u16, &truncate(&shown(&found[at].text), room), theme.text());
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
        let tried = |text: &str| TriedPrompt { text: text.into(), favourite: false };
        history.take(&["Plural of fox?", "Sum 1 2", "Plural of ox?"].map(tried));
        history.find();
        history.finding.as_mut().unwrap().0.insert("ox plu");
        let texts = |history: &History| -> Vec<String> {
            history.found().iter().map(|entry| entry.text.clone()).collect()
        };
        assert_eq!(texts(&history), ["Plural of fox?", "Plural of ox?"]);
        // A favourite comes first, and the cursor follows it; the order of the steps stays.
        assert!(history.favour("Plural of ox?"));
        history.go_to("Plural of ox?");
        assert_eq!(texts(&history), ["Plural of ox?", "Plural of fox?"]);
        assert_eq!(history.under_cursor().as_deref(), Some("Plural of ox?"));
        assert_eq!(history.step(true, "").as_deref(), Some("Plural of fox?"));
        assert!(!history.favour("Plural of ox?"));
        history.go_to("Plural of fox?");
        history.finding.as_mut().unwrap().1.go(crate::tui::keymap::Motion::Down, 2);
        assert_eq!(history.choose().as_deref(), Some("Plural of ox?"));
        assert!(history.finding.is_none());
    }
}
