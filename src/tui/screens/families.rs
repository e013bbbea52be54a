//! The experts by family, as their `expert.toml` has it: what is known of a library before anything is computed.

use std::collections::BTreeMap;

use ratatui::text::{Line, Span};

use super::super::widgets::bar;
use crate::text::printable;
use crate::tui::{Shared, Theme, text_width};

/// The families of the experts that can be compared, each with its number of experts, the largest first; those
/// without one last, as an empty name. Nothing where no expert has one.
fn families(shared: &Shared) -> Vec<(&str, usize)> {
    let experts = shared.library.iter().flat_map(|library| library.comparable());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for expert in experts {
        let family = expert.provenance.as_ref().and_then(|provenance| provenance.family.as_deref());
        *counts.entry(family.unwrap_or_default()).or_default() += 1;
    }
    if counts.keys().all(|family| family.is_empty()) {
        return Vec::new();
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(family, count)| (family.is_empty(), std::cmp::Reverse(count)));
    counts
}

/// The families under a heading, in at most `rows` lines of `width` cells; what has no room is counted.
pub fn lines(shared: &Shared, rows: usize, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let families = families(shared);
    let most = families.iter().map(|(_, count)| *count).max().unwrap_or_default();
    if most == 0 || rows < 3 || width < 16 {
        return Vec::new();
    }
    let shown = if families.len() < rows { families.len() } else { rows - 2 };
    let digits = most.to_string().len();
    let name =
        |family: &str| if family.is_empty() { "no family".into() } else { printable(family).into_owned() };
    let widest = families.iter().take(shown).map(|(family, _)| text_width::width(&name(family))).max();
    let label = widest.unwrap_or_default().min(width * 3 / 5);
    let room = width.saturating_sub(label + digits + 3);
    let mut lines = vec![Line::styled(text_width::truncate("Meanwhile, by family", width), theme.header())];
    for &(family, count) in &families[..shown] {
        let text = text_width::left(&name(family), label);
        lines.push(Line::from(vec![
            Span::raw(format!("{text} {count:>digits$}  ")),
            Span::styled(bar(count as f64 / most as f64, room), theme.dim()),
        ]));
    }
    let rest = &families[shown..];
    if !rest.is_empty() {
        let experts: usize = rest.iter().map(|(_, count)| count).sum();
        let text = format!("and {} more with {experts}", rest.len());
        lines.push(Line::styled(text_width::truncate(&text, width), theme.dim()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::Depth;
    use crate::tui::screens::test_data;

    fn drawn(experts: usize, rows: usize, width: usize) -> Vec<String> {
        let lines = lines(&test_data::shared(experts), rows, width, &Theme::new(Depth::True));
        lines.iter().map(|line| line.to_string().trim_end().to_string()).collect()
    }

    #[test]
    fn the_largest_come_first_and_those_without_one_last() {
        assert_eq!(
            drawn(14, 16, 40),
            [
                "Meanwhile, by family",
                "format    3  ███████████████████████████",
                "label     3  ███████████████████████████",
                "spanish   3  ███████████████████████████",
                "units     3  ███████████████████████████",
                "no family 2  ██████████████████",
            ]
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        assert_eq!(
            drawn(300, 4, 30),
            ["Meanwhile, by family", "format   3  ▎", "label    3  ▎", "and 3 more with 294"]
        );
        for (rows, width) in [(2, 40), (16, 15)] {
            assert_eq!(drawn(12, rows, width), Vec::<String>::new(), "{rows} {width}");
        }
    }

    #[test]
    fn names_are_printable_and_cut_and_bad_experts_are_not_counted() {
        let mut library = test_data::library(3).library.clone();
        for (expert, family) in
            library.experts.iter_mut().zip(["a\u{1b}[2J", "日本語の長い家族の名前です", "lost"])
        {
            expert.provenance.get_or_insert_default().family = Some(family.into());
        }
        library.experts[2].set_misfit(Some("made for another base model".into()));
        let shared = Shared { library: Some(std::sync::Arc::new(library.into())), ..Shared::default() };
        let lines = lines(&shared, 8, 24, &Theme::new(Depth::True));
        let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert!(text.iter().all(|line| text_width::width(line) <= 24), "{text:?}");
        assert!(text[1].starts_with("a\\u{1b}[2J"), "{text:?}");
        assert!(!text.concat().contains("lost"), "{text:?}");
    }

    #[test]
    fn nothing_is_said_where_no_expert_has_a_family() {
        let mut library = test_data::library(3).library.clone();
        library.experts.iter_mut().for_each(|expert| expert.provenance = None);
        let library = Some(std::sync::Arc::new(library.into()));
        let shared = Shared { library, ..Shared::default() };
        assert!(lines(&shared, 16, 40, &Theme::new(Depth::True)).is_empty());
    }
}
