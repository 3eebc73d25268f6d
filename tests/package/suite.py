"""The Debian package: built from what git knows, judged by lintian and systemd-analyze, and lived with in a fresh Debian 12 that
nothing is mounted in: installed, started as its unit says, upgraded over an older schema, removed and purged. Speaks TAP.

A check is a function whose docstring says what holds; they build on one another, in their order, in one folder.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/package"), str(TOP / "tests/docs")]

import debian_root  # noqa: E402
import machine  # noqa: E402
from unit import Manager, Unit  # noqa: E402
from daemon_process import BadEnd, wrong_ends  # noqa: E402 which unit knows where to find

UNIT = "lib/systemd/system/migrationd.service"
CONFIGURATION = "etc/migrationd/migrationd.yaml"
KEY = "etc/migrationd/token.key"
DATABASE = "var/lib/migrationd/migrationd.db"
OLDER = "0.0.9"
LOUDEST = 2.0  # of systemd-analyze security
EXAMPLES = ("node", "public_endpoint", "listener.certificate_file", "listener.key_file", "listener.trusted_proxies", "auth.issuer",
            "auth.audience", "auth.claims.", "identity.keystone.url", "identity.keystone.password_file",
            "identity.keystone.cacert_file", "identity.jwks", "policy.rules", "policy.file", "policy.dirs",
            "libvirt.live_migration_scheme", "libvirt.live_migration_inbound_addr", "libvirt.live_migration_interface",
            "hypervisor.pki_path", "metrics.address", "metrics.allowed_networks", "hosts")  # commented with an example, since they have no default

NOT_SHOWN = ("auth.keys", "hypervisor.control_socket", "simulation")  # the first stands there in force, the others are for tests


class Place:
    """What the checks share."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.root = self.folder / "root"
        self.version = None
        self.package = None
        self.manager = None

    def run(self, *words, **options):
        """A command in the root, which must succeed; its output."""
        done = debian_root.run(self.root, words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
        assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout[-3000:]}"
        return done.stdout

    def status_of(self, package="migrationd"):
        done = debian_root.run(self.root, ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout

    def install(self, package, *words):
        shutil.copy(package, self.root / "var/tmp")
        return self.run("apt-get", "-qq", "install", "-y", *words, f"/var/tmp/{Path(package).name}")

    def start(self, extra=None, **options):
        """The service by its unit, on a port of its own that a second file names."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        more = self.root / "etc/migrationd/test.yaml"
        more.write_text(json.dumps({"listener": {"port": self.port}, **(extra or {})}))
        self.manager = Manager(self.root, Unit(self.root / UNIT), self.folder / "service.log")
        self.manager.start("--config", "/etc/migrationd/migrationd.yaml", "--config", "/etc/migrationd/test.yaml", **options)
        return self.manager

    def get(self, path, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"X-Auth-Token": token} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def token(self):
        return self.run("migrationd", "token", "--role", "admin", "--project", "demo").strip()

    def facts(self, path):
        """Owner, group and mode, by the root's own names."""
        return self.run("stat", "-c", "%U:%G %a", f"/{path}").strip()


def called(words, **options):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, errors="replace", check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def builds(place):
    """dpkg-buildpackage makes source and binary package of the files that git knows, in a folder of their own"""
    tree = place.folder / "build" / "migrationd"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (TOP / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, tree / name)
    # The unit tests of the build are a suite of their own here.
    options = f"nocheck noautodbgsym parallel={os.cpu_count()}"
    called(["dpkg-buildpackage", "--build=full", "--no-sign"], cwd=tree, env={**os.environ, "DEB_BUILD_OPTIONS": options})
    place.version = called(["dpkg-parsechangelog", "--show-field", "Version"], cwd=tree).strip()
    [place.package] = tree.parent.glob(f"migrationd_{place.version}_*.deb")
    shown = called(["dpkg-deb", "--contents", place.package])
    assert " ./usr/bin/migrationd\n" in shown and f" ./{UNIT}\n" in shown, shown


def lints(place):
    """lintian at its most pedantic finds nothing in source and binary package"""
    [changes] = place.package.parent.glob("*.changes")
    found = called(["lintian", "--pedantic", "--display-info", "--allow-root", "--fail-on", "error,warning,info,pedantic", changes])
    assert not re.search(r"^[EWIP]: ", found, re.MULTILINE), found


def says_why(place):
    """text: every override of lintian has a comment above it that says why"""
    for path in Path(TOP / "debian").rglob("*lintian-overrides"):
        before = "#"
        for line in path.read_text().splitlines():
            assert not line or line.startswith("#") or before.startswith("#"), f"{path}: {line}"
            before = line


def is_shut_in(place):
    """systemd-analyze security judges the unit at 2.0 or less"""
    shown = called(["systemd-analyze", "--no-pager", "security", "--offline=true", TOP / "debian/migrationd.service"])
    exposure = float(re.search(r"Overall exposure level for migrationd.service: ([0-9.]+)", shown)[1])
    assert exposure <= LOUDEST, shown
    print(f"# exposure {exposure}")


def installs(place):
    """apt installs it with its dependencies in a fresh Debian 12; its user, folders and secrets belong to whom they should"""
    debian_root.unpack(place.root)
    place.run("apt-get", "-qq", "update")
    place.install(place.package, "--no-install-recommends", "openssh-client")  # which it recommends
    assert place.status_of() == f"installed {place.version}", place.status_of()
    assert place.run("getent", "passwd", "migrationd").split(":")[5:] == ["/var/lib/migrationd", "/usr/sbin/nologin\n"]
    assert place.facts("etc/migrationd") == "root:migrationd 750"
    assert place.facts(CONFIGURATION) == "root:migrationd 640"
    assert place.facts(KEY) == "root:migrationd 640"
    assert place.facts("var/lib/migrationd") == "migrationd:migrationd 750"
    assert re.fullmatch("[0-9a-f]{64}", (place.root / KEY).read_text())
    enabled = place.root / "etc/systemd/system/multi-user.target.wants/migrationd.service"
    assert enabled.is_symlink(), "it is started at the next boot"


def verifies(place):
    """systemd-analyze verify has nothing to say about the installed unit"""
    # The units of a system that this root has none of stand in for those that ours orders itself by.
    for name in ("sysinit.target", "basic.target", "network-online.target", "nss-lookup.target", "multi-user.target", "shutdown.target",
                 "system.slice", "-.slice", "tmp.mount", "-.mount"):
        source = Path("/lib/systemd/system") / name
        target = place.root / "lib/systemd/system" / name
        if source.exists() and not target.exists():
            shutil.copy(source, target)
    shown = called(["systemd-analyze", "--no-pager", "verify", "--man=no", f"--root={place.root}", "migrationd.service"])
    assert not [line for line in shown.splitlines() if "migrationd" in line], shown


def flat(value, name=""):
    """A document as {dotted name: scalar or list}."""
    if isinstance(value, dict):
        return {key: item for inner, deeper in value.items() for key, item in flat(deeper, f"{name}.{inner}" if name else inner).items()}
    return {name: value}


def in_force(place, *files):
    shown = place.run("migrationd", "check", *files)
    lines = [line.rsplit("  # ", 1) for line in shown.splitlines()]
    return {line[0].split(": ", 1)[0]: (yaml.safe_load(line[0].split(": ", 1)[1]), line[1]) for line in lines}


def is_configured(place):
    """the shipped configuration is right as it is, has every section, and what it shows commented is what holds without it"""
    shipped = (place.root / CONFIGURATION).read_text()
    values = in_force(place)
    assert values["auth.keys[0].secret_file"][0] == f"/{KEY}" and values["listener.address"][0] == "127.0.0.1", values
    whole = yaml.safe_load(re.sub(r"(?m)^#(?=[a-z ] ?[a-z -])", "", re.sub(r"(?m)^# .*\n", keep_settings, shipped)))
    shown = flat(whole)
    names = {name.split("[")[0] for name in values}
    missing = [name for name in names if name not in shown and not name.startswith(NOT_SHOWN)]
    assert not missing, f"not in the configuration file: {missing}"
    for name, value in shown.items():
        if name in values and not name.startswith(EXAMPLES):
            assert value == values[name][0], f"{name}: the file shows {value}, without it {values[name]} holds"
    for section in ("identity", "listener"):  # whose examples name files that are not there
        whole.pop(section)
    whole["policy"] = {"rules": whole["policy"]["rules"]}
    document = place.root / "var/tmp/whole.yaml"
    document.write_text(yaml.safe_dump(whole))
    place.run("migrationd", "check", "/var/tmp/whole.yaml")


def keep_settings(match):
    """Of the lines behind "# " the inner lines of a section: they have two blanks; the others are words."""
    return match[0] if match[0].startswith("#  ") else ""


def serves(place):
    """started as the unit says it is ready, serves a token of the generated key, and takes a host from root"""
    manager = place.start(watchdog_s=2)
    assert f"port {place.port}" in manager.expect("READY")["STATUS"]
    assert place.get("/healthz")[0] == 200
    status, text = place.get("/v2.1/os-hypervisors", place.token())
    assert status == 200 and json.loads(text)["hypervisors"] == [], text
    assert place.facts("run/migrationd/admin.sock") == "migrationd:migrationd 600"
    assert place.facts(DATABASE) == "migrationd:migrationd 600"
    place.run("migrationd", "host", "add", "compute-1", "qemu+tcp://127.0.0.1:1/system")
    assert "compute-1" in place.run("migrationd", "host", "list")


def runs_ssh(place):
    """ssh is run for qemu+ssh within the unit's limits, and its words come to the log; its key is made as README.Debian says"""
    said = (place.root / "usr/share/doc/migrationd/README.Debian").read_text()
    [commands] = re.findall(r"((?: +runuser .*?[^\\]\n)+)", said, re.DOTALL)
    place.run("sh", "-ec", commands[:commands.index("runuser -u migrationd -- ssh USER@HOST")])
    assert place.facts("var/lib/migrationd/.ssh/id_ed25519") == "migrationd:migrationd 600"
    place.run("migrationd", "host", "add", "compute-2", "qemu+ssh://127.0.0.1:1/system")
    deadline = time.monotonic() + 30
    while "ssh: connect to host 127.0.0.1 port 1" not in (text := place.manager.log.read_text(errors="replace")):
        assert time.monotonic() < deadline, text[-3000:]
        time.sleep(0.2)


def gives_signs(place):
    """a sign of life comes at least every second of a watchdog of two, and none while the database's writer is stuck"""
    assert place.manager.count("WATCHDOG", 5) >= 4
    with sqlite3.connect(place.root / DATABASE, isolation_level=None, timeout=20) as other:
        other.execute("BEGIN IMMEDIATE")
        place.manager.count("WATCHDOG", 1.5)  # one may have been proven before
        assert place.manager.count("WATCHDOG", 4) == 0
        assert place.get("/healthz")[0] == 200, "the process lives and its socket answers, and yet"
        other.execute("ROLLBACK")
    place.manager.expect("WATCHDOG", 20)
    assert "the database's writer" in place.manager.tail()


def reads_anew(place):
    """SIGHUP is told as RELOADING and READY around the reading anew, also of a file that is wrong"""
    more = place.root / "etc/migrationd/test.yaml"
    good = more.read_text()
    for text, words in ((json.dumps({**json.loads(good), "api": {"max_limit": 500}}), "read anew"),
                        (good + "nonsense", "the old configuration"), (good, "read anew")):
        more.write_text(text)
        place.manager.process.send_signal(signal.SIGHUP)
        assert int(place.manager.expect("RELOADING")["MONOTONIC_USEC"]) > 0
        assert words in place.manager.expect("READY")["STATUS"], place.manager.words[-1]
    assert place.get("/healthz")[0] == 200


def ends(place):
    """SIGTERM is told as STOPPING with the time it may take, and ends it with 0"""
    words = place.manager.stop()
    assert int(words["EXTEND_TIMEOUT_USEC"]) >= 30e6, words
    place.manager.kill()


def does_not_flap(place):
    """a wrong configuration ends the start with the status that the unit does not try again, a taken port with one that it does"""
    unit = Unit(place.root / UNIT)
    assert unit["Restart"] == "on-failure"
    manager = place.start({"listener": {"prot": 1}})
    assert manager.process.own_end() == int(unit["RestartPreventExitStatus"]), manager.tail()
    assert manager.hear(0.1) is None and "did you mean port?" in manager.tail()
    manager.kill()
    os.rename(place.root / KEY, place.root / f"{KEY}.away")
    manager = place.start()
    assert manager.process.own_end() == int(unit["RestartPreventExitStatus"]) and f"/{KEY}" in manager.tail(), manager.tail()
    manager.kill()
    os.rename(place.root / f"{KEY}.away", place.root / KEY)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        manager = place.start({"listener": {"port": other.getsockname()[1]}})
        assert manager.process.own_end() not in (0, int(unit["RestartPreventExitStatus"])), manager.tail()
        manager.kill()


def restores(place):
    """backup and restore by root leave a database that the service's user can go on with"""
    place.run("migrationd", "backup", "/var/tmp/copy.db")
    (place.root / DATABASE).unlink()
    (place.root / f"{DATABASE}.lock").unlink()
    place.run("migrationd", "restore", "/var/tmp/copy.db")
    place.start().expect("READY")
    assert "compute-1" in place.run("migrationd", "host", "list")
    place.manager.stop()
    place.manager.kill()


def paths_of_ours(root):
    found = list((root / "etc/migrationd").rglob("*"))
    found += [path for place in ("etc", "usr", "lib", "var", "run", "home", "opt", "srv") for path in (root / place).rglob("*migrationd*")]
    return [str(path.relative_to(root)) for path in found if not str(path.relative_to(root)).startswith(("var/tmp", "var/log", "var/cache"))]


def purges(place):
    """a purge takes away all of it: files, state, secret, enablement, user and group"""
    (place.root / "etc/migrationd/test.yaml").unlink()
    place.run("apt-get", "-qq", "purge", "-y", "migrationd")
    assert paths_of_ours(place.root) == [], paths_of_ours(place.root)
    for base in ("passwd", "group", "shadow", "gshadow"):
        assert "migrationd" not in (place.root / "etc" / base).read_text(), base
    assert place.status_of() in ("", "not-installed "), place.status_of()


def repack(place):
    """The package as an older version with another configuration file: what dpkg compares in an upgrade."""
    inside = place.folder / "older"
    called(["dpkg-deb", "--raw-extract", place.package, inside])
    control = inside / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {OLDER}", control.read_text()))
    configuration = inside / CONFIGURATION
    configuration.write_text(configuration.read_text().replace("# The hosts.", "# All hosts."))
    sums = inside / "DEBIAN/md5sums"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "etc/" not in line))
    package = place.folder / f"migrationd_{OLDER}.deb"
    called(["dpkg-deb", "--root-owner-group", "--build", inside, package])
    return package


