"""Faults that other systems had, each as the behaviour that is right here. More of them stand beside their kind: what was asked
for once limits nothing later (test_cold), a failed end leaves no claim and a broken move no half (test_failure), a move to where
the server is (test_named_host), IPv6 (test_network), progress of many moves (the daemon's suite)."""

import time

from bench import check, equal, scenario
from guest import disk_image
from test_failure import rolled_back, slow_guest

AUTO = {"host": None, "block_migration": "auto"}


def abort(bench, guest):
    number = bench.migration(guest)["id"]
    equal(bench.admin.request("DELETE", f"/v2.1/servers/{guest.uuid}/migrations/{number}").status, 202, "the abort")
    bench.wait_for_migration(guest, "cancelled")


def second_disk(bench):
    """A private disk beside the guest's own, and how its definition names it."""
    path = bench.hosts[0].images / "second.img"
    path.write_bytes(disk_image(0, 0, 2))
    bench.lab.give(path)
    bench.hosts[0].virsh("pool-refresh", "private")
    return path, (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
                  "<target dev='vdb' bus='virtio'/></disk>")


@scenario("undoing a preparation that failed at the second disk leaves the source's disks as they were, and cleans the target alone")
def _(bench):
    path, devices = second_disk(bench)
    stray = bench.hosts[1].images / path.name  # of somebody else, with the name that the copy would have
    stray.write_bytes(b"of somebody else")
    bench.lab.give(stray)
    bench.hosts[1].virsh("pool-refresh", "private")
    guest = bench.guest("two-disks", disk="private", devices=devices)
    before = [guest.disk_path(bench.hosts[0]).read_bytes()[1024:], path.read_bytes()]
    try:
        bench.live(guest, host="compute-2")
        rolled_back(bench, guest, {"failed", "error"})
        bench.act(guest, "migrate", {"host": "compute-2"})
        bench.wait_for_migration(guest, {"failed", "error"})
        bench.wait_for_status(guest, "ACTIVE")
        equal([guest.disk_path(bench.hosts[0]).read_bytes()[1024:], path.read_bytes()], before, "the source's disks")
        attached = bench.hosts[0].virsh("domblklist", guest.uuid)
        check(str(guest.disk_path(bench.hosts[0])) in attached and str(path) in attached, f"both are attached: {attached}")
        bench.wait_for_chores(guest)
        equal(bench.files_in(bench.hosts[1].images), [stray.name], "files in the target's pool")
        equal(stray.read_bytes(), b"of somebody else", "the other's file")
    finally:
        bench.hosts[0].virsh("destroy", guest.uuid, check=False)
        for file in (stray, path):
            file.unlink()


@scenario("a server whose host is down is refused at once, one whose host is disabled is not",
          settings={"worker": {"retry_interval": 1}})
def _(bench):
    guest = bench.guest("host-down")
    words = "Service is unavailable at this time."
    bench.set_service(1, forced_down=True)
    equal(bench.act(guest, "migrate", expect=409).message, words, "forced down")
    bench.set_service(1, status="disabled")
    equal(bench.act(guest, "migrate", expect=409).message, words, "forced down and disabled")
    bench.set_service(1, forced_down=False)
    bench.hosts[0].kill()
    bench.lab.wait(lambda: bench.service_state(1) == "down", 30, "the host is down")
    equal(bench.act(guest, "migrate", expect=409).message, words, "its libvirtd is gone")
    answer = bench.act(guest, "os-migrateLive", AUTO, "2.30", expect=400)
    equal(answer.message, "Compute service of compute-1 is unavailable at this time.", "live below 2.34")
    server = bench.server(guest)
    equal((server["status"], server["OS-EXT-STS:task_state"]), ("ACTIVE", None), "nothing has changed")
    bench.hosts[0].start()
    bench.hosts[0].wait_until_up()
    bench.lab.wait(lambda: bench.service_state(1) == "up", 30, "the host is up again")
    bench.live(guest)  # it is still disabled
    migration = bench.wait_for_migration(guest, "completed")
    bench.set_service(1, status="enabled")
    bench.stands(guest, int(migration["dest_compute"][-1]))


def crowd(bench, wanted):
    """So many vCPUs as are wanted taken on each host but the first, by guests that are off."""
    for number in (2, 3):
        bench.guest(f"crowd-{number}", number, "stopped", vcpus=wanted, memory_mb=64, disk="shared")


