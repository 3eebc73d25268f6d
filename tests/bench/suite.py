"""The runner of `./dev bench all`: its statistics, its table and its JSON, its programs, and that a quick run works from end to
end. Words choose checks by their names. Speaks TAP."""

import json
import math
import re
import sqlite3
import subprocess
import sys
import types
from pathlib import Path

import accept_rows
import figures
import rounds
import run
import subject
from figures import AGAINST, OURS, Figure, Limit, Measurement, Samples
from subject import TOP

sys.path.append(str(TOP / "tests/daemon"))
from service import run_checks  # noqa: E402
import state  # noqa: E402

DEV = TOP / "dev"
MANUAL = TOP / "docs/performance.md"


def equal(found, expected):
    assert found == expected, f"{found!r}, not {expected!r}"


def spreads(_folder):
    """median and percentiles lie between the values that stand around them"""
    equal(rounds.median([3, 1, 2]), 2)
    equal(rounds.median([4, 1, 2, 3]), 2.5)
    equal(rounds.median([7]), 7)
    hundred = list(range(101))
    equal(rounds.spread(hundred[::-1]), {"median": 50, "p5": 5, "p95": 95})
    equal(rounds.percentile([0, 10], 0.25), 2.5)


def ratios_of_rounds(_folder):
    """a ratio is of the same round, above 1 is better whatever is measured, and drift of the machine cancels in it"""
    ours, theirs = {0: 10, 1: 20, 2: 40, 3: 5}, {0: 5, 1: 10, 2: 20, 4: 9}
    equal(rounds.ratios(ours, theirs, True), [2, 2, 2])
    equal(rounds.ratios(ours, theirs, False), [0.5, 0.5, 0.5])


def intervals(_folder):
    """the interval of a median has 95 %, is the same each time, and is none of too few rounds"""
    equal(rounds.interval([1.0] * 5), None)
    equal(rounds.interval([1.5] * 6), [1.5, 1.5])
    values = [0.9 + 0.01 * number for number in range(21)]  # median 1.0
    low, high = rounds.interval(values)
    uneven = [[1 + math.sin(number * step) / 9 for number in range(20)] for step in (1, 2, 3, 5)]
    few = [rounds.interval(some, resamples=30) for some in uneven]  # of many, chance shows in no digit
    equal(few, [rounds.interval(some, resamples=30) for some in uneven])
    # By the binomial distribution the 6th and the 16th of 21 values hold the median with 97 %, the 7th and the 15th with 92 %.
    assert 0.949 < low < 0.965 and 1.035 < high < 1.051, (low, high)
    equal([figures.verdict(part) for part in ([1.01, 1.2], [0.8, 0.99], [0.9, 1.1], None)],
          ["quicker", "slower", "no difference shown", "too few rounds to tell"])


def turns(_folder):
    """each round begins with another side, and a side that is measured seldom is left out of the others"""
    sides = {"a": "a", "b": "b", "c": "c"}
    measurement = Measurement("name", sides, {"c": 2})
    equal([measurement.turns(number) for number in range(4)], [["a", "b", "c"], ["b", "a"], ["c", "a", "b"], ["b", "a"]])


def sampled(figure, ours, theirs, peer):
    samples = Samples()
    for number, (one, other) in enumerate(zip(ours, theirs)):
        samples.add(number, figure.name, OURS, one)
        samples.add(number, figure.name, peer, other)
    return samples


def limits(_folder):
    """a limit is of the figure's median or of its ratio to a peer; a broken one is named, and none is judged in a quick run"""
    for bound, peer, is_at_most, holds in ((12, None, True, True), (11, None, True, True), (10, None, True, False),
                                           (12, None, False, False), (11, None, False, True), (2, "peer", False, True),
                                           (2.1, "peer", False, False), (0.1, "absent", False, None)):
        figure = Figure("some", "s", False, (Limit(bound, peer, is_at_most),))
        samples = sampled(figure, [10, 11, 30], [20, 22, 90], "peer")
        equal(samples.report(figure)["limits"][0]["holds"], holds)
        equal(samples.report(figure, are_limits_judged=False)["limits"][0]["holds"], None)
        equal("**broken**" in figures.table([samples.report(figure)])[2], holds is False)
    equal(Samples().report(figure), None)


