//! Which base model belongs to a library, and where it is on this machine.

use std::path::{Path, PathBuf};

use super::cache;
use crate::library::gguf::{first_part, model_in};
use crate::library::{BaseSpec, Expert};
use crate::module_path::ModulePath;
use crate::text::short;
use crate::{Error, Result};

/// Where the base model of a library is.
#[derive(Clone, Debug, PartialEq)]
pub enum BaseLocation {
    /// A `.gguf` file (the first of several parts) or a transformers folder on this machine.
    Found {
        /// The file or folder.
        path: PathBuf,
        /// For people.
        label: String,
    },
    /// Not on this machine; [`super::fetch_base`] would try to get it.
    Missing {
        /// Where it can be got.
        spec: BaseSpec,
        /// For people.
        label: String,
    },
}

/// Finds the base model of the library at `root` without touching the network: the one that the person has
/// `chosen`, else the one `described` in `library.toml`, else a local or cached `base_model_name_or_path` of the
/// experts that belong together ([`Expert::incomparable`]), else the default if its shapes fit.
///
/// # Errors
/// When a path that the person or `library.toml` gives is no model or has the wrong SHA-256, or when
/// nothing on this machine fits the experts.
pub fn locate_base(
    root: &Path,
    described: Option<&BaseSpec>,
    experts: &[Expert],
    chosen: Option<&Path>,
) -> Result<BaseLocation> {
    if let Some(path) = chosen {
        return Ok(found(&check_model(path)?));
    }
    if let Some(spec) = described {
        return locate_described(spec, root);
    }
    let comparable = || experts.iter().filter(|expert| expert.incomparable().is_none());
    let names = base_names(comparable());
    for (name, expert) in &names {
        if let Some(path) = named_by_expert(name, expert, root) {
            return Ok(found(&first_part(&path)));
        }
    }
    let mut usable = comparable().peekable();
    if usable.peek().is_none() || usable.any(fits_default) {
        return locate_described(&BaseSpec::smollm2(), root);
    }
    let name = names.first().map_or("another base model", |(name, _)| *name);
    Err(Error::file(
        root,
        format!(
            "its experts were made for {}, which is not on this machine: give --base PATH, or a [base] \
             with path in library.toml",
            short(name)
        ),
    ))
}

fn found(path: &Path) -> BaseLocation {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().or(real.file_name()).map(|name| name.to_string_lossy().into_owned());
    BaseLocation::Found {
        path: path.to_path_buf(),
        label: name.unwrap_or_else(|| path.display().to_string()),
    }
}

/// Looks for what a manifest (or the default) describes in every place on this machine.
///
/// # Errors
/// When its path is wrong: nothing there, no model, or another SHA-256.
pub fn locate_described(spec: &BaseSpec, root: &Path) -> Result<BaseLocation> {
    if let Some(path) = &spec.path {
        let path = root.join(path);
        if path.exists() {
            let model = check_model(&path)?;
            // What it is where the path leads nowhere has a sum of its own.
            let elsewhere = spec.hub.is_some() || spec.package.is_some();
            if let Some(expected) = spec.sha256.as_deref().filter(|_| !(elsewhere && model.is_dir())) {
                if model.is_dir() {
                    let problem =
                        "is a folder, and the sha256 under [base] in library.toml is of one file: remove it";
                    return Err(Error::file(path, problem));
                }
                // Of several parts the one that was named.
                let file = if path.is_file() { &path } else { &model };
                let actual = cache::verified_sha256(file)?;
                if !actual.eq_ignore_ascii_case(expected) {
                    let problem =
                        format!("has SHA-256 {actual}, library.toml says {expected}: replace the file");
                    return Err(Error::file(path, problem));
                }
            }
            return Ok(found(&model));
        }
        if spec.hub.is_none() && spec.package.is_none() {
            return Err(Error::file(
                path,
                "there is no such base model: correct path under [base] in library.toml",
            ));
        }
    }
    let label = spec.label();
    Ok(match cache::find(spec, root) {
        Some(path) => BaseLocation::Found { path, label },
        None => BaseLocation::Missing { spec: spec.clone(), label },
    })
}

