//! Options made from tables of settings.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches};

use crate::settings::{Kind, Setting};

/// The option of a setting; `None` where it has none.
pub fn option<S>(setting: &'static Setting<S>) -> Option<Arg>
where
    S: Default + Send + Sync,
{
    if setting.flag.is_empty() {
        return None;
    }
    let default = match setting.text(&S::default()) {
        _ if setting.is_switch() => String::new(),
        text if text.is_empty() => setting.unset.to_string(),
        text => text,
    };
    let help = match default.as_str() {
        "" => setting.help.to_string(),
        default => format!("{} [default: {default}]", setting.help),
    };
    let mut arg = Arg::new(setting.flag).long(setting.flag).help(help);
    if !setting.value.is_empty() {
        arg = arg.value_name(setting.value);
    }
    if !setting.requires.is_empty() {
        arg = arg.requires(setting.requires);
    }
    if !setting.conflicts.is_empty() {
        arg = arg.conflicts_with(setting.conflicts);
    }
    Some(match &setting.kind {
        Kind::Switch(..) => arg.action(ArgAction::SetTrue),
        Kind::Path(_) => arg.value_parser(clap::value_parser!(PathBuf)),
        Kind::Choice { words, .. } => {
            let word = |word: &crate::settings::Word| PossibleValue::new(word.word).help(word.help);
            arg.value_parser(PossibleValuesParser::new(words().iter().map(word)))
        }
        // Several options add up, as several names in one do.
        Kind::Names(_) => arg.action(ArgAction::Append),
        _ => {
            let parse = move |text: &str| match setting.set(&mut S::default(), text) {
                Ok(()) => Ok(text.to_string()),
                Err(wanted) => Err(format!("must be {wanted}")),
            };
            // A negative number is answered with what is wanted, not taken for an option.
            arg.allow_hyphen_values(true).value_parser(parse)
        }
    })
}

/// Puts what the command line says of a setting into `of`.
///
/// # Errors
/// A value that the setting refuses.
pub fn read<S>(setting: &Setting<S>, matches: &ArgMatches, of: &mut S) -> Result<(), clap::Error> {
    let flag = setting.flag;
    if flag.is_empty() {
        return Ok(());
    }
    let text = match &setting.kind {
        Kind::Switch(field, on) => {
            if matches.get_flag(flag) {
                *(field.get_mut)(of) = *on;
            }
            return Ok(());
        }
        Kind::Path(_) => {
            if let Some(path) = matches.get_one::<PathBuf>(flag) {
                setting.kind.set_paths(of, vec![path.clone()]);
            }
            return Ok(());
        }
        Kind::Names(_) => {
            let names: Vec<&str> =
                matches.get_many::<String>(flag).into_iter().flatten().map(String::as_str).collect();
            (!names.is_empty()).then(|| names.join(","))
        }
        _ => matches.get_one::<String>(flag).cloned(),
    };
    match text {
        Some(text) => setting.set(of, &text).map_err(|wanted| {
            clap::Error::raw(
                clap::error::ErrorKind::ValueValidation,
                format!("--{flag} must be {wanted}, not {text:?}\n"),
            )
        }),
        None => Ok(()),
    }
}
