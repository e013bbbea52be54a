//! `merge`: several experts made into one.

use serde::Serialize;

use super::options::{LibraryArgs, Options, Table, choice, parse_trimmed};
use super::output::Output;
use crate::Result;
use crate::library::Skipped;
use crate::merge::{self, MERGE_OPTIONS, MergeMethod, MergeReport, MergeSpec};
use crate::settings::{CommandOption, Entry, Setting};
use crate::text::{counted, printable};

/// Merge experts into a new one
#[derive(Clone, Debug, clap::Args)]
pub struct MergeArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Comma-separated names of the experts
    #[arg(long, required = true, num_args = 1.., value_name = "EXPERTS")]
    pub experts: Vec<String>,
    /// `--weights`.
    #[arg(
        long,
        help = weights_help(),
        value_delimiter = ',',
        value_name = "NUMBERS",
        allow_hyphen_values = true,
        value_parser = parse_trimmed::<f64>
    )]
    pub weights: Option<Vec<f64>>,
    /// How to merge
    #[arg(long, value_parser = choice::<MergeMethod>())]
    pub method: MergeMethod,
    /// Name of the new expert
    #[arg(long)]
    pub name: String,
    #[command(flatten)]
    pub options: Options<MergeSpec>,
}

/// What weights there are where none are given.
fn weights_help() -> String {
    // Those that do not take the mean take the sum.
    let sums = MergeMethod::ids(|method| method.weighs_one());
    format!("Comma-separated weights, one per expert [default: 1/n; 1 for {sums}]")
}

impl Table for MergeSpec {
    fn settings() -> Vec<&'static Setting<Self>> {
        MERGE_OPTIONS.iter().map(|option| &option.setting).collect()
    }

    fn option(setting: &'static Setting<Self>) -> Option<CommandOption> {
        let own = MERGE_OPTIONS.iter().find(|option| option.setting.id == setting.id)?;
        let methods = MergeMethod::ids(|method| method.has(own));
        let help = format!("{}, for {methods} [default: {}]", setting.help, own.fallback());
        Some(CommandOption { help, ..Entry::<Self>::option(&setting)? })
    }
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    report: MergeReport,
    skipped: Vec<Skipped>,
}

/// Runs the command.
pub fn run(args: &MergeArgs, output: &Output) -> Result<()> {
    let library = args.library.open_compared()?;
    let spec = MergeSpec {
        experts: args.experts.clone(),
        weights: args.weights.clone(),
        method: args.method,
        name: args.name.clone(),
        ..args.options.0.clone()
    };
    let mut progress = output.progress();
    let on_module =
        &mut |done: usize, total: usize| progress.update(&format!("merging: {done} of {total} modules"));
    let report = merge::merge(&library, &spec, on_module, output.cancel());
    drop(progress);
    let report = report?;
    for warning in &report.warnings {
        output.note(&format!("warning: {warning}"));
    }
    if output.is_json() {
        return output.document(&Document { report, skipped: library.bad() });
    }
    output.text(&text(&report))
}

/// Where it is and what it is, then the experts with their weights.
fn text(report: &MergeReport) -> String {
    let experts = counted(report.experts.len(), "expert");
    let modules = counted(report.modules, "module");
    let path = report.path.to_string_lossy();
    let mut out =
        format!("{}: {} of {experts}, rank {} at {modules}\n", printable(&path), report.method, report.rank);
    if let Some(lost) = report.energy_lost {
        let worst = report.worst.as_ref().map_or(String::new(), |w| {
            format!(", at most {} at {}", percent(w.energy_lost), printable(&w.module))
        });
        out.push_str(&format!("the rank cuts off {} of ‖ΔW‖²{worst}\n", percent(lost)));
    }
    for expert in &report.experts {
        out.push_str(&format!("  {} × {}\n", expert.weight, printable(&expert.name)));
    }
    out
}

/// A share in per cent, with enough digits to distinguish little from nothing.
fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".into(),
        p if p < 0.01 => "less than 0.01 %".into(),
        p => format!("{p:.2} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::MergedExpert;
    use crate::merge::WorstModule;

    #[test]
    fn says_what_came_out_and_what_was_lost() {
        let expert = |name: &str, weight| MergedExpert { name: name.into(), weight, ..Default::default() };
        let mut report = MergeReport {
            expert: "ab".into(),
            path: "library/ab".into(),
            method: MergeMethod::SVD,
            rank: 4,
            modules: 1,
            experts: vec![expert("a", 0.25), expert("b\n", -1.0)],
            options: Default::default(),
            energy_lost: Some(0.1234),
            worst: Some(WorstModule { module: "q".into(), energy_lost: 0.5 }),
            warnings: Vec::new(),
        };
        assert_eq!(
            text(&report),
            "library/ab: svd of 2 experts, rank 4 at 1 module\n\
             the rank cuts off 12.34 % of ‖ΔW‖², at most 50.00 % at q\n  0.25 × a\n  -1 × b\\n\n"
        );
        (report.energy_lost, report.worst) = (Some(1e-9), None);
        assert!(text(&report).contains("less than 0.01 % of ‖ΔW‖²\n"));
    }
}
