"""A suite whose daemons end badly, unless their check says that they do not. The harness's own suite runs it, with lying_daemon.sh
as the daemon, and counts. Speaks TAP.
"""

import os
import signal
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.append(str(TOP / "tests/daemon"))

from service import Service, run_checks  # noqa: E402
import daemon_process  # noqa: E402 which service knows where to find


def good(folder):
    """good: it is told to end and does, or it still runs when all is over"""
    Service(folder).start().stop()
    Service(folder).start()


def good_kill(folder):
    """good: it is ended by kill -9, which this is about"""
    Service(folder).start().kill()


def good_refusal(folder):
    """good: its start is refused, as it must be"""
    assert Service(folder, node=[]).fails()[0] == 78


def leak(folder):
    """the status of a sanitiser, in the check"""
    Service(folder).start(ON_TERM="exit 23").stop()


def leak_after_all(folder):
    """the status of a sanitiser, when all is over"""
    Service(folder).start(ON_TERM="echo 'SUMMARY: a leak'; exit 23")


def calls_left(folder):
    """an end that does not wait for its calls"""
    Service(folder).start(ON_TERM="echo calls upon hosts have not returned; exit 0")


def another_status(folder):
    """another status"""
    Service(folder).start(ON_TERM="exit 1")


def a_signal(folder):
    """a signal"""
    Service(folder).start(ON_TERM="kill -SEGV $$")


def asked_by_hand(folder):
    """the status of a sanitiser where the check itself sends SIGTERM and does not look"""
    service = Service(folder).start(ON_TERM="exit 23")
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(20)


def by_itself(folder):
    """an end by itself, with 0"""
    service = Service(folder).start(ON_USR1="exit 0")
    os.kill(service.process.pid, signal.SIGUSR1)
    service.process.wait(20)


def by_itself_and_stopped(folder):
    """an end by itself that the check takes for one on SIGTERM"""
    service = Service(folder).start(ON_USR1="exit 0")
    os.kill(service.process.pid, signal.SIGUSR1)
    service.process.wait(20)
    service.stop()


def by_itself_and_started_again(folder):
    """an end by itself of the first of two"""
    service = Service(folder).start(ON_USR1="exit 23")
    os.kill(service.process.pid, signal.SIGUSR1)
    service.process.wait(20)
    service.start()


def crashed_before_the_kill(folder):
    """a signal of its own, before it is ended by kill -9"""
    service = Service(folder).start(ON_USR1="kill -ABRT $$")
    os.kill(service.process.pid, signal.SIGUSR1)
    service.process.wait(20)
    service.kill()


def killed_by_another(folder):
    """a kill -9 that the check did not send"""
    service = Service(folder).start(ON_USR1="kill -KILL $$")
    os.kill(service.process.pid, signal.SIGUSR1)
    service.process.wait(20)


def no_end(folder):
    """no end at all"""
    Service(folder).start(ON_TERM="exec sleep 60")


def silent_kill(folder):
    """an end by force, which shows nothing"""
    Service(folder).start().kill()


def leak_at_a_refusal(folder):
    """the status of a sanitiser at a start that is refused"""
    os.environ["AT_START"] = "exit 23"
    try:
        Service(folder).fails()
    finally:
        del os.environ["AT_START"]


GOOD = [good, good_kill, good_refusal]
BAD = [leak, leak_after_all, calls_left, another_status, a_signal, asked_by_hand, by_itself, by_itself_and_stopped, by_itself_and_started_again,
       crashed_before_the_kill, killed_by_another, no_end, silent_kill, leak_at_a_refusal]

if __name__ == "__main__":
    daemon_process.SECONDS_TO_END = 2
    sys.exit(run_checks(GOOD + BAD, sys.argv[1:]))
