//! Answers of several routers side by side, and the run that is kept against the present one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::exchange::Shown;
use super::experiment::{Experiment, Kept, MovedLayers, Row, winner};
use super::experts::more;
use super::paint::{heading, put, scroll};
use super::question::Asked;
use crate::text::{percent, printable};
use crate::tui::Theme;
use crate::tui::format::spinner;
use crate::tui::text_width::{left, right, truncate, truncate_middle, width, wrap};

/// The answers of the routers that are compared.
pub struct Answers<'a> {
    pub experiment: &'a Experiment,
    /// What is asked now.
    pub now: &'a Asked,
    pub tick: u64,
}

/// One line of an answer: blanks at its ends left out, line breaks as signs.
pub fn one_line(text: &str) -> String {
    printable(&text.trim().replace('\n', "⏎")).into_owned()
}

/// A router with what else is special about its run.
fn name(asked: &Asked) -> String {
    let mut name = asked.router.to_string();
    for (names, sign) in [(&asked.router.muted, "−"), (&asked.router.pinned, "+")] {
        names.iter().for_each(|expert| name.push_str(&format!(" {sign}{expert}")));
    }
    printable(&name).into_owned()
}

impl Answers<'_> {
    /// Rows that it can use.
    pub fn rows(&self) -> usize {
        1 + self.experiment.rows.len().max(1) + self.warnings().len()
    }

    /// What to know before one trusts the present router's routing.
    fn warnings(&self) -> Vec<String> {
        let shows = !self.experiment.hides();
        let row = self.experiment.rows.iter().find(|row| shows && row.asked.is_same_run(self.now));
        let found = row.and_then(|row| row.compared.as_ref()).map_or(&[][..], |found| &found.warnings);
        found.iter().map(|warning| one_line(&warning.text)).collect()
    }

    /// What stands for a router's answer, and how where that is no answer. When answers come, and why there is none,
    /// says whose they are.
    fn text(&self, row: &Row, theme: &Theme) -> (String, Option<Style>) {
        let blind = self.experiment.hides();
        match &row.error {
            _ if blind && !self.experiment.are_over() => {
                (spinner(self.tick).to_string(), Some(theme.warning()))
            }
            Some(_) if blind && row.text.is_empty() => ("(no answer: B says why)".into(), Some(theme.dim())),
            Some(error) if row.text.is_empty() => (one_line(error), Some(theme.warning())),
            Some(error) if !blind => (format!("{} ({})", one_line(&row.text), one_line(error)), None),
            None if row.text.is_empty() && row.done => {
                ("(nothing: the model ended at once)".into(), Some(theme.dim()))
            }
            None if row.text.is_empty() => (spinner(self.tick).to_string(), Some(theme.warning())),
            Some(_) | None => (one_line(&row.text), None),
        }
    }

    /// Draws a heading, unless the routers need all rows, and a row a router; more rows for each while answers are compared blindly.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let rows = &self.experiment.rows;
        let reference = self.experiment.reference(self.now);
        let note = match reference {
            "" => "= sets an answer whose probability is compared".to_string(),
            text => format!("log p of {}", truncate(&format!("\"{}\"", one_line(text)), 40)),
        };
        let blind = self.experiment.hides();
        let (title, note) = match blind {
            true => ("answers, blind", "B says whose they are".to_string()),
            false => ("answers", note),
        };
        let headed = usize::from(area.height) > rows.len();
        if headed {
            heading(buf, area, 0, title, &note, theme);
        }
        if rows.is_empty() {
            let hint = " a puts this router beside the next ones; g answers with all of them";
            put(buf, area, 0, 1, &truncate(hint, usize::from(area.width)), theme.dim());
            return;
        }
        let cells = usize::from(area.width);
        let order = self.experiment.order();
        let label = |place: usize| match blind {
            true => format!("answer {}", place + 1),
            false => name(&rows[order[place]].asked),
        };
        // How likely the reference is under a router says which one it is.
        let scored = !reference.is_empty() && !blind;
        let score = if scored { 8 } else { 0 };
        // Names may take what the answers leave.
        let texts = rows.iter().map(|row| width(&self.text(row, theme).0)).max().unwrap_or(0);
        let most = (cells * 2 / 5).max(cells.saturating_sub(texts + 3 + score));
        let names = (0..rows.len()).map(|place| width(&label(place))).max().unwrap_or(0).min(most);
        // What is compared blindly has the place to itself.
        let head = u16::from(headed);
        let rows_each =
            if blind { (usize::from(area.height.saturating_sub(head)) / rows.len()).max(1) } else { 1 };
        let mut y = head;
        // Where not all have a row, those around the present one have, and the last row says how many there are besides.
        let space = usize::from(area.height.saturating_sub(head));
        let shown = if rows.len() <= space { space } else { space.saturating_sub(1).max(1) };
        let present = order.iter().position(|&row| !blind && rows[row].asked.is_same_run(self.now));
        let first = present.map_or(0, |at| scroll(at, rows.len(), shown));
        // In one row the number of the others stands behind it.
        let behind = match rows.len().saturating_sub(shown) {
            hidden if hidden > 0 && space <= shown => format!(" {}", more(hidden, false)),
            _ => String::new(),
        };
        let score_at = cells.saturating_sub(score + width(&behind));
        put(buf, area, cells.saturating_sub(width(&behind)) as u16, y, &behind, theme.dim());
        let best = rows.iter().filter_map(Row::log_probability).fold(f64::NEG_INFINITY, f64::max);
        for (at, row) in order.iter().map(|&row| &rows[row]).enumerate().skip(first).take(shown) {
            let is_now = !blind && row.asked.is_same_run(self.now);
            let old = !row.asked.is_same_prompt(self.now);
            let style = if old { theme.dim() } else { theme.text() };
            put(buf, area, 0, y, if is_now { "›" } else { " " }, theme.accent());
            let label = left(&truncate_middle(&label(at), names), names);
            put(buf, area, 1, y, &label, if is_now { theme.accent() } else { style });
            let room = score_at.saturating_sub(names + 3);
            let (text, special) = self.text(row, theme);
            let lines = if rows_each > 1 { wrap(&text, room) } else { vec![text] };
            let (drawn, rest) = lines.split_at(lines.len().min(rows_each));
            for (line, text) in drawn.iter().enumerate() {
                let cut = line + 1 == drawn.len() && !rest.is_empty();
                let text = if cut { format!("{text}…") } else { text.clone() };
                put(
                    buf,
                    area,
                    names as u16 + 3,
                    y + line as u16,
                    &truncate(&text, room),
                    special.unwrap_or(style),
                );
            }
            if let Some(p) = row.log_probability().filter(|_| scored) {
                let style = if p >= best && rows.len() > 1 && !old { theme.ok() } else { style };
                put(buf, area, score_at as u16, y, &right(&format!("{p:.2}"), score), style);
            }
            y += drawn.len().max(1) as u16;
        }
        if rows.len() > shown && space > shown {
            let text = format!(" {} more: they need more rows", rows.len() - shown);
            put(buf, area, 0, y, &truncate(&text, cells), theme.dim());
        }
        for (at, warning) in self.warnings().into_iter().enumerate() {
            let text = truncate(&format!(" ! {warning}"), cells);
            put(buf, area, 0, head + (rows.len() + at) as u16, &text, theme.warning());
        }
    }
}

