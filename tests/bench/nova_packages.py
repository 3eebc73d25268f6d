"""Debian's python3-nova and what it needs besides, unpacked into a folder: nothing is installed on the machine."""

import subprocess
from pathlib import Path

PACKAGE = "python3-nova"


def is_whole(folder):
    return (folder / "whole").exists()


def output(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=True, **options).stdout


def unpack(folder):
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    plan = output("apt-get", "-s", "install", "--no-install-recommends", PACKAGE)
    # Libraries of Ceph and the like are asked for as well; filters and weighers need Python's modules alone.
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst python3-")]
    output("apt-get", "-qq", "download", *names, cwd=debs)
    for deb in debs.glob("*.deb"):
        output("dpkg-deb", "-x", str(deb), str(folder / "root"))
        deb.unlink()
    (folder / "whole").touch()


def folder(where):
    """What the interpreter finds nova by; None where it cannot be had."""
    where = Path(where)
    try:
        if not is_whole(where):
            unpack(where)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"# {PACKAGE}: {getattr(error, 'stderr', None) or error}".strip())
        return None
    return where / "root/usr/lib/python3/dist-packages"
