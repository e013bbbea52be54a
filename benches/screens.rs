//! Times the interface and prints one JSON line a measurement; `benches/peers.py` puts them into the tables.
//!
//! ```text
//! cargo bench --bench screens -- heatmap [EXPERTS]
//! cargo bench --bench screens -- library LIBRARY
//! cargo bench --bench screens -- jobs [TASKS]
//! cargo bench --bench screens -- terminal LIBRARY
//! ```
//!
//! `heatmap`, `library` and `jobs` press keys on the real application, drawn by the real backend into memory, 200 × 60
//! cells: a time is that from the key to the last byte of its frame. `terminal` starts the binary in a
//! pseudo-terminal: first paint, the whole library on the screen, and what it computes when nobody does anything.

use std::cell::Cell;
use std::io::{Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lora_tui::Cancel;
use lora_tui::analysis::{self, Metric, Similarity};
use lora_tui::catalog::Catalog;
use lora_tui::jobs::{Figures, JobState, JobSummary, Share, kinds};
use lora_tui::library::{Expert, Library};
use lora_tui::tui::{App, ComputeEffect, ComputeMessage, Depth, Effect, JobsMessage, Message, Theme};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

const WIDTH: u16 = 200;
const HEIGHT: u16 = 60;
/// Experts of the heatmap by default.
const EXPERTS: usize = 1000;
/// Jobs of the array by default.
const JOBS: usize = 10_000;
/// How often the whole series of keys is pressed.
const ROUNDS: usize = 10;
/// For a machine that does many other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts what a terminal would get.
struct Sink(Rc<Cell<usize>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The application and a terminal that only counts.
struct Bench {
    app: App,
    theme: Theme,
    terminal: Terminal<CrosstermBackend<Sink>>,
    bytes: Rc<Cell<usize>>,
    milliseconds: Vec<f64>,
}

impl Bench {
    fn new(library: Arc<Catalog>) -> Result<Self> {
        let bytes = Rc::new(Cell::new(0));
        let viewport = Viewport::Fixed(Rect::new(0, 0, WIDTH, HEIGHT));
        let backend = CrosstermBackend::new(Sink(bytes.clone()));
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
        let mut app = App::new(library.root.clone(), "cpu".into());
        app.start();
        app.update(Message::Library(Ok(library)));
        Ok(Self { app, theme: Theme::new(Depth::True), terminal, bytes, milliseconds: Vec::new() })
    }

    fn draw(&mut self) -> Result<()> {
        self.terminal.draw(|frame| self.app.view(frame, &self.theme))?;
        Ok(())
    }

    /// Presses a key and draws its frame; returns what the application asks for.
    fn press(&mut self, code: KeyCode) -> Result<Vec<Effect>> {
        let start = Instant::now();
        let effects = self.app.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        self.draw()?;
        self.milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        Ok(effects)
    }

    fn report(&mut self, bench: &str, rows: usize) {
        self.milliseconds.sort_by(f64::total_cmp);
        let last = self.milliseconds.len() - 1;
        let at = |share: f64| self.milliseconds[(last as f64 * share).round() as usize];
        println!(
            "{}",
            serde_json::json!({
                "bench": bench, "experts": rows, "keys": last + 1, "p50_ms": at(0.5), "p99_ms": at(0.99),
                "max_ms": at(1.0), "bytes_per_frame": self.bytes.get() / (last + 1),
            })
        );
    }
}

/// Experts in ten groups, with some disorder in between.
fn similarity(n: usize) -> Similarity {
    let value = |i: usize, j: usize| match (i, j) {
        _ if i == j => 1.0,
        _ if i % 10 == j % 10 => 0.8 + 0.1 * (((i * j) % 97) as f32 / 97.0),
        _ => 0.2 + 0.3 * ((((i + j) * 7919) % 101) as f32 / 101.0),
    };
    Similarity {
        metric: Metric::MBC,
        sparsity: 0.5,
        experts: (0..n).map(|i| format!("expert-{i:05}")).collect(),
        matrix: (0..n * n).map(|at| value(at / n, at % n)).collect(),
        warnings: Vec::new(),
        skipped: Vec::new(),
        strength: Vec::new(),
        known_spread: Default::default(),
        origin: Default::default(),
    }
}

/// Moves, zooms, pans and rescales a heatmap.
fn heatmap(n: usize) -> Result<()> {
    let similarity = Arc::new(similarity(n));
    let named = |name: &String| Expert { name: name.clone(), ..Expert::default() };
    let experts = similarity.experts.iter().map(named).collect();
    let mut bench = Bench::new(Arc::new(Catalog::from(Library { experts, ..Library::default() })))?;
    let effects = bench.press(KeyCode::Char('2'))?;
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Compute(ComputeEffect::Similarity { ticket, .. }) => Some(*ticket),
        _ => None,
    });
    let ticket = asked.context("the Similarity tab does not ask for the matrix")?;
    bench.app.update(Message::Compute(ComputeMessage::Similarity { ticket, result: Ok(similarity.clone()) }));
    let clustering = Arc::new(analysis::cluster(&similarity, 10, 42, &Cancel::new())?);
    bench.app.update(Message::Compute(ComputeMessage::Clustering {
        ticket: 0,
        result: Ok((similarity, clustering)),
    }));
    bench.draw()?;
    bench.milliseconds.clear();
    bench.bytes.set(0);
    use KeyCode::{Char, Down, Left, Right, Up};
    let walk = [Right, Right, Down, Down, Char('L'), Char('J'), Left, Up, Char('H'), Char('K')];
    for _ in 0..ROUNDS {
        // The crosshair over the whole picture, then closer and closer, where moving scrolls, and back.
        for zoom in [None, Some('+'), Some('+'), Some('+'), Some('+'), Some('-'), Some('-'), Some('0')] {
            if let Some(zoom) = zoom {
                bench.press(Char(zoom))?;
            }
            for key in walk.into_iter().chain([Char('J'), Char('L'), Char('J'), Char('L')]) {
                bench.press(key)?;
            }
        }
        for key in [Char('a'), Char('a'), Char('G'), Char('g')] {
            bench.press(key)?;
        }
    }
    bench.report("heatmap", n);
    Ok(())
}

