//! What surrounds the tabs: tab bar, notice line, footer and key help.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph, Wrap};

use super::app::App;
use super::format::{self, spinner};
use super::global_keys::{GLOBAL, Global};
use super::screens::{self, TABS};
use super::text_width::{self, truncate_start, width};
use super::theme::CARET;
use super::widgets::centered;
use super::{EngineState, KeyHint, Theme};
use crate::text::{counted, printable};

/// Behind the key that shows what a notice speaks of.
const LEADS: &str = " shows it";

/// Cells that are kept for what stands at the right of the tab bar, where there is room.
const STATUS: usize = 14;

impl App {
    /// Draws everything.
    pub fn view(&self, frame: &mut Frame, theme: &Theme) {
        let area = frame.area();
        if area.is_empty() {
            return;
        }
        let top = u16::from(area.height >= 3);
        let bottom = u16::from(area.height >= 2);
        let notice = self.notice_height(area);
        let [bar, body, line, footer] = Layout::vertical([
            Constraint::Length(top),
            Constraint::Min(0),
            Constraint::Length(notice),
            Constraint::Length(bottom),
        ])
        .areas(area);
        self.draw_bar(frame, bar, theme);
        self.screen().view(frame, body, self.shared(), theme);
        if let Some(form) = &self.form {
            form.view(frame, body, self.shared(), theme);
        }
        self.draw_notice(frame, line, theme);
        self.draw_footer(frame, footer, theme);
        if let Some(offset) = self.help {
            self.draw_help(frame, area, offset, theme);
        }
        if let Some(caret) = take_caret(frame.buffer_mut())
            && self.help.is_none()
        {
            frame.set_cursor_position(caret);
        }
    }

    /// Rows that the notice needs: up to three, never more than a third of the screen.
    fn notice_height(&self, area: Rect) -> u16 {
        let Some(notice) = &self.notice else { return 0 };
        if area.height < 3 {
            return 0;
        }
        // Word wrap can waste up to a word a row: one row of reserve.
        let leads = if self.notice_leads() { width(LEADS) + 8 } else { 0 };
        let cells = width(&notice.text) + 2 + leads;
        let rows = cells.div_ceil(usize::from(area.width).max(1));
        let reserve = usize::from(rows > 1);
        (rows + reserve).min(usize::from(area.height) / 3).clamp(1, 4) as u16
    }

    /// Whether Enter shows what the notice speaks of now.
    fn notice_leads(&self) -> bool {
        !self.captures_text() && self.notice.as_ref().is_some_and(|notice| !notice.shows.is_empty())
    }

