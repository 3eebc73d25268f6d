"""That planted faults are really in a build, one at a time, and change what they say: a sample of every operator. Speaks TAP."""

import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import sites  # noqa: E402
import sql  # noqa: E402
from judges import STATE_SIZE  # noqa: E402

SAMPLE = r"""
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUND 3
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	int value;
	bool is_open;
};

static const struct row rows[] = { { 1, true }, { 150, false } };
static const struct row *const firsts[] = { rows, &rows[1] };

static int add(int a, int b)
{
	if (a < BOUND && b != 4)
		return a + b;
	a += 2;
	return a > b ? a : b - 1;
}

int main(void)
{
	for (int a = 0; a < 6; a++)
		for (int b = 0; b < 6; b++)
			printf("%d ", add(a, b));
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		printf("%d %d ", rows[i].value, rows[i].is_open);
	printf("%d %d\n", firsts[0]->value, firsts[1]->value);
	return 0;
}
"""
EXPECTED = {("comparison", "a < BOUND", "a >= BOUND"), ("comparison", "a < BOUND", "a <= BOUND"), ("comparison", "b != 4", "b == 4"),
            ("condition", "a < BOUND && b != 4", "!!(a < BOUND)"), ("condition", "a < BOUND && b != 4", "!!(b != 4)"),
            ("constant", "3", "4"), ("constant", "4", "5"), ("constant", "2", "3"), ("constant", "150", "300"), ("constant", "0", "-1"), ("constant", "true", "false"),
            ("statement", "a += 2;", ""), ("statement", "return a + b;", ""), ("branch", "a > b", "!(a > b)"),
            ("arithmetic", "a + b", "a - b"), ("arithmetic", "b - 1", "b + 1")}
STATEMENTS = {
    "SELECT id FROM jobs WHERE host = ?1 AND finished = 0 ORDER BY id LIMIT 5": {
        "SELECT id FROM jobs WHERE host = ?1  ORDER BY id LIMIT 5", "SELECT id FROM jobs WHERE 1 AND finished = 0 ORDER BY id LIMIT 5",
        "SELECT id FROM jobs WHERE host = ?1 AND finished = 0  LIMIT 5", "SELECT id FROM jobs WHERE host <> ?1 AND finished = 0 ORDER BY id LIMIT 5",
        "SELECT id FROM jobs WHERE host = ?1 AND finished = 1 ORDER BY id LIMIT 5"},
    "UPDATE jobs SET host = ?1, tries = tries + 1 WHERE id = ?2": {
        "UPDATE jobs SET host = ?1 WHERE id = ?2", "UPDATE jobs SET host = ?1, tries = tries + 1 WHERE id <> ?2"},
    "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON": {
        "PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF",
        "PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL; "},
}


def every_fault_of_the_sample(name):
    """every operator finds its places in C, and each fault that is switched on changes what the program does"""
    folder = Path(name)
    path = folder / "sample.c"
    path.write_text(SAMPLE, encoding="utf-8")
    source = sites.Source(path, "sample.c", ["-I/usr/lib/llvm-14/lib/clang/14.0.6/include"])
    found = source.find()
    missing = EXPECTED - {(site.operator, site.original, site.changed) for site in found}
    assert not missing, missing
    numbered = dict(enumerate(found, 1))
    planted = folder / "planted.c"
    planted.write_text(sites.HEAD.format(header=HERE / "mutants.h", path="sample.c") + sites.plant(source, numbered), encoding="utf-8")
    subprocess.run(["cc", "-O1", "-o", folder / "sample", planted], check=True)
    honest = run(folder, 0)
    assert honest[0] == 0
    unseen = [str(site) for number, site in numbered.items() if run(folder, number) == honest]
    assert not unseen, unseen
    marks = (folder / "state").read_bytes()[4:]
    assert marks[1], "what a run comes by is marked"


def run(folder, number):
    state = folder / "state"
    state.write_bytes(struct.pack("<i", number) + bytes(STATE_SIZE - 4))
    try:
        done = subprocess.run([folder / "sample"], env={**os.environ, "MUTANTS_STATE": str(state)}, capture_output=True, check=False, timeout=2)
    except subprocess.TimeoutExpired:
        return None, b""
    return done.returncode, done.stdout[:4096]


def every_fault_of_sql(_folder):
    """every clause, comparison, number and pragma of SQL is found"""
    for text, expected in STATEMENTS.items():
        missing = expected - {changed for _, _, changed in sql.changes(text)}
        assert not missing, (missing, list(sql.changes(text)))


def main():
    sys.path[:0] = [str(HERE.parent / "daemon")]
    from service import run_checks
    return run_checks((every_fault_of_the_sample, every_fault_of_sql), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
