//! `route`: which experts every token of a prompt uses, and the logits that come out.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::Serialize;
use serde_json::{Map, Value};

use super::options::{BaseArgs, PromptArgs, RouterArgs};
use super::output::{Output, check_save, save_tensors};
use super::{Align, Table};
use crate::catalog::Catalog;
use crate::eval::{CalibratedWith, beyond, check_router, own_source, prompt_source};
pub(super) use crate::eval::{left_out, partial};
use crate::library::{BaseLocation, Manifest, NamedTensor, Skipped};
use crate::model::{LoadOptions, Precision};
use crate::routing::{
    Needs, RouteWarning, RouterConfig, RouterSetting, Score, Session, Trace, TraceToken, Why, WhyExpert,
    WhyModule, WhySequence,
};
use crate::text::{counted, fixed, printable, share, weight};
use crate::{Error, Result};

/// Route a prompt: which experts every token uses in every module
#[derive(Clone, Debug, clap::Args)]
pub struct RouteArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub base: BaseArgs,
    /// Write `logits` and `weights.<module>` as safetensors
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Explain the weights of one token, by its number from 0 on: scores, what is compared, who came next
    #[arg(long, value_name = "TOKEN")]
    pub why: Option<usize>,
}

/// Experts per module about which `--why` says something.
const EXPLAINED: usize = 5;

/// Opens library and base model and sets the router of the command line.
pub(super) fn open_session(
    library: &Path,
    router: &RouterArgs,
    base: &BaseArgs,
    default_precision: Precision,
    output: &Output,
) -> Result<(Catalog, Session)> {
    let library = Catalog::open(library, base.base.as_deref())?;
    output.library_notes(&library);
    let session = start_session(&library, router, base, default_precision, output)?;
    Ok((library, session))
}

/// Opens the base model of a library and sets the router of the command line.
pub(super) fn start_session(
    library: &Catalog,
    router: &RouterArgs,
    base: &BaseArgs,
    default_precision: Precision,
    output: &Output,
) -> Result<Session> {
    let config = router.config(library)?;
    router.overruled().iter().for_each(|line| output.note_once(line));
    check(library, router, &config, output)?;
    let chosen = router.chosen_prompts()?;
    let path = base_path(library, output)?;
    let mut progress = output.progress();
    let options = LoadOptions {
        device: base.run.device.clone(),
        precision: base.run.precision.unwrap_or(default_precision),
    };
    let mut session = Session::open_unrouted(
        library,
        &path,
        &options,
        &mut |stage| progress.update(stage),
        output.cancel(),
    )?;
    if router.is_for_several() {
        session.require_speakers(&config)?;
    }
    session.learn_from(own_source(library, router.calibration_tasks.clone()));
    session.calibrate_with(prompt_source(library, chosen));
    session.set_router_with(config, &mut |step| progress.step(&step), output.cancel())?;
    drop(progress);
    for warning in &session.model().warnings {
        output.note_once(&format!("warning: {warning}"));
    }
    // Of several routers, what was used for which is said when they are known.
    if let Some(used) = calibrated_with(&session).filter(|_| !router.is_for_several()) {
        used.lines(false).iter().for_each(|line| output.note_once(line));
    }
    if !output.is_json() {
        let skipped = session.skipped().iter().map(|skipped| format!("skipped {skipped}"));
        notes(skipped, output);
        let partial = partial(library, &session);
        notes(partial.iter().map(|skipped| format!("partly applied: {skipped}")), output);
    }
    Ok(session)
}

/// Whether the routers of a command can be used, as far as that is known before anything is loaded.
fn check(library: &Catalog, args: &RouterArgs, config: &RouterConfig, output: &Output) -> Result<()> {
    let routers = args.among.iter().flatten().chain([config]);
    // What is wrong with a router that nobody typed is to be mended where it stands.
    let is_default = args.router.is_none() && args.among.is_none();
    for router in routers {
        check_names(library, router, is_default)?;
        let RouterConfig { muted, pinned, general, .. } = config.clone();
        let mut router = RouterConfig { muted, pinned, general, ..router.clone() };
        router.values.fill(&config.values);
        check_router(library, &router, args.calibration_tasks.as_deref())?;
        beyond(library, &router).iter().for_each(|line| output.note_once(line));
    }
    Ok(())
}

