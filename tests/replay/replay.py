"""Sends recorded requests to a running migrationd and compares every answer: replay.py [--brief] FILE [GROUP or ID...]

The shipped binary serves with the simulated fleet; before each case its database is put into the state that the case names,
over the control socket. A file of whole moves goes to flows.py. Status, the recorded headers and the whole body are compared. A difference that is decided is
counted apart, by the names in DECISIONS; the last line is `N cases, M differ, D by decision`.
"""

import base64
import collections
import hashlib
import hmac
import http.client
import json
import lzma
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import state

TOP = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("MIGRATIOND", TOP / "build" / "migrationd"))
HOST = "nova.example:8774"
HEADERS = ("Content-Type", "WWW-Authenticate", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version", "Vary", "Location",
           "Allow", "X-OpenStack-Request-Id", "x-compute-request-id", "Retry-After")
ANY = re.compile(r"\{(time|uuid|request_id|reservation_id|hostid|keystone|traceback)\}")


class Refused(Exception):
    """The daemon refused what was ordered over its control socket."""


class Service:
    """The daemon under test, in a folder that goes with it."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="migrationd-replay.")
        folder = Path(self.folder.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.secret = secrets.token_hex(32)
        config = folder / "migrationd.yaml"
        config.write_text(f"""node: fake-mini
admin_socket: {folder}/admin.sock
listener: {{address: 127.0.0.1, port: {self.port}}}
log: {{level: warning}}
hypervisor: {{control_socket: {folder}/control.sock}}
auth:
  keys:
    - {{kid: replay, algorithm: HS256, secret: "{self.secret}"}}
