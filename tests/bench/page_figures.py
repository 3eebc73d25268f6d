"""Single reads and pages at 1, 10 and 100 times the rows: a page that is as long as before is to take as long as before."""

import sqlite3
import time

from figures import AGAINST, OURS, Figure, FigureGroup, Limit, Measurement
from subject import Subject, load, write_requests

import state  # tests/replay, which subject.py brings

HOSTS, SERVERS, MIGRATIONS = 100, 2000, 1000  # at once the rows
ENDED = ("completed", "error", "confirmed", "cancelled", "failed")
PATHS = {"server": "/v2.1/servers/{server}", "servers": "/v2.1/servers/detail?all_tenants=1&limit=100",
         "migrations": "/v2.1/os-migrations?limit=50", "hypervisors": "/v2.1/os-hypervisors/detail?limit=100"}


def insert_migrations(subject, count):
    """Ended moves, as if each server had been moved in turn: so many real ones would take an hour."""
    servers = subject.servers()
    now = int(time.time() * 1e6)
    columns = [name for name in state.BLANK["migrations"]]
    rows = ({**state.BLANK["migrations"], "uuid": state.uuid(number), "server_uuid": servers[number % len(servers)],
             "status": ENDED[number % len(ENDED)], "type": "live-migration", "user_id": "demo", "project_id": "demo",
             "source_compute": f"compute-{number % HOSTS + 1}", "dest_compute": f"compute-{number * 7 % HOSTS + 1}",
             "created_us": now - number * 1000, "updated_us": now - number * 1000} for number in range(count))
    database = sqlite3.connect(subject.database, timeout=60)
    with database:
        database.executemany(f"INSERT INTO migrations ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})", rows)
    database.close()


class Group(FigureGroup):
    name = "pages"

    def __init__(self, context):
        super().__init__(context)
        self.scales = (1, 10) if context.is_quick else (1, 10, 100)
        self.part = 10 if context.is_quick else 1  # of the rows
        self.seconds = 0.05 if context.is_quick else 0.5
        self.subjects = {}

    def figures(self):
        for page in PATHS:
            for scale in self.scales:
                yield Figure(f"pages/{page}/{scale}x", "µs", False, (Limit(0.7, "1x"),) if scale > 1 else ())

    def names(self):
        return [f"pages/{page}" for page in PATHS]

    def prepare(self, chosen, rounds_to_come):
        for side, binary in self.context.binaries.items():
            for scale in self.scales:
                simulation = {"hosts": [{"name": "compute", "count": HOSTS * scale // self.part}],
                              "servers": [{"name": "server", "count": SERVERS * scale // self.part}]}
                subject = Subject(binary, self.context.folder / f"pages-{side}-{scale}x", simulation, is_frozen=True)
                self.subjects[side, scale] = subject
                subject.start()
                insert_migrations(subject, MIGRATIONS * scale // self.part)
                for page, path in PATHS.items():
                    servers = subject.servers()[:100] if "{" in path else [""]
                    write_requests(subject.folder / page, [subject.request("GET", path.format(server=uuid)) for uuid in servers])

    def measurements(self, chosen):
        for name in chosen:
            page = name.split("/")[1]
            yield Measurement(name, {key: lambda key=key, page=page: self.read(page, *key) for key in self.subjects})

    def read(self, page, side, scale):
        subject = self.subjects[side, scale]
        took = load(subject.port, 1, self.seconds, 200, subject.folder / page)["median_us"]
        yield f"pages/{page}/{scale}x", side, took
        if side == OURS and scale == 1:
            for larger in self.scales[1:]:
                yield f"pages/{page}/{larger}x", "1x", took

    def close(self):
        for subject in self.subjects.values():
            subject.stop()
