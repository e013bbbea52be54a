//! The kinds of values that settings have: how they are read, checked and written.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Range, Whole};
use crate::named::Named;
use crate::text::exact;

/// A field of `S`.
pub struct Field<S: 'static, T: 'static> {
    /// Reads it.
    pub get: fn(&S) -> &T,
    /// Changes it.
    pub get_mut: fn(&mut S) -> &mut T,
}

impl<S, T> std::fmt::Debug for Field<S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

/// A [`Field`]: `field!(TrainSpec.rank)`; fields of fields are named by their path.
#[macro_export]
macro_rules! field {
    ($of:ident . $($name:ident).+) => {
        $crate::settings::Field { get: |of: &$of| &of.$($name).+, get_mut: |of: &mut $of| &mut of.$($name).+ }
    };
}

/// One word of a choice, and what it means (may be empty).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub word: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// The [`Kind`] of a field whose type is a closed set: `named_setting!(Schedule, TrainSpec.schedule)`.
#[macro_export]
macro_rules! named_setting {
    ($type:ty, $of:ident . $($name:ident).+) => {
        $crate::settings::Kind::Choice {
            words: $crate::settings::words::<$type>,
            get: |of: &$of| $crate::named::Named::name(&of.$($name).+),
            set: |of: &mut $of, text: &str| match <$type as $crate::named::Named>::named(text) {
                Ok(member) => {
                    of.$($name).+ = member.clone();
                    true
                }
                Err(_) => false,
            },
        }
    };
}

/// The names of a closed set.
pub fn words<T: Named>() -> Vec<Word> {
    T::all().iter().map(|member| Word { word: member.name(), help: member.help() }).collect()
}

/// What a setting's value is, and where it is kept.
#[derive(Debug)]
pub enum Kind<S: 'static> {
    /// A whole number.
    Whole(Field<S, usize>, Whole),
    /// A whole number, or none.
    OptionalWhole(Field<S, Option<usize>>, Whole),
    /// A whole number, or none, which is written `auto`.
    Auto(Field<S, Option<usize>>, Whole),
    /// Any whole number of 64 bits.
    Seed(Field<S, u64>),
    /// Any whole number of 64 bits, or none.
    OptionalSeed(Field<S, Option<u64>>),
    /// A number.
    Number(Field<S, f64>, Range),
    /// A number, or none.
    OptionalNumber(Field<S, Option<f64>>, Range),
    /// On or off; the option on the command line makes it the `bool` here.
    Switch(Field<S, bool>, bool),
    /// Names with commas between them, at least one.
    Names(Field<S, Vec<String>>),
    /// The same; the function says what is wrong with some of them.
    CheckedNames(Field<S, Vec<String>>, fn(&[String]) -> Option<String>),
    /// One of some words; `set` says whether it knows the word. [`named_setting`](crate::named_setting)
    /// makes one of a closed set.
    Choice {
        /// All words.
        words: fn() -> Vec<Word>,
        /// The present one.
        get: fn(&S) -> &'static str,
        /// Chooses one; whether there is such a word.
        set: fn(&mut S, &str) -> bool,
    },
    /// A text; the function says what it has to be, if it is not that.
    Text(Field<S, String>, fn(&str) -> Option<&'static str>),
    /// What has a text form of its own.
    Written {
        /// The text form.
        get: fn(&S) -> String,
        /// Takes a text, or says what it has to be.
        set: fn(&mut S, &str) -> Result<(), String>,
    },
    /// A file or a folder, if there is one.
    Path(Field<S, Option<PathBuf>>),
    /// A folder that has to be named; else the text here is the answer.
    Folder(Field<S, PathBuf>, &'static str),
    /// Files or folders; with a text here at least one, and the text is the answer to none.
    Paths(Field<S, Vec<PathBuf>>, Option<&'static str>),
}

/// What an option takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: that it is given means this text.
    Nothing(&'static str),
    /// One of some words.
    Word(Vec<Word>),
    /// A number.
    Number,
    /// A text.
    Text,
    /// Names with commas between them; several options add up.
    Names,
    /// A path.
    Path,
    /// A path; several options add up.
    Paths,
}

/// Why a text or a value is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What it has to be: "a whole number from 1 to 1024".
    Wanted(String),
    /// What is wrong with it, in full.
    Problem(String),
}

impl Refusal {
    /// For the setting that is called `name` and a text that was given: "rank must be a whole number, not x".
    pub fn of(&self, name: &str, given: &str) -> String {
        match self {
            Self::Wanted(wanted) if given.trim().is_empty() => format!("{name} must be {wanted}"),
            Self::Wanted(wanted) => format!("{name} must be {wanted}, not {given}"),
            Self::Problem(problem) => format!("{name}: {problem}"),
        }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Self::Wanted(text) | Self::Problem(text)) = self;
        f.write_str(text)
    }
}

impl From<String> for Refusal {
    fn from(wanted: String) -> Self {
        Self::Wanted(wanted)
    }
}

