//! One token at one layer: who has how much weight in each of its modules, and why.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::answers::one_line;
use super::digest::Digest;
use super::experts::Listed;
use super::marks::put_mark;
use super::paint::{bar, heading, put, quoted};
use crate::module_path::ModulePath;
use crate::routing::{Needs, Score, Trace, Why, WhyExpert, WhyShare};
use crate::text::{fixed, percent, printable};
use crate::tui::Theme;
use crate::tui::text_width::{left, right, truncate, truncate_middle, width};

/// The narrowest place for an expert's name, its weight and a bar.
const NAMED: usize = 20;

/// The fewest cells of a name beside numbers.
const LEAST_NAME: usize = 8;

/// Cells of a runner-up that is said by its letter.
const LETTER: usize = 8;

/// What is known of the reasons for a cell's weights.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// The router chooses nothing, or there is no room to say why.
    Nothing,
    /// They are being found out.
    Pending,
    /// Those of this very token under this very router.
    Found(&'a Why),
    /// Why they are not known.
    Failed(&'a str),
}

/// One cell of the map in numbers.
pub struct CellDetail<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    pub token: usize,
    pub column: usize,
    pub faded: bool,
    pub listed: &'a Listed<'a>,
    pub known: Known<'a>,
}

/// One expert in a cell; its scores, once they are known.
#[derive(Clone, Copy)]
struct Entry {
    expert: usize,
    weight: f32,
    scores: Option<WhyExpert>,
}

/// A column of numbers.
struct Number {
    title: String,
    cells: usize,
    value: fn(&WhyExpert) -> String,
}

/// The columns behind a name, the most wanted first.
fn numbers(known: Known) -> Vec<Number> {
    let found = match known {
        // A router that compares nothing at the modules says so of the whole prompt.
        Known::Found(why) if why.score.is_none() || why.modules.is_empty() => return Vec::new(),
        Known::Found(why) => Some(why),
        Known::Nothing | Known::Pending | Known::Failed(_) => None,
    };
    let of = |pick: fn(&WhyExpert) -> bool| {
        found.is_some_and(|why| why.modules.iter().flat_map(|module| &module.experts).any(pick))
    };
    let calibrated = of(|e| e.calibrated.is_some());
    let score = found.and_then(|why| why.score).unwrap_or("score");
    let mut all = vec![Number { title: truncate(score, 7), cells: 8, value: |e| number(e.score) }];
    if let Some(decider) = found.and_then(|why| why.decider).filter(|_| of(|e| e.deciding.is_some())) {
        let value = |e: &WhyExpert| e.deciding.map_or("–".into(), number);
        // What decides is calibrated where the scores are.
        let title = if calibrated { format!("{} z", truncate(decider, 5)) } else { truncate(decider, 7) };
        all.push(Number { title, cells: 8, value });
    }
    if calibrated {
        let value = |e: &WhyExpert| e.calibrated.map_or("–".into(), |z| format!("{z:+.1}"));
        all.push(Number { title: "z".into(), cells: 6, value });
    }
    // Singular values say something where these are what is scored by.
    if score.parse::<Score>().map_or(true, |score| score.needs <= Needs::Spectra) {
        all.push(Number { title: "σ₁".into(), cells: 5, value: |e| fixed(e.first_share, 2) });
        all.push(Number { title: "gap".into(), cells: 5, value: |e| fixed(e.gap, 2) });
    }
    all
}

/// A score, which may be of any size.
fn number(value: f32) -> String {
    match value.abs() {
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 10_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0e}"),
    }
}

/// How the rows of a table are divided.
struct Table {
    name: usize,
    /// Behind the first expert of a row.
    first: Vec<Number>,
    /// Behind the runner-up, if that is named; `None` where there is room for its letter alone.
    second: Option<Vec<Number>>,
    /// Whether there is a runner-up at all.
    runner_up: bool,
}

/// Cells of a weight.
const WEIGHT: usize = 6;

