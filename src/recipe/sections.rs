//! The sections of a recipe: which settings stand in each.

use std::sync::LazyLock;

use super::recipe::Recipe;
use super::settings::{CLUSTERS, CONTROLS, EVALUATED, FORECAST, HEAD, PRIVATE, TASKS};
use crate::field;
use crate::jobs::kinds::EVALUATION;
use crate::settings::{Entry, Setting, Takes, Within};
use crate::train::{INIT, TRAINING};

/// Settings of a training that a recipe gives elsewhere, or that follow.
const NOT_OF_TRAINING: [&str; 2] = ["base", INIT];
/// The same of an evaluation.
const NOT_OF_EVALUATION: [&str; 7] = ["tasks", "libraries", "base", "held_out", "fresh", "methods", "limit"];

type Entries = Vec<Box<dyn Entry<Recipe>>>;

/// Settings under a heading.
pub struct Section {
    /// Its heading; empty before the first one.
    pub name: &'static str,
    /// What it is about.
    pub help: &'static str,
    entries: LazyLock<Entries>,
}

impl Section {
    /// Its settings.
    pub fn entries(&self) -> &[Box<dyn Entry<Recipe>>] {
        &self.entries
    }
}

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

fn own(table: &'static [Setting<Recipe>]) -> Entries {
    table.iter().map(|setting| Box::new(setting) as Box<dyn Entry<Recipe>>).collect()
}

/// All sections with settings; `[base]` and `[template]` are those of `library.toml`.
pub static SECTIONS: [Section; 8] = [
    Section { name: "", help: "before the first section", entries: LazyLock::new(|| own(&HEAD)) },
    Section {
        name: "tasks",
        help: "what there is to learn and to ask",
        entries: LazyLock::new(|| own(&TASKS)),
    },
    Section {
        name: "training",
        help: "how every expert is trained; an expert of several tasks makes `max_steps` for each of them",
        entries: LazyLock::new(|| {
            let used = TRAINING.iter().filter(|setting| {
                !setting.single && !setting.flag.is_empty() && !NOT_OF_TRAINING.contains(&setting.id)
            });
            let within = |setting| Within { setting, part: field!(Recipe.training), hint: None };
            used.map(|setting| Box::new(within(setting)) as Box<dyn Entry<Recipe>>).collect()
        }),
    },
    Section {
        name: "private",
        help: "the library with an expert for each task",
        entries: LazyLock::new(|| own(&PRIVATE)),
    },
    Section {
        name: "clusters",
        help: "the libraries with an expert for each cluster",
        entries: LazyLock::new(|| own(&CLUSTERS)),
    },
    Section {
        name: "controls",
        help: "libraries to compare with, trained on as many examples",
        entries: LazyLock::new(|| own(&CONTROLS)),
    },
    Section {
        name: "evaluation",
        help: "methods on all tasks; a router is asked on every library",
        entries: LazyLock::new(|| {
            let used = EVALUATION.iter().filter(|setting| !NOT_OF_EVALUATION.contains(&setting.id));
            let within = |setting| Within { setting, part: field!(Recipe.evaluation), hint: None };
            let mut all = own(&EVALUATED);
            all.extend(used.map(|setting| Box::new(within(setting)) as Box<dyn Entry<Recipe>>));
            all
        }),
    },
    Section { name: "forecast", help: "for `--dry-run`", entries: LazyLock::new(|| own(&FORECAST)) },
];

/// Whether a setting can have this value.
///
/// # Errors
/// What it has to be instead.
pub fn check(section: &str, id: &str, text: &str) -> Result<(), String> {
    let found = SECTIONS.iter().find(|known| known.name == section);
    let entry = found.and_then(|known| known.entries().iter().find(|entry| entry.id() == id));
    entry
        .map_or(Ok(()), |entry| entry.set(&mut Recipe::default(), text))
        .map_err(|refusal| refusal.to_string())
}

/// The settings as a Markdown table of the docs.
pub fn reference() -> String {
    let mut out = String::from("| section | setting | what it does |\n|---|---|---|\n");
    for section in &SECTIONS {
        let heading = if section.name.is_empty() { String::new() } else { format!("`[{}]`", section.name) };
        for entry in section.entries() {
            let Some(option) = entry.option() else { continue };
            let help = option.help.replace('|', "\\|");
            let help = match option.takes {
                // What the option on the command line makes of it.
                Takes::Nothing("no") => format!("`false`: {help}"),
                Takes::Nothing(_) => format!("`true`: {help}"),
                _ => help,
            };
            out += &format!("| {heading} | `{}` | {help} |\n", entry.id());
        }
    }
    out
}
