//! `similarity`: every expert against every other.

use std::path::PathBuf;

use serde::Serialize;

use super::files::Files;
use super::options::{LibraryArgs, Options, Table as Settings};
use super::output::{Output, check_save, save_tensors};
use super::table::{Align, Table};
use crate::analysis::{self, COMPARISON, ComparisonCache, ComparisonSpec, Metric, Similarity};
use crate::export::{Export, Format};
use crate::library::{Library, NamedTensor, Skipped};
use crate::plot::Drawing;
use crate::settings::Setting;
use crate::text::{counted, csv_field, printable};
use crate::{Cancel, Error, Result, plot};

/// Up to so many experts the whole matrix is printed, above only each one's nearest.
const PRINTED: usize = 24;
/// Seed of the clustering that orders a figure.
const SEED: u64 = 42;

impl Settings for ComparisonSpec {
    fn settings() -> Vec<&'static Setting<Self>> {
        COMPARISON.iter().collect()
    }
}

/// Compare all experts: an N × N matrix
#[derive(Clone, Debug, clap::Args)]
pub struct SimilarityArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    #[command(flatten)]
    pub comparison: Options<ComparisonSpec>,
    /// Write the tensor `similarity` as safetensors
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    #[command(flatten)]
    pub files: Files<Matrix>,
}

/// A similarity as its files show it.
#[derive(Clone, Debug)]
pub struct Matrix {
    similarity: Similarity,
    /// What a heatmap is headed with.
    title: String,
    /// Ends the clustering that orders a heatmap.
    cancel: Cancel,
}

impl Export for Matrix {
    const FORMATS: &'static [Format<Self>] = &[
        Format::csv("Write the matrix as CSV", |matrix| csv(&matrix.similarity)),
        Format::png("Draw a heatmap as PNG"),
        Format::svg("Draw a heatmap as SVG"),
    ];

    fn figure(&self) -> Result<Box<dyn Drawing>> {
        let clusters = analysis::natural_clusters(&self.similarity, SEED, &self.cancel)?;
        let order = analysis::order_by_cluster(&self.similarity, &clusters);
        let boundaries = analysis::boundaries(&clusters, &order);
        Ok(Box::new(plot::heatmap(&self.similarity, &order, &boundaries, &self.title)))
    }

    fn about_table(&self) -> String {
        format!("the similarity of {}", counted(self.similarity.len(), "expert"))
    }

    fn about_figure(&self) -> String {
        format!("a heatmap of {}", counted(self.similarity.len(), "expert"))
    }
}

#[derive(Serialize)]
struct Document<'a> {
    metric: Metric,
    sparsity: f64,
    experts: &'a [String],
    matrix: Vec<&'a [f32]>,
    skipped: &'a [Skipped],
    warnings: &'a [String],
}

/// Runs the command.
pub fn run(args: &SimilarityArgs, output: &Output) -> Result<()> {
    args.files.check()?;
    let library = args.library.open()?;
    args.save.iter().try_for_each(|path| check_save(path, &library))?;
    let similarity = compare(&library, &args.comparison.0, output)?;
    let title = format!("Similarity of the experts in {}", args.library.library.display());
    let matrix = Matrix { similarity, title, cancel: output.cancel().clone() };
    let written = save(args, &matrix, output)? | args.files.write(&matrix, output)?;
    let similarity = &matrix.similarity;
    if output.is_json() {
        return output.document(&Document {
            metric: similarity.metric,
            sparsity: similarity.sparsity,
            experts: &similarity.experts,
            matrix: rows(similarity).collect(),
            skipped: &similarity.skipped,
            warnings: &similarity.warnings,
        });
    }
    // Whoever asked for a file has it there.
    let body = if written { head(similarity) + "\n" } else { text(similarity) };
    output.text(&body)
}

/// The similarity of all experts of a library, with progress, warnings and left-out experts on stderr.
pub(super) fn compare(library: &Library, comparison: &ComparisonSpec, output: &Output) -> Result<Similarity> {
    if library.experts.is_empty() {
        return Err(Error::file(&library.root, "has no adapters (folders with an adapter_config.json)"));
    }
    let experts = library.experts.len();
    let mut progress = output.progress();
    let on_step = &mut |done: usize, total: usize| {
        progress.update(&format!("comparing {experts} experts: {} %", 100 * done / total.max(1)));
    };
    let found = analysis::similarity(
        library,
        comparison.metric,
        comparison.sparsity,
        &ComparisonCache::of(library),
        on_step,
        output.cancel(),
    );
    drop(progress);
    let similarity = found?;
    for warning in library.warnings.iter().chain(&similarity.warnings) {
        output.note(&format!("warning: {warning}"));
    }
    if !output.is_json() {
        for skipped in &similarity.skipped {
            output.note(&format!("skipped {skipped}"));
        }
    }
    Ok(similarity)
}