impl Table {
    /// As much as has room in `room` cells beside names of `longest` cells; nothing where not even the scores have.
    fn fit(known: Known, room: usize, longest: usize, runner_up: bool) -> Option<Self> {
        let least = longest.min(LEAST_NAME);
        let cells = |numbers: &[Number]| numbers.iter().map(|number| number.cells).sum::<usize>();
        let one = |numbers: &[Number]| 2 + WEIGHT + cells(numbers);
        let (all, few) = (numbers(known), 1 + usize::from(numbers(known).len() > 3));
        if all.is_empty() {
            return None;
        }
        let with = |second: Option<Vec<Number>>, fixed: usize, names: usize| {
            let name = longest.min((room - fixed) / names);
            Self { name, first: numbers(known), second, runner_up }
        };
        if !runner_up {
            let mut first = all;
            while one(&first) + least > room {
                first.pop()?;
            }
            return (!first.is_empty()).then(|| {
                let name = longest.min(room - one(&first));
                Self { name, first, second: None, runner_up }
            });
        }
        for count in (0..=few).rev() {
            let mut second = numbers(known);
            second.truncate(count);
            let fixed = one(&all) + 2 + one(&second);
            if fixed + 2 * least <= room {
                return Some(with(Some(second), fixed, 2));
            }
        }
        // The runner-up by its letter, the spectrum gives way to it.
        let mut first = all;
        while one(&first) + LETTER + least > room {
            first.pop()?;
        }
        (!first.is_empty()).then(|| {
            let name = longest.min(room - one(&first) - LETTER);
            Self { name, first, second: None, runner_up }
        })
    }
}

