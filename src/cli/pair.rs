//! `pair`: two experts module by module.

use serde::Serialize;

use super::options::LibraryArgs;
use super::output::Output;
use super::table::{Align, Table};
use crate::analysis::{self, PAIR_MEASURES, PairModule};
use crate::library::{Expert, Skipped};
use crate::text::{counted, printable};
use crate::{Error, Result};

/// Compare two experts module by module
#[derive(Clone, Debug, clap::Args)]
pub struct PairArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Name of an expert
    #[arg(value_name = "EXPERT")]
    pub a: String,
    /// Name of another
    #[arg(value_name = "EXPERT")]
    pub b: String,
}

#[derive(Serialize)]
struct Document<'a> {
    a: &'a str,
    b: &'a str,
    modules: &'a [PairModule],
    /// Of each measure over all modules.
    mean: serde_json::Map<String, serde_json::Value>,
    skipped: Vec<Skipped>,
    warnings: Vec<String>,
}

/// Runs the command.
pub fn run(args: &PairArgs, output: &Output) -> Result<()> {
    let library = args.library.open()?;
    let (a, b) = (library.expert(&args.a)?, library.expert(&args.b)?);
    if a.name == b.name {
        return Err(Error::usage(format!("{} with itself is no pair: name two experts", a.name)));
    }
    let modules = analysis::pair(a, b)?;
    let warnings: Vec<String> = seeds(a, b).into_iter().collect();
    output.library_notes(&library);
    for warning in &warnings {
        output.note(&format!("warning: {warning}"));
    }
    if output.is_json() {
        let mean = PAIR_MEASURES.iter().map(|m| (m.id.to_string(), m.mean(&modules).into())).collect();
        let skipped = library.bad();
        return output.document(&Document {
            a: &a.name,
            b: &b.name,
            modules: &modules,
            mean,
            skipped,
            warnings,
        });
    }
    output.text(&text(&a.name, &b.name, &modules))
}

/// That the two started from different seeds, so that their A differ from the start.
fn seeds(a: &Expert, b: &Expert) -> Option<String> {
    let seed = |expert: &Expert| expert.provenance.as_ref()?.seed;
    let (first, second) = (seed(a)?, seed(b)?);
    (first != second).then(|| {
        format!(
            "experts started from different seeds ('{}' from {first}, '{}' from {second}): their input \
             directions differ from the start",
            a.name, b.name
        )
    })
}

/// The means, then a row per module.
fn text(a: &str, b: &str, modules: &[PairModule]) -> String {
    let mut out = format!("{} and {} at {}\n", printable(a), printable(b), counted(modules.len(), "module"));
    for measure in &PAIR_MEASURES {
        out.push_str(&format!("mean {}: {:.3}\n", measure.title, measure.mean(modules)));
    }
    let columns = PAIR_MEASURES.iter().map(|measure| (measure.id, Align::Right));
    let columns: Vec<(&str, Align)> = [("module", Align::Left)].into_iter().chain(columns).collect();
    let mut table = Table::new(&columns);
    for module in modules {
        let values = PAIR_MEASURES.iter().map(|measure| format!("{:.3}", (measure.of)(module)));
        table.row([module.module.clone()].into_iter().chain(values));
    }
    format!("{out}\n{}", table.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_means_and_every_module() {
        let module =
            |name: &str, cosine| PairModule { module: name.into(), cosine, overlap: 0.5, prototype: 0.25 };
        let text = text("a", "b\n", &[module("q", 0.5), module("k", -1.0)]);
        let expected = "a and b\\n at 2 modules\nmean cosine of ΔW: -0.250\n\
            mean overlap of input subspaces: 0.500\nmean |cosine| of prototypes: 0.250\n\n\
            module  cosine  overlap  prototype\nq        0.500    0.500      0.250\n\
            k       -1.000    0.500      0.250\n";
        assert_eq!(text, expected);
    }
}