def told(_folder):
    """the table and the JSON tell each side's values with their spread, each ratio, and what another build's interval says"""
    figure = Figure("some", "requests/s", True, (Limit(0.5, "peer"),))
    samples = sampled(figure, [100, 110, 120], [200, 220, 240], "peer")
    row = samples.report(figure)
    equal(json.loads(json.dumps(row)), row)
    equal(row["sides"]["migrationd"], {"median": 110, "p5": 101, "p95": 119, "values": [100, 110, 120]})
    equal(row["ratios"]["peer"], {"median": 0.5, "p5": 0.5, "p95": 0.5, "rounds": 3, "interval": None})
    equal(figures.table([row])[2], "| some | 110 (101 to 119) requests/s | ≥ 0.500 of peer | 0.500 (0.500 to 0.500) of peer |")
    faster = sampled(figure, [30, 31, 32, 33, 34, 35], [10, 10, 10, 10, 10, 10], AGAINST)
    assert figures.table([faster.report(figure)])[2].endswith("of against, 95 % in 3.05 to 3.45: quicker |"), figures.table([faster.report(figure)])
    equal([figures.short(value) for value in (0, 0.01234, 1.239, 99.96, 12345, 0.9996)], ["0", "0.0123", "1.24", "100", "12300", "1.00"])


def accepted_rows(folder):
    """the bare SQLite program commits the rows that an accept has written, new ids and times apart, and nothing else"""
    path, copy, statements = (Path(folder) / name for name in ("live.db", "copy.db", "accept.json"))
    live = sqlite3.connect(path)
    live.executescript((TOP / "db/schema.sql").read_text())

    def insert(table, **row):
        row = {**state.BLANK[table], **row}
        return live.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())).lastrowid

    uuids = [state.uuid(number) for number in (1, 2, 3)]
    insert("flavors", flavor_id="1", name="m1")
    for uuid in uuids:
        insert("servers", uuid=uuid, flavor_row=1, name="web", vm_state="active", updated_us=5)
    insert("migrations", uuid=state.uuid(7), server_uuid=uuids[2])  # so that its ids are not those of other tables
    live.commit()
    target = sqlite3.connect(copy)
    live.backup(target)
    target.close()
    number = insert("migrations", uuid=state.uuid(9), server_uuid=uuids[0], status="accepted", type="live-migration", created_us=7)
    action = insert("instance_actions", action="live-migration", server_uuid=uuids[0], request_id=f"req-{state.uuid(8)}", start_us=7)
    insert("jobs", kind="live", server_uuid=uuids[0], migration_id=number, action_id=action, request_id=f"req-{state.uuid(8)}")
    live.execute("UPDATE servers SET task_state = 'migrating', updated_us = 7 WHERE uuid = ?", (uuids[0],))
    live.commit()
    rows = accept_rows.Rows(path, copy, uuids[0])
    equal(rows.written, [("servers", "changed", 8), ("migrations", "inserted", 12), ("jobs", "inserted", 3),
                         ("instance_actions", "inserted", 3)])
    statements.write_text(json.dumps(rows.statements))
    program = subject.program("bench_bare_sqlite", copy, statements)
    try:
        equal(subject.answer_of(program, "2 1")["accepts"], 2)  # the first of them for the same server
    finally:
        subject.end(program)

    def contents(database, table):
        """With a word in the place of times, and of ids that are new each time."""
        fresh = ("request_id",) if table == "servers" else ("request_id", "uuid")
        return [{name: "new" if name in fresh or name.endswith("_us") and value else value for name, value in dict(row).items()}
                for row in database.execute(f"SELECT * FROM {table} ORDER BY id")]

    live.row_factory = sqlite3.Row
    bare = sqlite3.connect(copy)
    bare.row_factory = sqlite3.Row
    for table in ("servers", "migrations", "jobs", "instance_actions"):
        mine, theirs = contents(live, table), contents(bare, table)
        if table == "servers":
            equal(theirs[0], mine[0])
        else:
            equal(theirs[:len(mine)], mine)
            numbers = {name: mine[-1][name] + 1 for name in ("id", "migration_id", "action_id") if name in mine[-1]}
            equal(theirs[len(mine):], [{**mine[-1], **numbers, "server_uuid": uuids[1]}])
    equal([row["task_state"] for row in contents(bare, "servers")], ["migrating", "migrating", ""])
    equal(bare.execute("SELECT count(DISTINCT uuid) FROM migrations").fetchone()[0], 3)
    bare.close()
    live.close()


