"""Tokens that no key of the daemon's own has made: validated by a real Keystone, or signed by keys of a published set. Speaks TAP.

A check is a function whose docstring says what holds; it gets a fresh folder for its daemon.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "daemon")]

import jwt  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402
from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: E402

from keystone_server import PASSWORD, Keystone  # noqa: E402
from odd_keystone import OddKeystone  # noqa: E402
from service import Api, Service, run_checks, state  # noqa: E402


class Cloud:
    """The one Keystone of all checks, with a project, two users and the catalog's entry for the daemon."""

    keystone = None

    @classmethod
    def up(cls):
        if cls.keystone is None:
            keystone = cls.keystone = Keystone()
            cls.project = keystone.make("project", name="demo", domain_id="default")
            for name, role in (("alice", "member"), ("rita", "reader")):
                user = keystone.make("user", name=name, password=name * 3, domain_id="default", default_project_id=cls.project)
                keystone.grant(user, cls.project, role)
            cls.service = keystone.make("service", type="compute", name="nova")
        return cls.keystone

    @classmethod
    def down(cls):
        if cls.keystone:
            cls.keystone.end()


def daemon_of_keystone(folder, cache_time=300, timeout=2, password=PASSWORD, has_key=True):
    keystone = Cloud.up()
    path = Path(folder) / "password"
    path.write_text(password + "\n")
    service = Service(folder, identity={"keystone": {"url": keystone.url, "username": "admin", "project_name": "admin",
                                                     "password_file": str(path), "cache_time": cache_time, "timeout": timeout}})
    if not has_key:
        del service.sections["auth"]
    service.start()
    rows = state.rows_of({"server": {"host": "host1", "vm_state": "active", "task_state": None, "locked": None},
                          "hosts": dict.fromkeys(state.HOSTS, "up")})
    rows["servers"][0]["project_id"] = Cloud.project
    service.control(load=rows)
    return service


def client(service, token):
    return Api(f"http://127.0.0.1:{service.port}", token, "2.90")


def status(service, token, path="/v2.1/servers"):
    return client(service, token).get(path).status


def keystones_tokens(folder):
    """a token of Keystone's has the project and the roles that Keystone says, with no key configured at all"""
    service = daemon_of_keystone(folder, has_key=False)
    keystone = Cloud.up()
    alice = client(service, keystone.token("alice", "alice" * 3, "demo"))
    assert [server["id"] for server in alice.get("/v2.1/servers").body["servers"]] == [state.server_uuid(1)]
    assert alice.get("/v2.1/os-hypervisors").status == 403
    assert alice.act(state.server_uuid(1), "migrate").status == 202
    rita = client(service, keystone.token("rita", "rita" * 3, "demo"))
    assert rita.act(state.server_uuid(1), "migrate").status == 403
    assert status(service, keystone.token("admin", PASSWORD, "admin"), "/v2.1/os-hypervisors") == 200
    unscoped = keystone.token("admin", PASSWORD)
    assert status(service, unscoped, "/v2.1/os-hypervisors") == 403
    service.stop()


