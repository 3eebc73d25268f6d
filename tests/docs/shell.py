"""One bash that runs a document's commands, as a reader would, and whether each does what its line says.

A curl line ends with a comment that begins with the status that it gets; every other command must succeed, or end with the status N
where its comment begins with `exit N`. What stands in backquotes in the comment must be among what is printed.
"""

import re
import shlex
import subprocess
from pathlib import Path

COMMENT = re.compile(r"\s# (.*)$")
# Told to the shell before all: curl leaves status and body where they can be looked at, and shows the body as ever.
SHIM = """set -u
curl() { command curl -o "$OUT/body" -w '%{http_code}' "$@" >"$OUT/status" && cat "$OUT/body"; }
"""


class Shell:
    """One process for all lines, so that what one sets the next one has. `seen` is `out` as the shell's own root has it."""

    def __init__(self, out, before=(), folder=None, environment=None, seen=None):
        self.out = Path(out)
        self.process = subprocess.Popen([*before, "bash"], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=environment)
        self.run(f"OUT={shlex.quote(str(seen or out))}\n{SHIM}")

    def run(self, command):
        """Exit status and what was printed."""
        (self.out / "status").unlink(missing_ok=True)
        (self.out / "body").unlink(missing_ok=True)
        self.process.stdin.write(f"{command}\necho \"@$?@\"\n")
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            status = re.search(r"@(\d+)@$", line.rstrip("\n"))
            if status:
                printed.append(line[:status.start()])
                return int(status[1]), "".join(printed)
            printed.append(line)
        raise RuntimeError(f"the shell ended at: {command}: {''.join(printed)}")

    def http_status(self):
        try:
            return (self.out / "status").read_text()
        except FileNotFoundError:
            return ""

    def fault(self, command):
        """Why the command does not do what its line says; "" when it does."""
        said = COMMENT.search(command.splitlines()[0])
        said = said[1] if said else ""
        exit_status, printed = self.run(command)
        wanted = re.match(r"exit (\d+)", said)
        if exit_status != (int(wanted[1]) if wanted else 0):
            return f"exit status {exit_status}: {printed}"
        if command.startswith("curl"):
            promised = re.match(r"(\d{3})\b", said)
            if not promised:
                return "this curl line does not say which status it gets"
            if self.http_status() != promised[1]:
                return f"status {self.http_status()}, not {promised[1]}: {printed}"
        missing = [word for word in re.findall(r"`([^`]+)`", said) if word not in printed]
        return f"`{missing[0]}` is not printed: {printed}" if missing else ""

    def end(self):
        self.process.stdin.close()
        self.process.wait()
