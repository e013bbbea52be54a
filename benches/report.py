"""What the measuring scripts share: fresh processes, medians, the machine, tables between markers."""

import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(command, environment=None):
    """Runs a command in a fresh process: (what it printed, seconds, peak resident MB).

    The kernel counts this process's own memory into a child's peak, so nothing large is imported here.
    """
    start = time.perf_counter()
    child = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with status {child.returncode}")
    return output, time.perf_counter() - start, usage.ru_maxrss / 1024


def measured(command, environment=None):
    """The JSON on the last line that a command prints."""
    return json.loads(run(command, environment)[0].strip().splitlines()[-1])


def in_turn(rounds, commands, say=lambda line: None):
    """Runs each of the named measurements once a round, A B A B …: medians of every number, by name."""
    seen = {name: [] for name in commands}
    for at in range(rounds):
        for name, measure in commands.items():
            seen[name].append(measure())
            numbers = {key: value for key, value in seen[name][-1].items() if not isinstance(value, list)}
            say(f"{at + 1}/{rounds} {name}: {json.dumps(numbers)}")
    return {name: median(values) for name, values in seen.items()}


def median(documents):
    """One document with the median of each number of several."""
    merged = dict(documents[-1])
    for key, value in merged.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            merged[key] = statistics.median(document[key] for document in documents)
    return merged


def machine():
    """What the numbers depend on: processor, cores, memory, system, commit."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
        wide = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if flag in flags]
        cpu = f"{names[0]} ({', '.join(wide)})" if names else cpu
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "commit": commit or "unknown",
        "load": round(os.getloadavg()[0], 2),
    }


def versions(python, packages):
    """Versions of Python packages, as one line; those that are missing are left out."""
    code = (
        "import importlib.metadata as m, sys\n"
        "def version(name):\n"
        "    try: return f'{name} {m.version(name)}'\n"
        "    except m.PackageNotFoundError: return None\n"
        "print(', '.join(filter(None, map(version, sys.argv[1:]))))"
    )
    return run([python, "-c", code, *packages])[0].strip()


def number(value, digits=3):
    """A number with so many significant digits, without an exponent."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or value == 0:
        return f"{value:,.0f}"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, places)}f}"


def table(header, rows):
    """A Markdown table; all but the first column to the right."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(number(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def write_between(path, name, text):
    """Replaces what stands between the markers of `name` in a Markdown file."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    page = pathlib.Path(path).read_text()
    if page.count(begin) != 1 or page.count(end) != 1:
        sys.exit(f"{path}: needs the lines {begin} and {end}, once each")
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    pathlib.Path(path).write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")