def openstack_command(folder):
    """with a clouds.yaml of name and password the openstack command and the SDK find the daemon in the catalog"""
    service = daemon_of_keystone(folder)
    keystone = Cloud.up()
    keystone.make("endpoint", service_id=Cloud.service, interface="public", region_id="RegionOne",
                  url=f"http://127.0.0.1:{service.port}/v2.1")
    (Path(folder) / "clouds.yaml").write_text(json.dumps({"clouds": {"here": {
        "region_name": "RegionOne", "identity_api_version": 3,
        "auth": {"auth_url": f"{keystone.url}/v3", "username": "alice", "password": "alice" * 3, "project_name": "demo",
                 "user_domain_name": "Default", "project_domain_name": "Default"}}}}))
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "OS_CLOUD": "here",
                   "OS_CLIENT_CONFIG_FILE": str(Path(folder) / "clouds.yaml")}

    def openstack(*words):
        done = subprocess.run(["/usr/bin/openstack", *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # Its lists of servers also ask for images, which this catalog lacks.
    assert json.loads(openstack("server", "event", "list", "vm-one", "-f", "json")) == []
    openstack("server", "migrate", "vm-one")
    assert service.jobs() == [(state.server_uuid(1), "cold")]
    lines = "import openstack; print([server.name for server in openstack.connect(cloud='here').compute.servers()])"
    done = subprocess.run(["/usr/bin/python3", "-c", lines], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "['vm-one']\n", done.stdout + done.stderr
    service.stop()


def revoked_tokens(folder):
    """a token that was revoked is refused within cache_time, in the words and with the header that clients know"""
    service = daemon_of_keystone(folder, cache_time=2)
    keystone = Cloud.up()
    token = keystone.token("alice", "alice" * 3, "demo")
    assert status(service, token) == 200
    keystone.revoke(token)
    assert status(service, token) == 200, "it is believed for a while"
    time.sleep(2.2)
    answer = client(service, token).get("/v2.1/servers")
    assert answer.status == 401, answer.text
    assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"', answer.headers
    assert status(service, token) == 401
    service.stop()


def bad_tokens(folder):
    """a token that nobody knows is refused, whatever it looks like, and Keystone is not asked twice for it"""
    service = daemon_of_keystone(folder)
    for token in ("x", "a.b.c", "gAAAAAB" + "x" * 200, "eyJhbGciOiJub25lIn0.e30.", "é", "y" * 8000):
        raw = token.encode("utf-8").decode("latin-1")
        assert client(service, raw).get("/v2.1/servers").status == 401, token
    Cloud.up().hang()
    try:
        assert status(service, "x") == 401, "it is remembered as refused"
    finally:
        Cloud.up().go_on()
    service.stop()


def a_hanging_keystone(folder):
    """while Keystone hangs tokens that were seen go on, new ones get 503 with Retry-After in bounded time, and nobody else waits"""
    service = daemon_of_keystone(folder, cache_time=1, timeout=2)
    keystone = Cloud.up()
    seen, new = keystone.token("alice", "alice" * 3, "demo"), keystone.token("rita", "rita" * 3, "demo")
    own = service.token("reader")
    assert status(service, seen) == 200
    time.sleep(1.2)
    keystone.hang()
    try:
        with ThreadPoolExecutor(100) as pool:
            began = time.monotonic()
            waiting = [pool.submit(client(service, new).get, "/v2.1/servers") for _ in range(20)]
            strange = [pool.submit(status, service, f"unknown-{number}") for number in range(60)]
            going = [pool.submit(client(service, seen).get, "/v2.1/servers") for _ in range(10)]
            time.sleep(0.2)
            slowest = 0
            for _ in range(50):
                asked = time.monotonic()
                assert status(service, own) == 200
                slowest = max(slowest, time.monotonic() - asked)
            assert slowest < 0.5, f"another request took {slowest:.2f} s"
            answers = [one.result() for one in waiting]
            assert {answer.status for answer in answers} == {503}, answers[0].text
            assert all(answer.headers["Retry-After"] and "serviceUnavailable" in answer.body for answer in answers)
            assert {one.result().status for one in going} == {200}
            assert {one.result() for one in strange} == {503}
            assert time.monotonic() - began < 8, "bounded by some timeouts"
        began = time.monotonic()
        assert status(service, new) == 503 and status(service, seen) == 200
        assert time.monotonic() - began < 0.5, "a moment later nobody asks again"
    finally:
        keystone.go_on()
    service.wait(lambda: status(service, new) == 200)
    service.stop()


def keystone_away(folder):
    """a Keystone that is gone and comes back is noticed: new tokens get 503 and then work, seen ones work all the time"""
    service = daemon_of_keystone(folder, cache_time=1)
    keystone = Cloud.up()
    seen, new = keystone.token("alice", "alice" * 3, "demo"), keystone.token("rita", "rita" * 3, "demo")
    assert status(service, seen) == 200
    keystone.stop()
    try:
        time.sleep(1.2)
        assert status(service, seen) == 200
        assert status(service, new) == 503
    finally:
        keystone.start()
    service.wait(lambda: status(service, new) == 200)
    assert status(service, seen) == 200
    service.stop()


def a_wrong_password(folder):
    """a service that Keystone does not let in says so in its log and answers 503, not 401"""
    service = daemon_of_keystone(folder, password="wrong")
    assert status(service, Cloud.up().token("alice", "alice" * 3, "demo")) == 503
    assert "does not let the service in as admin" in service.log.read_text(), service.log.read_text()
    assert status(service, service.token("reader")) == 200, "our own keys need no Keystone"
    service.stop()


def an_end_while_asking(folder):
    """SIGTERM ends the daemon at once while Keystone hangs, and who waits is answered"""
    service = daemon_of_keystone(folder, timeout=5)
    keystone = Cloud.up()
    token = keystone.token("alice", "alice" * 3, "demo")
    keystone.hang()
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client(service, token).get, "/v2.1/servers")
            time.sleep(0.5)
            service.process.terminate()
            assert waiting.result().status == 503
            assert service.process.wait(10) == 0
    finally:
        keystone.go_on()


class Publisher:
    """An OIDC provider's key set, over HTTP; what it says can be changed."""

    def __enter__(self):
        publisher = self
        self.keys, self.odd, self.raw, self.asked = {}, [], None, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                publisher.asked += 1
                data = publisher.raw if publisher.raw is not None else publisher.document()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def add(self, kid, kind, **fields):
        key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(
            {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}[kind]())
        algorithm = RSAAlgorithm if kind == "RSA" else ECAlgorithm
        public = json.loads(algorithm.to_jwk(key.public_key())) if hasattr(algorithm, "to_jwk") and kind == "RSA" else ec_jwk(key)
        self.keys[kid] = (key, {**public, "kid": kid, **fields})

    def document(self):
        return json.dumps({"keys": self.odd + [public for _, public in self.keys.values()]}).encode()

    def token(self, kid, algorithm, key=None, header_kid=True, **claims):
        payload = {"sub": "anna", "project_id": state.PROJECT, "realm_access": {"roles": ["reader"]}, "iss": "https://issuer.example",
                   "exp": int(time.time()) + 300, **claims}
        return jwt.encode(payload, key or self.keys[kid][0], algorithm, headers={"kid": kid} if header_kid else {})


def ec_jwk(key):
    numbers = key.public_key().public_numbers()
    size = (key.curve.key_size + 7) // 8
    encode = lambda number: jwt.utils.base64url_encode(number.to_bytes(size, "big")).decode()
    return {"kty": "EC", "crv": {256: "P-256", 384: "P-384", 521: "P-521"}[key.curve.key_size], "x": encode(numbers.x),
            "y": encode(numbers.y)}


def daemon_of_publisher(folder, *sets, **auth):
    service = Service(folder, identity={"jwks": list(sets)},
                      auth={"issuer": "https://issuer.example", "claims": {"roles": "realm_access.roles"}, **auth})
    return service.start().load()


def published_keys(folder):
    """tokens that are signed by the published RSA and EC keys are good, each by its own algorithm alone"""
    with Publisher() as publisher:
        publisher.add("r", "RSA")
        publisher.add("r512", "RSA", alg="RS512")
        for name in ("ES256", "ES384", "ES512"):
            publisher.add(name, name, use="sig")
        publisher.add("sealed", "RSA", use="enc")
        service = daemon_of_publisher(folder, {"url": publisher.url})
        for kid, algorithm in (("r", "RS256"), ("r512", "RS512"), ("ES256", "ES256"), ("ES384", "ES384"), ("ES512", "ES512")):
            assert status(service, publisher.token(kid, algorithm)) == 200, kid
        assert status(service, publisher.token("r", "RS256", header_kid=False)) == 200
        public = publisher.keys["r"][0].public_key().public_bytes(serialization.Encoding.PEM,
                                                                  serialization.PublicFormat.SubjectPublicKeyInfo)
        stranger = rsa.generate_private_key(65537, 2048)
        signing_input = publisher.token("r", "RS256").rsplit(".", 1)[0]
        bad = {"another algorithm of the same key": publisher.token("r", "RS512"),
               "a key for encryption": publisher.token("sealed", "RS256"),
               "somebody else's key": publisher.token("r", "RS256", key=stranger),
               "another issuer": publisher.token("r", "RS256", iss="https://other.example"),
               "a token that is over": publisher.token("r", "RS256", exp=int(time.time()) - 300),
               "no signature": signing_input + ".",
               "the public key as a secret": hmac_token(publisher, public)}
        for what, token in bad.items():
            assert status(service, token) == 401, what
        service.stop()


def hmac_token(publisher, secret):
    """What a library would not sign: HS256 with a PEM as its secret."""
    import hashlib
    import hmac
    body = publisher.token("r", "RS256").split(".")[1]
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "r"}).encode()).decode()
    signature = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}"


