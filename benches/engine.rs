//! Times the engine on a base model and prints one JSON line a measurement; `benches/peers.py` runs it in
//! turn with what people use today and prints ratios.
//!
//! ```text
//! cargo bench --bench engine -- train BASE [STEPS] [f32|bf16|q8] [DEVICE]
//! cargo bench --bench engine -- arrow BASE LIBRARY EXPERTS [f32|bf16|q8] [DEVICE]
//! cargo bench --bench engine -- typing BASE LIBRARY
//! cargo bench --bench engine -- routers BASE LIBRARY EXPERTS [f32|bf16|q8]
//! cargo bench --bench engine -- costs BASE LIBRARY ROUTER,ROUTER... [f32|bf16|q8]
//! cargo bench --bench engine -- retrieval [EXPERTS] [HIDDEN]
//! cargo bench --bench engine -- attribute BASE LIBRARY EXPERTS TOKENS [f32|bf16|q8]
//! cargo bench --bench engine -- peak
//! ```

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lora_tui::Cancel;
use lora_tui::devices;
use lora_tui::eval::{attribute, own_source, prompt_source};
use lora_tui::library::Library;
use lora_tui::model::{ForwardPass, LoadOptions, Model, NoHook, Precision, Tape, keep_freed_memory};
use lora_tui::routing::{GenerateOptions, Needs, Part, Prompt, RouterConfig, SCORES, Session, StateWeigher};
use lora_tui::train::{AdamW, Forecast, LoraTrainer, Target, TrainSpec, cross_entropy};

/// Tokens of the prompt and of one training sequence.
const LENGTH: usize = 64;
/// Sequences of a training batch.
const BATCH: usize = 8;
/// Times that each router runs.
const RUNS: usize = 9;
/// Tokens generated to time decoding.
const DECODE: usize = 16;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The same spread-out ids as the peer's script, within a vocabulary.
fn ids(count: usize, vocab: usize) -> Vec<u32> {
    (0..count).map(|i| ((100 + i * 7919 % 40_000) % vocab) as u32).collect()
}

/// What the cores multiply and add in registers at most, in GFLOP/s: (f32, bf16), where they have AVX-512; in bf16
/// with AMX where the product uses it.
#[cfg(target_arch = "x86_64")]
mod registers {
    use std::arch::x86_64::*;
    use std::hint::black_box;
    use std::time::Instant;

    use lora_tui::cpu::{self, Level};

    /// Enough sums to hide the time that one takes.
    const SUMS: usize = 12;
    const TIMES: usize = 50_000_000;

