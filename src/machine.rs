//! What this machine has and how much of it is in use, and what a process takes. As Linux says it in `/proc`; elsewhere
//! what is not known is left out.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use crate::memory;
use crate::outside::read_limited;

/// Ticks of the clock by which Linux counts the time of processes, a second.
const TICKS: f64 = 100.0;
/// Largest file of `/proc` that is read.
const MAX_SIZE: u64 = 1 << 20;

/// How busy the machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Cores that this program may use.
    pub cores: usize,
    /// Share of all cores that worked since the last look, 0..=1; `None` at the first.
    pub busy: Option<f64>,
    /// Bytes of memory in use, and in all.
    pub memory: Option<(u64, u64)>,
    /// Bytes that are free on the disk of a folder.
    pub disk: Option<u64>,
}

/// What a process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    /// Cores that it kept busy since the last look; `None` at the first.
    pub cores: Option<f64>,
    /// Bytes of memory that it takes.
    pub memory: u64,
}

/// Looks at the machine again and again.
#[derive(Debug, Default)]
pub struct Gauge {
    /// Time that the cores worked, and all time, in ticks.
    last: Option<(u64, u64)>,
    /// Ticks of processes, by their ids, and when they were looked at.
    processes: HashMap<u32, (u64, Instant)>,
}

impl Gauge {
    /// How busy the machine is since the last look, and how much room there is on the disk of `folder`.
    pub fn load(&mut self, folder: &Path) -> Load {
        let now = text("/proc/stat").as_deref().and_then(worked);
        let busy = now.zip(self.last).and_then(|((work, all), (work_before, all_before))| {
            let all = all.checked_sub(all_before).filter(|all| *all > 0)?;
            Some((work.saturating_sub(work_before) as f64 / all as f64).min(1.0))
        });
        self.last = now;
        let total = text("/proc/meminfo").as_deref().and_then(total_memory);
        let free = memory::available();
        Load {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            busy,
            memory: total.zip(free).map(|(total, free)| (total.saturating_sub(free), total)),
            disk: free_disk(folder),
        }
    }

    /// What a process takes, if its command line has this word: ids of processes come again.
    pub fn process(&mut self, id: u32, word: &str) -> Option<Taken> {
        let folder = format!("/proc/{id}");
        let command = text(&format!("{folder}/cmdline"))?;
        command.split('\0').any(|part| part.contains(word)).then_some(())?;
        let ticks = ticks(&text(&format!("{folder}/stat"))?)?;
        let memory = resident(&text(&format!("{folder}/status"))?)?;
        let now = Instant::now();
        let before = self.processes.insert(id, (ticks, now));
        let cores = before.and_then(|(before, at)| {
            let seconds = now.duration_since(at).as_secs_f64();
            (seconds > 0.0).then(|| ticks.saturating_sub(before) as f64 / TICKS / seconds)
        });
        Some(Taken { cores, memory })
    }

    /// Forgets processes that are not among these.
    pub fn keep(&mut self, ids: &[u32]) {
        self.processes.retain(|id, _| ids.contains(id));
    }
}

fn text(path: &str) -> Option<String> {
    let bytes = read_limited(Path::new(path), MAX_SIZE).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Time that all cores worked, and all time, of `/proc/stat`, in ticks.
fn worked(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; what follows is part of user and nice.
    let times: Vec<u64> = line.split_whitespace().take(8).map_while(|time| time.parse().ok()).collect();
    let all: u64 = times.iter().sum();
    let idle: u64 = times.iter().skip(3).take(2).sum();
    (times.len() >= 4).then_some((all - idle, all))
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_memory(meminfo: &str) -> Option<u64> {
    kilobytes(meminfo, "MemTotal:")
}

/// `VmRSS` of `/proc/PID/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    kilobytes(status, "VmRSS:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// User and system time of `/proc/PID/stat`. The name in it may be anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

#[cfg(unix)]
fn free_disk(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(not(unix))]
fn free_disk(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system_are_read_as_they_are_meant() {
        let stat = "cpu  100 10 40 800 50 0 0 0 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(worked(stat), Some((150, 1000)));
        assert_eq!(worked("intr 1"), None);
        assert_eq!(total_memory("MemTotal:  2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(resident("Name: x\nVmRSS:\t 3 kB\n"), Some(3072));
        // The name of a program may look like the rest.
        let line = "7 (a) b (c 1 2) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 30 10 3 0 1";
        assert_eq!(ticks(line), Some(300));
        assert_eq!(ticks("7"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_takes_memory_and_another_of_the_same_id_is_not_it() {
        let mut gauge = Gauge::default();
        let program = std::env::args().next().unwrap();
        let taken = gauge.process(std::process::id(), &program).unwrap();
        assert!(taken.memory > 1 << 20 && taken.cores.is_none(), "{taken:?}");
        assert!(gauge.process(std::process::id(), &program).unwrap().cores.is_some());
        assert_eq!(gauge.process(std::process::id(), "no such word"), None);
        let load = gauge.load(Path::new("/"));
        let (used, total) = load.memory.unwrap();
        assert!(load.cores > 0 && used < total && load.disk.is_some(), "{load:?}");
    }
}
