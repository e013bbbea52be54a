//! What the comparing tabs, Similarity and Clusters, say around their pictures.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::widgets::message;
use super::comparable::{self, Comparable};
use crate::analysis::Similarity;
use crate::jobs::kinds;
use crate::text::printable;
use crate::tui::{AppEffect, Effect, Shared, Theme, format, text_width};

/// Steps of the sparsity from 0 to 1; the last is out of its range.
const SPARSITY_STEPS: f64 = 20.0;

/// The sparsity after so many steps.
pub fn sparsity_of(steps: u32) -> f64 {
    f64::from(steps) / SPARSITY_STEPS
}

/// The step nearest to a sparsity.
pub fn sparsity_steps(sparsity: f64) -> u32 {
    (sparsity * SPARSITY_STEPS).round().clamp(0.0, SPARSITY_STEPS - 1.0) as u32
}

/// Whether there are two experts to compare.
pub fn can_compare(shared: &Shared) -> bool {
    shared.library.iter().flat_map(|library| library.comparable()).nth(1).is_some()
}

/// Opens the form of a clustering, or says what it lacks.
pub fn cluster_form(shared: &Shared) -> Effect {
    if can_compare(shared) {
        return Effect::App(AppEffect::OpenForm(&kinds::CLUSTER));
    }
    Effect::App(AppEffect::Notice("clustering needs at least two usable experts".into()))
}

/// An error in as many lines as `area` can give; `stale` when an older result is still on the screen.
pub fn error_lines(error: &str, stale: bool, area: Rect, theme: &Theme) -> Vec<Line<'static>> {
    let shown = if stale { " (shown: the last result)" } else { "" };
    lines(&format!("✗ {error}{shown}"), area, 4, theme.error())
}

/// How many cannot be used, what else was left out and why, warnings: as much as fits three lines, fewer
/// where `area` is low.
pub fn note_lines(
    similarity: &Similarity,
    comparable: &Comparable,
    shared: &Shared,
    area: Rect,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let known = |name: &str| {
        comparable::find(shared.library.as_ref(), name).is_some_and(|expert| expert.incomparable().is_some())
    };
    // The Library tab says what is the matter with those that it marks.
    let skipped: Vec<_> = similarity.skipped.iter().filter(|skipped| !known(&skipped.name)).collect();
    let left_out = skipped.first().map(|first| match skipped.len() {
        1 => format!("left out: {first}"),
        many => format!("{many} experts left out, the first is {first}"),
    });
    let warnings = similarity.warnings.iter().map(|warning| printable(warning).into_owned());
    let notes: Vec<String> = comparable.note().into_iter().chain(left_out).chain(warnings).collect();
    if notes.is_empty() {
        return Vec::new();
    }
    lines(&format!("! {}", notes.join(" · ")), area, 3, theme.warning())
}

/// `text` in at most `most` lines that leave three quarters of `area` free; a cut end shows as `…`.
fn lines(text: &str, area: Rect, most: usize, style: Style) -> Vec<Line<'static>> {
    let cells = usize::from(area.width);
    let most = most.min(usize::from(area.height) / 4).max(1);
    let mut lines = text_width::wrap(text, cells);
    if lines.len() > most {
        let rest = lines.split_off(most - 1).join(" ");
        lines.push(text_width::truncate(&rest, cells));
    }
    lines.into_iter().map(|line| Line::styled(line, style)).collect()
}

/// Says why there is no picture; `failed` is what helps after an error.
pub fn draw_nothing(
    frame: &mut Frame,
    area: Rect,
    comparable: &Comparable,
    agreed: bool,
    failed: Option<&str>,
    shared: &Shared,
    theme: &Theme,
) {
    let text = match (&shared.library, &shared.library_error) {
        (None, Some(_)) => Some("The library could not be read.".to_string()),
        (None, None) => Some(format!("{} reading the library", format::spinner(shared.tick))),
        (Some(_), _) => comparable
            .problem()
            .or_else(|| comparable.question().filter(|_| !agreed))
            .or_else(|| failed.map(str::to_string)),
    };
    if let Some(text) = text {
        message(frame, area, &text, theme.dim());
    }
}
