"""live_migration_interface: the operator names a NIC, and live migrations go over it and over nothing else."""

from pathlib import Path

from bench import check, scenario

MIB = 1024 * 1024


def deployment(nic, **overrides):
    """As an operator of MOSK has it."""
    nodes = "".join(f"    {label}:\n      features:\n        nova:\n          live_migration_interface: {name}\n"
                    for label, name in overrides.get("nodes", {}).items())
    return ("apiVersion: lcm.mirantis.com/v1alpha1\nkind: OpenStackDeployment\nmetadata:\n  name: osh-dev\nspec:\n"
            f"  features:\n    neutron:\n      tunnel_interface: migrate\n    nova:\n      live_migration_interface: {nic}\n"
            + (f"  nodes:\n{nodes}" if nodes else ""))


def sent(port):
    """Bytes that went to a host's NIC, by the counter of its other end; /sys would tell of another namespace."""
    rows = Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines()
    return next(int(row.split(":")[1].split()[8]) for row in rows if row.strip().startswith(f"{port}:"))


def bytes_of_a_move(bench, guest, target):
    """What a live migration sent to the target over each of its two NICs."""
    before = {nic: sent(f"{nic}{target}") for nic in ("manage", "migrate")}
    bench.live(guest, host=f"compute-{target}")
    bench.wait_for_migration(guest, "completed")
    bench.stands(guest, target)
    return {nic: sent(f"{nic}{target}") - before[nic] for nic in before}


@scenario("live_migration_interface: memory and copied disks go over the NIC that is named, by its byte counters (namespaces)",
          suite="network", settings={"nics": ("manage", "migrate"), "deployment": deployment("migrate")})
def _(bench):
    for guest in (bench.guest("by-name", dirty_mb=40), bench.guest("private-over-nic", dirty_mb=40, disk="private")):
        over = bytes_of_a_move(bench, guest, 2)
        check(over["migrate"] > 40 * MIB and over["manage"] < 4 * MIB, f"bytes over each NIC: {over}")


@scenario("live_migration_interface: another NIC that is named carries it instead, and a label's NIC its hosts' (namespaces)",
          suite="network", settings={"nics": ("manage", "migrate"),
                                     "deployment": deployment("manage", nodes={"kubernetes.io/hostname::compute-3": "migrate"})})
def _(bench):
    guest = bench.guest("by-another", dirty_mb=40)
    over = bytes_of_a_move(bench, guest, 2)
    check(over["manage"] > 40 * MIB and over["migrate"] < MIB, f"bytes over each NIC of compute-2: {over}")
    over = bytes_of_a_move(bench, guest, 3)
    check(over["migrate"] > 40 * MIB and over["manage"] < 4 * MIB, f"bytes over each NIC of compute-3: {over}")


@scenario("vhost0 stands for Neutron's tunnel interface where a host has no such NIC (namespaces)", suite="network",
          settings={"nics": ("manage", "migrate"), "deployment": deployment("vhost0")})
def _(bench):
    guest = bench.guest("by-vhost0", dirty_mb=40)
    over = bytes_of_a_move(bench, guest, 2)
    check(over["migrate"] > 40 * MIB and over["manage"] < 4 * MIB, f"bytes over each NIC: {over}")


@scenario("a host without the NIC that is named takes no live migration, and the answer says so",
          settings={"nics": ("manage", "migrate"), "nics_missing": [2, 3], "deployment": deployment("migrate")})
def _(bench):
    guest = bench.guest("no-such-nic", 3)
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "error")
    said = str(bench.why(guest))
    check("compute-2: MigrationAddressFilter: no address for migrations (no NIC migrate for live migrations; it has " in said,
          f"the reason names NIC and host: {said}")
    bench.stands(guest, 3)
    bench.live(guest)  # the scheduler's choice: only compute-1 has the NIC
    bench.wait_for_migration(guest, "completed")
    bench.stands(guest, 1)
    bench.live(guest, host="compute-2", version="2.30", expect=400)  # a client that waits for the verdict
    bench.act(guest, "os-migrateLive", {"host": "compute-2", "block_migration": "auto", "force": True}, version="2.40")
    bench.wait_for_migration(guest, {"error", "failed"})
    said = str(bench.why(guest))
    check("host compute-2: no NIC migrate for live migrations" in said, f"a host that is forced is refused, too: {said}")
    bench.stands(guest, 1)
