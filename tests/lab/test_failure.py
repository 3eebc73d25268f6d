"""Moves that go wrong: before anything is begun, while it is under way, and by the hands of somebody else."""

import os
import signal

from bench import check, equal, scenario
from guest import Guest, disk_image

# So slow that there is time to break something: a guest of about 100 MiB takes over ten seconds.
SLOW = {"libvirt": {"live_migration_bandwidth": 8}}


def slow_guest(bench, name, **parts):
    return bench.guest(name, 1, memory_mb=128, dirty_mb=96, **parts)


def midway(bench, guest, target=2):
    """The guest is on its way to the host, and bytes have gone over."""
    bench.live(guest, host=f"compute-{target}")
    bench.wait_for_migration(guest, "running")
    source = bench.hosts[0]
    bench.lab.wait(lambda: "Data processed" in source.virsh("domjobinfo", guest.uuid, check=False), 15,
                   "bytes have gone over")


def rolled_back(bench, guest, status="failed", seconds=60):
    """The guest is whole where it was, and can be moved at once again."""
    bench.wait_for_migration(guest, status, seconds)
    bench.stands(guest, 1)
    check(any(details for _, _, details in bench.why(guest)), f"an event says why: {bench.why(guest)}")


def occupy(bench, host_number, name):
    """Another guest with the same name as one that may come; libvirt takes a name only once."""
    host = bench.hosts[host_number - 1]
    other = Guest(bench.lab, name)
    path = bench.lab.folder / "occupied.xml"
    path.write_text(other.definition(host))
    host.virsh("define", path)
    path.unlink()
    bench.lab.wait(lambda: bench.daemon.knows(other), 10, "the other guest is seen")
    return other


@scenario("live: where the best host's pre-check fails the next host is taken")
def _(bench):
    guest = bench.guest("alternate-live", disk="private")
    bench.fill(3, 2000)  # compute-2 is the better one
    stray = bench.hosts[1].images / f"{guest.name}.img"
    stray.write_bytes(b"of somebody else")
    bench.lab.give(stray)
    bench.hosts[1].virsh("pool-refresh", "private")
    try:
        bench.live(guest)
        equal(bench.wait_for_migration(guest, "completed")["dest_compute"], "compute-3", "where it went")
        equal(stray.read_bytes(), b"of somebody else", "the file that was in the way")
    finally:
        stray.unlink()
    bench.stands(guest, 3)


@scenario("cold: where the best host already has that name the next host is taken")
def _(bench):
    guest = bench.guest("alternate-cold", disk="private")
    bench.fill(3, 2000)
    other = occupy(bench, 2, guest.name)
    bench.act(guest, "migrate")
    equal(bench.wait_for_migration(guest, "finished")["dest_compute"], "compute-3", "where it went")
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    bench.act(guest, "confirmResize", expect=204)
    bench.wait_for_migration(guest, "confirmed")
    bench.hosts[1].virsh("undefine", other.uuid)
    bench.stands(guest, 3, boots=2)


@scenario("no host fits: each host and its reason are told to admins, numbers to members, and nothing changes")
def _(bench):
    guest = bench.guest("no-host")
    bench.fill(2, 10)
    bench.set_service(3, status="disabled")
    try:
        wish = {"host": None, "block_migration": "auto"}
        admins = bench.act(guest, "os-migrateLive", wish, "2.30", expect=400).message
        members = bench.act(guest, "os-migrateLive", wish, "2.30", api=bench.member, expect=400).message
        for words in (admins, members):
            check(words.startswith("No valid host was found."), f"words: {words}")
        check("compute-2" in admins and "compute-3" in admins, f"admins read the hosts' names: {admins}")
        check("compute-" not in members, f"members do not: {members}")
        bench.act(guest, "os-migrateLive", wish)
        bench.wait_for_migration(guest, "error")
        bench.stands(guest, 1)
    finally:
        bench.set_service(3, status="enabled")


