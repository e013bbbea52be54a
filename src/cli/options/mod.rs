//! Options that several commands share.

mod choice;
mod job;
mod router;
mod settings;
mod training;

use std::path::PathBuf;

pub use choice::choice;
pub use job::{AS_JOB, GivenJob, JobArgs, More};
pub use router::help_beside_a_list;
use router::{RouterParser, Shorthands};
pub use settings::{Options, Table};
pub use training::{RowsShown, show, trained};

use super::output::Output;
use crate::catalog::Catalog;
use crate::eval::ChosenPrompts;
use crate::library::Library;
use crate::model::Precision;
use crate::named::{find_name, split_names};
use crate::routing::{Part, Prompt, ROUTERS, RouterConfig, Session};
use crate::settings::NON_NEGATIVE;
use crate::{Error, Result};

/// A library whose experts are looked at without running them.
#[derive(Clone, Debug, clap::Args)]
pub struct LibraryArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    /// Base model that the experts have to fit: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
}

impl LibraryArgs {
    /// Reads the library.
    ///
    /// # Errors
    /// As [`Catalog::open`].
    pub(super) fn open(&self) -> Result<Catalog> {
        Catalog::open(&self.library, self.base.as_deref())
    }

    /// Reads the library and compares its experts with the base model that they would run on, where it is on this machine.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn open_compared(&self) -> Result<Catalog> {
        let mut catalog = self.open()?;
        catalog.compare_with_base();
        Ok(catalog)
    }
}

/// Where the base model is and how it runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BaseArgs {
    /// Base model: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    /// Where and in which precision.
    #[command(flatten)]
    pub run: RunArgs,
}

/// How the model runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunArgs {
    /// Where to compute: auto, cpu, cuda:N or metal
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub device: String,
    /// Precision of the base model's weights [default: q8 in the TUI and for generate, else f32]
    #[arg(long, value_parser = choice::<Precision>())]
    pub precision: Option<Precision>,
}

/// What to run through the model.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("text").required(true).args(["prompt", "tokens"])))]
pub struct PromptArgs {
    /// Text; fills the library's prompt template as its instruction
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Take the text as it is, without the template
    #[arg(long, requires = "prompt")]
    pub raw: bool,
    /// Token ids instead of text
    #[arg(long, value_name = "1,2,3", value_delimiter = ',', value_parser = parse_trimmed::<u32>)]
    pub tokens: Vec<u32>,
}

impl PromptArgs {
    /// Whether there is a prompt, which is known before anything is loaded.
    ///
    /// # Errors
    /// A usage error where the text is empty.
    pub(super) fn check(&self) -> Result<()> {
        match self.prompt.as_deref().map(str::trim) {
            Some("") => Err(crate::Error::usage("the prompt is empty: --prompt needs a text")),
            _ => Ok(()),
        }
    }

    /// The prompt in tokens.
    pub(super) fn read(&self, session: &Session) -> Result<Prompt> {
        match &self.prompt {
            Some(text) => session.prompt(text, self.raw),
            None => Ok(Prompt { ids: self.tokens.clone(), parts: vec![Part::Prompt; self.tokens.len()] }),
        }
    }
}

/// Which router, with which settings.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RouterArgs {
    /// `--router`.
    #[arg(long, value_parser = RouterParser, help = router::help(), long_help = router::long_help())]
    pub router: Option<RouterConfig>,
    /// Settings that have options of their own.
    #[command(flatten)]
    pub shorthands: Shorthands,
    /// Give these experts no weight
    #[arg(long, value_name = "EXPERT", num_args = 1..)]
    pub mute: Vec<String>,
    /// Keep these experts among the top k, whatever their scores
    #[arg(long, value_name = "EXPERT", num_args = 1..)]
    pub pin: Vec<String>,
    /// Subtract the mean of these general experts from all others (GenKnowSub)
    #[arg(long, value_name = "EXPERT", num_args = 1..)]
    pub general: Vec<String>,
    /// Prompts that calibrated routers are calibrated with: a file with lines {"prompt": "…"} or {"tokens": [1, 2, …]}
    /// [default: those of `calibrate`, else the experts' own validation prompts, else general ones]
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// Tasks to calibrate with, where a command has an option for them.
    #[arg(skip)]
    pub calibration_tasks: Option<PathBuf>,
    /// The routers to which these options apply, where a command has others than `--router`.
    #[arg(skip)]
    pub among: Option<Vec<RouterConfig>>,
}