/// Whether there are experts of the names that a router has. `is_default` says whether it is that of `library.toml`.
fn check_names(library: &Catalog, config: &RouterConfig, is_default: bool) -> Result<()> {
    let known = |name: &String| library.expert(name).map(drop).map_err(|unknown| unknown.to_string());
    if config.router.names_expert() {
        known(&config.argument).map_err(|unknown| match is_default {
            true => Error::usage(format!("{}: [router] default: {unknown}", Manifest::FILE)),
            false => Error::usage(unknown),
        })?;
    }
    let lists = [&config.muted, &config.pinned, &config.general];
    lists.into_iter().flatten().try_for_each(known).map_err(Error::usage)
}

/// Tells the first of many notes, and how many there are besides.
pub(super) fn notes(all: impl ExactSizeIterator<Item = String>, output: &Output) {
    const SHOWN: usize = 8;
    let more = all.len().saturating_sub(SHOWN);
    all.take(SHOWN).for_each(|note| output.note_once(&note));
    if more > 0 {
        output.note_once(&format!("and {more} more: --json gives all of them"));
    }
}

/// Where the base model is, or what to do about it.
fn base_path(catalog: &Catalog, output: &Output) -> Result<PathBuf> {
    match catalog.base()? {
        BaseLocation::Found { path, .. } => Ok(path),
        BaseLocation::Missing { .. } => super::fetch_with_progress(catalog, output, output.cancel()),
    }
}

/// Runs the command.
pub fn run(args: &RouteArgs, output: &Output) -> Result<()> {
    args.prompt.check()?;
    let library = Catalog::open(&args.library, args.base.base.as_deref())?;
    args.save.iter().try_for_each(|path| check_save(path, &library))?;
    output.library_notes(&library);
    let mut session = start_session(&library, &args.router, &args.base, Precision::F32, output)?;
    let prompt = args.prompt.read(&session)?;
    let trace = match &args.save {
        Some(path) => {
            let (logits, trace) = session.logits(&prompt, output.cancel())?;
            save(path, &logits, &trace, session.router().chooses())?;
            trace
        }
        None => session.route_tokens(&prompt, output.cancel())?,
    };
    let warnings = session.warnings(&prompt, output.cancel())?;
    let why = args.why.map(|token| session.why(&prompt, token, EXPLAINED, output.cancel())).transpose()?;
    if output.is_json() {
        return output.document(&document(&library, &session, &trace, (warnings, why)));
    }
    note_warnings(&warnings, output);
    match why {
        Some(why) => reasons(&why, &trace, output),
        None => table(&session, &trace, output),
    }
}

/// Prints what to know of a routing.
pub(super) fn note_warnings(warnings: &[RouteWarning], output: &Output) {
    warnings.iter().for_each(|warning| output.note(&format!("warning: {}", warning.text)));
}

/// Why a token's experts have their weights: what decides, what was found of the prompt, a row per module.
fn reasons(why: &Why, trace: &Trace, output: &Output) -> Result<()> {
    let name = |e: usize| trace.experts.get(e).map_or("–".into(), |name| printable(name).into_owned());
    if let Some(token) = trace.tokens.get(why.token) {
        output.line(&format!("token {} \"{}\". {}.", why.token, printable(&token.text), why.decided))?;
    }
    if let Some(sequence) = &why.sequence {
        if !sequence.words.is_empty() {
            output.line(&format!("The prompt: {}.", sequence.words))?;
        }
        if !sequence.experts.is_empty() {
            output.text(&shares_of(sequence, name).render())?;
        }
    }
    let Some(score) = why.score.filter(|_| !why.modules.is_empty()) else { return Ok(()) };
    let score: Score = score.parse().unwrap_or_default();
    output.line(&format!("\nScore at every module: {}", score.help))?;
    output.text(&modules_of(why, score, name).render())
}

