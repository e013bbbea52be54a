//! What the model wrote, and how far it still belongs to what is on the screen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthChar;

use super::paint::{framed, put};
use super::question::Asked;
use crate::text::printable;
use crate::tui::Theme;
use crate::tui::format::spinner;
use crate::tui::text_width::width;

/// Tokens that an answer has at most.
pub const MAX_NEW_TOKENS: usize = 128;

/// Fewer cells of text say nothing.
const LEAST_TEXT: usize = 8;

/// A text by the model, perhaps still growing.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Untrusted.
    pub text: String,
    pub done: bool,
    /// A person, a newer request or an error ended it.
    pub stopped: bool,
    /// As long as answers get here: the model would have gone on.
    pub full: bool,
    /// The library was read again since.
    pub experts_changed: bool,
    asked: Asked,
}

impl Answer {
    /// An answer that begins now.
    pub fn new(asked: Asked) -> Self {
        Self { text: String::new(), done: false, stopped: false, full: false, experts_changed: false, asked }
    }

    /// What was asked for it.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Whether there is no word of it yet.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// What was changed since it was asked for, if anything.
    fn earlier(&self, now: &Asked) -> Option<&'static str> {
        if self.asked.prompt != now.prompt {
            Some("prompt")
        } else if self.asked.raw != now.raw {
            Some("template")
        } else if self.asked.router != now.router {
            Some("router")
        } else if self.experts_changed {
            Some("experts")
        } else {
            None
        }
    }

    fn end(&self) -> Option<String> {
        if self.stopped {
            Some("stopped".into())
        } else if self.full {
            Some(format!("cut at {MAX_NEW_TOKENS} tokens"))
        } else {
            None
        }
    }

    /// The frame's title in `room` cells.
    fn title(&self, now: &Asked, tick: u64, room: usize) -> String {
        let what = match self.earlier(now) {
            Some("prompt") => "answer to an earlier prompt".to_string(),
            Some(other) => format!("answer with the earlier {other}"),
            None => "answer".into(),
        };
        match self.end() {
            Some(end) if width(&what) + width(&end) + 5 <= room => format!(" {what} · {end} "),
            Some(end) if self.earlier(now).is_none() => format!(" {end} "),
            _ if self.done => format!(" {what} "),
            _ => format!(" {what} {} ", spinner(tick)),
        }
    }

    /// The same as a few words before the text, where there is no frame.
    fn note(&self, now: &Asked) -> String {
        match (self.earlier(now), self.end()) {
            (Some(what), _) => format!("earlier {what}: "),
            (None, Some(end)) => format!("{end}: "),
            (None, None) => String::new(),
        }
    }

    /// Draws it in a frame, the end of the text where it is too long.
    pub fn draw(&self, frame: &mut Frame, area: Rect, now: &Asked, tick: u64, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let title = self.title(now, tick, usize::from(area.width).saturating_sub(2));
        let inner = framed(frame, area, &title, false, theme);
        let lines = wrap_tail(&self.text, usize::from(inner.width), usize::from(inner.height));
        if lines.is_empty() && self.done {
            let why =
                if self.stopped { "before the first token" } else { "nothing: the model ended at once" };
            put(frame.buffer_mut(), inner, 0, 0, &format!("({why})"), theme.dim());
        }
        let style = if self.earlier(now).is_some() { theme.dim() } else { theme.text() };
        let text: Vec<Line> = lines.into_iter().map(|line| Line::styled(line, style)).collect();
        frame.render_widget(Paragraph::new(Text::from(text)), inner);
    }

    /// Draws it in one line.
    pub fn draw_small(&self, frame: &mut Frame, area: Rect, now: &Asked, theme: &Theme) {
        let buf = frame.buffer_mut();
        put(buf, area, 0, 0, "‹ ", theme.ok());
        let x = 2 + put(buf, area, 2, 0, &self.note(now), theme.warning());
        let room = usize::from(area.width.saturating_sub(x));
        if room < LEAST_TEXT {
            return;
        }
        let line = wrap_tail(&self.text.replace('\n', "⏎"), room, 1).pop().unwrap_or_default();
        let style = if self.earlier(now).is_some() { theme.dim() } else { theme.text() };
        put(buf, area, x, 0, &line, style);
    }

    /// Rows that its text takes at a width, `most` at most.
    pub fn rows(&self, cells: u16, most: usize) -> u16 {
        wrap_tail(&self.text, usize::from(cells), most).len().max(1) as u16
    }
}

/// The last `rows` rows of untrusted text at a width, broken between characters, line breaks kept.
fn wrap_tail(text: &str, cells: usize, rows: usize) -> Vec<String> {
    if cells == 0 || rows == 0 {
        return Vec::new();
    }
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim_end().lines() {
        let line = printable(line);
        let mut row = String::new();
        let mut used = 0;
        for word in line.split_inclusive(' ') {
            if used > 0 && used + width(word.trim_end()) > cells {
                lines.push(std::mem::take(&mut row));
                used = 0;
            }
            for c in word.chars() {
                let w = c.width().unwrap_or(0);
                if used + w > cells {
                    // A blank at the end of a row is not carried over.
                    if c == ' ' {
                        continue;
                    }
                    lines.push(std::mem::take(&mut row));
                    used = 0;
                }
                row.push(c);
                used += w;
            }
        }
        lines.push(row);
    }
    lines.split_off(lines.len().saturating_sub(rows))
}
