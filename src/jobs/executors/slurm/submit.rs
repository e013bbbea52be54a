//! Jobs as arrays: the batch script, the manifest beside it, and the call of `sbatch`.

use std::path::{Path, PathBuf};

use super::command::Call;
use super::poll::on;
use super::record::PREFIX;
use super::settings::SlurmSettings;
use crate::jobs::executors::{Batch, Handle, Parent, Slurm, ToSubmit};
use crate::jobs::manifest::{Manifest, library_mark};
use crate::outside::{make_folders, own};
use crate::text::{counted, typed};
use crate::{Error, Result};

/// Folder of the jobs' folder that has a folder of scripts for each submission.
pub const FOLDER: &str = ".slurm";
pub const SCRIPT: &str = "script.sh";
pub const MANIFEST: &str = "manifest.jsonl";
/// The commands as they were run.
pub const COMMANDS: &str = "commands.txt";
/// Beside a training's forecast: the program itself, files that the system caches.
const MEMORY_MARGIN: u64 = 512 << 20;

/// What the cluster allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest index of an array, plus one.
    pub array: usize,
    /// Most tasks in one submission.
    pub submit: usize,
}

impl Default for Limits {
    /// What Slurm has where nobody has set it.
    fn default() -> Self {
        Self { array: 1001, submit: 10_000 }
    }
}

impl Limits {
    /// From `scontrol show config`.
    pub fn read(text: &str) -> Self {
        let number = |name: &str| {
            let line =
                text.lines().find(|line| line.split('=').next().is_some_and(|key| key.trim() == name))?;
            line.split('=').nth(1)?.trim().parse::<usize>().ok().filter(|n| *n > 0)
        };
        let default = Self::default();
        let submit = [number("MaxSubmitJobs"), number("MaxSubmitJobsPerUser"), number("MaxJobCount")];
        Self {
            array: number("MaxArraySize").unwrap_or(default.array),
            submit: submit.into_iter().flatten().min().unwrap_or(default.submit),
        }
    }

    /// Tasks that fit into one array.
    fn tasks(self) -> usize {
        self.array.min(self.submit).max(1)
    }
}

/// One array.
#[derive(Debug)]
pub struct Array<'a> {
    /// Its name, which no other has.
    pub token: String,
    jobs: &'a [ToSubmit<'a>],
    manifest: Manifest,
    /// Where all of it is written.
    pub folder: PathBuf,
    script: String,
    /// `sbatch` with its arguments.
    pub call: Call,
}

impl<'a> Array<'a> {
    /// The arrays that a batch becomes.
    ///
    /// # Errors
    /// A job that waits for one that Slurm does not know.
    pub fn all(
        batch: &Batch<'a>,
        settings: &SlurmSettings,
        limits: Limits,
        program: &Path,
    ) -> Result<Vec<Self>> {
        let per_task = settings.tasks_per_job.max(1);
        let chunks: Vec<_> = batch.jobs.chunks(limits.tasks() * per_task).collect();
        // So many at once over all arrays.
        let at_once = settings.at_once.map(|at_once| (at_once / chunks.len().max(1)).max(1));
        let library = library_mark(batch.jobs_dir)?;
        let one = |jobs: &&'a [ToSubmit<'a>]| {
            let token = format!("{PREFIX}{}-{:012x}", batch.kind, rand::random::<u64>() & 0xffff_ffff_ffff);
            let ids: Vec<String> = jobs.iter().map(|job| id_of(&job.path)).collect();
            let manifest = Manifest::new(&token, library.clone(), &ids, per_task);
            let folder = folder(batch.jobs_dir, &token);
            let script = script(&folder, settings, program, ids.len());
            let depends = dependency(jobs, per_task)?;
            let asked = Asked {
                token: &token,
                folder: &folder,
                jobs_dir: batch.jobs_dir,
                jobs,
                tasks: manifest.tasks.len(),
                at_once,
                depends,
            };
            let call = sbatch(asked, settings);
            Ok(Self { token, jobs, manifest, folder, script, call })
        };
        chunks.iter().map(one).collect()
    }

    /// Writes what the workers and people will read; then `executor.json` of each job, so that whoever looks meanwhile
    /// finds the array by its name.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, cluster: &str) -> Result<()> {
        make_folders(&self.folder)?;
        own::create(&self.folder.join(SCRIPT), self.script.as_bytes())?;
        self.manifest.write(&self.folder.join(MANIFEST))?;
        own::create(&self.folder.join(COMMANDS), format!("{}\n", self.call.typed()).as_bytes())?;
        self.jobs.iter().try_for_each(|job| self.handle(None, 0, cluster).write(&job.path))
    }

    /// Number of jobs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// What each job is known by, once the array has its number.
    pub fn handles(&self, array: u64, cluster: &str) -> Vec<Handle> {
        let tasks = self.manifest.tasks.iter().enumerate();
        tasks
            .flat_map(|(index, jobs)| jobs.iter().map(move |_| self.handle(Some(array), index, cluster)))
            .collect()
    }

    fn handle(&self, array: Option<u64>, index: usize, cluster: &str) -> Handle {
        Handle {
            executor: Slurm::ID.into(),
            id: array.map(|array| format!("{array}_{index}")),
            token: self.token.clone(),
            cluster: cluster.into(),
        }
    }

    /// For people.
    pub fn plan(&self) -> String {
        let tasks = self.manifest.tasks.len();
        let jobs = if tasks == self.jobs.len() {
            String::new()
        } else {
            format!(" with {}", counted(self.jobs.len(), "job"))
        };
        format!(
            "# {} as one array{jobs}: {}\n{}\n\n# {}\n{}",
            counted(tasks, "task"),
            self.token,
            self.call.typed(),
            self.folder.join(SCRIPT).display(),
            self.script
        )
    }
}

