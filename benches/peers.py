#!/usr/bin/env python3
"""Times lora-tui and what people use today, in turn, and prints the ratios.

    python benches/peers.py --base BASE.gguf [PART …] [--quick] [--markdown docs/performance.md]

Parts: train, arrow, eval, llama, mbc, open, screens, growth; all of them without names. Run it with a Python that has
torch, transformers, peft, lm-eval, scikit-learn, gguf, numpy and safetensors; llama.cpp comes from node-llama-cpp, from the
folder that `--llama-node` names. Every measurement is a fresh process, ours and the peer's take turns (A B A B …), and
numbers are medians over the rounds.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import growth
import report
from report import in_turn, measured

HERE = pathlib.Path(__file__).resolve().parent
#: Numbers of experts over which costs are followed; the first three of them with --quick.
GROWTH = [1, 8, 32, 128, 512]
#: Experts of the large library.
OPENED = 10_000


class Bench:
    """Programs, libraries and options of one run."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(folder)
        self.rounds = 1 if options.quick else options.rounds
        self.steps = 1 if options.quick else 5
        self.built = programs(options.no_build)
        self.adapters = self.folder / "adapters"
        self.environment = {"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}

    def say(self, line):
        print(line, file=sys.stderr, flush=True)

    def make_adapters(self, count, folder, dtype="f32"):
        self.say(f"making {count} adapters in {dtype}")
        report.run([sys.executable, HERE / "adapters.py", self.options.base, folder, count, dtype])

    def engine(self, *arguments):
        return lambda: measured([self.built["engine"], *arguments])

    def screens(self, *arguments):
        return lambda: measured([self.built["screens"], *arguments])

    def peer(self, script, *arguments):
        return lambda: measured([sys.executable, HERE / script, *arguments], self.environment)

    def turns(self, commands):
        return in_turn(self.rounds, commands, self.say)


def programs(no_build):
    """Paths of the binary and of the benchmarks, built if need be."""
    command = ["cargo", "build", "--release", "--bin", "lora-tui", "--bench", "engine", "--bench", "screens"]
    if no_build:
        release = report.ROOT / "target/release"
        newest = lambda name: max(
            (path for path in (release / "deps").glob(f"{name}-*") if not path.suffix),
            key=lambda path: path.stat().st_mtime,
            default=None,
        )
        found = {"lora-tui": release / "lora-tui", "engine": newest("engine"), "screens": newest("screens")}
    else:
        found = {}
        messages = subprocess.run(
            [*command, "--message-format=json-render-diagnostics"],
            cwd=report.ROOT, stdout=subprocess.PIPE, text=True, check=True,
        ).stdout
        for message in map(json.loads, messages.splitlines()):
            if message.get("executable"):
                found[message["target"]["name"]] = message["executable"]
    missing = [name for name in ("lora-tui", "engine", "screens") if not found.get(name)]
    if missing:
        sys.exit(f"not built: {', '.join(missing)}; run {' '.join(command)}")
    return found


def train(bench):
    base, steps = bench.options.base, bench.steps
    found = bench.turns({
        "PEFT, f32": bench.peer("peer_peft.py", "train", base, steps, "float32"),
        "ours, f32": bench.engine("train", base, steps, "f32"),
        "PEFT, bf16": bench.peer("peer_peft.py", "train", base, steps, "bfloat16"),
        "ours, bf16": bench.engine("train", base, steps, "bf16"),
        "ours, q8": bench.engine("train", base, steps, "q8"),
        "peak": bench.engine("peak"),
    })
    peak = found.pop("peak")
    peers = [found["PEFT, f32"], found["PEFT, bf16"]]
    rows = [
        [name, one["step_s"], one["tokens_per_s"], one["peak_mb"]]
        + [f"{one['tokens_per_s'] / peer['tokens_per_s']:.2f} ×" for peer in peers]
        + [f"{one['peak_mb'] / peers[0]['peak_mb']:.2f} ×"]
        for name, one in found.items()
    ]
    header = ["", "s per step", "tokens/s", "peak MB", "speed, of PEFT f32", "speed, of PEFT bf16", "memory, of PEFT f32"]
    text = report.table(header, rows)
    gflop = found["ours, f32"]["gflop"]
    if peak["f32_gflop_s"]:
        text += (
            f"\n\nThe frozen weights' products of a step are {report.number(gflop)} GFLOP. From registers alone these "
            f"cores do {report.number(peak['f32_gflop_s'])} GFLOP/s in f32 and {report.number(peak['bf16_gflop_s'])} in "
            f"bf16: no step can be faster than {report.number(gflop / peak['f32_gflop_s'])} s in f32 "
            f"({gflop / peak['f32_gflop_s'] / found['ours, f32']['step_s']:.0%} of ours, "
            f"{gflop / peak['f32_gflop_s'] / found['PEFT, f32']['step_s']:.0%} of PEFT's) or "
            f"{report.number(gflop / peak['bf16_gflop_s'])} s in bf16 "
            f"({gflop / peak['bf16_gflop_s'] / found['ours, bf16']['step_s']:.0%} of ours, "
            f"{gflop / peak['bf16_gflop_s'] / found['PEFT, bf16']['step_s']:.0%} of PEFT's)."
        )
    return found, text


def arrow(bench):
    data, tables = {}, []
    for experts in bench.options.experts:
        found = bench.turns({
            "PEFT Arrow, f32": bench.peer("peer_peft.py", "arrow", bench.options.base, bench.adapters, experts),
            "ours, f32": bench.engine("arrow", bench.options.base, bench.adapters, experts, "f32"),
            "ours, bf16": bench.engine("arrow", bench.options.base, bench.adapters, experts, "bf16"),
            "ours, q8": bench.engine("arrow", bench.options.base, bench.adapters, experts, "q8"),
        })
        peer = found["PEFT Arrow, f32"]
        rows = []
        for name, one in found.items():
            ready = one.get("ready_s", one["load_s"])
            rows.append([
                name, ready, one["base_prefill_ms"], one["prefill_ms"], one["base_decode_ms"], one["decode_ms"],
                one["library_mb"], f"{peer['ready_s'] / ready:.1f} ×",
                f"{peer['prefill_ms'] / one['prefill_ms']:.1f} ×", f"{peer['decode_ms'] / one['decode_ms']:.1f} ×",
            ])
        header = [
            f"{experts} experts", "load, prototypes s", "prefill, base ms", "prefill, routed ms",
            "decode, base ms", "decode, routed ms", "MB more", "load, faster by", "prefill, faster by",
            "decode, faster by",
        ]
        tables.append(report.table(header, rows))
        data[experts] = found
    return data, "\n\n".join(tables)


def evaluation(bench):
    items = 20 if bench.options.quick else 200
    tasks, library = bench.folder / "tasks", bench.folder / "evaluated"
    report.run([sys.executable, HERE / "peer_lm_eval.py", "tasks", tasks])
    shutil.copytree(report.ROOT / "library", library, ignore=shutil.ignore_patterns(".lora-tui"))
    all_experts = sorted(path.parent for path in library.glob("*/adapter_config.json"))

    def ours(task, method):
        command = [
            bench.built["lora-tui"], "eval", library, "--base", bench.options.base, "--tasks", tasks / f"{task}.yaml",
            "--scoring", "lm-eval", "--limit", items, "--fresh", "--json", "--methods", method,
        ]
        output, seconds, _ = report.run(command)
        return {"eval_s": seconds, "score": json.loads(output)["scores"][0][0]["score"]}

    found, rows = {}, []
    for task in ["es_negation", "sentiment"]:
        methods = {
            "base": ("base", "none", []),
            "own expert": (f"single:{task}", "peft", [library / task]),
            "Arrow": ("arrow:k=3:temperature=1", "arrow", all_experts),
        }
        for name, (method, how, adapters) in methods.items():
            both = bench.turns({
                "lm-eval": bench.peer("peer_lm_eval.py", "eval", bench.options.base, tasks, task, items, how, *adapters),
                "ours": lambda: ours(task, method),
            })
            peer, own = both["lm-eval"], both["ours"]
            found[f"{task}, {name}"] = both
            rows.append([
                task, name, f"{100 * peer['score']:.1f}", f"{100 * own['score']:.1f}", peer["load_s"], peer["eval_s"],
                own["eval_s"], f"{peer['eval_s'] / own['eval_s']:.1f} ×",
            ])
    header = [
        f"{items} items, f32", "method", "lm-eval %", "ours %", "lm-eval, load s", "lm-eval s", "ours, load and all s", "faster by",
    ]
    return found, report.table(header, rows)


def llama(bench):
    folder = bench.options.llama_node
    if not (folder / "node_modules/node-llama-cpp").is_dir() or not shutil.which("node"):
        text = f"Not measured: {folder} has no node-llama-cpp (`npm install --prefix {folder} node-llama-cpp`)."
        bench.say(text)
        return None, text
    quantised = bench.folder / "base-q8_0.gguf"
    report.run([sys.executable, HERE / "quantise.py", bench.options.base, quantised])
    # JavaScript takes the tokens: with a thread on every core, llama.cpp's wait for each other around it.
    cores = os.cpu_count() or 1
    with_threads = lambda count: lambda: measured(["node", HERE / "peer_llama_cpp.mjs", folder, quantised, count])
    found = bench.turns({
        f"llama.cpp, {cores} threads": with_threads(cores),
        f"llama.cpp, {max(cores - 1, 1)} threads": with_threads(max(cores - 1, 1)),
        "ours": bench.engine("arrow", bench.options.base, bench.adapters, 32, "q8"),
    })
    peers, ours = [one for name, one in found.items() if name != "ours"], found["ours"]
    peer = {key: min(one[key] for one in peers) for key in ("prefill_ms", "decode_ms", "system")}
    rows = [
        ["llama.cpp, base alone", peer["prefill_ms"], peer["decode_ms"], "1.00 ×", "1.00 ×"],
        *[
            [name, ours[prefill], ours[decode], f"{ours[prefill] / peer['prefill_ms']:.2f} ×",
             f"{ours[decode] / peer['decode_ms']:.2f} ×"]
            for name, prefill, decode in [
                ("ours, base alone", "base_prefill_ms", "base_decode_ms"),
                ("ours, Arrow over 32 experts", "prefill_ms", "decode_ms"),
            ]
        ],
    ]
    header = ["Q8_0", "prefill of 64 ms", "decode ms", "prefill, time of llama.cpp's", "decode, time of llama.cpp's"]
    used = [part.split("=")[0].strip() for part in peer["system"].split("|") if part.strip().endswith("= 1")]
    used = ", ".join(name.removeprefix("CPU : ") for name in used)
    return found, f"{report.table(header, rows)}\n\nllama.cpp uses {used}."


def mbc(bench):
    library = bench.folder / "mbc"
    library.mkdir()
    for path in sorted(bench.adapters.iterdir())[:256]:
        (library / path.name).symlink_to(path)

    def again():
        output, seconds, peak = report.run([bench.built["lora-tui"], "cluster", library, "--k", 10, "--json"])
        return {"seconds": seconds, "peak_mb": peak, "labels": json.loads(output)["labels"]}

    def ours():
        # What was compared before is kept: the first time is without it.
        shutil.rmtree(library / ".lora-tui", ignore_errors=True)
        return again()

    found = bench.turns({
        "scikit-learn": bench.peer("peer_mbc.py", library, 10),
        "ours": ours,
        "ours, again": again,
    })
    peer = found["scikit-learn"]
    rows = [
        [name, one["seconds"], one["peak_mb"], f"{peer['seconds'] / one['seconds']:.1f} ×",
         f"{one['peak_mb'] / peer['peak_mb']:.2f} ×"]
        for name, one in found.items()
    ]
    same = same_partition(peer.pop("labels"), found["ours"].pop("labels"))
    found["ours, again"].pop("labels")
    text = report.table(["256 experts, k = 10", "s", "peak MB", "faster by", "memory"], rows)
    return found, f"{text}\n\nBoth find {'the same clusters' if same else 'different clusters'}."


def same_partition(a, b):
    """Whether two labellings mean the same groups."""
    return len(set(zip(a, b))) == len(set(a)) == len(set(b))


def opened(bench):
    """A library of hard links to one adapter, each with a configuration of its own."""
    library = bench.folder / "opened"
    if not library.exists():
        first = next(bench.adapters.iterdir())
        config = json.loads((first / "adapter_config.json").read_text())
        for at in range(OPENED):
            folder = library / f"expert-{at:05}"
            folder.mkdir(parents=True)
            os.link(first / "adapter_model.safetensors", folder / "adapter_model.safetensors")
            (folder / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 1 + at % 64}))
    return library


