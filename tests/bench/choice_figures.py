"""Choices of a target among hosts in memory, beside Nova's own filters and weighers."""

import os
import subprocess
from pathlib import Path

import nova_packages
from figures import AGAINST, OURS, Figure, FigureGroup, Limit, Measurement
from subject import PROGRAMS, answer_of, end

NOVA = "Nova"
NOVA_CHOICES = {100: 20, 1000: 3, 10000: 1, 100000: 1}
SELDOM = {100000: 5}  # Nova takes half a minute for one: each fifth round has it
P99_LIMIT_HOSTS, P99_LIMIT_US = 10000, 2000


class Group(FigureGroup):
    name = "choices"

    def __init__(self, context):
        super().__init__(context)
        self.sizes = (100, 1000) if context.is_quick else (100, 1000, 10000, 100000)
        self.processes = {}

    def figures(self):
        for hosts in self.sizes:
            yield Figure(f"choices/{hosts}", "µs", False, (Limit(20, NOVA),))
            limits = (Limit(P99_LIMIT_US, is_at_most=True),) if hosts == P99_LIMIT_HOSTS else ()
            yield Figure(f"choices/{hosts}/p99", "µs", False, limits, is_in_table=bool(limits))

    def names(self):
        return [f"choices/{hosts}" for hosts in self.sizes]

    def prepare(self, chosen, rounds_to_come):
        nova = None
        if "nova" not in self.context.without:
            nova = nova_packages.folder(self.context.folder.parent / "nova")
            if nova is None:
                self.context.leave_out("Nova's choices: python3-nova cannot be had from Debian's archive")
        for name in chosen:
            hosts = int(name.split("/")[1])
            self.start(OURS, hosts, [PROGRAMS / "bench_scheduler", hosts])
            if AGAINST in self.context.binaries:
                self.start_against(hosts)
            if nova:
                self.start(NOVA, hosts, ["/usr/bin/python3", Path(__file__).with_name("nova_choices.py"), hosts], PYTHONPATH=str(nova))

    def start(self, side, hosts, words, **environment):
        self.processes[side, hosts] = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})

    def start_against(self, hosts):
        """The other build's scheduler is in its measuring program, where that stands beside it and takes a number of hosts."""
        path = Path(self.context.binaries[AGAINST]).parent / "tests/bench/bench_scheduler"
        if not path.exists():
            self.context.leave_out(f"choices of the other build: there is no {path}")
        else:
            self.start(AGAINST, hosts, [path, hosts])

    def measurements(self, chosen):
        for name in chosen:
            hosts = int(name.split("/")[1])
            sides = {side: lambda side=side, hosts=hosts: self.choose(side, hosts) for side, of in self.processes if of == hosts}
            yield Measurement(name, sides, {NOVA: SELDOM.get(hosts, 1)})

    def choose(self, side, hosts):
        count = NOVA_CHOICES[hosts] if side == NOVA else min(1000, max(20, 2000000 // hosts))
        told = answer_of(self.processes[side, hosts], count)
        yield f"choices/{hosts}", side, told["median_us"]
        if "p99_us" in told:
            yield f"choices/{hosts}/p99", side, told["p99_us"]

    def close(self):
        for process in self.processes.values():
            end(process)
