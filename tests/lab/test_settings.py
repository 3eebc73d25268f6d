"""Nova's settings of a live migration, each by the effect that libvirt and QEMU show of it on the source."""

import subprocess
import time

from bench import check, equal, scenario
from test_interface import MIB, bytes_of_a_move

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


def parameters(bench, guest):
    """What QEMU on the source was told for the move: names and values, capabilities among them."""
    told = {}
    for words in ("info migrate_parameters", "info migrate_capabilities"):
        for line in bench.hosts[0].virsh("qemu-monitor-command", guest.uuid, "--hmp", words).splitlines():
            if ":" in line:
                name, value = line.split(":", 1)
                told[name.strip()] = value.split()[0].strip("'")
    return told


def connections(address):
    """Established connections to the address, beside those to libvirtd."""
    words = ["ss", "--no-header", "--numeric", "--tcp", "state", "established", "dst", "=", address]
    rows = [line.split() for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()]
    return [row for row in rows if not row[3].endswith((":16509", ":16514"))]


@scenario("live_migration_bandwidth, …_parallel_connections: QEMU is given the cap, and memory goes over as many connections",
          settings={"libvirt": {"live_migration_bandwidth": 8, "live_migration_parallel_connections": 4}})
def _(bench):
    guest = moving(bench, "capped", memory_mb=96, dirty_mb=64)
    told = parameters(bench, guest)
    equal((told["max-bandwidth"], told["multifd-channels"], told["multifd"]), (str(8 * 1024 * 1024), "4", "on"), "what QEMU was told")
    equal(len(connections(bench.hosts[1].migration_address)), 5, "connections, with the one that leads")
    ends_on(bench, guest, 2)


@scenario("live_migration_permit_auto_converge: a guest that writes faster than it is copied is slowed down, and its move ends",
          settings={"libvirt": {"live_migration_bandwidth": 24, "live_migration_permit_auto_converge": True}})
def _(bench):
    guest = moving(bench, "slowed-down", **BUSY)
    equal(parameters(bench, guest)["auto-converge"], "on", "what QEMU was told")
    bench.lab.wait(lambda: statistics(bench, guest).get("throttle", 0) > 0, 60, "the guest is slowed down")
    force(bench, guest)  # how far it must be slowed down is QEMU's to say
    ends_on(bench, guest, 2)


@scenario("without it the guest is left alone; live_migration_downtime grows in steps, each after its delay",
          settings={"libvirt": {"live_migration_bandwidth": 16, "live_migration_downtime": 900, "live_migration_downtime_steps": 3,
                                "live_migration_downtime_delay": 3}})
def _(bench):
    guest = moving(bench, "left-alone", **BUSY)
    equal(parameters(bench, guest)["auto-converge"], "off", "what QEMU was told")
    seen = []

    def grows():
        limit = int(parameters(bench, guest)["downtime-limit"])
        if not seen or seen[-1] != limit:
            seen.append(limit)
        return limit == 900
    bench.lab.wait(grows, 40, f"the whole downtime is allowed: {seen}")
    check(seen == sorted(seen) and len(seen) >= 3, f"downtimes that were allowed: {seen}")
    equal(statistics(bench, guest).get("throttle", 0), 0, "throttle")
    force(bench, guest)
    ends_on(bench, guest, 2)


@scenario("shutdown_timeout: a guest that does not shut down by itself is left as much time in a cold migration, then put out",
          settings={"shutdown_timeout": 5})
def _(bench):
    guest = bench.guest("takes-its-time")
    began = time.monotonic()
    bench.act(guest, "migrate", {"host": "compute-2"}, version="2.56")
    bench.lab.wait(lambda: not bench.hosts[0].qemu_of(guest), 30, "the guest is off")
    took = time.monotonic() - began
    check(5 <= took < 15, f"it was off after {took:.1f} s")
    bench.wait_for_migration(guest, "finished")
    bench.act(guest, "confirmResize", expect=204)
    bench.wait_for_migration(guest, "confirmed")
    bench.stands(guest, 2, boots=2)


@scenario("live_migration_inbound_addr: where neither the host nor a NIC says where, the stream goes to that address (namespaces)",
          suite="network", settings={"nics": None, "libvirt": {"live_migration_inbound_addr": "10.91.0.2"}})
def _(bench):
    guest = bench.guest("inbound", dirty_mb=40)
    over = bytes_of_a_move(bench, guest, 2)
    check(over["manage"] > 40 * MIB and over["migrate"] < MIB, f"bytes over each NIC: {over}")


def phase(bench, guest):
    rows = bench.daemon.rows("SELECT phase FROM jobs WHERE server_uuid = ? ORDER BY id DESC LIMIT 1", guest.uuid)
    return rows[0][0] if rows else None


@scenario("cold moves from a host, and moves to a host, have limits of their own; a guest has its time to shut down",
          settings={"max_concurrent_cold_migrations": 1, "max_concurrent_incoming_migrations": 1, "shutdown_timeout": 6})
def _(bench):
    first, second, live = (bench.guest(name, number) for name, number in (("cold-first", 1), ("cold-second", 1), ("live-third", 3)))
    bench.act(first, "migrate", {"host": "compute-2"})
    bench.lab.wait(lambda: phase(bench, first) == "stopping", 20, "the first one is told to shut down")
    began = time.monotonic()
    bench.act(second, "migrate", {"host": "compute-3"})
    bench.live(live, host="compute-2")
    bench.lab.wait(lambda: phase(bench, second) == phase(bench, live) == "queued", 20, "the others wait")
    equal(phase(bench, first), "stopping", "phase of the first")
    bench.lab.wait(lambda: phase(bench, first) != "stopping", 30, "the first one is put out")
    check(time.monotonic() - began > 4, "it had its time to shut down")
    for guest, host, ended in ((first, 2, "finished"), (second, 3, "finished"), (live, 2, "completed")):
        equal(bench.wait_for_migration(guest, ended, 60)["dest_compute"], f"compute-{host}", "where it went")
    for guest, host in ((first, 2), (second, 3)):
        bench.wait_for_status(guest, "VERIFY_RESIZE")
        bench.act(guest, "confirmResize", expect=204)
        bench.wait_for_migration(guest, "confirmed")
        bench.stands(guest, host, boots=2)
    bench.stands(live, 2)
