"""The harness itself, tried with lies: suites that report more than they did, and daemons that end badly. Each must be noticed.
Speaks TAP; a check is a function whose docstring says what holds.
"""

import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/daemon"), str(TOP / "tests/harness"), str(TOP / "tests")]

import bad_ends  # noqa: E402
import run  # noqa: E402
from service import BINARY, run_checks  # noqa: E402
import tally  # noqa: E402

GOOD = "1..2\nok 1 - it moves\nok 2 - it stays\n"


class Told:
    """What a run says about suites."""

    def __init__(self, folder, seconds=20):
        self.out = io.StringIO()
        self.folder = Path(folder)
        self.tally = tally.Tally(self.out, self.folder / "logs", seconds)

    def suite(self, text, ending="exit 0", name="liar"):
        """Of a suite that writes the text and then does what the shell's words say."""
        lines = self.folder / "lines"
        lines.write_text(text, encoding="utf-8")
        return self.command(["sh", "-c", f"cat {lines}; {ending}"], name)

    def command(self, words, name="liar", **environment):
        self.tally.relay(name, words, **environment)
        return self

    @property
    def counts(self):
        return self.tally.passed, self.tally.failed, self.tally.skipped

    @property
    def text(self):
        return self.out.getvalue()


def expect(told, counts, *words):
    """The run has these counts, says these words, and fails unless nothing did."""
    status = told.tally.close()
    assert told.counts == counts, (told.counts, counts, told.text)
    for word in words:
        assert word in told.text, (word, told.text)
    assert (status != 0) == (counts[1] > 0 or counts[0] + counts[2] == 0), (status, told.text)
    assert told.text.splitlines()[-1] == f"{counts[0]} passed, {counts[1]} failed, {counts[2]} skipped", told.text


def truth(folder):
    """a suite that tells the truth is believed: its points are counted once each, skipped ones apart, with their reason"""
    expect(Told(folder).suite(GOOD), (2, 0, 0), "ok 1 - liar: it moves\n", "ok 2 - liar: it stays\n")
    expect(Told(folder).suite("ok 1 - it moves\nok 2 - it stays # SKIP no KVM\n1..2\n"), (1, 0, 1), "ok 2 - liar: it stays # SKIP no KVM\n")
    expect(Told(folder).suite("1..1\nok 1 # SKIP test_of_cmocka\n"), (0, 0, 1), "test_of_cmocka")
    expect(Told(folder).suite("1..2\nok 1 - it moves\n# why\nnot ok 2 - it stays\n", "exit 1"), (1, 1, 0), "not ok 2 - liar: it stays\n# why\n")
    expect(Told(folder).suite(GOOD).suite(GOOD, name="other"), (4, 0, 0), "ok 4 - other: it stays\n")


def plans(folder):
    """a plan that does not fit is a failure: too few points, too many, none at all, no plan, two plans, points behind the plan"""
    for text, passed, words in (
            ("1..3\nok 1 - a\nok 2 - b\n", 2, "planned 3 points, and has 2"),
            ("1..1\nok 1 - a\nok 2 - b\n", 2, "planned 1 points, and has 2"),
            ("1..2\n", 0, "planned 2 points, and has 0"),
            ("1..0\n", 0, "tests nothing"),
            ("", 0, "has no plan, and 0 points"),
            ("ok 1 - a\n", 1, "has no plan, and 1 points"),
            ("1..1\nok 1 - a\n1..1\n", 1, "has 2 plans: 1..1, 1..1"),
            ("1..1\n1..1\nok 1 - a\n", 1, "has 2 plans: 1..1, 1..1"),
            ("ok 1 - a\n1..2\nok 2 - b\n", 1, "it follows the plan that closed the points"),
            ("1..1 of them\nok 1 - a\n", 1, "has no plan")):
        expect(Told(folder).suite(text), (passed, 1, 0), words)


def failures(folder):
    """what fails is a failure whatever is written behind it, and so is what is left to be done, and a skip without a reason"""
    for text, words in (("not ok 1 - a\n", "not ok 1 - liar: a\n"), ("not ok 1 - a # SKIP no reason\n", "not ok 1 - liar: a\n"),
                        ("not ok 1 # SKIP test_of_cmocka\n", "not ok 1 - liar: test_of_cmocka\n"),
                        ("not ok 1 - a # TODO later\n", "it is left to be done"), ("not ok 1 - a #todo\n", "it is left to be done"),
                        ("ok 1 - a # TODO later\n", "it is left to be done"), ("ok 1 - a # skip\n", "does not say why")):
        for status in (0, 1):
            expect(Told(folder).suite("1..1\n" + text, f"exit {status}"), (0, 1, 0), words)


