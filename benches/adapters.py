"""Makes libraries of random PEFT adapters that fit a Llama GGUF file: `adapters.py BASE.gguf OUT COUNT [f16]`.

Rank 4 on q, k, v and o of every layer, f32 unless f16 is asked for, as PEFT writes them. Each is the sum of one of ten random centres
and noise of the same size, so that clustering has something to find.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

RANK = 4
CENTRES = 10


def shapes(base):
    """Name and (in, out) of every adapted linear layer."""
    reader = gguf.GGUFReader(base)
    architecture = reader.fields["general.architecture"].contents()
    field = lambda name: int(reader.fields[f"{architecture}.{name}"].contents())
    width, heads = field("embedding_length"), field("attention.head_count")
    keys = width // heads * field("attention.head_count_kv")
    of = {"q_proj": (width, width), "k_proj": (width, keys), "v_proj": (width, keys), "o_proj": (width, width)}
    return [
        (f"base_model.model.model.layers.{layer}.self_attn.{name}", *size)
        for layer in range(field("block_count"))
        for name, size in of.items()
    ]


def main(base, out, count, dtype):
    modules = shapes(base)
    sizes = [size for _, i, o in modules for size in (RANK * i, RANK * o)]
    random = np.random.default_rng(7)
    centres = random.standard_normal((CENTRES, sum(sizes)), dtype=np.float32)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
        "inference_mode": True,
    }
    for at in range(count):
        values = 0.014 * (centres[at % CENTRES] + random.standard_normal(sum(sizes), dtype=np.float32))
        parts = iter(np.split(values, np.cumsum(sizes)[:-1]))
        tensors = {}
        for name, inputs, outputs in modules:
            tensors[f"{name}.lora_A.weight"] = next(parts).reshape(RANK, inputs).astype(dtype)
            tensors[f"{name}.lora_B.weight"] = next(parts).reshape(outputs, RANK).astype(dtype)
        folder = pathlib.Path(out) / f"expert-{at:04}"
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2))
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), np.float16 if "f16" in sys.argv[4:] else np.float32)
