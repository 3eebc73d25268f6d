"""The images and the compose file, tried without an engine: built and run by buildah. Speaks TAP: suite.py [--keep]

Images are built from the very Dockerfiles, on a Debian that is made here; the compose file is read, and its services are started
as it says, until the client ends. Needs root, namespaces and Debian's mirror. With --keep the images stay, and are not built again
by the next run with it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

import compose
from containers import Container, Project, status_of, wait
from images import TOP, Storage, bytes_over_base

FILE = TOP / "docker" / "compose.yaml"
FOLDER = TOP / "build" / "docker"
LOGS = TOP / "build" / "test-logs" / "docker"
SERVICE_BYTES_MAX = 60_000_000
SERVICE_UID = "8774"
TESTS = []


def test(sentence):
    def add(function):
        TESTS.append((sentence, function))
        return function
    return add


def equal(value, wanted, what):
    assert value == wanted, f"{what}: {value!r}, not {wanted!r}"


class Bench:
    """What the tests share: the file, the images, and the services that are up."""

    def __init__(self, is_kept):
        self.is_kept = is_kept
        self.services, self.volumes = compose.read(FILE)
        self.storage = Storage(FOLDER / "storage", is_kept)
        self.project = None
        shutil.rmtree(FOLDER / "project", ignore_errors=True)

    def container(self, name):
        return self.project.containers[name]

    def end(self):
        if self.project:
            self.project.down()
            LOGS.mkdir(parents=True, exist_ok=True)
            for log in self.project.folder.glob("*.log"):
                shutil.copy(log, LOGS)
            shutil.rmtree(self.project.folder)
        if not self.is_kept:
            self.storage.clear()
            shutil.rmtree(FOLDER)


def compose_config(path):
    """Debian's compose, 1.29: reads the file and holds it against its schema; needs no engine."""
    return subprocess.run(["docker-compose", "--file", str(path), "config", "--quiet"], capture_output=True, text=True, check=False)


@test("compose 1.29 takes the file, and refuses it with a wrong word in it")
def _(_bench):
    done = compose_config(FILE)
    equal((done.returncode, done.stderr), (0, ""), "docker-compose config")
    wrong = FILE.with_name(".compose.wrong.yaml")
    try:
        wrong.write_text(FILE.read_text(encoding="utf-8").replace("cap_drop:", "cap_drops:"), encoding="utf-8")
        done = compose_config(wrong)
        assert done.returncode != 0 and "cap_drops" in done.stderr, f"it takes a wrong word: {done}"
    finally:
        wrong.unlink()


@test("every volume is declared, every file that is mounted is there, and nothing is privileged")
def _(bench):
    named = {mount.source for service in bench.services.values() for mount in service.mounts if mount.is_named}
    equal(named, bench.volumes, "volumes")
    for service in bench.services.values():
        for mount in service.mounts:
            assert mount.is_named or mount.source.exists(), f"{service.name}: no {mount.source}"
        equal((service.cap_drop, service.has_no_new_privileges), (["ALL"], True), f"what {service.name} may")
    assert all(bench.services[name].is_read_only for name in ("migrationd", "client", "tokens")), "read-only roots"
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        done = subprocess.run(["docker", "compose", "--file", str(FILE), "config", "--quiet"], capture_output=True, text=True, check=False)
        equal(done.returncode, 0, f"docker compose config: {done.stderr}")


def in_threads(*works):
    """All at once; the first error is the caller's."""
    errors = []

    def guarded(work):
        try:
            work()
        except Exception as error:  # handed over to the caller below
            errors.append(error)
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@test("the images are built from the Dockerfiles")
def _(bench):
    began = time.monotonic()
    if not bench.storage.has("debian"):
        bench.storage.import_base()
    print(f"# base: {time.monotonic() - began:.0f} s", flush=True)
    images = {service.image: service for service in bench.services.values()}

    def build(*names):
        for name in names:
            if bench.storage.has(name):
                continue
            start = time.monotonic()
            bench.storage.build(images[name].dockerfile, images[name].context, name)
            print(f"# {name}: {time.monotonic() - start:.0f} s", flush=True)
    equal(set(images), {"migrationd", "libvirt-host", "migrationd-client"}, "images")
    in_threads(lambda: build("migrationd"), lambda: build("libvirt-host", "migrationd-client"))


