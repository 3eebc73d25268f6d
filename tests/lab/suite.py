"""Runs the scenarios on real libvirt hosts, and reports them in TAP: suite.py lab|network|clients [--share=N/OF] [--both-ways] [--list] [WORD...]

A scenario is a function in a test_*.py file, here or for OpenStack's own clients in tests/clients, marked with @scenario and a sentence that says what holds. It gets a bench: a
lab that is up and a migrationd that runs on it. Further words choose the scenarios whose sentence or file has one of them;
a share is every OFth of them, so that several runs side by side do them all. With --both-ways only those are run that are to hold
with KVM and under emulation (LAB_NO_KVM=1). With --list the sentences are told, and nothing is run.
"""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from bench import SCENARIOS, Bench
from daemon_process import BadEnd, wrong_ends  # which bench knows where to find
from tap import line_of

HERE = Path(__file__).resolve().parent
FOLDERS = {"clients": HERE.parent / "clients"}  # of scenarios that do not lie here
LOGS = HERE.parents[1] / "build" / "test-logs"


def networks_refused():
    """Why this machine does not let us make networks; None when it does."""
    if os.environ.get("LAB_OWN_NETWORK"):
        return None
    done = subprocess.run(["unshare", "--net", "sh", "-c", "ip link add name b0 type bridge && ip link add v0 type veth"],
                          capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def chosen(suite, words):
    folder = FOLDERS.get(suite, HERE)
    if folder != HERE:
        sys.path.append(str(folder))
    for path in sorted(folder.glob("test_*.py")):
        importlib.import_module(path.stem)
    for test in SCENARIOS:
        if test.suite == suite and (not words or any(word in f"{test.file} {test.sentence}" for word in words)):
            yield test


def run_one(bench, test, settings_of_next):
    """True when what the scenario says holds, and its daemon ended only as it was told to; else the reason and the daemon's last
    words are shown and kept. A daemon that the next scenario has no use for (settings of None: there is none) ends here, well."""
    began = time.monotonic()
    try:
        bench.prepare(test.settings)
        test.function(bench)
        bench.clear()
        if test.settings != settings_of_next:
            bench.end_daemon()
        for fault in wrong_ends():
            raise BadEnd(fault)
    except Exception:
        name = "".join(letter if letter.isalnum() else "-" for letter in test.sentence)[:80]
        folder = LOGS / f"{test.file}-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        bench.keep_logs(folder)
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        for line in bench.last_words():
            print(f"# | {line}")
        print(f"# logs are kept in {folder}", flush=True)
        bench.down()  # the next one starts with everything new
        return False
    finally:
        print(f"# {time.monotonic() - began:.1f} s", flush=True)
    return True


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    suite, *words = sys.argv[1:] or ["lab"]
    number, parts = 1, 1
    if words and words[0].startswith("--share="):
        number, parts = map(int, words.pop(0).removeprefix("--share=").split("/"))
    is_both_ways = "--both-ways" in words
    is_list = "--list" in words
    words = [word for word in words if word not in ("--both-ways", "--list")]
    tests = [test for test in chosen(suite, words) if test.both_ways or not is_both_ways][number - 1::parts]
    if is_list:
        print("\n".join(test.sentence for test in tests))
        return 0
    if words and parts == 1 and not tests:  # nothing that ran is nothing that passed
        print(f"no scenario of {suite} has one of: {' '.join(words)}", file=sys.stderr)
        return 64
    if suite == "network":
        reason = networks_refused()
        if reason:
            print(f"1..1\nok 1 - hosts whose networks can be cut # SKIP network namespaces are refused: {reason}")
            return 0
        if not os.environ.get("LAB_OWN_NETWORK"):  # all devices are made in a namespace that ends with this process
            os.environ["LAB_OWN_NETWORK"] = "1"
            os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    bench = Bench(has_networks=suite == "network")
    reasons = [test.refused() for test in tests]
    try:
        for number, (test, reason) in enumerate(zip(tests, reasons), 1):
            if reason:
                print(f"{line_of(True, number, test.sentence)} # SKIP {reason}", flush=True)
                continue
            following = [other.settings for other, refused in zip(tests[number:], reasons[number:]) if not refused]
            is_good = run_one(bench, test, following[0] if following else None)
            failed += not is_good
            print(line_of(is_good, number, test.sentence), flush=True)
    finally:
        bench.down()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
