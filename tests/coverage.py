"""What the suites reach of the code: coverage.py [SUITE...]. Called by `./dev coverage`.

Builds with gcc's counters in build/coverage, runs suites by meson there, and reads by gcov what was run: lines and branches of each
module, and the largest functions that nothing ever called. A daemon writes its counts when it ends well: one that a suite ends by
kill -9 tells nothing.
"""

import collections
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
BUILD = TOP / "build" / "coverage"
# Without optimisation, so that a line stands for itself.
OPTIONS = ("-Db_coverage=true", "-Dbuildtype=debug")
SUITES = ("unit", "checkers", "daemon", "replay", "identity", "cli", "simulate", "faults", "configuration")
MODULES = ("api", "base", "db", "server")  # top-level folders; tests and what is generated are no modules
SHOWN_FUNCTIONS = 30


class Function:
    def __init__(self, name, path, line):
        self.name, self.path, self.line = name, path, line
        self.calls = 0
        self.lines = set()  # those with code


class Counts:
    """All objects' counts together: a source may be in more than one."""

    def __init__(self):
        self.lines = collections.defaultdict(collections.Counter)  # of a file: line → how often
        self.branches = collections.defaultdict(collections.Counter)  # of a file: (line, number) → how often
        self.functions = {}  # by file and name

    def add(self, document):
        for file in document["files"]:
            path = module_path(Path(document["current_working_directory"]), file["file"])
            if path:
                self.add_file(path, file)

    def add_file(self, path, file):
        for row in file["functions"]:
            function = self.functions.setdefault((path, row["name"]), Function(row["name"], path, row["start_line"]))
            function.calls += row["execution_count"]
        for row in file["lines"]:
            self.lines[path][row["line_number"]] += row["count"]
            if (path, row.get("function_name")) in self.functions:
                self.functions[path, row["function_name"]].lines.add(row["line_number"])
            for number, branch in enumerate(row["branches"]):
                self.branches[path][row["line_number"], number] += branch["count"]


def module_path(folder, name):
    """Of a source, from the top; None for what is none of ours."""
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(TOP) or path.is_relative_to(TOP / "build"):
        return None
    path = path.relative_to(TOP)
    return path if path.parts[0] in MODULES else None


def read_counts():
    """By gcov, for each object that was compiled, also those of which nothing ran."""
    objects = sorted(BUILD.rglob("*.gcno"))

    def read(path):
        done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", str(path)], cwd=BUILD, capture_output=True,
                              text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    counts = Counts()
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for documents in threads.map(read, objects):
            for document in documents:
                counts.add(document)
    return counts


def share(reached, all_of_them):
    return f"{100 * reached / all_of_them:5.1f} % of {all_of_them:<6}" if all_of_them else " none         "


def report(counts):
    rows = collections.defaultdict(lambda: [0, 0, 0, 0])
    for table, place in ((counts.lines, 0), (counts.branches, 2)):
        for path, found in table.items():
            for module in (str(path.parent), "all of it"):
                rows[module][place] += sum(count > 0 for count in found.values())
                rows[module][place + 1] += len(found)
    print(f"{'module':28} {'lines':>16} {'branches':>18}")
    for module in sorted(rows, key=lambda name: (name == "all of it", name)):
        lines, all_lines, branches, all_branches = rows[module]
        print(f"{module:28} {share(lines, all_lines)}   {share(branches, all_branches)}".rstrip())
    never = sorted((function for function in counts.functions.values() if not function.calls),
                   key=lambda function: (-len(function.lines), str(function.path), function.line))
    print(f"\n{len(never)} of {len(counts.functions)} functions are never called; the largest, by their lines of code:")
    for function in never[:SHOWN_FUNCTIONS]:
        print(f"{len(function.lines):5}  {function.path}:{function.line}: {function.name}")


def known_suites():
    asked = subprocess.run(["meson", "introspect", "--tests", str(BUILD)], capture_output=True, text=True, check=True)
    return {suite.split(":")[-1] for test in json.loads(asked.stdout) for suite in test["suite"]}


def main():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", *OPTIONS, str(BUILD), str(TOP)], check=True, stdout=subprocess.DEVNULL)
    built = subprocess.run(["ninja", "-C", str(BUILD)], capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise SystemExit(f"{built.stdout[-8000:]}\n{BUILD}: the build failed")
    suites = sys.argv[1:] or list(SUITES)
    unknown = sorted(set(suites) - known_suites())
    if unknown:
        raise SystemExit(f"no suite {' '.join(unknown)}; there are: {' '.join(sorted(known_suites()))}")
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    chosen = [word for suite in suites for word in ("--suite", suite)]
    done = subprocess.run(["meson", "test", "-C", str(BUILD), "--no-rebuild", "--timeout-multiplier", "5", *chosen], check=False)
    print()
    report(read_counts())
    if done.returncode != 0:
        print("\nNot all tests passed: what they did not come to counts as not reached.")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
