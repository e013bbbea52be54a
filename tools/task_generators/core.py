"""What every task has in common: splitting by group, choosing items, phrasing, files and checks.

All choices are made by ordering things by a SHA-256 digest of their text, never by a random number generator,
so the same sources give the same bytes on every machine and Python version.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass, field

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
COUNTS = {TRAIN: 1600, VALIDATION: 100, TEST: 200}
# A held-out task has training lines too, for adaptation by a few examples and to know what an expert of its own
# would reach; no library is trained on them.
HELD_OUT_TRAIN = 200
# Shares of the groups of each stratum; train takes what is left.
SHARES = {TEST: 0.25, VALIDATION: 0.125}
MAX_PROMPT_CHARS = 200
MAX_OUTPUT_CHARS = 48
MAX_TOKENS = 128
# Tokens of the template around instruction, input and output.
TEMPLATE_TOKENS = 16
METRICS = {
    "exact_match": "one answer is right, letter for letter: a wrong letter in a date, a name or a plural is a mistake",
    "accuracy": "the answer is one of the labels that the instruction names, which occur equally often",
}


@dataclass(frozen=True)
class Item:
    """One example before phrasing. `group` is the underlying thing (a verb, a noun, a date) it was made from."""

    group: str
    input: str
    output: str


@dataclass
class Task:
    """One task.

    groups    stratum -> the underlying things of that stratum; each is put into exactly one split
    make      called once a split with the list of its groups; returns Items (more than needed is fine)
    rule      what is learnt, for people
    group     what a group is, for people
    check     (input, output) -> whether the output follows from the input, written another way than `make`
    held_out  for evaluation alone: no expert is trained on it
    transfer  for a held-out task, why experts of other tasks may answer it, for people
    """

    family: str
    name: str
    instructions: list
    groups: dict
    make: object
    rule: str
    group: str
    check: object
    options: list = field(default_factory=list)
    held_out: bool = False
    transfer: str = ""

    @property
    def metric(self):
        return "accuracy" if self.options else "exact_match"

    @property
    def path(self):
        return f"{self.family}/{self.name}"

    def count(self, split):
        return HELD_OUT_TRAIN if self.held_out and split == TRAIN else COUNTS[split]


def digest(*parts):
    """A whole number that depends on the texts of the parts and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def ordered(things, *seed):
    """The things in an order that looks random and is always the same."""
    return sorted(things, key=lambda thing: (digest(*seed, thing), str(thing)))


def pick(things, *seed):
    """One of the things, decided by the seed."""
    return things[digest(*seed) % len(things)]


def split_groups(task):
    """split -> list of groups. Every stratum gives its share to every split."""
    split = {name: [] for name in SPLITS}
    for stratum, groups in task.groups.items():
        if len(set(groups)) != len(groups):
            twice = sorted({g for g in groups if groups.count(g) > 1})
            raise ValueError(f"{task.path}: stratum {stratum!r} lists these more than once: {twice}")
        line = ordered(groups, "split", stratum)
        test = max(1, round(len(line) * SHARES[TEST]))
        validation = max(1, round(len(line) * SHARES[VALIDATION]))
        split[TEST] += line[:test]
        split[VALIDATION] += line[test : test + validation]
        split[TRAIN] += line[test + validation :]
    for one in SPLITS:
        for other in SPLITS:
            both = set(split[one]) & set(split[other])
            if one < other and both:
                raise ValueError(f"{task.path}: groups in two strata: {sorted(both)}")
    return split


def spread(items, count, *seed):
    """At most `count` items, taken from all groups in turn so that no group crowds out the others."""
    by_group = {}
    for item in items:
        by_group.setdefault(item.group, []).append(item)
    queues = [
        sorted(by_group[group], key=lambda item: digest(*seed, item.input))
        for group in ordered(by_group, *seed, "groups")
    ]
    chosen, depth = [], 0
    while len(chosen) < count and any(depth < len(queue) for queue in queues):
        for queue in queues:
            if depth < len(queue) and len(chosen) < count:
                chosen.append(queue[depth])
        depth += 1
    return chosen