def rotation(folder):
    """a new key is found with the first token that names it, an old one is good no more, and wrong tokens do not make us ask again"""
    with Publisher() as publisher:
        publisher.add("old", "RSA")
        service = daemon_of_publisher(folder, {"url": publisher.url, "refresh_interval": 3600})
        old = publisher.token("old", "RS256")
        publisher.add("new", "ES256")
        del publisher.keys["old"]
        asked = publisher.asked
        assert status(service, publisher.token("new", "ES256")) == 200
        assert status(service, old) == 401, "its key was taken back, and it was not seen before"
        publisher.add("later", "RSA")
        foreign = rsa.generate_private_key(65537, 2048)
        for number in range(50):
            assert status(service, publisher.token(f"unknown-{number}", "RS256", key=foreign)) == 401
        assert publisher.asked == asked + 1, f"{publisher.asked - asked} readings"
        service.stop()


def a_publisher_away(folder):
    """a publisher that is away at the start is asked again, and one that says nonsense later changes nothing"""
    with Publisher() as publisher:
        publisher.add("r", "RSA")
        publisher.raw = b"<html>come back later</html>"
        service = daemon_of_publisher(folder, {"url": publisher.url, "refresh_interval": 1})
        assert status(service, publisher.token("r", "RS256")) == 401
        publisher.raw = None
        service.wait(lambda: status(service, publisher.token("r", "RS256")) == 200)
        for nonsense in (b"", b"{", b"[]", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [1, null, {}, {"kty": "RSA"}]}', b"{" * 100000,
                         b'{"keys": "' + b"x" * 400000 + b'"}'):
            publisher.raw, asked = nonsense, publisher.asked
            service.wait(lambda: publisher.asked > asked + 1)
            assert status(service, publisher.token("r", "RS256")) == 200, nonsense[:20]
        assert "the one before stays in force" in service.log.read_text()
        service.stop()


