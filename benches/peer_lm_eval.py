"""lm-evaluation-harness over transformers and PEFT on the CPU, as one JSON line.

    peer_lm_eval.py tasks FOLDER                    writes two tasks of this repository as its YAML files
    peer_lm_eval.py eval BASE.gguf FOLDER TASK ITEMS none|peft|arrow [ADAPTER …]

Both tasks are asked in the template of the shipped library; one is an exact match of an answer, the other a choice.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TASKS = {"es_negation": "spanish", "sentiment": "reviews"}
TEXT = r'"<|im_start|>user\n{{instruction}}\n{{input}}<|im_end|>\n<|im_start|>assistant\n"'
ANSWER = """output_type: generate_until
doc_to_target: "{{output}}"
generation_kwargs:
  until: ["<|im_end|>", "\\n"]
  do_sample: false
  max_gen_toks: 32
metric_list:
  - metric: exact_match
"""
CHOICE = """output_type: multiple_choice
target_delimiter: ""
doc_to_choice: ["positive", "negative", "mixed"]
doc_to_target: "{{output}}"
metric_list:
  - metric: acc
"""


def tasks(folder):
    folder.mkdir(parents=True)
    for task, family in TASKS.items():
        shutil.copy(HERE.parent / "assets/tasks" / family / task / "test.jsonl", folder / f"{task}.jsonl")
        rest = ANSWER if task == "es_negation" else CHOICE
        (folder / f"{task}.yaml").write_text(
            f"task: {task}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {task}.jsonl\n"
            f"test_split: test\ndoc_to_text: {TEXT}\n{rest}"
        )


def evaluate(base, folder, task, items, how, adapters):
    os.environ["HF_HOME"] = tempfile.mkdtemp()
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    start = time.perf_counter()
    import peft
    import torch
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    base = pathlib.Path(base)
    model = AutoModelForCausalLM.from_pretrained(str(base.parent), gguf_file=base.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(base.parent), gguf_file=base.name)
    if how == "peft":
        model = peft.PeftModel.from_pretrained(model, adapters[0])
    elif how == "arrow":
        config = peft.ArrowConfig(top_k=3, router_temperature=1.0, rng_seed=42)
        model = peft.create_arrow_model(
            base_model=model, task_specific_adapter_paths=adapters, arrow_config=config
        )
    lm = HFLM(pretrained=model.eval(), tokenizer=tokenizer, backend="causal", batch_size=16, device="cpu")
    ready = time.perf_counter()
    os.chdir(folder)
    found = simple_evaluate(
        model=lm, tasks=[task], limit=items, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
    )
    end = time.perf_counter()
    scores = found["results"][task]
    score = scores.get("exact_match,none", scores.get("acc,none"))
    return {"load_s": ready - start, "eval_s": end - ready, "score": float(score)}


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    if kind == "tasks":
        tasks(pathlib.Path(rest[0]))
    else:
        base, folder, task, items, how, *adapters = rest
        found = evaluate(base, pathlib.Path(folder).resolve(), task, int(items), how, adapters)
        print(json.dumps(found))