impl RouterArgs {
    /// The prompts that were chosen to calibrate with, read once so that a wrong file is reported before anything is
    /// loaded.
    ///
    /// # Errors
    /// As [`ChosenPrompts::read`].
    pub(super) fn chosen_prompts(&self) -> Result<Option<ChosenPrompts>> {
        let tasks = || self.calibration_tasks.clone().map(ChosenPrompts::Tasks);
        let chosen = self.calibration.clone().map(ChosenPrompts::Prompts).or_else(tasks);
        if let Some(chosen) = &chosen {
            chosen.read()?;
        }
        Ok(chosen)
    }
}

/// The routers of a `--routers` option: several in one text with commas between, of which one may belong to the name of an
/// expert of `library`.
///
/// # Errors
/// A text that is no router; none at all.
pub(super) fn routers(library: &Library, texts: &[String]) -> Result<Vec<RouterConfig>> {
    let known = |name: &str| find_name(library.experts.iter().map(|e| e.name.as_str()), name).is_some();
    let is_router = |text: &str| {
        let read = text.parse::<RouterConfig>();
        read.is_ok_and(|config| !config.router.names_expert() || known(&config.argument))
    };
    let all: Vec<RouterConfig> =
        texts.iter().flat_map(|text| split_names(text, is_router)).map(str::parse).collect::<Result<_>>()?;
    match all.is_empty() {
        true => Err(Error::usage(
            "--routers names no router: give some with commas between, such as arrow,uniform",
        )),
        false => Ok(all),
    }
}

/// What can be said of such routers before the library is open, which knows the names of experts.
///
/// # Errors
/// As [`routers`].
pub(super) fn check_routers(texts: &[String]) -> Result<()> {
    let names_one = |text: &String| {
        ROUTERS.iter().any(|router| router.names_expert() && text.contains(&format!("{}:", router.id)))
    };
    match routers(&Library::default(), texts) {
        Err(Error::Usage(_)) if texts.iter().any(names_one) => Ok(()),
        read => read.map(drop),
    }
}

/// Each router once: of those that do the same, as `of` completes them, the first.
pub(super) fn distinct(
    routers: Vec<RouterConfig>,
    of: impl Fn(&RouterConfig) -> RouterConfig,
    output: &Output,
) -> Vec<RouterConfig> {
    let mut kept: Vec<(RouterConfig, RouterConfig)> = Vec::with_capacity(routers.len());
    for router in routers {
        let whole = of(&router);
        match kept.iter().find(|(_, other)| other.does_as(&whole)) {
            Some((first, _)) if *first == router => output.note_once(&format!("{router} is named twice")),
            Some((first, _)) => {
                output.note_once(&format!("{router} is left out: it does the same as {first}"))
            }
            None => kept.push((router, whole)),
        }
    }
    kept.into_iter().map(|(router, _)| router).collect()
}

/// Reads a member of a list, which may have blanks around it.
pub(super) fn parse_trimmed<T: std::str::FromStr>(text: &str) -> std::result::Result<T, T::Err> {
    text.trim().parse()
}

/// Checks `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
fn parse_device(text: &str) -> std::result::Result<String, String> {
    if crate::model::is_device(text) {
        Ok(text.to_string())
    } else {
        Err("expected auto, cpu, cuda:N or metal".into())
    }
}

/// Reads a finite number of at least 0.
pub(super) fn parse_non_negative(text: &str) -> std::result::Result<f64, String> {
    NON_NEGATIVE.parse(text).map_err(|wanted| format!("must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_checked_early() {
        assert!(["auto", "cpu", "cuda", "cuda:1", "metal"].iter().all(|device| parse_device(device).is_ok()));
        assert!(["gpu", "cuda:", "cuda:x", ""].iter().all(|device| parse_device(device).is_err()));
    }
}
