//! `train`: one new expert from one dataset or several.

use std::path::PathBuf;

use serde::Serialize;

use super::options::{JobArgs, show};
use super::output::Output;
use crate::Result;
use crate::catalog::Catalog;
use crate::jobs::kinds::Around;
use crate::library::Skipped;
use crate::text::{counted, number, printable};
use crate::train::{self, TrainReport, TrainSpec};

/// Train a new expert
#[derive(Clone, Debug, clap::Args)]
pub struct TrainArgs {
    /// Folder of adapters that gets the new expert [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub job: JobArgs<TrainSpec>,
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    report: TrainReport,
    skipped: Vec<Skipped>,
}

/// Runs the command.
pub fn run(args: &TrainArgs, output: &Output) -> Result<()> {
    if args.job.background {
        return super::starting::start(&args.library, &args.job.given, output);
    }
    let spec = TrainSpec { library: args.library.clone(), ..args.job.spec(&Around::default())? };
    let mut progress = output.progress();
    let mut events = |event| show(&event, "", &mut progress);
    let report = train::train(&spec, None, &mut events, output.cancel())?;
    drop(progress);
    if output.is_json() {
        let catalog = Catalog::open(&args.library, args.job.given.base())?;
        let skipped = catalog.bad();
        return output.document(&Document { report, skipped });
    }
    output.text(&text(&report))
}

fn text(report: &TrainReport) -> String {
    let of = |loss: Option<f64>| loss.map_or("–".to_string(), |v| number(v, 3));
    let mut out = format!(
        "{}: {} in {:.0} s at {:.0} tokens/s, training loss {}, validation loss {} (base model {})\n",
        printable(&report.path.display().to_string()),
        counted(report.steps, "step"),
        report.seconds,
        report.tokens_per_second,
        number(report.train_loss, 3),
        of(report.validation_loss),
        of(report.base_validation_loss),
    );
    for task in &report.tasks {
        out += &format!(
            "  {}: {}, validation loss {} (base model {})\n",
            printable(&task.task),
            counted(task.examples, "example"),
            of(task.validation_loss),
            of(task.base_validation_loss),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::TaskRecord;

    #[test]
    fn a_joint_training_names_each_task() {
        let task = |name: &str, loss| TaskRecord {
            task: name.into(),
            examples: 1,
            dataset_sha256: None,
            validation_loss: loss,
            base_validation_loss: Some(2.0),
        };
        let report = TrainReport {
            expert: "both".into(),
            path: "lib/both".into(),
            steps: 2,
            examples: 2,
            train_loss: 0.5,
            validation_loss: Some(0.25),
            base_validation_loss: Some(2.0),
            seconds: 3.0,
            tokens_per_second: 100.0,
            tasks: vec![task("a", Some(0.125)), task("b\n", None)],
        };
        let expected = "lib/both: 2 steps in 3 s at 100 tokens/s, training loss 0.500, validation loss 0.250 (base model 2.000)\n  \
                        a: 1 example, validation loss 0.125 (base model 2.000)\n  \
                        b\\n: 1 example, validation loss – (base model 2.000)\n";
        assert_eq!(text(&report), expected);
    }
}
