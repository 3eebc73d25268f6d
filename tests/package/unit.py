"""A service in a root, started by hand as its unit says, where no systemd runs: the unit's user, folders, limits and system calls,
and a socket that hears what it tells the manager. By Debian's interpreter, which has libseccomp.
"""

import ctypes
import errno
import os
import pwd
import re
import resource
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import seccomp

sys.path.append(str(Path(__file__).resolve().parents[1] / "harness"))

from daemon_process import DaemonProcess  # noqa: E402

PROT_WRITE, PROT_EXEC = 2, 4
CLONE_NEW = 0x7E020000 | 0x00000080  # every CLONE_NEW* there is
MOUNTS = 0x00020000
MS_REC_PRIVATE = 0x4000 | 0x40000


class Unit:
    """The settings of a unit file; of a list each assignment adds."""

    def __init__(self, path):
        self.settings = {}
        for line in Path(path).read_text().splitlines():
            name, is_setting, value = line.partition("=")
            if is_setting and not line.startswith(("#", ";")):
                self.settings.setdefault(name, []).append(value)

    def __getitem__(self, name):
        return self.settings[name][-1]

    def is_on(self, name):
        return self.settings.get(name, ["no"])[-1] == "yes"

    def allowed_calls(self):
        """The names that SystemCallFilter= leaves."""
        names = set()
        for value in self.settings["SystemCallFilter"]:
            listed = calls_of(value.lstrip("~").split())
            names = names - listed if value.startswith("~") else names | listed
        return names


def calls_of(words):
    names = set()
    for word in words:
        if not word.startswith("@"):
            names.add(word)
            continue
        text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", word], capture_output=True, text=True,
                              check=True).stdout
        names |= calls_of(re.findall(r"^\s+(@?[\w-]+)$", "\n".join(text.splitlines()[1:]), re.MULTILINE))
    return names


def filter_of(unit):
    """As systemd makes it of SystemCallFilter, RestrictAddressFamilies, MemoryDenyWriteExecute and RestrictNamespaces."""
    names = unit.allowed_calls()
    rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    judged = {"socket", "mmap", "mprotect", "pkey_mprotect", "clone", "clone3", "unshare", "setns"}
    for name in sorted(names - judged):
        try:
            rules.add_rule(seccomp.ALLOW, name)
        except (RuntimeError, ValueError, OSError):
            pass  # a call of another architecture
    for family in unit["RestrictAddressFamilies"].split():
        rules.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, getattr(socket, family)))
    assert unit.is_on("MemoryDenyWriteExecute") and unit.is_on("RestrictNamespaces")
    for either in (PROT_WRITE, PROT_EXEC):
        rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, either, 0))
    for name in ("mprotect", "pkey_mprotect"):
        rules.add_rule(seccomp.ALLOW, name, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
    rules.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEW, 0))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags cannot be seen: glibc goes on with clone
    return rules


def mount_proc(root):
    """Seen by this process alone. Where mounts are refused a folder stands in for the one thing that is looked for there: libvirt
    reads off the numbers in /proc/self/fd what it has to close before it runs ssh."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(MOUNTS) == 0:
        libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC_PRIVATE), None)
        if libc.mount(b"proc", os.fsencode(f"{root}/proc"), b"proc", ctypes.c_ulong(0), None) == 0:
            return
    folder = Path(root, "proc/self/fd")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(256):
        (folder / str(number)).touch()


class Manager:
    """The service manager's end: starts the service and hears its words."""

    def __init__(self, root, unit, log):
        self.root, self.unit, self.log = Path(root), unit, Path(log)
        self.name = f"migrationd-package-{os.getpid()}-{secrets.token_hex(4)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{self.name}")
        self.words = []
        self.process = None
        self.account = self.account_of(unit["User"])

    def account_of(self, name):
        for line in (self.root / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return pwd.struct_passwd([*fields[:2], int(fields[2]), int(fields[3]), *fields[4:]])
        raise AssertionError(f"no user {name} in the root")

    def make_folders(self):
        for kind, place in (("State", "var/lib"), ("Runtime", "run")):
            folder = self.root / place / self.unit[f"{kind}Directory"]
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(int(self.unit[f"{kind}DirectoryMode"], 8))
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)

    def start(self, *arguments, watchdog_s=None, **environment):
        self.make_folders()
        rules = filter_of(self.unit)
        limit = int(self.unit["LimitNOFILE"])
        umask = int(self.unit["UMask"], 8)
        account = self.account

        def become():
            mount_proc(self.root)
            os.chroot(self.root)
            os.chdir("/")
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, hard), min(limit, hard)))
            os.umask(umask)
            os.setgroups([])
            os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
            os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
            rules.load()

        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME": account.pw_dir, "USER": account.pw_name,
               "LOGNAME": account.pw_name, "NOTIFY_SOCKET": f"@{self.name}", **environment}
        if watchdog_s:
            env["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        self.process = DaemonProcess([*shlex.split(self.unit["ExecStart"]), *arguments], self.log, has_real_hosts=True, env=env,
                                     preexec_fn=become)
        return self

    def hear(self, seconds):
        """The next message's words, by their names; None when the time is over."""
        self.socket.settimeout(seconds)
        try:
            message = self.socket.recv(4096).decode()
        except TimeoutError:
            return None
        words = dict(line.split("=", 1) for line in message.splitlines())
        self.words.append(words)
        return words

    def expect(self, name, seconds=30):
        """Waits for a message with the word; gives all of that message."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            words = self.hear(left)
            if words and name in words:
                return words
            assert words or self.process.poll() is None, f"it ended with {self.process.returncode}: {self.tail()}"
        raise AssertionError(f"no {name} within {seconds} s, but {self.words[-5:]}: {self.tail()}")

    def count(self, name, seconds):
        """How many messages with the word come in so many seconds."""
        deadline, number = time.monotonic() + seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            words = self.hear(left)
            number += bool(words and name in words)
        return number

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        words = self.expect("STOPPING", seconds)
        self.process.stop(seconds)
        return words

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.socket.close()