/// What stands before the lines of `setup` in a script.
const SETUP: &str = "# setup of [executor.slurm]\n";
/// What the script says last, before the status, where its `setup` ended it.
pub const SETUP_ENDED: &str = "setup ended with status";
/// Largest script that is read.
const MAX_SCRIPT: u64 = 1 << 20;

/// Whether the script of a submission, in its folder, has lines of `setup`.
pub fn has_setup(folder: &Path) -> bool {
    let bytes = own::read(&folder.join(SCRIPT), MAX_SCRIPT).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).contains(SETUP)
}

/// The folder of a submission.
pub fn folder(jobs: &Path, token: &str) -> PathBuf {
    jobs.join(FOLDER).join(token)
}

fn id_of(job: &Path) -> String {
    job.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The batch script. The worker takes the place of the shell, so that signals of Slurm reach it.
fn script(folder: &Path, settings: &SlurmSettings, program: &Path, jobs: usize) -> String {
    let manifest = folder.join(MANIFEST);
    let mut text = format!(
        "#!/bin/bash\n# {} of lora-tui; {MANIFEST} beside this file lists what each task of the array does.\n",
        counted(jobs, "job")
    );
    text += "# Threads for the cores of the task, where nothing else says how many.\n";
    text += "export RAYON_NUM_THREADS=\"${RAYON_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}}\"\n";
    if !settings.setup.is_empty() {
        text += SETUP;
        // Where it ends the script by itself, too, that is said.
        text += &format!("trap 'echo \"{SETUP_ENDED} $?\" >&2' EXIT\n");
        text += settings.setup.trim_end();
        // What its last command ends with is how it ended: a worker without its modules would do something else.
        text += "\nsetup=$?\n[ \"$setup\" -eq 0 ] || exit \"$setup\"\ntrap - EXIT\n";
    }
    text += &format!(
        "exec {} worker --manifest {} --task \"$SLURM_ARRAY_TASK_ID\"\n",
        typed(&program.to_string_lossy()),
        typed(&manifest.to_string_lossy())
    );
    text
}

/// What the call of `sbatch` follows from, beside the settings.
struct Asked<'a> {
    token: &'a str,
    folder: &'a Path,
    jobs_dir: &'a Path,
    jobs: &'a [ToSubmit<'a>],
    tasks: usize,
    at_once: Option<usize>,
    depends: Option<String>,
}

