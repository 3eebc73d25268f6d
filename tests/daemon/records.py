"""What the daemon keeps: copies of its database, old records that are forgotten, hosts that may not go, files of an older version."""

import json
import os
import pty
import signal
import sqlite3
import stat
import subprocess
import threading
import time
from pathlib import Path

from service import BINARY, Service, state

DAY_US = 24 * 3600 * 1000000


def verb(service, *words):
    return subprocess.run([BINARY, *words, "--config", service.config], capture_output=True, text=True, check=False)


def hosts_of(service):
    rows = service.api("admin", "manager", "member", "reader").get("/v2.1/os-services?binary=nova-compute").body["services"]
    return {row["host"] for row in rows}


def backup_and_restore(folder):
    """a copy that is made while moves are ordered is whole; restore refuses a living daemon, puts the copy in place and keeps what kill -9 left"""
    service = Service(folder).start().load()
    is_over = threading.Event()
    client = service.api("member", "reader")

    def write():
        while not is_over.is_set():
            client.act(state.server_uuid(1), "lock")
            client.act(state.server_uuid(1), "unlock")
    writer = threading.Thread(target=write)
    writer.start()
    copies = [service.folder / f"copy.{number}" for number in range(5)]
    for copy in copies:
        done = verb(service, "backup", str(copy))
        assert done.returncode == 0, done
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with sqlite3.connect(f"file:{copy}?mode=ro", uri=True) as base:
            assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    is_over.set()
    writer.join()
    done = verb(service, "backup", str(copies[0]))
    assert done.returncode == 1 and "--force" in done.stderr, done
    assert verb(service, "backup", str(copies[0]), "--force").returncode == 0
    assert verb(service, "host", "add", "late", "test:///late").returncode == 0 and "late" in hosts_of(service)
    done = verb(service, "restore", str(copies[0]))
    assert done.returncode == 1 and "in use by another daemon" in done.stderr, done
    assert "late" in hosts_of(service)
    service.kill()
    done = verb(service, "restore", str(copies[0]))
    assert done.returncode == 0 and ".replaced-" in done.stdout, done
    service.start()
    assert "late" not in hosts_of(service)
    service.stop()
    kept = next(service.folder.glob("migrationd.db.replaced-*"))
    assert verb(service, "restore", str(kept)).returncode == 0
    service.start()
    assert "late" in hosts_of(service)
    service.stop()
    (service.folder / "text").write_text("no database\n" * 1000)
    before = Path(service.sections["database"]).read_bytes()
    assert verb(service, "restore", str(service.folder / "text")).returncode == 1
    assert Path(service.sections["database"]).read_bytes() == before


def killed_restore(folder):
    """kill -9 at any moment of a restore leaves the old database whole, or the new one"""
    service = Service(folder).start().load()
    copy = service.folder / "copy"
    assert verb(service, "backup", str(copy)).returncode == 0
    for number in range(60):
        assert verb(service, "host", "add", f"late-{number}", f"test:///{number}").returncode == 0
    service.kill()
    began = time.monotonic()
    assert verb(service, "restore", str(copy)).returncode == 0
    lasts = time.monotonic() - began
    kept = next(service.folder.glob("migrationd.db.replaced-*"))
    copies = {kept}
    seen = set()
    for part in range(12):
        assert verb(service, "restore", str(kept)).returncode == 0
        assert copies <= set(service.folder.glob("migrationd.db.replaced-*")), "what was kept is never taken away"
        copies |= set(service.folder.glob("migrationd.db.replaced-*"))
        process = subprocess.Popen([BINARY, "restore", copy, "--config", service.config], stdout=subprocess.DEVNULL)
        time.sleep(lasts * part / 11)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with sqlite3.connect(service.sections["database"]) as base:
            assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            late = base.execute("SELECT COUNT(*) FROM hosts WHERE name LIKE 'late-%'").fetchone()[0]
        assert late in (0, 60), late
        seen.add(late)
    print(f"# seen: {seen}")
    service.start()
    service.stop()


