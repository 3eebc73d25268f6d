"""The recorded requests and whole moves against the shipped binary, as TAP: one point a group, one a scenario. suite.py [NAME...]:
the groups and scenarios of these names.

A case that is known to differ stands in known.txt by its name, with the reason. A difference that is not known is a failure,
and so is a known one that has become equal: then its line is to go.
"""

import collections
import sys
from pathlib import Path

import flows as move
import replay
from daemon_process import BadEnd

HERE = Path(__file__).resolve().parent
DATA = replay.TOP / "tests" / "data"
GROUPS = {"accept", "body-form", "confirm-revert", "ids", "instance-actions", "live-schema", "methods-paths", "migrate-schema",
          "os-hypervisors", "os-migrations", "os-services", "policy", "policy-read", "project-url", "server-migrations",
          "servers", "state", "target", "unknown-action", "version", "version-docs"}


def read_known():
    """The reason by each case's name. A reason heads the indented names below it."""
    known, reason = {}, None
    for line in (HERE / "known.txt").read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            known |= dict.fromkeys(line.split(), reason)
        else:
            reason = line.strip()
    return known


def try_flow(service, flow):
    found = move.try_flow(service, flow)
    return move.verdict_of(found), [f"{step}: {place}" for step, decision, place in found if decision is None]


def flow_points(service, flows, known):
    for scenario, cases in sorted(flows.items()):
        wrong, tally = judge(cases, service, known, try_flow)
        counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items()))
        yield f"{scenario}: {len(cases)} recorded moves go as Nova's went ({counts})", wrong


def judge(cases, service, known, try_one):
    """The lines that say what is wrong in a group, and how often each verdict was."""
    wrong, tally = [], collections.Counter()
    for case in cases:
        verdict, differences = try_one(service, case)
        name = case["id"]
        if verdict == "differ" and name in known:
            verdict = "known"
        elif verdict == "differ":
            wrong += [f"{name} differs"] + [f"    {difference}" for difference in differences]
        elif name in known:
            wrong.append(f"{name} is in known.txt ({known[name]}) but does not differ any more: remove it")
        tally[verdict if verdict in ("equal", "known", "differ") else "by decision"] += 1
    return wrong, tally


def main():
    known = read_known()
    groups = collections.defaultdict(list)
    for case in replay.read_cases(str(DATA / "api_cases.jsonl.xz")):
        groups[case["group"]].append(case)
    flows = collections.defaultdict(list)
    for flow in replay.read_cases(str(DATA / "flows.jsonl.xz")):
        flows[flow["scenario"]].append(flow)
    names = {case["id"] for cases in [*groups.values(), *flows.values()] for case in cases}
    wanted = set(sys.argv[1:])
    if wanted:
        groups, flows = ({name: cases for name, cases in some.items() if name in wanted} for some in (groups, flows))
    points = [] if wanted else [(f"every recorded group is here ({len(groups)})", sorted(GROUPS ^ groups.keys())),
              ("known.txt names recorded cases alone", sorted(known.keys() - names))]
    bad_end = []
    try:
        with replay.Service() as service:
            service.order(thaw=["jobs"])
            for group, cases in sorted(groups.items()):
                wrong, tally = judge(cases, service, known, replay.try_case)
                counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items()))
                points.append((f"{group}: {len(cases)} recorded requests are answered as Nova answers ({counts})", wrong))
            points += flow_points(service, flows, known)
    except BadEnd as fault:
        bad_end = str(fault).splitlines()
    points.append(("after all of them the daemon ends with status 0", bad_end))
    print(f"1..{len(points)}")
    for number, (what, wrong) in enumerate(points, 1):
        for line in wrong:
            print(f"# {line}")
        print(f"{'not ok' if wrong else 'ok'} {number} - {what}", flush=True)
    return 1 if any(wrong for _, wrong in points) else 0


if __name__ == "__main__":
    sys.exit(main())
