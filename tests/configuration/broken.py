"""Broken configurations, each with one fault: generated from what `migrationd check` lists, and from what people get wrong.

Each is (what is wrong, the text, a part of the words that are to tell it). The text has one fault only, so that one line tells it.
"""

AUTH = "auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}\n"
LIVE = "os_compute_api:os-migrate-server:migrate_live"
DEPLOYMENT = AUTH + "---\nkind: OpenStackDeployment\nspec:\n  features:\n"


def nested(path, value):
    """a.b.c: value as YAML with one line a level."""
    *sections, key = path.split(".")
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(sections)]
    return "\n".join([*lines, f"{'  ' * len(sections)}{key}: {value}"]) + "\n"


def misspelt(name):
    """The name without its middle letter."""
    return name[:len(name) // 2] + name[len(name) // 2 + 1:]


def with_auth(path, value):
    """The setting in a configuration that would be good without it."""
    if path.startswith("auth."):
        return AUTH.replace("auth: {", "auth: {" + path.removeprefix("auth.").split(".")[0] + ": "
                            + (value if path.count(".") == 1 else "{" + path.split(".")[-1] + f": {value}}}") + ", ")
    return AUTH + nested(path, value)


def of_keys(keys):
    for path in keys:
        *section, last = path.split(".")
        yield f"misspelt {path}", with_auth(".".join([*section, misspelt(last)]), "1"), "is not known"
    for path in keys:
        yield f"mistyped {path}", with_auth(path, "{a: {b: c}}" if path not in ("policy.rules",) else "[1]"), "expected"


def of_rules():
    """Rules that can only fail, and circles, in each of the places where rules stand."""
    rules = {
        "a blank behind the colon": "'role: admin'", "a check without a kind": "admin", "an operator at the end": "'role:admin and'",
        "an open bracket": "'(role:admin'", "two checks without an operator": "'role:admin role:member'",
        "brackets around nothing": "'()'", "quotes inside": "\"'role:admin'\"", "a lone operator": "and", "a number for a kind": "'1x:y'",
        "a percent sign too many": "'user_id:%(user_id)s%'", "a list of nothing": "[[]]", "a rule that is not there": "'rule:nowhere'",
        "a number for a rule": "5", "true for a rule": "true", "another service": "'http://policy.example/%(project_id)s'",
        "and with a faulty part": "'role:admin and operator'",
    }
    for what, rule in rules.items():
        yield f"rule: {what}, in policy.rules", AUTH + f"policy:\n  rules:\n    '{LIVE}': {rule}\n", f"policy {LIVE}"
        yield (f"rule: {what}, in the deployment", DEPLOYMENT + f"    policies:\n      nova:\n        {LIVE}: {rule}\n",
               f"policy {LIVE}")
    circles = {"to itself": {}, "by one more": {"a": f"rule:{LIVE}"}, "by two": {"a": "rule:b", "b": f"role:x or rule:{LIVE}"}}
    for what, others in circles.items():
        first = "rule:a" if others else f"rule:{LIVE}"
        rows = "".join(f"    '{name}': '{rule}'\n" for name, rule in {LIVE: first, **others}.items())
        yield f"circle {what}", AUTH + f"policy:\n  rules:\n{rows}", "circle"


def of_deployment():
    nova = DEPLOYMENT + "    nova:\n"
    yield "interface with a slip", nova + "      live_migration_interfce: ens3\n", "live_migration_interface?"
    yield "interface as a list", nova + "      live_migration_interface: [ens3]\n", "expected"
    yield "interface with blanks", nova + "      live_migration_interface: ens 3\n", "name of a NIC"
    yield "interface too long", nova + "      live_migration_interface: abcdefghijklmnop\n", "name of a NIC"
    yield "interface empty", nova + "      live_migration_interface: ''\n", "expected"
    yield "tls without enabled", nova + "      libvirt:\n        tls: true\n", "expected a mapping"
    yield "tls neither true nor false", nova + "      libvirt:\n        tls:\n          enabled: 2\n", "expected true or false"
    yield "libvirt with a slip", nova + "      libvrt:\n        tls:\n          enabled: true\n", "libvirt?"
    yield "tls with a slip", nova + "      libvirt:\n        tsl:\n          enabled: true\n", "tls?"
    yield "enabled with a slip", nova + "      libvirt:\n        tls:\n          enabld: true\n", "enabled?"
    yield "features with a slip", DEPLOYMENT.replace("features", "feature") + "    nova: {}\n", "features?"
    yield "spec with a slip", AUTH + "---\nkind: OpenStackDeployment\nspecs: {}\n", "spec?"
    yield "nova with a slip", DEPLOYMENT + "    novas: {}\n", "nova?"
    yield "policies with a slip", DEPLOYMENT + "    polices: {}\n", "policies?"
    yield "policies as a list", DEPLOYMENT + "    policies: []\n", "expected a mapping"
    yield "nova's policies as a text", DEPLOYMENT + "    policies:\n      nova: all\n", "expected a mapping"
    yield "ratio below all", nova + "      allocation_ratios: {cpu: 0}\n", "expected a number"
    yield "ratio as a text", nova + "      allocation_ratios: {ram: much}\n", "expected"
    yield "kind with a slip", AUTH + "---\nkind: OpenstackDeployment\nspec: {}\n", "OpenStackDeployment"
    nodes = AUTH + "---\nkind: OpenStackDeployment\nspec:\n  nodes:\n"
    yield "node without its mapping", nodes + "    rack::a: ens3\n", "expected a mapping"
    yield "node with an empty label", nodes + "    '::a': {}\n", "LABEL::VALUE"
    yield "node's interface with a slip", nodes + "    rack::a:\n      features:\n        nova:\n          live_migration_interfaces: x\n", "live_migration_interface?"
    yield "node's interface as a mapping", nodes + "    rack::a:\n      features:\n        nova:\n          live_migration_interface: {a: b}\n", "expected"
    yield "tls against our own words", AUTH + "libvirt: {live_migration_with_native_tls: false}\n" + DEPLOYMENT.removeprefix(AUTH) + "    nova: {libvirt: {tls: {enabled: true}}}\n", "says something else"
    yield "tls with a plain host", AUTH + "hosts: [{name: a, uri: 'qemu+tcp://a/system'}]\n" + DEPLOYMENT.removeprefix(AUTH) + "    nova: {libvirt: {tls: {enabled: true}}}\n", "not encrypted"
    yield "two addresses", AUTH + "hosts: [{name: a, uri: 'qemu+tcp://a/system', migration_address: 192.0.2.1}]\n" + DEPLOYMENT.removeprefix(AUTH) + "    nova: {live_migration_interface: ens3}\n", "leave one of them out"


def of_files(folder):
    """Keys and files that cannot be read, or are none; `folder` has an empty file, a text and a directory."""
    def key(**parts):
        return "auth:\n  keys:\n  - {" + ", ".join(f"{name}: {value}" for name, value in parts.items()) + "}\n"
    yield "secret file that is not there", key(algorithm="HS256", secret_file=f"{folder}/none"), "cannot read"
    yield "secret file that is empty", key(algorithm="HS256", secret_file=f"{folder}/empty"), "auth.keys[0]"
    yield "secret file that is short", key(algorithm="HS256", secret_file=f"{folder}/text"), "auth.keys[0]"
    yield "secret file that is a directory", key(algorithm="HS256", secret_file=f"{folder}/directory"), "auth.keys[0]"
    yield "secret that is short", key(algorithm="HS256", secret="abc"), "auth.keys[0]"
    yield "no secret at all", key(algorithm="HS256"), "auth.keys[0]"
    yield "no algorithm", key(secret="0123456789abcdef0123456789abcdef"), "algorithm: is missing"
    yield "algorithm none", key(algorithm="none", secret="0123456789abcdef0123456789abcdef"), "expected HS256"
    yield "key that is no PEM", key(algorithm="RS256", pem_file=f"{folder}/text"), "auth.keys[0]"
    yield "key file that is not there", key(algorithm="ES256", pem_file=f"{folder}/none"), "cannot read"
    yield "PEM for HMAC", key(algorithm="HS256", pem_file=f"{folder}/text"), "auth.keys[0]"
    yield "policy file that is not there", AUTH + f"policy: {{file: {folder}/none.yaml}}\n", "cannot read"
    yield "policy directory that is not there", AUTH + f"policy: {{dirs: {folder}/none.d}}\n", "cannot read"
    yield "policy file that is a list", AUTH + f"policy: {{file: {folder}/list.yaml}}\n", "list.yaml:1: expected a mapping"
    yield "policy file that is no YAML", AUTH + f"policy: {{file: {folder}/broken.yaml}}\n", "broken.yaml:3: this is not YAML"
    yield "certificate that is not there", AUTH + f"listener: {{certificate_file: {folder}/none, key_file: {folder}/text}}\n", "cannot read"
    yield "certificate without a key", AUTH + f"listener: {{certificate_file: {folder}/text}}\n", "needs listener.key_file"
    yield "host's password that is not there", AUTH + f"hosts: [{{name: a, uri: 'test:///d', username: u, password_file: {folder}/none}}]\n", "cannot read"
    yield "Keystone without a password", "identity: {keystone: {url: 'https://keystone.example'}}\n", "password_file: is missing"


def of_values():
    numbers = {"listener.port": ("-1", "65536", "99999999999999999999", "1.5", "8774x", "0x10", "''"),
               "listener.threads": ("0", "257"), "api.max_limit": ("0", "many"), "libvirt.live_migration_downtime": ("99", "-5", "1e3"),
               "libvirt.live_migration_downtime_steps": ("2",), "libvirt.live_migration_downtime_delay": ("2",),
               "libvirt.live_migration_parallel_connections": ("0", "256"), "libvirt.live_migration_timeout_action": ("pause", "ABORT"),
               "max_concurrent_live_migrations": ("-1", "unlimited"), "cpu_allocation_ratio": ("0", "inf", "nan", "4,0"),
               "filter_scheduler.enabled_filters": ("[NoSuchFilter]", "ComputeFilter"), "filter_scheduler.enabled_weighers": ("[rum]",),
               "log.level": ("verbose",), "log.format": ("xml",), "public_endpoint": ("example.org", "'https://a/'"),
               "listener.address": ("localhost", "256.0.0.1"), "node": ("'a b'", "'a/b'"), "policy.enforce_scope": ("maybe", "2")}
    for path, values in numbers.items():
        for value in values:
            yield f"{path}: {value}", with_auth(path, value), "expected" if "enabled_" not in path or value[0] != "[" else "is not known"


def of_structure():
    yield "no key at all", "node: a\n", "auth.keys: is missing"
    yield "an empty file", "", "auth.keys: is missing"
    yield "no list of keys", "auth: {keys: []}\n", "at least one key"
    yield "a list for everything", "- a\n- b\n", "expected a mapping"
    yield "a text for everything", "just words\n", "expected a mapping"
    yield "a tab", AUTH + "log:\n\tlevel: info\n", "this is not YAML"
    yield "an open quote", AUTH + "node: 'a\n", "this is not YAML"
    yield "an open bracket", AUTH + "log: {level: info\n", "this is not YAML"
    yield "a key twice", AUTH + "node: a\nnode: b\n", "a second time"
    yield "an unknown alias", AUTH + "node: *gone\n", "nothing above"
    yield "an alias in itself", AUTH + "log: &a {level: *a}\n", "contain itself"
    yield "a list for a key", AUTH + "? [a]\n: b\n", "a key must be a text"
    yield "two configurations", AUTH + "---\nnode: a\n", "second configuration"
    yield "another kind", AUTH + "---\nkind: Deployment\n", "are not known"
    yield "too deep", AUTH + "node: " + "[" * 80 + "]" * 80 + "\n", "too deeply nested"
    yield "a control character", AUTH + "node: \"a\x01\"\n", "this is not YAML"
    yield "a zero byte", AUTH + 'node: "a\\0b"\n', "zero byte"
    yield "a host without a URI", AUTH + "hosts: [{name: a}]\n", "uri: is missing"
    yield "a host without a name", AUTH + "hosts: [{uri: 'test:///d'}]\n", "name: is missing"
    yield "a host twice", AUTH + "hosts:\n- {name: a, uri: 'test:///d'}\n- {name: a, uri: 'test:///d'}\n", "a second time"
    yield "a host's URI without a path", AUTH + "hosts: [{name: a, uri: compute-1}]\n", "libvirt URI"
    yield "a host's name with blanks", AUTH + "hosts: [{name: 'a b', uri: 'test:///d'}]\n", "expected a name"
    yield "a host's address with brackets", AUTH + "hosts: [{name: a, uri: 'test:///d', migration_address: '[::1]'}]\n", "expected"
    yield "a host's NIC without an address", AUTH + "hosts: [{name: a, uri: 'test:///d', interfaces: {eth0: here}}]\n", "expected"
    yield "a control socket for real hosts", AUTH + "hypervisor: {control_socket: x}\n", "driver simulated only"
    yield "a key set without a place", "identity: {jwks: [{timeout: 5}]}\n", "url or a file"


def all_of(keys, folder):
    for group in (of_keys(keys), of_rules(), of_deployment(), of_files(folder), of_values(), of_structure()):
        yield from group
