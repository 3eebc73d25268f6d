"""The OpenAPI document against the service, in both directions, as TAP: what the service's own tables take stands in it and
nothing else, and every answer, recorded or given now, is as it says."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "replay")]

import decided  # noqa: E402
import flows  # noqa: E402
import replay  # noqa: E402
import state  # noqa: E402
from document import LAST_MINOR, METHODS, TOP, Document, minors  # noqa: E402

DATA = TOP / "tests" / "data"
DOCUMENT = Document()
# Of the service itself, outside the table of routes.
OWN = {("GET", "/"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}


def service_routes():
    printed = subprocess.run([replay.BINARY.parent / "tests" / "route_list"], capture_output=True, check=True)
    return json.loads(printed.stdout)


def plain(template):
    """A path's template without the names of its parts."""
    return re.sub(r"\{\w+\}", "{}", template)


def operations():
    return {(method.upper(), template): path[method] for template, path in DOCUMENT.tree["paths"].items()
            for method in METHODS if method in path}


def documented():
    """Each route of the service with its operation."""
    by_shape = {(method, plain(template)): operation for (method, template), operation in operations().items()}
    return [(route, by_shape.get((route["method"], plain("/v2.1" + route["path"])))) for route in service_routes()]


def routes():
    """every route of the service stands in the document with its microversions, and nothing else does"""
    known = set(OWN)
    for route, operation in documented():
        name = f"{route['method']} {route['path']}"
        assert operation, f"{name} is not documented"
        assert list(minors(operation)) == route["minors"], f"{name}: {minors(operation)}, the service has {route['minors']}"
        known.add((route["method"], "/v2.1" + route["path"]))
    shapes = {(method, plain(template)) for method, template in known}
    more = [f"{method} {template}" for method, template in operations() if (method, plain(template)) not in shapes]
    assert not more, f"the service has no {', '.join(more)}"


def queries():
    """every query parameter of the service stands in the document with its microversions, and nothing else does"""
    kinds = {"limit": ("integer", None), "time": ("string", "date-time"), "text": ("string", None), "pattern": ("string", None)}
    for route, operation in documented():
        name = f"{route['method']} {route['path']}"
        found = {part["name"]: part for part in operation["parameters"] if part.get("in") == "query"}
        wanted = route.get("parameters", {"list": {}})["list"]
        assert found.keys() == wanted.keys(), f"{name}: {sorted(found.keys() ^ wanted.keys())} on one side alone"
        for parameter, rule in wanted.items():
            schema = found[parameter]["schema"]
            wanted_minors = (max(rule["minors"][0], route["minors"][0]), min(rule["minors"][1], route["minors"][1]))
            assert minors(found[parameter], tuple(route["minors"])) == wanted_minors, f"{name}: {parameter} at other microversions"
            assert (schema["type"], schema.get("format")) == kinds[rule["kind"]], f"{name}: {parameter} is of another kind"
        if "parameters" in route:
            strict = operation["x-openstack-strict-query-since"]
            assert strict == f"2.{route['parameters']['strict_since']}", f"{name}: strict since {strict}"


def variants(operation, action):
    """The document's bodies of an operation, or of one of its actions, as the service prints its own."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    outer = minors(operation)
    for part in schema.get("oneOf", [schema]):
        if action:
            if part["x-openstack"].get("action-name") != action:
                continue
            assert part["required"] == [action] and part["additionalProperties"] is False, f"{action}: the one key of the body"
        body = part["properties"][action] if action else {key: value for key, value in part.items() if key != "x-openstack"}
        yield {"minors": list(minors(part, outer)), "schema": body}


def bodies():
    """the bodies that the service takes and those of the document are the same, schema by schema"""
    for route, operation in documented():
        name = f"{route['method']} {route['path']}"
        if "bodies" in route:
            assert list(variants(operation, None)) == route["bodies"], f"{name}: {list(variants(operation, None))}"
        elif "actions" in route:
            named = {part["x-openstack"]["action-name"] for part in
                     operation["requestBody"]["content"]["application/json"]["schema"].get("oneOf")
                     or [operation["requestBody"]["content"]["application/json"]["schema"]]}
            assert named == route["actions"].keys(), f"{name}: {sorted(named ^ route['actions'].keys())} on one side alone"
            for action, wanted in route["actions"].items():
                found = list(variants(operation, action))
                assert found == wanted["bodies"], f"{action}: {found}, the service has {wanted['bodies']}"
                assert str(wanted["status"]) in operation["responses"], f"{action}: status {wanted['status']}"
        else:
            assert "requestBody" not in operation, f"{name} takes no body"


def with_numbers(document, key=None):
    """Recorded ids that are numbers have names in the recording."""
    if isinstance(document, dict):
        return {name: with_numbers(value, name) for name, value in document.items()}
    if isinstance(document, list):
        return [with_numbers(value) for value in document]
    if key in ("id", "service_id") and isinstance(document, str) and re.fullmatch(
            r"\{(migration\w*|serviceid_\w+|hypervisorid_\w+)\}", document):
        return 1
    return document


def is_page(response):
    """A page of Nova's router, in place of which the service answers a fault by decision."""
    body = response.get("body")
    kind = response["headers"].get("Content-Type", "")
    return response["status"] in (404, 413) and ("body_text" in response or "json" not in kind
                                                 or (isinstance(body, dict) and "title" in body))


