//! `jobs LIBRARY start`: a command for each kind of job.

use std::path::Path;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

use super::options::{GivenJob, More};
use super::output::Output;
use super::starting::start_changed;
use crate::Result;
use crate::jobs::AnyJob;
use crate::jobs::kinds::{KINDS, Kind};

/// All kinds that have some.
static MORE: &[More] = &[super::eval::MORE];

/// A job to start: a command for each kind, with its settings as options.
#[derive(Clone, Debug)]
pub struct JobToStart {
    /// What was asked for.
    pub given: GivenJob,
    matches: ArgMatches,
}

impl JobToStart {
    /// Starts it for the library in a folder.
    ///
    /// # Errors
    /// As [`start_changed`]; options that make no sense.
    pub fn start(&self, library: &Path, output: &Output) -> Result<()> {
        let more =
            MORE.iter().find(|more| more.kind == self.given.kind.name && (more.is_given)(&self.matches));
        let change = |job: &mut AnyJob| {
            more.map_or(Ok(()), |more| (more.complete)(&self.matches, &self.given, library, job, output))
        };
        start_changed(library, &self.given, &change, output)
    }
}

/// The usage line of a kind's command. clap leaves the arguments of the command two levels up out of its own.
fn usage(command: &Command, kind: &Kind) -> String {
    let mut whole = command.clone().bin_name(format!("lora-tui jobs <LIBRARY> start {}", kind.name));
    let line = whole.render_usage().to_string();
    line.strip_prefix("Usage: ").unwrap_or(&line).to_string()
}

impl Subcommand for JobToStart {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(KINDS.iter().map(|kind| {
            let command = Command::new(kind.name).args(GivenJob::args(kind, true));
            let more = MORE.iter().find(|more| more.kind == kind.name);
            let command = more.map_or_else(|| command.clone(), |more| (more.augment)(command.clone()));
            let usage = usage(&command, kind);
            // What more there is brings a description of its own.
            command.about(kind.heading).override_usage(usage)
        }))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        KINDS.iter().any(|kind| kind.name == name)
    }
}

impl FromArgMatches for JobToStart {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = matches
            .subcommand()
            .and_then(|(name, matches)| Some((*KINDS.iter().find(|kind| kind.name == name)?, matches)));
        match named {
            Some((kind, matches)) => {
                Ok(Self { given: GivenJob::read(kind, matches), matches: matches.clone() })
            }
            None => Err(clap::Error::raw(ErrorKind::MissingSubcommand, "name the kind of job to start\n")),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::NewJob;
    use crate::jobs::kinds::Around;
    use crate::train::TrainSpec;

    fn around() -> Around<'static> {
        Around { library: Path::new("/lib"), ..Around::default() }
    }

    fn help(command: Command) -> String {
        command.term_width(200).render_help().to_string()
    }

    #[test]
    fn every_kind_is_started_with_its_settings_as_options() {
        for kind in KINDS {
            let command = JobToStart::augment_subcommands(Command::new("start"));
            let one = command.find_subcommand(kind.name).unwrap().clone();
            let text = help(one);
            let usage = format!("Usage: lora-tui jobs <LIBRARY> start {} [OPTIONS]", kind.name);
            assert!(text.contains(&usage) && text.starts_with(kind.heading), "{text}");
            let mut words = vec!["start".to_string(), kind.name.into()];
            for option in NewJob::from(kind.fresh(&Around::default())).options() {
                assert!(text.contains(&format!("--{}", option.flag)), "{text}");
                if option.is_required {
                    words.extend([format!("--{}", option.flag), "some".into()]);
                }
            }
            words.extend(["--after".into(), "a".into(), "--after".into(), "b".into()]);
            let matches = command.try_get_matches_from(words).unwrap();
            let JobToStart { given, .. } = JobToStart::from_arg_matches(&matches).unwrap();
            assert_eq!((given.kind, given.after.len()), (*kind, 2));
            assert_eq!(given.job(&around()).unwrap().kind(), *kind);
        }
        let command = JobToStart::augment_subcommands(Command::new("start").subcommand_required(true));
        let words = ["start", "train", "--data", "a", "--name", "b", "--checkpoint-every", "5"];
        let matches = command.clone().try_get_matches_from(words).unwrap();
        let job = JobToStart::from_arg_matches(&matches).unwrap().given.job(&around()).unwrap();
        assert_eq!(job.get::<TrainSpec>().unwrap().checkpoint_every, Some(5));
        assert!(command.try_get_matches_from(["start", "dance"]).is_err());
    }

    #[test]
    fn what_a_command_takes_beyond_the_settings_of_its_job_a_job_takes_too() {
        let command = JobToStart::augment_subcommands(Command::new("start"));
        let words =
            ["start", "eval", "--tasks", "t", "--library", "a=/a,b", "--library", "b=/b", "--pin", "x"];
        let matches = command.try_get_matches_from(words).unwrap();
        let start = JobToStart::from_arg_matches(&matches).unwrap();
        let job = start.given.job(&around()).unwrap();
        assert_eq!(job.text("libraries"), "a=/a,b, b=/b");
        assert!(MORE.iter().any(|more| more.kind == "eval" && (more.is_given)(&start.matches)));
    }
}
