//! What a terminal may send and what may happen around it, at random but by a seed: for walks over the interface
//! alone and in a pseudo-terminal.

use rand::Rng;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// The terminal sends bytes: whole keys, pastes, answers, or half of one.
    Bytes(Vec<u8>),
    /// Nothing comes for a while.
    Silence,
    /// The terminal has another size, columns and rows.
    Size(u16, u16),
    /// The library changes; the number says how.
    Library(u8),
    /// The process is stopped and continued.
    Stop,
}

/// Keys that change what is shown, each about as often as a curious person presses it.
const KEYS: &[&[u8]] = &[
    b"1",
    b"2",
    b"3",
    b"4",
    b"5",
    b"6",
    b"\t",
    b"\x1b[Z",
    b"j",
    b"k",
    b"h",
    b"l",
    b"g",
    b"G",
    b"\x1b[A",
    b"\x1b[B",
    b"\x1b[C",
    b"\x1b[D",
    b"\x1b[5~",
    b"\x1b[6~",
    b"\x1b[H",
    b"\x1b[F",
    b"\x1bOA",
    b"\x1bOP",
    b"\r",
    b"\r",
    b"\x1b",
    b"/",
    b"?",
    b"t",
    b"c",
    b"s",
    b"r",
    b"R",
    b"n",
    b"i",
    b"m",
    b"p",
    b"+",
    b"-",
    b"0",
    b"b",
    b"x",
    b"y",
    b"o",
    b"f",
    b" ",
    b"\x7f",
    b"\x15",
    b"\x17",
    b"\x0c",
    b"\x04",
    b"\x01",
    b"\x05",
    b"\x1bx",
    b"\x1b\x7f",
    b"\x1b[3~",
    b"T",
    b"a",
    b"\x1b[1;5C",
    "é".as_bytes(),
    "日".as_bytes(),
    "🇪🇸".as_bytes(),
    "👩‍👩‍👧".as_bytes(),
    b"e\xcc\x81",
    b"[",
    b"]",
];

/// What is no key: mouse, answers, pastes, and bytes that mean nothing.
const OTHERS: &[&[u8]] = &[
    b"\x1b[<0;10;5M\x1b[<0;10;5m",
    b"\x1b[<64;3;3M",
    b"\x1b[<35;200;60M",
    b"\x1b[M !!",
    b"\x1b[I",
    b"\x1b[O",
    b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\",
    b"\x1b]11;rgb:0000/0000/0000\x07",
    b"\x1bP>|terminal\x1b\\",
    b"\x1b_Gi=1;OK\x1b\\",
    b"\x1b[?62;22c",
    b"\x1b[12;40R",
    b"\x1b[200~pasted \x1b[2J\ntext\x1b[201~",
    b"\x1b[200~/nowhere/at/all\x1b[201~",
    b"\x1b[200~\x1b[201~",
    b"\xff\xfe\x80",
    b"\x9b\x9d\x90",
    b"\xe6\x97",
];

const SIZES: &[(u16, u16)] = &[
    (0, 0),
    (1, 1),
    (2, 30),
    (30, 2),
    (7, 3),
    (20, 8),
    (40, 10),
    (40, 10),
    (60, 15),
    (80, 24),
    (80, 24),
    (120, 36),
    (200, 60),
];

/// The walk of a seed.
pub fn steps(seed: u64) -> Vec<Step> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = random.random_range(5..60);
    (0..count).map(|_| step(&mut random)).collect()
}

fn step(random: &mut ChaCha8Rng) -> Step {
    let mut pick = |from: &'static [&'static [u8]]| from.choose(random).copied().unwrap_or_default();
    let (key, other) = (pick(KEYS), pick(OTHERS));
    match random.random_range(0..100) {
        0..64 => Step::Bytes(key.to_vec()),
        64..76 => Step::Bytes(other.to_vec()),
        // Half of something, perhaps with a key at once behind it.
        76..84 => {
            let whole = if random.random() { key } else { other };
            let mut half = whole[..random.random_range(0..=whole.len())].to_vec();
            if random.random() {
                half.extend_from_slice(KEYS.choose(random).copied().unwrap_or_default());
            }
            Step::Bytes(half)
        }
        84..88 => Step::Silence,
        88..94 => {
            let &(columns, rows) = SIZES.choose(random).unwrap_or(&(80, 24));
            Step::Size(columns, rows)
        }
        94..99 => Step::Library(random.random()),
        _ => Step::Stop,
    }
}

/// How many walks there should be, and from which seed on: `LORA_TUI_WALKS` and `LORA_TUI_WALK_SEED` say so where
/// they are set.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first: u64 = number("LORA_TUI_WALK_SEED").unwrap_or(1);
    first..first + number("LORA_TUI_WALKS").unwrap_or(count)
}

/// Does a walk, and names its seed where it fails.
pub fn walk(seed: u64, what: &str, walk: impl FnOnce() + std::panic::UnwindSafe) {
    if let Err(panic) = std::panic::catch_unwind(walk) {
        eprintln!("the walk of seed {seed} {what}: LORA_TUI_WALK_SEED={seed} LORA_TUI_WALKS=1 repeats it");
        std::panic::resume_unwind(panic);
    }
}
