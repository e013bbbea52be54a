//! Finding the experts below a folder.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;

use super::formats::{Format, companion, has_weights, is_expert, is_expert_file, is_shard, watched};
use super::inspect::inspect;
use super::left_out::{self, may_hold_lora, odd_entry, stray_lora};
use super::{Expert, Manifest};
use crate::outside::io_reason;
use crate::{Error, Result};

/// Experts lie at most this many folders below the library.
const MAX_DEPTH: usize = 3;

/// A folder or file still to be looked at, with its name below the library.
struct Place {
    path: PathBuf,
    name: String,
}

enum Found {
    /// An expert, and others that lie in its folder.
    Expert(Box<Expert>, Listing),
    Inside(Listing),
    /// A file that is none, for this reason.
    Stray(String, &'static str),
    Nothing,
    /// A folder or file below the library that cannot be read.
    Unreadable(String),
}

/// What in a folder may be or contain experts, each sorted by name.
#[derive(Default)]
struct Listing {
    folders: Vec<Place>,
    files: Vec<Place>,
    /// Files that may contain LoRA and be no experts.
    strays: Vec<Place>,
    /// Entries that are neither folders nor files, and what they are.
    odd: Vec<(String, &'static str)>,
}

impl Listing {
    /// What in the folder of an expert may be further ones: PEFT writes several adapters of a model into folders by
    /// their names, the default one above them. Checkpoints of a training are none.
    fn below_an_expert(mut self) -> Self {
        let nested = |folder: &Place| !is_checkpoint(&folder.path) && is_expert(&folder.path);
        self.folders.retain(nested);
        Self { folders: self.folders, odd: self.odd, ..Self::default() }
    }
}

/// Whether a folder is named as trainers name checkpoints: `checkpoint-500`.
fn is_checkpoint(folder: &Path) -> bool {
    let name = folder.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let number = name.strip_prefix("checkpoint-").or_else(|| name.strip_prefix("checkpoint_"));
    number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// What a walk found: experts sorted by the bytes of their names, and warnings.
pub(super) struct Scan {
    pub experts: Vec<Expert>,
    pub warnings: Vec<String>,
}

/// Looks for experts at depth ≤ 3, and for others directly below an expert. Hidden folders, links that lead back above
/// themselves, pipes and the like are left out.
pub(super) fn scan(root: &Path) -> Result<Scan> {
    check_root(root)?;
    let mut scan = Scan { experts: Vec::new(), warnings: Vec::new() };
    let itself = || inspect(root.to_path_buf(), root_name(root), None);
    if root.is_file() {
        scan.experts.push(itself());
        return Ok(scan);
    }
    let top = Place { path: root.to_path_buf(), name: String::new() };
    let mut level = list(&top).map_err(|e| Error::io(root, e))?;
    if is_expert(root) {
        scan.experts.push(itself());
        level = level.below_an_expert();
    }
    let mut odd = std::mem::take(&mut level.odd);
    for depth in 1..=MAX_DEPTH {
        let Listing { folders, files, strays, .. } = std::mem::take(&mut level);
        let folders = folders.into_par_iter().map(|folder| look(folder, depth < MAX_DEPTH));
        let files = files.into_par_iter().map(look_at_file);
        let found: Vec<Found> =
            folders.chain(files).chain(strays.into_par_iter().map(look_at_stray)).collect();
        for found in found {
            let inside = match found {
                Found::Expert(expert, inside) => {
                    scan.experts.push(*expert);
                    inside
                }
                Found::Inside(inside) => inside,
                Found::Stray(name, reason) => {
                    odd.push((name, reason));
                    continue;
                }
                Found::Nothing => continue,
                Found::Unreadable(warning) => {
                    scan.warnings.push(warning);
                    continue;
                }
            };
            level.folders.extend(inside.folders);
            level.files.extend(inside.files);
            level.strays.extend(inside.strays);
            odd.extend(inside.odd);
        }
    }
    scan.warnings.extend(left_out::lines(&odd));
    scan.experts.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(scan)
}

fn check_root(root: &Path) -> Result<()> {
    let metadata = fs::metadata(root).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(root, "there is no such folder"),
        _ => Error::io(root, e),
    })?;
    let is_adapter = metadata.is_file() && Format::of_file(root).is_some();
    if !metadata.is_dir() && !is_adapter {
        return Err(Error::file(root, "is not a folder: a library is a folder of adapters"));
    }
    Ok(())
}

fn root_name(root: &Path) -> String {
    let real = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    real.file_name().map_or_else(|| "adapter".into(), name_of)
}

fn look(folder: Place, deeper: bool) -> Found {
    let is_expert = is_expert(&folder.path);
    let listing = match deeper {
        true => list(&folder),
        false => Ok(Listing::default()),
    };
    // A folder may be listed and yet not let anybody in: nothing in it can be looked at then.
    let listing = fs::metadata(folder.path.join(".")).and(listing);
    match listing {
        // Its own reason says why it cannot be read.
        _ if is_expert => {
            let below = listing.unwrap_or_default().below_an_expert();
            Found::Expert(Box::new(inspect(folder.path, folder.name, None)), below)
        }
        Ok(_) if !deeper => Found::Nothing,
        Ok(listing) => Found::Inside(listing),
        Err(e) => Found::Unreadable(format!("{} was not looked at: {}", folder.name, io_reason(&e))),
    }
}

fn look_at_file(file: Place) -> Found {
    match is_expert_file(&file.path) {
        Ok(true) => Found::Expert(Box::new(inspect(file.path, file.name, None)), Listing::default()),
        Ok(false) => Found::Nothing,
        Err(reason) => Found::Unreadable(format!("{} was not looked at: it {reason}", file.name)),
    }
}

fn look_at_stray(file: Place) -> Found {
    match stray_lora(&file.path) {
        Some(reason) => Found::Stray(file.name, reason),
        None => Found::Nothing,
    }
}

/// A file's name as text. Bytes that are no UTF-8 are written as `\xff`, so that names that differ stay different.
fn name_of(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The visible folders and adapter files in a folder, links followed unless they lead to a folder above.
fn list(folder: &Place) -> std::io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(&folder.path)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let name = name_of(&file_name);
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type()?;
        let is_folder = kind.is_dir() || kind.is_symlink() && path.is_dir() && !leads_up(&path);
        let name = match folder.name.as_str() {
            "" => name,
            above => format!("{above}/{name}"),
        };
        if is_folder {
            listing.folders.push(Place { path, name });
        } else if let Some(what) = odd_entry(&path, kind) {
            listing.odd.push((name, what));
        } else if Format::of_file(&path).is_some() {
            listing.files.push(Place { path, name });
        } else if may_hold_lora(&path) {
            listing.strays.push(Place { path, name });
        }
    }
    listing.odd.sort();
    for places in [&mut listing.folders, &mut listing.files, &mut listing.strays] {
        places.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    }
    Ok(listing)
}

