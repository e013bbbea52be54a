//! Puts the parts of the tab in their places.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::{Paragraph, Wrap};

use super::empty_state::SMALL_WIDTH;
use super::exchange::Shown;
use super::experts::{CellDetail, Totals, Weights};
use super::map::{Axis, Map};
use super::marks::{ExpertMarks, OTHERS};
use super::paint::{framed, put, quoted_width};
use super::state::{Focus, RoutingScreen};
use super::{empty_state, status};
use crate::text::printable;
use crate::tui::text_width::{flow, truncate, width};
use crate::tui::{Shared, Theme};

const SMALL_HEIGHT: u16 = 14;

/// From here on prompt and answer stand side by side.
const WIDE: u16 = 72;

/// The narrowest useful list of shares.
const MIN_SHARES: u16 = 30;

/// Draws the tab.
pub fn draw(screen: &RoutingScreen, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let small = area.width < SMALL_WIDTH || area.height < SMALL_HEIGHT;
    let boxes = if small { small_boxes(screen, area) } else { framed_boxes(screen, area) };
    let error_rows = screen.exchange.error.as_ref().map_or(0, |error| {
        let rows = (width(error) + 4).div_ceil(usize::from(area.width));
        rows.min(4).min(usize::from(area.height) / 2) as u16
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
    if let Some(text) = &screen.exchange.error {
        let text = format!(" ✗ {}", printable(text));
        frame.render_widget(Paragraph::new(text).style(theme.error()).wrap(Wrap { trim: true }), error);
    }
    match &screen.exchange.shown {
        Some(shown) => draw_routing(screen, shown, frame, body, shared, theme),
        None => empty_state::draw(screen, frame, body, shared, theme),
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
    let prompt = screen.question.prompt.rows(area.width.saturating_sub(2)).min(most) as u16;
    let answer = u16::from(screen.exchange.answer.is_some() && area.height > 4);
    Boxes {
        height: prompt + answer,
        prompt: Constraint::Length(prompt),
        answer: Constraint::Length(answer),
        beside: false,
    }
}

fn framed_boxes(screen: &RoutingScreen, area: Rect) -> Boxes {
    let beside = screen.exchange.answer.is_some() && area.width >= WIDE;
    let inner = |cells: u16| cells.saturating_sub(4);
    let prompt_width = inner(if beside { area.width / 2 } else { area.width });
    let most = usize::from(area.height / 6).max(1);
    let prompt = screen.question.prompt.rows(prompt_width).min(most) as u16;
    let Some(answer) = &screen.exchange.answer else {
        return Boxes {
            height: prompt + 2,
            prompt: Constraint::Min(0),
            answer: Constraint::Length(0),
            beside,
        };
    };
    let answer_width = if beside { inner(area.width - area.width / 2) } else { inner(area.width) };
    let answer = answer.rows(answer_width, most);
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
        match &screen.exchange.answer {
            Some(text) if small => text.draw_small(frame, answer, &screen.exchange.asked, theme),
            Some(text) => text.draw(frame, answer, &screen.exchange.asked, shared.tick, theme),
            None => {}
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
    if screen.question.prompt.is_blank() && !focused {
        put(frame.buffer_mut(), inner, 0, 0, "i to type a prompt, n for an example", theme.dim());
        return;
    }
    screen.question.prompt.draw(frame, inner);
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
    let (token, column) = (screen.map.token_in(shown), screen.map.column_in(shown));
    let faded = screen.exchange.is_faded(shared);
    let columns = shown.digest.columns.len();
    let tokens = shown.trace.tokens.iter().map(|t| quoted_width(&t.text));
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
    let (trace, digest, expert) = (shown.trace.as_ref(), &shown.digest, screen.map.expert);
    let marks = &screen.marks;
    Map { trace, digest, token, column, expert, faded, marks }.draw(buf, top, &axis, theme);
    let chosen = screen.map.expert_in(shown);
    if grid_height > 0 {
        Weights { trace, digest, token, column, expert: chosen, faded, marks }
            .draw(buf, bottom, &axis, theme);
    }
    if shares == 0 {
        return;
    }
    let right =
        Rect { x: left.right() + 2, width: (area.width.saturating_sub(left.width + 2)).min(72), ..area };
    let cell_rows = digest.columns.get(column).map_or(0, |c| c.modules.len()).min(6) as u16;
    let cell_height = if area.height >= 12 && cell_rows > 0 { cell_rows + 1 } else { 0 };
    let signs = if area.height >= 16 { legend(shown, marks) } else { Vec::new() };
    let legend = flow(&signs, usize::from(right.width));
    let below = cell_height + legend.len() as u16 + if legend.is_empty() { 0 } else { 2 };
    let shares_height = (experts as u16).saturating_add(1).min(area.height.saturating_sub(below));
    let spacing = u16::from(area.height > shares_height + cell_height);
    let [top, bottom, rest] = Layout::vertical([
        Constraint::Length(shares_height),
        Constraint::Length(cell_height),
        Constraint::Min(0),
    ])
    .spacing(i32::from(spacing))
    .areas(right);
    let totals = Totals { trace, digest, muted: screen.question.muted(), expert: chosen, faded, marks };
    totals.draw(buf, top, theme);
    if experts == 0 {
        put(buf, top, 0, 1, &truncate("no experts in this router", usize::from(top.width)), theme.dim());
    }
    CellDetail { trace, digest, token, column, faded, marks }.draw(buf, bottom, theme);
    for (y, line) in legend.into_iter().enumerate() {
        put(buf, rest, 0, y as u16, &line, theme.dim());
    }
}

/// What the signs on the map mean that are no letters, as far as there are any.
fn legend(shown: &Shown, marks: &ExpertMarks) -> Vec<String> {
    let unlettered = |name: &String| marks.of(name).letter == OTHERS;
    let signs = [
        shown.digest.ties.then(|| "= all the same".to_string()),
        shown.trace.experts.iter().any(unlettered).then(|| format!("{OTHERS} an expert with less weight")),
        shown
            .trace
            .tokens
            .iter()
            .any(|token| token.text.is_empty())
            .then(|| "∅ a part of a character".into()),
        (shown.digest.generated > 0).then(|| "+ the answer".into()),
    ];
    signs.into_iter().flatten().collect()
}
