"""Containers of the compose file without an engine: each service a `buildah run`, on one network that no other program is on.

The network is a namespace in which every service has an address; names are found through /etc/hosts. A container has a process
namespace of its own, which ends with all that is in it; volumes are folders. What compose asks for and buildah's chroot isolation
does not do is a read-only root: tree_of() shows whether a container wrote to it.
"""

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import compose

NETWORK = "10.88.0"
# The first process reaps whom others leave behind, as an engine's does or as the container's own command would.
INIT = 'ip link set lo up; "$@"; exit "$?"'
# What a container has when nothing is said.
CAPABILITIES = {f"CAP_{name}" for name in ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
                                           "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")}


class ContainerError(Exception):
    """A container did not do what was asked of it; the text says what."""


def status_of(pid):
    """/proc/PID/status as a map."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def children_of(pid):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int(status_of(entry.name)["PPid"]) == pid:
                    found.append(int(entry.name))
            except (OSError, KeyError):
                continue
    return found


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]


def wait(fact, limit_s, what):
    end = time.monotonic() + limit_s
    while not (value := fact()):
        if time.monotonic() > end:
            raise ContainerError(f"not within {limit_s:.0f} s: {what}")
        time.sleep(0.1)
    return value


def tree_of(root):
    """Path → what stands there: two of these tell what was written. A folder's times tell nothing: buildah itself puts files of its
    own there for each process, and takes them away again."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            row = os.lstat(path)
            is_folder = stat.S_ISDIR(row.st_mode)
            found[os.path.relpath(path, root)] = (row.st_mode, row.st_uid, row.st_gid, row.st_ino,
                                                  None if is_folder else (row.st_size, row.st_mtime_ns))
    return found


class Network:
    """A network namespace with an address for each name, held by a process that only sleeps."""

    def __init__(self, names, folder):
        self.addresses = {name: f"{NETWORK}.{number}" for number, name in enumerate(names, 11)}
        self.hosts_file = folder / "hosts"
        self.hosts_file.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in self.addresses.items()))
        script = "ip link set lo up; " + "".join(f"ip address add {address}/32 dev lo; " for address in self.addresses.values())
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-ec", script + "echo up; exec sleep infinity"], text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != "up\n":
            raise ContainerError("no network namespace can be made here")

    def inside(self):
        return ["nsenter", f"--target={self.holder.pid}", "--net"]

    def end(self):
        self.holder.kill()
        self.holder.wait()


