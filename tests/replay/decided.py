"""What is decided about single answers, by the names of the project's list of decisions: each says of which recorded answers it
speaks, and puts in the exact form that stands there instead. All that it does not name stays as recorded; an answer that is as
recorded where a decision says otherwise is wrong too.
"""

import json
import re
from datetime import datetime, timezone

import state
from answers import JSON_FAULT
from forms import Decided

NO_HOST = "No valid host was found."
NOT_ENOUGH = f"{NO_HOST} There are not enough hosts available."


class Scene:
    """What an answer's words depend on: hosts and their states, where the server is, which hosts refused with which words, who
    reads, and how many guests run on a host."""

    def __init__(self, states, source, refused=None, sees_hosts=True, guests=None):
        self.states, self.source, self.refused = states, source, refused or {}
        self.sees_hosts, self.guests = sees_hosts, guests or {}

    def verdict(self, host):
        """(filter, for those who may see hosts, for others)"""
        if host == self.source:
            return "DifferentHostFilter", "where the server is now", "where the server is now"
        if host in self.refused:
            return "RetryFilter", self.refused[host], "tried already"
        return {"down": ("ComputeFilter", "forced down", "down"),
                "disabled": ("ComputeFilter", "disabled (maintenance)", "disabled")}.get(self.states[host])

    def refusal(self, words, requested):
        """Nova's words, then each host and filter; for others the filters alone. None: a host is free."""
        hosts = [requested] if requested else sorted(self.states)
        verdicts = {host: self.verdict(host) for host in hosts}
        if None in verdicts.values():
            return None
        parts = [f"{host}: {verdict[0]}: {verdict[1]}" for host, verdict in verdicts.items()]
        if not self.sees_hosts:
            parts = sorted({f"{verdict[0]}: {verdict[2]}" for verdict in verdicts.values()})
        words = NOT_ENOUGH if words.strip() == NO_HOST else words
        return f"{words} {'; '.join(parts)}"


def guests_by_host(rows):
    names = {host["id"]: host["name"] for host in rows["hosts"]}
    counted = dict.fromkeys(names.values(), 0)
    for server in rows["servers"]:
        counted[names[server["host_id"]]] += not server["is_deleted"]
    return counted


def scene_of(case):
    precondition, path = case["precondition"], case["request"]["path"]
    rows = state.rows_of(precondition)
    named = next((name for name in state.SERVERS if "{%s}" % name in path), "server")
    by_uuid = {server["uuid"]: state.HOSTS[server["host_id"] - 1] for server in rows["servers"]}
    return Scene(precondition["hosts"], by_uuid[state.SERVERS[named]], guests=guests_by_host(rows),
                 sees_hosts="admin" in (case["caller"] or {}).get("roles", []))


def requested_host(request):
    """The host that an action names, or None."""
    try:
        action = next(iter(json.loads(request.get("body") or "").values()))
    except (ValueError, AttributeError):
        return None
    return action.get("host") if isinstance(action, dict) else None


def minor_version(wanted):
    return int(str(wanted.headers.get("OpenStack-API-Version", "compute 2.1")).rpartition(".")[2])


def words_of(document):
    """The message of a fault, "" when it is none."""
    part = next(iter(document.values()), None) if isinstance(document, dict) and len(document) == 1 else None
    message = part.get("message") if isinstance(part, dict) else None
    return message if isinstance(message, str) else ""


def with_words(document, decided):
    name, fault = next(iter(document.items()))
    return {name: {**fault, "message": decided}}


def page(name, wanted, request, fault):
    """The JSON fault in place of WebOb's page, and its media type; an answer to HEAD has no body."""
    wanted.headers["Content-Type"] = Decided(name, wanted.headers["Content-Type"], JSON_FAULT)
    if request["method"] != "HEAD":
        wanted.body, wanted.is_json = Decided(name, wanted.body, fault), True


def is_page(wanted):
    return "Content-Type" in wanted.headers and (not wanted.headers["Content-Type"].startswith("application/json")
                                                 or wanted.is_json and "title" in wanted.body)


def router_pages(wanted, request, scene):
    if wanted.status == 404 and is_page(wanted):
        page("router-pages", wanted, request, {"itemNotFound": {"code": 404, "message": "The resource could not be found."}})


def too_large(wanted, request, scene):
    if wanted.status == 413 and is_page(wanted):
        words = "Request is too large. Larger than max_request_body_size (114688)."
        page("too-large", wanted, request, {"overLimit": {"code": 413, "message": words}})


def reasons(wanted, request, scene):
    words = words_of(wanted.body)
    if words.startswith(NO_HOST):
        told = scene.refusal(words, requested_host(request))
        if told:
            wanted.body = with_words(wanted.body, Decided("reasons", words, told))