def opening(bench):
    library = opened(bench)

    def listed():
        _, seconds, peak = report.run([bench.built["lora-tui"], "ls", library, "--json"])
        return {"seconds": seconds, "peak_mb": peak}

    found = bench.turns({"ls": listed, "terminal": bench.screens("terminal", library)})
    ls, screen = found["ls"], found["terminal"]
    rows = [
        ["`ls --json`", "–", ls["seconds"], ls["peak_mb"]],
        ["in a terminal", screen["first_paint_s"], screen["complete_s"], screen["peak_mb"]],
    ]
    return found, report.table([f"{OPENED:,} experts", "first paint s", "complete s", "peak MB"], rows)


def screens(bench):
    library = opened(bench)
    found = bench.turns({
        "heatmap": bench.screens("heatmap", 1000),
        "library": bench.screens("library", library),
        "idle": bench.screens("terminal", library),
        "typing": bench.engine("typing", bench.options.base, report.ROOT / "library", "q8"),
    })
    rows = [
        [what, one["keys"], one["p50_ms"], one["p99_ms"], one["max_ms"], one["bytes_per_frame"]]
        for what, one in [
            ("heatmap of 1,000 × 1,000", found["heatmap"]),
            (f"library of {OPENED:,} rows", found["library"]),
        ]
    ]
    text = report.table(["200 × 60 cells", "keys", "p50 ms", "p99 ms", "max ms", "bytes a frame"], rows)
    idle = report.number(found["idle"]["idle_cpu_ms_in_3_s"])
    typing = found["typing"]
    p50, p95, most = (report.number(typing[key]) for key in ("p50_ms", "p95_ms", "max_ms"))
    return found, (
        f"{text}\n\nProcessor time when idle: {idle} ms in 3 s. From a key in the prompt to the new "
        f"routing weights of all layers (shipped library, q8, {typing['keys']} keys): median {p50} ms, p95 {p95} ms, "
        f"at most {most} ms."
    )


