"""gophercloud, as Debian ships it, by a small program that is built here."""

import os
import subprocess
from pathlib import Path

from bench import check, equal, scenario
from commands import ADMIN, BAD, MEMBER, READER, STRANGER, is_refused, works
from daemon import TOP

SOURCE = Path(__file__).with_name("gophercloud_moves.go")
PROGRAM = TOP / "build" / "tests" / "gophercloud_moves"


def go(*words, version="-"):
    if not PROGRAM.exists() or PROGRAM.stat().st_mtime < SOURCE.stat().st_mtime:
        PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        cache = TOP / "build" / "go-cache"
        # Debian's packages of Go are sources in a folder of theirs, without modules.
        subprocess.run(["go", "build", "-o", str(PROGRAM), str(SOURCE)], check=True, cwd=SOURCE.parent,
                       env={"PATH": os.environ["PATH"], "HOME": str(cache), "GOCACHE": str(cache), "GOFLAGS": "",
                            "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"})
    return [str(PROGRAM), version, *words]


@scenario("gophercloud: hosts, services, servers page by page, flavors and actions are read", suite="clients")
def _(bench):
    guest = bench.guest("web")
    bench.guest("db", 2, "stopped")
    bench.live(guest)
    bench.wait_for_migration(guest, "completed")
    for version in ("-", "2.52"):
        equal(works(bench, go("servers", version=version)).out.splitlines(), ["db SHUTOFF", "web ACTIVE"], "servers")
        equal(works(bench, go("hosts", version=version)).out.splitlines(),
              [f"{host.name} up true" for host in bench.hosts], "hosts")
        equal(works(bench, go("services", version=version)).out.splitlines(),
              [f"{host.name} up" for host in bench.hosts], "services")
        equal(works(bench, go("flavors", version=version)).out.splitlines(), ["lab.64 64"], "flavors")
        equal(works(bench, go("actions", guest.uuid, version=version)).out.splitlines(), ["live-migration true"], "actions")


@scenario("gophercloud: live migrations in the old and in the newer form, chosen and named", suite="clients")
def _(bench):
    guest = bench.guest("web")
    works(bench, go("live", guest.uuid), MEMBER)
    bench.wait_for_migration(guest, "completed")
    works(bench, go("live", guest.uuid, "compute-1", version="2.30"))
    bench.lab.wait(lambda: bench.host_of(guest) == "compute-1", 60, "it is back")
    bench.stands(guest, 1)


@scenario("gophercloud: a cold migration is waited for and confirmed, another one reverted", suite="clients")
def _(bench):
    guest = bench.guest("web")
    works(bench, go("cold", guest.uuid), MEMBER)
    works(bench, go("wait", guest.uuid, "VERIFY_RESIZE"), MEMBER)
    works(bench, go("confirm", guest.uuid), MEMBER)
    works(bench, go("wait", guest.uuid, "ACTIVE"), MEMBER)
    first = bench.wait_for_migration(guest, "confirmed")
    guest.wait_for_boots(2)
    works(bench, go("cold", guest.uuid), MEMBER)
    works(bench, go("wait", guest.uuid, "VERIFY_RESIZE"), MEMBER)
    guest.wait_for_boots(3)
    works(bench, go("revert", guest.uuid), MEMBER)
    bench.wait_for_migration(guest, "reverted")
    bench.stands(guest, int(first["dest_compute"][-1]), boots=4)


@scenario("gophercloud: a refusal comes with the service's words", suite="clients")
def _(bench):
    guest = bench.guest("web")
    is_refused(bench, go("live", guest.uuid), READER, "migrate_live")
    is_refused(bench, go("live", guest.uuid, "compute-2"), MEMBER, "migrate_live:host")
    is_refused(bench, go("live", guest.uuid), STRANGER, "not found")
    printed = is_refused(bench, go("servers"), BAD)
    check("401" in printed.all or "Authentication failed" in printed.all, f"it is about the token: {printed}")
    is_refused(bench, go("confirm", guest.uuid), ADMIN, "vm_state active")
    bench.stands(guest, 1)
