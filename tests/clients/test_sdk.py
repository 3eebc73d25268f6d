"""openstacksdk, as Debian ships it: each scenario is a program of a user's."""

from bench import check, scenario
from commands import ADMIN, BAD, MEMBER, PYTHON, READER, STRANGER, run, works
from test_failure import slow_guest

# Debian's server_migrations() hands over a parameter that the SDK itself refuses, whatever the service: the resource is listed
# without it. server_actions() has no way around.
HEAD = """
import os, sys, time
import openstack
from openstack.compute.v2.server_migration import ServerMigration
def connect(version=None):
    return openstack.connection.Connection(auth_type="admin_token", compute_default_microversion=version,
        auth={"endpoint": os.environ["OS_ENDPOINT"], "token": os.environ["OS_TOKEN"]})
cloud = connect()
"""


def program(bench, lines, caller=ADMIN):
    return works(bench, [PYTHON, "-c", HEAD + lines], caller)


@scenario("sdk: a member moves a server live, waits for it, and finds it on another host", suite="clients")
def _(bench):
    guest = bench.guest("web")
    program(bench, """
server = cloud.compute.find_server("web")
assert cloud.compute.get_endpoint_data().max_microversion == (2, 104), "the newest microversion is found"
cloud.compute.live_migrate_server(server, host=None, force=False, block_migration="auto")
server = cloud.compute.wait_for_server(cloud.compute.get_server(server.id), status="ACTIVE", interval=1, wait=60)
assert not server.task_state
""", MEMBER)
    migration = bench.wait_for_migration(guest, "completed")
    bench.stands(guest, int(migration["dest_compute"][-1]))


@scenario("sdk: hosts, services, servers and migrations are listed at the default and the newest microversion",
          suite="clients")
def _(bench):
    guest = bench.guest("web")
    bench.live(guest)
    bench.wait_for_migration(guest, "completed")
    program(bench, """
for version in (None, "2.53", "2.90", "2.104"):
    cloud = connect(version)
    assert sorted(host.name for host in cloud.compute.hypervisors(details=True)) == ["compute-1", "compute-2", "compute-3"]
    assert {row.state for row in cloud.compute.services()} == {"up"}
    assert [server.name for server in cloud.compute.servers(all_projects=True)] == ["web"]
    server = next(iter(cloud.compute.servers(all_projects=True)))
    moves = [move for move in cloud.compute.migrations() if move.server_id == server.id]
    assert [(move.status, move.source_compute) for move in moves] == [("completed", "compute-1")], moves
    assert [flavor.name for flavor in cloud.compute.flavors()] == ["lab.64"]
""")


@scenario("sdk: a cold migration is confirmed, and another one reverted", suite="clients")
def _(bench):
    guest = bench.guest("web")
    for boots, answer in ((2, "confirm"), (3, "revert")):
        program(bench, """
server = cloud.compute.find_server("web")
cloud.compute.migrate_server(server)
cloud.compute.wait_for_server(cloud.compute.get_server(server.id), status="VERIFY_RESIZE", interval=1, wait=60)
""", MEMBER)
        guest.wait_for_boots(boots)
        program(bench, f"""
server = cloud.compute.find_server("web")
cloud.compute.{answer}_server_resize(server)
cloud.compute.wait_for_server(cloud.compute.get_server(server.id), interval=1, wait=60)
""", MEMBER)
    bench.wait_for_migration(guest, "reverted")
    first = min(bench.migrations(guest), key=lambda row: row["id"])
    bench.stands(guest, int(first["dest_compute"][-1]), boots=4)


@scenario("sdk: a move under way is listed with its bytes, and ended", suite="clients",
          settings={"libvirt": {"live_migration_bandwidth": 1}})
def _(bench):
    guest = slow_guest(bench, "web")
    program(bench, """
cloud = connect("2.80")
server = next(iter(cloud.compute.servers(all_projects=True)))
cloud.compute.live_migrate_server(server, host=None, block_migration="auto")
for _ in range(60):
    moves = list(ServerMigration.list(cloud.compute, server_uuid=server.id))
    if moves and moves[0].status == "running" and moves[0].memory_processed_bytes:
        break
    time.sleep(0.5)
assert moves[0].memory_total_bytes >= moves[0].memory_processed_bytes > 0, moves
cloud.compute.abort_server_migration(moves[0].id, server)
""")
    bench.wait_for_migration(guest, "cancelled")
    bench.stands(guest, 1)


@scenario("sdk: a refusal is an exception with the status and the service's words", suite="clients")
def _(bench):
    guest = bench.guest("web")
    for caller, status, words in ((READER, 403, "migrate_live"), (STRANGER, 404, guest.uuid), (BAD, 401, "authentication")):
        printed = run(bench, [PYTHON, "-c", HEAD + f"""
try:
    cloud.compute.live_migrate_server("{guest.uuid}", block_migration="auto")
except openstack.exceptions.HttpException as refusal:
    print(refusal.status_code, refusal)
    sys.exit(7)
"""], caller)
        check(printed.status == 7 and printed.out.startswith(f"{status} ") and words in printed.out
              and "None" not in printed.out, f"{caller}: {printed}")
    bench.stands(guest, 1)