    #[target_feature(enable = "avx512f")]
    fn f32(times: usize) {
        let (mut sums, one) = ([_mm512_setzero_ps(); SUMS], _mm512_set1_ps(1.0));
        let mut factor = one;
        for _ in 0..times {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(factor, one, *sum);
            }
            factor = black_box(factor);
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn bf16(times: usize) {
        let mut sums = [_mm512_setzero_ps(); SUMS];
        // SAFETY: the vector types have the same size and any bits are valid.
        let ones: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(0x3f80_3f80)) };
        let mut factor = ones;
        for _ in 0..times {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, factor, ones);
            }
            factor = black_box(factor);
        }
        black_box(sums);
    }

    /// The shapes of eight whole tiles.
    #[repr(C, align(64))]
    struct Config([u8; 64]);

    fn amx(times: usize) {
        let mut config = Config([0; 64]);
        config.0[0] = 1;
        for tile in 0..8 {
            (config.0[16 + 2 * tile], config.0[48 + tile]) = (64, 16);
        }
        // SAFETY: the system gave this process the tiles; no other register is touched.
        unsafe {
            std::arch::asm!(
                "ldtilecfg [{config}]",
                "2:",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {times}",
                "jnz 2b",
                "tilerelease",
                config = in(reg) &raw const config,
                times = inout(reg) times => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// On all cores; `None` where the instructions are missing.
    pub fn peak() -> Option<(f64, f64)> {
        if !cpu::bf16() {
            return None;
        }
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        // FLOP of one turn.
        let time = |work: fn(usize), times: usize, flop: usize| {
            let start = Instant::now();
            std::thread::scope(|scope| {
                (0..cores).for_each(|_| {
                    scope.spawn(move || work(times));
                });
            });
            (cores * times * flop) as f64 / start.elapsed().as_secs_f64() / 1e9
        };
        let bf16 = match cpu::uses(Level::Amx) {
            true => time(amx, TIMES / 10, 4 * 2 * 16 * 16 * 32),
            // SAFETY: the CPU has the instructions.
            false => time(|n| unsafe { bf16(n) }, TIMES, SUMS * 64),
        };
        // SAFETY: the CPU has the instructions.
        Some((time(|n| unsafe { f32(n) }, TIMES, SUMS * 32), bf16))
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod registers {
    pub fn peak() -> Option<(f64, f64)> {
        None
    }
}

/// Multiplications and additions of the frozen weights, forward and backward, for `tokens` in GFLOP.
fn training_gflop(model: &Model, tokens: usize) -> f64 {
    let spec = &model.decoder.spec;
    let weights: usize = model.decoder.linears().iter().map(|l| l.in_features * l.out_features).sum();
    4.0 * (tokens * (weights + spec.vocab * spec.hidden)) as f64 / 1e9
}

/// Highest resident memory of this process so far in MB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(f64::NAN, |kb| kb / 1024.0)
}

/// Bytes that are free on each GPU.
fn room() -> Vec<u64> {
    devices::visible_gpus().into_iter().map(|gpu| gpu.free).collect()
}

/// The most that any GPU has less free than before, in MB; the pool of the driver keeps what was freed.
fn taken(before: &[u64]) -> f64 {
    let taken = before.iter().zip(room()).map(|(before, now)| before.saturating_sub(now));
    taken.max().unwrap_or(0) as f64 / 1e6
}

/// What the forecast says of [`train`], in bytes.
fn forecast(model: &Model) -> u64 {
    let spec = TrainSpec { batch: BATCH, precision: model.precision, ..TrainSpec::default() };
    Forecast::new(&model.decoder.spec, &spec, &[LENGTH; BATCH]).peak()
}

/// Resident memory now in MB.
fn memory() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|p| p.parse::<f64>().ok());
    pages.map_or(f64::NAN, |p| p * 4096.0 / 1e6)
}

fn options(precision: Option<&String>, device: Option<&String>) -> Result<LoadOptions> {
    let precision = match precision.map(String::as_str) {
        None | Some("f32") => Precision::F32,
        Some("bf16") => Precision::Bf16,
        Some("q8") => Precision::Q8,
        Some(other) => bail!("precision {other} is not f32, bf16 or q8"),
    };
    let device = device.map_or(LoadOptions::default().device, String::clone);
    Ok(LoadOptions { precision, device })
}

/// LoRA of rank 4 on q, k, v, o: batch of 8 × 64 tokens, loss on every token, AdamW.
fn train(base: &Path, steps: usize, options: &LoadOptions) -> Result<()> {
    keep_freed_memory();
    let room = room();
    let mut model = Model::load(base, options, &mut |_, _| {}, &Cancel::default())?;
    model.decoder.dequantise_weights();
    let targets: Vec<String> = ["q_proj", "k_proj", "v_proj", "o_proj"].map(String::from).to_vec();
    let mut lora = LoraTrainer::new(&model.decoder, &targets, 4, 8.0, 0.0, 42)?;
    let tokens = ids(BATCH * LENGTH, model.decoder.spec.vocab);
    let weight = 1.0 / tokens.len() as f32;
    let next = |row: usize| {
        if (row + 1).is_multiple_of(LENGTH) { tokens[row + 1 - LENGTH] } else { tokens[row + 1] }
    };
    let targets: Vec<Target> =
        (0..tokens.len()).map(|row| Target { row, token: next(row), weight }).collect();
    let (mut optimiser, mut times, mut loss) = (AdamW::default(), Vec::new(), 0.0);
    for step in 0..=steps {
        let start = Instant::now();
        lora.begin(Some(step as u64));
        let (mut tape, cancel) = (Tape::new(false), Cancel::default());
        let decoder = &model.decoder;
        let hidden = decoder.forward(
            &tokens,
            &[LENGTH; BATCH],
            ForwardPass::new(&mut lora, &cancel).taped(&mut tape),
        )?;
        let (losses, gradient) = cross_entropy(decoder, &hidden, &targets, true)?;
        decoder.backward(tape, &gradient.context("no gradient")?, &mut lora, &cancel)?;
        let (mut parameters, mut gradients) = (Vec::new(), Vec::new());
        for m in &mut lora.modules {
            parameters.extend([&mut m.a, &mut m.bt]);
            gradients.extend([m.grad_a.as_slice(), m.grad_bt.as_slice()]);
        }
        optimiser.step(&mut parameters, &gradients, 1e-3)?;
        times.push(start.elapsed().as_secs_f64());
        loss = losses.iter().sum::<f64>() / targets.len() as f64;
    }
    let step = median(times.split_off(1));
    println!(
        "{}",
        serde_json::json!({
            "bench": "train", "precision": model.precision.to_string(), "step_s": step,
            "tokens_per_s": (BATCH * LENGTH) as f64 / step, "peak_mb": peak_memory(), "loss": loss,
            "gflop": training_gflop(&model, BATCH * LENGTH), "device": model.device_name(),
            "device_mb": taken(&room), "forecast_mb": forecast(&model) as f64 / 1e6,
        })
    );
    Ok(())
}

/// (prefill, decode) in seconds: medians over `runs` prompts of 64 tokens with their next token's logits,
/// and over the tokens that follow.
fn prefill_and_decode(session: &mut Session, runs: usize) -> Result<(f64, f64)> {
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    let vocab = session.model().decoder.spec.vocab;
    for run in 0..=runs {
        let mut ids = ids(LENGTH, vocab);
        // Another first token, so that nothing of the last run's cache serves.
        ids[0] = ((200 + run) % vocab) as u32;
        let prompt = Prompt { parts: vec![Part::Prompt; ids.len()], ids };
        let options = GenerateOptions { max_tokens: DECODE, ..GenerateOptions::default() };
        let (start, mut ticks) = (Instant::now(), Vec::new());
        // The first call comes after one token of decoding.
        session.generate_tokens(&prompt, &options, &Cancel::default(), &mut |_, _| {
            ticks.push(start.elapsed().as_secs_f64());
            ControlFlow::Continue(())
        })?;
        if run > 0 && ticks.len() > 2 {
            let one = (ticks[ticks.len() - 1] - ticks[0]) / (ticks.len() - 1) as f64;
            decode.push(one);
            prefill.push(ticks[0] - one);
        }
    }
    if prefill.is_empty() {
        bail!("the model ended each text at once: nothing to time");
    }
    Ok((median(prefill), median(decode)))
}

/// A library of the first `experts` adapters of `from`, as links.
fn part_of(from: &Path, experts: usize) -> Result<tempfile::TempDir> {
    let part = tempfile::tempdir()?;
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(from)?.map(|e| e.map(|e| e.path())).collect::<std::io::Result<_>>()?;
    folders.retain(|p| p.join("adapter_config.json").is_file());
    folders.sort();
    if folders.len() < experts {
        bail!("{} has {} adapters, not {experts}", from.display(), folders.len());
    }
    for folder in &folders[..experts] {
        let into = part.path().join(folder.file_name().context("no name")?);
        std::fs::create_dir(&into)?;
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::hard_link(folder.join(file), into.join(file))
                .or_else(|_| std::fs::copy(folder.join(file), into.join(file)).map(|_| ()))?;
        }
    }
    Ok(part)
}

