"""Tests of the replay itself, as TAP: the daemon's answers are recorded once, and then each is judged again with something false
in it. A lie that changes an answer must be noticed in that very answer, whatever is decided about it. The few exceptions are
listed in GRANTED, and each of them must still be one.
"""

import collections
import json
import re
import sys

import answers
import flows
import replay
import state
from suite import DATA, read_known

STATUSES = ("accepted", "queued", "preparing", "running", "post-migrating", "completed", "cancelled", "error", "failed",
            "migrating", "finished", "confirming", "confirmed", "reverting", "reverted")
VALUES = {"OS-EXT-STS:vm_state": ("active", "stopped", "paused", "resized", "error"),
          "OS-EXT-STS:task_state": (None, "migrating", "resize_migrating", "resize_finish", "resize_reverting"),
          "OS-EXT-STS:power_state": (0, 1, 3, 4)}
SERVER_STATUSES = ("ACTIVE", "SHUTOFF", "PAUSED", "MIGRATING", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "ERROR")
SWAPPED = {"Success": "Error", "Error": "Success"}
TIME = "2026-01-01T00:00:00.000000"
# (lie, scenario, step): why both the answer and the lie are good there.
GRANTED = {
    ("an open event is closed as Success", "live_ok", "post"):
        "at the hand-over the copy itself has ended, and whether its event has too is not decided",
}


def others(value, values):
    return [other for other in values if other != value] if value in values else []


# Lies about the status and the headers: of an answer's head, false ones.

def every_header_dropped(status, headers):
    if headers:
        yield status, {}


def one_header_dropped(status, headers):
    for name in headers:
        yield status, {other: value for other, value in headers.items() if other != name}


def one_header_changed(status, headers):
    for name, value in headers.items():
        for false in {value + "x", value[:-1], value.swapcase()} - {value}:
            yield status, {**headers, name: false}


def one_header_too_much(status, headers):
    for name in answers.HEADERS:
        if name not in headers:
            yield status, {**headers, name: "5"}


def another_request_id(status, headers):
    for name in answers.REQUEST_IDS:
        if name in headers:
            yield status, {**headers, name: "req-00000000-0000-4000-8000-00000000ffff"}


def another_status(status, headers):
    for false in (200, 202, 204, 300, 400, 403, 404, 409, 500):
        if false != status:
            yield false, headers


CUT_OFF = "the body is dropped, cut off or too long"
HEAD_LIES = {"every header is dropped": every_header_dropped, "one header is dropped": one_header_dropped,
             "one header is changed": one_header_changed, "one header is too much": one_header_too_much,
             "one request id is another's": another_request_id, "the status is another": another_status}


# Lies about the bytes of the body.

def body_cut_off(body):
    if body:
        yield from (b"", body[:-1], body + b"x")
    else:
        yield from (b"{}", b"null")


# Lies about a part of the body: of the value under a key, false ones.

def is_event(value):
    return isinstance(value, dict) and "event" in value


def is_move(value):
    """A row of a list of migrations, or one that is shown alone."""
    return isinstance(value, dict) and "source_compute" in value


def swap_results(value):
    """With Success for Error everywhere, and the reverse."""
    if isinstance(value, list):
        return [swap_results(entry) for entry in value]
    if isinstance(value, dict):
        return {key: SWAPPED.get(part, part) if key == "result" and isinstance(part, str) else swap_results(part)
                for key, part in value.items()}
    return value


def every_result_swapped(key, value):
    if key == "events" and swap_results(value) != value:
        yield swap_results(value)


def one_result_swapped(key, value):
    if key == "result" and value in SWAPPED:
        yield SWAPPED[value]


def every_event_dropped(key, value):
    if key == "events" and value:
        yield []


def one_event_dropped(key, value):
    if key == "events":
        yield from (value[:place] + value[place + 1:] for place in range(len(value)))


def one_event_added(key, value):
    if key == "events" and value:
        yield [value[0], *value]
        yield [*value, value[-1]]
        yield [{**value[0], "event": "compute_nothing"}, *value]
        yield [{**value[0], "event": "compute_post_live_migration_at_destination", "result": "Error"}, *value]


def open_event_closed(result):
    def lie(key, value):
        if is_event(value) and value["finish_time"] is None:
            yield {**value, "finish_time": TIME, "result": result}
    return lie


def closed_event_opened(key, value):
    if is_event(value) and value["finish_time"] is not None:
        yield {**value, "finish_time": None, "result": None}
        yield {**value, "finish_time": None}
        yield {**value, "result": None}


def event_renamed(key, value):
    if key == "event":
        yield "compute_live_migration" if value != "compute_live_migration" else "compute_pre_live_migration"


def migration_status_changed(key, value):
    if is_move(value):
        yield from ({**value, "status": other} for other in others(value["status"], STATUSES))


def server_state_changed(key, value):
    for other in others(value, VALUES.get(key, ())) if not isinstance(value, bool) else ():
        yield other
    if key == "status":
        yield from others(value, SERVER_STATUSES)


