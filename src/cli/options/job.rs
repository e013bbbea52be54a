//! Options of commands that do the work of a job, made from the settings of its kind.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, FromArgMatches};

use super::settings::{Given, arg, given};
use super::{choice, parse_trimmed};
use crate::cli::output::Output;
use crate::jobs::executors::Entry as Executor;
use crate::jobs::kinds::{Around, Kind};
use crate::jobs::{AnyJob, Job, NewJob, Share};
use crate::{Error, Result};

/// Flags that make a job of a command.
const BACKGROUND: &str = "background";
const EXECUTOR: &str = "executor";
/// The group of the flags that make a job of a command.
pub const AS_JOB: &str = "as-job";
const AFTER: &str = "after";
const AFTER_ANY: &str = "after-any";
const DRY_RUN: &str = "dry-run";
const EACH: &str = "each";
const SKIP: &str = "skip-existing";
/// Setting that is the path of the base model, in every kind that has one.
const BASE: &str = "base";

/// What a command line says of a job.
#[derive(Clone, Debug)]
pub struct GivenJob {
    /// Of this kind.
    pub kind: &'static Kind,
    /// Who is to do it, where that is said.
    pub executor: Option<&'static str>,
    /// Jobs, by their ids or how they begin, that have to be finished before it begins.
    pub after: Vec<String>,
    /// Jobs that have to end before it begins, however they end.
    pub after_any: Vec<String>,
    /// What each job takes of the machine that does it.
    pub share: Share,
    /// Only say what would be done.
    pub dry_run: bool,
    /// One job for each dataset.
    pub each: bool,
    /// Leave out those whose expert is there already, or being made.
    pub skip_existing: bool,
    values: Vec<(&'static str, Given)>,
}

impl GivenJob {
    /// The options of a kind's settings; where all that can be asked for is a job, none has to say so.
    pub fn args(kind: &'static Kind, all_are_jobs: bool) -> Vec<Arg> {
        let fresh = NewJob::from(kind.fresh(&Around::default()));
        let mut args: Vec<Arg> = fresh
            .options()
            .into_iter()
            .map(|mut option| {
                if option.requires == BACKGROUND {
                    option.requires = if all_are_jobs { "" } else { AS_JOB };
                }
                let (fresh, id, is_required) = (fresh.clone(), option.id, option.is_required);
                let arg = arg(option, move |text| fresh.clone().set(id, text.trim()));
                if kind.each == Some(id) && is_required {
                    return arg.required(false).required_unless_present(EACH).conflicts_with(EACH);
                }
                arg
            })
            .collect();
        if kind.each.is_some() {
            let each = Arg::new(EACH)
                .long(EACH)
                .help("One job for each dataset, named after it; a folder of tasks stands for all tasks below it")
                .action(ArgAction::SetTrue);
            let skip = Arg::new(SKIP)
                .long(SKIP)
                .help("Leave out datasets whose expert is there already, or being made")
                .action(ArgAction::SetTrue)
                .requires(EACH);
            args.extend([if all_are_jobs { each } else { each.requires(AS_JOB) }, skip]);
        }
        args.extend(
            [
                after(AFTER, "Begin once this job is finished; several with commas between"),
                after(AFTER_ANY, "Begin once this job has ended, also if it has failed"),
            ]
            .map(|after| if all_are_jobs { after } else { after.requires(AS_JOB) }),
        );
        let executor = Arg::new(EXECUTOR)
            .long(EXECUTOR)
            .value_name("EXECUTOR")
            .value_parser(choice::<Executor>())
            .help("Who does the job [default: that of [executor] in the configuration, else local]");
        let dry_run = Arg::new(DRY_RUN)
            .long(DRY_RUN)
            .help("Print what would be handed over, scripts and commands, and start nothing")
            .action(ArgAction::SetTrue);
        args.extend([executor, if all_are_jobs { dry_run } else { dry_run.requires(AS_JOB) }]);
        args
    }

