"""Cold migrations that go well, and what confirm and revert leave behind."""

from bench import check, equal, scenario


def migrates(bench, guest, state="running", boots=2, **wish):
    """Asks for a cold migration and follows it until the user has to decide; gives the numbers of both hosts."""
    source = bench.host_of(guest)
    bench.act(guest, "migrate", wish.pop("value", None), **wish)
    migration = bench.wait_for_migration(guest, "finished")
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    target = migration["dest_compute"]
    check(target != source, "it went to another host")
    expected = "shut off" if state == "stopped" else "running"
    equal(bench.lab.places(guest), {target: expected}, "hosts that know the guest: the source cannot start it")
    equal(bench.lab.qemus(guest), [] if state == "stopped" else [target], "QEMU processes")
    if state != "stopped":
        guest.wait_for_boots(boots)
    return int(source[-1]), int(target[-1])


def confirm(bench, guest, target, state="running", boots=2):
    bench.act(guest, "confirmResize", expect=204)
    bench.wait_for_migration(guest, "confirmed")
    bench.stands(guest, target, state, boots)


def revert(bench, guest, source, state="running", boots=3):
    bench.act(guest, "revertResize")
    bench.wait_for_migration(guest, "reverted")
    bench.wait_for_status(guest, "SHUTOFF" if state == "stopped" else "ACTIVE")
    bench.stands(guest, source, state, boots)


def same_disk(bench, guest, before, host_number):
    after = guest.disk_path(bench.hosts[host_number - 1]).read_bytes()
    check(after[:512] == before[:512] and after[1024:] == before[1024:], "the disk's content is the same")


@scenario("a running guest on shared storage migrates cold, and confirm ends it", both_ways=True)
def _(bench):
    guest = bench.guest("cold-shared")
    _, target = migrates(bench, guest)
    confirm(bench, guest, target)


@scenario("a server that waits is set active by an admin: it is not moved, and can still be reverted")
def _(bench):
    guest = bench.guest("cold-set-active", disk="private")
    source, _ = migrates(bench, guest)
    bench.act(guest, "os-resetState", {"state": "active"})
    bench.act(guest, "migrate", expect=409)
    bench.live(guest, expect=409)
    revert(bench, guest, source)


@scenario("a guest that starts with its host does so on the target, but not while its confirm is pending")
def _(bench):
    def starts_by_itself(number):
        return "enable" in bench.hosts[number - 1].virsh("dominfo", guest.uuid).split("Autostart:")[1].split("\n")[0]
    guest = bench.guest("cold-autostart")
    bench.hosts[0].virsh("autostart", guest.uuid)
    source, target = migrates(bench, guest)
    check(not starts_by_itself(target), "nothing starts it while the confirm is pending")
    confirm(bench, guest, target)
    check(starts_by_itself(target), "the target starts it from now on")


@scenario("a running guest on shared storage migrates cold, and revert brings it back")
def _(bench):
    guest = bench.guest("cold-shared-revert")
    source, _ = migrates(bench, guest)
    revert(bench, guest, source)


@scenario("a running guest's private disk goes with it, and confirm removes the source's")
def _(bench):
    guest = bench.guest("cold-private", disk="private", disk_mb=8)
    before = guest.disk_path(bench.hosts[0]).read_bytes()
    _, target = migrates(bench, guest)
    same_disk(bench, guest, before, target)
    confirm(bench, guest, target)


@scenario("a running guest's private disk stays whole on the source until revert, which removes the copy", both_ways=True)
def _(bench):
    guest = bench.guest("cold-private-revert", disk="private", disk_mb=8)
    before = guest.disk_path(bench.hosts[0]).read_bytes()
    source, _ = migrates(bench, guest)
    revert(bench, guest, source)
    same_disk(bench, guest, before, source)


@scenario("a stopped guest migrates and stays stopped, confirmed", both_ways=True)
def _(bench):
    guest = bench.guest("cold-stopped", state="stopped", disk="private")
    _, target = migrates(bench, guest, state="stopped")
    confirm(bench, guest, target, state="stopped", boots=0)


@scenario("a stopped guest migrates and stays stopped, reverted")
def _(bench):
    guest = bench.guest("cold-stopped-revert", state="stopped", disk="private")
    source, _ = migrates(bench, guest, state="stopped")
    revert(bench, guest, source, state="stopped", boots=0)


@scenario("a stopped guest on shared storage migrates, confirmed by a member")
def _(bench):
    guest = bench.guest("cold-stopped-shared", state="stopped")
    _, target = migrates(bench, guest, state="stopped", api=bench.member)
    bench.act(guest, "confirmResize", api=bench.member, expect=204)
    bench.wait_for_migration(guest, "confirmed")
    bench.stands(guest, target, "stopped", 0)


@scenario("while a confirm is pending the source cannot start the guest, also after its libvirtd came back")
def _(bench):
    guest = bench.guest("cold-pending", disk="private")
    source, target = migrates(bench, guest)
    host = bench.hosts[source - 1]
    host.kill()
    host.start()
    host.wait_until_up()
    bench.lab.wait(lambda: bench.service_state(source) == "up", 20, "the source is up again")
    equal(bench.lab.places(guest), {bench.hosts[target - 1].name: "running"}, "hosts that know the guest")
    equal(guest.starts(), 2, "boots")
    revert(bench, guest, source)


@scenario("a migration that was confirmed limits no later one: with two hosts it returns")
def _(bench):
    guest = bench.guest("there-and-back")
    bench.set_service(3, status="disabled")
    try:
        _, target = migrates(bench, guest)
        confirm(bench, guest, target)
        source, target = migrates(bench, guest, boots=3)
        equal((source, target), (2, 1), "source and target of the second")
        confirm(bench, guest, target, boots=3)
    finally:
        bench.set_service(3, status="enabled")


@scenario("a host named for a cold migration limits no later live one")
def _(bench):
    guest = bench.guest("named-before")
    _, target = migrates(bench, guest, value={"host": "compute-2"})
    confirm(bench, guest, target)
    bench.live(guest)
    migration = bench.wait_for_migration(guest, "completed")
    check(migration["dest_compute"] in ("compute-1", "compute-3"), "it went on to another host")
    bench.stands(guest, int(migration["dest_compute"][-1]), boots=2)
