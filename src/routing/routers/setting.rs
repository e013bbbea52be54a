//! Settings of routers: their names, ranges and defaults, and the values that a person gave.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::named::{Named, unknown};
use crate::routing::mix::Mix;
use crate::routing::scores::Score;
use crate::settings::{DIVISOR, FACTOR, Word, words};
use crate::{Error, Result};

/// A setting that one router or several have. It is declared once; text form, command line, screens, checks
/// and the reference page follow from it.
#[derive(Debug)]
pub struct RouterSetting {
    /// In the text form of a router: `temperature`. Unique over all routers.
    pub name: &'static str,
    /// In messages: `top k`.
    pub title: &'static str,
    /// What stands before the value on the status line: `τ`. Empty where it is not shown there.
    pub symbol: &'static str,
    /// One line for help and docs, without a full stop.
    pub help: &'static str,
    /// Values and default.
    pub domain: Domain,
    /// An option of its own beside `--router`, and a field of its own in JSON; without one it stands in the text
    /// form and among the settings of its router.
    pub shorthand: Option<Shorthand>,
    /// What the other settings have to be for it to change anything.
    pub effect: Effect,
}

/// When a setting changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Under any other settings.
    Always,
    /// Where more than one expert is put together.
    Several,
    /// Where experts are scored by their prototypes.
    Prototypes,
    /// Where there is a vote: one that chooses more than one expert, or as a prior.
    Votes,
}

/// A setting's own option on the command line.
#[derive(Debug)]
pub struct Shorthand {
    /// Without dashes: `top-k`.
    pub option: &'static str,
    /// What the help calls its value; empty for flags.
    pub value: &'static str,
}

impl Shorthand {
    /// The field of JSON: `top_k`.
    pub fn field(&self) -> String {
        self.option.replace('-', "_")
    }
}

/// Which values a setting takes, and its default.
#[derive(Debug)]
pub enum Domain {
    /// A whole number; 0 means all.
    Count {
        /// Used where none is given.
        default: usize,
    },
    /// A number above 0 that scores in f32 can be divided by, or a word.
    Positive {
        /// Used where none is given.
        default: f64,
        /// The values that keys step through, ascending; the word comes after the last one.
        steps: &'static [f64],
        /// Stands for a number that is found out.
        word: Option<&'static str>,
    },
    /// A number of at least 0 that scores in f32 can be added to; 0 by default, which turns it off.
    NotNegative {
        /// The values that keys step through, ascending.
        steps: &'static [f64],
    },
    /// On or off, off by default: `name` alone turns it on.
    Flag,
    /// One of a few words; the first is the default.
    Word {
        /// All of them.
        words: fn() -> Vec<Word>,
    },
}

/// A value of a setting; in JSON a number, `true` or `false`, or the word.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// Of [`Domain::Count`].
    Count(usize),
    /// Of [`Domain::Positive`] and [`Domain::NotNegative`].
    Number(f64),
    /// Of [`Domain::Flag`].
    Flag(bool),
    /// Of [`Domain::Word`].
    Word(&'static str),
}

impl From<usize> for SettingValue {
    fn from(value: usize) -> Self {
        Self::Count(value)
    }
}

impl From<f64> for SettingValue {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<bool> for SettingValue {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<Mix> for SettingValue {
    fn from(value: Mix) -> Self {
        Self::Word(value.name())
    }
}

impl std::fmt::Display for SettingValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Flag(value) => write!(f, "{value}"),
            Self::Word(value) => f.write_str(value),
        }
    }
}

/// Experts kept per token and module.
pub static TOP_K: RouterSetting = RouterSetting {
    name: "k",
    title: "top k",
    symbol: "top",
    help: "Experts per token and module, 0 = all",
    domain: Domain::Count { default: 3 },
    shorthand: Some(Shorthand { option: "top-k", value: "K" }),
    effect: Effect::Always,
};

