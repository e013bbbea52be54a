//! `train-many`: an expert for each of several tasks.

use std::path::PathBuf;

use super::options::{JobArgs, RowsShown, trained};
use super::output::Output;
use crate::Result;
use crate::jobs::kinds::Around;
use crate::text::{counted, duration, printable};
use crate::train::{ManySpec, train_many};

/// Train one new expert for each of several tasks, in shared passes through the base model
#[derive(Clone, Debug, clap::Args)]
pub struct TrainManyArgs {
    /// Folder of adapters that gets the new experts [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub job: JobArgs<ManySpec>,
}

/// Runs the command.
pub fn run(args: &TrainManyArgs, output: &Output) -> Result<()> {
    if args.job.background {
        return super::starting::start(&args.library, &args.job.given, output);
    }
    let spec = ManySpec { library: args.library.clone(), ..args.job.spec(&Around::default())? };
    let mut progress = RowsShown::new(output);
    let report = train_many(&spec, &mut |event| progress.show(event), output.cancel())?;
    drop(progress);
    if output.is_json() {
        return output.document(&report);
    }
    for skipped in &report.skipped {
        output.note(&format!("skipped {skipped}"));
    }
    output.text(&format!(
        "{}: {} in {}\n\n{}",
        printable(&report.library.display().to_string()),
        counted(report.experts.len(), "expert"),
        duration(report.seconds),
        trained(&report.experts),
    ))
}