@scenario("a guest with a CD-ROM of its host is refused before anything is begun, and told why")
def _(bench):
    iso = bench.hosts[0].folder / "local.iso"
    iso.write_bytes(bytes(4096))
    bench.lab.give(iso)
    guest = bench.guest("with-cdrom", devices=f"<disk type='file' device='cdrom'><source file='{iso}'/>"
                        "<target dev='sda' bus='sata'/><readonly/></disk>")
    answer = bench.act(guest, "os-migrateLive", {"host": None, "block_migration": "auto"}, "2.30", expect=400)
    check("sda" in answer.message or "CD" in answer.message or str(iso) in answer.message or "cdrom" in answer.message,
          f"what stands in the way is named: {answer.message}")
    bench.stands(guest, 1)


@scenario("the target's QEMU is killed in the copy: the guest runs on, the target is clean", settings=SLOW, both_ways=True)
def _(bench):
    guest = slow_guest(bench, "target-qemu-killed")
    midway(bench, guest)
    for pid in bench.hosts[1].qemu_of(guest):
        os.kill(pid, signal.SIGKILL)
    rolled_back(bench, guest)


@scenario("the same with a private disk: the half copied disk goes, the guest's own stays", settings=SLOW)
def _(bench):
    guest = slow_guest(bench, "target-qemu-killed-private", disk="private", disk_mb=16)
    before = guest.disk_path(bench.hosts[0]).read_bytes()
    midway(bench, guest)
    for pid in bench.hosts[1].qemu_of(guest):
        os.kill(pid, signal.SIGKILL)
    rolled_back(bench, guest)
    after = guest.disk_path(bench.hosts[0]).read_bytes()
    check(before[1024:] == after[1024:], "the source's disk is whole")


@scenario("the target's libvirtd is killed in the copy: the guest runs on, the target is clean when it is back",
          settings=SLOW)
def _(bench):
    guest = slow_guest(bench, "target-libvirtd-killed")
    midway(bench, guest)
    bench.hosts[1].kill()
    bench.hosts[1].start()
    bench.hosts[1].wait_until_up()
    rolled_back(bench, guest)


@scenario("while the target's libvirtd stays away nothing is decided to the guest's harm", settings=SLOW)
def _(bench):
    guest = slow_guest(bench, "target-away")
    midway(bench, guest)
    bench.hosts[1].kill()
    guest.wait_for_progress()
    equal(bench.lab.host("compute-1").state(guest), "running", "the guest on the source")
    bench.lab.wait(lambda: bench.service_state(2) == "down", 20, "the target is down")
    guest.wait_for_progress()
    bench.hosts[1].start()
    bench.hosts[1].wait_until_up()
    rolled_back(bench, guest)


@scenario("the source's libvirtd is killed in the copy: what came of it is found out when it is back", settings=SLOW)
def _(bench):
    guest = slow_guest(bench, "source-libvirtd-killed")
    midway(bench, guest)
    bench.hosts[0].kill()
    bench.hosts[0].start()
    bench.hosts[0].wait_until_up()
    rolled_back(bench, guest)


@scenario("the source's QEMU is killed in the copy: the record says failed, the server is off, both sides are clean",
          settings=SLOW)
def _(bench):
    guest = slow_guest(bench, "source-qemu-killed")
    midway(bench, guest)
    for pid in bench.hosts[0].qemu_of(guest):
        os.kill(pid, signal.SIGKILL)
    bench.wait_for_migration(guest, {"failed", "error"})
    bench.lab.wait(lambda: bench.lab.places(guest) == {"compute-1": "shut off"}, 20, "it is known on the source alone, off")
    equal(bench.lab.qemus(guest), [], "QEMU processes")
    bench.lab.wait(lambda: bench.server(guest)["status"] in ("SHUTOFF", "ERROR"), 10, "the server is shown as it is")


@scenario("after a move that failed the next one is accepted and goes well", settings=SLOW)
def _(bench):
    guest = slow_guest(bench, "second-try")
    midway(bench, guest)
    for pid in bench.hosts[1].qemu_of(guest):
        os.kill(pid, signal.SIGKILL)
    rolled_back(bench, guest)
    bench.live(guest, host="compute-3")
    bench.wait_for_migration(guest, "completed", 90)
    bench.stands(guest, 3)


@scenario("the move takes longer than its limit: it is ended, the guest stays",
          settings={"libvirt": {"live_migration_bandwidth": 1, "live_migration_completion_timeout": 2}})
