"""migrationd as a child of a suite: every suite that starts one does it here, where its end is judged.

A daemon ends well in two ways: with status 0 after SIGTERM, or by the SIGKILL that a suite sent. All else is a fault of the
scenario that ran it: the status with which a sanitiser ends it, a signal, an end that nobody asked for. An end that a scenario
waits for (a start that must not succeed) is taken by own_end(). Whoever runs scenarios asks for the faults when one is over, by
stop_all() or, where daemons go on to the next one, by wrong_ends().

A daemon that does not wait for calls upon its hosts leaves without being looked through for leaks. Of real hosts that must be so;
simulated ones always return.
"""

import signal
import subprocess
from pathlib import Path

# A sanitiser ends the daemon, and its verbs, with a status that none of them has of its own.
BY_SANITISER = 23
SANITISERS = {"ASAN_OPTIONS": f"detect_leaks=1:halt_on_error=1:exitcode={BY_SANITISER}",
              "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:exitcode={BY_SANITISER}"}
CALLS_LEFT = b"calls upon hosts have not returned"
SECONDS_TO_END = 60  # under the sanitisers, beside other suites
SHOWN_LINES = 40  # of the log: what a sanitiser found stands at its end

unjudged = []  # processes whose end nobody has judged


class BadEnd(AssertionError):
    """A daemon that ended otherwise than it was told to, with the end of its log."""


class DaemonProcess(subprocess.Popen):
    """One daemon, which writes to the end of `log_path`."""

    def __init__(self, command, log_path, has_real_hosts=False, **options):
        self.log_path = Path(log_path)
        self.has_real_hosts = has_real_hosts
        self.signals = set()  # those that a suite sent while it ran
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            super().__init__([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        unjudged.append(self)

    def send_signal(self, sig):
        if self.poll() is None:
            self.signals.add(sig)
        super().send_signal(sig)

    def log(self):
        """What this process wrote, and those after it; another one before it may have the same log."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read()

    def said(self):
        return "\n".join(self.log().decode(errors="replace").splitlines()[-SHOWN_LINES:])

    def how(self):
        return f"by signal {-self.returncode}" if self.returncode < 0 else f"with status {self.returncode}"

    def fault(self, may_be_killed):
        """What is wrong with its end; "" where nothing is."""
        if self.returncode == 0 and signal.SIGTERM in self.signals:
            is_whole = self.has_real_hosts or CALLS_LEFT not in self.log()
            return "" if is_whole else f"the daemon did not wait for its calls to return, so that its leaks are not seen:\n{self.said()}"
        if self.returncode == -signal.SIGKILL and signal.SIGKILL in self.signals:
            return "" if may_be_killed else ("a daemon is ended by kill -9, which does not show how it would have ended: use stop(), "
                                             "or say kill -9 in what the check is about")
        cause = "on SIGTERM" if signal.SIGTERM in self.signals else "by itself"
        return f"the daemon ended {cause} {self.how()}:\n{self.said()}"

    def judge(self, may_be_killed=True):
        """Of one that has ended: its fault, which is told once."""
        if self not in unjudged:
            return ""
        unjudged.remove(self)
        return self.fault(may_be_killed)

    def wait_until_ended(self, seconds):
        """Its fault, after SIGTERM."""
        try:
            self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.abandon()
            return f"the daemon did not end within {seconds} s of SIGTERM:\n{self.said()}"
        return self.judge()

    def stop(self, seconds=SECONDS_TO_END):
        """SIGTERM, which must end it with 0."""
        self.terminate()
        fault = self.wait_until_ended(seconds)
        if fault:
            raise BadEnd(fault)

    def own_end(self, seconds=20):
        """Waits for an end that it comes to by itself, and must; the status, which is one of its own."""
        status = self.wait(seconds)
        if status < 0 or status == BY_SANITISER:
            raise BadEnd(self.judge())
        unjudged.remove(self)
        return status

    def abandon(self):
        """By force and without a verdict: there is a worse fault to tell."""
        self.kill()
        self.wait()
        if self in unjudged:
            unjudged.remove(self)


def wrong_ends(may_be_killed=True):
    """What is wrong with the ends since the last time; daemons that run go on."""
    return [fault for process in list(unjudged) if process.poll() is not None and (fault := process.judge(may_be_killed))]


def stop_all(may_be_killed=True):
    """Ends all that still run by SIGTERM; what is wrong with their ends and those before."""
    faults = wrong_ends(may_be_killed)
    running = list(unjudged)
    for process in running:
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a scenario that failed may have left it stopped
    return faults + [fault for process in running if (fault := process.wait_until_ended(SECONDS_TO_END))]