def cpus(bench):
    row = bench.admin.get("/v2.1/os-hypervisors/detail", version="2.87").body["hypervisors"][0]
    return row["vcpus"]


@scenario("overcommitted CPUs are for claims what they are for the choice: a ratio of 4 takes the guest",
          settings={"cpu_allocation_ratio": 4.0})
def _(bench):
    count = cpus(bench)
    crowd(bench, 3 * count)
    guest = bench.guest("four-fold", vcpus=count)
    bench.live(guest)
    migration = bench.wait_for_migration(guest, "completed")
    bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("without overcommitment the same guest fits nowhere, and CPU is named", settings={"cpu_allocation_ratio": 1.0})
def _(bench):
    count = cpus(bench)
    crowd(bench, count)
    guest = bench.guest("one-fold", vcpus=count)
    answer = bench.act(guest, "os-migrateLive", AUTO, "2.30", expect=400)
    check(answer.message.startswith("No valid host was found.") and "CPU" in answer.message, f"words: {answer.message}")
    bench.stands(guest, 1)


@scenario("a move whose rest goes up and down is not ended while bytes go over",
          settings={"libvirt": {"live_migration_bandwidth": 8}, "worker": {"stall_timeout": 3}})
def _(bench):
    guest = bench.guest("bursts", memory_mb=128, dirty_mb=96, pages_per_round=3000)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    rests = []
    for _ in range(30):  # five times the stall's limit
        rests.append(bench.migration(guest)["status"])
        time.sleep(0.5)
    equal(set(rests), {"running"}, "status over 15 seconds")
    abort(bench, guest)
    bench.stands(guest, 1)


@scenario("the target dies in the preparation: the record says failed in bounded time, and a new request is taken",
          settings={"worker": {"retry_interval": 1}})
def _(bench):
    for attempt in range(5):
        guest = bench.guest(f"dies-preparing-{attempt}", disk="private", disk_mb=64)
        bench.live(guest, host="compute-2")
        found = bench.daemon.watch_jobs(lambda kind, phase: kind == "live" and phase == "preparing")
        bench.hosts[1].kill()
        bench.hosts[1].start()
        bench.hosts[1].wait_until_up()
        status = bench.wait_for_migration(guest, {"failed", "error", "completed"}, 60)["status"]
        if found and status != "completed":
            break
        bench.lab.remove(guest)
    check(status != "completed", "the preparation was met")
    bench.stands(guest, 1)
    bench.live(guest, host="compute-3")
    bench.wait_for_migration(guest, "completed")
    bench.stands(guest, 3)


@scenario("a queued move is aborted at once from 2.65 on, and its place is free for the next",
          settings={"max_concurrent_live_migrations": 1, "libvirt": {"live_migration_bandwidth": 8}})
def _(bench):
    first, second = slow_guest(bench, "abort-first"), bench.guest("abort-queued")
    bench.live(first, host="compute-2")
    bench.wait_for_migration(first, "running")
    bench.live(second, host="compute-3")
    number = bench.wait_for_migration(second, "queued")["id"]
    path = f"/v2.1/servers/{second.uuid}/migrations/{number}"
    answer = bench.admin.request("DELETE", path, version="2.64")
    equal(answer.status, 400, f"below 2.65 ({answer.text})")
    check("queued" in answer.message, f"words: {answer.message}")
    equal(bench.admin.request("DELETE", path, version="2.65").status, 202, "from 2.65 on")
    bench.wait_for_migration(second, "cancelled", 5)
    bench.stands(second, 1)
    abort(bench, first)
    bench.stands(first, 1)
    bench.live(second, host="compute-3")
    bench.wait_for_migration(second, "completed")
    bench.stands(second, 3)


@scenario("a move over its time limit is ended within about a second of it, cancelled, and its event says why",
          settings={"libvirt": {"live_migration_bandwidth": 1, "live_migration_completion_timeout": 1}})
def _(bench):
    guest = slow_guest(bench, "over-time")  # the limit is a second for each GiB, of which there are two at least
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    began = time.monotonic()
    rolled_back(bench, guest, "cancelled", 20)
    passed = time.monotonic() - began
    check(1 <= passed <= 8, f"it was ended after {passed:.1f} s, with all that comes after it")
    check("longer than its limit of 2 s" in str(bench.why(guest)), f"why: {bench.why(guest)}")
