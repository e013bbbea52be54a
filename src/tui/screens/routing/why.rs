//! Which experts an answer is owed to, beside their shares: weight is not influence.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::answers::one_line;
use super::experiment::{Experiment, Why};
use super::experts::{Listed, more};
use super::marks::put_mark;
use super::paint::{bar, heading, put};
use super::question::Asked;
use crate::eval::{Attribution, Effect};
use crate::routing::Trace;
use crate::text::{percent, printable};
use crate::tui::Theme;
use crate::tui::format::{duration, spinner};
use crate::tui::text_width::{left, right, truncate, truncate_middle, width, wrap};

/// From this width on, each group of layers has a column.
const ROOMY: usize = 72;

/// Cells of a number.
const NUMBER: usize = 7;

/// From this width on there is room to say in words how many experts are not shown.
const ROOM_FOR_MORE: u16 = 60;

/// Rows that the conclusion takes, at most.
const CONCLUSION: usize = 3;

/// How the answer depends on the experts.
pub struct WhyPane<'a> {
    pub experiment: &'a Experiment,
    pub trace: &'a Trace,
    pub listed: &'a Listed<'a>,
    /// What is asked now.
    pub now: &'a Asked,
    /// `Shared::now` and `Shared::tick`.
    pub time: f64,
    pub tick: u64,
}

/// From so many rows on it has a heading.
const HEADED: u16 = 3;

/// Rows that it can use.
pub fn rows(experiment: &Experiment) -> usize {
    match experiment.why.as_ref().and_then(|why| why.result.as_ref()) {
        Some(Ok(found)) => 1 + found.experts.len() + CONCLUSION,
        Some(Err(_)) | None => 2,
    }
}

