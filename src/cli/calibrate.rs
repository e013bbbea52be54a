//! `calibrate`: how high each expert's scores usually are.

use std::path::PathBuf;

use super::options::BaseArgs;
use super::output::Output;
use super::route::{left_out, start_session};
use super::{Align, RouterArgs, Table};
use crate::Result;
use crate::catalog::Catalog;
use crate::model::Precision;
use crate::routing::{CALIBRATED, Calibration, RouterConfig, SCORES, Score};
use crate::text::{counted, printable};

/// Measure how high each expert's scores usually are, for routers with `calibrated`
#[derive(Clone, Debug, clap::Args)]
pub struct CalibrateArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Prompts to use from now on: a file with lines {"prompt": "…"} or {"tokens": [1, 2, …]}
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// Use the validation prompts of these tasks from now on
    #[arg(long, value_name = "DIR", conflicts_with = "prompts")]
    pub tasks: Option<PathBuf>,
    #[command(flatten)]
    pub base: BaseArgs,
}

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
    let session = start_session(&library, &router, &args.base, Precision::F32, output)?;
    let calibration = session.calibrate(&mut |_| {}, output.cancel())?;
    if let Some(chosen) = &chosen {
        chosen.remember(&library)?;
    }
    let modules = session.modules().len();
    if output.is_json() {
        let means = |score: &Score| -> Vec<[f64; 2]> {
            (0..session.experts().len()).map(|e| mean(&calibration, *score, modules, e)).collect()
        };
        let scores: serde_json::Map<String, serde_json::Value> =
            SCORES.iter().map(|score| (score.id.to_string(), serde_json::json!(means(score)))).collect();
        return output.document(&serde_json::json!({
            "source": calibration.source,
            "prompts": calibration.prompts,
            "tokens": calibration.tokens,
            "precision": session.model().precision,
            "experts": session.experts(),
            "scores": scores,
            "skipped": left_out(&library, &session),
        }));
    }
    let tokens = counted(calibration.tokens, "token");
    output.line(&format!("{tokens} of {}, at {}", calibration.source, counted(modules, "module")))?;
    let mut columns = vec![("expert", Align::Left)];
    columns.extend(SCORES.iter().map(|score| (score.id, Align::Right)));
    let mut table = Table::new(&columns);
    for (e, name) in session.experts().iter().enumerate() {
        let mut cells = vec![printable(name).into_owned()];
        cells.extend(SCORES.iter().map(|score| {
            let [mean, deviation] = mean(&calibration, *score, modules, e);
            format!("{mean:.3} ± {deviation:.3}")
        }));
        table.row(cells);
    }
    output.text(&table.render())
}

/// Mean and deviation of an expert's scores, averaged over the modules at which it has any.
fn mean(calibration: &Calibration, score: Score, modules: usize, expert: usize) -> [f64; 2] {
    let of_module = |module| calibration.usual(score, module).get(expert).copied();
    let all: Vec<(f64, f64)> =
        (0..modules).filter_map(of_module).filter(|(_, deviation)| *deviation > 0.0).collect();
    let count = all.len().max(1) as f64;
    [all.iter().map(|(m, _)| m).sum::<f64>() / count, all.iter().map(|(_, d)| d).sum::<f64>() / count]
}