/// What divides the scores before the softmax.
pub static TEMPERATURE: RouterSetting = RouterSetting {
    name: "temperature",
    title: "temperature",
    symbol: "τ",
    help: "Divides the scores before the softmax",
    domain: Domain::Positive {
        default: 1.0,
        steps: &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0],
        word: None,
    },
    shorthand: Some(Shorthand { option: "temperature", value: "T" }),
    // With `k=1` it changes nothing, but the two are said together, as libraries have defaults for both.
    effect: Effect::Always,
};

/// How the chosen experts are put together.
pub static MIX: RouterSetting = RouterSetting {
    name: "mix",
    title: "way to mix",
    symbol: "",
    help: "Mix the experts' outputs or their factors",
    domain: Domain::Word { words: words::<Mix> },
    shorthand: Some(Shorthand { option: "mix", value: "MIX" }),
    effect: Effect::Several,
};

/// Whether q, k and v share prototypes.
pub static TIED: RouterSetting = RouterSetting {
    name: "tied",
    title: "tied prototypes",
    symbol: "",
    help: "Let q, k and v that share one A share one prototype, as in mttl",
    domain: Domain::Flag,
    shorthand: Some(Shorthand { option: "tie-qkv", value: "" }),
    effect: Effect::Prototypes,
};

/// Whether scores are compared with what is usual for each expert.
pub static CALIBRATED: RouterSetting = RouterSetting {
    name: "calibrated",
    title: "calibration",
    symbol: "calibrated",
    help: "Replace each score by its deviation from what is usual for that expert at that module",
    domain: Domain::Flag,
    shorthand: None,
    effect: Effect::Always,
};

/// How much the votes of the whole prompt count for each token.
pub static PRIOR: RouterSetting = RouterSetting {
    name: "prior",
    title: "prior",
    symbol: "prior",
    help: "Add this times log(votes of the whole prompt) to the scores, 0 = none",
    domain: Domain::NotNegative { steps: &[0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0] },
    shorthand: None,
    effect: Effect::Always,
};

/// How much the votes differ from each other.
pub static SHARPNESS: RouterSetting = RouterSetting {
    name: "sharpness",
    title: "sharpness",
    symbol: "sharpness",
    help: "Take shares of the votes to the power 1 / sharpness: below 1 sharper, above 1 softer; auto: by how sure the \
           vote is, beside those of calibration prompts",
    domain: Domain::Positive { default: 1.0, steps: &[0.1, 0.2, 0.5, 1.0, 2.0, 5.0], word: Some(AUTO) },
    shorthand: None,
    effect: Effect::Votes,
};

/// The word for a sharpness that follows from the votes.
const AUTO: &str = "auto";

/// By which score.
pub static SCORE: RouterSetting = RouterSetting {
    name: "score",
    title: "score",
    symbol: "by",
    help: "How experts are scored",
    domain: Domain::Word { words: words::<Score> },
    shorthand: None,
    effect: Effect::Always,
};