def make_older_schema(path):
    """Version 1 of the database, as db/upgrade.c leads away from it."""
    with sqlite3.connect(path) as base:
        assert base.execute("SELECT version FROM schema_version").fetchall() == [(3,)], "this test knows the way from 3 back to 1"
        base.execute("DROP TABLE chores")
        base.execute("DROP INDEX kept_domains_migration")
        for table, column in (("hosts", "is_gone"), ("servers", "error_cause"), ("volumes", "bytes")):
            base.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        base.execute("DROP INDEX jobs_action")
        base.execute("DROP INDEX instance_actions_updated")
        for column in ("migration_interface", "tunnel_interface", "interfaces"):
            base.execute(f"ALTER TABLE hosts DROP COLUMN {column}")
        base.execute("UPDATE schema_version SET version = 1")
        base.commit()
        base.execute("PRAGMA journal_mode = DELETE")


def upgrades(place):
    """an upgrade keeps state, key and edited configuration; the new version brings an older schema up to date, with a backup"""
    place.install(repack(place))
    assert place.status_of() == f"installed {OLDER}"
    place.start().expect("READY")
    place.run("migrationd", "host", "add", "compute-7", "qemu+tcp://127.0.0.1:1/system")
    place.manager.stop()
    place.manager.kill()
    make_older_schema(place.root / DATABASE)
    owner = place.facts(DATABASE)
    configuration = place.root / CONFIGURATION
    edited = configuration.read_text().replace("#api:\n#  max_limit: 1000", "api:\n  max_limit: 77")
    configuration.write_text(edited)
    key = (place.root / KEY).read_text()

    place.install(place.package, "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
    assert place.status_of() == f"installed {place.version}"
    assert configuration.read_text() == edited and place.facts(CONFIGURATION) == "root:migrationd 640"
    assert (place.root / f"{CONFIGURATION}.dpkg-dist").exists(), "the new one lies beside it"
    assert (place.root / KEY).read_text() == key
    assert in_force(place)["api.max_limit"][0] == 77

    place.start().expect("READY")
    assert "compute-7" in place.run("migrationd", "host", "list")
    place.manager.stop()
    place.manager.kill()
    backup = f"{DATABASE}.before-3"
    assert place.facts(backup) == owner and place.facts(DATABASE) == owner
    with sqlite3.connect(place.root / DATABASE) as base:
        assert base.execute("SELECT version FROM schema_version").fetchall() == [(3,)]
        assert base.execute("SELECT name, interfaces FROM hosts").fetchall() == [("compute-7", None)]
    with sqlite3.connect(place.root / backup) as base:
        assert base.execute("SELECT version FROM schema_version").fetchall() == [(1,)]


def removes(place):
    """a removal keeps configuration, key and state; an installation after it takes them up again; a purge then leaves nothing"""
    key = (place.root / KEY).read_text()
    place.run("apt-get", "-qq", "remove", "-y", "migrationd")
    assert not (place.root / "usr/bin/migrationd").exists()
    assert place.status_of() == f"config-files {place.version}", place.status_of()
    assert (place.root / DATABASE).exists() and (place.root / KEY).read_text() == key
    place.install(place.package)
    place.start().expect("READY")
    assert "compute-7" in place.run("migrationd", "host", "list") and (place.root / KEY).read_text() == key
    place.manager.stop()
    place.manager.kill()
    purges(place)


def follows_the_manual(place):
    """every command of the manual for a machine does there what its line says, from the installation to the purge"""
    machine.follow(place.root, place.package, lambda: Manager(place.root, Unit(place.root / UNIT), place.folder / "service.log"))


CHECKS = (builds, lints, says_why, is_shut_in, installs, verifies, is_configured, serves, runs_ssh, gives_signs, reads_anew, ends,
          does_not_flap, restores, purges, upgrades, removes, follows_the_manual)


def run_check(check, place):
    began = time.monotonic()
    try:
        check(place)
        for fault in wrong_ends():
            raise BadEnd(fault)
        return True
    except (Exception, SystemExit):  # pylint: disable=broad-exception-caught
        log = place.folder / "service.log"
        lines = log.read_text(errors="replace").splitlines()[-20:] if log.exists() else []
        print("\n".join(f"# {line}" for line in traceback.format_exc().splitlines() + lines))
        return False
    finally:
        print(f"# {check.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def main():
    folder = TOP / "build"
    folder.mkdir(exist_ok=True)
    failed = 0
    print(f"1..{len(CHECKS)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="package.", dir=folder) as work:
        os.chmod(work, stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)  # the service's user goes through it
        place = Place(work)
        try:
            for number, check in enumerate(CHECKS, 1):
                is_good = run_check(check, place)
                failed += not is_good
                print(f"{'ok' if is_good else 'not ok'} {number} - {check.__doc__}", flush=True)
        finally:
            if place.manager:
                place.manager.kill()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