def _(bench):
    guest = slow_guest(bench, "over-limit")
    bench.live(guest, host="compute-2")
    rolled_back(bench, guest, status={"cancelled", "failed"})


@scenario("the move takes longer than its limit: where that is configured its end is forced",
          settings={"libvirt": {"live_migration_bandwidth": 16, "live_migration_completion_timeout": 2,
                                "live_migration_timeout_action": "force_complete"}})
def _(bench):
    # Writes faster than it is copied: left alone it would never come to an end.
    guest = bench.guest("forced-end", 1, memory_mb=96, dirty_mb=64, pages_per_round=2000)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "completed", 90)
    bench.stands(guest, 2)


def copying(bench, name, disk_mb, state="running"):
    """A cold migration to compute-2 whose disk has begun to arrive there; gives the guest, its disk's bytes, and that file."""
    guest = bench.guest(name, state=state, disk="private", disk_mb=disk_mb)
    before = guest.disk_path(bench.hosts[0]).read_bytes()
    bench.act(guest, "migrate", {"host": "compute-2"})
    path = guest.disk_path(bench.hosts[1])
    bench.lab.wait(lambda: path.exists() and path.stat().st_blocks > 64, 30, "bytes have arrived")
    return guest, before, path


@scenario("cold: the target's libvirtd is killed in the copy: the guest starts again on its host at once, and the copy goes when the "
          "target is back", settings={"worker": {"retry_interval": 1}})
def _(bench):
    guest, before, path = copying(bench, "cold-target-killed", 128)
    bench.hosts[1].kill()
    bench.wait_for_migration(guest, {"error", "failed"})
    bench.wait_for_status(guest, "ACTIVE")
    guest.wait_for_boots(2)
    check(before[1024:] == guest.disk_path(bench.hosts[0]).read_bytes()[1024:], "the source's disk is whole")
    bench.hosts[1].start()
    bench.hosts[1].wait_until_up()
    bench.lab.wait(lambda: not path.exists(), 30, "what was copied goes")
    bench.stands(guest, 1, boots=2)


@scenario("cold: a copy that is not what was sent is not trusted: the guest is started again where it was")
def _(bench):
    guest, before, path = copying(bench, "cold-copy-spoilt", 192)
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"not what was sent")
    bench.wait_for_migration(guest, {"error", "failed"})
    bench.wait_for_status(guest, "ACTIVE")
    bench.stands(guest, 1, boots=2)
    check("is not what was sent" in str(bench.why(guest)), f"an event says why: {bench.why(guest)}")
    after = guest.disk_path(bench.hosts[0]).read_bytes()
    check(before[1024:] == after[1024:], "the source's disk is whole")


@scenario("cold: a guest that cannot be started on the target goes back, and the target is clean")
def _(bench):
    guest = bench.guest("cold-start-fails", disk="private", has_memory_file=True)
    before = guest.disk_path(bench.hosts[0]).read_bytes()
    bench.hosts[1].close_memory_folder()
    try:
        bench.act(guest, "migrate", {"host": "compute-2"})
        bench.wait_for_migration(guest, {"error", "failed"})
        bench.wait_for_status(guest, "ACTIVE")
        bench.stands(guest, 1, boots=2)
        after = guest.disk_path(bench.hosts[0]).read_bytes()
        check(before[1024:] == after[1024:], "the disk is whole")
    finally:
        bench.hosts[1].open_memory_folder()
    bench.act(guest, "migrate", {"host": "compute-3"})  # what failed stands in the way of nothing
    bench.wait_for_migration(guest, "finished")
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    bench.act(guest, "confirmResize", expect=204)
    bench.wait_for_migration(guest, "confirmed")
    bench.stands(guest, 3, boots=3)


@scenario("live: the target cannot start its half: the guest runs on, the target is clean")
def _(bench):
    guest = bench.guest("live-start-fails", disk="private", has_memory_file=True)
    bench.hosts[1].close_memory_folder()
    try:
        bench.live(guest, host="compute-2")
        rolled_back(bench, guest, {"failed", "error"})
    finally:
        bench.hosts[1].open_memory_folder()
