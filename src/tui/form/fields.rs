//! The fields of the forms: what they hold, where they begin, what is wrong with them.

use super::FormKind;
use crate::settings::{BELOW_ONE, Kind, Setting, Whole};
use crate::text::printable;
use crate::train::{ClustersSpec, TRAINING, TrainSpec, no_data};
use crate::tui::{DataSummary, Shared, TextField};

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
    /// The seed of a clustering alone.
    Seed,
    /// A setting of the training, by its place in [`TRAINING`].
    Training(usize),
    /// What is behind it is seldom changed.
    More,
    /// One expert that will be trained, by its number.
    Expert(usize),
}

impl Id {
    /// Whether its text is a path, which Tab completes.
    pub fn is_path(self) -> bool {
        matches!(self, Self::Data | Self::Out | Self::Tasks)
            || self.setting().is_some_and(|setting| setting.kind.is_path())
    }

    /// Whether its text takes the whole line.
    pub fn is_long(self) -> bool {
        let is_list = |setting: &Setting<TrainSpec>| matches!(setting.kind, Kind::Names(_));
        self.is_path() || self == Self::Name || self.setting().is_some_and(is_list)
    }

    /// Whether another value makes other clusters or finds other data.
    pub fn decides_clusters(self) -> bool {
        matches!(self, Self::Out | Self::Tasks | Self::Prefix | Self::Clusters | Self::Sparsity)
            || self.setting().is_some_and(|setting| setting.id == "seed")
    }

    /// The setting of the training that it holds.
    pub fn setting(self) -> Option<&'static Setting<TrainSpec>> {
        match self {
            Self::Training(at) => TRAINING.get(at),
            _ => None,
        }
    }
}

/// How a field is changed.
#[derive(Debug)]
pub(super) enum Value {
    Text(TextField),
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
        Self::of(id, label, Value::Text(TextField::suggestion(&value.to_string())), hint)
    }

    /// A setting of the training, with its default.
    fn setting(at: usize, setting: &Setting<TrainSpec>, default: &TrainSpec) -> Self {
        let text = setting.text(default);
        let value = match setting.kind.words() {
            Some(words) => {
                let words: Vec<String> = words.iter().map(|word| word.word.to_string()).collect();
                Value::Choice { at: words.iter().position(|word| *word == text).unwrap_or(0), words }
            }
            None => Value::Text(TextField::suggestion(&text)),
        };
        Self { more: setting.advanced, ..Self::of(Id::Training(at), setting.label, value, setting.hint) }
    }

    /// An empty row for a task.
    pub fn data(first: bool) -> Self {
        let (label, hint) = match first {
            true => ("Data", "task folder or .jsonl file; Tab completes"),
            false => ("and", "another task makes a joint expert"),
        };
        Self::of(Id::Data, label, Value::Text(TextField::default()), hint)
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
            let is_seed = |field: &Field| field.id.setting().is_some_and(|setting| setting.id == "seed");
            let at = fields.iter().position(is_seed).unwrap_or(fields.len());
            if let Some(field) = fields.get_mut(at) {
                *field = Field::new(field.id, "Seed", seed, "also of the clustering").behind_more();
            }
            fields.insert(at, sparsity);
            fields
        }
    }
}

/// How an expert is trained.
fn training(kind: FormKind) -> Vec<Field> {
    let default = TrainSpec::default();
    let shown = TRAINING
        .iter()
        .enumerate()
        .filter(|(_, setting)| !setting.label.is_empty() && (kind == FormKind::Train || !setting.single));
    let fields = shown.map(|(at, setting)| Field::setting(at, setting, &default));
    let (more, mut fields): (Vec<Field>, Vec<Field>) = fields.partition(|field| field.more);
    fields.push(Field::of(
        Id::More,
        "More options",
        Value::Fold { open: false },
        "dropout, clipping, targets, seed and more",
    ));
    fields.extend(more);
    fields
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
    let whole = |low: u64, high: u64| Whole { low, high }.parse(text).err();
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
        Id::Sparsity => BELOW_ONE.parse(text).err(),
        Id::Seed => whole(0, u64::MAX),
        Id::Training(_) => field.id.setting()?.set(&mut TrainSpec::default(), text).err(),
        _ => None,
    }
}

/// What to do about members whose data is not there.
pub(super) fn missing(left_out: &[crate::train::LeftOut]) -> Option<String> {
    (!left_out.is_empty()).then(|| format!("{}; give the folder with their tasks here", no_data(left_out)))
}
