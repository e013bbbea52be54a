//! What the comparing tabs, Similarity and Clusters, have in common: what they compare, and what they say around
//! their pictures.

use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::widgets::{bar, message, row};
use super::comparable::{self, Comparable, LARGE, one_line};
use super::families;
use crate::analysis::{DEFAULT_SPARSITY, Similarity};
use crate::catalog::Catalog;
use crate::jobs::kinds;
use crate::text::printable;
use crate::tui::{AppEffect, Effect, Shared, Theme, format, text_width};

/// Steps of the sparsity from 0 to 1; the last is out of its range.
const SPARSITY_STEPS: u32 = 20;

/// What both comparing tabs keep: the experts that can be compared, whether a person wants them to be, and the share
/// of entries that is left out.
#[derive(Debug)]
pub struct Comparing {
    /// In steps of 5 %, so that no rounding adds up.
    sparsity_steps: u32,
    /// Whether the tab was shown, so that results are wanted.
    wanted: bool,
    /// Whether the person agreed to what a large library costs.
    agreed: bool,
    comparable: Comparable,
    /// Why the newest request has no answer; one printable line.
    pub error: Option<String>,
}

impl Default for Comparing {
    fn default() -> Self {
        let mut new = Self {
            sparsity_steps: 0,
            wanted: false,
            agreed: false,
            comparable: Comparable::default(),
            error: None,
        };
        new.set_sparsity(DEFAULT_SPARSITY);
        new
    }
}

impl Comparing {
    /// The experts.
    pub fn comparable(&self) -> &Comparable {
        &self.comparable
    }

    /// Share of each expert's smallest entries that count as zero.
    pub fn sparsity(&self) -> f64 {
        f64::from(self.sparsity_steps) / f64::from(SPARSITY_STEPS)
    }

    /// Takes the step nearest to a sparsity.
    pub fn set_sparsity(&mut self, sparsity: f64) {
        let most = f64::from(SPARSITY_STEPS);
        self.sparsity_steps = (sparsity * most).round().clamp(0.0, most - 1.0) as u32;
    }

    /// One step more or less of the sparsity; whether there was one.
    pub fn step_sparsity(&mut self, more: bool) -> bool {
        let to = if more { self.sparsity_steps + 1 } else { self.sparsity_steps.saturating_sub(1) };
        let changes = to < SPARSITY_STEPS && to != self.sparsity_steps;
        if changes {
            self.sparsity_steps = to;
        }
        changes
    }

    /// Whether the tab was shown.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether a large library waits for the person to agree.
    pub fn asks(&self) -> bool {
        self.comparable.question().is_some() && !self.agreed
    }

    /// The person agrees to what a large library costs.
    pub fn agree(&mut self) {
        self.agreed = true;
    }

    /// Whether something may be computed now: it is wanted, there is something to compare, and nothing to ask before.
    pub fn may_compute(&self) -> bool {
        self.wanted && self.comparable.problem().is_none() && !self.asks()
    }

    /// The tab is shown; whether the first result is to be asked for, where there is neither one nor a request.
    pub fn on_show(&mut self, shared: &Shared, idle: bool) -> bool {
        self.wanted = true;
        self.comparable = Comparable::of(shared.library.as_ref());
        idle && self.error.is_none()
    }

    /// Compares without being shown, where that needs no question.
    pub fn want_early(&mut self) {
        self.wanted |= self.comparable.question().is_none();
    }

    /// The library was read; whether other experts are to be compared now.
    pub fn on_library(&mut self, library: &Arc<Catalog>) -> bool {
        let comparable = Comparable::of(Some(library));
        if comparable == self.comparable {
            return false;
        }
        if comparable.len > self.comparable.len.max(LARGE) {
            self.agreed = false;
        }
        self.comparable = comparable;
        if self.comparable.problem().is_some() {
            self.error = None;
        }
        true
    }

    /// Takes why a request has no answer.
    pub fn fail(&mut self, error: &str) {
        self.error = Some(one_line(error));
    }

    /// Says why there is no picture; `failed` is what helps after an error.
    pub fn draw_nothing(&self, frame: &mut Frame, area: Rect, failed: &str, shared: &Shared, theme: &Theme) {
        let text = match (&shared.library, &shared.library_error) {
            (None, Some(_)) => Some("The library could not be read.".to_string()),
            (None, None) => Some(format!("{} reading the library", format::spinner(shared.tick))),
            (Some(_), _) => self
                .comparable
                .problem()
                .or_else(|| self.comparable.question().filter(|_| !self.agreed))
                .or_else(|| self.error.as_ref().map(|_| failed.to_string())),
        };
        if let Some(text) = text {
            message(frame, area, &text, theme.dim());
        }
    }

