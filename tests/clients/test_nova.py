"""The older `nova` command, as Debian ships it."""

from bench import check, equal, scenario
from commands import BAD, MEMBER, STRANGER, is_refused, works


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
