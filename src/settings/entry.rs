//! Settings as a form sees them, whatever struct has their values.

use std::path::PathBuf;

use super::{Field, Refusal, Role, Setting, Takes, Word};

/// What a form shows of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Unique among the settings of a job.
    pub id: &'static str,
    /// Its name.
    pub label: &'static str,
    /// What is shown beside it.
    pub hint: &'static str,
    /// Behind "More options".
    pub advanced: bool,
    /// What else the form does with it.
    pub role: Role,
    /// The words that can be chosen, where the value is one of some.
    pub words: Option<Vec<Word>>,
    /// Whether it is the path of a file or folder.
    pub is_path: bool,
    /// Its text may take a whole line.
    pub is_long: bool,
}

/// What the command line shows of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOption {
    /// Unique among the settings of a job.
    pub id: &'static str,
    /// Its name, without dashes.
    pub flag: &'static str,
    /// Another name; may be empty.
    pub alias: &'static str,
    /// What the help calls its value; may be empty.
    pub value: &'static str,
    /// What it does, and what holds while it is not given.
    pub help: String,
    /// Flag that has to be given with it; may be empty.
    pub requires: &'static str,
    /// Flag that cannot be given with it; may be empty.
    pub conflicts: &'static str,
    /// Whether it has to be given: the default will not do.
    pub is_required: bool,
    /// What it takes.
    pub takes: Takes,
}

/// One setting of `J`, or of something within it.
pub trait Entry<J>: Send + Sync {
    /// What a form shows of it; `None` where no form does.
    fn look(&self) -> Option<Look>;
    /// Its option on the command line, if it has one.
    fn option(&self) -> Option<CommandOption>;
    /// Its name.
    fn id(&self) -> &'static str;
    /// Its value as typed; empty where there is none.
    fn text(&self, of: &J) -> String;
    /// Takes a typed text.
    ///
    /// # Errors
    /// What it has to be.
    fn set(&self, of: &mut J, text: &str) -> Result<(), Refusal>;
    /// Takes paths: all of them, or the first where it takes one; nothing happens where it takes none.
    fn set_paths(&self, of: &mut J, paths: Vec<PathBuf>);
    /// What is wrong with its value given the others, if anything.
    fn problem(&self, of: &J) -> Option<String>;
    /// What a job's details say of it, if anything; `default` has the values that need no mention.
    fn fact(&self, of: &J, default: &J) -> Option<String>;
}

impl<J: Default> Entry<J> for &'static Setting<J> {
    fn look(&self) -> Option<Look> {
        (!self.label.is_empty()).then(|| Look {
            id: self.id,
            label: self.label,
            hint: self.hint,
            advanced: self.advanced,
            role: self.role,
            words: self.kind.words(),
            is_path: self.kind.is_path(),
            is_long: self.kind.is_path() || self.kind.is_list() || self.role == Role::NewExpert,
        })
    }

    fn option(&self) -> Option<CommandOption> {
        if self.flag.is_empty() {
            return None;
        }
        let help = match self.fallback() {
            fallback if fallback.is_empty() => self.help.to_string(),
            fallback => format!("{} [default: {fallback}]", self.help),
        };
        Some(CommandOption {
            id: self.id,
            flag: self.flag,
            alias: self.alias,
            value: self.value,
            help,
            requires: self.requires,
            conflicts: self.conflicts,
            is_required: self.check(&J::default()).is_err(),
            takes: self.takes(),
        })
    }

    fn id(&self) -> &'static str {
        self.id
    }

    fn text(&self, of: &J) -> String {
        Setting::text(self, of)
    }

    fn set(&self, of: &mut J, text: &str) -> Result<(), Refusal> {
        Setting::set(self, of, text)
    }

    fn set_paths(&self, of: &mut J, paths: Vec<PathBuf>) {
        self.kind.set_paths(of, paths);
    }

    fn problem(&self, of: &J) -> Option<String> {
        Setting::problem(self, of)
    }

    fn fact(&self, of: &J, default: &J) -> Option<String> {
        let text = Setting::text(self, of);
        match self.brief {
            _ if text.is_empty() => None,
            "" if self.label.is_empty() || self.is_same(of, default) => None,
            "" => Some(format!("{} {text}", self.name())),
            brief => Some(format!("{brief} {text}")),
        }
    }
}

/// A setting of a part of `J`.
#[derive(Debug)]
pub struct Within<J: 'static, S: 'static> {
    /// The setting.
    pub setting: &'static Setting<S>,
    /// The part that it belongs to.
    pub part: Field<J, S>,
    /// Instead of the setting's own.
    pub hint: Option<&'static str>,
}

impl<J, S: Default> Entry<J> for Within<J, S> {
    fn look(&self) -> Option<Look> {
        let look = self.setting.look()?;
        Some(Look { hint: self.hint.unwrap_or(look.hint), ..look })
    }

    fn option(&self) -> Option<CommandOption> {
        self.setting.option()
    }

    fn id(&self) -> &'static str {
        self.setting.id
    }

    fn text(&self, of: &J) -> String {
        self.setting.text((self.part.get)(of))
    }

    fn set(&self, of: &mut J, text: &str) -> Result<(), Refusal> {
        self.setting.set((self.part.get_mut)(of), text)
    }

    fn set_paths(&self, of: &mut J, paths: Vec<PathBuf>) {
        self.setting.kind.set_paths((self.part.get_mut)(of), paths);
    }

    fn problem(&self, of: &J) -> Option<String> {
        self.setting.problem((self.part.get)(of))
    }

    fn fact(&self, of: &J, default: &J) -> Option<String> {
        self.setting.fact((self.part.get)(of), (self.part.get)(default))
    }
}

/// What a job's details say of all settings in `of`: those with a brief name, and those that are changed.
pub fn facts<J: Default>(entries: &[Box<dyn Entry<J>>], of: &J) -> Vec<String> {
    let default = J::default();
    entries.iter().filter_map(|entry| entry.fact(of, &default)).collect()
}