def answered_by(folder, text):
    path = Path(folder) / "answer"
    path.write_text(text)
    process = subject.program("bench_bare_http", 2, path)
    return process, int(process.stdout.readline())


def statuses(folder):
    """every answer's status is checked, and connections are kept: another status or a closed connection ends the run"""
    requests = Path(folder) / "requests"
    subject.write_requests(requests, [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(7)])
    for answer, status, words in (("200\nX-Word: a\n\nbody", 200, None), ("200\n\nbody", 202, "status 202 was to come"),
                                  ("404\n\n", 200, "HTTP/1.1 404"), ("200\nConnection: close\n\n", 200, "not kept alive")):
        process, port = answered_by(folder, answer)
        try:
            found = subject.load(port, 4, 0.05, status, requests)
            assert words is None and found["requests"] > 7 and 0 < found["median_us"] <= found["p99_us"], found
            equal(subject.load(port, 4, 60, status, requests, 2, 5)["requests"], 5)
        except subject.Failure as failure:
            assert words and words in str(failure), failure
        else:
            assert words is None, f"{words} was to be said"
        finally:
            subject.end(process)


def dev(*words, seconds=300):
    return subprocess.run([DEV, "bench", "all", *map(str, words)], capture_output=True, text=True, check=False, timeout=seconds)


def from_end_to_end(folder):
    """a quick run measures every figure but those of the lab and of Nova, each beside its peers, and tells them as JSON"""
    output = Path(folder) / "results.json"
    done = dev("--rounds", 1, "--quick", "--without", "lab", "--without", "nova", "--output", output, "--folder", TOP / "build/bench-test")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(output.read_text())
    rows = {row["name"]: row for row in result["figures"]}
    peers = {"refused/16": ["libmicrohttpd"], "read/1": ["libmicrohttpd"], "accepted/16": ["SQLite", "libmicrohttpd"], "choices/1000": [],
             "pages/server/10x": ["1x"], "pages/servers/10x": ["1x"], "pages/migrations/10x": ["1x"], "pages/hypervisors/10x": ["1x"],
             "start/100": [], "start/100/memory": []}
    for name, wanted in peers.items():
        equal(sorted(rows[name]["ratios"]), sorted(wanted))
    for name, row in rows.items():
        assert all(len(side["values"]) == 1 and side["values"][0] > 0 for side in row["sides"].values()), row
        assert all(limit["holds"] is None for limit in row["limits"]), row
        assert not row["is_in_table"] or f"| {name} | " in done.stdout, (name, done.stdout)
    equal(result["rounds"], {"requests": 1, "choices": 1, "pages": 1, "start": 1})
    assert result["is_quick"] and set(result["machine"]) >= {"processors", "kernel", "file_system", "busy_before"}, result
    assert any("migrations: a row inserted" in line for lines in result["notes"].values() for line in lines), result["notes"]


def older_build(folder):
    """A build that does not know --database, with its measuring programs beside it."""
    path = Path(folder) / "older"
    path.write_text('#!/bin/sh\ncase "$*" in *--help*) exit 0 ;; *--database*) exit 64 ;; esac\n'
                    f'exec {TOP}/build/migrationd "$@"\n')
    path.chmod(0o755)
    (Path(folder) / "tests").symlink_to(TOP / "build/tests")
    return path