def ordinary_lines(folder):
    """a line that only begins like a point is none: it is not counted, and what it hides is missing in the plan"""
    for line in ("ok then", "ok", "ok_1 - a", "okay", "ok 2", "ok 2 and so on", "ok 2: a", "ok - a", " ok 2 - a", "# ok 2 - a", "ok two - a",
                 "the daemon says ok 2 - a"):
        expect(Told(folder).suite(f"1..1\n{line}\nok 1 - it moves\n{line}\n"), (1, 0, 0))
    for line in ("not ok", "not ok 2", "not ok: it stays", "Not quite ok 2 - a"):
        expect(Told(folder).suite(f"1..2\nok 1 - it moves\n{line}\n"), (1, 1, 0), "planned 2 points, and has 1", f"# {line}\n")
    expect(Told(folder).suite("1..2\nok 1 - it moves\n", "echo ok 2 - it stays >&2"), (1, 1, 0), "planned 2 points, and has 1")


def numbers(folder):
    """numbers of points that repeat, skip or begin elsewhere are a failure"""
    for numbered in ((1, 1), (1, 3), (2, 1), (0, 1), (2, 3)):
        told = Told(folder).suite(f"1..2\nok {numbered[0]} - a\nok {numbered[1]} - b\n")
        wrong = sum(found != wanted for found, wanted in zip(numbered, (1, 2)))
        expect(told, (2 - wrong, wrong, 0), "it has the number")


def repeated_names(folder):
    """a point of a name that its suite has reported already is a failure, also where the suite is run in parts"""
    expect(Told(folder).suite("1..2\nok 1 - a\nok 2 - a\n"), (1, 1, 0), "a point of this name is there already")
    expect(Told(folder).suite("1..1\nok 1 - a\n").suite("1..1\nok 1 - a\n"), (1, 1, 0), "a point of this name is there already")


def giving_up(folder):
    """Bail out! is a failure, also with the plan fulfilled"""
    expect(Told(folder).suite(GOOD + "Bail out!\n"), (2, 1, 0), "gives up: Bail out!")
    expect(Told(folder).suite("Bail out! No lab\n" + GOOD), (2, 1, 0), "gives up: Bail out! No lab")


def ends_of_suites(folder):
    """a suite that ends with a status, by a signal or by the watchdog is a failure, however good its points were"""
    expect(Told(folder).suite(GOOD, "exit 23"), (2, 1, 0), "liar: ends with status 23")
    expect(Told(folder).suite(GOOD, "kill -SEGV $$"), (2, 1, 0), "liar: is ended by signal 11")
    expect(Told(folder).suite("1..1\nnot ok 1 - a\n", "kill -KILL $$"), (0, 2, 0), "liar: is ended by signal 9")
    expect(Told(folder, seconds=0.5).suite(GOOD, "exec sleep 60"), (2, 1, 0), "liar: does not end within 0.5 s")
    expect(Told(folder).command(["python3", "-c", "import sys; print('1..1'); sys.exit('no lab')"]), (0, 2, 0), "planned 1", "# no lab")
    expect(Told(folder).suite("", "exit 1"), (0, 2, 0), "has no plan", "ends with status 1")
    expect(Told(folder, seconds=0.5).suite(GOOD, "trap '' TERM; setsid sleep 3 & wait"), (2, 1, 0), "liar: does not end within 0.5 s")
    expect(Told(folder).suite(GOOD, "setsid sleep 3 &"), (2, 1, 0), "liar: leaves a process behind that holds its output")


def texts(folder):
    """checks that only read texts are told in a line of their own: they are no tests that pass, and one that is wrong fails the run"""
    told = Told(folder).suite("1..3\nok 1 - it moves\nok 2 - text: a page\nok 3 - text: another\n")
    expect(told, (1, 0, 0), "2 texts checked\n")
    expect(Told(folder).suite("1..1\nok 1 - text: a page\n"), (0, 0, 0), "liar: text: a page\n1 texts checked\n")
    expect(Told(folder).suite("1..2\nok 1 - it moves\nnot ok 2 - text: a page\n"), (1, 1, 0), "1 texts checked\n")


def with_bad_ends(folder, words, **ends):
    """A suite in front of a daemon that ends so."""
    liar = {"MIGRATIOND": str(TOP / "tests/harness/lying_daemon.sh"), "REAL": str(BINARY)}
    return Told(folder, seconds=120).command(words, **liar, **ends)


