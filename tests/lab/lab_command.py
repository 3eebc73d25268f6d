"""`./dev lab up|down`: a lab that stays, to try things by hand."""

import sys
from pathlib import Path

from guest import OTHER_PROJECT, OTHER_USER
from lab import Lab, LabError, kept_labs, take_down

CLONE = Path(__file__).resolve().parents[2]


def up():
    if kept_labs(CLONE):
        raise LabError("a lab of this clone is up already: ./dev lab down")
    lab = Lab(keep=CLONE)
    try:
        lab.up()
        lab.guest("shared-disk", lab.hosts[0])
        lab.guest("private-disk", lab.hosts[1], disk="private")
        lab.guest("stopped", lab.hosts[2], state="stopped", project=OTHER_PROJECT, user=OTHER_USER)
    except BaseException:
        lab.down()
        raise
    print(f"The lab is up in {lab.folder}:")
    for host in lab.hosts:
        print(f"  {host.name}  virsh -c {host.uri} list --all   (migrations to tcp://{host.migration_address})")


def down():
    for folder in kept_labs(CLONE):
        take_down(folder)
        print(f"{folder} is down")


def main():
    verbs = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        print("usage: ./dev lab up|down", file=sys.stderr)
        return 2
    try:
        verbs[sys.argv[1]]()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
