//! `prototypes`: the directions that Arrow compares tokens with.

use std::path::PathBuf;

use serde::Serialize;

use super::options::LibraryArgs;
use super::output::{Output, check_save, save_tensors};
use crate::analysis::{self, PrototypeCache};
use crate::library::{NamedTensor, Skipped};
use crate::text::{counted, printable};
use crate::{Error, Result};

/// Above this σ₂ / σ₁ a prototype is a matter of chance.
const FLAT: f64 = 0.95;

/// Write the experts' routing prototypes
#[derive(Clone, Debug, clap::Args)]
pub struct PrototypesArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Write tensors `prototype.<module>` [experts, in] as safetensors
    #[arg(long, value_name = "FILE")]
    pub save: PathBuf,
}

#[derive(Serialize)]
struct Document<'a> {
    path: String,
    experts: &'a [String],
    modules: Vec<&'a str>,
    skipped: &'a [Skipped],
}

/// Runs the command.
pub fn run(args: &PrototypesArgs, output: &Output) -> Result<()> {
    let library = args.library.open()?;
    check_save(&args.save, &library)?;
    if library.experts.is_empty() {
        return Err(Error::file(&library.root, "has no adapters (folders with an adapter_config.json)"));
    }
    let mut progress = output.progress();
    let on_step = &mut |done: usize, total: usize| {
        progress.update(&format!("computing prototypes: {done} of {total} experts"));
    };
    let found = analysis::prototypes(&library, &PrototypeCache::of(&library), on_step, output.cancel());
    drop(progress);
    let table = found?;
    let count = table.experts.len();
    let named: Vec<(String, [usize; 2])> =
        table.modules.iter().map(|m| (format!("prototype.{}", m.module), [count, m.in_features])).collect();
    let tensors: Vec<NamedTensor<'_>> = named
        .iter()
        .zip(&table.modules)
        .map(|((name, shape), module)| NamedTensor { name, shape, values: &module.rows })
        .collect();
    save_tensors(&args.save, &tensors, &table.experts)?;

    for warning in &library.warnings {
        output.note(&format!("warning: {warning}"));
    }
    let gaps: Vec<f64> = table.modules.iter().flat_map(|m| m.gaps.iter().copied().flatten()).collect();
    let flat = gaps.iter().filter(|&&gap| gap > FLAT).count();
    if flat > 0 {
        output.note(&format!(
            "warning: {flat} of {} prototypes are ill defined (second singular value above {FLAT} of the first)",
            gaps.len()
        ));
    }
    if output.is_json() {
        return output.document(&Document {
            path: args.save.to_string_lossy().into_owned(),
            experts: &table.experts,
            modules: table.modules.iter().map(|m| m.module.as_str()).collect(),
            skipped: &table.skipped,
        });
    }
    for skipped in &table.skipped {
        output.note(&format!("skipped {skipped}"));
    }
    let absent = table.modules.len() * count - gaps.len();
    let rest = if absent > 0 { format!(" ({absent} rows are zero: no update there)") } else { String::new() };
    let path = args.save.to_string_lossy();
    let (experts, modules) = (counted(count, "expert"), counted(table.modules.len(), "module"));
    output.line(&format!("{experts} at {modules}{rest}: {}", printable(&path)))
}
