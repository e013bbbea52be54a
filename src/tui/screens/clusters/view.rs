//! Drawing of the Clusters tab.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::ClustersScreen;
use super::charts::{self, Emphasis, Point};
use super::groups::{Cluster, Row, nearest};
use super::state::{Chosen, Shown};
use crate::text::{counted, number};
use crate::tui::screens::families;
use crate::tui::widgets::{bar, bar_left, below, header, list_edge, progress, row};
use crate::tui::{Shared, Theme, cluster_mark, text_width};

/// Width from which map and curves stand beside the list.
const WIDE: u16 = 64;
/// Cells of the labels of facts.
const FACT: usize = 10;
/// Rows from which details below the list are worth it.
const DETAIL: u16 = 5;

impl ClustersScreen {
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        self.draw_header(frame, row(area, 0), shared, theme);
        let mut used = 1;
        let shown = self.shown.as_ref();
        let lines = match (&self.comparing.error, shown) {
            (Some(_), _) => self.comparing.error_lines(shown.is_some(), area, theme),
            (None, Some(shown)) => self.comparing.note_lines(&shown.similarity, shared, area, theme),
            (None, None) => Vec::new(),
        };
        for line in lines {
            frame.render_widget(line, row(area, used));
            used += 1;
        }
        let body = below(area, used + u16::from(area.height >= 16));
        let Some(shown) = &self.shown else {
            if let Some(request) = self.clustering.as_ref().filter(|_| self.comparing.error.is_none()) {
                let what = format!("comparing {}", counted(self.comparing.comparable().len, "expert"));
                request.draw(frame, body, &what, shared, theme);
                return;
            }
            let failed =
                "No clusters without MBC similarity; the Similarity tab can still show ΔW cosines (m).";
            self.comparing.draw_nothing(frame, body, failed, shared, theme);
            return;
        };
        if body.width < WIDE {
            self.draw_list(shown, frame, body, theme);
            return;
        }
        let left = (body.width * 9 / 20).clamp(30, 68);
        let right = Rect { x: body.x + left + 2, width: body.width - left - 2, ..body };
        // A short list leaves room for the details below it, and the map gets theirs.
        let list = u16::try_from(shown.groups.rows.len()).unwrap_or(u16::MAX).saturating_add(2);
        let spare = body.height.saturating_sub(list);
        let left = Rect { width: left, ..body };
        let families = match shown.sample_of {
            // A sample says little of the whole: what is known of that stands below.
            Some(_) => families::lines(shared, usize::from(body.height / 2), left.width.into(), theme),
            None => Vec::new(),
        };
        if !families.is_empty() {
            let below_it = families.len() as u16;
            let list = body.height.saturating_sub(below_it + 1);
            self.draw_list(shown, frame, Rect { height: list, ..left }, theme);
            frame.render_widget(Paragraph::new(families), below(left, list + 1));
        } else if spare >= DETAIL {
            self.draw_list(shown, frame, Rect { height: list - 1, ..left }, theme);
            self.draw_detail(shown, frame, below(left, list), theme);
        } else {
            self.draw_list(shown, frame, left, theme);
        }
        self.draw_right(shown, frame, right, spare < DETAIL, theme);
    }

    fn draw_header(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let facts = match &self.shown {
            Some(Shown { clustering, similarity, sample_of: shown_sample, .. }) => {
                let why = match (self.chosen, clustering.silhouette) {
                    // What is on the screen is not what was chosen: that is under way.
                    (Chosen::Silhouette | Chosen::Person, silhouette) if clustering.k != self.k => {
                        silhouette.map_or("chosen before".into(), |value| format!("silhouette {value:.3}"))
                    }
                    (Chosen::Guess, None) => "first guess".to_string(),
                    (Chosen::Guess, Some(silhouette)) => format!("first guess, silhouette {silhouette:.3}"),
                    (Chosen::Silhouette, silhouette) => {
                        format!("{}, silhouette {:.3}", self.best_of(), silhouette.unwrap_or_default())
                    }
                    (Chosen::Person, None) => "by hand".to_string(),
                    (Chosen::Person, Some(silhouette)) => format!("by hand, silhouette {silhouette:.3}"),
                };
                let sample = shown_sample.map(|all| format!("sample of {} of {all}", similarity.len()));
                let mut facts: Vec<String> = sample.into_iter().collect();
                facts.extend([
                    format!("k = {}", clustering.k),
                    why,
                    format!("inertia {}", number(clustering.inertia, 3)),
                    format!("seed {}", clustering.seed),
                    format!("sparsity {:.2}", similarity.sparsity),
                    counted(similarity.len(), "expert"),
                ]);
                facts
            }
            None => vec!["MBC clusters".to_string()],
        };
        header(frame, area, &facts, theme);
        let under_way = match (&self.clustering, &self.sweeping) {
            // In the middle of the screen, where that is empty.
            (Some(_), _) if self.shown.is_none() => None,
            (Some(request), _) if request.total > 0 => Some(("comparing".to_string(), request)),
            (Some(request), _) => Some((format!("clustering k = {}", self.k), request)),
            (None, Some(request)) => Some(("trying other k".to_string(), request)),
            (None, None) => None,
        };
        if let Some((what, request)) = under_way {
            progress(frame, area, &what, &request.far(shared.now), shared.tick, theme);
        }
    }

    fn draw_list(&self, shown: &Shown, frame: &mut Frame, area: Rect, theme: &Theme) {
        let rows = &shown.groups.rows;
        let silhouettes = !shown.clustering.silhouettes.is_empty();
        let area = if area.height >= 5 {
            let (left, right) = ("Experts by cluster", if silhouettes { "silhouette" } else { "" });
            let room = usize::from(area.width).saturating_sub(text_width::width(left));
            let line = format!("{left}{}", text_width::right(right, room));
            frame.render_widget(
                Line::styled(text_width::truncate(&line, area.width.into()), theme.dim()),
                row(area, 0),
            );
            below(area, 1)
        } else {
            area
        };
        let window = self.list.window(rows.len(), area.height.into());
        let area = list_edge(frame, area, window.clone(), rows.len(), theme);
        for (line, at) in window.enumerate() {
            let here = row(area, line as u16);
            let selected = at == self.list.cursor();
            let line = match rows[at] {
                Row::Cluster(cluster) => heading(shown, cluster, here.width.into(), theme),
                Row::Member(expert) => member(shown, expert, here.width.into(), theme),
            };
            frame.render_widget(line, here);
            if selected {
                frame.buffer_mut().set_style(here, theme.selection());
            }
        }
    }

    /// From the top: map, details if they are wanted here, curves; what has no room is left out, the map
    /// last.
    fn draw_right(&self, shown: &Shown, frame: &mut Frame, area: Rect, detail: bool, theme: &Theme) {
        let curve = self.curve();
        let curves = if curve.is_empty() { 0 } else { charts::curve_rows(area.height) };
        let rest = area.height - curves;
        let detail = if detail && rest >= 10 { (rest * 2 / 5).clamp(5, 14) } else { 0 };
        let map = rest - detail - u16::from(curves > 0);
        self.draw_map(shown, frame, Rect { height: map, ..area }, theme);
        if detail > 0 {
            self.draw_detail(shown, frame, Rect { y: area.y + map, height: detail, ..area }, theme);
        }
        if curves > 0 {
            let at = Rect { y: area.bottom() - curves, height: curves, ..area };
            charts::curves(frame, at, &curve, shown.clustering.k, theme);
        }
    }

    fn draw_detail(&self, shown: &Shown, frame: &mut Frame, area: Rect, theme: &Theme) {
        frame.render_widget(Paragraph::new(self.detail(shown, area, theme)), area);
    }

    fn draw_map(&self, shown: &Shown, frame: &mut Frame, area: Rect, theme: &Theme) {
        let title = |note: String| {
            let room = usize::from(area.width).saturating_sub(3);
            Line::from(vec![
                Span::styled("Map", theme.header()),
                Span::styled(text_width::truncate(&note, room), theme.dim()),
            ])
        };
        frame.render_widget(title("  near is similar".into()), row(area, 0));
        let Some(sweep) = self.sweep.as_deref().filter(|sweep| sweep.experts == shown.similarity.experts)
        else {
            return;
        };
        let selected = shown.groups.rows.get(self.list.cursor()).copied();
        let near: Vec<usize> = match selected {
            Some(Row::Member(expert)) => {
                nearest(&shown.similarity, expert, 5).into_iter().map(|(other, _)| other).collect()
            }
            _ => Vec::new(),
        };
        let points: Vec<Point> = sweep
            .map
            .iter()
            .zip(&shown.clustering.labels)
            .enumerate()
            .map(|(expert, (&at, &cluster))| {
                let emphasis = match selected {
                    Some(Row::Member(own)) if own == expert => Emphasis::Selected,
                    Some(Row::Cluster(own)) if own == cluster => Emphasis::Near,
                    _ if near.contains(&expert) => Emphasis::Near,
                    _ => Emphasis::Other,
                };
                let name = shown.groups.names.get(expert).map(String::as_str).unwrap_or_default();
                Point { at, cluster, emphasis, name }
            })
            .collect();
        let hidden = charts::map(frame, below(area, 1), &points, theme);
        if hidden > 0 {
            let note = format!("  near is similar · {hidden} behind others: too many for the room");
            frame.render_widget(title(note), row(area, 0));
        }
    }

    /// About the selected line.
    fn detail(&self, shown: &Shown, area: Rect, theme: &Theme) -> Vec<Line<'static>> {
        let width = usize::from(area.width);
        let name = |at: usize, room: usize| {
            text_width::truncate_middle(
                shown.groups.names.get(at).map(String::as_str).unwrap_or_default(),
                room,
            )
        };
        let mark = |cluster: usize| Span::styled(cluster_mark::mark(cluster), theme.category(cluster));
        match shown.groups.rows.get(self.list.cursor()) {
            Some(&Row::Member(expert)) => {
                let mut lines = vec![Line::from(vec![
                    Span::styled("Nearest to ", theme.header()),
                    Span::styled(name(expert, width.saturating_sub(11)), theme.accent()),
                ])];
                let room = usize::from(area.height).saturating_sub(1);
                lines.extend(nearest(&shown.similarity, expert, room).into_iter().map(|(other, value)| {
                    let cluster = shown.clustering.labels.get(other).copied().unwrap_or(0);
                    Line::from(vec![
                        Span::raw(format!("{value:>6.3} ")),
                        mark(cluster),
                        Span::raw(format!(" {}", name(other, width.saturating_sub(9)))),
                    ])
                }));
                lines
            }
            Some(&Row::Cluster(cluster)) => {
                let Some(group) = shown.groups.clusters.get(cluster) else { return Vec::new() };
                let mut lines = vec![Line::from(vec![
                    Span::styled("Cluster ", theme.header()),
                    mark(cluster),
                    Span::styled(format!("  {}", counted(group.members.len(), "expert")), theme.dim()),
                ])];
                let fact = |label: &'static str, value: Vec<Span<'static>>| {
                    let mut spans = vec![Span::styled(text_width::left(label, FACT), theme.dim())];
                    spans.extend(value);
                    Line::from(spans)
                };
                if let Some(centre) = group.centre {
                    lines.push(fact("centre", vec![Span::raw(name(centre, width.saturating_sub(FACT)))]));
                }
                if let Some((other, value)) = group.nearest {
                    let value = Span::raw(format!("  similarity {value:.3}"));
                    lines.push(fact("nearest", vec![mark(other), value]));
                }
                if !group.families.is_empty() {
                    let families: Vec<String> =
                        group.families.iter().map(|(family, count)| format!("{family} {count}")).collect();
                    let families = text_width::truncate(&families.join(", "), width.saturating_sub(FACT));
                    lines.push(fact("families", vec![Span::raw(families)]));
                }
                lines
            }
            None => Vec::new(),
        }
    }
}

