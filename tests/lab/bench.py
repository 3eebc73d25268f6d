"""What a scenario works on: a lab, a migrationd over it, and the questions that every scenario asks afterwards."""

import inspect
import shutil
import time
from pathlib import Path

from daemon import TOP, Daemon
from daemon_process import wrong_ends  # which daemon knows where to find
from lab import Lab, LabError
from netlab import NetLab

LOGS = TOP / "build" / "test-logs"
SCENARIOS = []
ENDED = {"completed", "failed", "error", "cancelled", "finished", "confirmed", "reverted"}


class Scenario:
    def __init__(self, sentence, function, suite, settings, refused, both_ways):
        self.refused = refused
        self.both_ways = both_ways
        self.sentence = sentence
        self.function = function
        self.suite = suite
        self.settings = settings
        self.file = Path(inspect.getfile(function)).stem


def scenario(sentence, suite="lab", settings=None, refused=lambda: None, both_ways=False):
    """Marks a function as the scenario that proves the sentence, under a migrationd with these settings. `refused` says why this
    machine cannot show it; None where it can. `both_ways`: where guests run with KVM it is proven under emulation, too."""
    def mark(function):
        SCENARIOS.append(Scenario(sentence, function, suite, settings or {}, refused, both_ways))
        return function
    return mark


def check(fact, what):
    """An assertion that says what was expected, in a sentence."""
    if not fact:
        raise AssertionError(what)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, not {expected!r}")


