"""One combination on real hosts: a guest, a job that is held at a point of its life, a fault there, and the verdict.

The verdict is about the guest alone and asks everybody: libvirt and QEMU on all hosts, the files in the pools, what the guest
wrote, the database, the API, and `migrationd doctor`. It is asked again until nothing is wrong, at most for SETTLE_SECONDS after
all was made well.
"""

import time
from dataclasses import dataclass

from bench import ENDED, check
from lab import LabError
from lab_faults import CannotBe, side

SETTLE_SECONDS = 60  # within that time, after all is well again, the record is final and nothing is left
GONE_SECONDS = 15  # within that time after a host was given up
REACH_SECONDS = 40
POLL_SECONDS = 0.1
STATES = {"start": "stopped", "unpause": "paused"}
COPIES_MIB = 64  # of a disk whose copy is to last a while
STATUS_OF = {"running": {"ACTIVE"}, "paused": {"PAUSED"}, "shut off": {"SHUTOFF", "SUSPENDED"}}


@dataclass(frozen=True)
class Point:
    kind: str
    phase: str
    moment: str  # before or after the phase's durable write; or in its step

    @property
    def held_at(self):
        return f"{self.kind} {self.phase} {'before' if self.moment == 'before' else 'after'}"

    def __str__(self):
        return f"{self.moment} {self.phase}"


def on_source(state, *phases):
    return {phase: (state, "") for phase in phases}


def on_target(state, *phases):
    return {phase: ("", state) for phase in phases}


# How the source and the target have the guest when a phase is written, before its step: a fault of the guest that cannot be there
# is not tried. With a phase that is missing here each fault is tried.
GUEST_AT = {
    "live": {**on_source("running", "choosing", "checking", "queued", "preparing", "moving", "restoring"),
             **on_target("running", "finishing", "done")},
    "cold": {**on_source("running", "choosing", "checking", "queued", "stopping"),
             **on_source("shut off", "copying", "returning", "defining"), "undefining": ("shut off", "shut off"),
             **on_target("shut off", "starting", "restoring"), **on_target("running", "finishing", "done")},
    "confirm": on_target("running", "removing", "done"),
    "revert": {**on_target("running", "stopping"), **on_target("shut off", "defining"),
               **{phase: ("shut off", "shut off") for phase in ("starting", "restoring")}, **on_source("running", "done")},
    "start": {**on_source("shut off", "acting"), **on_source("running", "done")},
    "stop": {**on_source("running", "acting"), **on_source("shut off", "done")},
    "pause": {**on_source("running", "acting"), **on_source("paused", "done")},
    "unpause": {**on_source("paused", "acting"), **on_source("running", "done")},
    "suspend": {**on_source("running", "acting"), **on_source("shut off", "done")},
    "resume": {**on_source("shut off", "acting"), **on_source("running", "done")},
    "reboot_soft": {**on_source("running", "stopping", "done"), **on_source("shut off", "starting")},
    "reboot_hard": {**on_source("running", "stopping", "done"), **on_source("shut off", "starting")},
}


def may_be(point, fault):
    sides = GUEST_AT[point.kind].get(point.phase) if point.kind in GUEST_AT else None
    if not fault.at or not sides or point.moment == "in":
        return True
    name, states = fault.at
    return sides[name == "target"] in states


# Where the source can have the guest back, though it does not show it.
RETURNING = {("confirm", "removing"), *(("revert", phase) for phase in ("stopping", "defining", "starting", "restoring"))}


def removes(point, fault):
    """Whoever undefines a guest on its source, where it is off with its disks, before a cold migration did so, removes it: the copy is
    not to bring it back."""
    return (point.kind, point.phase) == ("cold", "undefining") and fault.ends_guest and fault.at[:1] == ("source",)


