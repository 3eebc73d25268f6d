"""OpenStack's own clients as a person calls them: a command line, its caller's token, and what was printed.

Without Keystone a token and the endpoint are all that they need. A refusal must read well: no trace, no `None`.
"""

import os
import re
import subprocess

from bench import check, equal
from guest import OTHER_PROJECT, OTHER_USER, PROJECT, USER

# Debian's interpreter: another one in the PATH does not have Debian's clients.
PYTHON = "/usr/bin/python3"
ADMIN, MEMBER, READER, STRANGER, BAD = "admin", "member", "reader", "another project's member", "a bad token"


def token(bench, caller):
    """The caller's token; all but the stranger's are of the guests' project."""
    return {ADMIN: lambda: bench.admin.token,
            MEMBER: lambda: bench.member.token,
            READER: lambda: bench.daemon.token(["reader"], PROJECT, USER),
            STRANGER: lambda: bench.daemon.token(["member", "reader"], OTHER_PROJECT, OTHER_USER),
            BAD: lambda: "no-token-of-ours"}[caller]()


class Printed:
    """What a command printed, and how it ended."""

    def __init__(self, words, done):
        self.words, self.status = words, done.returncode
        self.out, self.err = done.stdout, done.stderr

    @property
    def all(self):
        return self.out + self.err

    def __str__(self):
        return f"`{' '.join(self.words)}` ended with {self.status}: {self.all[-1500:]}"


def environment(bench, words, caller):
    """The variables that a user sets; nothing of the shell's own comes through."""
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    base |= {"OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": f"{bench.daemon.base_url}/v2.1", "OS_TOKEN": token(bench, caller)}
    if words[0] == "nova":  # it asks for these two, and uses neither
        base |= {"OS_AUTH_URL": bench.daemon.base_url, "OS_PROJECT_ID": PROJECT}
    return base


def run(bench, words, caller=ADMIN, seconds=120):
    done = subprocess.run(words, env=environment(bench, words, caller), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=seconds, check=False)
    return Printed(words, done)


def works(bench, words, caller=ADMIN):
    """The command ends well and says nothing that is no person's language."""
    printed = run(bench, words, caller)
    equal(printed.status, 0, str(printed))
    check("Traceback" not in printed.all, f"no trace: {printed}")
    return printed


def is_refused(bench, words, caller, *expected):
    """The command fails and says why in words that a person understands."""
    printed = run(bench, words, caller)
    check(printed.status != 0, f"it is refused: {printed}")
    for text in expected:
        check(text in printed.all, f"it says {text!r}: {printed}")
    check("Traceback" not in printed.all, f"no trace: {printed}")
    check(not re.search(r"\bNone\b", printed.all), f"no None: {printed}")
    return printed
