//! `tune`: the best router for a library, found on validation splits.

use std::path::PathBuf;

use super::options::{BaseArgs, RouterArgs, check_routers, distinct, help_beside_a_list, routers};
use super::output::Output;
use super::route::{TakingPart, left_out, resolved_calibrated_with, start_session};
use super::{Align, Table};
use crate::catalog::Catalog;
use crate::eval::{
    CANDIDATES, Evaluation, Split, TASKS_HELP, ToAsk, Tuned, asked_tasks, comment_of_default, is_noise,
    unfit_as_default, with_default,
};
use crate::library::Manifest;
use crate::model::Precision;
use crate::outside::{atomic_write, read_text_of};
use crate::routing::RouterConfig;
use crate::text::{counted, fixed, printable};
use crate::{Error, Result};

/// Find the best router for a library on the validation splits of tasks
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("router", |router| router.help(help_beside_a_list()).long_help(help_beside_a_list())))]
pub struct TuneArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[arg(long, value_name = "PATH", required = true, help = TASKS_HELP)]
    pub tasks: Vec<PathBuf>,
    /// Routers to try, with commas between [default: some of all kinds]
    #[arg(long, value_name = "ROUTERS")]
    pub routers: Vec<String>,
    /// Items per task that the last two are asked
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..))]
    pub limit: u32,
    /// Write the best one into library.toml as the default, and calibrate with --calibration from then on
    #[arg(long)]
    pub write: bool,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub base: BaseArgs,
}

/// Runs the command.
pub fn run(args: &TuneArgs, output: &Output) -> Result<()> {
    check_write(args)?;
    let limit = args.limit as usize;
    let how = ToAsk { split: Split::Validation, limit: Some(limit), ..ToAsk::default() };
    let tasks = asked_tasks(&args.tasks, &how, &mut |text| output.note(&text), output.cancel())?;
    if !args.routers.is_empty() {
        check_routers(&args.routers)?;
    }
    let library = Catalog::open(&args.library, args.base.base.as_deref())?;
    output.library_notes(&library);
    let routers = match args.routers.as_slice() {
        [] => CANDIDATES.iter().map(|text| text.parse()).collect::<Result<Vec<RouterConfig>>>()?,
        texts => routers(&library, texts)?,
    };
    let router = args.router.among(routers.iter());
    let session = start_session(&library, &router, &args.base, Precision::F32, output)?;
    let evaluation = Evaluation { library: &library, session: &session, cancel: output.cancel() };
    let routers = distinct(routers, |router| evaluation.completed(router.clone()), output);
    let mut progress = output.progress();
    let mut show = |event| progress.show(event);
    let mut tuned = evaluation.tune(&tasks, &routers, limit, &mut show)?;
    // Named, and written down, with all that was measured.
    tuned.iter_mut().for_each(|one| one.router = evaluation.completed(one.router.clone()));
    drop(progress);
    let calibration = resolved_calibrated_with(&session, tuned.iter().map(|one| &one.router), output);
    let noise = is_noise(&tuned);
    let best = tuned.first().ok_or_else(|| Error::msg("no router was tried"))?;
    let unfit = args.write.then(|| unfit_as_default(&tuned)).flatten();
    let is_written = args.write && unfit.is_none();
    if is_written {
        if let Some(line) = write(&library.root, &best.router)? {
            output.note(&format!(
                "line {line} of {} is a comment about the default before: see whether it still holds",
                Manifest::FILE
            ));
        }
        if let Some(chosen) = args.router.chosen_prompts()?.filter(|_| best.router.needs_calibration()) {
            chosen.remember(&library)?;
        }
    }
    if output.is_json() {
        let row = |one: &Tuned| {
            serde_json::json!({
                "router": one.router.to_string(), "rounds": one.rounds, "items": one.items,
                "exact_match": one.exact, "stderr": one.stderr, "log_probability": one.log_probability,
                "behind": one.behind, "chance": one.chance,
            })
        };
        return output.document(&serde_json::json!({
            "routers": tuned.iter().map(row).collect::<Vec<_>>(),
            "calibration": calibration,
            "best": best.router.to_string(), "noise": noise, "written": is_written, "not_written": unfit,
            "taking_part": TakingPart::of(session.router()),
            "skipped": left_out(&library, &session),
        }));
    }
    let mut table = Table::new(&[
        ("router", Align::Left),
        ("items", Align::Right),
        ("exact %", Align::Right),
        ("± ", Align::Right),
        ("log p", Align::Right),
        ("behind the best", Align::Right),
    ]);
    for one in &tuned {
        let percent = |share: f64| fixed(100.0 * share, 1);
        table.row([
            printable(&one.router.to_string()).into_owned(),
            one.items.to_string(),
            percent(one.exact),
            percent(one.stderr),
            format!("{:.2}", one.log_probability),
            one.behind.map_or("–".into(), |(by, error)| format!("{} ± {}", percent(-by), percent(error))),
        ]);
    }
    output.text(&table.render())?;
    let name = printable(&best.router.to_string()).into_owned();
    let items = counted(best.items, "item");
    output.line(&match noise {
        _ if tuned.len() == 1 => {
            format!("{name} is the only one: {} % of {items} are right.", fixed(100.0 * best.exact, 1))
        }
        true => format!("{name} is first after {items}, but no better than the next one except by chance."),
        false => format!("{name} is the best one after {items}."),
    })?;
    if let Some(why) = unfit {
        output.note(&format!("{} stays as it is: {}", Manifest::FILE, printable(&why)));
    }
    if is_written {
        output.note(&format!("{} has it as the default now", Manifest::FILE));
    }
    Ok(())
}

/// Whether what is to be written is all that is measured.
fn check_write(args: &TuneArgs) -> Result<()> {
    let RouterArgs { mute, pin, general, .. } = &args.router;
    let given = [("mute", mute), ("pin", pin), ("general", general)];
    match given.into_iter().find(|(_, names)| args.write && !names.is_empty()) {
        Some((option, _)) => Err(Error::usage(format!(
            "--write and --{option} do not go together: {} has a router with its settings, not who takes part; leave one \
             of them out, or move the expert out of the library",
            Manifest::FILE
        ))),
        None => Ok(()),
    }
}

/// Makes a router the default of the library at `root`. Which line then has a comment on the default that was replaced by
/// another one, if any has.
fn write(root: &std::path::Path, router: &RouterConfig) -> Result<Option<usize>> {
    // What is there has to be sound, and to be a manifest.
    let before = Manifest::read(root)?.router.default;
    let path = root.join(Manifest::FILE);
    let text = if path.exists() { read_text_of(&path, 1 << 20)? } else { String::new() };
    let written = with_default(&text, router);
    // A table in another spelling, or in a string, is not changed by guesswork.
    let mut wanted = Manifest::read(root)?;
    wanted.router.default = Some(router.to_string());
    match Manifest::parse(&written) {
        Ok(found) if found == wanted => {
            atomic_write(&path, written.as_bytes())?;
            let is_replaced = before.is_some_and(|before| Some(before) != wanted.router.default);
            Ok(comment_of_default(&written).filter(|_| is_replaced))
        }
        Ok(_) | Err(_) => Err(Error::file(
            &path,
            format!(
                "its [router] is written in a way that is not changed here; add default = \"{router}\" to it"
            ),
        )),
    }
}
