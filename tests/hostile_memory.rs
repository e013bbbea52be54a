//! Hostile adapters cannot make the reader use much more memory than their files have bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lora_tui::library::Library;

/// Counts the bytes in use and remembers their highest number.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(used, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that opening the library takes at its highest point.
fn peak_of_opening(root: &Path) -> usize {
    let before = USED.load(Relaxed);
    PEAK.store(before, Relaxed);
    let library = Library::open(root).expect("a hostile expert is a row, not an error");
    let peak = PEAK.load(Relaxed) - before;
    drop(library);
    peak
}

fn weights(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_stays_in_proportion_to_the_files() {
    let root = tempfile::tempdir().expect("temporary folders can be made");
    let folder = root.path().join("it");
    fs::create_dir(&folder).expect("temporary folders can be made");
    let sound = r#"{"peft_type":"LORA","r":1}"#.to_string();
    let empty = r#"{"dtype":"U8","shape":[],"data_offsets":[0,0]}"#;
    let pairs: Vec<String> = (0..10_000)
        .flat_map(|i| {
            ["A", "B"].map(|f| {
                let (start, end) = if f == "A" { (8 * i, 8 * i + 4) } else { (8 * i + 4, 8 * i + 8) };
                format!(
                    r#""{i}.lora_{f}.weight":{{"dtype":"F32","shape":[1,1],"data_offsets":[{start},{end}]}}"#
                )
            })
        })
        .collect();
    // Escaping this in an error message would almost triple it.
    let long = "\u{feff}".repeat(300_000);
    let cases: Vec<(&str, String, Vec<u8>)> = vec![
        ("a huge claim", sound.clone(), u64::MAX.to_le_bytes().to_vec()),
        ("a large claim", sound.clone(), 90_000_000u64.to_le_bytes().to_vec()),
        ("many pairs", sound.clone(), weights(&format!("{{{}}}", pairs.join(",")), 80_000)),
        (
            "many equal entries",
            sound.clone(),
            weights(&format!("{{{}}}", vec![format!(r#""":{empty}"#); 20_000].join(",")), 0),
        ),
        (
            "many offsets",
            sound.clone(),
            weights(&format!(r#"{{"a":[{}]}}"#, vec![r#""data_offsets""#; 50_000].join(",")), 0),
        ),
        (
            "a long shape",
            sound.clone(),
            weights(&format!(r#"{{"a":{{"shape":[{}]}}}}"#, vec!["1"; 500_000].join(",")), 0),
        ),
        ("a long name", sound.clone(), weights(&format!(r#"{{"{}":{empty}}}"#, "x".repeat(1_000_000)), 0)),
        (
            "deep metadata",
            sound.clone(),
            weights(&format!(r#"{{"__metadata__":{}"#, "[".repeat(1_000_000)), 0),
        ),
        ("many targets", format!(r#"{{"target_modules":[{}]}}"#, vec![r#""""#; 1_000_000].join(",")), vec![]),
        ("a large unknown value", format!(r#"{{"x":[{}]}}"#, vec!["0"; 1_000_000].join(",")), vec![]),
        (
            "a large pattern",
            format!(r#"{{"rank_pattern":{{{}}}}}"#, vec![r#""":1"#; 500_000].join(",")),
            vec![],
        ),
        ("a long wrong shape", sound.clone(), weights(&format!(r#"{{"a":{{"shape":"{long}"}}}}"#), 0)),
        (
            "a long wrong offset",
            sound.clone(),
            weights(&format!(r#"{{"a":{{"data_offsets":["{long}"]}}}}"#), 0),
        ),
        ("a long wrong tensor", sound.clone(), weights(&format!(r#"{{"a":"{long}"}}"#), 0)),
        ("a long wrong dtype", sound.clone(), weights(&format!(r#"{{"a":{{"dtype":"{long}"}}}}"#), 0)),
        ("a long wrong header", sound, weights(&format!(r#""{long}""#), 0)),
        ("a long wrong key", format!(r#"{{"rank_pattern":{{"{long}":[]}}}}"#), vec![]),
        ("a long wrong value", format!(r#"{{"r":"{long}"}}"#), vec![]),
    ];
    for (what, config, weights) in cases {
        let size = config.len() + weights.len();
        fs::write(folder.join("adapter_config.json"), config).expect("temporary files can be written");
        fs::write(folder.join("adapter_model.safetensors"), weights).expect("temporary files can be written");
        let peak = peak_of_opening(root.path());
        // The constant covers threads and directory listings.
        assert!(peak <= 4 * size + (1 << 20), "{what}: {peak} bytes for files of {size}");
    }
}