def phrase(task, items, count, *seed):
    """`count` lines of these items; where items run out they come again under another phrasing."""
    chosen = spread(items, count, *seed)
    phrasings = len(task.instructions)
    lines = []
    for number in range(count):
        turn, index = divmod(number, len(chosen))
        if turn == phrasings:
            break
        item = chosen[index]
        instruction = task.instructions[(index + turn) % phrasings]
        lines.append({"instruction": instruction, "input": item.input, "output": item.output})
    return lines


def build(task):
    """split -> list of lines."""
    result = {}
    for name, groups in split_groups(task).items():
        items, seen = [], set()
        for item in task.make(groups):
            if item.input not in seen:
                seen.add(item.input)
                items.append(item)
        count = task.count(name)
        if task.options:
            lines = []
            for position, label in enumerate(task.options):
                share = count // len(task.options) + (position < count % len(task.options))
                lines += phrase(task, [i for i in items if i.output == label], share, task.path, name, label)
        else:
            lines = phrase(task, items, count, task.path, name)
        result[name] = sorted(lines, key=lambda line: digest(task.path, name, json.dumps(line)))
    return result


def task_toml(task, lines):
    """The text of task.toml. The examples are test items, so no expert of this task was trained on them."""
    text = lambda value: json.dumps(value, ensure_ascii=False)  # JSON strings are TOML basic strings
    main = task.instructions[0]
    examples = []
    for line in lines[TEST]:
        prompt = f"{main}\n{line['input']}"
        if line["output"] not in (output for _, output in examples):
            examples.append((prompt, line["output"]))
        if len(examples) == 2:
            break
    rows = [
        f"id = {text(task.name)}",
        f"family = {text(task.family)}",
        f"instruction = {text(main)}",
        f"metric = {text(task.metric)}",
    ]
    if task.options:
        rows.append("options = [" + ", ".join(text(option) for option in task.options) + "]")
    if task.held_out:
        rows.append("held_out = true")
    rows.append("examples = [")
    rows += [f"  {text(prompt)}," for prompt, _ in examples]
    rows.append("]")
    return "\n".join(rows) + "\n"


def render(task):
    """file name -> bytes of the task's folder."""
    lines = build(task)
    files = {"task.toml": task_toml(task, lines).encode("utf-8")}
    for name in SPLITS:
        rows = [json.dumps(line, ensure_ascii=False) + "\n" for line in lines[name]]
        files[f"{name}.jsonl"] = "".join(rows).encode("utf-8")
    return files


def family_readme(family):
    """The bytes of a family's README.md: what its tasks are, how they are scored, and why transfer is plausible."""
    name, tasks = family.TASKS[0].family, family.TASKS
    rows = [f"# {name.capitalize()}", "", family.__doc__.strip(), ""]
    rows += ["| task | what is learnt | test and training share no | metric | held out |", "|---|---|---|---|---|"]
    for task in tasks:
        held = "yes" if task.held_out else "–"
        rows.append(f"| `{task.name}` | {task.rule} | {task.group} | `{task.metric}` | {held} |")
    rows.append("")
    rows += [f"- `{metric}`: {why}." for metric, why in METRICS.items() if metric in {t.metric for t in tasks}]
    if any(task.held_out for task in tasks):
        rows += ["", "## Why the held-out tasks can be reached", ""]
        rows += [f"- `{task.name}`: {task.transfer}" for task in tasks if task.held_out]
    return ("\n".join(rows) + "\n").encode("utf-8")


