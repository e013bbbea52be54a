//! One expert as found on disk: configuration, tensor shapes and provenance, without its weights.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::formats::peft::config::Selection;
use super::formats::{BaseTraits, Format, file_name};
use super::shortfall::{Lacks, Shortfall};
use super::{AdapterConfig, Learned, Provenance, SeenTask};
use crate::Error;
use crate::module_path::ModuleNames;

/// Whether an expert can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything in it is understood.
    #[default]
    Ok,
    /// Usable, but part of it is not applied, or not by every router; `reason` says what.
    Partial,
    /// Cannot be used; `reason` says why.
    Bad,
}

/// Whether an expert can be used, and why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Everything in it is understood.
    #[default]
    Whole,
    /// Usable in part.
    Partial(Shortfall),
    /// Made for another base model than most experts of the library, or than the chosen one. It can still be routed
    /// on its own base, wholly or in part.
    Misfit {
        /// Which layer does not fit, for people.
        why: String,
        /// What of it is not applied on its own base.
        partial: Option<Shortfall>,
    },
    /// Cannot be used before the base model is known.
    NeedsBase {
        /// Why the base model is needed.
        reason: String,
    },
    /// Cannot be used.
    Bad {
        /// What is wrong with it.
        reason: String,
    },
}

/// Shape of one LoRA pair. The tensors say the rank; the configuration only the scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModuleShape {
    /// Transformers path of the linear layer: `model.layers.3.self_attn.q_proj`; or of the embedding.
    pub module: String,
    /// What its file calls the layer, where that is another name: `model.language_model.layers.3.self_attn.q_proj`.
    pub file_name: Option<Box<str>>,
    /// The layer is the embedding: its input is a one-hot token, `in_features` is the vocabulary.
    pub embedding: bool,
    /// Rows of A.
    pub rank: usize,
    /// Columns of A.
    pub in_features: usize,
    /// Rows of B.
    pub out_features: usize,
    /// s = α/r, or α/√r with rsLoRA.
    pub scale: f64,
    /// DoRA whose magnitude is not in the file: it is what it was before the training, the lengths of the base
    /// model's weights.
    pub initial_magnitude: bool,
}

/// A parameter of the base model that an expert replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplacedShape {
    /// The parameter's transformers name: `lm_head.weight`.
    pub name: String,
    /// One or two dimensions.
    pub shape: Vec<usize>,
    /// PEFT writes the base model's embedding along when it is adapted: usually nothing was changed.
    pub copy: bool,
}

/// Rows of an embedding or a head that were trained for single tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokensShape {
    /// Transformers path of the embedding or head.
    pub module: String,
    /// The tokens, one per row.
    pub ids: Vec<u32>,
    /// Length of a row.
    pub width: usize,
}

impl ModuleShape {
    /// Both names of the layer.
    pub fn names(&self) -> ModuleNames<'_> {
        ModuleNames::new(&self.module, self.file_name.as_deref())
    }
}

/// One folder with an `adapter_config.json`.
#[derive(Clone, Debug, Default)]
pub struct Expert {
    /// Path below the library, `/` between components; what people type. Not yet made printable.
    pub name: String,
    /// Its folder or file.
    pub path: PathBuf,
    /// Whether it can be used, and why not.
    pub standing: Standing,
    /// The fields of its configuration that matter.
    pub config: AdapterConfig,
    /// How it is stored.
    pub format: Format,
    /// LoRA pairs sorted by module path (natural order of layer numbers).
    pub modules: Vec<ModuleShape>,
    /// Parameters of the base model that it replaces, sorted by name.
    pub replaced: Vec<ReplacedShape>,
    /// Tokens that it trains rows for, sorted by module.
    pub tokens: Vec<TokensShape>,
    /// What llama.cpp calls the architecture that it was made for, where its file says so.
    pub architecture: Option<&'static str>,
    /// Safetensors dtype of the LoRA tensors, lower case (`f16`); `mixed` when they differ.
    pub dtype: String,
    /// Number of LoRA parameters.
    pub parameters: u64,
    /// Bytes of the weights, over all files.
    pub bytes: u64,
    /// Modification time of the weights file.
    pub modified: Option<std::time::SystemTime>,
    /// `expert.toml`, where there is one.
    pub provenance: Option<Provenance>,
    /// Things worth knowing that do not keep it from being used.
    pub warnings: Vec<String>,
    /// Which modules its configuration adapts.
    pub selection: Option<Arc<Selection>>,
    /// What of the base model it was read with, where it needs that.
    pub base: Option<BaseTraits>,
    /// What its shortfall is made of.
    pub lacks: Arc<Lacks>,
}

