//! What is said while there is no map: where the model is, how to get it, how to begin.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Wrap};

use super::exchange::needs_retry;
use super::state::{Focus, RoutingScreen};
use crate::NoSource;
use crate::library::{FetchProgress, Skipped};
use crate::text::printable;
use crate::tui::format::{duration, spinner};
use crate::tui::text_width::{flow, truncate, wrap};
use crate::tui::{EngineState, FetchError, Shared, Theme};

/// Below this there are no frames around the boxes.
pub const SMALL_WIDTH: u16 = 48;

/// Lines longer than this are hard to read.
const WIDEST: u16 = 130;

/// Fewer rows have no room for blank ones.
const ROOMY: u16 = 14;

/// Draws the panel.
pub fn draw(screen: &RoutingScreen, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
    let side = if area.width >= SMALL_WIDTH { 2 } else { 0 };
    let roomy = area.height >= ROOMY;
    let top = u16::from(roomy);
    let inner = Rect {
        x: area.x + side,
        y: area.y + top,
        width: area.width.saturating_sub(2 * side).min(WIDEST),
        height: area.height.saturating_sub(top),
    };
    let mut lines = Panel { screen, shared, theme, cells: usize::from(inner.width), roomy }.lines();
    if !roomy {
        lines.retain(|line| line.width() > 0);
    }
    // A caption stands above something, or not at all.
    let rows = |lines: &[Line]| -> usize {
        lines.iter().map(|line| wrap(&line.to_string(), usize::from(inner.width)).len().max(1)).sum()
    };
    if let Some(at) = lines.iter().position(|line| line.to_string() == BEGINNING)
        && rows(&lines[..=at]) >= usize::from(inner.height)
    {
        lines.truncate(at);
    }
    frame.render_widget(Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false }), inner);
}

/// Above the examples.
const BEGINNING: &str = "To begin with:";

struct Panel<'a> {
    screen: &'a RoutingScreen,
    shared: &'a Shared,
    theme: &'a Theme,
    cells: usize,
    roomy: bool,
}

fn key(key: &'static str, what: &'static str, theme: &Theme) -> Line<'static> {
    Line::from(vec![Span::styled(format!("  {key}  "), theme.key()), Span::styled(what, theme.text())])
}

