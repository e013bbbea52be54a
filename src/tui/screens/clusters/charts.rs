//! The map of experts and the curves over k.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::cells::Cells;
use crate::analysis::{SweptK, best_k};
use crate::text::number;
use crate::tui::widgets::{bars, row};
use crate::tui::{Theme, cluster_mark, text_width};

/// A point of the map.
pub struct Point<'a> {
    pub at: (f32, f32),
    pub cluster: usize,
    pub emphasis: Emphasis,
    /// Printable; written beside it where there is room.
    pub name: &'a str,
}

/// Names are tried for this many points at most: a crowd has no room for them.
const NAMED: usize = 200;

/// How much a point matters; later ones are drawn over earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Emphasis {
    Other,
    /// In the selected cluster or near the selected expert.
    Near,
    Selected,
}

/// Draws experts as the numbers of their clusters; both axes have the same scale. Those that fall on one
/// another are moved to free cells nearby. Returns how many have no cell of their own even so.
pub fn map(frame: &mut Frame, area: Rect, points: &[Point], theme: &Theme) -> usize {
    if area.is_empty() || points.is_empty() {
        return 0;
    }
    let mut cells = Cells::new(area.width, area.height);
    let places = cells.place(&points.iter().map(|point| point.at).collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(points[at].emphasis));
    for &at in order.iter().take(NAMED) {
        let (point, Some(place)) = (&points[at], places[at]) else { continue };
        let style = if point.emphasis == Emphasis::Other { theme.dim() } else { theme.text() };
        let most = if point.emphasis == Emphasis::Selected { 24 } else { 16 };
        if let Some((place, text)) = cells.name(place, point.name, most) {
            frame.buffer_mut().set_string(area.x + place.0, area.y + place.1, text, style);
        }
    }
    // The important ones last: nothing covers them.
    for &at in order.iter().rev() {
        let (point, Some((x, y))) = (&points[at], places[at]) else { continue };
        let style = theme.category(point.cluster);
        let style = match point.emphasis {
            Emphasis::Other => style,
            Emphasis::Near => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Emphasis::Selected => theme.cursor().add_modifier(Modifier::BOLD),
        };
        let mark = cluster_mark::one_cell(point.cluster);
        frame.buffer_mut().set_stringn(area.x + x, area.y + y, mark.encode_utf8(&mut [0; 4]), 1, style);
    }
    let drawn: std::collections::HashSet<_> = places.iter().flatten().collect();
    points.len() - drawn.len()
}

/// Rows that [`curves`] takes of `height`; fewer than 4 are none.
pub fn curve_rows(height: u16) -> u16 {
    match height {
        ..16 => 0,
        16..24 => 5,
        24..36 => 8,
        _ => height / 4,
    }
    .min(14)
}

/// Silhouette and inertia over k as bars, `k` marked.
pub fn curves(frame: &mut Frame, area: Rect, curve: &[SweptK], k: usize, theme: &Theme) {
    if area.height < 4 || curve.is_empty() {
        return;
    }
    let wide = (area.width / curve.len() as u16).clamp(3, 6);
    // Where not all fit, those around k.
    let fits = usize::from(area.width / wide).max(1);
    let now = curve.iter().position(|point| point.k == k).unwrap_or(0);
    let first = (now + 1).saturating_sub(fits).min(curve.len().saturating_sub(fits));
    let shown = &curve[first..(first + fits).min(curve.len())];
    let best = best_k(curve);
    let style = |index: usize| -> Style {
        match shown.get(index) {
            Some(point) if point.k == k => theme.accent(),
            _ => theme.dim(),
        }
    };
    let at = curve.iter().find(|point| point.k == k);
    let title = |name: &'static str, value: Option<String>| {
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        Line::from(vec![Span::styled(name, theme.header()), Span::styled(value, theme.dim())])
    };
    let silhouette = at.and_then(|point| point.silhouette).map(|value| format!("{value:.3} at k = {k}"));
    let inertia = at.map(|point| format!("{} at k = {k}", number(point.inertia, 3)));
    let room = area.height - 3;
    let (upper, lower) = if area.height >= 6 { (room - room / 2, room / 2) } else { (room + 1, 0) };
    frame.render_widget(title("Silhouette by k", silhouette), row(area, 0));
    let values: Vec<f64> = shown.iter().map(|point| point.silhouette.unwrap_or(f64::NAN)).collect();
    bars(frame, Rect { y: area.y + 1, height: upper, ..area }, &values, wide, style);
    let mut used = 1 + upper;
    if lower > 0 {
        frame.render_widget(title("Inertia by k", inertia), row(area, used));
        let values: Vec<f64> = shown.iter().map(|point| point.inertia).collect();
        bars(frame, Rect { y: area.y + used + 1, height: lower, ..area }, &values, wide, style);
        used += 1 + lower;
    }
    let labels: Vec<Span> = shown
        .iter()
        .enumerate()
        .map(|(index, point)| {
            let star = if Some(point.k) == best { "*" } else { "" };
            Span::styled(text_width::left(&format!("{}{star}", point.k), wide.into()), style(index))
        })
        .collect();
    frame.render_widget(Line::from(labels), row(area, used));
}
