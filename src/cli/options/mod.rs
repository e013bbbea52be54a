//! Options that several commands share.

mod choice;
mod settings;
mod training;

use std::path::PathBuf;

pub use choice::choice;
pub use training::{TrainingArgs, show};

use crate::library::{Library, Manifest};
use crate::model::{Precision, open_library};
use crate::routing::{Mix, Part, Prompt, RouterConfig, RouterKind, Session};
use crate::settings::{BELOW_ONE, NON_NEGATIVE};
use crate::{Error, Result};

/// A library whose experts are looked at without running them.
#[derive(Clone, Debug, clap::Args)]
pub struct LibraryArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Base model that the experts have to fit: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
}

impl LibraryArgs {
    /// Reads the library.
    ///
    /// # Errors
    /// As [`open_library`].
    pub(super) fn open(&self) -> Result<Library> {
        open_library(&self.library, self.base.as_deref())
    }
}

/// Where the base model is and how it runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BaseArgs {
    /// Base model: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
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
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    pub tokens: Vec<u32>,
}

impl PromptArgs {
    /// The prompt in tokens.
    pub(super) fn read(&self, session: &Session) -> Result<Prompt> {
        match &self.prompt {
            Some(text) => session.prompt(text, self.raw),
            None => Ok(Prompt { ids: self.tokens.clone(), parts: vec![Part::Prompt; self.tokens.len()] }),
        }
    }
}

/// Which router, with which settings.
#[derive(Clone, Debug, clap::Args)]
pub struct RouterArgs {
    /// arrow, uniform, uniform-factors, single:NAME or base
    #[arg(long, default_value = "arrow", value_parser = parse_router)]
    pub router: RouterKind,
    /// Experts per token and module, 0 = all [default: the library's, else 3]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Divides the scores before the softmax [default: the library's, else 1.0]
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub temperature: Option<f64>,
    /// Mix the experts' outputs or their factors
    #[arg(long, value_parser = choice::<Mix>(), default_value_t)]
    pub mix: Mix,
    /// Give these experts no weight
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub mute: Vec<String>,
    /// Keep these experts among the top k, whatever their scores
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub pin: Vec<String>,
    /// Take the mean of these general experts out of all others (GenKnowSub)
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub general: Vec<String>,
    /// q, k and v that share one A share one prototype, as mttl has it
    #[arg(long)]
    pub tie_qkv: bool,
}

impl RouterArgs {
    /// The router's settings, with the library's defaults where the command line says nothing.
    ///
    /// # Errors
    /// A usage error for a temperature that is not positive.
    pub fn config(&self, manifest: &Manifest) -> Result<RouterConfig> {
        let temperature = self.temperature.unwrap_or(manifest.router.temperature);
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(Error::usage(format!("--temperature must be positive, not {temperature}")));
        }
        Ok(RouterConfig {
            kind: self.router.clone(),
            top_k: self.top_k.unwrap_or(manifest.router.top_k),
            temperature,
            mix: self.mix,
            muted: self.mute.clone(),
            pinned: self.pin.clone(),
            general: self.general.clone(),
            tied: self.tie_qkv,
        })
    }
}

/// Reads `arrow`, `uniform`, `uniform-factors`, `single:NAME` or `base`.
fn parse_router(text: &str) -> std::result::Result<RouterKind, String> {
    match text {
        "arrow" => Ok(RouterKind::Arrow),
        "uniform" => Ok(RouterKind::Uniform),
        "uniform-factors" => Ok(RouterKind::UniformFactors),
        "base" => Ok(RouterKind::Base),
        _ => match text.strip_prefix("single:") {
            Some(name) if !name.is_empty() => Ok(RouterKind::Single(name.to_string())),
            _ => Err("expected arrow, uniform, uniform-factors, single:NAME or base".into()),
        },
    }
}

/// Checks `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
fn parse_device(text: &str) -> std::result::Result<String, String> {
    if crate::model::is_device(text) {
        Ok(text.to_string())
    } else {
        Err("expected auto, cpu, cuda:N or metal".into())
    }
}

/// Reads a sparsity: a share of entries, not all.
pub(super) fn parse_sparsity(text: &str) -> std::result::Result<f64, String> {
    BELOW_ONE.parse(text).map_err(|wanted| format!("must be {wanted}"))
}

/// Reads a finite number of at least 0.
pub(super) fn parse_non_negative(text: &str) -> std::result::Result<f64, String> {
    NON_NEGATIVE.parse(text).map_err(|wanted| format!("must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_are_read_by_name() {
        assert_eq!(parse_router("uniform-factors"), Ok(RouterKind::UniformFactors));
        assert_eq!(parse_router("single:a/b:c"), Ok(RouterKind::Single("a/b:c".into())));
        assert!(parse_router("single:").is_err() && parse_router("arow").is_err());
    }

    #[test]
    fn the_library_has_the_defaults_and_the_command_line_the_last_word() {
        let mut manifest = Manifest::default();
        manifest.router.top_k = 5;
        let args = |top_k, temperature| RouterArgs {
            router: RouterKind::Arrow,
            top_k,
            temperature,
            mix: Mix::Outputs,
            mute: Vec::new(),
            pin: Vec::new(),
            general: Vec::new(),
            tie_qkv: false,
        };
        assert_eq!(args(None, None).config(&manifest).unwrap().top_k, 5);
        assert_eq!(args(Some(0), None).config(&manifest).unwrap().top_k, 0);
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(args(None, Some(temperature)).config(&manifest), Err(Error::Usage(_))));
        }
    }

    #[test]
    fn devices_are_checked_early() {
        assert!(["auto", "cpu", "cuda", "cuda:1", "metal"].iter().all(|device| parse_device(device).is_ok()));
        assert!(["gpu", "cuda:", "cuda:x", ""].iter().all(|device| parse_device(device).is_err()));
    }
}
