"""PEFT, by default on the CPU, one measurement a process, as one JSON line.

    peer_peft.py train BASE STEPS float32|bfloat16 [DEVICE]
    peer_peft.py arrow BASE.gguf LIBRARY EXPERTS

The same tokens, shapes and counts as `engine.rs`.
"""

import json
import os
import pathlib
import statistics
import sys
import time

import torch
from transformers import AutoModelForCausalLM, DynamicCache

LENGTH, BATCH, DECODE, RUNS = 64, 8, 16, 7
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]


def tokens(count):
    return [100 + at * 7919 % 40_000 for at in range(count)]


def memory(line):
    """A line of this process's status, in MB."""
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in status if row.startswith(line + ":")) / 1024


def load(base, dtype=torch.float32):
    base = pathlib.Path(base)
    if base.is_dir():
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype=dtype)
    else:
        model = AutoModelForCausalLM.from_pretrained(str(base.parent), gguf_file=base.name, dtype=torch.float32)
    model = model.to(dtype)
    # What reading the file took is no part of the peak.
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return model


def train(base, steps, dtype, device="cpu"):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(load(base, getattr(torch, dtype)).to(device), config).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
    ids = torch.tensor(tokens(BATCH * LENGTH), device=device).view(BATCH, LENGTH) % model.config.vocab_size
    targets = ids.roll(-1, dims=1).reshape(-1)
    times = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        optimiser.zero_grad()
        logits = model(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets)
        loss.backward()
        optimiser.step()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    step = statistics.median(times[1:])
    return {
        "step_s": step,
        "tokens_per_s": BATCH * LENGTH / step,
        "peak_mb": memory("VmHWM"),
        "device_mb": torch.cuda.max_memory_allocated() / 1e6 if device != "cpu" else 0.0,
        "loss": loss.item(),
    }


@torch.inference_mode()
def prefill_and_decode(model):
    """Medians in milliseconds of a prompt of 64 tokens with its next token, and of a token after it."""
    prefill, decode = [], []
    for _ in range(RUNS + 1):
        cache, ids = DynamicCache(), torch.tensor([tokens(LENGTH)])
        ticks = [time.perf_counter()]
        for _ in range(DECODE):
            logits = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            ids = logits[:, -1].argmax(-1, keepdim=True)
            ticks.append(time.perf_counter())
        prefill.append(ticks[1] - ticks[0])
        decode.append((ticks[-1] - ticks[1]) / (DECODE - 1))
    return statistics.median(prefill[1:]) * 1e3, statistics.median(decode[1:]) * 1e3


def arrow(base, library, experts):
    from peft import ArrowConfig, create_arrow_model

    model = load(base).eval()
    base_prefill, base_decode = prefill_and_decode(model)
    paths = sorted(str(path.parent) for path in pathlib.Path(library).glob("*/adapter_config.json"))[:experts]
    before, start = memory("VmRSS"), time.perf_counter()
    config = ArrowConfig(top_k=3, router_temperature=1.0, rng_seed=42)
    model = create_arrow_model(base_model=model, task_specific_adapter_paths=paths, arrow_config=config).eval()
    load_s = time.perf_counter() - start
    start = time.perf_counter()
    with torch.inference_mode():
        # Prototypes are computed by the first pass.
        model(input_ids=torch.tensor([tokens(LENGTH)]), logits_to_keep=1)
    first_s = time.perf_counter() - start
    more = memory("VmRSS") - before
    prefill, decode = prefill_and_decode(model)
    return {
        "experts": experts,
        "base_prefill_ms": base_prefill,
        "base_decode_ms": base_decode,
        "load_s": load_s,
        "first_forward_s": first_s,
        "ready_s": load_s + first_s,
        "prefill_ms": prefill,
        "decode_ms": decode,
        "library_mb": more,
    }


if __name__ == "__main__":
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    kind, base, *rest = sys.argv[1:]
    found = train(base, int(rest[0]), *rest[1:]) if kind == "train" else arrow(base, rest[0], int(rest[1]))
    print(json.dumps(found))
