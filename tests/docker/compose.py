"""What docker/compose.yaml says, as data: of each service the image, the process, the mounts and what it waits for.

Read as compose reads it; what this reader does not know it refuses, so that nothing of the file goes untested unseen.
"""

import shlex
from pathlib import Path

import yaml

KNOWN = {"image", "build", "hostname", "environment", "volumes", "tmpfs", "user", "entrypoint", "command", "network_mode",
         "read_only", "cap_drop", "cap_add", "security_opt", "healthcheck", "depends_on", "ports"}


def words(value):
    """A command as compose takes it: a list, or a line that is split as a shell does."""
    return shlex.split(value) if isinstance(value, str) else list(value)


def seconds(text):
    """1m30s, 2s, 500ms."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    number, total, rest = "", 0.0, text
    while rest:
        if rest[0].isdigit() or rest[0] == ".":
            number, rest = number + rest[0], rest[1:]
            continue
        unit = "ms" if rest.startswith("ms") else rest[0]
        total, number, rest = total + float(number) * units[unit], "", rest[len(unit):]
    return total


class Mount:
    """One volume of a service: a named one, or a path beside the file."""

    def __init__(self, text, folder):
        source, self.target, *options = text.split(":")
        self.is_named = not source.startswith((".", "/"))
        self.source = source if self.is_named else (folder / source).resolve()
        self.is_read_only = "ro" in (options[0].split(",") if options else [])


class Service:
    """One service of the file."""

    def __init__(self, name, row, folder):
        unknown = set(row) - KNOWN
        if unknown:
            raise ValueError(f"service {name}: tests/docker/compose.py does not know {', '.join(sorted(unknown))}")
        self.name, self.image = name, row["image"]
        self.context = (folder / row["build"]["context"]).resolve()
        self.dockerfile = self.context / row["build"]["dockerfile"]
        self.hostname = row.get("hostname", name)
        self.environment = {key: str(value) for key, value in row.get("environment", {}).items()}
        self.mounts = [Mount(text, folder) for text in row.get("volumes", [])]
        self.tmpfs = dict(text.partition(":")[::2] for text in row.get("tmpfs", []))
        self.user = row.get("user")
        self.entrypoint = words(row["entrypoint"]) if "entrypoint" in row else None
        self.command = words(row["command"]) if "command" in row else None
        self.has_network = row.get("network_mode") != "none"
        self.is_read_only = row.get("read_only", False)
        self.cap_drop, self.cap_add = row.get("cap_drop", []), row.get("cap_add", [])
        self.has_no_new_privileges = "no-new-privileges:true" in row.get("security_opt", [])
        self.healthcheck = row.get("healthcheck")
        self.depends_on = {other: how["condition"] for other, how in row.get("depends_on", {}).items()}


def read(path):
    """Services by name, each after those that it waits for; and the names of volumes."""
    path = Path(path)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    waiting = {name: Service(name, row, path.parent) for name, row in document["services"].items()}
    services = {}
    while waiting:
        ready = [name for name, service in waiting.items() if set(service.depends_on) <= set(services)]
        if not ready:
            raise ValueError(f"{path}: these services wait for each other or for one that is not there: {' '.join(waiting)}")
        services |= {name: waiting.pop(name) for name in ready}
    return services, set(document.get("volumes", {}))
