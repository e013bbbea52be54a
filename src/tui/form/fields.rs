//! The fields of the forms: what they contain and what is wrong with them. They come from a job's settings.

use crate::jobs::NewJob;
use crate::library::Skipped;
use crate::settings::{Look, Role, Whole};
use crate::text::printable;
use crate::train::no_data;
use crate::tui::{DataSummary, Shared, TextField};

/// What a field contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// A setting of the job. There may be several fields of [`Role::Data`].
    Setting(Look),
    /// What is behind it is seldom changed.
    More,
    /// One expert that will be trained, by its number.
    Expert(usize),
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

    /// A setting that says `text`, which the first typed character replaces.
    fn setting(look: Look, text: &str) -> Self {
        let value = match &look.words {
            Some(words) => {
                let words: Vec<String> = words.iter().map(|word| word.word.to_string()).collect();
                Value::Choice { at: words.iter().position(|word| word == text).unwrap_or(0), words }
            }
            None => Value::Text(TextField::suggestion(text)),
        };
        let more = look.advanced;
        Self { more, ..Self::of(Id::Setting(look.clone()), look.label, value, look.hint) }
    }

    /// Another empty row for a task.
    pub fn another(look: Look) -> Self {
        let value = Value::Text(TextField::default());
        Self::of(Id::Setting(look), "and", value, "another task makes a joint expert")
    }

    /// Makes a row for a task the first one.
    pub fn make_first(&mut self) {
        if let Id::Setting(look) = &self.id {
            (self.label, self.hint) = (look.label.to_string(), look.hint.to_string());
        }
    }

    /// A row that describes an expert.
    pub fn expert(number: usize, name: &str, hint: String) -> Self {
        Self { hint, ..Self::of(Id::Expert(number), &printable(name), Value::Shown, "") }
    }

    /// The setting that it shows.
    pub fn look(&self) -> Option<&Look> {
        match &self.id {
            Id::Setting(look) => Some(look),
            Id::More | Id::Expert(_) => None,
        }
    }

    /// What the form does with it.
    pub fn role(&self) -> Role {
        self.look().map_or(Role::Plain, |look| look.role)
    }

    /// Whether its text is a path, which Tab completes.
    pub fn is_path(&self) -> bool {
        self.look().is_some_and(|look| look.is_path)
    }

    /// Whether its text takes the whole line.
    pub fn is_long(&self) -> bool {
        self.look().is_some_and(|look| look.is_long)
    }

    /// Whether another value makes other clusters or finds other data.
    pub fn decides_plan(&self) -> bool {
        matches!(self.role(), Role::Plan | Role::Clusters | Role::NewLibrary | Role::Tasks)
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

/// Settings behind the fold that are named before it is open.
const NAMED: usize = 4;

/// The fields of a form that starts a job, with what that says.
pub(super) fn fields(new: &NewJob, shared: &Shared) -> Vec<Field> {
    let all = new.looks().into_iter().flat_map(|look| {
        let paths = if look.role == Role::Data { new.job.paths_of(look.id) } else { Vec::new() };
        let text = paths.first().cloned().unwrap_or_else(|| new.text(look.id));
        let hint = hint(look.role, shared);
        let more = paths.into_iter().skip(1).map({
            let look = look.clone();
            move |path| Field {
                value: Value::Text(TextField::suggestion(&path)),
                ..Field::another(look.clone())
            }
        });
        let field = Field::setting(look, &text);
        let more: Vec<Field> = more.collect();
        std::iter::once(Field { hint: hint.unwrap_or_else(|| field.hint.clone()), ..field }).chain(more)
    });
    let (behind, mut fields): (Vec<Field>, Vec<Field>) = all.partition(|field| field.more);
    if !behind.is_empty() {
        fields.push(Field::of(
            Id::More,
            "More options",
            Value::Fold { open: false },
            &behind_the_fold(&behind),
        ));
        fields.extend(behind);
    }
    fields
}

/// The first of what is behind the fold, by name.
fn behind_the_fold(behind: &[Field]) -> String {
    let names: Vec<String> = behind.iter().take(NAMED).map(|field| field.label.to_lowercase()).collect();
    let more = if behind.len() > NAMED { " and more" } else { "" };
    names.join(", ") + more
}

/// What the library adds to what a setting says of itself.
pub(super) fn hint(role: Role, shared: &Shared) -> Option<String> {
    (role == Role::Clusters).then(|| format!("1 to {}", comparable(shared)))
}

/// Experts that can be compared.
pub(super) fn comparable(shared: &Shared) -> usize {
    shared.library.as_ref().map_or(0, |l| l.comparable().count())
}

/// What is wrong with a field of a form that starts a job, if anything.
pub(super) fn problem(field: &Field, new: &NewJob, shared: &Shared) -> Option<String> {
    let look = field.look()?;
    let text = field.text();
    if let Err(wanted) = new.clone().set(look.id, &text) {
        // Of clusters, what the library allows says more.
        if look.role != Role::Clusters {
            return Some(wanted.to_string());
        }
    }
    match look.role {
        Role::Data => match &field.data {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        },
        Role::NewExpert => {
            let taken = shared.library.as_ref().is_some_and(|l| l.experts.iter().any(|e| e.name == text));
            taken.then(|| "this expert exists already; choose another name".into())
        }
        Role::Clusters => match comparable(shared) {
            0 => Some("the library has no usable expert".into()),
            n => Whole { low: 1, high: n as u64 }.parse(&text).err(),
        },
        Role::Plain | Role::Plan | Role::NewLibrary | Role::Tasks => None,
    }
}

/// What to do about members whose data is not there.
pub(super) fn missing(left_out: &[Skipped]) -> Option<String> {
    (!left_out.is_empty()).then(|| format!("{}; give the folder with their tasks here", no_data(left_out)))
}
