"""Mixed moves asked of a daemon over HTTP, by many at once, while others read its hosts all the time. Which kind a move is of is the
server's affair: each group of servers has a plan of its own."""

import collections
import json
import sqlite3
import subprocess
import threading
import time

MOVES = 500
HOSTS = 6
SLOTS = 8  # servers that a host has memory for
MOVERS = 9
READERS = 2
RESERVED_MB = 512  # what the daemon keeps of each host's memory
MEMORY_MB, DISK_GB = 1024, 3  # of each server
LIVE = ("os-migrateLive", {"host": None, "block_migration": "auto"})
COLD = ("migrate", None)
ENDED = {"completed", "failed", "error", "cancelled", "confirmed", "reverted"}

# Group: so many servers, their plan, and what is asked of them in turn: the name, the action, what is asked while it runs and once it
# waits for its confirm, and how it ends unless no host has room for it.
GROUPS = {
    "well": (18, {"takes": 0.02}, (("live", LIVE, None, None, "completed"),
                                   ("cold, confirmed", COLD, None, "confirmResize", "confirmed"),
                                   ("cold, reverted", COLD, None, "revertResize", "reverted"))),
    "fragile": (8, {"takes": 0.02, "fails": "midway"}, (("live, breaks off", LIVE, None, None, "failed"),
                                                        ("cold, breaks off", COLD, None, None, "error"))),
    "unwanted": (2, {"fails": "precheck"}, (("live, refused", LIVE, None, None, "error"),)),
    "endless": (8, {"takes": 0.02, "fails": "never_converges"}, (("live, aborted", LIVE, "abort", None, "cancelled"),
                                                                 ("live, forced", LIVE, "force", None, "completed"))),
}
SERVERS = sum(count for count, _, _ in GROUPS.values())
SIMULATION = {
    "hosts": [{"name": "compute", "count": HOSTS, "vcpus": SLOTS, "memory_mb": SLOTS * MEMORY_MB + RESERVED_MB, "disk_gb": 100}],
    "servers": [{"name": name, "count": count, "vcpus": 1, "memory_mb": MEMORY_MB, "disk_gb": DISK_GB, "moves": [plan]}
                for name, (count, plan, _) in GROUPS.items()],
    "tokens": {"admin": {"roles": ["admin"]}},
}
# Beside it, by which the doctor is asked.
KEYS = {"keys": [{"kid": "first", "algorithm": "HS256", "secret": "s" * 32}]}
# The fullest hosts first, each as a move leaves it, and no moves that wait long for anything.
SETTINGS = {
    "filter_scheduler": {"ram_weight_multiplier": -1, "build_failure_weight_multiplier": 0},
    "worker": {"poll_interval": 50, "retry_interval": 1},
}


