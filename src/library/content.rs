//! What a model or an adapter is by its content, wherever it lies.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::base::verified_sha256;
use super::formats::{companion, watched};
use super::{Provenance, gguf};
use crate::outside::hex;
use crate::{Error, Result};

/// SHA-256 of a model or an adapter: of its file, or, where there are several, of the names and digests of its
/// configuration and its weights. Digests of large files are remembered while they do not change.
///
/// # Errors
/// What cannot be read; a folder without such files.
pub(crate) fn content_sha256(path: &Path) -> Result<String> {
    let mut files = match path.is_dir() {
        true => files_of(path)?,
        false => gguf::parts(path),
    };
    // Some formats keep the scale beside the weights.
    let beside = companion(path).map(|extension| path.with_extension(extension));
    files.extend(beside.filter(|beside| beside.is_file()));
    if let [file] = files.as_slice() {
        return verified_sha256(file);
    }
    if files.is_empty() {
        return Err(Error::file(path, "has neither a configuration nor weights"));
    }
    files.sort();
    let mut all = Sha256::new();
    for file in files {
        let name = file.file_name().unwrap_or_default();
        all.update(name.as_encoded_bytes());
        all.update([0]);
        all.update(verified_sha256(&file)?);
    }
    Ok(hex(&all.finalize()))
}

/// SHA-256 of the files that a model's folder has for its tokenizer and for where its texts end; empty for a file, which
/// has all in it.
///
/// # Errors
/// What cannot be read.
pub(crate) fn tokenizer_sha256(path: &Path) -> Result<String> {
    if !path.is_dir() {
        return Ok(String::new());
    }
    let entries = fs::read_dir(path).map_err(|e| Error::io(path, e))?;
    let is_its = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let others = [
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.json",
            "merges.txt",
            "generation_config.json",
        ];
        path.is_file() && (name.starts_with("tokenizer") || others.contains(&name))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_its).collect();
    files.sort();
    let mut all = Sha256::new();
    for file in files {
        all.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        all.update([0]);
        all.update(verified_sha256(&file)?);
    }
    Ok(hex(&all.finalize()))
}

/// Configuration, weights and the list of their parts; links lead to them in hub caches.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let counts = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let weights = [".safetensors", ".gguf", ".bin", ".pt", ".ckpt", ".npz"];
        let is_config = name == "config.json" || name.starts_with("adapter_") && name.ends_with(".json");
        let is_settings = name != Provenance::FILE && watched().any(|watched| watched == name);
        !name.starts_with('.')
            && (is_config
                || is_settings
                || name.ends_with(".index.json")
                || weights.iter().any(|end| name.ends_with(end)))
            && path.is_file()
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(counts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizer_is_known_by_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("model.safetensors", "weights");
        write("tokenizer.json", "{}");
        let before = tokenizer_sha256(dir.path()).unwrap();
        write("model.safetensors", "others");
        assert_eq!(tokenizer_sha256(dir.path()).unwrap(), before);
        write("tokenizer_config.json", "{\"add_bos_token\": true}");
        assert_ne!(tokenizer_sha256(dir.path()).unwrap(), before);
        let before = tokenizer_sha256(dir.path()).unwrap();
        write("generation_config.json", "{\"eos_token_id\": 2}");
        assert_ne!(tokenizer_sha256(dir.path()).unwrap(), before);
        assert_eq!(tokenizer_sha256(&dir.path().join("model.safetensors")).unwrap(), "");
    }

    #[test]
    fn content_is_known_by_its_bytes_and_not_by_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str, files: &[(&str, &str)]| {
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            files.iter().for_each(|(file, text)| fs::write(folder.join(file), text).unwrap());
            folder
        };
        let files = [("config.json", "{}"), ("model.safetensors", "weights"), ("README.md", "one")];
        let one = content_sha256(&folder("one", &files)).unwrap();
        let same = [("config.json", "{}"), ("model.safetensors", "weights"), ("README.md", "other")];
        assert_eq!(content_sha256(&folder("same", &same)).unwrap(), one);
        for (at, (file, text)) in
            [("config.json", "{ }"), ("model.safetensors", "Weights")].iter().enumerate()
        {
            let mut other = files;
            other[at] = (file, text);
            assert_ne!(content_sha256(&folder(file, &other)).unwrap(), one);
        }
        let file = dir.path().join("one/model.safetensors");
        assert_eq!(content_sha256(&file).unwrap(), crate::outside::sha256_file(&file).unwrap());
        assert!(content_sha256(&folder("empty", &[])).is_err());
        // The scale counts, wherever it is kept.
        let member = folder("member", &[("it.ckpt", "weights"), ("it.meta", "alpha 1")]).join("it.ckpt");
        let before = content_sha256(&member).unwrap();
        fs::write(member.with_extension("meta"), "alpha 2").unwrap();
        assert_ne!(content_sha256(&member).unwrap(), before);
        let mttl = folder("mttl", &[("mttl_weights.bin", "weights"), ("mttl_config.json", "{}")]);
        let before = content_sha256(&mttl).unwrap();
        fs::write(mttl.join("mttl_config.json"), "{ }").unwrap();
        assert_ne!(content_sha256(&mttl).unwrap(), before);
        // All parts of a model count, whichever is named.
        let parts = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
        let split = folder("split", &[(parts[0], "a"), (parts[1], "b")]);
        let whole = content_sha256(&split.join(parts[0])).unwrap();
        assert_eq!(content_sha256(&split.join(parts[1])).unwrap(), whole);
        fs::write(split.join(parts[1]), "c").unwrap();
        assert_ne!(content_sha256(&split.join(parts[0])).unwrap(), whole);
    }
}
