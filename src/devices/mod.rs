//! GPUs as their driver shows them: names, memory, load, and which of them this process may use.

mod nvml;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::size;

/// Which GPUs a process sees, in CUDA's words.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// How CUDA numbers them.
const ORDER: &str = "CUDA_DEVICE_ORDER";

/// A GPU of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpu {
    /// Its name that no other has: `GPU-8f…`.
    pub uuid: String,
    /// What it is: `NVIDIA H200`. Untrusted.
    pub name: String,
    /// Bytes of memory that nobody uses.
    pub free: u64,
    /// Bytes of memory.
    pub total: u64,
    /// Per cent of the last moments in which it computed, where the driver says so.
    pub load: Option<u32>,
}

impl Gpu {
    /// `NVIDIA H200, 120 GB of 150 GB free, load 3 %`.
    pub fn text(&self) -> String {
        let load = self.load.map_or(String::new(), |load| format!(", load {load} %"));
        format!("{}, {} of {} free{load}", self.name, size(self.free), size(self.total))
    }
}

/// All GPUs of this machine by the number that the driver gives them, as they are at this moment; none where there is no
/// NVIDIA driver. Takes a few milliseconds, the first call some hundred.
pub fn gpus() -> Vec<Gpu> {
    nvml::gpus()
}

/// Those that this process may use, in the order in which CUDA numbers them: the first is `cuda:0`.
pub fn visible_gpus() -> Vec<Gpu> {
    match std::env::var(VISIBLE) {
        Ok(chosen) => visible(gpus(), &chosen),
        Err(_) => gpus(),
    }
}

/// Those of `all` that a list of numbers and of beginnings of UUIDs names, up to the first that is none.
fn visible(all: Vec<Gpu>, chosen: &str) -> Vec<Gpu> {
    let named = |word: &str| {
        let word = word.trim();
        match word.parse::<usize>() {
            Ok(number) => all.get(number).cloned(),
            Err(_) if word.is_empty() => None,
            Err(_) => all.iter().find(|gpu| gpu.uuid.starts_with(word)).cloned(),
        }
    };
    let mut found: Vec<Gpu> = Vec::new();
    for gpu in chosen.split(',').map_while(named) {
        // Named twice, CUDA shows none.
        if found.contains(&gpu) {
            return Vec::new();
        }
        found.push(gpu);
    }
    found
}

/// Lets CUDA number GPUs as the driver does, by their place on the bus and not by their speed, unless the environment
/// says how.
///
/// # Safety
/// No other thread of the process may be running: it changes the environment.
pub unsafe fn number_as_the_driver_does() {
    if std::env::var_os(ORDER).is_none() {
        // SAFETY: the caller sees to it that nobody reads the environment meanwhile.
        unsafe { std::env::set_var(ORDER, "PCI_BUS_ID") };
    }
}

/// The GPU that `auto` means in this process, plus one; 0 while none was assigned.
static ASSIGNED: AtomicUsize = AtomicUsize::new(0);

/// From now on `--device auto` is `cuda:NUMBER` in this process: the queue of jobs has chosen it.
pub fn assign(number: usize) {
    ASSIGNED.store(number + 1, Ordering::Relaxed);
}

/// The number of the GPU that was assigned to this process.
pub fn assigned() -> Option<usize> {
    ASSIGNED.load(Ordering::Relaxed).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cuda_would_show_is_visible() {
        let gpu = |uuid: &str| Gpu { uuid: uuid.into(), ..Gpu::default() };
        let all = vec![gpu("GPU-aa1"), gpu("GPU-ab2"), gpu("GPU-c")];
        let shown = |chosen: &str| -> Vec<String> {
            visible(all.clone(), chosen).into_iter().map(|gpu| gpu.uuid).collect()
        };
        assert_eq!(shown("2,0"), ["GPU-c", "GPU-aa1"]);
        assert_eq!(shown(" GPU-ab , 2"), ["GPU-ab2", "GPU-c"]);
        assert_eq!(shown("1,7,0"), ["GPU-ab2"], "what follows one that is not there does not count");
        assert_eq!(shown("1,-1,0"), ["GPU-ab2"]);
        assert_eq!(shown("0,GPU-aa"), [""; 0]);
        for none in ["", "-1", "NoDevFiles", "MIG-1"] {
            assert_eq!(shown(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn a_gpu_is_described_in_one_line() {
        let gpu = Gpu { name: "A".into(), free: 3_000_000_000, total: 8_000_000_000, ..Gpu::default() };
        assert_eq!(gpu.text(), "A, 3.0 GB of 8.0 GB free");
        assert_eq!(Gpu { load: Some(7), ..gpu }.text(), "A, 3.0 GB of 8.0 GB free, load 7 %");
    }
}