    pub fn read(kind: &'static Kind, matches: &ArgMatches) -> Self {
        let mut fresh = NewJob::from(kind.fresh(&Around::default()));
        let options = fresh.options();
        let values: Vec<(&'static str, Given)> =
            options.iter().filter_map(|option| Some((option.id, given(option, matches)?))).collect();
        // What is no setting of the job; each value was checked when it was parsed.
        for (id, value) in &values {
            if let Given::Text(text) = value {
                let _ = fresh.set(id, text);
            }
        }
        let ids = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
        Self {
            kind,
            executor: matches.get_one::<Executor>(EXECUTOR).map(|executor| executor.id),
            after: ids(AFTER),
            after_any: ids(AFTER_ANY),
            share: fresh.share,
            dry_run: matches.get_flag(DRY_RUN),
            each: kind.each.is_some() && matches.get_flag(EACH),
            skip_existing: kind.each.is_some() && matches.get_flag(SKIP),
            values,
        }
    }

    /// The jobs that were asked for: several with `--each`.
    ///
    /// # Errors
    /// As [`Self::job`]; datasets that cannot be found.
    pub fn jobs(&self, around: &Around<'_>) -> Result<Vec<AnyJob>> {
        let job = self.job(around)?;
        if self.each { job.each() } else { Ok(vec![job]) }
    }

    /// The job that was asked for; what was not given is as for a new job.
    ///
    /// # Errors
    /// A usage error for a value that a setting refuses.
    pub fn job(&self, around: &Around<'_>) -> Result<AnyJob> {
        let mut new = NewJob { job: self.kind.fresh(around), share: self.share };
        for (id, given) in &self.values {
            match given {
                Given::Text(text) => {
                    new.set(id, text).map_err(|refusal| Error::usage(refusal.of(id, text)))?
                }
                Given::Paths(paths) => new.job.set_paths(id, paths.clone()),
            }
        }
        Ok(new.job)
    }

    /// The base model that was asked for.
    pub fn base(&self) -> Option<&Path> {
        self.values.iter().find_map(|(id, given)| match given {
            Given::Paths(paths) if *id == BASE => paths.first().map(PathBuf::as_path),
            _ => None,
        })
    }
}

/// Options of a kind of job beyond its settings: its command has them, and so has whoever starts a job of it.
pub struct More {
    /// The kind's name.
    pub kind: &'static str,
    /// Adds them.
    pub augment: fn(Command) -> Command,
    /// Whether one of them was given.
    pub is_given: fn(&ArgMatches) -> bool,
    /// Takes what was given into the job.
    pub complete: fn(&ArgMatches, &GivenJob, &Path, &mut AnyJob, &Output) -> Result<()>,
}

fn after(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("ID")
        .value_delimiter(',')
        .value_parser(parse_trimmed::<String>)
        .help(help)
        .action(ArgAction::Append)
}

/// The options of a command that does the work of a job of the kind `J`, or starts one.
#[derive(Clone, Debug)]
pub struct JobArgs<J> {
    /// What to do.
    pub given: GivenJob,
    /// Start it as a job and return at once.
    pub background: bool,
    kind: PhantomData<J>,
}

impl<J: Job> JobArgs<J> {
    /// The specification that was asked for.
    ///
    /// # Errors
    /// As [`GivenJob::job`].
    pub fn spec(&self, around: &Around<'_>) -> Result<J> {
        let job = self.given.job(around)?;
        job.get::<J>().cloned().ok_or_else(|| Error::msg(format!("{} is not in the table of jobs", J::KIND)))
    }
}

impl<J: Job> Args for JobArgs<J> {
    fn augment_args(command: Command) -> Command {
        let background = Arg::new(BACKGROUND)
            .long(BACKGROUND)
            .help("Start it as a job and return at once")
            .action(ArgAction::SetTrue);
        command
            .args(GivenJob::args(Kind::named::<J>(), false))
            .arg(background)
            .group(ArgGroup::new(AS_JOB).args([BACKGROUND, EXECUTOR]).multiple(true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<J: Job> FromArgMatches for JobArgs<J> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            given: GivenJob::read(Kind::named::<J>(), matches),
            background: matches.get_flag(BACKGROUND) || matches.contains_id(EXECUTOR),
            kind: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::train::{ClustersSpec, Schedule, TrainSpec};

    fn schedules() -> String {
        Schedule::all().iter().map(|schedule| schedule.name()).collect::<Vec<_>>().join(", ")
    }

    fn around() -> Around<'static> {
        Around { library: Path::new("/lib"), ..Around::default() }
    }

    /// A training by the defaults.
    fn plain() -> TrainSpec {
        let (library, data) = ("/lib".into(), vec!["tasks".into()]);
        TrainSpec { library, data, name: "new".into(), ..TrainSpec::default() }
    }

    fn parse(arguments: &[&str]) -> Result<TrainSpec, String> {
        let command = JobArgs::<TrainSpec>::augment_args(Command::new("train"));
        let arguments = ["train", "--data", "tasks", "--name", "new"].iter().chain(arguments);
        let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        let args = JobArgs::<TrainSpec>::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        args.spec(&around()).map_err(|error| error.to_string())
    }

    #[test]
    fn without_options_an_expert_is_trained_by_the_defaults_of_all() {
        assert_eq!(parse(&[]), Ok(plain()));
    }

    #[test]
    fn options_reach_the_specification() {
        let text = "--rank 8 --lr 2e-3 --epochs 0.5 --schedule cosine --targets q_proj,v_proj --targets k_proj \
                    --checkpointing --no-shuffle --init some/adapter --background --checkpoint-every 5";
        let expected = TrainSpec {
            rank: 8,
            learning_rate: 2e-3,
            epochs: Some(0.5),
            schedule: Schedule::Cosine,
            targets: ["q_proj", "v_proj", "k_proj"].map(String::from).to_vec(),
            checkpointing: true,
            shuffle: false,
            init: Some("some/adapter".into()),
            checkpoint_every: Some(5),
            ..plain()
        };
        assert_eq!(parse(&text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>()), Ok(expected));
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_what_it_has_to_be() {
        for (arguments, expected) in [
            (&["--dropout", "1.0"][..], "must be a number from 0 to below 1"),
            (&["--rank", "1025"], "must be a whole number from 1 to 1024"),
            (&["--lr", "-1"], "must be a number above 0"),
            (&["--device", "gpu"], "must be auto, cpu, cuda:N or metal"),
            (&["--schedule", "lin"], &format!("[possible values: {}]", schedules())),
            (&["--by-length", "--no-shuffle"], "cannot be used with"),
            (&["--checkpoint-every", "5"], "--background"),
            (&["--after", "a"], "--background"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    fn help(command: Command) -> String {
        command.term_width(200).render_help().to_string()
    }

    #[test]
    fn a_name_is_one_folder() {
        let command = JobArgs::<TrainSpec>::augment_args(Command::new("train"));
        let words = ["train", "--data", "tasks", "--name", "a/b"];
        let error = command.try_get_matches_from(words).unwrap_err().to_string();
        assert!(error.contains("must be one plain folder name"), "{error}");
    }

    #[test]
    fn task_folders_have_one_name_and_an_older_one() {
        let tasks = |flag: &str| {
            let words = ["train-clusters", "--out", "new", flag, "a", flag, "b", "--base", "base"];
            let command = JobArgs::<ClustersSpec>::augment_args(Command::new("train-clusters"));
            let matches = command.try_get_matches_from(words).unwrap();
            let args = JobArgs::<ClustersSpec>::from_arg_matches(&matches).unwrap();
            assert_eq!(args.given.base(), Some(Path::new("base")));
            args.spec(&around()).unwrap()
        };
        let expected = ClustersSpec {
            library: "/lib".into(),
            out: "new".into(),
            k: 1,
            tasks: vec!["a".into(), "b".into()],
            training: TrainSpec { base: Some("base".into()), ..TrainSpec::default() },
            ..ClustersSpec::default()
        };
        assert_eq!(tasks("--tasks"), expected);
        assert_eq!(tasks("--data"), expected);
    }

    #[test]
    fn the_help_says_what_holds_by_itself() {
        let help = help(JobArgs::<ClustersSpec>::augment_args(Command::new("train-clusters")));
        for line in [
            "--lr <LR>",
            "Highest learning rate [default: 0.001]",
            "Passes over the data [default: 1, or as many as --max-steps takes]",
            "--targets <NAMES>",
            "[default: q_proj,k_proj,v_proj,o_proj]",
            &format!("[default: linear] [possible values: {}]", schedules()),
            "Number of clusters [default: 10, or as many as there are experts]",
            "Prefix of the new experts' names; a number follows [default: cluster_]",
        ] {
            assert!(help.contains(line), "{line}\n{help}");
        }
        assert!(help.contains("--init") && !help.contains("--validation <"));
    }
}
