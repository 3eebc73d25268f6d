"""`./dev mutants [MODULE...]`: plants small faults in the product, one at a time, and tells which of them no test notices.

All that are chosen stand in one build, behind switches (sites.py; SQL is changed when it is prepared, sql.py). They are chosen by a
fixed seed over all C files and SQL, so that the same seed gives the same faults. Each fault is judged only by programs and scenarios
that come by its place, the cheapest first, until one fails (judges.py). What is known is kept in build/mutants, and a run goes on
where the last one ended; what no test noticed is judged once more by tests that are new or have changed. equivalent.txt names those
that change nothing anybody could see, each with its reason.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import queue
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path[:0] = [str(HERE)]

import sites  # noqa: E402
import sql  # noqa: E402
from judges import SECONDS_AT_LEAST, Bench, judges  # noqa: E402

WITH_LAB = "--lab" in sys.argv[1:]
DRIVER = "server/worker/libvirt"  # judged by the lab alone: nothing else comes by
FOLDER = TOP / ("build/mutants-lab" if WITH_LAB else "build/mutants")
TREE = FOLDER / "tree"
BUILD = TREE / "build"
RESULTS = FOLDER / "results.jsonl"
BASELINE = FOLDER / "baseline.json"
EQUIVALENT = HERE / "equivalent.txt"
SHARE_OF_SQL = 0.12
CODE = ("api", "base", "db", "server")
MODULES = (DRIVER, "server/worker/simulated", "server/worker", "server/scheduler", "server/identity", "server/cli", "server", "api/auth",
           "api", "db", "base")
AT_LEAST = {"api": 95, "api/auth": 95, "db": 95, "server/scheduler": 95, "server/identity": 95, "server/worker": 95}  # the others: 88


def module_of(path):
    return next(module for module in MODULES if path.startswith(module + "/"))


def digest(*words):
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()


# What there is to plant.
def commands():
    """The compiler's arguments of each C file of the product, as libclang takes them."""
    found = {}
    for entry in json.loads((TOP / "build/compile_commands.json").read_text(encoding="utf-8")):
        path = (Path(entry["directory"]) / entry["file"]).resolve()
        if not path.is_relative_to(TOP) or path.relative_to(TOP).parts[0] not in CODE:
            continue
        words = shlex.split(entry["command"])
        kept = [word for word in words if word.startswith(("-D", "-U", "-std"))]
        kept += [f"-I{(Path(entry['directory']) / word[2:]).resolve()}" for word in words if word.startswith("-I")]
        found[path] = kept
    return found


def read_sources(modules):
    builtin = subprocess.run(["clang", "-print-resource-dir"], capture_output=True, text=True, check=False).stdout.strip() or "/usr/lib/llvm-14/lib/clang/14.0.6"
    sources = []
    for path, arguments in sorted(commands().items()):
        relative = str(path.relative_to(TOP))
        if any(relative.startswith(f"{module}/") for module in modules) or (not modules and not relative.startswith(f"{DRIVER}/")):
            source = sites.Source(path, relative, [*arguments, f"-I{builtin}/include"])
            source.find()
            sources.append(source)
    return sources


def chosen_sites(sources, seed, count):
    by_path = {source.relative: source for source in sources}
    every = [site for source in sources for site in source.sites]
    every.sort(key=lambda site: digest(seed, site.name))
    chosen = []
    for site in every:
        if len(chosen) == count:
            break
        if not site.is_macro or is_compiled(by_path[site.path], site):
            chosen.append(site)
    return chosen


def planted(source, numbered):
    head = "#define MUTANTS_OF_SQL\n" if source.relative.startswith("db/") else ""
    return head + sites.HEAD.format(header=HERE / "mutants.h", path=source.relative) + sites.plant(source, numbered)


def is_compiled(source, site):
    """The compiler takes the file with this one alone."""
    entry = next(entry for entry in json.loads((TOP / "build/compile_commands.json").read_text(encoding="utf-8"))
                 if (Path(entry["directory"]) / entry["file"]).resolve() == source.path)
    words = [word for word in shlex.split(entry["command"]) if not word.startswith(("-W", "-M"))]
    words = words[:words.index("-o")] + ["-fsyntax-only", "-w", "-x", "c", "-"]
    words = [word for word in words if word != entry["file"]]
    return subprocess.run(words, cwd=entry["directory"], input=planted(source, {1: site}).encode(), capture_output=True, check=False).returncode == 0


