//! Where the decoder runs.

use std::sync::Arc;

use candle_core::Device;

use super::ops::{DeviceOps, HostOps, Ops};
use crate::devices::assigned;
use crate::{Error, Result};

/// The GPU libraries that this build carries, for messages and `doctor`.
pub fn compiled_for() -> &'static str {
    match (cfg!(feature = "cuda"), cfg!(feature = "metal")) {
        (true, true) => "CPU, CUDA, Metal",
        (true, false) => "CPU, CUDA",
        (false, true) => "CPU, Metal",
        (false, false) => "CPU",
    }
}

fn cuda(index: usize) -> Result<Device> {
    if !cfg!(feature = "cuda") {
        return Err(Error::usage(format!(
            "this build has no CUDA: build it with `--features cuda`, or use --device cpu instead of cuda:{index}"
        )));
    }
    Device::new_cuda(index).map_err(|e| {
        let reason = plain_reason(&e.to_string());
        Error::msg(format!("CUDA device {index} cannot be used ({reason}): use --device cpu"))
    })
}

/// What a driver's error says to people: the quoted part of its first line, as in
/// `DriverError(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected")`, or that line. Backtraces follow.
fn plain_reason(error: &str) -> String {
    let line = error.lines().next().unwrap_or("unknown reason");
    line.split('"').nth(1).unwrap_or(line).to_string()
}

fn metal() -> Result<Device> {
    if !cfg!(feature = "metal") {
        return Err(Error::usage(
            "this build has no Metal: build it with `--features metal`, or use --device cpu",
        ));
    }
    Device::new_metal(0).map_err(|e| {
        let reason = plain_reason(&e.to_string());
        Error::msg(format!("Metal cannot be used ({reason}): use --device cpu"))
    })
}

/// The CPU as one of candle's devices: the operations of a GPU, where there is none. For tests, and to
/// distinguish a fault of the operations from one of a driver; it is slower than `cpu`, and no help mentions it.
pub const CANDLE_CPU: &str = "candle-cpu";

/// Whether `name` is a device's name: `auto`, `cpu`, `cuda`, `cuda:N` or `metal`, or `CANDLE_CPU`.
pub fn is_device(name: &str) -> bool {
    matches!(name, "auto" | "cpu" | CANDLE_CPU | "cuda" | "metal")
        || name.strip_prefix("cuda:").is_some_and(|n| n.parse::<usize>().is_ok())
}

/// The GPU that was assigned to this process, else the first that this build and this machine can use, else the CPU; and why GPUs were passed over that the
/// build is for.
pub fn choose_device() -> (Device, Vec<String>) {
    let mut passed_over = Vec::new();
    let gpus: [(bool, fn() -> Result<Device>); 2] =
        [(cfg!(feature = "cuda"), || cuda(assigned().unwrap_or(0))), (cfg!(feature = "metal"), metal)];
    for (_, open) in gpus.iter().filter(|(built, _)| *built) {
        match open() {
            Ok(device) => return (device, passed_over),
            Err(reason) => passed_over.push(reason.to_string()),
        }
    }
    (Device::Cpu, passed_over)
}

/// The operations of a model on the device called `name`. `auto` is [`choose_device`]'s.
///
/// # Errors
/// Unknown names; a device that this build or this machine lacks.
pub fn open_ops(name: &str) -> Result<Arc<dyn Ops>> {
    if name == CANDLE_CPU {
        return Ok(Arc::new(DeviceOps::new(Device::Cpu)));
    }
    Ok(match open_device(name)? {
        Device::Cpu => Arc::new(HostOps),
        device => Arc::new(DeviceOps::new(device)),
    })
}

fn open_device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(choose_device().0),
        "metal" => metal(),
        "cuda" => cuda(0),
        _ => match name.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
            Some(index) => cuda(index),
            None => Err(Error::usage(format!("unknown device \"{name}\": use auto, cpu, cuda:N or metal"))),
        },
    }
}

/// The model and the memory of a GPU, where its driver reports them.
#[cfg(feature = "cuda")]
pub fn device_details(device: &Device) -> Option<String> {
    let Device::Cuda(cuda) = device else { return None };
    let name = cuda.cuda_stream().context().name().ok()?;
    let (free, total) = cuda.cuda_stream().context().mem_get_info().ok()?;
    let size = |bytes: usize| crate::memory::size(bytes as u64);
    Some(format!("{name}, {} of {} free", size(free), size(total)))
}

/// The model and the memory of a GPU, where its driver reports them.
#[cfg(not(feature = "cuda"))]
pub fn device_details(_device: &Device) -> Option<String> {
    None
}

/// Bytes of memory that a GPU has left, where its driver says so.
#[cfg(feature = "cuda")]
pub fn device_room(device: &Device) -> Option<u64> {
    let Device::Cuda(cuda) = device else { return None };
    cuda.cuda_stream().context().mem_get_info().ok().map(|(free, _)| free as u64)
}

/// Bytes of memory that a GPU has left, where its driver says so.
#[cfg(not(feature = "cuda"))]
pub fn device_room(_device: &Device) -> Option<u64> {
    None
}

/// `cpu`, `cuda:N` or `metal`.
pub fn device_name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".into(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { .. } => "metal".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for name in ["auto", "cpu", "candle-cpu", "cuda", "cuda:0", "cuda:11", "metal"] {
            assert!(is_device(name), "{name}");
        }
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            assert!(!is_device(name), "{name}");
            let error = open_device(name).unwrap_err().to_string();
            assert!(error.contains("unknown device"), "{error}");
        }
        assert_eq!(device_name(&open_device("cpu").unwrap()), "cpu");
        for name in ["cpu", CANDLE_CPU] {
            assert_eq!(device_name(open_ops(name).unwrap().device()), "cpu");
        }
        assert!(open_ops("gpu").is_err());
    }

    #[test]
    fn reasons_are_those_of_the_driver() {
        let driver = "DriverError(CUDA_ERROR_NO_DEVICE, \"no CUDA-capable device is detected\")\n 0: frame";
        assert_eq!(plain_reason(driver), "no CUDA-capable device is detected");
        assert_eq!(plain_reason("no device\nframe"), "no device");
    }

    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn a_build_without_gpus_takes_the_cpu() {
        let (device, passed_over) = choose_device();
        assert!(device.is_cpu() && passed_over.is_empty() && device_details(&device).is_none());
        assert_eq!(device_name(&open_device("auto").unwrap()), "cpu");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_get_it() {
        let error = open_device("cuda:1").unwrap_err().to_string();
        assert!(error.contains("--features cuda") && error.contains("--device cpu"), "{error}");
    }
}