def host_changed(key, value):
    if isinstance(value, str) and value in state.HOSTS:
        yield from others(value, state.HOSTS)
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{56}", value):
        yield from others(value, [state.fill("{hostid:project:%s}" % host) for host in state.HOSTS])


def hosts_swapped(key, value):
    if is_move(value) and value["source_compute"] != value["dest_compute"]:
        yield {**value, **{f"{one}_{part}": value[f"{other}_{part}"] for part in ("compute", "node")
                           for one, other in (("source", "dest"), ("dest", "source"))}}


def message_changed(key, value):
    if key == "message":
        yield "Error" if value is None else None
        yield f"{value} "


def fault_dropped_or_added(key, value):
    if key == "server":
        yield ({part: value[part] for part in value if part != "fault"} if "fault" in value
               else {**value, "fault": {"code": 500, "created": "2026-01-01T00:00:00Z", "message": "MessagingTimeout"}})


def ids_exchanged(key, value):
    rows = value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else []
    for place in range(len(rows) - 1):
        for name in ("id", "uuid", "request_id", "instance_uuid"):
            first, second = (row.get(name) for row in rows[place:place + 2])
            if first != second:
                yield [*rows[:place], {**rows[place], name: second}, {**rows[place + 1], name: first}, *rows[place + 2:]]


def row_dropped(key, value):
    if isinstance(value, list):
        yield from (value[:place] + value[place + 1:] for place in range(len(value)))


def row_repeated(key, value):
    if isinstance(value, list):
        yield from (value[:place] + value[place:place + 1] + value[place:] for place in range(len(value)))


def rows_reordered(key, value):
    if isinstance(value, list):
        yield from (false for false in (value[::-1], value[1:] + value[:1]) if false != value)


