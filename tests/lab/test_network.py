"""Networks are cut: hosts in network namespaces, each with a management and a migration NIC."""

import time
from pathlib import Path

from bench import check, equal, scenario

SLOW = {"libvirt": {"live_migration_bandwidth": 8}, "worker": {"stall_timeout": 8}}


def midway(bench, name):
    guest = bench.guest(name, 1, memory_mb=128, dirty_mb=96)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    bench.lab.wait(lambda: "Data processed" in bench.hosts[0].virsh("domjobinfo", guest.uuid, check=False), 15,
                   "bytes have gone over")
    return guest


@scenario("a guest moves over the migration NIC, not over the management NIC (namespaces)", suite="network")
def _(bench):
    def sent(nic):  # /sys would tell of the namespace that it was mounted in
        rows = Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines()
        return next(int(row.split(":")[1].split()[8]) for row in rows if row.strip().startswith(f"{nic}2:"))
    guest = bench.guest("by-its-own-nic", 1, dirty_mb=40)
    before = sent("manage"), sent("migrate")
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "completed")
    bench.stands(guest, 2)
    over_manage, over_migrate = sent("manage") - before[0], sent("migrate") - before[1]
    check(over_migrate > 40 * 1024 * 1024 and over_manage < 4 * 1024 * 1024,
          f"{over_migrate} bytes over the migration NIC, {over_manage} over the other")


@scenario("a short cut of the migration network is waited out (namespaces)", suite="network",
          settings={"libvirt": {"live_migration_bandwidth": 8}, "worker": {"stall_timeout": 60}})
def _(bench):
    guest = midway(bench, "short-cut")
    bench.lab.cut(bench.hosts[1], "migrate")
    time.sleep(3)
    bench.lab.join(bench.hosts[1], "migrate")
    bench.wait_for_migration(guest, "completed", 120)
    bench.stands(guest, 2)


@scenario("a migration network that is cut for a minute: the move is ended in bounded time, the guest stays (namespaces)",
          suite="network", settings=SLOW)
def _(bench):
    guest = midway(bench, "stands-still")
    began = time.monotonic()
    bench.lab.cut(bench.hosts[1], "migrate")
    try:
        bench.wait_for_migration(guest, {"failed", "cancelled"}, 30)
        bench.stands(guest, 1)
        time.sleep(max(0, began + 60 - time.monotonic()))
    finally:
        bench.lab.join(bench.hosts[1], "migrate")
    bench.stands(guest, 1)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    bench.wait_for_migration(guest, "completed", 120)
    bench.stands(guest, 2)


@scenario("the target's management network is cut: nothing is decided until it is back (namespaces)", suite="network",
          settings=SLOW)
def _(bench):
    guest = midway(bench, "target-unreachable")
    bench.lab.cut(bench.hosts[1], "manage")
    try:
        bench.lab.wait(lambda: bench.service_state(2) == "down", 30, "the target is down")
        guest.wait_for_progress()
        time.sleep(3)
        check(bench.migration(guest)["status"] not in ("completed", "failed", "error"), "nothing is decided yet")
    finally:
        bench.lab.join(bench.hosts[1], "manage")
    bench.wait_for_migration(guest, {"failed", "completed"}, 120)
    bench.stands(guest, int(bench.host_of(guest)[-1]))


@scenario("only our connection to the source is cut: the move that went on is found out (namespaces)", suite="network",
          settings=SLOW)
def _(bench):
    guest = midway(bench, "source-unreachable")
    bench.lab.cut(bench.hosts[0], "manage")
    try:
        bench.lab.wait(lambda: bench.service_state(1) == "down", 30, "the source is down")
        time.sleep(3)
        check(bench.migration(guest)["status"] not in ("failed", "error"), "nothing is decided yet")
    finally:
        bench.lab.join(bench.hosts[0], "manage")
    bench.wait_for_migration(guest, {"failed", "completed"}, 120)
    bench.stands(guest, int(bench.host_of(guest)[-1]))


@scenario("a host whose network is gone is down within seconds and comes back (namespaces)", suite="network",
          settings=SLOW)
def _(bench):
    guest = bench.guest("cut-off", 3)
    bench.lab.cut(bench.hosts[2], "manage")
    try:
        bench.lab.wait(lambda: bench.service_state(3) == "down", 30, "the service is down")
        began = time.monotonic()
        equal(bench.admin.get("/v2.1/servers/detail?all_tenants=1").status, 200, "status of a list")
        check(time.monotonic() - began < 1, "the daemon is not slowed down")
    finally:
        bench.lab.join(bench.hosts[2], "manage")
    bench.lab.wait(lambda: bench.service_state(3) == "up", 30, "the service is up again")
    bench.stands(guest, 3)


@scenario("guests move to an IPv6 address, live with shared and with private disks (namespaces)", suite="network")
def _(bench):
    shared, private = bench.guest("ipv6-shared"), bench.guest("ipv6-private", disk="private")
    ipv4 = [host.migration_address for host in bench.hosts]
    bench.daemon.stop()
    try:
        for host in bench.hosts:
            host.migration_address = bench.lab.ipv6_address(host.number)
        bench.daemon.start()
        bench.daemon.wait_for_fleet()
        for guest in (shared, private):
            bench.live(guest, host="compute-2")
            bench.wait_for_migration(guest, "completed")
            bench.stands(guest, 2)
    finally:
        bench.daemon.stop()
        for host, address in zip(bench.hosts, ipv4):
            host.migration_address = address
        bench.daemon.start()
        bench.daemon.wait_for_fleet()
