"""What the README and the manual say works, command by command. Speaks TAP.

Each indented block says in a comment above it who runs it (tests/docs/blocks.py); one that nobody runs is a failure. Here one lab, with
one daemon before it and a Keystone beside it, serves all documents.

    suite.py [WORD...]    only documents whose path has one of the words
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "identity"), str(HERE.parent), str(HERE.parent / "harness")]

import settings  # noqa: E402
from blocks import TOP, blocks, broken_links, documents  # noqa: E402
from certificates import Authority  # noqa: E402
from daemon import BINARY, Daemon  # noqa: E402
from guest import OTHER_PROJECT, OTHER_USER  # noqa: E402
from keystone_server import PASSWORD, Keystone  # noqa: E402
from lab import Lab  # noqa: E402
from shell import Shell  # noqa: E402
from tap import OF_TEXTS, line_of  # noqa: E402
from tour import write_run_env  # noqa: E402

RUN_ENV = TOP / "build" / "docs.env"
# After these the guests are waited for, as a reader waits.
MOVING = ("/action", "server migrate ", "server migration ", "nova live-migration", "migrationd migrate ", "go run ", "live_migrate")
BASE = """node: controller
auth:
  keys:
    - {kid: first, algorithm: HS256, secret: "at least 32 bytes of a secret, please"}
"""


class Report:
    """Counts what holds, and says it."""

    def __init__(self):
        self.number = self.failed = 0
        self.lock = threading.Lock()

    def say(self, what, why=""):
        with self.lock:
            self.number += 1
            self.failed += bool(why)
            for line in why.splitlines():
                print(f"# {line}")
            print(line_of(not why, self.number, what[:170]), flush=True)


def run_commands(report, shell, block, rewrite=lambda command: command, after=lambda command: None):
    for number, command in block.commands():
        began = time.monotonic()
        why = shell.fault(rewrite(command))
        if time.monotonic() - began > 5:
            print(f"# {time.monotonic() - began:.0f} s")
        report.say(f"{block.path.relative_to(TOP)}:{number}: {command.splitlines()[0]}", why)
        after(command)


def has_come_to_rest(daemon, guests):
    """Also of a confirm, which has no task to show, the job has ended."""
    if daemon.rows("SELECT id FROM jobs WHERE finished_us = 0"):
        return False
    servers = [daemon.admin.get(f"/v2.1/servers/{guest.uuid}").body["server"] for guest in guests]
    return not any(server["OS-EXT-STS:task_state"] for server in servers)


class CloudOfTheManual:
    """What the manual's chapter on Keystone presumes: two projects, a user in one of them, and the service's own user."""

    def __init__(self):
        self.keystone = keystone = Keystone()
        project = keystone.make("project", name="service", domain_id="default")
        user = keystone.make("user", name="nova", password=PASSWORD, domain_id="default", default_project_id=project)
        keystone.grant(user, project, "admin")
        self.project = keystone.make("project", name="demo", domain_id="default")
        user = keystone.make("user", name="alice", password=PASSWORD, domain_id="default", default_project_id=self.project)
        keystone.grant(user, self.project, "member")

    def settings(self, folder):
        password = Path(folder) / "keystone.password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        return {"url": self.keystone.url, "username": "nova", "project_name": "service", "password_file": str(password)}

    def variables(self):
        return {"KEYSTONE_URL": f"{self.keystone.url}/v3", "KEYSTONE_PASSWORD": PASSWORD}


def environment(folder, **variables):
    """A reader's: nothing of this shell's own, and Debian's programs before all others, whose clients they are."""
    cache = TOP / "build" / "go-cache"
    return {"PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{BINARY.parent}", "HOME": str(folder), "LANG": "C.UTF-8", "GOCACHE": str(cache),
            "DEBIAN_FRONTEND": "noninteractive", **variables}


