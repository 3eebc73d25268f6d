"""Every fault at points of every kind of job's life, on real libvirt and QEMU: lab.py [--all] [--share N/OF] [--labs N]
[--again] [--seconds N] [WORD...]

The points come from the tables of phases (`faults_daemon points`), each before and after its durable write, and in the two
long steps. Labs stand side by side, each a process of its own (--worker) that is given one combination after another. With
--all every combination is tried that build/faults-lab/results.jsonl has no good end for, until all are done or the seconds have
passed; --again tries those, too. Without it a fixed choice: each fault, each kind and each phase at least once. WORDs choose by
name. It speaks TAP, a point for each kind of job and for each fault that was tried.
"""

import argparse
import collections
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE)
sys.path.insert(0, str(HERE.parent / "lab"))  # before this folder, which has a lab.py, too

from lab_faults import FAULTS, CannotBe  # noqa: E402
from lab_lies import LIES, Lies  # noqa: E402
from lab_scene import BINARY, FOLDER, Scene  # noqa: E402
from daemon_process import wrong_ends  # noqa: E402
from lab_trial import MIDWAY, Bad, Combination, Point, Trial, may_be  # noqa: E402
from bench import LOGS  # noqa: E402

RESULTS = FOLDER / "results.jsonl"
LABS = 4
VERDICTS = ("good", "lost", "doubled", "without an end", "leak", "wrong", "could not be", "broken lab")
BAD = VERDICTS[1:6] + VERDICTS[7:]
CHOICES = 6  # of the fixed choice: so many candidates for each place, should one not be possible


# What there is to try.
def points():
    lines = subprocess.run([str(BINARY), "points"], capture_output=True, text=True, check=True).stdout.splitlines()
    for line in lines:
        kind, phase, moment = line.split()
        yield Point(kind, phase, moment)
        if moment == "after" and (kind, phase) in MIDWAY:
            yield Point(kind, phase, "in")


def fits(point, disk, fault):
    return (not fault.kinds or point.kind in fault.kinds) and not ("private" in fault.needs and disk != "private") \
        and not ("held" in fault.needs and point.moment == "in") and not (disk == "shared" and point.kind != "live") and may_be(point, fault)


def combinations():
    return [Combination(point, disk, fault) for point in points() for disk in ("private", "shared") for fault in FAULTS
            if fits(point, disk, fault)]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


# What this machine lets us do.
def refusal(*words):
    """Why it is refused; None when it is not."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def refusals():
    return {
        "mounts": refusal("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"),
        "networks": refusal("unshare", "--net", "sh", "-c", "ip link add name b0 type bridge && ip link add v0 type veth"),
    }


# A lab, in a process of its own.
class Worker:
    """Reads a combination's name on each line, and answers its result as a line."""

    def __init__(self, refused):
        self.refused = refused
        self.scene = Scene(has_networks=not refused["networks"], has_mounts=not refused["mounts"])
        self.by_name = {combination.name: combination for combination in [LIES, *combinations()]}

    def why_not(self, fault):
        reasons = [f"{word} are refused: {self.refused[word]}" for word in ("mounts", "networks")
                   if word in fault.needs and self.refused[word]]
        return reasons[0] if reasons else None

    def try_one(self, combination):
        reason = self.why_not(combination.fault)
        if reason:
            return "could not be", reason, None
        try:
            self.scene.ready()
            verdict, why, settled = self.verdict_of(Lies(self.scene) if combination is LIES else Trial(self.scene, combination))
            ends = wrong_ends()
            if ends and verdict == "good":
                verdict, why = "wrong", ends[0]
            if verdict in ("good", "could not be"):
                self.scene.make_well()
                self.scene.reset()
            else:
                self.keep(combination.name)
            return verdict, why, settled
        except Exception:
            why = traceback.format_exc()
            self.keep(combination.name)
            return "broken lab", why, None

    @staticmethod
    def verdict_of(trial):
        try:
            return "good", "", trial.run()
        except CannotBe as error:
            return "could not be", str(error), None
        except Bad as error:
            return error.kind, str(error), None

    def keep(self, name):
        """The logs; and the next one begins with everything new."""
        folder = LOGS / f"faults-{''.join(letter if letter.isalnum() else '-' for letter in name)}"
        try:
            self.scene.keep_logs(folder)
        finally:
            self.scene.down()

    def run(self):
        try:
            for line in sys.stdin:
                combination = self.by_name[line.rstrip("\n")]
                began = time.monotonic()
                verdict, why, settled = self.try_one(combination)
                result = {"name": combination.name, "verdict": verdict, "why": why, "seconds": round(time.monotonic() - began, 1),
                          "settled": settled and round(settled, 1)}
                print(json.dumps(result), flush=True)
        finally:
            self.scene.down()


