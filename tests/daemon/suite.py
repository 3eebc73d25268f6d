"""The shipped binary in trouble: wrong files at its start, full disk, kill -9, many clients, hostile bytes. Speaks TAP.

It serves with the simulated fleet, whose jobs stand still here, so that only the daemon itself is seen. A check is a function
whose docstring says what holds; it gets a fresh folder.
"""

import base64
import http.client
import json
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/lab"), str(TOP / "tests/replay")]

import doors  # noqa: E402
import patterns  # noqa: E402
import records  # noqa: E402
from service import BINARY, FREE, Service, run_checks  # noqa: E402
import state  # noqa: E402

FULL_DISK = BINARY.parent / "tests" / "libfull_disk.so"


def raw(service, data, seconds=10):
    """Sends bytes as they are; gives all that comes back until the far end closes or is silent."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=seconds) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def says(service, *words):
    status, log = service.fails()
    assert status not in (0, None) and status > 0, f"status {status}"
    for word in words:
        assert word in log, f"{word!r} is not in:\n{log}"


def a_wrong_setting(folder):
    """a setting that is none stops the start, with file, line and name"""
    service = Service(folder, schedular={})
    says(service, f"{service.config}:1", "schedular", "scheduler")


def a_missing_configuration(folder):
    """a configuration that is not there stops the start, and its name is told"""
    done = subprocess.run([BINARY, "serve", "--config", f"{folder}/none.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 78 and f"{folder}/none.yaml" in done.stderr, done


def a_missing_key(folder):
    """a key file that is not there stops the start, and its name is told"""
    service = Service(folder, auth={"keys": [{"kid": "own", "algorithm": "HS256", "secret_file": f"{folder}/none.key"}]})
    says(service, f"{folder}/none.key")


def a_wrong_policy(folder):
    """a policy file that cannot be read, or has a rule that can only fail, stops the start, with file and line"""
    policy = Path(folder) / "policy.yaml"
    policy.write_text('"os_compute_api:os-migrate-server:migrate": [unclosed\n')
    service = Service(folder, policy={"file": str(policy)})
    says(service, f"{policy}:")
    policy.write_text('"os_compute_api:os-migrate-server:migrate": "role:admin or or"\n')
    says(service, f"{policy}:1: policy os_compute_api:os-migrate-server:migrate")


def a_foreign_database(folder):
    """a database file that is none stops the start and is left as it was"""
    database = Path(folder) / "migrationd.db"
    database.write_bytes(b"no database at all\n" * 400)
    says(Service(folder), str(database))
    assert database.read_bytes() == b"no database at all\n" * 400


def a_newer_database(folder):
    """a database of a newer version stops the start, and both versions are told"""
    Service(folder).start().stop()
    with sqlite3.connect(f"{folder}/migrationd.db") as base:
        base.execute("UPDATE schema_version SET version = 9999")
    says(Service(folder), "9999")


def a_used_port(folder):
    """a port that somebody else has stops the start, and address and port are told"""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        service = Service(folder)
        service.sections["listener"]["port"] = other.getsockname()[1]
        says(service, "127.0.0.1", str(other.getsockname()[1]))


def a_file_at_a_sockets_path(folder):
    """a file at the path of a socket stops the start, is named and stays as it was"""
    file = Path(folder) / "somebodys"
    file.write_text("precious\n")
    service = Service(folder, admin_socket=str(file))
    says(service, f"{file} is there and is no socket")
    service = Service(folder, hypervisor={"driver": "simulated", "control_socket": str(file)})
    says(service, f"{file} is there and is no socket")
    assert file.read_text() == "precious\n"


def a_second_daemon(folder):
    """a second daemon on the same database stops at its start and leaves the first one whole"""
    first = Service(folder).start().load()
    second = Service(folder, auth=first.sections["auth"])
    status, log = second.fails()
    assert status > 0 and "another daemon" in log, log
    assert first.migrate().status == 202
    first.stop()


def an_end_by_signal(folder):
    """SIGTERM ends it with 0, soon, also while a request waits for a verdict, which is answered"""
    service = Service(folder).start().load()
    answers = []
    client = service.api("member", "reader", version="2.30")
    action = {"host": None, "block_migration": "auto"}
    asker = threading.Thread(target=lambda: answers.append(client.act(state.server_uuid(1), "os-migrateLive", action)))
    asker.start()
    service.wait(service.jobs)
    began = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(15) == 0
    asker.join(10)
    assert [answer.status for answer in answers] == [202], [(a.status, a.text) for a in answers]
    assert time.monotonic() - began < 5
    assert service.jobs(), "the job is left for the next start"


def an_end_at_a_gate(folder):
    """SIGTERM ends a daemon whose simulated move stands at a closed gate"""
    service = Service(folder).start().load()
    service.control(thaw=["jobs"])
    service.control(close_gate="disk")
    assert service.migrate().status == 202
    service.control(wait_at_gate="disk")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) == 0


def roles_in(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["roles"]


def implied_roles(folder):
    """a token for a role has those that Keystone implies by it, and with --exact-roles that role alone"""
    service = Service(folder).start()
    assert roles_in(service.token("admin")) == ["admin", "manager", "member", "reader"]
    assert roles_in(service.token("member", "auditor")) == ["member", "auditor", "reader"]
    exact = subprocess.run([BINARY, "token", "--config", service.config, "--role", "member", "--exact-roles", "--project",
                            state.PROJECT], capture_output=True, text=True, check=True).stdout.strip()
    assert roles_in(exact) == ["member"]
    service.stop()


def a_kill(folder):
    """kill -9 loses nothing that was accepted, and nothing that was refused comes back"""
    service = Service(folder).start().load()
    assert service.migrate().status == 202
    assert service.api("member", "reader").act(state.NAMES["unknown"], "migrate").status == 404
    service.kill()
    assert service.jobs() == [(state.server_uuid(1), "cold")]
    service.start()
    answer = service.migrate()
    assert answer.status == 409 and "resize_prep" in answer.message, answer.text
    service.stop()


def a_full_disk(folder):
    """a full disk refuses new moves with 503, loses none that was accepted, still reads, and recovers by itself"""
    mark = Path(folder) / "full"
    service = Service(folder).start(LD_PRELOAD=str(FULL_DISK), FULL_DISK_WHILE=str(mark)).load()
    member = service.api("member", "reader")
    assert service.migrate(member).status == 202
    mark.touch()
    answer = member.act(state.server_uuid(3), "confirmResize")
    assert answer.status == 503 and "full" in answer.message, answer.text
    assert member.get(f"/v2.1/servers/{state.server_uuid(1)}").status == 200
    service.wait(lambda: member.act(state.server_uuid(3), "confirmResize").status == 503)
    mark.unlink()
    assert service.jobs() == [(state.server_uuid(1), "cold")]
    answer = member.act(state.server_uuid(3), "confirmResize")
    assert answer.status == 204, answer.text
    service.stop()


def a_disk_that_does_not_sync(folder):
    """nothing is accepted that the disk has not confirmed: it is refused and not there, and what comes later is accepted again"""
    mark = Path(folder) / "unsynced"
    service = Service(folder).start(LD_PRELOAD=str(FULL_DISK), NO_SYNC_WHILE=str(mark)).load()
    member = service.api("member", "reader")
    mark.touch()
    answer = service.migrate(member)
    assert answer.status in (500, 503), answer.status
    assert service.jobs() == [], service.jobs()
    assert member.get(f"/v2.1/servers/{state.server_uuid(1)}").status == 200
    mark.unlink()
    assert service.migrate(member).status == 202
    assert service.jobs() == [(state.server_uuid(1), "cold")]
    service.stop()


def one_of_many(folder):
    """of fifty that migrate one server at once, one is accepted and 49 get 409"""
    service = Service(folder).start().load()
    client = service.api("member", "reader")
    answers = []
    askers = [threading.Thread(target=lambda: answers.append(service.migrate(client).status)) for _ in range(50)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert sorted(answers) == [202] + [409] * 49, sorted(answers)
    assert len(service.jobs()) == 1
    service.stop()


def many_connections(folder):
    """five hundred idle connections keep nobody else waiting, and all can be used afterwards"""
    service = Service(folder).start().load()
    idle = [http.client.HTTPConnection("127.0.0.1", service.port, timeout=10) for _ in range(500)]
    for connection in idle:
        connection.connect()
    began = time.monotonic()
    assert service.api("reader").get("/v2.1/servers").status == 200
    assert time.monotonic() - began < 2
    for connection in idle:
        connection.request("GET", "/healthz")
    assert all(connection.getresponse().status == 200 for connection in idle)
    for connection in idle:
        connection.close()
    service.stop()


def damage(chance, sound):
    """The bytes with some of them changed, lost or made up."""
    damaged = bytearray(sound)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(damaged))
        how = chance.randrange(3)
        if how == 0:
            damaged[place] = chance.randrange(256)
        elif how == 1:
            del damaged[place:place + chance.randint(1, 20)]
        else:
            damaged[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 20)))
    return bytes(damaged)


def hostile_bytes(folder):
    """two thousand damaged requests end in 4xx, a closed connection or silence, never in 5xx, and change nothing"""
    service = Service(folder).start().load()
    token = service.token("admin", "member", "reader")
    body = b'{"os-migrateLive": {"host": null, "block_migration": "auto"}}'
    sound = (f"POST /v2.1/servers/{state.server_uuid(1)}/action HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}x\r\n"
             f"OpenStack-API-Version: compute 2.60\r\nContent-Type: application/json\r\nConnection: close\r\n"
             f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    chance = random.Random(7)

    def send(data):
        answer = raw(service, data, 0.5)
        return data, answer, int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(send, [damage(chance, sound) for _ in range(2000)]))
    bad = [(data, answer) for data, answer, status in answers if status >= 500 or 200 <= status < 300]
    assert not bad, bad[:3]
    assert sum(400 <= status < 500 for _, _, status in answers) > 1000
    assert service.api("reader").get("/v2.1/servers").status == 200
    assert not service.jobs()
    service.stop()


def a_silent_client(folder):
    """a client that falls silent in the middle of a request is let go after idle_timeout"""
    service = Service(folder)
    service.sections["listener"]["idle_timeout"] = 1
    service.start()
    began = time.monotonic()
    assert raw(service, b"POST /v2.1/servers HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhalf", 10)[:9] in (b"", b"HTTP/1.1 ")
    assert time.monotonic() - began < 5
    service.stop()


def long_heads(folder):
    """a head beyond the limit is refused and a body beyond it gets 413, without being kept in memory"""
    service = Service(folder).start().load()
    answer = raw(service, b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n", 5)
    assert answer[:13] in (b"HTTP/1.1 431 ", b"HTTP/1.1 413 ", b"HTTP/1.1 414 ", b""), answer[:200]
    size = 64 * 1024 * 1024
    client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    client.request("POST", f"/v2.1/servers/{state.server_uuid(1)}/action", b" " * size,
                   {"X-Auth-Token": service.token("member"), "Content-Type": "application/json"})
    assert client.getresponse().status == 413
    peak = [line for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines() if "VmHWM" in line]
    assert int(peak[0].split()[1]) < 40 * 1024, peak
    service.stop()


def log_lines(folder):
    """every request leaves one line in the log, with its request id, method, target and status"""
    service = Service(folder).start().load()
    answer = service.api("reader").get(f"/v2.1/servers/{state.server_uuid(2)}")
    assert answer.status == 404
    service.process.terminate()
    service.process.wait(10)
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    own = [line for line in lines if line.get("request_id") == answer.request_id]
    assert len(own) == 1 and own[0]["status"] == 404 and own[0]["method"] == "GET", own
    assert own[0]["target"] == f"/v2.1/servers/{state.server_uuid(2)}", own


def commits(base):
    """How often the write-ahead log was committed to, as (its salt, commits)."""
    data = Path(f"{base}-wal").read_bytes()
    size, salt = int.from_bytes(data[8:12], "big"), data[16:24]
    frames = [data[at:at + 24] for at in range(32, len(data) - 23, 24 + size)]
    return salt, sum(frame[4:8] != bytes(4) for frame in frames if frame[8:16] == salt)


def commits_within(base, seconds):
    """Over that time; a log that begins anew in between counts from its beginning."""
    (salt, before), total, until = commits(base), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05)
        now, count = commits(base)
        total += count - before if now == salt else count
        salt, before = now, count
    return total


def many_moves(folder):
    """fifty long moves write their progress within the interval that is set, and slow no other request"""
    service = Service(folder, worker={"threads": 64, "progress_interval": 2, "poll_interval": 100, "lease": 3600},
                      max_concurrent_live_migrations=0)
    service.start()
    rows = state.rows_of(FREE)
    for host in rows["hosts"]:
        host |= {"vcpus": 100, "memory_mb": 65536}
    rows["servers"] = [{**state.server(1, f"vm-{number}", "host1"), "id": number, "uuid": state.uuid(500 + number)}
                       for number in range(1, 51)]
    rows["migrations"] = rows["instance_actions"] = rows["instance_action_events"] = rows["claims"] = []
    service.control(load=rows)
    service.control(thaw=["jobs"])
    service.control(close_gate="live")
    member = service.api("member", "reader")
    wish = {"host": None, "block_migration": "auto"}
    for number in range(1, 51):
        assert member.act(state.uuid(500 + number), "os-migrateLive", wish).status == 202
    admin = service.api("admin", "manager", "member", "reader")
    service.wait(lambda: len(admin.get("/v2.1/os-migrations?status=running").body["migrations"]) == 50)
    counted = []
    counter = threading.Thread(target=lambda: counted.append(commits_within(service.sections["database"], 6)))
    counter.start()
    took = []
    while counter.is_alive():
        began = time.monotonic()
        assert member.get("/v2.1/servers/detail?limit=10").status == 200
        took.append(time.monotonic() - began)
        time.sleep(0.01)
    counter.join()
    assert 1 <= counted[0] <= 50 * 6 / 2 + 50, f"{counted[0]} commits in 6 s"
    took.sort()
    assert took[len(took) * 99 // 100] < 0.1, f"of {len(took)} reads one in a hundred took {took[len(took) * 99 // 100]:.3f} s"
    service.control(open_gate="live")
    service.wait(lambda: len(admin.get("/v2.1/os-migrations?status=completed").body["migrations"]) == 50)
    service.stop()


def a_silent_host(folder):
    """while more starts wait for a host that is down than there are threads, moves of others are done at once, and /readyz is true"""
    service = Service(folder, worker={"threads": 4, "retry_interval": 1})
    service.start()
    rows = state.rows_of(FREE)
    for row in rows["services"]:
        row["is_up"] = int(row["host"] != "host3")
    rows["servers"] = [{**state.server(1, f"vm-{number}", "host3" if number > 1 else "host1"), "id": number, "uuid": state.uuid(500 + number),
                        **({"vm_state": "stopped", "power_state": 4} if number > 1 else {})} for number in range(1, 24)]
    rows["migrations"] = rows["instance_actions"] = rows["instance_action_events"] = rows["claims"] = []
    service.control(load=rows)
    service.control(inject={"fault": "libvirtd_stops", "host": "host3"})
    service.control(thaw=["jobs"])
    admin = service.api("admin", "manager", "member", "reader")
    for number in range(2, 24):
        assert admin.act(state.uuid(500 + number), "os-start").status == 202
    assert len(service.jobs()) == 22, service.jobs()
    began = time.monotonic()
    assert admin.act(state.uuid(501), "os-migrateLive", {"host": "host2", "block_migration": "auto"}).status == 202
    service.wait(lambda: admin.get("/v2.1/os-migrations?status=completed").body["migrations"])
    assert time.monotonic() - began < 5, f"it took {time.monotonic() - began:.1f} s"
    ready = service.api().get("/readyz")
    assert ready.status == 200 and ready.body["checks"]["hosts"]["ok"], ready.text
    assert len(service.jobs()) == 22, service.jobs()
    service.stop()


def the_control_socket(folder):
    """over the control socket the clock is set, put forward and let run, by 0600 and for a simulated fleet alone; what it does not know it refuses"""
    service = Service(folder).start()
    assert Path(f"{folder}/control.sock").stat().st_mode & 0o777 == 0o600

    def answer(**words):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(f"{folder}/control.sock")
            lines = connection.makefile("rw", encoding="utf-8")
            lines.write(json.dumps(words) + "\n")
            lines.flush()
            return json.loads(lines.readline())
    moment = 1767312000000000
    assert answer(clock={"set_us": moment}) == {"now_us": moment}
    assert answer(clock={"advance_us": 7}) == {"now_us": moment + 7}
    time.sleep(0.01)
    assert answer(clock={"advance_us": 0}) == {"now_us": moment + 7}, "it stands still"
    assert answer(clock={"run": True})["now_us"] >= moment + 7
    time.sleep(0.01)
    assert answer(clock={"advance_us": 0})["now_us"] >= moment + 7 + 10000, "it runs"
    for words, said in (({"clock": {}}, "wants set_us, advance_us or run"), ({"clock": {"run": False}}, "wants set_us"),
                        ({"close_gate": "none"}, "there is no gate none"), ({"open_gate": 3}, "there is no gate of no name"),
                        ({"wait_at_gate": "none"}, "there is no gate none"), ({"freeze": ["all"]}, 'only "jobs" and "discovery"'),
                        ({"fly": 1}, "no known word"), ({}, "no known word")):
        assert said in answer(**words).get("error", ""), (words, answer(**words))
    service.stop()
    assert not Path(f"{folder}/control.sock").exists()


CHECKS = (a_missing_configuration, a_wrong_setting, a_missing_key, a_wrong_policy, a_foreign_database, a_newer_database,
          a_used_port, a_file_at_a_sockets_path, a_second_daemon, an_end_by_signal, a_kill, a_full_disk,
          a_disk_that_does_not_sync, one_of_many, many_connections, hostile_bytes, a_silent_client, long_heads, log_lines,
          implied_roles, an_end_at_a_gate, many_moves, a_silent_host, the_control_socket, *doors.CHECKS, *patterns.CHECKS, *records.CHECKS)


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return run_checks(CHECKS, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