@test("the service's layers hold less than 60 MB over their base")
def _(bench):
    for image in ("libvirt-host", "migrationd-client", "migrationd"):
        size = bytes_over_base(bench.storage, image)
        print(f"# {image}: {size / 1e6:.1f} MB over the base, not compressed", flush=True)
    assert size < SERVICE_BYTES_MAX, f"{size} bytes"


@test("the service's image says how it is run: who, which port, which volume, which signal, which check")
def _(bench):
    config = bench.storage.config("migrationd")
    equal(config["User"], f"{SERVICE_UID}:{SERVICE_UID}", "user")
    equal(list(config["ExposedPorts"]), ["8774/tcp"], "ports")
    equal(list(config["Volumes"]), ["/var/lib/migrationd"], "volumes")
    equal(config["StopSignal"], "SIGTERM", "signal")
    equal((config["Entrypoint"], config["Cmd"]), (["/usr/lib/migrationd/entrypoint"], ["serve"]), "command")
    equal(config["Healthcheck"]["Test"], bench.services["migrationd"].healthcheck["test"], "the check, here and in the compose file")


@test("the hosts and the service come up as the compose file has them, each healthy by its own check")
def _(bench):
    bench.project = Project(bench.storage, bench.services, FOLDER / "project")
    for name in bench.services:
        if name != "client":
            bench.project.up(name)
    bench.project.wait_for("migrationd", "service_healthy")


