"""Live migrations that go well: which disks, which states, which wishes."""

import re
import sys
import time
from pathlib import Path

from bench import check, equal, scenario

sys.path.append(str(Path(__file__).resolve().parents[1] / "metrics"))
from exposition import Exposition  # noqa: E402


def moves(bench, guest, state="running", **wish):
    """Asks for a live migration without naming a host, and follows it to its end."""
    source = bench.host_of(guest)
    bench.live(guest, **wish)
    migration = bench.wait_for_migration(guest, "completed")
    check(migration["dest_compute"] != source, "it went to another host")
    equal((migration["source_compute"], migration["migration_type"]), (source, "live-migration"), "what is recorded")
    bench.stands(guest, int(migration["dest_compute"][-1]), state)
    return migration


@scenario("a running guest on shared storage moves live and counts on", both_ways=True)
def _(bench):
    guest = bench.guest("shared-running")
    moves(bench, guest)
    events = {event["event"]: event for event in bench.actions(guest)[0]["events"]}
    equal({event["result"] for event in events.values()}, {"Success"}, "results of the events")
    check(any(event.get("details") for event in events.values()), "an event says why this host and how long it stood")


@scenario("a member of the guest's project may have it moved")
def _(bench):
    guest = bench.guest("by-member")
    moves(bench, guest, api=bench.member)


@scenario("a running guest with a private disk moves live with a copy of it", both_ways=True)
def _(bench):
    guest = bench.guest("private-running", disk="private", disk_mb=8)
    before = guest.disk_path(bench.hosts[0]).read_bytes()
    migration = moves(bench, guest)
    after = guest.disk_path(bench.lab.host(migration["dest_compute"])).read_bytes()
    equal(len(after), len(before), "length of the disk")
    check(after[:512] == before[:512] and after[1024:] == before[1024:], "the disk's content is the same")
    written = int(after[512:520], 16)
    check(0 <= guest.count() - written <= 80, f"the guest writes on to its copied disk ({written} of {guest.count()})")


@scenario("a paused guest on shared storage moves and stays paused", both_ways=True)
def _(bench):
    guest = bench.guest("shared-paused", state="paused")
    migration = moves(bench, guest, state="paused")
    count = guest.count()
    bench.lab.host(migration["dest_compute"]).virsh("resume", guest.uuid)
    bench.wait_for_status(guest, "ACTIVE")
    guest.wait_for_count(count + 2)
    equal(guest.broken_counts(), [], "gaps in what it wrote after it was resumed")


@scenario("a paused guest with a private disk moves and stays paused")
def _(bench):
    moves(bench, bench.guest("private-paused", state="paused", disk="private"), state="paused")


@scenario("block_migration true copies a private disk, false keeps a shared one, at 2.1 too")
def _(bench):
    private = bench.guest("block-true", disk="private")
    moves(bench, private, block_migration=True)
    shared = bench.guest("block-false")
    bench.act(shared, "os-migrateLive", {"host": None, "block_migration": False, "disk_over_commit": False}, version="2.1")
    bench.stands(shared, int(bench.wait_for_migration(shared, "completed")["dest_compute"][-1]))


@scenario("a wish about the disks that cannot be met is refused, and nothing is touched")
def _(bench):
    private = bench.guest("block-refused", disk="private")
    shared = bench.guest("copy-refused")
    for guest, wish in ((private, False), (shared, True)):
        answer = bench.act(guest, "os-migrateLive", {"host": None, "block_migration": wish}, version="2.30", expect=400)
        check(answer.message, "the refusal has words")
        equal(bench.migration(guest)["status"], "error", "what is recorded")
        bench.stands(guest, 1)


@scenario("a guest that moved may move again, and back", both_ways=True)
def _(bench):
    guest = bench.guest("again", disk="private")
    for _ in range(3):
        moves(bench, guest)
    equal(len(bench.migrations(guest)), 3, "migrations that are recorded")


@scenario("guests of all three hosts move at the same time")
def _(bench):
    guests = [bench.guest(f"together-{number}", number) for number in (1, 2, 3)]
    for guest in guests:
        bench.live(guest)
    for guest in guests:
        migration = bench.wait_for_migration(guest, "completed", 90)
        bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("a slow move's progress is told every second while it lasts", settings={"libvirt": {"live_migration_bandwidth": 8}})
def _(bench):
    guest = bench.guest("progress", dirty_mb=48)
    bench.live(guest)
    bench.wait_for_migration(guest, "running")
    told = set()
    while bench.migration(guest)["status"] == "running":
        rows = bench.admin.get(f"/v2.1/servers/{guest.uuid}/migrations").body["migrations"]
        told |= {row["memory_remaining_bytes"] for row in rows if row["memory_total_bytes"]}
        time.sleep(0.2)
    bench.wait_for_migration(guest, "completed")
    check(len(told) >= 4, f"the bytes that remained, as told: {sorted(told, reverse=True)}")


@scenario("one live migration at a time leaves a host when the limit is one; the next waits queued",
          settings={"max_concurrent_live_migrations": 1, "libvirt": {"live_migration_bandwidth": 16}})
def _(bench):
    first = bench.guest("limit-first", dirty_mb=48)
    second = bench.guest("limit-second")
    bench.live(first)
    bench.wait_for_migration(first, "running")
    bench.live(second)
    equal(bench.wait_for_migration(second, "queued")["status"], "queued", "status of the second")
    for guest in (first, second):
        migration = bench.wait_for_migration(guest, "completed", 90)
        bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("a live move is measured: its downtime as its events tell it, its bytes of memory and of disks")
def _(bench):
    guest = bench.guest("measured", disk="private", disk_mb=8)
    before = Exposition(bench.admin.get("/metrics").text)
    moves(bench, guest)

    def grown(name, **labels):
        return Exposition(bench.admin.get("/metrics").text).value(name, **labels) - before.value(name, **labels)

    bench.lab.wait(lambda: grown("migrationd_moves_total", kind="live", outcome="completed") == 1, 10, "the move is counted")
    details = " ".join(event.get("details") or "" for event in bench.actions(guest)[0]["events"])
    stood_ms = int(re.search(r"stood still for (\d+) ms", details)[1])
    equal(round(grown("migrationd_live_migration_downtime_seconds_sum") * 1000), stood_ms, "downtime")
    check(grown("migrationd_live_migration_bytes_total", part="memory") > 1024 * 1024, "bytes of its memory")
    copied = grown("migrationd_live_migration_bytes_total", part="disk")
    check(8 * 1024 * 1024 <= copied < 9 * 1024 * 1024, f"bytes of its disk, with what it wrote meanwhile ({copied})")