def survives(point, fault):
    """A fault that takes the guest away on one side leaves it to the other."""
    if removes(point, fault):
        return False
    struck = fault.gives_up or (fault.at and fault.at[0])
    sides = GUEST_AT.get(point.kind, {}).get(point.phase)
    if not fault.ends_guest or not sides or point.moment == "in":
        return not fault.ends_guest
    return bool(sides[struck != "target"]) or struck == "target" and (point.kind, point.phase) in RETURNING


# How long a step has gone on when the fault strikes in it.
MIDWAY = {("live", "moving"): 1.0, ("cold", "copying"): 0.15}


@dataclass(frozen=True)
class Detour:
    """How a job comes to a phase that an undisturbed one does not come to: what is done at an earlier point."""

    held_at: str
    disturb: object  # (trial)


def no_memory(name):
    return lambda trial: side(trial, name).close_memory_folder()


def no_folder(trial):
    trial.target.images.chmod(0o500)


DETOURS = {
    ("live", "restoring"): Detour("live moving after", no_memory("target")),
    ("cold", "returning"): Detour("cold copying after", no_folder),
    ("cold", "restoring"): Detour("cold starting after", no_memory("target")),
    ("revert", "restoring"): Detour("revert starting after", no_memory("source")),
}
ACTIONS = {
    "live": ("os-migrateLive", {"host": "compute-2", "block_migration": "auto"}),
    "cold": ("migrate", {"host": "compute-2"}),
    "confirm": ("confirmResize", None),
    "revert": ("revertResize", None),
    "start": ("os-start", None),
    "stop": ("os-stop", None),
    "pause": ("pause", None),
    "unpause": ("unpause", None),
    "suspend": ("suspend", None),
    "resume": ("resume", None),
    "reboot_soft": ("reboot", {"type": "SOFT"}),
    "reboot_hard": ("reboot", {"type": "HARD"}),
}


@dataclass(frozen=True)
class Combination:
    point: Point
    disk: str
    fault: object

    @property
    def name(self):
        disk = " (shared disk)" if self.disk == "shared" else ""
        return f"{self.point.kind}{disk}, {self.point}, {self.fault.name}"


class Bad(Exception):
    def __init__(self, kind, why):
        super().__init__(why)
        self.kind = kind  # lost, doubled, without an end, leak, wrong


