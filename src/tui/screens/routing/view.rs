//! Puts the parts of the tab in their places.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, BorderType, Gauge, Paragraph, Wrap};

use super::experts::{self, Totals, Weights};
use super::map::{Axis, Map};
use super::paint::{put, token_text};
use super::{Answer, Focus, RoutingScreen, Shown, status};
use crate::text::printable;
use crate::tui::fit::{truncate, width};
use crate::tui::{EngineState, Shared, Theme};

/// Below this there are no frames around the boxes.
const SMALL_WIDTH: u16 = 48;
const SMALL_HEIGHT: u16 = 14;

/// From here on prompt and answer stand side by side.
const WIDE: u16 = 72;

/// The narrowest useful list of shares.
const MIN_SHARES: u16 = 30;

/// Ticks (tenths of a second) until an old picture fades.
const PATIENCE: u64 = 4;

/// Draws the tab.
pub fn draw(screen: &RoutingScreen, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let small = area.width < SMALL_WIDTH || area.height < SMALL_HEIGHT;
    let boxes = if small { small_boxes(screen, area) } else { framed_boxes(screen, area) };
    let error_rows = screen.error.as_ref().map_or(0, |error| {
        let rows = (width(error) + 4).div_ceil(usize::from(area.width));
        rows.min(3).min(usize::from(area.height) / 3) as u16
    });
    let [top, line, error, body] = Layout::vertical([
        Constraint::Length(boxes.height),
        Constraint::Length(u16::from(area.height > boxes.height + 1)),
        Constraint::Length(error_rows),
        Constraint::Min(0),
    ])
    .areas(area);
    boxes.draw(screen, frame, top, small, shared, theme);
    frame.render_widget(status::line(screen, shared, theme, line.width), line);
    if let Some(text) = &screen.error {
        let text = format!(" ✗ {}", printable(text));
        frame.render_widget(Paragraph::new(text).style(theme.error()).wrap(Wrap { trim: true }), error);
    }
    match &screen.shown {
        Some(shown) => draw_routing(screen, shown, frame, body, shared, theme),
        None => draw_panel(screen, frame, body, shared, theme),
    }
}

/// How prompt and answer share the top.
struct Boxes {
    height: u16,
    prompt: Constraint,
    answer: Constraint,
    beside: bool,
}

fn small_boxes(screen: &RoutingScreen, area: Rect) -> Boxes {
    let most = usize::from(area.height / 4).max(1);
    let prompt = screen.prompt.rows(area.width.saturating_sub(2)).min(most) as u16;
    let answer = u16::from(screen.answer.is_some() && area.height > 4);
    Boxes {
        height: prompt + answer,
        prompt: Constraint::Length(prompt),
        answer: Constraint::Length(answer),
        beside: false,
    }
}

fn framed_boxes(screen: &RoutingScreen, area: Rect) -> Boxes {
    let beside = screen.answer.is_some() && area.width >= WIDE;
    let inner = |cells: u16| cells.saturating_sub(4);
    let prompt_width = inner(if beside { area.width / 2 } else { area.width });
    let most = usize::from(area.height / 6).max(1);
    let prompt = screen.prompt.rows(prompt_width).min(most) as u16;
    let Some(answer) = &screen.answer else {
        return Boxes {
            height: prompt + 2,
            prompt: Constraint::Min(0),
            answer: Constraint::Length(0),
            beside,
        };
    };
    let answer_width = if beside { inner(area.width - area.width / 2) } else { inner(area.width) };
    let answer = wrap_tail(&answer.text, usize::from(answer_width), most).len().max(1) as u16;
    if beside {
        let halves = (Constraint::Length(area.width / 2), Constraint::Min(0));
        return Boxes { height: prompt.max(answer) + 2, prompt: halves.0, answer: halves.1, beside };
    }
    Boxes {
        height: prompt + answer + 4,
        prompt: Constraint::Length(prompt + 2),
        answer: Constraint::Length(answer + 2),
        beside,
    }
}

