//! Forms that start jobs: fields checked while typing, errors beside them.

use std::ops::Range;
use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear};

use super::chrome::centered;
use super::fit::{self, spinner};
use super::{Binding, DataSummary, Effect, Input, Message, Shared, Theme};
use crate::jobs::{ClusterSpec, JobSpec};
use crate::text::counted;
use crate::train::TrainSpec;

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// A new expert from a task file.
    Train,
    /// MBC and k-means over the library.
    Cluster,
}

/// What became of a form.
#[derive(Debug)]
pub enum FormOutcome {
    Open(Vec<Effect>),
    Closed,
    /// Its job was started.
    Started,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    Data,
    Name,
    Rank,
    Alpha,
    LearningRate,
    Epochs,
    MaxSteps,
    Batch,
    Clusters,
    Sparsity,
    Seed,
}

#[derive(Debug)]
struct Field {
    id: Id,
    label: &'static str,
    /// Shown dim beside a field that is right.
    hint: String,
    input: Input,
    error: Option<String>,
}

/// State of an open form.
#[derive(Debug)]
pub struct Form {
    kind: FormKind,
    fields: Vec<Field>,
    focus: usize,
    /// The name follows the data until somebody edits it.
    name_edited: bool,
    /// What is known of the data path that is typed now.
    data: Option<Result<DataSummary, String>>,
    candidates: Vec<String>,
    /// Errors of empty fields show once a start was tried.
    tried: bool,
    /// The job was asked for.
    waiting: bool,
    refused: Option<String>,
}

impl Form {
    /// A form with the defaults of the command line.
    pub fn new(kind: FormKind, shared: &Shared) -> Self {
        let field = |id, label, value: &str, hint: &str| Field {
            id,
            label,
            hint: hint.to_string(),
            input: Input::new(value),
            error: None,
        };
        let fields = match kind {
            FormKind::Train => {
                let d = TrainSpec::default();
                vec![
                    field(Id::Data, "Data", "", "task folder or .jsonl file; Tab completes"),
                    field(Id::Name, "Name", "", "folder of the new expert"),
                    field(Id::Rank, "Rank", &d.rank.to_string(), ""),
                    field(Id::Alpha, "Alpha", &d.alpha.to_string(), "scale = alpha / rank"),
                    field(Id::LearningRate, "Learning rate", &d.learning_rate.to_string(), ""),
                    field(Id::Epochs, "Epochs", &d.epochs.unwrap_or(1.0).to_string(), ""),
                    field(Id::MaxSteps, "Max steps", "", "empty: as many as the epochs have"),
                    field(Id::Batch, "Batch", &d.batch.to_string(), "examples a step"),
                ]
            }
            FormKind::Cluster => {
                let n = usable(shared);
                // What the Clusters tab shows, so that the job gives the same.
                let (k, seed) = match &shared.clustering {
                    Some(shown) => (shown.k.clamp(1, n.max(1)), shown.seed),
                    None => (n.div_ceil(3).clamp(1, 10), 42),
                };
                let sparsity = shared.similarity.as_ref().map_or(0.5, |shown| shown.sparsity);
                vec![
                    field(Id::Clusters, "Clusters k", &k.to_string(), &format!("1 to {n}")),
                    field(Id::Sparsity, "Sparsity", &sparsity.to_string(), "share of entries left out"),
                    field(Id::Seed, "Seed", &seed.to_string(), ""),
                ]
            }
        };
        let mut form = Self {
            kind,
            fields,
            focus: 0,
            name_edited: false,
            data: None,
            candidates: Vec::new(),
            tried: false,
            waiting: false,
            refused: None,
        };
        form.check(shared);
        form
    }

    /// Whether an answer is awaited.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// The keys of the form.
    pub fn bindings(&self) -> Vec<Binding> {
        let mut bindings = vec![
            Binding::new("Enter", "start", "Start the job"),
            Binding::new("↑↓", "field", "Another field (also Tab, Shift-Tab)"),
        ];
        if self.kind == FormKind::Train && self.fields[self.focus].id == Id::Data {
            bindings.push(Binding::new("Tab", "complete", "Complete the path"));
        }
        bindings.push(Binding::new("Esc", "close", "Close without starting"));
        bindings
    }

    /// Takes a key press.
    pub fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> FormOutcome {
        if self.waiting {
            return if key.code == KeyCode::Esc {
                FormOutcome::Closed
            } else {
                FormOutcome::Open(Vec::new())
            };
        }
        let last = self.fields.len() - 1;
        match key.code {
            KeyCode::Esc => return FormOutcome::Closed,
            KeyCode::Enter => return FormOutcome::Open(self.start(shared)),
            KeyCode::Tab if self.fields[self.focus].id == Id::Data => {
                let text = self.fields[self.focus].input.text();
                return FormOutcome::Open(vec![Effect::CompletePath { text }]);
            }
            KeyCode::Tab | KeyCode::Down => self.focus = if self.focus == last { 0 } else { self.focus + 1 },
            KeyCode::BackTab | KeyCode::Up => self.focus = self.focus.checked_sub(1).unwrap_or(last),
            _ => {
                if self.fields[self.focus].input.on_key(key) == Some(true) {
                    return FormOutcome::Open(self.edited(shared));
                }
            }
        }
        FormOutcome::Open(Vec::new())
    }

