"""What the README says works, line by line: its blocks under "Try it" and "With your OpenStack client" are run by a shell against a
lab, as a reader would.

A curl line ends with a comment that begins with the status that it must get; every other line must succeed. After an action
the script waits, as its reader does, until the server has come to rest. Speaks TAP.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from daemon import TOP, Daemon
from guest import OTHER_PROJECT, OTHER_USER
from lab import Lab
from tour import write_run_env

README = TOP / "README.md"
MOVING = ("server migrate ", "migration confirm", "nova live-migration")  # after these the server is waited for
STATUS = re.compile(r"# (\d{3})\b")
# Told to the shell before all: curl leaves status and body where they can be looked at, and shows the body as ever.
SHIM = """set -u
curl() { command curl -o "$OUT/body" -w '%{http_code}' "$@" >"$OUT/status" && cat "$OUT/body"; }
"""


CHAPTERS = ("Try it", "With your OpenStack client")


def blocks():
    """The indented lines of these chapters."""
    text = README.read_text(encoding="utf-8")
    parts = [text.split(f"\n## {chapter}\n")[1].split("\n## ")[0] for chapter in CHAPTERS]
    return [line[4:] for part in parts for line in part.splitlines() if line.startswith("    ")]


def commands(lines):
    """Lines that belong together (a here-document) as one."""
    rest = iter(lines)
    for line in rest:
        if "<<'YAML'" in line:
            parts = [line]
            for part in rest:
                parts.append(part)
                if part == "YAML":
                    break
            yield "\n".join(parts)
        else:
            yield line


class Shell:
    """One bash for all lines, so that what one sets the next one has."""

    def __init__(self, out):
        self.out = Path(out)
        self.process = subprocess.Popen(["bash"], cwd=TOP, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.run(f"OUT={shlex.quote(str(out))}\n{SHIM}")

    def run(self, command):
        """Exit status and what was printed."""
        (self.out / "status").unlink(missing_ok=True)
        (self.out / "body").unlink(missing_ok=True)
        self.process.stdin.write(f"{command}\necho \"@$?\"\n")
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            status = re.search(r"@(\d+)$", line.rstrip("\n"))
            if status:
                printed.append(line[:status.start()])
                return int(status[1]), "".join(printed)
            printed.append(line)
        raise RuntimeError(f"the shell ended at: {command}")

    def status(self):
        try:
            return (self.out / "status").read_text()
        except FileNotFoundError:
            return ""

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def works(shell, command):
    """Why it does not; "" when it does what the README says."""
    exit_status, printed = shell.run(command)
    promised = STATUS.search(command)
    found = shell.status()
    if exit_status != 0:
        return f"exit status {exit_status}: {printed}"
    if command.startswith("curl") and not promised:
        return "this curl line does not say which status it gets"
    if promised and found != promised[1]:
        return f"status {found}, not {promised[1]}: {printed}"
    if " server list" in command and "web" not in printed:
        return f"the server is not listed: {printed}"
    if "migration list" in command and "completed" not in printed:
        return f"no migration is listed: {printed}"
    words = command.split(promised[0])[1].split() if promised else []
    if "VERIFY_RESIZE" in words and "VERIFY_RESIZE" not in printed:
        return f"not VERIFY_RESIZE: {printed}"
    return ""


def words_of(daemon):
    return [line for line in daemon.log_tail(2000).splitlines() if "method=GET" not in line][-20:]


def rests(daemon, guest):
    server = daemon.admin.get(f"/v2.1/servers/{guest.uuid}").body["server"]
    return not server["OS-EXT-STS:task_state"]


def main():
    lines = list(commands(blocks()))
    failed = number = 0
    print(f"1..{sum(bool(line.strip()) for line in lines)}", flush=True)
    with Lab() as lab, tempfile.TemporaryDirectory() as out:
        guest = lab.guest("web", lab.hosts[0])
        other = lab.guest("other", lab.hosts[2], project=OTHER_PROJECT, user=OTHER_USER)
        daemon = Daemon(lab, lab.folder / "migrationd.log")
        env_file = TOP / "build" / "readme.env"
        shell = Shell(out)
        try:
            daemon.start()
            daemon.wait_for_fleet()
            write_run_env(daemon, guest, other, lab.hosts, env_file)
            for line in lines:
                if not line.strip():
                    continue
                number += 1
                why = works(shell, line.replace("build/run.env", "build/readme.env"))
                failed += bool(why)
                if why:
                    print("\n".join(f"# {part}" for part in [*why.splitlines(), *words_of(daemon)]))
                print(f"{'not ok' if why else 'ok'} {number} - {line.splitlines()[0][:150].replace('#', '·')}", flush=True)
                if "/action" in line or any(word in line for word in MOVING):
                    lab.wait(lambda: rests(daemon, guest), 60, "the server comes to rest")
        finally:
            shell.end()
            daemon.end()
            for path in [env_file, *(TOP / "build").glob("try.*")]:
                path.unlink(missing_ok=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
