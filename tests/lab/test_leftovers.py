"""A host that cannot be tidied, or that goes away before it is: the move has its end all the same, the guest and its server are
free, and what remains is a chore that is shown and done when the host lets it."""

import json
import os
import shlex
import signal
import subprocess

from bench import check, equal, scenario
from test_cold import migrates
from test_failure import copying, midway


class Closed:
    """A host's folder of private disks, in which nothing can be made or removed meanwhile."""

    def __init__(self, bench, number):
        self.lab = bench.lab
        self.folder = bench.hosts[number - 1].images

    def __enter__(self):
        subprocess.run(["chown", "root:root", self.folder], check=True)
        self.folder.chmod(0o555)

    def __exit__(self, *_):
        self.lab.give(self.folder)
        self.folder.chmod(0o700)


def verb(bench, *words):
    done = subprocess.run(shlex.split(bench.daemon.command_line(*words)), capture_output=True, text=True, check=False)
    equal(done.returncode, 0, f"{' '.join(words)} ({done.stdout}{done.stderr})")
    return done.stdout


def shown(bench, number):
    return json.loads(verb(bench, "host", "show", f"compute-{number}", "--json"))


def chores(bench, number):
    return [chore["kind"] for chore in shown(bench, number)["chores"]]


def waits_for(bench, number):
    """A job waits for the host, and that is its reason."""
    bench.lab.wait(lambda: [job["reason"] for job in shown(bench, number)["waiting_jobs"]] == [f"host compute-{number} is down"], 10,
                   f"a job waits for compute-{number}")


def is_tidied(bench, number):
    bench.lab.wait(lambda: not chores(bench, number), 30, f"nothing is left to be done on compute-{number}")


@scenario("cold: where the target's folder is read-only when the copy fails, the guest runs again at once; what was copied goes when that "
          "can be done")
def _(bench):
    guest, _, path = copying(bench, "target-read-only", 64)
    with open(path, "r+b") as file, Closed(bench, 2):
        file.seek(4096)
        file.write(b"not what was sent")
        file.flush()
        bench.wait_for_migration(guest, "error")
        bench.wait_for_status(guest, "ACTIVE")
        guest.wait_for_boots(2)
        bench.lab.wait(lambda: chores(bench, 2) == ["remove_volume"], 10, "the copy is a chore of compute-2")
        check(path.exists(), "the copy is still there")
    is_tidied(bench, 2)
    bench.stands(guest, 1, boots=2)


@scenario("live: a disk that cannot be unlinked on the source, whose libvirtd dies too, keeps neither the move nor the server; it goes "
          "when the host is back", settings={"libvirt": {"live_migration_bandwidth": 16}})
def _(bench):
    guest = bench.guest("source-read-only", dirty_mb=32, disk="private", disk_mb=4)
    midway(bench, guest)
    with Closed(bench, 1):
        number = bench.wait_for_migration(guest, "completed")["id"]
        bench.hosts[0].kill()
        answer = bench.admin.request("DELETE", f"/v2.1/servers/{guest.uuid}/migrations/{number}")
        equal(answer.status, 409, f"an abort of what has ended ({answer.text})")
        equal(bench.daemon.rows("SELECT count(*) FROM claims"), [(0,)], "claims")
        equal(chores(bench, 1), ["remove_volume"], "chores of compute-1")
        bench.live(guest, host="compute-3")
        bench.wait_for_migration(guest, "completed")
        bench.hosts[0].start()
        bench.hosts[0].wait_until_up()
    is_tidied(bench, 1)
    bench.stands(guest, 3)


