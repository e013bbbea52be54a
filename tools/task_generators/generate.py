#!/usr/bin/env python3
"""Makes assets/tasks from the families in this folder.

    python3 tools/task_generators/generate.py            writes assets/tasks
    python3 tools/task_generators/generate.py --check    changes nothing; exit 1 where the files are not
                                                     exactly what the sources give or break a rule
    python3 tools/task_generators/generate.py --sample 5 prints lines of every task, to read them through
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True

import core
from families import FAMILIES

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "assets", "tasks")
README = "README.md"


def read_folder(path):
    """file name -> bytes of the files in a folder; empty where there is none."""
    if not os.path.isdir(path):
        return {}
    files = {}
    for name in sorted(os.listdir(path)):
        if os.path.isfile(os.path.join(path, name)):
            with open(os.path.join(path, name), "rb") as handle:
                files[name] = handle.read()
    return files


def stray_folders(root, tasks):
    """Folders under the root that no task accounts for."""
    known = {task.path for task in tasks}
    found = []
    for family in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        inside = os.path.join(root, family)
        names = sorted(os.listdir(inside)) if os.path.isdir(inside) else [""]
        found += [f"{family}/{name}" for name in names if f"{family}/{name}" not in known and name != README]
    return found


def main():
    parser = argparse.ArgumentParser(description="Makes assets/tasks from the families in this folder.")
    parser.add_argument("--check", action="store_true", help="change nothing; compare and verify")
    parser.add_argument("--sample", type=int, metavar="N", help="print N train and test lines of every task")
    parser.add_argument("--out", default=ROOT, help="folder to write or check (default: assets/tasks)")
    arguments = parser.parse_args()

    tasks = [task for family in FAMILIES for task in family.TASKS]
    names = [task.name for task in tasks]
    failed = [f"two tasks are called {name}" for name in sorted(set(names)) if names.count(name) > 1]
    rendered = [(task, core.render(task)) for task in tasks]
    for task, files in rendered:
        failed += core.problems(task, files)
    folders = [(task.path, files) for task, files in rendered]
    folders += [(family.TASKS[0].family, {README: core.family_readme(family)}) for family in FAMILIES]
    for path, files in folders:
        folder = os.path.join(arguments.out, *path.split("/"))
        if arguments.sample:
            for split in (core.TRAIN, core.TEST):
                for row in files.get(f"{split}.jsonl", b"").decode("utf-8").splitlines()[: arguments.sample]:
                    print(path, split, row)
        elif arguments.check:
            present = read_folder(folder)
            for name in sorted(set(files) | set(present)):
                if files.get(name) != present.get(name):
                    failed.append(f"{path}/{name} is not what the generator makes")
        elif not failed:
            for name, data in files.items():
                core.write(os.path.join(folder, name), data)
    if not arguments.sample:
        failed += [f"{path} belongs to no task" for path in stray_folders(arguments.out, tasks)]
    for line in failed:
        print(line, file=sys.stderr)
    if failed:
        sys.exit(1)
    if not arguments.sample:
        done = "verified" if arguments.check else "written"
        print(f"{len(tasks)} tasks in {len(FAMILIES)} families {done}")


if __name__ == "__main__":
    main()
