//! Waiting for a slot: a few locked files say which jobs of a library work at once, and on what.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::job_dir::read_spec;
use super::kinds::AnyJob;
use super::layout::{EVENTS, HOLD, LOCK, RESULT, is_id};
use super::order::place;
use super::progress::Progress;
use super::share::Share;
use super::times::now;
use super::waits::{HELD, waits_for};
use crate::devices::{Gpu, visible_gpus};
use crate::memory::{available, size};
use crate::outside::{Lock, own};
use crate::train::Forecast;
use crate::{Cancel, Result};

const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// Seconds after which a job that began has taken the memory that it needs.
const SETTLES: f64 = 120.0;
/// What most jobs wait for.
const WAITS: &str = "waits for its turn";
/// Largest note beside a slot that is read.
const MAX_TAKEN: u64 = 256;
/// How long an older job may leave a free slot unused (it may be stopped) before others pass it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a job takes while it works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Bytes of memory by its forecast: of the GPU, where it computes on one.
    pub memory: Option<u64>,
    /// Where it computes.
    pub device: Wanted,
    /// Cores that it was said to take; else a slot's share of all.
    pub cores: Option<usize>,
}

/// Where a job computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// On the cores of this machine.
    #[default]
    Cores,
    /// On the GPU that suits it, or on the cores where there is none.
    Any,
    /// On the GPU of this number.
    Cuda(usize),
    /// On another device, by its name.
    Other(String),
}

impl Wanted {
    /// Of what `--device` says.
    fn named(device: &str) -> Self {
        match device {
            "" | "cpu" => Self::Cores,
            "auto" => Self::Any,
            "cuda" => Self::Cuda(0),
            _ => match device.strip_prefix("cuda:").and_then(|number| number.parse().ok()) {
                Some(number) => Self::Cuda(number),
                None => Self::Other(device.replace(':', "-")),
            },
        }
    }

    /// Whether two jobs may want the same.
    fn meets(&self, other: &Self) -> bool {
        let any_gpu = |one: &Self, other: &Self| *one == Self::Any && matches!(other, Self::Cuda(_));
        // On a machine without GPUs, any of them is the cores.
        let any_core = |one: &Self, other: &Self| *one == Self::Any && *other == Self::Cores;
        self == other
            || any_gpu(self, other)
            || any_gpu(other, self)
            || any_core(self, other)
            || any_core(other, self)
    }
}

impl Need {
    /// Of this job, whose directory says how many cores it takes.
    pub fn of(job: &AnyJob, path: &Path) -> Self {
        let forecast = job.training().and_then(|training| training.forecast.as_ref());
        Self {
            memory: forecast.map(Forecast::peak),
            device: Wanted::named(job.text("device").trim()),
            cores: Share::read(path).cores,
        }
    }
}

/// What this machine has for jobs.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// How many jobs may work at once that do not say how many cores they take, on the cores and on each device.
    pub slots: usize,
    /// Cores.
    pub cores: usize,
    /// The GPUs that jobs of this program can use, as they are at this moment; the first is `cuda:0`.
    pub gpus: fn() -> Vec<Gpu>,
}

impl Machine {
    /// This one, where so many jobs may work at once.
    pub fn here(slots: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { slots, cores, gpus: if cfg!(feature = "cuda") { visible_gpus } else { Vec::new } }
    }
}

/// One thing on which jobs compute, with slots of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Beginning of the names of its slots.
    slots: String,
    /// For people.
    name: String,
    /// A GPU's number, and what is known of it.
    gpu: Option<(usize, Option<Gpu>)>,
}

impl Place {
    fn cores() -> Self {
        Self { slots: "slot".into(), name: "this machine".into(), gpu: None }
    }

