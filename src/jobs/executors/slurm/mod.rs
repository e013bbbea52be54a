//! `slurm`: workers are tasks of Slurm's arrays.
//!
//! A batch of jobs becomes one array (`submit.rs`); what Slurm says of its tasks (`record.rs`, `states.rs`) is asked
//! for all of them at once (`poll.rs`). Commands run without a shell (`command.rs`).

mod command;
mod end;
mod health;
mod hints;
mod poll;
mod record;
mod seen;
mod settings;
mod states;
mod submit;
mod tidy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use self::command::{Call, Failure};
use self::end::life;
use self::hints::hint;
use self::poll::{Answer, Wanted, on};
use self::record::Task;
use self::settings::{COMMANDS, SlurmSettings, TABLE};
use self::submit::{Array, Limits, MANIFEST};
use super::configuration;
use super::{Batch, Child, Ending, Executor, Handle, Life, Refusal, Slots};
use crate::configuration::Section;
use crate::jobs::layout::{CANCEL, EXECUTOR, LOCK, RESULT, WORKER};
use crate::jobs::manifest::Manifest;
use crate::outside::{Lock, remove_whole};
use crate::signals::Signal;
use crate::{Error, Result};

/// Largest answer of `scontrol` and `sbatch`.
const MAX_TEXT: u64 = 1 << 20;
/// Ids in one call.
const IDS: usize = 400;
/// How long a result may take to show on a shared file system after its job has ended.
const DELAY: Duration = Duration::from_secs(60);
/// How long it may take to hand a batch over.
const HANDING_OVER: Duration = Duration::from_secs(180);
/// How often a job that reaches its time limit is queued again by itself.
const REQUEUES: u64 = 3;

/// Its table of the configuration.
pub const SECTION: Section = Section { name: "executor.slurm", settings: &TABLE };

/// Workers are tasks of arrays on a Slurm cluster.
#[derive(Clone, Debug)]
pub struct Slurm {
    /// Where `library.toml` is.
    library: Option<PathBuf>,
    /// Between two looks; known once it was asked for.
    poll: OnceLock<Duration>,
}

impl Slurm {
    /// Its name.
    pub const ID: &str = "slurm";

    /// For the jobs of the library in a folder, with the settings that stand there and in the user's configuration.
    pub fn new(library: Option<PathBuf>) -> Self {
        Self { library, poll: OnceLock::new() }
    }

    fn settings(&self) -> Result<SlurmSettings> {
        configuration::settings(self.library.as_deref(), Self::ID, TABLE, COMMANDS)
    }

    fn limits(settings: &SlurmSettings) -> Result<Limits, Failure> {
        let text = config(&settings.cluster)?;
        Ok(Limits::read(&text))
    }

    /// The arrays of a batch.
    fn arrays<'a>(&self, batch: &Batch<'a>) -> Result<(SlurmSettings, Vec<Array<'a>>)> {
        let settings = self.settings()?;
        let program = match settings.program.as_str() {
            "" => std::env::current_exe()
                .map_err(|error| Error::msg(format!("where this program is: {error}")))?,
            program => PathBuf::from(program),
        };
        let limits = Self::limits(&settings).map_err(|failure| Error::msg(hint(failure.text())))?;
        let arrays = Array::all(batch, &settings, limits, &program)?;
        Ok((settings, arrays))
    }

    /// Between two looks at the queue.
    fn poll(&self) -> Duration {
        // What is wrong with the settings is said where jobs are handed over.
        let settings = || self.settings().unwrap_or_default().poll;
        *self.poll.get_or_init(|| Duration::from_secs(settings() as u64))
    }

    /// What is known of jobs, in one question for each cluster.
    fn ask(&self, jobs: &[(&Path, &Handle)]) -> Vec<Answer> {
        let mut answers = vec![Answer::Unknown(false); jobs.len()];
        let mut clusters: BTreeMap<&str, Vec<(usize, Wanted)>> = BTreeMap::new();
        for (at, (job, handle)) in jobs.iter().enumerate() {
            if let Some(wanted) = wanted(job, handle) {
                clusters.entry(&handle.cluster).or_default().push((at, wanted));
            }
        }
        for (cluster, asked) in clusters {
            let (places, wanted): (Vec<usize>, Vec<Wanted>) = asked.into_iter().unzip();
            let found = poll::ask(cluster, self.poll(), &wanted);
            for (at, answer) in places.into_iter().zip(found) {
                if let Some(place) = answers.get_mut(at) {
                    *place = answer;
                }
            }
        }
        answers
    }

    /// Runs a command with the ids of tasks, several times where they are many.
    fn with_ids(
        &self,
        program: &'static str,
        before: &[&str],
        ids: &[(&str, String)],
        joined: bool,
    ) -> Result<()> {
        let mut clusters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (cluster, id) in ids {
            clusters.entry(cluster).or_default().push(id);
        }
        for (cluster, ids) in clusters {
            for ids in ids.chunks(IDS) {
                let ids =
                    if joined { vec![ids.join(",")] } else { ids.iter().map(ToString::to_string).collect() };
                let words = before.iter().map(ToString::to_string).chain(on(cluster));
                let call = Call::new(program, words.chain(ids));
                call.run(MAX_TEXT).map_err(|failure| Error::msg(failure.text()))?;
            }
            poll::changed(cluster);
        }
        Ok(())
    }
}