class Trial:
    def __init__(self, scene, combination):
        self.scene = scene
        self.point, self.fault = combination.point, combination.fault
        self.disk = combination.disk
        self.source, self.target, self.third = scene.hosts
        self.detour = DETOURS.get((self.point.kind, self.point.phase))
        self.guest = self.blocker = self.own_copy = None
        self.image = b""
        self.others = []  # one on each host, where the fault needs them

    # The way to the point.
    def make_guest(self):
        kind = self.point.kind
        parts = {"has_memory_file": True} if self.detour else {}
        if "others" in self.fault.needs:
            self.others = [self.scene.guest(self.scene.new_name(), host.number) for host in self.scene.hosts]
        is_long = (kind, self.point.phase, self.point.moment) == ("cold", "copying", "in")
        self.guest = self.scene.guest(self.scene.new_name(), 1, STATES.get(kind, "running"), disk=self.disk,
                                      disk_mb=COPIES_MIB if is_long else 2, **parts)
        self.image = self.guest.disk_path(self.source).read_bytes()[1024:]
        if kind in ("confirm", "revert"):
            self.scene.act(self.guest, *ACTIONS["cold"])
            self.scene.wait_for_migration(self.guest, "finished")
            self.scene.wait_for_status(self.guest, "VERIFY_RESIZE")
            self.guest.wait_for_boots(2)
        elif kind == "resume":
            self.scene.act(self.guest, "suspend")
            self.scene.wait_for_status(self.guest, "SUSPENDED")
        self.boots = self.guest.starts()

    def block_target(self):
        """Another guest is on its way to the target, and held there: a job that comes now waits for its turn."""
        self.blocker = self.scene.guest(self.scene.new_name(), 3, disk="shared")
        self.scene.daemon.hold_at("live moving before", 2)
        self.scene.live(self.blocker, "compute-2")
        self.scene.lab.wait(lambda: self.scene.daemon.has_reached(2), REACH_SECONDS, "the other job is held")

    def wait_until_reached(self):
        """False: the job has ended without."""
        def arrived():
            return self.scene.daemon.has_reached() or self.scene.job_has_ended(self.guest)
        self.scene.lab.wait(arrived, REACH_SECONDS, f"the job comes to {self.point}: {self.scene.daemon.trace()[-3:]}")
        return self.scene.daemon.has_reached()

    def go_to_point(self):
        daemon = self.scene.daemon
        daemon.hold_at(self.detour.held_at if self.detour else self.point.held_at)
        action, value = ACTIONS[self.point.kind]
        self.scene.act(self.guest, action, value, expect=204 if self.point.kind == "confirm" else 202)
        is_there = self.wait_until_reached()
        if is_there and self.detour:
            self.detour.disturb(self)
            daemon.hold_at(self.point.held_at)
            daemon.let_go()
            is_there = self.wait_until_reached()
            self.scene.make_hosts_well()
        if not is_there:
            raise CannotBe("the job does not come there")

    # The fault.
    def strike(self):
        is_in_step = self.point.moment == "in"
        if is_in_step:
            self.scene.daemon.let_go()
            time.sleep(MIDWAY[(self.point.kind, self.point.phase)])
        try:
            self.check_guest()
            self.fault.strike(self)
        finally:
            if not is_in_step and self.scene.daemon.has_reached():
                self.scene.daemon.let_go(self.fault.order)
        if self.blocker:
            self.scene.daemon.let_go(hold=2)

    def check_guest(self):
        if not self.fault.at:
            return
        name, states = self.fault.at
        state = side(self, name).state(self.guest)
        if state not in states:
            raise CannotBe(f"the guest is {state or 'not there'}")

    def undo(self):
        deadline = time.monotonic() + self.fault.after_s
        while time.monotonic() < deadline and not self.scene.job_has_ended(self.guest):
            time.sleep(POLL_SECONDS)
        self.fault.undo(self)

    def give_up(self):
        """A record that waits shows the host and the reason; it is final within seconds of the host's end."""
        host = side(self, self.fault.gives_up)
        daemon = self.scene.daemon
        def is_down():
            return self.scene.service_state(host.number) == "down"
        self.scene.lab.wait(is_down, 20, f"{host.name} is down")
        deadline = time.monotonic() + 10
        while not self.scene.job_has_ended(self.guest):
            waiting = [job for job in daemon.ask_json("host", "show", host.name)["waiting_jobs"] if job["server"] == self.guest.uuid]
            if waiting:
                check(waiting[0]["reason"], "a reason is shown")
                break
            if time.monotonic() > deadline:
                raise Bad("wrong", f"the job neither ends nor shows what it waits for: {self.scene.record(self.guest)['job']}")
            time.sleep(POLL_SECONDS)
        status, _, error = daemon.ask("host", "remove", host.name, "--gone", "--confirm", host.name, "--wait", str(GONE_SECONDS))
        if status != 0:
            raise Bad("without an end", f"{GONE_SECONDS} s after {host.name} was given up: {error.strip()}")

    def run(self):
        """Raises Bad, or CannotBe; anything else is the lab's failure. Gives the seconds from all well to the end."""
        self.make_guest()
        if self.point.phase == "queued":
            self.block_target()
        try:
            self.go_to_point()
            self.strike()
        except CannotBe:
            self.scene.make_well()
            self.scene.lab.wait(lambda: self.scene.job_has_ended(self.guest), SETTLE_SECONDS, "the undisturbed job ends")
            raise
        if self.fault.undo:
            self.undo()
        elif self.fault.gives_up:
            self.give_up()
        self.scene.make_well()
        settled = self.wait_for_verdict()
        if self.fault.comes_back:
            host = side(self, self.fault.gives_up)
            self.scene.burned.remove(host)
            self.scene.bring_back(host)
            self.scene.lab.wait(lambda: self.scene.service_state(host.number) == "up", 20, f"{host.name} is up")
            self.wait_until(self.judge_return)
        return settled

    def wait_for_verdict(self):
        return self.wait_until(self.judge)

    @staticmethod
    def wait_until(judge):
        """The seconds until it has nothing to say."""
        began = time.monotonic()
        while True:
            try:
                judge()
                return time.monotonic() - began
            except Bad:
                if time.monotonic() - began > SETTLE_SECONDS:
                    raise
            time.sleep(POLL_SECONDS)

    # The verdict.
    def judge(self):
        record = self.scene.record(self.guest)
        self.judge_end(record)
        places = self.scene.lab.places(self.guest)
        self.own_copy = self.copy_by_hand(places)
        places.pop(self.own_copy, None)
        self.judge_places(places)
        if record["server"]:
            self.judge_shown(record, places)
        elif not self.fault.ends_guest:
            raise Bad("wrong", f"the server is not known any more; the guest: {places}")
        self.judge_files(record, places)
        self.judge_life(record, places)
        self.judge_by_doctor(self.made_by_hand(record))

    def copy_by_hand(self, places):
        """The third host, where the guest was moved by hand while it was off, and the job then brought back what it had saved: both
        are whole and one runs. Doctor names the other one, and who put it there has to remove it."""
        is_there = self.fault.is_for_person and len(places) > 1 and places.get(self.third.name) == "shut off"
        return self.third.name if is_there else None

    def is_left_to_person(self, record):
        """Moved by hand in the middle of a move, it is in ERROR, and disks stay: only a person knows which are the last."""
        return bool(self.fault.is_for_person and record["server"] and record["server"]["vm_state"] == "error")

    def made_by_hand(self, record):
        """Invariants that the fault itself breaks: until its confirm or revert a server that somebody moved away from its target has
        no disk there."""
        is_waiting = record["migration"] and record["migration"]["status"] == "finished"
        return {"whole-disks"} if self.fault.is_for_person and is_waiting else set()

    def judge_end(self, record):
        job, migration, server = record["job"], record["migration"], record["server"]
        if not job["finished_us"]:
            raise Bad("without an end", f"{job['kind']} stands in {job['phase']}")
        if migration and migration["status"] not in ENDED:
            raise Bad("without an end", f"the migration is {migration['status']}")
        if server and server["task_state"]:
            raise Bad("without an end", f"the server's task is {server['task_state']}")
        is_waiting = bool(migration and migration["status"] == "finished" and server)
        has_claim = is_waiting and self.fault.gives_up != "source"  # which went with the host
        if record["claims"] != has_claim:
            raise Bad("leak", f"{record['claims']} claims, the migration is {migration and migration['status']}")
        if record["chores"]:
            raise Bad("leak", f"chores: {record['chores']}")
        if record["saved"] and not is_waiting:
            raise Bad("leak", f"a definition is saved, the migration is {migration and migration['status']}")

    def judge_places(self, places):
        running = [name for name, state in places.items() if state in ("running", "paused")]
        if len(running) > 1:
            raise Bad("doubled", f"the guest is {places}")
        if not places and survives(self.point, self.fault):
            raise Bad("lost", "no host has the guest")
        if places and removes(self.point, self.fault):
            raise Bad("wrong", f"somebody removed the guest, and it is {places}")
        if len(places) > 1:
            raise Bad("leak", f"more than one host has the guest: {places}")

    def judge_shown(self, record, places):
        answer = self.scene.admin.get(f"/v2.1/servers/{self.guest.uuid}")
        if answer.status != 200:
            raise Bad("wrong", f"the server was known, and its GET is answered {answer.status}")
        shown = answer.body["server"]
        host, status = shown["OS-EXT-SRV-ATTR:host"], shown["status"]
        if status == "ERROR":
            if self.fault.is_for_person and host not in places:
                raise Bad("wrong", f"the server in ERROR is shown on {host}, the guest is {places}")
            if not (self.fault.ends_guest or self.fault.is_for_person):
                raise Bad("wrong", f"the server is in ERROR: {shown.get('fault')}; the guest: {places}")
            return
        if host not in places:
            raise Bad("wrong", f"the server is shown {status} on {host}, the guest is {places}")
        is_resized = record["migration"] and record["migration"]["status"] == "finished"
        if status not in STATUS_OF.get(places[host], set()) and not (is_resized and status == "VERIFY_RESIZE"):
            raise Bad("wrong", f"the server is shown {status}, the guest is {places}")

    def judge_files(self, record, places):
        """Where it is its disk is whole; elsewhere is none but what a revert needs."""
        status = record["migration"] and record["migration"]["status"]
        for host in self.scene.hosts if self.disk == "private" else ():
            path = self.guest.disk_path(host)
            if host.name in places and not self.fault.ends_guest and (not path.exists() or path.read_bytes()[1024:] != self.image):
                raise Bad("lost", f"the disk is not whole on {host.name}, where the guest is {places[host.name]}")
            is_kept = status == "finished" and host is self.source or host.name == self.own_copy or self.is_left_to_person(record)
            if path.exists() and host.name not in places and not is_kept and not self.fault.ends_guest:
                raise Bad("leak", f"its disk is left on {host.name}; the guest: {places}")
        if self.disk == "shared":
            path = self.guest.disk_path(self.source)
            if not path.exists() or path.read_bytes()[1024:] != self.image:
                raise Bad("lost", "the shared disk is not whole")

    def judge_life(self, record, places):
        if self.guest.broken_counts():
            raise Bad("doubled", f"what the guest wrote: {self.guest.broken_counts()[:5]}")
        if self.fault.stops_guest:
            return
        wanted = {"stop": "shut off", "suspend": "shut off", "pause": "paused"}.get(self.point.kind, "running")
        before = {"start": "shut off", "unpause": "paused", "resume": "shut off"}.get(self.point.kind, "running")
        states = set(places.values())
        if states - {wanted, before}:
            raise Bad("wrong", f"the guest is {places}, which nobody wanted")
        if states == {"running"}:
            try:
                self.guest.wait_for_progress(30)
            except LabError:
                raise Bad("wrong", "the guest runs and does not count on") from None
            if self.point.kind == "live" and self.guest.starts() != self.boots:
                raise Bad("lost", f"the guest was booted {self.guest.starts()} times in a live migration")

    def judge_return(self):
        """A host that was given up is back with what it had: at most a copy that is off, which doctor names."""
        host = side(self, self.fault.gives_up)
        places = self.scene.lab.places(self.guest)
        running = [name for name, state in places.items() if state != "shut off"]
        if len(running) > 1:
            raise Bad("doubled", f"after {host.name} came back the guest is {places}")
        answer = self.scene.admin.get(f"/v2.1/servers/{self.guest.uuid}")
        shown = answer.body["server"]["OS-EXT-SRV-ATTR:host"] if answer.status == 200 else None
        if places and (shown not in places or running and shown not in running):
            raise Bad("wrong", f"after {host.name} came back the server is shown on {shown}, the guest is {places}")
        self.own_copy = host.name
        self.judge_by_doctor(set())

    def judge_by_doctor(self, made_by_hand):
        findings = [finding for finding in self.scene.daemon.doctor()
                    if finding["is_broken"] and not (self.own_copy and finding["host"] == self.own_copy)
                    and finding["invariant"] not in made_by_hand]
        if findings:
            raise Bad("wrong", f"doctor: {[(row['invariant'], row['host'], row['found']) for row in findings]}")
