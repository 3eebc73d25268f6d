"""One migrationd for a lab: its configuration, its start, its end by will or by force, and a look into its database."""

import json
import os
import secrets
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from api import Api
from guest import PROJECT, USER
from lab import LabError

TOP = Path(__file__).resolve().parents[2]
sys.path.append(str(TOP / "tests/harness"))

from daemon_process import BadEnd, DaemonProcess  # noqa: E402

BINARY = Path(os.environ.get("MIGRATIOND", TOP / "build" / "migrationd"))
ADMIN_PROJECT = "61646d69-0000-4000-8000-000000000001"
ADMIN_USER = "61646d69-0000-4000-8000-000000000002"


def yaml(value, indent=0):
    """Maps, lists and scalars as YAML that a person would write; enough for a configuration."""
    space = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, part in value.items():
            if isinstance(part, (dict, list)) and part:
                lines.append(f"{space}{key}:\n{yaml(part, indent + 1)}")
            else:
                lines.append(f"{space}{key}: {scalar(part)}")
        return "\n".join(lines)
    if isinstance(value, list):
        return "\n".join(f"{space}- {yaml(part, indent + 1).lstrip()}" for part in value)
    return space + scalar(value)


def scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, dict, list)):  # a map or a list that is empty
        return str(value)
    text = str(value)
    return f'"{text}"' if not text or any(letter in text for letter in ":#{}[]%*& ") else text


def merged(base, over):
    """A map with the parts of another put over it, section by section."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def free_port(wanted=0):
    """The wanted port when nobody listens there, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise LabError("no free port on 127.0.0.1")


