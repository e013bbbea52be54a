//! What a setting is: one definition from which come its command line option, its field in a form, its check,
//! its line in a job's details, its entry in `expert.toml` and its row in the docs.
//!
//! A table of settings stands beside the struct with their values ([`crate::train::TRAINING`]). This module
//! knows no such struct, no command line and no screen.

mod docs;
mod entry;
mod kind;
mod range;

pub use docs::markdown;
pub use entry::{CommandOption, Entry, Look, Within, facts};
pub use kind::{Field, Kind, Refusal, Takes, Word, path_of, words};
pub use range::{
    BELOW_ONE, DIVISOR, FACTOR, NON_NEGATIVE, POSITIVE, Range, SHARE, SHARE_ABOVE_ZERO, UP_TO_A_MILLION,
    Whole,
};

use serde_json::Value;

/// What a form does with a field beyond showing and checking it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// Another value makes another plan of what will be trained.
    Plan,
    /// Task folders or files, a row each; what is in them shows below.
    Data,
    /// Name of an expert that does not exist yet.
    NewExpert,
    /// A number of clusters: from 1 to the number of experts that can be compared. Makes another plan.
    Clusters,
    /// Folder of a library to be made. Makes another plan.
    NewLibrary,
    /// Where tasks are looked for. Makes another plan.
    Tasks,
}

/// One setting of `S`.
#[derive(Debug)]
pub struct Setting<S: 'static> {
    /// Its name in files: that of the field of `S`.
    pub id: &'static str,
    /// Its type, its range and where it is kept.
    pub kind: Kind<S>,
    /// Its option on the command line, without dashes; empty where it has none.
    pub flag: &'static str,
    /// Another name of the option; may be empty.
    pub alias: &'static str,
    /// What the help calls its value.
    pub value: &'static str,
    /// What it does, as in the command line's help and in the docs.
    pub help: &'static str,
    /// What holds while it is not given, where that is no value, or follows from something else.
    pub unset: &'static str,
    /// Flag that has to be given with it, and flag that cannot be; empty for none.
    pub requires: &'static str,
    /// Flag of a setting that it cannot be given with; may be empty.
    pub conflicts: &'static str,
    /// Its name in forms; empty where no form shows it.
    pub label: &'static str,
    /// What a form says beside it.
    pub hint: &'static str,
    /// What else a form does with it.
    pub role: Role,
    /// Behind "More options".
    pub advanced: bool,
    /// Its name in a job's details, where it always shows; without one it shows there when it is changed.
    pub brief: &'static str,
    /// `expert.toml` keeps it.
    pub recorded: bool,
    /// Another value gives another result.
    pub decides: bool,
    /// It makes sense for the training of one expert only.
    pub single: bool,
    /// Its option may be given several times; the texts are joined by commas.
    pub several: bool,
    /// What is wrong with its value given the others, if anything.
    pub among: Option<fn(&S) -> Option<String>>,
}

impl<S: 'static> Setting<S> {
    /// A setting that nothing shows yet.
    pub const fn new(id: &'static str, kind: Kind<S>) -> Self {
        Self {
            id,
            kind,
            flag: "",
            alias: "",
            value: "",
            help: "",
            unset: "",
            requires: "",
            conflicts: "",
            label: "",
            hint: "",
            role: Role::Plain,
            advanced: false,
            brief: "",
            recorded: false,
            decides: true,
            single: false,
            several: false,
            among: None,
        }
    }

    /// With an option `--flag` and its help.
    pub const fn flag(self, flag: &'static str, help: &'static str) -> Self {
        Self { flag, help, ..self }
    }

    /// With another name of its option.
    pub const fn alias(self, alias: &'static str) -> Self {
        Self { alias, ..self }
    }

    /// What the help calls its value.
    pub const fn value(self, value: &'static str) -> Self {
        Self { value, ..self }
    }

    /// What holds while it is not given.
    pub const fn unset(self, unset: &'static str) -> Self {
        Self { unset, ..self }
    }

    /// Makes sense only together with this flag.
    pub const fn requires(self, requires: &'static str) -> Self {
        Self { requires, ..self }
    }

    /// Makes no sense together with this flag.
    pub const fn conflicts(self, conflicts: &'static str) -> Self {
        Self { conflicts, ..self }
    }

    /// With a field in forms.
    pub const fn form(self, label: &'static str, hint: &'static str) -> Self {
        Self { label, hint, ..self }
    }

    /// A form does more than to show and check it.
    pub const fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Its field is behind "More options".
    pub const fn advanced(self) -> Self {
        Self { advanced: true, ..self }
    }

    /// A job's details always show it, by this name.
    pub const fn brief(self, brief: &'static str) -> Self {
        Self { brief, ..self }
    }

    /// Kept in `expert.toml`.
    pub const fn recorded(self) -> Self {
        Self { recorded: true, ..self }
    }

    /// The result is the same whatever its value.
    pub const fn decides_nothing(self) -> Self {
        Self { decides: false, ..self }
    }

    /// For the training of one expert only.
    pub const fn single(self) -> Self {
        Self { single: true, ..self }
    }

    /// With an option that may be given several times; the texts are joined by commas.
    pub const fn several(self) -> Self {
        Self { several: true, ..self }
    }

    /// With a check of its value given the others.
    pub const fn among(self, problem: fn(&S) -> Option<String>) -> Self {
        Self { among: Some(problem), ..self }
    }

    /// What is wrong with its value given the others, if anything.
    pub fn problem(&self, of: &S) -> Option<String> {
        self.among.and_then(|problem| problem(of))
    }

    /// What an option or a file gives it.
    pub fn takes(&self) -> Takes {
        if self.several { Takes::Names } else { self.kind.takes() }
    }

    /// Whether it is on or off.
    pub fn is_switch(&self) -> bool {
        matches!(self.kind, Kind::Switch(..))
    }

    /// What holds while it is not given, for people; empty where nothing needs to be said.
    pub fn fallback(&self) -> String
    where
        S: Default,
    {
        match self.unset {
            "" if self.is_switch() => String::new(),
            "" => self.text(&S::default()),
            unset => unset.to_string(),
        }
    }

    /// What people call it, in lower case.
    pub fn name(&self) -> String {
        match self.label {
            "" => self.id.replace('_', " "),
            label => label.to_lowercase(),
        }
    }

    /// Its value as typed; empty where there is none.
    pub fn text(&self, of: &S) -> String {
        self.kind.text(of)
    }

    /// Its value in files; `None` where there is none.
    pub fn json(&self, of: &S) -> Option<Value> {
        self.kind.json(of)
    }

    /// Takes a typed text. An empty text takes an optional value away.
    ///
    /// # Errors
    /// What it has to be, such as "a whole number from 1 to 1024".
    pub fn set(&self, of: &mut S, text: &str) -> Result<(), Refusal> {
        self.kind.set(of, text.trim())
    }

    /// Whether both say the same.
    pub fn is_same(&self, one: &S, other: &S) -> bool {
        self.kind.json(one) == self.kind.json(other)
    }

    /// Checks the value against its range.
    ///
    /// # Errors
    /// One line, such as "rank must be a whole number from 1 to 1024".
    pub fn check(&self, of: &S) -> Result<(), String> {
        self.kind.check(of).map_err(|refusal| match self.kind.is_path() {
            true => format!("{refusal} (--{})", self.flag),
            false => refusal.of(&self.name(), ""),
        })
    }
}