def old_records(folder):
    """old migrations and actions are forgotten by their age when that is asked for, and never otherwise; then they are in no list"""
    service = Service(folder).start().load()
    client = service.api("member", "reader")
    for _ in range(3):
        assert client.act(state.server_uuid(1), "lock").status == 202 and client.act(state.server_uuid(1), "unlock").status == 202
    service.stop()
    old = int(time.time() * 1e6) - 40 * DAY_US
    with sqlite3.connect(service.sections["database"]) as base:
        base.execute("UPDATE instance_actions SET updated_us = ?", (old,))
        for number in range(450):
            status = ("completed", "finished")[number % 9 == 0]
            base.execute("INSERT INTO migrations SELECT NULL, printf('00000000-0000-4000-8000-%012d', ?1), ?2, ?3, 'live-migration', 'a', 'a', "
                         "'b', 'b', '', 0, 0, 'u', 'p', 0, 0, 0, 0, 0, 0, 0, ?4, ?4", (number, state.server_uuid(1), status, old))
    admin = ("admin", "manager", "member", "reader")
    service.start()

    def numbers():
        migrations = service.api(*admin).get("/v2.1/os-migrations?limit=1000").body["migrations"]
        actions = service.api(*admin).get(f"/v2.1/servers/{state.server_uuid(1)}/os-instance-actions").body["instanceActions"]
        return len([row for row in migrations if row["source_compute"] == "a"]), len(actions)
    time.sleep(1)
    assert numbers() == (450, 6), numbers()
    service.stop()
    service.sections["retention"] = {"migrations_days": 30, "instance_actions_days": 30}
    service.start()
    service.wait(lambda: numbers() == (50, 0))  # those that wait for their confirm stay
    gone = service.api(*admin).get("/v2.1/os-migrations?limit=10&marker=00000000-0000-4000-8000-000000000001", version="2.59")
    assert gone.status == 400, gone.status
    service.stop()


def hosts_in_use(folder):
    """a host with servers or moves is not removed, by either way, with 409 and the reason; one without is gone from every list"""
    service = Service(folder).start().load()
    done = verb(service, "host", "remove", "host1")
    assert done.returncode == 1 and "servers stand there" in done.stderr, done
    service.control(thaw=["jobs"])
    service.control(close_gate="live")
    admin = service.api("admin", "manager", "member", "reader")
    assert admin.act(state.server_uuid(1), "os-migrateLive", {"host": None, "block_migration": "auto"}).status == 202
    service.wait(lambda: admin.get("/v2.1/os-migrations?status=running").body["migrations"])
    target = admin.get("/v2.1/os-migrations?status=running").body["migrations"][0]["dest_compute"]
    done = verb(service, "host", "remove", target)
    assert done.returncode == 1 and "unfinished jobs touch it" in done.stderr, done
    verb(service, "host", "add", "spare", "test:///spare")
    assert verb(service, "host", "remove", "spare").returncode == 0 and "spare" not in hosts_of(service)
    assert verb(service, "host", "remove", "nowhere").returncode == 1
    asked = service.api("admin", "manager", "member", "reader", version="2.53")
    ids = {row["host"]: row["id"] for row in asked.get("/v2.1/os-services?binary=nova-compute").body["services"]}
    for host in ("host1", target):
        assert asked.request("DELETE", f"/v2.1/os-services/{ids[host]}", None).status == 409
    service.stop()


