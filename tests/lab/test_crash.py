"""`kill -9` of the daemon in each phase of each kind of job: at the next start the job is followed to its true end.

The phases are read from the job's row, as fast as the database can be read; where one passed before it could be caught, the
scenario tries again with a fresh guest. What counts afterwards is the same in every phase: one running copy, a counter that
went on (or a boot more, where the move is a cold one), nothing left on the other host, no claim.
"""

from bench import check, equal, scenario

# As server/worker/phases.c has them, but for the last, "done".
LIVE = ["choosing", "checking", "preparing", "moving", "finishing"]
COLD = ["choosing", "checking", "stopping", "copying", "defining", "undefining", "starting"]
CONFIRM = ["removing"]
REVERT = ["stopping", "defining", "starting"]
# Where the half done step is not trusted: then the move may end in failure, with the guest where it was.
LIVE_MAY_FAIL = {"preparing", "moving"}
COLD_MAY_FAIL = {"stopping", "copying"}
TRIES = 4
# A live move takes long enough that each phase can be met.
SETTINGS = {"libvirt": {"live_migration_bandwidth": 32}}


def killed_at(bench, kind, phase, begin):
    """Begins the job until the daemon could be killed in the phase; gives the guest, with the daemon started again."""
    for attempt in range(TRIES):
        guest, ask = begin(attempt)
        ask()
        found = bench.daemon.watch_jobs(lambda of_kind, at: of_kind == kind and at == phase)
        if found:
            bench.daemon.kill()
            bench.daemon.start()
            return guest
        bench.wait_for_migration(guest, {"completed", "finished", "confirmed", "reverted"}, 90)
        bench.lab.remove(guest)
    raise AssertionError(f"phase {phase} of {kind} was not met in {TRIES} tries")


def live(phase, disk):
    @scenario(f"the daemon is killed in phase {phase} of a live migration with a {disk} disk", settings=SETTINGS)
    def _(bench):
        def begin(attempt):
            guest = bench.guest(f"kill-live-{attempt}", dirty_mb=48, disk=disk)
            return guest, lambda: bench.live(guest)
        guest = killed_at(bench, "live", phase, begin)
        good = {"completed", "failed"} if phase in LIVE_MAY_FAIL else "completed"
        migration = bench.wait_for_migration(guest, good, 90)
        bench.stands(guest, int(migration["dest_compute"][-1]) if migration["status"] == "completed" else 1)


def finished(bench, name, disk):
    guest = bench.guest(name, disk=disk, disk_mb=16)
    bench.act(guest, "migrate")
    bench.wait_for_migration(guest, "finished")
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    guest.wait_for_boots(2)
    return guest


def cold(phase, state, disk):
    @scenario(f"the daemon is killed in phase {phase} of a cold migration of a {state} guest with a {disk} disk",
              settings=SETTINGS)
    def _(bench):
        def begin(attempt):
            guest = bench.guest(f"kill-cold-{attempt}", disk=disk, disk_mb=64, state=state)
            return guest, lambda: bench.act(guest, "migrate")
        guest = killed_at(bench, "cold", phase, begin)
        boots = 0 if state == "stopped" else 2
        good = {"finished", "error", "failed"} if phase in COLD_MAY_FAIL else "finished"
        if bench.wait_for_migration(guest, good, 90)["status"] != "finished":
            # Stopped before it was killed or not: it runs again, or still.
            if state == "running":
                guest.wait_for_progress()
            bench.stands(guest, 1, state, boots if state == "stopped" else max(1, guest.starts()))
            return
        bench.wait_for_status(guest, "VERIFY_RESIZE")
        equal(len(bench.lab.places(guest)), 1, "hosts that know the guest")
        bench.act(guest, "confirmResize", expect=204)
        migration = bench.wait_for_migration(guest, "confirmed")
        bench.stands(guest, int(migration["dest_compute"][-1]), state, boots)


def confirm(phase, disk):
    @scenario(f"the daemon is killed in phase {phase} of a confirm, {disk} disk", settings=SETTINGS)
    def _(bench):
        def begin(attempt):
            guest = finished(bench, f"kill-confirm-{attempt}", disk)
            return guest, lambda: bench.act(guest, "confirmResize", expect=204)
        guest = killed_at(bench, "confirm", phase, begin)
        migration = bench.wait_for_migration(guest, "confirmed", 90)
        bench.stands(guest, int(migration["dest_compute"][-1]), boots=2)


def revert(phase, disk):
    @scenario(f"the daemon is killed in phase {phase} of a revert, {disk} disk", settings=SETTINGS)
    def _(bench):
        def begin(attempt):
            guest = finished(bench, f"kill-revert-{attempt}", disk)
            return guest, lambda: bench.act(guest, "revertResize")
        guest = killed_at(bench, "revert", phase, begin)
        bench.wait_for_migration(guest, "reverted", 90)
        bench.stands(guest, 1, boots=3)


for _disk in ("shared", "private"):
    for _phase in LIVE:
        live(_phase, _disk)
    for _phase in CONFIRM:
        confirm(_phase, _disk)
    for _phase in REVERT:
        revert(_phase, _disk)
for _phase in COLD:
    cold(_phase, "running", "private")
    cold(_phase, "stopped", "shared")


@scenario("the daemon is stopped in the middle of a live migration: SIGTERM leaves it, and it is taken up again",
          settings={"libvirt": {"live_migration_bandwidth": 8}}, both_ways=True)
def _(bench):
    guest = bench.guest("stopped-midway", dirty_mb=48)
    bench.live(guest)
    bench.wait_for_migration(guest, "running")
    bench.lab.wait(lambda: "Data processed" in bench.hosts[0].virsh("domjobinfo", guest.uuid, check=False), 15,
                   "bytes have gone over")
    bench.daemon.stop()
    check("calls upon hosts have not returned" in bench.daemon.log_tail(), "its log says that it leaves something")
    equal(len(bench.lab.qemus(guest)), 2, "QEMU processes: the move goes on")
    bench.daemon.start()
    migration = bench.wait_for_migration(guest, "completed", 90)
    bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("the move ended while nobody looked: the next start books it",
          settings={"libvirt": {"live_migration_bandwidth": 8}})
def _(bench):
    guest = bench.guest("ended-unseen", dirty_mb=32)
    bench.live(guest)
    bench.wait_for_migration(guest, "running")
    bench.lab.wait(lambda: "Data processed" in bench.hosts[0].virsh("domjobinfo", guest.uuid, check=False), 15,
                   "bytes have gone over")
    bench.daemon.kill()
    bench.lab.wait(lambda: len(bench.lab.places(guest)) == 1 and "compute-1" not in bench.lab.places(guest), 60,
                   "libvirt finished the move alone")
    bench.daemon.start()
    migration = bench.wait_for_migration(guest, "completed", 30)
    check(migration["dest_compute"] in bench.lab.places(guest), "the record names the host where it runs")
    bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("the copy fails while nobody looked: the next start books that too",
          settings={"libvirt": {"live_migration_bandwidth": 8}})
def _(bench):
    guest = bench.guest("failed-unseen", dirty_mb=48)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    bench.lab.wait(lambda: "Data processed" in bench.hosts[0].virsh("domjobinfo", guest.uuid, check=False), 15,
                   "bytes have gone over")
    bench.daemon.kill()
    bench.hosts[0].virsh("domjobabort", guest.uuid)
    bench.lab.wait(lambda: bench.lab.places(guest) == {"compute-1": "running"}, 30, "libvirt took it back")
    bench.daemon.start()
    bench.wait_for_migration(guest, {"failed", "cancelled"}, 30)
    bench.stands(guest, 1)
