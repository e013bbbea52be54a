//! Which instructions this process computes with: one [`Level`], asked for once.
//!
//! Every kernel of the crate that has several bodies takes the one of [`level`]: the highest that the CPU and the
//! system offer, or what the environment variable `LORA_TUI_CPU` caps it to. Results differ between levels by
//! rounding only. Products that candle and the `gemm` crate compute choose their instructions themselves, whatever
//! the level is: large products in f32 where no kernel of ours exists, and those of GPUs.
//!
//! Not on x86-64, and under Miri, there is only [`Level::Scalar`]: what the compiler makes of plain loops for the
//! platform, which may well be vectors (NEON).

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::named::Named;
use crate::{Error, Result};

/// Caps the level, for tests and to find faults.
const VARIABLE: &str = "LORA_TUI_CPU";

/// Sets of instructions, each with all those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The platform's baseline: SSE2 on x86-64.
    Scalar = 1,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW and VL; with VNNI and BF16, where the CPU has them ([`vnni`], [`bf16`]).
    Avx512,
    /// Tiles of bf16, of which the system has to allow the use.
    Amx,
}

struct Entry {
    level: Level,
    name: &'static str,
    help: &'static str,
    /// Whether the CPU and the system offer it, given that they offer the level before it.
    offered: fn() -> bool,
}

/// All levels, lowest first.
static LEVELS: [Entry; 4] = [
    Entry { level: Level::Scalar, name: "scalar", help: "The platform's baseline", offered: || true },
    Entry { level: Level::Avx2, name: "avx2", help: "AVX2 and FMA", offered: machine::avx2 },
    Entry {
        level: Level::Avx512,
        name: "avx512",
        help: "AVX-512, with VNNI and BF16 where the CPU has them",
        offered: machine::avx512,
    },
    Entry { level: Level::Amx, name: "amx", help: "AMX tiles of bf16", offered: machine::amx },
];

impl Level {
    fn entry(self) -> &'static Entry {
        &LEVELS[self as usize - 1]
    }
}

impl Named for Level {
    const KIND: &'static str = "CPU level";

    fn all() -> &'static [Self] {
        &[Level::Scalar, Level::Avx2, Level::Avx512, Level::Amx]
    }

    fn name(&self) -> &'static str {
        self.entry().name
    }

    fn help(&self) -> &'static str {
        self.entry().help
    }
}

/// What is computed with: the level in the lowest three bits, then [`VNNI`] and [`BF16`].
static CHOSEN: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const LEVEL: u8 = 7;
const VNNI: u8 = 8;
const BF16: u8 = 16;

/// As cheap as a load from memory, once asked.
#[inline(always)]
fn chosen() -> u8 {
    #[cfg(test)]
    if let Some(instructions) = each::replaced() {
        return instructions;
    }
    match CHOSEN.load(Ordering::Relaxed) {
        UNKNOWN => choose(),
        known => known,
    }
}

#[cold]
fn choose() -> u8 {
    // What cannot be taken is reported by `check`.
    let cap = cap(std::env::var_os(VARIABLE).as_deref(), offered()).ok().flatten();
    let chosen = instructions(cap.unwrap_or_else(offered));
    CHOSEN.store(chosen, Ordering::Relaxed);
    chosen
}

/// All instructions that there are at `level`.
fn instructions(level: Level) -> u8 {
    let extra = |bit: u8, has: fn() -> bool| if level >= Level::Avx512 && has() { bit } else { 0 };
    level as u8 | extra(VNNI, machine::vnni) | extra(BF16, machine::bf16)
}

/// The highest level of this machine, whatever the cap is.
pub fn offered() -> Level {
    LEVELS.iter().take_while(|entry| (entry.offered)()).last().map_or(Level::Scalar, |entry| entry.level)
}

/// Whether kernels of `level` are used.
#[inline(always)]
pub fn uses(level: Level) -> bool {
    chosen() & LEVEL >= level as u8
}

/// The level that kernels are chosen by.
pub fn level() -> Level {
    LEVELS.iter().rev().find(|entry| uses(entry.level)).map_or(Level::Scalar, |entry| entry.level)
}

/// Whether whole numbers of 8 bits are multiplied by AVX-512 VNNI.
#[inline(always)]
pub fn vnni() -> bool {
    chosen() & VNNI != 0
}

/// Whether bf16 is multiplied by AVX-512 BF16.
#[inline(always)]
pub fn bf16() -> bool {
    chosen() & BF16 != 0
}

/// Which instructions the machine has that matter to speed, whatever the cap is, for people.
pub fn features() -> Vec<&'static str> {
    machine::features()
}

/// Whether `LORA_TUI_CPU` is unset, empty, or a level that this machine has; otherwise it has no effect.
///
/// # Errors
/// A usage error that says what it may be.
pub fn check() -> Result<()> {
    cap(std::env::var_os(VARIABLE).as_deref(), offered()).map(drop)
}