class Daemon:
    """migrationd in a folder of the lab; the log is appended to `log_path`, also over restarts.

    Settings are those of the configuration, put over the lab's own. Two keys are the lab's: `deployment` is the text of an
    OpenStackDeployment, a file of its own; `nics` names the two NICs of each host, (control, migration), so that the
    configuration has their addresses by name instead of each host's `migration_address`, but for the hosts (by number) in
    `nics_missing`, which have the first one only; `nics` of None leaves them without an address. A third, `tls`, has the hosts
    reached over TLS. `binary` may be another build of it, with `environment` added to ours.
    """

    binary = BINARY
    environment = {}

    def __init__(self, lab, log_path, settings=None, wanted_port=0):
        self.lab = lab
        self.folder = lab.folder / "migrationd"
        self.config_path = self.folder / "migrationd.yaml"
        self.deployment_path = self.folder / "osdpl.yaml"
        self.log_path = Path(log_path)
        self.settings = settings or {}
        self.port = free_port(wanted_port)
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.admin = None
        self.member = None

    def write_config(self):
        self.folder.mkdir(mode=0o700, exist_ok=True)
        secret = self.folder / "token.secret"
        if not secret.exists():
            secret.write_text(secrets.token_hex(32) + "\n")
            secret.chmod(0o600)
        base = {
            "node": "controller",
            "database": str(self.folder / "migrationd.db"),
            "admin_socket": str(self.folder / "admin.sock"),
            "listener": {"address": "127.0.0.1", "port": self.port},
            "log": {"format": "text", "level": "debug"},
            "auth": {"keys": [{"kid": "lab", "algorithm": "HS256", "secret_file": str(secret)}], "issuer": "lab"},
            "max_concurrent_live_migrations": 2,
            "shutdown_timeout": 1,  # the lab's guests know no ACPI: each is put out after the time
            # The hosts share this machine's disk: which of them was read when it had more room free means nothing. And what
            # failed there was another scenario's wish: it must not decide where this one's guest goes.
            "filter_scheduler": {"disk_weight_multiplier": 0, "build_failure_weight_multiplier": 0},
            "worker": {"progress_interval": 1, "poll_interval": 100, "retry_interval": 1},
            "hypervisor": {"default_project": PROJECT, "default_user": USER, "keepalive_interval": 2,
                           "keepalive_count": 3, "reconnect_interval": 1, "reconcile_interval": 600},
            "hosts": [{"name": host.name, "uri": host.tls_uri if self.settings.get("tls") else host.uri,
                       **self.addresses(host)} for host in self.lab.hosts],
        }
        if self.lab.authority:
            base["hypervisor"]["pki_path"] = str(self.lab.pki)
        own = {key: value for key, value in self.settings.items() if key not in ("deployment", "nics", "nics_missing", "tls")}
        self.config_path.write_text(yaml(merged(base, own)) + "\n")
        self.config_path.chmod(0o600)
        self.deployment_path.unlink(missing_ok=True)
        if "deployment" in self.settings:
            self.deployment_path.write_text(self.settings["deployment"])

    def addresses(self, host):
        if "nics" not in self.settings:
            return {"migration_address": host.migration_address}
        names = self.settings["nics"]
        if not names:
            return {}
        control, migration = self.lab.addresses(host.number)
        known = {names[0]: control}
        if host.number not in self.settings.get("nics_missing", ()):
            known[names[1]] = migration
        return {"interfaces": known}

    def config_options(self):
        files = [self.config_path] + ([self.deployment_path] if self.deployment_path.exists() else [])
        return [word for path in files for word in ("--config", str(path))]

    def start(self):
        """Starts it and waits until it answers; what the database holds is kept."""
        self.write_config()
        self.process = DaemonProcess([self.binary, "serve", *self.config_options()], self.log_path, has_real_hosts=True,
                                     start_new_session=True, env={**os.environ, **self.environment})
        self.lab.wait(self.answers, 20, f"migrationd answers on {self.base_url}")
        if not self.admin:
            self.admin = Api(self.base_url, self.token(["admin", "manager", "member", "reader"], ADMIN_PROJECT, ADMIN_USER), token_name="$ADMIN_TOKEN")
            self.member = Api(self.base_url, self.token(["member", "reader"], PROJECT, USER), token_name="$MEMBER_TOKEN")

    def answers(self):
        if self.process.poll() is not None:
            raise LabError(f"migrationd ended with status {self.process.returncode}:\n{self.log_tail()}")
        try:
            return Api(self.base_url, "").get("/healthz").status == 200
        except OSError:
            return False

    def token(self, roles, project, user, lifetime=86400):
        """As Keystone gives them, a role brings those that it implies: a member is a reader too."""
        named = [word for role in roles for word in ("--role", role)]
        done = subprocess.run([str(BINARY), "token", "--config", str(self.config_path), *named, "--project", project,
                               "--user", user, "--lifetime", str(lifetime)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"migrationd token: {done.stderr.strip()}")
        return done.stdout.strip()

    def wait_for_fleet(self, seconds=30):
        """Every host is up, and every guest of the lab is known."""
        def known():
            services = self.admin.get("/v2.1/os-services?binary=nova-compute")
            up = [row for row in (services.body or {}).get("services", []) if row["state"] == "up"]
            return len(up) >= len(self.lab.hosts) and all(self.knows(guest) for guest in self.lab.guests)
        self.lab.wait(known, seconds, "migrationd sees all hosts and guests")

    def knows(self, guest):
        return self.admin.get(f"/v2.1/servers/{guest.uuid}").status == 200

    def read_anew(self, settings):
        """Other settings without a restart: SIGHUP, and until the log says that they are in force."""
        self.settings = settings
        self.write_config()
        before = self.log_path.read_text(errors="replace").count("the new configuration is in force")
        self.process.send_signal(signal.SIGHUP)
        self.lab.wait(lambda: self.log_path.read_text(errors="replace").count("the new configuration is in force") > before, 20,
                      f"the configuration is read anew:\n{self.log_tail()}")

    def kill(self):
        """`kill -9`: nothing is put in order."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=40):
        """SIGTERM, and an end with status 0; nothing where a scenario has stopped or killed it."""
        if self.process:
            self.process.stop(seconds)

    def end(self):
        """However it is: asked to, else by force; what is wrong with that, "" where nothing is."""
        try:
            self.stop()
        except BadEnd as fault:
            return str(fault)
        return ""

    def log_tail(self, lines=40):
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def rows(self, query, *values):
        """What the database holds, read beside the running daemon."""
        connection = sqlite3.connect(f"file:{self.folder}/migrationd.db?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def doctor(self):
        """What `migrationd doctor` finds while the daemon runs; each finding is a map."""
        done = subprocess.run([str(BINARY), "doctor", "--json", *self.config_options()], capture_output=True, text=True, check=False,
                              timeout=90)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise LabError(f"migrationd doctor ended with status {done.returncode}: {done.stdout}{done.stderr}") from None
        if (done.returncode != 0) != (answer["broken"] > 0):
            raise LabError(f"migrationd doctor ended with status {done.returncode}, and found {answer}")
        return answer["findings"]

    def watch_jobs(self, until, seconds=60):
        """Follows the phases of the newest job as fast as the database can be read, until `until(kind, phase)`; gives
        that pair, or None when the job ended before."""
        connection = sqlite3.connect(f"file:{self.folder}/migrationd.db?mode=ro", uri=True, timeout=5)
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                row = connection.execute("SELECT kind, phase, finished_us FROM jobs ORDER BY id DESC LIMIT 1").fetchone()
                if row and until(row[0], row[1]):
                    return row[:2]
                if row and row[2]:
                    return None
                time.sleep(0.0005)
        finally:
            connection.close()
        raise LabError(f"not within {seconds} s: the job reaches the phase; it is {row}")

    def command_line(self, *words):
        """The shell line of one of the daemon's own verbs."""
        return shlex.join([str(BINARY), *words, *self.config_options()])