def run_in_the_lab(report, waiting):
    cloud = []
    starting = threading.Thread(target=lambda: cloud.append(CloudOfTheManual()))
    starting.start()
    with Lab() as lab, tempfile.TemporaryDirectory() as out:
        starting.join()
        daemon = Daemon(lab, lab.folder / "migrationd.log", {"identity": {"keystone": cloud[0].settings(out)}})
        guests = [lab.guest("web", lab.hosts[0]), lab.guest("other", lab.hosts[2], project=OTHER_PROJECT, user=OTHER_USER),
                  lab.guest("db", lab.hosts[1], project=cloud[0].project, user=OTHER_USER)]
        try:
            daemon.start()
            daemon.wait_for_fleet()
            write_run_env(daemon, guests[0], guests[1], lab.hosts, RUN_ENV)
            with open(RUN_ENV, "a", encoding="utf-8") as file:
                file.write(f"CONFIG={daemon.config_path}\n")
            for path, group in waiting.items():
                shell = Shell(out, folder=TOP, environment=environment(out, **cloud[0].variables()))
                for block in group:
                    run_commands(report, shell, block, lambda command: command.replace("build/run.env", "build/docs.env"),
                                 lambda command: any(word in command for word in MOVING)
                                 and lab.wait(lambda: has_come_to_rest(daemon, guests), 60, f"{path}: the guests come to rest"))
                shell.end()
        finally:
            for log in (daemon.log_path, Path(cloud[0].keystone.folder.name) / "keystone.log"):
                if report.failed and log.exists():
                    print("\n".join(f"# {line[:300]}" for line in log.read_text(errors="replace").splitlines()[-40:]))
            bad_end = daemon.end()
            cloud[0].keystone.end()
            for path in [RUN_ENV, *(TOP / "build").glob("try.*")]:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
    report.say("after all of them the daemon ends with status 0", bad_end)


def build_from_source(report, waiting):
    with tempfile.TemporaryDirectory() as out:
        shell = Shell(out, folder=TOP, environment=environment(out, DESTDIR=f"{out}/root"))
        for block in (block for group in waiting.values() for block in group):
            run_commands(report, shell, block)
        # A build folder that was there keeps the prefix that it has.
        programs = list(Path(out).glob("root/**/bin/migrationd"))
        runs = programs and subprocess.run([programs[0], "version"], capture_output=True, check=False).returncode == 0
        report.say("what is built from the source can be installed, and runs", "" if runs else f"{programs}")
        shell.end()


def check_configurations(report, waiting):
    """Each block as a file behind one that has what it leaves out; what it names is there, elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "ca")
        certificate, key = authority.issue("compute", dns=["compute.example"])
        for path, content in (("cert.pem", certificate.read_text()), ("key.pem", key.read_text()),
                              ("keystone.password", "secret\n"), ("token.secret", "at least 32 bytes of a secret, please\n"),
                              ("host.password", "secret\n"), ("policy.yaml", "{}\n"), ("base.yaml", BASE)):
            (Path(folder) / path).write_text(content)
        (Path(folder) / "pki").mkdir()
        for block in (block for group in waiting.values() for block in group):
            text = block.text.replace("/etc/migrationd", folder)
            own = Path(folder) / "block.yaml"
            own.write_text(text)
            files = [own] if "keys:" in text else [Path(folder) / "base.yaml", own]
            done = subprocess.run([str(BINARY), "check", *map(str, files)], capture_output=True, text=True, check=False)
            report.say(f"{block.place}: {block.lines[0]}", "" if done.returncode == 0 else f"exit status {done.returncode}: {done.stderr}")


def check_settings(report, paths):
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base.yaml"
        base.write_text(BASE.replace("node: controller\n", ""))
        known = settings.defaults(BINARY, base)
    for path in paths:
        report.say(f"{path.relative_to(TOP)}: every setting that it names is one, with that default", "\n".join(settings.faults(path, known)))


def sort_blocks(report, paths):
    """Runner → document → blocks; those that nobody runs are told."""
    sorted_blocks = {"lab": {}, "source": {}, "configuration": {}}
    for path in paths:
        found = blocks(path)
        why = "\n".join(f"{block.place}: {block.faults()}" for block in found if block.faults())
        report.say(f"{OF_TEXTS}{path.relative_to(TOP)}: every file that it links is there", "\n".join(broken_links(path)))
        report.say(f"{OF_TEXTS}{path.relative_to(TOP)}: each of its {len(found)} blocks is run, or is no command", why)
        for block in found:
            if block.runner in sorted_blocks and not block.faults():
                sorted_blocks[block.runner].setdefault(path, []).append(block)
    return sorted_blocks


def main():
    words = sys.argv[1:]
    report = Report()
    paths = [path for path in documents() if not words or any(word in str(path.relative_to(TOP)) for word in words)]
    waiting = sort_blocks(report, paths)
    check_settings(report, paths)
    if waiting["configuration"]:
        check_configurations(report, waiting["configuration"])
    building = threading.Thread(target=build_from_source, args=(report, waiting["source"]))
    if waiting["source"]:  # while the lab's clients wait
        building.start()
    if waiting["lab"]:
        run_in_the_lab(report, waiting["lab"])
    if waiting["source"]:
        building.join()
    print(f"1..{report.number}", flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    os.chdir(TOP)
    sys.exit(main())
