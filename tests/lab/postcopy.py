"""Whether a lab's QEMUs may do post-copy: the kernel lets them use userfaultfd, or not.

An ordinary user may not on most machines; CAP_SYS_PTRACE lifts that, where we have it to give. A lab decides for all its
hosts, so that scenarios know on any machine what they meet: `permit` gives the right, `deny` takes it away for good.
Run as a program it denies userfaultfd to the command that follows, and becomes it.
"""

import ctypes
import os
import struct
import subprocess
import sys

USERFAULTFD = 323  # x86_64, as all of the lab's guests
CAPABILITY = ["--inh-caps=+sys_ptrace", "--ambient-caps=+sys_ptrace"]
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
ASK = f"import ctypes; l=ctypes.CDLL(None); exit(l.syscall({USERFAULTFD}, 0o2000000) < 0)"


def permit(as_user):
    """The command's beginning that runs the rest as the user who may; None where this machine does not let us."""
    for words in (as_user, [*as_user[:-1], *CAPABILITY, "--"]):
        if subprocess.run([*words, "/usr/bin/python3", "-c", ASK], capture_output=True, check=False).returncode == 0:
            return words
    return None


def deny(as_user):
    return [sys.executable, os.path.abspath(__file__), *as_user]


def set_filter():
    libc = ctypes.CDLL(None, use_errno=True)
    rows = [(0x20, 0, 0, 0),  # load the call's number
            (0x15, 0, 1, USERFAULTFD),  # is it this one?
            (0x06, 0, 0, 0x00050001),  # EPERM
            (0x06, 0, 0, 0x7FFF0000)]  # any other is let through
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = struct.pack("HxxxxxxQ", len(rows), ctypes.addressof(code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    set_filter()
    os.execvp(sys.argv[1], sys.argv[1:])
