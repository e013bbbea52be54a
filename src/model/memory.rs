//! How much memory a model needs, and how much there is.

use std::path::{Path, PathBuf};

use super::packed::row_block::ROW_BLOCK;
use super::precision::Precision;
use super::spec::DecoderSpec;
use crate::outside::read_limited;
use crate::{Error, Result};

/// Memory that a model takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Held while the model lives.
    pub weights: u64,
    /// On top of that, while it is read: a block of rows of the widest matrix for each thread.
    pub loading: u64,
}

impl Need {
    /// The most that is in use at any time of loading.
    pub fn peak(&self) -> u64 {
        self.weights.saturating_add(self.loading)
    }
}

/// Bytes that a matrix [out, in] takes.
fn matrix(precision: Precision, (out_features, in_features): (u64, u64)) -> u64 {
    let elements = out_features.saturating_mul(in_features);
    match precision {
        Precision::F32 => elements.saturating_mul(4),
        Precision::Bf16 => elements.saturating_mul(2),
        // 32 values and a scale of 16 bits, rounded up to whole lines of memory.
        Precision::Q8 => elements.saturating_mul(1088) / 1024,
    }
}

/// What a model of this shape needs. Vectors (norms, biases) are small beside the matrices and left out.
pub fn need(spec: &DecoderSpec, precision: Precision) -> Need {
    let wide = |n: usize| n as u64;
    let (hidden, vocab) = (wide(spec.hidden), wide(spec.vocab));
    let shapes = spec.linear_shapes();
    let layer: Vec<(u64, u64)> = shapes.iter().map(|l| (wide(l.out_features), wide(l.in_features))).collect();
    let layers: u64 = layer.iter().map(|&m| matrix(precision, m)).fold(0, u64::saturating_add);
    let layers = layers.saturating_mul(wide(spec.layers));
    // A tied head is the embedding.
    let tables = if spec.tied { 1 } else { 2 };
    let outer = matrix(precision, (vocab, hidden)).saturating_mul(tables);
    let widest = layer.iter().map(|&(_, width)| width).max().unwrap_or(0);
    // Its bytes, and its values in f32 when they are decoded and where they go.
    let block = 12 * (ROW_BLOCK as u64).saturating_mul(widest);
    Need {
        weights: layers.saturating_add(outer),
        loading: block.saturating_mul(rayon::current_num_threads() as u64),
    }
}

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

/// `14.5 GB`, `270 MB`.
pub fn size(bytes: u64) -> String {
    let (mb, gb) = (1e6, 1e9);
    match bytes as f64 {
        b if b >= 99.95 * gb => format!("{:.0} GB", b / gb),
        b if b >= 0.9995 * gb => format!("{:.1} GB", b / gb),
        b => format!("{:.0} MB", b / mb),
    }
}

/// Refuses a model that cannot fit, with the numbers and a way out.
///
/// # Errors
/// When loading needs more than [`available`].
pub fn check(path: &Path, spec: &DecoderSpec, precision: Precision, available: Option<u64>) -> Result<()> {
    let needed = need(spec, precision).peak();
    let Some(free) = available.filter(|&free| needed > free) else { return Ok(()) };
    let smaller = [Precision::Bf16, Precision::Q8]
        .into_iter()
        .map(|p| (p, need(spec, p).peak()))
        .find(|&(_, other)| other < needed && other <= free);
    let way = match smaller {
        Some((p, other)) => format!("--precision {p} needs {}", size(other)),
        None if precision == Precision::Q8 => "free memory, or use a smaller model".into(),
        None => {
            let least = need(spec, Precision::Q8).peak();
            format!("even --precision q8 needs {}: free memory, or use a smaller model", size(least))
        }
    };
    let problem =
        format!("needs {} of memory as {precision}, and {} are free here; {way}", size(needed), size(free));
    Err(Error::file(path, problem))
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::super::families;
    use super::*;

    fn mistral_7b() -> DecoderSpec {
        let config = serde_json::json!({
            "model_type": "mistral", "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
            "rms_norm_eps": 1e-5,
        });
        families::spec(&Config::new(Path::new("config.json"), config).unwrap()).unwrap()
    }

    #[test]
    fn a_7b_model_needs_its_parameters() {
        let spec = mistral_7b();
        // 7.24 billion parameters.
        let billions = |p| need(&spec, p).weights as f64 / 1e9;
        assert!((billions(Precision::F32) - 4.0 * 7.24).abs() < 0.05, "{}", billions(Precision::F32));
        assert!((billions(Precision::Bf16) - 2.0 * 7.24).abs() < 0.05, "{}", billions(Precision::Bf16));
        let eight = 7.24 * 34.0 / 32.0;
        assert!((billions(Precision::Q8) - eight).abs() < 0.05, "{}", billions(Precision::Q8));
        // A tied head is not held twice.
        let tied = DecoderSpec { tied: true, ..spec.clone() };
        let less = need(&spec, Precision::Q8).weights - need(&tied, Precision::Q8).weights;
        assert_eq!(less, matrix(Precision::Q8, (32000, 4096)));
    }

    #[test]
    fn what_cannot_fit_is_refused_with_a_way_out() {
        let spec = mistral_7b();
        let refusal = |free: u64| {
            let found = check(Path::new("m"), &spec, Precision::F32, Some(free));
            found.err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert_eq!(refusal(40 << 30), "");
        assert!(check(Path::new("m"), &spec, Precision::F32, None).is_ok());
        let text = refusal(23 << 30);
        assert_eq!(
            text,
            "m: needs 29.0 GB of memory as f32, and 24.7 GB are free here; --precision bf16 needs 14.5 GB"
        );
        assert!(refusal(10 << 30).contains("; --precision q8 needs"), "{}", refusal(10 << 30));
        assert!(refusal(2 << 30).contains("even --precision q8 needs"), "{}", refusal(2 << 30));
        let q8 = check(Path::new("m"), &spec, Precision::Q8, Some(2 << 30)).unwrap_err().to_string();
        assert!(q8.ends_with("are free here; free memory, or use a smaller model"), "{q8}");
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
}