@test("the service runs as an unprivileged user, without a capability and without a way to get one")
def _(bench):
    status = status_of(bench.container("migrationd").main_process())
    equal(status["Name"], "migrationd", "the process")
    equal(set(status["Uid"].split()), {SERVICE_UID}, "uid")
    equal(set(status["Gid"].split()), {SERVICE_UID}, "gid")
    equal({int(status[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")}, {0}, "capabilities")
    equal(status["NoNewPrivs"], "1", "no new privileges")


@test("the state is in the volume, and guests' shared disks are in the one that their hosts share")
def _(bench):
    volumes = bench.project.folder / "volumes"
    assert (volumes / "state" / "migrationd.db").exists(), list((volumes / "state").iterdir())
    there = {path.name for path in (volumes / "shared").iterdir()}
    assert {"web.img", "shop.img", "web.serial"} <= there and "db.img" not in there, there


@test("the key of tokens is the service's to read alone")
def _(bench):
    there = bench.project.folder / "volumes" / "secrets"
    row = (there / "token.secret").stat()
    equal((str(row.st_uid), row.st_mode & 0o777), (SERVICE_UID, 0o600), "token.secret")


@test("the client's tests pass: lists, live and cold moves, confirm and revert, refusals, a failure with its reason")
def _(bench):
    client = bench.project.up("client")
    status = client.process.wait(300)
    said = client.log.read_text(errors="replace")
    print("".join(f"# | {line}\n" for line in said.splitlines()), end="", flush=True)
    equal(status, 0, "the client's status")
    assert "16 passed, 0 failed" in said, "all of the client's tests were run"


@test("nothing was written to the service's and the client's roots")
def _(bench):
    for name in ("migrationd", "client"):
        equal(bench.container(name).written(), [], f"what {name} wrote")
    assert bench.container("compute-1").written(), "a container that does write is seen to"


def migrations(bench):
    token = (bench.project.folder / "volumes/secrets/admin.token").read_text(encoding="ascii").strip()
    words = [*bench.project.network.inside(), "curl", "-fsS", "-m", "10", "-H", f"X-Auth-Token: {token}",
             f"http://{bench.project.network.addresses['migrationd']}:8774/v2.1/os-migrations"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@test("the service ends well when it is asked to, and a new container knows all from the volume")
def _(bench):
    before = migrations(bench)
    assert before.count('"status"') >= 5, f"there is something to know: {before}"
    container = bench.container("migrationd")
    equal(container.stop(), 0, f"its status:\n{container.last_words()}")
    container.remove()
    bench.project.up("migrationd").wait_until_healthy()
    equal(migrations(bench), before, "migrations")


@test("the client fails, and says why, when a host is stopped")
def _(bench):
    equal(bench.container("compute-3").stop(), 0, f"the host's status:\n{bench.container('compute-3').last_words()}")
    client = Container(bench.project, bench.services["client"])
    done = client.run(client.command(), 120, {"PATIENCE": "5"})
    assert done.returncode != 0 and "FAILED: three hosts are up" in done.stdout, f"it ended with {done.returncode}: {done.stdout}"


@test("the check finds the service unwell when it is stopped")
def _(bench):
    container = bench.container("migrationd")
    equal(container.stop(), 0, "its status")
    assert not container.is_healthy(), "the check says that it is well"


FLEET = """
simulation:
  hosts: [{name: compute, count: 3}]
  servers: [{name: web, host: compute-1}]
"""


def simulates(bench, name, row):
    """A container of the service's image by itself; a server of the fleet that it was given moves there."""
    row = {"image": "migrationd", "build": {"context": str(TOP), "dockerfile": "docker/service.Dockerfile"}, **row}
    container = Container(bench.project, compose.Service(name, row, bench.project.folder))
    container.start()
    bench.project.containers[name] = container
    container.wait_until_healthy()
    base = f"http://{bench.project.network.addresses['migrationd']}:8774"

    def ask(path, *words):
        asked = ["curl", "-fsS", "-m", "10", "-H", "X-Auth-Token: admin", *words, base + path]
        done = subprocess.run([*bench.project.network.inside(), *asked], capture_output=True, text=True, check=False)
        equal(done.returncode, 0, f"{path}: {done.stderr}")
        return json.loads(done.stdout or "null")
    server = ask("/v2.1/servers?all_tenants=1")["servers"][0]
    equal(server["name"], "web", "the server")
    ask(f"/v2.1/servers/{server['id']}/action", "-H", "Content-Type: application/json", "-H", "OpenStack-API-Version: compute 2.56",
        "-d", '{"os-migrateLive": {"host": null, "block_migration": "auto"}}')
    wait(lambda: ask(f"/v2.1/servers/{server['id']}")["server"]["OS-EXT-SRV-ATTR:host"] != "compute-1", 20, "the server moves")
    equal(container.stop(), 0, f"its status:\n{container.last_words()}")
    container.remove()


@test("the image simulates a fleet from a file as one command")
def _(bench):
    fleet = bench.project.folder / "fleet.yaml"
    fleet.write_text(FLEET, encoding="utf-8")
    simulates(bench, "simulated", {"volumes": [f"{fleet}:/fleet.yaml:ro"], "command": ["serve", "--simulate", "/fleet.yaml"]})


@test("the image simulates a fleet from a variable, where nothing can be mounted and no words be given")
def _(bench):
    simulates(bench, "simulated-by-variable", {"environment": {"MIGRATIOND_SIMULATION": FLEET}})


def holds(sentence, function, bench):
    began = time.monotonic()
    try:
        function(bench)
    except Exception:  # whatever it was, it is told
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        return False
    finally:
        print(f"# {time.monotonic() - began:.1f} s", flush=True)
    return True


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    if os.geteuid() != 0:
        raise SystemExit("run this as root: buildah's containers need it")
    print(f"1..{len(TESTS)}", flush=True)
    failed = 0
    bench = Bench(sys.argv[1:] == ["--keep"])
    try:
        for number, (sentence, function) in enumerate(TESTS, 1):
            is_good = not failed and holds(sentence, function, bench)  # each stands on those before
            failed += not is_good
            print(f"{'ok' if is_good else 'not ok'} {number} - {sentence}", flush=True)
    finally:
        bench.end()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
