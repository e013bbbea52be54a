//! How much memory there is, and what does not fit into it: refused with numbers, before it is asked for. The
//! allocator ends the program where it gets none.

use std::path::{Path, PathBuf};

use crate::outside::read_limited;

/// Bytes of memory that this process may still take: what the system has left, or less where a control group
/// or the shell (`ulimit -v`) sets a limit. `None` where neither is known.
pub fn available() -> Option<u64> {
    let system = meminfo(&text("/proc/meminfo").unwrap_or_default());
    let membership = text("/proc/self/cgroup").unwrap_or_default();
    let groups = groups(&membership).into_iter().filter_map(|group| group_left(&group));
    system.into_iter().chain(groups).chain(addresses_left()).min()
}

/// What the system says in one of its files.
fn text(path: impl AsRef<Path>) -> Option<String> {
    let bytes = read_limited(path.as_ref(), 1 << 20).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the limit on addresses leaves, where there is one.
fn addresses_left() -> Option<u64> {
    unused_addresses(&text("/proc/self/limits")?, &text("/proc/self/status")?)
}

/// The same from the text of `/proc/self/limits` and `/proc/self/status`.
fn unused_addresses(limits: &str, status: &str) -> Option<u64> {
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
    let used = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let used: u64 = used.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(limit.saturating_sub(used.saturating_mul(1024)))
}

/// Bytes of memory that this process has in use, as far as the system says.
pub fn used() -> Option<u64> {
    resident(&text("/proc/self/status")?)
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Folders of the control groups that `/proc/self/cgroup` names, and of all above them.
fn groups(membership: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            c if c.split(',').any(|c| c == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        let below = Path::new(path.trim_start_matches('/'));
        folders.extend(below.ancestors().map(|part| Path::new(root).join(part)));
    }
    folders
}

/// What a control group's limit leaves; its cached files can go.
fn group_left(folder: &Path) -> Option<u64> {
    let number = |name: &str| -> Option<u64> { text(folder.join(name))?.trim().parse().ok() };
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let facts = text(folder.join("memory.stat")).unwrap_or_default();
    let cached = |name: &str| -> u64 {
        facts.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
    };
    let files = cached("inactive_file ").saturating_add(cached("active_file "));
    Some(limit.saturating_sub(used.saturating_sub(files)))
}

/// `14.5 GB`, `270 MB`, `12 kB`.
pub fn size(bytes: u64) -> String {
    let (mb, gb) = (1e6, 1e9);
    match bytes as f64 {
        b if b >= 99.95 * gb => format!("{:.0} GB", b / gb),
        b if b >= 0.9995 * gb => format!("{:.1} GB", b / gb),
        b if b >= 0.9995 * mb || b < 1.0 => format!("{:.0} MB", b / mb),
        // What is small is not nothing.
        b => format!("{:.0} kB", (b / 1e3).max(1.0)),
    }
}

/// Less than this is asked for without a look at what is free.
const SMALL: u64 = 32 << 20;

/// Whether `bytes` more fit into memory, beside what the program has already.
///
/// # Errors
/// That they do not, with both numbers, to be put after a name.
pub fn check_room(bytes: u64) -> Result<(), String> {
    let free = if bytes > SMALL { available() } else { None };
    match free.filter(|&free| bytes > free) {
        Some(free) => Err(format!("needs {} of memory, and {} are free here", size(bytes), size(free))),
        None => Ok(()),
    }
}

/// An empty list with room for `count` values.
///
/// # Errors
/// As [`check_room`]; also where the system refuses, whatever it said before.
pub fn with_room<T>(count: usize) -> Result<Vec<T>, String> {
    let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
    check_room(bytes)?;
    let mut list = Vec::new();
    list.try_reserve_exact(count)
        .map_err(|_| format!("needs {} of memory, which the system refuses", size(bytes)))?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_what_is_small_is_not_nothing() {
        let shown = [0, 1, 1_400, 499_999, 500_000, 270_000_000, 14_500_000_000, 128 << 30].map(size);
        assert_eq!(shown, ["0 MB", "1 kB", "1 kB", "500 kB", "500 kB", "270 MB", "14.5 GB", "137 GB"]);
    }

    #[test]
    fn the_tightest_limit_counts() {
        let text = "MemTotal:       24684096 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(meminfo(text), Some(1 << 20));

        let limits = |soft: &str| {
            format!("Max pending signals  5  5  signals\nMax address space   {soft}   unlimited  bytes\n")
        };
        let status = "VmPeak:\t  900 kB\nVmSize:\t     512 kB\n";
        assert_eq!(unused_addresses(&limits("1048576"), status), Some(512 << 10));
        assert_eq!(unused_addresses(&limits("1024"), status), Some(0));
        assert_eq!(unused_addresses(&limits("unlimited"), status), None);

        let folders = groups("0::/a/b\n5:cpu,memory:/c\n3:cpu:/d\n");
        let folders: Vec<&str> = folders.iter().filter_map(|f| f.to_str()).collect();
        let wanted = ["/a/b", "/a", "/", "/memory/c", "/memory/"].map(|f| format!("/sys/fs/cgroup{f}"));
        assert_eq!(folders, wanted);

        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("memory.max", "max\n");
        write("memory.current", "100\n");
        assert_eq!(group_left(folder.path()), None);
        write("memory.max", "1000\n");
        write("memory.stat", "anon 40\nfile 60\ninactive_file 50\nactive_file 10\n");
        assert_eq!(group_left(folder.path()), Some(960));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_numbers() {
        assert!(check_room(1 << 20).is_ok());
        assert_eq!(with_room::<f32>(1000).unwrap().capacity(), 1000);
        let error = with_room::<f32>(1 << 50).unwrap_err();
        assert!(error.starts_with("needs ") && error.contains(" GB of memory, "), "{error}");
    }
}