fn sbatch(asked: Asked<'_>, settings: &SlurmSettings) -> Call {
    let Asked { token, folder, jobs_dir, jobs, tasks, at_once, depends } = asked;
    let last = tasks.saturating_sub(1);
    let at_once = at_once.map_or(String::new(), |at_once| format!("%{at_once}"));
    // Slurm replaces what follows a percent sign.
    let output = folder.to_string_lossy().replace('%', "%%") + "/%a.out";
    let mut arguments = vec![
        "--parsable".into(),
        format!("--job-name={token}"),
        format!("--array=0-{last}{at_once}"),
        format!("--output={output}"),
        "--open-mode=append".into(),
        format!("--chdir={}", jobs_dir.display()),
        "--requeue".into(),
        format!("--signal=B:USR1@{}", settings.warning),
        "--nodes=1".into(),
        "--ntasks=1".into(),
    ];
    let forecast = || {
        let bytes = jobs.iter().map(|job| job.memory).collect::<Option<Vec<u64>>>()?.into_iter().max()?;
        Some(format!("{}M", (bytes + bytes / 5 + MEMORY_MARGIN).div_ceil(1 << 20)))
    };
    let cores = jobs.iter().filter_map(|job| job.cores).max();
    let memory = Some(settings.memory.clone()).filter(|memory| !memory.is_empty()).or_else(forecast);
    arguments.extend(asks(settings, cores, memory));
    arguments.extend(depends.map(|depends| format!("--dependency={depends}")));
    arguments.push(folder.join(SCRIPT).to_string_lossy().into_owned());
    Call { program: "sbatch", arguments }
}

/// What is asked of Slurm for a task that takes so many cores and so much memory, where that is known.
fn asks(
    settings: &SlurmSettings,
    cores: Option<usize>,
    memory: Option<String>,
) -> impl Iterator<Item = String> {
    let given = |option: &str, value: &str| (!value.is_empty()).then(|| format!("--{option}={value}"));
    [
        given("partition", &settings.partition),
        given("account", &settings.account),
        given("qos", &settings.qos),
        given("time", &settings.time),
        cores.or(settings.cpus).map(|cpus| format!("--cpus-per-task={cpus}")),
        memory.map(|memory| format!("--mem={memory}")),
        given("gres", &settings.gres),
        given("constraint", &settings.constraint),
        on(&settings.cluster),
    ]
    .into_iter()
    .flatten()
}

/// Asks whether a job with what these settings ask for would be taken, and submits none.
pub fn trial(settings: &SlurmSettings) -> Call {
    let memory = Some(settings.memory.clone()).filter(|memory| !memory.is_empty());
    let words = ["--test-only", "--nodes=1", "--ntasks=1"].map(String::from);
    Call::new("sbatch", words.into_iter().chain(asks(settings, None, memory)).chain(["--wrap=true".into()]))
}

/// What `--dependency` says for jobs that become one array; `None` where they wait for nothing.
///
/// # Errors
/// A parent that Slurm does not know.
fn dependency(jobs: &[ToSubmit<'_>], per_task: usize) -> Result<Option<String>> {
    if let Some(array) = corresponding(jobs, per_task) {
        return Ok(Some(format!("aftercorr:{array}")));
    }
    let mut parents: Vec<&Parent> = Vec::new();
    for parent in jobs.iter().flat_map(|job| &job.after) {
        if !parents.contains(&parent) {
            parents.push(parent);
        }
    }
    condition(parents.into_iter())
}

/// The condition for jobs with these parents.
///
/// # Errors
/// A parent that Slurm does not know.
pub fn condition<'p>(parents: impl Iterator<Item = &'p Parent>) -> Result<Option<String>> {
    let (mut finished, mut ended) = (Vec::new(), Vec::new());
    for parent in parents {
        let id = parent.handle.id.as_deref().filter(|_| parent.handle.executor == Slurm::ID);
        let id = id.ok_or_else(|| {
            Error::usage(format!(
                "a job on Slurm cannot wait for {}, which Slurm does not run: start it with --executor slurm, or wait \
                 until it is finished",
                parent.id
            ))
        })?;
        if parent.any { &mut ended } else { &mut finished }.push(id);
    }
    let part = |name: &str, mut ids: Vec<&str>| {
        ids.dedup();
        (!ids.is_empty()).then(|| format!("{name}:{}", ids.join(":")))
    };
    let parts: Vec<String> =
        [part("afterok", finished), part("afterany", ended)].into_iter().flatten().collect();
    Ok((!parts.is_empty()).then(|| parts.join(",")))
}

