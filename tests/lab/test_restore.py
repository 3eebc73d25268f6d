"""A copy of the database from before some moves: what libvirt shows counts, and nobody is lost or doubled."""

import shlex
import subprocess

from bench import check, equal, scenario


def run(bench, *words):
    done = subprocess.run(shlex.split(bench.daemon.command_line(*words)), capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{words}: {done}")


@scenario("after an old copy of the database is put back, servers that moved since are found where they are")
def _(bench):
    moved, cold, stays = bench.guest("moved-since"), bench.guest("waits-since", disk="private"), bench.guest("stays")
    copy = bench.daemon.folder / "copy.db"
    copy.unlink(missing_ok=True)
    run(bench, "backup", str(copy))
    bench.live(moved, host="compute-2")
    bench.wait_for_migration(moved, "completed")
    bench.act(cold, "migrate", {"host": "compute-3"}, version="2.56")
    bench.wait_for_migration(cold, "finished")
    bench.act(cold, "confirmResize", expect=204)
    bench.wait_for_migration(cold, "confirmed")
    bench.daemon.kill()
    run(bench, "restore", str(copy))
    bench.daemon.start()
    bench.daemon.wait_for_fleet()
    for guest, host, boots in ((moved, 2, 1), (cold, 3, 2), (stays, 1, 1)):
        bench.lab.wait(lambda wanted=f"compute-{host}", which=guest: bench.host_of(which) == wanted, 30, f"{guest.name} is found on {host}")
        bench.stands(guest, host, boots=boots)
    equal(bench.migrations(moved), [], "migrations that the copy did not have")
    bench.live(moved, host="compute-3")  # and it moves on
    bench.wait_for_migration(moved, "completed")
    bench.stands(moved, 3)
