"""llama.cpp through llama-cpp-python, the base model alone.

    peer_llama_cpp.py quantise BASE.gguf OUT.gguf    requantises to Q8_0
    peer_llama_cpp.py run BASE.gguf                  prefill of 64 tokens and decode, as one JSON line
"""

import json
import os
import statistics
import sys
import time

import llama_cpp
import numpy as np

LENGTH, DECODE, RUNS = 64, 16, 7


def quantise(base, out):
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
    options.allow_requantize = True
    options.nthread = len(os.sched_getaffinity(0))
    if llama_cpp.llama_model_quantize(base.encode(), out.encode(), options) != 0:
        sys.exit(f"llama.cpp could not requantise {base}")


def run(base):
    threads = len(os.sched_getaffinity(0))
    model = llama_cpp.Llama(base, n_ctx=256, n_threads=threads, n_threads_batch=threads, verbose=False)
    vocabulary = model.n_vocab()
    prefill, decode = [], []
    for _ in range(RUNS + 1):
        model.reset()
        ids = [100 + at * 7919 % 40_000 for at in range(LENGTH)]
        ticks = [time.perf_counter()]
        for _ in range(DECODE):
            model.eval(ids)
            logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(model.ctx, -1), (vocabulary,))
            ids = [int(logits.argmax())]
            ticks.append(time.perf_counter())
        prefill.append(ticks[1] - ticks[0])
        decode.append((ticks[-1] - ticks[1]) / (DECODE - 1))
    return {"prefill_ms": statistics.median(prefill[1:]) * 1e3, "decode_ms": statistics.median(decode[1:]) * 1e3}


if __name__ == "__main__":
    if sys.argv[1] == "quantise":
        quantise(sys.argv[2], sys.argv[3])
    else:
        print(json.dumps(run(sys.argv[2])))
