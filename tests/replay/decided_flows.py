"""What is decided about the documents that are read while a recorded move goes on, in the same way as decided.py: which field, in
which scenario and at which stage of the recorded move, and the exact form that stands there instead.
"""

import json
import re

import decided
import flow_plans
from decided import NO_HOST, NOT_ENOUGH, Scene, requested_host
from forms import Decided, Matching, OneOf

NO_HOST_COLD = f"{NO_HOST} No valid host found for cold migrate"
LIVE, CHECK = "compute_live_migration", "compute_check_can_live_migrate_destination"
PREPARE, POST = "compute_pre_live_migration", "compute_post_live_migration_at_destination"
CHOICES = ("conductor_live_migrate_instance", "conductor_migrate_server", "cold_migrate")
COLD_STEPS = ("compute_resize_instance", "compute_finish_resize")
UNDER_WAY = ("preparing", "running")


def scene_of(flow, caller, guests):
    """As things are when a choice is made: the services' flow takes host2 down before it asks for it."""
    states = {**dict.fromkeys(("host1", "host2", "host3"), "up"), **flow["start"]["hosts"]}
    if flow["scenario"] == "services":
        states["host2"] = "down"
    return Scene(states, flow["start"]["host"], flow_plans.refusing_hosts(flow), sees_hosts=caller == "admin", guests=guests)


def asking_step(flow, request_id):
    """The step whose request has that name, `{req_1}`."""
    return next((step for step in flow["steps"] if "response" in step
                 and step["response"]["headers"].get("x-compute-request-id") == request_id), None)


def migration_status(step):
    """What the recorded step says of the newest move; None: nothing."""
    for document in step["documents"]:
        rows = document["body"].get("migrations") if "/os-migrations" in document["path"] else None
        if rows:
            return max(rows, key=decided.row_number)["status"]
    return None


def is_server_reverting(step):
    return any(document["body"].get("server", {}).get("status") == "REVERT_RESIZE" for document in step["documents"])


class Stage:
    """A step of a flow: what has happened by then, as the recording and the flow's scenario tell it."""

    def __init__(self, flow, step):
        self.flow, self.step = flow, step
        self.scenario, self.what = flow["scenario"], flow["what"]
        self.status = migration_status(step)
        self.words = flow_plans.words_for(flow)
        self.is_post = step["name"] == "post"
        self.raises = self.scenario == "live_fail_during" and self.what.endswith("raises") and step["name"] == "after"

    @property
    def is_copy_lost(self):
        """compute_live_migration has failed, and Nova says Success."""
        return (self.scenario in ("live_fail_during", "live_pre_fail") and self.status in ("failed", "error")
                or self.scenario == "abort_running" and self.status == "cancelled")

    @property
    def is_action_lost(self):
        """The action has failed, and Nova's message is null."""
        return self.scenario == "live_fail_during" and self.is_copy_lost

    @property
    def is_tried_again(self):
        """One host's check refused, the next host was asked: Nova leaves one of the two events open."""
        return self.scenario == "live_precheck" and bool(re.search("one host|: (cpu|precheck)$", self.what))

    @property
    def is_second_good(self):
        return self.is_tried_again and "one host" in self.what

    @property
    def is_never_begun(self):
        """The copy is still queued, or was taken out of the queue."""
        return self.scenario == "abort_queued" and self.status in ("queued", "cancelled")


def decided_value(name, recorded, wanted):
    """The recorded value itself where nothing else is decided."""
    return recorded if recorded == wanted else Decided(name, recorded, wanted)


def failed(stage, event, words):
    """A step that failed: its result, and in the fields that the reader sees our own chain."""
    changes = {"result": decided_value("event-truth", event["result"], "Error")}
    if "traceback" in event:
        changes["traceback"] = Decided("tracebacks", event["traceback"], words)
    if "details" in event:
        changes["details"] = decided_value("reasons" if words.startswith(NO_HOST) else "event-truth", event["details"], words)
    return {**event, **changes}


def closed(event, result):
    return {**event, "finish_time": Decided("event-truth", None, "{time}"), "result": Decided("event-truth", None, result)}


def choice_reason(stage, event, asked, scene):
    """Why no target was chosen, for admins."""
    recorded = event.get("details")
    told = asked["response"].get("body") or {}
    told = next(iter(told.values()))["message"] if told else None
    recorded = recorded or told or unrecorded_reason(stage, asked)
    if recorded.startswith(NO_HOST):
        return scene.refusal(recorded, requested_host(asked["request"]))
    return recorded


def unrecorded_reason(stage, asked):
    """Of an answer that came before the choice, in versions whose events have no details."""
    body = json.loads(asked["request"]["body"])
    action = next(iter(body.values())) or {}
    if stage.scenario == "source_down":
        return f"Compute service of {stage.flow['start']['host']} is unavailable at this time."
    if "migrate" in body:
        return NO_HOST_COLD
    if not action.get("force"):
        return NOT_ENOUGH
    if stage.scenario == "live_precheck":
        return f"Migration pre-check error: {stage.words}"
    return f"Compute service of {action['host']} is unavailable at this time."


def target_of(events):
    return next((event["host"] for event in events if event["event"] in (CHECK, "compute_prep_resize")), None)


def choice_details(asked, target):
    if requested_host(asked["request"]):
        return f"{target}, the requested host"
    return Matching(rf"{target}, weight \d+ \((\w+ \d+, )*\w+ \d+\), one of 2 that fit")


