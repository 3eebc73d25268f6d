"""The `openstack` command, as Debian ships it: every command that follows or steers a move."""

import json

from bench import check, equal, scenario
from commands import ADMIN, BAD, MEMBER, READER, STRANGER, is_refused, works
from test_failure import slow_guest

# So slow that there is time to look at a move, to end it or to have it done.
SLOW = {"libvirt": {"live_migration_bandwidth": 1}}


def openstack(*words, version=None):
    return ["openstack", *(["--os-compute-api-version", version] if version else []), *words]


def listed(bench, *words, version=None, caller=ADMIN):
    return json.loads(works(bench, openstack(*words, "-f", "json", version=version), caller).out)


def is_moving(bench, guest):
    bench.wait_for_migration(guest, "running")
    return bench.migration(guest)["id"]


@scenario("openstack: hosts, services and servers are listed without a microversion being named", suite="clients")
def _(bench):
    guest = bench.guest("web")
    equal(sorted(row["Hypervisor Hostname"] for row in listed(bench, "hypervisor", "list")),
          [host.name for host in bench.hosts], "hypervisors")
    shown = listed(bench, "hypervisor", "show", "compute-1")
    equal((shown["hypervisor_hostname"], shown["state"]), ("compute-1", "up"), "the hypervisor")
    check(all(shown[name] is not None for name in ("host_ip", "memory_mb", "vcpus", "service_host")), f"no gaps: {shown}")
    services = listed(bench, "compute", "service", "list")
    equal({row["Host"] for row in services if row["Binary"] == "nova-compute"}, {host.name for host in bench.hosts}, "services")
    rows = listed(bench, "server", "list", "--all-projects")
    equal([(row["Name"], row["Status"], row["Flavor"]) for row in rows], [("web", "ACTIVE", "lab.64")], "servers of all projects")
    rows = listed(bench, "server", "list", "--all-projects", "--long", "--host", "compute-1")
    equal([(row["Name"], row["Host"]) for row in rows], [("web", "compute-1")], "servers of a host")
    equal(listed(bench, "server", "show", guest.name, caller=MEMBER)["status"], "ACTIVE", "the server by its name")
    equal(listed(bench, "server", "list", caller=STRANGER), [], "servers of another project")


@scenario("openstack: hosts and servers are listed at every microversion that changed them", suite="clients")
def _(bench):
    bench.guest("web")
    for version in ("2.1", "2.25", "2.47", "2.53", "2.73", "2.88", "2.90"):
        shown = listed(bench, "hypervisor", "show", "compute-1", version=version)
        equal(shown["hypervisor_hostname"], "compute-1", f"the hypervisor at {version}")
        check(version < "2.88" or shown["uptime"].startswith("up "), f"its uptime: {shown}")
        rows = listed(bench, "server", "list", "--all-projects", "--long", version=version)
        equal([(row["Name"], row["Host"]) for row in rows], [("web", "compute-1")], f"servers at {version}")
        equal(len(listed(bench, "hypervisor", "list", version=version)), 3, f"hypervisors at {version}")


@scenario("openstack: a member moves a server live and waits; the scheduler chooses", suite="clients")
def _(bench):
    guest = bench.guest("web")
    printed = works(bench, openstack("server", "migrate", "--live-migration", "--wait", "web", version="2.56"), MEMBER)
    check("Complete" in printed.out, f"it says so: {printed}")
    migration = bench.wait_for_migration(guest, "completed")
    bench.stands(guest, int(migration["dest_compute"][-1]))
    rows = listed(bench, "server", "migration", "list", "--server", guest.uuid, version="2.80")
    equal([(row["Status"], row["Type"], row["Source Compute"], row["Dest Compute"]) for row in rows],
          [("completed", "live-migration", "compute-1", migration["dest_compute"])], "its migrations")
    events = listed(bench, "server", "event", "list", "web", caller=MEMBER)
    equal([row["Action"] for row in events], ["live-migration"], "its events")
    shown = listed(bench, "server", "event", "show", "web", events[0]["Request ID"], version="2.84", caller=MEMBER)
    equal(shown["action"], "live-migration", "the event")
    check("compute_live_migration" in json.dumps(shown), f"its steps: {shown}")


@scenario("openstack: an admin names the host, with shared and with copied disks", suite="clients")
def _(bench):
    shared, private = bench.guest("on-shared"), bench.guest("on-private", disk="private")
    works(bench, openstack("server", "migrate", "--live-migration", "--host", "compute-2", "--shared-migration", "--wait",
                           shared.uuid, version="2.30"))
    bench.stands(shared, 2)
    works(bench, openstack("server", "migrate", "--live-migration", "--host", "compute-3", "--block-migration", "--wait",
                           private.uuid, version="2.90"))
    bench.stands(private, 3)
    works(bench, openstack("server", "migrate", "--host", "compute-1", "--wait", private.uuid, version="2.56"))
    works(bench, openstack("server", "migration", "confirm", private.uuid))
    bench.wait_for_migration(private, "confirmed")
    bench.stands(private, 1, boots=2)


