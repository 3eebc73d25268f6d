"""Metrics, readiness, the dashboard and the alerts, on the shipped binary with the simulated fleet. Speaks TAP.

suite.py [WORD...]: the checks whose name has one of the words.
"""

import collections
import http.client
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
MONITORING = TOP / "docs" / "monitoring"
sys.path[:0] = [str(TOP / "tests/daemon"), str(TOP / "tests/docs"), str(TOP / "tests/lab"), str(TOP / "tests/replay")]

from api import Api  # noqa: E402
from blocks import blocks  # noqa: E402
from certificates import Authority  # noqa: E402
from exposition import Exposition, promtool  # noqa: E402
from service import BINARY, Service, run_checks, state  # noqa: E402

FULL_DISK = BINARY.parent / "tests" / "libfull_disk.so"
HOSTS, SERVERS = 10_000, 200_000
SCRAPE_MS = 50


class Watched(Service):
    """A daemon that is asked as monitors ask."""

    def __init__(self, folder, **sections):
        super().__init__(folder, **sections)
        self.sections["hypervisor"] |= {"reconnect_interval": 1, "reconcile_interval": 1}

    def start(self, **environment):
        super().start(**environment)
        self.wait(lambda: self.ready()[1]["daemon"] is None)  # it lives a moment before its start has ended
        return self

    def ready(self, method="GET", port=None):
        """(status, the reasons by check)"""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        connection.request(method, "/readyz")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if method == "HEAD":
            assert not body
            return answer.status, None
        document = json.loads(body)
        assert document["status"] == ("ready" if answer.status == 200 else "not ready"), document
        return answer.status, {name: check.get("reason") for name, check in document["checks"].items()}

    def scrape(self, port=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        connection.request("GET", "/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers["Content-Type"], text

    def metrics(self, port=None):
        status, media_type, text = self.scrape(port)
        assert status == 200 and media_type.startswith("text/plain; version=0.0.4"), (status, media_type)
        return Exposition(text)

    def idle(self):
        self.control(wait_idle={})

    def status_of(self, number):
        with sqlite3.connect(f"file:{self.folder}/migrationd.db?mode=ro", uri=True) as base:
            return base.execute("SELECT status FROM migrations WHERE server_uuid = ? ORDER BY id DESC LIMIT 1",
                                (state.server_uuid(number),)).fetchone()[0]


def thawed(folder, **sections):
    service = Watched(folder, **sections).start().load()
    service.control(thaw=["jobs", "discovery"])
    service.idle()
    return service


class Counting:
    """A client that keeps account of what it asked."""

    def __init__(self, service):
        self.service = service
        self.asked = collections.Counter()
        self.clients = {"member": service.api("member", "reader"), "admin": service.api("admin", "manager", "member", "reader"),
                        "nobody": service.api()}

    def ask(self, who, method, path, route, body=None, wanted=None, counted_as=None):
        answer = self.clients[who].request(method, path, body)
        assert wanted is None or answer.status == wanted, (method, path, answer.status, answer.text)
        self.asked[(counted_as or method, route, str(answer.status))] += 1
        return answer

    def act(self, who, number, action, value=None, wanted=202):
        return self.ask(who, "POST", f"/v2.1/servers/{state.server_uuid(number)}/action", "/v2.1/servers/{id}/action",
                        {action: value}, wanted)


def requests_counted(folder):
    """each request is counted once, by method, pattern of its path and code; and its time by method and pattern"""
    service = thawed(folder)
    before = service.metrics()
    client = Counting(service)
    for _ in range(3):
        client.ask("member", "GET", "/v2.1/servers", "/v2.1/servers", wanted=200)
    client.ask("member", "GET", "/v2.1/servers?limit=1", "/v2.1/servers", wanted=200)
    client.ask("member", "GET", f"/v2.1/{state.PROJECT}/servers", "/v2.1/servers", wanted=200)
    client.ask("nobody", "GET", "/v2.1/servers", "/v2.1/servers", wanted=401)
    for number in (1, 2, 3):
        client.ask("member", "GET", f"/v2.1/servers/{state.server_uuid(number)}", "/v2.1/servers/{id}")
    client.ask("member", "GET", "/v2.1/servers/no%20such%22one", "/v2.1/servers/{id}", wanted=404)
    client.ask("member", "GET", "/v2.1/os-hypervisors", "/v2.1/os-hypervisors", wanted=403)
    client.ask("admin", "GET", "/v2.1/os-hypervisors", "/v2.1/os-hypervisors", wanted=200)
    client.ask("member", "DELETE", f"/v2.1/servers/{state.server_uuid(1)}", "/v2.1/servers/{id}")
    client.ask("nobody", "GET", "/", "/", wanted=200)
    client.ask("nobody", "GET", "/v2.1/", "/v2.1", wanted=200)
    client.ask("nobody", "GET", "/v2/", "/v2", wanted=200)
    client.ask("nobody", "GET", "/healthz", "/healthz", wanted=200)
    client.ask("nobody", "GET", "/readyz", "/readyz", wanted=200)
    for path in ("/v2.1/nothing/here", "/v2.1/servers/a/b/c/d", "/wherever"):
        client.ask("member", "GET", path, "other", counted_as="other")
    client.ask("member", "PATCH", "/v2.1/servers", "other", counted_as="other")
    client.act("member", 1, "migrate")
    client.act("member", 1, "no-such-action", wanted=400)
    after = service.metrics()

    def counts(exposition, name, labels):
        return collections.Counter({tuple(sample[label] for label in labels): int(value)
                                    for sample, value in exposition.family(name) if sample["route"] != "/metrics"})

    labels = ("method", "route", "code")
    found = counts(after, "migrationd_http_requests_total", labels) - counts(before, "migrationd_http_requests_total", labels)
    assert found == client.asked, (found - client.asked, client.asked - found)
    timed = counts(after, "migrationd_http_request_duration_seconds_count", labels[:2])
    timed -= counts(before, "migrationd_http_request_duration_seconds_count", labels[:2])
    by_route = collections.Counter()
    for (method, route, _), count in client.asked.items():
        by_route[method, route] += count
    assert timed == by_route, (timed, by_route)
    assert after.value("migrationd_http_requests_total", method="GET", route="/metrics", code="200") == 1
    # A request ends a moment after its client has the answer, so at first the one before may be in flight too.
    service.wait(lambda: service.metrics().value("migrationd_http_requests_in_flight") == 1)
    service.stop()


def paths_without_end(folder):
    """a client that makes up paths, methods and tokens makes no series"""
    service = thawed(folder)
    client = Api(f"http://127.0.0.1:{service.port}", "x" * 40)
    for method, path in (("GET", "/v2.1/a"), ("PUT", "/b"), ("GET", "/v2.1/servers/c")):
        client.request(method, path)
    before = len(service.metrics().samples)
    for number in range(200):
        client.token = f"token{number}"
        client.request(("GET", "PUT", f"M{number}")[number % 3], f"/v2.1/{'servers/' * (number % 2)}{number}")
        service.api().get(f"/{number}")
    after = service.metrics()
    assert len(after.samples) - before < 60, (before, len(after.samples))
    assert not [labels for labels, _ in after.family("migrationd_http_requests_total") if re.search(r"\d\d", labels["route"])]
    service.stop()


def moves_counted(folder):
    """each move is counted once, by its kind and how it ended, failures by their cause; with durations, downtime and bytes"""
    service = thawed(folder)
    client = Counting(service)

    def live(host, number=1):
        client.act("admin", number, "os-migrateLive", {"host": host, "block_migration": "auto"})

    before = service.metrics()
    live("host2")
    service.idle()
    client.act("member", 1, "migrate")
    service.idle()
    client.act("member", 1, "confirmResize", wanted=204)
    service.idle()
    client.act("member", 1, "migrate")
    service.idle()
    client.act("member", 1, "revertResize")
    service.idle()
    where = client.ask("admin", "GET", f"/v2.1/servers/{state.server_uuid(1)}", "").body["server"]["OS-EXT-SRV-ATTR:host"]
    other, another = [host for host in state.HOSTS if host not in (where, "host1")][:2]
    service.control(script={"host": other, "outcome": "copy_fails", "count": 1})
    live(other)
    service.idle()
    assert service.status_of(1) == "failed"
    service.control(script={"host": other, "outcome": "check_refuses", "count": 1})
    live(other)
    service.idle()
    assert service.status_of(1) == "error"
    service.control(close_gate="live")
    live(another)
    service.control(wait_at_gate="live")
    during = service.metrics()
    [migration] = client.ask("admin", "GET", f"/v2.1/servers/{state.server_uuid(1)}/migrations", "").body["migrations"]
    client.ask("admin", "DELETE", f"/v2.1/servers/{state.server_uuid(1)}/migrations/{migration['id']}", "", wanted=202)
    service.wait(lambda: service.status_of(1) == "cancelled")  # an abort goes through a closed gate
    service.control(open_gate="live")
    service.idle()
    client.act("member", 1, "os-stop")
    service.idle()
    client.act("member", 1, "os-start")
    service.idle()
    after = service.metrics()

    wanted = {("live", "completed"): 1, ("live", "failed"): 1, ("live", "refused"): 1, ("live", "cancelled"): 1,
              ("cold", "completed"): 2, ("confirm", "completed"): 1, ("revert", "completed"): 1}
    found = {(labels["kind"], labels["outcome"]): int(value)
             for labels, value in after.family("migrationd_moves_total") if value}
    assert found == wanted, found
    assert not [value for _, value in before.family("migrationd_moves_total") if value]
    failures = {(labels["kind"], labels["reason"]): int(value)
                for labels, value in after.family("migrationd_move_failures_total") if value}
    assert failures == {("live", "host"): 1, ("live", "no_host"): 1}, failures
    actions = {(labels["action"], labels["outcome"]): int(value)
               for labels, value in after.family("migrationd_power_actions_total") if value}
    assert actions == {("stop", "completed"): 1, ("start", "completed"): 1}, actions
    for kind, count in {"live": 1, "cold": 2, "confirm": 1, "revert": 1}.items():
        assert after.value("migrationd_move_duration_seconds_count", kind=kind) == count, kind
    assert after.value("migrationd_live_migration_downtime_seconds_count") == 1
    assert after.value("migrationd_live_migration_bytes_total", part="memory") == 512 * 1024 * 1024
    assert after.value("migrationd_scheduler_pass_duration_seconds_count") >= 6
    assert during.value("migrationd_jobs_under_way", kind="live") == 1
    assert during.value("migrationd_job_oldest_under_way_age_seconds", kind="live") > 0
    assert during.value("migrationd_worker_threads_busy") == 1
    assert during.value("migrationd_host_moves", host=where) == 1 == during.value("migrationd_host_moves", host=another)
    assert after.value("migrationd_jobs_under_way", kind="live") == 0 == after.value("migrationd_worker_threads_busy")
    service.stop()


def queue_counted(folder):
    """jobs that wait for their turn are told by kind, with the age of the oldest, as the database has them"""
    service = Watched(folder).start().load()
    client = Counting(service)
    client.act("member", 1, "migrate")
    client.act("member", 5, "migrate")
    time.sleep(0.05)
    exposition = service.metrics()
    assert exposition.value("migrationd_jobs_waiting", kind="cold") == 2
    assert exposition.value("migrationd_jobs_waiting", kind="live") == 0
    assert exposition.value("migrationd_jobs_under_way", kind="cold") == 0
    assert 0.05 <= exposition.value("migrationd_job_oldest_age_seconds", kind="cold") < 60
    assert exposition.value("migrationd_job_oldest_under_way_age_seconds", kind="cold") == 0
    service.stop()


def chores_counted(folder):
    """what is left to be done after moves is shown by kind, with the age of the oldest; a kind of which there is nothing is shown as 0"""
    service = Watched(folder).start().load()
    now = int(time.time() * 1000000)
    with sqlite3.connect(f"{folder}/migrationd.db", timeout=5) as base:
        host = base.execute("SELECT min(id) FROM hosts").fetchone()[0]
        for kind, name, age_s in (("remove_guest", "", 500), ("remove_volume", "a", 900), ("remove_volume", "b", 100)):
            base.execute("INSERT INTO chores (kind, host_id, server_uuid, migration_id, other_host_id, pool, name, bytes, is_complete, reason, tries,"
                         " created_us, updated_us) VALUES (?, ?, ?, 0, 0, '', ?, 0, 0, 'a test', 0, ?, ?)",
                         (kind, host, state.server_uuid(1), name, now - age_s * 1000000, now))
    base.close()
    exposition = service.metrics()
    counts = {labels["kind"]: value for labels, value in exposition.family("migrationd_chores")}
    assert counts == {"remove_guest": 1, "remove_volume": 2, "end_conflict": 0, "await_libvirtd": 0, "give_back_definition": 0}, counts
    ages = {labels["kind"]: value for labels, value in exposition.family("migrationd_chores_oldest_age_seconds")}
    assert round(ages["remove_volume"] - ages["remove_guest"], 3) == 400 and ages["end_conflict"] == 0, ages
    service.stop()


def commits_counted(folder):
    """each commit is counted with its writes and its time, a full disk's as failed; the sizes are those of the files"""
    mark = Path(folder) / "full"
    service = Watched(folder).start(LD_PRELOAD=str(FULL_DISK), FULL_DISK_WHILE=str(mark)).load()
    member = service.api("member", "reader")
    assert service.ready()[0] == 200  # its write is done for some seconds
    before = service.metrics()
    assert service.migrate(member).status == 202
    after = service.metrics()

    def grown(name, **labels):
        return after.value(name, **labels) - before.value(name, **labels)

    assert grown("migrationd_database_commits_total", result="ok") == 1
    assert grown("migrationd_database_commit_writes_count") == 1 == grown("migrationd_database_commit_writes_sum")
    assert grown("migrationd_database_commit_duration_seconds_count") == 1
    assert after.value("migrationd_database_commits_total", result="failed") == 0
    mark.touch()
    assert member.act(state.server_uuid(3), "confirmResize").status == 503
    assert service.metrics().value("migrationd_database_commits_total", result="failed") >= 1
    mark.unlink()
    sizes = {labels["file"]: value for labels, value in service.metrics().family("migrationd_database_size_bytes")}
    assert sizes == {"database": (service.folder / "migrationd.db").stat().st_size,
                     "log": (service.folder / "migrationd.db-wal").stat().st_size}, sizes
    service.stop()


def hosts_counted(folder):
    """hosts are told by state, their room and the fleet's as the API has them; each host only in a fleet that is small enough"""
    service = thawed(folder)
    admin = service.api("admin", "manager", "member", "reader")
    services = {row["host"]: row["id"] for row in admin.get("/v2.1/os-services?binary=nova-compute").body["services"]}
    answer = admin.request("PUT", f"/v2.1/os-services/{services['host5']}", {"status": "disabled"})
    assert answer.status == 200, answer.text
    service.control(host={"name": "host4", "is_up": False})
    service.wait(lambda: service.metrics().value("migrationd_hosts", state="down") == 1)
    service.wait(lambda: service.metrics().value("migrationd_host_enabled", host="host5") == 0)
    found = service.metrics()
    assert {labels["state"]: value for labels, value in found.family("migrationd_hosts")} == {"up": 3, "down": 1, "disabled": 1}
    assert {labels["host"]: value for labels, value in found.family("migrationd_host_up")} == {
        "host1": 1, "host2": 1, "host3": 1, "host4": 0, "host5": 1}
    hypervisors = {row["hypervisor_hostname"]: row for row in admin.get("/v2.1/os-hypervisors/detail").body["hypervisors"]}
    capacity = free = 0
    for host, row in hypervisors.items():
        guests = (row["memory_mb_used"] - 512) * 1024 * 1024  # what the API shows as used has the reservation in it
        assert found.value("migrationd_host_memory_used_bytes", host=host) == guests, host
        assert found.value("migrationd_host_vcpus_used", host=host) == row["vcpus_used"], host
        assert found.value("migrationd_host_vcpus_capacity", host=host) == row["vcpus"] * 4, host
        here = (row["memory_mb"] - 512) * 1024 * 1024
        assert found.value("migrationd_host_memory_capacity_bytes", host=host) == here, host
        capacity += here
        free += here - guests if host in ("host1", "host2", "host3") else 0
    assert found.value("migrationd_fleet_memory_capacity_bytes") == capacity
    assert found.value("migrationd_fleet_memory_free_bytes") == free
    assert found.value("migrationd_servers") == 5
    assert found.value("migrationd_discovery_readings_total", result="failed") >= 1
    readings = sum(value for _, value in found.family("migrationd_discovery_readings_total"))
    assert found.value("migrationd_discovery_reading_duration_seconds_count") == readings >= 6
    assert 0 < found.value("migrationd_discovery_reading_duration_seconds_sum") < 60
    assert abs(found.value("migrationd_discovery_last_success_timestamp_seconds") - time.time()) < 20
    service.stop()
    small = Watched(folder, auth=service.sections["auth"], metrics={"max_hosts": 4}).start()
    small.control(thaw=["jobs"])
    small.wait(lambda: small.metrics().value("migrationd_fleet_memory_capacity_bytes") == capacity)
    assert not [name for name in small.metrics().types if name.startswith("migrationd_host_")]
    small.stop()


def tokens_counted(folder):
    """tokens are counted by how they were judged; while Keystone is away by those that nobody could judge"""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        (Path(folder) / "password").write_text("secret\n")
        (Path(folder) / "password").chmod(0o600)
        keystone = {"url": f"http://127.0.0.1:{nobody.getsockname()[1]}", "password_file": f"{folder}/password", "timeout": 2}
        service = Watched(folder, identity={"keystone": keystone}).start().load()
        member = service.api("member", "reader")
        for _ in range(3):
            assert member.get("/v2.1/servers").status == 200
        found = service.metrics()
        checks = {labels["result"]: value for labels, value in found.family("migrationd_token_checks_total")}
        assert checks == {"verified": 1, "remembered": 2, "refused": 0}, checks
        assert found.value("migrationd_tokens_remembered", store="own") == 1
        for _ in range(2):
            assert Api(member.base_url, "gAAAAABother").get("/v2.1/servers").status == 503
        found = service.metrics()
        assert found.value("migrationd_tokens_undecided_total") == 2
        assert found.value("migrationd_keystone_requests_total", result="failed") == 1, "while it is away nobody is asked"
        assert found.value("migrationd_keystone_cache_lookups_total", result="miss") == 2
        assert found.value("migrationd_http_requests_total", method="GET", route="/v2.1/servers", code="503") == 2
        service.stop()


def reloads_counted(folder):
    """a configuration that is read anew is counted, in force or refused, with the time of the last that is in force"""
    service = Watched(folder).start().load()
    first = service.metrics()
    assert first.value("migrationd_config_last_reload_successful") == 1
    good = service.config.read_text()
    service.config.write_text("wrong: true\n")
    service.process.send_signal(signal.SIGHUP)
    service.wait(lambda: service.metrics().value("migrationd_config_last_reload_successful") == 0)
    found = service.metrics()
    assert found.value("migrationd_config_reloads_total", result="refused") >= 1
    name = "migrationd_config_last_reload_success_timestamp_seconds"
    assert found.value(name) == first.value(name)
    service.config.write_text(good)
    service.process.send_signal(signal.SIGHUP)
    service.wait(lambda: service.metrics().value("migrationd_config_last_reload_successful") == 1)
    found = service.metrics()
    assert found.value("migrationd_config_reloads_total", result="ok") >= 1 and found.value(name) > first.value(name)
    service.stop()


def process_told(folder):
    """the process is told as the system has it, and what it is: version, node and driver"""
    service = Watched(folder).start().load()
    found = service.metrics()
    proc = Path(f"/proc/{service.process.pid}")
    resident = int(re.search(r"VmRSS:\s+(\d+)", (proc / "status").read_text())[1]) * 1024
    assert abs(found.value("process_resident_memory_bytes") - resident) < 8 * 1024 * 1024
    assert abs(found.value("process_open_fds") - len(list((proc / "fd").iterdir()))) <= 4
    assert 0 < found.value("process_cpu_seconds_total") < 60
    assert abs(found.value("process_start_time_seconds") - time.time()) < 30
    [(labels, value)] = found.family("migrationd_build_info")
    assert value == 1 and labels["node"] == "controller" and labels["driver"] == "simulated" and labels["version"], labels
    service.stop()


def certificate_told(folder):
    """where the service speaks HTTPS the end of its certificate is told, at the address of their own in plain HTTP"""
    authority = Authority(Path(folder) / "ca")
    certificate, key = authority.issue("service", dns=["localhost"], addresses=["127.0.0.1"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Watched(folder, metrics={"address": "127.0.0.1", "port": port})
    service.sections["listener"] |= {"certificate_file": str(certificate), "key_file": str(key)}
    service.launch()
    service.wait(lambda: service.ready(port=port)[0] == 200)
    found = service.metrics(port)
    assert found.value("migrationd_certificate_expiry_timestamp_seconds") > time.time()
    assert promtool("check", "metrics", stdin=found.text) == (0, "")
    service.stop()


def promtool_clean(folder):
    """promtool finds nothing in the metrics, whatever hosts are called"""
    service = thawed(folder)
    service.migrate()
    service.idle()
    service.metrics()
    assert promtool("check", "metrics", stdin=service.metrics().text) == (0, "")
    with sqlite3.connect(f"{folder}/migrationd.db") as base:
        base.execute("UPDATE hosts SET name = ? WHERE id = 3", ('a"b\\c\nd{}=,\u00e9',))
    service.stop()
    again = Watched(folder, auth=service.sections["auth"]).start()
    again.control(thaw=["jobs"])
    again.wait(lambda: again.metrics().value("migrationd_host_up", host='a"b\\c\nd{}=,\u00e9') == 1)
    assert promtool("check", "metrics", stdin=again.metrics().text) == (0, "")
    again.stop()


def promtool_notices(_):
    """promtool would find what is wrong: a counter without its end, a family without help"""
    status, words = promtool("check", "metrics", stdin="# TYPE things counter\nthings 1\n")
    assert status != 0 and "_total" in words and "help" in words.lower(), words


def rules_hold(_):
    """the alert rules are right, each has a summary and says what to do, and each is tried when it is to fire"""
    status, words = promtool("check", "rules", MONITORING / "alerts.yaml")
    assert status == 0, words
    status, words = promtool("test", "rules", MONITORING / "alerts_test.yaml")
    assert status == 0, words
    text = (MONITORING / "alerts.yaml").read_text()
    names = re.findall(r"- alert: (\S+)", text)
    assert len(names) == len(set(names)) == text.count(" summary: ") == text.count(" action: ") >= 20
    tried = set(re.findall(r'alertname="(\w+)", alertstate="firing"', (MONITORING / "alerts_test.yaml").read_text()))
    assert set(names) == tried, set(names) ^ tried


def queries_of_the_dashboard():
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']}: {target['refId']}", target["expr"]


def names_in(query):
    """Metrics that a query names; label matchers and groupings are no metrics."""
    query = re.sub(r"\{[^}]*\}", "", query)
    query = re.sub(r'"[^"]*"', "", query)
    return set(re.findall(r"\b(?:migrationd|process)_\w+", query))


def named_metrics_exist(folder):
    """every metric that the dashboard, the alerts and their page name is told by a service that has all that can be configured"""
    authority = Authority(Path(folder) / "ca")
    certificate, key = authority.issue("service", dns=["localhost"], addresses=["127.0.0.1"])
    (Path(folder) / "password").write_text("secret\n")
    (Path(folder) / "password").chmod(0o600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    identity = {"keystone": {"url": "http://127.0.0.1:9", "password_file": f"{folder}/password"},
                "jwks": [{"url": "http://127.0.0.1:9/keys", "timeout": 1}]}
    service = Watched(folder, metrics={"address": "127.0.0.1", "port": port}, identity=identity)
    service.sections["listener"] |= {"certificate_file": str(certificate), "key_file": str(key)}
    service.launch()
    service.wait(lambda: service.ready(port=port)[0] == 200)
    service.load()
    service.control(thaw=["jobs", "discovery"])
    service.idle()
    service.wait(lambda: service.metrics(port).value("migrationd_host_up", host="host1") == 1)
    found = service.metrics(port)
    service.stop()
    rules = (MONITORING / "alerts.yaml").read_text()
    queries = dict(queries_of_the_dashboard()) | {"alerts": "\n".join(re.findall(r"expr:(.*?)\n\s+(?:for|labels):", rules, re.S))}
    missing = {place: names_in(query) - found.names() for place, query in queries.items() if names_in(query) - found.names()}
    assert not missing, missing
    assert len(set().union(*map(names_in, queries.values()))) > 50
    page = (MONITORING / "README.md").read_text()
    told = set()
    for name in re.findall(r"`((?:migrationd|process)_[\w{},*]+)`", page):
        parts = [re.split(",", part) if "," in part else [part] for part in re.split(r"[{}]", name)]
        patterns = [""]
        for part in parts:
            patterns = [before + word for before in patterns for word in part]
        for pattern in patterns:
            matching = {family for family in found.types if re.fullmatch(pattern.replace("*", ".*"), family)}
            assert matching, f"{pattern} is told on the page alone"
            told |= matching
    assert not found.types.keys() - told, f"not on the page: {found.types.keys() - told}"


def page_holds(folder):
    """what the page shows is right: its settings are taken by the daemon, its part of Prometheus' configuration by promtool"""
    shown = [block.text for block in blocks(MONITORING / "README.md")]
    settings = [text for text in shown if text.startswith("metrics:")]
    [scraping] = [text for text in shown if text.startswith("scrape_configs:")]
    assert len(settings) == 2 == len(shown) - 1
    for number, text in enumerate(settings):
        path = Path(folder) / f"{number}.yaml"
        path.write_text(text + 'auth: {keys: [{kid: a, algorithm: HS256, secret: "at least 32 bytes of a secret, please"}]}\n')
        path.chmod(0o600)
        done = subprocess.run([BINARY, "check", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "metrics.enabled: true" in done.stdout, done.stderr
    config = Path(folder) / "prometheus.yml"
    config.write_text(scraping.replace("alerts.yaml", str(MONITORING / "alerts.yaml")))
    status, words = promtool("check", "config", config)
    assert status == 0 and "23 rules" in words, words


def dashboard_whole(_):
    """text: the dashboard can be imported: one data source, chosen at its top, used by each panel; rows for API, moves, hosts, database"""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    variables = dashboard["templating"]["list"]
    assert [variable["name"] for variable in variables if variable["type"] == "datasource"] == ["datasource"]
    assert {variable["name"] for variable in variables} == {"datasource", "job", "instance"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows == ["Overview", "API", "Moves", "Hosts", "Database and process"], rows
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"] and panel["description"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}" and "$instance" in target["expr"], panel["title"]
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    assert used == {"datasource", "job", "instance", "__rate_interval", "__all"}, used


def dashboard_queries_parse(folder):
    """each query of the dashboard is one that Prometheus understands"""
    rules = {"groups": [{"name": "dashboard", "rules": [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$job", "x")}
        for number, (_, query) in enumerate(queries_of_the_dashboard())]}]}
    path = Path(folder) / "queries.yaml"
    path.write_text(json.dumps(rules))
    status, words = promtool("check", "rules", "--lint=none", path)
    assert status == 0, words


def ready_while_the_disk_has_room(folder):
    """a database that cannot be written makes /readyz 503 with the reason, and 200 again when it can; /healthz stays 200"""
    mark = Path(folder) / "full"
    service = Watched(folder).start(LD_PRELOAD=str(FULL_DISK), FULL_DISK_WHILE=str(mark)).load()
    assert service.ready() == (200, {"daemon": None, "database": None, "hosts": None})
    assert service.ready("HEAD") == (200, None)
    mark.touch()
    service.wait(lambda: service.ready()[0] == 503)
    assert service.ready()[1] == {"daemon": None, "database": "the disk of the database is full", "hosts": None}
    assert service.ready("HEAD") == (503, None)
    assert service.metrics().value("migrationd_ready", check="database") == 0
    assert service.api().get("/healthz").status == 200
    mark.unlink()
    service.wait(lambda: service.ready()[0] == 200)
    assert service.metrics().value("migrationd_ready", check="database") == 1
    log = service.log.read_text()
    assert log.count("the database cannot be written") == 1 and log.count("the database can be written again") == 1, log[-2000:]
    service.stop()


def ready_while_a_host_answers(folder):
    """hosts of which none answers make /readyz 503 with the reason, and 200 again when one does; a disabled one counts; none is fine"""
    service = Watched(folder).start()
    assert service.ready()[0] == 200, "without any host"
    service.load().control(thaw=["jobs", "discovery"])
    service.idle()
    admin = service.api("admin", "manager", "member", "reader")
    services = {row["host"]: row["id"] for row in admin.get("/v2.1/os-services?binary=nova-compute").body["services"]}
    assert admin.request("PUT", f"/v2.1/os-services/{services['host1']}", {"status": "disabled"}).status == 200
    for host in state.HOSTS[1:]:
        service.control(host={"name": host, "is_up": False})
    service.wait(lambda: service.metrics().value("migrationd_hosts", state="down") == 4)
    time.sleep(1.1)  # hosts are counted once a second
    assert service.ready()[0] == 200
    service.control(host={"name": "host1", "is_up": False})
    service.wait(lambda: service.ready()[0] == 503)
    assert service.ready()[1] == {"daemon": None, "database": None, "hosts": "no host answers"}
    assert service.metrics().value("migrationd_ready", check="hosts") == 0
    service.control(host={"name": "host3", "is_up": True})
    service.wait(lambda: service.ready()[0] == 200)
    service.stop()


def ready_until_it_ends(folder):
    """from SIGTERM on /readyz is 503 with the reason, while requests in flight end, also at the address of their own"""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Watched(folder, metrics={"address": "127.0.0.1", "port": port}).start().load()
    assert service.ready(port=port)[0] == 200
    kept = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    kept.request("GET", "/readyz")
    assert kept.getresponse().read() and kept.sock
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as slow:
        slow.sendall(b"POST /v2.1/servers HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{")
        time.sleep(0.2)
        service.process.send_signal(signal.SIGTERM)
        service.wait(lambda: service.ready(port=port) == (503, {"daemon": "it is ending"}))
        kept.request("GET", "/readyz")
        answer = kept.getresponse()
        assert answer.status == 503 and json.loads(answer.read())["checks"] == {"daemon": {"ok": False, "reason": "it is ending"}}
        assert service.process.poll() is None
        slow.sendall(b"}")
        assert slow.recv(4096).startswith(b"HTTP/1.1 401 ")
    kept.close()
    assert service.process.wait(20) == 0


def ready_asked_often(folder):
    """a thousand questions whether it is ready cost the disk a write or two"""
    service = Watched(folder).start().load()
    assert service.ready()[0] == 200
    before = service.metrics().value("migrationd_database_commits_total", result="ok")
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    for _ in range(1000):
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
    connection.close()
    assert service.metrics().value("migrationd_database_commits_total", result="ok") - before <= 2 + 1
    service.stop()


def metrics_for_those_near(folder):
    """at the service's address metrics are for its machine and the named networks; whoever came through an unknown proxy is far"""
    service = Watched(folder, metrics={"allowed_networks": ["198.51.100.0/24"]})
    service.sections["listener"]["trusted_proxies"] = ["127.0.0.1"]
    service.start()
    for headers, wanted in (({}, 200), ({"X_Forwarded_For": "203.0.113.9"}, 403), ({"X_Forwarded_For": "198.51.100.7"}, 200),
                            ({"Forwarded": "for=203.0.113.9"}, 403), ({"X_Forwarded_For": "198.51.100.7, 203.0.113.9"}, 403),
                            ({"Forwarded": "for=127.0.0.1"}, 403), ({"Forwarded": "for=127.0.0.1", "X_Forwarded_For": "198.51.100.7"}, 403),
                            ({"X_Forwarded_For": "unknown"}, 403), ({"X_Forwarded_Proto": "https"}, 403)):
        status, _, text = service.scrape(**headers)
        assert status == wanted, (headers, status, text[:200])
        assert ("allowed_networks" in text) == (status == 403)
    service.stop()
    service = Watched(folder, auth=service.sections["auth"])
    service.start()
    assert service.scrape()[0] == 200
    for name in ("X_Forwarded_For", "Forwarded", "Via", "X_Real_IP"):
        assert service.scrape(**{name: "127.0.0.1"})[0] == 403, name
    service.stop()


def metrics_at_their_own_door(folder):
    """with an address of their own the service's has no metrics, and there are the three questions alone; off is off"""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Watched(folder, metrics={"address": "127.0.0.1", "port": port}).start().load()
    assert "migrationd_build_info" in service.scrape(port)[2]
    assert "migrationd_build_info" not in service.scrape()[2]
    door = Api(f"http://127.0.0.1:{port}", service.token("admin"))
    assert [door.get(path).status for path in ("/healthz", "/readyz", "/metrics", "/", "/v2.1/servers", "/metrics/x")] == [
        200, 200, 200, 404, 404, 404]
    assert door.request("POST", "/metrics", {"a": "b" * 100000}).status == 404
    assert door.request("HEAD", "/metrics").status == 200
    assert service.api().get("/readyz").status == 200
    service.stop()
    service = Watched(folder, auth=service.sections["auth"], metrics={"enabled": False}).start()
    assert "migrationd_" not in service.scrape()[2] and service.ready()[0] == 200
    service.stop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = Watched(folder, auth=service.sections["auth"],
                        metrics={"address": "127.0.0.1", "port": other.getsockname()[1]})
        status, log = taken.fails()
        assert status > 0 and f"port {other.getsockname()[1]} for metrics" in log, log


def fill(folder):
    """A large fleet, put into the database while no daemon runs."""
    hosts, servers = state.hosts()[0], state.server(1, "vm", "host1")
    service = next(row for row in state.services(dict.fromkeys(state.HOSTS, "up")) if row["host"] == "host1")
    with sqlite3.connect(f"{folder}/migrationd.db") as base:
        base.execute("PRAGMA synchronous = OFF")

        def put(table, rows):
            rows = iter(rows)
            first = next(rows)
            base.executemany(f"INSERT INTO {table} ({', '.join(first)}) VALUES ({', '.join(':' + name for name in first)})",
                             [first, *rows])

        put("flavors", state.flavors()[:1])
        put("services", ({**service, "id": 100 + n, "uuid": state.uuid(100_000 + n), "host": f"h{n}"} for n in range(HOSTS)))
        put("hosts", ({**hosts, "id": 100 + n, "uuid": state.uuid(200_000 + n), "name": f"h{n}", "service_id": 100 + n,
                       "memory_mb": 65536, "facts": "{}"} for n in range(HOSTS)))
        put("servers", ({**servers, "id": 100 + n, "uuid": state.uuid(1_000_000 + n), "name": f"vm{n}",
                         "host_id": 100 + n % HOSTS} for n in range(SERVERS)))
        put("jobs", (state.row("jobs", id=1 + n, kind="live", phase="done", owner="controller", created_us=1, finished_us=2)
                     for n in range(50_000)))


def large_fleet(folder):
    """with 10,000 hosts and 200,000 servers a scrape takes less than 50 ms of the daemon, and readiness no longer"""
    service = Watched(folder).start()
    service.process.terminate()
    assert service.process.wait(20) == 0
    fill(folder)
    service = Watched(folder, auth=service.sections["auth"]).start()
    service.control(thaw=["jobs"])
    service.wait(lambda: service.metrics().value("migrationd_servers") == SERVERS, 60)
    found = service.metrics()
    assert found.value("migrationd_hosts", state="up") == HOSTS
    assert found.value("migrationd_fleet_memory_used_bytes") == SERVERS * 512 * 1024 * 1024
    assert not [name for name in found.types if name.startswith("migrationd_host_")]
    assert len(found.text) < 200_000
    series = {"method": "GET", "route": "/metrics"}
    took = []
    for _ in range(15):
        before, after = service.metrics(), service.metrics()
        name = "migrationd_http_request_duration_seconds_sum"
        took.append((after.value(name, **series) - (before.value(name, **series) or 0)) * 1000)
    took.sort()
    print(f"# a scrape takes {took[0]:.1f} to {took[-1]:.1f} ms, half of them at most {took[len(took) // 2]:.1f} ms; "
          f"{len(found.text)} bytes")
    assert took[len(took) // 2] < SCRAPE_MS, took
    service.stop()


CHECKS = [requests_counted, paths_without_end, moves_counted, queue_counted, chores_counted, commits_counted, hosts_counted, tokens_counted,
          reloads_counted, process_told, certificate_told, promtool_clean, promtool_notices, rules_hold, named_metrics_exist,
          page_holds, dashboard_whole, dashboard_queries_parse, ready_while_the_disk_has_room, ready_while_a_host_answers,
          ready_until_it_ends, ready_asked_often, metrics_for_those_near, metrics_at_their_own_door, large_fleet]

if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
