"""`migrationd serve --simulate FILE` as a client's tests meet it, and the chapter of the manual that shows how. By Debian's
interpreter, which has YAML, openstacksdk and pytest. Words choose checks by their names. Speaks TAP."""

import http.client
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/daemon"), str(TOP / "tests/replay"), str(TOP / "tests/lab"), str(TOP / "tests/harness")]

import flows  # noqa: E402
import mixed_moves as mixed  # noqa: E402
import replay  # noqa: E402
from api import Api  # noqa: E402
from daemon_process import DaemonProcess  # noqa: E402
from service import BINARY, run_checks  # noqa: E402

MANUAL = TOP / "docs/ci.md"
NO_SYNC = TOP / "build/tests/libfull_disk.so"
WISH = {"host": None, "block_migration": "auto"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Fleet:
    """A daemon in front of a simulated fleet; `sections` stand beside `simulation` in its file, `environment` beside ours."""

    def __init__(self, folder, simulation, *words, environment=None, **sections):
        self.folder = Path(folder)
        self.port = free_port()
        self.file = self.folder / "fleet.yaml"
        self.log = self.folder / "log"
        self.words = words
        self.environment = environment or {}
        self.is_large = any(row.get("count", 1) > 1000 for row in simulation.get("servers", []))
        (self.folder / "tmp").mkdir(exist_ok=True)
        self.file.write_text(json.dumps({"listener": {"port": self.port}, **sections, "simulation": simulation}))

    def __enter__(self):
        began = time.monotonic()
        self.process = DaemonProcess([BINARY, "serve", *self.words, "--simulate", self.file], self.log,
                                     env={**os.environ, "TMPDIR": str(self.folder / "tmp"), **self.environment})
        try:
            self.wait(lambda: self.api().get("/v2.1/servers").status in (200, 401), 200 if self.is_large else 20, every=0.005)
        except BaseException:
            self.process.kill()
            raise
        self.started_s = time.monotonic() - began
        return self

    def __exit__(self, *_):
        self.process.stop()

    def api(self, token="admin", version="2.60"):
        return Api(f"http://127.0.0.1:{self.port}", token, version)

    def wait(self, holds, seconds=20, every=0.02):
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = holds()
                if found:
                    return found
            except OSError:
                pass
            assert self.process.poll() is None, f"the daemon ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(every)

    def servers(self):
        return {server["name"]: server for server in self.api().get("/v2.1/servers/detail?all_tenants=1").body["servers"]}

    def place(self, name):
        server = self.servers()[name]
        return server["OS-EXT-SRV-ATTR:host"], server["status"]

    def migrations(self, name):
        """The newest first."""
        uuid = self.servers()[name]["id"]
        return self.api().get(f"/v2.1/os-migrations?instance_uuid={uuid}").body["migrations"]

    def move(self, name, action="os-migrateLive", value=WISH, version="2.60"):
        return self.api(version=version).act(self.servers()[name]["id"], action, None if action == "migrate" else value)

    def ends(self, name, count=1):
        """The status in which that many migrations of the server's have ended, of the newest."""
        def look():
            rows = self.migrations(name)
            done = ("completed", "failed", "error", "cancelled", "finished")
            return len(rows) == count and rows[0]["status"] in done and rows[0]["status"]
        return self.wait(look)


def hosts(count=3):
    return [{"name": "compute", "count": count}]


def one_server(*moves, host="compute-1"):
    return {"hosts": hosts(), "servers": [{"name": "web", "host": host, **({"moves": list(moves)} if moves else {})}]}


def start(folder):
    """a small fleet answers within 200 ms of its start"""
    took = []
    for _ in range(10):  # the machine may be busy beside it
        with Fleet(folder, one_server()) as fleet:
            took.append(fleet.started_s)
        if min(took) < 0.2:
            break
    print(f"# started in {min(took) * 1000:.0f} ms")
    assert min(took) < 0.2, took


def loud(folder):
    """it says in its log, its version documents and to the service manager that it simulates"""
    with Fleet(folder, one_server()) as fleet:
        versions = fleet.api("").get("/").body["versions"]
        assert all(version["simulated"] is True for version in versions), versions
        assert fleet.api("").get("/v2.1/").body["version"]["simulated"] is True
        assert "this daemon simulates: no guest is real" in fleet.log.read_text()


def nothing_kept(folder):
    """it writes in a folder of its own, which goes with it, and leaves a configured database alone"""
    config = Path(folder) / "real.yaml"
    config.write_text(json.dumps({"database": f"{folder}/real.db", "hosts": [{"name": "real-1", "uri": "qemu+tcp://192.0.2.1/system"}]}))
    with Fleet(folder, one_server(), "--config", config):
        pass
    assert not Path(f"{folder}/real.db").exists() and not list((Path(folder) / "tmp").iterdir())


def beside_a_configuration(folder):
    """a configuration's policies and limits hold, and its hosts are not asked"""
    config = Path(folder) / "real.yaml"
    config.write_text(json.dumps({"policy": {"rules": {"os_compute_api:os-migrate-server:migrate": "role:admin"}},
                                  "hosts": [{"name": "real-1", "uri": "qemu+tcp://192.0.2.1/system"}]}))
    with Fleet(folder, one_server(), "--config", config) as fleet:
        names = [host["hypervisor_hostname"] for host in fleet.api().get("/v2.1/os-hypervisors").body["hypervisors"]]
        assert sorted(names) == ["compute-1", "compute-2", "compute-3"], names
        assert fleet.api("member").act(fleet.servers()["web"]["id"], "migrate").status == 403


def kept_database(folder):
    """with --database it writes into that file, which stays, and each write waits for the disk, as it does not without"""
    mark = Path(folder) / "no-sync"
    config = Path(folder) / "real.yaml"
    config.write_text(json.dumps({"database": f"{folder}/real.db"}))
    kept = Path(folder) / "kept.db"
    disk = {"LD_PRELOAD": str(NO_SYNC), "NO_SYNC_WHILE": str(mark)}
    for words, wanted in ((("--config", config, "--database", kept), 500), ((), 202)):
        with Fleet(folder, {**one_server(), "servers": [{"name": "web"}, {"name": "late"}]}, *words, environment=disk) as fleet:
            assert fleet.move("web").status == 202
            assert fleet.ends("web") == "completed"
            mark.touch()
            answer = fleet.move("late")
            mark.unlink()
            assert answer.status == wanted, (words, answer.text)
            assert answer.status != 202 or fleet.ends("late") == "completed"  # it ends with nothing begun
    assert not Path(f"{folder}/real.db").exists()
    with sqlite3.connect(f"file:{kept}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT server_uuid, status FROM migrations").fetchall()
        names = dict(database.execute("SELECT uuid, name FROM servers"))
    assert [(names[uuid], status) for uuid, status in rows] == [("web", "completed")], rows


def refused_database(folder):
    """--database refuses a file that exists, which stays as it was, and hosts that are real"""
    fleet = Fleet(folder, one_server())
    for path in ("there.db", "."):
        (Path(folder) / "there.db").write_text("mine")
        done = subprocess.run([BINARY, "serve", "--simulate", fleet.file, "--database", f"{folder}/{path}"], capture_output=True,
                              text=True, check=False, timeout=20)
        assert done.returncode == 78 and "exists: --database needs a new file" in done.stderr, done
        assert (Path(folder) / "there.db").read_text() == "mine"
    fleet.file.write_text("{}")
    done = subprocess.run([BINARY, "serve", "--config", fleet.file, "--database", f"{folder}/new.db"], capture_output=True, text=True,
                          check=False, timeout=20)
    assert done.returncode == 64 and "--database goes with --simulate" in done.stderr, done
    assert not (Path(folder) / "new.db").exists()


def refused_for_real(folder):
    """its file does not start a daemon for real hosts"""
    fleet = Fleet(folder, one_server(), auth={"keys": [{"kid": "a", "algorithm": "HS256", "secret": "s" * 32}]})
    done = subprocess.run([BINARY, "serve", "--config", fleet.file], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 78 and "--simulate" in done.stderr and f"{fleet.file}:1" in done.stderr, done


def faults(folder):
    """what is wrong in the file is told with its line, and nothing starts"""
    for simulation, words in (
            ({"hosts": hosts(), "servers": [{"name": "web", "host": "compute-9"}]}, "compute-9, which is not among"),
            ({"hosts": hosts(), "servers": [{"name": "web", "moves": [{"fails": "midwy"}]}]}, "expected precheck, midway"),
            ({"hosts": [{"name": "compute-2"}, *hosts()]}, "compute-2 stands here a second time"),
            ({"servers": [{"name": "web"}]}, "needs a host"),
            ({"hosts": hosts(), "servers": [{"name": "web", "count": 2, "id": "5e000000-0000-4000-8000-000000000001"}]}, "one id"),
            ({"hosts": hosts(), "sevrers": []}, "did you mean servers"),
            ({"hosts": hosts(), "tokens": {"boss": {"project": "demo"}}}, "simulation.tokens.boss.roles: is missing")):
        fleet = Fleet(folder, simulation)
        done = subprocess.run([BINARY, "serve", "--simulate", fleet.file], capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 78 and words in done.stderr and f"{fleet.file}:1: " in done.stderr, (simulation, done)
    twins = {"hosts": hosts(), "servers": [{"name": "web"}, {"name": "web"}]}
    done = subprocess.run([BINARY, "serve", "--simulate", Fleet(folder, twins).file], capture_output=True, text=True, check=False,
                          timeout=20)
    assert done.returncode != 0 and "one UUID" in done.stderr, done


def sizes(folder):
    """hosts and servers are what the file says, and servers have the same UUID at each start"""
    simulation = {"hosts": [{"name": "big", "vcpus": 8, "memory_mb": 32768, "disk_gb": 500}],
                  "servers": [{"name": "web", "vcpus": 2, "memory_mb": 2048, "disk_gb": 5, "flavor": "m1.web", "project": "demo"},
                              {"name": "off", "state": "stopped"}, {"name": "still", "state": "paused"},
                              {"name": "known", "id": "5e000000-0000-4000-8000-000000000001"},
                              {"name": "many", "count": 3, "project": "other"}]}
    with Fleet(folder, simulation) as fleet:
        host = fleet.api(version="2.53").get("/v2.1/os-hypervisors/detail").body["hypervisors"][0]
        assert (host["vcpus"], host["memory_mb"], host["local_gb"]) == (8, 32768, 500), host
        assert host["vcpus_used"] == 8, host
        servers = fleet.servers()
        assert sorted(servers) == ["known", "many-1", "many-2", "many-3", "off", "still", "web"]
        assert servers["known"]["id"] == "5e000000-0000-4000-8000-000000000001"
        assert {name: servers[name]["status"] for name in ("web", "off", "still")} == {
            "web": "ACTIVE", "off": "SHUTOFF", "still": "PAUSED"}
        flavor = servers["web"]["flavor"]
        assert (flavor["original_name"], flavor["ram"], flavor["vcpus"], flavor["disk"]) == ("m1.web", 2048, 2, 5), flavor
        seen = {server["name"] for server in fleet.api("member").get("/v2.1/servers").body["servers"]}
        assert seen == {"known", "off", "still", "web"}, seen
    with Fleet(folder, simulation) as again:
        assert {name: server["id"] for name, server in again.servers().items()} == {
            name: server["id"] for name, server in servers.items()}


def tokens(folder):
    """words are tokens: admin and member by themselves, or those of the file with their roles"""
    with Fleet(folder, one_server()) as fleet:
        web = fleet.servers()["web"]["id"]
        assert fleet.api("member").act(web, "os-migrateLive", {**WISH, "host": "compute-2"}).status == 403
        assert fleet.api("nobody").get("/v2.1/servers").status == 401
    own = {"admin": {"roles": ["admin"]}, "auditor": {"roles": ["reader"], "user": "eve"}, "stranger": {"roles": ["member"], "project": "else"}}
    with Fleet(folder, {**one_server(), "tokens": own}) as fleet:
        assert fleet.api("member").get("/v2.1/servers").status == 401
        assert fleet.api("auditor").get(f"/v2.1/servers/{web}").status == 200
        assert fleet.api("auditor").act(web, "migrate").status == 403
        assert fleet.api("stranger").get(f"/v2.1/servers/{web}").status == 404


def live(folder):
    """a live move takes its time, tells how far it is, and ends on another host"""
    with Fleet(folder, one_server({"takes": 1.2}), worker={"progress_interval": 1, "poll_interval": 50}) as fleet:
        began = time.monotonic()
        assert fleet.move("web").status == 202
        uuid = fleet.servers()["web"]["id"]
        seen = fleet.wait(lambda: [row["memory_processed_bytes"] for row in
                                   fleet.api().get(f"/v2.1/servers/{uuid}/migrations").body["migrations"]
                                   if (row["memory_processed_bytes"] or 0) > 0])
        assert 0 < seen[0] < 512 * 1024 * 1024, seen
        assert fleet.ends("web") == "completed"
        assert 1.1 < time.monotonic() - began < 4
        assert fleet.place("web")[0] in ("compute-2", "compute-3") and fleet.place("web")[1] == "ACTIVE"


def precheck(folder):
    """fails: precheck: each host refuses it, below 2.34 the answer is 400 with the reason, and the next move goes by the next plan"""
    with Fleet(folder, one_server({"fails": "precheck"}, {"fails": "precheck"}, {})) as fleet:
        answer = fleet.move("web", version="2.30")
        assert answer.status == 400 and "fails: precheck (simulated)" in answer.message, answer.text
        assert fleet.ends("web") == "error"
        assert fleet.move("web").status == 202
        assert fleet.ends("web", 2) == "error" and fleet.place("web") == ("compute-1", "ACTIVE")
        assert fleet.move("web").status == 202
        assert fleet.ends("web", 3) == "completed" and fleet.place("web")[0] != "compute-1"
    with Fleet(folder, one_server({"fails": "precheck"}, {})) as fleet:
        assert fleet.move("web", "migrate").status == 202
        assert fleet.ends("web") == "error"
        fleet.wait(lambda: fleet.place("web") == ("compute-1", "ACTIVE"))


def midway(folder):
    """fails: midway: a live and a cold copy break off at their half, the server stays, and the next move goes well"""
    with Fleet(folder, one_server({"takes": 0.4, "fails": "midway"}, {"takes": 0.1})) as fleet:
        assert fleet.move("web").status == 202
        assert fleet.ends("web") == "failed" and fleet.place("web") == ("compute-1", "ACTIVE")
        assert fleet.move("web").status == 202
        assert fleet.ends("web", 2) == "completed"
    with Fleet(folder, one_server({"takes": 0.4, "fails": "midway"}, {"takes": 0.1})) as fleet:
        assert fleet.move("web", "migrate").status == 202
        assert fleet.ends("web") == "error"
        fleet.wait(lambda: fleet.place("web")[0] == "compute-1" and not fleet.servers()["web"]["OS-EXT-STS:task_state"])
        if fleet.place("web")[1] == "ERROR":
            raise AssertionError(f"the server is in error: {fleet.log.read_text()[-1500:]}")
        assert fleet.move("web", "migrate").status == 202
        fleet.wait(lambda: fleet.place("web")[1] == "VERIFY_RESIZE")
        assert fleet.api().act(fleet.servers()["web"]["id"], "confirmResize").status == 204
        fleet.wait(lambda: fleet.place("web")[1] == "ACTIVE")


def target_lost(folder):
    """fails: target_lost: the target stops answering, is shown down and comes back; the move has failed, and the server is where it was"""
    for action, end in (("os-migrateLive", "failed"), ("migrate", "error")):
        simulation = {**one_server({"takes": 0.2, "fails": "target_lost"}, {}), "target_lost_for": 1.5}
        with Fleet(folder, simulation, worker={"retry_interval": 1}, hypervisor={"reconnect_interval": 1}) as fleet:
            assert fleet.move("web", action).status == 202
            states = lambda: sorted(host["state"] for host in
                                    fleet.api().get("/v2.1/os-hypervisors/detail").body["hypervisors"])
            fleet.wait(lambda: states() == ["down", "up", "up"])
            assert fleet.ends("web") == end
            assert fleet.place("web")[:2] == ("compute-1", "ACTIVE")
            fleet.wait(lambda: states() == ["up", "up", "up"])


def never_converges(folder):
    """fails: never_converges: it goes on until it is aborted, forced, or over its time; and SIGTERM does not wait for it"""
    plan = {"takes": 0.5, "fails": "never_converges"}
    with Fleet(folder, one_server(plan), worker={"progress_interval": 1, "poll_interval": 50}) as fleet:
        uuid = fleet.servers()["web"]["id"]
        for end, ask in (("cancelled", lambda place: fleet.api().request("DELETE", place)),
                         ("completed", lambda place: fleet.api().request("POST", f"{place}/action", {"force_complete": None}))):
            assert fleet.move("web").status == 202
            rows = fleet.wait(lambda: [row for row in fleet.api().get(f"/v2.1/servers/{uuid}/migrations").body["migrations"]
                                       if row["status"] == "running"])
            time.sleep(0.8)  # longer than it takes
            assert ask(f"/v2.1/servers/{uuid}/migrations/{rows[0]['id']}").status == 202
            assert fleet.ends("web", 1 if end == "cancelled" else 2) == end
    with Fleet(folder, one_server(plan), libvirt={"live_migration_completion_timeout": 1}, worker={"poll_interval": 50}) as fleet:
        assert fleet.move("web").status == 202
        assert fleet.ends("web") == "cancelled"
        assert fleet.move("web").status == 202
        fleet.wait(lambda: fleet.migrations("web")[0]["status"] == "running")
        began = time.monotonic()
        fleet.process.send_signal(signal.SIGTERM)
        assert fleet.process.wait(10) == 0 and time.monotonic() - began < 5


def ended_midway(folder):
    """SIGTERM as a move begins, wherever it then is: its calls break off and return, and nothing is left behind"""
    for round in range(40):
        with Fleet(folder, one_server({"takes": 5})) as fleet:  # as it stops it looks whether a call was left
            assert fleet.move("web").status == 202
            time.sleep(round / 1000)


def recorded_flow(folder):
    """whole recorded moves, each with a daemon of its own, are done within a second"""
    cases = replay.read_cases(str(TOP / "tests/data/flows.jsonl.xz"))
    for scenario in ("live_ok", "cold_confirm", "cold_revert"):
        flow = next(case for case in cases if case["scenario"] == scenario)
        took = []
        for _ in range(3):
            began = time.monotonic()
            with replay.Service() as service:
                service.order(thaw=["jobs"])
                found = flows.try_flow(service, flow)
                took.append(time.monotonic() - began)
            assert flows.verdict_of(found) != "differ", found
        print(f"# {scenario}: {min(took):.2f} s")
        assert min(took) < 1, (scenario, took)


def mixed_moves(folder):
    """500 mixed moves at once: each reading of the hosts counts each server, none twice on one host, and in the end all have ended"""
    config = Path(folder) / "socket.yaml"
    config.write_text(json.dumps({"admin_socket": f"{folder}/admin.sock", "auth": mixed.KEYS}))
    with Fleet(folder, mixed.SIMULATION, "--config", config, **mixed.SETTINGS) as fleet:
        mixed.run(fleet, BINARY, config)


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def large(folder):
    """10,000 hosts with 200,000 servers are served: pages, totals, moves, and a choice among all hosts"""
    simulation = {"hosts": hosts(10000), "servers": [{"name": "server", "count": 200000}]}
    with Fleet(folder, simulation, log={"level": "warning"}) as fleet:
        totals = fleet.api("admin", "2.60").get("/v2.1/os-hypervisors/statistics").body["hypervisor_statistics"]
        assert (totals["count"], totals["running_vms"], totals["memory_mb_used"] > 200000 * 512) == (10000, 200000, True), totals
        connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=60)
        took = {}

        def get(what, path):
            began = time.monotonic()
            connection.request("GET", path, headers={"X-Auth-Token": "admin", "OpenStack-API-Version": "compute 2.60"})
            response = connection.getresponse()
            raw = response.read()
            assert response.status == 200, raw
            took.setdefault(what, []).append(time.monotonic() - began)
            return json.loads(raw) if raw.startswith(b"{") else raw

        page = get("a page of 1000 servers", "/v2.1/servers?all_tenants=1&limit=1000")["servers"]
        for _ in range(4):
            page = get("a page of 1000 servers", f"/v2.1/servers?all_tenants=1&limit=1000&marker={page[-1]['id']}")["servers"]
            assert len(page) == 1000
        for server in page[:200]:
            get("one server", f"/v2.1/servers/{server['id']}")
        get("a page of hosts in detail", "/v2.1/os-hypervisors/detail?limit=1000")
        for server in page[:100]:
            answer = fleet.api("admin").act(server["id"], "os-migrateLive", WISH)
            assert answer.status == 202, answer.text
        fleet.wait(lambda: len(fleet.api().get("/v2.1/os-migrations?status=completed&limit=200").body["migrations"]) == 100, 60)
        began = time.monotonic()
        answer = fleet.api(version="2.30").act(page[500]["id"], "os-migrateLive", WISH)
        verdict_s = time.monotonic() - began
        assert answer.status == 202, answer.text
        resident_mb = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{fleet.process.pid}/status").read_text())[1]) / 1024
        print(f"# up after {fleet.started_s:.1f} s, {resident_mb:.0f} MB resident; a choice and its answer {verdict_s * 1000:.0f} ms")
        for what, values in took.items():
            print(f"# {what}: median {percentile(values, 0.5) * 1000:.1f} ms, p99 {percentile(values, 0.99) * 1000:.1f} ms")
        assert percentile(took["one server"], 0.5) < 0.02 and percentile(took["a page of 1000 servers"], 0.5) < 0.5
        assert verdict_s < 1 and resident_mb < 600 and fleet.started_s < 120


def blocks_of_manual():
    """(kind, text) of every block of the chapter: "" for indented ones, "python", "yaml"."""
    text = MANUAL.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.M | re.S)
    indented = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", rest, re.M)
    return [("", re.sub(r"^    ", "", block, flags=re.M).strip()) for block in indented] + fenced


def manual_commands(folder):
    """the chapter's fleets are right, and each of its commands does what it says"""
    run = 0
    blocks = [text for kind, text in blocks_of_manual() if kind == ""]
    fleet_text = next(text for text in blocks if text.startswith("# fleet.yaml"))
    simulation = yaml.safe_load(fleet_text)["simulation"]
    tokens_text = next(text for text in blocks if text.startswith("simulation:"))
    with Fleet(folder, {**simulation, "tokens": yaml.safe_load(tokens_text)["simulation"]["tokens"]}) as fleet:
        assert fleet.api("auditor").get("/v2.1/servers").status == 200
    with Fleet(folder, simulation) as fleet:
        for text in blocks:
            if text in (fleet_text, tokens_text):
                continue
            for line in text.splitlines():
                command, _, wanted = line.partition("   # ")
                command = command.strip().replace("127.0.0.1:8774", f"127.0.0.1:{fleet.port}")
                if command == "migrationd serve --simulate fleet.yaml":
                    pass  # what runs
                elif command.startswith("docker run "):
                    assert shlex.split(command)[-3:] == ["serve", "--simulate", "/fleet.yaml"]  # what the suite docker runs
                else:
                    if wanted:
                        command = command.replace("curl -sS", "curl -sS -w '%{http_code}'", 1)
                    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, check=False, timeout=60)
                    assert done.returncode == 0 and done.stdout.endswith(wanted), (command, done)
                run += 1
    assert run == 5, f"{run} commands were seen"


