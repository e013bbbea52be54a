//! Places on this machine where a base model may already lie, and what is known about the files there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hf_hub::{Repo, RepoType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::environment::with_environment;
use crate::library::stamp::FileStamp;
use crate::library::{BaseSpec, state_dir};
use crate::outside::{hex, make_folders, own, read_limited, sha256_file};
use crate::{Error, Result};

/// The user's cache folder of this program; `None` without a home.
pub(super) fn cache_root() -> Option<PathBuf> {
    Some(directories::ProjectDirs::from("", "", "lora-tui")?.cache_dir().to_path_buf())
}

/// Where a fetched file is kept: by its digest, under its own name.
fn slot(root: &Path, spec: &BaseSpec) -> Option<PathBuf> {
    let digest = spec.sha256.as_ref()?.to_ascii_lowercase();
    let file = spec.file.as_deref().or(spec.package_file.as_deref())?;
    let name = file.rsplit('/').next().filter(|name| !name.is_empty())?;
    Some(root.join("base").join(digest).join(name))
}

/// Where [`super::fetch_base`] puts the file: the user's cache, else the library's own state folder.
pub(super) fn destination(spec: &BaseSpec, root: &Path) -> Result<PathBuf> {
    let incomplete = || Error::msg("the base model's description names no file with its sha256");
    if let Some(cache) = cache_root() {
        let path = slot(&cache, spec).ok_or_else(incomplete)?;
        if path.parent().is_some_and(|folder| make_folders(folder).is_ok()) {
            return Ok(path);
        }
    }
    let cache = state_dir(root)?.join("cache");
    let path = slot(&cache, spec).ok_or_else(incomplete)?;
    if let Some(folder) = path.parent() {
        make_folders(folder)?;
    }
    Ok(path)
}

/// A file on this machine with the digest that `spec` asks for.
pub(super) fn find(spec: &BaseSpec, root: &Path) -> Option<PathBuf> {
    // A broken file in a cache is as good as none: fetching replaces it.
    candidates(spec, root).into_iter().find(|path| is_right(path, spec))
}

/// Files on this machine that lie where the base model should, but have another digest.
pub(super) fn ignored(spec: &BaseSpec, root: &Path) -> Vec<PathBuf> {
    candidates(spec, root).into_iter().filter(|path| !is_right(path, spec)).collect()
}

fn is_right(path: &Path, spec: &BaseSpec) -> bool {
    let expected = spec.sha256.as_deref().unwrap_or_default();
    verified_sha256(path).is_ok_and(|actual| actual.eq_ignore_ascii_case(expected))
}

/// The files in the caches that should be the base model; none without a digest to check.
fn candidates(spec: &BaseSpec, root: &Path) -> Vec<PathBuf> {
    if spec.sha256.is_none() {
        return Vec::new();
    }
    let own = cache_root().and_then(|root| slot(&root, spec));
    let beside = slot(&root.join(own::STATE_DIR).join("cache"), spec);
    let hub = spec.hub.as_deref().zip(spec.file.as_deref()).and_then(|(repository, file)| {
        let revision = spec.revision.as_deref().unwrap_or("main");
        Some(cached_repository(repository, revision)?.join(file))
    });
    [own, hub, beside].into_iter().flatten().filter(|path| path.is_file()).collect()
}

/// The folder of a repository's snapshot in the Hugging Face cache, or one inside it: `owner/name`, `name` or
/// `owner/name/folder`. `revision` is a branch, tag or commit.
pub(super) fn cached_repository(repository: &str, revision: &str) -> Option<PathBuf> {
    cached_below(&with_environment(|environment| environment.hub_cache())?, repository, revision)
}

