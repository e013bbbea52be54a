//! What may stand at the cursor, from the definition of the command line.

use clap::{Arg, ArgAction, Command};

use super::candidate::{Answer, Candidate, Paths};
use super::values::{self, Values};

/// Where a line has come to.
struct Place<'a> {
    command: &'a Command,
    /// How many plain words of this command there are.
    plain: usize,
    library: Option<&'a str>,
    /// The option whose value comes next.
    option: Option<&'a Arg>,
    /// The option whose value may come next, as the one before it was.
    again: Option<&'a Arg>,
    /// After `--`.
    only_plain: bool,
}

/// What may stand for `last` after the words `before` it.
pub fn answer(command: &Command, before: &[String], last: &str) -> Answer {
    let place = walk(command, before);
    let library = place.library.unwrap_or(crate::cli::default_library::DEFAULT_LIBRARY);
    if let Some(option) = place.option {
        return of_argument(option, last, library);
    }
    if last.starts_with('-') && !place.only_plain {
        let Some((name, value)) = last.split_once('=') else { return options(place.command, last) };
        let Some(option) = long(place.command, name.trim_start_matches('-')) else {
            return Answer::default();
        };
        let mut answer = of_argument(option, value, library);
        answer.candidates.iter_mut().for_each(|candidate| candidate.text.insert_str(0, &last[..=name.len()]));
        return answer;
    }
    let argument = place.again.or_else(|| place.command.get_positionals().nth(place.plain));
    let mut answer = argument.map(|argument| of_argument(argument, last, library)).unwrap_or_default();
    if place.takes_commands() {
        let commands = place.command.get_subcommands().filter(|command| !command.is_hide_set());
        let commands = commands.filter(|command| command.get_name().starts_with(last));
        answer.candidates.extend(commands.map(|command| Candidate {
            text: command.get_name().to_string(),
            help: first_line(command.get_about().map(ToString::to_string)),
        }));
    }
    answer
}

impl<'a> Place<'a> {
    /// Whether a plain word may be a command: the first one of all, or behind what a command needs.
    fn takes_commands(&self) -> bool {
        let required = self.command.get_positionals().filter(|argument| argument.is_required_set()).count();
        let whole = self.command.is_args_conflicts_with_subcommands_set();
        !self.only_plain
            && self.again.is_none()
            && if whole { self.plain == 0 } else { self.plain >= required }
    }

    fn take(&mut self, word: &'a str) {
        let waited = self.option.take();
        let may = self.again.take().filter(|_| !word.starts_with('-') || self.only_plain);
        if let Some(option) = waited.or(may) {
            self.again = takes_more(option).then_some(option);
        } else if !self.only_plain && word == "--" {
            self.only_plain = true;
        } else if !self.only_plain && word.len() > 1 && word.starts_with('-') {
            self.option = named(self.command, word).filter(|option| takes_value(option));
        } else if let Some(inner) = self.command.find_subcommand(word).filter(|_| self.takes_commands()) {
            self.command = inner;
            self.plain = 0;
        } else {
            let argument = self.command.get_positionals().nth(self.plain);
            if argument.is_some_and(|argument| value_name(argument) == values::LIBRARY) {
                self.library = Some(word);
            }
            self.plain += 1;
        }
    }
}

fn walk<'a>(command: &'a Command, before: &'a [String]) -> Place<'a> {
    let start = Place { command, plain: 0, library: None, option: None, again: None, only_plain: false };
    before.iter().fold(start, |mut place, word| {
        place.take(word);
        place
    })
}

fn takes_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

/// Whether one option takes several words.
fn takes_more(option: &Arg) -> bool {
    option.get_num_args().is_some_and(|range| range.max_values() > 1)
}

/// The option that a word names, unless its value stands in the same word.
fn named<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    match word.strip_prefix("--") {
        Some(name) => long(command, name),
        None => {
            let last = word.chars().last();
            command.get_arguments().find(|option| option.get_short().is_some() && option.get_short() == last)
        }
    }
}

fn long<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|option| {
        let aliases = option.get_all_aliases().unwrap_or_default();
        option.get_long() == Some(name) || aliases.contains(&name)
    })
}

fn options(command: &Command, last: &str) -> Answer {
    let all = command.get_arguments().filter(|option| !option.is_hide_set());
    let named = all.filter_map(|option| {
        let text = format!("--{}", option.get_long()?);
        let help = first_line(option.get_help().map(ToString::to_string));
        text.starts_with(last).then_some(Candidate { text, help })
    });
    Answer { candidates: named.collect(), ..Answer::default() }
}

fn value_name(argument: &Arg) -> &str {
    argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str())
}

/// The values of an option or a plain argument that begin with `last`; of a list with commas, of its last member.
fn of_argument(argument: &Arg, last: &str, library: &str) -> Answer {
    let (mut all, paths) = match values::of(value_name(argument)) {
        Some(Values::Found(find)) => (find(library), Paths::None),
        Some(Values::Paths(paths)) => (Vec::new(), paths),
        None => {
            let values = argument.get_possible_values();
            let shown = values.iter().filter(|value| !value.is_hide_set());
            let candidates = shown.map(|value| Candidate {
                text: value.get_name().to_string(),
                help: first_line(value.get_help().map(ToString::to_string)),
            });
            (candidates.collect(), Paths::None)
        }
    };
    // A name that has a comma is completed as a whole; after one that is complete, the next one.
    let head = last.rfind(',').map_or("", |at| &last[..=at]);
    if !head.is_empty() && !all.iter().any(|candidate| candidate.text.starts_with(last)) {
        let taken: Vec<&str> = head.split(',').collect();
        all.retain(|candidate| !taken.contains(&candidate.text.as_str()));
        all.iter_mut().for_each(|candidate| candidate.text.insert_str(0, head));
    }
    all.retain(|candidate| candidate.text.starts_with(last));
    Answer { candidates: all, paths }
}

fn first_line(text: Option<String>) -> String {
    text.unwrap_or_default().lines().next().unwrap_or_default().to_string()
}