/// Scrolls, sorts and filters the table of a library.
fn table(path: &Path) -> Result<()> {
    let library = Arc::new(Catalog::open(path, None)?);
    let rows = library.experts.len();
    let mut bench = Bench::new(library.clone())?;
    bench.draw()?;
    bench.milliseconds.clear();
    bench.bytes.set(0);
    use KeyCode::{Backspace, Char, Down, End, Enter, Esc, Home, PageDown, PageUp, Up};
    let mut keys = vec![Down, Down, Down, PageDown, PageDown, PageDown, End, Up, Up, PageUp, PageUp, Home];
    keys.extend([Char('s'), Down, PageDown, Char('s'), End, Up, Home]);
    keys.extend("/99".chars().map(Char));
    keys.extend([Down, Backspace, Backspace, Enter, Esc]);
    for _ in 0..ROUNDS {
        for &key in &keys {
            for effect in bench.press(key)? {
                // The details of the selected expert come from another thread and are drawn, too.
                if let Effect::Compute(ComputeEffect::Profile { expert }) = effect {
                    let found = library.expert(&expert).and_then(analysis::profile);
                    let result = found.map(Arc::new).map_err(|error| error.to_string());
                    bench.app.update(Message::Compute(ComputeMessage::Profile { expert, result }));
                }
            }
        }
    }
    bench.report("library", rows);
    Ok(())
}