/// `scontrol show config`.
fn config(cluster: &str) -> Result<String, Failure> {
    let words = on(cluster).into_iter().chain(["show", "config"].map(String::from));
    let bytes = Call::new("scontrol", words).run(MAX_TEXT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What to ask about a job; `None` for one that has not been handed over.
fn wanted(job: &Path, handle: &Handle) -> Option<Wanted> {
    if handle.token.is_empty() {
        return None;
    }
    let (array, index) = match &handle.id {
        Some(_) => (Some(task_of(handle)?.0), task_of(handle)?.1),
        // Whoever handed it over may have ended before it wrote down the number.
        None => (None, index_in_manifest(job, handle)?),
    };
    Some(Wanted { array, index, name: handle.token.clone() })
}

fn task_of(handle: &Handle) -> Option<Task> {
    let (array, index) = handle.id.as_deref()?.split_once('_')?;
    Some((array.parse().ok()?, index.parse().ok()?))
}

fn manifest_of(job: &Path, handle: &Handle) -> Option<Manifest> {
    let jobs = job.parent()?;
    // The token is a name of our own making, but stands in a file that may come from anybody.
    let fine = handle.token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fine.then(|| Manifest::read(&submit::folder(jobs, &handle.token).join(MANIFEST)).ok()).flatten()
}

fn index_in_manifest(job: &Path, handle: &Handle) -> Option<u32> {
    let id = job.file_name()?.to_str()?;
    let task =
        manifest_of(job, handle)?.tasks.iter().position(|jobs| jobs.iter().any(|other| other == id))?;
    u32::try_from(task).ok()
}

impl Executor for Slurm {
    fn id(&self) -> &'static str {
        Self::ID
    }

    fn check(&self) -> Result<()> {
        self.settings().map(drop)
    }

    fn health(&self, is_default: bool) -> Option<Result<String, String>> {
        health::health(self.settings(), is_default)
    }

    fn together(&self) -> usize {
        100_000
    }

    fn locks(&self) -> bool {
        false
    }

    fn submit(&self, batch: &Batch<'_>) -> Vec<Result<Handle, Refusal>> {
        let (settings, arrays) = match self.arrays(batch) {
            Ok(arrays) => arrays,
            Err(error) => {
                return batch.jobs.iter().map(|_| Err(Refusal::certain(error.to_string()))).collect();
            }
        };
        let mut handles = Vec::with_capacity(batch.jobs.len());
        // Once one is refused, so will be the others: limits and rights do not change meanwhile.
        let mut refused: Option<Refusal> = None;
        for array in &arrays {
            let hand_over = || {
                array.write(&settings.cluster).map_err(|error| Refusal::certain(error.to_string()))?;
                array.call.run(MAX_TEXT).map_err(|failure| Refusal {
                    why: hint(failure.text()),
                    certain: matches!(failure, Failure::Refused(_) | Failure::Missing(_)),
                })
            };
            let answer = match &refused {
                Some(error) => Err(error.clone()),
                None => hand_over(),
            };
            // What it has taken without a number runs, if it does.
            let number = |answer: Vec<u8>| number_of(&answer).map_err(|why| Refusal { why, certain: false });
            match answer.and_then(number) {
                Ok((number, cluster)) => {
                    // Of several clusters that were named, the one that took it.
                    let named = !settings.cluster.is_empty();
                    let cluster = cluster.filter(|_| named).unwrap_or_else(|| settings.cluster.clone());
                    handles.extend(array.handles(number, &cluster).into_iter().map(Ok));
                    poll::changed(&cluster);
                }
                Err(error) => {
                    // Nobody will look into the folder of what was not taken.
                    if error.certain && refused.is_none() {
                        let _ = remove_whole(&array.folder);
                    }
                    handles.extend((0..array.len()).map(|_| Err(error.clone())));
                    refused = Some(error);
                }
            }
        }
        poll::changed(&settings.cluster);
        handles
    }

    fn plan(&self, batch: &Batch<'_>) -> Result<String> {
        let (_, arrays) = self.arrays(batch)?;
        Ok(arrays.iter().map(Array::plan).collect::<Vec<_>>().join("\n"))
    }

    fn look(&self, job: &Path, handle: &Handle) -> Life {
        let answer = self.ask(&[(job, handle)]).pop().unwrap_or(Answer::Unknown(false));
        match answer {
            Answer::Known(task, record) => {
                let life = life(job, handle, task, &record);
                seen::keep(job, handle, &life);
                life
            }
            Answer::Silent(error) => {
                let begun = job.join(WORKER).exists();
                let open = if begun { Life::Unseen(error) } else { Life::Waiting(Some(error)) };
                seen::end(job, handle).unwrap_or(open)
            }
            Answer::Unknown(_) if is_young(job, handle) => {
                Life::Waiting(Some("is being handed over to Slurm".into()))
            }
            Answer::Unknown(_) if job.join(CANCEL).exists() => Life::Stopped,
            Answer::Unknown(_) if outlives(job) => Life::Alive(Some(match &handle.id {
                Some(id) => format!("Slurm no longer knows job {id}, and its worker goes on"),
                None => "its worker goes on, and Slurm knows nothing of it".into(),
            })),
            // It may have reported more before it forgot the job.
            Answer::Unknown(others) => seen::end(job, handle).unwrap_or_else(|| {
                Life::Gone(Some(match (&handle.id, others) {
                    (Some(id), true) => format!(
                        "Slurm job {id} is no longer in its array: somebody cancelled it before it started, not `jobs \
                         cancel`"
                    ),
                    (Some(id), false) => format!(
                        "Slurm no longer knows job {id}, and it has left no result: it was lost with the controller's \
                         state, or ended long ago"
                    ),
                    (None, _) => "it was not handed over to Slurm: whoever did it ended before".into(),
                }))
            }),
        }
    }

    fn look_at_all(&self, jobs: &[(PathBuf, Handle)]) {
        let jobs: Vec<(&Path, &Handle)> = jobs.iter().map(|(job, handle)| (job.as_path(), handle)).collect();
        self.ask(&jobs);
    }

    fn cancel(&self, jobs: &[(PathBuf, Handle)]) -> Result<()> {
        let mut manifests: BTreeMap<&str, Option<Manifest>> = BTreeMap::new();
        let mut ids: Vec<(&str, String)> = Vec::new();
        for (job, handle) in jobs {
            let Some((array, index)) = task_of(handle) else { continue };
            // The number may be somebody else's by now; a worker that outlived its controller sees the marker.
            if outlives(job) && matches!(self.ask(&[(job, handle)])[..], [Answer::Unknown(_)]) {
                continue;
            }
            let manifest = manifests.entry(&handle.token).or_insert_with(|| manifest_of(job, handle));
            // A task that does several jobs ends when all of them are to end; else the worker sees the marker.
            let others = manifest.as_ref().and_then(|manifest| manifest.tasks.get(index as usize));
            let to_end = |id: &String| {
                let other = job.with_file_name(id);
                other.join(CANCEL).exists() || other.join(RESULT).exists()
            };
            if others.is_none_or(|others| others.iter().all(to_end)) {
                ids.push((&handle.cluster, format!("{array}_{index}")));
            }
        }
        ids.dedup();
        self.with_ids("scancel", &["--quiet"], &ids, false)
    }

    fn packed_with(&self, job: &Path, handle: &Handle) -> Vec<String> {
        let own = job.file_name().unwrap_or_default();
        let task = task_of(handle).and_then(|(_, index)| {
            manifest_of(job, handle)?.tasks.into_iter().nth(usize::try_from(index).ok()?)
        });
        task.unwrap_or_default().into_iter().filter(|id| own != id.as_str()).collect()
    }

    fn hold(&self, jobs: &[(PathBuf, Handle)], held: bool) -> Result<()> {
        let mut ids: Vec<(&str, String)> = jobs
            .iter()
            .filter_map(|(_, handle)| Some((handle.cluster.as_str(), handle.id.clone()?)))
            .collect();
        // Several jobs of one task.
        ids.dedup();
        self.with_ids("scontrol", &[if held { "hold" } else { "release" }], &ids, true)
    }

    fn follow(&self, children: &[Child]) -> Result<()> {
        // A whole array has one condition.
        let mut arrays: BTreeMap<(&str, u64), Vec<&super::Parent>> = BTreeMap::new();
        for child in children {
            if let Some((array, _)) = task_of(&child.handle) {
                arrays.entry((&child.handle.cluster, array)).or_default().extend(&child.after);
            }
        }
        for ((cluster, array), parents) in arrays {
            let mut distinct: Vec<&super::Parent> = Vec::new();
            parents.into_iter().for_each(|parent| {
                if !distinct.contains(&parent) {
                    distinct.push(parent);
                }
            });
            let Some(condition) = submit::condition(distinct.into_iter())? else { continue };
            let words = ["update".into(), format!("JobId={array}"), format!("Dependency={condition}")];
            let call = Call::new("scontrol", on(cluster).into_iter().chain(words));
            call.run(MAX_TEXT).map_err(|failure| Error::msg(failure.text()))?;
            poll::changed(cluster);
        }
        Ok(())
    }

    fn tidy(&self, jobs: &Path) {
        tidy::tidy(jobs, self.poll());
    }

    fn interrupted(&self, by: Signal, before: u64, keeps_its_work: bool) -> Ending {
        // Whoever else ends it says so, or starts it again: preemption, the loss of a node, `scancel`.
        if by != Signal::Warning {
            return Ending::Left;
        }
        if !keeps_its_work {
            return Ending::Failed(
                "it would have reached its time limit; set a longer time in [executor.slurm], and resume it"
                    .into(),
            );
        }
        let limit = "set a longer time in [executor.slurm], and resume it: what it has done is saved";
        if before >= REQUEUES {
            return Ending::Failed(format!("it reached its time limit {} times; {limit}", before + 1));
        }
        let id = match own_task() {
            Some(id) => id,
            None => return Ending::Failed(format!("it reached its time limit; {limit}")),
        };
        match Call::new("scontrol", ["requeue".to_string(), id]).run(MAX_TEXT) {
            // Queueing the job again ends all its processes, this command too.
            Ok(_) | Err(Failure::Killed(_)) => Ending::Left,
            Err(failure) => Ending::Failed(format!(
                "it reached its time limit and could not be queued again ({}); {limit}",
                failure.text()
            )),
        }
    }

    fn slots(&self) -> Result<Slots> {
        Ok(Slots::Executor)
    }
}

/// The task that this process is.
fn own_task() -> Option<String> {
    let variable =
        |name: &str| std::env::var(name).ok().filter(|value| value.bytes().all(|b| b.is_ascii_digit()));
    Some(format!("{}_{}", variable("SLURM_ARRAY_JOB_ID")?, variable("SLURM_ARRAY_TASK_ID")?))
}

/// Whether a program is somewhere on the PATH.
fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// The number of a new array, and its cluster where that is said: `12`, or `12;cluster`.
fn number_of(answer: &[u8]) -> Result<(u64, Option<String>), String> {
    let text = String::from_utf8_lossy(answer);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let (number, cluster) =
        last.split_once(';').map_or((last, None), |(number, cluster)| (number, Some(cluster)));
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let number = number.parse().map(|number| (number, cluster.filter(is_name).map(String::from)));
    number.map_err(|_| {
        format!("`sbatch` has not said the number of the array but {:?}", crate::text::short(last))
    })
}

/// Whether a worker is seen to hold the job's lock, which can be where locks work.
fn outlives(job: &Path) -> bool {
    Lock::is_taken(&job.join(LOCK))
}

/// Whether a job is being handed over, and not for long; or whether the last look at the queue was before that.
fn is_young(job: &Path, handle: &Handle) -> bool {
    let written = job.join(EXECUTOR).symlink_metadata().and_then(|metadata| metadata.modified());
    let age = written.map(|time| SystemTime::now().duration_since(time));
    let limit = match &handle.id {
        None => HANDING_OVER,
        Some(_) => poll::last_look(&handle.cluster),
    };
    // The clock of a file server may be ahead.
    age.is_ok_and(|age| age.map_or(true, |age| age < limit))
}

/// The table of settings for the docs.
pub fn settings_table() -> String {
    let mut text = String::from("| setting | default | value | what it does |\n|---|---|---|---|\n");
    for setting in TABLE {
        let stands = match setting.fallback() {
            text if text.is_empty() || !setting.unset.is_empty() => text,
            text => format!("`{text}`"),
        };
        text += &format!("| `{}` | {stands} | {} | {} |\n", setting.id, setting.kind.wanted(), setting.help);
    }
    text
}