impl Boxes {
    fn draw(
        &self,
        screen: &RoutingScreen,
        frame: &mut Frame,
        area: Rect,
        small: bool,
        shared: &Shared,
        theme: &Theme,
    ) {
        let layout = [self.prompt, self.answer];
        let [prompt, answer] = if self.beside {
            Layout::horizontal(layout).areas(area)
        } else {
            Layout::vertical(layout).areas(area)
        };
        draw_prompt(screen, frame, prompt, small, theme);
        if let Some(text) = &screen.answer {
            draw_answer(text, frame, answer, small, shared, theme);
        }
    }
}

fn draw_prompt(screen: &RoutingScreen, frame: &mut Frame, area: Rect, small: bool, theme: &Theme) {
    let focused = screen.focus == Focus::Prompt;
    let inner = if small {
        put(frame.buffer_mut(), area, 0, 0, "› ", if focused { theme.accent() } else { theme.dim() });
        Rect { x: area.x + 2.min(area.width), width: area.width.saturating_sub(2), ..area }
    } else {
        framed(frame, area, " prompt ", focused, theme)
    };
    if screen.prompt.is_blank() && !focused {
        put(frame.buffer_mut(), inner, 0, 0, "i to type a prompt, n for an example", theme.dim());
        return;
    }
    if !inner.is_empty() {
        frame.render_widget(screen.prompt.widget(), inner);
    }
}

fn draw_answer(answer: &Answer, frame: &mut Frame, area: Rect, small: bool, shared: &Shared, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    if small {
        let room = usize::from(area.width).saturating_sub(2);
        let line = wrap_tail(&one_line(&answer.text), room, 1).pop().unwrap_or_default();
        put(frame.buffer_mut(), area, 0, 0, "‹ ", theme.ok());
        put(frame.buffer_mut(), area, 2, 0, &line, theme.text());
        return;
    }
    let title = if let Some(note) = answer.note {
        format!(" answer · {note} ")
    } else if answer.done {
        " answer ".to_string()
    } else {
        format!(" answer {} ", crate::tui::fit::spinner(shared.tick))
    };
    let inner = framed(frame, area, &title, false, theme);
    let lines = wrap_tail(&answer.text, usize::from(inner.width), usize::from(inner.height));
    if lines.is_empty() && answer.done && answer.note.is_none() {
        put(frame.buffer_mut(), inner, 0, 0, "(nothing: the model ended at once)", theme.dim());
    }
    let text: Vec<Line> = lines.into_iter().map(|line| Line::styled(line, theme.text())).collect();
    frame.render_widget(Paragraph::new(Text::from(text)), inner);
}

/// A frame with a blank cell inside its sides; returns what is inside.
fn framed(frame: &mut Frame, area: Rect, title: &str, focused: bool, theme: &Theme) -> Rect {
    let border = if focused { theme.border_focused() } else { theme.border() };
    let title_style = if focused { theme.accent() } else { theme.header() };
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(border)
        .title(Span::styled(title.to_string(), title_style));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    Rect { x: inner.x + 1.min(inner.width), width: inner.width.saturating_sub(2), ..inner }
}

fn one_line(text: &str) -> String {
    text.replace('\n', "⏎")
}

/// The last `rows` rows of untrusted text at a width, broken between characters, line breaks kept.
fn wrap_tail(text: &str, cells: usize, rows: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthChar;
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

fn draw_panel(screen: &RoutingScreen, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
    let side = if area.width >= SMALL_WIDTH { 2 } else { 0 };
    let top = u16::from(area.height >= SMALL_HEIGHT);
    let mut inner = Rect {
        x: area.x + side,
        y: area.y + top,
        width: area.width.saturating_sub(2 * side).min(110),
        height: area.height.saturating_sub(top),
    };
    if let EngineState::Fetching { done, total, .. } = &shared.engine
        && inner.height > 2
    {
        draw_download(frame, Rect { y: inner.y + 1, height: 1, ..inner }, *done, *total, theme);
        let lines = status::panel(screen, shared, theme);
        let (first, rest) = lines.split_at(1.min(lines.len()));
        frame.render_widget(Text::from(first.to_vec()), Rect { height: 1, ..inner });
        inner = Rect { y: inner.y + 2, height: inner.height - 2, ..inner };
        let rest = Paragraph::new(Text::from(rest.to_vec())).wrap(Wrap { trim: false });
        frame.render_widget(rest, inner);
        return;
    }
    let text = Text::from(status::panel(screen, shared, theme));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), inner);
}