def a_file_of_keys(folder):
    """a key set in a file works, and one that is no key set stops the start with its name"""
    with Publisher() as publisher:
        publisher.add("r", "RSA")
        path = Path(folder) / "keys.json"
        path.write_bytes(publisher.document())
        service = daemon_of_publisher(folder, {"file": str(path)})
        assert status(service, publisher.token("r", "RS256")) == 200
        service.stop()
        path.write_text('{"keys": []}')
        code, words = service.fails()
        assert code == 78 and "keys.json" in words, words


def rotation_at_once(folder):
    """ten requests that bring the same token of a new key at once all wait for the set that is being read, and pass"""
    for delay in (0.5, 0):
        with Publisher() as publisher:
            publisher.add("old", "RSA")
            service = daemon_of_publisher(folder, {"url": publisher.url, "refresh_interval": 3600})
            publisher.add("new", "ES256")
            document = publisher.document
            publisher.document = lambda: (time.sleep(delay), document())[1]
            token = publisher.token("new", "ES256")
            with ThreadPoolExecutor(10) as pool:
                got = [answer.result() for answer in [pool.submit(status, service, token) for _ in range(10)]]
            service.stop()
        assert got == [200] * 10, got


def a_withdrawn_key(folder):
    """a key that its publisher withdraws is believed no more, not even for a token that was verified before"""
    with Publisher() as publisher:
        publisher.add("leaked", "RSA")
        publisher.add("other", "RSA")
        service = daemon_of_publisher(folder, {"url": publisher.url, "refresh_interval": 1})
        seen, other = publisher.token("leaked", "RS256"), publisher.token("other", "RS256")
        assert (status(service, seen), status(service, other)) == (200, 200)
        del publisher.keys["leaked"]
        asked = publisher.asked
        service.wait(lambda: publisher.asked > asked + 1)
        assert (status(service, seen), status(service, other)) == (401, 200)
        service.stop()


def an_odd_answer(folder):
    """an odd answer of Keystone about one token condemns that token alone: others are asked about and pass at once"""
    with OddKeystone(state.PROJECT) as keystone:
        password = Path(folder) / "password"
        password.write_text("secret\n")
        service = Service(folder, identity={"keystone": {"url": keystone.url, "username": "nova", "password_file": str(password),
                                                         "timeout": 2}}).start().load()
        for number, (odd, refusal) in enumerate({"400": 401, "many-roles": 401, "no-token": 401, "500": 503, "403": 503, "404": 401}.items()):
            assert status(service, odd) == refusal, odd
            assert status(service, f"good{number}") == 200, odd
        service.stop()


def hostile_tokens(folder):
    """with a key set in force no text that a client sends as a token ends the daemon, and each of them is refused"""
    with Publisher() as publisher:
        for kid, kind in (("r", "RSA"), ("e", "ES256")):
            publisher.add(kid, kind)
        service = daemon_of_publisher(folder, {"url": publisher.url})
        good = [publisher.token("r", "RS256"), publisher.token("e", "ES256"), publisher.token("r", "RS256", header_kid=False)]
        bare = jwt.utils.base64url_encode(b'{"alg":"RS256"}').decode()
        texts = [f"{bare}.A=AA.AA", f"{bare}.A=AA.", f"{bare}..", f"{bare}.e30.A=AA", f"{bare}.e30.=", f"{bare}=.e30.AA"]
        for token in good:
            parts = token.split(".")
            for place, part in enumerate(parts):
                middle = len(part) // 2
                odd = [part[:middle] + one + part[middle:] for one in "= +/%\x80\xff"] + [part + one for one in ("=", "==", "AAA=")]
                odd += ["", "A", "=", "A=AA", "====", "AAAAA", part + "A" * (1 + -len(part) % 4), part[:-1] + "="]
                texts += [".".join(parts[:place] + [one] + parts[place + 1:]) for one in odd]
        for text in texts:
            assert status(service, text) == 401, text
        assert [status(service, token) for token in good] == [200] * 3
        service.stop()