fn cap(value: Option<&OsStr>, offered: Level) -> Result<Option<Level>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let level = *Level::named(&value.to_string_lossy())
        .map_err(|error| Error::usage(format!("{VARIABLE}: {error}")))?;
    if level > offered {
        let (level, highest) = (level.name(), offered.name());
        return Err(Error::usage(format!(
            "{VARIABLE} is {level}, which this machine does not have; {highest} is its highest level"
        )));
    }
    Ok(Some(level))
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod machine {
    use std::is_x86_feature_detected as has;
    use std::sync::LazyLock;

    pub fn avx2() -> bool {
        has!("avx2") && has!("fma")
    }

    pub fn avx512() -> bool {
        has!("avx512f") && has!("avx512bw") && has!("avx512vl")
    }

    pub fn vnni() -> bool {
        has!("avx512vnni")
    }

    pub fn bf16() -> bool {
        has!("avx512bf16")
    }

    pub fn amx() -> bool {
        // Rows become tiles by AVX-512 BF16.
        static AMX: LazyLock<bool> = LazyLock::new(|| bf16() && tiles());
        *AMX
    }

    /// Whether the CPU multiplies tiles of bf16 and the system lets this process do so. Linux has to be asked: it
    /// keeps room for the tiles of those threads only whose process did.
    #[cfg(target_os = "linux")]
    fn tiles() -> bool {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const REQUEST: libc::c_long = 0x1023;
        const TILES: libc::c_long = 18;
        // SAFETY: every CPU that this is compiled for has this instruction; the call changes nothing but what the
        // system keeps of a thread's registers.
        unsafe {
            let features = if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).edx };
            features & 1 << 22 != 0
                && features & 1 << 24 != 0
                && libc::syscall(libc::SYS_arch_prctl, REQUEST, TILES) == 0
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn tiles() -> bool {
        false
    }

    pub fn features() -> Vec<&'static str> {
        let known = [
            ("avx2", has!("avx2")),
            ("fma", has!("fma")),
            ("f16c", has!("f16c")),
            ("avx512f", has!("avx512f")),
            ("avx512vnni", vnni()),
            ("avx512bf16", bf16()),
            ("amx", amx()),
        ];
        known.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod machine {
    pub fn avx2() -> bool {
        false
    }

    pub fn avx512() -> bool {
        false
    }

    pub fn vnni() -> bool {
        false
    }

    pub fn bf16() -> bool {
        false
    }

    pub fn amx() -> bool {
        false
    }

    pub fn features() -> Vec<&'static str> {
        if cfg!(target_feature = "neon") { vec!["neon"] } else { Vec::new() }
    }
}

/// Tests of kernels at every level that the machine has.
#[cfg(test)]
pub(crate) mod each {
    use std::cell::Cell;
    use std::io::Write;

    use super::{Level, Named, instructions, level};

    thread_local! {
        static REPLACED: Cell<Option<u8>> = const { Cell::new(None) };
    }

    /// What this thread computes with instead.
    pub(super) fn replaced() -> Option<u8> {
        REPLACED.get()
    }

    /// Runs `test` with each set of instructions up to the level of this process, among them AVX-512 without VNNI
    /// and BF16; says which levels are left out. `test` gets a name for messages, and works on threads of its own.
    pub(crate) fn level_runs(test: impl Fn(&str) + Sync) {
        let highest = level();
        let plain = (Level::Avx512, Level::Avx512 as u8, "avx512 without VNNI and BF16");
        let whole = Level::all().iter().map(|&l| (l, instructions(l), l.name()));
        for (level, bits, name) in whole.chain([plain]) {
            if level > highest {
                skipped(&format!("no {}", level.name().to_uppercase()));
                continue;
            }
            let threads = rayon::ThreadPoolBuilder::new()
                .num_threads(2)
                .start_handler(move |_| REPLACED.set(Some(bits)))
                .build()
                .unwrap();
            threads.install(|| test(name));
        }
    }

    /// Says what the running test leaves out, past the capture of its output.
    pub(crate) fn skipped(why: &str) {
        let thread = std::thread::current();
        let line = format!("skipped: {why} here ({})\n", thread.name().unwrap_or("test"));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_a_level_of_the_machine() {
        let cap = |value: &str| cap(Some(OsStr::new(value)), Level::Avx2).map_err(|e| e.to_string());
        assert_eq!(cap("scalar"), Ok(Some(Level::Scalar)));
        assert_eq!(cap("avx2"), Ok(Some(Level::Avx2)));
        assert_eq!(cap(""), Ok(None));
        let error = cap("amx").unwrap_err();
        assert!(error.contains("LORA_TUI_CPU is amx") && error.contains("avx2 is its highest"), "{error}");
        let error = cap("avx511").unwrap_err();
        assert!(error.contains("LORA_TUI_CPU") && error.contains("avx512"), "{error}");
    }

    #[test]
    fn levels_are_in_order_and_each_is_used_up_to_its_own() {
        for (entry, level) in LEVELS.iter().zip(Level::all()) {
            assert_eq!((entry.level, level.entry().name), (*level, entry.name));
        }
        each::level_runs(|name| {
            let own = level();
            assert!(name.starts_with(own.name()), "{name} is {}", own.name());
            assert!(Level::all().iter().all(|&other| uses(other) == (other <= own)), "{name}");
            assert!(own >= Level::Avx512 || !vnni() && !bf16(), "{name}");
        });
        assert!(level() <= offered());
    }
}
