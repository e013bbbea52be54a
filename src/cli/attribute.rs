//! `attribute`: which experts an answer is owed to.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::options::{BaseArgs, PromptArgs, RouterArgs};
use super::output::Output;
use super::route::{TakingPart, calibrated_with, left_out, start_session};
use super::{Align, Table};
use crate::catalog::Catalog;
use crate::eval::{Effect, attribute, check_attributed};
use crate::model::Precision;
use crate::routing::GenerateOptions;
use crate::text::{fixed, percent, printable, share};
use crate::{Error, Result};

/// Show how much less likely an answer is without each expert
#[derive(Clone, Debug, clap::Args)]
pub struct AttributeArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// The answer [default: the greedy one]
    #[arg(long, value_name = "TEXT")]
    pub answer: Option<String>,
    /// Experts to take out, those with the most weight
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub experts: u32,
    /// Longest greedy answer
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: u32,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub base: BaseArgs,
}

/// Runs the command.
pub fn run(args: &AttributeArgs, output: &Output) -> Result<()> {
    args.prompt.check()?;
    if args.answer.as_deref() == Some("") {
        return Err(Error::usage("--answer is empty: give a text, or leave it out for the greedy answer"));
    }
    let library = Catalog::open(&args.library, args.base.base.as_deref())?;
    output.library_notes(&library);
    check_attributed(&args.router.config(&library)?)?;
    let mut session = start_session(&library, &args.router, &args.base, Precision::F32, output)?;
    let prompt = args.prompt.read(&session)?;
    let answer = match &args.answer {
        Some(text) => session.model().tokenizer()?.encode(text)?,
        None => {
            let mut ids = Vec::new();
            let options =
                GenerateOptions { max_tokens: args.max_tokens as usize, ..GenerateOptions::default() };
            session.generate_tokens(&prompt, &options, output.cancel(), &mut |trace, _| {
                ids.extend(trace.tokens.last().map(|token| token.id));
                ControlFlow::Continue(())
            })?;
            ids
        }
    };
    let found = attribute(&mut session, &prompt, &answer, args.experts as usize, output.cancel())?;
    let text = match &session.model().tokenizer {
        Some(tokenizer) => tokenizer.decode(&answer, true)?,
        None => String::new(),
    };
    let names = session.experts();
    if output.is_json() {
        let row = |one: &Effect| {
            serde_json::json!({
                "expert": names[one.expert], "share": one.share, "effect": one.effect,
                "by_group": one.by_group, "control": one.control, "scores": one.scores,
            })
        };
        return output.document(&serde_json::json!({
            "router": session.router().to_string(), "taking_part": TakingPart::of(session.router()),
            "answer": text, "tokens": answer,
            "log_probability": found.routed, "base_log_probability": found.base,
            "layers": found.groups.iter().map(|g| [g.start, g.end]).collect::<Vec<_>>(),
            "experts": found.experts.iter().map(row).collect::<Vec<_>>(),
            "calibration": calibrated_with(&session),
            "gain": found.gain(), "noise": found.noise(), "explained": found.explained(),
            "skipped": left_out(&library, &session),
        }));
    }
    output.line(&format!("{} (log p {:.2}, base {:.2})", printable(&text), found.routed, found.base))?;
    output.line("Shares of the weights, and by how much log p changes:")?;
    let groups: Vec<String> =
        found.groups.iter().map(|g| format!("layers {}–{}", g.start, g.end - 1)).collect();
    let mut columns = vec![
        ("expert", Align::Left),
        ("share", Align::Right),
        ("without it", Align::Right),
        ("random instead", Align::Right),
    ];
    columns.extend(groups.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    let change = |effect: f64| match fixed(0.0 - effect, 2) {
        zero if zero == "0.00" => zero,
        minus if minus.starts_with('-') => minus,
        plus => format!("+{plus}"),
    };
    for one in &found.experts {
        let mut cells = vec![
            printable(&names[one.expert]).into_owned(),
            share(one.share),
            change(one.effect),
            change(one.control),
        ];
        cells.extend(one.by_group.iter().map(|effect| change(*effect)));
        table.row(cells);
    }
    output.text(&table.render())?;
    output.line(&found.conclusion(percent))
}