def growing(bench):
    sizes = GROWTH[:3] if bench.options.quick else GROWTH
    found, adapters = {}, bench.folder / "adapters-f16"
    bench.make_adapters(sizes[-1], adapters, "f16")
    # All are of one size.
    size = next(adapters.glob("*/adapter_model.safetensors")).stat().st_size / 1e6
    for precision in ("f32", "q8"):
        for experts in sizes:
            one = bench.engine("arrow", bench.options.base, adapters, experts, precision)()
            bench.say(json.dumps(one))
            found[f"{precision}, {experts}"] = one
    rows = [
        [name, one["load_s"], one["load_again_s"], one["library_mb"], one["library_mb"] / (size * one["experts"]), one["prefill_ms"], one["prefill_ms"] / one["base_prefill_ms"],
         one["decode_ms"], one["decode_ms"] / one["base_decode_ms"]]
        for name, one in found.items()
    ]
    header = ["weights, experts", "load s", "again s", "MB more", "× files", "prefill ms", "× base", "decode ms", "× base"]
    text = report.table(header, rows)
    if bench.options.markdown:
        figure = pathlib.Path(bench.options.markdown).with_name("cost-growth.svg")
        figure.write_text(growth.figure(list(found.values())))
        text += f"\n\n![Cost over the number of experts]({figure.name})"
    return found, text