def be_worker():
    """In namespaces of its own, where that is allowed: what is made there ends with the process."""
    refused = json.loads(os.environ["FAULTS_REFUSED"])
    if not os.environ.get("FAULTS_INSIDE"):
        os.environ["FAULTS_INSIDE"] = "1"
        spaces = [option for word, option in (("mounts", "--mount"), ("networks", "--net")) if not refused[word]]
        if spaces:
            os.execvp("unshare", ["unshare", *spaces, sys.executable, *sys.argv])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    Worker(refused).run()


# The run.
class Run:
    """Takes combinations from a list until it is empty or the time is over, with labs side by side."""

    def __init__(self, todo, labs, deadline, refused):
        self.todo = collections.deque(todo)  # lists of candidates: the first that can be counts for its place
        self.labs = labs
        self.deadline = deadline
        self.environment = {**os.environ, "FAULTS_REFUSED": json.dumps(refused)}
        self.results = []
        self.lock = threading.Lock()
        self.processes = []
        self.is_ending = False

    def next_candidates(self):
        with self.lock:
            return self.todo.popleft() if self.todo and time.monotonic() < self.deadline else None

    def take(self, result):
        with self.lock:
            self.results.append(result)
            with open(RESULTS, "a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            told = f": {result['why'].strip().splitlines()[-1]}" if result["why"] else ""
            print(f"# {result['verdict']}, {result['seconds']} s: {result['name']}{told}", flush=True)

    @staticmethod
    def ask(process, name):
        """Its result; None where the process has ended instead."""
        try:
            process.stdin.write(name + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        line = process.stdout.readline()
        return json.loads(line) if line else None

    def work(self):
        process = subprocess.Popen([sys.executable, str(HERE / "lab.py"), "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env=self.environment)
        self.processes.append(process)
        try:
            while (candidates := self.next_candidates()):
                for name in candidates:
                    result = self.ask(process, name)
                    if self.is_ending:
                        return
                    self.take(result or {"name": name, "verdict": "broken lab", "why": "its process ended", "seconds": 0, "settled": None})
                    if not result:
                        return
                    if result["verdict"] != "could not be":
                        break
        finally:
            process.communicate()  # it ends with its input

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(self.labs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def end(self, *_):
        self.is_ending = True
        for process in self.processes:
            process.terminate()
        sys.exit(1)


def phase_of(combination):
    return f"{combination.point.kind} {combination.point.phase}"


def choice(everything):
    """For each fault, and each phase that is left, a list of candidates, the same at each run; first those in a phase that none
    of the others is in."""
    by_fault, by_phase = collections.defaultdict(list), collections.defaultdict(list)
    for combination in everything:
        by_fault[combination.fault.name].append(combination)
        by_phase[phase_of(combination)].append(combination)
    chosen, phases = [], set()
    for group in sorted(by_fault.values(), key=len):  # those with few places first
        candidates = sorted(group, key=lambda combination: (phase_of(combination) in phases, digest(combination.name)))
        phases.add(phase_of(candidates[0]))
        chosen.append([combination.name for combination in candidates[:CHOICES]])
    for phase in by_phase.keys() - phases:
        candidates = sorted(by_phase[phase], key=lambda combination: digest(combination.name))
        chosen.append([combination.name for combination in candidates[:CHOICES]])
    return sorted(chosen)


def earlier_results():
    try:
        lines = RESULTS.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    results = {result["name"]: result for result in map(json.loads, lines)}
    return {name: result for name, result in results.items() if result["verdict"] not in BAD}


def unmet(results, by_name):
    """Phases to which no combination came."""
    met = {phase_of(by_name[result["name"]]) for result in results if result["name"] in by_name and result["verdict"] != "could not be"}
    return sorted({phase_of(combination) for combination in by_name.values()} - met)


def report(results, everything, is_whole, left):
    """TAP points, then the counts."""
    by_name = {combination.name: combination for combination in everything}
    groups = collections.defaultdict(list)
    for result in results:
        combination = by_name.get(result["name"])
        if result["name"] == LIES.name:
            groups["a verdict notices what is wrong"].append(result)
        elif combination:
            groups[f"{combination.point.kind}, whatever happens"].append(result)
            groups[f"{combination.fault.name}, whenever it happens"].append(result)
    number = failed = 0
    for name, group in sorted(groups.items()):
        bad = [result for result in group if result["verdict"] in BAD]
        could_be = [result for result in group if result["verdict"] != "could not be"]
        number += 1
        failed += bool(bad)
        if not could_be:
            print(f"# {name}: none of {len(group)} could be: {group[-1]['why']}")
        for result in bad:
            print(f"# {result['verdict']}: {result['name']}: {result['why']}")
        print(f"{'not ok' if bad else 'ok'} {number} - {name}: {len(could_be)} combinations", flush=True)
    if is_whole and not left:
        number += 1
        phases = unmet(results, by_name)
        failed += bool(phases)
        print(f"{'not ok' if phases else 'ok'} {number} - every phase of every kind of job is come to {', but for: ' if phases else ''}"
              f"{', '.join(phases)}".rstrip())
    counts = collections.Counter(result["verdict"] for result in results)
    seconds = sum(result["seconds"] for result in results)
    settled = max((result["settled"] or 0 for result in results), default=0)
    is_good = bool(results) and not any(counts[verdict] for verdict in BAD)
    print(f"{'ok' if is_good else 'not ok'} {number + 1} - on real hosts {len(results)} combinations: "
          + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS) + f"; {left} left")
    print(f"1..{number + 1}")
    print(f"# {seconds / max(len(results), 1):.1f} s for each in its lab; the last was final {settled:.1f} s after all was well")
    return 1 if failed or not results else 0


def arguments():
    parser = argparse.ArgumentParser(description="faults on real hosts")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--share", default="1/1")
    parser.add_argument("--labs", type=int, default=LABS)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("words", nargs="*")
    return parser.parse_args()


def main():
    if "--worker" in sys.argv:
        return be_worker()
    options = arguments()
    everything = combinations()
    part, parts = map(int, options.share.split("/"))
    named = [combination for combination in everything if all(word in combination.name for word in options.words)][part - 1::parts]
    if options.list:
        print("\n".join(combination.name for combination in named))
        return 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = earlier_results() if options.all and not options.again else {}
    if options.all or options.words:
        todo = [[combination.name] for combination in sorted(named, key=lambda combination: digest(combination.name))
                if combination.name not in known]
    else:
        todo = [[LIES.name], *choice(everything)][part - 1::parts]
    began = time.monotonic()
    run = Run(todo, options.labs, began + options.seconds, refusals())
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, run.end)
    run.run()
    names = {combination.name for combination in named}
    results = [result for name, result in known.items() if name in names] + run.results
    status = report(results, everything, not options.words and options.share == "1/1", len(run.todo))
    print(f"# {time.monotonic() - began:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
