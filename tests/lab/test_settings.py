"""Nova's settings of a live migration, each by the effect that libvirt and QEMU show of it on the source."""

from bench import check, equal, scenario

# Writes faster than it is copied: left alone it would never come to an end.
BUSY = {"memory_mb": 96, "dirty_mb": 64, "pages_per_round": 2000}


def moving(bench, name, **parts):
    """A guest on its way from compute-1 to compute-2, whose stream has begun."""
    guest = bench.guest(name, 1, **parts)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    bench.lab.wait(lambda: statistics(bench, guest).get("memory_iteration"), 30, "the stream has begun")
    return guest


def statistics(bench, guest):
    """What libvirt tells of the job on the source, by virsh's words."""
    words = {"Iteration": "memory_iteration", "Auto converge throttle": "throttle", "Expected downtime": "downtime"}
    lines = bench.hosts[0].virsh("domjobinfo", guest.uuid, check=False).splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    return {words[name.strip()]: int(value.split()[0]) for name, value in pairs if name.strip() in words}


def ends_on(bench, guest, host_number, seconds=90):
    bench.wait_for_migration(guest, "completed", seconds)
    bench.stands(guest, host_number)


def force(bench, guest, expect=202):
    migration = bench.migration(guest)
    answer = bench.admin.request("POST", f"/v2.1/servers/{guest.uuid}/migrations/{migration['id']}/action", {"force_complete": None})
    equal(answer.status, expect, f"status of force_complete ({answer.text})")
    return answer


@scenario("post-copy that is permitted but refused by the hosts: the move is made without it, a forced one by a pause, and both say why",
          settings={"libvirt": {"live_migration_permit_post_copy": True, "live_migration_bandwidth": 16}})
def _(bench):
    guest = moving(bench, "postcopy-refused", **BUSY)
    force(bench, guest)
    bench.lab.wait(lambda: bench.hosts[0].state(guest) != "running", 30, "the guest stands still on the source")
    ends_on(bench, guest, 2)
    told = str(bench.actions(guest))
    check("post-copy was refused" in told and "Postcopy is not supported" in told, f"an event says why: {told}")
    check("guest is paused instead, post-copy being refused" in bench.daemon.log_path.read_text(), "the log says so, too")
