//! Jobs are started: checked, made, and handed over, one or many.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::after::After;
use super::executors::{Batch, Handle, Refusal, ToSubmit, default_executor};
use super::hand_over::{HandedOver, Ready, by_kind, memory};
use super::job_dir::{JobDir, discard, read_spec, slug};
use super::kinds::{AnyJob, Use};
use super::layout::{GROUP, STARTS};
use super::prepared::{check_targets, prepared};
use super::{Executor, JobSummary, Jobs};
use crate::outside::{Lock, make_folders, own, room_for_open_files, sweep};
use crate::text::counted;
use crate::{Error, Result};

/// A job that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub id: String,
    /// Why nobody does it; it has then failed, and can be resumed.
    pub problem: Option<String>,
}

impl Jobs {
    /// Starts a job; gives its id. It is queued at once and survives this process.
    ///
    /// # Errors
    /// A spec that cannot work (usage), a training whose name is taken or under way, a state directory that cannot
    /// be written, a scheduler that refuses it, a worker that cannot be started (the job then stands there as failed).
    pub fn start(&self, job: &AnyJob) -> Result<String> {
        self.start_after(job, &[])
    }

    /// Starts a job that begins once the jobs `after` are all finished; until then it is queued and says for which it
    /// waits. One that failed or was cancelled keeps it waiting: it may be resumed, or the new one cancelled.
    ///
    /// # Errors
    /// As [`Self::start`]; a job of `after` that is not there.
    pub fn start_after(&self, job: &AnyJob, after: &[String]) -> Result<String> {
        let after: Vec<After> = after.iter().map(After::finished).collect();
        let started = self.start_many(&[(job.clone(), after)])?.pop();
        match started.ok_or_else(|| Error::msg("no job was started"))? {
            Started { problem: Some(problem), .. } => Err(Error::msg(problem)),
            Started { id, problem: None } => Ok(id),
        }
    }

    /// Starts jobs that belong together, each after others; they are handed over in as few pieces as their executor
    /// takes them.
    ///
    /// # Errors
    /// Before anything is started: as [`Self::start`] for one of them, two that are the same or write the same, a disk
    /// without room for all; a scheduler that refuses all of them. Then no job is left. Else each job stands there, also
    /// one that was not taken.
    pub fn start_many(&self, asked: &[(AnyJob, Vec<After>)]) -> Result<Vec<Started>> {
        self.start_left(asked, false)
    }

    /// [`Self::start_many`]; with `skip_made` without those that are made already, or being made ([`Self::is_made`]).
    ///
    /// # Errors
    /// As there.
    pub fn start_left(&self, asked: &[(AnyJob, Vec<After>)], skip_made: bool) -> Result<Vec<Started>> {
        let executor = self.executor_of_new()?;
        let sorted = || {
            let mut ids = self.ids()?;
            ids.sort_unstable();
            Ok::<_, Error>(ids)
        };
        let seen = sorted()?;
        let mut jobs = self.checked(asked, &*executor, skip_made)?;
        make_folders(self.dir())?;
        // One process at a time makes jobs: what others have made since is looked at again.
        let turn = Lock::wait_where_possible(&self.dir().join(STARTS))?;
        if sorted()? != seen {
            jobs = self.checked(asked, &*executor, skip_made)?;
        }
        let all = jobs.len();
        let mut turn = Some(turn);
        // What starters that were killed left behind.
        sweep(self.dir());
        let mut started: Vec<HandedOver> = Vec::new();
        let mut group: Option<String> = None;
        let mut left = jobs.into_iter().peekable();
        while left.peek().is_some() {
            // All of them before the first is handed over, as long as so many files can be open.
            let room = if executor.locks() { room_for_open_files(left.len()) } else { left.len() };
            let mut ready = Vec::new();
            for (job, after) in left.by_ref().take(room) {
                match self.made(job, after, all > 1, &mut group, &*executor) {
                    Ok(made) => ready.push(made),
                    Err(error) => {
                        // What cannot be removed has no worker, and says so.
                        ready.iter().for_each(|made| drop(discard(made.dir.path())));
                        return Err(of_all(&error, started.len(), all));
                    }
                }
            }
            if left.peek().is_none() {
                // All are there for others to see; a scheduler may take its time.
                turn = None;
            }
            for piece in ready.chunks(executor.together()) {
                started.extend(self.hand_over(&*executor, piece));
            }
        }
        drop(turn);
        // What a scheduler has refused as a whole leaves nothing behind.
        if !executor.locks()
            && started.iter().all(|job| job.refusal.as_ref().is_some_and(|refusal| refusal.certain))
            && let Some(Refusal { why, .. }) = started.first().and_then(|job| job.refusal.clone())
        {
            started.iter().for_each(|job| drop(discard(&self.dir().join(&job.id))));
            return Err(of_all(&Error::msg(why), 0, all));
        }
        let words = |job: HandedOver| Started { id: job.id, problem: job.refusal.map(|refusal| refusal.why) };
        Ok(started.into_iter().map(words).collect())
    }

