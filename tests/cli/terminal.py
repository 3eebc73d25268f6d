"""Programs on a terminal of their own: what they write there, and keys that are pressed."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07")


class Terminal:
    """A process whose terminal is our hand."""

    def __init__(self, command, columns=100, **environment):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen([str(word) for word in command], stdin=slave, stdout=slave, stderr=slave,
                                        env={**os.environ, "TERM": "xterm", **environment}, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.raw = b""

    @property
    def text(self):
        return ESCAPES.sub(b"", self.raw).decode(errors="replace")

    def read(self, seconds):
        """What comes within so long; False when the far end is closed."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            part = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += part
        return bool(part)

    def wait_for(self, words, seconds=15):
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < deadline and self.read(0.1), f"{words!r} does not come:\n{self.text[-2000:]}"
        return self

    def press(self, keys):
        os.write(self.master, keys.encode())

    def finish(self, seconds=30):
        """The exit status, once all is read."""
        deadline = time.monotonic() + seconds
        while self.read(0.1):
            assert time.monotonic() < deadline, f"does not end:\n{self.text[-2000:]}"
        return self.process.wait(10)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()
