"""Choices by Nova's own filters and weighers among hosts in memory, as a peer: nova_choices.py HOSTS, by the interpreter that finds
Debian's python3-nova. Each number on standard input is that of choices to make, and is answered with their median, as
bench_scheduler does.

The hosts are those of tests/bench/scheduler.c, the filters and weighers those that Nova enables by default. CPUs, memory and disk
are not in it, since Nova leaves these to Placement, nor is the time that it takes to read the hosts. Nothing is logged.
"""

import datetime
import json
import logging
import statistics
import sys
import time

logging.disable(logging.CRITICAL)

from nova import objects  # noqa: E402
from nova.conf import CONF  # noqa: E402
from nova.scheduler import filters, host_manager, weights  # noqa: E402


def spread(seed, below):
    return ((seed * 2654435761 & (1 << 64) - 1) >> 7) % below


def host_state(number):
    state = host_manager.HostState(f"compute-{number}", f"compute-{number}", "cell")
    state.uuid = f"{number:08x}-0000-4000-8000-000000000000"
    state.service = host_manager.ReadOnlyDict({
        "disabled": number % 89 == 0, "disabled_reason": None, "forced_down": number % 97 == 0, "host": state.host,
        "topic": "compute", "binary": "nova-compute", "created_at": datetime.datetime.now(),
        "updated_at": datetime.datetime.now(), "last_seen_up": datetime.datetime.now()})
    state.hypervisor_type, state.hypervisor_version = "QEMU", 7002000 if number % 3 == 0 else 8002000
    state.supported_instances = [["x86_64", "kvm", "hvm"], ["x86_64", "qemu", "hvm"]]
    state.vcpus_total, state.vcpus_used = 64, spread(number, 250)
    state.cpu_allocation_ratio = state.ram_allocation_ratio = state.disk_allocation_ratio = 16.0
    state.total_usable_ram_mb, state.free_ram_mb = 524288, 524288 - spread(number + 1, 520000)
    state.total_usable_disk_gb, state.free_disk_mb = 3906, 4000000 - spread(number + 2, 3900000)
    state.num_io_ops, state.num_instances = spread(number + 3, 4), spread(number + 4, 60)
    state.failed_builds = int(number % 101 == 0)
    state.stats = {}
    return state


def request():
    flavor = objects.Flavor(vcpus=4, memory_mb=8192, root_gb=40, ephemeral_gb=0, swap=0, extra_specs={})
    image = objects.ImageMeta(properties=objects.ImageMetaProps(hw_architecture="x86_64", img_hv_type="kvm", hw_vm_mode="hvm"))
    return objects.RequestSpec(flavor=flavor, image=image, instance_group=None, scheduler_hints={},
                               instance_uuid="5e000000-0000-4000-8000-000000000001", requested_destination=None)


class Chooser:
    def __init__(self, count):
        CONF([], project="nova", default_config_files=[])
        CONF.set_override("service_down_time", 10**9)  # the hosts were heard of at the start, which may be long ago
        objects.register_all()
        filter_handler, weight_handler = filters.HostFilterHandler(), weights.HostWeightHandler()
        known = {one.__name__: one for one in filter_handler.get_matching_classes(CONF.filter_scheduler.available_filters)}
        self.filters = [known[name]() for name in CONF.filter_scheduler.enabled_filters]
        self.weighers = [one() for one in weight_handler.get_matching_classes(CONF.filter_scheduler.weight_classes)]
        self.filter_handler, self.weight_handler = filter_handler, weight_handler
        self.hosts = [host_state(number) for number in range(1, count + 1)]
        self.request = request()

    def choose(self):
        fit = self.filter_handler.get_filtered_objects(self.filters, self.hosts, self.request)
        return self.weight_handler.get_weighed_objects(self.weighers, fit, self.request)


def main():
    chooser = Chooser(int(sys.argv[1]))
    for line in sys.stdin:
        times, fit = [], []
        for _ in range(int(line)):
            began = time.perf_counter()
            fit = chooser.choose()
            times.append((time.perf_counter() - began) * 1e6)
        assert fit, "no host fits"
        print(json.dumps({"median_us": statistics.median(times), "fit": len(fit)}), flush=True)


if __name__ == "__main__":
    main()