    fn gpu(number: usize, gpu: Option<Gpu>) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        // Whoever has another choice of GPUs calls it by another number.
        let slots = match gpu.as_ref().map(|gpu| gpu.uuid.as_str()) {
            Some(uuid) if !uuid.is_empty() => uuid.chars().map(plain).collect(),
            _ => format!("cuda-{number}"),
        };
        Self { slots: format!("slot.{slots}"), name: format!("cuda:{number}"), gpu: Some((number, gpu)) }
    }

    /// Where a job may compute, the best first.
    fn all(wanted: &Wanted, machine: &Machine) -> Vec<Self> {
        match wanted {
            Wanted::Cores => vec![Self::cores()],
            Wanted::Other(name) => {
                vec![Self { slots: format!("slot.{name}"), name: name.clone(), gpu: None }]
            }
            Wanted::Cuda(number) => {
                let gpu = (machine.gpus)().into_iter().nth(*number);
                vec![Self::gpu(*number, gpu)]
            }
            Wanted::Any => {
                let mut gpus: Vec<(usize, Gpu)> = (machine.gpus)().into_iter().enumerate().collect();
                // With the most free memory; of several, the first.
                gpus.sort_by_key(|(_, gpu)| std::cmp::Reverse(gpu.free));
                let all = gpus.into_iter().map(|(number, gpu)| Self::gpu(number, Some(gpu)));
                let all: Vec<Self> = all.collect();
                if all.is_empty() { vec![Self::cores()] } else { all }
            }
        }
    }

    /// Bytes of memory that are free there, where that is known.
    fn free(&self) -> Option<u64> {
        match &self.gpu {
            Some((_, gpu)) => gpu.as_ref().map(|gpu| gpu.free),
            None => available(),
        }
    }
}

/// What the holder of a slot has written beside it.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    /// What its job needs.
    memory: u64,
    /// Seconds since the epoch.
    since: f64,
    /// Cores that it was said to take.
    #[serde(default)]
    cores: Option<usize>,
}

/// A job's turn, while it lives.
#[derive(Debug)]
pub struct Turn {
    _slot: Lock,
    /// The GPU that was chosen for it, where it left that open, and what is known of it.
    pub gpu: Option<(usize, String)>,
}

