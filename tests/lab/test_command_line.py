"""The operator's verbs on the daemon's own machine, in front of real hosts."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from bench import check, equal, scenario

sys.path.append(str(Path(__file__).resolve().parents[1] / "cli"))

from terminal import Terminal  # noqa: E402


def words(bench, *verb):
    return shlex.split(bench.daemon.command_line(*verb))


@scenario("migrationd migrate SERVER --live --wait shows bytes, pace, dirty pace and time left of a real move, and where the guest"
          " is at its end; ^C leaves the move alone", settings={"libvirt": {"live_migration_bandwidth": 8}})
def _(bench):
    guest = bench.guest("by-verb", dirty_mb=24)
    with Terminal(words(bench, "migrate", guest.name, "--live", "--wait"), columns=140) as terminal:
        equal(terminal.finish(90), 0, "exit status")
        lines = terminal.text.split("\r")
    running = [line for line in lines if re.search(r"by-verb  running  \[[#.]+\]  +\d+%  [0-9.]+ \w+ of [0-9.]+ MiB  [0-9.]+ \w+/s  dirty ", line)]
    check(len(running) >= 3, f"the line is drawn anew while it moves: {terminal.text}")
    check(any("left 00:" in line for line in running), "the time that is left is told")
    place = bench.host_of(guest)
    check(place != "compute-1" and f"by-verb has moved to {place}" in terminal.text, "where it is at the end")
    bench.stands(guest, int(place[-1]))

    with Terminal(words(bench, "migrate", guest.uuid, "--live", "--wait"), columns=140) as terminal:
        terminal.wait_for("%", 30)
        terminal.press("\x03")
        equal(terminal.finish(), 130, "exit status after ^C")
    check("the move of by-verb goes on" in terminal.text, "that it goes on is told")
    migration = bench.wait_for_migration(guest, "completed")
    bench.stands(guest, int(migration["dest_compute"][-1]))
    done = subprocess.run(words(bench, "migration", "list", "--server", guest.name, "--json"), capture_output=True, text=True, check=True)
    equal([row["status"] for row in json.loads(done.stdout)], ["completed", "completed"], "what is listed")
