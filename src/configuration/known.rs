//! What may stand in a configuration, made from the definitions of settings; and what stands there beside it.

use std::fmt::Debug;
use std::path::Path;

use crate::Error;
use crate::named::nearest;
use crate::settings::{Setting, Takes};
use crate::text::short;

/// The settings of a table of the configuration, whatever struct has their values.
pub trait Settings: Debug + Sync {
    /// Their names.
    fn keys(&self) -> Vec<&'static str>;

    /// Whether a setting takes a value.
    ///
    /// # Errors
    /// As [`take_one`].
    fn check(&self, key: &str, value: &toml::Value) -> Result<(), String>;
}

impl<S: Default + Debug> Settings for &'static [Setting<S>] {
    fn keys(&self) -> Vec<&'static str> {
        self.iter().map(|setting| setting.id).collect()
    }

    fn check(&self, key: &str, value: &toml::Value) -> Result<(), String> {
        take_one(&mut S::default(), self, key, value)
    }
}

/// A table of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// As it stands between brackets: `executor.slurm`.
    pub name: &'static str,
    /// What it may have beside other tables.
    pub settings: &'static dyn Settings,
}

/// Something in a configuration that has no effect, or that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What, in one line that names the file.
    pub says: String,
    /// Whoever needs the table refuses it for this reason; else it is ignored.
    pub refused: bool,
}

/// Takes the value that a table gives a setting.
///
/// # Errors
/// A setting that there is not, or a value that it cannot have, to be put behind the table's name.
pub fn take_one<S>(
    settings: &mut S,
    table: &'static [Setting<S>],
    id: &str,
    value: &toml::Value,
) -> Result<(), String> {
    let Some(setting) = table.iter().find(|setting| setting.id == id) else {
        return Err(unknown(id, &table.iter().map(|setting| setting.id).collect::<Vec<_>>()));
    };
    let refuse = |wanted: String| format!("{id} must be {wanted}, not {}", found(value));
    let wanted = |kind: &str| match setting.kind.wanted() {
        wanted if wanted.is_empty() => kind.to_string(),
        wanted => wanted,
    };
    let is_number = |text: &str| text.trim().parse::<f64>().is_ok();
    let text = match (setting.takes(), value) {
        (Takes::Nothing(_), toml::Value::Boolean(on)) => if *on { "yes" } else { "no" }.into(),
        (Takes::Nothing(_), _) => return Err(refuse("true or false".into())),
        (Takes::Number, toml::Value::Integer(number)) => number.to_string(),
        (Takes::Number, toml::Value::Float(number)) => number.to_string(),
        // Some take a word instead.
        (Takes::Number, toml::Value::String(text)) if !is_number(text) => text.clone(),
        (Takes::Number, _) => return Err(refuse(wanted("a number"))),
        (_, toml::Value::String(text)) => text.clone(),
        (_, _) => return Err(refuse(wanted("a text"))),
    };
    setting.set(settings, &text).map_err(|refusal| refusal.of(id, &found(value)))
}

/// What a value is, for whoever wrote it.
fn found(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("the text {:?}", short(text)),
        toml::Value::Integer(number) => format!("the number {number}"),
        toml::Value::Float(number) => format!("the number {number}"),
        toml::Value::Boolean(on) => on.to_string(),
        toml::Value::Datetime(time) => format!("the time {time}"),
        toml::Value::Array(_) => "a list".into(),
        toml::Value::Table(_) => "a table".into(),
    }
}

/// The problem of a setting that there is not.
fn unknown(id: &str, known: &[&str]) -> String {
    let id = short(id);
    match nearest(&id, known.iter().copied(), 2).as_slice() {
        [] if known.is_empty() => format!("has no setting {id:?}"),
        [] => format!("has no setting {id:?}; there are {}", known.join(", ")),
        near => format!("has no setting {id:?}; did you mean {}?", near.join(" or ")),
    }
}

/// What in this configuration is not among `sections`, or cannot be taken, in the order of the file's keys. A table that
/// somebody else checks is left out by not being given.
pub fn doubts(path: &Path, given: &toml::Table, sections: &[Section]) -> Vec<Doubt> {
    let mut found = Vec::new();
    look(given, "", sections, &mut |problem: String, refused| {
        found.push(Doubt { says: Error::file(path, problem).to_string(), refused });
    });
    found
}

/// Looks through a table, which stands under `name`, and those in it.
fn look(given: &toml::Table, name: &str, sections: &[Section], report: &mut dyn FnMut(String, bool)) {
    let this = sections.iter().find(|section| section.name == name);
    for (key, value) in given {
        let whole = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let is_section = sections.iter().any(|section| section.name == whole);
        match (value, this) {
            (toml::Value::Table(inner), _) if is_section => look(inner, &whole, sections, report),
            _ if is_section => report(format!("[{whole}] must be a table, not {}", self::found(value)), true),
            (_, Some(section)) if section.settings.keys().iter().any(|known| *known == key) => {
                if let Err(problem) = section.settings.check(key, value) {
                    report(format!("[{name}] {problem}"), true);
                }
            }
            _ => report(stray(key, value, name, sections), false),
        }
    }
}

