"""Encryption: control connections, memory and copied disks over TLS, and never anything else; whose certificate is wrong is told."""

import shlex
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

from bench import check, equal, scenario
from certificates import Authority

# As an operator of MOSK has it.
DEPLOYMENT = """apiVersion: lcm.mirantis.com/v1alpha1
kind: OpenStackDeployment
metadata:
  name: osh-dev
spec:
  features:
    nova:
      libvirt:
        tls:
          enabled: true
"""
SLOW = {"libvirt": {"live_migration_bandwidth": 24}}  # so that a capture misses nothing
OVER_TLS = {"tls": True, "deployment": DEPLOYMENT}


@contextmanager
def certificates(host, **parts):
    """The host with other certificates, and then with its own again."""
    host.take_certificates(**parts)
    try:
        yield
    finally:
        host.take_certificates()


@scenario("over TLS a guest moves live with shared and with private disks, and cold there and back", settings=OVER_TLS)
def _(bench):
    guests = bench.guest("encrypted"), bench.guest("with-its-disk", disk="private")
    for guest in guests:
        bench.live(guest, host="compute-2")
        bench.wait_for_migration(guest, "completed")
        bench.stands(guest, 2)
    guest = guests[1]
    bench.act(guest, "migrate", {"host": "compute-3"}, version="2.56")
    bench.wait_for_migration(guest, "finished")
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    guest.wait_for_boots(2)
    bench.act(guest, "revertResize")
    bench.wait_for_migration(guest, "reverted")
    bench.stands(guest, 2, boots=3)


@scenario("a certificate that QEMU does not accept ends the move before anything was sent: wrong name, other CA, expired, none; the"
          " guest runs on, and the reason says whose and why", settings=OVER_TLS)
def _(bench):
    lab, source, target = bench.lab, bench.hosts[0], bench.hosts[1]
    other = Authority(lab.folder / "other-ca", "another authority")
    addresses = lab.addresses(target.number)
    faults = {
        "QEMU on host compute-2 has a certificate that the source does not accept: it is not for the name "
        f"{target.migration_address}":
            (target, {"qemu": lab.authority.issue("elsewhere", dns=["elsewhere"], addresses=["192.0.2.9"])}),
        "QEMU on host compute-2 has a certificate of a CA that the other side does not know":
            (target, {"qemu": other.issue("foreign", dns=[target.name], addresses=addresses), "authority": other}),
        "QEMU on host compute-2 has a certificate that the CA beside it has not signed":
            (target, {"qemu": other.issue("foreign", dns=[target.name], addresses=addresses)}),
        "QEMU on host compute-2 has a certificate that has expired": (target, {"qemu": lab.certificate_of(target, has_expired=True)}),
        "QEMU on host compute-2 has no certificate": (target, {"qemu": ()}),
        "QEMU on host compute-1 shows no certificate that the target accepts": (source, {"qemu": ()}),
        "QEMU on host compute-1 has a certificate that has expired": (source, {"qemu": lab.certificate_of(source, has_expired=True)}),
    }
    guest = bench.guest("shared-refused")
    for words, (host, parts) in faults.items():
        with certificates(host, **parts):
            bench.live(guest, host="compute-2")
            bench.wait_for_migration(guest, "failed")
        said = str(bench.why(guest))
        # Which of its two ends QEMU hears of first is chance: then libvirt has the certificate's words itself.
        either = {words, words.replace("that the source does not accept: it is not", "that is not")}
        check(any(f"TLS: {one}" in said for one in either), f"the reason is {words!r}, in: {said}")
        bench.stands(guest, 1)
    with certificates(target, qemu=()):
        disks = bench.guest("private-refused", disk="private")
        bench.live(disks, host="compute-2")
        bench.wait_for_migration(disks, "failed")
        check("TLS: QEMU on host compute-2 has no certificate" in str(bench.why(disks)), f"the reason: {bench.why(disks)}")
        bench.stands(disks, 1)
    bench.live(guest, host="compute-2")  # all is well again
    bench.wait_for_migration(guest, "completed")
    bench.stands(guest, 2)


@scenario("a host whose control connection shows a certificate that is not accepted is down, with whose and why in the log, and is"
          " not asked without TLS", settings=OVER_TLS)
