"""The state that a recorded case names, as rows of the database; and the names that its placeholders stand for."""

import hashlib
import re
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

SCHEMA = Path(__file__).resolve().parents[2] / "db" / "schema.sql"
PROJECT, OTHER_PROJECT = "1" * 32, "2" * 32
IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
NODE = "fake-mini"  # whose name the recorded conductor has
HOSTS = [f"host{number}" for number in range(1, 6)]


# Servers made at the same second are listed by this, the last one first.
ORDER = (6, 2, 1, 4, 5, 3)


def uuid(number):
    return f"5e000000-0000-4000-8000-{number:012d}"


def server_uuid(number):
    return uuid(10 - ORDER.index(number))


SERVERS = {"server": server_uuid(1), "server_other": server_uuid(2), "server_resized": server_uuid(3),
           "server_big": server_uuid(4), "server_actions": server_uuid(5), "server_deleted": server_uuid(6)}
# What is recorded as {reservation_id}: by server, of all others OTHER_RESERVATION.
OTHER_RESERVATION = "r-00000001"
RESERVATIONS = dict.fromkeys((server_uuid(number) for number in (1, 3, 5)), "x")
MIGRATION_UUID = "aaaaaaaa-0000-4000-8000-0000000000"
NAMES = {**SERVERS, "project": PROJECT, "other_project": OTHER_PROJECT, "unknown": uuid(99), "migration": "101",
         "migration_resized": "1", "server_nodash": SERVERS["server"].replace("-", ""), "server_upper": SERVERS["server"].upper(),
         "service_conductor": uuid(102), "service_scheduler": uuid(103), "uuid": uuid(401),  # the resized server's migration
         "keystone": "http://nova.example:8774",
         "request_of_create": "req-00000000-0000-4000-8000-000000000021",
         **dict.fromkeys(("request_of_stop", "request_of_pause"), "req-00000000-0000-4000-8000-000000000022"),
         "hostid": hashlib.sha224(f"{PROJECT}{NODE}".encode()).hexdigest()}
for place, host in enumerate(HOSTS):
    NAMES |= {f"service_{host}": uuid(200 + place), f"serviceid_{host}": str(4 + place),
              f"hypervisor_{host}": uuid(300 + place), f"hypervisorid_{host}": str(1 + place)}


def host_id(match):
    project = {"project": PROJECT, "other_project": OTHER_PROJECT}[match[1]]
    return hashlib.sha224((project + match[2]).encode()).hexdigest()


def fill(text):
    text = re.sub(r"\{hostid:(\w+):(\w+)\}", host_id, text)
    return re.sub(r"\{(\w+)\}", lambda match: NAMES.get(match[1], match[0]), text)


def fill_bytes(body):
    try:
        return fill(body.decode()).encode()
    except UnicodeDecodeError:
        return body


def moment(*parts):
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp()) * 1_000_000


def blank_rows():
    """Of each table one row in which every column has its emptiest value."""
    base = sqlite3.connect(":memory:")
    base.executescript(SCHEMA.read_text())
    rows = {}
    for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"):
        rows[table] = {}
        for _, name, kind, is_required, _, is_key in base.execute(f"PRAGMA table_info({table})"):
            if not is_key:
                rows[table][name] = None if not is_required else "" if kind == "TEXT" else 0.0 if "DOUBLE" in kind else 0
    return rows


BLANK = blank_rows()


def row(table, **values):
    unknown = values.keys() - BLANK[table].keys() - {"id"}
    assert not unknown, f"{table} has no {unknown}"
    return {**BLANK[table], **values}


def services(states):
    fixed = [row("services", id=2, uuid=uuid(102), binary="nova-conductor", host="conductor", zone="internal", is_up=1,
                 updated_us=moment(2026, 1, 1)),
             row("services", id=3, uuid=uuid(103), binary="nova-scheduler", host="scheduler", zone="internal", is_up=1,
                 updated_us=moment(2026, 1, 1))]
    for place, host in enumerate(HOSTS):
        how = states[host]
        reason = "maintenance" if how == "disabled" else None
        fixed.append(row("services", id=4 + place, uuid=NAMES[f"service_{host}"], binary="nova-compute", host=host, zone="nova",
                         is_up=1, is_forced_down=int(how == "down"), is_disabled=int(how == "disabled"),
                         disabled_reason=reason, updated_us=moment(2026, 1, 1)))
    return fixed