/// The experts of a prompt with what was found of them.
fn shares_of(sequence: &WhySequence, name: impl Fn(usize) -> String) -> Table {
    let calibrated = sequence.experts.iter().any(|one| one.calibrated.is_some());
    let weighted = sequence.experts.iter().any(|one| one.weight.is_some());
    let mut columns = vec![("expert", Align::Left), (sequence.value, Align::Right)];
    columns.extend(calibrated.then_some(("calibrated", Align::Right)));
    columns.extend(weighted.then_some(("weight", Align::Right)));
    let mut table = Table::new(&columns);
    for one in &sequence.experts {
        let mut cells = vec![name(one.expert), fixed(one.value, 3)];
        cells.extend(one.calibrated.map(|z| fixed(z, 2)));
        cells.extend(one.weight.map(|of| weight(f64::from(of))));
        table.row(cells);
    }
    table
}

/// The first two experts of every module with what was compared.
fn modules_of(why: &Why, score: Score, name: impl Fn(usize) -> String) -> Table {
    let of = |pick: fn(&WhyExpert) -> bool| why.modules.iter().flat_map(|module| &module.experts).any(pick);
    let (calibrated, decides) = (of(|one| one.calibrated.is_some()), of(|one| one.deciding.is_some()));
    // Singular values say something where these are what is scored by.
    let spectra = score.needs <= Needs::Spectra;
    let mut numbers = vec![("weight", Align::Right), ("score", Align::Right)];
    numbers.extend(calibrated.then_some(("calibrated", Align::Right)));
    // What decides is calibrated where the scores are.
    let decider = why.decider.filter(|_| decides);
    let decider = decider.map(|id| if calibrated { format!("{id}, calibrated") } else { id.to_string() });
    numbers.extend(decider.as_deref().map(|decider| (decider, Align::Right)));
    let mut columns = vec![("module", Align::Left), ("expert", Align::Left)];
    columns.extend(numbers.iter().copied());
    columns.extend(
        spectra.then_some([("σ₁ share", Align::Right), ("σ₂/σ₁", Align::Right)]).into_iter().flatten(),
    );
    columns.push(("runner-up", Align::Left));
    columns.extend(numbers.iter().copied());
    let cells_of = |one: Option<&WhyExpert>| {
        let Some(one) = one else { return vec!["–".to_string(); 1 + numbers.len()] };
        let mut cells = vec![name(one.expert), weight(f64::from(one.weight)), fixed(f64::from(one.score), 3)];
        cells.extend(one.calibrated.map(|z| fixed(f64::from(z), 2)));
        cells.extend(one.deciding.map(|value| fixed(f64::from(value), 3)));
        cells
    };
    let mut table = Table::new(&columns);
    for WhyModule { module, experts } in &why.modules {
        let mut cells = vec![printable(module).into_owned()];
        cells.extend(cells_of(experts.first()));
        if spectra {
            let first = experts.first();
            let number = |pick: fn(&WhyExpert) -> f64| first.map_or("–".into(), |one| fixed(pick(one), 2));
            cells.extend([number(|one| one.first_share), number(|one| one.gap)]);
        }
        cells.extend(cells_of(experts.get(1)));
        table.row(cells);
    }
    table
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    router: RouterFields,
    precision: Precision,
    tokens: &'a [TraceToken],
    modules: &'a [String],
    experts: &'a [String],
    /// What the router was calibrated with, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<CalibratedWith>,
    /// [token][module], each the (expert index, weight) pairs.
    weights: Vec<Vec<&'a [(u32, f32)]>>,
    skipped: Vec<Skipped>,
    partial: Vec<Skipped>,
    /// What to know before one trusts the routing.
    warnings: Vec<RouteWarning>,
    /// Why a token's experts have their weights, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
}