def _(bench):
    lab, host = bench.lab, bench.hosts[2]
    other = Authority(lab.folder / "control-ca", "another authority")
    faults = ({"control": other.issue("control", dns=[host.name], addresses=lab.addresses(3)), "control_authority": other},
              {"control": lab.authority.issue("control-elsewhere", dns=["elsewhere"], addresses=["192.0.2.9"])})
    words = "the host's certificate has another CA, is for another name, or has expired"
    for parts in (*faults, {}):
        seen = len(bench.daemon.log_path.read_text())
        host.kill()
        host.take_certificates(**parts)
        host.start()
        host.wait_until_up()
        if not parts:
            continue
        lab.wait(lambda: any("host is down: host=compute-3" in line and words in line
                             for line in bench.daemon.log_path.read_text()[seen:].splitlines()), 30, f"the log says {words}")
        lab.wait(lambda: bench.service_state(3) == "down", 5, "the host is shown down")  # written right after the log
        host.kill()
        host.take_certificates()
        host.start()
        lab.wait(lambda: bench.service_state(3) == "up", 30, "the host is up again")
    lab.wait(lambda: bench.service_state(3) == "up", 30, "the host is up again")


@scenario("reading the configuration anew leaves a move that is under way alone; afterwards the hosts are reached over TLS",
          settings={"libvirt": {"live_migration_bandwidth": 8}})
def _(bench):
    guest, later = bench.guest("under-way", memory_mb=128, dirty_mb=64), bench.guest("later")

    def secured(host):  # control connections to the host's port for TLS, as the kernel has them
        words = ["ss", "--no-header", "--numeric", "--tcp", "state", "established", "dport", "=", ":16514", "and", "dst", "=", host.address]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    equal([secured(host) for host in bench.hosts], [[], [], []], "connections over TLS before")
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "running")
    bench.daemon.read_anew(OVER_TLS)
    lab = bench.lab
    lab.wait(lambda: all(secured(host) for host in bench.hosts), 30, "all hosts are reached over TLS")
    equal(bench.migration(guest)["status"], "running", "status of the move that was under way")
    bench.wait_for_migration(guest, "completed", 90)
    bench.stands(guest, 2)
    bench.live(later, host="compute-3")
    bench.wait_for_migration(later, "completed")
    bench.stands(later, 3)


@scenario("where TLS is demanded a host without it is refused when it is added, with the reason", settings=OVER_TLS)
def _(bench):
    done = subprocess.run(shlex.split(bench.daemon.command_line("host", "add", "plain", "qemu+tcp://192.0.2.7/system")),
                          capture_output=True, text=True, check=False)
    check(done.returncode != 0 and "TLS is demanded" in done.stderr and "qemu+tls" in done.stderr, f"{done}")
    names = [row["host"] for row in bench.admin.get("/v2.1/os-services?binary=nova-compute").body["services"]]
    equal(names, ["compute-1", "compute-2", "compute-3"], "hosts")


class Capture:
    """All that passes a NIC of a host, searched for marks on the way."""

    def __init__(self, port, marks):
        self.marks = marks
        self.found = set()
        self.bytes = 0
        self.is_over = threading.Event()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 * 1024 * 1024)  # SO_RCVBUFFORCE
        self.socket.bind((port, 0))
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.read)

    def read(self):
        while not self.is_over.is_set():
            try:
                frame = self.socket.recv(70000)
            except TimeoutError:
                continue
            self.bytes += len(frame)
            self.found |= {mark for mark in self.marks - self.found if mark in frame}

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        time.sleep(0.3)
        self.is_over.set()
        self.thread.join()
        self.socket.close()


def captured(bench, disk):
    """Moves a guest, and what of its memory and its disk was read on the migration NIC: (memory seen, disk seen, bytes)."""
    guest = bench.guest(f"captured-{disk}", disk=disk, dirty_mb=24)
    image = guest.disk_path(bench.hosts[0]).read_bytes()
    of_disk = {image[place:place + 16] for place in range(4096, len(image) - 16, 16384)}
    with Capture("migrate2", {guest.mark} | of_disk) as capture:
        bench.live(guest, host="compute-2")
        bench.wait_for_migration(guest, "completed")
    bench.stands(guest, 2)
    check(capture.bytes > 15 * 1024 * 1024, f"{capture.bytes} bytes were read on the NIC")
    return guest.mark in capture.found, bool(of_disk & capture.found)


@scenario("what a capture reads without TLS: the guest's memory and its copied disk (namespaces)", suite="network", settings=SLOW)
def _(bench):
    equal(captured(bench, "shared"), (True, False), "memory and disk seen, shared disk")
    equal(captured(bench, "private"), (True, True), "memory and disk seen, private disk")


@scenario("what a capture reads with TLS: neither memory nor disk (namespaces)", suite="network", settings={**OVER_TLS, **SLOW})
def _(bench):
    equal(captured(bench, "shared"), (False, False), "memory and disk seen, shared disk")
    equal(captured(bench, "private"), (False, False), "memory and disk seen, private disk")
