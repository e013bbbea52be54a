//! `compare`: several routers on one prompt.

use std::path::PathBuf;

use super::options::{
    BaseArgs, PromptArgs, RouterArgs, check_routers, distinct, help_beside_a_list, routers,
};
use super::output::Output;
use super::route::{TakingPart, left_out, resolved_calibrated_with, start_session};
use super::{Align, Table};
use crate::catalog::Catalog;
use crate::eval::{Compared, compare, differing};
use crate::model::Precision;
use crate::routing::RouterConfig;
use crate::text::{percent, printable, share};
use crate::{Error, Result};

/// Experts of a router that the table names.
const NAMED: usize = 3;

/// Compare several routers on one prompt: who gets weight, what is answered, where they differ
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("router", |router| router.help(help_beside_a_list()).long_help(help_beside_a_list())))]
pub struct CompareArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// Routers to compare, with commas between
    #[arg(long, value_name = "ROUTERS", required = true)]
    pub routers: Vec<String>,
    /// A right answer, whose probability is shown
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<String>,
    /// Stop answers after this many tokens; 0 asks for none
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub max_tokens: usize,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub base: BaseArgs,
}

/// Runs the command.
pub fn run(args: &CompareArgs, output: &Output) -> Result<()> {
    args.prompt.check()?;
    if args.reference.as_deref() == Some("") {
        return Err(Error::usage("--reference is empty: give a text, or leave it out"));
    }
    // Read before anything is loaded, to report a wrong name at once.
    check_routers(&args.routers)?;
    let library = Catalog::open(&args.library, args.base.base.as_deref())?;
    output.library_notes(&library);
    let mut all = routers(&library, &args.routers)?;
    let router = args.router.among(all.iter());
    let mut session = start_session(&library, &router, &args.base, Precision::F32, output)?;
    let own = session.router().clone();
    for config in &mut all {
        config.values.fill(&own.values);
        config.muted.clone_from(&own.muted);
        config.pinned.clone_from(&own.pinned);
        config.general.clone_from(&own.general);
    }
    let all = distinct(all, RouterConfig::clone, output);
    let prompt = args.prompt.read(&session)?;
    let reference = match &args.reference {
        Some(text) => session.model().tokenizer()?.encode(text)?,
        None => Vec::new(),
    };
    let mut progress = output.progress();
    let wanted = (reference.as_slice(), args.max_tokens);
    let mut show = |event| progress.show(event);
    let found = compare(&mut session, &prompt, &all, wanted, &mut show, output.cancel())?;
    drop(progress);
    let calibration = resolved_calibrated_with(&session, all.iter(), output);
    if output.is_json() {
        let row = |one: &Compared| {
            serde_json::json!({
                "router": one.router.to_string(),
                "shares": one.shares,
                "effective_experts": one.effective,
                "answer": one.answer,
                "log_probability": one.log_probability,
                "warnings": one.warnings,
                "differs": found.iter().map(|other| differing(&one.trace, &other.trace)).collect::<Vec<_>>(),
            })
        };
        return output.document(&serde_json::json!({
            "experts": session.experts(),
            "taking_part": TakingPart::of(&own),
            "calibration": calibration,
            "routers": found.iter().map(row).collect::<Vec<_>>(),
            "skipped": left_out(&library, &session),
        }));
    }
    let mut table = Table::new(&[
        ("router", Align::Left),
        ("most weight", Align::Left),
        ("effective experts", Align::Right),
        ("differs from the first", Align::Right),
        ("log p", Align::Right),
        ("answer", Align::Left),
    ]);
    for one in &found {
        let differs = found.first().map_or(0.0, |first| differing(&first.trace, &one.trace));
        table.row([
            printable(&one.router.to_string()).into_owned(),
            heaviest(one, session.experts()),
            format!("{:.1}", one.effective),
            percent(differs),
            one.log_probability.map_or("–".into(), |p| format!("{p:.2}")),
            printable(one.answer.as_deref().unwrap_or("–")).into_owned(),
        ]);
    }
    for one in &found {
        for warning in &one.warnings {
            output.note(&format!("warning: {}: {}", one.router, warning.text));
        }
    }
    output.text(&table.render())
}

/// The experts with the largest shares.
fn heaviest(one: &Compared, experts: &[String]) -> String {
    let mut order: Vec<usize> = (0..one.shares.len()).filter(|&e| one.shares[e] > 0.0).collect();
    order.sort_by(|&a, &b| one.shares[b].total_cmp(&one.shares[a]).then(a.cmp(&b)));
    // Small ones are compared with each other.
    let said = |of: f64| if of < 0.0995 { share(of) } else { percent(of) };
    let name = |&e: &usize| format!("{} {}", printable(&experts[e]), said(one.shares[e]));
    let named: Vec<String> = order.iter().take(NAMED).map(name).collect();
    if named.is_empty() { "–".into() } else { named.join(", ") }
}