/// Waits until `job` may work: until a slot is free, no older job waits for it, and the cores and the memory that it needs
/// are there beside jobs that run. The slot is taken while what is returned lives. `waiting` gets the reason whenever it
/// changes.
///
/// # Errors
/// A raised `cancel`; what the file system says.
pub fn wait_for_slot(
    job: &Path,
    need: &Need,
    machine: &Machine,
    waiting: &mut dyn FnMut(&str),
    cancel: &Cancel,
) -> Result<Turn> {
    let jobs = job.parent().unwrap_or(job);
    let mut let_pass_since = None;
    let mut last = String::new();
    loop {
        cancel.check()?;
        let reason = if job.join(HOLD).exists() {
            HELD.to_string()
        } else {
            // One process at a time looks and decides, so that no slot looks taken by one that is about to release it.
            let _turn = Lock::wait(&jobs.join("queue"))?;
            match free_place(jobs, need, machine)? {
                Ok((place, path, slot)) => {
                    let waited = let_pass_since.get_or_insert_with(Instant::now).elapsed();
                    if waited > PATIENCE || !older_one_waits(job, need, jobs) {
                        let taken =
                            Taken { memory: need.memory.unwrap_or(0), since: now(), cores: need.cores };
                        let text = serde_json::to_vec(&taken).unwrap_or_default();
                        own::replace_unsynced(&beside(&path), &text)?;
                        let chosen = place.gpu.filter(|_| need.device == Wanted::Any);
                        let gpu = chosen.map(|(number, gpu)| {
                            (number, gpu.map_or(String::new(), |gpu| format!(" ({})", gpu.text())))
                        });
                        return Ok(Turn { _slot: slot, gpu });
                    }
                    WAITS.into()
                }
                Err(reason) => {
                    let_pass_since = None;
                    reason
                }
            }
        };
        if reason != last {
            waiting(&reason);
            last = reason;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

/// The file beside a slot's in which its holder says what it takes.
fn beside(slot: &Path) -> PathBuf {
    let mut name = slot.as_os_str().to_owned();
    name.push(".taken");
    name.into()
}

/// A slot where the job fits beside those that run, and its path; else why it does not fit.
fn free_place(
    jobs: &Path,
    need: &Need,
    machine: &Machine,
) -> Result<std::result::Result<(Place, PathBuf, Lock), String>> {
    let mut reason = None;
    for place in Place::all(&need.device, machine) {
        let others = taken(jobs, &place.slots);
        let fits = match place.gpu.is_some() || place.slots != Place::cores().slots {
            true if others.len() >= machine.slots => {
                Err(format!("waits for {}, where {}", place.name, of_others(others.len())))
            }
            true => Ok(()),
            false => cores_fit(need.cores, &others, machine),
        };
        let fits = fits.and_then(|()| match need.memory.zip(place.free()) {
            Some((needed, free)) => memory_fits(needed, free, &others, now(), &place.name),
            None => Ok(()),
        });
        if let Err(problem) = fits {
            // What lacks on the best place says the most.
            reason.get_or_insert(problem);
            continue;
        }
        // As many as could ever work at once, where each takes one core.
        for number in 0..machine.slots.max(machine.cores) {
            let path = jobs.join(format!("{}.{number}", place.slots));
            if let Some(slot) = Lock::take(&path)? {
                return Ok(Ok((place, path, slot)));
            }
        }
    }
    Ok(Err(reason.unwrap_or_else(|| WAITS.into())))
}

/// `another job works`, or how many.
fn of_others(count: usize) -> String {
    if count == 1 { "another job works".into() } else { format!("{count} others work") }
}

/// What the holders of a place's slots have said; `None` for one that has said nothing.
fn taken(jobs: &Path, slots: &str) -> Vec<Option<Taken>> {
    let Ok(entries) = std::fs::read_dir(jobs) else { return Vec::new() };
    let one = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_prefix(slots)?.strip_prefix('.')?;
        number.parse::<usize>().ok()?;
        let path = entry.path();
        let said = || serde_json::from_slice(&own::read(&beside(&path), MAX_TAKEN).ok()??).ok();
        Lock::is_taken(&path).then(said)
    };
    entries.flatten().filter_map(one).collect()
}

/// Whether the cores that a job takes are left beside `others`: so many as it was said to take, else a slot's share of
/// all. A job that works alone may take what there is.
fn cores_fit(cores: Option<usize>, others: &[Option<Taken>], machine: &Machine) -> Result<(), String> {
    // Counted in parts of a core, as many as there are slots.
    let parts =
        |cores: Option<usize>| cores.map_or(machine.cores, |cores| cores.min(machine.cores) * machine.slots);
    let all = machine.cores * machine.slots;
    let used: usize = others.iter().map(|other| parts(other.as_ref().and_then(|other| other.cores))).sum();
    if others.is_empty() || used + parts(cores) <= all {
        return Ok(());
    }
    Err(match cores {
        None => WAITS.into(),
        Some(cores) => format!(
            "waits for cores: it takes {} of {}, and {} are free beside other jobs",
            cores.min(machine.cores),
            machine.cores,
            all.saturating_sub(used) / machine.slots.max(1)
        ),
    })
}

/// Whether so many bytes are free beside `others`, of whom those that began a moment ago have not taken theirs yet; one
/// that works alone may try.
fn memory_fits(
    needed: u64,
    free: u64,
    others: &[Option<Taken>],
    now: f64,
    place: &str,
) -> Result<(), String> {
    let known = others.iter().flatten();
    let promised: u64 = known.filter(|other| now - other.since < SETTLES).map(|other| other.memory).sum();
    let left = free.saturating_sub(promised);
    if others.is_empty() || needed <= left {
        return Ok(());
    }
    let (needed, left) = (size(needed), size(left));
    Err(format!("waits for memory: it needs {needed}, and {left} are free on {place} beside other jobs"))
}

fn older_one_waits(job: &Path, need: &Need, jobs: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(jobs) else { return false };
    let mine = place(job);
    entries.flatten().any(|entry| {
        let path = entry.path();
        path != job
            && entry.file_name().to_str().is_some_and(is_id)
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && !path.join(RESULT).exists()
            && place(&path) < mine
            && !path.join(HOLD).exists()
            && Lock::is_taken(&path.join(LOCK))
            && (!path.join(EVENTS).exists() || Progress::glance(&path).waiting)
            // Who waits for another job, or for another device, does not wait for this one.
            && waits_for(&path).is_none()
            && read_spec(&path).map_or(true, |other| Need::of(&other, &path).device.meets(&need.device))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::jobs::layout::ORDER;
    use crate::jobs::order::submitted;
    use crate::jobs::{ClusterSpec, JobDir};
    use crate::train::TrainSpec;

    fn job(jobs: &Path) -> JobDir {
        let spec = ClusterSpec { library: "/lib".into(), k: 2, ..ClusterSpec::default() };
        JobDir::create(jobs, &spec.into(), &[]).unwrap()
    }

    fn whole() -> Need {
        Need::default()
    }

    fn machine(slots: usize) -> Machine {
        Machine { slots, cores: 8, gpus: Vec::new }
    }

    fn gpu(uuid: &str, free: u64) -> Gpu {
        Gpu { uuid: uuid.into(), name: "A".into(), free, total: 100 << 30, load: None }
    }

    /// The slot that a job gets.
    fn slot(jobs: &Path, need: &Need, machine: &Machine) -> Result<(String, Lock), String> {
        let (_, path, lock) = free_place(jobs, need, machine).unwrap()?;
        let taken = Taken { memory: need.memory.unwrap_or(0), since: now(), cores: need.cores };
        std::fs::write(beside(&path), serde_json::to_vec(&taken).unwrap()).unwrap();
        Ok((path.file_name().unwrap().to_string_lossy().into_owned(), lock))
    }

    #[test]
    fn what_a_job_needs_follows_from_its_device_its_forecast_and_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let need = |device: &str| {
            let spec = TrainSpec { device: device.into(), ..TrainSpec::default() };
            Need::of(&AnyJob::from(spec), dir.path()).device
        };
        assert_eq!(
            ["cpu", "auto", "cuda", "cuda:3", "metal"].map(need),
            [Wanted::Cores, Wanted::Any, Wanted::Cuda(0), Wanted::Cuda(3), Wanted::Other("metal".into())]
        );
        let eval = crate::eval::EvalSpec { device: "cuda:1".into(), ..Default::default() };
        assert_eq!(Need::of(&AnyJob::from(eval), dir.path()).device, Wanted::Cuda(1));
        let clusters = AnyJob::from(ClusterSpec::default());
        assert_eq!(Need::of(&clusters, dir.path()), Need::default());
        Share { cores: Some(3) }.write(dir.path()).unwrap();
        assert_eq!(Need::of(&clusters, dir.path()).cores, Some(3));
    }

    #[test]
    fn memory_is_shared_with_those_that_run() {
        let fits =
            |needed, free, others: &[Option<Taken>], now| memory_fits(needed, free, others, now, "cuda:1");
        let other = |memory, since| Some(Taken { memory, since, cores: None });
        assert_eq!(fits(10, 5, &[], 0.0), Ok(()), "alone it may try");
        assert_eq!(fits(10, 25, &[other(10, 0.0)], 1.0), Ok(()));
        assert_eq!(fits(10, 15, &[other(10, 0.0)], 1000.0), Ok(()), "what it took shows by now");
        assert!(fits(10, 5, &[None], 0.0).is_err());
        let error = fits(2 << 30, 3 << 30, &[other(2 << 30, 0.0)], 1.0).unwrap_err();
        let said = "waits for memory: it needs 2.1 GB, and 1.1 GB are free on cuda:1 beside other jobs";
        assert_eq!(error, said);
    }

    #[test]
    fn each_gpu_has_one_job_and_auto_takes_the_one_with_most_free_memory() {
        let dir = tempfile::tempdir().unwrap();
        let gpus = || vec![gpu("GPU-a", 20 << 30), gpu("GPU-b", 60 << 30), gpu("GPU-c", 40 << 30)];
        let machine = Machine { gpus, ..machine(1) };
        let need = |device, gb: u64| Need { memory: Some(gb << 30), device, cores: None };
        let jobs = dir.path();
        let (first, _one) = slot(jobs, &need(Wanted::Any, 10), &machine).unwrap();
        let (second, two) = slot(jobs, &need(Wanted::Any, 10), &machine).unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("slot.GPU-b.0", "slot.GPU-c.0"));
        // By number it is the same device, and has the same slots.
        let taken = slot(jobs, &need(Wanted::Cuda(2), 1), &machine).unwrap_err();
        assert_eq!(taken, "waits for cuda:2, where another job works");
        let (third, _three) = slot(jobs, &need(Wanted::Cuda(0), 90), &machine).unwrap();
        assert_eq!(third, "slot.GPU-a.0", "alone there it may try");
        let taken = slot(jobs, &need(Wanted::Any, 1), &machine).unwrap_err();
        assert_eq!(taken, "waits for cuda:1, where another job works");
        // The cores are another thing.
        let _cores = slot(jobs, &whole(), &machine).unwrap();
        drop(two);
        assert_eq!(slot(jobs, &need(Wanted::Any, 1), &machine).unwrap().0, "slot.GPU-c.0");
        // Two on each: what those that have just begun will take is not free.
        let two = Machine { slots: 2, ..machine };
        let (fourth, _four) = slot(jobs, &need(Wanted::Any, 45), &two).unwrap();
        assert_eq!(fourth, "slot.GPU-b.1");
        let error = slot(jobs, &need(Wanted::Cuda(0), 1), &two).unwrap_err();
        assert!(error.contains("0 MB are free on cuda:0 beside other jobs"), "{error}");
        // Whom the driver does not know has slots by its number.
        assert_eq!(slot(jobs, &need(Wanted::Cuda(7), 1), &machine).unwrap().0, "slot.cuda-7.0");
    }

    #[test]
    fn without_gpus_auto_is_the_cores() {
        let dir = tempfile::tempdir().unwrap();
        let any = Need { device: Wanted::Any, ..whole() };
        let (name, _slot) = slot(dir.path(), &any, &machine(1)).unwrap();
        assert_eq!(
            (name.as_str(), slot(dir.path(), &whole(), &machine(1)).unwrap_err().as_str()),
            ("slot.0", WAITS)
        );
        assert!(any.device.meets(&Wanted::Cores) && any.device.meets(&Wanted::Cuda(3)));
        assert!(!Wanted::Cores.meets(&Wanted::Cuda(0)) && !Wanted::Cuda(1).meets(&Wanted::Cuda(0)));
    }

    #[test]
    fn jobs_that_say_their_cores_share_the_machine_by_them() {
        let dir = tempfile::tempdir().unwrap();
        let need = |cores| Need { cores, ..Need::default() };
        let (three, one) = (need(Some(3)), machine(1));
        let first = slot(dir.path(), &three, &one).unwrap();
        let _second = slot(dir.path(), &three, &one).unwrap();
        let error = slot(dir.path(), &three, &one).unwrap_err();
        assert_eq!(error, "waits for cores: it takes 3 of 8, and 2 are free beside other jobs");
        assert_eq!(slot(dir.path(), &need(None), &one).unwrap_err(), WAITS, "it would take all");
        let _small = slot(dir.path(), &need(Some(2)), &one).unwrap();
        drop(first);
        // Of four slots, each has two cores.
        let four = machine(4);
        let _share = slot(dir.path(), &need(None), &four).unwrap();
        assert!(
            slot(dir.path(), &need(None), &four).is_err() && slot(dir.path(), &need(Some(1)), &four).is_ok()
        );
        // More than there are is all.
        let other = tempfile::tempdir().unwrap();
        let _all = slot(other.path(), &need(Some(64)), &one).unwrap();
        let error = slot(other.path(), &need(Some(64)), &one).unwrap_err();
        assert!(error.contains("takes 8 of 8, and 0 are free"), "{error}");
    }

    #[test]
    fn slots_are_limited_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let take = || slot(dir.path(), &whole(), &machine(2));
        let (first, second) = (take().unwrap(), take().unwrap());
        assert_eq!((first.0.as_str(), second.0.as_str()), ("slot.0", "slot.1"));
        assert_eq!(take().unwrap_err(), WAITS);
        drop(first);
        assert_eq!(take().unwrap().0, "slot.0");
    }

    #[test]
    fn a_job_lets_older_ones_pass_while_they_live_and_wait() {
        let dir = tempfile::tempdir().unwrap();
        let older = job(dir.path());
        // File times are as coarse as the kernel's clock.
        while older_one_waits(older.path(), &whole(), dir.path()) || {
            let probe = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
            probe.as_file().metadata().unwrap().modified().ok() <= submitted(older.path())
        } {
            std::thread::sleep(Duration::from_millis(1));
        }
        let newer = job(dir.path());
        assert!(older_one_waits(newer.path(), &whole(), dir.path()));
        assert!(!older_one_waits(older.path(), &whole(), dir.path()));
        // One that was resumed waits as it did before it began.
        let started = "{\"event\":\"started\",\"time\":1,\"steps\":9}\n";
        std::fs::write(older.path().join(EVENTS), started).unwrap();
        assert!(!older_one_waits(newer.path(), &whole(), dir.path()));
        let resumed = format!("{started}{{\"event\":\"resumed\",\"time\":2}}\n");
        std::fs::write(older.path().join(EVENTS), resumed).unwrap();
        assert!(older_one_waits(newer.path(), &whole(), dir.path()));
        let path = older.path().to_path_buf();
        drop(older);
        assert!(!older_one_waits(newer.path(), &whole(), dir.path()), "{} is dead", path.display());
    }

    #[test]
    fn a_job_that_is_held_has_no_turn_and_one_that_is_put_first_has_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (job(dir.path()), job(dir.path()));
        std::fs::write(other.path().join(ORDER), "-1").unwrap();
        assert!(
            older_one_waits(one.path(), &whole(), dir.path())
                && !older_one_waits(other.path(), &whole(), dir.path())
        );
        own::mark(&other.path().join(HOLD)).unwrap();
        assert!(!older_one_waits(one.path(), &whole(), dir.path()));
        let cancel = Cancel::new();
        let mut report = |_: &str| cancel.cancel();
        let waited = wait_for_slot(other.path(), &whole(), &machine(1), &mut report, &cancel);
        assert!(matches!(waited, Err(Error::Cancelled)), "it took a slot though it is held");
    }

    #[test]
    fn waiting_ends_when_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        let _taken = slot(dir.path(), &whole(), &machine(1)).unwrap();
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(matches!(
            wait_for_slot(job.path(), &whole(), &machine(1), &mut |_| {}, &cancel),
            Err(Error::Cancelled)
        ));
    }

    #[test]
    fn only_who_waits_is_told_so_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        let cancel = Cancel::new();
        let mut reports = 0;
        let slot = wait_for_slot(job.path(), &whole(), &machine(1), &mut |_| reports += 1, &cancel).unwrap();
        assert_eq!(reports, 0);
        let freed = std::thread::spawn(move || {
            std::thread::sleep(BETWEEN_TRIES * 3);
            drop(slot);
        });
        wait_for_slot(job.path(), &whole(), &machine(1), &mut |_| reports += 1, &cancel).unwrap();
        assert_eq!(reports, 1);
        freed.join().unwrap();
    }
}
