//! The fields of the forms: what they hold, where they begin, what is wrong with them.

use clap::ValueEnum;

use super::FormKind;
use crate::model::Precision;
use crate::text::printable;
use crate::train::{ClustersSpec, Schedule, TrainSpec, no_data};
use crate::tui::{DataSummary, Input, Shared};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// A task to train on; there may be several of these fields.
    Data,
    Name,
    /// Folder of the new library.
    Out,
    /// Folder with tasks, for experts whose own data is gone.
    Tasks,
    Prefix,
    Clusters,
    Sparsity,
    Rank,
    Alpha,
    LearningRate,
    Epochs,
    MaxSteps,
    Batch,
    Precision,
    Schedule,
    /// What is behind it is seldom changed.
    More,
    Accumulate,
    Warmup,
    WeightDecay,
    Clip,
    Dropout,
    MaxLength,
    Targets,
    Checkpointing,
    Order,
    Init,
    Validation,
    Seed,
    /// One expert that will be trained, by its number.
    Expert(usize),
}

impl Id {
    /// Whether its text is a path, which Tab completes.
    pub fn is_path(self) -> bool {
        matches!(self, Self::Data | Self::Out | Self::Tasks | Self::Init | Self::Validation)
    }

    /// Whether its text takes the whole line.
    pub fn is_long(self) -> bool {
        self.is_path() || matches!(self, Self::Name | Self::Targets)
    }

    /// Whether another value makes other clusters or finds other data.
    pub fn decides_clusters(self) -> bool {
        matches!(self, Self::Out | Self::Tasks | Self::Prefix | Self::Clusters | Self::Sparsity | Self::Seed)
    }
}

/// How a field is changed.
#[derive(Debug)]
pub(super) enum Value {
    Text(Input),
    /// One of some words.
    Choice {
        words: Vec<String>,
        at: usize,
    },
    /// Shows or hides the fields that say so.
    Fold {
        open: bool,
    },
    /// Nothing to change.
    Shown,
}

#[derive(Debug)]
pub(super) struct Field {
    pub id: Id,
    pub label: String,
    /// Shown dim beside a field that is right.
    pub hint: String,
    pub value: Value,
    /// Its text at first.
    pub default: String,
    pub error: Option<String>,
    /// Behind [`Id::More`].
    pub more: bool,
    /// What is known of the data at the path that is typed now.
    pub data: Option<Result<DataSummary, String>>,
}

impl Field {
    fn of(id: Id, label: &str, value: Value, hint: &str) -> Self {
        let mut field = Self {
            id,
            label: label.to_string(),
            hint: hint.to_string(),
            value,
            default: String::new(),
            error: None,
            more: false,
            data: None,
        };
        field.default = field.text();
        field
    }

    /// A text that the first typed character replaces.
    fn new(id: Id, label: &str, value: impl ToString, hint: &str) -> Self {
        Self::of(id, label, Value::Text(Input::suggestion(&value.to_string())), hint)
    }

    fn choice(id: Id, label: &str, words: &[&str], chosen: &str, hint: &str) -> Self {
        let at = words.iter().position(|word| *word == chosen).unwrap_or(0);
        let words = words.iter().map(ToString::to_string).collect();
        Self::of(id, label, Value::Choice { words, at }, hint)
    }

    /// One of the words that the command line takes.
    fn options<T: ValueEnum>(id: Id, label: &str, chosen: T, hint: &str) -> Self {
        let name =
            |value: &T| value.to_possible_value().map(|v| v.get_name().to_string()).unwrap_or_default();
        let words: Vec<String> = T::value_variants().iter().map(name).collect();
        let at = words.iter().position(|word| *word == name(&chosen)).unwrap_or(0);
        Self::of(id, label, Value::Choice { words, at }, hint)
    }

    /// An empty row for a task.
    pub fn data(first: bool) -> Self {
        let (label, hint) = match first {
            true => ("Data", "task folder or .jsonl file; Tab completes"),
            false => ("and", "another task makes a joint expert"),
        };
        Self::of(Id::Data, label, Value::Text(Input::default()), hint)
    }

    /// A row that tells of an expert.
    pub fn expert(number: usize, name: &str, hint: String) -> Self {
        Self { hint, ..Self::of(Id::Expert(number), &printable(name), Value::Shown, "") }
    }

    fn behind_more(mut self) -> Self {
        self.more = true;
        self
    }

    /// What it says, without blanks around it.
    pub fn text(&self) -> String {
        match &self.value {
            Value::Text(input) => input.text().trim().to_string(),
            Value::Choice { words, at } => words.get(*at).cloned().unwrap_or_default(),
            Value::Fold { .. } | Value::Shown => String::new(),
        }
    }