    /// Takes pasted text.
    pub fn on_paste(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        if self.waiting {
            return Vec::new();
        }
        self.fields[self.focus].input.insert(text.trim());
        self.edited(shared)
    }

    /// Takes what arrived from outside.
    pub fn on_message(&mut self, message: &Message, shared: &Shared) -> FormOutcome {
        match message {
            Message::JobStarted(result) if self.waiting => {
                self.waiting = false;
                match result {
                    Ok(_) => return FormOutcome::Started,
                    Err(error) => self.refused = Some(error.clone()),
                }
            }
            Message::DataChecked { path, result } if *path == self.text(Id::Data) => {
                self.data = Some(result.clone());
                self.check(shared);
            }
            Message::PathCompleted { text, candidates } if *text == self.text(Id::Data) => {
                return FormOutcome::Open(self.complete(candidates, shared));
            }
            Message::Library(Ok(_)) => self.check(shared),
            _ => {}
        }
        FormOutcome::Open(Vec::new())
    }

    fn text(&self, id: Id) -> String {
        self.fields.iter().find(|f| f.id == id).map_or(String::new(), |f| f.input.text().trim().to_string())
    }

    /// After the focused field was changed by hand.
    fn edited(&mut self, shared: &Shared) -> Vec<Effect> {
        self.refused = None;
        let id = self.fields[self.focus].id;
        let mut effects = Vec::new();
        match id {
            Id::Data => effects.extend(self.data_changed()),
            Id::Name => self.name_edited = !self.text(Id::Name).is_empty(),
            _ => {}
        }
        self.check(shared);
        effects
    }

    fn data_changed(&mut self) -> Option<Effect> {
        self.data = None;
        self.candidates.clear();
        let path = self.text(Id::Data);
        if !self.name_edited {
            let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let name = last.strip_suffix(".jsonl").unwrap_or(last);
            let name = if matches!(name, "." | ".." | "~") { "" } else { name };
            if let Some(field) = self.fields.iter_mut().find(|f| f.id == Id::Name) {
                field.input.set(name);
            }
        }
        (!path.is_empty()).then_some(Effect::CheckData { path })
    }

    /// Puts in what all candidates share; with nothing to add, shows them, or goes on when it is complete.
    fn complete(&mut self, candidates: &[String], shared: &Shared) -> Vec<Effect> {
        let text = self.text(Id::Data);
        let common = common_prefix(candidates);
        if common.len() > text.len() {
            if let Some(field) = self.fields.iter_mut().find(|f| f.id == Id::Data) {
                field.input.set(&common);
            }
            let effect = self.data_changed();
            if candidates.len() > 1 {
                self.candidates = candidates.to_vec();
            }
            self.check(shared);
            return effect.into_iter().collect();
        }
        if self.data.as_ref().is_some_and(Result::is_ok) || candidates.is_empty() {
            self.candidates.clear();
            self.focus = (self.focus + 1).min(self.fields.len() - 1);
        } else {
            self.candidates = candidates.to_vec();
        }
        Vec::new()
    }

    /// Brings the errors up to date.
    fn check(&mut self, shared: &Shared) {
        let data = self.data.clone();
        for field in &mut self.fields {
            let text = field.input.text();
            field.error = problem(field.id, text.trim(), &data, shared);
        }
    }

    fn start(&mut self, shared: &Shared) -> Vec<Effect> {
        self.tried = true;
        self.check(shared);
        if let Some(wrong) = self.fields.iter().position(|f| f.error.is_some()) {
            self.focus = wrong;
            return Vec::new();
        }
        match self.spec(shared) {
            Some(spec) => {
                self.waiting = true;
                self.refused = None;
                vec![Effect::StartJob(spec)]
            }
            None => Vec::new(),
        }
    }

