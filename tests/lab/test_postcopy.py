"""Post-copy, where this machine lets a QEMU use userfaultfd: hosts in network namespaces, whose links are cut in the middle of it.

From the switch on the guest runs on the target with a part of its memory still on the source, so neither half is whole alone.
"""

import postcopy
from bench import check, equal, scenario
from lab import as_user
from test_settings import BUSY, force, moving

# The part before the switch is slow, so that there is something left; the part behind it is slowed down by `into_postcopy`.
SETTINGS = {"libvirt": {"live_migration_permit_post_copy": True, "live_migration_bandwidth": 8}, "worker": {"stall_timeout": 3}}
POSTCOPY = "running (post-copy)"


def refused():
    return None if postcopy.permit(as_user()) else "this machine lets no QEMU use userfaultfd"


def reason(host, guest):
    return host.virsh("domstate", "--reason", guest.uuid, check=False)


def into_postcopy(bench, name, mib_s):
    """A guest of which the target runs one half; what is left follows at `mib_s`."""
    guest = moving(bench, name, **BUSY)
    bench.hosts[0].virsh("migrate-setspeed", "--postcopy", guest.uuid, mib_s)
    force(bench, guest)
    bench.wait_for_migration(guest, POSTCOPY, 30)
    bench.lab.wait(lambda: reason(bench.hosts[1], guest) == "running (post-copy)", 30, "the target has taken over")
    guest.wait_for_progress()
    return guest


def counts_on(bench, guest, host_number):
    """It ended on the host, and nothing of its memory is lost: its count went on without a gap."""
    bench.wait_for_migration(guest, "completed", 90)
    bench.stands(guest, host_number)


@scenario("a forced move goes over to post-copy: shown as such, not to be aborted or forced any more, and it ends well (namespaces)",
          suite="network", settings=SETTINGS, refused=refused)
def _(bench):
    guest = into_postcopy(bench, "postcopy", 12)
    migration = bench.migration(guest)
    equal(reason(bench.hosts[0], guest), "paused (post-copy)", "what libvirt says of the source's half")
    state = f"Migration {migration['id']} state of instance {guest.uuid} is {POSTCOPY}. Cannot"
    answer = bench.admin.request("DELETE", f"/v2.1/servers/{guest.uuid}/migrations/{migration['id']}")
    equal((answer.status, answer.message), (400, f"{state} abort live migration while the migration is in this state."),
          "answer to an abort")
    equal(force(bench, guest, expect=400).message, f"{state} force complete while the migration is in this state.",
          "answer to another force_complete")
    counts_on(bench, guest, 2)
    check("stood still for" in str(bench.actions(guest)), "the time that it stood still is told")


@scenario("the migration network is cut in post-copy: the guest is saved by itself once the link is back (namespaces)",
          suite="network", settings=SETTINGS, refused=refused)
def _(bench):
    guest = into_postcopy(bench, "postcopy-cut", 8)
    bench.lab.cut(bench.hosts[1], "migrate")
    try:
        bench.lab.wait(lambda: reason(bench.hosts[0], guest) == "paused (post-copy failed)", 30, "the stream is known to be broken")
        equal(bench.migration(guest)["status"], POSTCOPY, "status of the migration")
    finally:
        bench.lab.join(bench.hosts[1], "migrate")
    counts_on(bench, guest, 2)


@scenario("the daemon is killed in post-copy, and the network is cut while it is away: both are made up for (namespaces)",
          suite="network", settings=SETTINGS, refused=refused)
def _(bench):
    guest = into_postcopy(bench, "postcopy-killed", 8)
    bench.daemon.kill()
    bench.lab.cut(bench.hosts[1], "migrate")
    try:
        bench.daemon.start()
        bench.lab.wait(lambda: reason(bench.hosts[0], guest) == "paused (post-copy failed)", 30, "the stream is known to be broken")
    finally:
        bench.lab.join(bench.hosts[1], "migrate")
    counts_on(bench, guest, 2)
