"""Who may migrate, by the shipped binary over HTTP and by `migrationd policy check`, with oslo.policy itself as the judge: it reads
the same policy.yaml and policy.d as the daemon, and its Enforcer must say the same of every caller. Speaks TAP.

Needs Debian's interpreter, which has oslo.policy and PyJWT.
"""

import itertools
import json
import logging
import random
import re
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import yaml
from oslo_config import cfg
from oslo_policy import policy as oslo

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from service import BINARY, Service, run_checks, state  # noqa: E402
from api import Api  # noqa: E402

PREFIX = "os_compute_api:os-migrate-server:"
ACTIONS = {"migrate": ("migrate", None), "migrate:host": ("migrate", {"host": "host2"}),
           "migrate_live": ("os-migrateLive", {"host": None, "block_migration": "auto"}),
           "migrate_live:host": ("os-migrateLive", {"host": "host2", "block_migration": "auto"})}
ADMIN = ["admin", "manager", "member", "reader"]
OWN, OTHER = {"project_id": state.PROJECT}, {"project_id": state.OTHER_PROJECT}
# The server's user is "member-user"; its project is OWN.
CALLERS = {
    "admin": {"sub": "boss", "roles": ADMIN, **OWN}, "admin elsewhere": {"sub": "boss", "roles": ADMIN, **OTHER},
    "manager": {"sub": "m", "roles": ADMIN[1:], **OWN}, "member": {"sub": "member-user", "roles": ADMIN[2:], **OWN},
    "reader": {"sub": "r", "roles": ["reader"], **OWN}, "member elsewhere": {"sub": "s", "roles": ADMIN[2:], **OTHER},
    "operator": {"sub": "o", "roles": ["Operator"], **OWN}, "nobody": {"sub": "n", "roles": [], **OWN},
    "admin alone": {"sub": "a", "roles": ["ADMIN"], **OWN},
    "system admin": {"sub": "boss", "roles": ADMIN, "system_scope": "all"},
    "domain admin": {"sub": "boss", "roles": ADMIN, "domain_id": "default"},
}
ADMINS = {"admin", "admin elsewhere", "admin alone"}
MEMBERS = {"manager", "member"}
logging.disable(logging.CRITICAL)  # the judge's own words about odd rules
warnings.simplefilter("ignore")
IN_FORCE = "the new configuration is in force"


class IsAdmin(oslo.Check):
    """Nova's own class for `is_admin:`: the context's flag, and any word but true asks for its absence."""

    def __call__(self, target, creds, enforcer, current_rule=None):
        return creds["is_admin"] == (self.match.lower() == "true")


oslo.register("is_admin", IsAdmin)


class Judge:
    """oslo.policy's Enforcer over the daemon's defaults and the files beside its configuration."""

    def __init__(self, folder, defaults):
        conf = cfg.ConfigOpts()
        conf([], project="judge", default_config_files=[], default_config_dirs=[])
        self.enforcer = oslo.Enforcer(conf, policy_file=str(Path(folder) / "policy.yaml"))
        self.enforcer.conf.set_override("policy_dirs", [str(Path(folder) / "policy.d")], "oslo_policy")
        self.enforcer.conf.set_override("enforce_scope", True, "oslo_policy")
        self.enforcer.conf.set_override("enforce_new_defaults", True, "oslo_policy")
        for name, rule in defaults.items():
            scope = ["project"] if ":" in name else None
            self.enforcer.register_default(oslo.RuleDefault(name, rule, scope_types=scope))
        self.enforcer.load_rules(True)

    def creds(self, claims):
        creds = {"user_id": claims["sub"], "roles": claims["roles"], "project_id": claims.get("project_id"), "domain_id": claims.get("domain_id"),
                 "system_scope": claims.get("system_scope"), "user_domain_id": None, "project_domain_id": None, "is_admin_project": True,
                 "service_user_id": None, "service_roles": []}
        own = {"project_id": creds["project_id"], "user_id": creds["user_id"]}
        return {**creds, "is_admin": self.ask("context_is_admin", {**creds, "is_admin": None}, own)}

    def ask(self, name, creds, target):
        try:
            return bool(self.enforcer.enforce(name, dict(target), dict(creds)))
        except Exception:  # a rule that raises is an error 500 there, and a refusal here
            return False

    def may(self, name, claims, target):
        return self.ask(name, self.creds(claims), target)


