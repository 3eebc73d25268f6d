"""Runs the manual's commands on a machine: a Debian 12 in a folder, without a service manager of its own. The package's suite calls it
when its package is built, and starts and stops the service by its unit where the manual says `systemctl`."""

import re
import shutil
import signal
import socket
import time
from pathlib import Path

from blocks import blocks, documents
from shell import COMMENT, Shell

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class Machine:
    """`root`: the folder; `package`: the .deb; `manager()`: the package suite's end of a service manager, of the unit there."""

    def __init__(self, root, package, manager):
        self.root, self.make_manager = Path(root), manager
        self.manager = None
        shutil.copy(package, self.root / "root")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        out = self.root / "tmp/docs"
        out.mkdir(parents=True, exist_ok=True)
        self.shell = Shell(out, before=["chroot", str(self.root)], environment=ENVIRONMENT, seen="/tmp/docs")
        self.shell.run("cd /root")

    def systemctl(self, verb):
        """Why it does not; "" when it does."""
        if verb in ("stop", "restart") and self.manager:
            self.manager.stop()
            self.manager.kill()
            self.manager = None
        if verb in ("start", "restart"):
            self.manager = self.make_manager()
            self.manager.start()
            self.manager.expect("READY")
        if verb == "reload":
            self.manager.process.send_signal(signal.SIGHUP)
            self.manager.expect("RELOADING")
            self.manager.expect("READY")
        return "" if verb in ("start", "restart", "reload", "stop", "status") else f"what is `systemctl {verb}` here?"

    def fault(self, command):
        words = command.split()
        if words[0] == "systemctl" and words[2] == "migrationd":
            return self.systemctl(words[1])
        if words[0] == "journalctl":
            said = COMMENT.search(command)
            log = Path(self.manager.log).read_text(encoding="utf-8", errors="replace")
            missing = [word for word in re.findall(r"`([^`]+)`", said[1] if said else "") if word not in log]
            return f"not in the log: {missing}: {log[-2000:]}" if missing else ""
        return self.shell.fault(command.replace("8774", str(self.port)))

    def end(self):
        self.systemctl("stop")
        self.shell.end()


def follow(root, package, manager):
    """All blocks of the manual that are for a machine, in their order; how many commands they were."""
    machine = Machine(root, package, manager)
    count = 0
    try:
        for path in documents():
            for block in blocks(path):
                for number, command in block.commands() if block.runner == "machine" else ():
                    began = time.monotonic()
                    why = machine.fault(command)
                    print(f"# {path.name}:{number}: {command.splitlines()[0]}: {time.monotonic() - began:.1f} s", flush=True)
                    assert not why, f"{path.name}:{number}: {command}: {why}"
                    count += 1
    finally:
        machine.end()
    assert count > 20, f"the manual has {count} commands for a machine"
    return count