class Life:
    """What a host tells of its guests' lives, the moment it does."""

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.watch = subprocess.Popen(["virsh", "--quiet", "-c", self.host.uri, "event", "--event", "lifecycle", "--loop",
                                       "--timeout", "60"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return self

    def __exit__(self, *_):
        self.watch.kill()
        self.watch.wait()

    def wait(self, guest, *words):
        """Which of the words it is that comes first."""
        for line in self.watch.stdout:
            for word in words:
                if f"'{guest.name}': {word}" in line:
                    return word
        raise AssertionError(f"{self.host.name} did not tell that {guest.name} is {' or '.join(words)}")


@scenario("live: the source's libvirtd is restarted at the switch-over: one whole guest runs, and the move has an end that says where",
          settings={"libvirt": {"live_migration_bandwidth": 32}})
def _(bench):
    guest = bench.guest("cut-at-switch", dirty_mb=32)
    source = bench.hosts[0]
    with Life(source) as at_source:
        bench.live(guest, host="compute-2")
        at_source.wait(guest, "Suspended")
        source.kill()
    source.start()
    source.wait_until_up()
    status = bench.wait_for_migration(guest, {"completed", "failed"})["status"]
    bench.stands(guest, 2 if status == "completed" else 1)


@scenario("live: the source's libvirtd dies when it has handed the guest over: the move is completed while it is away, and its half goes "
          "when it is back", settings={"libvirt": {"live_migration_bandwidth": 32}})
def _(bench):
    guest = bench.guest("cut-at-hand-over", dirty_mb=32)
    source, target = bench.hosts[:2]
    with Life(target) as at_target:
        bench.live(guest, host="compute-2")
        at_target.wait(guest, "Resumed")
        source.kill()
    number = bench.wait_for_migration(guest, "completed", 20)["id"]
    bench.wait_for_status(guest, "ACTIVE")
    answer = bench.admin.request("DELETE", f"/v2.1/servers/{guest.uuid}/migrations/{number}")
    equal(answer.status, 409, f"an abort of what has ended ({answer.text})")
    equal(bench.daemon.rows("SELECT count(*) FROM claims"), [(0,)], "claims")
    source.start()
    source.wait_until_up()
    bench.stands(guest, 2)


@scenario("a revert whose source is away leaves the guest running on the target until it is back")
def _(bench):
    guest = bench.guest("revert-source-away", disk="private")
    source, target = migrates(bench, guest)
    bench.hosts[source - 1].kill()
    bench.lab.wait(lambda: bench.service_state(source) == "down", 15, "the source is down")
    bench.act(guest, "revertResize")
    waits_for(bench, source)
    guest.wait_for_progress()
    equal(bench.lab.places(guest), {f"compute-{target}": "running"}, "hosts that know the guest")
    bench.hosts[source - 1].start()
    bench.hosts[source - 1].wait_until_up()
    bench.wait_for_migration(guest, "reverted")
    bench.stands(guest, source, boots=3)


def power_off(bench, host, guest):
    """As the guest itself does it: the ACPI register of the machine is written."""
    host.virsh("qemu-monitor-command", guest.uuid, "--hmp", "o /w 0x604 0x2000")


def restart_if_dead(host):
    """As a service manager does with a libvirtd that crashed."""
    if host.process.poll() is not None:
        host.start()
        host.wait_until_up()


@scenario("live: a guest that powers itself off while its private disk is copied ends its move, whether libvirt's call fails, never "
          "returns, or takes libvirtd with it", settings={"libvirt": {"live_migration_bandwidth": 4}, "worker": {"stall_timeout": 5}})
def _(bench):
    guest = bench.guest("powers-off", disk="private", disk_mb=64)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    path = guest.disk_path(bench.hosts[1])
    bench.lab.wait(lambda: path.exists() and path.stat().st_blocks > 2048, 15, "its disk goes over")
    power_off(bench, bench.hosts[0], guest)
    bench.lab.wait(lambda: restart_if_dead(bench.hosts[0]) or bench.migration(guest)["status"] not in ("running", "preparing"), 60,
                   "the move has an end")
    bench.wait_for_migration(guest, "failed")
    equal(bench.daemon.rows("SELECT count(*) FROM claims"), [(0,)], "claims")
    bench.wait_for_status(guest, "SHUTOFF")
    equal(bench.lab.places(guest).get("compute-1"), "shut off", "the guest on its host")
    if chores(bench, 1) == ["await_libvirtd"]:  # libvirt's call did not return: an operator restarts it
        for number in (1, 2):
            bench.hosts[number - 1].kill()
            bench.hosts[number - 1].start()
            bench.hosts[number - 1].wait_until_up()
    is_tidied(bench, 1)
    is_tidied(bench, 2)
    bench.stands(guest, 1, "stopped", boots=guest.starts())


@scenario("a host that is gone for good: its moves wait, name it, and end within seconds of `migrationd host remove --gone`",
          settings={"worker": {"retry_interval": 1}})
def _(bench):
    guest = bench.guest("target-gone", disk="private")
    migrates(bench, guest, value={"host": "compute-3"})
    bench.hosts[2].kill()
    bench.lab.wait(lambda: bench.service_state(3) == "down", 15, "the host is down")
    bench.act(guest, "revertResize")
    waits_for(bench, 3)
    for pid in bench.hosts[2].qemu_of(guest):
        os.kill(pid, signal.SIGKILL)
    verb(bench, "host", "remove", "--gone", "compute-3", "--confirm", "compute-3")
    bench.wait_for_migration(guest, "reverted", 10)
    bench.wait_for_status(guest, "ACTIVE")
    guest.wait_for_boots(3)
    equal(bench.hosts[0].state(guest), "running", "the guest on its host")
    # Its machine comes back to the lab, where another daemon will know it.
    bench.hosts[2].start()
    bench.hosts[2].wait_until_up()
    bench.lab.remove(guest)
    bench.end_daemon()
    bench.prepare({})
