"""What somebody does to a guest or its disk by virsh while the service has it in hand: nothing of the guest is lost by that, it
runs once at the most, and what was done stays done."""

from bench import check, equal, scenario
from test_cold import migrates, revert
from test_failure import copying, midway

SLOW = {"libvirt": {"live_migration_bandwidth": 8}}


def disk_is(bench, guest, before, number):
    after = guest.disk_path(bench.hosts[number - 1]).read_bytes()
    check(before[:512] == after[:512] and before[1024:] == after[1024:], f"the disk on compute-{number} is whole")


@scenario("cold: a guest that is started on its host while its disk is copied runs on there, once, and the copy goes")
def _(bench):
    guest, before, path = copying(bench, "hand-started", 128, state="stopped")
    bench.hosts[0].virsh("start", guest.uuid)
    bench.wait_for_migration(guest, "error")
    bench.lab.wait(lambda: not path.exists(), 15, "what was copied goes")
    bench.stands(guest, 1)
    disk_is(bench, guest, before, 1)
    check("running on host compute-1" in str(bench.why(guest)), f"an event says why: {bench.why(guest)}")


@scenario("cold: a guest that is undefined on its host while its disk is copied comes back nowhere, and the copy goes")
def _(bench):
    guest, before, path = copying(bench, "hand-undefined", 128, state="stopped")
    bench.hosts[0].virsh("undefine", guest.uuid)
    bench.lab.wait(lambda: not bench.daemon.knows(guest), 20, "the guest is forgotten")
    bench.lab.wait(lambda: not path.exists(), 15, "what was copied goes")
    equal(bench.lab.places(guest), {}, "hosts that know the guest")
    disk_is(bench, guest, before, 1)  # it is whose it was
    equal(bench.daemon.rows("SELECT count(*) FROM volumes"), [(0,)], "volumes that are recorded")


@scenario("live: of a guest that is removed while its private disk is copied nothing stays on the target", settings=SLOW)
def _(bench):
    guest = bench.guest("hand-removed", memory_mb=128, dirty_mb=96, disk="private", disk_mb=8)
    midway(bench, guest)
    bench.hosts[0].virsh("destroy", guest.uuid)
    bench.hosts[0].virsh("undefine", guest.uuid)
    bench.lab.wait(lambda: not bench.daemon.knows(guest), 30, "the guest is forgotten")
    path = guest.disk_path(bench.hosts[1])
    bench.lab.wait(lambda: not path.exists(), 15, "the half copied disk goes")
    equal(bench.lab.places(guest), {}, "hosts that know the guest")
    equal(bench.daemon.rows("SELECT (SELECT count(*) FROM volumes), (SELECT count(*) FROM chores)"), [(0, 0)], "rows that are left")


def move_back(bench, guest, source, target):
    """By virsh alone, with its disk, and the copy that was left is removed."""
    source.virsh("vol-delete", guest.disk_path(source).name, "--pool", "private")
    source.virsh("vol-create-as", "private", guest.disk_path(source).name, f"{guest.disk_path(target).stat().st_size}B", "--format", "raw")
    path = bench.lab.folder / "back.xml"
    path.write_text(target.virsh("dumpxml", "--migratable", guest.uuid).replace(str(target.images), str(source.images)))
    bench.lab.give(path)
    target.virsh("migrate", "--live", "--p2p", "--persistent", "--undefinesource", "--copy-storage-all", guest.uuid, source.uri,
                 "--migrateuri", f"tcp://{source.migration_address}", "--disks-uri", f"tcp://{source.migration_address}",
                 "--xml", path, "--persistent-xml", path)
    path.unlink()
    target.virsh("vol-delete", guest.disk_path(target).name, "--pool", "private")
    bench.lab.wait(lambda: bench.host_of(guest) == source.name, 10, "it is seen where it is")


@scenario("a revert of a guest that was moved back by hand takes neither its only disk nor the guest")
def _(bench):
    guest = bench.guest("hand-moved-back", disk="private")
    source, target = migrates(bench, guest)
    move_back(bench, guest, bench.hosts[source - 1], bench.hosts[target - 1])
    bench.act(guest, "revertResize")
    bench.wait_for_migration(guest, "reverted")
    bench.stands(guest, source, boots=2)


@scenario("a confirm is refused when the target's copy of the disk is gone, and the source's stays for the revert")
def _(bench):
    guest = bench.guest("copy-gone", state="stopped", disk="private")
    before = guest.disk_path(bench.hosts[0]).read_bytes()
    source, target = migrates(bench, guest, state="stopped")
    bench.hosts[target - 1].virsh("vol-delete", guest.disk_path(bench.hosts[target - 1]).name, "--pool", "private")
    bench.act(guest, "confirmResize", expect=204)
    bench.lab.wait(lambda: bench.actions(guest)[0]["message"] == "Error", 15, "the confirm's action ends in an error")
    check(guest.disk_path(bench.hosts[0]).name in str(bench.why(guest)), f"the disk is named: {bench.why(guest)}")
    equal(bench.migration(guest)["status"], "finished", "the way back is open")
    disk_is(bench, guest, before, source)
    revert(bench, guest, source, state="stopped", boots=0)