    /// Whether it says something else than at first.
    pub fn is_changed(&self) -> bool {
        self.text() != self.default
    }

    /// Another word: the next one, the one before, or the next one that begins with `c`.
    pub fn choose(&mut self, step: Step) -> bool {
        let Value::Choice { words, at } = &mut self.value else { return false };
        let n = words.len().max(1);
        let to = match step {
            Step::Next => (*at + 1) % n,
            Step::Previous => (*at + n - 1) % n,
            Step::To(c) => {
                let found = (1..=n).map(|by| (*at + by) % n).find(|&to| words[to].starts_with(c));
                found.unwrap_or(*at)
            }
        };
        std::mem::replace(at, to) != to
    }
}

/// A way to another word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Next,
    Previous,
    To(char),
}

/// Words of [`Id::Order`].
pub(super) const ORDER: [&str; 3] = ["random", "by length", "as in the file"];
/// Words of fields that are on or off.
pub(super) const NO_YES: [&str; 2] = ["no", "yes"];

/// The fields of a form, with the defaults of the command line.
pub(super) fn fields(kind: FormKind, shared: &Shared) -> Vec<Field> {
    match kind {
        FormKind::Train => {
            let mut fields =
                vec![Field::data(true), Field::new(Id::Name, "Name", "", "folder of the new expert")];
            fields.extend(training(kind));
            fields
        }
        FormKind::Cluster => {
            let (k, sparsity, seed) = shown(shared);
            vec![
                Field::new(Id::Clusters, "Clusters k", k, &k_hint(shared)),
                Field::new(Id::Sparsity, "Sparsity", sparsity, "share of entries left out"),
                Field::new(Id::Seed, "Seed", seed, ""),
            ]
        }
        FormKind::TrainClusters => {
            let (k, sparsity, seed) = shown(shared);
            let d = ClustersSpec::default();
            let mut fields = vec![
                Field::new(Id::Clusters, "Clusters k", k, &k_hint(shared)),
                Field::new(Id::Out, "New library", out(shared, k), "folder of the new experts"),
                Field::new(Id::Prefix, "Names", d.prefix, "a number follows"),
                Field::new(Id::Tasks, "Tasks", "", "folder with tasks, if the experts' own data is gone"),
            ];
            fields.extend(training(kind));
            let sparsity =
                Field::new(Id::Sparsity, "Sparsity", sparsity, "share of entries left out").behind_more();
            let at = fields.iter().position(|field| field.id == Id::Seed).unwrap_or(fields.len());
            fields.insert(at, sparsity);
            if let Some(field) = fields.iter_mut().find(|field| field.id == Id::Seed) {
                *field = Field::new(Id::Seed, "Seed", seed, "also of the clustering").behind_more();
            }
            fields
        }
    }
}

/// How an expert is trained.
fn training(kind: FormKind) -> Vec<Field> {
    let d = TrainSpec::default();
    let optional = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let mut fields = vec![
        Field::new(Id::Rank, "Rank", d.rank, ""),
        Field::new(Id::Alpha, "Alpha", d.alpha, "scale = alpha / rank"),
        Field::new(Id::LearningRate, "Learning rate", d.learning_rate, "at its peak"),
        Field::new(Id::Epochs, "Epochs", optional(d.epochs), "empty: 1, or as many as max steps take"),
        Field::new(
            Id::MaxSteps,
            "Max steps",
            d.max_steps.map_or(String::new(), |n| n.to_string()),
            "empty: as many as the epochs have",
        ),
        Field::new(Id::Batch, "Batch", d.batch, "examples at once"),
        Field::options::<Schedule>(Id::Schedule, "Schedule", d.schedule, "of the rate after the warm-up"),
        Field::options::<Precision>(Id::Precision, "Precision", d.precision, "of the frozen base model"),
        Field::of(
            Id::More,
            "More options",
            Value::Fold { open: false },
            "dropout, clipping, targets, seed and more",
        ),
    ];
    let mut more = vec![
        Field::new(Id::Accumulate, "Accumulate", d.accumulate, "batches a step, in the memory of one"),
        Field::new(Id::Warmup, "Warm-up", d.warmup, "share of the steps"),
        Field::new(Id::WeightDecay, "Weight decay", d.weight_decay, ""),
        Field::new(Id::Clip, "Clip norm", optional(d.clip), "empty: the gradient stays as it is"),
        Field::new(Id::Dropout, "Dropout", d.dropout, ""),
        Field::new(Id::MaxLength, "Max length", d.max_length, "tokens; longer examples are cut"),
        Field::new(Id::Targets, "Targets", d.targets.join(","), "last parts of the layers' paths"),
        Field::choice(
            Id::Checkpointing,
            "Checkpointing",
            &NO_YES,
            NO_YES[usize::from(d.checkpointing)],
            "less memory, more time",
        ),
        Field::choice(Id::Order, "Order", &ORDER, order(&d), "of the examples"),
        Field::new(Id::Seed, "Seed", d.seed, ""),
    ];
    if kind == FormKind::Train {
        more.push(Field::new(Id::Init, "Start from", "", "folder of an adapter; empty: a new one"));
        more.push(Field::new(Id::Validation, "Validation", "", "a .jsonl file; empty: 5 % of a single file"));
    }
    fields.extend(more.into_iter().map(Field::behind_more));
    fields
}

