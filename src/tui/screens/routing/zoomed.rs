//! The map: a row a token, by layers or modules, with the weights of one token below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::experts::Listed;
use super::look::{Look, MAP, MIN_SHARES, SMALL_BODY, answers, legend};
use super::map::{Axis, Map, SAME};
use super::paint::{put, quoted_width};
use super::places::{Wish, column};
use super::weights::Weights;
use super::why::{self, WhyPane};
use crate::text::printable;
use crate::tui::text_width::{flow, truncate, width};

impl Look<'_> {
    /// What a person asked for beside the routing, below the map; what is left for the map.
    fn draw_asked(&self, frame: &mut Frame, area: Rect) -> Rect {
        let experiment = &self.screen.experiment;
        let answers = answers(self.screen, self.shared);
        let compared = if experiment.rows.is_empty() { 0 } else { answers.rows() };
        let small = area.height < SMALL_BODY;
        let explained = if small { self.is_explained() } else { experiment.why.is_some() };
        let why = if explained { why::rows(experiment) } else { 0 };
        let wanted = compared + why + usize::from(compared > 0 && why > 0);
        // The map keeps half, in most places more.
        let most = if small { usize::from(area.height) / 2 } else { usize::from(area.height) * 2 / 5 };
        let rows = wanted.min(most) as u16;
        let [map, _, asked] = Layout::vertical([
            Constraint::Min(0),
            Constraint::Length(u16::from(rows > 0 && !small)),
            Constraint::Length(rows),
        ])
        .areas(area);
        let least = if small { 1 } else { 2 };
        let wishes = [Wish::new(compared.min(least), compared), Wish::new(why.min(least), why)];
        let places = column(asked, &wishes, &[1, 0]);
        let buf = frame.buffer_mut();
        if !places[0].is_empty() {
            answers.draw(buf, places[0], self.theme);
        }
        if !places[1].is_empty() {
            let (trace, now) = (self.shown.trace.as_ref(), &self.screen.exchange.asked);
            let order = self.shown.digest.order();
            let listed = Listed::new(order, trace.experts.len(), usize::MAX, &self.screen.marks, None);
            let (time, tick) = (self.shared.now, self.shared.tick);
            WhyPane { experiment, trace, listed: &listed, now, time, tick }.draw(buf, places[1], self.theme);
        }
        map
    }

    /// A row a token, with the weights of one of them below.
    pub fn draw_map(&self, frame: &mut Frame, area: Rect) {
        let area = self.draw_asked(frame, area);
        let Self { shown, token, column, faded, theme, screen, .. } = *self;
        let (trace, digest) = (shown.trace.as_ref(), &shown.digest);
        let columns = digest.columns.len();
        let tokens = trace.tokens.iter().map(|t| quoted_width(&t.text));
        let names = trace.experts.iter().map(|name| width(name) + 2);
        let longest = tokens.chain(names).max().unwrap_or(0);
        let shares = if area.width >= MIN_SHARES + MAP { MIN_SHARES } else { 0 };
        let axis =
            Axis::fit(area.width.saturating_sub(shares + u16::from(shares > 0)), columns, longest, column);
        // What the layers leave goes to the shares.
        let left_width = if shares == 0 { area.width } else { axis.width() };
        let left = Rect { width: left_width.min(area.width), ..area };
        let experts = trace.experts.len();
        let right =
            Rect { x: left.right() + 2, width: (area.width.saturating_sub(left.width + 2)).min(72), ..area };
        let mut signs =
            if area.height >= 16 { legend(shown, &screen.marks, false, true) } else { Vec::new() };
        if let Some(kept) = self.difference() {
            let router = printable(&kept.asked.router.to_string()).into_owned();
            let text = format!("{SAME} as under {router}");
            signs.insert(0, truncate(&text, usize::from(right.width)));
        }
        let legend: Vec<String> = flow(&signs, usize::from(right.width));
        let legend: Vec<String> = legend.into_iter().filter(|line| !line.is_empty()).collect();
        let height = usize::from(area.height);
        let cell = if height >= 12 { self.detail_rows(height / 2) } else { 0 };
        let wishes = [
            Wish::new((experts + 1).min(3), experts + 2),
            Wish::new(cell, cell),
            Wish::new(legend.len(), legend.len()),
        ];
        let places = super::places::column(right, &wishes, &[1, 2, 0]);
        let (rows, found) = self.listed(places[0].height, true);
        // The weights below name more than the list.
        let listed = Listed::new(digest.order(), experts, usize::MAX, &screen.marks, None);
        let grid_rows =
            if area.height < 10 { 0 } else { experts.min(usize::from(area.height) * 2 / 5) as u16 };
        let grid_height = if grid_rows == 0 { 0 } else { grid_rows + 1 };
        let [top, bottom] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(grid_height)]).areas(left);
        let buf = frame.buffer_mut();
        let expert = screen.map.expert;
        let against = self.difference().map(|kept| &kept.digest);
        Map { trace, digest, token, column, expert, faded, listed: &listed, against }
            .draw(buf, top, &axis, theme);
        if grid_height > 0 {
            let (expert, marks) = (screen.map.expert_in(shown), &screen.marks);
            Weights { trace, digest, token, column, expert, faded, marks }.draw(buf, bottom, &axis, theme);
        }
        if shares == 0 {
            return;
        }
        if !places[1].is_empty() {
            self.detail(&listed).draw(buf, places[1], theme);
        }
        for (y, line) in legend.into_iter().enumerate() {
            put(buf, places[2], 0, y as u16, &line, theme.dim());
        }
        self.draw_shares(frame, places[0], (&rows, found), true);
    }
}