/// Loading a library with its prototypes, routed prefill and decode, beside the base model's own.
fn arrow(base: &Path, from: &Path, experts: usize, options: &LoadOptions) -> Result<()> {
    let part = part_of(from, experts)?;
    let empty = tempfile::tempdir()?;
    let room = room();
    let cancel = Cancel::default();
    let start = Instant::now();
    let mut session = Session::open(&Library::open(empty.path())?, base, options, &mut |_| {}, &cancel)?;
    let model = start.elapsed().as_secs_f64();
    let (base_prefill, base_decode) = prefill_and_decode(&mut session, 7)?;
    let (before, start) = (memory(), Instant::now());
    session.reload_experts(&Library::open(part.path())?, &cancel)?;
    let load = start.elapsed().as_secs_f64();
    let more = memory() - before;
    session.set_router(RouterConfig::default())?;
    let (prefill, decode) = prefill_and_decode(&mut session, 7)?;
    // With the prototypes that the first time left on disk.
    let start = Instant::now();
    session.reload_experts(&Library::open(part.path())?, &cancel)?;
    let again = start.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({
            "bench": "arrow", "precision": options.precision.to_string(), "experts": experts,
            "model_load_s": model, "base_prefill_ms": base_prefill * 1e3, "base_decode_ms": base_decode * 1e3,
            "device": session.model().device_name(), "device_mb": taken(&room),
            "load_s": load, "load_again_s": again, "prefill_ms": prefill * 1e3, "decode_ms": decode * 1e3, "library_mb": more,
        })
    );
    Ok(())
}