impl WhyPane<'_> {
    /// Draws a heading, a row for each expert, its control, and how much all of them explain; in a row or two, sentences about
    /// the strongest experts.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        if area.height < HEADED {
            return self.draw_brief(buf, area, theme);
        }
        let Some(why) = &self.experiment.why else {
            heading(buf, area, 0, "why", "", theme);
            let hint = " e shows how much less likely the answer is without each expert";
            put(buf, area, 0, 1, &truncate(hint, usize::from(area.width)), theme.dim());
            return;
        };
        let answer = truncate(&format!("\"{}\"", one_line(&why.answer)), 32);
        // Numbers of another run never stand under a heading that does not say so, however little room there is.
        let title = if why.asked.is_same_run(self.now) { "why" } else { "why, of an earlier run" };
        // The groups of layers have their captions in the same row.
        let groups = why
            .result
            .as_ref()
            .and_then(|result| result.as_ref().ok())
            .map_or(0, |found| if usize::from(area.width) >= ROOMY { found.groups.len() } else { 0 });
        let room = usize::from(area.width).saturating_sub(groups * (NUMBER + 1));
        let (title, room) = (self.counted(title, area, why, room), room.saturating_sub(3));
        let room = room.saturating_sub(width(&title));
        heading(buf, area, 0, &title, &caption(&answer, room), theme);
        match &why.result {
            None => self.asking(buf, area, 1, why, theme),
            Some(Err(error)) => {
                let text = format!(" {}", one_line(error));
                put(buf, area, 0, 1, &truncate(&text, usize::from(area.width)), theme.error());
            }
            Some(Ok(found)) => self.found(buf, area, why, found, theme),
        }
    }

    /// A heading that says how many of the experts stand below it, where not all have room.
    fn counted(&self, title: &str, area: Rect, why: &Why, room: usize) -> String {
        let Some(Ok(found)) = &why.result else { return title.into() };
        let (all, (rows, _)) = (found.experts.len(), self.divide(area, why, found));
        if rows >= all {
            return title.into();
        }
        let forms = [format!("{title}: {rows} of {all} experts"), format!("{title}: {rows} of {all}")];
        let most = forms.iter().position(|form| width(form) + CHANGE <= room).unwrap_or(1);
        forms.into_iter().nth(most).unwrap_or_default()
    }

    /// How many experts have a row, and the lines of what is concluded below them.
    fn divide(&self, area: Rect, why: &Why, found: &Attribution) -> (usize, Vec<String>) {
        // Two experts come before the second line of what is concluded.
        let room = usize::from(area.height.saturating_sub(1));
        let lines = (room.saturating_sub(found.experts.len().min(2))).clamp(1, CONCLUSION);
        let lines = conclusion(found, &why.experts, usize::from(area.width).saturating_sub(1), lines);
        (room.saturating_sub(lines.len()).min(found.experts.len()), lines)
    }

    /// How long it takes already, and how to end it, which stands in any room.
    fn asking(&self, buf: &mut Buffer, area: Rect, y: u16, why: &Why, theme: &Theme) {
        let seconds = duration((self.time - why.since).max(0.0));
        let what = ["taking experts out one by one · ", "taking experts out · ", ""];
        let text = |what| format!(" {} {what}{seconds} · Esc stops", spinner(self.tick));
        let room = usize::from(area.width);
        let fits = what.into_iter().map(text).find(|text| width(text) <= room);
        put(buf, area, 0, y, &fits.unwrap_or_default(), theme.warning());
    }

    /// Without a heading: a sentence a row about the experts with the most influence, or what became of the question.
    fn draw_brief(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let Some(why) = &self.experiment.why else { return };
        let found = match &why.result {
            None => return self.asking(buf, area, 0, why, theme),
            Some(Err(error)) => {
                let text = truncate(&format!(" {}", one_line(error)), usize::from(area.width));
                put(buf, area, 0, 0, &text, theme.error());
                return;
            }
            Some(Ok(found)) => found,
        };
        let is_now = why.asked.is_same_run(self.now);
        let shown = strongest(found, usize::from(area.height));
        let (hidden, last) = (found.experts.len() - shown.len(), shown.len().saturating_sub(1));
        for (y, one) in shown.into_iter().enumerate() {
            let name = why.experts.get(one.expert).map_or("", String::as_str);
            let behind = match hidden {
                hidden if hidden > 0 && y == last => {
                    format!(" {}", more(hidden, area.width >= ROOM_FOR_MORE))
                }
                _ => String::new(),
            };
            let room = usize::from(area.width).saturating_sub(1 + width(&behind));
            let text = format!("{}{behind}", brief(name, one.effect, is_now, room));
            put(buf, area, 1, y as u16, &text, if is_now { theme.text() } else { theme.dim() });
        }
    }

    fn found(&self, buf: &mut Buffer, area: Rect, why: &Why, found: &Attribution, theme: &Theme) {
        let dim = !why.asked.is_same_run(self.now);
        let cells = usize::from(area.width);
        let name = |expert: usize| why.experts.get(expert).map_or("", String::as_str);
        let (rows, lines) = self.divide(area, why, found);
        let groups = if cells >= ROOMY { found.groups.len() } else { 0 };
        let names = found.experts.iter().map(|e| width(name(e.expert))).max().unwrap_or(0).clamp(15, 24);
        let names = names.min(cells.saturating_sub(NUMBER + 8));
        let bars = cells.saturating_sub(4 + names + NUMBER + 2 + groups * (NUMBER + 1));
        let most = found.experts.iter().map(|e| e.effect.abs()).fold(0.0, f64::max).max(1e-9);
        let style = if dim { theme.dim() } else { theme.text() };
        let x = (3 + names) as u16;
        let at = |group: usize| x + (NUMBER + 2 + bars + group * (NUMBER + 1)) as u16;
        for (row, one) in strongest(found, rows).into_iter().enumerate() {
            let y = row as u16 + 1;
            let number = self.trace.experts.iter().position(|expert| expert == name(one.expert));
            let hue = number.map(|expert| self.listed.mark(self.trace, expert));
            if let Some(mark) = hue {
                put_mark(buf, area, 1, y, mark, theme);
            }
            put(buf, area, 3, y, &left(&truncate_middle(name(one.expert), names), names), style);
            put(buf, area, x, y, &right(&signed(one.effect), NUMBER), style);
            // What harms the answer has another bar than what helps.
            let text = bar(one.effect.abs() / most, bars);
            let text = if one.effect < 0.0 { text.replace(['━', '╸'], "░") } else { text };
            let colour = match hue {
                Some(mark) if !dim => theme.category(mark.hue),
                _ => theme.dim(),
            };
            put(buf, area, x + NUMBER as u16 + 1, y, &text, colour);
            for (group, effect) in one.by_group.iter().take(groups).enumerate() {
                put(buf, area, at(group), y, &right(&signed(*effect), NUMBER), theme.dim());
            }
        }
        for (group, layers) in found.groups.iter().take(groups).enumerate() {
            let label = format!("{}–{}", layers.start, layers.end.saturating_sub(1));
            put(buf, area, at(group), 0, &right(&format!(" {label}"), NUMBER), theme.header());
        }
        for (line, text) in lines.iter().enumerate() {
            put(buf, area, 1, (rows + 1 + line) as u16, text, theme.dim());
        }
    }
}