    fn draw_notice(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let Some(notice) = &self.notice else { return };
        let (glyph, style) = if notice.is_error { ("✗ ", theme.error()) } else { ("● ", theme.ok()) };
        let mut line =
            Line::from(vec![Span::styled(glyph, style), Span::styled(notice.text.as_str(), style)]);
        if self.notice_leads() {
            let keys =
                [Span::styled(" · ", style), Span::styled("Enter", theme.key()), Span::styled(LEADS, style)];
            line.spans.extend(keys);
        }
        frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: true }), area);
    }

    fn draw_bar(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let room = usize::from(area.width);
        let full: usize = self.tab_labels().map(|label| width(&label) + 4).sum();
        // What stands at the right needs some room, too: gaps go first.
        let gap = if full + TABS.len() + STATUS <= room { " " } else { "" };
        let mut spans = Vec::new();
        for (i, label) in self.tab_labels().enumerate() {
            let active = i == screens::index(self.tab);
            let (number, name) = match active {
                true => (theme.selection(), theme.selection()),
                false => (theme.dim(), theme.text()),
            };
            // Too narrow for all names: only the active tab keeps its name.
            let label = if full <= room || active { label } else { String::new() };
            spans.push(Span::styled(format!(" {}", i + 1), number));
            spans.push(Span::styled(if label.is_empty() { " ".into() } else { format!(" {label} ") }, name));
            spans.push(Span::raw(gap));
        }
        let line = Line::from(spans);
        let used = line.width();
        frame.render_widget(Paragraph::new(line), area);
        if let Some((text, style)) = self.bar_status(room.saturating_sub(used + 1), theme) {
            let cells = width(&text) as u16;
            let place = Rect { x: area.right().saturating_sub(cells), width: cells.min(area.width), ..area };
            frame.render_widget(Paragraph::new(Span::styled(text, style)), place);
        }
    }

    /// The tabs' titles, each with what its screen puts behind it.
    fn tab_labels(&self) -> impl Iterator<Item = String> {
        self.screens.iter().zip(TABS).map(|(screen, spec)| match screen.badge(self.shared()) {
            Some(badge) => format!("{} {badge}", spec.tab.title()),
            None => spec.tab.title().to_string(),
        })
    }

    /// What stands at the right of the tab bar, in at most `room` cells.
    fn bar_status(&self, room: usize, theme: &Theme) -> Option<(String, Style)> {
        if room < 8 {
            return None;
        }
        let shared = self.shared();
        let spin = spinner(shared.tick);
        match &shared.engine {
            EngineState::Fetching(progress) => {
                let amount = match progress.total {
                    Some(total) if total > 0 => {
                        format!(" {}", format::progress(progress.done as f64 / total as f64))
                    }
                    _ if progress.done > 0 => format!(" {}B", format::count(progress.done)),
                    _ => String::new(),
                };
                let phase = progress.phase.name();
                let shortest =
                    if amount.is_empty() { format!("{spin} {phase}") } else { format!("{spin}{amount}") };
                let short = format!("{spin} {phase}{amount}");
                let long = format!("{short}: {}", progress.source);
                return Some((whole([long, short, shortest], room)?, theme.accent()));
            }
            EngineState::Loading { stage } => {
                let verb = stage.split_whitespace().next().unwrap_or_default();
                return Some((
                    whole([format!("{spin} {stage}"), format!("{spin} {verb}")], room)?,
                    theme.accent(),
                ));
            }
            EngineState::Unloaded
            | EngineState::Missing { .. }
            | EngineState::Ready { .. }
            | EngineState::Failed { .. } => {}
        }
        let name = shared
            .library
            .as_ref()
            .and_then(|library| library.manifest.name.clone())
            .unwrap_or_else(|| shared.root.display().to_string());
        let text = match &shared.library {
            Some(library) => {
                let read_only = if library.read_only.is_some() { " · read-only" } else { "" };
                let all = format!("{}{read_only}", counted(library.experts.len(), "expert"));
                let count = match self.screen().count(shared) {
                    Some((count, what)) => {
                        let short = if read_only.is_empty() { count.clone() } else { "read-only".into() };
                        whole([format!("{count} {what}{read_only}"), short], room)?
                    }
                    None => whole([all, read_only.trim_start_matches([' ', '·']).into()], room)?,
                };
                // A name cut to a few letters says nothing.
                let left = room.saturating_sub(width(&count) + 3);
                if left < width(&name).min(12) {
                    count
                } else {
                    format!("{} · {count}", truncate_start(&name, left))
                }
            }
            None if shared.library_error.is_some() => truncate_start(&name, room),
            None => format!("{spin} {}", truncate_start(&name, room - 2)),
        };
        Some((text, theme.dim()))
    }

    fn draw_footer(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let room = usize::from(area.width);
        let capturing = self.captures_text();
        let mut keys: Vec<KeyHint> = self.hints().into_iter().filter(|hint| !hint.short.is_empty()).collect();
        let global = |action| if capturing { None } else { GLOBAL.hint_of(action) };
        keys.extend(global(Global::ShowTab));
        // The way out and the way to all other keys are always there.
        let last: Vec<KeyHint> = [Global::Quit, Global::Help].into_iter().filter_map(global).collect();
        let reserved = last.iter().map(cells).sum::<usize>();
        let mut spans = Vec::new();
        let mut used = 0;
        for binding in &keys {
            if used + cells(binding) + reserved > room {
                break;
            }
            used += cells(binding);
            spans.extend(key_spans(binding, theme));
        }
        for binding in &last {
            spans.extend(key_spans(binding, theme));
        }
        frame.render_widget(Paragraph::new(Line::from(spans)), area);
    }

    fn draw_help(&self, frame: &mut Frame, area: Rect, offset: u16, theme: &Theme) {
        // All keys of the tab, also those that do nothing at the moment: these are dim.
        let now = self.hints();
        let mut sections = (TABS[screens::index(self.tab)].keys)();
        sections.push(GLOBAL.section());
        let all = || sections.iter().flat_map(|section| &section.hints);
        let column =
            all().map(|hint| width(&hint.keys)).max().unwrap_or(0).min(usize::from(area.width) / 3) + 2;
        let room = usize::from(area.width).saturating_sub(column + 6);
        let mut lines = Vec::new();
        for section in &sections {
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            lines.push(Line::styled(format!(" {}", section.title), theme.header()));
            for hint in &section.hints {
                let works = section.title == GLOBAL.title || now.contains(hint);
                let (key, text) =
                    if works { (theme.key(), theme.text()) } else { (theme.dim(), theme.dim()) };
                let keys = text_width::wrap(&hint.keys, column - 1);
                let help = text_width::wrap(&hint.help, room);
                for at in 0..keys.len().max(help.len()) {
                    let keys = keys.get(at).map_or("", String::as_str);
                    lines.push(Line::from(vec![
                        Span::raw("  "),
                        Span::styled(text_width::left(keys, column), key),
                        Span::styled(help.get(at).cloned().unwrap_or_default(), text),
                    ]));
                }
            }
        }
        let inner = lines.iter().map(Line::width).max().unwrap_or(0) + 2;
        let popup = centered(area, inner as u16 + 2, lines.len() as u16 + 2);
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(theme.border_focused())
            .title(Span::styled(" Keys ", theme.accent()))
            .title_bottom(Line::styled(" any other key closes ", theme.dim()).right_aligned());
        let most = (lines.len() as u16).saturating_sub(popup.height.saturating_sub(2));
        frame.render_widget(Clear, popup);
        frame.render_widget(Paragraph::new(lines).block(block).scroll((offset.min(most), 0)), popup);
    }
}

/// Where the caret was drawn, and no mark of it left.
fn take_caret(buffer: &mut Buffer) -> Option<Position> {
    let mut at = None;
    for (i, cell) in buffer.content.iter_mut().enumerate() {
        if cell.modifier.contains(CARET) {
            cell.modifier.remove(CARET);
            at = Some(i);
        }
    }
    at.map(|i| buffer.pos_of(i).into())
}

/// The first of `texts`, the longest first, that fits `room` cells; never a part of one.
fn whole<const N: usize>(texts: [String; N], room: usize) -> Option<String> {
    texts.into_iter().map(|text| printable(&text).into_owned()).find(|text| width(text) <= room)
}

fn cells(binding: &KeyHint) -> usize {
    width(&binding.keys) + width(binding.short) + 3
}

fn key_spans(binding: &KeyHint, theme: &Theme) -> [Span<'static>; 3] {
    [
        Span::styled(binding.keys.clone(), theme.key()),
        Span::raw(" "),
        Span::styled(format!("{}  ", binding.short), theme.dim()),
    ]
}