fn rows(similarity: &Similarity) -> impl Iterator<Item = &[f32]> {
    similarity.matrix.chunks_exact(similarity.len().max(1))
}

/// Writes the tensor, if that was asked for; whether it was.
fn save(args: &SimilarityArgs, matrix: &Matrix, output: &Output) -> Result<bool> {
    let Some(path) = &args.save else { return Ok(false) };
    let similarity = &matrix.similarity;
    let n = similarity.len();
    let tensor = NamedTensor { name: "similarity", shape: &[n, n], values: &similarity.matrix };
    save_tensors(path, &[tensor], &similarity.experts)?;
    output.wrote(path, &matrix.about_table());
    Ok(true)
}

/// A header line with the names, then one line per expert (RFC 4180).
fn csv(similarity: &Similarity) -> String {
    let names: Vec<String> = similarity.experts.iter().map(|name| csv_field(name)).collect();
    let mut out = format!("expert,{}\r\n", names.join(","));
    for (name, row) in names.iter().zip(rows(similarity)) {
        out.push_str(name);
        row.iter().for_each(|value| out.push_str(&format!(",{value}")));
        out.push_str("\r\n");
    }
    out
}

/// What was compared.
fn head(similarity: &Similarity) -> String {
    let Similarity { metric, .. } = similarity;
    let sparsity =
        if metric.uses_sparsity { format!(", sparsity {}", similarity.sparsity) } else { String::new() };
    format!("{metric} similarity of {}{sparsity}", counted(similarity.len(), "expert"))
}

fn text(similarity: &Similarity) -> String {
    let body = if similarity.len() <= PRINTED { matrix(similarity) } else { nearest(similarity) };
    format!("{}\n\n{}", head(similarity), body.render())
}

/// Numbered rows with names; the columns have the numbers only.
fn matrix(similarity: &Similarity) -> Table {
    let numbers: Vec<String> = (1..=similarity.len()).map(|i| i.to_string()).collect();
    let mut columns = vec![("", Align::Right), ("expert", Align::Left)];
    columns.extend(numbers.iter().map(|number| (number.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    for ((number, name), row) in numbers.iter().zip(&similarity.experts).zip(rows(similarity)) {
        let values = row.iter().map(|value| format!("{value:.2}"));
        table.row([number.clone(), name.clone()].into_iter().chain(values));
    }
    table
}

/// The three most similar others of each expert.
fn nearest(similarity: &Similarity) -> Table {
    let mut table = Table::new(&[("expert", Align::Left), ("nearest", Align::Left)]);
    for (i, (expert, row)) in similarity.experts.iter().zip(rows(similarity)).enumerate() {
        // The best so far, best first: sorting whole rows would take longer than the matrix did.
        let mut best: Vec<(usize, f32)> = Vec::new();
        for (j, &value) in row.iter().enumerate().filter(|&(j, _)| j != i) {
            let at = best.iter().position(|&(_, other)| value > other).unwrap_or(best.len());
            if at < 3 {
                best.insert(at, (j, value));
                best.truncate(3);
            }
        }
        let name = |j: usize| printable(&similarity.experts[j]);
        let shown: Vec<String> = best.iter().map(|&(j, value)| format!("{} {value:.2}", name(j))).collect();
        table.row([expert.as_str(), &shown.join(", ")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Similarity {
        let n = names.len();
        Similarity {
            metric: Metric::MBC,
            sparsity: 0.5,
            experts: names.iter().map(|name| (*name).to_string()).collect(),
            matrix: (0..n * n).map(|at| 1.0 - 0.125 * (at / n).abs_diff(at % n) as f32).collect(),
            warnings: vec![],
            skipped: vec![],
            strength: Vec::new(),
            known_spread: Default::default(),
            origin: Default::default(),
        }
    }

    #[test]
    fn few_experts_are_printed_as_a_matrix() {
        let expected = "mbc similarity of 2 experts, sparsity 0.5\n\n   expert     1     2\n\
                        1  a       1.00  0.88\n2  b\\n     0.88  1.00\n";
        assert_eq!(text(&of(&["a", "b\n"])), expected);
    }

    #[test]
    fn many_experts_are_printed_with_their_nearest() {
        let names: Vec<String> = (0..30).map(|i| format!("e{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = text(&of(&names));
        assert!(text.contains("\ne0      e1 0.88, e2 0.75, e3 0.62\n"), "{text}");
    }

    #[test]
    fn csv_quotes_names_that_need_it() {
        assert_eq!(
            csv(&of(&["a,b", "say \"hi\""])),
            "expert,\"a,b\",\"say \"\"hi\"\"\"\r\n\"a,b\",1,0.875\r\n\"say \"\"hi\"\"\",0.875,1\r\n"
        );
    }
}