/// Cells of the shortest words for what the numbers are, with what parts them from a heading.
const CHANGE: usize = 18;

/// What the numbers are, in the most words that fit into `cells`: changes, never the log-probability itself.
fn caption(answer: &str, cells: usize) -> String {
    let forms = [
        format!("change of log p of {answer} without …"),
        "change of log p without …".into(),
        "change of log p".into(),
        "Δ log p".into(),
    ];
    forms.into_iter().find(|form| width(form) <= cells).unwrap_or_default()
}

/// So many experts whose taking out changes the most, to the better or the worse; what helps the most first.
fn strongest(found: &Attribution, count: usize) -> Vec<&Effect> {
    let mut order: Vec<&Effect> = found.experts.iter().collect();
    order.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    order.truncate(count);
    order.sort_by(|a, b| b.effect.total_cmp(&a.effect));
    order
}

/// How much the experts explain together, and the control of the one that helps the most, in the most words that fit so
/// many lines of `cells`.
fn conclusion(found: &Attribution, names: &[String], cells: usize, lines: usize) -> Vec<String> {
    let said = found.conclusion(percent);
    let best = found.experts.iter().max_by(|a, b| a.effect.total_cmp(&b.effect));
    let forms = match (found.explained(), best) {
        (Some(part), Some(best)) => {
            let (control, part) = (signed(best.control), percent(part));
            let name = names.get(best.expert).map_or("", String::as_str);
            let name = printable(&truncate_middle(name, 24)).into_owned();
            vec![
                format!("{}; random directions in place of {name} {control}.", said.trim_end_matches('.')),
                format!("Together {part} of what routing gained; random for {name} {control}."),
                format!("Together {part}; random for {name} {control}."),
                format!("Together {part} of what routing gained."),
                format!("Together {part}."),
            ]
        }
        (Some(_), None) | (None, _) => vec![said],
    };
    let mut wrapped: Vec<Vec<String>> = forms.iter().map(|form| wrap(form, cells)).collect();
    let fits = wrapped.iter().position(|form| form.len() <= lines).unwrap_or(wrapped.len().saturating_sub(1));
    let mut fitting = wrapped.swap_remove(fits);
    if fitting.len() > lines
        && let Some(last) = lines.checked_sub(1)
    {
        let rest = fitting.split_off(last).join(" ");
        fitting.push(truncate(&rest, cells));
    }
    fitting
}