/// `1  5 experts   cohesion 0.913`
fn heading(shown: &Shown, cluster: usize, width: usize, theme: &Theme) -> Line<'static> {
    let empty = Cluster::default();
    let group = shown.groups.clusters.get(cluster).unwrap_or(&empty);
    let mut facts = format!("  {}", counted(group.members.len(), "expert"));
    if group.members.len() > 1 {
        facts.push_str(&format!(" · cohesion {:.3}", group.cohesion));
    }
    let mut spans = vec![
        Span::styled(cluster_mark::mark(cluster), theme.header().patch(theme.category(cluster))),
        Span::styled(text_width::truncate(&facts, width.saturating_sub(8)), theme.header()),
    ];
    if let Some(silhouette) = group.silhouette {
        let used: usize = spans.iter().map(|span| text_width::width(&span.content)).sum();
        let text = format!("{silhouette:>6.2}");
        spans.push(Span::styled(text_width::right(&text, width.saturating_sub(used)), theme.dim()));
    }
    Line::from(spans)
}

/// `  name   ██████▌ 0.52`: the bar is the silhouette.
fn member(shown: &Shown, expert: usize, width: usize, theme: &Theme) -> Line<'static> {
    let cluster = shown.clustering.labels.get(expert).copied().unwrap_or(0);
    let silhouette = shown.clustering.silhouettes.get(expert).copied();
    let cells = if width >= 44 { 12 } else { 6 };
    let tail = if silhouette.is_some() && width >= 24 { cells + 6 } else { 0 };
    let room = width.saturating_sub(3 + tail);
    let name = text_width::truncate_middle(
        shown.groups.names.get(expert).map(String::as_str).unwrap_or_default(),
        room,
    );
    let mut spans = vec![
        Span::styled("│ ", theme.category(cluster)),
        Span::raw(text_width::left(&name, room)),
        Span::raw(" "),
    ];
    if let Some(silhouette) = silhouette.filter(|_| tail > 0) {
        // Below 0 an expert is nearer to another cluster than to its own: its bar grows to the left, in red.
        let against = silhouette < 0.0;
        let bar = if against { bar_left(-silhouette, cells) } else { bar(silhouette, cells) };
        spans.push(Span::styled(bar, if against { theme.error() } else { theme.category(cluster) }));
        let style = if against { theme.error() } else { theme.dim() };
        spans.push(Span::styled(format!("{silhouette:>6.2}"), style));
    }
    Line::from(spans)
}
