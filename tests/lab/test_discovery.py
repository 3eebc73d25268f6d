"""What happens behind our back is seen: guests by libvirt's events, hosts by their connection."""

import os
import signal
import subprocess
from pathlib import Path

from bench import check, equal, scenario
from daemon import BINARY
from guest import OTHER_PROJECT, OTHER_USER, PROJECT


def seen(bench, fact, what, seconds=5):
    bench.lab.wait(fact, seconds, what)


@scenario("a guest started, paused, stopped and removed behind our back is seen within seconds")
def _(bench):
    guest = bench.guest("behind", state="stopped")
    host = bench.hosts[0]
    for command, status in (("start", "ACTIVE"), ("suspend", "PAUSED"), ("resume", "ACTIVE"), ("destroy", "SHUTOFF")):
        host.virsh(command, guest.uuid)
        bench.wait_for_status(guest, status, 5)
    host.virsh("undefine", guest.uuid)
    seen(bench, lambda: not bench.daemon.knows(guest), "the guest is forgotten")


@scenario("a guest moved by hand is seen on its new host, with the id and name it had")
def _(bench):
    guest = bench.guest("moved-by-hand")
    created = bench.server(guest)["created"]
    source, target = bench.hosts[0], bench.hosts[2]
    source.virsh("migrate", "--live", "--p2p", "--persistent", "--undefinesource", "--unsafe", guest.uuid, target.uri,
                 f"tcp://{target.migration_address}")
    seen(bench, lambda: bench.host_of(guest) == "compute-3", "the new host is seen")
    bench.stands(guest, 3)
    equal(bench.server(guest)["created"], created, "when it was created")


@scenario("owner, name and flavor come from Nova's metadata; without it from the configuration")
def _(bench):
    other = bench.guest("of-another", project=OTHER_PROJECT, user=OTHER_USER)
    plain = bench.guest("plain", has_metadata=False)
    row = bench.server(other)
    equal((row["name"], row["tenant_id"], row["user_id"]), ("of-another", OTHER_PROJECT, OTHER_USER), "what is shown")
    equal((row["flavor"]["ram"], row["flavor"]["vcpus"]), (64, 1), "flavor")
    equal(bench.server(plain)["tenant_id"], PROJECT, "project of a guest without metadata")
    equal(bench.member.get(f"/v2.1/servers/{other.uuid}").status, 404, "status for a member of another project")
    names = {row["name"] for row in bench.member.get("/v2.1/servers").body["servers"]}
    check("of-another" not in names and "plain" in names, f"a member sees the own project's servers only: {names}")


@scenario("a host whose libvirtd was killed is down, refuses moves, and comes back by itself with its guests")
def _(bench):
    guest = bench.guest("left-alone", 2)
    host = bench.hosts[1]
    host.kill()
    bench.lab.wait(lambda: bench.service_state(2) == "down", 15, "the service is down")
    check(bench.admin.get("/healthz").status == 200, "the daemon answers")
    answer = bench.act(guest, "migrate", expect=409)
    equal(answer.message, "Service is unavailable at this time.", "words of the refusal")
    moving = bench.guest("not-there", 1)
    bench.live(moving)
    equal(bench.wait_for_migration(moving, "completed")["dest_compute"], "compute-3", "where another guest went")
    host.start()
    host.wait_until_up()
    bench.lab.wait(lambda: bench.service_state(2) == "up", 15, "the service is up again")
    bench.stands(guest, 2)


@scenario("a host that does not answer is down, and the daemon stays quick")
def _(bench):
    guest = bench.guest("behind-silence", 2)
    host = bench.hosts[1]
    host.stop_answering()
    try:
        bench.lab.wait(lambda: bench.service_state(2) == "down", 40, "the service is down")
        equal(bench.server(guest)["status"], "ACTIVE", "status as last seen")
    finally:
        host.answer_again()
    bench.lab.wait(lambda: bench.service_state(2) == "up", 30, "the service is up again")
    bench.stands(guest, 2)


