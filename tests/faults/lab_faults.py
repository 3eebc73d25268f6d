"""The faults, as a table: what each does to the lab, how it comes back, and what it takes away by itself.

A fault strikes one side: the source (the first host, where the guest stands before its job), or the target (the second). The
third host is nobody's, until somebody moves the guest there by hand.
"""

import os
import shutil
import signal
from dataclasses import dataclass, field
from typing import Callable, Optional

from lab import LabError, signal_processes

MOVES = ("live", "cold", "confirm", "revert")
# What settings of the daemon make equal to a time: past its keep-alive (2 × 1 s), and short of the one between hosts (26 s).
SILENT_SECONDS = 6
AWAY_SECONDS = 4
HUNG_SECONDS = 5
SPOILT_SECONDS = 5
HELD_BACK_SECONDS = 30
CLOCK_STEP = 3600  # beyond each lease and pause


class CannotBe(Exception):
    """The fault cannot strike there; the text says why."""


@dataclass(frozen=True, eq=False)
class Fault:
    name: str
    strike: Callable  # (trial)
    undo: Optional[Callable] = None  # (trial); None: it stays until all is made well
    after_s: float = 0  # when it is undone, unless the job has ended before
    kinds: tuple = ()  # empty: every kind
    order: str = ""  # what the held daemon gets besides
    gives_up: str = ""  # "source", "target": the host never comes back, and is given up
    comes_back: bool = False  # after all, as it was when it burned
    needs: frozenset = field(default_factory=frozenset)  # "private" disk, "mounts", "networks", "held" (not in the middle of a step), "others"
    ends_guest: bool = False  # the guest, or its only disk, may go with it
    stops_guest: bool = False  # the guest may be off, or stand still, or have booted again
    is_for_person: bool = False  # the server may be left in ERROR, on the right host: who touched the guest has to say that it is well
    at: tuple = ()  # (side, states): where the guest has to be, and how


def side(trial, name):
    return {"source": trial.source, "target": trial.target, "third": trial.third}[name]


def virsh(host, *words, seconds=30):
    """By hand; what is refused cannot be."""
    try:
        return host.virsh(*words, seconds=seconds)
    except LabError as error:
        raise CannotBe(str(error)) from None


def kill_daemon(trial):
    trial.scene.daemon.kill_and_start()


def kill_libvirtd(name):
    return lambda trial: side(trial, name).kill()


def start_libvirtd(name):
    def undo(trial):
        side(trial, name).start()
        side(trial, name).wait_until_up()
    return undo


def stop_libvirtd(name):
    return lambda trial: side(trial, name).stop_answering()


def continue_libvirtd(name):
    return lambda trial: side(trial, name).answer_again()


def burn(name):
    def strike(trial):
        trial.scene.burned.append(side(trial, name))
        trial.scene.stop_all(side(trial, name))
    return strike


def signal_qemu(name, number):
    return lambda trial: signal_processes(side(trial, name).qemu_of(trial.guest), number)


def by_hand(name, *words):
    return lambda trial: virsh(side(trial, name), *words, trial.guest.uuid)


def move_running(trial, source, target):
    guest = trial.guest
    words = ["--unsafe"]
    if guest.disk == "private":
        xml = source.virsh("dumpxml", "--migratable", guest.uuid)
        path = trial.scene.lab.folder / "by-hand.xml"
        path.write_text(xml.replace(str(guest.disk_path(source)), str(guest.disk_path(target))))
        if not guest.disk_path(target).exists():
            virsh(target, "vol-create-as", "private", f"{guest.name}.img", f"{guest.disk_path(source).stat().st_size}B", "--format", "raw")
        words = ["--copy-storage-all", "--disks-uri", f"tcp://{target.migration_address}", "--xml", path, "--persistent-xml", path]
    virsh(source, "migrate", "--live", "--p2p", "--persistent", "--undefinesource", *words, guest.uuid, target.uri, "--migrateuri",
          f"tcp://{target.migration_address}", seconds=60)
    if guest.disk == "private":
        guest.disk_path(source).unlink()


def move_off(trial, source, target):
    guest = trial.guest
    xml = virsh(source, "dumpxml", "--inactive", guest.uuid)
    virsh(source, "undefine", guest.uuid)
    if guest.disk == "private":
        shutil.copyfile(guest.disk_path(source), guest.disk_path(target))
        trial.scene.lab.give(guest.disk_path(target))
        guest.disk_path(source).unlink()
    path = trial.scene.lab.folder / "by-hand.xml"
    path.write_text(xml.replace(str(guest.disk_path(source)), str(guest.disk_path(target))))
    virsh(target, "define", path)


def moved(of, to):
    def strike(trial):
        source, target = side(trial, of), side(trial, to)
        if target.state(trial.guest):
            raise CannotBe("the guest is on that host already")
        (move_running if source.state(trial.guest) == "running" else move_off)(trial, source, target)
    return strike


def for_others(number):
    """A signal to the QEMUs of other guests, one on each host: while they are stopped each reading of their host has to wait."""
    def strike(trial):
        for host, guest in zip(trial.scene.hosts, trial.others):
            signal_processes(host.qemu_of(guest), number)
    return strike


def close_folder(name):
    return lambda trial: os.chmod(side(trial, name).images, 0o500)


def open_folder(name):
    return lambda trial: os.chmod(side(trial, name).images, 0o700)


def fill_pool(name):
    return lambda trial: trial.scene.fill_pool(side(trial, name))