/// Whether a link points at one of the folders it lies in.
fn leads_up(link: &Path) -> bool {
    match (fs::canonicalize(link), link.parent().map(fs::canonicalize)) {
        (Ok(target), Some(Ok(folder))) => folder.starts_with(target),
        _ => true,
    }
}

/// How a library stood on disk: two are equal where names, sizes and times of the files of all experts and of
/// the manifest are.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    value: u64,
    /// The manifest, the folders that experts may come to and go from, and experts without their weights yet.
    places: Vec<PathBuf>,
    /// Of the times of `places`.
    glance: u64,
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Fingerprint {}

impl Fingerprint {
    /// Whether experts came or went, or the manifest changed, since it was taken. Looks at some folders' times
    /// only, not at the experts' files: of ten thousand experts in one folder at two files.
    pub fn differs_at_a_glance(&self) -> bool {
        glance(&self.places) != self.glance
    }
}

fn glance(places: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    places.iter().for_each(|place| stamp(place).hash(&mut hasher));
    hasher.finish()
}

/// Takes a fingerprint. Reads no content.
pub(super) fn fingerprint(root: &Path) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    let mut times = DefaultHasher::new();
    let mut places = Vec::new();
    // Before a place is looked at, so that what changes meanwhile shows at the next glance.
    let mut note = |place: PathBuf| {
        stamp(&place).hash(&mut times);
        places.push(place);
    };
    note(root.join(Manifest::FILE));
    stamp(&root.join(Manifest::FILE)).hash(&mut hasher);
    stamp(root).filter(|_| root.is_file()).hash(&mut hasher);
    let mut level = vec![Place { path: root.to_path_buf(), name: String::new() }];
    for depth in 0..=MAX_DEPTH {
        let mut next = Vec::new();
        for folder in level {
            folder.name.hash(&mut hasher);
            if is_expert(&folder.path) {
                for file in watched() {
                    stamp(&folder.path.join(file)).hash(&mut hasher);
                }
                if !has_weights(&folder.path) {
                    note(folder.path.clone());
                    stamp_weights(&folder.path, &mut hasher);
                }
                if depth < MAX_DEPTH
                    && let Ok(listing) = list(&folder)
                {
                    next.extend(listing.below_an_expert().folders);
                }
                continue;
            }
            note(folder.path.clone());
            if depth < MAX_DEPTH {
                match list(&folder) {
                    Ok(listing) => {
                        for file in listing.files {
                            file.name.hash(&mut hasher);
                            stamp(&file.path).hash(&mut hasher);
                            if let Some(extension) = companion(&file.path) {
                                stamp(&file.path.with_extension(extension)).hash(&mut hasher);
                            }
                        }
                        next.extend(listing.folders);
                    }
                    Err(e) => e.kind().hash(&mut hasher),
                }
            }
        }
        level = next;
    }
    Fingerprint { value: hasher.finish(), places, glance: times.finish() }
}

/// Weights of an adapter's folder that have no fixed names: shards and files of llama.cpp.
fn stamp_weights(folder: &Path, hasher: &mut DefaultHasher) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.retain(|path| is_shard(path));
    files.sort();
    for file in files {
        stamp(&file).hash(hasher);
    }
}

/// Size and modification time in nanoseconds; `None` when there is no such file.
fn stamp(path: &Path) -> Option<(u64, u128)> {
    let metadata = fs::metadata(path).ok()?;
    let time = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), time.as_nanos()))
}
