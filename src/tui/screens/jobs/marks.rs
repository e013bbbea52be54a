//! How the state of a job and its share done show.

use ratatui::style::Style;

use crate::jobs::JobState;
use crate::tui::format::spinner;
use crate::tui::{Theme, text_width};

/// How a state shows, with and without colour.
pub fn state_glyph(state: JobState, tick: u64, theme: &Theme) -> (&'static str, Style) {
    match state {
        JobState::Queued => ("○", theme.dim()),
        JobState::Running => (spinner(tick), theme.accent()),
        JobState::Cancelling => ("◌", theme.warning()),
        JobState::Cancelled => ("⊘", theme.dim()),
        JobState::Failed => ("✗", theme.error()),
        JobState::Finished => ("✓", theme.ok()),
    }
}

/// A bar of `cells` cells in eighths of a cell.
pub fn progress_bar(share: f64, cells: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * cells as f64 * 8.0).floor() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(PARTS[eighths % 8]);
    let used = text_width::width(&bar);
    bar.extend(std::iter::repeat_n('░', cells.saturating_sub(used)));
    bar
}
