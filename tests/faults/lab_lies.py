"""The verdict itself on trial: after a move that went well something is made wrong, and the verdict must say what. What it would
not notice no combination could show."""

import sqlite3
import time
from dataclasses import dataclass
from typing import Callable

from lab_faults import Fault
from lab_trial import Bad, Combination, Point, Trial

NOTICE_SECONDS = 10
NOTHING = Fault("nothing", lambda trial: None)
LIES = Combination(Point("live", "done", "after"), "private", NOTHING)


@dataclass(frozen=True)
class Lie:
    name: str
    kinds: tuple  # what the verdict may call it
    tell: Callable  # (trial)
    take_back: Callable = None  # (trial); None: it cannot be


def turn_byte(trial):
    with open(trial.guest.disk_path(trial.target), "r+b") as disk:
        disk.seek(65536)
        byte = disk.read(1)
        disk.seek(65536)
        disk.write(bytes([byte[0] ^ 255]))


def stray(trial):
    return trial.guest.disk_path(trial.source)


def write(trial, *statements):
    connection = sqlite3.connect(f"{trial.scene.daemon.folder}/migrationd.db", timeout=10)
    try:
        with connection:
            for statement in statements:
                connection.execute(statement, {"uuid": trial.guest.uuid})
    finally:
        connection.close()


def sql(*statements):
    return lambda trial: write(trial, *statements)


def define_twice(trial):
    xml = trial.target.virsh("dumpxml", "--inactive", trial.guest.uuid)
    path = trial.scene.lab.folder / "twice.xml"
    path.write_text(xml.replace(str(trial.guest.disk_path(trial.target)), str(trial.guest.disk_path(trial.third))))
    trial.third.virsh("define", path)


def run_twice(trial):
    define_twice(trial)
    path = trial.guest.disk_path(trial.third)
    path.write_bytes(trial.guest.disk_path(trial.target).read_bytes())
    trial.scene.lab.give(path)
    trial.third.virsh("start", trial.guest.uuid)


def forget(trial):
    for host in trial.scene.hosts:
        host.virsh("destroy", trial.guest.uuid, check=False)
        host.virsh("undefine", trial.guest.uuid, check=False)


CLAIM = ("INSERT INTO claims (host_id, server_uuid, migration_id, vcpus, memory_mb, disk_gb) SELECT host_id, uuid, "
         "(SELECT max(id) FROM migrations), 1, 1, 1 FROM servers WHERE uuid = :uuid AND is_deleted = 0")
LIES_TOLD = (
    Lie("a byte of its disk is another", ("lost",), turn_byte, turn_byte),
    Lie("a copy of its disk is left", ("leak",), lambda trial: stray(trial).write_bytes(b"left"), lambda trial: stray(trial).unlink()),
    Lie("a claim is left", ("leak",), sql(CLAIM), sql("DELETE FROM claims WHERE server_uuid = :uuid")),
    Lie("a task has no end", ("without an end",), sql("UPDATE servers SET task_state = 'migrating' WHERE uuid = :uuid"),
        sql("UPDATE servers SET task_state = '' WHERE uuid = :uuid")),
    Lie("its migration has no end", ("without an end",), sql("UPDATE migrations SET status = 'running' WHERE server_uuid = :uuid"),
        sql("UPDATE migrations SET status = 'completed' WHERE server_uuid = :uuid")),
    Lie("it is shown in ERROR", ("wrong",), sql("UPDATE servers SET vm_state = 'error' WHERE uuid = :uuid"),
        sql("UPDATE servers SET vm_state = 'active' WHERE uuid = :uuid")),
    Lie("it stands still", ("wrong",), lambda trial: trial.target.virsh("suspend", trial.guest.uuid),
        lambda trial: trial.target.virsh("resume", trial.guest.uuid)),
    Lie("it is defined twice", ("leak",), define_twice, lambda trial: trial.third.virsh("undefine", trial.guest.uuid)),
    Lie("it runs twice", ("doubled",), run_twice),
    Lie("it is nowhere", ("lost",), forget),
)


class Lies(Trial):
    """A move, and then the lies, one after another."""

    def __init__(self, scene):
        super().__init__(scene, LIES)

    def wait_for_verdict(self):
        settled = super().wait_for_verdict()
        for lie in LIES_TOLD:
            lie.tell(self)
            self.wait_until_noticed(lie)
            if lie.take_back:
                lie.take_back(self)
                super().wait_for_verdict()
        return settled

    def wait_until_noticed(self, lie):
        deadline = time.monotonic() + NOTICE_SECONDS
        found = "good"
        while time.monotonic() < deadline:
            try:
                self.judge()
            except Bad as bad:
                found = f"{bad.kind}: {bad}"
                if bad.kind in lie.kinds:
                    return
        raise Bad("wrong", f"a lie is not noticed: {lie.name}: {found}")
