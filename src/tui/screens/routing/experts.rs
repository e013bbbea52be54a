//! Experts as rows, those with the most weight first: share, how often each leads, and in which layers.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::digest::Digest;
use super::marks::{ExpertMarks, Mark, OTHERS, put_mark};
use super::paint::{bar, column, heading, put, scroll, tint};
use crate::routing::Trace;
use crate::text::{counted, percent};
use crate::tui::Theme;
use crate::tui::text_width::{left, right, truncate, truncate_middle, width};

/// From this width on the rows also say how often an expert leads, and where.
const ROOMY: usize = 44;

/// Cells of a share.
const SHARE: usize = 6;

/// From this width on a number of experts that are not shown has a word.
const ROOM_FOR_WORDS: usize = 36;

/// Cells of a sparkline over the layers, at most.
const SPARK: usize = 15;

/// How many are not shown for want of room, behind those that are.
pub fn more(hidden: usize, in_words: bool) -> String {
    format!("+{hidden}{}", if in_words { " more" } else { "" })
}

/// The experts that have a row: only they show by their letters, since nothing else says whose those are.
pub struct Listed<'a> {
    marks: &'a ExpertMarks,
    /// In the order of the rows.
    pub rows: Vec<usize>,
    /// How many experts stand above the first row.
    pub above: usize,
    listed: Vec<bool>,
}

impl<'a> Listed<'a> {
    /// The first of `order` that have room, or those around the expert that a person chose; where others have weight, a
    /// row is kept for them.
    pub fn new(
        order: Vec<usize>,
        experts: usize,
        room: usize,
        marks: &'a ExpertMarks,
        chosen: Option<usize>,
    ) -> Self {
        let mut rows = order;
        let mut above = 0;
        if rows.len() > room {
            // In two rows two experts say more than one and the rest.
            let room = if room > 2 { room - 1 } else { room };
            let at = chosen.and_then(|chosen| rows.iter().position(|&expert| expert == chosen));
            // The strongest stay in view as long as the chosen one is among them.
            above = at.filter(|&at| at >= room).map_or(0, |at| scroll(at, rows.len(), room));
            rows.drain(..above);
            rows.truncate(room);
        }
        let mut listed = vec![false; experts];
        rows.iter().for_each(|&expert| listed[expert] = true);
        Self { marks, rows, above, listed }
    }

    /// How an expert shows.
    pub fn mark(&self, trace: &Trace, expert: usize) -> Mark {
        let mark = self.marks.of(trace.experts.get(expert).map_or("", String::as_str));
        let listed = self.listed.get(expert).copied().unwrap_or(false);
        Mark { letter: if listed { mark.letter } else { OTHERS }, ..mark }
    }
}

/// The shares of the prompt.
pub struct Shares<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    /// By expert: its share of the votes, where these decide once for the whole prompt; else empty.
    pub votes: &'a [f64],
    pub muted: &'a [String],
    pub pinned: &'a [String],
    /// The expert that keys act on.
    pub expert: Option<usize>,
    pub faded: bool,
    pub listed: &'a Listed<'a>,
    /// How many experts there are to list: all, or those that a search found.
    pub found: usize,
    /// The text of a search, where there is one.
    pub search: Option<&'a str>,
    /// Whether there is room for a heading.
    pub headed: bool,
}

