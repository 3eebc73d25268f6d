"""The lab's guests: a boot sector that counts (guest.S) on a disk, and its libvirt definition with Nova's metadata.

A guest's serial line is one file for all hosts, so that its whole life can be read in it: a counter that starts anew, or
two copies that run at once, are seen there.
"""

import os
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path
from xml.sax.saxutils import escape

PAGES_PER_MIB = 256
MARK_OFFSET = 488  # of the mark and the two numbers that guest.S leaves to be filled in
MEBIBYTE = 1024 * 1024
EMULATOR = "/usr/bin/qemu-system-x86_64"
BOOT_SECONDS = 90  # the most that a guest takes to its first count: where KVM itself is virtual its BIOS is slow

PROJECT = "6f70656e-0000-4000-8000-000000000001"
OTHER_PROJECT = "6f70656e-0000-4000-8000-000000000002"
USER = "75736572-0000-4000-8000-000000000001"
OTHER_USER = "75736572-0000-4000-8000-000000000002"

_boot_sector = None


def boot_sector():
    """The assembled sector; assembled once a process."""
    global _boot_sector
    if _boot_sector is None:
        source = Path(__file__).with_name("guest.S")
        with tempfile.TemporaryDirectory() as folder:
            thing, binary = f"{folder}/guest.o", f"{folder}/guest.bin"
            subprocess.run(["as", "--32", "-o", thing, str(source)], check=True)
            subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x7c00", "--oformat", "binary", "-o", binary, thing],
                           check=True)
            _boot_sector = Path(binary).read_bytes()
        assert len(_boot_sector) == 512, "the guest must be one sector"
    return _boot_sector


def disk_image(dirty_mb, pages_per_round, disk_mb, mark=bytes(8)):
    """A raw disk: the boot sector, a sector for the count, and bytes that do not repeat, so that a copy can be compared."""
    sector = bytearray(boot_sector())
    struct.pack_into("<8sII", sector, MARK_OFFSET, mark, MEBIBYTE * (1 + dirty_mb), pages_per_round)
    return bytes(sector) + bytes(512) + os.urandom(disk_mb * MEBIBYTE - 1024)


class Guest:
    """One guest of a lab: what it was made of, and what it wrote."""

    def __init__(self, lab, name, *, memory_mb=64, dirty_mb=16, pages_per_round=32, disk="shared", disk_mb=1, vcpus=1,
                 project=PROJECT, user=USER, has_metadata=True, devices="", has_memory_file=False, cpu="", emulator=EMULATOR):
        self.lab = lab
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.mark = os.urandom(8)  # borne by each page of memory that it dirties
        self.memory_mb = memory_mb
        self.dirty_mb = dirty_mb
        self.pages_per_round = pages_per_round
        self.disk = disk
        self.disk_mb = disk_mb
        self.vcpus = vcpus
        self.project = project
        self.user = user
        self.has_metadata = has_metadata
        self.devices = devices
        self.has_memory_file = has_memory_file  # its memory is a file in a folder of its host: see Host.close_memory_folder
        self.cpu = cpu  # its <cpu>
        self.emulator = emulator
        self.serial = lab.folder / "serial" / f"{name}.log"

    def disk_path(self, host):
        folder = self.lab.shared if self.disk == "shared" else host.images
        return folder / f"{self.name}.img"

    def metadata(self):
        if not self.has_metadata:
            return ""
        return f"""<metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>
<nova:package version='27.0.0'/><nova:name>{escape(self.name)}</nova:name>
<nova:creationTime>2026-01-01 00:00:00</nova:creationTime>
<nova:flavor name='lab.{self.memory_mb}'><nova:memory>{self.memory_mb}</nova:memory><nova:disk>0</nova:disk>
<nova:swap>0</nova:swap><nova:ephemeral>0</nova:ephemeral><nova:vcpus>{self.vcpus}</nova:vcpus></nova:flavor>
<nova:owner><nova:user uuid='{self.user}'>user</nova:user><nova:project uuid='{self.project}'>project</nova:project>
</nova:owner></nova:instance></metadata>"""

    def definition(self, host):
        kind = "kvm" if self.lab.has_kvm else "qemu"
        return f"""<domain type='{kind}'><name>{escape(self.name)}</name><uuid>{self.uuid}</uuid>
{self.metadata()}<memory unit='MiB'>{self.memory_mb}</memory><vcpu>{self.vcpus}</vcpu>
{"<memoryBacking><source type='file'/></memoryBacking>" if self.has_memory_file else ""}
<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><features><acpi/></features>{self.cpu}
<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
<devices><emulator>{self.emulator}</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{self.disk_path(host)}'/>
<target dev='vda' bus='virtio'/></disk>{self.devices}
<serial type='file'><source path='{self.serial}' append='on'/><target port='0'/></serial>
<memballoon model='none'/><controller type='usb' model='none'/></devices></domain>"""

    def counts(self):
        """All whole lines that the guest wrote, as numbers, in their order. A guest that is put out in the middle of a line leaves
        its beginning, and the first count after the next boot stands behind that."""
        try:
            text = self.serial.read_bytes()
        except FileNotFoundError:
            return []
        lines = text.split(b"\n")[:-1]
        return [int(line[-8:], 16) for line in lines if len(line) == 8 or 8 < len(line) <= 16 and line.endswith(b"00000001")]

    def count(self):
        counts = self.counts()
        return counts[-1] if counts else 0

    def wait_for_count(self, at_least, seconds=30):
        return self.lab.wait(lambda: self.count() >= at_least and self.count(), seconds,
                             f"{self.name} counts to {at_least}")

    def wait_for_progress(self, seconds=BOOT_SECONDS):
        """The guest counts from now on, or again after a boot that is under way: it runs."""
        before = len(self.counts())
        self.lab.wait(lambda: len(self.counts()) >= before + 3, seconds, f"{self.name} counts on")

    def starts(self):
        """How often it was booted: each time the counter begins again at 1."""
        return self.counts().count(1)

    def wait_for_boots(self, boots):
        """Until it has counted after that many: before, a boot under way cannot be told from one that never was."""
        self.lab.wait(lambda: self.starts() >= boots, BOOT_SECONDS, f"{self.name} was booted {boots} times")

    def broken_counts(self):
        """Places where a line does not follow the one before, but by a fresh start: two copies that ran, or lost memory."""
        counts = self.counts()
        return [(before, after) for before, after in zip(counts, counts[1:]) if after not in (before + 1, 1)]