def recorded_answers():
    """(method, path, status, headers, body) of every recorded answer."""
    for case in replay.read_cases(str(DATA / "api_cases.jsonl.xz")):
        yield {**case["request"], "path": state.fill(case["request"]["path"])}, case["response"]
    for flow in replay.read_cases(str(DATA / "flows.jsonl.xz")):
        for step in flow["steps"]:
            if "request" in step:
                yield step["request"], step["response"]
            for document in step.get("documents", []):
                version = "2.104" if flow["microversion"] == "latest" else flow["microversion"]
                headers = dict.fromkeys(("OpenStack-API-Version", "Vary", "X-OpenStack-Request-Id", "x-compute-request-id"), "x")
                yield ({"method": "GET", "path": document["path"]},
                       {"status": document["status"], "headers": {**headers, "X-OpenStack-Nova-API-Version": version, "Content-Type": "x"},
                        "body": document["body"]})


def recordings():
    """every answer that Nova was recorded to give is as the document says"""
    count, wrong = 0, {}
    for request, response in recorded_answers():
        if is_page(response):
            continue
        count += 1
        for problem in DOCUMENT.problems_of_response(request["method"], request["path"] or "/none", response["status"],
                                                     response["headers"], with_numbers(response.get("body"))):
            wrong[problem] = wrong.get(problem, 0) + 1
    lines = "\n".join(f"{number} × {problem}" for problem, number in sorted(wrong.items(), key=lambda item: -item[1])[:40])
    assert count > 5000 and not wrong, f"{len(wrong)} problems in {count} answers:\n{lines}"


def is_refused_by_schema(body):
    words = decided.words_of(body)
    return words.startswith("Invalid input for field/attribute") or "is a required property" in words or (
        "Additional properties are not allowed" in words) or "is not of type" in words


def bodies_now(case, status, headers, document):
    """A body that the service refused by its schema is none of the document's; one that got past it is one."""
    request = case["request"]
    _, operation = DOCUMENT.find(request["method"], state.fill(request["path"]))
    version = headers.get("X-OpenStack-Nova-API-Version")
    if operation is None or "requestBody" not in operation or not version or status in (406, 415) or (
            status in (400, 404) and not is_refused_by_schema(document) and status != 202):
        return []
    try:
        body = json.loads(state.fill_bytes((request.get("body") or "").encode()))
    except ValueError:
        return []
    takes = DOCUMENT.takes_body(request["method"], state.fill(request["path"]), int(version.split(".")[1]), body)
    if takes == is_refused_by_schema(document):
        return [f"{request['body']} at {version}: status {status}, the document {'takes' if takes else 'refuses'} it"]
    return []


class Watched(replay.Service):
    """A daemon each of whose answers is held against the document."""

    def __init__(self):
        self.count, self.wrong = 0, {}

    def ask(self, case):
        status, headers, raw = answer = super().ask(case)
        request = case["request"]
        if status and request["method"] != "HEAD":
            self.count += 1
            body = json.loads(raw) if raw else None
            for problem in DOCUMENT.problems_of_response(request["method"], state.fill(request["path"]) or "/none", status, headers,
                                                         body) + bodies_now(case, status, headers, body):
                self.wrong[problem] = self.wrong.get(problem, 0) + 1
        return answer

    def judge(self, at_least):
        lines = "\n".join(f"{number} × {problem}" for problem, number in sorted(self.wrong.items(), key=lambda item: -item[1])[:40])
        assert self.count > at_least and not self.wrong, f"{len(self.wrong)} problems in {self.count} answers:\n{lines}"


def answers():
    """every answer of the running service to the recorded requests is as the document says, and so are the bodies that it takes"""
    with Watched() as service:
        service.order(thaw=["jobs"])
        for case in replay.read_cases(str(DATA / "api_cases.jsonl.xz")):
            service.order(load=state.rows_of(case["precondition"]))
            service.ask(case)
        service.judge(3400)


def moves():
    """every answer of the running service while the recorded moves go on is as the document says"""
    with Watched() as service:
        service.order(thaw=["jobs"])
        for flow in replay.read_cases(str(DATA / "flows.jsonl.xz")):
            flows.try_flow(service, flow)
        service.judge(2500)