/// The router as JSON has it: its id and argument, and the settings that it has, by their names in the text form; those
/// that have options of their own also by the names of these.
#[derive(Serialize)]
pub(super) struct RouterFields {
    router: String,
    #[serde(flatten)]
    shorthands: Map<String, Value>,
    settings: Map<String, Value>,
    taking_part: TakingPart,
}

/// Which experts take part in another way than the rest, by their names.
#[derive(Serialize)]
pub(super) struct TakingPart {
    muted: Vec<String>,
    pinned: Vec<String>,
    general: Vec<String>,
}

impl TakingPart {
    pub(super) fn of(config: &RouterConfig) -> Self {
        let RouterConfig { muted, pinned, general, .. } = config.clone();
        Self { muted, pinned, general }
    }
}

impl RouterFields {
    pub(super) fn new(config: &RouterConfig) -> Self {
        let value = |setting: &RouterSetting| serde_json::json!(config.values.get(setting));
        let shorthand = |setting: &&'static RouterSetting| {
            setting.shorthand.as_ref().map(|shorthand| (shorthand.field(), value(setting)))
        };
        let own = config.router.settings.iter().map(|setting| (setting.name.to_string(), value(setting)));
        Self {
            router: config.head(),
            shorthands: config.router.settings.iter().filter_map(shorthand).collect(),
            settings: own.collect(),
            taking_part: TakingPart::of(config),
        }
    }
}

/// What the session's router was calibrated with.
pub(super) fn calibrated_with(session: &Session) -> Option<CalibratedWith> {
    let (router, calibration) = (session.router(), session.calibrated()?);
    CalibratedWith::of(&calibration, std::iter::once((router.to_string(), router)))
}

/// What routers that a command resolved were calibrated with, where one of them was; says so on stderr.
pub(super) fn resolved_calibrated_with<'a>(
    session: &Session,
    routers: impl ExactSizeIterator<Item = &'a RouterConfig>,
    output: &Output,
) -> Option<CalibratedWith> {
    let several = routers.len() > 1;
    let calibration = session.last_calibration()?;
    let used = CalibratedWith::of(&calibration, routers.map(|config| (config.to_string(), config)))?;
    used.lines(several).iter().for_each(|line| output.note_once(line));
    Some(used)
}

fn document<'a>(
    library: &Catalog,
    session: &Session,
    trace: &'a Trace,
    (warnings, why): (Vec<RouteWarning>, Option<Why>),
) -> Document<'a> {
    Document {
        router: RouterFields::new(session.router()),
        precision: session.model().precision,
        tokens: &trace.tokens,
        modules: &trace.modules,
        experts: &trace.experts,
        calibration: calibrated_with(session),
        weights: (0..trace.tokens.len())
            .map(|t| (0..trace.modules.len()).map(|m| trace.weights(t, m)).collect())
            .collect(),
        skipped: left_out(library, session),
        partial: partial(library, session),
        warnings,
        why,
    }
}

/// Shares per expert, then the heaviest expert of every token.
fn table(session: &Session, trace: &Trace, output: &Output) -> Result<()> {
    if trace.width() == 0 || trace.modules.is_empty() || !session.router().is_weighted() {
        return output
            .line(&format!("{}; the base model routes nothing", counted(trace.tokens.len(), "token")));
    }
    let totals = trace.totals(|_| true);
    let mut order: Vec<usize> = (0..totals.len()).collect();
    order.sort_by(|&a, &b| totals[b].total_cmp(&totals[a]));
    let mut shares = Table::new(&[("expert", Align::Left), ("share", Align::Right)]);
    for e in order.into_iter().filter(|&e| totals[e] > 0.0) {
        shares.row([printable(&trace.experts[e]).into_owned(), share(totals[e])]);
    }
    if totals.iter().any(|&share| share > 0.0) {
        output.text(&shares.render())?;
        output.line("")?;
    }
    let mut tokens =
        Table::new(&[("token", Align::Left), ("heaviest expert", Align::Left), ("weight", Align::Right)]);
    for t in 0..trace.tokens.len() {
        let mut sums = vec![0f64; trace.experts.len()];
        for m in 0..trace.modules.len() {
            trace.weights(t, m).iter().for_each(|&(e, w)| sums[e as usize] += f64::from(w));
        }
        let best = (0..sums.len()).max_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap_or(0);
        let text = match trace.tokens[t].text.as_str() {
            "" => format!("#{}", trace.tokens[t].id),
            text => printable(text).into_owned(),
        };
        let mean = sums[best] / trace.modules.len() as f64;
        tokens.row([text, heaviest(&sums, &trace.experts), weight(mean)]);
    }
    output.text(&tokens.render())
}

