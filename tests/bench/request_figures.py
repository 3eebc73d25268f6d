"""Requests that are refused, read and accepted, beside a bare libmicrohttpd handler that gives the very same answers, and accepts
beside a bare SQLite program that commits the very same rows, as many in a commit as there are connections."""

import http.client
import json
import sqlite3

import accept_rows
from figures import AGAINST, OURS, Figure, FigureGroup, Limit, Measurement
from subject import Failure, Subject, answer_of, end, load, program, write_requests

STATUSES = {"refused": 401, "read": 200, "accepted": 202}
HTTP, SQLITE = "libmicrohttpd", "SQLite"
THREADS = 4  # as listener.threads is by default
READ_SERVERS = 1000
LIVE = {"os-migrateLive": {"host": None, "block_migration": "auto"}}


class Scale:
    def __init__(self, is_quick):
        self.hosts = 10 if is_quick else 100
        self.seconds = 0.1 if is_quick else 1  # of requests that write nothing
        self.accepts = {1: 10, 16: 32} if is_quick else {1: 200, 16: 800, 64: 1600, 256: 2560}  # a round's, by connections


class Builds:
    """One build's daemon with what is sent to it."""

    def __init__(self, binary, folder, simulation):
        self.subject = Subject(binary, folder, simulation, is_frozen=True)
        self.folder = self.subject.folder
        self.next_server = 0

    def start(self):
        self.subject.start()
        self.servers = self.subject.servers()
        forged = self.subject.token[:-4] + ("AAAA" if not self.subject.token.endswith("AAAA") else "BBBB")
        self.requests = {
            "refused": [self.post(self.servers[0], forged)],
            "read": [self.subject.request("GET", f"/v2.1/servers/{uuid}") for uuid in self.servers[:READ_SERVERS]],
            "accepted": [self.post(uuid) for uuid in self.servers]}
        for kind, requests in self.requests.items():
            write_requests(self.folder / kind, requests)

    def post(self, uuid, token=None):
        return self.subject.request("POST", f"/v2.1/servers/{uuid}/action", LIVE, token)

    def answer(self, kind):
        """One answer, as bench_bare_http takes it: of an accept, it is the next server's."""
        head, _, body = self.requests[kind][self.next_server if kind == "accepted" else 0].partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        method, path, _ = line.split(" ")
        connection = http.client.HTTPConnection("127.0.0.1", self.subject.port, timeout=30)
        connection.request(method, path, body or None, dict(one.split(": ", 1) for one in lines))
        response = connection.getresponse()
        data = response.read()
        connection.close()
        self.next_server += kind == "accepted"
        if response.status != STATUSES[kind]:
            raise Failure(f"{kind}: status {response.status}: {data[:500]}")
        headers = [f"{name}: {value}" for name, value in response.getheaders() if name not in ("Date", "Content-Length", "Connection")]
        return "\n".join([str(response.status), *headers, "", ""]).encode() + data

    def run(self, port, kind, connections, scale):
        """The same load, for this build or for a bare handler in its place."""
        words = (port, connections, scale.seconds, STATUSES[kind], self.folder / kind)
        if kind == "accepted":
            words = (port, connections, 600, STATUSES[kind], self.folder / kind,
                     self.next_server if port == self.subject.port else 0, scale.accepts[connections])
            self.next_server += scale.accepts[connections] if port == self.subject.port else 0
        return load(*words)


class Group(FigureGroup):
    name = "requests"

    def __init__(self, context):
        super().__init__(context)
        self.scale = Scale(context.is_quick)
        self.builds, self.handlers, self.sqlite = {}, {}, None

    def figures(self):
        for kind in STATUSES:
            for connections in self.scale.accepts:
                limits = [Limit(0.1 if kind == "refused" else 0.08, HTTP)]
                if kind == "accepted":
                    limits = [Limit(0.5 if connections == 1 else 0.1, SQLITE)]
                yield Figure(f"{kind}/{connections}", "requests/s", True, tuple(limits))
                yield Figure(f"{kind}/{connections}/p99", "µs", False, is_in_table=False)

    def names(self):
        return [f"{kind}/{connections}" for kind in STATUSES for connections in self.scale.accepts]

    def prepare(self, chosen, rounds_to_come):
        kinds = {name.split("/")[0] for name in chosen}
        accepts = sum(self.scale.accepts[int(name.split("/")[1])] for name in chosen if name.startswith("accepted/"))
        simulation = {"hosts": [{"name": "compute", "count": self.scale.hosts, "vcpus": 10000, "memory_mb": 10**8}],
                      "servers": [{"name": "server", "count": max(READ_SERVERS, accepts * (rounds_to_come + 1) + 10)}]}
        for side, binary in self.context.binaries.items():
            self.builds[side] = Builds(binary, self.context.folder / f"requests-{side}", simulation)
            self.builds[side].start()
        ours = self.builds[OURS]
        if "accepted" in kinds:
            self.prepare_sqlite(ours)
        for kind in kinds:
            path = ours.folder / f"{kind}.answer"
            path.write_bytes(ours.answer(kind))
            process = program("bench_bare_http", THREADS, path)
            self.handlers[kind] = process, int(process.stdout.readline())

    def prepare_sqlite(self, ours):
        """The bare program has a copy of the database, and the statements of one accept."""
        copy, statements = ours.folder / "copy.db", ours.folder / "accept.json"
        source, target = sqlite3.connect(f"file:{ours.subject.database}?mode=ro", uri=True), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()
        server = ours.servers[ours.next_server]
        ours.answer("accepted")
        rows = accept_rows.Rows(ours.subject.database, copy, server)
        statements.write_text(json.dumps(rows.statements))
        self.notes["An accept writes, and so does the bare SQLite program"] = [
            f"{table}: a row {what}, in a table with {count} indices" for table, what, count in rows.written]
        self.sqlite = program("bench_bare_sqlite", copy, statements)

    def measurements(self, chosen):
        for name in chosen:
            kind, connections = name.split("/")
            yield self.measurement(name, kind, int(connections))

    def measurement(self, name, kind, connections):
        def of_build(side):
            told = self.builds[side].run(self.builds[side].subject.port, kind, connections, self.scale)
            yield name, side, told["requests"] / told["seconds"]
            yield f"{name}/p99", side, told["p99_us"]

        def of_handler():
            told = self.builds[OURS].run(self.handlers[kind][1], kind, connections, self.scale)
            yield name, HTTP, told["requests"] / told["seconds"]

        def of_sqlite():
            told = answer_of(self.sqlite, f"{self.scale.accepts[connections]} {connections}")
            yield name, SQLITE, told["accepts"] / told["seconds"]

        sides = {OURS: lambda: of_build(OURS), HTTP: of_handler}
        if kind == "accepted":
            sides[SQLITE] = of_sqlite
        if AGAINST in self.builds:
            sides[AGAINST] = lambda: of_build(AGAINST)
        return Measurement(name, sides)

    def close(self):
        for build in self.builds.values():
            build.subject.stop()
        for process in [one for one, _ in self.handlers.values()] + [self.sqlite] * (self.sqlite is not None):
            end(process)
