"""`./dev test [SUITE...]`: runs the suites and closes with `N passed, N failed, N skipped`.

Every suite is a command that speaks TAP, as tests/harness/tap.py has it. Its points are shown under one running number; all
else that it writes goes to build/test-logs, and is shown where something failed. What is counted are tests of what the
service does; checks that only read texts are told in the line before, and fail the run as well.
"""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path += [str(TOP / "tests/lab"), str(TOP / "tests/harness")]
from daemon_process import SANITISERS  # noqa: E402
from lab import has_kvm  # noqa: E402
from tally import LOGS, SECONDS_OF_A_SUITE, Tally  # noqa: E402

BUILD = TOP / "build"
SANITISED = TOP / "build" / "asan"
ALL_FAULTS = "--all" in sys.argv[1:]
LABS = 3  # side by side: more of them only take turns on two processors


def build(folder, *options):
    """Sets a build folder up when it is new, and builds it; ends the run when that fails."""
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", *options, str(folder), str(TOP)], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["ninja", "-C", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout[-8000:], done.stderr[-2000:], sep="\n", file=sys.stderr)
        raise SystemExit(f"{folder}: the build failed")


def side_by_side(*calls):
    """Carries out functions without arguments at the same time; what one of them raises is raised when all have ended."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
        running = [threads.submit(call) for call in calls]
    for one in running:
        one.result()


def unit(tally):
    """The cmocka programs, built with the address and undefined-behaviour sanitisers."""
    build(SANITISED, "-Db_sanitize=address,undefined", "-Db_lundef=false")
    asked = subprocess.run(["meson", "introspect", "--tests", str(SANITISED)], capture_output=True, text=True, check=True)
    # The other suites stand in meson's list too; the checkers are a suite of their own here.
    tests = [test for test in sorted(json.loads(asked.stdout), key=lambda test: test["name"])
             if "unit" in [suite.split(":")[-1] for suite in test["suite"]] and Path(test["cmd"][0]).is_relative_to(SANITISED)]
    with concurrent.futures.ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as threads:  # many of them wait most of their time
        list(threads.map(lambda test: tally.relay(
            f"unit/{test['name']}", test["cmd"], CMOCKA_MESSAGE_OUTPUT="tap", **test["env"],
            **SANITISERS), tests))


def checkers(tally):
    """Recorded verdicts, weights and server documents, through the programs that a developer may call by hand; and the runner of the
    benchmarks."""
    for program, recorded, cases in (("policy_cases", "policy_cases.jsonl.xz", 600),
                                     ("weigh_cases", "weights.jsonl.xz", 200), ("view_cases", "server_views.jsonl.xz", 67)):
        unpacked = subprocess.run(["xz", "-dc", str(TOP / "tests/data" / recorded)], capture_output=True, check=True)
        done = subprocess.run([str(BUILD / "tests" / program), "-"], input=unpacked.stdout, capture_output=True,
                              check=False)
        lines = done.stdout.decode(errors="replace").splitlines()
        last = lines[-1] if lines else "(nothing)"
        is_good = done.returncode == 0 and last == f"{cases} cases, 0 differ"
        tally.add(is_good, f"checkers: {program}: {last}")
        if not is_good:
            tally.show(lines + done.stderr.decode(errors="replace").splitlines())
    tally.relay("checkers/mutants", ["/usr/bin/python3", TOP / "tests/mutants/suite.py"])
    tally.relay("checkers/promises", ["python3", TOP / "tests/promises.py"])
    tally.relay("checkers/bench", ["python3", TOP / "tests/bench/suite.py"])


def harness(tally):
    """That what these suites report can be believed."""
    tally.relay("harness", ["python3", TOP / "tests/harness/suite.py"])


def daemon(tally):
    """The shipped binary in trouble; and who may do what, with oslo.policy as the judge (by Debian's interpreter, which has it)."""
    tally.relay("daemon", ["python3", TOP / "tests/daemon/suite.py"])
    tally.relay("daemon/policies", ["/usr/bin/python3", TOP / "tests/daemon/policies.py"])


def configuration(tally):
    """What operators write, right and wrong; the wrong ones once more under the sanitisers."""
    tally.relay("configuration", ["python3", TOP / "tests/configuration/suite.py"])
    build(SANITISED, "-Db_sanitize=address,undefined", "-Db_lundef=false")
    tally.relay("configuration/sanitised", ["python3", TOP / "tests/configuration/suite.py", "broken", "refused", "under_load"],
                MIGRATIOND=str(SANITISED / "migrationd"), **SANITISERS)


def replay(tally):
    """Recorded requests and moves: against the shipped binary, and the same code under the sanitisers; and that a daemon which
    answers falsely would not pass."""
    build(SANITISED, "-Db_sanitize=address,undefined", "-Db_lundef=false")
    side_by_side(
        lambda: tally.relay("replay", ["python3", TOP / "tests/replay/suite.py"]),
        lambda: tally.relay("replay/lies", ["python3", TOP / "tests/replay/lies.py"]),
        lambda: tally.relay("replay/sanitised", ["python3", TOP / "tests/replay/suite.py"], MIGRATIOND=str(SANITISED / "migrationd"),
                            **SANITISERS))


def faults(tally):
    """Every fault at points of every kind of job's life, on the simulated fleet and on real hosts, a choice of each; `./dev test
    faults --all` tries all of them, those on real hosts in as many runs as it takes (build/faults-lab)."""
    seed = ["--all"] if ALL_FAULTS else ["--seed", os.environ.get("FAULTS_SEED", "3")]
    every = ["--all", "--seconds", str(SECONDS_OF_A_SUITE - 5 * 60)] if ALL_FAULTS else []
    side_by_side(lambda: tally.relay("faults", [BUILD / "tests/faults/faults_simulated", *seed]),
                 lambda: tally.relay("faults/lab", ["python3", TOP / "tests/faults/lab.py", *every]))


def simulate(tally):
    """Simulated fleets as clients' tests meet them; what ends a move once more under the sanitisers."""
    tally.relay("simulate", ["/usr/bin/python3", TOP / "tests/simulate/suite.py"])
    build(SANITISED, "-Db_sanitize=address,undefined", "-Db_lundef=false")
    tally.relay("simulate/sanitised", ["/usr/bin/python3", TOP / "tests/simulate/suite.py", "faults", "tokens", "precheck", "midway",
                                       "target", "never"], MIGRATIOND=str(SANITISED / "migrationd"),
                **SANITISERS)


def identity(tally):
    """Tokens of a real Keystone's and of published keys, by Debian's interpreter, whose modules it uses."""
    tally.relay("identity", ["/usr/bin/python3", TOP / "tests/identity/suite.py"])


def cli(tally):
    """The verbs as people call them, on terminals and in shells, in front of a simulated fleet."""
    tally.relay("cli", ["python3", TOP / "tests/cli/suite.py"])


def hosts(tally):
    tally.relay("hosts", ["python3", TOP / "tests/lab/hosts.py"])


def lab(tally):
    """Labs side by side, each with a share of the scenarios: most of their time is waiting."""
    side_by_side(*(lambda share=share: tally.relay("lab", ["python3", TOP / "tests/lab/suite.py", "lab", f"--share={share}/{LABS}"], f"lab-{share}")
                   for share in range(1, LABS + 1)))
    if has_kvm():
        lab_both_ways(tally)


def lab_both_ways(tally):
    """Where guests run with KVM: a chosen dozen of the scenarios under emulation, too, and the tour both ways."""
    tour(tally, "with KVM")
    tour(tally, "emulated", LAB_NO_KVM="1")
    tally.relay("lab/emulated", ["python3", TOP / "tests/lab/suite.py", "lab", "--both-ways"], LAB_NO_KVM="1")


def tour(tally, way, **environment):
    """`./dev run --once`, which speaks to a person and ends well when all is as it promised."""
    done = subprocess.run(["timeout", str(SECONDS_OF_A_SUITE), "python3", str(TOP / "tests/lab/tour.py"), "--once"], env={**os.environ, **environment},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"tour-{way.replace(' ', '-')}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    tally.add(done.returncode == 0, f"lab: the tour of ./dev run ends as it promises, {way}")
    if done.returncode != 0:
        tally.show((done.stdout + done.stderr).splitlines())


def clients(tally):
    """OpenStack's own clients, each as a person calls it."""
    tally.relay("clients", ["python3", TOP / "tests/lab/suite.py", "clients"])


def openapi(tally):
    """The document against the service and the recordings, by Debian's interpreter, which has what it reads them with."""
    tally.relay("openapi", ["/usr/bin/python3", TOP / "tests/openapi/suite.py"])


def metrics(tally):
    """Metrics, readiness, the dashboard and the alerts; Debian's promtool judges them."""
    tally.relay("metrics", ["python3", TOP / "tests/metrics/suite.py"])


def network(tally):
    tally.relay("network", ["python3", TOP / "tests/lab/suite.py", "network"])


def docs(tally):
    """Every command of the README and the manual; and that "When a move fails" is whole."""
    tally.relay("docs/failures", ["python3", TOP / "tests/docs/failures.py"])
    tally.relay("docs", ["python3", TOP / "tests/docs/suite.py"])


def package(tally):
    """The Debian package, by Debian's interpreter, which has what starts a service as its unit says."""
    tally.relay("package", ["/usr/bin/python3", TOP / "tests/package/suite.py"])


def docker(tally):
    """Images and the compose file by buildah, by Debian's interpreter, which can read YAML."""
    tally.relay("docker", ["/usr/bin/python3", TOP / "tests/docker/suite.py"])


SUITES = {"unit": unit, "faults": faults, "checkers": checkers, "harness": harness, "daemon": daemon, "configuration": configuration, "identity": identity, "hosts": hosts, "docs": docs, "lab": lab,
          "clients": clients, "network": network, "replay": replay, "openapi": openapi,
          "metrics": metrics,
          "cli": cli, "simulate": simulate,
          "package": package,
          "docker": docker}
# What a run without names takes: all.
STANDING = tuple(SUITES)
# What runs beside the suite that stands before it: both wait most of their time, for Debian's packages or for hosts.
BESIDE = {"docker": "package", "network": "clients"}


def in_groups(names):
    """The names in order, with those together that run side by side."""
    groups = []
    for name in names:
        if groups and BESIDE.get(name) == groups[-1][-1]:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def end(tally):
    """What runs stands in process groups of its own, and would go on."""
    tally.end_all()
    raise SystemExit(130)


def main():
    names = [name for name in sys.argv[1:] if name != "--all"] or list(STANDING)
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        raise SystemExit(f"no suite {' '.join(unknown)}; there are: {' '.join(SUITES)}")
    began = time.monotonic()
    build(BUILD)
    tally = Tally()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: end(tally))
    for group in in_groups(names):
        start = time.monotonic()
        side_by_side(*(lambda suite=SUITES[name]: suite(tally) for name in group))
        print(f"# {' and '.join(group)}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"# {time.monotonic() - began:.0f} s")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
