//! Puts the parts of the tab in their places.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::{Paragraph, Wrap};

use super::boxes::Boxes;
use super::cursor::Zoom;
use super::empty_state::SMALL_WIDTH;
use super::exchange::Shown;
use super::finding::Finding;
use super::look::{Look, MAP, MIN_SHARES, SMALL_BODY, answers};
use super::paint::put;
use super::state::RoutingScreen;
use super::{empty_state, status};
use crate::text::printable;
use crate::tui::text_width::{truncate, width};
use crate::tui::{Shared, TextField, Theme};

const SMALL_HEIGHT: u16 = 14;

/// Draws the tab.
pub fn draw(screen: &RoutingScreen, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let small = area.width < SMALL_WIDTH || area.height < SMALL_HEIGHT;
    let boxes = Boxes::of(screen, area, small);
    let failed = screen.exchange.error.as_ref().map(|failure| {
        let blamed = screen.blamed(shared).filter(|_| screen.question.can_mute());
        let way = match blamed.is_some() && screen.target(shared) == blamed {
            true => ": x mutes it",
            false => "",
        };
        format!(" ✗ {}{way}", printable(&failure.line))
    });
    let error_rows = failed.as_ref().map_or(0, |error| {
        let rows = (width(error) + 1).div_ceil(usize::from(area.width));
        rows.min(4).min(usize::from(area.height) / 2) as u16
    });
    // What is found about a routing says which router gave it.
    let blind = screen.experiment.hides();
    let found = screen.exchange.shown.as_ref().filter(|_| !blind);
    let finding =
        found.map(|shown| (shown, Finding::of(shown, &screen.marks, screen.reasons.sequence(shown))));
    let said = u16::from(finding.is_some() && area.height > boxes.height);
    let [top, sentence, line, error, body] = Layout::vertical([
        Constraint::Length(boxes.height),
        Constraint::Length(said),
        Constraint::Length(u16::from(area.height > boxes.height + said + 1)),
        Constraint::Length(error_rows),
        Constraint::Min(0),
    ])
    .areas(area);
    boxes.draw(screen, frame, top, small, shared, theme);
    if let Some((shown, finding)) = finding {
        let faded = screen.exchange.is_faded(shared);
        frame.render_widget(finding.line(shown, &screen.marks, (sentence.width, faded), theme), sentence);
    }
    match (&screen.reference, &screen.refused) {
        (Some(field), _) => draw_reference(field, frame, line, theme),
        (None, Some(why)) => {
            const BACK: &str = "Esc: ";
            let used = put(frame.buffer_mut(), line, 1, 0, BACK, theme.key());
            let room = usize::from(line.width.saturating_sub(used + 1));
            put(frame.buffer_mut(), line, used + 1, 0, &truncate(why, room), theme.warning());
        }
        (None, None) => frame.render_widget(status::line(screen, shared, theme, line.width), line),
    }
    if let Some(text) = failed {
        frame.render_widget(Paragraph::new(text).style(theme.error()).wrap(Wrap { trim: true }), error);
    }
    match &screen.exchange.shown {
        _ if screen.history.finding.is_some() => screen.history.draw(frame, body, theme),
        _ if blind => answers(screen, shared).draw(frame.buffer_mut(), body, theme),
        Some(shown) => draw_routing(screen, shown, frame, body, shared, theme),
        None if screen.search.is_some() => screen.draw_found(frame, body, shared, theme),
        None => empty_state::draw(screen, frame, body, shared, theme),
    }
}

/// The answer whose probability is compared, while one types it.
fn draw_reference(field: &TextField, frame: &mut Frame, area: Rect, theme: &Theme) {
    const LABEL: &str = " reference answer: ";
    let used = put(frame.buffer_mut(), area, 0, 0, LABEL, theme.header());
    let place = Rect { x: area.x + used, width: area.width.saturating_sub(used), ..area };
    frame.render_widget(field.line(usize::from(place.width), true, theme), place);
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
    let look = Look { screen, shown, token, column, faded, shared, theme };
    match screen.map.zoom {
        Zoom::Whole => look.draw_whole(frame, area),
        // Beside the map, experts have no room there to be found.
        Zoom::Layers | Zoom::Modules
            if screen.search.is_some() && (area.width < MIN_SHARES + MAP || area.height < SMALL_BODY) =>
        {
            look.draw_whole(frame, area);
        }
        Zoom::Layers | Zoom::Modules => look.draw_map(frame, area),
    }
}
