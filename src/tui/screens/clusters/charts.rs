//! The map of experts and the curves over k.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::tui::screens::parts::{bars, row};
use crate::tui::{Sweep, Theme, fit};

/// A point of the map.
pub struct Point<'a> {
    pub at: (f32, f32),
    pub cluster: usize,
    pub emphasis: Emphasis,
    /// Written beside it where there is room.
    pub name: Option<&'a str>,
}

/// How much a point matters; later ones are drawn over earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Emphasis {
    Other,
    /// In the selected cluster or near the selected expert.
    Near,
    Selected,
}

/// Draws experts as the letters of their clusters; both axes have the same scale.
pub fn map(frame: &mut Frame, area: Rect, points: &[Point], theme: &Theme) {
    if area.is_empty() || points.is_empty() {
        return;
    }
    let bounds = |of: fn(&Point) -> f32| {
        let finite = points.iter().map(of).filter(|value| value.is_finite());
        finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (bounds(|p| p.at.0), bounds(|p| p.at.1));
    // A cell is twice as high as wide.
    let (wide, high) = (f32::from(area.width - 1), f32::from(area.height - 1) * 2.0);
    let scale = (wide / (x1 - x0).max(1e-6)).min(high / (y1 - y0).max(1e-6));
    let place = |at: (f32, f32)| -> Option<(u16, u16)> {
        let x = wide / 2.0 + (at.0 - (x0 + x1) / 2.0) * scale;
        // Screens count downwards.
        let y = (high / 2.0 - (at.1 - (y0 + y1) / 2.0) * scale) / 2.0;
        (x.is_finite() && y.is_finite()).then(|| {
            let cell = |value: f32, most: u16| (value.round().max(0.0) as u16).min(most);
            (area.x + cell(x, area.width - 1), area.y + cell(y, area.height - 1))
        })
    };
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by_key(|point| point.emphasis);
    let buf = frame.buffer_mut();
    for point in order {
        let Some((x, y)) = place(point.at) else { continue };
        let style = theme.category(point.cluster);
        let style = match point.emphasis {
            Emphasis::Other => style,
            Emphasis::Near => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Emphasis::Selected => theme.cursor().add_modifier(Modifier::BOLD),
        };
        if let Some(name) = point.name {
            let text = fit::truncate_middle(name, 24);
            let width = fit::width(&text) as u16;
            let start = if x + 2 + width <= area.right() { Some(x + 2) } else { x.checked_sub(width + 1) };
            if let Some(start) = start.filter(|start| *start >= area.x) {
                buf.set_stringn(start, y, text, usize::from(area.right() - start), theme.text());
            }
        }
        let mark = theme.mark(point.cluster);
        buf.set_stringn(x, y, mark.encode_utf8(&mut [0; 4]), 1, style);
    }
}

/// Rows that [`curves`] wants; one less will do.
pub const CURVES: u16 = 8;

/// Silhouette and inertia over k as bars, `k` marked.
pub fn curves(frame: &mut Frame, area: Rect, sweep: &Sweep, k: usize, theme: &Theme) {
    if area.height < 4 || sweep.ks.is_empty() {
        return;
    }
    let wide = (area.width / sweep.ks.len() as u16).clamp(3, 6);
    // Where not all fit, those around k.
    let fits = usize::from(area.width / wide).max(1);
    let now = sweep.ks.iter().position(|point| point.0 == k).unwrap_or(0);
    let first = (now + 1).saturating_sub(fits).min(sweep.ks.len().saturating_sub(fits));
    let shown = &sweep.ks[first..(first + fits).min(sweep.ks.len())];
    let best = super::best_k(sweep);
    let style = |index: usize| -> Style {
        match shown.get(index) {
            Some(point) if point.0 == k => theme.accent(),
            _ => theme.dim(),
        }
    };
    let at = sweep.ks.iter().find(|point| point.0 == k);
    let title = |name: &'static str, value: Option<String>| {
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        Line::from(vec![Span::styled(name, theme.header()), Span::styled(value, theme.dim())])
    };
    let silhouette = at.and_then(|point| point.2).map(|value| format!("{value:.3} at k = {k}"));
    let inertia = at.map(|point| format!("{:.3} at k = {k}", point.1));
    let room = area.height - 3;
    let (upper, lower) = if area.height >= 6 { (room - room / 2, room / 2) } else { (room + 1, 0) };
    frame.render_widget(title("Silhouette by k", silhouette), row(area, 0));
    let values: Vec<f64> = shown.iter().map(|point| point.2.unwrap_or(f64::NAN)).collect();
    bars(frame, Rect { y: area.y + 1, height: upper, ..area }, &values, wide, style);
    let mut used = 1 + upper;
    if lower > 0 {
        frame.render_widget(title("Inertia by k", inertia), row(area, used));
        let values: Vec<f64> = shown.iter().map(|point| point.1).collect();
        bars(frame, Rect { y: area.y + used + 1, height: lower, ..area }, &values, wide, style);
        used += 1 + lower;
    }
    let labels: Vec<Span> = shown
        .iter()
        .enumerate()
        .map(|(index, point)| {
            let star = if Some(point.0) == best { "*" } else { "" };
            Span::styled(fit::left(&format!("{}{star}", point.0), wide.into()), style(index))
        })
        .collect();
    frame.render_widget(Line::from(labels), row(area, used));
}
