"""Who judges planted faults: programs and scenarios of the suites, each by itself, so that only those are asked that come by the place.

A judge is a command that ends with 0 when all is well. In the baseline each runs once without a fault: that tells how long it takes, which
switches it comes by, and which SQL it has prepared.
"""

import hashlib
import json
import os
import resource
import signal
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

STATE_SIZE = 4 + 16384
SECONDS_AT_LEAST = 20
FAULTS_PARTS = 16
DEBIAN_PYTHON = "/usr/bin/python3"
# Suites of scenarios that take words: file, interpreter.
SUITES = {"daemon": ("tests/daemon/suite.py", "python3"), "configuration": ("tests/configuration/suite.py", "python3"),
          "identity": ("tests/identity/suite.py", DEBIAN_PYTHON), "simulate": ("tests/simulate/suite.py", DEBIAN_PYTHON),
          "cli": ("tests/cli/suite.py", "python3"), "metrics": ("tests/metrics/suite.py", "python3")}
LEFT_OUT = ("simulate large", "simulate manual_", "identity openstack_command", "daemon many_connections")  # of others' programs, or long


@dataclass(frozen=True)
class Judge:
    name: str
    command: tuple
    environment: tuple = ()

    def text(self, tree):
        """A digest of what it consists of: a program's bytes; of a suite, all that lies in its folder."""
        files = [Path(word) for word in self.command if Path(word).is_absolute() and Path(word).is_relative_to(tree) and Path(word).is_file()]
        if files and files[0].suffix == ".py":
            files = sorted(path for path in files[0].parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        digest = hashlib.sha256(repr(self).encode())
        for path in files:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


def unit_programs(tree, build):
    asked = subprocess.run(["meson", "introspect", "--tests", str(build)], capture_output=True, text=True, check=True)
    for test in json.loads(asked.stdout):
        if test["name"] == "faults":  # a long one, and a part tells as much of many places
            for number in range(1, FAULTS_PARTS + 1):
                yield Judge(f"faults {number}/{FAULTS_PARTS}", (*test["cmd"], "--jobs", "1", "--part", f"{number}/{FAULTS_PARTS}"))
        elif Path(test["cmd"][0]).is_relative_to(build):
            yield Judge(f"unit {test['name']}" if "unit" in test["suite"][0] else test["name"], tuple(test["cmd"]), tuple(test["env"].items()))
        elif test["cmd"][0].endswith("sh") and test["name"].endswith("_cases"):
            yield Judge(f"checkers {test['name']}", tuple(str(build / word) if word.startswith("tests/") else word for word in test["cmd"]))


def python_itself():
    """The program behind `python3`, which may be a script that looks for it each time."""
    return subprocess.run(["python3", "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=True).stdout.strip()


def scenarios(tree):
    for suite, (path, interpreter) in SUITES.items():
        interpreter = python_itself() if interpreter == "python3" else interpreter
        listed = subprocess.run([interpreter, str(tree / path), "--list"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            if not f"{suite} {name}".startswith(LEFT_OUT):
                yield Judge(f"{suite} {name}", (interpreter, str(tree / path), name))


def judges(tree, build, with_lab=False):
    yield from unit_programs(tree, build)
    yield from scenarios(tree)
    yield Judge("daemon policies", (DEBIAN_PYTHON, str(tree / "tests/daemon/policies.py")))
    yield Judge("replay", (python_itself(), str(tree / "tests/replay/suite.py")))
    if with_lab:
        listed = subprocess.run(["python3", str(tree / "tests/lab/suite.py"), "lab", "--list"], capture_output=True, text=True, check=True)
        for line in listed.stdout.splitlines():
            yield Judge(f"lab {line}", ("python3", str(tree / "tests/lab/suite.py"), "lab", line))


class Bench:
    """Runs judges, with a state file of its own."""

    def __init__(self, folder, tree, build):
        self.folder = folder
        self.tree = tree
        self.build = build
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        self.sql = folder / "sql"
        self.seen = folder / "sql-seen"
        self.switch(0)

    def switch(self, number, sql=None):
        self.state.write_bytes(struct.pack("<i", number) + bytes(STATE_SIZE - 4))
        self.state.chmod(0o666)
        self.sql.unlink(missing_ok=True)
        if sql:
            self.sql.write_bytes(b"".join(text.encode() + b"\0" + changed.encode() + b"\0" for text, changed in sql))
            self.sql.chmod(0o644)

    def reached(self):
        return [number for number, mark in enumerate(self.state.read_bytes()[4:]) if mark]

    def verdict(self, judge, number, sql, seconds):
        """Its status with a fault planted (None: it took longer). One that fails is believed when it does so again, and is well
        without the fault meanwhile: a test that fails now and then on a loaded machine has noticed nothing."""
        status = 0
        for fault in ((number, sql), (0, None), (number, sql)):
            self.switch(*fault)
            status, _, _ = self.run(judge, seconds)
            if (status == 0) == (fault != (0, None)):
                return 0
        return status

    def run(self, judge, seconds, is_baseline=False):
        """Its status (None: it took longer), the seconds, the end of what it wrote."""
        environment = {**os.environ, **dict(judge.environment), "MUTANTS_STATE": str(self.state), "PYTHONDONTWRITEBYTECODE": "1",
                       "ASAN_OPTIONS": "detect_leaks=1:halt_on_error=1:hard_rss_limit_mb=3000:verify_asan_link_order=0",
                       "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", "CMOCKA_MESSAGE_OUTPUT": "tap"}
        if self.sql.exists():
            environment["MUTANTS_SQL"] = str(self.sql)
        if is_baseline:
            self.seen.unlink(missing_ok=True)
            environment["MUTANTS_SQL_SEEN"] = str(self.seen)
        began = time.monotonic()
        with open(self.folder / "output", "w+b") as output:
            process = subprocess.Popen(judge.command, cwd=self.tree, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True,
                                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                self.end_group(process)
            output.seek(0, os.SEEK_END)
            output.seek(max(0, output.tell() - 4000))
            words = output.read().decode("utf-8", "replace")
        return status, time.monotonic() - began, words

    @staticmethod
    def end_group(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def texts_seen(self):
        if not self.seen.exists():
            return []
        return sorted({text.decode("utf-8", "replace") for text in self.seen.read_bytes().split(b"\0") if text.strip()})
