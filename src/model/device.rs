//! Where the decoder runs.

use candle_core::Device;

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
    // candle's backtraces are long; the first line says it.
    Device::new_cuda(index).map_err(|e| {
        let reason = e.to_string();
        let reason = reason.lines().next().unwrap_or("unknown reason");
        Error::msg(format!("CUDA device {index} cannot be used ({reason}): use --device cpu"))
    })
}

fn metal() -> Result<Device> {
    if !cfg!(feature = "metal") {
        return Err(Error::usage(
            "this build has no Metal: build it with `--features metal`, or use --device cpu",
        ));
    }
    Device::new_metal(0).map_err(|e| Error::msg(format!("Metal cannot be used ({e}): use --device cpu")))
}

/// Whether `name` is a device's name: `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
pub fn is_device(name: &str) -> bool {
    matches!(name, "auto" | "cpu" | "cuda" | "metal")
        || name.strip_prefix("cuda:").is_some_and(|n| n.parse::<usize>().is_ok())
}

/// The device called `name`. `auto` takes the first GPU that this build can use, else the CPU.
///
/// # Errors
/// Unknown names; a device that this build or this machine lacks.
pub fn open_device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => {
            if cfg!(feature = "cuda")
                && let Ok(device) = cuda(0)
            {
                return Ok(device);
            }
            if cfg!(feature = "metal")
                && let Ok(device) = metal()
            {
                return Ok(device);
            }
            Ok(Device::Cpu)
        }
        "metal" => metal(),
        "cuda" => cuda(0),
        _ => match name.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
            Some(index) => cuda(index),
            None => Err(Error::usage(format!("unknown device \"{name}\": use auto, cpu, cuda:N or metal"))),
        },
    }
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
        for name in ["auto", "cpu", "cuda", "cuda:0", "cuda:11", "metal"] {
            assert!(is_device(name), "{name}");
        }
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            assert!(!is_device(name), "{name}");
            let error = open_device(name).unwrap_err().to_string();
            assert!(error.contains("unknown device"), "{error}");
        }
        assert_eq!(device_name(&open_device("cpu").unwrap()), "cpu");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_get_it() {
        let error = open_device("cuda:1").unwrap_err().to_string();
        assert!(error.contains("--features cuda") && error.contains("--device cpu"), "{error}");
    }
}
