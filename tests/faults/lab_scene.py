"""What a combination happens on: a lab of three hosts, and a migrationd that can be held at a point of a job's life.

The lab and the daemon stay up from one combination to the next; only guests go, and hosts that were given up come back new.
Where this machine lets us make mounts the hosts' private pools are small file systems of their own, so that one can be full;
where it lets us make networks the hosts stand in namespaces, so that one can be cut off (lab.py sees to both).
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

from bench import Bench
from daemon import BINARY as SHIPPED, TOP, Daemon
from lab import Lab, LabError, end_processes, processes_of, signal_processes
from netlab import NetLab

FOLDER = TOP / "build" / "faults-lab"
BINARY = SHIPPED.parent / "tests" / "faults" / "faults_daemon"
FULL_DISK = SHIPPED.parent / "tests" / "libfull_disk.so"
SETTINGS = {
    "max_concurrent_incoming_migrations": 1,  # so that a job can be made to wait for its turn
    "hypervisor": {"keepalive_interval": 1, "keepalive_count": 2, "reconcile_interval": 5},
}
POOL_MIB = 256


class HeldDaemon(Daemon):
    """migrationd as it is shipped, with a main of its own: see daemon.c, beside this file."""

    binary = BINARY

    def __init__(self, *words, **parts):
        super().__init__(*words, **parts)
        self.holds = self.lab.folder / "holds"
        self.holds.mkdir(mode=0o700, exist_ok=True)
        self.environment = {"FAULTS_FOLDER": str(self.holds), "LD_PRELOAD": str(FULL_DISK),
                            "FULL_DISK_WHILE": str(self.holds / "full"), "READ_ONLY_DISK_WHILE": str(self.holds / "read-only")}

    def put(self, name, text=""):
        """Whole or not at all: the daemon reads these files at any time."""
        fresh = self.holds / f"{name}.new"
        fresh.write_text(text)
        fresh.rename(self.holds / name)

    def hold_at(self, point, hold=1):
        self.put(f"point.{hold}", point)

    def has_reached(self, hold=1):
        return (self.holds / f"reached.{hold}").exists()

    def let_go(self, order="", hold=1):
        (self.holds / f"reached.{hold}").unlink(missing_ok=True)
        self.put(f"go.{hold}", order)

    def forget_holds(self):
        """Nothing is held from now on; what is held goes on."""
        for hold in (1, 2):
            (self.holds / f"point.{hold}").unlink(missing_ok=True)
            if self.has_reached(hold):
                self.let_go(hold=hold)

    def clear_holds(self):
        for path in self.holds.iterdir():
            path.unlink()

    def trace(self):
        try:
            return (self.holds / "trace").read_text().splitlines()
        except FileNotFoundError:
            return []

    def ask(self, *words, seconds=90):
        """What one of its verbs answers, and the exit status."""
        done = subprocess.run([str(BINARY), *words, *self.config_options()], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=seconds, check=False)
        return done.returncode, done.stdout, done.stderr

    def ask_json(self, *words):
        status, out, error = self.ask(*words, "--json")
        try:
            return json.loads(out)
        except ValueError:
            raise LabError(f"migrationd {' '.join(words)}: status {status}: {error.strip()}") from None

    def kill_and_start(self):
        self.kill()
        for hold in (1, 2):
            (self.holds / f"reached.{hold}").unlink(missing_ok=True)
            (self.holds / f"go.{hold}").unlink(missing_ok=True)
        self.start()


class Scene(Bench):
    make_daemon = HeldDaemon

    def __init__(self, has_networks, has_mounts):
        super().__init__(has_networks)
        self.has_mounts = has_mounts
        self.count = 0  # of guests, for their names
        self.has_stepped_clock = False
        self.burned = []  # hosts that do not come back in this combination

    def make_lab(self):
        return (NetLab if self.has_networks else Lab)()

    def ready(self):
        """Everything is up and well; made new where it has to be."""
        if self.lab is None:
            self.lab = self.make_lab()
            self.lab.up()
            for host in self.hosts if self.has_mounts else ():
                self.mount_pool(host)
        self.prepare(SETTINGS)

    def mount_pool(self, host):
        owner = os.stat(host.images)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={POOL_MIB}m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}", "pool",
                        str(host.images)], check=True)
        host.virsh("pool-refresh", "private")

    def down(self):
        for host in self.hosts if self.lab else ():
            self.stop_all(host)
            subprocess.run(["umount", "--quiet", "--lazy", str(host.images)], capture_output=True, check=False)
        self.burned.clear()
        self.has_stepped_clock = False
        super().down()

    @staticmethod
    def stop_all(host):
        """As a host that burned: libvirtd and every guest, at once."""
        ids = processes_of(host.folder)
        end_processes(ids, signals=(signal.SIGKILL,))
        if host.process:
            host.process.wait()

    # What the database has of a server.
    def record(self, guest):
        connection = sqlite3.connect(f"file:{self.daemon.folder}/migrationd.db?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        def one(query):
            row = connection.execute(query, (guest.uuid,)).fetchone()
            return dict(row) if row else None
        try:
            return {
                "job": one("SELECT kind, phase, finished_us FROM jobs WHERE server_uuid = ? ORDER BY id DESC LIMIT 1"),
                "migration": one("SELECT status FROM migrations WHERE server_uuid = ? ORDER BY id DESC LIMIT 1"),
                "server": one("SELECT vm_state, task_state, error_cause FROM servers WHERE uuid = ? AND is_deleted = 0"),
                "claims": one("SELECT count(*) AS count FROM claims WHERE server_uuid = ?")["count"],
                "chores": [dict(row) for row in connection.execute(
                    "SELECT c.kind, h.name AS host, c.name AS volume, c.last_error FROM chores c LEFT JOIN hosts h ON h.id = c.host_id "
                    "WHERE c.server_uuid = ?", (guest.uuid,))],
                "saved": one("SELECT count(*) AS count FROM kept_domains WHERE server_uuid = ?")["count"],
            }
        finally:
            connection.close()

    def job_has_ended(self, guest):
        job = self.record(guest)["job"]
        return bool(job and job["finished_us"])

    # Hosts.
    def fill_pool(self, host):
        usage = os.statvfs(host.images)
        used = max(usage.f_blocks - usage.f_bfree, 1) * usage.f_frsize
        subprocess.run(["mount", "-o", f"remount,size={used}", str(host.images)], check=True)

    def empty_pool(self, host):
        subprocess.run(["mount", "-o", f"remount,size={POOL_MIB}m", str(host.images)], check=True)

    def revive(self, host):
        """A host that burned, with nothing on it, and known to migrationd again."""
        self.stop_all(host)
        for path in host.images.iterdir():
            path.unlink()
        for path in [*(host.folder / "c/libvirt/qemu").glob("*.xml"), *(host.folder / "r/libvirt/qemu/run").glob("*"),
                     *(host.folder / "c/libvirt/qemu/save").glob("*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.bring_back(host)

    def bring_back(self, host):
        """With what it has; migrationd is made to know it again, should it have been given up."""
        host.start()
        host.wait_until_up()
        if host.name not in self.known_hosts():
            status, _, error = self.daemon.ask("host", "add", host.name, host.uri, "--migration-address", host.migration_address)
            if status != 0:
                raise LabError(f"host add {host.name}: {error.strip()}")

    def known_hosts(self):
        rows = self.daemon.ask_json("host", "list")
        return [row["name"] for row in (rows["hosts"] if isinstance(rows, dict) else rows)]

    def make_well(self):
        """All that a fault may have broken of daemon and hosts is whole again; guests stay as they are."""
        for name in ("full", "read-only"):
            (self.daemon.holds / name).unlink(missing_ok=True)
        if self.daemon.process.poll() is not None:
            self.daemon.kill_and_start()
        self.daemon.forget_holds()
        self.make_hosts_well()

    def make_hosts_well(self):
        for host in self.hosts:
            if host in self.burned:
                continue
            signal_processes(processes_of(host.folder), signal.SIGCONT)
            if host.process.poll() is not None:
                host.start()
                host.wait_until_up()
            host.images.chmod(0o700)
            if self.has_mounts:
                self.empty_pool(host)
            if "private" not in host.virsh("pool-list", "--name").split():
                host.virsh("pool-start", "private")
            if (host.folder / "c/libvirt/qemu/ram").exists():
                host.open_memory_folder()
        if self.has_networks:
            self.lab.join_all()

    def new_name(self):
        self.count += 1
        return f"fault-{self.count}"

    def reset(self):
        """After a combination that ended well: its guests go, and nothing of them may stay."""
        if self.has_stepped_clock:
            self.daemon.kill_and_start()
            self.has_stepped_clock = False
        has_lost_host = bool(self.burned)
        while self.burned:
            self.revive(self.burned.pop())
        if has_lost_host:  # its servers are in ERROR until somebody deletes them
            for guest in list(self.lab.guests):
                self.lab.remove(guest)
        else:
            self.take_guests_away()
        self.daemon.clear_holds()
