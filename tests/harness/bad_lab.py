"""The suite `lab` with scenarios of its own and a lab without hosts, to see how it judges the ends of its daemons. The harness's own
suite runs it, with lying_daemon.sh as the daemon. Speaks TAP: bad_lab.py FOLDER-FOR-LOGS
"""

import os
import signal
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[0] = str(TOP / "tests/lab")  # in place of this folder, which has a suite.py, too

import bench  # noqa: E402
import suite  # noqa: E402
from lab import Lab  # noqa: E402

BY_NAME = {"one": {"public_endpoint": "http://one"}, "other": {"public_endpoint": "http://other"}}


def end_by_itself(daemon):
    os.kill(daemon.process.pid, signal.SIGUSR1)
    daemon.process.wait(20)


@bench.scenario("good: its daemon goes on to the next", settings=BY_NAME["one"])
def _(_bench):
    pass


@bench.scenario("its daemon is of no use to the next, and ends with the status of a sanitiser", settings=BY_NAME["one"])
def _(_bench):
    pass


@bench.scenario("its daemon ends by itself, and is started again", settings=BY_NAME["other"])
def _(bench):
    end_by_itself(bench.daemon)
    bench.daemon.start()


@bench.scenario("it stops its daemon, which ends with the status of a sanitiser", settings=BY_NAME["other"])
def _(bench):
    bench.daemon.stop()


@bench.scenario("good: it ends its daemon by kill -9", settings=BY_NAME["other"])
def _(bench):
    bench.daemon.kill()
    bench.daemon.start()


@bench.scenario("it is the last, and its daemon ends with the status of a sanitiser", settings=BY_NAME["other"])
def _(_bench):
    pass


if __name__ == "__main__":
    suite.LOGS = Path(sys.argv.pop())
    bench.Bench.make_lab = lambda self: Lab(hosts=0)
    suite.chosen = lambda _suite, _words: bench.SCENARIOS
    sys.exit(suite.main())