def asked(words, *files):
    done = subprocess.run([BINARY, "policy", *words, *(word for file in files for word in ("--config", file))], capture_output=True,
                          text=True, check=False)
    assert done.returncode in (0, 1, 78), done
    return json.loads(done.stdout) if done.returncode != 78 else done.stderr


def defaults_of(folder):
    """Names and rules as they are in code."""
    path = Path(folder) / "defaults" / "migrationd.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"auth": {"keys": [{"algorithm": "HS256", "secret": "0" * 40}]}}))
    rows = asked(["list", "--json"], path)
    assert all(row["origin"] == "default" for row in rows), rows
    return {row["name"]: row["rule"] for row in rows}


class Policed(Service):
    """A daemon whose policies lie beside its configuration."""

    def write(self, file, directory=()):
        """policy.yaml, and the files of policy.d; None: there is none."""
        beside, folder = self.folder / "policy.yaml", self.folder / "policy.d"
        beside.unlink(missing_ok=True)
        if file is not None:
            beside.write_text(yaml.safe_dump(file))
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, rules in dict(directory).items():
            (folder / name).write_text(yaml.safe_dump(rules))

    def renew(self):
        before = self.log.read_text().count(IN_FORCE)
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda: self.log.read_text().count(IN_FORCE) > before)

    def bearer(self, claims, version="2.60"):
        secret = self.sections["auth"]["keys"][0]["secret"]
        token = jwt.encode({**claims, "exp": int(time.time()) + 3600}, secret, "HS256", {"kid": "own"})
        return Api(f"http://127.0.0.1:{self.port}", token, version)

    def may(self, client, policy):
        """What comes behind the policy (202, or 409 for a server that is under way) says yes."""
        action, value = ACTIONS[policy]
        answer = client.act(state.server_uuid(1), action, value)
        assert answer.status in (202, 400, 403, 404, 409), (answer.status, answer.text)
        if answer.status == 403:
            assert answer.message == f"Policy doesn't allow {PREFIX}{policy} to be performed.", answer.text
        return answer.status not in (403, 404)

    def matrix(self):
        pairs = list(itertools.product(CALLERS, ACTIONS))
        with ThreadPoolExecutor(4) as pool:
            verdicts = pool.map(lambda pair: self.may(self.bearer(CALLERS[pair[0]]), pair[1]), pairs)
            return dict(zip(pairs, verdicts))


def expect(found, granted):
    """`granted`: of each policy, who may."""
    wrong = {key: found[key] for key in found if found[key] != (key[0] in granted[key[1]])}
    assert not wrong, wrong


def judged(judge):
    """Who may, as the judge says. Before a policy is asked, a server of another project is not there for those who are no admins."""
    granted = {policy: set() for policy in ACTIONS}
    for (who, claims), policy in itertools.product(CALLERS.items(), ACTIONS):
        sees = judge.creds(claims)["is_admin"] or claims.get("project_id") == state.PROJECT
        if sees and judge.may(PREFIX + policy, claims, OWN):
            granted[policy].add(who)
    return granted


DEFAULT = {"migrate": ADMINS | MEMBERS, "migrate_live": ADMINS | MEMBERS, "migrate:host": ADMINS, "migrate_live:host": ADMINS}
REVERT = {PREFIX + "migrate": "rule:context_is_admin", PREFIX + "migrate_live": "rule:context_is_admin"}


def before_and_after_the_revert(folder):
    """admins and members may as the documents say, tokens of the system or a domain may not; after the revert it is for admins alone"""
    service = Policed(folder).start().load()
    expect(service.matrix(), DEFAULT)
    service.write(REVERT)
    service.renew()
    expect(service.matrix(), dict.fromkeys(ACTIONS, ADMINS))
    service.write(None)
    service.renew()
    expect(service.matrix(), DEFAULT)
    service.stop()


