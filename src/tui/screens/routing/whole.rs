//! The whole routing: the prompt as text, layers as bars, experts, one cell, and what was asked beside it.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::boxes::WIDE;
use super::cost;
use super::layers::{Layers, by_groups};
use super::look::{Look, MAX_SHARES, MIN_SHARES, SMALL_BODY, answers, legend};
use super::paint::{heading, put};
use super::places::{Wish, column};
use super::reading::{Reader, Reading};
use super::reasons::chooses;
use super::why::{self, WhyPane};
use crate::routing::CALIBRATED;
use crate::tui::text_width::flow;
use crate::tui::widgets::below;

/// From this height on, panes that wait to be asked say how.
const ROOM_FOR_HINTS: usize = 24;

/// Rows for what an answer is owed to: a heading, two experts, and two of what is concluded.
const WHY_ROWS: usize = 5;

impl Look<'_> {
    /// The prompt as text, layers as bars, experts and one cell.
    pub fn draw_whole(&self, frame: &mut Frame, area: Rect) {
        let wide = area.width >= WIDE;
        let beside = if wide { (area.width * 2 / 5).clamp(MIN_SHARES, MAX_SHARES) } else { 0 };
        let width = if wide { area.width - beside - 2 } else { area.width };
        let left = Rect { width, ..area };
        let right = Rect { x: area.x + width + 2, width: beside, ..area };
        let (trace, digest, theme) = (self.shown.trace.as_ref(), &self.shown.digest, self.theme);
        let reading = Reading::new(trace, usize::from(left.width).saturating_sub(1).max(1));
        // The base model alone has a routing without experts.
        let experts = if self.shown.asked.router.is_weighted() { trace.experts.len() } else { 0 };
        // A heading takes a row that a small place needs for other things.
        let head = usize::from(area.height >= SMALL_BODY);
        let text = reading.rows() * 2;
        let whole = usize::from(area.height);
        let text = Wish::new(head + text.min(2), head + text.min((whole * 2 / 5).max(2)));
        let grouped = by_groups(self.screen.map.bars, trace, &self.screen.marks);
        let layers = if experts > 0 { digest.layers.len() + 1 + usize::from(grouped) } else { 0 };
        let layers = Wish::new(layers.min(5), layers);
        // What is above comes first.
        let room = whole.saturating_sub(text.least + layers.least);
        let detail = if experts > 0 { self.detail_rows(room) } else { 0 };
        let detail = Wish::new(detail, detail);
        let searching = self.screen.search.is_some();
        // What is looked for has a row below what was typed.
        let shares = match searching {
            true => Wish::new((1 + experts).min(2 + 2 * head), 2 + experts),
            false => Wish::new((head + experts).min(1 + 2 * head), 2 + experts),
        };
        let hidden = experts + 3 > whole;
        let mut signs = if area.height >= 16 {
            legend(self.shown, &self.screen.marks, hidden, false)
        } else {
            Vec::new()
        };
        if whole >= ROOM_FOR_HINTS && chooses(self.shown) {
            signs.push("σ₁ share of ΔW that one direction has".into());
            signs.push("gap σ₂/σ₁".into());
            if self.screen.question.router.values.flag(&CALIBRATED) {
                signs.push("z score against what is usual".into());
            }
        }
        let signs = flow(&signs, usize::from(if wide { beside } else { width }));
        let signs = signs.iter().filter(|line| !line.is_empty()).cloned().collect::<Vec<_>>();
        let (experiment, now) = (&self.screen.experiment, &self.screen.exchange.asked);
        let answers = answers(self.screen, self.shared);
        // What can be asked is said where there is room for it.
        let hints = whole >= ROOM_FOR_HINTS;
        let answers_wish = match experiment.rows.is_empty() && !hints {
            true => Wish::default(),
            // In a small place, the present one at least.
            false => Wish::new(if head > 0 { answers.rows() } else { 1 }, answers.rows()),
        };
        let why = why::rows(experiment);
        let explains = experiment.why.is_some() || experts > 0 && hints;
        let why_wish = if explains {
            Wish::new(if head > 0 { why.min(WHY_ROWS) } else { 1 }, why)
        } else {
            Wish::default()
        };
        let against = self.against();
        let against_rows = against.as_ref().map_or(0, |against| against.lines().len() + 1);
        let against_wish = Wish::new(against_rows.min(5), against_rows);
        let signs_wish = Wish::new(signs.len(), signs.len());
        // What a person asked for comes before what is there anyway; in a small place, what was asked of an earlier run
        // does not.
        let explained = if head > 0 { experiment.why.is_some() } else { self.is_explained() };
        let asked = !experiment.rows.is_empty() || explained;
        let (panes, list, side) = if wide {
            let order: &[usize] = match asked {
                true if head == 0 => &[3, 2, 0, 1, 4],
                true => &[0, 2, 3, 1, 4],
                false => &[0, 1, 4, 2, 3],
            };
            // Where there is room below the experts, the cell stands there, and prompts to come back to.
            let (below_layers, below_shares) =
                if hints { (Wish::default(), detail) } else { (detail, Wish::default()) };
            let recent = self.screen.history.recent_rows(&self.screen.suggestions.prompts);
            let recent = if hints { Wish::new(recent.min(3), recent) } else { Wish::default() };
            let mut panes = column(left, &[text, layers, answers_wish, why_wish, below_layers], order);
            let cost = if hints && experts > 0 { cost::ROWS } else { 0 };
            let wishes = [shares, below_shares, against_wish, recent, Wish::new(cost, cost), signs_wish];
            let side = column(right, &wishes, &[0, 1, 2, 5, 4, 3]);
            if hints {
                panes[4] = side[1];
            }
            (panes, side[0], vec![side[2], side[5], side[3], side[4]])
        } else {
            let shares = Wish::new(shares.least, shares.most.min(shares.least.max(whole / 3)));
            let optional = |shown: bool, wish: Wish| if shown { wish } else { Wish::default() };
            let answers = optional(!experiment.rows.is_empty(), answers_wish);
            let why = optional(experiment.why.is_some(), why_wish);
            let wishes = [text, shares, layers, answers, why, detail, against_wish];
            let order: &[usize] = match head == 0 {
                true if searching => &[1, 0, 3, 4, 6, 2, 5],
                true if asked => &[4, 3, 0, 1, 6, 2, 5],
                true | false => &[0, 1, 3, 4, 6, 2, 5],
            };
            let panes = column(left, &wishes, order);
            (
                vec![panes[0], panes[2], panes[3], panes[4], panes[5]],
                panes[1],
                vec![panes[6], Rect::default(), Rect::default(), Rect::default()],
            )
        };
        let headed = head > 0 || self.screen.search.is_some();
        let (listed, found) = self.listed(list.height, headed);
        let buf = frame.buffer_mut();
        let [mut text, bars, answers_place, why_place, detail] =
            [panes[0], panes[1], panes[2], panes[3], panes[4]];
        if head > 0 && text.height > 1 {
            heading(buf, text, 0, "text", "each token in the colour of its strongest expert", theme);
            text = below(text, 1);
        }
        text = Rect { x: text.x + u16::from(text.width > 1), width: text.width.saturating_sub(1), ..text };
        let expert = self.screen.map.expert;
        let reader = Reader { trace, digest, token: self.token, expert, faded: self.faded, listed: &listed };
        if !text.is_empty() {
            reading.draw(buf, text, &reader, theme);
        }
        let layers = Layers {
            trace,
            digest,
            layer: digest
                .columns
                .iter()
                .take(self.column + 1)
                .filter(|column| column.starts_layer)
                .count()
                .saturating_sub(1),
            by: self.screen.map.bars,
            faded: self.faded,
            marks: &self.screen.marks,
            listed: &listed,
        };
        if !bars.is_empty() {
            layers.draw(buf, bars, theme);
        }
        if !detail.is_empty() {
            self.detail(&listed).draw(buf, detail, theme);
        }
        if !answers_place.is_empty() {
            answers.draw(buf, answers_place, theme);
        }
        if !why_place.is_empty() {
            let (time, tick) = (self.shared.now, self.shared.tick);
            WhyPane { experiment, trace, listed: &listed, now, time, tick }.draw(buf, why_place, theme);
        }
        if let Some(against) = against.filter(|_| !side[0].is_empty()) {
            against.draw(buf, side[0], theme);
        }
        for (y, line) in signs.into_iter().enumerate() {
            put(buf, side[1], 0, y as u16, &line, theme.dim());
        }
        if !side[2].is_empty() {
            let (examples, prompt) = (&self.screen.suggestions.prompts, &self.shown.asked.prompt);
            self.screen.history.draw_recent(buf, side[2], examples, prompt, theme);
        }
        if !side[3].is_empty() {
            self.screen.costs.draw(buf, side[3], &self.shown.asked, self.faded, theme);
        }
        if !list.is_empty() {
            self.draw_shares(frame, list, (&listed, found), headed);
        }
    }
}