def damages(document, path=()):
    """The document with one field more, one less, or one of another type: each place once, of lists the first."""
    if isinstance(document, dict):
        for key in document:
            yield from damages(document[key], (*path, key))
            yield (*path, key), "less", None
        yield path, "more", lambda part: part | {"of_nobody": 1}
    elif isinstance(document, list) and document:
        yield from damages(document[0], (*path, 0))
    elif document is not None and not isinstance(document, list):
        yield path, "type", lambda _: {"of": ["another", "type"]}


def damaged(document, path, change):
    result = copy.deepcopy(document)
    if not path:
        return change(result)
    part = result
    for key in path[:-1]:
        part = part[key]
    if change:
        part[path[-1]] = change(part[path[-1]])
    else:
        del part[path[-1]]
    return result


# Objects with names of the users' own in them.
FREE = ("metadata", "addresses", "extra_specs", "properties", "scheduler_hints", "cpu_info")
# Fields that are there by the caller's roles, by the state, or by what was asked.
OPTIONAL = re.compile(r"OS-EXT-SRV-ATTR:.*|host_status|server_groups|progress|fault|details|traceback|events|host|links|.*_links|servers|"
                      r"extra_specs|disabled_reason|forced_down|next|media-types")


def is_optional(template, key):
    return OPTIONAL.fullmatch(str(key)) or (key == "status" and template == "/v2.1/os-services/{service_id}")


def is_caught(method, path, status, headers, body):
    return bool(DOCUMENT.problems_of_response(method, path, status, headers, body))


def mutations():
    """an answer with a field too many, one less, or one of another type is caught, at every place, of successes and of faults"""
    seen, tried = set(), 0
    for request, response in recorded_answers():
        template, operation = DOCUMENT.find(request["method"], request["path"] or "/none")
        body, status = with_numbers(response.get("body")), response["status"]
        version = response["headers"].get("X-OpenStack-Nova-API-Version")
        kind = (template, version if status == 200 else None, status, frozenset(body) if isinstance(body, dict) else None)
        if operation is None or not isinstance(body, dict) or is_page(response) or kind in seen:
            continue
        seen.add(kind)
        place = (request["method"], request["path"], status, response["headers"])
        for path, what, change in damages(body):
            if any(name in FREE for name in path[:-1]) or (path and path[-1] in FREE and what != "less"):
                continue
            if what == "less" and is_optional(template, path[-1]):
                continue
            tried += 1
            assert is_caught(*place, damaged(body, path, change)), f"{template} {version} {status}: {what} at {path} is not caught"
    assert tried > 5000, f"only {tried} damages"


def required_fields():
    """text: what the document requires at a microversion is there at it, and none of its objects takes anything besides"""
    tried = 0
    for name, schema in DOCUMENT.tree["components"]["schemas"].items():
        if schema.get("type") != "object" or "required" not in schema:
            continue
        for minor in (1, 53, LAST_MINOR):
            effective = DOCUMENT.at(schema, minor)
            for field in effective["required"]:
                tried += 1
                assert field in effective["properties"], f"{name}: {field} is required and not there at 2.{minor}"
        assert schema.get("additionalProperties") is False, f"{name} takes anything besides"
    assert tried > 100


def lint():
    """text: the linter finds nothing in the document"""
    folder = TOP / "build" / "openapi"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        if not (folder / name).exists() or (folder / name).read_bytes() != (TOP / "openapi" / name).read_bytes():
            shutil.rmtree(folder / "node_modules", ignore_errors=True)
        shutil.copy(TOP / "openapi" / name, folder)
    quiet = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    commands = [] if (folder / "node_modules").exists() else [["npm", "ci", "--no-audit", "--no-fund"]]
    commands += [[folder / "node_modules/.bin/redocly", "lint", "--config", TOP / "openapi/redocly.yaml", TOP / "openapi/openapi.yaml"]]
    for command in commands:
        done = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Your API description is valid" in done.stdout + done.stderr, done.stdout + done.stderr


CHECKS = (lint, routes, queries, bodies, required_fields, recordings, answers, moves, mutations)


def main():
    words = sys.argv[1:]
    checks = [check for check in CHECKS if not words or check.__name__ in words]
    failed = 0
    print(f"1..{len(checks)}", flush=True)
    for number, check in enumerate(checks, 1):
        try:
            check()
            is_good = True
        except Exception:
            is_good = False
            print("\n".join(f"# {line}" for line in traceback.format_exc().splitlines()[-50:]))
        failed += not is_good
        print(f"{'ok' if is_good else 'not ok'} {number} - {check.__doc__}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