fn cached_below(cache: &Path, repository: &str, revision: &str) -> Option<PathBuf> {
    let plain = |text: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
            && !text.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    if !plain(repository) || !plain(revision) {
        return None;
    }
    let second = repository.match_indices('/').nth(1).map_or(repository.len(), |(at, _)| at);
    let (repository, inside) = repository.split_at(second);
    let repo = Repo::with_revision(repository.into(), RepoType::Model, revision.into());
    let folder = cache.join(repo.folder_name());
    let commit = match read_limited(&folder.join("refs").join(repo.revision()), 256) {
        Ok(bytes) => String::from_utf8(bytes).ok()?.trim().to_string(),
        Err(_) => revision.to_string(),
    };
    if commit.is_empty() || commit.contains("..") || commit.contains(['/', '\\']) {
        return None;
    }
    let snapshot = folder.join("snapshots").join(commit).join(inside.trim_start_matches('/'));
    snapshot.is_dir().then_some(snapshot)
}

/// Files of this size take time to read.
const WORTH_REMEMBERING: u64 = 16 << 20;

/// What was once computed about a file, good while it stands on disk as it did.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Verified {
    stamp: String,
    sha256: String,
}

/// SHA-256 of a file, remembered in the user's cache while the file does not change.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn verified_sha256(path: &Path) -> Result<String> {
    let real = fs::canonicalize(path).map_err(|e| Error::io(path, e))?;
    let metadata = fs::metadata(&real).map_err(|e| Error::io(path, e))?;
    // Small files are read as quickly as a note of them.
    let memory = cache_root().filter(|_| metadata.len() >= WORTH_REMEMBERING).map(|root| {
        let key = hex(&Sha256::digest(real.as_os_str().as_encoded_bytes()));
        root.join("verified").join(format!("{}.json", &key[..32]))
    });
    let before = FileStamp::of(&metadata);
    let stamp = format!("{before:?}");
    if let Some(memory) = &memory {
        let known = read_limited(memory, 4096).ok().and_then(|b| serde_json::from_slice::<Verified>(&b).ok());
        if let Some(known) = known.filter(|known| known.stamp == stamp) {
            return Ok(known.sha256);
        }
    }
    let sha256 = sha256_file(&real)?;
    if let Some(memory) = memory
        && fs::metadata(&real).is_ok_and(|after| FileStamp::of(&after) == before)
        && before.is_settled(SystemTime::now()) == Some(true)
    {
        remember(&memory, &Verified { stamp, sha256: sha256.clone() });
    }
    Ok(sha256)
}

/// Without this note the file is only read again next time: failing is fine.
fn remember(memory: &Path, verified: &Verified) {
    if let Some(folder) = memory.parent()
        && make_folders(folder).is_ok()
        && let Ok(text) = serde_json::to_vec(verified)
    {
        let _ = own::replace(memory, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_found_by_revision_and_folder() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--owner--name");
        for (revision, commit) in [("main", "aaaa"), ("v2", "bbbb"), ("refs/pr/7", "cccc")] {
            let reference = folder.join("refs").join(revision);
            fs::create_dir_all(reference.parent().unwrap()).unwrap();
            fs::write(reference, commit).unwrap();
            fs::create_dir_all(folder.join("snapshots").join(commit).join("sub")).unwrap();
        }
        let find = |name: &str, revision: &str| {
            let found = cached_below(cache.path(), name, revision)?;
            Some(found.strip_prefix(folder.join("snapshots")).unwrap().to_str().unwrap().to_string())
        };
        for (name, revision, expected) in [
            ("owner/name", "main", Some("aaaa")),
            ("owner/name", "v2", Some("bbbb")),
            ("owner/name", "refs/pr/7", Some("cccc")),
            ("owner/name", "bbbb", Some("bbbb")),
            ("owner/name/sub", "v2", Some("bbbb/sub")),
            ("owner/name/none", "v2", None),
            ("owner/name", "v3", None),
            ("owner/../name", "main", None),
            ("owner/name/..", "main", None),
            ("owner/name", "../refs/main", None),
        ] {
            assert_eq!(find(name, revision).as_deref(), expected, "{name} {revision}");
        }
    }
}