impl From<&str> for Refusal {
    fn from(wanted: &str) -> Self {
        Self::Wanted(wanted.into())
    }
}

/// How it is written that a number is found.
const AUTO: &str = "auto";

/// Words of what is on or off.
const NO_YES: [Word; 2] = [Word { word: "no", help: "" }, Word { word: "yes", help: "" }];

impl<S> Kind<S> {
    /// The words that can be chosen, where the value is one of some.
    pub fn words(&self) -> Option<Vec<Word>> {
        match self {
            Self::Switch(..) => Some(NO_YES.to_vec()),
            Self::Choice { words, .. } => Some(words()),
            _ => None,
        }
    }

    /// What an option takes for it.
    pub(super) fn takes(&self) -> Takes {
        match self {
            Self::Switch(_, on) => Takes::Nothing(NO_YES[usize::from(*on)].word),
            Self::Choice { words, .. } => Takes::Word(words()),
            Self::Names(_) | Self::CheckedNames(..) => Takes::Names,
            Self::Path(_) | Self::Folder(..) => Takes::Path,
            Self::Paths(..) => Takes::Paths,
            Self::Text(..) | Self::Written { .. } => Takes::Text,
            Self::Whole(..)
            | Self::OptionalWhole(..)
            | Self::Auto(..)
            | Self::Seed(_)
            | Self::OptionalSeed(_)
            | Self::Number(..)
            | Self::OptionalNumber(..) => Takes::Number,
        }
    }

