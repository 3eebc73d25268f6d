"""The TAP that suites speak here: a strict part of the Test Anything Protocol, so that a count can be believed.

    1..N                        the plan: once, before the first point or after the last
    ok 1 - what holds           a point; points are numbered from 1 without a gap
    not ok 2 - what holds
    ok 3 - what holds # SKIP why
    ok 4 - text: what a text says
                                a check that only reads texts of the project: it is told, and not counted as a test

Any other line is ordinary output, also one that only begins like a point: what such a line hides is missing in the plan. A point
that fails is a failure whatever is written behind it, and so is one that is left to be done (# TODO). A description names one
point of its suite.
"""

import re

PLAN = re.compile(r"1\.\.([0-9]+)")
POINT = re.compile(r"(not )?ok ([0-9]+) - (.+?)(?:\s+#\s*(SKIP|TODO)\S*\s*(.*))?", re.IGNORECASE)
SKIPPED = re.compile(r"(not )?ok ([0-9]+) ()# (SKIP) (.+)")  # as cmocka writes it, by its version bad or good: the description stands last
BAIL_OUT = re.compile(r"Bail out!.*")
OF_TEXTS = "text: "


def line_of(is_good, number, what):
    """A point as a line; a `#` within the description would be taken for what stands behind it."""
    return f"{'ok' if is_good else 'not ok'} {number} - {what.replace('#', '·')}"


class Point:
    """What one line says: PASSED, FAILED or SKIPPED, and why, where that is not plain."""

    def __init__(self, verdict, what, why=""):
        self.verdict, self.what, self.why = verdict, what, why


class Reader:
    """Takes the lines of one suite; what is wrong with all of them together is known at its end. `names` are those of the
    suite's points that were read elsewhere, where the suite is run in parts."""

    def __init__(self, names=None):
        self.names = set() if names is None else names
        self.plans = []
        self.count = 0  # of points
        self.failed = 0
        self.is_after_plan = False  # a plan came when points were there already, so none may follow
        self.faults = []

    def take(self, line):
        """The point that the line is; None for other lines."""
        plan = PLAN.fullmatch(line)
        if plan:
            self.plans.append(int(plan[1]))
            self.is_after_plan = self.count > 0
            return None
        if BAIL_OUT.fullmatch(line):
            self.faults.append(f"gives up: {line}")
            return None
        found = POINT.fullmatch(line) or SKIPPED.fullmatch(line)
        return self.point_of(found) if found else None

    def point_of(self, found):
        is_good, number, directive, reason = not found[1], int(found[2]), (found[4] or "").upper(), found[5] or ""
        what = found[3] or reason
        self.count += 1
        wrong = []
        if number != self.count:
            wrong.append(f"it has the number {number}, not {self.count}")
        if self.is_after_plan:
            wrong.append("it follows the plan that closed the points")
        if what in self.names:
            wrong.append("a point of this name is there already")
        self.names.add(what)
        if directive == "TODO":
            wrong.append("it is left to be done")
        if directive == "SKIP" and not reason:
            wrong.append("it is skipped and does not say why")
        if not is_good or wrong:
            self.failed += 1
            return Point("FAILED", what, "; ".join(wrong))
        if directive == "SKIP":
            return Point("SKIPPED", what, reason)
        return Point("PASSED", what)

    def end(self, status):
        """All that is wrong with the whole, when the suite has ended with that status (negative: the signal that ended it)."""
        faults = list(self.faults)
        if not self.plans:
            faults.append(f"has no plan, and {self.count} points")
        elif len(self.plans) > 1:
            faults.append(f"has {len(self.plans)} plans: {', '.join(f'1..{plan}' for plan in self.plans)}")
        elif self.plans[0] != self.count:
            faults.append(f"planned {self.plans[0]} points, and has {self.count}")
        elif self.count == 0:
            faults.append("tests nothing")
        if status < 0:
            faults.append(f"is ended by signal {-status}")
        elif status > 0 and self.failed == 0:
            faults.append(f"ends with status {status}")
        return faults
