#!/usr/bin/env python3
"""What bf16 and q8 change: logits and routing against f32, on prompts of the shipped tasks.

    benches/accuracy.py [--binary target/release/lora-tui] [--markdown docs/performance.md]

Needs numpy and safetensors. Runs `lora-tui route --save` on the first test prompts of every task.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np
from safetensors import safe_open

import report

PRECISIONS = ["f32", "bf16", "q8"]
ROUTERS = ["base", "arrow"]


def prompts(tasks, count):
    for path in sorted(pathlib.Path(tasks).glob("*/*/test.jsonl")):
        for line in path.read_text().splitlines()[:count]:
            example = json.loads(line)
            yield "\n".join(part for part in (example["instruction"], example["input"]) if part)


def routed(binary, library, prompt, precision, router):
    with tempfile.TemporaryDirectory() as folder:
        saved = pathlib.Path(folder) / "routed.safetensors"
        command = [binary, "route", library, "--prompt", prompt, "--json", "--device", "cpu"]
        report.run([*command, "--precision", precision, "--router", router, "--save", saved])
        with safe_open(saved, "np") as tensors:
            return {name: tensors.get_tensor(name) for name in tensors.keys()}


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def compare(exact, other):
    """Sums over the tokens of one prompt."""
    a, b = exact["logits"].astype(np.float64), other["logits"].astype(np.float64)
    p, q = log_softmax(a), log_softmax(b)
    weights = [name for name in exact if name.startswith("weights.")]
    top = [exact[name].argmax(-1) == other[name].argmax(-1) for name in weights]
    return {
        "tokens": len(a),
        "largest": np.abs(a - b).max(),
        "sum": np.abs(a - b).mean(axis=-1).sum(),
        "argmax": (a.argmax(-1) == b.argmax(-1)).sum(),
        "kl": (np.exp(p) * (p - q)).sum(),
        "top": sum(int(same.sum()) for same in top),
        "pairs": sum(same.size for same in top),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=report.ROOT / "target/release/lora-tui")
    parser.add_argument("--library", default=report.ROOT / "library")
    parser.add_argument("--tasks", default=report.ROOT / "assets/tasks")
    parser.add_argument("--prompts", type=int, default=1, help="test prompts of each task")
    parser.add_argument("--markdown", help="page whose table is to be replaced")
    arguments = parser.parse_args()

    rows = {(router, precision): [] for router in ROUTERS for precision in PRECISIONS[1:]}
    for prompt in prompts(arguments.tasks, arguments.prompts):
        for router in ROUTERS:
            found = {p: routed(arguments.binary, arguments.library, prompt, p, router) for p in PRECISIONS}
            for precision in PRECISIONS[1:]:
                rows[router, precision].append(compare(found["f32"], found[precision]))
    lines = []
    for (router, precision), parts in rows.items():
        total = {key: sum(part[key] for part in parts) for key in parts[0]}
        tokens = total["tokens"]
        lines.append([
            f"{router}, {precision}",
            max(part["largest"] for part in parts),
            total["sum"] / tokens,
            f"{100 * total['argmax'] / tokens:.1f} %",
            total["kl"] / tokens,
            f"{100 * total['top'] / total['pairs']:.1f} %" if total["pairs"] else "–",
        ])
    header = ["router, weights", "Δ logit, max", "Δ logit, mean", "same next token", "mean KL", "same top expert"]
    page = f"{tokens} tokens of {len(parts)} prompts, f32 as the reference.\n\n{report.table(header, lines)}"
    print(page)
    if arguments.markdown:
        report.write_between(arguments.markdown, "accuracy", page)


if __name__ == "__main__":
    main()
