"""How long a start takes until the daemon can work, and the memory that it has then, once it has given back what it does not need.
The simulated fleet, ten servers on each host, lies in the same process, and all of it is found and written at the start."""

import shutil
import time

from figures import Figure, FigureGroup, Limit, Measurement
from subject import Subject

SERVERS_ON_A_HOST = 10
LIMITS = {100: (1, 40), 1000: (3, 80), 10000: (40, 400)}  # seconds, MiB


class Group(FigureGroup):
    name = "start"
    has_warm_up = False
    rounds = 7

    def __init__(self, context):
        super().__init__(context)
        self.sizes = (10, 100) if context.is_quick else (100, 1000, 10000)
        self.settle_s = 0 if context.is_quick else 8  # idle memory is given back after two looks, 3 s apart

    def figures(self):
        for hosts in self.sizes:
            yield Figure(f"start/{hosts}", "s", False, (Limit(LIMITS[hosts][0], is_at_most=True),) if hosts in LIMITS else ())
            yield Figure(f"start/{hosts}/memory", "MiB", False, (Limit(LIMITS[hosts][1], is_at_most=True),) if hosts in LIMITS else ())

    def names(self):
        return [f"start/{hosts}" for hosts in self.sizes]

    def measurements(self, chosen):
        for name in chosen:
            hosts = int(name.split("/")[1])
            yield Measurement(name, {side: lambda side=side, binary=binary, hosts=hosts: self.start(side, binary, hosts)
                                     for side, binary in self.context.binaries.items()})

    def start(self, side, binary, hosts):
        simulation = {"hosts": [{"name": "compute", "count": hosts}], "servers": [{"name": "server", "count": hosts * SERVERS_ON_A_HOST}]}
        folder = self.context.folder / f"start-{side}"
        subject = Subject(binary, folder, simulation)
        try:
            yield f"start/{hosts}", side, subject.start()
            time.sleep(self.settle_s)
            yield f"start/{hosts}/memory", side, subject.resident_mb()
        finally:
            subject.stop()
            shutil.rmtree(folder)