def number_off_by_one(key, value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from (value + 1, value - 1)


def another_type(key, value):
    if isinstance(value, bool):
        yield from (int(value), str(value))
    elif isinstance(value, (int, float)):
        yield from (float(value), str(value))


def boolean_flipped(key, value):
    if isinstance(value, bool):
        yield not value


def null_for_a_text(key, value):
    if isinstance(value, str):
        yield None


def something_for_null(key, value):
    if value is None:
        yield from ("x", "", 0, False, {}, [])


def text_changed(key, value):
    if isinstance(value, str):
        yield from {value + "x", value[:-1], value.swapcase()} - {value}


def key_too_much(key, value):
    if isinstance(value, dict):
        yield {**value, "of_nobody": None}


def key_missing(key, value):
    if isinstance(value, dict):
        yield from ({name: part for name, part in value.items() if name != key} for key in value)


def key_renamed(key, value):
    if isinstance(value, dict):
        yield from ({name + "s" if name == key else name: part for name, part in value.items()} for key in value)


BODY_LIES = {
    "Success and Error are swapped in every event": every_result_swapped,
    "Success and Error are swapped in one event": one_result_swapped,
    "every event is dropped": every_event_dropped, "one event is dropped": one_event_dropped,
    "one event is added": one_event_added, "one event has another name": event_renamed,
    "an open event is closed as Success": open_event_closed("Success"),
    "an open event is closed as Error": open_event_closed("Error"),
    "a closed event is open": closed_event_opened,
    "a migration has another status": migration_status_changed,
    "a server has another status or state": server_state_changed,
    "a host is another": host_changed, "source and target are swapped": hosts_swapped,
    "a message is set, cleared or changed": message_changed, "a fault is dropped or added": fault_dropped_or_added,
    "ids are exchanged between rows": ids_exchanged, "a row is dropped": row_dropped, "a row is repeated": row_repeated,
    "rows are in another order": rows_reordered, "a number is off by one": number_off_by_one,
    "a number or boolean has another type": another_type, "a boolean is flipped": boolean_flipped,
    "null stands for a text": null_for_a_text, "something stands for null": something_for_null,
    "a text is changed": text_changed, "a key is too much": key_too_much, "a key is missing": key_missing,
    "a key has another name": key_renamed,
}


class Tally:
    """Of one lie: the answers that it changed, in how many ways, and where it was not noticed."""

    def __init__(self):
        self.changed, self.lies, self.unnoticed = set(), 0, {}

    def count(self, name, place, is_noticed, false):
        self.changed.add(name)
        self.lies += 1
        if not is_noticed:
            self.unnoticed.setdefault(place, []).append(f"{name}: {json.dumps(false)[:300]}")


def parts(container, key):
    """(container, key) of the value there and of all within it."""
    yield container, key
    value = container[key]
    if isinstance(value, dict):
        for name in value:
            yield from parts(value, name)
    elif isinstance(value, list):
        for place in range(len(value)):
            yield from parts(value, place)


def lie_about_head(tallies, name, place, wanted, answer):
    found = wanted.found_in(answer)
    for lie, falsify in HEAD_LIES.items():
        for status, headers in falsify(answer.status, answer.headers):
            tallies[lie].count(name, place, not wanted.is_met(status, headers, found), [status, headers])


def lie_about_bytes(tallies, name, place, wanted, answer):
    for body in body_cut_off(answer.body):
        found = wanted.found_in(answers.Answer(answer.status, answer.headers, body))
        tallies[CUT_OFF].count(name, place, not wanted.is_met(answer.status, answer.headers, found), str(body))


def lie_about_body(tallies, name, place, wanted, answer):
    whole = [wanted.found_in(answer)]
    for container, key in list(parts(whole, 0)):
        value = container[key]
        for lie, falsify in BODY_LIES.items():
            for false in falsify(key, value):
                container[key] = false
                tallies[lie].count(name, place, not wanted.is_met(answer.status, answer.headers, whole[0]), false)
        container[key] = value


def record(service):
    """(name, (scenario, step), wanted, answer) of every case and of every request of a flow; a case has its group for both."""
    service.order(thaw=["jobs"])
    for case in replay.read_cases(str(DATA / "api_cases.jsonl.xz")):
        yield case["id"], (case["group"], case["group"]), *replay.ask_case(service, case)
    for flow in replay.read_cases(str(DATA / "flows.jsonl.xz")):
        for exchange in flows.exchanges(service, flow):
            yield (f"{flow['id']} {exchange.step} {exchange.where}", (flow["scenario"], exchange.step), exchange.wanted,
                   exchange.answer)


def fingerprint(wanted, answer):
    """Of two answers that have it in common one is judged."""
    ids = dict.fromkeys(answers.REQUEST_IDS)
    return repr((answer.status, answer.headers | ids, answer.body, wanted.headers | ids, wanted.body))


def try_all(taken):
    tallies = collections.defaultdict(Tally)
    seen = set()
    for name, place, wanted, answer in taken:
        mark = fingerprint(wanted, answer)
        if mark not in seen:
            seen.add(mark)
            lie_about_head(tallies, name, place, wanted, answer)
            lie_about_bytes(tallies, name, place, wanted, answer)
            lie_about_body(tallies, name, place, wanted, answer)
    return tallies


class Liar(replay.Service):
    """A daemon whose answers are falsified on their way."""

    def __init__(self, falsify):
        self.falsify = falsify

    def ask(self, case):
        return self.falsify(*super().ask(case))


def swap_in_body(status, headers, body):
    document = json.loads(body) if body.startswith(b'{"instanceAction"') else None
    return status, headers, json.dumps(swap_results(document)).encode() if document else body


def without_headers(status, headers, body):
    return status, {}, body


def has_results(flow):
    return any('"result": "' in json.dumps(document["body"]) for step in flow["steps"] for document in step.get("documents", []))


def believed(falsify, concerns=lambda flow: True):
    """The flows that pass although each answer went through that lie."""
    with Liar(falsify) as service:
        service.order(thaw=["jobs"])
        return [flow["id"] for flow in replay.read_cases(str(DATA / "flows.jsonl.xz"))
                if concerns(flow) and flows.verdict_of(flows.try_flow(service, flow)) != "differ"]


def points_of(tallies):
    for lie in (*HEAD_LIES, CUT_OFF, *BODY_LIES):
        tally = tallies[lie]
        wrong = [] if tally.lies else ["it changes no answer, so it proves nothing"]
        for place, unnoticed in tally.unnoticed.items():
            if (lie, *place) not in GRANTED:
                wrong += [f"not noticed {len(unnoticed)} times in {' '.join(place)}", *unnoticed[:5]]
        wrong += [f"it is noticed in {scenario} {step}, and GRANTED says otherwise" for granted, scenario, step in GRANTED
                  if granted == lie and (scenario, step) not in tally.unnoticed]
        granted = sum(len(unnoticed) for place, unnoticed in tally.unnoticed.items() if (lie, *place) in GRANTED)
        yield (f"{lie}: noticed each of {tally.lies} times in {len(tally.changed)} answers"
               + (f", but {granted} times where that is granted" if granted else "")), wrong


def main():
    known = read_known()
    with replay.Service() as service:
        taken = list(record(service))
    bad = [f"{name} {difference}" for name, _, wanted, answer in taken if name not in known
           for difference in wanted.differences(answer)]
    good = [one for one in taken if not one[2].differences(one[3])]
    points = [(f"{len(good)} true answers are believed", bad), *points_of(try_all(good)),
              ("every flow with results differs when Success and Error are swapped in each answer",
               believed(swap_in_body, has_results)),
              ("every flow differs when the headers of each answer are dropped", believed(without_headers))]
    print(f"1..{len(points)}")
    for number, (what, wrong) in enumerate(points, 1):
        for line in wrong:
            print(f"# {line}")
        print(f"{'not ok' if wrong else 'ok'} {number} - {what}", flush=True)
    return 1 if any(wrong for _, wrong in points) else 0


if __name__ == "__main__":
    sys.exit(main())
