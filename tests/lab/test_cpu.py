"""Guests' CPUs: whether a host can give one is for its libvirt to say, and names of models decide nothing."""

from bench import check, equal, scenario
from guest import EMULATOR

# An emulator that is a poorer one on compute-2: there libvirt finds that no guest can have SSE2.
POORER = f"""#!/bin/sh
case "$*" in
*/h2/*) exec {EMULATOR} -global max-x86_64-cpu.sse2=off "$@" ;;
*) exec {EMULATOR} "$@" ;;
esac
"""

EMULATED = {
    "none": "",
    "host-model": "<cpu mode='host-model'/>",
    "maximum": "<cpu mode='maximum'/>",
    "named": "<cpu mode='custom' match='exact'><model>Nehalem</model></cpu>",
    "named-without-a-feature": "<cpu mode='custom' match='exact'><model>qemu64</model><feature policy='disable' name='svm'/></cpu>",
}
# The first is one that hosts with KVM call unusable, for its `svm`. KVM within a virtual machine starts none with all features.
WITH_KVM = {name: EMULATED[name] for name in ("none", "named", "named-without-a-feature")}


def poorer_emulator(bench):
    path = bench.lab.folder / "qemu-system-x86_64"
    path.write_text(POORER)
    path.chmod(0o755)
    return path


def refused_for_sse2(bench, guest):
    told = [details for _, _, details in bench.why(guest) if details and "host compute-2 cannot give the guest its CPU" in details]
    check(told and "sse2" in told[0], f"compute-2 refused it, for want of SSE2: {bench.why(guest)}")


@scenario("a running guest moves whatever CPU it was given: none, a named model, one without a feature, all that its host can", both_ways=True)
def _(bench):
    for name, cpu in (WITH_KVM if bench.lab.has_kvm else EMULATED).items():
        guest = bench.guest(f"cpu-{name}", cpu=cpu)
        bench.live(guest, host="compute-2")
        bench.wait_for_migration(guest, "completed")
        bench.stands(guest, 2)
        bench.lab.remove(guest)


@scenario("a host that cannot give a running guest its CPU is refused with the feature's name, and the next host is taken", both_ways=True)
def _(bench):
    guest = bench.guest("cpu-alternate", emulator=poorer_emulator(bench))
    bench.fill(3, 2000)  # compute-2 is the better one
    bench.live(guest)
    equal(bench.wait_for_migration(guest, "completed")["dest_compute"], "compute-3", "where it went")
    refused_for_sse2(bench, guest)
    bench.stands(guest, 3)


@scenario("a named host that cannot give a running guest its CPU ends the move with that reason, and the guest runs on")
def _(bench):
    guest = bench.guest("cpu-refused", emulator=poorer_emulator(bench))
    bench.live(guest, host="compute-2")
    bench.wait_for_migration(guest, "error")
    refused_for_sse2(bench, guest)
    bench.stands(guest, 1)


@scenario("a guest that is off is compared by its definition where that has its model checked, and moves where it has not")
def _(bench):
    emulator = poorer_emulator(bench)
    named = "<cpu mode='custom' match='exact' check='{}'><model>pentium3</model><feature policy='disable' name='vme'/>" \
            "<feature policy='require' name='sse2'/></cpu>"
    checked = bench.guest("cpu-checked", state="stopped", emulator=emulator, cpu=named.format("partial"))
    unchecked = bench.guest("cpu-unchecked", state="stopped", emulator=emulator, cpu=named.format("none"))
    bench.act(checked, "migrate", {"host": "compute-2"}, version="2.56")
    bench.wait_for_migration(checked, "error")
    refused_for_sse2(bench, checked)
    bench.stands(checked, 1, "stopped", boots=0)
    bench.act(unchecked, "migrate", {"host": "compute-2"}, version="2.56")
    bench.wait_for_migration(unchecked, "finished")
    bench.wait_for_status(unchecked, "VERIFY_RESIZE")
    bench.act(unchecked, "confirmResize", expect=204)
    bench.wait_for_migration(unchecked, "confirmed")
    bench.stands(unchecked, 2, "stopped", boots=0)