/// The problem of a key that means nothing where it stands, with the nearest that does.
fn stray(key: &str, value: &toml::Value, name: &str, sections: &[Section]) -> String {
    let inside = sections.iter().filter_map(|section| match (name, section.name.rsplit_once('.')) {
        ("", None) => Some(section.name),
        (name, Some((outer, last))) if outer == name => Some(last),
        _ => None,
    });
    let shown = |last: &str| match name {
        "" => format!("[{last}]"),
        name => format!("[{name}.{last}]"),
    };
    let tables: Vec<&str> = inside.collect();
    let here = if name.is_empty() { String::new() } else { format!("[{name}] ") };
    if value.is_table() {
        let near = nearest(key, tables.iter().copied(), 1);
        let all = || tables.iter().map(|last| shown(last)).collect::<Vec<_>>().join(", ");
        let hint = match (near.first(), tables.is_empty()) {
            (Some(last), _) => format!("; did you mean {}?", shown(last)),
            (None, true) => String::new(),
            (None, false) => format!("; there are {}", all()),
        };
        return format!("{} means nothing, so it is ignored{hint}", shown(&short(key)));
    }
    // What was written above its table's head.
    let elsewhere = sections.iter().find(|section| section.settings.keys().contains(&key));
    let keys = sections.iter().find(|section| section.name == name).map(|section| section.settings.keys());
    match (elsewhere, keys) {
        (Some(section), _) => {
            format!(
                "{here}{:?} means nothing here, so it is ignored; it belongs in [{}]",
                short(key),
                section.name
            )
        }
        (None, Some(keys)) => format!("[{name}] {}", unknown(key, &keys)),
        (None, None) => {
            let all: Vec<String> = tables.iter().map(|last| shown(last)).collect();
            format!("{:?} is in no table, so it is ignored; there are {}", short(key), all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;
    use crate::settings::{Kind, Whole};

    #[derive(Debug, Default)]
    struct Moon {
        base: String,
        crew: Option<usize>,
        dark: bool,
    }

    static MOON: &[Setting<Moon>] = &[
        Setting::new("base", Kind::Text(field!(Moon.base), |_| None)),
        Setting::new("crew", Kind::OptionalWhole(field!(Moon.crew), Whole { low: 1, high: 9 })),
        Setting::new("dark", Kind::Switch(field!(Moon.dark), true)),
    ];

    static SECTIONS: &[Section] =
        &[Section { name: "sky", settings: &MOON }, Section { name: "sky.moon", settings: &MOON }];

    fn said(text: &str) -> Vec<String> {
        let given: toml::Table = toml::from_str(text).unwrap();
        let found = doubts(Path::new("c.toml"), &given, SECTIONS);
        found.iter().map(|doubt| format!("{}{}", if doubt.refused { "! " } else { "" }, doubt.says)).collect()
    }

    #[test]
    fn what_means_nothing_is_named_with_the_nearest_that_does() {
        for (text, expected) in [
            ("[sky]\nbase = \"a\"\n[sky.moon]\ncrew = 3\ndark = false", None),
            ("[sky]\nbse = \"a\"", Some("c.toml: [sky] has no setting \"bse\"; did you mean base?")),
            ("[sky]\nx = 1", Some("c.toml: [sky] has no setting \"x\"; there are base, crew, dark")),
            (
                "[syk]\nbase = \"a\"",
                Some("c.toml: [syk] means nothing, so it is ignored; did you mean [sky]?"),
            ),
            (
                "[sky.mon]\ncrew = 3",
                Some("c.toml: [sky.mon] means nothing, so it is ignored; did you mean [sky.moon]?"),
            ),
            ("[garden]\nx = 1", Some("c.toml: [garden] means nothing, so it is ignored; there are [sky]")),
            ("crew = 3", Some("c.toml: \"crew\" means nothing here, so it is ignored; it belongs in [sky]")),
            ("colour = 3", Some("c.toml: \"colour\" is in no table, so it is ignored; there are [sky]")),
        ] {
            assert_eq!(said(text), expected.into_iter().collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_what_it_is_and_has_to_be() {
        for (value, expected) in [
            ("base = 3", "[sky] base must be a text, not the number 3"),
            ("base = true", "[sky] base must be a text, not true"),
            ("base = [\"a\"]", "[sky] base must be a text, not a list"),
            ("crew = \"8\"", "[sky] crew must be a whole number from 1 to 9, not the text \"8\""),
            ("crew = \"many\"", "[sky] crew must be a whole number from 1 to 9, not the text \"many\""),
            ("crew = 1.5", "[sky] crew must be a whole number from 1 to 9, not the number 1.5"),
            ("crew = 10", "[sky] crew must be a whole number from 1 to 9, not the number 10"),
            ("crew = false", "[sky] crew must be a whole number from 1 to 9, not false"),
            ("dark = \"yes\"", "[sky] dark must be true or false, not the text \"yes\""),
            ("moon = 3", "[sky.moon] must be a table, not the number 3"),
        ] {
            assert_eq!(said(&format!("[sky]\n{value}")), [format!("! c.toml: {expected}")]);
        }
    }
}
