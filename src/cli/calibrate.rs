//! `calibrate`: how high each expert's scores usually are.

use std::path::PathBuf;

use super::options::BaseArgs;
use super::output::Output;
use super::route::{left_out, start_session};
use super::{Align, RouterArgs, Table};
use crate::catalog::Catalog;
use crate::model::Precision;
use crate::named::Named;
use crate::routing::{
    CALIBRATED, Calibration, CalibrationStep, Needs, ROUTERS, RouterConfig, SCORES, Score, Session,
};
use crate::text::{counted, listed, printable};
use crate::{Error, Result};

/// Measure how high each expert's scores usually are, for routers with `calibrated`, and what its own prompts look like
#[derive(Clone, Debug, clap::Args)]
pub struct CalibrateArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    /// Prompts to use from now on: a file with lines {"prompt": "…"} or {"tokens": [1, 2, …]}
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// Use the validation prompts of these tasks from now on
    #[arg(long, value_name = "DIR", conflicts_with = "prompts")]
    pub tasks: Option<PathBuf>,
    /// Train the gates of phatgoose, too: 100 steps per expert on its own examples
    #[arg(long)]
    pub gates: bool,
    #[command(flatten)]
    pub base: BaseArgs,
}

/// What is prepared where no precision is named: what commands that measure use, and what `generate` and the screens use.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Q8];

/// Runs the command.
pub fn run(args: &CalibrateArgs, output: &Output) -> Result<()> {
    let library = Catalog::open(&args.library, args.base.base.as_deref())?;
    output.library_notes(&library);
    let router = RouterArgs {
        router: Some(RouterConfig::default().with(&CALIBRATED, true)),
        calibration: args.prompts.clone(),
        calibration_tasks: args.tasks.clone(),
        ..RouterArgs::default()
    };
    let chosen = router.chosen_prompts()?;
    let precisions = args.base.run.precision.map_or(PRECISIONS.to_vec(), |one| vec![one]);
    // What is found is kept by what the base model makes of the prompts, which differs between precisions. The others
    // first, so that what is shown is of the first one.
    let begins = |precision: &Precision| {
        if precisions.len() > 1 {
            output.note(&format!("for the base model in {}:", precision.name()));
        }
    };
    for precision in precisions.iter().skip(1).rev() {
        begins(precision);
        let mut base = args.base.clone();
        base.run.precision = Some(*precision);
        let session = start_session(&library, &router, &base, *precision, output)?;
        learn(&session, args.gates, output)?;
    }
    begins(&precisions[0]);
    let session = start_session(&library, &router, &args.base, precisions[0], output)?;
    let calibration = session.calibrate(&mut |_| {}, output.cancel())?;
    let learnt = learn(&session, args.gates, output)?;
    if let Some(chosen) = &chosen {
        chosen.remember(&library)?;
    }
    let modules = session.modules().len();
    let measured: Vec<Score> = SCORES.iter().copied().filter(|score| calibration.has(*score)).collect();
    if output.is_json() {
        let means = |score: &Score| -> Vec<[f64; 2]> {
            (0..session.experts().len()).map(|e| mean(&calibration, *score, modules, e)).collect()
        };
        let scores: serde_json::Map<String, serde_json::Value> =
            measured.iter().map(|score| (score.id.to_string(), serde_json::json!(means(score)))).collect();
        return output.document(&serde_json::json!({
            "source": calibration.source,
            "prompts": calibration.prompts,
            "tokens": calibration.tokens,
            "precision": session.model().precision,
            "precisions": precisions,
            "experts": session.experts(),
            "scores": scores,
            "prepared": learnt.iter().flat_map(|(_, routers)| routers.iter()).collect::<Vec<_>>(),
            "skipped": left_out(&library, &session),
        }));
    }
    let tokens = counted(calibration.tokens, "token");
    output.line(&format!("{tokens} of {}, at {}", calibration.source, counted(modules, "module")))?;
    let mut columns = vec![("expert", Align::Left)];
    columns.extend(measured.iter().map(|score| (score.id, Align::Right)));
    let mut table = Table::new(&columns);
    for (e, name) in session.experts().iter().enumerate() {
        let mut cells = vec![printable(name).into_owned()];
        cells.extend(measured.iter().map(|score| {
            let [mean, deviation] = mean(&calibration, *score, modules, e);
            format!("{mean:.3} ± {deviation:.3}")
        }));
        table.row(cells);
    }
    output.text(&table.render())?;
    let names: Vec<&str> = precisions.iter().map(|precision| precision.name()).collect();
    output.line(&format!("kept for the base model in {}", listed(&names, "and")))?;
    learnt.iter().try_for_each(|(what, routers)| {
        output.line(&format!("{what}: {} can be used", listed(routers, "and")))
    })
}

/// Prepares what is known of experts by their own data, as far as that is known: what it is, and the routers that have
/// it now. Says why where there is none.
///
/// # Errors
/// Gates that were asked for and cannot be trained; a raised cancel.
fn learn(session: &Session, gates: bool, output: &Output) -> Result<Vec<(&'static str, Vec<&'static str>)>> {
    let mut progress = output.progress();
    let mut learnt = Vec::new();
    let wanted = [
        (Needs::OwnData, "own prompts", true),
        (Needs::Regression, "regression of own prompts", true),
        (Needs::Gates, "gates", gates),
    ];
    for (needs, what, _) in wanted.into_iter().filter(|(.., wanted)| *wanted) {
        let mut step = |step: CalibrationStep| progress.step(&step);
        match session.learn(needs, &mut step, output.cancel()) {
            Ok(_) => {
                let having = ROUTERS.iter().filter(|router| router.needs == needs);
                learnt.push((what, having.map(|router| router.id).collect()));
            }
            // Without it, the calibration is good all the same.
            Err(error @ Error::Usage(_)) if needs < Needs::Gates && !gates => {
                output.note_once(&error.to_string())
            }
            Err(error) => return Err(error),
        }
    }
    Ok(learnt)
}

/// Mean and deviation of an expert's scores, averaged over the modules at which it has any.
fn mean(calibration: &Calibration, score: Score, modules: usize, expert: usize) -> [f64; 2] {
    let of_module = |module| calibration.usual(score, module).get(expert).copied();
    let all: Vec<(f64, f64)> =
        (0..modules).filter_map(of_module).filter(|(_, deviation)| *deviation > 0.0).collect();
    let count = all.len().max(1) as f64;
    [all.iter().map(|(m, _)| m).sum::<f64>() / count, all.iter().map(|(_, d)| d).sum::<f64>() / count]
}