@scenario("a guest whose QEMU hangs with a question to it open is shown as it was, and holds up no reading of the others on its host")
def _(bench):
    hung, beside = bench.guest("hung"), bench.guest("beside-hung")
    host = bench.hosts[0]
    qemu = host.qemu_of(hung)[0]
    os.kill(qemu, signal.SIGSTOP)
    question = subprocess.Popen(["virsh", "-c", host.uri, "qemu-monitor-command", hung.uuid, "--hmp", "info status"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        bench.live(beside, host="compute-2")
        bench.wait_for_migration(beside, "completed")
        bench.guest("seen-beside-hung", state="stopped")
        bench.stands(beside, 2)
        equal(bench.server(hung)["status"], "ACTIVE", "what is shown of the one that hangs")
    finally:
        os.kill(qemu, signal.SIGCONT)
        question.wait(60)
    bench.stands(hung, 1)


@scenario("guests that changed while the daemon was away are seen at its start")
def _(bench):
    kept = bench.guest("kept")
    gone = bench.guest("gone", 2)
    moved = bench.guest("moved", 1, state="stopped")
    created = bench.server(moved)["created"]
    bench.daemon.stop()
    bench.hosts[0].virsh("destroy", kept.uuid)
    bench.lab.remove(gone)
    bench.hosts[0].virsh("undefine", moved.uuid)
    definition = Path(bench.lab.folder / "moved.xml")
    definition.write_text(moved.definition(bench.hosts[2]))
    bench.hosts[2].virsh("define", definition)
    definition.unlink()
    bench.daemon.start()
    bench.daemon.wait_for_fleet()
    bench.wait_for_status(kept, "SHUTOFF", 10)
    seen(bench, lambda: not bench.daemon.knows(gone), "the removed guest is forgotten", 15)
    seen(bench, lambda: bench.daemon.knows(moved) and bench.host_of(moved) == "compute-3",
         "the other is seen on its new host", 15)
    equal(bench.server(moved)["created"], created, "when it was created")


@scenario("hosts are listed and added over the daemon's own socket")
def _(bench):
    def host(*words):
        return subprocess.run([str(BINARY), "host", *words, "--config", str(bench.daemon.config_path)],
                              capture_output=True, text=True, check=False)
    listed = host("list")
    check(listed.returncode == 0 and all(row.name in listed.stdout for row in bench.hosts),
          f"all hosts are listed: {listed.stdout}{listed.stderr}")
    twice = host("add", "compute-1", bench.hosts[0].uri)
    check(twice.returncode != 0 and "compute-1" in twice.stderr, f"a name is taken once: {twice.stderr}")
    wrong = host("add", "compute-9", "not a uri")
    check(wrong.returncode != 0 and wrong.stderr.strip(), f"a wrong URI is refused: {wrong.stderr}")


@scenario("the idle daemon holds less than 20 MiB")
def _(bench):
    bench.guest("idle-one")
    bench.guest("idle-two", 2)
    bench.end_daemon()
    bench.prepare({"log": {"level": "info"}})

    def resident_kib():
        status = Path(f"/proc/{bench.daemon.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])
    bench.lab.wait(lambda: resident_kib() < 20 * 1024, 15, "the start's memory is given back")
    print(f"# {resident_kib() / 1024:.1f} MiB resident")


@scenario("a configuration with a fault is refused with file and line, and the daemon does not start")
def _(bench):
    path = bench.daemon.folder / "broken.yaml"
    path.write_text("listener:\n  port: 8774\n  prot: 1\n")
    for words in (("check", "--config", str(path)), ("serve", "--config", str(path))):
        done = subprocess.run([str(BINARY), *words], capture_output=True, text=True, timeout=20, check=False)
        check(done.returncode != 0, f"{words[0]} refuses it")
        check(f"{path}:3" in done.stderr + done.stdout, f"file and line are told: {done.stderr}{done.stdout}")
    path.unlink()
