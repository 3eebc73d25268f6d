"""What stands between the recorded steps of a flow: gates, failures of the fleet, acts that the recording does not show.

A plan's `before` are orders over the control socket by the step that they come before; `between` are those by the place of a
step's document before which they come; `at` names the gate at which the move stands while a step's documents are read
(elsewhere everything has come to rest). An order is a dict of one word, or a function that gets the flow.
"""

import json

EVERY = {"host1", "host2", "host3"}


def close(*gates):
    return [{"close_gate": gate} for gate in gates]


def open_(*gates):
    return [{"open_gate": gate} for gate in gates]


def script(outcome, *hosts, words):
    return [{"script": {"host": host, "outcome": outcome, "count": 9, "words": words}} for host in hosts]


class Plan:
    def __init__(self, before=None, at=None, between=None):
        self.before, self.at, self.between = before or {}, at or {}, between or {}


def live_ok(flow):
    return Plan({"migrate": close("pre_live", "live", "post_dest"), "running": open_("pre_live"), "post": open_("live"),
                 "completed": open_("post_dest")},
                {"preparing": "pre_live", "running": "live", "post": "post_dest"})


def held_in_copy(flow):
    return Plan({"migrate": close("live"), "completed": open_("live"), "after": open_("live")}, {"running": "live"})


def abort_running(flow):
    # An abort that was taken ends the copy by itself.
    is_taken = any(step["name"] == "abort" and step["response"]["status"] == 202 for step in flow["steps"])
    return Plan({"migrate": close("live"), "after": [] if is_taken else open_("live")}, {"running": "live"})


def words_for(flow):
    """Why the flow's failing step fails: the words of its script, or those of the simulated fleet for an aborted copy."""
    if flow["scenario"] == "live_precheck":
        sort = {"storage": "local", "shared": "shared"}.get(flow["what"].rpartition(" ")[2])
        return f"host2 is not on {sort} storage: the check said no" if sort else "the check said no"
    if flow["scenario"] == "abort_running":
        target = next(host for host in recorded_values(flow, "dest_compute") if host)
        return f"the copy of server {{server}} to host {target} was aborted (simulated)"
    return "the destination said no" if flow["scenario"] == "live_pre_fail" else "the copy broke"


def refusing_hosts(flow):
    """The words of each host whose check refuses."""
    if flow["scenario"] != "live_precheck":
        return {}
    is_one = "on one host" in flow["what"] or "target given" in flow["what"]
    return dict.fromkeys(["host2"] if is_one else ["host2", "host3"], words_for(flow))


def live_precheck(flow):
    refusing = refusing_hosts(flow)
    outcome = "check_refuses_storage" if "storage" in words_for(flow) else "check_refuses"
    return Plan({"migrate": script(outcome, *refusing, words=words_for(flow))})


def live_pre_fail(flow):
    return Plan({"migrate": script("prepare_fails", "host2", "host3", words=words_for(flow))})


def live_fail_during(flow):
    outcome = "copy_raises" if flow["what"].endswith("raises") else "copy_fails"
    return Plan({"migrate": close("live"), "after": script(outcome, "host2", "host3", words=words_for(flow)) + open_("live")}, {"running": "live"})


def abort_preparing(flow):
    return Plan({"migrate": close("pre_live"), "after": open_("pre_live")},
                {"preparing": "pre_live", "after_abort": "pre_live"})


def abort_queued(flow):
    is_taken = any(step["name"] == "after_abort" for step in flow["steps"])
    return Plan({"migrate": close("live") + [lambda run: run.move_first_server()], "after": open_("live"),
                 "after_abort": [lambda run: run.wait_for_status("cancelled")] if is_taken else [],
                 "queued": [lambda run: run.wait_for_status("queued")]},
                {"queued": "live", "after_abort": "live"})


def cold(flow):
    """The gates of a cold migration are closed only in flows that look in between."""
    names = [step["name"] for step in flow["steps"]]
    is_stopped = flow["start"]["vm_state"] == "stopped"
    # A guest that was off is not started: its revert is looked at before it is defined.
    reverting = "define" if is_stopped else "finish"
    before = {"confirm": close("confirm"), "confirmed": open_("confirm"),
              "revert": close(reverting), "reverted": open_(reverting)}
    if "migrating" in names:
        before |= {"migrate": close("disk", "finish"), "finishing": open_("disk"), "verify": open_("finish")}
    if "confirming" not in names:
        before.pop("confirm")
    return Plan(before, {"migrating": "disk", "finishing": "finish", "confirming": "confirm", "reverting": reverting})


def cold_fail(flow):
    # The source is lost too, so that the server cannot be brought back.
    words = words_for(flow)
    if flow["what"].endswith("disk"):
        return Plan({"migrate": script("copy_fails", "host2", "host3", words=words)
                     + script("start_fails", "host1", words=words)})
    return Plan({"migrate": script("start_fails", *sorted(EVERY), words=words)})


def first_document(flow, step, has):
    """The place of the first document of that step of which that is true; None: of none."""
    documents = next(one["documents"] for one in flow["steps"] if one["name"] == step)
    return next((place for place, document in enumerate(documents) if has(document["body"])), None)


def verify_source_down(flow):
    # A recorded revert went on by itself while its documents were read.
    finishing = first_document(flow, "after", lambda body: "compute_finish_revert_resize" in json.dumps(body))
    ended = first_document(flow, "after", lambda body: body.get("server", {}).get("status") == "ACTIVE")
    between = {}
    if finishing is not None:
        between["after", finishing] = open_("confirm") + [{"wait_at_gate": "finish"}]
    if ended is not None:
        between["after", ended] = open_("finish") + [{"wait_idle": {}}]
    return Plan({"confirm": [lambda run: run.force_down("host1", True)], "revert": close("confirm", "finish"),
                 "revert_up": open_("confirm", "finish") + [{"wait_idle": {}}, lambda run: run.force_down("host1", False)]},
                {"after": "confirm"}, between)


PLANS = {"live_ok": live_ok, "live_host": held_in_copy, "live_paused": held_in_copy, "force_complete": held_in_copy,
         "abort_running": abort_running, "live_precheck": live_precheck, "live_pre_fail": live_pre_fail,
         "live_fail_during": live_fail_during, "abort_preparing": abort_preparing, "abort_queued": abort_queued,
         "cold_confirm": cold, "cold_revert": cold, "cold_fail": cold_fail, "verify_source_down": verify_source_down}


def plan_for(flow):
    return PLANS.get(flow["scenario"], lambda _: Plan())(flow)


def recorded_values(flow, key):
    """Every value that the recorded documents have under that key, anywhere."""
    def walk(document):
        if isinstance(document, dict):
            for name, value in document.items():
                if name == key:
                    yield value
                yield from walk(value)
        elif isinstance(document, list):
            for entry in document:
                yield from walk(entry)
    return [value for step in flow["steps"] for document in step.get("documents", []) for value in walk(document["body"])]


def chosen_host(flow):
    """The host that the recorded scheduler took first of equal ones; None: none, or it was named."""
    if flow["scenario"] == "services":
        return None
    if "on one host" in flow["what"]:
        return "host2"
    if flow["scenario"] == "abort_queued":  # the first server takes the other one
        return {"host2": "host3", "host3": "host2"}[recorded_values(flow, "dest_compute")[0]]
    return next((host for host in recorded_values(flow, "dest_compute") if host), None)
