//! Loss curves: any number of points in as many columns as the screen has.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

use crate::text::loss_text;
use crate::tui::Theme;

/// The smallest and the largest value of each of `columns` columns between `from` and `to`, in the order of
/// their steps: peaks that last one step stay visible. Values that are no numbers are left out.
pub fn decimate(points: &[(usize, f64)], columns: usize) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> = points
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|&(step, value)| (step as f64, value))
        .collect();
    if columns == 0 || finite.len() <= 2 * columns {
        return finite;
    }
    let (from, to) = (finite[0].0, finite[finite.len() - 1].0);
    let width = ((to - from) / columns as f64).max(f64::MIN_POSITIVE);
    let column = |step: f64| (((step - from) / width) as usize).min(columns - 1);
    let mut kept = Vec::with_capacity(2 * columns);
    let mut rest = finite.as_slice();
    while let Some(&(first, _)) = rest.first() {
        let here = column(first);
        let end = rest.iter().position(|&(step, _)| column(step) != here).unwrap_or(rest.len());
        let (bucket, after) = rest.split_at(end);
        let least = bucket.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied();
        let most = bucket.iter().max_by(|a, b| a.1.total_cmp(&b.1)).copied();
        let mut pair: Vec<(f64, f64)> = least.into_iter().chain(most).collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair.dedup();
        kept.extend(pair);
        rest = after;
    }
    kept
}

/// Draws training and validation loss over steps; says so when there is nothing to draw yet.
pub fn draw(
    frame: &mut Frame,
    area: Rect,
    training: &[(usize, f64)],
    validation: &[(usize, f64)],
    steps: usize,
    theme: &Theme,
) {
    if area.width < 12 || area.height < 4 {
        return;
    }
    // Braille has two columns of dots a cell.
    let columns = usize::from(area.width) * 2;
    let (training, validation) = (decimate(training, columns), decimate(validation, columns));
    let values = || training.iter().chain(&validation).map(|&(_, value)| value);
    let (Some(least), Some(most)) = (values().reduce(f64::min), values().reduce(f64::max)) else { return };
    let last =
        training.iter().chain(&validation).map(|&(step, _)| step).fold(steps as f64, f64::max).max(1.0);
    let pad = ((most - least) * 0.05).max(most.abs() * 0.01).max(1e-6);
    // A loss is never below 0: neither is its axis.
    let bottom = if least >= 0.0 { (least - pad).max(0.0) } else { least - pad };
    let top = most + pad;
    let plain = |style: Style| style.remove_modifier(ratatui::style::Modifier::BOLD);
    let datasets = vec![
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(plain(theme.accent()))
            .data(&training),
        Dataset::default()
            .marker(Marker::Dot)
            .graph_type(GraphType::Scatter)
            .style(theme.warning())
            .data(&validation),
    ];
    let label = |value: f64| Span::styled(loss_text(value), theme.dim());
    let mut heights = vec![label(bottom), label(top)];
    if area.height >= 8 {
        heights.insert(1, label(f64::midpoint(bottom, top)));
    }
    let chart = Chart::new(datasets)
        .legend_position(None)
        .x_axis(
            Axis::default()
                .bounds([0.0, last])
                .labels([
                    Span::styled("0", theme.dim()),
                    Span::styled(format!("step {last:.0}"), theme.dim()),
                ])
                .style(theme.border()),
        )
        .y_axis(Axis::default().bounds([bottom, top]).labels(heights).style(theme.border()));
    let mut key = vec![Span::styled("⠤ training", plain(theme.accent()))];
    if let Some(&(_, value)) = training.last() {
        key.push(Span::styled(format!(" {}", loss_text(value)), theme.text()));
    }
    if let Some(&(_, value)) = validation.last() {
        key.push(Span::styled("  • validation", theme.warning()));
        key.push(Span::styled(format!(" {}", loss_text(value)), theme.text()));
    }
    frame.buffer_mut().set_line(area.x, area.y, &Line::from(key), area.width);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    frame.render_widget(chart, below);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_peak_of_one_step_survives() {
        let mut points: Vec<(usize, f64)> = (0..10_000).map(|i| (i, 1.0)).collect();
        points[4321].1 = 9.0;
        points[777].1 = f64::NAN;
        let kept = decimate(&points, 50);
        assert!(kept.len() <= 100);
        assert!(kept.contains(&(4321.0, 9.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    proptest! {
        #[test]
        fn keeps_the_extremes(values in prop::collection::vec(-10.0f64..10.0, 1..400), columns in 1usize..40) {
            let points: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
            let kept = decimate(&points, columns);
            prop_assert!(kept.len() <= 2 * columns || kept.len() == points.len());
            let most = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::MIN, f64::max);
            prop_assert_eq!(most(&mut kept.iter().map(|p| p.1)), most(&mut values.iter().copied()));
        }
    }
}
