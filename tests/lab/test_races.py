"""Requests that come at the same time."""

from concurrent.futures import ThreadPoolExecutor

from bench import check, equal, scenario


def both(calls):
    """Makes the calls at once, each in a thread of its own; gives their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def one_gets_the_room(bench, act, ended, good):
    guests = [bench.guest(f"last-{number}", 1) for number in (1, 2)]
    bench.fill(2, 100)
    bench.fill(3, 10)
    both([lambda guest=guest: act(guest) for guest in guests])
    found = [bench.wait_for_migration(guest, ended) for guest in guests]
    equal(sorted(row["status"] for row in found), sorted([good, "error"]),
          f"how the two ended ({[bench.why(guest) for guest in guests]})")
    winner, loser = guests if found[0]["status"] == good else reversed(guests)
    equal(bench.migration(winner)["dest_compute"], "compute-2", "where the one went")
    why = str(bench.why(loser))
    check("No valid host was found." in why, f"the other is told why: {why}")
    return winner, loser


@scenario("two live migrations ask at once for the last free memory: one gets it")
def _(bench):
    winner, loser = one_gets_the_room(bench, bench.live, {"completed", "error"}, "completed")
    bench.stands(winner, 2)
    bench.stands(loser, 1)


@scenario("two cold migrations ask at once for the last free memory: one gets it")
def _(bench):
    winner, loser = one_gets_the_room(bench, lambda guest: bench.act(guest, "migrate"), {"finished", "error"}, "finished")
    bench.stands(loser, 1)
    bench.wait_for_status(winner, "VERIFY_RESIZE")
    bench.act(winner, "confirmResize", expect=204)
    bench.wait_for_migration(winner, "confirmed")
    bench.stands(winner, 2, boots=2)


@scenario("of ten requests for the same guest at once one is accepted, the others are conflicts")
def _(bench):
    guest = bench.guest("asked-ten-times")
    answers = both([lambda: bench.admin.act(guest.uuid, "os-migrateLive", {"host": None, "block_migration": "auto"})
                    for _ in range(10)])
    equal(sorted(answer.status for answer in answers), [202] + [409] * 9, "statuses")
    bench.wait_for_migration(guest, "completed")
    equal(len(bench.migrations(guest)), 1, "migrations")
    bench.stands(guest, int(bench.host_of(guest)[-1]))


@scenario("while a guest moves every other wish for it is a conflict",
          settings={"libvirt": {"live_migration_bandwidth": 8}})
def _(bench):
    guest = bench.guest("busy-moving", dirty_mb=48)
    bench.live(guest)
    bench.wait_for_migration(guest, "running")
    for action in ("migrate", "os-migrateLive", "confirmResize", "revertResize"):
        value = {"host": None, "block_migration": "auto"} if action == "os-migrateLive" else None
        bench.act(guest, action, value, expect=409)
    bench.wait_for_migration(guest, "completed")
    bench.stands(guest, int(bench.host_of(guest)[-1]))
