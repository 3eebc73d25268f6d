"""Regular expressions that no daemon should have to work out, sent by someone who may only read."""

import sys
import time
from pathlib import Path
from urllib.parse import quote

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/lab"), str(TOP / "tests/replay")]

from service import FREE, Service  # noqa: E402
import state  # noqa: E402

SERVERS = 500
NAME = "vm-%d-" + "a" * 200 + "!"
NO_CHARACTER = "[^!-~]"  # of any name here: a search that ends with it never ends well

HOSTILE = ("(" * 14000, "(" * 14000 + ")" * 14000, "[" * 14000, "a" * 30000,
           "((((a{1,255}){1,255}){1,255}){1,255})", "(((a{1,200}){1,200}){1,200}){1,200}",
           "(a*)*" * 1000, "(a*)*" * 100 + NO_CHARACTER, "(a|aa)+" + NO_CHARACTER, "(.*)*" * 100 + NO_CHARACTER,
           "([!-~]?)*" * 80 + NO_CHARACTER, "(?:[!-~]?|[!-~])*" * 50 + NO_CHARACTER, ".*" * 300 + NO_CHARACTER,
           "(?=.*)" * 100 + ".*" * 100 + NO_CHARACTER, "(.?)" + "\\1{0,65535}.*" * 60 + NO_CHARACTER,
           "(*LIMIT_MATCH=4000000000)(*LIMIT_HEAP=4000000000)(a*)*b", "(?R)", "(?C)a", "\\C", "\\Q(", "(", "*", "")


def peak_kib(service):
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if "VmHWM" in line)


def refused(parameter, pattern):
    shown = pattern.replace("\\", "\\\\")
    return f"Invalid input for query parameters {parameter}. Value: {pattern}. '{shown}' is not a 'regex'"


def hostile_patterns(folder):
    """a reader's pattern that would never end is answered 400 in Nova's words, soon, and the daemon stays as small as it was"""
    service = Service(folder).start()
    rows = state.rows_of(FREE)
    addresses = '{"net": [{"addr": "%s", "version": 4}]}' % ("a" * 200)
    rows["servers"] = [{**state.server(1, NAME % number, "host1"), "id": number, "uuid": state.uuid(500 + number),
                        "addresses": addresses} for number in range(1, SERVERS + 1)]
    service.control(load=rows)
    client = service.api("reader")
    assert len(client.get("/v2.1/servers?name=^vm.*a!$&ip=^a").body["servers"]) == SERVERS
    before = peak_kib(service)
    for parameter in ("name", "ip", "ip6"):
        for pattern in HOSTILE:
            began = time.monotonic()
            answer = client.get(f"/v2.1/servers?{parameter}={quote(pattern, safe='()[]{}*?|.^!,=:~$<>')}")
            assert answer.status == 400, (parameter, pattern[:60], answer.status)
            assert answer.message == refused(parameter, pattern), (parameter, pattern[:60])
            assert time.monotonic() - began < 2, (parameter, pattern[:60], time.monotonic() - began)
    assert peak_kib(service) - before < 10 * 1024, (before, peak_kib(service))
    assert service.process.poll() is None
    assert len(client.get("/v2.1/servers?name=vm-7-").body["servers"]) == 1
    service.stop()


CHECKS = (hostile_patterns,)