    /// The directory of a new job, which nobody does yet. The first of several names their group.
    fn made(
        &self,
        job: AnyJob,
        after: &[After],
        of_several: bool,
        group: &mut Option<String>,
        executor: &dyn Executor,
    ) -> Result<Ready> {
        let make = if executor.locks() { JobDir::create } else { JobDir::create_anywhere };
        let mut dir = make(self.dir(), &job, after)?;
        let mut write = || {
            if of_several {
                let group = group.get_or_insert_with(|| dir.id());
                own::create(&dir.path().join(GROUP), group.as_bytes())?;
            }
            self.share_of_new().write(dir.path())?;
            Handle::early(executor.id()).write(dir.path())
        };
        if let Err(error) = write() {
            let _ = discard(dir.path());
            return Err(error);
        }
        if !executor.locks() {
            dir.release();
        }
        Ok(Ready { dir, job })
    }

    /// What [`Self::start_many`] would do, for people.
    ///
    /// # Errors
    /// As there.
    pub fn plan(&self, asked: &[(AnyJob, Vec<After>)]) -> Result<String> {
        let executor = self.executor_of_new()?;
        let jobs = self.checked(asked, &*executor, false)?;
        let mut plan = String::new();
        for (kind, jobs) in by_kind(jobs.iter().map(|(job, after)| (job, *after))) {
            let submit = |(job, after): &(&AnyJob, &[After])| {
                // Its id begins with the time at which it is started.
                let path = self.dir().join(format!("ID-{}", slug(job)));
                let after = self.open_parents(after)?;
                Ok(ToSubmit { path, dir: None, memory: memory(job), cores: self.share_of_new().cores, after })
            };
            let jobs = jobs.iter().map(submit).collect::<Result<Vec<_>>>()?;
            plan += &executor.plan(&Batch { jobs_dir: self.dir(), kind, jobs: &jobs })?;
        }
        Ok(plan)
    }

    /// Whether what a job makes is there already, or another of `all` is making it.
    pub fn is_made(job: &AnyJob, all: &[JobSummary]) -> bool {
        let same = |other: &JobSummary| other.kind == Some(job.kind()) && other.name == job.title();
        job.is_made() || all.iter().any(|other| !other.state.is_over() && same(other))
    }

    /// The jobs with absolute paths, if they can work and no other does the same, with those that each waits for; where
    /// that is to be skipped, without what is made already.
    fn checked<'a>(
        &self,
        asked: &'a [(AnyJob, Vec<After>)],
        executor: &dyn Executor,
        skip_made: bool,
    ) -> Result<Vec<(AnyJob, &'a [After])>> {
        executor.check()?;
        for After { id, .. } in asked.iter().flat_map(|(_, after)| after) {
            self.existing(id)?;
        }
        let under_way = self.list()?;
        let mut names = HashSet::new();
        let mut written = self.written(&under_way);
        let check = |(job, after): &'a (AnyJob, Vec<After>)| {
            let mut job = prepared(job, &under_way)?;
            job.check_new()?;
            check_targets(&job)?;
            job.check_begin(!after.is_empty())?;
            if let Some(doing) = job.kind().unique
                && !names.insert((job.kind().name, job.title()))
            {
                return Err(Error::usage(format!(
                    "two jobs would be {doing} {}; give them different names",
                    job.title()
                )));
            }
            for path in writes(&job) {
                if let Some(other) = written.insert(path.clone(), None) {
                    let problem = match other {
                        None => "is what two of these jobs would write: give each its own".into(),
                        Some(id) => format!("is what job {id} writes; choose another, or cancel it"),
                    };
                    return Err(Error::file(path, problem));
                }
            }
            job.estimate();
            Ok((job, after.as_slice()))
        };
        asked.iter().filter(|(job, _)| !skip_made || !Self::is_made(job, &under_way)).map(check).collect()
    }

    /// What jobs write that have not ended, with the job.
    fn written(&self, jobs: &[JobSummary]) -> HashMap<PathBuf, Option<String>> {
        let open = jobs.iter().filter(|job| !job.state.is_over());
        let of = |job: &JobSummary| {
            let spec = read_spec(&self.dir().join(&job.id)).ok();
            spec.iter().flat_map(writes).map(|path| (path, Some(job.id.clone()))).collect::<Vec<_>>()
        };
        open.flat_map(of).collect()
    }

    fn executor_of_new(&self) -> Result<Arc<dyn Executor>> {
        self.chosen().map_or_else(|| default_executor(self.library().map(Path::to_path_buf)), Ok)
    }
}