# The build that has all of them.
def plant(sources, numbered):
    TREE.mkdir(parents=True, exist_ok=True)
    tracked = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, capture_output=True, check=True).stdout.decode().split("\0")
    names = [name for name in tracked if name and (TOP / name).is_file()]
    by_path = collections.defaultdict(dict)
    for number, site in numbered.items():
        by_path[site.path][number] = site
    texts = {source.relative: planted(source, by_path[source.relative]) for source in sources
             if source.relative in by_path or source.relative.startswith("db/")}
    for name in names:
        text = texts[name].encode() if name in texts else (TOP / name).read_bytes()
        place = TREE / name
        if place.exists() and place.read_bytes() == text:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text)
        shutil.copymode(TOP / name, place)
    for old in TREE.rglob("*"):
        if old.is_file() and not old.is_relative_to(BUILD) and str(old.relative_to(TREE)) not in set(names) and ".git" not in old.parts:
            old.unlink()


def build():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", "-Dwerror=false", "-Dwarning_level=0", "-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                        str(BUILD), str(TREE)], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["ninja", "-k", "0", "-C", str(BUILD)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the build with all faults in it failed:\n{done.stdout[-60000:]}")
    # A build under sanitisers makes no pages and completions; suites look for them.
    for place, words in (("migrationd.8", ("manual", "8")), ("migrationd.yaml.5", ("manual", "5")), ("migrationd", ("completion", "bash")),
                         ("_migrationd", ("completion", "zsh"))):
        made = subprocess.run([str(BUILD / "migrationd"), *words], capture_output=True, check=True)
        (BUILD / "docs" / place).write_bytes(made.stdout)


# The run without a fault.
def baseline(asked, workers):
    """For each judge its seconds, the switches it comes by, the SQL it prepares."""
    known = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    todo = queue.Queue()
    for judge in asked:
        if known.get(judge.name, {}).get("text") != judge.text(TREE) or known[judge.name]["status"] != 0:
            todo.put(judge)
    lock = threading.Lock()

    def work(number):
        bench = Bench(FOLDER / f"bench-{number}", TREE, BUILD)
        while True:
            try:
                judge = todo.get_nowait()
            except queue.Empty:
                return
            bench.switch(0)
            status, seconds, words = bench.run(judge, 600, is_baseline=True)
            with lock:
                known[judge.name] = {"status": status, "text": judge.text(TREE), "seconds": seconds, "reached": bench.reached(), "sql": bench.texts_seen()}
                print(f"# baseline: {judge.name}: {'well' if status == 0 else f'status {status}'}, {seconds:.1f} s", flush=True)
                if status != 0:
                    print("".join(f"#   {line}\n" for line in words.splitlines()[-15:]), flush=True)
                BASELINE.write_text(json.dumps(known), encoding="utf-8")
    side_by_side(work, workers)
    return known


def side_by_side(work, workers):
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        for running in [threads.submit(work, number) for number in range(workers)]:
            running.result()


# Faults of SQL.
class SqlFault:
    def __init__(self, operator, what, pairs, ordinal, place):
        """The same change of several texts, as pairs of a text and the changed one."""
        self.sql = sorted(pairs)
        self.operator = operator
        first = self.sql[0]
        self.path = "db/schema.sql" if "CREATE TABLE" in first[0] else "db/(statements)"
        self.what = what
        self.name = f"{self.path}:{operator}:{digest(*(first if len(self.sql) == 1 else place))[:12]}:{ordinal if len(self.sql) == 1 else 0}"

    def __str__(self):
        others = f" and {len(self.sql) - 1} more" if len(self.sql) > 1 else ""
        return f"SQL: {' '.join(self.what.split())} in: {' '.join(self.sql[0][0].split())[:160]}{others}"


def in_one_line(text):
    """Without comments, with a mark for each number, and for what a format puts in."""
    return re.sub(r"%\w+|\d+", "#", " ".join(re.sub(r"--[^\n]*", "", text).split()))


def texts_in(folders):
    """What the sources there say, in one line."""
    words = "".join(path.read_text(encoding="utf-8") for folder in folders for path in sorted((TOP / folder).rglob("*.*"))
                    if path.suffix in (".c", ".h", ".sql"))
    words = re.sub(r'"\s*PRI\w+\s*"', "d", words)
    return in_one_line(re.sub(r'"\s*"', "", words).replace('\\"', '"').replace("\\n", " "))


def sql_of_product(known):
    """What was prepared, but for what the tests' own sources say, or alone begin like that."""
    tests, product = texts_in(["tests"]), texts_in(CODE)

    def is_of_tests(text):
        line = in_one_line(text)
        return line in tests or line[:25] in tests and line[:25] not in product
    return sorted({text for entry in known.values() for text in entry["sql"] if not is_of_tests(text)})


def sql_faults(known, seed, count):
    texts = sql_of_product(known)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for text in texts:
        if "CREATE TABLE" in text:
            try:
                connection.executescript(text)
            except sqlite3.Error:
                pass
    places = {}
    for text in texts:
        for ordinal, (operator, what, changed) in enumerate(sql.changes(text)):
            key = (operator, *sql.place(text, changed))
            places.setdefault(key, (what, {}, ordinal))[1][text] = changed
    found = [SqlFault(key[0], what, pairs.items(), ordinal, key) for key, (what, pairs, ordinal) in places.items()]
    found.sort(key=lambda fault: digest(seed, fault.name))
    chosen = []
    for fault in found:
        if len(chosen) == count:
            break
        if all(sql.is_accepted(connection, changed) for _, changed in fault.sql):
            chosen.append(fault)
    return chosen


# The judging.
def order_of(fault, number, known, by_name):
    """The judges that come by: programs of units, then the others, the cheapest first."""
    def comes_by(entry):
        return any(text in entry["sql"] for text, _ in fault.sql) if number < 0 else number in entry["reached"]
    names = [name for name, entry in known.items() if name in by_name and entry["status"] == 0 and comes_by(entry)]
    return sorted(names, key=lambda name: (not name.startswith(("unit", "checkers")), known[name]["seconds"]))


def judge_all(faults, known, by_name, workers, deadline, most):
    done = read_results()
    todo = queue.Queue()
    equivalent = read_equivalent()
    # What is not known comes first, and last what is believed to change nothing.
    for number, fault in sorted(faults, key=lambda item: (item[1].name in equivalent, item[1].name in done)):
        before = done.get(fault.name, {"by": None, "well": {}})
        names = [name for name in order_of(fault, number, known, by_name) if before["well"].get(name) != known[name]["text"]]
        if not before["by"] and (names or fault.name not in done):
            todo.put((number, fault, names, before["well"]))
    lock = threading.Lock()
    noticed = collections.Counter((result["name"].split(":")[0], result["by"]) for result in done.values() if result["by"])

    def work(index):
        bench = Bench(FOLDER / f"bench-{index}", TREE, BUILD)
        while time.monotonic() < deadline:
            try:
                number, fault, names, well = todo.get_nowait()
            except queue.Empty:
                return
            names.sort(key=lambda name: -noticed[fault.path, name])  # who noticed others of this file comes first
            result = judge_one(bench, number, fault, names, well, known, by_name, most)
            with lock:
                noticed[fault.path, result["by"]] += 1
                with open(RESULTS, "a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
                print(f"# {'noticed by ' + result['by'] if result['by'] else 'NOT NOTICED'}, {result['seconds']:.1f} s, {result['asked']} asked: {fault}", flush=True)
    side_by_side(work, workers)
    return todo.qsize()


def judge_one(bench, number, fault, names, well, known, by_name, most):
    """Asks these judges, which take no longer than `most` seconds together, until one notices it. `well` are the texts of those, by
    name, that did not."""
    began = time.monotonic()
    result = {"name": fault.name, "by": None, "status": 0, "well": dict(well), "what": str(fault)}
    for name in names:
        most -= known[name]["seconds"]
        if most < 0:
            break
        result["status"] = bench.verdict(by_name[name], max(number, 0), getattr(fault, "sql", None), max(SECONDS_AT_LEAST, 4 * known[name]["seconds"]))
        if result["status"] != 0:
            result["by"] = name
            break
        result["well"][name] = known[name]["text"]
    return {**result, "asked": len(result["well"]) + bool(result["by"]), "seconds": time.monotonic() - began}


def read_results():
    if not RESULTS.exists():
        return {}
    return {result["name"]: result for result in map(json.loads, RESULTS.read_text(encoding="utf-8").splitlines())}


def read_equivalent():
    """The reason by each fault's name. A reason heads the indented names below it."""
    known, reason = {}, None
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines() if EQUIVALENT.exists() else ():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            known[line.strip()] = reason
        else:
            reason = line.strip()
    return known


def report(faults, left):
    results, equivalent = read_results(), read_equivalent()
    rows = collections.defaultdict(collections.Counter)
    survivors = []
    for _, fault in faults:
        if fault.name not in results:
            continue
        row = rows[module_of(fault.path)]
        row["planted"] += 1
        if results[fault.name]["by"]:
            row["noticed"] += 1
        elif fault.name in equivalent:
            row["equivalent"] += 1
        else:
            survivors.append(fault)
    print("\nnot noticed:")
    for fault in sorted(survivors, key=lambda fault: fault.path):
        print(f"  {fault.name}\n      {fault}{'' if results[fault.name]['asked'] else ' (no test comes by)'}")
    print(f"\n{'module':26} planted  equivalent  noticed  of those not equivalent  at least")
    total = collections.Counter()
    is_met = True
    for module, row in sorted(rows.items()):
        is_met &= print_row(module, row, AT_LEAST.get(module, 88))
        total += row
    print_row("all", total, 0)
    print(f"{left} left to judge")
    return 0 if is_met and not left else 1


def print_row(module, row, at_least):
    judged = row["planted"] - row["equivalent"]
    rate = 100 * row["noticed"] / judged if judged else 100
    print(f"{module:26} {row['planted']:7}  {row['equivalent']:10}  {row['noticed']:7}  {rate:22.1f} %  {at_least:6} %")
    return rate >= at_least


def arguments():
    listed = "\n".join(f"  {name:15} {what}" for name, what in {**sites.OPERATORS, **sql.OPERATORS}.items())
    parser = argparse.ArgumentParser(prog="./dev mutants", description="Plants small faults, one at a time, and tells which no test notices.",
                                     epilog=f"operators:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="folders of the product, such as api/auth; none: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="how many in all (2000; 60 with --lab)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after these; the next run goes on")
    parser.add_argument("--most", type=float, default=float("inf"), metavar="SECONDS",
                        help="of tests for each fault; a run without it asks the others")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lab", action="store_true", help="let scenarios of the lab judge, too: without MODULE sixty faults of the libvirt driver")
    parser.add_argument("--list", action="store_true", help="name the chosen ones of C and end")
    options = parser.parse_args()
    options.count = options.count or (60 if options.lab else 2000)
    options.modules = options.modules or ([DRIVER] if options.lab else [])
    return options


def main():
    options = arguments()
    deadline = time.monotonic() + options.seconds
    sources = read_sources(options.modules)
    is_sql_in = not options.modules or "db" in options.modules
    count_of_sql = round(options.count * SHARE_OF_SQL) if is_sql_in else 0
    chosen = chosen_sites(sources, options.seed, options.count - count_of_sql)
    print(f"# {sum(len(source.sites) for source in sources)} places in {len(sources)} C files; {len(chosen)} chosen", flush=True)
    if options.list:
        for site in chosen:
            print(f"{site.name}\n    {site}")
        return 0
    numbered = dict(enumerate(chosen, 1))
    key = digest(options.seed, *[site.name for site in chosen])
    FOLDER.mkdir(parents=True, exist_ok=True)
    plant(sources, numbered)
    build()
    stamp = FOLDER / "chosen"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != key:
        BASELINE.unlink(missing_ok=True)  # the numbers mean other places now
        stamp.write_text(key, encoding="utf-8")
    asked = list(judges(TREE, BUILD, options.lab))
    by_name = {judge.name: judge for judge in asked}
    known = baseline(asked, options.workers)
    faults = [*numbered.items(), *[(-1, fault) for fault in sql_faults(known, options.seed, count_of_sql)]]
    left = judge_all(faults, known, by_name, options.workers, deadline, options.most)
    return report(faults, left)


if __name__ == "__main__":
    sys.exit(main())