impl Panel<'_> {
    fn lines(&self) -> Vec<Line<'static>> {
        let (shared, theme) = (self.shared, self.theme);
        let mut lines = match &shared.engine {
            EngineState::Missing { what, error } => return self.missing(what, error.as_ref()),
            EngineState::Failed { error } => {
                return vec![
                    Line::styled(format!("✗ {}", truncate(error, 600)), theme.error()),
                    Line::default(),
                    key("R", "try again", theme),
                ];
            }
            EngineState::Unloaded if shared.library.is_none() => {
                vec![Line::styled("Reading the library …", theme.dim())]
            }
            EngineState::Unloaded => vec![Line::styled("The model is not loaded.", theme.dim())],
            EngineState::Loading { stage } => {
                let text = format!("{} Loading: {}", spinner(shared.tick), truncate(stage, 200));
                vec![Line::styled(text, theme.warning())]
            }
            EngineState::Fetching(progress) => self.fetching(progress),
            EngineState::Ready { skipped, .. } => self.skipped(skipped),
        };
        if shared.library.as_ref().is_some_and(|library| library.usable().next().is_none()) {
            lines.push(Line::styled(
                "No usable expert in this library: only the base model can answer.",
                theme.warning(),
            ));
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(if self.screen.question.prompt.is_blank() { self.beginning() } else { self.waiting() });
        lines
    }

    /// How to get the model, and what became of the last try. In a cramped place the way out comes first.
    fn missing(&self, what: &str, error: Option<&FetchError>) -> Vec<Line<'static>> {
        let theme = self.theme;
        let line = |text: String, style: Style| Line::styled(text, style);
        let name = truncate(what, 100);
        let mut lines = Vec::new();
        let mut tried = Vec::new();
        let mut by_hand = vec![Line::styled(
            "By hand: start with --base FILE, or name the file as `path` under [base] in library.toml.",
            theme.text(),
        )];
        match error {
            None => {
                lines.push(line(format!("The base model is not on this machine: {name}"), theme.warning()))
            }
            Some(FetchError::Stopped) => {
                lines.push(line(format!("The download of {name} was stopped."), theme.warning()));
            }
            Some(FetchError::Other(error)) => {
                lines.push(line(format!("✗ {name}: {}", truncate(error, 400)), theme.error()));
            }
            Some(FetchError::NoSource(failure)) => {
                // The path names the file again: where room is short, that is enough.
                let (which, hand) = if self.roomy {
                    (format!(" {name}"), "By hand: get the file elsewhere, put it here and press R:")
                } else {
                    (String::new(), "Put the file here, then press R:")
                };
                lines.push(line(format!("✗ No source has the base model{which}:"), theme.error()));
                tried = self.tried(failure);
                let shown = short_path(&failure.place, home().as_deref());
                by_hand = vec![Line::styled(hand, theme.text()), Line::styled(shown, theme.accent())];
            }
        }
        if self.roomy {
            lines.append(&mut tried);
            lines.extend([
                Line::default(),
                key("f", if error.is_some() { "try again" } else { "fetch it, check it and load it" }, theme),
                key("R", "look again, after putting the file in place", theme),
                Line::default(),
            ]);
        }
        lines.append(&mut by_hand);
        lines.append(&mut tried);
        lines.extend([Line::default(), Line::styled("The other tabs work without it.", theme.dim())]);
        lines
    }

    /// A line a source, with its reason.
    fn tried(&self, failure: &NoSource) -> Vec<Line<'static>> {
        let theme = self.theme;
        let row = |(source, reason): &(String, String)| {
            Line::from(vec![
                Span::styled(format!("  {}", printable(source)), theme.text()),
                Span::styled(format!(": {}", printable(reason)), theme.dim()),
            ])
        };
        failure.tried.iter().map(row).collect()
    }

    fn fetching(&self, progress: &FetchProgress) -> Vec<Line<'static>> {
        let theme = self.theme;
        let phase = progress.phase.name();
        let mut facts = vec![format!("{} Fetching the base model: {phase}", spinner(self.shared.tick))];
        let mb = |bytes: u64| bytes as f64 / 1e6;
        match progress.total.filter(|&total| total > 0) {
            Some(total) => facts.push(format!("{:.1} of {:.1} MB", mb(progress.done), mb(total))),
            None if progress.done > 0 => facts.push(format!("{:.1} MB", mb(progress.done))),
            None => {}
        }
        let mut lines: Vec<Line> = flow(&facts, self.cells.max(1))
            .into_iter()
            .map(|fact| Line::styled(fact, theme.warning()))
            .collect();
        lines.push(Line::styled(format!("  from {}", printable(&progress.source)), theme.text()));
        if let Some(total) = progress.total.filter(|&total| total > 0) {
            lines.push(self.bar(progress.done as f64 / total as f64));
        }
        lines
    }

    /// A bar with nothing written over it, that reads without colour.
    fn bar(&self, part: f64) -> Line<'static> {
        let cells = self.cells.saturating_sub(2).min(60);
        let full = (part.clamp(0.0, 1.0) * cells as f64) as usize;
        Line::from(vec![
            Span::raw("  "),
            Span::styled("█".repeat(full), self.theme.border_focused()),
            Span::styled("░".repeat(cells - full), self.theme.dim()),
        ])
    }

    fn skipped(&self, skipped: &[Skipped]) -> Vec<Line<'static>> {
        let row = |Skipped { name, reason }: &Skipped| {
            format!("skipped {}: {}", truncate(name, 40), truncate(reason, 200))
        };
        let mut rows: Vec<String> = skipped.iter().take(4).map(row).collect();
        if skipped.len() > 4 {
            rows.push(format!("{} more skipped", skipped.len() - 4));
        }
        rows.into_iter().map(|text| Line::styled(text, self.theme.warning())).collect()
    }

    /// With an empty prompt.
    fn beginning(&self) -> Vec<Line<'static>> {
        let (screen, theme) = (self.screen, self.theme);
        let mut lines = vec![
            Line::styled(
                "Type a prompt to see which experts each of its tokens uses, layer by layer.",
                theme.text(),
            ),
            Line::default(),
            Line::styled(BEGINNING, theme.dim()),
        ];
        for (i, example) in screen.suggestions.prompts.iter().take(4).enumerate() {
            let mark = if screen.suggestions.at == Some(i) { "› " } else { "  " };
            let text = truncate(&example.replace('\n', "⏎"), self.cells.saturating_sub(2));
            lines.push(Line::styled(format!("{mark}{text}"), theme.text()));
        }
        lines.push(Line::default());
        if screen.focus == Focus::Prompt {
            lines.push(key("Tab", "fill in an example", theme));
        } else {
            lines.push(key("i", "type a prompt", theme));
            lines.push(key("n", "fill in an example", theme));
        }
        lines
    }

    /// With a prompt that has no routing yet.
    fn waiting(&self) -> Vec<Line<'static>> {
        let (exchange, shared, theme) = (&self.screen.exchange, self.shared, self.theme);
        if let Some(pending) = exchange.pending {
            let elapsed = exchange.elapsed(shared).unwrap_or(0.0);
            if let Some(step) = pending.calibration.filter(|_| exchange.is_long(shared)) {
                let left = step.left.map_or(String::new(), |left| format!(", {} left", duration(left)));
                let text = format!(
                    "The router needs a preparation first ({}): {}, {}{left}.",
                    step.what.verb(),
                    step.amount(),
                    duration(elapsed)
                );
                return vec![
                    Line::styled(text, theme.text()),
                    self.bar(step.done as f64 / step.all.max(1) as f64),
                    Line::default(),
                    key("Esc", "stop", theme),
                ];
            }
            let Some((done, total)) = pending.progress.filter(|_| exchange.is_long(shared)) else {
                return Vec::new();
            };
            let text = format!("The prompt has {total} tokens; {done} are routed, {}.", duration(elapsed));
            return vec![
                Line::styled(text, theme.text()),
                self.bar(done as f64 / total.max(1) as f64),
                Line::default(),
                key("Esc", "stop", theme),
            ];
        }
        if exchange.is_stopped(shared) {
            return vec![
                Line::styled("Stopped before the prompt was routed.", theme.warning()),
                Line::styled("A change of prompt or router routes it again; g generates.", theme.dim()),
            ];
        }
        if needs_retry(&shared.engine) || exchange.error.is_some() {
            return Vec::new();
        }
        vec![Line::styled("The prompt is routed as soon as the model is ready.", theme.dim())]
    }
}

fn home() -> Option<std::path::PathBuf> {
    Some(directories::BaseDirs::new()?.home_dir().to_path_buf())
}

/// A whole path, printable, with the home folder as `~`.
fn short_path(path: &Path, home: Option<&Path>) -> String {
    let below = home.and_then(|home| path.strip_prefix(home).ok());
    let text = match below {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    };
    printable(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_home_folder_are_short_and_whole() {
        let home = Path::new("/home/someone");
        assert_eq!(short_path(Path::new("/home/someone/.cache/a b"), Some(home)), "~/.cache/a b");
        assert_eq!(short_path(Path::new("/home/someone-else/x"), Some(home)), "/home/someone-else/x");
        assert_eq!(short_path(Path::new("/srv/\x1b"), None), "/srv/\\u{1b}");
    }
}