class Bench:
    """The lab and the daemon stay up from one scenario to the next, unless one failed or wants other settings."""

    make_daemon = Daemon

    def __init__(self, has_networks=False):
        self.has_networks = has_networks
        self.lab = None
        self.daemon = None
        self.expected = {}

    # Up and down.
    def make_lab(self):
        return (NetLab if self.has_networks else Lab)(has_tls=True)

    def prepare(self, settings):
        self.expected = {}
        if self.lab is None:
            self.lab = self.make_lab()
            self.lab.up()
        if self.daemon is None or self.daemon.settings != settings:
            self.end_daemon()
            LOGS.mkdir(parents=True, exist_ok=True)
            log = self.lab.folder / "migrationd.log"
            log.unlink(missing_ok=True)
            shutil.rmtree(self.lab.folder / "migrationd", ignore_errors=True)
            self.daemon = self.make_daemon(self.lab, log, settings)
            self.daemon.start()
        self.daemon.wait_for_fleet()

    def end_daemon(self):
        """Ends it well, or raises."""
        daemon, self.daemon = self.daemon, None
        if daemon:
            daemon.stop()

    def expect_findings(self, *invariants, why):
        """The scenario breaks these invariants by its own hand: at its end the doctor must find just them."""
        self.expected.update({invariant: why for invariant in invariants})

    def ask_doctor(self):
        """Whether hosts, database and API agree, while all that the scenario made is still there."""
        findings = self.daemon.doctor()
        texts = [f"{row['invariant']} ({row['server'] or row['host'] or 'neither server nor host'}): {row['found']}"
                 for row in findings if row["invariant"] not in self.expected]
        check(not texts, "the doctor finds: " + "; ".join(texts))
        missing = {name: why for name, why in self.expected.items() if name not in [row["invariant"] for row in findings]}
        check(not missing, f"the doctor finds nothing of what the scenario broke: {missing}")

    def clear(self):
        """After a scenario that held: the doctor is asked, its guests go, and what it left is looked for."""
        self.wait_for_chores()
        self.ask_doctor()
        self.take_guests_away()

    def take_guests_away(self):
        guests = list(self.lab.guests)
        for guest in guests:
            self.lab.remove(guest)
        self.lab.wait(lambda: not any(self.daemon.knows(guest) for guest in guests), 15,
                      "guests that were removed are forgotten")
        equal(self.daemon.rows("SELECT count(*) FROM claims"), [(0,)], "claims that are left")
        for host in self.lab.hosts:
            self.expect_no_domain(host)
            equal(self.files_in(host.images), [], f"files that are left in the private pool of {host.name}")
        equal(self.files_in(self.lab.shared), [], "files that are left in the shared pool")

    @staticmethod
    def expect_no_domain(host):
        """libvirt lists one for a moment longer whose QEMU was killed just now: it has to go by itself."""
        deadline = time.monotonic() + 5
        while (left := host.domains()) and time.monotonic() < deadline:
            time.sleep(0.1)
        equal({name: host.virsh("domstate", "--reason", name, check=False) for name in left}, {}, f"domains that are left on {host.name}")

    @staticmethod
    def files_in(folder):
        return sorted(path.name for path in folder.iterdir())

    def down(self):
        if self.daemon and self.daemon.process:
            self.daemon.process.abandon()
        self.daemon = None
        wrong_ends()  # of those before, which are no fault of what comes next
        if self.lab:
            self.lab.down()
            self.lab = None

    def keep_logs(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not self.lab or not self.lab.folder:
            return
        for name in ("migrationd.log", "migrationd/migrationd.db", "migrationd/migrationd.db-wal",
                     "migrationd/migrationd.yaml"):
            if (self.lab.folder / name).exists():
                shutil.copy(self.lab.folder / name, folder)
        for host in self.lab.hosts:
            for path in [host.folder / "libvirtd.log", *(host.folder / "k/libvirt/qemu/log").glob("*.log")]:
                if path.exists():
                    shutil.copy(path, folder / f"{host.name}-{path.name}")
        for path in (self.lab.folder / "serial").glob("*.log"):
            shutil.copy(path, folder / f"serial-{path.name}")

    def last_words(self):
        """The end of the daemon's log, without the reads that a scenario waits with."""
        lines = self.daemon.log_tail(2000).splitlines() if self.daemon else []
        return [line for line in lines if "method=GET" not in line][-25:]

    # Doing.
    @property
    def hosts(self):
        return self.lab.hosts

    @property
    def admin(self):
        return self.daemon.admin

    @property
    def member(self):
        return self.daemon.member

    def guest(self, name, host_number=1, state="running", **parts):
        """A guest that the daemon has seen: defined behind its back, as any guest of a real host."""
        guest = self.lab.guest(name, self.hosts[host_number - 1], state, **parts)
        self.lab.wait(lambda: self.daemon.knows(guest), 15, f"{name} is seen by migrationd")
        status = {"running": "ACTIVE", "paused": "PAUSED", "stopped": "SHUTOFF"}[state]
        self.wait_for_status(guest, status)
        return guest

    def act(self, guest, action, value=None, version=None, api=None, expect=202):
        answer = (api or self.admin).act(guest.uuid, action, value, version)
        equal(answer.status, expect, f"status of {action} ({answer.text})")
        return answer

    def live(self, guest, host=None, block_migration="auto", **rest):
        return self.act(guest, "os-migrateLive", {"host": host, "block_migration": block_migration}, **rest)

    def server(self, guest, api=None):
        answer = (api or self.admin).get(f"/v2.1/servers/{guest.uuid}")
        equal(answer.status, 200, f"GET of server {guest.name} ({answer.text})")
        return answer.body["server"]

    def host_of(self, guest):
        return self.server(guest)["OS-EXT-SRV-ATTR:host"]

    def wait_for_status(self, guest, status, seconds=30):
        def has():
            server = self.server(guest)
            return server["status"] == status and not server["OS-EXT-STS:task_state"]
        try:
            self.lab.wait(has, seconds, "")
        except LabError:
            server = self.server(guest)
            raise LabError(f"{guest.name} is {server['status']} (task {server['OS-EXT-STS:task_state']}) after {seconds} s,"
                           f" not {status}; migration {self.migration(guest)}") from None

    def migrations(self, guest):
        answer = self.admin.get(f"/v2.1/os-migrations?instance_uuid={guest.uuid}")
        equal(answer.status, 200, f"GET of the migrations ({answer.text})")
        return answer.body["migrations"]

    def migration(self, guest):
        """The newest of the guest's migrations; None when there is none."""
        rows = self.migrations(guest)
        return max(rows, key=lambda row: row["id"]) if rows else None

    def wait_for_migration(self, guest, wanted, seconds=60):
        """Waits until the newest migration has ended or has a wanted status, and gives it; it must be a wanted one."""
        wanted = {wanted} if isinstance(wanted, str) else set(wanted)
        found = []
        def reached():
            found[:] = [self.migration(guest)]
            return found[0] and found[0]["status"] in wanted | ENDED
        try:
            self.lab.wait(reached, seconds, "")
        except LabError:
            raise LabError(f"{guest.name}: not {wanted} within {seconds} s: {found}") from None
        if found[0]["status"] not in wanted:
            raise AssertionError(f"{guest.name}: the migration is {found[0]['status']}, not {' or '.join(wanted)}: "
                                 f"{self.why(guest)}")
        return found[0]

    def actions(self, guest):
        """Instance actions, newest first, each with its events."""
        rows = self.admin.get(f"/v2.1/servers/{guest.uuid}/os-instance-actions").body["instanceActions"]
        return [self.admin.get(f"/v2.1/servers/{guest.uuid}/os-instance-actions/{row['request_id']}")
                .body["instanceAction"] for row in rows]

    def why(self, guest):
        """What the events of the newest action tell."""
        actions = self.actions(guest)
        return [(event["event"], event["result"], event.get("details")) for event in actions[0]["events"]] if actions else []

    # Asking afterwards.
    def wait_for_chores(self, guest=None):
        """What a move leaves on a host is removed soon after its end."""
        self.lab.wait(lambda: self.daemon.rows("SELECT count(*) FROM chores WHERE ? IN ('', server_uuid)",
                                               guest.uuid if guest else "") == [(0,)], 15,
                      f"what moves{f' of {guest.name}' if guest else ''} left on hosts is removed")

    def stands(self, guest, host_number, state="running", boots=1):
        """The guest is whole, on this host and nowhere else: by what QEMU processes there are, by what libvirt says, by
        what the guest wrote, by files, and by what the API shows."""
        host = self.hosts[host_number - 1]
        name = guest.name
        self.wait_for_chores(guest)
        equal(self.lab.places(guest), {host.name: "shut off" if state == "stopped" else state}, f"places of {name}")
        equal(self.lab.qemus(guest), [] if state == "stopped" else [host.name], f"QEMU processes of {name}")
        if state == "running":
            guest.wait_for_boots(boots)
            guest.wait_for_progress()
        equal(guest.broken_counts(), [], f"gaps and doubles in what {name} wrote")
        equal(guest.starts(), boots, f"boots of {name}")
        if guest.disk == "private":
            equal(self.lab.private_files(guest), [host.name], f"hosts with a disk of {name}")
        elif guest.disk == "shared":
            equal(self.lab.private_files(guest), [], f"hosts with private files of {name}")
            check(guest.disk_path(host).exists(), f"the shared disk of {name} is there")
        self.wait_for_status(guest, {"running": "ACTIVE", "paused": "PAUSED", "stopped": "SHUTOFF"}[state])
        equal(self.host_of(guest), host.name, f"host of {name} in the API")
        equal(self.daemon.rows("SELECT count(*) FROM claims WHERE server_uuid = ?", guest.uuid), [(0,)],
              f"claims of {name}")

    def fill(self, host_number, leave_mb):
        """A stopped guest that takes so much of the host's memory that only `leave_mb` stay free."""
        host = self.hosts[host_number - 1]
        rows = self.admin.get("/v2.1/os-hypervisors/detail?with_servers=false", version="2.87").body["hypervisors"]
        row = next(row for row in rows if row["hypervisor_hostname"] == host.name)
        return self.guest(f"filler-{host_number}", host_number, "stopped", memory_mb=row["free_ram_mb"] - leave_mb,
                          disk="shared")

    def set_service(self, host_number, **values):
        """PUT os-services: status disabled or enabled, forced_down."""
        host = self.hosts[host_number - 1]
        rows = self.admin.get(f"/v2.1/os-services?host={host.name}&binary=nova-compute").body["services"]
        answer = self.admin.request("PUT", f"/v2.1/os-services/{rows[0]['id']}", values)
        equal(answer.status, 200, f"PUT of the service of {host.name} ({answer.text})")

    def service_state(self, host_number):
        host = self.hosts[host_number - 1]
        return self.admin.get(f"/v2.1/os-services?host={host.name}&binary=nova-compute").body["services"][0]["state"]
