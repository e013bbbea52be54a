//! Options made from settings, whatever struct has their values.

use std::fmt::Debug;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::{CommandOption, Entry, Refusal, Setting, Takes, Word};

/// What the command line says of a setting.
#[derive(Clone, Debug)]
pub enum Given {
    /// Its value as typed.
    Text(String),
    /// Its paths.
    Paths(Vec<PathBuf>),
}

/// The words of a choice as values of an option.
pub fn possible(words: Vec<Word>) -> PossibleValuesParser {
    let value = |word: Word| match word.help {
        "" => PossibleValue::new(word.word),
        help => PossibleValue::new(word.word).help(help),
    };
    PossibleValuesParser::new(words.into_iter().map(value))
}

/// What clap knows an option by: its flag, but where that is the name of the library itself.
fn name_of(option: &CommandOption) -> &'static str {
    if option.flag == "library" { option.id } else { option.flag }
}

/// An option of the command line; `check` says what a typed text has to be.
pub fn arg(
    option: CommandOption,
    check: impl Fn(&str) -> Result<(), Refusal> + Clone + Send + Sync + 'static,
) -> Arg {
    let mut arg = Arg::new(name_of(&option)).long(option.flag).help(option.help).required(option.is_required);
    if !option.alias.is_empty() {
        arg = arg.alias(option.alias);
    }
    if !option.value.is_empty() {
        arg = arg.value_name(option.value);
    }
    if !option.requires.is_empty() {
        arg = arg.requires(option.requires);
    }
    if !option.conflicts.is_empty() {
        arg = arg.conflicts_with(option.conflicts);
    }
    let checked = move |text: &str| match check(text) {
        Ok(()) => Ok(text.to_string()),
        Err(Refusal::Wanted(wanted)) => Err(format!("must be {wanted}")),
        Err(Refusal::Problem(problem)) => Err(problem),
    };
    match option.takes {
        Takes::Nothing(_) => arg.action(ArgAction::SetTrue),
        Takes::Word(words) => arg.value_parser(possible(words)),
        // A negative number is answered with what is wanted, not taken for an option.
        Takes::Number => arg.allow_hyphen_values(true).value_parser(checked),
        Takes::Text => arg.value_parser(checked),
        Takes::Names => arg.action(ArgAction::Append),
        Takes::Path => arg.value_parser(clap::value_parser!(PathBuf)),
        Takes::Paths => arg.value_parser(clap::value_parser!(PathBuf)).action(ArgAction::Append),
    }
}

/// What was given for an option, if it was.
pub fn given(option: &CommandOption, matches: &ArgMatches) -> Option<Given> {
    let flag = name_of(option);
    match option.takes {
        Takes::Nothing(text) => matches.get_flag(flag).then(|| Given::Text(text.into())),
        Takes::Word(_) | Takes::Number | Takes::Text => {
            matches.get_one::<String>(flag).cloned().map(Given::Text)
        }
        Takes::Names => {
            let names: Vec<&str> = matches.get_many::<String>(flag)?.map(String::as_str).collect();
            Some(Given::Text(names.join(",")))
        }
        Takes::Path | Takes::Paths => Some(Given::Paths(matches.get_many(flag)?.cloned().collect())),
    }
}

/// A struct whose fields are settings.
pub trait Table: Default + Clone + Debug + Send + Sync + 'static {
    /// Its settings, in the order of help.
    fn settings() -> Vec<&'static Setting<Self>>;

    /// The option of a setting; `None` where it has none.
    fn option(setting: &'static Setting<Self>) -> Option<CommandOption> {
        Entry::<Self>::option(&setting)
    }
}

/// The options of a table: what was given, over the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options<S>(pub S);

/// The settings with their options.
fn options<S: Table>() -> impl Iterator<Item = (&'static Setting<S>, CommandOption)> {
    S::settings().into_iter().filter_map(|setting| Some((setting, S::option(setting)?)))
}

impl<S: Table> Args for Options<S> {
    fn augment_args(command: Command) -> Command {
        command.args(
            options::<S>()
                .map(|(setting, option)| arg(option, move |text| setting.set(&mut S::default(), text))),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Table> FromArgMatches for Options<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (setting, option) in options::<S>() {
            match given(&option, matches) {
                Some(Given::Text(text)) => setting.set(&mut self.0, &text).map_err(|refusal| {
                    let text = format!("{}\n", refusal.of(&format!("--{}", option.flag), &text));
                    clap::Error::raw(ErrorKind::ValueValidation, text)
                })?,
                Some(Given::Paths(paths)) => setting.kind.set_paths(&mut self.0, paths),
                None => {}
            }
        }
        Ok(())
    }
}
