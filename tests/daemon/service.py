"""The shipped binary with the simulated fleet, whose jobs stand still, in a folder of its own."""

import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/lab"), str(TOP / "tests/replay"), str(TOP / "tests/harness")]

from api import Api  # noqa: E402
from daemon_process import BadEnd, DaemonProcess, stop_all  # noqa: E402
import state  # noqa: E402
from tap import line_of  # noqa: E402

BINARY = Path(os.environ.get("MIGRATIOND", TOP / "build" / "migrationd"))
FREE = {"server": {"host": "host1", "vm_state": "active", "task_state": None, "locked": None},
        "hosts": dict.fromkeys(state.HOSTS, "up")}


class Service:
    """One daemon in a folder; started again, it finds what it left there."""

    def __init__(self, folder, **sections):
        self.folder = Path(folder)
        self.config = self.folder / "migrationd.yaml"
        self.log = self.folder / "log"
        self.process = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.sections = {
            "node": "controller", "database": f"{folder}/migrationd.db", "admin_socket": f"{folder}/admin.sock",
            "listener": {"address": "127.0.0.1", "port": self.port},
            "log": {"format": "json", "level": "info"},
            "hypervisor": {"driver": "simulated", "control_socket": f"{folder}/control.sock"},
            "auth": {"keys": [{"kid": "own", "algorithm": "HS256", "secret": secrets.token_hex(32)}]}, **sections}

    def launch(self, **environment):
        self.config.write_text(json.dumps(self.sections))  # JSON is YAML
        self.config.chmod(0o600)
        self.process = DaemonProcess([BINARY, "serve", *self.files()], self.log, env={**os.environ, **environment})
        return self

    def files(self):
        return ["--config", self.config]

    def start(self, **environment):
        self.launch(**environment)
        self.wait(lambda: self.api().get("/healthz").status == 200)
        return self

    def wait(self, holds, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
            except OSError:
                pass
            assert self.process.poll() is None, f"the daemon ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.02)

    def fails(self):
        """Exit status and last words of a start that must not succeed."""
        self.launch()
        return self.process.own_end(), self.log.read_text()

    def control(self, **words):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{self.folder}/control.sock")
            lines = connection.makefile("rw", encoding="utf-8")
            lines.write(json.dumps(words) + "\n")
            lines.flush()
            answer = json.loads(lines.readline())
            assert "error" not in answer, answer

    def load(self):
        self.control(load=state.rows_of(FREE))
        return self

    def token(self, *roles):
        named = [word for role in roles for word in ("--role", role)]
        return subprocess.run([BINARY, "token", "--config", self.config, *named, "--project", state.PROJECT, "--user",
                               "member-user"], capture_output=True, text=True, check=True).stdout.strip()

    def api(self, *roles, version="2.60"):
        return Api(f"http://127.0.0.1:{self.port}", self.token(*roles) if roles else "", version)

    def migrate(self, client=None):
        return (client or self.api("member", "reader")).act(state.server_uuid(1), "migrate")

    def stop(self):
        """SIGTERM, and an end with status 0."""
        self.process.stop()

    def kill(self):
        """kill -9: nothing is put in order, and nobody sees what it would have ended with."""
        self.process.kill()
        self.process.wait()

    def jobs(self):
        with sqlite3.connect(f"file:{self.folder}/migrationd.db?mode=ro", uri=True) as base:
            return base.execute("SELECT server_uuid, kind FROM jobs WHERE finished_us = 0").fetchall()


def run_one(check):
    """Whether what it says holds; and whether its daemons, those too that still run when it is over, end well."""
    with tempfile.TemporaryDirectory(prefix="migrationd-daemon.") as folder:
        lines = []
        try:
            check(folder)
        except Exception as fault:
            log = Path(folder) / "log"
            has_log = log.exists() and not isinstance(fault, BadEnd)  # which has told it
            lines = traceback.format_exc().splitlines() + (log.read_text(errors="replace").splitlines()[-20:] if has_log else [])
        finally:
            lines += "\n".join(stop_all(may_be_killed="kill -9" in check.__doc__)).splitlines()
            subprocess.run(["pkill", "-KILL", "-f", f"{folder}/migrationd.yaml"], check=False)
        print("".join(f"# {line}\n" for line in lines), end="")
        return not lines


def run_checks(checks, words):
    """Those whose name has one of the words, as TAP; a check is a function whose docstring says what holds. The exit status. With
    the word --list alone only their names."""
    if words == ["--list"]:
        print("\n".join(check.__name__ for check in checks))
        return 0
    checks = [check for check in checks if not words or any(word in check.__name__ for word in words)]
    failed = 0
    print(f"1..{len(checks)}", flush=True)
    for number, check in enumerate(checks, 1):
        is_good = run_one(check)
        failed += not is_good
        print(line_of(is_good, number, check.__doc__), flush=True)
    return 1 if failed else 0