/// A path given for a model must at least look like one. Returns where the model is: for a folder with a GGUF
/// file that file, for one with parts of a model, and for each part, the first part.
pub(crate) fn check_model(path: &Path) -> Result<PathBuf> {
    let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(path, "there is no such base model"),
        _ => Error::io(path, e),
    })?;
    if !metadata.is_dir() {
        check_gguf(path)?;
        return Ok(first_part(path));
    }
    if is_model_folder(path) {
        return Ok(path.to_path_buf());
    }
    // Repositories of GGUF files often keep the original's config.json beside them.
    match model_in(path)? {
        Some(gguf) => check_gguf(&gguf).map(|()| gguf),
        None if path.join("config.json").is_file() => Ok(path.to_path_buf()),
        None => Err(Error::file(
            path,
            "has no config.json and no .gguf file: give a transformers folder or a .gguf file",
        )),
    }
}

fn check_gguf(path: &Path) -> Result<()> {
    match is_gguf(path) {
        true => Ok(()),
        false => Err(Error::file(path, "is no base model: give a transformers folder or a .gguf file")),
    }
}

fn is_gguf(path: &Path) -> bool {
    let mut magic = [0u8; 4];
    crate::outside::open_regular(path)
        .and_then(|(file, _)| crate::outside::read_exact_at(&file, &mut magic, 0))
        .is_ok_and(|()| &magic == b"GGUF")
}

/// Whether a folder has a whole model: configuration and weights.
fn is_model_folder(path: &Path) -> bool {
    path.join("config.json").is_file()
        && std::fs::read_dir(path).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let path = entry.path();
                path.extension().is_some_and(|e| e == "safetensors") && path.is_file()
            })
        })
}

/// The base models that the experts name, most frequent first, each with one expert that names it.
fn base_names<'a>(experts: impl Iterator<Item = &'a Expert>) -> Vec<(&'a str, &'a Expert)> {
    let mut names: Vec<(&'a str, &'a Expert, usize)> = Vec::new();
    for expert in experts {
        let Some(name) = expert.config.base.as_deref() else { continue };
        if let Some((_, _, count)) = names.iter_mut().find(|(known, _, _)| *known == name) {
            *count += 1;
        } else if names.len() < 32 {
            // More different bases are no library: looking for each would only take time.
            names.push((name, expert, 1));
        }
    }
    names.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
    names.into_iter().map(|(name, expert, _)| (name, expert)).collect()
}

/// Whether the base model that an expert names is on this machine.
pub(in crate::library) fn names_local_base(expert: &Expert, root: &Path) -> bool {
    expert.config.base.as_deref().is_some_and(|name| named_by_expert(name, expert, root).is_some())
}

/// Whether the base model at `path` is the one that an expert names.
pub fn names_base(expert: &Expert, root: &Path, path: &Path) -> bool {
    let named = expert.config.base.as_deref().and_then(|name| named_by_expert(name, expert, root));
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    named.is_some_and(|named| real(&first_part(&named)) == real(path))
}

/// A local path, or a cached hub repository. What only an adapter names is never downloaded.
fn named_by_expert(name: &str, expert: &Expert, root: &Path) -> Option<PathBuf> {
    let usable = |path: &PathBuf| is_model_folder(path) || path.is_file() && is_gguf(path);
    let places = [expert.path.join(name), root.join(name), PathBuf::from(name)];
    let local = places.into_iter().find(usable);
    let revision = expert.config.revision.as_deref().unwrap_or("main");
    local.or_else(|| cache::cached_repository(name, revision).filter(|path| is_model_folder(path)))
}

/// Whether at least the layers of one expert have the sizes of the default base, SmolLM2-135M.
pub(in crate::library) fn fits_default(expert: &Expert) -> bool {
    const LAYERS: usize = 30;
    !expert.modules.is_empty()
        && expert.modules.iter().all(|m| {
            let Some(("model.layers", layer, part)) = ModulePath::new(&m.module).in_layer() else {
                return false;
            };
            let sizes = match part {
                "self_attn.q_proj" | "self_attn.o_proj" => (576, 576),
                "self_attn.k_proj" | "self_attn.v_proj" => (576, 192),
                "mlp.gate_proj" | "mlp.up_proj" => (576, 1536),
                "mlp.down_proj" => (1536, 576),
                _ => return false,
            };
            layer < LAYERS && sizes == (m.in_features, m.out_features)
        })
}