/// The expert with the largest sum of weights; none where all have the same.
fn heaviest(sums: &[f64], experts: &[String]) -> String {
    let best = (0..sums.len()).max_by(|&a, &b| sums[a].total_cmp(&sums[b]));
    let equal = sums.len() > 1 && sums.iter().all(|&sum| (sum - sums[0]).abs() <= 1e-6 * sums[0].abs());
    match best {
        Some(best) if !equal && sums[best] > 0.0 => printable(&experts[best]).into_owned(),
        _ => "–".into(),
    }
}

/// `logits` [tokens, vocabulary] and, for Arrow, `weights.<module>` [tokens, experts].
fn save(path: &Path, logits: &Tensor, trace: &Trace, weights: bool) -> Result<()> {
    let (rows, vocab) = logits.dims2()?;
    let values = logits.flatten_all()?.to_vec1::<f32>()?;
    let experts = trace.experts.len();
    let dense = |m: usize| {
        let mut dense = vec![0f32; rows * experts];
        for t in 0..rows {
            for &(e, w) in trace.weights(t, m) {
                dense[t * experts + e as usize] = w;
            }
        }
        dense
    };
    let modules: Vec<(String, Vec<f32>)> = if weights {
        trace.modules.iter().enumerate().map(|(m, name)| (format!("weights.{name}"), dense(m))).collect()
    } else {
        Vec::new()
    };
    let (all, shape) = ([rows, vocab], [rows, experts]);
    let mut tensors = vec![NamedTensor { name: "logits", shape: &all, values: &values }];
    tensors.extend(modules.iter().map(|(name, values)| NamedTensor { name, shape: &shape, values }));
    save_tensors(path, &tensors, &trace.experts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::settings;

    #[test]
    fn the_settings_of_every_router_are_in_json() {
        for router in crate::routing::ROUTERS {
            let json = serde_json::to_value(RouterFields::new(&RouterConfig::of(router))).unwrap();
            let names: Vec<&str> = json["settings"].as_object().unwrap().keys().map(String::as_str).collect();
            assert!(names.iter().eq(router.settings.iter().map(|setting| &setting.name)), "{json}");
            // A setting that it does not have is not shown, wherever it would stand.
            for setting in settings() {
                let Some(shorthand) = &setting.shorthand else { continue };
                let told = json.get(shorthand.field());
                assert_eq!(told, json["settings"].get(setting.name), "{json}");
                assert_eq!(told.is_some(), router.has(setting), "{json}");
            }
        }
        let arrow = "arrow:k=5:mix=factors:tied".parse().unwrap();
        let json = serde_json::to_string(&RouterFields::new(&arrow)).unwrap();
        let expected = concat!(
            r#"{"router":"arrow","top_k":5,"temperature":1.0,"mix":"factors","tie_qkv":true,"#,
            r#""settings":{"k":5,"temperature":1.0,"calibrated":false,"prior":0.0,"sharpness":1.0,"mix":"factors","#,
            r#""tied":true},"taking_part":{"muted":[],"pinned":[],"general":[]}}"#
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn equal_weights_have_no_heaviest_expert() {
        let names = ["a".to_string(), "b".to_string()];
        assert_eq!(heaviest(&[0.5, 0.5], &names), "–");
        assert_eq!(heaviest(&[0.0, 0.0], &names), "–");
        assert_eq!(heaviest(&[0.2, 0.8], &names), "b");
        assert_eq!(heaviest(&[1.0], &names[..1]), "a");
    }
}