/// The run that is kept against the one that is shown.
pub struct Against<'a> {
    pub kept: &'a Kept,
    pub shown: &'a Shown,
    /// The present answer and its log-probability of the reference, as far as they are known.
    pub answer: Option<&'a str>,
    pub log_probability: Option<f64>,
    pub faded: bool,
}

/// What is said of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Line(String),
    /// From the first to the second.
    Change(String, String),
}

impl Said {
    /// As much of it as has room: of a change both ends, of which neither takes more than half where the other needs
    /// it.
    pub fn fit(&self, room: usize) -> String {
        let (then, now) = match self {
            Self::Line(text) => return truncate(text, room),
            Self::Change(then, now) => (then, now),
        };
        let both = room.saturating_sub(ARROW.chars().count());
        let of_now = width(now).min((both.div_ceil(2)).max(both.saturating_sub(width(then))));
        let then = truncate_middle(then, both.saturating_sub(of_now));
        truncate(&format!("{then}{ARROW}{}", truncate_middle(now, of_now)), room)
    }
}

const ARROW: &str = " → ";

impl Against<'_> {
    /// What changed, in lines of a name and what is said.
    pub fn lines(&self) -> Vec<(&'static str, Said)> {
        let Self { kept, shown, .. } = *self;
        let change = |then: String, now: String| match then == now {
            true => Said::Line(format!("{now}, as before")),
            false => Said::Change(then, now),
        };
        let of = |experts: &[String], found: Option<(usize, f64)>| match found {
            Some((expert, share)) => {
                let name = experts.get(expert).map_or("", String::as_str);
                format!("{} {}", printable(name), percent(share))
            }
            None => "nobody".into(),
        };
        // What a person asks first comes first: few rows have room for little more.
        let mut lines = vec![(
            "winner",
            change(of(&kept.trace.experts, kept.winner), of(&shown.trace.experts, winner(shown))),
        )];
        lines.push((
            "moved",
            Said::Line(match kept.moved(shown) {
                None => "another prompt".into(),
                Some((moved, all)) if moved.is_empty() => format!("none of {all} tokens"),
                Some((moved, all)) => {
                    let tokens: Vec<String> = moved.iter().map(|token| one_line(token)).collect();
                    format!("{} of {all} tokens: {}", moved.len(), tokens.join(", "))
                }
            }),
        ));
        if let Some(MovedLayers { share, most }) = kept.moved_layers(shown) {
            let most = most.map_or(String::new(), |(from, to, share)| match from == to {
                true => format!(", {} in layer {from}", percent(share)),
                false => format!(", {} in layers {from}–{to}", percent(share)),
            });
            lines.push(("choices", Said::Line(format!("{} have another winner{most}", percent(share)))));
        }
        lines.push(("router", change(name(&kept.asked), name(&shown.asked))));
        let entropy = |value: f64| format!("{value:.2}");
        lines.push(("entropy", change(entropy(kept.entropy), entropy(shown.digest.entropy))));
        if let (Some(then), Some(now)) = (&kept.answer, self.answer) {
            let (then, now) = (one_line(then), one_line(now));
            lines.push(("answer", change(then, now)));
        }
        if let (Some(then), Some(now)) = (kept.log_probability, self.log_probability) {
            lines.push(("log p", Said::Line(format!("{then:.2} → {now:.2} ({:+.2})", now - then))));
        }
        lines
    }

    /// Draws a heading and the lines.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        heading(buf, area, 0, "against the run kept", "d maps it · R lets it go", theme);
        for (y, (what, text)) in self.lines().into_iter().enumerate() {
            put(buf, area, 1, y as u16 + 1, what, theme.dim());
            let room = usize::from(area.width).saturating_sub(10);
            let style = if self.faded { theme.dim() } else { theme.text() };
            put(buf, area, 10, y as u16 + 1, &text.fit(room), style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_change_are_said_in_any_room() {
        let change = |then: &str, now: &str| Said::Change(then.into(), now.into());
        let routers = change("norm:k=3:temperature=0.3:calibrated:prior=8", "arrow:k=3:temperature=0.1");
        assert_eq!(
            routers.fit(80),
            "norm:k=3:temperature=0.3:calibrated:prior=8 → arrow:k=3:temperature=0.1"
        );
        assert_eq!(routers.fit(22), "norm…or=8 → arrow…=0.1");
        // A short end leaves its room to the other.
        assert_eq!(change("norm:k=3:calibrated", "base").fit(20), "norm:k…brated → base");
        assert_eq!(change("base", "norm:k=3:calibrated").fit(20), "base → norm:k…brated");
        for room in 0..90 {
            assert!(width(&routers.fit(room)) <= room, "{room}");
        }
        assert_eq!(Said::Line("none of 12 tokens".into()).fit(9), "none of …");
    }
}
