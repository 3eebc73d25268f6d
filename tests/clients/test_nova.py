"""The older `nova` command, as Debian ships it."""

from bench import check, equal, scenario
from commands import BAD, MEMBER, STRANGER, is_refused, works
from test_failure import slow_guest


@scenario("nova: live-migration, to a chosen and to a named host, and the lists of migrations", suite="clients")
def _(bench):
    guest = bench.guest("web")
    works(bench, ["nova", "live-migration", guest.uuid], MEMBER)
    first = bench.wait_for_migration(guest, "completed")
    works(bench, ["nova", "live-migration", guest.uuid, "compute-1"])
    bench.wait_for_migration(guest, "completed")
    bench.lab.wait(lambda: bench.host_of(guest) == "compute-1", 30, "it is back")
    bench.stands(guest, 1)
    printed = works(bench, ["nova", "migration-list", "--instance-uuid", guest.uuid])
    equal(printed.out.count("completed"), 2, f"migrations: {printed}")
    check(first["dest_compute"] in printed.out, f"the first one's target: {printed}")
    works(bench, ["nova", "server-migration-list", guest.uuid])
    printed = works(bench, ["nova", "list"], MEMBER)
    check("web" in printed.out and "ACTIVE" in printed.out, f"the list: {printed}")


@scenario("nova: migrate --poll follows a cold migration to its end, and resize-confirm confirms it", suite="clients")
def _(bench):
    guest = bench.guest("web")
    printed = works(bench, ["nova", "migrate", "--poll", "web"], MEMBER)
    check("Finished" in printed.out, f"it was followed: {printed}")
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    works(bench, ["nova", "resize-confirm", "web"], MEMBER)
    migration = bench.wait_for_migration(guest, "confirmed")
    bench.stands(guest, int(migration["dest_compute"][-1]), boots=2)


@scenario("nova: a move under way is listed, shown with its bytes, and ended", suite="clients",
          settings={"libvirt": {"live_migration_bandwidth": 1}})
def _(bench):
    guest = slow_guest(bench, "web")
    works(bench, ["nova", "live-migration", guest.uuid])
    bench.wait_for_migration(guest, "running")
    number = str(bench.migration(guest)["id"])
    printed = works(bench, ["nova", "server-migration-list", guest.uuid])
    check("running" in printed.out and f"| {number} " in printed.out, f"the list: {printed}")
    printed = works(bench, ["nova", "server-migration-show", guest.uuid, number])
    check("memory_processed_bytes" in printed.out and "compute-1" in printed.out, f"the one: {printed}")
    works(bench, ["nova", "live-migration-abort", guest.uuid, number])
    bench.wait_for_migration(guest, "cancelled")
    bench.stands(guest, 1)


@scenario("nova: host-evacuate-live empties a host", suite="clients")
def _(bench):
    guests = [bench.guest("web"), bench.guest("db", disk="private")]
    printed = works(bench, ["nova", "host-evacuate-live", "compute-1"])
    equal(printed.out.count("True"), 2, f"both were accepted: {printed}")
    for guest in guests:
        migration = bench.wait_for_migration(guest, "completed")
        bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("nova: a refusal is one line that says why", suite="clients")
def _(bench):
    guest = bench.guest("web")
    is_refused(bench, ["nova", "live-migration", guest.uuid, "compute-2"], MEMBER, "migrate_live:host", "403")
    is_refused(bench, ["nova", "live-migration", guest.uuid], STRANGER, guest.uuid)
    is_refused(bench, ["nova", "list"], BAD, "401")
    is_refused(bench, ["nova", "resize-confirm", guest.uuid], MEMBER, "vm_state active")
    bench.stands(guest, 1)