/// The array on whose tasks these jobs depend one by one, if they do.
fn corresponding(jobs: &[ToSubmit<'_>], per_task: usize) -> Option<String> {
    if per_task != 1 || jobs.len() < 2 {
        return None;
    }
    let mut array = None;
    for (index, job) in jobs.iter().enumerate() {
        let [Parent { handle, any: false, .. }] = job.after.as_slice() else { return None };
        let (number, task) = handle.id.as_deref()?.split_once('_')?;
        if task.parse() != Ok(index) || array.is_some_and(|array| array != number) {
            return None;
        }
        array = Some(number);
    }
    array.map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(id: &str, any: bool) -> Parent {
        let handle = Handle { executor: "slurm".into(), id: Some(id.into()), ..Handle::default() };
        Parent { id: format!("job-{id}"), handle, any }
    }

    fn jobs(after: &[&[Parent]]) -> Vec<ToSubmit<'static>> {
        let job = |(n, after): (usize, &&[Parent])| ToSubmit {
            cores: None,
            path: format!("/lib/.lora-tui/jobs/job-{n}").into(),
            dir: None,
            memory: Some(1 << 30),
            after: after.to_vec(),
        };
        after.iter().enumerate().map(job).collect()
    }

    fn arrays(count: usize, settings: &SlurmSettings, limits: Limits) -> Vec<String> {
        let none: &[Parent] = &[];
        let jobs = jobs(&vec![none; count]);
        let batch = Batch { jobs_dir: Path::new("/lib/it's 100%/jobs"), kind: "train", jobs: &jobs };
        let all = Array::all(&batch, settings, limits, Path::new("/opt/lora tui")).unwrap();
        assert_eq!(all.iter().map(Array::len).sum::<usize>(), count);
        all.iter().map(Array::plan).collect()
    }

    #[test]
    fn a_step_is_one_array_cut_at_what_the_cluster_takes() {
        let settings = SlurmSettings {
            at_once: Some(8),
            partition: "gpu".into(),
            cpus: Some(4),
            ..SlurmSettings::default()
        };
        let limits = Limits::read("MaxArraySize            = 1001\nMaxJobCount = 10000\n");
        assert_eq!(limits, Limits { array: 1001, submit: 10_000 });
        let [one] = &arrays(256, &settings, limits)[..] else { panic!("not one") };
        for part in [
            "256 tasks as one array",
            "--array=0-255%8",
            "--partition=gpu",
            "--cpus-per-task=4",
            "--mem=1741M",
            "--signal=B:USR1@120",
            "100%%/jobs/.slurm/",
            "exec '/opt/lora tui' worker --manifest '/lib/it'\\''s 100%/jobs/.slurm/",
        ] {
            assert!(one.contains(part), "{part}\n{one}");
        }
        assert!(!one.contains("--dependency") && !one.contains("--account"));
        let many = arrays(2500, &settings, limits);
        let ranges: Vec<bool> = ["0-1000%2", "0-1000%2", "0-497%2"]
            .iter()
            .zip(&many)
            .map(|(range, plan)| plan.contains(&format!("--array={range}")))
            .collect();
        assert_eq!(ranges, [true; 3]);
        let packed = SlurmSettings { tasks_per_job: 10, ..SlurmSettings::default() };
        let [one] = &arrays(256, &packed, limits)[..] else { panic!("not one") };
        assert!(
            one.contains("--array=0-25 ") && one.contains("26 tasks as one array with 256 jobs"),
            "{one}"
        );
        let few = Limits::read("MaxArraySize = 1001\nMaxSubmitJobs = 100\n");
        assert_eq!(arrays(256, &SlurmSettings::default(), few).len(), 3);
    }

    #[test]
    fn dependencies_are_as_narrow_as_slurm_can_say() {
        let of = |after: &[&[Parent]], per_task| dependency(&jobs(after), per_task).unwrap();
        assert_eq!(of(&[&[], &[]], 1), None);
        let (a, b) = (parent("5_0", false), parent("5_1", false));
        let (first, second) = ([a.clone()], [b.clone()]);
        assert_eq!(of(&[&first, &second], 1), Some("aftercorr:5".into()));
        assert_eq!(of(&[&first, &second], 2), Some("afterok:5_0:5_1".into()));
        assert_eq!(of(&[&second, &first], 1), Some("afterok:5_1:5_0".into()));
        let mixed = [a.clone(), parent("6_0", true)];
        assert_eq!(of(&[&mixed, &[b]], 1), Some("afterok:5_0:5_1,afterany:6_0".into()));
        let local = Parent { handle: Handle::early("local"), ..a };
        let error = dependency(&jobs(&[&[local]]), 1).unwrap_err().to_string();
        assert!(error.contains("job-5_0, which Slurm does not run"), "{error}");
    }
}
