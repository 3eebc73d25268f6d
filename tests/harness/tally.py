"""Runs suites, shows their points under one running number, and counts them."""

import collections
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tap import OF_TEXTS, Reader

TOP = Path(__file__).resolve().parents[2]
LOGS = TOP / "build" / "test-logs"
SECONDS_OF_A_SUITE = 30 * 60
SECONDS_TO_END = 60  # after SIGTERM: a lab is taken down in that time
SECONDS_OF_OUTPUT = 10  # that a suite's output may outlive it
SHOWN_LINES = 60


class Run:
    """A suite's command while it runs, in a process group of its own."""

    def __init__(self, command, log_path, environment):
        self.lock = threading.Lock()
        self.other = collections.deque(maxlen=SHOWN_LINES)  # what it wrote beside points, since the last one
        self.log = open(log_path, "w", encoding="utf-8")
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [str(word) for word in command], cwd=TOP, env={**os.environ, **environment}, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def read(self, stream, take):
        for line in stream:
            line = line.rstrip("\n")
            with self.lock:
                self.log.write(line + "\n")
                self.log.flush()
                if not take(line):
                    self.other.append(line)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def end_by_force(self):
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            pass
        self.signal(signal.SIGKILL)
        self.process.wait()

    def finish(self, take, seconds):
        """Gives `take` each line of its standard output, which says whether it has taken it; its status, and what is wrong with how
        it ends."""
        # Points come from standard output alone: what is written to the other meanwhile must not break into their lines.
        readers = [threading.Thread(target=self.read, args=arguments, daemon=True)
                   for arguments in ((self.process.stdout, take), (self.process.stderr, lambda line: False))]
        for reader in readers:
            reader.start()
        faults = []
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            faults.append(f"does not end within {seconds} s")
            self.end_by_force()
            status = 0  # that it ended then is no news
        for reader in readers:
            reader.join(SECONDS_OF_OUTPUT)
        if any(reader.is_alive() for reader in readers):
            faults.append("leaves a process behind that holds its output")
            self.signal(signal.SIGKILL)
        return status, faults

    def take_other(self):
        """The lines that wait to be shown, once."""
        lines = list(self.other)
        self.other.clear()
        return lines


class Tally:
    """Counts and shows what the suites report."""

    def __init__(self, out=None, logs=LOGS, seconds=SECONDS_OF_A_SUITE):
        self.passed = self.failed = self.skipped = 0
        self.texts = 0  # checks of texts: they are no tests of what the service does
        self.out, self.logs, self.seconds = out or sys.stdout, logs, seconds
        self.names = collections.defaultdict(set)  # of points, by suite: a suite may be run in parts
        self.running = set()
        self.is_ending = False
        self.shown = 0
        self.lock = threading.RLock()  # suites may run side by side

    def say(self, line):
        print(line, file=self.out, flush=True)

    def add(self, is_good, what, skip_reason=None, is_text=False):
        """One point. A wrong text fails the run like a test, so it is counted among what failed."""
        with self.lock:
            self.texts += is_text
            if not is_good:
                self.failed += 1
            elif skip_reason is not None:
                self.skipped += 1
            elif not is_text:
                self.passed += 1
            self.shown += 1
            tail = f" # SKIP {skip_reason}" if skip_reason is not None else ""
            self.say(f"{'ok' if is_good else 'not ok'} {self.shown} - {what}{tail}")

    def take(self, suite, point, before):
        """A point of a suite, and what was written before it, which says why it is bad."""
        with self.lock:
            self.add(point.verdict != "FAILED", f"{suite}: {point.what}", point.why if point.verdict == "SKIPPED" else None,
                     point.what.startswith(OF_TEXTS))
            if point.verdict == "FAILED":
                self.show([*before, *([point.why] if point.why else [])])

    def relay(self, suite, command, log_name=None, **environment):
        """Runs a command that speaks TAP, and takes over its points. What is wrong with the whole of it is a bad point."""
        if self.is_ending:
            return
        self.logs.mkdir(parents=True, exist_ok=True)
        reader = Reader(self.names[suite])
        run = Run(command, self.logs / f"{(log_name or suite).replace('/', '-')}.log", environment)

        def take(line):
            point = reader.take(line)
            if point:
                self.take(suite, point, run.take_other())
            return point is not None

        self.running.add(run)
        status, faults = run.finish(take, self.seconds)
        self.running.discard(run)
        faults += reader.end(status)
        with self.lock:
            for fault in faults:
                self.add(False, f"{suite}: {fault}")
            if faults:
                self.show(run.take_other())

    def end_all(self):
        """What runs ends with us, and nothing more is begun."""
        self.is_ending = True
        for run in list(self.running):
            run.signal(signal.SIGTERM)

    def show(self, lines):
        for line in lines[-SHOWN_LINES:]:
            self.say(f"# {line}" if not line.startswith("#") else line)

    def close(self):
        """The last lines, and the exit status of the run."""
        self.say(f"{self.texts} texts checked")
        self.say(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 0 if self.passed + self.skipped > 0 and self.failed == 0 else 1