/// What taking an expert out does, in the most words that fit into `cells`; of an earlier run where it is not of this one.
fn brief(name: &str, effect: f64, is_now: bool, cells: usize) -> String {
    let (when, by) = (if is_now { "" } else { "earlier run: " }, signed(effect));
    let whole = [
        format!("{when}without {} log p of the answer changes by {by}", printable(name)),
        format!("{when}without {}: Δ log p {by}", printable(name)),
        format!("{}{}: Δ log p {by}", if is_now { "w/o " } else { "earlier: −" }, printable(name)),
    ];
    if let Some(fits) = whole.into_iter().find(|text| width(text) <= cells) {
        return fits;
    }
    let (before, after) = (if is_now { "−" } else { "earlier: −" }, format!(": Δ log p {by}"));
    let room = cells.saturating_sub(width(before) + width(&after));
    truncate(&format!("{before}{}{after}", truncate_middle(name, room)), cells)
}

/// By how much the log-probability changes when what had this effect is taken out.
fn signed(effect: f64) -> String {
    let text = format!("{:+.2}", 0.0 - effect);
    printable(if text == "-0.00" { "+0.00" } else { &text }).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_the_most_that_has_room() {
        let said = |cells, is_now| brief("camel_case", 3.214, is_now, cells);
        assert_eq!(said(80, true), "without camel_case log p of the answer changes by -3.21");
        assert_eq!(said(39, true), "without camel_case: Δ log p -3.21");
        assert_eq!(said(29, true), "w/o camel_case: Δ log p -3.21");
        assert_eq!(said(26, true), "−camel_case: Δ log p -3.21");
        assert_eq!(said(80, false), "earlier run: without camel_case log p of the answer changes by -3.21");
        for cells in 26..60 {
            for is_now in [true, false] {
                let text = said(cells, is_now);
                assert!(width(&text) <= cells && text.ends_with("-3.21"), "{cells}: {text}");
                assert_eq!(text.contains("earlier"), !is_now, "{text}");
            }
        }
    }

    #[test]
    fn a_heading_says_change_in_every_width() {
        assert_eq!(caption("\"fox\"", 60), "change of log p of \"fox\" without …");
        for cells in 7..60 {
            let text = caption("\"fox\"", cells);
            assert!(width(&text) <= cells && (text.starts_with("change") || text.starts_with('Δ')), "{text}");
        }
        assert_eq!(caption("\"fox\"", 6), "");
    }

    #[test]
    fn effects_are_said_as_what_taking_out_does() {
        assert_eq!([0.92, -0.06, 0.0, 0.001].map(signed), ["-0.92", "+0.06", "+0.00", "+0.00"]);
        let one = |expert, effect, control| Effect {
            expert,
            share: 0.5,
            effect,
            by_group: vec![],
            control,
            scores: Default::default(),
        };
        let mut found = Attribution {
            routed: -0.2,
            base: -2.2,
            groups: vec![],
            experts: vec![one(1, 1.0, 0.2), one(0, 0.5, 0.3)],
        };
        let names = ["plural", "antonym"].map(String::from);
        let said = |found: &Attribution, cells, lines| conclusion(found, &names, cells, lines);
        // The control is of the one expert that helps the most, not the mean of all, which would stand beside its effect.
        let whole = "Together 75 % of what routing gained over the base model (+2.00); \
                     random directions in place of antonym -0.20.";
        assert_eq!(said(&found, 120, 1), [whole]);
        assert_eq!(said(&found, 50, 3).join(" "), whole);
        assert_eq!(said(&found, 64, 1), ["Together 75 % of what routing gained; random for antonym -0.20."]);
        assert_eq!(said(&found, 28, 1), ["Together 75 %."]);
        for (cells, lines) in [(45, 1), (28, 2), (60, 1), (80, 2)] {
            let lines_said = said(&found, cells, lines);
            let text = lines_said.join(" ");
            assert!(lines_said.len() <= lines && text.starts_with("Together 75 %"), "{text}");
            assert!(text.ends_with("antonym -0.20."), "{text}");
            assert!(lines_said.iter().all(|line| width(line) <= cells), "{text}");
        }
        found.base = 0.0;
        let text = said(&found, 120, 2).join(" ");
        assert!(text.starts_with("Routing lost against the base model 0.20, which is too little"), "{text}");
    }
}