    /// An error in as many lines as `area` can give; `stale` when an older result is still on the screen.
    pub fn error_lines(&self, stale: bool, area: Rect, theme: &Theme) -> Vec<Line<'static>> {
        let Some(error) = &self.error else { return Vec::new() };
        let shown = if stale { " (shown: the last result)" } else { "" };
        lines(&format!("✗ {error}{shown}"), area, 4, theme.error())
    }

    /// How many cannot be used, what else was left out and why, warnings: as much as fits three lines, fewer
    /// where `area` is low.
    pub fn note_lines(
        &self,
        similarity: &Similarity,
        shared: &Shared,
        area: Rect,
        theme: &Theme,
    ) -> Vec<Line<'static>> {
        let known = |name: &str| {
            comparable::find(shared.library.as_ref(), name)
                .is_some_and(|expert| expert.incomparable().is_some())
        };
        // The Library tab says what is the matter with those that it marks.
        let skipped: Vec<_> = similarity.skipped.iter().filter(|skipped| !known(&skipped.name)).collect();
        let left_out = skipped.first().map(|first| match skipped.len() {
            1 => format!("left out: {first}"),
            many => format!("{many} experts left out, the first is {first}"),
        });
        let warnings = similarity.warnings.iter().map(|warning| printable(warning).into_owned());
        let notes: Vec<String> = self.comparable.note().into_iter().chain(left_out).chain(warnings).collect();
        if notes.is_empty() {
            return Vec::new();
        }
        lines(&format!("! {}", notes.join(" · ")), area, 3, theme.warning())
    }
}

/// An expert's name, printable, with a sign where it is hardly trained.
pub fn label(expert: &str, shared: &Shared) -> String {
    let sign = if shared.doubts.contains_key(expert) { "! " } else { "" };
    format!("{sign}{}", printable(expert))
}

/// Something that is being computed, and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    ticket: u64,
    /// How much is done, of how much; 0 while that is unknown.
    pub done: usize,
    pub total: usize,
    /// When it was first heard of, in seconds since the epoch, and how much was done then.
    began: Option<(f64, usize)>,
}

impl Request {
    /// A request that was made just now.
    pub fn new(ticket: u64) -> Self {
        Self { ticket, done: 0, total: 0, began: None }
    }

    /// Takes the request that an answer belongs to; nothing where the answer is to an older one.
    pub fn answered(request: &mut Option<Self>, ticket: u64) -> Option<Self> {
        request.take_if(|request| request.ticket == ticket)
    }

    /// Whether an answer is to this one.
    pub fn is(request: &Option<Self>, ticket: u64) -> bool {
        request.as_ref().is_some_and(|request| request.ticket == ticket)
    }

    /// Takes how far a request has come at `now`, in seconds since the epoch, if it is this one.
    pub fn progress(&mut self, ticket: u64, done: usize, total: usize, now: f64) {
        if self.ticket == ticket {
            (self.done, self.total) = (done, total);
            self.began.get_or_insert((now, done));
        }
    }

    /// How far it is: `51 % · 12s left`; nothing while that is unknown. Of the time nothing is said in the first
    /// second.
    pub fn far(&self, now: f64) -> String {
        if self.total == 0 {
            return String::new();
        }
        let share = self.share();
        let left = self.began.and_then(|(then, before)| {
            let (since, done) = (now - then, self.done.saturating_sub(before));
            (since >= 1.0 && done > 0)
                .then(|| since * self.total.saturating_sub(self.done) as f64 / done as f64)
        });
        let left = left.map_or(String::new(), |left| format!(" · {} left", format::duration(left)));
        format!("{}{left}", format::progress(share))
    }

    /// The share that is done.
    fn share(&self) -> f64 {
        (self.done as f64 / self.total.max(1) as f64).min(1.0)
    }

    /// What is being computed in the middle of an area that has nothing else yet: what it is, a bar, how far it is;
    /// below that the families of the experts.
    pub fn draw(&self, frame: &mut Frame, area: Rect, what: &str, shared: &Shared, theme: &Theme) {
        let width = area.width.min(48);
        let room = usize::from(area.height).saturating_sub(4);
        let families = families::lines(shared, room.min(16), width.into(), theme);
        let own = 3 + if families.is_empty() { 0 } else { 1 + families.len() as u16 };
        let top = area.height.saturating_sub(own) / 2;
        let middle = Rect { x: area.x + (area.width - width) / 2, width, ..area };
        let what = format!("{} {what}", format::spinner(shared.tick));
        let lines = [
            Line::styled(text_width::truncate(&what, width.into()), theme.text()),
            Line::styled(bar(self.share(), width.into()), theme.accent()),
            Line::styled(self.far(shared.now), theme.dim()),
        ];
        for (line, at) in lines.into_iter().zip(top..) {
            frame.render_widget(line.centered(), row(middle, at));
        }
        for (line, at) in families.into_iter().zip(top + 4..) {
            frame.render_widget(line, row(middle, at));
        }
    }
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