def another_build(folder):
    """--against interleaves another build, also an older one, and tells the ratio with its interval; words choose the figures"""
    output = Path(folder) / "results.json"
    done = dev("refused/1", "choices/100", "--rounds", 6, "--quick", "--without", "lab", "--without", "nova", "--against",
               older_build(folder), "--output", output, "--folder", TOP / "build/bench-test")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["name"]: row for row in json.loads(output.read_text())["figures"]}
    equal({name.split("/")[0] for name in rows}, {"refused", "choices"})
    for name in ("refused/1", "choices/100"):
        ratio = rows[name]["ratios"][AGAINST]
        low, high = ratio["interval"]
        assert low <= ratio["median"] <= high and ratio["rounds"] == 6 and len(set(rows[name]["sides"][AGAINST]["values"])) > 1, rows[name]
    assert "of against, 95 % in " in done.stdout, done.stdout


def refusals(folder):
    """words that choose nothing, a folder in memory, and another build that is none are refused before anything is measured"""
    for words, said in ((["nothing-like-it"], "no figure has nothing-like-it"), (["--rounds", "0"], "at least 1"),
                        (["--against", f"{folder}/none"], "is no program"),
                        (["--quick", "refused/1", "--folder", "/dev/shm"], "lies in memory")):
        done = subprocess.run([sys.executable, TOP / "tests/bench/run.py", *words], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0 and said in done.stderr and "| figure |" not in done.stdout, (words, done)


def needs_of_the_lab(_folder):
    """the lab is prepared only where its figures are chosen"""
    for words, wanted in (([], "lab"), (["moves"], "lab"), (["choices"], ""), (["--without", "lab"], "")):
        done = subprocess.run([sys.executable, TOP / "tests/bench/run.py", "--needs", *words], capture_output=True, text=True, check=False)
        equal((words, done.stdout, done.stderr), (words, f"{wanted}\n", ""))


def manual_figures(_folder):
    """docs/performance.md says what each figure is, with the limit that is judged"""
    page = MANUAL.read_text(encoding="utf-8").split("## The figures\n")[1].split("\n## ")[0]
    told_limits = {}
    for line in page.splitlines():
        if line.startswith("| `"):
            names, meaning, limit = line.strip("| ").split(" | ")
            assert meaning, line
            told_limits.update({name: limit for name in re.findall(r"`([^`]+)`", names)})
    context = types.SimpleNamespace(is_quick=False, without=[], binaries={})
    judged = {figure.name: "; ".join(limit.text(figure.unit) for limit in figure.limits) or "–" for group in run.GROUPS.values()
              for figure in group(context).figures() if figure.is_in_table}
    assert len(judged) > 30, judged
    equal(told_limits, judged)


def manual_commands(folder):
    """each call of ./dev bench in docs/performance.md is one that is taken"""
    calls = re.findall(r"^    \./dev bench all(.*?)(?:  +#.*)?$", MANUAL.read_text(encoding="utf-8"), re.M)
    assert len(calls) >= 7, calls
    binary = Path(folder) / "migrationd"
    binary.touch(0o700)
    for call in calls:
        words = [str(binary) if word.endswith("/migrationd") else word for word in call.split()]
        done = subprocess.run([sys.executable, TOP / "tests/bench/run.py", *words, "--list"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout.splitlines(), (call, done)


def chosen_by_words(_folder):
    """a word that is a figure's name chooses that one alone, any other those that it is a part of"""
    context = types.SimpleNamespace(is_quick=False, without=[], binaries={})
    for words, wanted in ((["read/1"], ["read/1"]), (["read/1", "es/1000"], ["read/1", "choices/1000", "choices/10000", "choices/100000"]),
                          (["moves"], ["moves/live"])):
        equal([name for names in run.choose(context, words).values() for name in names], wanted)


def when_limits_are_judged(_folder):
    """no limit is judged in a quick run, nor while the machine does something else"""
    equal([run.are_limits_judged({"busy_before": busy}, is_quick) for busy, is_quick in ((0.02, False), (0.02, True), (0.3, False))],
          [True, False, False])


CHECKS = (spreads, ratios_of_rounds, intervals, turns, limits, told, accepted_rows, statuses, from_end_to_end, another_build, refusals,
          needs_of_the_lab, chosen_by_words, when_limits_are_judged, manual_figures, manual_commands)


if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
