"""A daemon with a simulated fleet, and its verbs as a person calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/daemon")]

from service import BINARY, Service  # noqa: E402

PROJECT = "demo"
SLOW = {"takes": 2.5}
# Moves of a second and more have a progress to look at.
SIMULATION = {
    "hosts": [{"name": "compute", "count": 3, "memory_mb": 65536}],
    "servers": [
        {"name": "web", "host": "compute-1", "memory_mb": 2048, "moves": [{"takes": 0.1}]},
        {"name": "big", "host": "compute-1", "memory_mb": 8192, "moves": [SLOW]},
        {"name": "odd (1).*", "host": "compute-2", "moves": [{"takes": 0.1}]},
        {"name": "fragile", "host": "compute-1", "moves": [{"takes": 0.2, "fails": "midway"}]},
        {"name": "stuck", "host": "compute-1", "moves": [{"takes": 1, "fails": "never_converges"}]},
        {"name": "twin", "host": "compute-1"},
    ],
}


def twins():
    other = {"name": "twin", "host": "compute-2", "id": "7e000000-0000-4000-8000-000000000002"}
    return {**SIMULATION, "servers": [*SIMULATION["servers"], other]}


class Fleet(Service):
    """The daemon asked by its own configuration, as root on its machine does, unless a call says otherwise."""

    def __init__(self, folder, simulation=None, **sections):
        super().__init__(folder, **sections)
        del self.sections["hypervisor"]
        self.simulation = self.folder / "fleet.yaml"
        self.simulation.write_text(json.dumps({"simulation": simulation or SIMULATION}))

    def files(self):
        return [*super().files(), "--simulate", self.simulation]

    def words(self, *words):
        return [str(BINARY), *words, "--config", str(self.config)]

    def call(self, *words, status=0):
        """What a verb wrote, which must have ended with that status: standard output, or standard error where it failed."""
        done = subprocess.run(self.words(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, (words, done)
        return done.stderr if status else done.stdout

    def json(self, *words):
        return json.loads(self.call(*words, "--json"))

    def token_of(self, role):
        return self.call("token", "--role", role, "--project", PROJECT).strip()

    def remote(self, role):
        """The environment of somebody with a token, somewhere else."""
        return {**os.environ, "OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": f"http://127.0.0.1:{self.port}/v2.1",
                "OS_TOKEN": self.token_of(role)}

    def server(self, name):
        return next(row for row in self.json("server", "list") if row["name"] == name)