    /// Whether the value is a path.
    pub fn is_path(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Folder(..) | Self::Paths(..))
    }

    /// Whether the value is a list of names.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Names(_) | Self::CheckedNames(..))
    }

    /// What a value has to be, for people; empty where anything goes.
    pub fn wanted(&self) -> String {
        match self {
            Self::Whole(_, range) | Self::OptionalWhole(_, range) => range.words(),
            Self::Auto(_, range) => format!("{AUTO} or {}", range.words()),
            Self::Seed(_) | Self::OptionalSeed(_) => Whole::from(0).words(),
            Self::Number(_, range) | Self::OptionalNumber(_, range) => range.words.into(),
            Self::Switch(..) => "yes or no".into(),
            Self::Names(_) | Self::CheckedNames(..) => "at least one name".into(),
            Self::Choice { words, .. } => {
                let words: Vec<&str> = words().iter().map(|word| word.word).collect();
                words.join(", ")
            }
            Self::Text(..) | Self::Written { .. } | Self::Path(_) | Self::Folder(..) | Self::Paths(..) => {
                String::new()
            }
        }
    }

    pub(super) fn text(&self, of: &S) -> String {
        fn optional<T: ToString>(value: &Option<T>) -> String {
            value.as_ref().map_or(String::new(), ToString::to_string)
        }
        match self {
            Self::Whole(field, _) => (field.get)(of).to_string(),
            Self::OptionalWhole(field, _) => optional((field.get)(of)),
            Self::Auto(field, _) => (field.get)(of).map_or(AUTO.into(), |n| n.to_string()),
            Self::Seed(field) => (field.get)(of).to_string(),
            Self::OptionalSeed(field) => optional((field.get)(of)),
            Self::Number(field, _) => exact(*(field.get)(of)),
            Self::OptionalNumber(field, _) => (field.get)(of).map_or(String::new(), exact),
            Self::Switch(field, _) => NO_YES[usize::from(*(field.get)(of))].word.into(),
            Self::Names(field) | Self::CheckedNames(field, _) => (field.get)(of).join(","),
            Self::Choice { get, .. } => get(of).into(),
            Self::Text(field, _) => (field.get)(of).clone(),
            Self::Written { get, .. } => get(of),
            Self::Path(field) => path_text((field.get)(of).as_deref()),
            Self::Folder(field, _) => path_text(Some((field.get)(of))),
            Self::Paths(field, _) => {
                let paths: Vec<String> = (field.get)(of).iter().map(|path| path_text(Some(path))).collect();
                paths.join(", ")
            }
        }
    }

    pub(super) fn json(&self, of: &S) -> Option<Value> {
        match self {
            Self::Whole(field, _) => Some((*(field.get)(of)).into()),
            Self::OptionalWhole(field, _) | Self::Auto(field, _) => (field.get)(of).map(Value::from),
            Self::Seed(field) => Some((*(field.get)(of)).into()),
            Self::OptionalSeed(field) => (field.get)(of).map(Value::from),
            Self::Number(field, _) => Some((*(field.get)(of)).into()),
            Self::OptionalNumber(field, _) => (field.get)(of).map(Value::from),
            Self::Switch(field, _) => Some((*(field.get)(of)).into()),
            Self::Names(field) | Self::CheckedNames(field, _) => Some((field.get)(of).clone().into()),
            Self::Choice { get, .. } => Some(get(of).into()),
            Self::Text(field, _) => Some((field.get)(of).clone().into()),
            Self::Path(field) => (field.get)(of).as_deref().map(|path| path_text(Some(path)).into()),
            Self::Written { .. } | Self::Folder(..) | Self::Paths(..) => Some(self.text(of).into()),
        }
    }

    pub(super) fn set(&self, of: &mut S, text: &str) -> Result<(), Refusal> {
        let whole = |range: &Whole| range.parse(text).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        match self {
            Self::Whole(field, range) => *(field.get_mut)(of) = whole(range)?,
            Self::OptionalWhole(field, range) => {
                *(field.get_mut)(of) = if text.is_empty() { None } else { Some(whole(range)?) };
            }
            Self::Auto(field, range) => {
                *(field.get_mut)(of) = match text {
                    AUTO => None,
                    _ => Some(whole(range).map_err(|_| self.wanted())?),
                };
            }
            Self::Seed(field) => *(field.get_mut)(of) = Whole::from(0).parse(text)?,
            Self::OptionalSeed(field) => {
                *(field.get_mut)(of) = if text.is_empty() { None } else { Some(Whole::from(0).parse(text)?) };
            }
            Self::Number(field, range) => *(field.get_mut)(of) = range.parse(text)?,
            Self::OptionalNumber(field, range) => {
                *(field.get_mut)(of) = if text.is_empty() { None } else { Some(range.parse(text)?) };
            }
            Self::Switch(field, _) => match NO_YES.iter().position(|word| word.word == text) {
                Some(at) => *(field.get_mut)(of) = at == 1,
                None => return Err(self.wanted().into()),
            },
            Self::Names(field) | Self::CheckedNames(field, _) => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                let names: Vec<String> = names.map(str::to_string).collect();
                if names.is_empty() {
                    return Err(self.wanted().into());
                }
                if let Self::CheckedNames(_, problem) = self
                    && let Some(problem) = problem(&names)
                {
                    return Err(Refusal::Problem(problem));
                }
                *(field.get_mut)(of) = names;
            }
            Self::Choice { set, .. } => {
                if !set(of, text) {
                    return Err(self.wanted().into());
                }
            }
            Self::Text(field, problem) => {
                if let Some(wanted) = problem(text) {
                    return Err(wanted.into());
                }
                *(field.get_mut)(of) = text.into();
            }
            Self::Written { set, .. } => set(of, text)?,
            Self::Path(field) => *(field.get_mut)(of) = (!text.is_empty()).then(|| path_of(text)),
            Self::Folder(_, wanted) if text.is_empty() => return Err((*wanted).into()),
            Self::Folder(field, _) => *(field.get_mut)(of) = path_of(text),
            Self::Paths(_, Some(wanted)) if text.is_empty() => return Err((*wanted).into()),
            Self::Paths(field, _) => {
                *(field.get_mut)(of) = if text.is_empty() { Vec::new() } else { vec![path_of(text)] };
            }
        }
        Ok(())
    }

    /// Takes paths: all of them, or the first where it takes one; nothing happens where it takes none.
    pub fn set_paths(&self, of: &mut S, paths: Vec<PathBuf>) {
        match self {
            Self::Path(field) => *(field.get_mut)(of) = paths.into_iter().next(),
            Self::Folder(field, _) => *(field.get_mut)(of) = paths.into_iter().next().unwrap_or_default(),
            Self::Paths(field, _) => *(field.get_mut)(of) = paths,
            _ => {}
        }
    }

    pub(super) fn check(&self, of: &S) -> Result<(), Refusal> {
        let right = match self {
            Self::Whole(field, range) => range.contains(*(field.get)(of) as u64),
            Self::OptionalWhole(field, range) | Self::Auto(field, range) => {
                (field.get)(of).is_none_or(|n| range.contains(n as u64))
            }
            Self::Number(field, range) => range.contains(*(field.get)(of)),
            Self::OptionalNumber(field, range) => (field.get)(of).is_none_or(|x| range.contains(x)),
            Self::Names(field) => !(field.get)(of).is_empty(),
            Self::CheckedNames(field, problem) => match problem((field.get)(of)) {
                Some(problem) => return Err(Refusal::Problem(problem)),
                None => !(field.get)(of).is_empty(),
            },
            Self::Text(field, problem) => match problem((field.get)(of)) {
                Some(wanted) => return Err(wanted.into()),
                None => true,
            },
            Self::Folder(field, wanted) if (field.get)(of).as_os_str().is_empty() => {
                return Err((*wanted).into());
            }
            Self::Paths(field, Some(wanted)) if (field.get)(of).is_empty() => return Err((*wanted).into()),
            Self::Seed(_)
            | Self::OptionalSeed(_)
            | Self::Switch(..)
            | Self::Choice { .. }
            | Self::Written { .. }
            | Self::Path(_)
            | Self::Folder(..)
            | Self::Paths(..) => true,
        };
        if right { Ok(()) } else { Err(self.wanted().into()) }
    }
}

fn path_text(path: Option<&Path>) -> String {
    path.map_or(String::new(), |path| path.display().to_string())
}

/// A typed path, `~/` meaning the home folder.
pub fn path_of(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}