/// Opens an array of so many jobs and scrolls through it, while lists keep coming.
fn jobs(n: usize) -> Result<()> {
    let states = [JobState::Failed, JobState::Running, JobState::Queued, JobState::Finished];
    let job = |at: usize| JobSummary {
        id: format!("20261128-120000-train-{at:05}"),
        kind: Some(&kinds::TRAIN),
        name: format!("task_{at:05}"),
        state: states[at % states.len()],
        step: at % 200,
        steps: 200,
        started: Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_510_500)),
        error: None,
        after: Vec::new(),
        waits: Some("waits for free resources".into()),
        held: false,
        place: Some(format!("Slurm job 7_{at} on n1")),
        unseen: None,
        group: Some("20261128-120000-train-00000".into()),
        share: Share::default(),
        turn: None,
        figures: Figures { loss: Some(2.0 - at as f64 / n as f64), ..Figures::default() },
    };
    let list: Vec<JobSummary> = (0..n).rev().map(job).collect();
    let mut bench = Bench::new(Arc::new(Catalog::from(Library::default())))?;
    bench.app.update(Message::Jobs(JobsMessage::List(list.clone())));
    use KeyCode::{Char, Down, End, Enter, Esc, Home, PageDown, PageUp, Up};
    // The tab is the last, wherever that is.
    for tab in '5'..='9' {
        bench.press(Char(tab))?;
    }
    bench.press(Enter)?;
    bench.milliseconds.clear();
    bench.bytes.set(0);
    for _ in 0..ROUNDS {
        for key in [Down, Down, PageDown, PageDown, End, Up, PageUp, Home, Down, Down] {
            bench.press(key)?;
        }
    }
    bench.report("jobs", n);
    bench.milliseconds = Vec::new();
    // What looks at all of them: a filter, the orders, and the marks of the whole group.
    let words = "/task 00".chars().map(Char);
    let rest = [Enter, Esc, Char('O'), Char('O'), Char('O'), Home, Char(' '), Home, Char(' ')];
    let looks: Vec<KeyCode> = words.chain(rest).collect();
    for _ in 0..ROUNDS {
        for &key in &looks {
            bench.press(key)?;
        }
    }
    bench.report("jobs_looks", n);
    bench.milliseconds = Vec::new();
    for _ in 0..ROUNDS {
        let next = Message::Jobs(JobsMessage::List(list.clone()));
        let start = Instant::now();
        bench.app.update(next);
        bench.draw()?;
        bench.milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
    }
    bench.report("jobs_list", n);
    Ok(())
}

/// Processor time of all threads of a process so far.
#[cfg(target_os = "linux")]
fn processor_time(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += stat.split(' ').next().context("no time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Highest resident memory of a process so far in MB.
#[cfg(target_os = "linux")]
fn peak_memory(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// First paint, the whole library, and idling, of the binary in a pseudo-terminal.
#[cfg(target_os = "linux")]
fn terminal(library: &Path) -> Result<()> {
    let size = PtySize { rows: HEIGHT, cols: WIDTH, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size)?;
    let home = tempfile::tempdir()?;
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_lora-tui"));
    command.arg(library);
    command.env("HOME", home.path());
    command.env("TERM", "xterm-256color");
    let screen = Arc::new(Mutex::new(vt100::Parser::new(HEIGHT, WIDTH, 0)));
    let (mut output, parser) = (pair.master.try_clone_reader()?, screen.clone());
    std::thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(n @ 1..) = output.read(&mut bytes) {
            parser.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..n]);
        }
    });
    let start = Instant::now();
    let mut child = pair.slave.spawn_command(command)?;
    let pid = child.process_id().context("no process")?;
    let shows = |what: &str| -> Result<f64> {
        while !screen.lock().unwrap_or_else(PoisonError::into_inner).screen().contents().contains(what) {
            if start.elapsed() > PATIENCE {
                bail!("the screen never shows {what:?}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let first = shows("Library")?;
    let experts = Library::open(library)?.experts.len();
    let complete = shows(&format!("of {experts}"))?;
    std::thread::sleep(Duration::from_secs(2));
    let before = processor_time(pid)?;
    std::thread::sleep(Duration::from_secs(3));
    let idle = processor_time(pid)?.saturating_sub(before);
    let peak = peak_memory(pid)?;
    pair.master.take_writer()?.write_all(b"q")?;
    child.wait()?;
    println!(
        "{}",
        serde_json::json!({
            "bench": "terminal", "experts": experts, "first_paint_s": first, "complete_s": complete,
            "idle_cpu_ms_in_3_s": idle.as_secs_f64() * 1e3, "peak_mb": peak,
        })
    );
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn terminal(_library: &Path) -> Result<()> {
    bail!("processor time and memory of a process are read as Linux gives them");
}

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let library = || arguments.get(1).map(Path::new).context("which library?");
    match arguments.first().map(String::as_str) {
        Some("heatmap") => heatmap(arguments.get(1).map_or(Ok(EXPERTS), |n| n.parse())?),
        Some("library") => table(library()?),
        Some("jobs") => jobs(arguments.get(1).map_or(Ok(JOBS), |n| n.parse())?),
        Some("terminal") => terminal(library()?),
        // `cargo test --benches` and the like start it without arguments.
        _ => {
            eprintln!("screens: heatmap [EXPERTS] | library LIBRARY | jobs [TASKS] | terminal LIBRARY");
            Ok(())
        }
    }
}
