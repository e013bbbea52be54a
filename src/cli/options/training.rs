//! Options and progress lines that `train` and `train-clusters` share.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::settings::{option, read};
use crate::cli::output::Progress;
use crate::jobs::{AnyJob, Jobs};
use crate::settings::Setting;
use crate::text::number;
use crate::train::{Step, TRAINING, TrainEvent, TrainSpec};

/// How an expert is trained: the options of [`TRAINING`]; with `ONE` also those that only the training of one
/// expert has.
#[derive(Clone, Debug)]
pub struct TrainingArgs<const ONE: bool> {
    /// The settings, without library, data and name.
    pub spec: TrainSpec,
    /// Start it as a job and return at once.
    pub background: bool,
    /// Jobs, by their ids or how they begin, that have to be finished before it begins.
    pub after: Vec<String>,
}

/// The settings that these commands have.
fn table<const ONE: bool>() -> impl Iterator<Item = &'static Setting<TrainSpec>> {
    TRAINING.iter().filter(|setting| ONE || !setting.single)
}

impl<const ONE: bool> Args for TrainingArgs<ONE> {
    fn augment_args(command: Command) -> Command {
        command
            .args(table::<ONE>().filter_map(option))
            .arg(
                Arg::new("background")
                    .long("background")
                    .help("Start it as a job and return at once")
                    .action(ArgAction::SetTrue),
            )
            .arg(
                Arg::new("after")
                    .long("after")
                    .value_name("ID")
                    .help("Begin once this job is finished")
                    .requires("background")
                    .action(ArgAction::Append),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const ONE: bool> FromArgMatches for TrainingArgs<ONE> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self { spec: TrainSpec::default(), background: false, after: Vec::new() };
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.background |= matches.get_flag("background");
        self.after.extend(matches.get_many::<String>("after").into_iter().flatten().cloned());
        table::<ONE>().try_for_each(|setting| read(setting, matches, &mut self.spec))
    }
}

impl<const ONE: bool> TrainingArgs<ONE> {
    /// Starts `job` in the background; gives its id.
    ///
    /// # Errors
    /// As [`Jobs::start_after`], and an id that fits no job or several.
    pub fn start(&self, jobs: &Jobs, job: &AnyJob) -> crate::Result<String> {
        let after = self.after.iter().map(|id| jobs.resolve(id)).collect::<crate::Result<Vec<_>>>()?;
        jobs.start_after(job, &after)
    }
}

/// Shows the events of a training, each line after `what`.
pub fn show(event: &TrainEvent, what: &str, progress: &mut Progress) {
    match event {
        TrainEvent::Stage(text) => progress.stage(&format!("{what}{text}")),
        TrainEvent::Started { step: 0, base_validation_loss: Some(loss), .. } => {
            progress.stage(&format!("{what}before the first step: validation loss {}", number(*loss, 3)));
        }
        TrainEvent::Started { .. } => {}
        TrainEvent::Step(Step {
            step, steps, loss, validation_loss, tokens_per_second, eta_seconds, ..
        }) => {
            let left = humantime::format_duration(Duration::from_secs(eta_seconds.unwrap_or(0.0) as u64));
            let loss = loss.unwrap_or(f64::NAN);
            let tokens_per_second = tokens_per_second.unwrap_or(0.0);
            let line = format!(
                "{what}step {step}/{steps}  loss {}  {tokens_per_second:.0} tokens/s  {left} left",
                number(loss, 3),
            );
            match validation_loss {
                Some(v) => progress.stage(&format!("{line}  validation {}", number(*v, 3))),
                None => progress.update(&line),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<TrainSpec, String> {
        let command = TrainingArgs::<true>::augment_args(Command::new("train"));
        let arguments = ["train"].iter().chain(arguments);
        let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        TrainingArgs::<true>::from_arg_matches(&matches).map(|args| args.spec).map_err(|e| e.to_string())
    }

    #[test]
    fn without_options_an_expert_is_trained_by_the_defaults_of_all() {
        assert_eq!(parse(&[]), Ok(TrainSpec::default()));
    }

    #[test]
    fn options_reach_the_specification() {
        let text = "--rank 8 --lr 2e-3 --epochs 0.5 --schedule cosine --targets q_proj,v_proj --targets k_proj \
                    --checkpointing --no-shuffle --init some/adapter --background --checkpoint-every 5";
        let expected = TrainSpec {
            rank: 8,
            learning_rate: 2e-3,
            epochs: Some(0.5),
            schedule: crate::train::Schedule::Cosine,
            targets: ["q_proj", "v_proj", "k_proj"].map(String::from).to_vec(),
            checkpointing: true,
            shuffle: false,
            init: Some("some/adapter".into()),
            checkpoint_every: Some(5),
            ..TrainSpec::default()
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
            (&["--schedule", "lin"], "[possible values: linear, cosine, constant]"),
            (&["--by-length", "--no-shuffle"], "cannot be used with"),
            (&["--checkpoint-every", "5"], "--background"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_help_says_what_holds_by_itself() {
        let command = TrainingArgs::<false>::augment_args(Command::new("train-clusters"));
        let help = command.term_width(200).render_help().to_string();
        for line in [
            "--lr <LR>",
            "Highest learning rate [default: 0.001]",
            "Passes over the data [default: 1, or as many as --max-steps takes]",
            "--targets <NAMES>",
            "[default: q_proj,k_proj,v_proj,o_proj]",
            "[default: linear] [possible values: linear, cosine, constant]",
        ] {
            assert!(help.contains(line), "{line}\n{help}");
        }
        assert!(!help.contains("--init"));
    }
}