class Crowd:
    """Those who move and those who read; what each of them finds wrong ends them all."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.moves = 0
        self.ends = collections.defaultdict(collections.Counter)
        self.readings = self.compared = 0
        self.faults = []
        self.lock = threading.Lock()
        self.is_resting = threading.Event()

    def run(self):
        names = [(f"{name}-{number}", kinds) for name, (count, _, kinds) in GROUPS.items() for number in range(1, count + 1)]
        rows = self.fleet.servers()
        servers = [(rows[name]["id"], kinds) for name, kinds in names]
        readers = [threading.Thread(target=self.guarded, args=(self.read,)) for _ in range(READERS)]
        movers = [threading.Thread(target=self.guarded, args=(self.move_all, servers[number::MOVERS])) for number in range(MOVERS)]
        for thread in readers + movers:
            thread.start()
        for thread in movers:
            thread.join()
        self.is_resting.set()
        for thread in readers:
            thread.join()
        assert not self.faults, self.faults[0]

    def guarded(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as fault:  # another thread's; told by run
            self.faults.append(repr(fault))

    def wait(self, holds, what):
        deadline = time.monotonic() + 20
        while not self.faults:
            found = holds()
            if found:
                return found
            assert time.monotonic() < deadline, what()
            time.sleep(0.005)
        return None

    # Moving.
    def move_all(self, servers):
        turn = 0
        while self.moves < MOVES and not self.faults:
            for uuid, kinds in servers:
                self.move(uuid, *kinds[turn % len(kinds)])
            turn += 1

    def server(self, uuid):
        return self.fleet.api().get(f"/v2.1/servers/{uuid}").body["server"]

    def migration(self, uuid):
        rows = self.fleet.api().get(f"/v2.1/os-migrations?instance_uuid={uuid}&limit=1").body["migrations"]
        return rows[0]

    def rests(self, uuid, *statuses):
        """The server, once no move is at work on it. It waits for its confirm until the confirm is done."""
        return self.wait(lambda: (row := self.server(uuid))["status"] in ("ACTIVE", "ERROR", *statuses)
                         and not row["OS-EXT-STS:task_state"] and row, lambda: f"{uuid} does not rest: {self.migration(uuid)}")

    def move(self, uuid, name, action, while_running, resized_end, expected):
        answer = self.fleet.api().act(uuid, *action)
        assert answer.status == 202, (name, answer.status, answer.text)
        with self.lock:
            self.moves += 1
        if while_running:
            self.ask_while_running(uuid, while_running)
        server = self.rests(uuid, "VERIFY_RESIZE")
        if server and server["status"] == "VERIFY_RESIZE":
            answer = self.fleet.api().act(uuid, resized_end)
            assert answer.status in (202, 204), (resized_end, answer.status, answer.text)
            server = self.rests(uuid)
        if not server:
            return
        end = self.wait(lambda: (row := self.migration(uuid))["status"] in ENDED and row["status"],
                        lambda: f"the migration of {uuid} has no end: {self.migration(uuid)}")
        with self.lock:
            self.ends[name][end] += 1
        assert server["status"] == "ACTIVE", (name, server)
        assert end in (expected, "error"), f"{name} ended as {end}"

    def ask_while_running(self, uuid, what):
        row = self.wait(lambda: (row := self.migration(uuid))["status"] in ENDED | {"running"} and row,
                        lambda: f"the move of {uuid} does not run: {self.migration(uuid)}")
        if not row or row["status"] != "running":
            return  # no host had room
        place = f"/v2.1/servers/{uuid}/migrations/{row['id']}"
        answer = (self.fleet.api().request("DELETE", place) if what == "abort" else
                  self.fleet.api().request("POST", f"{place}/action", {"force_complete": None}))
        assert answer.status == 202, (what, answer.status, answer.text)

    # Reading.
    def read(self):
        database = next(self.fleet.folder.glob("tmp/**/*.db"))
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as rows:
            while not self.is_resting.is_set() and not self.faults:
                before = rows.execute("PRAGMA data_version").fetchone()
                expected = counted(rows)
                hosts = self.look()
                with self.lock:
                    self.readings += 1
                if rows.execute("PRAGMA data_version").fetchone() == before:  # nothing was committed meanwhile
                    with self.lock:
                        self.compared += 1
                    assert {name: taken for name, (taken, _) in hosts.items()} == expected, (hosts, expected)
                time.sleep(0.002)  # for those who move

    def look(self):
        """(servers that are counted, servers that are there) of each host. All that follows holds at every moment."""
        hosts = {row["hypervisor_hostname"]: slots_of(row)
                 for row in self.fleet.api().get("/v2.1/os-hypervisors/detail").body["hypervisors"]}
        assert len(hosts) == HOSTS, hosts
        assert sum(there for _, there in hosts.values()) == SERVERS, f"a server is nowhere, or twice: {hosts}"
        assert SERVERS <= sum(taken for taken, _ in hosts.values()) <= SERVERS + MOVERS, hosts
        return hosts


def slots_of(row):
    """A host counts whole servers, the same ones by each of its resources, and no more than it has room for."""
    taken, rest = divmod(row["memory_mb_used"] - RESERVED_MB, MEMORY_MB)
    assert rest == 0 and row["vcpus_used"] == taken and row["local_gb_used"] == taken * DISK_GB, row
    assert row["free_ram_mb"] >= 0 and row["free_disk_gb"] >= 0 and row["running_vms"] <= taken <= SLOTS, row
    return taken, row["running_vms"]


def counted(rows):
    """Servers and claims of each host, by one statement and so by one snapshot."""
    return dict(rows.execute(
        "SELECT name, (SELECT COUNT(*) FROM servers WHERE host_id = hosts.id AND is_deleted = 0)"
        " + (SELECT COUNT(*) FROM claims WHERE host_id = hosts.id) FROM hosts"))


def check_rest(fleet, crowd):
    """Each migration has ended, each server is counted once, and hosts, rows and API agree."""
    statuses = collections.Counter(status for status, in read_all(fleet, "SELECT status FROM migrations"))
    assert set(statuses) <= ENDED and sum(statuses.values()) == crowd.moves, statuses
    for what in ("jobs WHERE finished_us = 0", "claims", "kept_domains", "volumes", "instance_actions WHERE finish_us = 0"):
        assert read_all(fleet, f"SELECT COUNT(*) FROM {what}") == [(0,)], what
    fleet.wait(lambda: read_all(fleet, "SELECT COUNT(*) FROM chores") == [(0,)])
    places = collections.Counter(row["OS-EXT-SRV-ATTR:host"] for row in fleet.servers().values())
    assert {name: (places[name], places[name]) for name in crowd.look()} == crowd.look()


def read_all(fleet, query):
    database = next(fleet.folder.glob("tmp/**/*.db"))
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as rows:
        return rows.execute(query).fetchall()


def ask_doctor(binary, config):
    done = subprocess.run([binary, "doctor", "--json", "--config", config], capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done
    answer = json.loads(done.stdout)
    assert answer["findings"] == [] and (answer["servers"], answer["hosts"]) == (SERVERS, HOSTS), answer


def run(fleet, binary, config):
    began = time.monotonic()
    crowd = Crowd(fleet)
    crowd.run()
    took = time.monotonic() - began
    print(f"# {crowd.moves} moves in {took:.1f} s; {crowd.readings} readings, {crowd.compared} of them with nothing committed meanwhile")
    for name, ends in sorted(crowd.ends.items()):
        print(f"# {name}: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    assert crowd.moves >= MOVES and took < 60, (crowd.moves, took)
    assert crowd.compared > 0
    for _, _, kinds in GROUPS.values():
        for name, _, _, _, expected in kinds:
            assert crowd.ends[name][expected] > sum(crowd.ends[name].values()) / 2, (name, crowd.ends[name])
    check_rest(fleet, crowd)
    ask_doctor(binary, config)