/// What a job writes beside its library.
fn writes(job: &AnyJob) -> Vec<PathBuf> {
    job.uses().into_iter().filter(|(how, _)| *how == Use::Writes).map(|(_, path)| path).collect()
}

/// Why not all of several jobs are started, and how many are.
fn of_all(error: &Error, started: usize, all: usize) -> Error {
    Error::msg(match (started, all) {
        (_, 0..=1) => error.to_string(),
        (0, all) => format!("none of {} was started: {error}", counted(all, "job")),
        (some, all) => format!("only {some} of {} were started: {error}", counted(all, "job")),
    })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::jobs::{ClusterSpec, Local};
    use crate::outside::faults::{VARIABLE, operations};

    /// Names the library of a process that starts jobs.
    const LIBRARY: &str = "LORA_TUI_STARTER";
    const JOBS: usize = 5;

    /// Not a test of its own: what another starts, in a process whose disk is full.
    #[test]
    fn the_starter_of_another_test() {
        let Some(library) = std::env::var_os(LIBRARY).map(PathBuf::from) else { return };
        // A worker that does nothing.
        let jobs = Jobs::at(library.join("jobs"), Arc::new(Local::new("/bin/true")));
        let one = |k| AnyJob::from(ClusterSpec { library: library.clone(), k, ..ClusterSpec::default() });
        let asked: Vec<_> = (1..=JOBS).map(|k| (one(k), Vec::new())).collect();
        match jobs.start_many(&asked) {
            Ok(_) => eprintln!("operations: {}", operations()),
            Err(error) => eprintln!("refused: {error}"),
        }
    }

    #[test]
    fn on_a_disk_that_fills_up_all_of_several_jobs_are_made_or_none() {
        let start = |fault: Option<u64>| {
            let library = tempfile::tempdir().unwrap();
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "jobs::start::tests::the_starter_of_another_test", "--nocapture"]);
            command.env(LIBRARY, library.path()).env_remove(VARIABLE).stdin(Stdio::null());
            if let Some(at) = fault {
                command.env(VARIABLE, format!("ENOSPC:{at}:1000000"));
            }
            let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
            let found = std::fs::read_dir(library.path().join("jobs")).map_or(0, |entries| {
                let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
                names.filter(|name| name.contains("-cluster-")).count()
            });
            (found, said)
        };
        let (found, said) = start(None);
        assert_eq!(found, JOBS, "{said}");
        let all: u64 =
            said.lines().find_map(|line| line.strip_prefix("operations: ")).unwrap().parse().unwrap();
        let mut refused = 0;
        for at in (0..all).step_by(7) {
            let (found, said) = start(Some(at));
            assert!(found == 0 || found == JOBS, "{at}: {found} of {JOBS}: {said}");
            if found == 0 {
                refused += 1;
                let words = said.lines().find_map(|line| line.strip_prefix("refused: "));
                assert!(
                    words.is_some_and(
                        |words| words.contains("No space left") || words.contains("disk is full")
                    ),
                    "{said}"
                );
            }
        }
        assert!(refused > 3, "{refused} of {all} operations");
    }
}
