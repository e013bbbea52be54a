//! `show`: one expert, module by module.

use serde::Serialize;

use super::expert_row::{ExpertRow, count};
use super::options::LibraryArgs;
use super::output::Output;
use super::table::{Align, Table};
use crate::analysis::{ExpertProfile, ModuleProfile, profile};
use crate::library::{AdaptedFrom, Expert, MergeProvenance, MergedExpert, Provenance, Skipped, Standing};
use crate::text::{exact, number, printable};
use crate::{Error, Result};

/// Show one expert: configuration, norms, spectra, health
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Name of the expert, as `ls` gives it
    pub expert: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    row: ExpertRow<'a>,
    modules: &'a [ModuleProfile],
    warnings: Vec<String>,
    provenance: Option<&'a Provenance>,
    skipped: Vec<Skipped>,
}

/// Runs the command.
pub fn run(args: &ShowArgs, output: &Output) -> Result<()> {
    let mut library = args.library.open_compared()?;
    let unread = library.expert(&args.expert)?.clone();
    library.compare_copies(|expert| expert.name == unread.name);
    // What cannot be read is found again below.
    let expert = Some(library.expert(&unread.name)?).filter(|expert| expert.is_usable()).unwrap_or(&unread);
    if !expert.is_usable() {
        let reason = expert.reason().unwrap_or("it cannot be used");
        return Err(Error::file(&expert.path, reason));
    }
    // Only reading all weights shows whether they are numbers: one that has others cannot be used.
    let profile = profile(expert)?;
    let mut expert = expert.clone();
    if let Some(reason) = profile.unsound.clone() {
        expert.standing = Standing::Bad { reason };
    }
    let expert = &expert;
    let warnings: Vec<String> = expert.warnings.iter().chain(&profile.warnings).cloned().collect();
    if output.is_json() {
        return output.document(&Document {
            row: ExpertRow::from(expert),
            modules: &profile.modules,
            warnings,
            provenance: expert.provenance.as_ref(),
            skipped: library.incomparable(),
        });
    }
    output.text(&facts(expert, &profile))?;
    output.line("")?;
    output.text(&modules(&profile))?;
    // Why it is partial stands above.
    for warning in warnings.iter().filter(|warning| expert.reason_here() != Some(warning)) {
        output.line(&format!("warning: {}", printable(warning)))?;
    }
    Ok(())
}

/// What is known of the expert as a whole, one fact a line.
fn facts(expert: &Expert, profile: &ExpertProfile) -> String {
    let config = &expert.config;
    let row = ExpertRow::from(expert);
    let mut lines: Vec<(&str, String)> = vec![("name", expert.name.clone()), ("status", row.status_text())];
    if let Some(reason) = row.reason() {
        lines.push(("because", reason.to_string()));
    }
    lines.push(("base", config.base.clone().unwrap_or_else(|| "not said".into())));
    lines.push(("stored as", expert.format.name().into()));
    let scaling = if config.use_rslora { " (rsLoRA)" } else { "" };
    lines.push(("rank, alpha", format!("{}, {}{scaling}", row.rank_text(), exact(config.alpha))));
    lines.push(("targets", some(&config.targets)));
    lines.push((
        "parameters",
        format!("{} as {} in {} modules", count(expert.parameters), expert.dtype, expert.modules.len()),
    ));
    let norm = profile.modules.iter().map(|m| m.norm * m.norm).sum::<f64>().sqrt();
    lines.push(("norm of all ΔW", number(norm, 4)));
    if let Some(provenance) = &expert.provenance
        && let Ok(serde_json::Value::Object(entries)) = serde_json::to_value(provenance)
    {
        let own = ["merge", "adapted", "drawn_from"];
        let known = entries.iter().filter(|(key, value)| !value.is_null() && !own.contains(&key.as_str()));
        let adapted = provenance.adapted.as_ref();
        let text: Vec<(String, String)> = known
            .map(|(key, value)| match value {
                serde_json::Value::String(text) => (key.replace('_', " "), text.clone()),
                other => (key.replace('_', " "), other.to_string()),
            })
            .chain(provenance.merge.as_ref().map(|merge| ("merged from".to_string(), merged(merge))))
            .chain(adapted.map(|adapted| ("adapted from".to_string(), adapted_from(adapted))))
            .collect();
        return render(lines.into_iter().map(|(k, v)| (k.to_string(), v)).chain(text));
    }
    render(lines.into_iter().map(|(k, v)| (k.to_string(), v)))
}

/// As many names as fit two lines, and how many more there are.
fn some(names: &[String]) -> String {
    const MOST: usize = 16;
    let (first, rest) = names.split_at(names.len().min(MOST));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("{}{more}", first.join(", "))
}

/// `0.5 × a + 0.5 × b (ties, density 0.5)`.
fn merged(merge: &MergeProvenance) -> String {
    let parts = sum(&merge.experts, exact);
    let options: String = merge.options.iter().map(|(id, value)| format!(", {id} {value}")).collect();
    format!("{parts} ({}{options})", merge.method)
}

/// `0.5 × a + 0.5 × b`.
fn sum(experts: &[MergedExpert], weight: fn(f64) -> String) -> String {
    let parts: Vec<String> = experts.iter().map(|e| format!("{} × {}", weight(e.weight), e.name)).collect();
    parts.join(" + ")
}

/// `0.5 × a + 0.5 × b (uniform)`.
fn adapted_from(adapted: &AdaptedFrom) -> String {
    match adapted.experts.is_empty() {
        true => adapted.start.clone(),
        // Means over modules, mostly of many digits.
        false => format!("{} ({})", sum(&adapted.experts, |weight| number(weight, 3)), adapted.start),
    }
}

fn render(lines: impl Iterator<Item = (String, String)>) -> String {
    lines.map(|(key, value)| format!("{:<22}{}\n", printable(&key), printable(&value))).collect()
}

fn modules(profile: &ExpertProfile) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("MODULE", Left),
        ("RANK", Right),
        ("SCALE", Right),
        ("NORM", Right),
        ("EFF.RANK", Right),
        ("GAP", Right),
        ("SIGMA", Left),
    ]);
    for module in &profile.modules {
        let mut sigma: Vec<String> = module.sigma.iter().take(4).map(|s| number(*s, 4)).collect();
        if module.sigma.len() > 4 {
            sigma.push("…".into());
        }
        table.row([
            module.module.clone(),
            module.rank.to_string(),
            number(module.scale, 3),
            number(module.norm, 4),
            format!("{:.2}", module.effective_rank),
            format!("{:.3}", module.gap),
            sigma.join(" "),
        ]);
    }
    table.render()
}