/// Checks all values of `table` against their ranges, then against each other.
///
/// # Errors
/// A usage error for the first that is outside, or that does not go with the others.
pub fn check<S>(table: &[Setting<S>], of: &S) -> crate::Result<()> {
    table.iter().try_for_each(|setting| setting.check(of).map_err(crate::Error::usage))?;
    let problem = table.iter().find_map(|setting| setting.problem(of));
    problem.map_or(Ok(()), |problem| Err(crate::Error::usage(problem)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Toy {
        size: usize,
        rate: f64,
        limit: Option<f64>,
        names: Vec<String>,
        quiet: bool,
        count: Option<usize>,
    }

    static TABLE: [Setting<Toy>; 6] = [
        Setting::new("size", Kind::Whole(field!(Toy.size), Whole { low: 1, high: 9 }))
            .form("Size", "in cells")
            .brief("size"),
        Setting::new("learning_rate", Kind::Number(field!(Toy.rate), POSITIVE)),
        Setting::new("limit", Kind::OptionalNumber(field!(Toy.limit), SHARE)).form("Limit", ""),
        Setting::new("names", Kind::Names(field!(Toy.names))).form("Names", ""),
        Setting::new("quiet", Kind::Switch(field!(Toy.quiet), true)).form("Quiet", ""),
        Setting::new("count", Kind::Auto(field!(Toy.count), Whole::from(1))),
    ];

    #[test]
    fn a_text_is_taken_or_answered_with_what_it_has_to_be() {
        let mut toy = Toy::default();
        let mut errors = Vec::new();
        for (setting, texts) in TABLE.iter().zip([
            ["0", "x", "7"],
            ["0", "nan", "2.5"],
            ["1.5", "-1", ""],
            [" , ", "", "a, b"],
            ["maybe", "no", "yes"],
            ["0", "3", "auto"],
        ]) {
            let refused = texts.iter().filter_map(|text| setting.set(&mut toy, text).err());
            errors.extend(refused.map(|refusal| refusal.to_string()));
        }
        assert_eq!(
            errors,
            [
                "a whole number from 1 to 9",
                "a whole number from 1 to 9",
                "a number above 0",
                "a number above 0",
                "a number from 0 to 1",
                "a number from 0 to 1",
                "at least one name",
                "at least one name",
                "yes or no",
                "auto or a whole number from 1",
            ]
        );
        let names = vec!["a".to_string(), "b".to_string()];
        assert_eq!(toy, Toy { size: 7, rate: 2.5, limit: None, names, quiet: true, count: None });
        let facts: Vec<String> = TABLE.iter().filter_map(|entry| entry.fact(&toy, &Toy::default())).collect();
        assert_eq!(facts, ["size 7", "names a,b", "quiet yes"]);
    }

    #[test]
    fn values_are_checked_wherever_they_come_from() {
        let toy = Toy { size: 1, rate: f64::INFINITY, ..Toy::default() };
        let error = check(&TABLE, &toy).unwrap_err().to_string();
        assert_eq!(error, "learning rate must be a number above 0");
        let toy = Toy { size: 10, ..toy };
        assert_eq!(check(&TABLE, &toy).unwrap_err().to_string(), "size must be a whole number from 1 to 9");
    }
}