    /// What the fields say; `None` while one of them is wrong.
    fn spec(&self, shared: &Shared) -> Option<JobSpec> {
        fn parse<T: std::str::FromStr>(text: String) -> Option<T> {
            text.parse().ok()
        }
        let library = absolute(&shared.root);
        match self.kind {
            FormKind::Train => {
                let max_steps = self.text(Id::MaxSteps);
                Some(JobSpec::Train(Box::new(TrainSpec {
                    library,
                    data: vec![absolute(&data_path(&self.text(Id::Data)))],
                    name: self.text(Id::Name),
                    rank: parse(self.text(Id::Rank))?,
                    alpha: parse(self.text(Id::Alpha))?,
                    learning_rate: parse(self.text(Id::LearningRate))?,
                    epochs: Some(parse(self.text(Id::Epochs))?),
                    max_steps: if max_steps.is_empty() { None } else { Some(parse(max_steps)?) },
                    batch: parse(self.text(Id::Batch))?,
                    base: shared.base.as_deref().map(absolute),
                    device: if shared.device.is_empty() { "auto".into() } else { shared.device.clone() },
                    ..TrainSpec::default()
                })))
            }
            FormKind::Cluster => Some(JobSpec::Cluster(ClusterSpec {
                library,
                base: shared.base.as_deref().map(absolute),
                k: parse(self.text(Id::Clusters))?,
                sparsity: parse(self.text(Id::Sparsity))?,
                seed: parse(self.text(Id::Seed))?,
            })),
        }
    }

    /// How many steps the training will have, when that is known.
    fn steps(&self) -> Option<u64> {
        let Some(Ok(data)) = &self.data else { return None };
        let batch: usize = self.text(Id::Batch).parse().ok().filter(|&batch| batch > 0)?;
        let epochs: f64 = self.text(Id::Epochs).parse().ok().filter(|epochs| *epochs > 0.0)?;
        let steps = (data.train.div_ceil(batch) as f64 * epochs).ceil().max(1.0) as u64;
        Some(self.text(Id::MaxSteps).parse().map_or(steps, |most: u64| steps.min(most)))
    }

    /// Draws the form in the middle of `area`.
    pub fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let width = 76.min(area.width);
        let inner = usize::from(width.saturating_sub(4));
        let (lines, focused) = self.lines(inner, shared, theme);
        let popup = centered(area, width, lines.len() as u16 + 2);
        if popup.is_empty() {
            return;
        }
        let title = match self.kind {
            FormKind::Train => " Train a new expert ",
            FormKind::Cluster => " Cluster the library ",
        };
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(theme.border_focused())
            .title(Span::styled(title, theme.accent()));
        frame.render_widget(Clear, popup);
        let room = block.inner(popup).inner(ratatui::layout::Margin::new(1, 0));
        frame.render_widget(block, popup);
        let height = usize::from(room.height);
        let first = focused.end.saturating_sub(height.max(1)).min(focused.start).min(lines.len());
        for (line, y) in lines[first..].iter().zip(room.top()..room.bottom()) {
            frame.buffer_mut().set_line(room.x, y, line, room.width);
        }
    }

    /// The lines of the form and which of them must be visible, the first of them above all.
    fn lines(&self, cells: usize, shared: &Shared, theme: &Theme) -> (Vec<Line<'static>>, Range<usize>) {
        const LABEL: usize = 14;
        let mut lines = Vec::new();
        let mut focused = 0..0;
        for (i, field) in self.fields.iter().enumerate() {
            let here = i == self.focus;
            if here {
                focused.start = lines.len();
            }
            let long = matches!(field.id, Id::Data | Id::Name);
            let value =
                if long { cells.saturating_sub(LABEL + 2) } else { 12.min(cells.saturating_sub(LABEL + 2)) };
            let mut line = field.input.line(value, here && !self.waiting, theme);
            let used = line.width();
            line.spans.insert(0, Span::styled(if here { "› " } else { "  " }, theme.accent()));
            let label = if here { theme.header() } else { theme.dim() };
            line.spans.insert(1, Span::styled(fit::left(field.label, LABEL), label));
            let blank = field.input.is_empty();
            let error = field.error.as_ref().filter(|_| !blank || self.tried);
            let (note, style) = match error {
                Some(error) => (format!("✗ {error}"), theme.error()),
                None if long && !blank => (String::new(), theme.dim()),
                None => (field.hint.clone(), theme.dim()),
            };
            let gap = if long { 1 } else { value.saturating_sub(used) + 1 };
            let room = cells.saturating_sub(LABEL + 2 + used + gap);
            if fit::width(&note) <= room {
                line.spans.extend([Span::raw(" ".repeat(gap)), Span::styled(note, style)]);
                lines.push(line);
            } else {
                lines.push(line);
                // A hint can wait until its field has the focus, an error cannot.
                if here || error.is_some() {
                    lines.extend(indented(&note, LABEL + 2, cells, style));
                }
            }
            if field.id == Id::Data {
                lines.extend(self.data_lines(cells, LABEL + 2, shared, theme));
            }
            if here {
                focused.end = lines.len();
            }
        }
        lines.push(Line::default());
        let last = if let Some(error) = &self.refused {
            fit::wrap(&format!("✗ {error}"), cells)
                .into_iter()
                .map(|l| Line::styled(l, theme.error()))
                .collect()
        } else if self.waiting {
            vec![Line::styled(format!("{} starting …", spinner(shared.tick)), theme.dim())]
        } else {
            let steps =
                self.steps().map(|n| format!("{} · ", counted(n as usize, "step"))).unwrap_or_default();
            let text = format!("{steps}runs in the background; quitting does not stop it");
            fit::wrap(&text, cells).into_iter().map(|line| Line::styled(line, theme.dim())).collect()
        };
        if self.refused.is_some() {
            focused = lines.len()..lines.len() + last.len();
        }
        lines.extend(last);
        (lines, focused)
    }

    fn data_lines(&self, cells: usize, indent: usize, shared: &Shared, theme: &Theme) -> Vec<Line<'static>> {
        if !self.candidates.is_empty() {
            const SHOWN: usize = 4;
            let more = self.candidates.len().saturating_sub(SHOWN);
            let mut names: Vec<String> = self.candidates.iter().take(SHOWN).cloned().collect();
            if more > 0 {
                names.push(format!("… and {more} more"));
            }
            let room = cells.saturating_sub(indent);
            let line = |name: String| fit::truncate_start(&name, room);
            return names
                .into_iter()
                .flat_map(|name| indented(&line(name), indent, cells, theme.dim()))
                .collect();
        }
        match &self.data {
            Some(Ok(data)) => {
                let task =
                    if data.task.is_empty() { String::new() } else { format!(" · task {}", data.task) };
                let text = format!("✓ {} to train on, {} to validate{task}", data.train, data.validation);
                indented(&text, indent, cells, theme.ok())
            }
            None if !self.text(Id::Data).is_empty() => {
                let text = format!("{} looking", spinner(shared.tick));
                indented(&text, indent, cells, theme.dim())
            }
            _ => Vec::new(),
        }
    }
}

