"""What brings a server into a state from which it can be moved, or back: start, stop, pause, suspend, reboot, lock."""

from bench import check, equal, scenario


def acts(bench, guest, action, status, value=None, **rest):
    """The action is done, and booked as its one event."""
    answer = bench.act(guest, action, value, **{"api": bench.member, **rest})
    bench.wait_for_status(guest, status, 60)
    newest = bench.actions(guest)[0]
    equal(newest["request_id"], answer.request_id, "the newest action")
    equal([(event["result"], event["host"]) for event in newest["events"]], [("Success", bench.host_of(guest))],
          f"events of {action}")
    equal(newest["message"], None, "message of the action")


@scenario("a paused guest stands still, and counts on from there when it is unpaused")
def _(bench):
    guest = bench.guest("pause")
    acts(bench, guest, "pause", "PAUSED")
    equal(bench.lab.places(guest), {"compute-1": "paused"}, "what libvirt says")
    count = guest.count()
    acts(bench, guest, "unpause", "ACTIVE")
    guest.wait_for_count(count + 3)
    bench.stands(guest, 1)


@scenario("a suspended guest takes no memory, cannot be moved, and counts on from there when it is resumed")
def _(bench):
    guest = bench.guest("suspend")
    guest.wait_for_count(3)
    acts(bench, guest, "suspend", "SUSPENDED")
    equal(bench.lab.qemus(guest), [], "QEMU processes")
    for action in ("os-migrateLive", "migrate"):
        value = {"host": None, "block_migration": "auto"} if action == "os-migrateLive" else None
        answer = bench.act(guest, action, value, expect=409)
        equal(answer.message, f"Cannot '{action}' instance {guest.uuid} while it is in vm_state suspended", "the refusal")
    acts(bench, guest, "resume", "ACTIVE")
    bench.stands(guest, 1)


@scenario("a stopped guest migrates cold, is started where it came to, and stopped again")
def _(bench):
    guest = bench.guest("stop")
    acts(bench, guest, "os-stop", "SHUTOFF")
    bench.act(guest, "migrate", api=bench.member)
    bench.wait_for_status(guest, "VERIFY_RESIZE")
    bench.act(guest, "confirmResize", expect=204)
    migration = bench.wait_for_migration(guest, "confirmed")
    target = int(migration["dest_compute"][-1])
    bench.stands(guest, target, "stopped")
    acts(bench, guest, "os-start", "ACTIVE")
    bench.stands(guest, target, boots=2)
    acts(bench, guest, "os-stop", "SHUTOFF")
    bench.stands(guest, target, "stopped", boots=2)


@scenario("a soft reboot boots the guest again, and a hard one whatever state it is in", both_ways=True)
def _(bench):
    guest = bench.guest("reboot")
    acts(bench, guest, "reboot", "ACTIVE", {"type": "SOFT"})
    bench.stands(guest, 1, boots=2)
    acts(bench, guest, "reboot", "ACTIVE", {"type": "HARD"})
    bench.stands(guest, 1, boots=3)
    acts(bench, guest, "suspend", "SUSPENDED")
    answer = bench.act(guest, "reboot", {"type": "SOFT"}, expect=409)
    equal(answer.message, f"Cannot 'reboot' instance {guest.uuid} while it is in vm_state suspended", "the refusal")
    acts(bench, guest, "reboot", "ACTIVE", {"type": "HARD"})
    bench.stands(guest, 1, boots=4)


@scenario("a locked server is moved by admins alone, until it is unlocked")
def _(bench):
    guest = bench.guest("lock")
    bench.act(guest, "lock", {"locked_reason": "do not touch"}, version="2.73", api=bench.member)
    server = bench.server(guest)
    equal((server["locked"], server["locked_reason"]), (True, "do not touch"), "the lock")
    for action in ("os-stop", "pause", "migrate"):
        equal(bench.act(guest, action, api=bench.member, expect=409).message, f"Instance {guest.uuid} is locked", action)
    bench.live(guest)
    migration = bench.wait_for_migration(guest, "completed")
    bench.act(guest, "unlock", api=bench.member)
    check(not bench.server(guest)["locked"], "it is unlocked")
    bench.act(guest, "lock")  # an admin's lock
    answer = bench.act(guest, "unlock", api=bench.member, expect=403)
    check("unlock_override" in answer.message, f"who may not unlock: {answer.message}")
    bench.act(guest, "unlock")
    bench.stands(guest, int(migration["dest_compute"][-1]))


def killed_in(kind, phase, action, value, status, boots, state="running"):
    @scenario(f"the daemon is killed in phase {phase} of a {kind.replace('_', ' ')}: it is done, and once",
              settings={"shutdown_timeout": 2})
    def _(bench):
        guest = bench.guest(f"kill-{kind}", dirty_mb=48)
        guest.wait_for_count(3)
        bench.act(guest, action, value)
        bench.daemon.watch_jobs(lambda of_kind, at: of_kind == kind and at == phase)
        bench.daemon.kill()
        bench.daemon.start()
        bench.wait_for_status(guest, status, 60)
        equal(bench.actions(guest)[0]["message"], None, "message of the action")
        if state == "suspended":
            equal(bench.lab.qemus(guest), [], "QEMU processes")
            bench.act(guest, "resume")
            bench.wait_for_status(guest, "ACTIVE")
        bench.stands(guest, 1, "running" if state == "suspended" else state, boots)


killed_in("stop", "acting", "os-stop", None, "SHUTOFF", 1, "stopped")
killed_in("suspend", "acting", "suspend", None, "SUSPENDED", 1, "suspended")
killed_in("reboot_soft", "stopping", "reboot", {"type": "SOFT"}, "ACTIVE", 2)
killed_in("reboot_hard", "starting", "reboot", {"type": "HARD"}, "ACTIVE", 2)


@scenario("a guest is stopped on a host that does not answer: the request waits, and is done when the host is back",
          settings={"worker": {"retry_interval": 1}})
def _(bench):
    guest = bench.guest("stop-later")
    bench.hosts[0].kill()
    bench.lab.wait(lambda: bench.service_state(1) == "down", 30, "the host is down")
    bench.act(guest, "os-stop")
    server = bench.server(guest)
    equal((server["status"], server["OS-EXT-STS:task_state"]), ("ACTIVE", "powering-off"), "the server meanwhile")
    bench.hosts[0].start()
    bench.hosts[0].wait_until_up()
    bench.wait_for_status(guest, "SHUTOFF", 60)
    bench.stands(guest, 1, "stopped")