impl CellDetail<'_> {
    /// Rows that a cell of so many modules takes with its reasons.
    pub fn rows(modules: usize, explained: usize) -> usize {
        match modules {
            0 => 0,
            1 => 2 + explained,
            modules => 2 + modules,
        }
    }

    /// Draws a heading and every module of the cell with its experts.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let Self { trace, digest, token, column, .. } = *self;
        let Some(at) = digest.columns.get(column) else { return };
        let text = trace.tokens.get(token).map(|t| quoted(&t.text, 18)).unwrap_or_default();
        let place = if at.label.bytes().all(|b| b.is_ascii_digit()) {
            format!("layer {}", at.label)
        } else {
            at.label.clone()
        };
        let kind_of =
            |module: usize| trace.modules.get(module).map_or("", |m| ModulePath::new(m).short_kind());
        let single = match at.modules[..] {
            [module] => Some(module),
            _ => None,
        };
        let of = single.map_or(String::new(), |module| format!(" {}", kind_of(module)));
        let title = format!("{text} at {place}{}", if of.trim() == place { "" } else { &of });
        let note = self.note(usize::from(area.width).saturating_sub(width(&title) + 3));
        heading(buf, area, 0, &title, &note, theme);
        if let Some(module) = single
            && self.experts_as_rows(buf, area, module, theme)
        {
            return;
        }
        let widest = at.modules.iter().map(|&m| width(kind_of(m))).max().unwrap_or(0).min(12);
        let x = widest as u16 + 3;
        let room = usize::from(area.width).saturating_sub(usize::from(x));
        let name = |expert: usize| trace.experts.get(expert).map_or(0, |name| width(name));
        let entries: Vec<Vec<Entry>> = at.modules.iter().map(|&module| self.entries(module)).collect();
        let longest = entries.iter().flatten().map(|entry| name(entry.expert)).max().unwrap_or_default();
        let explains = match self.known {
            Known::Nothing => false,
            // A row for the captions.
            Known::Pending | Known::Found(_) | Known::Failed(_) => {
                usize::from(area.height) >= at.modules.len() + 2
            }
        };
        let table = explains.then(|| Table::fit(self.known, room, longest, true)).flatten();
        if let Some(table) = &table {
            let place = Rect { x: area.x + x, y: area.y + 1, width: room as u16, height: 1 };
            captions(buf, place.intersection(area), table, theme);
        }
        let below = 1 + u16::from(table.is_some());
        let most = at.modules.iter().map(|&m| trace.weights(token, m).len()).max().unwrap_or(0).clamp(1, 3);
        // As many experts side by side as can be named.
        let named = (most.min(2)..=most).rev().find(|count| room / count >= NAMED);
        for (row, (&module, entries)) in at.modules.iter().zip(&entries).enumerate() {
            let y = row as u16 + below;
            if y >= area.height {
                return;
            }
            put(buf, area, 1, y, &left(kind_of(module), widest), theme.header());
            let place = Rect { x: area.x + x, y: area.y + y, width: room as u16, height: 1 };
            let place = place.intersection(area);
            let weights = trace.weights(token, module);
            if entries.is_empty() || weights.is_empty() {
                put(buf, area, x, y, "no expert here", theme.dim());
                continue;
            }
            match (&table, named) {
                (Some(table), _) => self.reasons(buf, place, entries, table, theme),
                (None, Some(count)) => self.names(buf, place, weights, (count, longest), theme),
                (None, None) => self.letters(buf, area, (x, y), weights, theme),
            }
        }
    }

    /// What the vote said, in so many cells; why there are no reasons.
    fn note(&self, room: usize) -> String {
        let why = match self.known {
            Known::Found(why) => why,
            Known::Failed(error) => return truncate(&one_line(error), room),
            Known::Nothing | Known::Pending => return String::new(),
        };
        let mut order: Vec<usize> = (0..why.votes.len()).filter(|&e| why.votes[e] > 0.0).collect();
        order.sort_by(|&a, &b| why.votes[b].total_cmp(&why.votes[a]).then(a.cmp(&b)));
        if order.is_empty() {
            return self.sequence(why, room);
        }
        let name = |e: usize| self.trace.experts.get(e).map_or("", String::as_str);
        let letter = |e: usize| self.listed.mark(self.trace, e).letter.to_string();
        let said = |count: usize, short: bool| {
            let one = |&e: &usize| {
                let name = if short { letter(e) } else { printable(name(e)).into_owned() };
                format!("{name} {}", percent(why.votes[e]))
            };
            format!("vote: {}", order.iter().take(count).map(one).collect::<Vec<_>>().join(", "))
        };
        let forms = [(3, false), (2, false), (3, true), (1, false), (2, true), (1, true)];
        let fits = |&(count, short): &(usize, bool)| width(&said(count, short)) <= room;
        forms.into_iter().find(fits).map_or(String::new(), |(count, short)| said(count, short))
    }

    /// What was found of the whole prompt, where the router looks at that.
    fn sequence(&self, why: &Why, room: usize) -> String {
        let Some(sequence) = &why.sequence else {
            return if why.modules.is_empty() {
                truncate(&one_line(&why.decided), room)
            } else {
                String::new()
            };
        };
        let one = |share: &WhyShare| {
            let name = self.trace.experts.get(share.expert).map_or("", String::as_str);
            format!("{} {}", printable(name), number(share.value as f32))
        };
        let said = |count: usize| -> String {
            let experts: Vec<String> = sequence.experts.iter().take(count).map(one).collect();
            format!("{}: {}", sequence.value, experts.join(", "))
        };
        let fits = |count: &usize| *count <= sequence.experts.len() && width(&said(*count)) <= room;
        (1..=3).rev().find(fits).map_or(truncate(&one_line(&sequence.words), room), said)
    }

    /// The experts of a module: those with weight, and with their scores, once those are known, the next ones.
    fn entries(&self, module: usize) -> Vec<Entry> {
        if let Known::Found(why) = self.known
            && let Some(found) = why.modules.get(module)
        {
            // Another pass rounds otherwise: the weights stay those of the routing that is shown.
            let weights = self.trace.weights(self.token, module);
            let weight = |expert: usize| {
                weights.iter().find(|(other, _)| *other as usize == expert).map_or(0.0, |(_, weight)| *weight)
            };
            let entry = |one: &WhyExpert| Entry {
                expert: one.expert,
                weight: weight(one.expert),
                scores: Some(*one),
            };
            return found.experts.iter().map(entry).collect();
        }
        let weights = self.trace.weights(self.token, module).iter();
        weights.map(|&(expert, weight)| Entry { expert: expert as usize, weight, scores: None }).collect()
    }

    /// The experts of a cell that is one module, a row each; whether there is room for it.
    fn experts_as_rows(&self, buf: &mut Buffer, area: Rect, module: usize, theme: &Theme) -> bool {
        if matches!(self.known, Known::Nothing) || area.height < 4 {
            return false;
        }
        let entries = self.entries(module);
        let name = |entry: &Entry| self.trace.experts.get(entry.expert).map_or(0, |name| width(name));
        let longest = entries.iter().map(name).max().unwrap_or_default();
        let room = usize::from(area.width).saturating_sub(1);
        let Some(table) = Table::fit(self.known, room, longest, false) else { return false };
        let row =
            |y: u16| Rect { x: area.x + 1, y: area.y + y, width: room as u16, height: 1 }.intersection(area);
        captions(buf, row(1), &table, theme);
        for (y, entry) in (2..area.height).zip(&entries) {
            self.reasons(buf, row(y), std::slice::from_ref(entry), &table, theme);
        }
        if entries.is_empty() {
            put(buf, area, 1, 2, "no expert here", theme.dim());
        }
        true
    }

    /// A row of a table.
    fn reasons(&self, buf: &mut Buffer, place: Rect, entries: &[Entry], table: &Table, theme: &Theme) {
        let Some(first) = entries.first() else { return };
        let mut x = self.entry(buf, place, 0, first, (table.name, &table.first), theme);
        if !table.runner_up {
            return;
        }
        x += 2;
        match (entries.get(1), &table.second) {
            (Some(next), Some(numbers)) => {
                self.entry(buf, place, x, next, (table.name, numbers), theme);
            }
            (Some(next), None) => {
                put_mark(buf, place, x, 0, self.listed.mark(self.trace, next.expert), theme);
                put(buf, place, x + 1, 0, &right(&format!("{:.2}", next.weight), 5), theme.dim());
            }
            // Who came next is known with the scores.
            (None, _) if first.scores.is_none() && matches!(self.known, Known::Pending) => {
                put(buf, place, x, 0, "…", theme.dim());
            }
            (None, _) => {}
        }
    }

    /// An expert with its numbers from `x` on; where it ends.
    fn entry(
        &self,
        buf: &mut Buffer,
        place: Rect,
        x: u16,
        entry: &Entry,
        (name, numbers): (usize, &[Number]),
        theme: &Theme,
    ) -> u16 {
        let style = if self.faded || entry.weight <= 0.0 { theme.dim() } else { theme.text() };
        put_mark(buf, place, x, 0, self.listed.mark(self.trace, entry.expert), theme);
        let text = self.trace.experts.get(entry.expert).map_or("", String::as_str);
        put(buf, place, x + 2, 0, &truncate_middle(text, name), style);
        let mut x = x + 2 + name as u16;
        put(buf, place, x, 0, &right(&format!("{:.2}", entry.weight), WEIGHT), style);
        x += WEIGHT as u16;
        for number in numbers {
            let text = match (&entry.scores, self.known) {
                (Some(scores), _) => (number.value)(scores),
                (None, Known::Pending) => "…".into(),
                (None, Known::Nothing | Known::Found(_) | Known::Failed(_)) => "–".into(),
            };
            let style = if entry.scores.is_none() { theme.dim() } else { style };
            put(buf, place, x, 0, &right(&text, number.cells), style);
            x += number.cells as u16;
        }
        x
    }

    fn letters(&self, buf: &mut Buffer, area: Rect, at: (u16, u16), weights: &[(u32, f32)], theme: &Theme) {
        let style = if self.faded { theme.dim() } else { theme.text() };
        let (mut x, y) = at;
        for &(expert, weight) in weights {
            // Never half a number.
            if x + 6 > area.width {
                put(buf, area, x.min(area.width.saturating_sub(1)), y, "…", theme.dim());
                break;
            }
            put_mark(buf, area, x, y, self.listed.mark(self.trace, expert as usize), theme);
            put(buf, area, x + 2, y, &format!("{weight:.2}"), style);
            x += 8;
        }
    }

    /// Names, weights and bars of as many experts as stand side by side in `place`.
    fn names(
        &self,
        buf: &mut Buffer,
        place: Rect,
        weights: &[(u32, f32)],
        (count, longest): (usize, usize),
        theme: &Theme,
    ) {
        let style = if self.faded { theme.dim() } else { theme.text() };
        let cells = usize::from(place.width) / count;
        let name = |expert: u32| self.trace.experts.get(expert as usize).map_or("", String::as_str);
        // A bar gets a third, where a name leaves less.
        let room = longest.min(cells.saturating_sub(9).max(1) * 2 / 3);
        let room = if cells < NAMED + 4 { longest.min(cells.saturating_sub(9)) } else { room };
        for (at, &(expert, weight)) in weights.iter().take(count).enumerate() {
            let x = (at * cells) as u16;
            let mark = self.listed.mark(self.trace, expert as usize);
            put_mark(buf, place, x, 0, mark, theme);
            put(buf, place, x + 2, 0, &left(&truncate_middle(name(expert), room), room), style);
            put(buf, place, x + 3 + room as u16, 0, &format!("{weight:.2}"), style);
            let bars = cells.saturating_sub(room + 10);
            let colour = if self.faded { theme.category_faint(mark.hue) } else { theme.category(mark.hue) };
            put(buf, place, x + 8 + room as u16, 0, &bar(f64::from(weight), bars), colour);
        }
    }
}