#: What measures a part, and how many adapters that needs.
PARTS = {
    "train": (train, 0),
    "arrow": (arrow, 32),
    "eval": (evaluation, 0),
    "llama": (llama, 32),
    "mbc": (mbc, 256),
    "open": (opening, 1),
    "screens": (screens, 1),
    "growth": (growing, 0),
}


def adapters_of(part, options):
    """How many adapters a part needs."""
    if part == "arrow":
        return max(options.experts)
    return PARTS[part][1]


def describe(bench):
    facts = report.machine()
    packages = ["torch", "transformers", "peft", "lm-eval", "scikit-learn", "numpy"]
    python = report.versions(sys.executable, packages)
    node = bench.options.llama_node / "node_modules/node-llama-cpp/package.json"
    if node.is_file():
        python += f", node-llama-cpp {json.loads(node.read_text())['version']}"
    rounds = "one round" if bench.rounds == 1 else f"medians of {bench.rounds} rounds"
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}; commit "
        f"{facts['commit']}; {python}; {rounds}; load before the run {facts['load']}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--base", required=True, help="SmolLM2-135M-Instruct as a GGUF file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--experts", type=int, nargs="+", default=[32], help="for arrow; 128 take PEFT minutes")
    parser.add_argument("--quick", action="store_true", help="one round and few steps: does the script work?")
    parser.add_argument("--no-build", action="store_true", help="take what target/release has")
    parser.add_argument(
        "--llama-node", type=pathlib.Path, default=report.ROOT / "target/peers-node",
        help="folder in which node-llama-cpp was installed",
    )
    parser.add_argument("--json", default=report.ROOT / "target/peers.json", help="where all numbers go")
    parser.add_argument("--markdown", help="page whose tables are to be replaced")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]}: they are {', '.join(PARTS)}")
    parts = options.parts or list(PARTS)
    options.base = str(pathlib.Path(options.base).resolve())
    # Hard links need one file system, and a library of 512 adapters a gigabyte.
    folder = tempfile.mkdtemp(prefix="lora-tui-peers-")
    try:
        bench = Bench(options, folder)
        about = describe(bench)
        need = max(adapters_of(part, options) for part in parts)
        if need:
            bench.make_adapters(need, bench.adapters)
        document = {"machine": report.machine(), "about": about}
        for part in parts:
            data, text = PARTS[part][0](bench)
            # Parts are measured on different days and machines.
            text += f"\n\n{about}"
            document[part] = data
            print(f"\n## {part}\n\n{text}", flush=True)
            if options.markdown:
                report.write_between(options.markdown, part, text)
        pathlib.Path(options.json).write_text(json.dumps(document, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