def ends_of_daemons(folder):
    """a daemon that ends with another status than 0, by a signal, by itself or not at all fails the check that ran it, with its log"""
    told = with_bad_ends(folder, [sys.executable, TOP / "tests/harness/bad_ends.py"])
    expect(told, (len(bad_ends.GOOD), len(bad_ends.BAD), 0), "on SIGTERM with status 23", "# SUMMARY: a leak\n", "on SIGTERM by signal 11",
           "by itself with status 0", "by itself by signal 6", "did not end within", "is ended by kill -9",
           "did not wait for its calls")
    for check in bad_ends.BAD:
        assert re.search(rf"^not ok [0-9]+ - liar: {re.escape(check.__doc__)}$", told.text, re.M), (check, told.text)


# What starts daemons in a way of its own: a suite, and what of it is quick.
STARTERS = (["/usr/bin/python3", "tests/daemon/suite.py", "implied_roles"],
            ["/usr/bin/python3", "tests/configuration/suite.py", "odd_rules"],
            ["/usr/bin/python3", "tests/cli/suite.py", "another_port"],
            ["/usr/bin/python3", "tests/simulate/suite.py", "beside_a_configuration"])


def every_starter(folder):
    """the sanitisers' status of a daemon fails the scenario that ran it in each suite that starts daemons in a way of its own"""
    for words in STARTERS:
        expect(with_bad_ends(folder, words, ON_TERM="exit 23"), (0, 1, 0), "on SIGTERM with status 23")
        expect(with_bad_ends(folder, words), (1, 0, 0))
    recorded = ["/usr/bin/python3", "tests/replay/suite.py", "version-docs"]
    told = with_bad_ends(folder, recorded, ON_TERM="exit 23")
    expect(told, (1, 1, 0), "not ok 2 - liar: after all of them the daemon ends with status 0", "on SIGTERM with status 23")
    expect(with_bad_ends(folder, recorded), (2, 0, 0))


def ends_in_the_lab(folder):
    """in the lab the daemon's end is the fault of the scenario after which it comes, of the last one too, and kill -9 is none"""
    told = with_bad_ends(folder, [sys.executable, TOP / "tests/harness/bad_lab.py", Path(folder) / "logs"], ON_TERM="exit 23", ON_USR1="exit 0")
    expect(told, (2, 4, 0), "on SIGTERM with status 23", "by itself with status 0")
    assert set(re.findall(r"^(not ok|ok) [0-9]+ - liar: (good)?", told.text, re.M)) == {("ok", "good"), ("not ok", "")}, told.text


def a_false_answer(folder):
    """one false field in one answer fails the group that it is in, and no other"""
    told = Told(folder, seconds=120).command(["/usr/bin/python3", TOP / "tests/harness/bad_answer.py", "version-docs", "ids"])
    expect(told, (2, 1, 0), "not ok 1 - liar: ids: ", " differs\n", "\nok 2 - liar: version-docs: ")


def known_to_meson(_):
    """each suite of ./dev test is one of meson test, and what a package's build runs are programs and no suites"""
    asked = subprocess.run(["meson", "introspect", "--tests", str(BINARY.parent)], capture_output=True, text=True, check=True)
    tests = [(test["name"], {suite.split(":")[-1] for suite in test["suite"]}, test["cmd"]) for test in json.loads(asked.stdout)]
    assert not set(run.SUITES) - set().union(*(suites for _, suites, _ in tests)), tests
    of_package = [(name, command) for name, suites, command in tests if "unit" in suites]
    assert len(of_package) > 50 and not [row for row in of_package if any(word.endswith(".py") for word in row[1])], of_package


def own_starts(_):
    """text: no test starts a daemon but as a DaemonProcess"""
    own = re.compile(r"(?<!Daemon)\b(?:subprocess\.)?Popen\([^)]*(?:\bserve\b|ExecStart)")
    found = [str(path) for path in sorted((TOP / "tests").rglob("*.py")) if own.search(path.read_text(encoding="utf-8"))]
    assert not found, found


CHECKS = [truth, plans, failures, ordinary_lines, numbers, repeated_names, giving_up, ends_of_suites, texts, ends_of_daemons,
          every_starter, ends_in_the_lab, a_false_answer, known_to_meson, own_starts]

if __name__ == "__main__":
    tally.SECONDS_OF_OUTPUT = tally.SECONDS_TO_END = 1
    tempfile.tempdir = "/tmp"  # short: sockets lie below
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