def hostile_keys(publisher):
    """Each published member damaged in many ways, as keys of their own."""
    damage = [lambda text: text[:5] + "=" + text[5:], lambda text: text + "=", lambda text: "A=AA", lambda text: "=", lambda text: "",
              lambda text: text[:5] + " " + text[5:], lambda text: text[:5] + "\0" + text[5:], lambda text: text + "+/",
              lambda text: "A", lambda text: "\u00e9" * 8, lambda text: text * 40,
              lambda text: None, lambda text: 65537, lambda text: [text], lambda text: {"a": text}]
    for kid, members in (("r", ("n", "e", "kty", "alg", "kid")), ("e", ("x", "y", "crv", "kty", "kid"))):
        for member in members:
            for spoil in damage:
                public = {**publisher.keys[kid][1], "kid": "odd"}
                yield {**public, member: spoil(public.get(member, "RS256"))}
    rsa_key, point = publisher.keys["r"][1], publisher.keys["e"][1]
    number = lambda value: jwt.utils.base64url_encode(value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")).decode()
    for e in (0, 1, 2, 65536, 2 ** 64 + 1, 2 ** 2047 + 1):
        yield {**rsa_key, "kid": "odd", "e": number(e)}
    for n in (0, 1, 2 ** 1023 + 1, 2 ** 2047, 2 ** 8192 + 1, 2 ** 16383 + 1):
        yield {**rsa_key, "kid": "odd", "n": number(n)}
    yield {**point, "kid": "odd", "x": point["y"], "y": point["x"]}
    yield {**point, "kid": "odd", "crv": "P-384"}
    yield {**point, "kid": "odd", "x": "A" * 200000}


def odd_published_keys(folder):
    """a published key that cannot be used is left out with a reason in the log, at the start and later, and the others verify on"""
    with Publisher() as publisher:
        publisher.add("r", "RSA")
        publisher.add("e", "ES256")
        odd = list(hostile_keys(publisher))
        publisher.odd = odd[:1]
        path = Path(folder) / "keys.json"
        path.write_bytes(publisher.document())
        service = daemon_of_publisher(folder, {"file": str(path)}, {"url": publisher.url, "refresh_interval": 1})

        def reasons():
            lines = [json.loads(line) for line in service.log.read_text().splitlines()]
            return [line for line in lines if line["event"] == "published keys cannot be used"]

        def all_verify():
            return [status(service, publisher.token(kid, name)) for kid, name in (("r", "RS256"), ("e", "ES256"))] == [200, 200]

        assert all_verify()
        assert [line["set"] for line in reasons()] == [str(path), publisher.url]
        assert all(line["keys"] == 'key 1 (kid "odd"): its n is no base64url of 1 to 1025 bytes' for line in reasons()), reasons()
        for batch in (odd[:-1], odd[-1:]):
            publisher.odd, asked = batch, publisher.asked
            service.wait(lambda: publisher.asked > asked + 2)
            assert all_verify(), batch
        assert len(reasons()) == 4, "each document is told once"
        assert reasons()[2]["keys"].startswith("key 1 ") and reasons()[2]["keys"].endswith(" more"), reasons()[2]
        publisher.raw, asked = b'{"keys":' + b"[" * 100000, publisher.asked
        service.wait(lambda: publisher.asked > asked + 1)
        assert all_verify()
        service.stop()
        path.write_text(json.dumps({"keys": odd[:1]}))
        code, words = service.fails()
        assert code == 78 and "its n is no base64url" in words, words


CHECKS = (published_keys, hostile_tokens, odd_published_keys, rotation_at_once, a_withdrawn_key, an_odd_answer, rotation,
          a_publisher_away, a_file_of_keys, keystones_tokens, openstack_command, revoked_tokens, bad_tokens, a_hanging_keystone, keystone_away, a_wrong_password, an_end_while_asking)


def main():
    try:
        return run_checks(CHECKS, sys.argv[1:])
    finally:
        Cloud.down()


if __name__ == "__main__":
    sys.exit(main())
