"""`./dev run [--once]`: a lab, migrationd over it, and a tour of what it does, on real guests.

Each step shows the curl line that it sends and what came back, and fails the tour when that is not what a step promises.
"""

import json
import shlex
import signal
import sys
import time
from pathlib import Path

from api import NEWEST
from daemon import TOP, Daemon
from guest import OTHER_PROJECT, OTHER_USER
from lab import Lab, LabError

RUN_ENV = TOP / "build" / "run.env"
LOG = TOP / "build" / "run.log"
PORT = 8774
BAR = 30
# Slow enough that a person, and the step that kills the daemon, can see a guest on its way.
SETTINGS = {"libvirt": {"live_migration_bandwidth": 16}, "log": {"level": "info"}}


class TourError(Exception):
    """Something was not as the tour promises."""


def say(text=""):
    print(text, flush=True)


def title(number, text):
    say(f"\n━━ {number}. {text}")


def promise(fact, text):
    if not fact:
        raise TourError(f"this was promised, and is not so: {text}")
    say(f"  ✔ {text}")


class Tour:
    def __init__(self, lab, daemon):
        self.lab = lab
        self.daemon = daemon
        self.admin = daemon.admin
        self.member = daemon.member

    # Showing what is sent and what comes back.
    def send(self, api, method, path, body=None, shown=None):
        """Sends a request, and shows it as a curl line with its answer; `shown` makes something shorter of a long body."""
        say(f"$ {api.curl(method, path, body)}")
        answer = api.request(method, path, body)
        say(f"  {answer.status}  {answer.text if shown is None or answer.status != 200 else ''}".rstrip())
        if shown is not None and answer.status == 200:
            for line in shown(answer.body):
                say(f"       {line}")
        return answer

    def act(self, api, guest, action, value=None):
        return self.send(api, "POST", f"/v2.1/servers/{guest.uuid}/action", {action: value})

    def server(self, guest):
        return self.admin.get(f"/v2.1/servers/{guest.uuid}").body["server"]

    def host_of(self, guest):
        return self.lab.host(self.server(guest)["OS-EXT-SRV-ATTR:host"])

    def newest_migration(self, guest):
        rows = self.admin.get(f"/v2.1/os-migrations?instance_uuid={guest.uuid}").body["migrations"]
        return max(rows, key=lambda row: row["id"]) if rows else None

    def follow(self, guest, until, seconds=120):
        """Watches the newest migration with a progress bar until it has one of the states."""
        path = f"/v2.1/servers/{guest.uuid}/migrations"
        say(f"$ {self.admin.curl('GET', path)}    # again and again")
        began, last_line, percent = time.monotonic(), "", 0
        while True:
            migration = self.newest_migration(guest)
            status = migration["status"] if migration else "accepted"
            rows = self.admin.get(path).body["migrations"]
            total = done = 0
            if rows:
                total = sum(rows[0][f"{kind}_total_bytes"] or 0 for kind in ("memory", "disk"))
                done = total - sum(rows[0][f"{kind}_remaining_bytes"] or 0 for kind in ("memory", "disk"))
                percent = 100 * done // total if total else 0
            if status in until:
                percent = 100 if status in ("completed", "finished") else percent
            line = f"  [{'█' * (BAR * percent // 100):{BAR}}] {percent:3d} %  {status:15}"
            if total:
                line += f" {done / 1048576:6.1f} of {total / 1048576:.1f} MiB"
            self.draw(line, last_line, is_last=status in until)
            last_line = line
            if status in until:
                say(f"  {status} after {time.monotonic() - began:.1f} s: "
                    f"{migration['source_compute']} → {migration['dest_compute'] or '(no host)'}")
                return migration
            if time.monotonic() - began > seconds or status in ("error", "failed", "cancelled"):
                self.tell_why(guest)
                raise TourError(f"the migration is {status}, not {' or '.join(until)}")
            time.sleep(0.2)

    @staticmethod
    def draw(line, last_line, is_last):
        if sys.stdout.isatty():
            print(f"\r{line}", end="\n" if is_last else "", flush=True)
        elif line != last_line:
            say(line)

    def events(self, guest):
        actions = self.admin.get(f"/v2.1/servers/{guest.uuid}/os-instance-actions").body["instanceActions"]
        path = f"/v2.1/servers/{guest.uuid}/os-instance-actions/{actions[0]['request_id']}"
        return path, self.admin.get(path).body["instanceAction"]["events"]

    def tell_why(self, guest):
        """Shows what the events of the newest action say, oldest first; gives all their words."""
        path, events = self.events(guest)
        say(f"$ {self.admin.curl('GET', path)}")
        words = []
        for event in reversed(events):
            say(f"  {event['event']}: {event['result'] or 'still under way'}")
            for line in (event.get("details") or "").splitlines():
                say(f"      {line}")
                words.append(line)
        return "\n".join(words)

    def wait_for_status(self, guest, status, seconds=60):
        try:
            self.lab.wait(lambda: self.server(guest)["status"] == status and
                          not self.server(guest)["OS-EXT-STS:task_state"], seconds, "")
        except LabError:
            self.tell_why(guest)
            raise TourError(f"{guest.name} is {self.server(guest)['status']}, not {status}") from None
        return self.send(self.member, "GET", f"/v2.1/servers/{guest.uuid}",
                         shown=lambda body: [pick(body["server"], "name", "status")])

    def stands_only_on(self, guest, host):
        """By the hosts themselves: one QEMU there, known nowhere else."""
        return self.lab.qemus(guest) == [host.name] and self.lab.places(guest) == {host.name: "running"}

    def is_kept_only_on(self, guest, host):
        """The same, with its private disk; what a move leaves elsewhere is removed soon after its end."""
        try:
            return self.lab.wait(lambda: self.stands_only_on(guest, host) and self.lab.private_files(guest) == [host.name], 15, "")
        except LabError:
            return False

    def counted_on(self, guest, before):
        """The guest's own words: the count went on by one and one, and never began again."""
        after = guest.wait_for_count(before + 1)
        promise(guest.starts() == 1 and not guest.broken_counts(),
                f"the guest's counter went on from {before} to {after} and did not restart")

    # The steps.
    def step_fleet(self):
        title(1, "The hosts and the servers, as the API shows them")
        self.send(self.admin, "GET", "/v2.1/os-services?binary=nova-compute", shown=lambda body: [
            pick(row, "host", "status", "state") for row in body["services"]])
        hosts = self.send(self.admin, "GET", "/v2.1/os-hypervisors/detail", shown=lambda body: [
            pick(row, "hypervisor_hostname", "hypervisor_type", "hypervisor_version", "state")
            for row in body["hypervisors"]])
        servers = self.send(self.admin, "GET", "/v2.1/servers/detail?all_tenants=1", shown=lambda body: [
            pick(row, "id", "name", "status", "OS-EXT-SRV-ATTR:host", "tenant_id") for row in body["servers"]])
        promise(len(hosts.body["hypervisors"]) == 3 and len(servers.body["servers"]) == len(self.lab.guests),
                f"3 hosts and {len(self.lab.guests)} servers, found in libvirt")

    def step_live(self, guest):
        title(2, f"A member has {guest.name} moved while it runs; the scheduler chooses the host")
        source, before = self.host_of(guest), guest.count()
        answer = self.act(self.member, guest, "os-migrateLive", {"host": None, "block_migration": "auto"})
        promise(answer.status == 202, "accepted")
        self.follow(guest, ("completed",))
        words = self.tell_why(guest)
        target = self.host_of(guest)
        promise(target is not source and self.stands_only_on(guest, target), f"it runs on {target.name}, and only there")
        promise(f"{target.name}, weight " in words and "the guest stood still for" in words,
                "the events tell why there, and how long the guest stood still")
        self.counted_on(guest, before)

    def step_cold(self, guest):
        title(3, f"Cold migration of {guest.name}, whose disk is private to its host: once confirmed, once reverted")
        first = self.host_of(guest)
        self.act(self.member, guest, "migrate")
        self.follow(guest, ("finished",))
        self.wait_for_status(guest, "VERIFY_RESIZE")
        second = self.host_of(guest)
        promise(second is not first and self.stands_only_on(guest, second), f"it was started on {second.name}")
        answer = self.act(self.member, guest, "confirmResize")
        promise(answer.status == 204, "confirmed")
        self.wait_for_status(guest, "ACTIVE")
        promise(self.is_kept_only_on(guest, second),
                f"{first.name} is clean: no definition, no disk")

        self.act(self.member, guest, "migrate")
        self.follow(guest, ("finished",))
        self.wait_for_status(guest, "VERIFY_RESIZE")
        third = self.host_of(guest)
        answer = self.act(self.member, guest, "revertResize")
        promise(answer.status == 202, "the revert is accepted")
        self.wait_for_status(guest, "ACTIVE")
        promise(self.is_kept_only_on(guest, second),
                f"it is back on {second.name}, and {third.name} is clean")

    def step_named_host(self, guest):
        target = next(host for host in self.lab.hosts if host is not self.host_of(guest))
        title(4, f"A host is named: {target.name}")
        wish = {"host": target.name, "block_migration": "auto"}
        before = guest.count()
        answer = self.act(self.member, guest, "os-migrateLive", wish)
        promise(answer.status == 403 and "Policy doesn't allow" in answer.message, "a member may not")
        answer = self.act(self.admin, guest, "os-migrateLive", wish)
        promise(answer.status == 202, "an admin may")
        self.follow(guest, ("completed",))
        promise(self.stands_only_on(guest, target), f"it runs on {target.name}")
        self.counted_on(guest, before)

    def step_no_host(self):
        title(5, "A server that fits nowhere")
        memory_mb = 4 * int(self.lab.hosts[0].virsh("nodeinfo").split("Memory size:")[1].split()[0]) // 1024
        giant = self.lab.guest("giant", self.lab.hosts[2], "stopped", memory_mb=memory_mb)
        try:
            self.lab.wait(lambda: self.daemon.knows(giant), 15, "migrationd sees the giant")
            say(f"  (A stopped guest of {memory_mb} MiB was just defined on compute-3 by virsh, and is seen.)")
            self.act(self.member, giant, "migrate")
            self.lab.wait(lambda: self.newest_migration(giant)["status"] == "error", 30, "the migration ends in error")
            words = self.tell_why(giant)
            others = [host.name for host in self.lab.hosts if host.name != "compute-3"]
            promise("No valid host was found." in words and all(name in words for name in others),
                    "No valid host was found., with the reason of each host")
            promise(self.server(giant)["status"] == "SHUTOFF", "the server is as it was")
        finally:
            self.lab.remove(giant)
        self.lab.wait(lambda: not self.daemon.knows(giant), 15, "the giant is forgotten")

    def step_kill(self, guest):
        title(6, f"migrationd is killed while {guest.name} is on its way")
        source, before = self.host_of(guest), guest.count()
        answer = self.act(self.member, guest, "os-migrateLive", {"host": None, "block_migration": "auto"})
        promise(answer.status == 202, "accepted")
        self.follow(guest, ("running",))
        self.lab.wait(lambda: "Data processed" in source.virsh("domjobinfo", guest.uuid, check=False), 10,
                      "the copy is on its way")
        say(f"$ kill -9 {self.daemon.process.pid}")
        self.daemon.kill()
        promise(guest.uuid in source.virsh("list", "--uuid").split(), "the guest is still on its way, and nobody follows it")
        say(f"$ {self.daemon.command_line('serve')} &")
        self.daemon.start()
        self.follow(guest, ("completed",))
        self.tell_why(guest)
        target = self.host_of(guest)
        promise(target is not source and self.stands_only_on(guest, target), f"it runs on {target.name}, and only there")
        self.counted_on(guest, before)