def token_bound(text):
    """More tokens than the text has in any byte-level vocabulary made of much text: digits and signs count one each,
    words one for every two bytes."""
    words = sum((len(word.encode("utf-8")) + 1) // 2 for word in re.findall(r"[^\W\d_]+", text))
    return words + len(re.findall(r"[^\w\s]|[\d_]", text))


def write(path, data):
    """Replaces the file whole, or not at all."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = path + ".tmp"
    with open(temporary, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def problems(task, files):
    """What is wrong with the files of a task, as sentences; an empty list when nothing is."""
    found = []

    def wrong(message):
        found.append(f"{task.path}: {message}")

    if not 4 <= len(set(task.instructions)) == len(task.instructions) <= 8:
        wrong(f"needs 4 to 8 different phrasings, has {len(task.instructions)}")
    if task.metric not in METRICS:
        wrong(f"metric {task.metric} is not one of {', '.join(METRICS)}")
    if bool(task.transfer) != task.held_out:
        wrong("only a held-out task says why others may reach it, and it has to")
    items, answers = {}, {}
    for name in SPLITS:
        where = f"{name}.jsonl"
        try:
            rows = files[where].decode("utf-8").splitlines()
            lines = [json.loads(row) for row in rows]
        except (KeyError, ValueError) as error:
            wrong(f"{where} cannot be read: {error!r}")
            continue
        if len(lines) != task.count(name):
            wrong(f"{where} has {len(lines)} lines, not {task.count(name)}")
        if len(set(rows)) != len(rows):
            wrong(f"{where} has {len(rows) - len(set(rows))} lines twice")
        for number, line in enumerate(lines, 1):
            problem = line_problem(task, line)
            if problem:
                wrong(f"{where} line {number}: {problem}")
                continue
            if answers.setdefault(line["input"], line["output"]) != line["output"]:
                wrong(f"{where} line {number}: {line['input']!r} has two answers")
        lines = [line for line in lines if not line_problem(task, line)]
        items[name] = {line["input"].casefold() for line in lines}
        if name != TRAIN and len(items[name]) != len(lines):
            wrong(f"{where} has only {len(items[name])} different items in {len(lines)} lines")
        if {line["instruction"] for line in lines} != set(task.instructions):
            wrong(f"{where} does not use every phrasing")
        if name == TEST:
            for line, other in zip(lines, lines[1:] + lines[:1]):
                for taken in wrong_answers(task, line, other):
                    if follows(task, line["input"], taken):
                        wrong(f"its check takes {taken!r} for {line['input']!r}")
        if task.options:
            tally = [sum(line["output"] == option for line in lines) for option in task.options]
            if max(tally) - min(tally) > 1:
                wrong(f"{where} has unbalanced labels: {dict(zip(task.options, tally))}")
    for one, other in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        both = items.get(one, set()) & items.get(other, set())
        if both:
            wrong(f"{len(both)} items in both {one} and {other}, such as {min(both)!r}")
    return found


def follows(task, given, answer):
    """What the task's check says; an answer that it cannot read does not follow."""
    try:
        return "  " not in answer and bool(task.check(given, answer))
    except (ArithmeticError, AttributeError, LookupError, SyntaxError, ValueError):
        return False


def wrong_answers(task, line, other):
    """Answers that a line must not have: other labels, or that of another line, the input, and slips of one letter."""
    right = line["output"]
    if task.options:
        return [option for option in task.options if option != right]
    at = digest(line["input"]) % len(right)
    slips = [right[:at] + right[at + 1 :], right[:at] + right[at] + right[at:]]
    return [wrong for wrong in [other["output"], line["input"], *slips] if wrong != right]


def line_problem(task, line):
    """What is wrong with one line, or None."""
    if not isinstance(line, dict) or sorted(line) != ["input", "instruction", "output"]:
        return "is not an object of exactly instruction, input and output"
    for key, value in line.items():
        if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
            return f"{key} is not a trimmed line of printable text"
    if len(line["instruction"]) + len(line["input"]) > MAX_PROMPT_CHARS:
        return f"prompt longer than {MAX_PROMPT_CHARS} characters"
    if len(line["output"]) > MAX_OUTPUT_CHARS:
        return f"output longer than {MAX_OUTPUT_CHARS} characters"
    if TEMPLATE_TOKENS + sum(token_bound(value) for value in line.values()) > MAX_TOKENS:
        return f"may have more than {MAX_TOKENS} tokens"
    if not follows(task, line["input"], line["output"]):
        return f"{line['output']!r} does not follow from {line['input']!r}"
    if task.options and line["output"] not in task.options:
        return f"output {line['output']!r} is none of the options"
    if not task.options and line["output"] == line["input"]:
        return "output is the input"
    return None
