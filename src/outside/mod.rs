//! Files and folders: the one place that opens, makes, locks, renames and removes them.
//!
//! What lies on a disk may come from anybody. There are two kinds of paths:
//!
//! * What a person named, or what lies in a library or a cache of models, is read through links: hub caches and
//!   libraries of symbolic links are made of them. Where it leads has to be a regular file ([`open_regular`]); pipes and
//!   devices are refused before they are opened, since they could block for ever. Each caller names the largest size
//!   that it reads as a whole ([`read_limited`], [`read_text_of`]).
//! * What the program itself names is in [`own`]: everything below a `.lora-tui`, new experts, manifests. No link is
//!   followed there, neither for the file nor for any folder from `.lora-tui` on, and nothing but regular files is
//!   opened. Locks ([`Lock`]) are never truncated; new files are made exclusively.
//!
//! Files get their names in one piece: what is being written has a name that begins with [`TEMPORARY`] (or another such
//! prefix), is locked by its writer, and is removed by [`sweep`] when no writer is left.
//!
//! A test looks for other ways to open or change files (`tests/integration/outside.rs`). Each operation here passes a
//! fault point (`fault.rs`), where the crate's own tests let it fail or end the process.

mod access;
mod counts;
mod digest;
mod fault;
mod limit;
mod lock;
mod output;
pub mod own;
mod place;
mod read;
#[cfg(test)]
mod tests;
mod unfinished;
mod write;

pub use access::{write_reason, write_refusal};
#[cfg(all(test, target_os = "linux"))]
pub(crate) use counts::testing as counting;
pub use digest::{hex, sha256_file};
pub use limit::room_for_open_files;
pub use lock::{Holder, Lock, NO_LOCKS};
pub use output::Output;
pub use read::{io_reason, open_limited, open_regular, read_exact_at, read_limited, read_text_of};
pub use unfinished::{TEMPORARY, Unfinished, UnfinishedFolder, remove_whole, sweep};
pub use write::{append_named, atomic_write, atomic_write_with, create_named, make_folders, null_device};

#[cfg(all(test, target_os = "linux"))]
pub(crate) use fault::testing as faults;