def manual_pytest(folder):
    """the chapter's fixture and tests pass in pytest as they stand there"""
    for text in (text for kind, text in blocks_of_manual() if kind == "python"):
        name = re.match(r"# (\w+\.py)\n", text)[1]
        (Path(folder) / name).write_text(text)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder], capture_output=True, text=True,
                          check=False, timeout=100, env={**os.environ, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"})
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def manual_workflow(folder):
    """the chapter's workflow: its service's fleet starts, and its steps succeed against it"""
    text = next(text for kind, text in blocks_of_manual() if kind == "yaml")
    job = yaml.safe_load(text)["jobs"]["moves"]
    service = job["services"]["nova"]
    assert service["ports"] == ["8774:8774"] and set(service["env"]) == {"MIGRATIOND_SIMULATION"}  # as docker/entrypoint.sh takes it
    with Fleet(folder, yaml.safe_load(service["env"]["MIGRATIOND_SIMULATION"])["simulation"]) as fleet:
        for step in job["steps"]:
            script = step["run"].replace("127.0.0.1:8774", f"127.0.0.1:{fleet.port}")
            done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, (step["name"], done)


CHECKS = (start, loud, nothing_kept, kept_database, refused_database, beside_a_configuration, refused_for_real, faults, sizes, tokens, live, precheck, midway,
          target_lost, never_converges, ended_midway, recorded_flow, mixed_moves, large, manual_commands, manual_pytest, manual_workflow)


if __name__ == "__main__":
    tempfile.tempdir = "/tmp"  # short: sockets lie below
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