/// What the columns of a table are.
fn captions(buf: &mut Buffer, place: Rect, table: &Table, theme: &Theme) {
    let style = theme.header();
    let numbers = |buf: &mut Buffer, from: u16, numbers: &[Number]| {
        let mut x = from + WEIGHT as u16;
        // The name may be shorter than what its column is called.
        put(buf, place, from - 1, 0, &right("weight", WEIGHT + 1), style);
        for number in numbers {
            put(buf, place, x, 0, &right(&number.title, number.cells), style);
            x += number.cells as u16;
        }
        x
    };
    let title = |text: &str| truncate(text, table.name + 1);
    put(buf, place, 0, 0, &title("expert"), style);
    let x = numbers(buf, 2 + table.name as u16, &table.first) + 2;
    match &table.second {
        _ if !table.runner_up => {}
        Some(second) => {
            let said = if table.name + 1 < width("runner-up") { "next" } else { "runner-up" };
            put(buf, place, x, 0, &title(said), style);
            numbers(buf, x + 2 + table.name as u16, second);
        }
        None => {
            put(buf, place, x, 0, &right("next", 6), style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::marks::ExpertMarks;
    use super::super::testing::{PROMPT, Synthetic};
    use super::*;
    use crate::routing::{WhyModule, WhySequence};
    use crate::tui::Depth;

    /// Reasons that agree with a trace.
    fn why(trace: &Trace, token: usize, calibrated: bool) -> Why {
        let expert = |at: usize, (expert, weight): (u32, f32)| WhyExpert {
            expert: expert as usize,
            weight,
            score: 1.5 - at as f32 / 4.0,
            calibrated: calibrated.then_some(2.25 - at as f32),
            deciding: None,
            first_share: 0.41,
            gap: 0.83,
        };
        let module = |m: usize| WhyModule {
            module: trace.modules[m].clone(),
            experts: trace.weights(token, m).iter().enumerate().map(|(at, &one)| expert(at, one)).collect(),
        };
        let votes = if calibrated { vec![0.6, 0.3, 0.1] } else { Vec::new() };
        let modules = (0..trace.modules.len()).map(module).collect();
        let (decided, score) = ("The highest scores".to_string(), Some("norm"));
        Why { token, decided, score, decider: None, votes, sequence: None, modules }
    }

    fn drawn(trace: &Trace, by_module: bool, known: Known, cells: u16, rows: u16) -> String {
        let digest = Digest::new(trace, None, by_module);
        let mut marks = ExpertMarks::default();
        marks.update(&trace.experts, &digest.totals, &crate::tui::Shared::default());
        let listed = Listed::new(digest.order(), trace.experts.len(), usize::MAX, &marks, None);
        let area = Rect::new(0, 0, cells, rows);
        let mut buf = Buffer::empty(area);
        let detail =
            CellDetail { trace, digest: &digest, token: 6, column: 2, faded: false, listed: &listed, known };
        detail.draw(&mut buf, area, &Theme::new(Depth::Plain));
        crate::tui::testing::text(&buf)
    }

    #[test]
    fn scores_spectrum_runner_up_and_vote_are_said_as_far_as_they_have_room() {
        let trace = Synthetic { layers: 3, ..Synthetic::default() }.trace(&PROMPT);
        let why = why(&trace, 6, true);
        let wide = drawn(&trace, false, Known::Found(&why), 100, 8);
        for text in ["vote: antonym 60 %, capital 30 %", "norm", " z", "σ₁", "gap", "runner-up"] {
            assert!(wide.contains(text), "{text}\n{wide}");
        }
        assert!(wide.contains("1.500  +2.2 0.41 0.83") && wide.contains("1.250  +1.2"), "{wide}");
        // At 46 cells, as 80 × 24 has, the scores of the first and the weight of the next one are there.
        let narrow = drawn(&trace, false, Known::Found(&why), 46, 8);
        assert!(narrow.contains("1.500  +2.2") && narrow.contains("next"), "{narrow}");
        assert!(narrow.contains("vote: A 60 %") || narrow.contains("vote: antonym"), "{narrow}");
        // Without a row for the captions, and in few cells, weights are.
        for (cells, rows) in [(46, 5), (24, 8)] {
            let small = drawn(&trace, false, Known::Found(&why), cells, rows);
            assert!(!small.contains("1.500") && small.contains("0."), "{small}");
        }
        for cells in 0..120 {
            for rows in 0..9 {
                for by_module in [false, true] {
                    drawn(&trace, by_module, Known::Found(&why), cells, rows);
                    drawn(&trace, by_module, Known::Pending, cells, rows);
                }
            }
        }
    }

    #[test]
    fn what_decides_is_named_calibrated_where_it_is() {
        let trace = Synthetic { layers: 3, ..Synthetic::default() }.trace(&PROMPT);
        for (calibrated, title) in [(true, " norm z "), (false, " norm ")] {
            let mut found = Why { score: Some("arrow"), decider: Some("norm"), ..why(&trace, 6, calibrated) };
            let experts = found.modules.iter_mut().flat_map(|module| &mut module.experts);
            experts.for_each(|expert| expert.deciding = Some(-0.5));
            let text = drawn(&trace, false, Known::Found(&found), 120, 8);
            assert!(text.contains(title), "{text}");
            assert_eq!(text.contains("norm z"), calibrated, "{text}");
        }
    }

    #[test]
    fn the_experts_of_one_module_are_rows() {
        let trace = Synthetic { layers: 3, ..Synthetic::default() }.trace(&PROMPT);
        let why = why(&trace, 6, false);
        let text = drawn(&trace, true, Known::Found(&why), 60, 7);
        assert!(text.contains("at layer 0 v") || text.contains("at layer 0 "), "{text}");
        for score in ["1.500", "1.250", "1.000"] {
            assert!(text.lines().any(|line| line.contains(score) && line.contains("0.41")), "{text}");
        }
    }

    #[test]
    fn a_router_that_looks_at_the_whole_prompt_says_what_it_found_there() {
        let trace = Synthetic { layers: 3, ..Synthetic::default() }.trace(&PROMPT);
        let share = |expert, value| WhyShare { expert, weight: None, value, calibrated: None };
        let sequence = WhySequence {
            words: "its last token".into(),
            value: "cosine",
            lead: None,
            drawn: false,
            experts: vec![share(1, 0.75), share(0, 0.5)],
        };
        let (modules, score) = (Vec::new(), None);
        let why = Why { modules, score, sequence: Some(sequence), ..why(&trace, 6, false) };
        let text = drawn(&trace, false, Known::Found(&why), 90, 8);
        assert!(text.contains("cosine: capital 0.750, antonym 0.500"), "{text}");
        assert!(text.contains("0.") && !text.contains("σ₁"), "{text}");
        let why = Why { sequence: None, decided: "Drawn by a seed".into(), ..why };
        assert!(drawn(&trace, true, Known::Found(&why), 60, 8).contains("Drawn by a seed"));
    }

    #[test]
    fn what_is_being_found_out_is_no_number() {
        let trace = Synthetic { layers: 3, ..Synthetic::default() }.trace(&PROMPT);
        let text = drawn(&trace, false, Known::Pending, 100, 8);
        assert!(text.contains('…') && !text.contains("0.41") && text.contains("0."), "{text}");
        let text = drawn(&trace, false, Known::Failed("all experts are muted"), 100, 8);
        assert!(text.contains("all experts are muted") && text.contains('–'), "{text}");
    }

    #[test]
    fn scores_of_any_size_stay_short() {
        assert_eq!([0.01234, -9.5, 123.4, 2.5e7].map(number), ["0.012", "-9.500", "123.4", "2e7"]);
    }
}
