"""Recorded moves, whole: each step's request to the shipped binary, the outcome by the simulated fleet, and then what every
reader sees: flows.py [--brief] FILE [SCENARIO or ID...]

The last line is `N flows, M differ, D by decision`.
"""

import collections
import json
import sys
import time

import answers
import decided
import decided_flows
import flow_plans
import replay
import state

CALLERS = {"admin": ("admin-user", ["admin", "manager", "member", "reader"]), "member": ("member-user", ["member", "reader"])}
SERVER, FIRST = state.uuid(21), state.uuid(22)
HOSTS = ("host1", "host2", "host3")


def one_server(number, uuid, name, host, vm_state):
    power = state.POWER_STATES.get(vm_state, 1)
    return state.row("servers", id=number, uuid=uuid, name=name, instance_name=f"instance-{number:08x}", project_id=state.PROJECT,
                     user_id="member-user", host_id=1 + HOSTS.index(host), flavor_row=7, vm_state=vm_state, power_state=power,
                     image_id=state.IMAGE, hostname=name, availability_zone="nova", reservation_id=state.OTHER_RESERVATION,
                     root_device_name="/dev/sda", metadata="{}", tags="[]", addresses="{}", volumes="[]", facts="{}",
                     system_metadata='{"image_architecture": "x86_64"}', created_us=state.moment(2026, 2, 1),
                     updated_us=state.moment(2026, 2, 1, 0, 1), launched_us=state.moment(2026, 2, 1, 0, 0, 30))


def own_actions(start):
    """What the server had lived through before."""
    names = [("create", "compute__do_build_and_run_instance")]
    names += {"stopped": [("stop", "compute_stop_instance")], "paused": [("pause", "compute_pause_instance")]}.get(
        start["vm_state"], [])
    acts, events = [], []
    for place, (action, event) in enumerate(names):
        moment = state.moment(2026, 2, 1 + place)
        acts.append(state.row("instance_actions", id=1 + place, action=action, server_uuid=SERVER, user_id="admin-user",
                              request_id=f"req-00000000-0000-4000-8000-0000000000{21 + place}", project_id=state.PROJECT,
                              start_us=moment, finish_us=moment, updated_us=moment))
        events.append(state.row("instance_action_events", id=1 + place, action_id=1 + place, event=event, host=start["host"],
                                start_us=moment, finish_us=moment, result="Success"))
    return acts, events


def rows_of(flow):
    start = flow["start"]
    states = {**dict.fromkeys(state.HOSTS, "up"), **start["hosts"]}
    hosts = [host for host in state.hosts() if host["name"] in HOSTS]
    for host in hosts:  # of equal hosts that one, by a hair
        # Two addresses, as the recorded hosts have: one of the driver's, one that migrations go to.
        host["migration_address"] = "192.168.0.1"
        host["memory_mb"] += host["name"] == flow_plans.chosen_host(flow)
    acts, events = own_actions(start)
    servers = [one_server(31, SERVER, "vm-flow", start["host"], start["vm_state"])]
    # What the recorded fleet says of a guest that is paused.
    servers[0]["power_state"] = next(iter(flow_plans.recorded_values(flow, "OS-EXT-STS:power_state")), servers[0]["power_state"])
    servers[0]["instance_name"] = next(iter(flow_plans.recorded_values(flow, "OS-EXT-SRV-ATTR:instance_name")), "")
    if flow["scenario"] == "abort_queued":
        servers.append(one_server(32, FIRST, "vm-first", "host1", "active"))
    servers += fillers(flow)
    return {"services": [service for service in state.services(states) if service["host"] not in ("host4", "host5")],
            "hosts": hosts, "flavors": state.flavors(), "servers": servers, "instance_actions": acts,
            "instance_action_events": events}


def fillers(flow):
    """Guests that the recording does not name but counts among what its hosts have given away."""
    documents = [step["response"]["body"]["hypervisors"] for step in flow["steps"] if step["name"] == "hypervisors"]
    own = {flow["start"]["host"]: 1}
    rows = []
    for row in documents[0] if documents else []:
        host = row["hypervisor_hostname"]
        for _ in range((row.get("vcpus_used") or 0) - own.get(host, 0)):
            number = 40 + len(rows)
            rows.append(one_server(number, state.uuid(number), "vm-filler", host, "active"))
    return rows