@scenario("openstack: a cold migration waits for the user's word and is confirmed or reverted", suite="clients")
def _(bench):
    guest = bench.guest("web")
    works(bench, openstack("server", "migrate", "--wait", "web"), MEMBER)
    equal(listed(bench, "server", "show", "web", caller=MEMBER)["status"], "VERIFY_RESIZE", "status")
    works(bench, openstack("server", "migration", "confirm", "web"), MEMBER)
    first = bench.wait_for_migration(guest, "confirmed")
    bench.stands(guest, int(first["dest_compute"][-1]), boots=2)
    works(bench, openstack("server", "migrate", "--wait", "web"), MEMBER)
    guest.wait_for_boots(3)
    works(bench, openstack("server", "migration", "revert", "web"), MEMBER)
    bench.wait_for_migration(guest, "reverted")
    bench.stands(guest, int(first["dest_compute"][-1]), boots=4)


@scenario("openstack: a move under way is listed, shown with its bytes, and ended", suite="clients", settings=SLOW)
def _(bench):
    guest = slow_guest(bench, "web")
    works(bench, openstack("server", "migrate", "--live-migration", guest.uuid, version="2.56"))
    number = str(is_moving(bench, guest))
    rows = listed(bench, "server", "migration", "list", "--status", "running", version="2.80")
    equal([(row["Server UUID"], str(row["Id"])) for row in rows], [(guest.uuid, number)], "moves that run")
    bench.lab.wait(lambda: listed(bench, "server", "migration", "show", guest.uuid, number, version="2.80")
                   ["Memory Processed Bytes"], 20, "bytes are told")
    shown = listed(bench, "server", "migration", "show", guest.uuid, number, version="2.80")
    check(shown["Memory Total Bytes"] >= shown["Memory Processed Bytes"] > 0, f"its bytes: {shown}")
    works(bench, openstack("server", "migration", "abort", guest.uuid, number, version="2.24"))
    bench.wait_for_migration(guest, "cancelled")
    bench.stands(guest, 1)


@scenario("openstack: a move that would never end is forced to its end", suite="clients",
          settings={"libvirt": {"live_migration_bandwidth": 16}})
def _(bench):
    guest = bench.guest("web", 1, memory_mb=96, dirty_mb=64, pages_per_round=2000)
    works(bench, openstack("server", "migrate", "--live-migration", guest.uuid, version="2.56"))
    number = str(is_moving(bench, guest))
    works(bench, openstack("server", "migration", "force", "complete", guest.uuid, number, version="2.22"))
    migration = bench.wait_for_migration(guest, "completed", 90)
    bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("openstack: a service is disabled with a reason, forced down and taken back", suite="clients")
def _(bench):
    bench.guest("web")
    words = ["compute", "service", "set"]
    works(bench, openstack(*words, "--disable", "--disable-reason", "new memory", "compute-2", "nova-compute"))
    row = next(row for row in listed(bench, "compute", "service", "list", "--long") if row["Host"] == "compute-2")
    equal((row["Status"], row["Disabled Reason"]), ("disabled", "new memory"), "the service")
    works(bench, openstack(*words, "--enable", "compute-2", "nova-compute", version="2.53"))
    works(bench, openstack(*words, "--down", "compute-3", "nova-compute", version="2.11"))
    equal(bench.service_state(3), "down", "state of the service that was forced down")
    works(bench, openstack(*words, "--up", "compute-3", "nova-compute", version="2.53"))
    bench.lab.wait(lambda: bench.service_state(3) == "up", 10, "the service is up again")


@scenario("openstack: who may not is told so in words", suite="clients")
def _(bench):
    guest = bench.guest("web")
    live = openstack("server", "migrate", "--live-migration", guest.uuid, version="2.56")
    is_refused(bench, live, READER, "os_compute_api:os-migrate-server:migrate_live", "403")
    is_refused(bench, openstack("server", "migrate", "--live-migration", "--host", "compute-2", guest.uuid, version="2.56"),
               MEMBER, "os_compute_api:os-migrate-server:migrate_live:host", "403")
    is_refused(bench, openstack("hypervisor", "list"), MEMBER, "403")
    is_refused(bench, live, STRANGER, guest.uuid)
    is_refused(bench, openstack("server", "list"), BAD, "401")
    is_refused(bench, openstack("server", "migrate", "--host", "nowhere", guest.uuid, version="2.56"), ADMIN,
               "Compute host nowhere could not be found.")
    is_refused(bench, openstack("server", "migration", "confirm", guest.uuid), MEMBER, "vm_state active")
    bench.stands(guest, 1)