impl Shares<'_> {
    /// Draws a heading, one row per expert, and what the others have.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        // Where the others have no row of their own, how many they are stands behind the last one.
        let behind = self.behind(area);
        let whole = area;
        let taken = behind.as_ref().map_or(0, |text| width(text) as u16 + 1).min(area.width);
        let area = Rect { width: area.width - taken, ..area };
        let cells = usize::from(area.width);
        let names = self.listed.rows.iter().map(|&expert| width(&self.trace.experts[expert]));
        let widest = names.max().unwrap_or(0);
        let roomy = cells >= ROOMY;
        let spark = if roomy { self.digest.layers.len().min(SPARK) } else { 0 };
        // A share, how often it leads, the layers; a blank before each.
        let columns = if roomy { 2 * SHARE + 3 + spark } else { SHARE };
        // Mark, name, bar, share; the bar keeps a quarter.
        let room = cells.saturating_sub(4 + columns);
        let name_room = widest.min(room.saturating_sub(room / 4));
        let bar_room = room.saturating_sub(name_room);
        if self.headed {
            self.head(buf, area, roomy, spark, theme);
        }
        // Where one expert has all the weight, its votes say more.
        let (values, others) = match self.votes.is_empty() {
            true => (self.digest.totals.as_slice(), self.digest.wins.as_slice()),
            false => (self.votes, self.digest.totals.as_slice()),
        };
        let peak = values.iter().copied().fold(0.0, f64::max);
        for (row, &expert) in self.listed.rows.iter().enumerate() {
            let y = row as u16 + u16::from(self.headed);
            let name = &self.trace.experts[expert];
            let muted = self.muted.contains(name);
            let share = values.get(expert).copied().unwrap_or(0.0);
            if self.expert == Some(expert) {
                put(buf, area, 0, y, "›", theme.accent());
            }
            let mark = self.listed.mark(self.trace, expert);
            put_mark(buf, area, 1, y, mark, theme);
            let style = if muted || self.faded { theme.dim() } else { theme.text() };
            let shown = if width(name) > name_room { truncate_middle(name, name_room) } else { name.clone() };
            put(buf, area, 3, y, &left(&shown, name_room), style);
            if self.expert == Some(expert) {
                tint(buf, area, 3, y, name_room as u16, theme.selection());
            }
            let x = (name_room + 4) as u16;
            if muted {
                put(buf, area, x, y, "muted", theme.dim());
                continue;
            }
            let part = if peak > 0.0 { share / peak } else { 0.0 };
            let bar_style =
                if self.faded { theme.category_faint(mark.hue) } else { theme.category(mark.hue) };
            let used = put(buf, area, x, y, &bar(part, bar_room.saturating_sub(1)), bar_style);
            if self.pinned.contains(name) && usize::from(used) + 7 <= bar_room {
                put(buf, area, x + used + 1, y, "pinned", theme.warning());
            } else if self.pinned.contains(name) {
                put(buf, area, 2, y, "*", theme.warning());
            }
            let x = x + bar_room as u16;
            put(buf, area, x, y, &right(&percent(share), SHARE), style);
            if roomy {
                let other = others.get(expert).copied().unwrap_or(0.0);
                put(buf, area, x + SHARE as u16 + 1, y, &right(&percent(other), SHARE), style);
                put(buf, area, x + 2 * SHARE as u16 + 3, y, &self.sparkline(expert, spark), bar_style);
            }
        }
        match behind {
            Some(text) => {
                let last = (self.listed.rows.len() + usize::from(self.headed)).saturating_sub(1) as u16;
                put(buf, whole, whole.width.saturating_sub(taken - 1), last, &text, theme.dim());
            }
            None => self.rest(buf, area, theme),
        }
    }

    /// How many experts have no row, where there is none for saying so.
    fn behind(&self, area: Rect) -> Option<String> {
        let rows = self.listed.rows.len();
        let hidden = self.found.saturating_sub(rows);
        let full = rows + usize::from(self.headed) >= usize::from(area.height);
        (hidden > 0 && rows > 0 && full).then(|| more(hidden, usize::from(area.width) >= ROOM_FOR_WORDS))
    }

    fn head(&self, buf: &mut Buffer, area: Rect, roomy: bool, spark: usize, theme: &Theme) {
        let layers = if spark < 8 { "" } else { "by layer" };
        let (what, other) = if self.votes.is_empty() { ("share", "wins") } else { ("votes", "share") };
        let columns = if roomy {
            format!("{} {}  {}", right(what, SHARE), right(other, SHARE), left(layers, spark))
        } else {
            String::new()
        };
        let x = usize::from(area.width).saturating_sub(width(&columns));
        // What is before the columns: nothing of it is drawn over.
        let tokens = counted(self.digest.counted, "token");
        let (title, note) = match self.search {
            Some(text) => {
                let note = format!("{} found", self.found);
                (truncate(&format!("/ {text}"), x.saturating_sub(width(&note) + 2)), note)
            }
            None => {
                let forms = [format!("{what} of {tokens}"), format!("of {tokens}"), tokens];
                let fits = |form: &&String| width(form) <= x;
                (forms.iter().find(fits).cloned().unwrap_or_default(), String::new())
            }
        };
        heading(buf, Rect { width: x as u16, ..area }, 0, &title, &note, theme);
        put(buf, area, x as u16, 0, &columns, theme.header());
    }

    /// What the experts without a row have together.
    fn rest(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let hidden = self.found.saturating_sub(self.listed.rows.len());
        let y = self.listed.rows.len() as u16 + u16::from(self.headed);
        if hidden == 0 {
            if self.found == 0 && self.search.is_some() {
                put(buf, area, 3, 1, "no expert has such a name", theme.dim());
            }
            return;
        }
        if self.listed.above > 0 {
            let (from, to) = (self.listed.above + 1, self.listed.above + self.listed.rows.len());
            put(buf, area, 3, y, &format!("{from}–{to} of {}", self.found), theme.dim());
            return;
        }
        if self.search.is_some() {
            put(buf, area, 3, y, &format!("{hidden} more found"), theme.dim());
            return;
        }
        let values = if self.votes.is_empty() { &self.digest.totals } else { self.votes };
        let shown: f64 = self.listed.rows.iter().filter_map(|&expert| values.get(expert)).sum();
        let all: f64 = values.iter().sum();
        let text = format!("{hidden} more with {}", percent((all - shown).max(0.0)));
        let cells = usize::from(area.width).saturating_sub(3);
        let hint = format!("{text} · / finds one");
        put(
            buf,
            area,
            3,
            y,
            &truncate(if width(&hint) <= cells { &hint } else { &text }, cells),
            theme.dim(),
        );
    }

    /// An expert's share by layer, beside its own greatest.
    fn sparkline(&self, expert: usize, cells: usize) -> String {
        let layers = &self.digest.layers;
        if cells == 0 || layers.is_empty() {
            return String::new();
        }
        let mean = |cell: usize| {
            let (from, to) = (cell * layers.len() / cells, (cell + 1) * layers.len() / cells);
            let part = &layers[from..to.max(from + 1)];
            part.iter().map(|layer| layer.shares[expert]).sum::<f32>() / part.len() as f32
        };
        let values: Vec<f32> = (0..cells).map(mean).collect();
        let peak = values.iter().copied().fold(0.0, f32::max);
        values.iter().map(|value| column(if peak > 0.0 { value / peak } else { 0.0 })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PROMPT, Synthetic};
    use super::*;

    fn drawn(experts: usize, cells: u16, rows: u16) -> String {
        drawn_with(experts, cells, rows, None)
    }

    fn drawn_with(experts: usize, cells: u16, rows: u16, place: Option<usize>) -> String {
        let trace = Synthetic { experts, layers: 12, ..Synthetic::default() }.trace(&PROMPT);
        let digest = Digest::new(&trace, None, false);
        let mut marks = ExpertMarks::default();
        marks.update(&trace.experts, &digest.totals, &crate::tui::Shared::default());
        let chosen = place.map(|place| digest.order()[place]);
        if let Some(chosen) = chosen {
            marks.lend(&trace.experts[chosen]);
        }
        let listed = Listed::new(digest.order(), experts, usize::from(rows) - 1, &marks, chosen);
        let shares = Shares {
            trace: &trace,
            digest: &digest,
            votes: &[],
            muted: &[],
            pinned: &[],
            expert: chosen,
            faded: false,
            listed: &listed,
            found: experts,
            search: None,
            headed: true,
        };
        let area = Rect::new(0, 0, cells, rows);
        let mut buf = Buffer::empty(area);
        shares.draw(&mut buf, area, &Theme::new(crate::tui::Depth::Plain));
        crate::tui::testing::text(&buf)
    }

    #[test]
    fn where_votes_decide_they_are_listed() {
        let trace = Synthetic { experts: 3, layers: 12, width: 1, uniform: false }.trace(&PROMPT);
        let mut digest = Digest::new(&trace, None, false);
        digest.totals = vec![1.0, 0.0, 0.0];
        let marks = ExpertMarks::default();
        let listed = Listed::new(vec![0, 2, 1], 3, 3, &marks, None);
        let shares = Shares {
            trace: &trace,
            digest: &digest,
            votes: &[0.4, 0.28, 0.32],
            muted: &[],
            pinned: &[],
            expert: None,
            faded: false,
            listed: &listed,
            found: 3,
            search: None,
            headed: true,
        };
        let drawn = |cells: u16| {
            let area = Rect::new(0, 0, cells, 4);
            let mut buf = Buffer::empty(area);
            shares.draw(&mut buf, area, &Theme::new(crate::tui::Depth::Plain));
            crate::tui::testing::text(&buf)
        };
        let wide = drawn(60);
        assert!(wide.contains("votes of 10 tokens") && wide.contains(" votes  share"), "{wide}");
        assert!(wide.contains("40 %  100 %") && wide.contains("32 %    0 %"), "{wide}");
        let narrow = drawn(30);
        assert!(narrow.contains("votes of 10 tokens") && narrow.contains(" 32 %"), "{narrow}");
        assert!(!narrow.contains("100 %"), "{narrow}");
    }

    #[test]
    fn experts_keep_their_letters_whatever_the_order_of_the_trace() {
        let trace = Synthetic { experts: 3, layers: 2, ..Synthetic::default() }.trace(&PROMPT);
        let mut marks = ExpertMarks::default();
        // "capital" was there first; "antonym", the first of the trace, came last.
        let order = ["capital", "celsius", "antonym"].map(String::from);
        marks.update(&order, &[], &crate::tui::Shared::default());
        let listed = Listed::new(vec![0, 1, 2], 3, 3, &marks, None);
        assert_eq!([0, 1, 2].map(|e| listed.mark(&trace, e).letter), ['C', 'A', 'B']);
    }

    #[test]
    fn the_strongest_come_first_and_the_rest_is_summed() {
        let text = drawn(1000, 60, 8);
        let shares: Vec<f64> = text
            .lines()
            .skip(1)
            .filter_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let at = words.iter().position(|word| *word == "%")?;
                words[at - 1].trim_start_matches('<').parse().ok()
            })
            .collect();
        assert_eq!(shares.len(), 7, "{text}");
        assert!(shares[..6].is_sorted_by(|a, b| a >= b), "{text}");
        // Six rows and the rest are all of it.
        assert!((shares.iter().sum::<f64>() - 100.0).abs() < 1.5, "{text}");
        assert!(text.contains("994 more with") && text.contains("/ finds one"), "{text}");
        assert!(text.contains(" share   wins  by layer"), "{text}");
        assert!(drawn(5, 30, 8).lines().nth(1).is_some_and(|line| line.contains('━')));
    }

    #[test]
    fn who_has_no_row_is_counted_in_any_place() {
        for cells in [24, 30, 43, 44, 60, 120] {
            for rows in 2..16 {
                let text = drawn(12, cells, rows);
                let named =
                    text.lines().skip(1).filter(|line| line.contains(" %") && !line.contains("more with"));
                let hidden = 12 - named.count();
                let counted =
                    text.contains(&format!("+{hidden}")) || text.contains(&format!(" {hidden} more"));
                assert_eq!(counted, hidden > 0, "{hidden} at {cells} × {rows}: {text}");
            }
        }
    }

    #[test]
    fn the_heading_is_whole_in_any_width() {
        for cells in 15..120 {
            let text = drawn(12, cells, 4);
            let head = text.lines().next().unwrap_or_default();
            assert!(head.contains("10 tokens"), "{cells}: {head}");
            assert_eq!(head.contains("share   wins"), usize::from(cells) >= ROOMY, "{cells}: {head}");
        }
        assert!(drawn(12, 30, 4).starts_with("share of 10 tokens ─"), "{}", drawn(12, 30, 4));
    }

    #[test]
    fn the_list_scrolls_to_the_chosen_expert_which_has_a_letter() {
        for place in [0, 5, 6, 7, 500, 999] {
            let text = drawn_with(1000, 60, 8, Some(place));
            let chosen = text.lines().find(|line| line.starts_with('›')).expect("the chosen one has a row");
            assert!(!chosen.starts_with("›·"), "{place}: {text}");
            let head = place < 6;
            assert_eq!(text.contains("994 more with"), head, "{place}: {text}");
            assert_eq!(text.contains(" of 1000"), !head, "{place}: {text}");
        }
        assert!(drawn_with(1000, 60, 8, Some(999)).contains("995–1000 of 1000"));
    }

    #[test]
    fn only_experts_with_a_row_have_a_letter() {
        let trace = Synthetic { experts: 5, layers: 2, ..Synthetic::default() }.trace(&PROMPT);
        let mut marks = ExpertMarks::default();
        marks.update(&trace.experts, &[], &crate::tui::Shared::default());
        let listed = Listed::new(vec![4, 3, 2, 1, 0], 5, 3, &marks, None);
        assert_eq!(listed.rows, [4, 3]);
        let letters = [0, 1, 2, 3, 4].map(|e| listed.mark(&trace, e).letter);
        assert_eq!(letters, [OTHERS, OTHERS, OTHERS, 'D', 'E']);
    }
}