fn order(spec: &TrainSpec) -> &'static str {
    match (spec.by_length, spec.shuffle) {
        (true, _) => ORDER[1],
        (false, true) => ORDER[0],
        (false, false) => ORDER[2],
    }
}

/// What k may be.
pub(super) fn k_hint(shared: &Shared) -> String {
    format!("1 to {}", usable(shared))
}

/// k, sparsity and seed of what the Clusters tab shows, so that the job gives the same.
pub(super) fn shown(shared: &Shared) -> (usize, f64, u64) {
    let d = ClustersSpec::default();
    let n = usable(shared);
    let (k, seed) = match &shared.clustering {
        Some(shown) => (shown.k.clamp(1, n.max(1)), shown.seed),
        None => (ClustersSpec::default_k(n), d.training.seed),
    };
    (k, shared.similarity.as_ref().map_or(d.sparsity, |shown| shown.sparsity), seed)
}

/// A folder beside the library for `k` clusters' experts.
pub(super) fn out(shared: &Shared, k: usize) -> String {
    // The library may be where we are: its whole path makes a folder beside it.
    let root = match shared.root.file_name() {
        Some(_) => shared.root.clone(),
        None => std::path::absolute(&shared.root).unwrap_or_else(|_| shared.root.clone()),
    };
    let whole = root.display().to_string();
    let whole = whole.trim_end_matches(['/', '\\']);
    format!("{whole}-mbc-{k}")
}

/// Experts that can be compared.
pub(super) fn usable(shared: &Shared) -> usize {
    shared.library.as_ref().map_or(0, |l| l.comparable().count())
}

/// What is wrong with a field, if anything.
pub(super) fn problem(field: &Field, shared: &Shared) -> Option<String> {
    let text = field.text();
    let text = text.as_str();
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
    let share = |one: bool| match text.parse::<f64>() {
        Ok(x) if (0.0..1.0).contains(&x) || (one && x == 1.0) => None,
        _ => Some(format!("a number from 0 to {}1", if one { "" } else { "below " })),
    };
    match field.id {
        Id::Data if text.is_empty() => Some("name a task folder or a .jsonl file".into()),
        Id::Data => match &field.data {
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
        Id::Out if text.is_empty() => Some("name a folder for the new library".into()),
        Id::Prefix if text.starts_with('.') || text.contains(['/', '\\']) => {
            Some("without / or \\, and no dot at its start".into())
        }
        Id::Clusters => match usable(shared) {
            0 => Some("the library has no usable expert".into()),
            n => whole(1, n as u64),
        },
        Id::Sparsity | Id::Dropout => share(false),
        Id::Warmup => share(true),
        Id::Rank => whole(1, 1024),
        Id::Alpha => positive(f64::INFINITY),
        Id::LearningRate => positive(1.0),
        Id::Epochs | Id::MaxSteps | Id::Clip if text.is_empty() => None,
        Id::Epochs => positive(10_000.0),
        Id::MaxSteps => whole(1, 10_000_000),
        Id::Clip => positive(f64::INFINITY),
        Id::Batch | Id::Accumulate => whole(1, 65_536),
        Id::MaxLength => whole(2, u32::MAX.into()),
        Id::WeightDecay => match text.parse::<f64>() {
            Ok(x) if x >= 0.0 && x.is_finite() => None,
            _ => Some("0 or a number above 0".into()),
        },
        Id::Targets if text.split(',').all(|name| name.trim().is_empty()) => {
            Some("name at least one layer, such as q_proj".into())
        }
        Id::Seed => whole(0, u64::MAX),
        _ => None,
    }
}

/// What to do about members whose data is not there.
pub(super) fn missing(left_out: &[crate::train::LeftOut]) -> Option<String> {
    (!left_out.is_empty()).then(|| format!("{}; give the folder with their tasks here", no_data(left_out)))
}
