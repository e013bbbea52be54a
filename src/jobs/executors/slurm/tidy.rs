//! The folders of submissions go with their jobs.

use std::path::Path;
use std::time::Duration;

use super::poll;
use super::record::PREFIX;
use super::submit::{COMMANDS, FOLDER, MANIFEST, folder};
use crate::jobs::executors::Handle;
use crate::jobs::manifest::Manifest;
use crate::outside::{own, remove_whole};

/// Largest file of commands that is read.
const MAX_COMMANDS: u64 = 1 << 20;

/// Removes the folders of submissions that nobody needs: none of their jobs is there any more, or all of them were handed
/// over again, and Slurm says that no task of them may still run. Where it does not answer, they stay until it does.
pub fn tidy(jobs: &Path, poll: Duration) {
    let Ok(entries) = std::fs::read_dir(jobs.join(FOLDER)) else { return };
    for entry in entries.flatten() {
        if let Some(token) = entry.file_name().to_str()
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && is_over(jobs, token, poll)
        {
            // What cannot be removed now stays for the next time.
            let _ = remove_whole(&folder(jobs, token));
        }
    }
}

fn is_over(jobs: &Path, token: &str, poll: Duration) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !token.starts_with(PREFIX) || !token.bytes().all(fine) {
        return false;
    }
    let folder = folder(jobs, token);
    // One without is being made, or is not ours.
    let Ok(manifest) = Manifest::read(&folder.join(MANIFEST)) else { return false };
    let mut ids = manifest.tasks.iter().flatten();
    if manifest.head.token != token || ids.any(|id| is_of(&jobs.join(id), token)) {
        return false;
    }
    let commands = own::read(&folder.join(COMMANDS), MAX_COMMANDS).ok().flatten();
    let Some(commands) = commands else { return false };
    clusters(&String::from_utf8_lossy(&commands)).all(|cluster| !poll::may_run(cluster, poll, token))
}

/// Whether a job is one of this submission, or may be: while it is handed over, it is of none yet.
fn is_of(job: &Path, token: &str) -> bool {
    job.symlink_metadata().is_ok()
        && Handle::read(job).map_or(true, |handle| handle.token.is_empty() || handle.token == token)
}

/// The clusters that a command was for; that of Slurm's commands is called nothing.
fn clusters(commands: &str) -> impl Iterator<Item = &str> {
    let named = commands.split_once("--clusters=").map_or("", |(_, rest)| rest);
    let end = named.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.,".contains(c));
    named.get(..end.unwrap_or(named.len())).unwrap_or_default().split(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clusters_of_a_command_are_found() {
        let of = |text: &str| clusters(text).map(String::from).collect::<Vec<_>>();
        assert_eq!(of("sbatch --parsable x.sh\n"), [""]);
        assert_eq!(of("sbatch --clusters=near,far-2 '/a b/x.sh'\n"), ["near", "far-2"]);
        assert_eq!(of("sbatch --clusters=far"), ["far"]);
    }
}