class Container:
    """One service's container. Volumes outlive it; its own tree does not."""

    def __init__(self, project, service):
        self.project, self.service = project, service
        self.storage = project.storage
        self.image = self.storage.config(service.image)
        self.name = self.storage.run("from", "--pull-never", f"localhost/{service.image}")
        for target in self.image.get("Volumes") or {}:  # buildah would put folders of its own there, before or behind ours
            self.storage.run("config", f"--volume={target}-", self.name)
        self.root = Path(self.storage.run("mount", self.name))
        self.log = project.folder / f"{service.name}.log"
        self.folders = {**{mount.target: self.volume(mount) for mount in service.mounts},
                        **{target: self.tmpfs(target, options) for target, options in service.tmpfs.items()}}
        self.process = None
        self.run(["true"])  # makes the places that are mounted over
        self.tree = tree_of(self.root)

    def volume(self, mount):
        """(folder, options); a new named volume gets the owner and the content that the image has at its place."""
        option = "ro" if mount.is_read_only else "rw"
        if not mount.is_named:
            return mount.source, option
        folder = self.project.folder / "volumes" / mount.source
        if not folder.exists():
            folder.parent.mkdir(exist_ok=True)
            there = self.root / mount.target.lstrip("/")
            if there.is_dir():
                subprocess.run(["cp", "-a", there, folder], check=True)
            else:
                folder.mkdir(mode=0o755)
        return folder, option

    def tmpfs(self, target, options):
        """A new folder as the options say; an engine's default is open to all."""
        asked = dict(option.split("=") for option in options.split(",") if "=" in option)
        folder = self.project.folder / "tmpfs" / f"{self.name}{target.replace('/', '-')}"
        folder.mkdir(parents=True)
        folder.chmod(int(asked.get("mode", "1777"), 8))
        os.chown(folder, int(asked.get("uid", 0)), int(asked.get("gid", 0)))
        return folder, "rw"

    def command(self):
        """The process: compose's entrypoint takes away the image's command, as an engine has it."""
        service = self.service
        entrypoint = service.entrypoint if service.entrypoint is not None else self.image.get("Entrypoint") or []
        own = [] if service.entrypoint is not None else self.image.get("Cmd") or []
        return [*entrypoint, *(service.command if service.command is not None else own)]

    def words(self, command, environment=None):
        service = self.service
        words = [*(self.project.network.inside() if service.has_network else ["unshare", "--net"]),
                 "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", INIT, "sh"]
        if service.has_no_new_privileges:
            words += ["setpriv", "--no-new-privs"]
        words += [*self.storage.words(), "run", "--isolation=chroot", "--no-hosts", f"--hostname={service.hostname}",
                  f"--volume={self.project.network.hosts_file}:/etc/hosts:ro"]
        words += [f"--volume={folder}:{target}:{option}" for target, (folder, option) in self.folders.items()]
        words += [f"--env={name}={value}" for name, value in {**service.environment, **(environment or {})}.items()]
        words += [f"--cap-drop={name}" for name in self.dropped()]
        if service.user is not None:
            words.append(f"--user={service.user}")
        return [*words, self.name, "--", *command]

    def dropped(self):
        """Each by its name: buildah would take ALL to mean those too that are added."""
        added = {f"CAP_{name}" for name in self.service.cap_add}
        if added - CAPABILITIES:
            raise ContainerError(f"{self.service.name}: only what a container has by default is tried here, not {added - CAPABILITIES}")
        dropped = CAPABILITIES if "ALL" in self.service.cap_drop else {f"CAP_{name}" for name in self.service.cap_drop}
        return sorted(dropped - added)

    def run(self, command, seconds=60, environment=None):
        """Another process in the container, to its end."""
        return subprocess.run(self.words(command, environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds, check=False)

    def start(self, command=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words(command or self.command()), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def main_process(self):
        """The id of the container's own process, which buildah's last helper starts; None while there is none."""
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            children = children_of(pid)
            if command_of(pid)[0].startswith(b"buildah-chroot-exec"):
                return children[0] if children else None
            waiting += children
        return None

    def is_healthy(self):
        own = self.service.healthcheck["test"] if self.service.healthcheck else self.image["Healthcheck"]["Test"]
        kind, *words = own
        if kind == "CMD-SHELL":
            words = ["/bin/sh", "-c", *words]
        return self.run(words).returncode == 0

    def wait_until_healthy(self):
        def healthy():
            if self.process.poll() is not None:
                raise ContainerError(f"{self.service.name} ended with {self.process.returncode}:\n{self.last_words()}")
            return self.is_healthy()
        try:
            wait(healthy, self.patience(), f"{self.service.name} is healthy")
        except ContainerError as error:
            raise ContainerError(f"{error}\n{self.last_words()}") from None

    def patience(self):
        """Seconds until an engine gives up: what the check says, and no less than a busy machine needs."""
        check = self.service.healthcheck or {}
        return max(180, compose.seconds(check.get("interval", "30s")) * check.get("retries", 3))

    def stop(self, seconds=20):
        """As `docker stop`: the image's signal, and force after a time; gives the exit status."""
        pid = self.main_process()
        if pid:
            os.kill(pid, getattr(signal, self.image.get("StopSignal") or "SIGTERM"))
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        """With every process in it: the last of unshare's children is the first of its processes."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def written(self):
        """Paths of its tree, outside of mounts, that are not as they were."""
        now = tree_of(self.root)
        return sorted(path for path in self.tree.keys() | now.keys() if self.tree.get(path) != now.get(path))

    def remove(self):
        self.kill()
        for target in self.service.tmpfs:
            shutil.rmtree(self.folders[target][0])
        self.storage.run("umount", self.name)
        self.storage.run("rm", self.name)

    def last_words(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


class Project:
    """All services of a compose file, as `up` has them."""

    def __init__(self, storage, services, folder):
        self.storage, self.services, self.folder = storage, services, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network = Network(services, self.folder)
        self.containers = {}

    def up(self, name):
        """Starts a service when what it depends on is as the file wants it."""
        service = self.services[name]
        for other, condition in service.depends_on.items():
            self.wait_for(other, condition)
        self.containers[name] = Container(self, service)
        self.containers[name].start()
        return self.containers[name]

    def wait_for(self, name, condition):
        container = self.containers[name]
        if condition == "service_healthy":
            container.wait_until_healthy()
        elif condition != "service_started":
            raise ContainerError(f"no such condition: {condition}")

    def down(self):
        for container in self.containers.values():
            container.kill()
        self.network.end()