/// `text` in lines of at most `cells` cells, each behind `indent` blanks.
fn indented(text: &str, indent: usize, cells: usize, style: Style) -> Vec<Line<'static>> {
    let line = |part| Line::from(vec![Span::raw(" ".repeat(indent)), Span::styled(part, style)]);
    fit::wrap(text, cells.saturating_sub(indent)).into_iter().map(line).collect()
}

/// Experts that can be compared.
fn usable(shared: &Shared) -> usize {
    shared.library.as_ref().map_or(0, |l| l.comparable().count())
}

/// What is wrong with a field, if anything.
fn problem(
    id: Id,
    text: &str,
    data: &Option<Result<DataSummary, String>>,
    shared: &Shared,
) -> Option<String> {
    let whole = |low: u64, high: u64| match text.parse::<u64>() {
        Ok(n) if (low..=high).contains(&n) => None,
        _ if high == u64::MAX => Some(format!("a whole number from {low}")),
        _ => Some(format!("a whole number from {low} to {high}")),
    };
    let positive = |below: f64| match text.parse::<f64>() {
        Ok(x) if x.is_finite() && x > 0.0 && x <= below => None,
        _ if below.is_infinite() => Some("a number above 0".to_string()),
        _ => Some(format!("a number above 0, at most {below}")),
    };
    match id {
        Id::Data if text.is_empty() => Some("name a task folder or a .jsonl file".into()),
        Id::Data => match data {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        },
        Id::Name if text.is_empty() => Some("name the new expert".into()),
        Id::Name if matches!(text, "." | "..") || text.contains(['/', '\\']) => {
            Some("one plain folder name, without / or \\".into())
        }
        Id::Name => {
            let taken = shared.library.as_ref().is_some_and(|l| l.experts.iter().any(|e| e.name == text));
            taken.then(|| "this expert exists already; choose another name".into())
        }
        Id::Rank => whole(1, 1024),
        Id::Alpha => positive(f64::INFINITY),
        Id::LearningRate => positive(1.0),
        Id::Epochs => positive(10_000.0),
        Id::MaxSteps if text.is_empty() => None,
        Id::MaxSteps => whole(1, 10_000_000),
        Id::Batch => whole(1, 4096),
        Id::Clusters => match usable(shared) {
            0 => Some("the library has no usable expert".into()),
            n => whole(1, n as u64),
        },
        Id::Sparsity => match text.parse::<f64>() {
            Ok(x) if (0.0..1.0).contains(&x) => None,
            _ => Some("a number from 0 to below 1".into()),
        },
        Id::Seed => whole(0, u64::MAX),
    }
}

/// A typed path, `~/` meaning the home folder.
pub fn data_path(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

/// Workers may run elsewhere.
fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn common_prefix(texts: &[String]) -> String {
    let Some(first) = texts.first() else { return String::new() };
    let mut end = first.len();
    for text in &texts[1..] {
        let same = first.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        end = end.min(same);
    }
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    first[..end].to_string()
}