def choice_event(stage, event, events, asked, scene):
    if event["result"] == "Error":
        return failed(stage, event, choice_reason(stage, event, asked, scene))
    # A cold migration tells it in cold_migrate alone, which is within conductor_migrate_server.
    if "details" in event and (event["event"] != "conductor_migrate_server" or "os-migrateLive" in asked["request"]["body"]):
        return {**event, "details": Decided("event-truth", event["details"], choice_details(asked, target_of(events)))}
    return event


def copy_event(stage, event):
    if stage.is_copy_lost:
        return failed(stage, event, stage.words)
    if stage.status in UNDER_WAY:
        still_open = {**event, "finish_time": None, "result": None}
        # At the hand-over the copy itself has ended: then it may be closed too.
        return Decided("event-truth", event, still_open, *([event] if stage.is_post else []))
    return event


def post_event(event):
    if event["result"] == "Success" and "details" in event:
        words = Matching(rf"moved to {event['host']}; the guest stood still for \d+ ms")
        return {**event, "details": Decided("event-truth", event["details"], words)}
    return event


def check_event(stage, event, is_newer):
    if not stage.is_tried_again:
        return failed(stage, event, stage.words) if event["result"] == "Error" else event
    if is_newer and stage.is_second_good:
        return closed(event, "Success")
    if is_newer:
        event = closed(event, "Error")
        return {**failed(stage, {**event, "result": "Error"}, stage.words), "result": event["result"]}
    return failed(stage, event, stage.words)


def decided_events(stage, events, asked, scene):
    checks = [place for place, event in enumerate(events) if event["event"] == CHECK]
    forms = []
    for place, event in enumerate(events):
        name = event["event"]
        if name in CHOICES:
            event = choice_event(stage, event, events, asked, scene)
        elif name == LIVE:
            event = copy_event(stage, event)
        elif name == POST:
            event = post_event(event)
        elif name == CHECK:
            event = check_event(stage, event, place == checks[0] and len(checks) > 1)
        elif name in (PREPARE, *COLD_STEPS) and event["result"] == "Error":
            event = failed(stage, event, stage.words)
        forms.append(event)
    return forms


def event_list(stage, events, asked, scene):
    """The events of an action, newest first."""
    forms = decided_events(stage, events, asked, scene)
    if stage.is_never_begun and LIVE in [event["event"] for event in events]:
        return Decided("event-truth", events, [event for event, was in zip(forms, events) if was["event"] != LIVE])
    if stage.is_post and events[0]["event"] == POST and events[0]["result"] is None:
        # The step on the target is heard of when it ends, or while it runs; it may have ended while the source is tidied.
        ended = post_event({**events[0], "finish_time": "{time}", "result": "Success"})
        return Decided("event-truth", events, forms[1:], forms, [ended, *forms[1:]])
    return forms


def decided_message(stage, action):
    if action["action"] != "live-migration":
        return action
    if stage.is_action_lost:
        return {**action, "message": decided_value("event-truth", action["message"], "Error")}
    if stage.is_second_good:
        return {**action, "message": decided_value("event-truth", action["message"], None)}
    return action


def decided_server(stage, server):
    """An unexpected fault in the copy: the server is as it was, on the host where it runs. A cold move that took the source with
    it: why, and why there was no way back."""
    if server.get("fault", {}).get("details"):
        told = f"{stage.words.removesuffix('.')}. The server could not be brought back: {stage.words}"
        return {**server, "fault": {**server["fault"], "details": Decided("tracebacks", server["fault"]["details"], told)}}
    if not stage.raises or server["status"] != "ERROR":
        return server
    return Decided("copy-fails-live", server, {**server, "status": "ACTIVE", "OS-EXT-STS:vm_state": "active", "progress": 0})


# How far the simulated copy of the server's 512 MiB is while it stands at its gate. No decision: Nova's fake driver tells no
# figures, and ours may not have been asked for them yet.
COPIED = {"memory_total_bytes": 2**29, "memory_processed_bytes": 0, "memory_remaining_bytes": 2**29,
          "disk_total_bytes": 0, "disk_processed_bytes": 0, "disk_remaining_bytes": 0}


def with_figures(row):
    """All of them, or none."""
    if row["status"] == "running" and row.keys() >= COPIED.keys():
        return OneOf(row, {**row, **COPIED})
    return row


def decided_migration(stage, row):
    if stage.raises and row["status"] == "error":
        return {**row, "status": Decided("copy-fails-live", "error", "failed")}
    if row["status"] == "reverted" and is_server_reverting(stage.step):
        return {**row, "status": Decided("revert-waits", "reverted", "reverting")}
    return with_figures(row)


def decide_document(wanted, flow, step):
    """Puts into what is wanted of a polled document all that is decided about it."""
    stage, body = Stage(flow, step), wanted.body
    if isinstance(body.get("server"), dict):
        wanted.body = {**body, "server": decided_server(stage, body["server"])}
    elif isinstance(body.get("migration"), dict):
        wanted.body = {**body, "migration": with_figures(body["migration"])}
    elif isinstance(body.get("migrations"), list):
        wanted.body = {**body, "migrations": [decided_migration(stage, row) for row in body["migrations"]]}
    elif isinstance(body.get("instanceActions"), list):
        wanted.body = {**body, "instanceActions": [decided_message(stage, action) for action in body["instanceActions"]]}
    elif isinstance(body.get("instanceAction"), dict):
        action = decided_message(stage, body["instanceAction"])
        asked = asking_step(flow, action["request_id"])
        if asked and "events" in action:
            scene = scene_of(flow, "admin", {})
            action = {**action, "events": event_list(stage, action["events"], asked, scene)}
        wanted.body = {**body, "instanceAction": action}
    return wanted
