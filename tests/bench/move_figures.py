"""Live moves of a small guest between real libvirt hosts of the lab, in turn by migrationd and by `virsh migrate` alone: from the
request until the migration is shown as completed, and from the start of virsh until its end."""

import subprocess
import time

from figures import AGAINST, OURS, Figure, FigureGroup, Limit, Measurement
from subject import Failure

from daemon import Daemon  # tests/lab, which subject.py brings
from lab import Lab

VIRSH = "virsh"
LOOK_S = 0.01
# What is shipped: the lab's own settings look more often.
SETTINGS = {"worker": {"progress_interval": 5, "poll_interval": 500, "retry_interval": 5}, "log": {"level": "info"}}


class SideDaemon(Daemon):
    """One build's daemon over the lab, with a database of its own."""

    def __init__(self, lab, side, binary):
        super().__init__(lab, lab.folder / f"migrationd-{side}.log", SETTINGS)
        self.binary = binary
        self.folder = lab.folder / f"migrationd-{side}"
        self.config_path, self.deployment_path = self.folder / "migrationd.yaml", self.folder / "osdpl.yaml"


class Group(FigureGroup):
    name = "moves"
    rounds = 30

    def __init__(self, context):
        super().__init__(context)
        self.lab, self.daemons = None, {}

    def figures(self):
        yield Figure("moves/live", "s", False, (Limit(0.7, VIRSH),))

    def names(self):
        return ["moves/live"]

    def prepare(self, chosen, rounds_to_come):
        self.lab = Lab(hosts=2)
        self.lab.up()
        self.guest = self.lab.guest("moved", self.lab.hosts[0])
        self.daemons = {side: SideDaemon(self.lab, side, binary) for side, binary in self.context.binaries.items()}
        if not self.takes_turns:
            self.start(OURS)

    @property
    def takes_turns(self):
        """Two builds over the same hosts: one runs at a time."""
        return len(self.daemons) > 1

    def start(self, side):
        self.daemons[side].start()
        self.daemons[side].wait_for_fleet()

    def measurements(self, chosen):
        sides = {side: lambda side=side: self.move(side) for side in self.context.binaries}
        yield Measurement("moves/live", {**sides, VIRSH: self.move_by_virsh})

    def hosts(self):
        """Where the guest is, and where it goes."""
        there = [host for host in self.lab.hosts if host.state(self.guest) == "running"]
        if len(there) != 1:
            raise Failure(f"the guest runs on {len(there)} hosts")
        return there[0], next(host for host in self.lab.hosts if host is not there[0])

    def move_by_virsh(self):
        source, target = self.hosts()
        words = ["virsh", "--quiet", "-c", source.uri, "migrate", "--live", "--p2p", "--persistent", "--undefinesource",
                 "--unsafe",  # the shared pool is a folder, which libvirt takes for private; migrationd has found out that it is not
                 self.guest.uuid, target.uri, f"tcp://{target.migration_address}"]
        began = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        if done.returncode != 0:
            raise Failure(f"virsh migrate: {done.stderr.strip()}")
        yield "moves/live", VIRSH, took

    def move(self, side):
        if self.takes_turns:
            self.start(side)
        api = self.daemons[side].admin
        source, target = self.hosts()
        path = f"/v2.1/servers/{self.guest.uuid}"
        self.lab.wait(lambda: api.get(path).body["server"]["OS-EXT-SRV-ATTR:host"] == source.name, 30,
                      "migrationd sees where virsh has moved the guest")
        began = time.monotonic()
        answer = api.act(self.guest.uuid, "os-migrateLive", {"host": target.name, "block_migration": "auto"})
        if answer.status != 202:
            raise Failure(f"a live move: status {answer.status}: {answer.text}")
        status = None
        while status != "completed":
            time.sleep(LOOK_S)
            status = api.get(f"/v2.1/os-migrations?instance_uuid={self.guest.uuid}&limit=1").body["migrations"][0]["status"]
            if status in ("error", "failed", "cancelled") or time.monotonic() - began > 120:
                raise Failure(f"a live move: its migration is {status}: {self.daemons[side].log_tail()}")
        yield "moves/live", side, time.monotonic() - began
        if self.takes_turns:
            self.daemons[side].stop()

    def close(self):
        for daemon in self.daemons.values():
            daemon.end()
        if self.lab:
            self.lab.down()