OTHER_RULES = [
    {"migrate": "role:operator or rule:project_member_or_admin"}, {"migrate_live": "not role:reader"},
    {"migrate": "user_id:%(user_id)s"}, {"migrate_live:host": "user_id:member-user"}, {"migrate": "role:OPERATOR", "migrate:host": "@"},
    {"migrate_live": [["role:member", "user_id:m"], ["role:operator"]]}, {"migrate": "", "migrate_live": None, "migrate:host": [], "migrate_live:host": {}},
    {"migrate": "!", "migrate_live": "!"}, {"migrate:host": "rule:project_manager_or_admin"}, {"migrate": "is_admin:True"},
    {"migrate": "is_admin:no"}, {"migrate": "not (role:admin or role:manager) and project_id:%(project_id)s"},
    {"migrate": "system_scope:all", "migrate_live": "system_scope:None"}, {"migrate": "domain_id:default or role:admin"},
    {"migrate": f"project_id:{state.OTHER_PROJECT} or roles:Operator"}, {"migrate_live": "role:admin or operator"},
]


def other_rules(folder):
    """with any other rule too a request is answered as oslo.policy would answer it, and each override changes its own policy alone"""
    service = Policed(folder).start().load()
    defaults = defaults_of(folder)
    for rules in OTHER_RULES:
        service.write({PREFIX + policy: rule for policy, rule in rules.items()})
        service.renew()
        found = service.matrix()
        granted = judged(Judge(folder, defaults))
        try:
            expect(found, granted)
            for policy in set(ACTIONS) - set(rules):
                assert granted[policy] == DEFAULT[policy], policy
        except AssertionError as wrong:
            raise AssertionError(f"{rules}: {wrong}") from wrong
    service.stop()


def base_rules(folder):
    """who is an admin, and who a member, is the operator's to say by the base rules, and counts for all that rests on them"""
    service = Policed(folder).start().load()
    defaults = defaults_of(folder)
    for rules in ({"context_is_admin": "role:admin or role:operator"}, {"project_member_api": "role:operator and project_id:%(project_id)s"},
                  {"project_member_or_admin": "role:reader"}, {"context_is_admin": f"role:admin and project_id:{state.OTHER_PROJECT}"}):
        service.write(rules)
        service.renew()
        found = service.matrix()
        try:
            expect(found, judged(Judge(folder, defaults)))
        except AssertionError as wrong:
            raise AssertionError(f"{rules}: {wrong}") from wrong
    service.stop()


def file_and_directory(folder):
    """of a rule that stands in policy.yaml and in files of policy.d the last counts, in the order of oslo.policy, hidden files left out"""
    service = Policed(folder).start().load()
    defaults = defaults_of(folder)
    migrate, live = PREFIX + "migrate", PREFIX + "migrate_live"
    for file, directory in (({migrate: "role:reader", live: "!"}, {}), ({migrate: "!"}, {"b.yaml": {migrate: "role:reader"}}),
                            (None, {"10-a.yaml": {migrate: "!"}, "9-b.yaml": {migrate: "role:operator"}}),
                            ({live: "!"}, {"B": {live: "role:reader"}, "a": {live: "role:operator"}, ".z": {live: "!"}}),
                            ({live: "role:reader and rule:mine", "mine": "!"}, {"a.json": {"mine": "role:member"}})):
        service.write(file, directory)
        (service.folder / "policy.d" / "sub").mkdir(exist_ok=True)
        service.renew()
        found = service.matrix()
        (service.folder / "policy.d" / "sub").rmdir()
        try:
            expect(found, judged(Judge(folder, defaults)))
        except AssertionError as wrong:
            raise AssertionError(f"{file}, {directory}: {wrong}") from wrong
    service.stop()


ATOMS = ["role:admin", "role:Member", "role:reader", "role:operator", "role:nobody", "user_id:boss", "user_id:%(user_id)s",
         "project_id:%(project_id)s", f"project_id:{state.OTHER_PROJECT}", "is_admin:True", "is_admin:False", "domain_id:None", "system_scope:all", "roles:reader",
         "'member':%(kind)s", "None:%(user_id)s", "is_admin_project:True", "user_id:%(gone)s", "@", "!", "rule:context_is_admin", "rule:project_member_or_admin",
         "rule:project_reader_api", "rule:admin_or_owner"]


