//! GPUs as `doctor` shows them, beside a driver's library made for the test. Skipped with a line where there is no C
//! compiler.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::BINARY;

/// What is called of the library: two GPUs, the second of which does not say its load.
const LIBRARY: &str = r#"
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } load;
static int numbers[2] = {0, 1};
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned at, void **device) { *device = &numbers[at]; return 0; }
static int is_first(void *device) { return *(int *)device == 0; }
int nvmlDeviceGetName(void *device, char *text, unsigned size) {
    strncpy(text, is_first(device) ? "Pretend\x1b[2J A" : "Pretend B", size); return 0; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
    strncpy(text, is_first(device) ? "GPU-a" : "GPU-b", size); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory *found) {
    found->total = 8000000000ull; found->free = is_first(device) ? 2000000000ull : 7000000000ull;
    found->used = found->total - found->free; return 0; }
int nvmlDeviceGetUtilizationRates(void *device, load *found) {
    found->gpu = 93; found->memory = 5; return is_first(device) ? 0 : 3; }
"#;

/// Lines of `doctor` about GPUs.
fn gpus(folder: &Path, visible: Option<&str>) -> Vec<String> {
    let mut doctor = Command::new(BINARY);
    doctor.args(["doctor", "--json"]).current_dir(folder).env("LD_LIBRARY_PATH", folder);
    doctor.env_remove("CUDA_VISIBLE_DEVICES");
    if let Some(visible) = visible {
        doctor.env("CUDA_VISIBLE_DEVICES", visible);
    }
    let output = doctor.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = document["checks"].as_array().unwrap().iter();
    let lines =
        checks.filter(|check| check["what"] == "gpu").map(|check| check["says"].as_str().unwrap().into());
    lines.collect()
}

#[test]
fn doctor_shows_each_gpu_of_the_driver_with_its_memory_and_load() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("nvml.c");
    std::fs::write(&source, LIBRARY).unwrap();
    let library = folder.path().join("libnvidia-ml.so.1");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
    if !compiled.as_ref().is_ok_and(|output| output.status.success()) {
        println!("skipped: no C compiler here ({compiled:?})");
        return;
    }
    let (first, second) =
        ("Pretend\u{1b}[2J A, 2.0 GB of 8.0 GB free, load 93 %", "Pretend B, 7.0 GB of 8.0 GB free");
    assert_eq!(gpus(folder.path(), None), [format!("cuda:0: {first}"), format!("cuda:1: {second}")]);
    let hidden = "hidden by CUDA_VISIBLE_DEVICES";
    assert_eq!(
        gpus(folder.path(), Some("GPU-b")),
        [format!("{hidden}: {first}"), format!("cuda:0: {second}")]
    );
    assert_eq!(gpus(folder.path(), Some("")), [format!("{hidden}: {first}"), format!("{hidden}: {second}")]);
    // For people, what the driver says cannot change the terminal.
    let mut doctor = Command::new(BINARY);
    let output =
        doctor.arg("doctor").current_dir(folder.path()).env("LD_LIBRARY_PATH", folder.path()).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(text.contains("Pretend\\u{1b}[2J A, 2.0 GB") && !text.contains('\u{1b}'), "{text}");
}