def jsonschema_words(wanted, request, scene):
    words = words_of(wanted.body)
    if "is too short" in words:
        wanted.body = with_words(wanted.body, Decided("jsonschema-words", words, words,
                                                      words.replace("is too short", "should be non-empty")))


def is_list_of_migrations(wanted, request):
    return (wanted.status == 200 and wanted.is_json and "migrations" in wanted.body
            and re.match(r"/v2(\.1)?/(\S+/)?os-migrations", request["path"]) is not None)


def row_number(row):
    """A migration's id; in a flow they are called {migration}, {migration2} ... in the order in which they came."""
    return row["id"] if isinstance(row["id"], int) else int(re.sub(r"\D", "", row["id"]) or 1)


def unordered(wanted, request, scene):
    """Newest first; of the same second the greater id."""
    if is_list_of_migrations(wanted, request) and minor_version(wanted) < 59:
        rows = wanted.body["migrations"]
        newest_first = sorted(rows, key=lambda row: (row["created_at"], row_number(row)), reverse=True)
        if newest_first != rows:
            wanted.body = {**wanted.body, "migrations": Decided("unordered", rows, newest_first)}


def at(microseconds):
    moment = datetime.fromtimestamp(microseconds // 1_000_000, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000000")


def listed_row(row):
    """A row of the set `list` as GET /os-migrations shows it at 2.59 to 2.79."""
    base, path = "http://nova.example:8774", f"servers/{row['server_uuid']}/migrations/{row['id']}"
    same = ("id", "uuid", "source_compute", "dest_compute", "source_node", "dest_node", "status")
    return {**{name: row[name] for name in same}, "dest_host": row["dest_host"] or None,
            "old_instance_type_id": row["old_flavor_id"], "new_instance_type_id": row["new_flavor_id"],
            "instance_uuid": row["server_uuid"], "migration_type": row["type"], "created_at": at(row["created_us"]),
            "updated_at": at(row["updated_us"]),
            **({"links": [{"rel": "self", "href": f"{base}/v2.1/{path}"}, {"rel": "bookmark", "href": f"{base}/{path}"}]}
               if row["type"] == "live-migration" and row["status"] in ("queued", "running") else {})}


def hidden_rows(wanted, request, scene):
    """The page is full: the next rows that are not hidden, and the link that a full page has."""
    limit = re.fullmatch(r"/v2\.1/os-migrations\?limit=(\d+)", request["path"])
    if not limit or not is_list_of_migrations(wanted, request) or not 59 <= minor_version(wanted) < 80:
        return
    shown = [row for row in reversed(state.listed_migrations()) if not row["is_hidden"]][:int(limit[1])]
    rows = wanted.body["migrations"]
    if len(rows) == len(shown) or [row["id"] for row in rows] != [row["id"] for row in shown][:len(rows)]:
        return
    link = f"http://nova.example:8774{request['path']}&marker={shown[-1]['uuid']}"
    full = {"migrations": rows + [listed_row(row) for row in shown[len(rows):]],
            "migrations_links": [{"rel": "next", "href": link}]}
    wanted.body = Decided("hidden-rows", wanted.body, full)


def counts(wanted, request, scene):
    def counted(row):
        if "running_vms" not in row:
            return row
        return {**row, "running_vms": Decided("counts", row["running_vms"], scene.guests[row["hypervisor_hostname"]])}
    if wanted.is_json and isinstance(wanted.body.get("hypervisor"), dict):
        wanted.body = {**wanted.body, "hypervisor": counted(wanted.body["hypervisor"])}
    elif wanted.is_json and isinstance(wanted.body.get("hypervisors"), list):
        wanted.body = {**wanted.body, "hypervisors": [counted(row) for row in wanted.body["hypervisors"]]}


def simulated(wanted, request, scene):
    """The version documents say that the fleet is simulated."""
    def told(version):
        return Decided("simulated", version, {**version, "simulated": True})
    if wanted.status == 200 and wanted.is_json and isinstance(wanted.body.get("version"), dict):
        wanted.body = {**wanted.body, "version": told(wanted.body["version"])}
    elif wanted.status == 200 and wanted.is_json and isinstance(wanted.body.get("versions"), list):
        wanted.body = {**wanted.body, "versions": [told(version) for version in wanted.body["versions"]]}


DECISIONS = (router_pages, too_large, reasons, jsonschema_words, unordered, hidden_rows, counts, simulated)


def decide(wanted, request, scene):
    for decision in DECISIONS:
        if isinstance(wanted.body, (dict, str)):
            decision(wanted, request, scene)
    return wanted