""")
        config.chmod(0o600)
        self.log = open(folder / "log", "w+b")
        self.process = subprocess.Popen([BINARY, "serve", "--simulate", config], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        self.control = self.connect(folder / "control.sock")
        self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3)
        self.tokens = {}
        return self

    def connect(self, path):
        for _ in range(100):
            try:
                control = socket.socket(socket.AF_UNIX)
                control.connect(str(path))
                return control.makefile("rw", encoding="utf-8")
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.log.seek(0)
        raise SystemExit(f"the daemon does not start: {self.log.read().decode(errors='replace')}")

    def __exit__(self, *_):
        self.http.close()
        self.control.close()
        self.process.terminate()
        self.status = self.process.wait(timeout=60)
        self.log.seek(0)
        self.last_words = self.log.read().decode(errors="replace")[-4000:]
        self.log.close()
        self.folder.cleanup()

    def order(self, **words):
        """One request over the control socket (server/simulation.h), and its answer."""
        self.control.write(json.dumps(words) + "\n")
        self.control.flush()
        answer = json.loads(self.control.readline())
        if "error" in answer:
            raise Refused(f"{next(iter(words))} is refused: {answer['error']}")
        return answer

    def token(self, caller):
        key = json.dumps(caller)
        if key not in self.tokens:
            project = state.PROJECT if caller["project"] == "same" else state.OTHER_PROJECT
            claims = {"sub": caller["user"], "project_id": project, "roles": caller["roles"], "exp": 4102444800}
            parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
                     for part in ({"alg": "HS256", "typ": "JWT", "kid": "replay"}, claims)]
            digest = hmac.new(self.secret.encode(), b".".join(parts), hashlib.sha256).digest()
            self.tokens[key] = b".".join(parts + [base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()
        return self.tokens[key]

    def ask(self, case):
        """(status, headers, body): the recorded request as it was sent."""
        request = case["request"]
        body = bytes.fromhex(request["body_hex"]) if "body_hex" in request else (request.get("body") or "").encode()
        headers = {name: state.fill(value) for name, value in request["headers"].items()}
        if case["caller"]:
            headers["X-Auth-Token"] = self.token(case["caller"])
        try:
            # No path at all can be sent in one way only: behind the authority.
            target = state.fill(request["path"]).replace(" ", "%20") or f"http://{HOST}"
            self.http.putrequest(request["method"], target, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": HOST, **headers}.items():
                self.http.putheader(name, value.encode("utf-8"))
            if (body or request["method"] in ("POST", "PUT")) and "Content-Length" not in headers:
                self.http.putheader("Content-Length", str(len(body)))
            self.http.endheaders(state.fill_bytes(body))
            response = self.http.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException) as error:
            self.http.close()
            return 0, {}, str(error).encode()


def is_like(found, wanted):
    """Whether an answer's value is the recorded one; what differs at each recording stands for anything."""
    if isinstance(wanted, str):
        filled = state.fill(wanted)
        if not isinstance(found, str):
            return False
        if not ANY.search(filled):
            return found == filled
        pattern = "".join(".+" if part and ANY.fullmatch(part) else re.escape(part)
                          for part in re.split(r"(\{[a-z_]+\})", filled) if part)
        return re.fullmatch(pattern, found, re.DOTALL) is not None
    if isinstance(wanted, dict):
        return isinstance(found, dict) and found.keys() == wanted.keys() and all(
            is_like(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(is_like, found, wanted))
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def places(found, wanted, path="body"):
    """Where a document is not the recorded one, each in words; at most five of a list or an object."""
    if is_like(found, wanted):
        return []
    if isinstance(found, dict) and isinstance(wanted, dict):
        named = [f"{path}.{key} is missing, recorded {json.dumps(wanted[key])[:200]}" for key in wanted if key not in found]
        named += [f"{path}.{key} is too much: {json.dumps(found[key])[:200]}" for key in found if key not in wanted]
        return (named + [place for key in wanted if key in found for place in places(found[key], wanted[key], f"{path}.{key}")])[:5]
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [place for number, pair in enumerate(zip(found, wanted)) for place in places(*pair, f"{path}[{number}]")][:5]
    size = f" ({len(found)} entries, recorded {len(wanted)})" if isinstance(found, list) and isinstance(wanted, list) else ""
    return [f"{path} {json.dumps(found)[:250]}, recorded {json.dumps(wanted)[:250]}{size}"]


def words_of(document):
    """The message of a fault, "" when it is none."""
    part = next(iter(document.values()), None) if isinstance(document, dict) and len(document) == 1 else None
    message = part.get("message") if isinstance(part, dict) else None
    return message if isinstance(message, str) else ""


def router_pages(case, wanted, found, body):
    kind = wanted["headers"].get("Content-Type", "")
    is_page = "body_text" in wanted or (isinstance(wanted.get("body"), dict) and wanted["body"].get("title") == "Not Found")
    return wanted["status"] == found == 404 and (is_page or "json" not in kind) and "itemNotFound" in body


def too_large(case, wanted, found, body):
    return wanted["status"] == found == 413 and "overLimit" in body


def reasons(case, wanted, found, body):
    recorded = words_of(wanted.get("body"))
    return wanted["status"] == found and recorded.startswith("No valid host was found.") and words_of(body).startswith(
        "No valid host was found.")


def jsonschema_words(case, wanted, found, body):
    recorded = words_of(wanted.get("body") or {})
    return "is too short" in recorded and wanted["status"] == found and words_of(body) == state.fill(recorded).replace(
        "is too short", "should be non-empty")


def unordered(case, wanted, found, body):
    recorded = (wanted.get("body") or {}).get("migrations")
    answered = body.get("migrations")
    if recorded is None or answered is None or len(recorded) != len(answered) or not re.match(
            r"/v2(\.1)?/(\S+/)?os-migrations", case["request"]["path"]):
        return False
    by_id = lambda row: row["id"]
    return is_like(sorted(answered, key=by_id), sorted(recorded, key=by_id))


def hidden_rows(case, wanted, found, body):
    """Where the recorded page lacks its hidden rows, the answered one is full: it begins with the same rows."""
    recorded, answered = (document.get("migrations") for document in (wanted.get("body") or {}, body))
    limit = re.search(r"limit=(\d+)", case["request"]["path"])
    return (wanted["status"] == found and limit is not None and recorded is not None and answered is not None
            and len(recorded) < len(answered) <= int(limit[1]) and is_like(answered[:len(recorded)], recorded))


def counts(case, wanted, found, body):
    forget = lambda text: re.sub(r'"running_vms": \d+', '"running_vms": 0', text)
    return "running_vms" in json.dumps(body) and is_like(json.loads(forget(json.dumps(body))),
                                                         json.loads(forget(json.dumps(wanted.get("body")))))


def simulated(case, wanted, found, body):
    """The version documents say that the fleet is simulated, and nothing else differs."""
    def without(document):
        if isinstance(document, dict):
            return {key: without(value) for key, value in document.items() if key != "simulated"}
        return [without(entry) for entry in document] if isinstance(document, list) else document
    return wanted["status"] == found and without(body) != body and is_like(without(body), wanted.get("body"))


DECISIONS = {"router-pages": router_pages, "too-large": too_large, "reasons": reasons, "jsonschema-words": jsonschema_words,
             "unordered": unordered, "hidden-rows": hidden_rows, "counts": counts,
             "simulated": simulated}


def compare(case, status, headers, body):
    """What differs, in words; none: the answer is the recorded one."""
    wanted = case["response"]
    differences = []
    if status != wanted["status"]:
        differences.append(f"status {status}, recorded {wanted['status']}")
    for name in HEADERS:
        recorded, answered = wanted["headers"].get(name), headers.get(name)
        if (recorded is None) != (answered is None) or (recorded is not None and not is_like(answered, recorded)):
            differences.append(f"{name}: {answered!r}, recorded {recorded!r}")
    if wanted.get("body") is not None:
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        differences += places(document, wanted["body"])
    elif not is_like(body.decode(errors="replace"), wanted.get("body_text") or ""):
        differences.append(f"body {body[:300]!r}, recorded {wanted.get('body_text')!r}")
    return differences


def decision_for(case, status, body):
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if case["request"]["method"] == "HEAD" and not body:
        document = {"itemNotFound": {}}  # an answer to HEAD has none to be seen
    if not isinstance(document, dict):
        return None
    return next((name for name, decides in DECISIONS.items() if decides(case, case["response"], status, document)), None)


def read_cases(path):
    opened = lzma.open(path, "rt", encoding="utf-8") if path.endswith(".xz") else open(path, encoding="utf-8")
    with opened as lines:
        return [json.loads(line) for line in lines if line.strip()]


def try_case(service, case):
    """("equal", "by NAME" or "differ", what differs)"""
    service.order(load=state.rows_of(case["precondition"]))
    status, headers, body = service.ask(case)
    differences = compare(case, status, headers, body)
    decision = decision_for(case, status, body) if differences else None
    return "equal" if not differences else f"by {decision}" if decision else "differ", differences


def show(case, differences, is_brief):
    request = case["request"]
    if is_brief:
        print(f"{case['id']}: {differences[0][:180]}")
        return
    print(f"{case['id']}: {request['method']} {request['path']} {json.dumps(request['headers'])} {request.get('body')!r:.300}"
          f" {json.dumps(case['caller'])}")
    for difference in differences:
        print(f"    {difference}")


def summarise(tally):
    """One line a group, so that a look tells where the differences are."""
    print(f"# {'group':20} {'cases':>6} {'equal':>6} {'decided':>8} {'differ':>7}")
    for group, verdicts in sorted(tally.items()):
        cases, equal, differ = sum(verdicts.values()), verdicts["equal"], verdicts["differ"]
        names = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()) if verdict.startswith("by "))
        print(f"# {group:20} {cases:6} {equal:6} {cases - equal - differ:8} {differ:7}  "
              f"{100 * (cases - differ) / cases:5.1f} %  {names}")


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--brief"]
    is_brief = len(arguments) < len(sys.argv) - 1
    path, *wanted = arguments or [str(TOP / "tests/data/api_cases.jsonl.xz")]
    cases = read_cases(path)
    if cases and "steps" in cases[0]:
        import flows  # which are whole moves, and imports this file
        return flows.main()
    cases = [case for case in cases if not wanted or case["group"] in wanted or case["id"] in wanted]
    tally = collections.defaultdict(collections.Counter)
    with Service() as service:
        service.order(thaw=["jobs"])
        for case in cases:
            verdict, differences = try_case(service, case)
            tally[case["group"]][verdict] += 1
            if verdict == "differ":
                show(case, differences, is_brief)
    summarise(tally)
    differ = sum(verdicts["differ"] for verdicts in tally.values())
    decided = sum(count for verdicts in tally.values() for verdict, count in verdicts.items() if verdict.startswith("by "))
    print(f"{len(cases)} cases, {differ} differ, {decided} by decision")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
