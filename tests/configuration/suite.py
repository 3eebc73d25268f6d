"""The operator's configuration, by the shipped binary: documents as MOSK has them (docs/mosk.md), who may do what by them, reading them anew,
and two hundred ways to get them wrong. Speaks TAP; a check is a function whose docstring says what holds.
"""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/daemon"), str(TOP / "tests/configuration")]

from service import BINARY, Service, run_checks, state  # noqa: E402
from api import Api  # noqa: E402
from broken import AUTH, all_of  # noqa: E402

MIGRATE = "os_compute_api:os-migrate-server:"
# As the manual has it.
REVERT = """kind: OpenStackDeployment
spec:
  features:
    policies:
      nova:
        os_compute_api:os-migrate-server:migrate: rule:context_is_admin
        os_compute_api:os-migrate-server:migrate_live: rule:context_is_admin
"""
WITH_ROLES = {"admin": ("admin", "manager", "member", "reader"), "member": ("member", "reader"), "reader": ("reader",)}
ACTIONS = {"migrate": ("migrate", None), "migrate:host": ("migrate", {"host": "host2"}),
           "migrate_live": ("os-migrateLive", {"host": None, "block_migration": "auto"}),
           "migrate_live:host": ("os-migrateLive", {"host": "host2", "block_migration": "auto"})}


class Configured(Service):
    """A daemon with an OpenStackDeployment beside its own file."""

    def __init__(self, folder, deployment=None, **sections):
        super().__init__(folder, **sections)
        self.deployment = self.folder / "osdpl.yaml"
        if deployment:
            self.deployment.write_text(deployment)

    def files(self):
        return super().files() + (["--config", self.deployment] if self.deployment.exists() else [])

    def said(self, words):
        return self.log.read_text().count(words)

    def hangup(self, *words):
        """SIGHUP, and until the log has one of the words once more."""
        before = sum(self.said(word) for word in words)
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda: sum(self.said(word) for word in words) > before)


IN_FORCE, REFUSED = "the new configuration is in force", "the new configuration is refused"


def bearer(service, roles, project=state.PROJECT, **scope):
    named = [word for role in roles for word in ("--role", role)]
    token = subprocess.run([BINARY, "token", "--config", service.config, *named, "--exact-roles", "--project", project, "--user", "u"],
                           capture_output=True, text=True, check=True).stdout.strip()
    return Api(f"http://127.0.0.1:{service.port}", token, "2.60")


def may(client, policy):
    """Whether the policy lets the caller: what comes after it (202, or 409 for a move that is under way) says yes."""
    action, value = ACTIONS[policy]
    status = client.act(state.server_uuid(1), action, value).status
    assert status in (202, 400, 403, 404, 409), status
    return status not in (403, 404)


def clients_of(service):
    return {**{who: bearer(service, roles) for who, roles in WITH_ROLES.items()},
            "stranger": bearer(service, WITH_ROLES["member"], "7f70656e737461636b20342065766572")}


def matrix(service, clients=None):
    """Who may what; the clients are made again from the configuration unless they are given."""
    return {(who, policy): may(client, policy) for who, client in (clients or clients_of(service)).items() for policy in ACTIONS}


def expected(member):
    """Admins may all four; members those of the named; others none."""
    return {(who, policy): who == "admin" or (who == "member" and policy in member)
            for who in (*WITH_ROLES, "stranger") for policy in ACTIONS}


DEFAULTS = expected({"migrate", "migrate_live"})
REVERTED = expected(set())


def differences(found, wanted):
    return {key: found[key] for key in wanted if found[key] != wanted[key]}