impl RouterSetting {
    /// Why a value that was given changes nothing beside the other settings of its router; `None` where it changes
    /// something, or is the default.
    pub fn idle(&self, settings: &[&'static RouterSetting], values: &SettingValues) -> Option<String> {
        let given = values.given(self)?;
        if given == self.default_value() {
            return None;
        }
        let has_prior = settings.iter().any(|setting| setting.name == PRIOR.name);
        match self.effect {
            Effect::Always => None,
            Effect::Votes if has_prior => {
                (values.number(&PRIOR) == 0.0).then(|| "nothing is voted on: give prior, too".to_string())
            }
            Effect::Several | Effect::Votes => {
                let number =
                    settings.iter().find(|setting| matches!(setting.domain, Domain::Count { .. }))?;
                (values.count(number) == 1).then(|| {
                    format!("one expert has all the weight: give {} more, or 0 for all", number.name)
                })
            }
            Effect::Prototypes => {
                let has_score = settings.iter().any(|setting| setting.name == SCORE.name);
                (has_score && values.score() != Score::default())
                    .then(|| format!("the score {} needs no prototypes: use score=arrow", values.score().id))
            }
        }
    }

    /// The value where none is given.
    pub fn default_value(&self) -> SettingValue {
        match &self.domain {
            Domain::Count { default } => SettingValue::Count(*default),
            Domain::Positive { default, .. } => SettingValue::Number(*default),
            Domain::NotNegative { .. } => SettingValue::Number(0.0),
            Domain::Flag => SettingValue::Flag(false),
            Domain::Word { words } => SettingValue::Word(words().first().map_or("", |first| first.word)),
        }
    }

    /// Reads a value; `None` is the name alone.
    ///
    /// # Errors
    /// A usage error that says which values there are.
    pub fn parse(&self, text: Option<&str>) -> Result<SettingValue> {
        let name = self.name;
        let wrong = |what: &str| match text.filter(|text| !text.is_empty()) {
            Some(text) => Error::usage(format!("{name} must be {what}, not {text}")),
            None => Error::usage(format!("{name} needs a value: {what}")),
        };
        let value = match &self.domain {
            Domain::Count { .. } => text.and_then(|t| t.parse().ok()).map(SettingValue::Count),
            Domain::Positive { word: Some(word), .. } if text == Some(word) => Some(SettingValue::Word(word)),
            Domain::Positive { .. } | Domain::NotNegative { .. } => {
                text.and_then(|t| t.parse().ok()).map(SettingValue::Number)
            }
            Domain::Flag => match text {
                None | Some("true") => Some(SettingValue::Flag(true)),
                Some("false") => Some(SettingValue::Flag(false)),
                Some(_) => None,
            },
            Domain::Word { words } => {
                let words: Vec<&'static str> = words().iter().map(|word| word.word).collect();
                let found = words.iter().find(|word| Some(**word) == text).copied();
                if let (None, Some(text)) = (found, text.filter(|text| !text.is_empty())) {
                    return Err(unknown(self.title, text, words.iter().copied(), &words.join(", ")));
                }
                found.map(SettingValue::Word)
            }
        };
        value.filter(|value| self.admits(*value)).ok_or_else(|| wrong(&self.range()))
    }

    /// Whether a value lies in the range.
    pub fn admits(&self, value: SettingValue) -> bool {
        match (&self.domain, value) {
            (Domain::Count { .. }, SettingValue::Count(_)) | (Domain::Flag, SettingValue::Flag(_)) => true,
            (Domain::Positive { .. }, SettingValue::Number(value)) => DIVISOR.contains(value),
            (Domain::Positive { word, .. }, SettingValue::Word(value)) => *word == Some(value),
            (Domain::NotNegative { .. }, SettingValue::Number(value)) => FACTOR.contains(value),
            (Domain::Word { words }, SettingValue::Word(word)) => words().iter().any(|one| one.word == word),
            _ => false,
        }
    }

    /// The range in words.
    pub fn range(&self) -> String {
        let words = match &self.domain {
            Domain::Count { .. } => "a whole number (0 = all)",
            Domain::Positive { word, .. } => {
                return word.map_or(DIVISOR.words.into(), |word| format!("{} or {word}", DIVISOR.words));
            }
            Domain::NotNegative { .. } => FACTOR.words,
            Domain::Flag => "true or false",
            Domain::Word { .. } => "one of its words",
        };
        words.into()
    }

    /// A value on the status line: `top 3`, `τ 0.1`; `None` where the setting is not shown there.
    pub fn shown(&self, value: SettingValue) -> Option<String> {
        let value = match value {
            // What is off changes nothing.
            SettingValue::Flag(false) | SettingValue::Number(0.0) => return None,
            SettingValue::Number(1.0) if self.effect == Effect::Votes => return None,
            SettingValue::Flag(true) => {
                return Some(self.symbol.to_string()).filter(|symbol| !symbol.is_empty());
            }
            SettingValue::Count(0) => "all".to_string(),
            value => value.to_string(),
        };
        (!self.symbol.is_empty()).then(|| format!("{} {value}", self.symbol))
    }

    /// The next value up or down: a count runs from 1 to `most` and then to all, a number through its steps.
    pub fn step(&self, now: SettingValue, up: bool, most: usize) -> SettingValue {
        match (&self.domain, now) {
            (Domain::Count { .. }, SettingValue::Count(k)) => SettingValue::Count(match (k, up) {
                (0, true) => 0,
                (0, false) => most.saturating_sub(1).max(1),
                (k, true) if k + 1 >= most => 0,
                (k, true) => k + 1,
                (k, false) => k.min(most).saturating_sub(1).max(1),
            }),
            (Domain::Positive { steps, word: Some(word), .. }, SettingValue::Number(now))
                if up && steps.last().is_none_or(|last| now >= *last) =>
            {
                SettingValue::Word(word)
            }
            (Domain::Positive { steps, .. }, SettingValue::Word(_)) if !up => {
                steps.last().map_or(now, |last| SettingValue::Number(*last))
            }
            (Domain::Positive { steps, .. } | Domain::NotNegative { steps }, SettingValue::Number(now)) => {
                let next = if up {
                    steps.iter().find(|&&step| step > now * 1.001)
                } else {
                    steps.iter().rev().find(|&&step| step < now * 0.999)
                };
                SettingValue::Number(next.copied().unwrap_or(now))
            }
            (Domain::Flag, SettingValue::Flag(now)) => SettingValue::Flag(!now),
            (Domain::Word { words }, SettingValue::Word(now)) => {
                let words = words();
                let count = words.len().max(1);
                let at = words.iter().position(|word| word.word == now).unwrap_or(0);
                let next = (at + if up { 1 } else { count - 1 }) % count;
                SettingValue::Word(words.get(next).map_or(now, |word| word.word))
            }
            _ => now,
        }
    }
}

/// The values that were given, by the names of their settings. What is not here has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingValues(BTreeMap<&'static str, SettingValue>);

impl SettingValues {
    /// The value that was given for a setting.
    pub fn given(&self, setting: &RouterSetting) -> Option<SettingValue> {
        self.0.get(setting.name).copied()
    }

