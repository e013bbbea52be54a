//! `generate`: text from the routed model, streamed.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;

use super::options::{BaseArgs, PromptArgs, RouterArgs, parse_non_negative};
use super::output::Output;
use super::route::{RouterFields, calibrated_with, left_out, open_session, partial};
use crate::Result;
use crate::eval::CalibratedWith;
use crate::library::Skipped;
use crate::model::Precision;
use crate::routing::GenerateOptions;
use crate::text::{counted, printable};

/// Generate text with routed experts
#[derive(Clone, Debug, clap::Args)]
pub struct GenerateArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub base: BaseArgs,
    /// Stop after this many tokens
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub max_tokens: usize,
    /// Seed of the sampling
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Sampling temperature, 0 = always the likeliest token
    #[arg(long, default_value_t = 0.0, value_name = "T", value_parser = parse_non_negative, allow_hyphen_values = true)]
    pub sample_temperature: f64,
}

/// Runs the command.
pub fn run(args: &GenerateArgs, output: &Output) -> Result<()> {
    args.prompt.check()?;
    let (library, mut session) =
        open_session(&args.library, &args.router, &args.base, Precision::Q8, output)?;
    let unfollowed = session.model().unfollowed_settings();
    if !unfollowed.is_empty() {
        let settings = unfollowed.join(", ");
        output.note(&format!(
            "warning: the base model's generation_config.json asks for {settings}, which is not followed"
        ));
    }
    let prompt = args.prompt.read(&session)?;
    let options = GenerateOptions {
        max_tokens: args.max_tokens,
        seed: args.seed,
        temperature: args.sample_temperature,
    };
    let (mut printed, mut broken, mut ids) = (0, Ok(()), Vec::new());
    let spelled = session.model().tokenizer.is_some();
    let found = session.generate_tokens(&prompt, &options, output.cancel(), &mut |trace, text| {
        ids.extend(trace.tokens.last().map(|token| token.id));
        // A character whose bytes are still coming shows as a replacement: wait for it.
        if output.is_json() || text.ends_with('\u{fffd}') {
            return ControlFlow::Continue(());
        }
        broken = match ids.as_slice() {
            // Without a tokenizer the answer is its token ids.
            [first] if !spelled => output.text(&first.to_string()),
            [.., id] if !spelled => output.text(&format!(",{id}")),
            _ => output.text(&safe(text.get(printed..).unwrap_or_default())),
        };
        printed = text.len();
        if broken.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    broken?;
    let text = match found {
        Ok(text) => text,
        Err(error) => {
            if !output.is_json() && !ids.is_empty() {
                // What comes after the text starts a line of its own.
                output.text("\n")?;
            }
            return Err(error);
        }
    };
    if output.is_json() {
        let experts = session.experts();
        return output.document(&Document {
            router: RouterFields::new(session.router()),
            text,
            tokens: ids,
            precision: session.model().precision,
            experts,
            calibration: calibrated_with(&session),
            skipped: left_out(&library, &session),
            partial: partial(&library, &session),
        });
    }
    if spelled && text.is_empty() {
        output.note(&match (options.max_tokens, ids.len()) {
            (0, _) => "the answer is empty: no token was asked for".to_string(),
            (_, 0) => "the answer is empty: the model ended it at once".to_string(),
            (_, tokens) => format!("the answer is empty: {} without text", counted(tokens, "token")),
        });
    }
    output.text(&format!("{}\n", safe(text.get(printed..).unwrap_or_default())))
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    router: RouterFields,
    text: String,
    tokens: Vec<u32>,
    precision: Precision,
    experts: &'a [String],
    /// What the router was calibrated with, where it was.
    calibration: Option<CalibratedWith>,
    skipped: Vec<Skipped>,
    partial: Vec<Skipped>,
}

/// Generated text may contain anything: line breaks and tabs stay, the rest is escaped.
fn safe(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|piece| match piece.char_indices().next_back() {
            Some((at, c @ ('\n' | '\t'))) => format!("{}{c}", printable(&piece[..at])),
            _ => printable(piece).into_owned(),
        })
        .collect()
}