impl Expert {
    /// All that it has learned, as its provenance says: one that says nothing has its own name to say it.
    pub fn learned(&self) -> impl Iterator<Item = Learned<'_>> {
        let known = self.provenance.as_ref();
        let own = self.name.rsplit('/').next().filter(|_| known.is_none_or(Provenance::is_silent));
        let own = own.map(|name| Learned { task: Some(name), ..Learned::default() });
        known.into_iter().flat_map(Provenance::learned).chain(own)
    }

    /// All that experts have learned, each once, in order: what is made of them has seen it before.
    pub fn learned_by<'a>(all: impl IntoIterator<Item = &'a Self>) -> Vec<SeenTask> {
        let mut seen: Vec<SeenTask> = all.into_iter().flat_map(Self::learned).map(SeenTask::from).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// Whether it can be used, wholly or in part.
    pub fn is_usable(&self) -> bool {
        self.status() != Status::Bad
    }

    /// What it is worth by itself, on its own base model.
    pub fn status(&self) -> Status {
        match &self.standing {
            Standing::Whole | Standing::Misfit { partial: None, .. } => Status::Ok,
            Standing::Partial(_) | Standing::Misfit { partial: Some(_), .. } => Status::Partial,
            Standing::NeedsBase { .. } | Standing::Bad { .. } => Status::Bad,
        }
    }

    /// What it is worth in its library: one made for another base model than the rest is of no use there, though it
    /// may be with `--base`.
    pub fn status_here(&self) -> Status {
        if self.misfit().is_some() { Status::Bad } else { self.status() }
    }

    /// Why it is partial or bad by itself.
    pub fn reason(&self) -> Option<&str> {
        match &self.standing {
            Standing::Whole | Standing::Misfit { partial: None, .. } => None,
            Standing::Partial(shortfall) | Standing::Misfit { partial: Some(shortfall), .. } => {
                Some(&shortfall.reason)
            }
            Standing::NeedsBase { reason } | Standing::Bad { reason } => Some(reason),
        }
    }

    /// Why it is partial or bad in its library.
    pub fn reason_here(&self) -> Option<&str> {
        self.misfit().or(self.reason())
    }

    /// Why it cannot be compared with the library's other experts: it was made for another base model.
    pub fn misfit(&self) -> Option<&str> {
        match &self.standing {
            Standing::Misfit { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Whether it is bad only because the base model is not known: see [`super::Library::use_base`].
    pub fn needs_base(&self) -> bool {
        matches!(self.standing, Standing::NeedsBase { .. })
    }

    /// Whether the base model decides what its weights are.
    pub fn depends_on_base(&self) -> bool {
        self.needs_base() || self.base.is_some() || self.selection.as_ref().is_some_and(|s| s.tied)
    }

    /// Makes it bad because of what kept its weights from being read.
    pub fn set_unreadable(&mut self, error: Error) {
        self.set_bad(Self::unreadable(error));
    }

    /// Makes it bad for this reason.
    pub(super) fn set_bad(&mut self, reason: String) {
        self.standing = Standing::Bad { reason };
    }

    /// Why its weights cannot be read, in words.
    pub(super) fn unreadable(error: Error) -> String {
        match error {
            // As all reasons, without the folder, which is the expert's.
            Error::File { path, problem } | Error::NotFinite { path, problem } => {
                format!("{} {problem}", file_name(&path))
            }
            other => other.to_string(),
        }
    }

    /// Says of a usable expert which of its copies of the base model's weights differ from these, if any do.
    pub fn set_differing(&mut self, copies: &[String]) {
        if copies.is_empty() {
            return;
        }
        let shortfall = match &mut self.standing {
            Standing::NeedsBase { .. } | Standing::Bad { .. } => return,
            Standing::Misfit { partial, .. } => partial.get_or_insert_default(),
            Standing::Partial(shortfall) => shortfall,
            whole @ Standing::Whole => {
                *whole = Standing::Partial(Shortfall::default());
                let Standing::Partial(shortfall) = whole else { return };
                shortfall
            }
        };
        let before = match (&self.lacks.unrouted, shortfall.reason.is_empty()) {
            (_, true) => "not applied by Arrow: ",
            (Some(_), _) => ", ",
            (None, _) => "; not applied by Arrow: ",
        };
        shortfall.reason += &format!("{before}{}", copies.join(", "));
    }

    /// Makes a usable expert a misfit, or takes that back. A bad one stays bad.
    pub fn set_misfit(&mut self, why: Option<String>) {
        let partial = match std::mem::take(&mut self.standing) {
            Standing::Whole => None,
            Standing::Partial(shortfall) => Some(shortfall),
            Standing::Misfit { partial, .. } => partial,
            bad @ (Standing::NeedsBase { .. } | Standing::Bad { .. }) => {
                self.standing = bad;
                return;
            }
        };
        self.standing = match (why, partial) {
            (Some(why), partial) => Standing::Misfit { why, partial },
            (None, Some(shortfall)) => Standing::Partial(shortfall),
            (None, None) => Standing::Whole,
        };
    }

    /// Says anew what of a usable expert is not applied, with what only the base model shows (`shown`), where that is
    /// known.
    pub(super) fn set_lacking(&mut self, shown: Option<Vec<String>>) {
        let new = self.lacks.shortfall(shown);
        match &mut self.standing {
            Standing::Misfit { partial, .. } => *partial = new,
            Standing::NeedsBase { .. } | Standing::Bad { .. } => {}
            usable => *usable = new.map_or(Standing::Whole, Standing::Partial),
        }
    }

    /// What of it is not applied, with weights per token and module (`routed`) or without; nothing for an
    /// expert that is applied as a whole.
    pub fn not_applied(&self, routed: bool) -> Option<&str> {
        let (Standing::Partial(shortfall) | Standing::Misfit { partial: Some(shortfall), .. }) =
            &self.standing
        else {
            return None;
        };
        if routed { Some(&shortfall.reason) } else { shortfall.unapplied.as_deref() }
    }

    /// Why it must be left out of a comparison with the library's other experts, if it must.
    pub fn incomparable(&self) -> Option<&str> {
        match &self.standing {
            Standing::Whole | Standing::Partial(_) => None,
            Standing::Misfit { .. } | Standing::NeedsBase { .. } | Standing::Bad { .. } => self.reason_here(),
        }
    }

    /// Smallest and largest rank over the modules; `None` for an expert without modules.
    pub fn rank_range(&self) -> Option<(usize, usize)> {
        let ranks = self.modules.iter().map(|m| m.rank);
        Some((ranks.clone().min()?, ranks.max()?))
    }
}