CPU = ('{"arch": "x86_64", "model": "Nehalem", "vendor": "Intel", "features": ["pge", "clflush"], '
       '"topology": {"cores": 1, "threads": 1, "sockets": 4}}')


def hosts():
    return [row("hosts", id=1 + place, uuid=NAMES[f"hypervisor_{host}"], name=host, service_id=4 + place, uri="simulated:///",
                hypervisor_type="fake", hypervisor_version=1000, host_ip="192.0.2.2", vcpus=10, memory_mb=8192, disk_gb=1028,
                reserved_memory_mb=-1, reserved_disk_gb=-1, cpu_info=CPU, facts="{}",
                created_us=moment(2026, 1, 1), updated_us=moment(2026, 1, 1)) for place, host in enumerate(HOSTS)]


def flavors():
    return [row("flavors", id=7, flavor_id="oracle-small", name="oracle.small", vcpus=1, memory_mb=512, disk_gb=1,
                extra_specs="{}"),
            row("flavors", id=8, flavor_id="oracle-big", name="oracle.big", vcpus=1, memory_mb=6144, disk_gb=1,
                extra_specs="{}")]


POWER_STATES = {"building": 0, "paused": 3, "suspended": 4, "stopped": 4}


def server(number, name, host, **values):
    return row("servers", **{
        "id": 1 + ORDER.index(number), "uuid": server_uuid(number), "name": name, "instance_name": f"instance-{number:08x}", "project_id": PROJECT,
        "user_id": "member-user", "host_id": 1 + HOSTS.index(host), "flavor_row": 7, "vm_state": "active", "power_state": 1,
        "image_id": IMAGE, "hostname": name, "availability_zone": "nova", "reservation_id": RESERVATIONS.get(server_uuid(number), OTHER_RESERVATION),
        "root_device_name": "/dev/sda", "metadata": "{}", "tags": "[]", "addresses": "{}", "volumes": "[]", "facts": "{}",
        "system_metadata": '{"image_architecture": "x86_64"}', "created_us": moment(2026, 1, 1),
        "updated_us": moment(2026, 1, 1, 0, 1), "launched_us": moment(2026, 1, 1, 0, 0, 30), **values})


def servers(precondition):
    one = precondition["server"]
    return [server(1, "vm-one", one["host"], vm_state=one["vm_state"],
                   power_state=POWER_STATES.get(one["vm_state"], 1), task_state=one["task_state"] or "",
                   locked_by=one["locked"] or ""),
            server(2, "vm-other", "host2", project_id=OTHER_PROJECT, user_id="other-user"),
            server(3, "vm-resized", "host2", vm_state="resized", old_vm_state="active"),
            server(4, "vm-big", "host1", flavor_row=8), server(5, "vm-actions", "host1"),
            server(6, "vm-deleted", "host1", is_deleted=1, terminated_us=moment(2026, 1, 1, 0, 2))]


def migration(number, **values):
    figures = {f"{kind}_{part}": -1 for kind in ("memory", "disk") for part in ("total", "processed", "remaining")}
    source, target = values.pop("places")
    return row("migrations", **{
        "id": number, "uuid": f"{MIGRATION_UUID}{number % 100:02d}", "server_uuid": server_uuid(1), "type": "live-migration",
        "source_compute": source, "source_node": source, "dest_compute": target, "dest_node": target, "old_flavor_id": 7,
        "new_flavor_id": 7, "user_id": "member-user", "project_id": PROJECT, **figures, **values})


