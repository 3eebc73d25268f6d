"""The command line, by the shipped binary in front of a simulated fleet. Speaks TAP; a check is a function whose docstring says what
holds; it gets a fresh folder.
"""

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/daemon"), str(TOP / "tests/lab")]

import shells  # noqa: E402
from certificates import Authority  # noqa: E402
from fleet import BINARY, Fleet, twins  # noqa: E402
from service import run_checks  # noqa: E402
from terminal import Terminal  # noqa: E402

PAGES = {"8": BINARY.parent / "docs/migrationd.8", "5": BINARY.parent / "docs/migrationd.yaml.5"}


def run(*words, **rest):
    return subprocess.run([str(BINARY), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, **rest)


def verbs():
    """Each verb's words, with those behind it: ["serve"], ["host", "list"] …"""
    listed = re.findall(r"^  ([a-z]+)(?: ([a-z|]+))?(?:$|  )", run("--help").stdout, re.M)
    assert len(listed) > 10, listed
    return [[verb, inner] if inner else [verb] for verb, inners in listed for inner in (inners.split("|") if inners else [""])]


def page(number):
    """A manual page as text, in one line a paragraph."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=400", str(PAGES[number])], capture_output=True, text=True, check=True)
    return re.sub(r".\x08", "", done.stdout)


def each_verb_helps(folder):
    """each verb tells by --help how it is called, and all of its words stand in migrationd(8)"""
    manual = re.sub(r"\s+", " ", page("8")).lower()
    for words in verbs():
        done = run(*words, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: migrationd {' '.join(words)}"), (words, done)
        assert not done.stderr, done
        missing = [word for word in done.stdout.replace("Examples:", "").split() if word.strip("().,:").lower() not in manual and word != "usage:"]
        assert not missing, (words, missing)
        assert all(len(line) <= 100 for line in done.stdout.splitlines() if "migrationd/osdpl" not in line), done.stdout


def each_key_is_in_the_manual(folder):
    """each key of the configuration stands in migrationd.yaml(5), with its meaning"""
    text = page("5")
    source = "".join(path.read_text() for path in sorted((TOP / "server").glob("config_*keys.c")))
    keys = re.findall(r'\{\s*"([a-z_]+)", CONFIG_', source) + re.findall(r'SECTION\("([a-z_]+)"', source)
    assert len(keys) > 100, keys
    for key in keys:
        assert re.search(rf"^\s+([a-z_.\[\]A-Z]+\.)?{key}(\[\])?(\s|$)", text, re.M), key
    plain = re.sub(r"\s+", " ", text)
    meanings = re.findall(r'\{\s*"[a-z_]+", CONFIG_[A-Z]+, [^"]*?(?:"[^"]*"|NULL),\s*"([^"]+)"', source)
    assert len(meanings) > 80, meanings
    for meaning in meanings:
        assert meaning.strip() in plain, meaning


def the_manual_is_clean(folder):
    """text: the manual's pages are clean by mandoc's lint at every level, and groff has nothing to warn of"""
    for path in PAGES.values():
        done = subprocess.run(["mandoc", "-W", "all", "-T", "lint", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stdout and not done.stderr, done
        for width in ("60", "80", "200"):
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", f"-rLL={width}n", "-z", str(path)], capture_output=True, text=True,
                                  check=False)
            assert done.returncode == 0 and not done.stderr, done


def the_program_prints_them(folder):
    """the manual's pages and the shells' completions that a package has are those that the program itself prints"""
    for words, path in ((("manual", "8"), PAGES["8"]), (("manual", "5"), PAGES["5"]), (("completion", "bash"), shells.BASH),
                        (("completion", "zsh"), shells.ZSH)):
        done = run(*words)
        assert done.returncode == 0 and done.stdout == path.read_text() and not done.stderr, (words, done.returncode, done.stderr)
    policies = run("completion", "policies")
    assert policies.returncode == 0 and "os_compute_api:os-migrate-server:migrate_live" in policies.stdout.splitlines(), policies


def nowhere_to_write(folder):
    """what is printed, short or long, and cannot be written, as where a disk is full, ends with 1"""
    fleet = Fleet(folder).start()
    for words in (("version",), ("version", "--json"), ("manual", "8"), ("completion", "zsh"), ("--help",),
                  fleet.words("policy", "list", "--json")[1:], fleet.words("policy", "list")[1:], fleet.words("host", "list")[1:], fleet.words("host", "list", "--json")[1:],
                  fleet.words("check")[1:], fleet.words("doctor")[1:], fleet.words("token", "--role", "admin", "--project", "a")[1:]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([str(BINARY), *words], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == 1, (words, done)


WRONG = (([], "usage:"), (["fly"], "no verb fly"), (["host"], "usage:"), (["host", "fly"], "fly"), (["host", "add", "a"], "URI is needed"),
         (["host", "list", "more"], "more is not known"), (["host", "list", "--jason"], "--jason is not known"),
         (["host", "list", "--json=yes"], "takes no value"), (["backup"], "FILE is needed"), (["backup", "a", "b"], "b is not known"),
         (["token", "--role", "a"], "--project is needed"), (["token", "--role"], "needs a value"),
         (["token", "--role", "a", "--project", "b", "--lifetime", "0"], "from 1 to 315360000"),
         (["migrate"], "SERVER is needed"), (["migration", "confirm"], "SERVER is needed"), (["migration", "revert"], "SERVER is needed"),
         (["migration", "abort"], "ID is needed"), (["migration", "list", "--limit", "0"], "from 1 to"), (["host", "show"], "NAME is needed"),
         (["host", "remove"], "NAME is needed"), (["host", "disable"], "NAME is needed"), (["host", "enable"], "NAME is needed"),
         (["restore"], "FILE is needed"), (["manual"], "PAGE is needed"), (["completion"], "WHAT is needed"), (["migrate", "a", "--live", "--block-migration", "maybe"], "auto, true or false"),
         (["migrate", "a", "--block-migration", "true"], "--live"), (["migration", "watch", "one"], "number or its UUID"),
         (["migration", "list", "--limit", "x"], "whole number"), (["manual", "7"], "8 or 5"), (["check", *"abcdefghijklmnopq"], "too often"),
         (["server", "list", "--endpoint", "http://[::1]:9"], "no token"), (["server", "list", "--endpoint", "ftp://a", "--token", "b"], "http://"))


def wrong_calls(folder):
    """a wrong call ends with 64 and says what is wrong and where it is told how it goes, before anything is done"""
    fleet = Fleet(folder)
    fleet.config.write_text(json.dumps(fleet.sections))
    for words, said in WRONG:
        files = ["--config", str(fleet.config)] if words[:1] == ["migration"] else []
        done = run(*words, *files)
        if words[:2] == ["migration", "watch"]:
            continue  # which is refused by the daemon's client below
        assert done.returncode == 64 and said in done.stderr and not done.stdout, (words, done)
        assert "--help" in done.stderr or "usage:" in done.stderr, done
    fleet.start()
    assert "number or its UUID" in fleet.call("migration", "watch", "one", status=64)


def lists(folder):
    """servers, migrations and hosts are listed for programs by the members that the manual names, and for people in columns"""
    fleet = Fleet(folder).start()
    fleet.call("migrate", "web", "--live", "--wait")
    documented = page("8")
    for verb in ("host", "server", "migration"):
        rows = fleet.json(verb, "list")
        said = re.search(rf"migrationd {verb} list\n.*?list of objects: (.*?)\n\n", documented, re.S)[1]
        assert rows and all(key in re.sub(r"\s+", " ", said) for key in rows[0]), (rows[0], said)
        table = fleet.call(verb, "list").splitlines()
        assert len(table) == len(rows) + 1 and table[0] == table[0].upper(), table
        places = [table[0].index(title) for title in re.findall(r"\S+(?: \S+)*", table[0])]
        assert all(place == 0 or line[place - 1] == " " for line in table[1:] for place in places if place < len(line)), table
        assert not any("\x1b" in line for line in table)
    assert {row["name"] for row in fleet.json("server", "list", "--host", "compute-1")} >= {"big", "stuck"}
    assert fleet.json("server", "list", "--status", "VERIFY_RESIZE") == []
    assert [row["status"] for row in fleet.json("migration", "list", "--server", "web")] == ["completed"]
    assert fleet.json("migration", "list", "--server", "big") == []
    assert json.loads(run("version", "--json").stdout) == {"version": run("version").stdout.split()[1]}


def a_host_is_shown(folder):
    """a host is shown in two lines of figures and, where there are some, its chores and the jobs that wait; policies are listed alike for both"""
    fleet = Fleet(folder).start()
    row, empty, bound, figures = [re.split(r"  +", line.strip()) for line in fleet.call("host", "show", "compute-2").splitlines()[1:]]
    assert row[0] == "compute-2" and empty == [""], (row, empty)
    assert bound == ["SERVERS", "UNFINISHED JOBS", "CLAIMS", "SAVED DEFINITIONS", "VOLUMES"] and len(figures) == 5, (bound, figures)
    listed = fleet.call("policy", "list")
    assert "os_compute_api:os-migrate-server:migrate_live" in listed, listed
    named = [line for line in listed.splitlines() if not line.startswith(" ")]
    assert len(fleet.json("policy", "list")) == len(named) > 10, listed


def policies_are_asked(folder):
    """policy list tells the rules that were asked for alone; policy check tells who may, by roles or by a token, and why not but for the rule"""
    fleet = Fleet(folder)
    fleet.config.write_text(json.dumps(fleet.sections))
    live = "os_compute_api:os-migrate-server:migrate_live"

    def check(status, *words):
        done = run(*fleet.words("policy", "check", live, *words, "--json")[1:])
        assert done.returncode == status, (words, done)
        return json.loads(done.stdout)[0]
    assert [row["name"] for row in fleet.json("policy", "list", live, f"{live}:host")] == [live, f"{live}:host"]
    assert check(0, "--role", "member", "--project", "demo") == {"name": live, "origin": "default", "rule": "rule:project_member_or_admin",
                                                                 "verdict": "passed"}
    refused = check(1, "--role", "reader", "--project", "demo")
    assert refused["verdict"] == "failed" and "why" not in refused, refused
    scoped = check(1, "--role", "admin", "--system-scope", "all")
    assert scoped["verdict"] == "failed" and "scope is refused" in scoped["why"], scoped
    assert check(0, "--token", fleet.token_of("member"))["verdict"] == "passed"
    assert check(1, "--token", fleet.token_of("reader"))["verdict"] == "failed"
    fleet.call("policy", "check", live, "--token", "nonsense", status=1)
    said = fleet.call("policy", "check", live, f"{live}:host", "--role", "admin", "--project", "demo")
    assert said.count("passed") == 2 and "failed" not in said, said


def narrow_terminals(folder):
    """on a terminal a table is as wide as that, and what is cut is seen to be; in a pipe it is whole"""
    fleet = Fleet(folder).start()
    whole = fleet.call("server", "list")
    with Terminal(fleet.words("server", "list"), columns=50) as terminal:
        assert terminal.finish() == 0
        lines = terminal.text.replace("\r", "").splitlines()
    assert len(lines) == len(whole.splitlines()) and max(map(len, lines)) <= 50 and any("…" in line for line in lines), lines
    assert "…" not in whole and b"\x1b" not in terminal.raw
    with Terminal(fleet.words("server", "list"), columns=200) as terminal:
        assert terminal.finish() == 0
        assert terminal.text.replace("\r", "").split() == whole.split()


def hosts_are_disabled(folder):
    """a host that is disabled gets no server until it is enabled, which os-services shows with the reason"""
    fleet = Fleet(folder).start()
    admin = fleet.api("admin")

    def shown():
        rows = admin.get("/v2.1/os-services?binary=nova-compute").body["services"]
        return {row["host"]: (row["status"], row["disabled_reason"]) for row in rows}
    for number in (2, 3):
        fleet.call("host", "disable", f"compute-{number}", "--reason", "new memory; \"Friday\"")
    assert shown() == {"compute-1": ("enabled", None), "compute-2": ("disabled", "new memory; \"Friday\""),
                       "compute-3": ("disabled", "new memory; \"Friday\"")}, shown()
    assert "No valid host" in fleet.call("migrate", "web", "--live", "--wait", status=1)
    assert {row["name"]: row["disabled_reason"] for row in fleet.json("host", "list")}["compute-3"] == "new memory; \"Friday\""
    fleet.call("host", "enable", "compute-3")
    fleet.call("migrate", "web", "--live", "--wait")
    assert fleet.server("web")["host"] == "compute-3" and shown()["compute-3"] == ("enabled", None)
    assert "404" not in fleet.call("host", "disable", "nowhere", status=1)
    admin.request("PUT", "/v2.1/os-services/enable", {"host": "compute-2", "binary": "nova-compute"}, "2.1")
    assert {row["status"] for row in fleet.json("host", "list")} == {"enabled"}


def waiting_on_a_terminal(folder):
    """migrate --wait draws one line anew on a terminal, with bar, bytes, pace, dirty pace and time left, and then says where it is"""
    fleet = Fleet(folder).start()
    with Terminal(fleet.words("migrate", "big", "--live", "--wait"), columns=140) as terminal:
        assert terminal.finish() == 0, terminal.text
        drawn = terminal.text.split("\r")
    running = [line for line in drawn if re.search(r"\[[#.]+\]  +\d+%", line)]
    assert len(running) >= 3 and all("of 8.0 GiB" in line for line in running), terminal.text
    assert any(re.search(r"  [0-9.]+ [KMG]iB/s  dirty [0-9.]+ (B|[KMG]iB)/s  left \d\d:\d\d", line) for line in running), running
    percents = [int(re.search(r"(\d+)%", line)[1]) for line in running]
    assert percents == sorted(percents) and percents[0] < percents[-1], percents
    assert terminal.raw.count(b"\n") == 2, "one line that is drawn anew, and the last word"
    assert f"big has moved to {fleet.server('big')['host']}" in terminal.text


def waiting_in_a_pipe(folder):
    """in a pipe there is a line for each change and nothing that a terminal alone understands; with --json the end alone"""
    fleet = Fleet(folder).start()
    lines = fleet.call("migrate", "big", "--live", "--wait").splitlines()
    assert any(re.match(r"big  running", line) for line in lines) and lines[-1].startswith("big has moved to compute-"), lines
    assert not any(letter in line for line in lines for letter in "\r\x1b") and len(lines) < 12, lines
    end = fleet.json("migrate", "web", "--live", "--wait")
    assert end["outcome"] == "moved" and end["host"] == fleet.server("web")["host"] and end["reason"] is None, end
    assert set(end) == {"server", "request_id", "outcome", "migration", "host", "status", "reason"}
    asked = fleet.json("migrate", "web")
    assert asked["outcome"] == "asked" and asked["request_id"].startswith("req-"), asked


def a_failed_move_tells_why(folder):
    """--wait on a move that fails ends with 1 and the reason from the action's events, for admins and for members as far as they may"""
    fleet = Fleet(folder).start()
    said = fleet.call("migrate", "fragile", "--live", "--wait", status=1)
    assert "the move of fragile failed: " in said and len(said.split("failed: ")[1]) > 20, said
    done = subprocess.run([BINARY, "migrate", "fragile", "--live", "--wait", "--json"], env=fleet.remote("member"), capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 1 and json.loads(done.stdout)["outcome"] == "failed", done
    newest = fleet.json("migration", "list", "--server", "fragile")[0]
    assert newest["status"] in ("failed", "error"), newest
    assert "failed" in fleet.call("migration", "watch", str(newest["id"]), status=1)


def cold_moves(folder):
    """a cold move ends at VERIFY_RESIZE and says how it goes on; it is confirmed or reverted by the server's name"""
    fleet = Fleet(folder).start()
    said = fleet.call("migrate", "web", "--wait")
    assert "migrationd migration confirm web" in said and "migrationd migration revert web" in said, said
    assert fleet.server("web")["status"] == "VERIFY_RESIZE" and fleet.server("web")["host"] != "compute-1"
    assert re.match(r"revertResize is asked for, as req-[0-9a-f-]{36}$", fleet.call("migration", "revert", "web").strip())
    fleet.wait(lambda: fleet.server("web")["status"] == "ACTIVE")
    assert fleet.server("web")["host"] == "compute-1"
    fleet.call("migrate", "web", "--host", "compute-3", "--wait")
    assert re.match(r"confirmResize is asked for, as req-[0-9a-f-]{36}$", fleet.call("migration", "confirm", "web").strip())
    fleet.wait(lambda: fleet.server("web")["status"] == "ACTIVE")
    assert fleet.server("web")["host"] == "compute-3"
    assert "409" in fleet.call("migration", "confirm", "web", status=1)


def interrupted(folder):
    """^C while waiting ends the waiting with 130 and says that the move goes on, which it does"""
    fleet = Fleet(folder).start()
    with Terminal(fleet.words("migrate", "big", "--live", "--wait"), columns=120) as terminal:
        terminal.wait_for("%")
        terminal.press("\x03")
        assert terminal.finish() == 130, terminal.text
    assert "the move of big goes on" in terminal.text and "migrationd migration watch" in terminal.text, terminal.text
    assert fleet.json("migration", "list", "--server", "big")[0]["status"] not in ("cancelled", "error", "failed")
    fleet.wait(lambda: fleet.json("migration", "list", "--server", "big")[0]["status"] == "completed")
    process = subprocess.Popen(fleet.words("migrate", "stuck", "--live", "--wait"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    fleet.wait(lambda: any(row["status"] == "running" for row in fleet.json("migration", "list", "--server", "stuck")))
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=15)[1]
    assert process.returncode == 130 and "goes on" in said, (process.returncode, said)


def watched_and_aborted(folder):
    """a move that never ends is watched by another, who is told when it is aborted"""
    fleet = Fleet(folder).start()
    number = str(fleet.json("migrate", "stuck", "--live")["migration"])
    fleet.wait(lambda: fleet.json("migration", "list", "--server", "stuck")[0]["status"] == "running")
    with Terminal(fleet.words("migration", "watch", number), columns=120) as terminal:
        terminal.wait_for("%")
        fleet.call("migration", "abort", number)
        assert terminal.finish() == 1, terminal.text
    assert "the move of stuck was aborted" in terminal.text, terminal.text
    assert fleet.server("stuck")["host"] == "compute-1"
    assert "no migration 4711" in fleet.call("migration", "abort", "4711", status=1)


def aborted_while_waited_for(folder):
    """who waits for a move that somebody aborts is told that it did not move, as an admin and as a member"""
    fleet = Fleet(folder).start()
    asked = ("migrate", "stuck", "--live", "--wait")
    for words, env in ((fleet.words(*asked), None), ([str(BINARY), *asked], fleet.remote("member"))):
        waiting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        running = lambda: [row for row in fleet.json("migration", "list", "--server", "stuck") if row["status"] == "running"]
        fleet.wait(running)
        fleet.call("migration", "abort", str(running()[0]["id"]))
        out, err = waiting.communicate(timeout=30)
        assert waiting.returncode == 1 and "has moved" not in out, (out, err)
        assert "the move of stuck failed: it" in err, err


def doctor(folder):
    """the doctor finds nothing broken before, while and after a server moves; what is broken it tells, with what to do, and status 1"""
    fleet = Fleet(folder).start()
    assert "nothing is broken" in fleet.call("doctor")
    number = str(fleet.json("migrate", "stuck", "--live")["migration"])
    fleet.wait(lambda: fleet.json("migration", "list", "--server", "stuck")[0]["status"] == "running")
    assert fleet.json("doctor")["findings"] == []
    fleet.call("migration", "abort", number)
    fleet.wait(lambda: fleet.json("migration", "list", "--server", "stuck")[0]["status"] == "cancelled")
    answer = fleet.json("doctor")
    assert answer["findings"] == [] and answer["broken"] == 0 and answer["servers"] > 0 and answer["hosts"] > 0, answer
    database = next(row["file"] for row in map(json.loads, fleet.log.read_text().splitlines()) if row["event"] == "database created")
    connection = sqlite3.connect(database, timeout=5)
    with connection:
        connection.execute("UPDATE servers SET task_state = 'migrating' WHERE name = 'web'")
    connection.close()
    done = run(*fleet.words("doctor")[1:])
    assert done.returncode == 1 and "tasks-end" in done.stdout and "1 broken" in done.stdout, done
    assert "Take the task state away" in done.stdout, done


def from_elsewhere(folder):
    """with OS_ENDPOINT and OS_TOKEN the verbs are a client like others: a member sees the own servers, moves them, and no more"""
    fleet = Fleet(folder).start()
    member, admin = fleet.remote("member"), fleet.remote("admin")
    rows = json.loads(run("server", "list", "--json", env=member).stdout)
    assert {row["name"] for row in rows} >= {"web", "big"} and {row["host"] for row in rows} == {None}, rows
    assert "HOST" not in run("server", "list", env=member).stdout
    done = run("migrate", "web", "--live", "--wait", env=member)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "web has moved", done
    done = run("migrate", "web", "--live", "--host", "compute-1", env=member)
    assert done.returncode == 77 and "403" in done.stderr, done
    done = run("server", "list", "--all-projects", env=member)
    assert done.returncode == 77, done
    done = run("server", "list", env={**member, "OS_TOKEN": "nonsense"})
    assert done.returncode == 77 and "401" in done.stderr, done
    done = run("migrate", "big", "--live", "--wait", env=admin)
    assert done.returncode == 0 and "big has moved to" in done.stdout, done
    newest = json.loads(run("migration", "list", "--json", "--limit", "1", env=admin).stdout)[0]
    done = run("migration", "watch", newest["uuid"], env=admin)
    assert done.returncode == 0 and "completed" in done.stdout, done
    done = run("server", "list", "--endpoint", f"http://127.0.0.1:{fleet.port}", "--token", admin["OS_TOKEN"], "--all-projects")
    assert done.returncode == 0 and "web" in done.stdout, done


def nobody_there(folder):
    """69 says that the daemon is not there, 77 that one may not, 78 that the configuration is wrong"""
    fleet = Fleet(folder)
    fleet.config.write_text(json.dumps(fleet.sections))
    for words in (("host", "list"), ("doctor",), ("server", "list"), ("migrate", "web")):
        assert str(fleet.sections["admin_socket"]) in fleet.call(*words, status=69)
    done = run("server", "list", "--endpoint", f"http://127.0.0.1:{fleet.port}", "--token", "a")
    assert done.returncode == 69 and str(fleet.port) in done.stderr, done
    assert fleet.call("health", status=1)
    fleet.start()
    Path(folder).chmod(0o755)
    fleet.config.chmod(0o644)
    program = shutil.copy(BINARY, folder)  # the clone may be where nobody else gets in
    done = subprocess.run([program, *fleet.words("host", "list")[1:]], user=65534, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 77 and "root" in done.stderr, done
    done = run("host", "list", "--config", f"{folder}/none.yaml")
    assert done.returncode == 78 and "none.yaml" in done.stderr, done
    assert fleet.call("health") == "" and fleet.call("health", "--ready") == ""
    done = run("health", "--url", f"http://127.0.0.1:{fleet.port}/nowhere")
    assert done.returncode == 1 and "status 300" in done.stderr, done


def another_port(folder):
    """the operator's token goes to no other port than the daemon's own, whatever its file says by now"""
    fleet = Fleet(folder).start()
    fleet.sections["listener"]["port"] += 1
    fleet.config.write_text(json.dumps(fleet.sections))
    assert f"the daemon listens on port {fleet.port}" in fleet.call("server", "list", status=78)
    fleet.call("host", "list")


def names(folder):
    """a server's name is taken as it is, and one that several have is refused with the way out"""
    fleet = Fleet(folder, twins()).start()
    assert "odd (1).* has moved" in fleet.call("migrate", "odd (1).*", "--live", "--wait")
    assert "by its id" in fleet.call("migrate", "twin", "--live", status=1)
    fleet.call("migrate", "7e000000-0000-4000-8000-000000000002", "--live", "--wait")
    assert "none of that name" in fleet.call("migrate", "web.*", "--live", status=1)
    assert "404" in fleet.call("migrate", "7e000000-0000-4000-8000-00000000dead", "--live", status=1)


def a_long_wait(folder):
    """a wait outlives a daemon that does not answer for a while"""
    fleet = Fleet(folder).start()
    process = subprocess.Popen(fleet.words("migration", "watch", str(fleet.json("migrate", "stuck", "--live")["migration"])),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("stuck")
    fleet.process.send_signal(signal.SIGSTOP)
    time.sleep(12)  # longer than any one question may take
    fleet.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    assert process.poll() is None, process.communicate()
    fleet.call("migration", "abort", str(fleet.json("migration", "list", "--server", "stuck")[0]["id"]))
    assert "was aborted" in process.communicate(timeout=20)[1] and process.returncode == 1


def over_https(folder):
    """over HTTPS the daemon of this machine is known by its configured certificate, whatever name that is for; others by --cacert"""
    fleet = Fleet(folder)
    authority, stranger = Authority(Path(folder) / "ca"), Authority(Path(folder) / "other")
    certificate, key = authority.issue("compute", dns=["compute.example"])
    fleet.sections["listener"] |= {"certificate_file": str(certificate), "key_file": str(key)}
    fleet.launch()
    fleet.wait(lambda: run("health", "--config", str(fleet.config)).returncode == 0)
    assert "web" in fleet.call("server", "list")
    assert "web has moved" in fleet.call("migrate", "web", "--live", "--wait")
    far = ("server", "list", "--endpoint", f"https://127.0.0.1:{fleet.port}", "--token", fleet.token_of("admin"))
    for more in ((), ("--cacert", str(authority.certificate)), ("--cacert", str(stranger.certificate))):
        done = run(*far, *more)
        assert done.returncode == 69 and not done.stdout, (more, done)  # the name is another, or the authority is
    fleet.stop()
    certificate, key = authority.issue("here", addresses=["127.0.0.1"])
    fleet.sections["listener"] |= {"certificate_file": str(certificate), "key_file": str(key)}
    fleet.launch()
    fleet.wait(lambda: run("health", "--config", str(fleet.config)).returncode == 0)
    done = run(*far, "--cacert", str(authority.certificate), "--all-projects")
    assert done.returncode == 0 and "web" in done.stdout, done
    assert run(*far, "--cacert", str(stranger.certificate)).returncode == 69


CHECKS = (each_verb_helps, each_key_is_in_the_manual, the_manual_is_clean, the_program_prints_them, nowhere_to_write, wrong_calls, lists, a_host_is_shown, policies_are_asked, narrow_terminals, hosts_are_disabled,
          waiting_on_a_terminal, waiting_in_a_pipe, a_failed_move_tells_why, cold_moves, interrupted, watched_and_aborted,
          aborted_while_waited_for, from_elsewhere,
          doctor, nobody_there, another_port, names, over_https, a_long_wait, *shells.CHECKS)

if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
