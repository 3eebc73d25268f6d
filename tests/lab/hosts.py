"""The lab by itself, without migrationd: guests really move between its hosts and keep counting, and nothing is left.

What the scenarios stand on is proven here first, by virsh alone, so that a fault of the lab is not taken for one of the
daemon. Speaks TAP.
"""

import sys
import time
import traceback

from lab import Lab, processes_of


def move(lab, guest, source, target, *words):
    """Moves it by libvirt's own peer-to-peer migration, and holds that it went on counting where it was."""
    guest.wait_for_progress()
    before = guest.count()
    source.virsh("migrate", "--live", "--p2p", "--persistent", "--undefinesource", *words, guest.name, target.uri,
                 "--migrateuri", f"tcp://{target.migration_address}")
    guest.wait_for_count(before + 2)
    places = lab.places(guest)
    assert list(places) == [target.name], f"it stands on {places}"
    assert target.state(guest) == "running", target.state(guest)
    assert guest.starts() == 1, f"it was started {guest.starts()} times"
    assert not guest.broken_counts(), f"its counter jumped: {guest.broken_counts()}"


def shared_disk(lab):
    one, two, _ = lab.hosts
    guest = lab.guest("self-shared", one)
    move(lab, guest, one, two, "--unsafe")


def private_disk(lab):
    one, _, three = lab.hosts
    guest = lab.guest("self-private", one, disk="private")
    xml = one.virsh("dumpxml", "--migratable", guest.name)
    target_xml = lab.folder / "self-private.xml"
    target_xml.write_text(xml.replace(str(guest.disk_path(one)), str(guest.disk_path(three))))
    lab.give(target_xml)
    three.virsh("vol-create-as", "private", guest.disk_path(three).name, f"{guest.disk_path(one).stat().st_size}B",
                "--format", "raw")
    move(lab, guest, one, three, "--copy-storage-all", "--disks-uri", f"tcp://{three.migration_address}", "--xml",
         str(target_xml), "--persistent-xml", str(target_xml))


def three_addresses(lab):
    addresses = {host.virsh("uri") + host.uri + host.migration_address for host in lab.hosts}
    assert len(addresses) == 3, addresses


PROOFS = (("three hosts answer, each on addresses of its own", three_addresses),
          ("a guest on shared storage moves live and keeps counting", shared_disk),
          ("a guest with a private disk moves live with it and keeps counting", private_disk))


def proves(function, lab):
    began = time.monotonic()
    try:
        function(lab)
    except Exception:  # whatever it was, the next proof is still worth its time
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        return False
    finally:
        print(f"# {time.monotonic() - began:.1f} s")
    return True


def main():
    failed = 0
    print(f"1..{len(PROOFS) + 1}", flush=True)
    with Lab() as lab:
        folder = lab.folder
        for number, (sentence, function) in enumerate(PROOFS, 1):
            is_good = proves(function, lab)
            failed += not is_good
            print(f"{'ok' if is_good else 'not ok'} {number} - {sentence}", flush=True)
    is_clean = not folder.exists() and not processes_of(folder)
    print(f"{'ok' if is_clean else 'not ok'} {len(PROOFS) + 1} - the lab leaves no process and no file")
    return 1 if failed or not is_clean else 0


if __name__ == "__main__":
    sys.exit(main())
