"""A host is named, by each range of microversions: who may, what is checked, what is forced."""

from bench import check, equal, scenario

# Microversions between which nothing changes, and the bodies of os-migrateLive that name a host there.
RANGES = {
    "2.1 to 2.24": [("2.1", {"block_migration": False, "disk_over_commit": False}),
                    ("2.24", {"block_migration": False, "disk_over_commit": True})],
    "2.25 to 2.29": [("2.25", {"block_migration": "auto"}), ("2.29", {"block_migration": "auto"})],
    "2.30 to 2.33": [("2.30", {"block_migration": "auto"}), ("2.30", {"block_migration": "auto", "force": True})],
    "2.34 to 2.67": [("2.34", {"block_migration": "auto", "force": False}), ("2.67", {"block_migration": "auto"}),
                     ("2.67", {"block_migration": "auto", "force": True})],
    "2.68 to 2.104": [("2.68", {"block_migration": "auto"}), ("2.104", {"block_migration": "auto"})],
}


def named(versions, wishes):
    """One scenario for a range: the member is refused, the admin's guest goes where it was told."""
    @scenario(f"an admin names the host of a live migration at {versions}, a member may not")
    def _(bench):
        guest = bench.guest("named")
        # Of the two hosts to choose from it is always the worse one that is named: only its name can have led there.
        bench.fill(2, 400)
        bench.fill(3, 300)
        moves = 0
        for version, wish in wishes:
            target = 2 if bench.host_of(guest) == "compute-3" else 3
            body = {"host": f"compute-{target}", **wish}
            answer = bench.act(guest, "os-migrateLive", body, version, api=bench.member, expect=403)
            equal(answer.message,
                  "Policy doesn't allow os_compute_api:os-migrate-server:migrate_live:host to be performed.", "words")
            equal(len(bench.migrations(guest)), moves, "migrations after a refusal")
            bench.act(guest, "os-migrateLive", body, version)
            migration = bench.wait_for_migration(guest, "completed")
            equal(migration["dest_compute"], f"compute-{target}", "where it went")
            bench.stands(guest, target)
            moves += 1


for _versions, _wishes in RANGES.items():
    named(_versions, _wishes)


@scenario("an admin names the host of a cold migration at 2.56, a member may not")
def _(bench):
    guest = bench.guest("named-cold")
    bench.fill(3, 400)
    answer = bench.act(guest, "migrate", {"host": "compute-3"}, "2.56", api=bench.member, expect=403)
    equal(answer.message, "Policy doesn't allow os_compute_api:os-migrate-server:migrate:host to be performed.", "words")
    bench.act(guest, "migrate", {"host": "compute-3"}, "2.56")
    equal(bench.wait_for_migration(guest, "finished")["dest_compute"], "compute-3", "where it went")
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    bench.act(guest, "confirmResize", expect=204)
    bench.wait_for_migration(guest, "confirmed")
    bench.stands(guest, 3, boots=2)


@scenario("below 2.56 a cold migration takes no host: the word is ignored")
def _(bench):
    guest = bench.guest("unnamed-cold", state="stopped")
    bench.fill(3, 400)
    bench.act(guest, "migrate", {"host": "compute-3"}, "2.55")
    equal(bench.wait_for_migration(guest, "finished")["dest_compute"], "compute-2", "where it went")
    bench.act(guest, "revertResize")
    bench.wait_for_migration(guest, "reverted")


@scenario("force is refused from 2.68 on, and without a host; nothing moves")
def _(bench):
    guest = bench.guest("force-refused")
    bench.act(guest, "os-migrateLive", {"host": "compute-2", "block_migration": "auto", "force": True}, "2.68", expect=400)
    answer = bench.act(guest, "os-migrateLive", {"host": None, "block_migration": "auto", "force": True}, "2.30",
                       expect=400)
    check("Can't force to a non-provided destination" in answer.message, f"words of the refusal: {answer.message}")
    equal(bench.migrations(guest), [], "migrations")
    bench.stands(guest, 1)


@scenario("an unknown host and the host where it stands are refused in Nova's words")
def _(bench):
    guest = bench.guest("wrong-host")
    wish = {"block_migration": "auto"}
    for version in ("2.25", "2.30", "2.68", "2.104"):
        answer = bench.act(guest, "os-migrateLive", {"host": "nowhere", **wish}, version, expect=400)
        equal(answer.message, "Compute host nowhere could not be found.", f"words at {version}")
    equal(bench.migrations(guest), [], "migrations")
    answer = bench.act(guest, "os-migrateLive", {"host": "compute-1", **wish}, "2.25", expect=400)
    equal(answer.message, f"Unable to migrate instance ({guest.uuid}) to current host (compute-1).", "words at 2.25")
    answer = bench.act(guest, "os-migrateLive", {"host": "compute-1", **wish}, "2.30", expect=400)
    check(answer.message.startswith("No valid host was found."), f"words at 2.30: {answer.message}")
    bench.act(guest, "os-migrateLive", {"host": "compute-1", **wish}, "2.68")
    bench.wait_for_migration(guest, "error")
    answer = bench.act(guest, "migrate", {"host": "compute-1"}, "2.56", expect=400)
    equal(answer.message, "Cannot migrate to the host where the server exists.", "words of migrate")
    bench.stands(guest, 1)


@scenario("a disabled host is refused by the scheduler and taken by force")
def _(bench):
    guest = bench.guest("disabled-host")
    bench.set_service(2, status="disabled")
    try:
        wish = {"host": "compute-2", "block_migration": "auto"}
        answer = bench.act(guest, "os-migrateLive", wish, "2.30", expect=400)
        check(answer.message.startswith("No valid host was found."), f"words: {answer.message}")
        bench.act(guest, "os-migrateLive", wish, "2.68")
        bench.wait_for_migration(guest, "error")
        bench.stands(guest, 1)
        bench.act(guest, "os-migrateLive", {**wish, "force": True}, "2.67")
        bench.wait_for_migration(guest, "completed")
        bench.stands(guest, 2)
    finally:
        bench.set_service(2, status="enabled")


@scenario("a full host is refused also by force, before anything is begun")
def _(bench):
    guest = bench.guest("full-host")
    bench.fill(2, 10)
    wish = {"host": "compute-2", "block_migration": "auto"}
    bench.act(guest, "os-migrateLive", {**wish, "force": True}, "2.30", expect=400)
    bench.act(guest, "os-migrateLive", wish, "2.30", expect=400)
    bench.stands(guest, 1)