def the_documents_start(folder):
    """the YAML of the documents, word for word, starts the daemon, as a file of its own and behind our own settings"""
    service = Configured(folder, REVERT).start()
    service.stop()
    service.deployment.unlink()
    own = json.dumps(service.sections)
    service.config.write_text(f"{own}\n---\n{REVERT}")
    done = subprocess.run([BINARY, "check", service.config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert re.search(rf'^policy {MIGRATE}migrate_live: "rule:context_is_admin"  # {service.config}:9$', done.stdout, re.M), done.stdout


def the_four_policies(folder):
    """members and admins get what the four policies say: before the revert, after it, and after reading it anew without a restart"""
    service = Configured(folder, "kind: OpenStackDeployment\nspec: {}\n").start().load()
    assert not differences(matrix(service), DEFAULTS), differences(matrix(service), DEFAULTS)
    service.deployment.write_text(REVERT)
    service.hangup(IN_FORCE)
    assert not differences(matrix(service), REVERTED), differences(matrix(service), REVERTED)
    service.stop()
    service.start().load()
    assert not differences(matrix(service), REVERTED), differences(matrix(service), REVERTED)
    service.deployment.write_text("kind: OpenStackDeployment\nspec: {}\n")
    service.hangup(IN_FORCE)
    assert not differences(matrix(service), DEFAULTS), differences(matrix(service), DEFAULTS)
    service.stop()


def each_policy_alone(folder):
    """each of the four policies stands alone: an override of one changes no other, and the policy without a host opens none with one"""
    service = Configured(folder, "kind: OpenStackDeployment\nspec: {}\n").start().load()
    for policy in ACTIONS:
        service.deployment.write_text("kind: OpenStackDeployment\nspec:\n  features:\n    policies:\n      nova:\n"
                                      f"        {MIGRATE}{policy}: 'role:reader'\n")
        service.hangup(IN_FORCE)
        wanted = {(who, asked): allowed if asked != policy else who != "stranger" for (who, asked), allowed in DEFAULTS.items()}
        found = matrix(service)
        assert not differences(found, wanted), (policy, differences(found, wanted))
    service.stop()


def precedence(folder):
    """policy.yaml beside the configuration counts over the document, and policy.d over that, as oslo.policy reads them"""
    service = Configured(folder, REVERT)
    (service.folder / "policy.yaml").write_text(f'"{MIGRATE}migrate": "rule:project_member_or_admin"\n')
    service.start().load()
    wanted = expected({"migrate"})
    assert not differences(matrix(service), wanted), differences(matrix(service), wanted)
    (service.folder / "policy.d").mkdir()
    (service.folder / "policy.d" / "last.yaml").write_text(f'"{MIGRATE}migrate": "!"\n')
    service.hangup(IN_FORCE)
    found = matrix(service)
    assert not any(allowed for (_, policy), allowed in found.items() if policy == "migrate"), found
    service.stop()


def changed_files(folder):
    """a file that changes is read anew by itself, also one that a policy file's directory gets, and one swapped by a rename"""
    service = Configured(folder, "kind: OpenStackDeployment\nspec: {}\n").start().load()
    member = bearer(service, WITH_ROLES["member"])
    assert may(member, "migrate")
    new = service.folder / "new.yaml"
    new.write_text(REVERT)
    new.replace(service.deployment)
    service.wait(lambda: not may(member, "migrate"))
    (service.folder / "policy.yaml").write_text(f'"{MIGRATE}migrate": "role:member"\n')
    service.wait(lambda: may(member, "migrate"))
    service.stop()


def refused_whole(folder):
    """a wrong new configuration is refused whole: nothing of it is in force, the log has file and line, and the next right one is taken"""
    service = Configured(folder, "kind: OpenStackDeployment\nspec: {}\n", policy={"rules": {"mine": "role:x"}}).start().load()
    service.sections["policy"] = {"rules": {MIGRATE + "migrate": "!"}}
    service.config.write_text(json.dumps(service.sections))
    service.deployment.write_text(REVERT.replace("features", "featurs"))
    service.hangup(REFUSED)
    assert service.said(f"{service.deployment}:3") > 0, service.log.read_text()
    assert not differences(matrix(service), DEFAULTS), differences(matrix(service), DEFAULTS)
    service.deployment.write_text(REVERT)
    service.hangup(IN_FORCE)
    found = matrix(service)
    assert not any(allowed for (_, policy), allowed in found.items() if policy == "migrate"), found
    assert found["admin", "migrate_live"]
    service.stop()


def half_written(folder):
    """a file of policy.d that is half written, faulty or cannot be read keeps the policy of before; the next right one counts, and one gone too"""
    service = Configured(folder, "kind: OpenStackDeployment\nspec: {}\n")
    directory = service.folder / "policy.d"
    directory.mkdir()
    own = directory / "50-own.yaml"
    own.write_text(f'"{MIGRATE}migrate": "!"\n')
    service.start().load()
    clients = clients_of(service)  # their tokens could not be made while a file is wrong
    closed = {key: allowed and key[1] != "migrate" for key, allowed in DEFAULTS.items()}

    def hold(wanted, what):
        found = matrix(service, clients)
        assert not differences(found, wanted), (what, differences(found, wanted))
    hold(closed, "at the start")
    broken = {f'"{MIGRATE}migrate": "role:mem': ":1: this is not YAML", f'"{MIGRATE}migrate"': ":1: expected a mapping",
              f'"{MIGRATE}migrate": "role:member and"\n': f":1: policy {MIGRATE}migrate", f'"{MIGRATE}migrate": 5\n': ":1: policy"}
    for text, words in broken.items():
        own.write_text(text)
        service.hangup(REFUSED)
        assert service.said(f"{own}{words}"), (words, service.log.read_text()[-2000:])
        hold(closed, text)
    own.write_text(f'"{MIGRATE}migrate": "!"\n')
    (directory / "60-gone.yaml").symlink_to("nowhere")
    service.hangup(REFUSED)
    hold(closed, "a link to nowhere")
    (directory / "60-gone.yaml").unlink()
    (directory / "60-open.yaml").write_text(f'"{MIGRATE}migrate": "rule:project_member_or_admin"\n')
    service.hangup(IN_FORCE)
    hold(DEFAULTS, "one more file")
    (directory / "60-open.yaml").unlink()
    service.hangup(IN_FORCE)
    hold(closed, "that file gone")
    service.stop()


def written_slowly(folder):
    """a file that is still being written is not read again until it is at rest, though each part of it would be right"""
    service = Configured(folder, REVERT).start().load()
    with open(service.deployment, "w") as file:
        for number in range(20):  # over two looks at it and more
            file.write(f"# {number}\n")
            file.flush()
            time.sleep(0.4)
            assert not service.said(IN_FORCE), service.log.read_text()[-2000:]
        file.write("kind: OpenStackDeployment\nspec: {}\n")
    service.wait(lambda: service.said(IN_FORCE))
    assert service.said(IN_FORCE) == 1
    assert not differences(matrix(service), DEFAULTS), differences(matrix(service), DEFAULTS)
    service.stop()


def admin_socket_anew(folder):
    """the admin socket stays what it is when the configuration is read again; another path counts from the next start on, also after kill -9"""
    service = Configured(folder).start().load()

    def listed(path):
        config = service.folder / "ask.yaml"
        config.write_text(json.dumps({**service.sections, "admin_socket": str(path)}))
        done = subprocess.run([BINARY, "host", "list", "--config", config], capture_output=True, text=True, check=False)
        return "host1" in done.stdout and done.returncode == 0

    def facts(path):
        status = path.stat()
        return status.st_ino, stat.S_IMODE(status.st_mode), status.st_uid, stat.S_ISSOCK(status.st_mode)
    old, new = service.folder / "admin.sock", service.folder / "other.sock"
    before = facts(old)
    assert before[1:] == (0o600, os.geteuid(), True) and listed(old), before
    service.sections["admin_socket"] = str(new)
    service.sections["api"] = {"max_limit": 1}
    service.config.write_text(json.dumps(service.sections))
    service.hangup(IN_FORCE)
    assert service.said("takes effect at the next start") == 1 and service.said('"admin_socket"') == 1, service.log.read_text()
    assert facts(old) == before and listed(old) and not new.exists()
    service.sections["api"] = {"max_limit": 0}
    service.config.write_text(json.dumps(service.sections))
    service.hangup(REFUSED)
    del service.sections["api"]  # the command reads the configuration, too
    assert facts(old) == before and listed(old)
    service.sections["libvirt"] = {"live_migration_with_native_tls": True}
    service.config.write_text(json.dumps(service.sections))
    service.hangup(IN_FORCE)
    assert listed(old)  # which writes where it is to ask
    done = subprocess.run([BINARY, "host", "add", "plain", "qemu+tcp://192.0.2.1/system", "--config", service.folder / "ask.yaml"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "TLS is demanded" in done.stderr, done
    service.kill()
    service.start()
    assert facts(new)[1:] == before[1:] and listed(new) and not listed(old)
    service.kill()
    assert new.exists()
    service.start()
    assert facts(new)[1:] == before[1:] and listed(new)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) == 0 and not new.exists()


def keys_anew(folder):
    """a token key that is exchanged counts from then on, and tokens of the old one are refused"""
    service = Configured(folder)
    secret = service.folder / "secret"
    secret.write_text("first-secret-of-at-least-32-bytes!\n")
    service.sections["auth"] = {"keys": [{"kid": "own", "algorithm": "HS256", "secret_file": str(secret)}]}
    service.start().load()
    old = bearer(service, WITH_ROLES["admin"])
    assert old.get("/v2.1/servers").status == 200
    secret.write_text("second-secret-of-at-least-32-bytes\n")
    new = bearer(service, WITH_ROLES["admin"])
    assert new.get("/v2.1/servers").status == 401
    service.hangup(IN_FORCE)
    assert (old.get("/v2.1/servers").status, new.get("/v2.1/servers").status) == (401, 200)
    service.stop()


def told_to_the_manager(folder):
    """the service manager hears that the files are read again, and that the daemon is ready again, also where they are refused"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{folder}/notify")
        manager.settimeout(20)
        service = Configured(folder).start(NOTIFY_SOCKET=f"{folder}/notify")

        def heard(words):
            while True:
                text = manager.recv(4096).decode()
                if text.startswith(words):
                    return text
        heard("READY=1")
        for limit, status in ((1, "read anew"), (0, "the new one is wrong")):
            service.sections["api"] = {"max_limit": limit}
            service.config.write_text(json.dumps(service.sections))
            service.process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in heard("RELOADING=1")
            assert status in heard("READY=1")
        service.process.send_signal(signal.SIGTERM)
        assert heard("STOPPING=1")
        assert service.process.wait(10) == 0


def under_load(folder):
    """a hundred readings anew under load drop no request, and none is answered by half of a configuration"""
    service = Configured(folder, "kind: OpenStackDeployment\nspec: {}\n").start().load()
    member, seen, is_over = bearer(service, WITH_ROLES["member"]), Counter(), threading.Event()

    def ask():
        while not is_over.is_set():
            seen[member.get("/v2.1/servers/detail").status] += 1
            seen[f"migrate {member.act(state.server_uuid(1), 'migrate').status}"] += 1
    with ThreadPoolExecutor(8) as pool:
        askers = [pool.submit(ask) for _ in range(8)]
        for number in range(100):
            service.deployment.write_text(REVERT if number % 2 else "kind: OpenStackDeployment\nspec: {}\n")
            service.hangup(IN_FORCE)
        is_over.set()
        for asker in askers:
            asker.result()
    assert set(seen) <= {200, "migrate 202", "migrate 403", "migrate 409"} and seen["migrate 403"] and seen["migrate 409"], seen
    assert service.process.poll() is None
    service.stop()


def limits_and_hosts(folder):
    """new hosts and links count at once; what needs a restart is told by its name"""
    service = Configured(folder).start().load()
    admin = bearer(service, WITH_ROLES["admin"])
    before = {row["host"] for row in admin.get("/v2.1/os-services?binary=nova-compute").body["services"]}
    service.sections["hosts"] = [{"name": "late", "uri": "test:///late"}]
    service.sections["public_endpoint"] = "https://compute.example/root"
    service.sections["api"] = {"max_limit": 1}
    service.sections["log"]["level"] = "debug"
    service.config.write_text(json.dumps(service.sections))
    service.hangup(IN_FORCE)
    after = {row["host"] for row in admin.get("/v2.1/os-services?binary=nova-compute").body["services"]}
    assert after - before == {"late"}, (before, after)
    page = admin.get("/v2.1/servers?all_tenants=1").body
    assert len(page["servers"]) == 1 and page["servers_links"][0]["href"].startswith("https://compute.example/root/"), page
    assert service.said("takes effect at the next start") == 1 and service.said('"log.level"') == 1, service.log.read_text()
    service.stop()


def policy_words(folder):
    """migrationd policy check answers as a request would be answered, names the rule and where it comes from, and list shows all"""
    service = Configured(folder, REVERT)
    service.config.write_text(json.dumps(service.sections))
    files = ["--config", service.config, "--config", service.deployment]

    def check(*words):
        done = subprocess.run([BINARY, "policy", "check", "--json", *files, *words], capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)[0] if done.stdout else done.stderr
    own = ("--project", state.PROJECT)
    assert check(MIGRATE + "migrate", "--role", "admin", *own)[0] == 0
    status, row = check(MIGRATE + "migrate", "--role", "member", *own)
    assert (status, row["verdict"], row["rule"], row["origin"]) == (1, "failed", "rule:context_is_admin", f"{service.deployment}:6"), row
    status, row = check("os_compute_api:servers:show", "--role", "member", *own)
    assert (status, row["verdict"], row["origin"]) == (0, "passed", "default"), row
    assert check("os_compute_api:servers:show", "--role", "member", *own, "--server-project", "other")[0] == 1
    status, row = check("os_compute_api:servers:show", "--role", "admin", "--system-scope", "all")
    assert status == 1 and "scope" in row["why"], row
    assert check("no:such:policy", "--role", "admin", *own)[0] == 64
    token = subprocess.run([BINARY, "token", *files, "--role", "member", *own], capture_output=True, text=True, check=True).stdout.strip()
    assert check(MIGRATE + "migrate", "--token", token)[0] == 1 and check("os_compute_api:servers:show", "--token", token)[0] == 0
    done = subprocess.run([BINARY, "policy", "list", "--json", *files], capture_output=True, text=True, check=True)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows[MIGRATE + "migrate_live"]["origin"] == f"{service.deployment}:7" and rows[MIGRATE + "migrate:host"]["origin"] == "default"


def odd_rules(folder):
    """an empty rule is taken with a warning, and so are deprecated and unknown names"""
    service = Configured(folder)
    service.sections["policy"] = {"rules": {MIGRATE + "migrate": "", "os_compute_api:os-services": "role:x", "no:such:name": "@"}}
    service.start()
    log = service.log.read_text()
    for words in ("the rule is empty and grants everything to everybody", "the name is deprecated", "nothing here asks for"):
        assert words in log, (words, log)
    service.stop()


def keys_of(folder):
    """All keys that can be set, as check lists them."""
    path = Path(folder) / "good.yaml"
    path.write_text(AUTH)
    done = subprocess.run([BINARY, "check", path], capture_output=True, text=True, check=True)
    keys = [line.split(": ")[0] for line in done.stdout.splitlines()]
    return [key for key in keys if "[" not in key and not key.startswith("policy ")]


def broken(folder):
    """two hundred broken configurations and more: each one line with file and line, exit status 78, no crash and no start"""
    (Path(folder) / "empty").write_text("")
    (Path(folder) / "text").write_text("short words\n")
    (Path(folder) / "directory").mkdir()
    (Path(folder) / "list.yaml").write_text("- a\n")
    (Path(folder) / "broken.yaml").write_text("a: b\nc: 'd\n")
    path = Path(folder) / "migrationd.yaml"
    count, wrong = 0, []
    for what, text, words in all_of(keys_of(folder), folder):
        path.write_text(text)
        done = subprocess.run([BINARY, "serve", "--config", path], capture_output=True, text=True, errors="replace", timeout=20, check=False)
        lines = done.stderr.splitlines()
        count += 1
        if (done.returncode != 78 or done.stdout or len(lines) != 1 or words not in lines[0]
                or not re.match(rf"{re.escape(folder)}/[a-z]+\.yaml:[1-9][0-9]*: .", lines[0])):
            wrong.append(f"{what}: status {done.returncode}: {done.stderr.strip()[:500]}\n{text[:300]}")
    print(f"# {count} configurations, {len(wrong)} wrong")
    assert count >= 200, count
    assert not wrong, "\n".join(wrong[:12])


CHECKS = [the_documents_start, the_four_policies, each_policy_alone, precedence, changed_files, refused_whole, half_written, written_slowly,
          admin_socket_anew, keys_anew, told_to_the_manager, under_load, limits_and_hosts, policy_words, odd_rules, broken]

if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