def typed(service, words, *lines):
    """The verb on a terminal, where those lines are typed."""
    ours, its = pty.openpty()
    asked = subprocess.Popen([BINARY, *words, "--config", service.config], stdin=its, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    os.close(its)
    os.write(ours, "".join(f"{line}\n" for line in lines).encode())
    told, _ = asked.communicate(timeout=60)
    os.close(ours)
    return asked.returncode, told


def a_host_that_never_comes_back(folder):
    """a host is given up only when it is down and its name was said twice; then it is gone, and its servers are in ERROR on no host"""
    service = Service(folder).start().load()
    service.control(thaw=["jobs"])
    gone = ("host", "remove", "--gone", "host1")
    done = verb(service, *gone, "--confirm", "host1")
    assert done.returncode == 1 and "answers" in done.stderr, done
    admin = service.api("admin", "manager", "member", "reader", version="2.53")
    ids = {row["host"]: row["id"] for row in admin.get("/v2.1/os-services?binary=nova-compute").body["services"]}
    assert admin.request("PUT", f"/v2.1/os-services/{ids['host1']}", {"forced_down": True}).status == 200
    done = verb(service, "host", "remove", "host1")
    assert done.returncode == 1 and "migrationd host remove --gone" in done.stderr, done
    for done in (verb(service, *gone), verb(service, *gone, "--confirm", "host2")):
        assert done.returncode == 1 and "is not given up" in done.stderr and " servers, " in done.stdout, done
    for lines in (("host2",), ("host1", "host2"), ("yes", "yes")):
        code, told = typed(service, gone, *lines, "")
        assert code == 1 and "is not given up" in told, told
    assert verb(service, "host", "remove", "host1", "--confirm", "host1").returncode == 64
    shown = json.loads(verb(service, "host", "show", "host1", "--json").stdout)
    assert shown["state"] == "down" and shown["servers"] > 0 and not shown["chores"] and not shown["waiting_jobs"], shown
    assert verb(service, "host", "show", "nowhere").returncode == 1
    servers = [row["id"] for row in admin.get("/v2.1/servers/detail?all_tenants=1&host=host1").body["servers"]]
    assert len(servers) == shown["servers"]
    code, told = typed(service, gone, "host1", "host1")
    assert code == 0 and "Host host1 is gone." in told, told
    assert "host1" not in hosts_of(service)
    for server in servers:
        row = admin.get(f"/v2.1/servers/{server}").body["server"]
        assert (row["status"], row["OS-EXT-SRV-ATTR:host"], row["hostId"]) == ("ERROR", None, ""), row
        assert row["fault"]["message"] == "The server's host was given up for good.", row
    listed = admin.get("/v2.1/servers/detail?all_tenants=1").body["servers"]
    assert set(servers) <= {row["id"] for row in listed}
    assert not admin.get("/v2.1/servers/detail?all_tenants=1&host=host1").body["servers"]
    service.stop()
    service.start()
    service.stop()


def an_older_file(folder):
    """a database of the version before is upgraded, after a copy of it was written that is whole and of that version"""
    service = Service(folder).start().load()
    service.stop()
    with sqlite3.connect(service.sections["database"]) as base:
        for change in ("DROP TABLE chores", "DROP INDEX kept_domains_migration", "ALTER TABLE hosts DROP COLUMN is_gone",
                       "ALTER TABLE servers DROP COLUMN error_cause", "ALTER TABLE volumes DROP COLUMN bytes",
                       "UPDATE schema_version SET version = 2"):
            base.execute(change)
    before = hosts_names(service.sections["database"])
    service.start()
    copy = Path(f"{service.sections['database']}.before-3")
    assert hosts_names(copy) == before and stat.S_IMODE(copy.stat().st_mode) == 0o600
    with sqlite3.connect(f"file:{copy}?mode=ro", uri=True) as base:
        assert base.execute("SELECT version FROM schema_version").fetchall() == [(2,)]
    assert '"database upgraded"' in service.log.read_text()
    service.stop()
    # A copy of the older version can be put back; it is upgraded at the next start.
    os.rename(copy, service.folder / "older")
    assert verb(service, "restore", str(service.folder / "older")).returncode == 0
    service.start()
    assert hosts_names(service.sections["database"]) == before
    service.stop()


def hosts_names(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as base:
        return base.execute("SELECT name FROM hosts ORDER BY name").fetchall()


CHECKS = (backup_and_restore, killed_restore, old_records, hosts_in_use, a_host_that_never_comes_back, an_older_file)
