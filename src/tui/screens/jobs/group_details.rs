//! A group of jobs: how many are where, the time left for the whole, what failed and why, where the others run.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::groups::Group;
use super::marks::{progress_bar, state_glyph};
use super::state::Scroll;
use crate::jobs::{JobState, JobSummary};
use crate::tui::{Shared, Theme, format, text_width};

/// Jobs that are named one by one.
const NAMED: usize = 200;

/// Draws it.
pub fn draw_group(frame: &mut Frame, area: Rect, lines: &[Line<'static>], scroll: &Scroll) {
    if area.is_empty() {
        return;
    }
    let end = lines.len().saturating_sub(usize::from(area.height));
    let first = scroll.first(0, end);
    for (line, y) in lines.iter().skip(first).zip(area.top()..area.bottom()) {
        frame.buffer_mut().set_line(area.x, y, line, area.width);
    }
}

/// What is to be said of a group, in lines of so many cells.
pub fn group_lines(group: &Group, cells: usize, shared: &Shared, theme: &Theme) -> Vec<Line<'static>> {
    let (glyph, style) = state_glyph(group.state(), shared.tick, theme);
    let title = format!("{} {}", group.kind, group.title());
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{glyph} "), style),
        Span::styled(text_width::truncate(&title, cells.saturating_sub(2)), theme.accent()),
    ])];
    let mut facts = group.words();
    if let Some(left) = group.remaining(&shared.jobs, shared.now) {
        facts.push(format!("{} left for all", format::duration(left)));
    }
    lines.extend(text_width::flow(&facts, cells).into_iter().map(|line| Line::styled(line, theme.text())));
    let percent = format!(" {}", format::progress(group.share));
    let bar = cells.saturating_sub(text_width::width(&percent)).min(48);
    lines.push(Line::from(vec![
        Span::styled(progress_bar(group.share, bar), theme.accent()),
        Span::styled(percent, theme.text()),
    ]));
    if let Some(extremes) = group.extremes {
        for (what, (at, measure)) in ["best", "worst"].into_iter().zip(extremes) {
            let name = shared.jobs.get(at).map_or("", |job| job.name.as_str());
            let text = text_width::wrap(&format!("{what}: {name}, {}", measure.text()), cells);
            lines.extend(text.into_iter().map(|line| Line::styled(line, theme.ok())));
        }
    }
    lines.push(Line::default());
    let jobs = || group.jobs.iter().filter_map(|at| shared.jobs.get(*at));
    let mut put = |text: String, style| {
        lines.extend(text_width::wrap(&text, cells).into_iter().map(|line| Line::styled(line, style)));
    };
    for job in jobs().filter(|job| job.state == JobState::Failed).take(NAMED) {
        put(format!("✗ {}: {}", job.name, job.error.as_deref().unwrap_or("it has failed")), theme.error());
    }
    for job in jobs().filter(|job| job.state == JobState::Running).take(NAMED) {
        let place =
            job.place.as_ref().or(job.unseen.as_ref()).map_or(String::new(), |place| format!(", {place}"));
        let steps = if job.steps > 0 { format!(" {} / {}", job.step, job.steps) } else { String::new() };
        put(format!("▸ {}{steps}{place}", job.name), theme.text());
    }
    // Most wait for the same.
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for why in jobs().filter_map(JobSummary::reason) {
        match reasons.iter().position(|(other, _)| *other == why) {
            Some(at) => {
                if let Some((_, count)) = reasons.get_mut(at) {
                    *count += 1;
                }
            }
            None if reasons.len() < NAMED => reasons.push((why, 1)),
            None => {}
        }
    }
    for (why, count) in reasons {
        put(format!("○ {count}: {why}"), theme.dim());
    }
    lines
}