LISTED = (("completed", "live-migration", 1, "host2", "host1"), ("error", "live-migration", 1, "host1", "host3"),
          ("running", "live-migration", 1, "host1", "host2"), ("confirmed", "migration", 2, "host1", "host2"),
          ("reverted", "resize", 2, "host2", "host3"), ("failed", "live-migration", 4, "host3", "host1"),
          ("queued", "live-migration", 4, "host1", "host3"))


def listed_migrations():
    rows = []
    for place, (status, kind, server_number, source, target) in enumerate(LISTED):
        values = {}
        if status == "running":
            values = {"memory_total": 536870912, "memory_processed": 1000, "memory_remaining": 535869912}
        if kind != "live-migration":
            values["dest_host"] = "192.0.2.2"
        if server_number == 2:
            values |= {"project_id": OTHER_PROJECT, "user_id": "other-user"}
        flavor = 8 if server_number == 4 else 7
        rows.append(migration(111 + place, status=status, type=kind, server_uuid=server_uuid(server_number), places=(source, target),
                              old_flavor_id=flavor, new_flavor_id=flavor, is_hidden=int(status == "failed"),
                              created_us=moment(2026, 1, 10 + place), updated_us=moment(2026, 1, 10 + place, 1), **values))
    return rows


def migrations(precondition):
    if precondition.get("set") == "list":
        return listed_migrations()
    rows = [migration(1, uuid=uuid(401), status="finished", type="migration", server_uuid=server_uuid(3), places=("host1", "host2"),
                      dest_host="192.168.0.1", user_id="admin-user", created_us=moment(2026, 8, 22), updated_us=moment(2026, 1, 1, 0, 2))]
    asked = precondition.get("migration")
    if asked:
        values = {}
        for kind in ("memory", "disk"):
            if asked.get(kind):
                values |= dict(zip((f"{kind}_total", f"{kind}_processed", f"{kind}_remaining"), asked[kind]))
        rows.append(migration(101, status=asked["status"], type=asked.get("type", "live-migration"),
                              places=("host1", "host2"), created_us=moment(2026, 1, 2), updated_us=moment(2026, 1, 2, 0, 5),
                              **values))
    return rows


ACTIONS = (("create", ("compute__do_build_and_run_instance",), None),
           ("live-migration", ("conductor_live_migrate_instance", "compute_check_can_live_migrate_destination",
                               "compute_live_migration"), None),
           ("migrate", ("cold_migrate", "conductor_migrate_server"), "Error"),
           ("live-migration", ("conductor_live_migrate_instance",), None),
           ("confirmResize", ("compute_confirm_resize",), None))


def actions():
    acts, events = [], []
    for place, (action, names, message) in enumerate(ACTIONS):
        start = moment(2026, 1, 20 + place)
        is_open = place == 3
        acts.append(row("instance_actions", id=1 + place, action=action, server_uuid=server_uuid(5),
                        request_id=f"req-00000000-0000-4000-8000-00000000000{1 + place}", user_id="member-user",
                        project_id=PROJECT, start_us=start, finish_us=0 if is_open else start + 60_000_000,
                        updated_us=start + 60_000_000, message=message))
        for step, name in enumerate(names):
            is_bad = message == "Error" and step == 0
            events.append(row("instance_action_events", id=len(events) + 1, action_id=1 + place, event=name, host="host1",
                              start_us=start + step * 1_000_000,
                              finish_us=0 if is_open else start + (10 + step) * 1_000_000,
                              result="" if is_open else "Error" if is_bad else "Success",
                              traceback="Traceback (most recent call last):\n  fixed\n" if is_bad else None,
                              details="No valid host was found. " if is_bad else None))
    return acts, events


def rows_of(precondition):
    rows = {"services": services(precondition["hosts"]), "hosts": hosts(), "flavors": flavors(),
            "servers": servers(precondition), "migrations": migrations(precondition)}
    if precondition.get("set") != "list":  # what the resized server still holds on its source
        rows["claims"] = [row("claims", id=1, host_id=1, server_uuid=server_uuid(3), migration_id=1, vcpus=1, memory_mb=512, disk_gb=1)]
    if precondition.get("set") == "actions":
        rows["instance_actions"], rows["instance_action_events"] = actions()
    return rows
