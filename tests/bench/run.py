"""`./dev bench all [FIGURE...]`: measures each figure beside its peers in interleaved rounds, prints a table, and writes JSON.

The words choose figures by a part of their names; without one, all are measured. docs/performance.md says how to read it.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import choice_figures
import figures
import move_figures
import page_figures
import request_figures
import start_figures
from subject import TOP, Failure

GROUPS = {"requests": request_figures.Group, "choices": choice_figures.Group, "pages": page_figures.Group,
          "start": start_figures.Group, "moves": move_figures.Group}
NEEDS_LAB = "moves"
OURS_BINARY = TOP / "build/migrationd"
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")
IDLE_BUSY = 0.1  # of the processors: what others may use, and the machine still counts as idle


class Context:
    """What all groups are told of the run."""

    def __init__(self, options):
        self.is_quick = options.quick
        self.without = options.without
        self.folder = options.folder / "run"
        self.binaries = {figures.OURS: str(OURS_BINARY)}
        if options.against:
            self.binaries[figures.AGAINST] = str(options.against.resolve())
        self.left_out = []

    def leave_out(self, what):
        self.left_out.append(what)
        print(f"# left out: {what}", flush=True)


def parse(words):
    parser = argparse.ArgumentParser(prog="./dev bench all", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", nargs="*", help="the name of a figure to measure, or a part of the names of several")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each figure (7 to 30, as the figure is)")
    parser.add_argument("--quick", action="store_true", help="small fleets and short rounds, to see that it works: no limit is judged")
    parser.add_argument("--without", action="append", default=[], choices=("lab", "nova"),
                        help="lab: no moves on real libvirt hosts; nova: no choices by Nova's own scheduler")
    parser.add_argument("--against", type=Path, metavar="BINARY", help="another build of migrationd, measured in the same rounds")
    parser.add_argument("--folder", type=Path, default=TOP / "build/bench", help="for databases: on a real disk (build/bench)")
    parser.add_argument("--output", type=Path, default=TOP / "build/bench/results.json", metavar="FILE", help="where the JSON goes")
    parser.add_argument("--list", action="store_true", help="the names of the figures")
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)  # prints what ./dev has to prepare
    options = parser.parse_args(words)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    if options.against and not os.access(options.against, os.X_OK):
        parser.error(f"--against: {options.against} is no program")
    return options


def choose(context, words):
    """Names of measurements by group, those alone that a word is, or else is a part of."""
    groups = [kind(context) for name, kind in GROUPS.items() if not (name == NEEDS_LAB and "lab" in context.without)]
    whole = {name for group in groups for name in group.names()}

    def is_meant(name):
        return not words or any(word == name or word not in whole and word in name for word in words)

    chosen = {group: [name for name in group.names() if is_meant(name)] for group in groups}
    return {group: names for group, names in chosen.items() if names}


def busy_share(seconds=2):
    """The part of the processors' time that is used now."""
    def read():
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    total, idle = read()
    time.sleep(seconds)
    later_total, later_idle = read()
    return 1 - (later_idle - idle) / (later_total - total)


def output(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True).stdout.strip()


def file_system(folder):
    return output("findmnt", "-n", "-o", "FSTYPE", "-T", folder).splitlines()[-1]  # what is mounted over the others


def machine(folder, is_quick):
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {"processors": f"{os.cpu_count()} × {models[0] if models else platform.machine()}", "memory_mib": memory_kb // 1024,
            "kernel": platform.release(), "file_system": file_system(folder), "busy_before": round(busy_share(0.2 if is_quick else 2), 3)}


def are_limits_judged(machine_then, is_quick):
    """A limit says nothing of small fleets, nor of a machine that does something else."""
    return not is_quick and machine_then["busy_before"] <= IDLE_BUSY


def build_of(binary):
    return {"version": output(binary, "version"), "sha256": hashlib.sha256(Path(binary).read_bytes()).hexdigest()}


def commit():
    """Of the clone, which may hold more than that."""
    try:
        return output("git", "-C", TOP, "describe", "--always", "--dirty")
    except (OSError, subprocess.CalledProcessError):
        return None


def measure(group, names, count, samples):
    try:
        group.prepare(names, count)
        measurements = list(group.measurements(names))
        for number in range(-1 if group.has_warm_up else 0, count):
            for measurement in measurements:
                for side in measurement.turns(max(number, 0)):
                    for figure, of, value in side():
                        if number >= 0:  # the round before the first warms up
                            samples.add(number, figure, of, value)
            print(f"# {group.name}: round {number + 1} of {count}", file=sys.stderr, flush=True)
    finally:
        group.close()


def run(options, context, chosen):
    result = {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"), "machine": machine(options.folder, context.is_quick),
              "commit": commit(), "builds": {side: build_of(binary) for side, binary in context.binaries.items()}, "is_quick": context.is_quick,
              "rounds": {}, "left_out": context.left_out, "notes": {}, "figures": []}
    for group, names in chosen.items():
        count = options.rounds or (1 if context.is_quick else group.rounds)
        samples = figures.Samples()
        measure(group, names, count, samples)
        result["rounds"][group.name] = count
        result["notes"].update(group.notes)
        reports = [(figure, samples.report(figure, are_limits_judged(result["machine"], context.is_quick))) for figure in group.figures()]
        result["figures"] += [{**report, "is_in_table": figure.is_in_table} for figure, report in reports if report]
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")  # after each group: a later one may fail
    return result


def show(result, output):
    machine_text = result["machine"]
    print(f"\n{machine_text['processors']}, {machine_text['memory_mib']} MiB, Linux {machine_text['kernel']}, {machine_text['file_system']};"
          f" {result['date']}; {result['builds'][figures.OURS]['version']}, {result['commit']}\n")
    print("\n".join(figures.table([figure for figure in result["figures"] if figure["is_in_table"]])))
    for what, lines in result["notes"].items():
        print(f"\n{what}:", *lines, sep="\n- ")
    if machine_text["busy_before"] > IDLE_BUSY:
        print(f"\nThe processors were {machine_text['busy_before']:.0%} busy with something else before the run:"
              " these figures are provisional, and no limit was judged.")
    for what in result["left_out"]:
        print(f"\nLeft out: {what}")
    print(f"\nAll values: {output}")


def main():
    options = parse(sys.argv[1:])
    context = Context(options)
    chosen = choose(context, options.figure)
    if not chosen:
        raise SystemExit(f"./dev bench all: no figure has {' or '.join(options.figure)} in its name: see --list")
    if options.needs:
        print("lab" if any(group.name == NEEDS_LAB for group in chosen) else "")
        return 0
    if options.list:
        print("\n".join(name for names in chosen.values() for name in names))
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    if file_system(options.folder) in MEMORY_FILE_SYSTEMS:
        raise SystemExit(f"./dev bench all: {options.folder} lies in memory: --folder names one on a disk")
    shutil.rmtree(context.folder, ignore_errors=True)
    try:
        result = run(options, context, chosen)
    except Failure as failure:
        raise SystemExit(f"./dev bench all: {failure}") from None
    finally:
        shutil.rmtree(context.folder, ignore_errors=True)
    show(result, options.output)
    broken = [limit for figure in result["figures"] for limit in figure["limits"] if limit["holds"] is False]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