def empty_pool(name):
    return lambda trial: trial.scene.empty_pool(side(trial, name))


def switch_pool_off(name):
    return lambda trial: virsh(side(trial, name), "pool-destroy", "private")


def switch_pool_on(name):
    return lambda trial: side(trial, name).virsh("pool-start", "private")


def spoil_database(how):
    return lambda trial: trial.scene.daemon.put(how)


def heal_database(how):
    return lambda trial: (trial.scene.daemon.holds / how).unlink(missing_ok=True)


def step_clock(trial):
    trial.scene.has_stepped_clock = True


def cut(*nics_of):
    """(NIC, side) pairs."""
    def strike(trial):
        for nic, name in nics_of:
            trial.scene.lab.cut(side(trial, name), nic)
    return strike


def join(trial):
    trial.scene.lab.join_all()


def on_both(make):
    return [make("source", ()), make("target", MOVES)]


PRIVATE, MOUNTS, NETWORKS, HELD, OTHERS = "private", "mounts", "networks", "held", "others"


def needs(*words):
    return frozenset(words)


ALIVE, OFF, DEFINED = ("running", "paused"), ("shut off",), ("running", "paused", "shut off")
MOVABLE = ("running", "shut off")


def stops(what, strike, *, at, kinds, states, **rest):
    """One that changes the guest itself."""
    return Fault(what, strike, kinds=kinds, at=(at, states), stops_guest=True, **rest)


FAULTS = [
    Fault("daemon killed", kill_daemon),
    *on_both(lambda at, kinds: Fault(f"{at}'s libvirtd killed", kill_libvirtd(at), start_libvirtd(at), AWAY_SECONDS, kinds)),
    *on_both(lambda at, kinds: Fault(f"{at}'s libvirtd stopped", stop_libvirtd(at), continue_libvirtd(at), SILENT_SECONDS, kinds)),
    *on_both(lambda at, kinds: Fault(f"{at} gone for good", burn(at), kinds=kinds, gives_up=at, ends_guest=True, stops_guest=True)),
    *on_both(lambda at, kinds: Fault(f"{at} given up, and back as it was", burn(at), kinds=kinds, gives_up=at, comes_back=True, ends_guest=True,
                                     stops_guest=True)),
    Fault("readings held back", for_others(signal.SIGSTOP), for_others(signal.SIGCONT), HELD_BACK_SECONDS, needs=needs(OTHERS)),
    *on_both(lambda at, kinds: Fault(f"{at}'s QEMU stopped", signal_qemu(at, signal.SIGSTOP), signal_qemu(at, signal.SIGCONT), HUNG_SECONDS, kinds,
                                     at=(at, ALIVE))),
    *on_both(lambda at, kinds: stops(f"{at}'s QEMU killed", signal_qemu(at, signal.SIGKILL), at=at, kinds=kinds, states=ALIVE)),
    *on_both(lambda at, kinds: stops(f"powered off by hand on the {at}", by_hand(at, "destroy"), at=at, kinds=kinds, states=ALIVE)),
    *on_both(lambda at, kinds: stops(f"started by hand on the {at}", by_hand(at, "start"), at=at, kinds=kinds, states=OFF,
                                     is_for_person=True)),
    *on_both(lambda at, kinds: stops(f"suspended by hand on the {at}", by_hand(at, "suspend"), at=at, kinds=kinds, states=("running",))),
    *on_both(lambda at, kinds: stops(f"undefined by hand on the {at}", by_hand(at, "undefine"), at=at, kinds=kinds, states=DEFINED,
                                     ends_guest=True)),
    stops("moved away by hand", moved("source", "third"), at="source", kinds=(), states=MOVABLE, is_for_person=True, needs=needs(HELD)),
    stops("moved on by hand", moved("target", "third"), at="target", kinds=MOVES, states=MOVABLE, is_for_person=True, needs=needs(HELD)),
    stops("moved back by hand", moved("target", "source"), at="target", kinds=MOVES, states=MOVABLE, is_for_person=True, needs=needs(HELD)),
    *on_both(lambda at, kinds: Fault(f"{at}'s folder read-only", close_folder(at), open_folder(at), SPOILT_SECONDS, kinds,
                                     needs=needs(PRIVATE))),
    *on_both(lambda at, kinds: Fault(f"{at}'s pool full", fill_pool(at), empty_pool(at), SPOILT_SECONDS, kinds,
                                     needs=needs(PRIVATE, MOUNTS))),
    *on_both(lambda at, kinds: Fault(f"{at}'s pool off", switch_pool_off(at), switch_pool_on(at), SPOILT_SECONDS, kinds,
                                     needs=needs(PRIVATE))),
    Fault("database full", spoil_database("full"), heal_database("full"), SPOILT_SECONDS),
    Fault("database read-only", spoil_database("read-only"), heal_database("read-only"), SPOILT_SECONDS),
    Fault("wall clock an hour on", step_clock, order=f"clock {CLOCK_STEP}", needs=needs(HELD)),
    Fault("wall clock an hour back", step_clock, order=f"clock -{CLOCK_STEP}", needs=needs(HELD)),
    Fault("link between the hosts cut", cut(("migrate", "target")), join, SILENT_SECONDS, MOVES, needs=needs(NETWORKS)),
    Fault("our link to the source cut", cut(("manage", "source")), join, SILENT_SECONDS, needs=needs(NETWORKS)),
    Fault("our link to the target cut", cut(("manage", "target")), join, SILENT_SECONDS, MOVES, needs=needs(NETWORKS)),
]
