"""A lab of real libvirt hosts on one machine, and what tests do to them.

Each host is a libvirtd of its own, a session daemon of the ordinary user `migrationd-lab`, told apart from the others by its
folders, its host_uuid and its loopback addresses (127.1.K.N for control, 127.2.K.N for migration; K is the lab's number).
Nothing but the right to become that user is needed: no KVM, no namespace, no systemd. Everything lies in /run/mlab.K, which
is short because a unix socket's path ends at 108 bytes, and because the clone may lie where the lab's user cannot read.

The one difficulty is to leave nothing, also after `kill -9`: a lab's processes all carry its folder in their command line, so
that whoever comes next can find and end them. A lock on the folder tells a living lab from a stale one.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import postcopy
from certificates import Authority
from guest import BOOT_SECONDS, Guest, disk_image

USER = "migrationd-lab"
PORT = 16509
TLS_PORT = 16514
RUN = Path("/run")
MAX_LABS = 32
# What libvirt found out about QEMU, kept for the next lab: it probes for seconds otherwise, and proves by itself whether it holds.
PROBED = Path(__file__).resolve().parents[2] / "build" / "lab-probed"
KEEP = "keep"  # a lab that outlives the process that made it (./dev lab up); holds the clone's path


class LabError(Exception):
    """Something about the lab itself went wrong; the text says what."""


def has_kvm():
    """Whether guests run with KVM: the lab's user may use /dev/kvm (opened and asked, since the file alone says little), and
    LAB_NO_KVM=1 does not say otherwise."""
    if os.environ.get("LAB_NO_KVM") == "1" or not os.path.exists("/dev/kvm"):
        return False
    ask = "import fcntl,os; f=os.open('/dev/kvm',os.O_RDWR); os.close(fcntl.ioctl(f,0xAE01,0))"  # KVM_CREATE_VM
    return subprocess.run(as_user() + ["python3", "-c", ask], capture_output=True, check=False).returncode == 0


def as_user():
    """The command's beginning that makes the rest run as the lab's user."""
    user = pwd.getpwnam(USER)
    groups = ["--clear-groups"]
    if os.path.exists("/dev/kvm"):
        groups = [f"--groups={os.stat('/dev/kvm').st_gid}"]
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", *groups, "--"]


def processes_of(folder):
    """Ids of living processes whose command line names something under the folder."""
    mark = f"{folder}/".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            if mark in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
        except OSError:
            continue
    return found


def signal_processes(ids, number):
    """Sends a signal to those of them that still live."""
    for pid in ids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def end_processes(ids, seconds=5, signals=(signal.SIGCONT, signal.SIGTERM, signal.SIGKILL)):
    """Asks each to end, and forces those that are still there after the time."""
    for step in signals:
        signal_processes(ids, step)
        if step == signal.SIGCONT:
            continue
        deadline = time.monotonic() + seconds
        while ids and time.monotonic() < deadline:
            ids = [pid for pid in ids if is_alive(pid)]
            if ids:
                time.sleep(0.05)
        if not ids:
            return


def is_alive(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (OSError, IndexError):
        return False


class Host:
    """One libvirt host of the lab."""

    def __init__(self, lab, number):
        self.lab = lab
        self.number = number
        self.name = f"compute-{number}"
        self.folder = lab.folder / f"h{number}"
        self.images = self.folder / "images"
        self.address, self.migration_address = lab.addresses(number)
        self.uri = f"qemu+tcp://{self.address}:{PORT}/session"
        self.tls_uri = f"qemu+tls://{self.address}:{TLS_PORT}/session"
        self.pki = self.folder / "pki"
        self.process = None

    def environment(self):
        names = {"HOME": "home", "XDG_CONFIG_HOME": "c", "XDG_RUNTIME_DIR": "r", "XDG_CACHE_HOME": "k",
                 "XDG_DATA_HOME": "d"}
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                **{name: str(self.folder / folder) for name, folder in names.items()}}

    def prepare(self):
        for folder in ("home", "c/libvirt", "r", "k", "d", "images"):
            (self.folder / folder).mkdir(parents=True, mode=0o700)
        (self.folder / "c/libvirt/libvirtd.conf").write_text(
            f'listen_tls = 0\nlisten_tcp = 1\nlisten_addr = "{self.address}"\ntcp_port = "{PORT}"\n'
            f'auth_tcp = "none"\nauth_unix_rw = "none"\n'
            f'host_uuid = "6d6c6162-{self.lab.number:04x}-4000-8000-{self.number:012x}"\n')
        (self.folder / "c/libvirt/qemu.conf").write_text(
            'security_driver = "none"\nclear_emulator_capabilities = 0\nstdio_handler = "file"\ncgroup_controllers = [ ]\nnamespaces = [ ]\n'
            f'migration_address = "{self.lab.listen_address(self.number)}"\nmigration_host = "{self.migration_address}"\n')
        if self.lab.authority:
            self.prepare_tls()
        if PROBED.is_dir():
            shutil.copytree(PROBED, self.probed())
        self.lab.give(self.folder)

    def prepare_tls(self):
        """Control connections over TLS beside the plain ones, and what QEMU needs for its own."""
        for folder in (self.pki / "qemu", self.folder / "home/.pki/libvirt"):
            folder.mkdir(parents=True, mode=0o700)
        names = {"ca_file": "ca-cert", "cert_file": "server-cert", "key_file": "server-key"}
        with open(self.folder / "c/libvirt/libvirtd.conf", "a", encoding="ascii") as settings:
            settings.write(f'tls_port = "{TLS_PORT}"\n' + "".join(f'{key} = "{self.pki}/{name}.pem"\n'
                                                                  for key, name in names.items()))
        text = (self.folder / "c/libvirt/libvirtd.conf").read_text()
        (self.folder / "c/libvirt/libvirtd.conf").write_text(text.replace("listen_tls = 0", "listen_tls = 1"))
        with open(self.folder / "c/libvirt/qemu.conf", "a", encoding="ascii") as settings:
            settings.write(f'default_tls_x509_cert_dir = "{self.pki}/qemu"\ndefault_tls_x509_verify = 1\n')
        self.take_certificates()

    def take_certificates(self, control=None, qemu=None, authority=None, control_authority=None):
        """The host's own certificates in their places, or others: (certificate, key) of libvirtd and of QEMU, CAs that they
        trust. libvirtd reads its own when it starts; QEMU and the client in libvirtd read theirs each time."""
        own = self.lab.certificate_of(self)
        control, qemu, authority = control or own, own if qemu is None else qemu, authority or self.lab.authority
        places = [((control_authority or self.lab.authority).certificate, self.pki / "ca-cert.pem"), (control[0], self.pki / "server-cert.pem"),
                  (control[1], self.pki / "server-key.pem"), (authority.certificate, self.pki / "qemu/ca-cert.pem"),
                  (self.lab.authority.certificate, self.folder / "home/.pki/libvirt/cacert.pem"),
                  (own[0], self.folder / "home/.pki/libvirt/clientcert.pem"),
                  (own[1], self.folder / "home/.pki/libvirt/clientkey.pem")]
        for path in (self.pki / "qemu").glob("*"):
            path.unlink()
        if qemu:
            places += [(part, self.pki / f"qemu/{role}-{kind}.pem") for part, kind in zip(qemu, ("cert", "key"))
                       for role in ("server", "client")]
        for source, target in places:
            shutil.copyfile(source, target)
        self.lab.give(self.pki)
        self.lab.give(self.folder / "home")

    def probed(self):
        return self.folder / "k/libvirt/qemu/cache/capabilities"

    def keep_probed(self):
        """Into the clone, whole or not at all: labs may be going down side by side."""
        if PROBED.exists() or not self.probed().is_dir() or not PROBED.parent.is_dir():
            return
        fresh = PROBED.with_name(f"{PROBED.name}.{os.getpid()}")
        shutil.copytree(self.probed(), fresh)
        try:
            fresh.rename(PROBED)
        except OSError:
            shutil.rmtree(fresh)

    def start(self):
        """Starts libvirtd; `wait_until_up` waits for it."""
        pid_file = self.folder / "libvirtd.pid"
        pid_file.unlink(missing_ok=True)
        with open(self.folder / "libvirtd.log", "ab") as log:
            self.process = subprocess.Popen(
                self.lab.inside(self) + self.lab.as_hosts_user() +
                ["/usr/sbin/libvirtd", "--listen", "--timeout", "0", "--pid-file", str(pid_file)],
                env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                cwd="/")

    def wait_until_up(self, seconds=20):
        def answers():
            if self.process and self.process.poll() is not None:
                raise LabError(f"{self.name}: libvirtd ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                socket.create_connection((self.address, PORT), 1).close()
                return True
            except OSError:
                return False
        self.lab.wait(answers, seconds, f"libvirtd of {self.name} listens on {self.address}")

    def log_tail(self, lines=20):
        try:
            text = (self.folder / "libvirtd.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def virsh(self, *words, check=True, seconds=60, text_in=None):
        """Runs one virsh command on this host; gives what it printed."""
        done = subprocess.run(["virsh", "--quiet", "-c", self.uri, *map(str, words)], input=text_in, text=True,
                              capture_output=True, timeout=seconds, check=False)
        if check and done.returncode != 0:
            raise LabError(f"{self.name}: virsh {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout.strip() if done.returncode == 0 else ""

    def make_pools(self):
        for name, folder in (("shared", self.lab.shared), ("private", self.images)):
            self.virsh("pool-define-as", name, "dir", "--target", folder)
            self.virsh("pool-start", name)
            self.virsh("pool-autostart", name)

    def domains(self):
        return [line for line in self.virsh("list", "--all", "--name").splitlines() if line]

    def state(self, guest):
        """`running`, `paused`, `shut off` …; "" when the guest is not known here."""
        return self.virsh("domstate", guest.uuid, check=False)

    def pid(self):
        return int((self.folder / "libvirtd.pid").read_text())

    def kill(self):
        """As a crash of libvirtd; its guests go on."""
        end = self.process
        os.kill(self.pid(), signal.SIGKILL)
        end.wait()

    def stop_answering(self):
        os.kill(self.pid(), signal.SIGSTOP)

    def answer_again(self):
        os.kill(self.pid(), signal.SIGCONT)

    def close_memory_folder(self):
        """From now on no guest whose memory is a file can be started here, though it is accepted and defined."""
        folder = self.folder / "c/libvirt/qemu/ram"
        folder.mkdir(exist_ok=True)
        os.chown(folder, 0, 0)
        folder.chmod(0o700)

    def open_memory_folder(self):
        self.lab.give(self.folder / "c/libvirt/qemu/ram")

    def qemu_of(self, guest):
        """Ids of QEMU processes that this host runs for the guest; the truth beneath what libvirt tells."""
        here = []
        for pid in processes_of(self.folder):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if guest.uuid.encode() in line and b"qemu-system" in line.split(b"\0", 1)[0]:
                here.append(pid)
        return here


class Lab:
    """Some hosts and guests, up while used: `with Lab() as lab`."""

    def __init__(self, hosts=3, keep=None, has_tls=False):
        self.host_count = hosts
        self.keep = keep
        self.has_tls = has_tls
        self.authority = None
        self.hosts = []
        self.guests = []
        self.lock = None
        self.number = 0
        self.folder = None
        self.has_kvm = False

    # What a lab with other networks does otherwise.
    def addresses(self, number):
        return f"127.1.{self.number}.{number}", f"127.2.{self.number}.{number}"

    def make_networks(self):
        pass

    def inside(self, host):
        """The command's beginning that puts the rest on the host's network."""
        return []

    def remove_networks(self):
        pass

    def as_hosts_user(self):
        """The command's beginning that makes the rest run as hosts do: without post-copy, on any machine."""
        return postcopy.deny(as_user())

    # Up and down.
    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_):
        self.down()

    def up(self):
        self.take_folder()
        self.has_kvm = has_kvm()
        self.shared = self.folder / "shared"
        for folder in (self.shared, self.folder / "serial"):
            folder.mkdir(mode=0o755)
            self.give(folder)
        if self.has_tls:
            self.authority = Authority(self.folder / "ca")
            self.make_client_certificate()
        self.make_networks()
        self.hosts = [Host(self, number) for number in range(1, self.host_count + 1)]
        for host in self.hosts:
            host.prepare()
            host.start()
        for host in self.hosts:
            host.wait_until_up()
            host.make_pools()
        if self.keep:
            (self.folder / KEEP).write_text(str(self.keep))

    def certificate_of(self, host, **parts):
        """A certificate for a host by its name and its addresses, made once."""
        name = host.name if not parts else f"{host.name}-{'-'.join(parts)}"
        paths = self.authority.folder / f"{name}-cert.pem", self.authority.folder / f"{name}-key.pem"
        if not paths[0].exists():
            self.authority.issue(name, dns=[host.name], addresses=self.addresses(host.number), **parts)
        return paths

    def make_client_certificate(self):
        """migrationd's, in a folder as libvirt wants it (pkipath)."""
        self.pki = self.folder / "pki"
        self.pki.mkdir()
        certificate, key = self.authority.issue("migrationd")
        for source, name in ((self.authority.certificate, "cacert"), (certificate, "clientcert"), (key, "clientkey")):
            shutil.copyfile(source, self.pki / f"{name}.pem")

    def down(self):
        """Ends everything; safe to call twice."""
        if not self.folder:
            return
        if self.hosts:
            self.hosts[0].keep_probed()
        empty_folder(self.folder)
        self.remove_networks()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None
        self.hosts = []
        os.close(self.lock)

    def take_folder(self):
        """The first number whose folder no living lab holds; what a dead one left there is cleaned away."""
        for number in range(MAX_LABS):
            folder = RUN / f"mlab.{number}"
            lock = lock_folder(folder)
            if lock is None:
                continue
            if (folder / KEEP).exists():
                os.close(lock)
                continue
            empty_folder(folder)
            self.number, self.folder, self.lock = number, folder, lock
            return
        raise LabError(f"{MAX_LABS} labs are up already: see {RUN}/mlab.*")

    def listen_address(self, number):
        """Where a host's half of a move listens."""
        return self.addresses(number)[1]

    def give(self, path):
        """Makes the lab's user the owner of all that is at the path."""
        user = pwd.getpwnam(USER)
        os.chown(path, user.pw_uid, user.pw_gid)
        for folder, folders, files in os.walk(path):
            for name in folders + files:
                os.chown(os.path.join(folder, name), user.pw_uid, user.pw_gid)

    def wait(self, fact, seconds, what):
        """Waits until the fact is true and gives its value; an error that says what did not come about, otherwise."""
        deadline = time.monotonic() + seconds
        while True:
            value = fact()
            if value:
                return value
            if time.monotonic() > deadline:
                raise LabError(f"not within {seconds} s: {what}")
            time.sleep(0.05)

    def host(self, name):
        return next(host for host in self.hosts if host.name == name)

    # Guests.
    def guest(self, name, host, state="running", **parts):
        """Defines a guest on the host and brings it to the state: running, paused or stopped."""
        guest = Guest(self, name, **parts)
        guest.serial.unlink(missing_ok=True)
        path = guest.disk_path(host)
        path.write_bytes(disk_image(guest.dirty_mb, guest.pages_per_round, guest.disk_mb, guest.mark))
        self.give(path)
        host.virsh("pool-refresh", "shared" if guest.disk == "shared" else "private")
        definition = self.folder / f"{name}.xml"
        definition.write_text(guest.definition(host))
        host.virsh("define", definition)
        definition.unlink()
        self.guests.append(guest)
        if state != "stopped":
            host.virsh("start", guest.uuid)
            guest.wait_for_count(2, BOOT_SECONDS)
        if state == "paused":
            host.virsh("suspend", guest.uuid)
        return guest

    def remove(self, guest):
        """Takes a guest away from wherever it is, with its disks."""
        for host in self.hosts:
            for pid in host.qemu_of(guest):  # libvirt would give it two seconds to end
                end_processes([pid], signals=(signal.SIGKILL,))
            if host.state(guest):
                host.virsh("destroy", guest.uuid, check=False)
                host.virsh("undefine", guest.uuid, "--managed-save", check=False)
            (host.images / f"{guest.name}.img").unlink(missing_ok=True)
        (self.shared / f"{guest.name}.img").unlink(missing_ok=True)
        guest.serial.unlink(missing_ok=True)
        if guest in self.guests:
            self.guests.remove(guest)

    def places(self, guest):
        """Host name → state, of the hosts that know the guest."""
        states = {host.name: host.state(guest) for host in self.hosts}
        return {name: state for name, state in states.items() if state}

    def qemus(self, guest):
        """Names of hosts, once for each QEMU process that runs there for the guest."""
        return [host.name for host in self.hosts for _ in host.qemu_of(guest)]

    def private_files(self, guest):
        """Names of hosts in whose private pool something bears the guest's name or id."""
        return [host.name for host in self.hosts
                if any(guest.name in path.name or guest.uuid in path.name for path in host.images.iterdir())]


def lock_folder(folder):
    """An open, locked descriptor of the folder (made if missing); None while another holds it."""
    while True:
        folder.mkdir(mode=0o755, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        try:  # another may have removed it between the two calls
            if os.stat(folder).st_ino == os.fstat(lock).st_ino:
                return lock
        except FileNotFoundError:
            pass
        os.close(lock)


def empty_folder(folder):
    """Ends every process of the lab in the folder, then removes what it holds."""
    end_processes(processes_of(folder))
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def kept_labs(clone):
    """Folders of labs that `./dev lab up` left up for the clone."""
    found = []
    for folder in RUN.glob("mlab.*"):
        try:
            if (folder / KEEP).read_text() == str(clone):
                found.append(folder)
        except OSError:
            continue
    return found


def take_down(folder):
    lock = lock_folder(folder)
    if lock is None:
        raise LabError(f"{folder} is in use")
    empty_folder(folder)
    folder.rmdir()
    os.close(lock)