/// What calls took: wall-clock time says how long one waits, the time of all threads together how much was done, also on
/// a machine that does other things.
#[derive(Clone, Copy)]
struct Took {
    /// Median wall-clock seconds.
    median: f64,
    /// The fewest of them.
    least: f64,
    /// Mean seconds of all threads together.
    cpu: f64,
}

/// Seconds that the threads of this process ran so far; those that ended left theirs out.
fn cpu() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ran = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    ran.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e9
}

/// Times `runs` calls, after one that does not count.
fn time(runs: usize, mut call: impl FnMut(usize) -> Result<()>) -> Result<Took> {
    call(0)?;
    let (mut times, before) = (Vec::with_capacity(runs), cpu());
    for run in 1..=runs {
        let start = Instant::now();
        call(run)?;
        times.push(start.elapsed().as_secs_f64());
    }
    let cpu = (cpu() - before) / runs as f64;
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Took { median: median(times), least, cpu })
}

/// What routers add to the base model's pass over a prompt of 64 tokens: scoring alone, in a pass without experts, by
/// each score; a vote once its tokens are known but for one more; whole routed passes.
fn routers(base: &Path, from: &Path, experts: usize, options: &LoadOptions) -> Result<()> {
    let part = part_of(from, experts)?;
    let cancel = Cancel::default();
    let library = Library::open(part.path())?;
    let mut session = Session::open_unrouted(&library, base, options, &mut |_| {}, &cancel)?;
    session.calibrate(&mut |_| {}, &cancel)?;
    let prompt = |run: usize, length: usize| {
        let mut ids = ids(length, session.model().decoder.spec.vocab);
        ids[0] = 200 + run as u32;
        Prompt { parts: vec![Part::Prompt; ids.len()], ids }
    };
    let decoder = &session.model().decoder;
    let pass = |run: usize| -> Result<()> {
        let mut none = NoHook;
        decoder.forward(&prompt(run, LENGTH).ids, &[LENGTH], ForwardPass::new(&mut none, &cancel))?;
        Ok(())
    };
    for score in SCORES.iter().filter(|score| score.needs <= Needs::Spectra) {
        for more in ["", ":calibrated"] {
            let config: RouterConfig = format!("vote:score={}{more}", score.id).parse()?;
            let (set, router) = session.resolve(&config, &mut |_| {}, &cancel)?;
            let without = time(RUNS, pass)?;
            let with = time(RUNS, |run| {
                router.survey(&set, decoder, &[prompt(run, LENGTH)], &cancel)?;
                Ok(())
            })?;
            println!(
                "{}",
                serde_json::json!({
                    "bench": "routers", "what": "scoring", "precision": options.precision.to_string(),
                    "experts": experts, "score": format!("{}{more}", score.id), "pass_ms": without.median * 1e3,
                    "scoring_ms": (with.median - without.median) * 1e3, "pass_cpu_ms": without.cpu * 1e3,
                    "scoring_cpu_ms": (with.cpu - without.cpu) * 1e3,
                    "share_of_pass": (with.cpu - without.cpu) / without.cpu,
                })
            );
        }
    }
    for router in
        ["base", "arrow:k=3", "subspace:k=3", "norm:k=3", "arrow:k=3:calibrated:prior=8", "vote:calibrated"]
    {
        session.set_router(router.parse()?)?;
        let vocab = session.model().decoder.spec.vocab;
        let whole = |run: usize, length: usize| {
            let mut ids = ids(length, vocab);
            ids[0] = 300 + run as u32;
            Prompt { parts: vec![Part::Prompt; ids.len()], ids }
        };
        let all = time(RUNS, |run| {
            session.route_tokens(&whole(run, LENGTH), &cancel)?;
            Ok(())
        })?;
        // One token after another, from the last prompt on.
        let one = time(LENGTH / 2, |more| {
            session.route_tokens(&whole(RUNS, LENGTH + more), &cancel)?;
            Ok(())
        })?;
        println!(
            "{}",
            serde_json::json!({
                "bench": "routers", "what": "pass", "precision": options.precision.to_string(), "experts": experts,
                "router": router, "prompt_ms": all.median * 1e3, "prompt_cpu_ms": all.cpu * 1e3,
                "one_more_token_ms": one.median * 1e3, "one_more_token_cpu_ms": one.cpu * 1e3,
            })
        );
    }
    Ok(())
}

