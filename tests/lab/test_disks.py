"""Disks that must never be lost: what a move copied may be removed, and nothing else."""

import os
from pathlib import Path

from bench import check, equal, scenario
from test_cold import confirm, migrates, revert


class Extra:
    """A second disk of a guest, made before the guest. Its name is not the guest's, so that it is looked at by itself."""

    def __init__(self, bench, folder, name, attributes="type='file'", source=None, inside=""):
        self.name = f"{name}.extra"
        self.path = Path(folder) / self.name
        self.bench = bench
        self.content = name.encode() * 4096
        self.path.write_bytes(self.content)
        bench.lab.give(self.path)
        for host in bench.hosts:
            host.virsh("pool-refresh", "private")
            host.virsh("pool-refresh", "shared")
        source = source or f"file='{self.path}'"
        self.definition = f"""<disk {attributes} device='disk'><driver name='qemu' type='raw'/><source {source}/>
<target dev='vdb' bus='virtio'/>{inside}</disk>"""

    def holders(self):
        """Names of the hosts in whose private pool it lies, whole."""
        found = [host.name for host in self.bench.hosts if (host.images / self.name).exists()]
        for host in self.bench.hosts:
            path = host.images / self.name
            check(not path.exists() or path.read_bytes() == self.content, f"the content of {path} is whole")
        return found

    def remove(self):
        for folder in [self.bench.lab.shared, *(host.images for host in self.bench.hosts)]:
            (folder / self.name).unlink(missing_ok=True)


def pool_off(bench, host_number):
    """The shared pool is off there, as after a reboot: what lies in it is out of libvirt's sight, not gone."""
    host = bench.hosts[host_number - 1]
    host.virsh("pool-destroy", "shared")
    return lambda: host.virsh("pool-start", "shared", check=False)


@scenario("confirm never removes a shared disk, though the target's pool is off by then")
def _(bench):
    guest = bench.guest("pool-off-confirm")
    _, target = migrates(bench, guest)
    pool_on = pool_off(bench, target)
    try:
        bench.act(guest, "confirmResize", expect=204)
        bench.wait_for_migration(guest, "confirmed")
        check(guest.disk_path(bench.hosts[0]).exists(), "the disk that the guest runs on is there")
    finally:
        pool_on()
    bench.stands(guest, target, boots=2)


@scenario("revert never removes a shared disk, though the source's pool is off by then")
def _(bench):
    guest = bench.guest("pool-off-revert")
    source, _ = migrates(bench, guest)
    pool_on = pool_off(bench, source)
    try:
        bench.act(guest, "revertResize")
        bench.wait_for_migration(guest, "reverted")
        check(guest.disk_path(bench.hosts[0]).exists(), "the disk is there")
    finally:
        pool_on()
    bench.stands(guest, source, boots=3)


@scenario("a private disk that the guest got after its move stays at the revert")
def _(bench):
    guest = bench.guest("attached-later", disk="private")
    source, target = migrates(bench, guest)
    host = bench.hosts[target - 1]
    extra = Extra(bench, host.images, "later")
    try:
        path = bench.lab.folder / "extra.xml"
        path.write_text(extra.definition)
        host.virsh("attach-device", guest.uuid, path, "--config")
        path.unlink()
        revert(bench, guest, source)
        equal(extra.holders(), [host.name], "hosts that have the disk of later")
    finally:
        extra.remove()


@scenario("of a shared and a private disk only the private one is copied, live and cold")
def _(bench):
    extra = Extra(bench, bench.hosts[0].images, "second")
    try:
        guest = bench.guest("mixed", devices=extra.definition)
        bench.live(guest)
        target = bench.wait_for_migration(guest, "completed")["dest_compute"]
        bench.stands(guest, int(target[-1]))
        equal(extra.holders(), [target], "hosts with the private disk after the live move")
        source, target = migrates(bench, guest)
        equal(extra.holders(), sorted([f"compute-{source}", f"compute-{target}"]), "hosts with it before the confirm")
        confirm(bench, guest, target)
        equal(extra.holders(), [f"compute-{target}"], "hosts with it after the confirm")
        check(bench.daemon.rows("SELECT count(*) FROM volumes") == [(0,)], "no volume is recorded any more")
    finally:
        extra.remove()


def is_refused(bench, guest, words):
    """The move that was asked for ends before anything is begun, with words that name what stands in the way."""
    equal(bench.wait_for_migration(guest, "error")["status"], "error", "what is recorded")
    check(any(words in (details or "") for _, _, details in bench.why(guest)), f"{words!r} is told: {bench.why(guest)}")
    bench.stands(guest, 1)


def stays(bench, guest, words):
    """Live and cold."""
    bench.live(guest)
    is_refused(bench, guest, words)
    bench.act(guest, "migrate")
    is_refused(bench, guest, words)


@scenario("a disk that is no file is neither copied nor taken for shared: the guest stays")
def _(bench):
    extra = Extra(bench, bench.hosts[0].images, "by-pool", "type='volume'", "pool='private' volume='by-pool.extra'")
    try:
        guest = bench.guest("volume-type", devices=extra.definition)
        stays(bench, guest, "is of type volume")
        equal(extra.holders(), ["compute-1"], "hosts with the disk")
    finally:
        extra.remove()


@scenario("a private disk that another guest uses too does not leave its host")
def _(bench):
    extra = Extra(bench, bench.hosts[0].images, "used-twice", inside="<shareable/>")
    try:
        guest = bench.guest("uses-it", devices=extra.definition)
        other = bench.guest("needs-it", state="stopped", devices=extra.definition)
        stays(bench, guest, f"is used by guest {other.name} too")
        bench.lab.remove(other)
        stays(bench, guest, "marked shareable")
        equal(extra.holders(), ["compute-1"], "hosts with the disk")
    finally:
        extra.remove()


@scenario("a private disk larger than what the target's pool has left is refused")
def _(bench):
    extra = Extra(bench, bench.hosts[0].images, "large")
    try:
        file_system = os.statvfs(bench.hosts[1].images)
        room = file_system.f_bfree * file_system.f_frsize  # as libvirt counts it
        os.truncate(extra.path, room + 2**30)
        for host in bench.hosts:
            host.virsh("pool-refresh", "private")
        guest = bench.guest("too-large", devices=extra.definition)
        bench.live(guest)
        is_refused(bench, guest, "bytes left")
    finally:
        extra.remove()