def pick(row, *names):
    """Some fields of a long object."""
    return json.dumps({name: row.get(name) for name in names}) + " …"


def write_run_env(daemon, server_a, server_b, hosts, path=RUN_ENV):
    values = {"BASE_URL": daemon.base_url, "ADMIN_TOKEN": daemon.admin.token, "MEMBER_TOKEN": daemon.member.token,
              "SERVER_A": server_a.uuid, "SERVER_B": server_b.uuid, "HOSTS": " ".join(host.name for host in hosts)}
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))


def show_how_to_go_on(tour, server_a):
    api = tour.admin
    say(f"""
━━ It stays up until ^C.
Base URL      {tour.daemon.base_url}   (the API is under /v2.1, microversions up to {NEWEST})
Admin token   {api.token}
Member token  {tour.member.token}
Log           {LOG}
All of it as shell assignments: . {shlex.quote(str(RUN_ENV))}
To try:
  {api.curl("GET", "/v2.1/servers/detail?all_tenants=1")}
  {tour.member.curl("POST", f"/v2.1/servers/{server_a.uuid}/action", {"os-migrateLive": {"host": None, "block_migration": "auto"}})}
  {api.curl("GET", f"/v2.1/os-migrations?instance_uuid={server_a.uuid}")}""")


def run(is_once):
    LOG.unlink(missing_ok=True)
    daemon, bad_end = None, ""
    with Lab() as lab:
        try:
            say(f"Starting three libvirt hosts and their guests in {lab.folder} ({'KVM' if lab.has_kvm else 'no KVM: QEMU emulates'})")
            first, second, third = lab.hosts
            web = lab.guest("web", first, dirty_mb=40)
            files = lab.guest("files", second, disk="private", disk_mb=8)
            busy = lab.guest("busy", third, memory_mb=160, dirty_mb=120, pages_per_round=64)
            other = lab.guest("other", third, project=OTHER_PROJECT, user=OTHER_USER)
            daemon = Daemon(lab, LOG, SETTINGS, wanted_port=PORT)
            daemon.start()
            daemon.wait_for_fleet()
            write_run_env(daemon, web, other, lab.hosts)
            tour = Tour(lab, daemon)
            tour.step_fleet()
            tour.step_live(web)
            tour.step_cold(files)
            tour.step_named_host(web)
            tour.step_no_host()
            tour.step_kill(busy)
            say("\nAll six steps were as promised.")
            if not is_once:
                show_how_to_go_on(tour, web)
                signal.pause()
        finally:
            RUN_ENV.unlink(missing_ok=True)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # a second ^C must not leave things half taken down
            say("\nTaking everything down.")
            if daemon:
                bad_end = daemon.end()
    if bad_end:
        raise LabError(bad_end)


def main():
    words = sys.argv[1:]
    if words not in ([], ["--once"]):
        say("usage: ./dev run [--once]")
        return 2
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        run(is_once=bool(words))
    except KeyboardInterrupt:
        return 0 if not words else 130
    except (TourError, LabError) as error:
        say(f"\n✘ The tour ends here: {error}\n  migrationd's log is {LOG}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