    /// The value of a setting.
    pub fn get(&self, setting: &RouterSetting) -> SettingValue {
        self.given(setting).unwrap_or_else(|| setting.default_value())
    }

    /// Gives a setting a value.
    pub fn set(&mut self, setting: &'static RouterSetting, value: impl Into<SettingValue>) {
        self.0.insert(setting.name, value.into());
    }

    /// Takes from `others` what was not given here.
    pub fn fill(&mut self, others: &Self) {
        for (name, value) in &others.0 {
            self.0.entry(name).or_insert(*value);
        }
    }

    /// A count; 0 for a setting of another kind.
    pub fn count(&self, setting: &RouterSetting) -> usize {
        if let SettingValue::Count(value) = self.get(setting) { value } else { 0 }
    }

    /// A number; NaN for a setting of another kind.
    pub fn number(&self, setting: &RouterSetting) -> f64 {
        if let SettingValue::Number(value) = self.get(setting) { value } else { f64::NAN }
    }

    /// Whether a flag is on.
    pub fn flag(&self, setting: &RouterSetting) -> bool {
        self.get(setting) == SettingValue::Flag(true)
    }

    /// Whether the votes themselves say how sharp a choice is.
    pub fn is_sharpness_found(&self) -> bool {
        self.get(&SHARPNESS) == SettingValue::Word(AUTO)
    }

    /// By which score experts are compared.
    pub fn score(&self) -> Score {
        match self.get(&SCORE) {
            SettingValue::Word(word) => Score::named(word).copied().unwrap_or_default(),
            _ => Score::default(),
        }
    }

    /// How the chosen experts are put together.
    pub fn mix(&self) -> Mix {
        match self.get(&MIX) {
            SettingValue::Word(word) => Mix::named(word).copied().unwrap_or_default(),
            _ => Mix::default(),
        }
    }
}
