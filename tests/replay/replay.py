"""Sends recorded requests to a running migrationd and compares every answer: replay.py [--brief] FILE [GROUP or ID...]

The shipped binary serves with the simulated fleet; before each case its database is put into the state that the case names,
over the control socket. A file of whole moves goes to flows.py. Status, the recorded headers and the whole body are compared. A
case whose answer is what a decision puts in place of the recorded one (decided.py) is counted apart; the last line is
`N cases, M differ, D by decision`.
"""

import base64
import collections
import contextlib
import hashlib
import hmac
import http.client
import json
import lzma
import os
import secrets
import socket
import sys
import tempfile
import time
from pathlib import Path

import answers
import decided
import state

TOP = Path(__file__).resolve().parents[2]
sys.path.append(str(TOP / "tests/harness"))

from daemon_process import DaemonProcess  # noqa: E402

BINARY = Path(os.environ.get("MIGRATIOND", TOP / "build" / "migrationd"))
HOST = "nova.example:8774"


class Refused(Exception):
    """The daemon refused what was ordered over its control socket."""


class Service:
    """The daemon under test, in a folder that goes with it; its end must be a good one."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="migrationd-replay.")
        folder = Path(self.folder.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.secret = secrets.token_hex(32)
        config = folder / "migrationd.yaml"
        config.write_text(f"""node: {state.NODE}
admin_socket: {folder}/admin.sock
listener: {{address: 127.0.0.1, port: {self.port}}}
log: {{level: warning}}
hypervisor: {{control_socket: {folder}/control.sock}}
auth:
  keys:
    - {{kid: replay, algorithm: HS256, secret: "{self.secret}"}}
""")
        config.chmod(0o600)
        self.process = DaemonProcess([BINARY, "serve", "--simulate", config], folder / "log")
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
        said = self.process.said()
        self.process.abandon()
        raise SystemExit(f"the daemon does not start: {said}")

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # of a daemon that has ended, which is told now
            self.http.close()
            self.control.close()
        try:
            self.process.stop()
        finally:
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


def read_cases(path):
    opened = lzma.open(path, "rt", encoding="utf-8") if path.endswith(".xz") else open(path, encoding="utf-8")
    with opened as lines:
        return [json.loads(line) for line in lines if line.strip()]


def ask_case(service, case):
    """What is wanted of the case's answer, and the answer."""
    service.order(load=state.rows_of(case["precondition"]))
    answer = answers.Answer.received(*service.ask(case))
    wanted = decided.decide(answers.Wanted(case["response"]), case["request"], decided.scene_of(case))
    return wanted.freeze(), answer


def try_case(service, case):
    """("equal", "by NAME" or "differ", what differs)"""
    wanted, answer = ask_case(service, case)
    differences = wanted.differences(answer)
    names = set() if differences else wanted.decisions(answer)
    return "differ" if differences else f"by {', '.join(sorted(names))}" if names else "equal", differences


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