def an_expression(chance, atoms, depth=0):
    kind = chance.random()
    if depth > 3 or kind < 0.35:
        return chance.choice(atoms)
    if kind < 0.5:
        return "not " + (chance.choice(atoms) if chance.random() < 0.5 else f"({an_expression(chance, atoms, depth + 1)})")
    inner = [an_expression(chance, atoms, depth + 1) for _ in range(chance.randint(2, 3))]
    inner = [f"({part})" if chance.random() < 0.4 else part for part in inner]
    text = inner[0]
    for part in inner[1:]:
        text += f" {chance.choice(['and', 'or', 'AND', 'Or'])} {part}"
    return text


def a_set_of_rules(chance):
    """Some of the policies and of rules of their own, each of which rests on earlier ones at most."""
    own, rules = [], {}
    for number in range(chance.randint(0, 4)):
        rules[f"own_{number}"] = an_expression(chance, ATOMS + own)
        own.append(f"rule:own_{number}")
    for policy in chance.sample(sorted(ACTIONS), chance.randint(1, 4)):
        if chance.random() < 0.15:
            rules[PREFIX + policy] = [[chance.choice(ATOMS + own) for _ in range(chance.randint(1, 2))] for _ in range(chance.randint(1, 2))]
        else:
            rules[PREFIX + policy] = an_expression(chance, ATOMS + own)
    if chance.random() < 0.3:
        rules[chance.choice(["context_is_admin", "project_member_or_admin", "project_member_api"])] = chance.choice(ATOMS[:10])
    return rules


def options_of(claims):
    words = [word for role in claims["roles"] for word in ("--role", role)] + ["--exact-roles", "--user", claims["sub"]]
    for claim, option in (("project_id", "--project"), ("domain_id", "--domain"), ("system_scope", "--system-scope")):
        words += [option, claims[claim]] if claim in claims else []
    return words


def hold_together(judge, names, claims, target, answer):
    """Each verdict is the judge's; what was refused as a rule that can only fail grants nothing to anybody there either. The grants."""
    if isinstance(answer, str):
        faulty = re.findall(r"^\S+/[a-z]+\.yaml:[1-9][0-9]*: policy (\S+): ", answer, re.M)
        assert len(faulty) == len(answer.splitlines()), answer
        for name, other, place in itertools.product(faulty, CALLERS.values(), (OWN, OTHER)):
            assert not judge.may(name, other, place), (answer, name, other)
        return None
    for row in answer:
        wanted = judge.may(row["name"], claims, target)
        assert (row["verdict"] == "passed") == wanted, (claims, target, row, wanted)
    assert [row["name"] for row in answer] == names
    return sum(row["verdict"] == "passed" for row in answer)


def random_rules(folder):
    """of eighty random sets of rules and eleven callers each, migrationd policy check and oslo.policy say the same"""
    defaults = defaults_of(folder)
    chance = random.Random(20260825)
    names = [PREFIX + policy for policy in ACTIONS] + ["os_compute_api:servers:show"]
    service = Policed(folder)
    service.config.write_text(json.dumps(service.sections))
    grants = asked_for = refused = 0
    for _ in range(80):
        rules = a_set_of_rules(chance)
        cut = chance.sample(sorted(rules), len(rules) // 2)
        service.write({name: rule for name, rule in rules.items() if name not in cut}, {"a.yaml": {name: rules[name] for name in cut}})
        judge = Judge(folder, defaults)
        for claims in CALLERS.values():
            target = chance.choice([OWN, OTHER])
            answer = asked(["check", "--json", *names, *options_of(claims), "--server-project", target["project_id"]], service.config)
            try:
                granted = hold_together(judge, names, claims, target, answer)
            except AssertionError as wrong:
                raise AssertionError(f"{rules}: {wrong}") from wrong
            if granted is None:
                refused += 1
                break
            grants, asked_for = grants + granted, asked_for + len(names)
    print(f"# {grants} grants of {asked_for}; {refused} sets refused")
    assert min(grants, asked_for - grants) > 500 and refused < 20, (grants, asked_for, refused)


CHECKS = [before_and_after_the_revert, other_rules, base_rules, file_and_directory, random_rules]

if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
