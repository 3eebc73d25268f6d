"""A Keystone as Debian ships it, on SQLite and a loopback port, in a folder that goes with it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "of the tests alone"
# Its programs are Python's of Debian: another interpreter in the PATH does not have what they need.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Keystone:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="migrationd-keystone.")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        folder = self.folder.name
        self.config = Path(folder) / "keystone.conf"
        self.config.write_text(f"""[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
""")
        for name in ("fernet", "credential"):
            (Path(folder) / name).mkdir(mode=0o700)
        self.manage("db_sync")
        # Its own connections get in each other's way otherwise: one that reads keeps another one from committing.
        with contextlib.closing(sqlite3.connect(Path(folder) / "keystone.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")
        self.manage("fernet_setup", "--keystone-user", "root", "--keystone-group", "root")
        self.manage("credential_setup", "--keystone-user", "root", "--keystone-group", "root")
        self.manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-public-url", f"{self.url}/v3",
                    "--bootstrap-region-id", "RegionOne")
        self.start()
        self.admin = self.token("admin", PASSWORD, "admin")

    def manage(self, *words):
        done = subprocess.run(["/usr/bin/keystone-manage", "--config-file", self.config, *words], env={"PATH": PATH},
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"keystone-manage {words[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    def start(self):
        self.process = subprocess.Popen(["/usr/bin/python3", "/usr/bin/keystone-wsgi-public", "--host", "127.0.0.1", "--port",
                                         str(self.port)], env={"PATH": PATH, "OS_KEYSTONE_CONFIG_FILES": str(self.config)},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.ask("GET", "/v3")[0] == 200:
                    return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "Keystone does not start"
                time.sleep(0.1)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def hang(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        self.stop()
        self.folder.cleanup()

    def ask(self, method, path, body=None, **headers):
        """(status, headers, document)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body else None,
                               {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}})
            response = connection.getresponse()
            data = response.read()
            return response.status, response.headers, json.loads(data) if data else None
        finally:
            connection.close()

    def token(self, user, password, project=None):
        scope = {"scope": {"project": {"name": project, "domain": {"id": "default"}}}} if project else {}
        identity = {"methods": ["password"], "password": {"user": {"name": user, "password": password, "domain": {"id": "default"}}}}
        status, headers, document = self.ask("POST", "/v3/auth/tokens", {"auth": {"identity": identity, **scope}})
        assert status == 201, document
        return headers["X-Subject-Token"]

    def revoke(self, token):
        assert self.ask("DELETE", "/v3/auth/tokens", X_Auth_Token=self.admin, X_Subject_Token=token)[0] == 204

    def make(self, kind, **fields):
        """Makes a project, a user, a service or an endpoint; gives its id."""
        status, _, document = self.ask("POST", f"/v3/{kind}s", {kind: fields}, X_Auth_Token=self.admin)
        assert status == 201, document
        return document[kind]["id"]

    def grant(self, user, project, role):
        _, _, document = self.ask("GET", f"/v3/roles?name={role}", X_Auth_Token=self.admin)
        path = f"/v3/projects/{project}/users/{user}/roles/{document['roles'][0]['id']}"
        assert self.ask("PUT", path, X_Auth_Token=self.admin)[0] == 204
