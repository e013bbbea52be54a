//! The boxes above the routing: the prompt and the answer.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::answer::Answer;
use super::paint::{framed, put};
use super::state::{Focus, RoutingScreen};
use crate::tui::text_width::width;
use crate::tui::{Shared, Theme};

/// From here on prompt and answer stand side by side.
pub const WIDE: u16 = 72;

/// The answer that has a box of its own: not while answers are compared blindly, among which it is, and none to an
/// earlier prompt where that to the present one stands among those that are compared.
fn boxed(screen: &RoutingScreen) -> Option<&Answer> {
    let now = &screen.exchange.asked;
    let newer =
        || screen.experiment.rows.iter().any(|row| row.asked.is_same_run(now) && !row.text.is_empty());
    let answer = screen.exchange.answer.as_ref().filter(|_| !screen.experiment.hides())?;
    (answer.asked().is_same_prompt(now) || !newer()).then_some(answer)
}

/// How prompt and answer share the top.
pub struct Boxes {
    pub height: u16,
    prompt: Constraint,
    answer: Constraint,
    beside: bool,
}

fn small_boxes(screen: &RoutingScreen, area: Rect) -> Boxes {
    let most = usize::from(area.height / 4).max(1);
    let prompt = screen.question.prompt.rows(area.width.saturating_sub(2)).min(most) as u16;
    let answer = u16::from(boxed(screen).is_some() && area.height > 4);
    Boxes {
        height: prompt + answer,
        prompt: Constraint::Length(prompt),
        answer: Constraint::Length(answer),
        beside: false,
    }
}

fn framed_boxes(screen: &RoutingScreen, area: Rect) -> Boxes {
    let beside = boxed(screen).is_some() && area.width >= WIDE;
    let inner = |cells: u16| cells.saturating_sub(4);
    let prompt_width = inner(if beside { area.width / 2 } else { area.width });
    let most = usize::from(area.height / 6).max(1);
    let prompt = screen.question.prompt.rows(prompt_width).min(most) as u16;
    let Some(answer) = boxed(screen) else {
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
    /// Those of a place, without frames where it is small.
    pub fn of(screen: &RoutingScreen, area: Rect, small: bool) -> Self {
        if small { small_boxes(screen, area) } else { framed_boxes(screen, area) }
    }

    /// Draws them.
    pub fn draw(
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
        match boxed(screen) {
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
        let title = match area.width {
            ..60 => " prompt ",
            _ if focused => " prompt · Ctrl-G editor · Ctrl-R history ",
            _ => " prompt ",
        };
        framed(frame, area, title, focused, theme)
    };
    if screen.question.prompt.is_blank() && !focused {
        let hints = ["i to type a prompt, n for an example", "i to type, n for an example", "i to type"];
        let fits = hints.into_iter().find(|hint| width(hint) <= usize::from(inner.width));
        put(frame.buffer_mut(), inner, 0, 0, fits.unwrap_or_default(), theme.dim());
        return;
    }
    screen.question.prompt.draw(frame, inner);
}
