"""A build of migrationd that is measured: it serves a simulated fleet with its database on a real disk."""

import http.client
import json
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/lab"), str(TOP / "tests/replay"), str(TOP / "tests/harness")]

from daemon import free_port  # noqa: E402
from daemon_process import DaemonProcess  # noqa: E402

VERSION = "compute 2.60"
PROGRAMS = TOP / "build/tests/bench"


class Failure(Exception):
    """The run cannot be trusted, and ends."""


def program(name, *words, **options):
    return subprocess.Popen([str(PROGRAMS / name), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def answer_of(process, line):
    """One line to a program that answers each with a line of JSON."""
    try:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    except OSError:
        pass
    answer = process.stdout.readline()
    if not answer:
        raise Failure(f"{process.args[0]} ended with status {process.wait()}")
    return json.loads(answer)


def end(process):
    """By the end of its input; by force when that does not help."""
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def knows_database(binary):
    """Whether `serve` has --database: older builds take it from the configuration alone."""
    done = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True, check=False)
    return "--database" in done.stdout


class Subject:
    """One daemon in a folder of its own. Its jobs stand still when `is_frozen`, so that requests alone are measured."""

    def __init__(self, binary, folder, simulation, is_frozen=False):
        self.binary = binary
        self.folder = Path(folder)
        self.simulation = simulation
        self.is_frozen = is_frozen
        self.port = free_port()
        self.database = self.folder / "migrationd.db"
        self.control = self.folder / "control.sock"
        self.config = self.folder / "migrationd.yaml"
        self.log_path = self.folder / "log"
        self.process = None

    def start(self):
        """Gives the seconds until it can work."""
        self.folder.mkdir(parents=True)
        hypervisor = {"driver": "simulated", **({"control_socket": str(self.control)} if self.is_frozen else {})}
        self.config.write_text(json.dumps({  # JSON is YAML
            "node": "controller", "listener": {"address": "127.0.0.1", "port": self.port}, "hypervisor": hypervisor,
            "database": str(self.database), "admin_socket": str(self.folder / "admin.sock"),
            "auth": {"keys": [{"kid": "bench", "algorithm": "HS256", "secret": secrets.token_hex(32)}]},
            "simulation": self.simulation}))
        self.config.chmod(0o600)
        words = ["--simulate", self.config, "--database", self.database] if knows_database(self.binary) else ["--config", self.config]
        began = time.monotonic()
        self.process = DaemonProcess([self.binary, "serve", *words], self.log_path)
        probe = "/healthz" if self.is_frozen else "/readyz"  # which asks hosts
        self.wait(lambda: self.get(probe).status == 200, every=0.002)
        took = time.monotonic() - began
        self.token = subprocess.run([self.binary, "token", "--config", self.config, "--role", "admin", "--project", "demo",
                                     "--lifetime", "86400"], capture_output=True, text=True, check=True).stdout.strip()
        if self.is_frozen:
            self.order(thaw=["discovery"])
            wanted = sum(row.get("count", 1) for row in self.simulation["servers"])
            self.wait(lambda: self.rows("SELECT count(*) FROM servers") == [(wanted,)], every=0.1)
        return took

    def wait(self, holds, seconds=600, every=0.02):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"{self.binary} does not start: {self.last_words()}")
            time.sleep(every)

    def last_words(self):
        return self.log_path.read_text(errors="replace")[-2000:]

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response
        finally:
            connection.close()

    def order(self, **words):
        """One request over the control socket (server/simulation.h)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.control))
            lines = connection.makefile("rw", encoding="utf-8")
            lines.write(json.dumps(words) + "\n")
            lines.flush()
            answer = json.loads(lines.readline())
        if "error" in answer:
            raise Failure(f"{next(iter(words))} is refused: {answer['error']}")

    def rows(self, query):
        database = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    def servers(self):
        return [uuid for (uuid,) in self.rows("SELECT uuid FROM servers ORDER BY id")]

    def resident_mb(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise Failure("the kernel does not tell the daemon's memory")

    def request(self, method, path, body=None, token=None):
        """The bytes of a request, as bench_load takes them."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"X-Auth-Token: {token or self.token}",
                 f"OpenStack-API-Version: {VERSION}"]
        data = b"" if body is None else json.dumps(body).encode()
        if data:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        return "\r\n".join([*lines, "", ""]).encode() + data

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.stop()


def write_requests(path, requests):
    with open(path, "wb") as file:
        for request in requests:
            file.write(b"%d\n" % len(request) + request)


def load(port, connections, seconds, status, requests, *part):
    """What bench_load tells; a wrong status ends the run."""
    done = subprocess.run([PROGRAMS / "bench_load", *map(str, (port, connections, seconds, status, requests, *part))],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())
    return json.loads(done.stdout)
