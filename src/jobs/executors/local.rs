//! `local`: workers are processes of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Batch, Executor, Handle, Life, Refusal, Slots, ToSubmit};
use crate::jobs::job_dir::JobDir;
use crate::jobs::layout::{LOCK, LOG};
use crate::jobs::share::Share;
use crate::jobs::slots::slots;
use crate::outside::{Holder, Lock, own};
use crate::text::typed_path;
use crate::{Error, Result};

/// Said of a job of which nobody can tell from here whether it lives.
const UNSEEN: &str =
    "whether it runs cannot be seen from here: this storage cannot lock files (see `doctor`)";

/// Workers are processes of this machine that outlive whoever started them.
#[derive(Clone, Debug)]
pub struct Local {
    program: PathBuf,
}

impl Local {
    /// Its name.
    pub const ID: &str = "local";

    /// Workers run `program worker DIR`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Workers run the program that is running now.
    pub fn current() -> Self {
        // A program that was replaced since it started has no path any more, but Linux still knows it.
        let running = PathBuf::from("/proc/self/exe");
        match std::env::current_exe() {
            Ok(path) if path.exists() || !running.exists() => Self::new(path),
            _ => Self::new(running),
        }
    }
}

impl Executor for Local {
    fn id(&self) -> &'static str {
        Self::ID
    }

    fn check(&self) -> Result<()> {
        self.slots().map(drop)
    }

    fn health(&self, _is_default: bool) -> Option<Result<String, String>> {
        None
    }

    fn together(&self) -> usize {
        1
    }

    fn locks(&self) -> bool {
        true
    }

    fn submit(&self, batch: &Batch<'_>) -> Vec<Result<Handle, Refusal>> {
        let start = |job: &ToSubmit<'_>| {
            let Some(dir) = job.dir else { return Err(Refusal::certain("its lock is not held")) };
            self.start(dir).map_err(|error| Refusal::certain(error.to_string()))
        };
        batch.jobs.iter().map(start).collect()
    }

    fn plan(&self, batch: &Batch<'_>) -> Result<String> {
        let line =
            |job: &ToSubmit<'_>| format!("{} worker {}\n", typed_path(&self.program), typed_path(&job.path));
        let lines: String = batch.jobs.iter().map(line).collect();
        Ok(format!("# ID stands for the time at which a job is started\n{lines}"))
    }

    /// Alive while the worker holds the lock, which it inherits: there is no gap. Where locks cannot be seen, as on another
    /// mount of the same folder, it may live.
    fn look(&self, job: &Path, _handle: &Handle) -> Life {
        match Lock::holder(&job.join(LOCK)) {
            Holder::Somebody => Life::Alive(None),
            Holder::Nobody => Life::Gone(None),
            Holder::Unknown => Life::Waiting(Some(UNSEEN.into())),
        }
    }

    fn cancel(&self, _jobs: &[(PathBuf, Handle)]) -> Result<()> {
        // The worker looks for the marker.
        Ok(())
    }

    fn hold(&self, _jobs: &[(PathBuf, Handle)], _held: bool) -> Result<()> {
        // So it does for this one.
        Ok(())
    }

    fn slots(&self) -> Result<Slots> {
        slots().map(Slots::Library)
    }
}

impl Local {
    fn start(&self, job: &JobDir) -> Result<Handle> {
        let log_path = job.path().join(LOG);
        let fail = |error| Error::io(&log_path, error);
        let lock = job.lock().ok_or_else(|| Error::file(job.path(), "its lock is not held"))?;
        let log = own::append(&log_path)?.into_file();
        let mut command = Command::new(&self.program);
        command
            .arg("worker")
            .arg(job.path())
            .envs(crate::threads::environment())
            .envs(Share::read(job.path()).cores.map(crate::threads::environment_of))
            // The lock travels as the (empty) standard input: the worker holds it from its first moment.
            .stdin(Stdio::from(lock.try_clone().map_err(fail)?))
            .stdout(Stdio::from(log.try_clone().map_err(fail)?))
            .stderr(Stdio::from(log));
        own_session(&mut command);
        let mut child = command.spawn().map_err(|error| {
            Error::msg(format!("the worker {} cannot be started: {error}", self.program.display()))
        })?;
        // Collects the exit status, so that no zombie is left while this process lives.
        let reaper = std::thread::Builder::new().name("job-reaper".into()).spawn(move || child.wait());
        drop(reaper);
        Ok(Handle::early(Self::ID))
    }
}

/// No terminal, so that neither its Ctrl-C nor its end reach the worker.
#[cfg(unix)]
fn own_session(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed:
    // it makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(std::io::Error::from));
    }
}

#[cfg(not(unix))]
fn own_session(_command: &mut Command) {}