/// What each router costs a token on a library as it is: of a prompt of 64 tokens, and of an answer. All are prepared
/// first and asked in turn, the base model among them, so that what else the machine does reaches all alike.
fn costs(base: &Path, library: &Path, routers: &str, options: &LoadOptions) -> Result<()> {
    let cancel = Cancel::default();
    let library = Library::open(library)?;
    let mut session = Session::open_unrouted(&library, base, options, &mut |_| {}, &cancel)?;
    session.learn_from(own_source(&library, None));
    session.calibrate_with(prompt_source(&library, None));
    let routers: Vec<RouterConfig> =
        ["base"].into_iter().chain(routers.split(',')).map(str::parse).collect::<lora_tui::Result<_>>()?;
    let mut found = vec![(Vec::new(), Vec::new()); routers.len()];
    for _ in 0..RUNS {
        for (router, (prompts, answers)) in routers.iter().zip(&mut found) {
            session.set_router(router.clone())?;
            let (prefill, decode) = prefill_and_decode(&mut session, 1)?;
            prompts.push(prefill);
            answers.push(decode);
        }
    }
    for (router, (prompts, answers)) in routers.iter().zip(found) {
        println!(
            "{}",
            serde_json::json!({
                "bench": "costs", "precision": options.precision.to_string(), "router": router.to_string(),
                "prompt_ms_per_token": median(prompts) * 1e3 / LENGTH as f64,
                "answer_ms_per_token": median(answers) * 1e3,
            })
        );
    }
    Ok(())
}

/// Retrieval among many experts, from a prompt's mean state to weights.
fn retrieval(experts: usize, hidden: usize) -> Result<()> {
    let numbers =
        |n: usize| (0..n).map(|i| ((i * 7919 % 100_003) as f32 / 50_000.0 - 1.0) / (hidden as f32).sqrt());
    let ops = lora_tui::model::open_ops("cpu")?;
    let weigher = StateWeigher::retrieval(numbers(experts * hidden).collect(), hidden, 3, ops);
    let state: Vec<f32> = numbers(hidden).collect();
    let took = time(200, |_| {
        std::hint::black_box(weigher.weights(&state)?);
        Ok(())
    })?;
    println!(
        "{}",
        serde_json::json!({
            "bench": "retrieval", "experts": experts, "hidden": hidden, "ms": took.median * 1e3, "least_ms": took.least * 1e3, "cpu_ms": took.cpu * 1e3,
        })
    );
    Ok(())
}