class Run:
    """One flow on its way."""

    def __init__(self, service, flow):
        self.service, self.flow = service, flow
        self.plan = flow_plans.plan_for(flow)
        rows = rows_of(flow)
        self.guests = decided.guests_by_host(rows)
        self.requests = 0
        self.names = {"server": SERVER, "server2": FIRST, "service2": state.NAMES["service_host2"]}
        service.order(load=rows)

    def ask(self, method, path, body=None, caller="admin", version="latest", is_counted=False):
        user, roles = CALLERS[caller]
        state.NAMES.update(self.names)
        headers = {"OpenStack-API-Version": f"compute {version}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = self.service.ask({"request": {"method": method, "path": path, "headers": headers, "body": body},
                                   "caller": {"user": user, "roles": roles, "project": "same"}})
        if is_counted and answer[1] and answer[1].get("x-compute-request-id"):
            self.requests += 1
            self.names[f"req_{self.requests}"] = answer[1]["x-compute-request-id"]
        return answer

    def migrations(self):
        _, _, body = self.ask("GET", "/v2.1/os-migrations?instance_uuid={server}")
        return sorted(json.loads(body)["migrations"], key=lambda row: row["id"])

    def learn(self):
        for place, row in enumerate(self.migrations()):
            name = "migration" if place == 0 else f"migration{place + 1}"
            self.names |= {name: str(row["id"]), f"{name}_uuid": row["uuid"]}
        state.NAMES.update(self.names)

    def move_first_server(self):
        body = json.dumps({"os-migrateLive": {"host": None, "block_migration": "auto"}})
        assert self.ask("POST", "/v2.1/servers/{server2}/action", body)[0] == 202
        self.service.order(wait_at_gate="live")

    def wait_for_status(self, wanted):
        for _ in range(100):
            if any(row["status"] == wanted for row in self.migrations()):
                return
            time.sleep(0.02)

    def force_down(self, host, is_down):
        body = json.dumps({"forced_down": is_down})
        assert self.ask("PUT", f"/v2.1/os-services/{state.NAMES[f'service_{host}']}", body)[0] == 200

    def carry_out(self, orders):
        for order in orders:
            if callable(order):
                order(self)
            else:
                self.service.order(**order)

    def prepare(self, name):
        self.carry_out(self.plan.before.get(name, []))
        gate = self.plan.at.get(name)
        if gate:
            self.service.order(wait_at_gate=gate)


class Exchange:
    """One answer of a flow, and what is wanted of it."""

    def __init__(self, step, where, wanted, answer):
        self.step, self.where, self.wanted, self.answer = step, where, wanted, answer

    def judge(self):
        """(step, decision or None, where) of each difference, a decided one too."""
        differences = self.wanted.differences(self.answer)
        if differences:
            return [(self.step, None, f"{self.where}{difference}") for difference in differences]
        return [(self.step, name, self.where) for name in sorted(self.wanted.decisions(self.answer))]


def ask_step(run, step):
    """The answer to a step's request."""
    request, caller = step["request"], step["caller"]
    version = request["headers"]["OpenStack-API-Version"].removeprefix("compute ")
    run.learn()
    answer = run.ask(request["method"], request["path"], request.get("body"), caller, version, is_counted=True)
    run.learn()
    scene = decided_flows.scene_of(run.flow, caller, run.guests)
    wanted = decided.decide(answers.Wanted(step["response"]), request, scene)
    yield Exchange(step["name"], "", wanted.freeze(), answers.Answer.received(*answer))


def poll_step(run, step):
    """The answers to the reading of a step's documents."""
    run.learn()
    for place, document in enumerate(step["documents"]):
        run.carry_out(run.plan.between.get((step["name"], place), []))
        caller, path = document["caller"], document["path"]
        answer = answers.Answer.received(*run.ask("GET", path, None, caller, run.flow["microversion"]))
        wanted = answers.Wanted(answers.polled(document["status"], run.flow["microversion"], document["body"]))
        decided_flows.decide_document(wanted, run.flow, step)
        decided.unordered(wanted, {"path": path}, None)
        yield Exchange(step["name"], f"{caller} {path.removeprefix('/v2.1')}: ", wanted.freeze(), answer)


def exchanges(service, flow):
    """Executes a flow and yields its answers one by one; raises replay.Refused where a step cannot be reached."""
    run = Run(service, flow)
    for step in flow["steps"]:
        run.prepare(step["name"])
        if "documents" in step and step["name"] not in run.plan.at:
            service.order(wait_idle={})
        yield from (poll_step if "documents" in step else ask_step)(run, step)


def try_flow(service, flow):
    """(step, decision or None, where) of each difference."""
    found = []
    try:
        for exchange in exchanges(service, flow):
            found += exchange.judge()
    except replay.Refused as refusal:
        found.append(("", None, str(refusal)))
    return found


def verdict_of(found):
    if not found:
        return "equal"
    names = {decision for _, decision, _ in found}
    return "differ" if None in names else f"by {', '.join(sorted(names))}"


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--brief"]
    is_brief = len(arguments) < len(sys.argv) - 1
    path, *wanted = arguments or [str(replay.TOP / "tests/data/flows.jsonl.xz")]
    flows = [flow for flow in replay.read_cases(path) if not wanted or flow["scenario"] in wanted or flow["id"] in wanted]
    tally = collections.defaultdict(collections.Counter)
    with replay.Service() as service:
        service.order(thaw=["jobs"])
        for flow in flows:
            found = try_flow(service, flow)
            verdict = verdict_of(found)
            tally[flow["scenario"]][verdict] += 1
            if verdict == "differ":
                print(f"{flow['id']} ({flow['microversion']}, {flow['what']})")
                shown = [f"    {step}: {place}"[:420] for step, decision, place in found if decision is None]
                print("\n".join(shown[:3] if is_brief else shown))
    replay.summarise(tally)
    differ = sum(verdicts["differ"] for verdicts in tally.values())
    decided = sum(count for verdicts in tally.values() for verdict, count in verdicts.items() if verdict.startswith("by "))
    print(f"{len(flows)} flows, {differ} differ, {decided} by decision")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