fn draw_download(frame: &mut Frame, area: Rect, done: u64, total: Option<u64>, theme: &Theme) {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    match total.filter(|&t| t > 0) {
        Some(total) => {
            // Not full before it is over: checking the file comes after the last byte.
            let ratio = (done as f64 / total as f64).clamp(0.0, 0.99);
            let label = format!("{:.0} of {:.0} MB", megabytes(done), megabytes(total));
            let gauge = Gauge::default().ratio(ratio).label(label).gauge_style(theme.border_focused());
            frame.render_widget(gauge, Rect { width: area.width.min(60), ..area });
        }
        None => {
            put(frame.buffer_mut(), area, 0, 0, &format!("{:.1} MB", megabytes(done)), theme.text());
        }
    }
}

fn draw_routing(
    screen: &RoutingScreen,
    shown: &Shown,
    frame: &mut Frame,
    area: Rect,
    shared: &Shared,
    theme: &Theme,
) {
    if area.is_empty() {
        return;
    }
    let (token, column) = (screen.token_cursor(), screen.column_cursor());
    // Quick answers replace the picture without a flicker; slow ones let it fade first.
    let waited = screen.pending.is_none_or(|p| shared.tick.wrapping_sub(p.since) >= PATIENCE);
    let faded = screen.is_stale() && waited;
    let columns = shown.digest.columns.len();
    let tokens = shown.trace.tokens.iter().map(|t| width(&token_text(&t.text)));
    let names = shown.trace.experts.iter().map(|name| width(name) + 2);
    let longest = tokens.chain(names).max().unwrap_or(0);
    let shares = if area.width >= MIN_SHARES + 42 { MIN_SHARES } else { 0 };
    let axis = Axis::fit(area.width.saturating_sub(shares + u16::from(shares > 0)), columns, longest, column);
    // What the layers leave goes to the shares.
    let left_width = if shares == 0 { area.width } else { axis.width() };
    let left = Rect { width: left_width.min(area.width), ..area };
    let experts = shown.trace.experts.len();
    let grid_rows = if area.height < 10 { 0 } else { experts.min(usize::from(area.height) * 2 / 5) as u16 };
    let grid_height = if grid_rows == 0 { 0 } else { grid_rows + 1 };
    let [top, bottom] = Layout::vertical([Constraint::Min(0), Constraint::Length(grid_height)]).areas(left);
    let buf = frame.buffer_mut();
    let (trace, digest, expert) = (shown.trace.as_ref(), &shown.digest, screen.expert);
    let letters = &*shared.letters.with(&trace.experts);
    Map { trace, digest, token, column, expert, faded, letters }.draw(buf, top, &axis, theme);
    let chosen = screen.expert_cursor();
    if grid_height > 0 {
        Weights { trace, digest, token, column, expert: chosen, faded, letters }
            .draw(buf, bottom, &axis, theme);
    }
    if shares == 0 {
        return;
    }
    let right =
        Rect { x: left.right() + 2, width: (area.width.saturating_sub(left.width + 2)).min(72), ..area };
    let cell_rows = digest.columns.get(column).map_or(0, |c| c.modules.len()).min(6) as u16;
    let cell_height = if area.height >= 12 && cell_rows > 0 { cell_rows + 1 } else { 0 };
    let shares_height = (experts as u16 + 1).min(area.height - cell_height);
    let [top, bottom] =
        Layout::vertical([Constraint::Length(shares_height), Constraint::Length(cell_height)])
            .spacing(i32::from(area.height > shares_height + cell_height))
            .areas(right);
    let totals = Totals { trace, digest, muted: &screen.router.muted, expert: chosen, faded, letters };
    totals.draw(buf, top, theme);
    if experts == 0 {
        put(buf, top, 0, 1, &truncate("no experts in this router", usize::from(top.width)), theme.dim());
    }
    experts::draw_cell(buf, bottom, trace, digest, letters, (token, column), theme);
}