/// What an answer owes to the experts of `arrow:k=3`: a prompt and an answer of half of the tokens each.
fn attribution(base: &Path, library: &Path, most: usize, tokens: usize, options: &LoadOptions) -> Result<()> {
    let cancel = Cancel::default();
    let library = Library::open(library)?;
    let mut session = Session::open_unrouted(&library, base, options, &mut |_| {}, &cancel)?;
    session.set_router("arrow:k=3:temperature=0.1".parse()?)?;
    let ids = ids(tokens, session.model().decoder.spec.vocab);
    let (asked, answer) = ids.split_at(tokens / 2);
    let prompt = Prompt { parts: vec![Part::Prompt; asked.len()], ids: asked.to_vec() };
    let took = time(3, |_| {
        attribute(&mut session, &prompt, answer, most, &cancel)?;
        Ok(())
    })?;
    println!(
        "{}",
        serde_json::json!({
            "bench": "attribute", "precision": options.precision.to_string(), "experts": most, "tokens": tokens,
            "s": took.median, "least_s": took.least, "cpu_s": took.cpu,
        })
    );
    Ok(())
}

/// From a key in the prompt to its new routing map: a sentence typed letter by letter.
fn typing(base: &Path, library: &Path, options: &LoadOptions) -> Result<()> {
    let cancel = Cancel::default();
    let mut session = Session::open(&Library::open(library)?, base, options, &mut |_| {}, &cancel)?;
    let text = "Rewrite this sentence in the past tense and keep every name: Maria walks to the station.";
    let mut times = Vec::new();
    for end in 1..=text.len() {
        let start = Instant::now();
        session.route(&text[..end], false, &mut |_, _| {}, &cancel)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!(
        "{}",
        serde_json::json!({
            "bench": "typing", "precision": options.precision.to_string(), "keys": times.len(),
            "p50_ms": at(0.5), "p95_ms": at(0.95), "max_ms": at(1.0),
        })
    );
    Ok(())
}

fn main() -> Result<()> {
    // SAFETY: nothing has started a thread yet.
    unsafe { devices::number_as_the_driver_does() };
    lora_tui::threads::compute_here();
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let path =
        |i: usize| arguments.get(i).map(PathBuf::from).context("too few arguments: see the file's head");
    match arguments.first().map(String::as_str) {
        Some("train") => {
            let steps = arguments.get(2).map_or(Ok(5), |s| s.parse())?;
            train(&path(1)?, steps, &options(arguments.get(3), arguments.get(4))?)
        }
        Some("arrow") => {
            let experts = arguments.get(3).context("how many experts?")?.parse()?;
            arrow(&path(1)?, &path(2)?, experts, &options(arguments.get(4), arguments.get(5))?)
        }
        Some("typing") => typing(&path(1)?, &path(2)?, &options(arguments.get(3), None)?),
        Some("routers") => {
            let experts = arguments.get(3).context("how many experts?")?.parse()?;
            routers(&path(1)?, &path(2)?, experts, &options(arguments.get(4), None)?)
        }
        Some("costs") => {
            let routers = arguments.get(3).context("which routers?")?;
            costs(&path(1)?, &path(2)?, routers, &options(arguments.get(4), None)?)
        }
        Some("retrieval") => {
            let number = |i: usize, usual: usize| arguments.get(i).map_or(Ok(usual), |s| s.parse());
            retrieval(number(1, 10_000)?, number(2, 576)?)
        }
        Some("attribute") => {
            let number = |i: usize, usual: usize| arguments.get(i).map_or(Ok(usual), |s| s.parse());
            attribution(
                &path(1)?,
                &path(2)?,
                number(3, 12)?,
                number(4, 64)?,
                &options(arguments.get(5), None)?,
            )
        }
        Some("peak") => {
            let (f32, bf16) = registers::peak().unzip();
            println!("{}", serde_json::json!({ "bench": "peak", "f32_gflop_s": f32, "bf16_gflop_s": bf16 }));
            Ok(())
        }
        // `cargo test --benches` and the like start it without arguments.
        _ => {
            eprintln!(
                "engine: train BASE [STEPS] [PRECISION] [DEVICE] | arrow BASE LIBRARY EXPERTS [PRECISION] [DEVICE] | typing BASE LIBRARY [PRECISION] | routers BASE LIBRARY EXPERTS [PRECISION] | costs BASE LIBRARY ROUTERS [PRECISION] | retrieval [EXPERTS] [HIDDEN] | attribute BASE LIBRARY EXPERTS TOKENS [PRECISION] | peak"
            );
            Ok(())
        }
    }
}
