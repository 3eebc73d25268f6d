"""Where the daemon stands: HTTPS of its own, behind a proxy, and the links that it gives."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/lab")]

from certificates import Authority  # noqa: E402
from service import Service, state  # noqa: E402


class Secure(Service):
    """A daemon that speaks HTTPS, with a certificate for 127.0.0.1."""

    def __init__(self, folder, **sections):
        super().__init__(folder, **sections)
        self.authority = Authority(self.folder / "ca")
        self.certificate, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        self.take("first")
        self.sections["listener"] |= {"certificate_file": str(self.certificate), "key_file": str(self.key)}

    def take(self, name):
        for made, place in zip(self.authority.issue(name, dns=["localhost"], addresses=["127.0.0.1"]), (self.certificate, self.key)):
            fresh = place.with_suffix(".new")
            shutil.copyfile(made, fresh)
            fresh.replace(place)

    def start(self, **environment):
        self.launch(**environment)
        self.wait(lambda: self.get("/healthz")[0] == 200)
        return self

    def context(self, **limits):
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        for name, value in limits.items():
            setattr(context, name, value)
        return context

    def connect(self, **limits):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.context(**limits))

    def get(self, path, connection=None, **headers):
        connection = connection or self.connect()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def named(self):
        """The common name of the certificate that is shown now."""
        with socket.create_connection(("127.0.0.1", self.port)) as plain, self.context().wrap_socket(
                plain, server_hostname="127.0.0.1") as secure:
            return dict(part[0] for part in secure.getpeercert()["subject"])["commonName"]


def tls_versions(folder):
    """HTTPS: TLS 1.2 and 1.3 are spoken, 1.1 is not, links begin with https, and plain HTTP to that port does no harm"""
    service = Secure(folder).start()
    versions = ssl.TLSVersion
    for version in (versions.TLSv1_2, versions.TLSv1_3):
        status, body = service.get("/", service.connect(minimum_version=version, maximum_version=version))
        assert status in (200, 300) and body["versions"][0]["links"][0]["href"].startswith(f"https://127.0.0.1:{service.port}/"), body
    done = subprocess.run(["gnutls-cli", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT", "--insecure", "-p", str(service.port),
                           "127.0.0.1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0, done
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(10)
        assert b"versions" not in plain.recv(4096)
    done = subprocess.run(["curl", "-sS", "--cacert", service.authority.certificate, f"https://localhost:{service.port}/healthz"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "ok" in done.stdout, done
    service.stop()


def openstack_over_tls(folder):
    """the openstack command works over HTTPS with OS_CACERT, and refuses a CA that it does not know"""
    service = Secure(folder).start().load()
    token = service.token("admin", "manager", "member", "reader")
    words = ["/usr/bin/openstack", "--os-auth-type", "admin_token", "--os-endpoint", f"https://127.0.0.1:{service.port}/v2.1", "--os-token", token]
    listing = [*words, "compute", "service", "list", "-f", "json"]
    done = subprocess.run(listing, capture_output=True, text=True, env={**os.environ, "OS_CACERT": str(service.authority.certificate)},
                          check=False)
    assert done.returncode == 0 and "nova-compute" in done.stdout, done
    assert subprocess.run(listing, capture_output=True, text=True, check=False).returncode != 0
    service.stop()


def waiting_over_tls(folder):
    """a request that waits for its verdict under HTTPS is suspended and answered like any other"""
    service = Secure(folder)
    service.sections["listener"]["wait_timeout"] = 1
    service.start().load()
    token = service.token("member", "reader")
    connection = service.connect()
    connection.request("POST", f"/v2.1/servers/{state.server_uuid(1)}/action",
                       json.dumps({"os-migrateLive": {"host": None, "block_migration": "auto"}}),
                       {"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.25", "Content-Type": "application/json"})
    assert connection.getresponse().status == 202
    service.stop()


def certificate_exchanged(folder):
    """a certificate that is exchanged is shown from then on, while requests go on without one being dropped; a wrong one changes nothing"""
    service = Secure(folder).start()
    seen, is_over = Counter(), threading.Event()

    def ask():
        connection = service.connect()
        while not is_over.is_set():
            seen[service.get("/healthz", connection)[0]] += 1
            if sum(seen.values()) % 7 == 0:
                connection = service.connect()
    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    assert service.named() == "first"
    for name in ("second", "third"):
        service.take(name)
        service.process.send_signal(signal.SIGHUP)
        service.wait(lambda wanted=name: service.named() == wanted)
    service.key.write_text("no key\n")
    before = service.log.read_text().count("is refused")
    service.process.send_signal(signal.SIGHUP)
    service.wait(lambda: service.log.read_text().count("is refused") > before)
    assert service.named() == "third"
    is_over.set()
    for asker in askers:
        asker.join()
    assert set(seen) == {200} and sum(seen.values()) > 50, seen
    service.stop()


def half_exchanged(folder):
    """of a pair that is exchanged file by file nothing is shown until both are there; other paths count at once, TLS ends with a restart"""
    service = Secure(folder, metrics={"address": "127.0.0.1", "port": 0}).start()
    place = json.loads(next(line for line in service.log.read_text().splitlines() if "metrics are listening" in line))["port"]

    def ends():
        """When the certificate ends, as the metrics have it and as a client sees it."""
        connection = http.client.HTTPConnection("127.0.0.1", place, timeout=10)
        connection.request("GET", "/metrics")
        told = re.search(r"^migrationd_certificate_expiry_timestamp_seconds (\S+)$", connection.getresponse().read().decode(), re.M)
        with socket.create_connection(("127.0.0.1", service.port)) as plain, service.context().wrap_socket(
                plain, server_hostname="127.0.0.1") as secure:
            return float(told[1]), float(ssl.cert_time_to_seconds(secure.getpeercert()["notAfter"]))
    first = ends()
    assert first[0] == first[1], first
    time.sleep(1.1)  # so that the next ones end at another second
    certificate, key = service.authority.issue("second", dns=["localhost"], addresses=["127.0.0.1"])
    before = service.log.read_text().count("is refused")
    shutil.copyfile(certificate, service.certificate)
    service.wait(lambda: service.log.read_text().count("is refused") > before)  # by itself
    assert service.named() == "first" and ends() == first
    shutil.copyfile(key, service.key)
    service.wait(lambda: service.named() == "second")
    second = ends()
    assert second[0] == second[1] > first[1], (first, second)
    time.sleep(1.1)
    paths = [str(path) for path in service.authority.issue("third", dns=["localhost"], addresses=["127.0.0.1"])]
    service.sections["listener"] |= dict(zip(("certificate_file", "key_file"), paths))
    service.config.write_text(json.dumps(service.sections))
    service.process.send_signal(signal.SIGHUP)
    service.wait(lambda: service.named() == "third")
    third = ends()
    assert third[0] == third[1] > second[1], (second, third)
    assert "takes effect at the next start" not in service.log.read_text()
    del service.sections["listener"]["certificate_file"], service.sections["listener"]["key_file"]
    service.config.write_text(json.dumps(service.sections))
    service.process.send_signal(signal.SIGHUP)
    service.wait(lambda: service.log.read_text().count("takes effect at the next start") == 2)
    assert service.named() == "third" and ends() == third
    assert "the certificate stays as it was" not in service.log.read_text()  # which is a fault's word
    service.stop()


def broken_handshakes(folder):
    """a thousand handshakes that are broken off leave no descriptor behind, and others are served meanwhile"""
    service = Secure(folder).start()
    descriptors = f"/proc/{service.process.pid}/fd"
    before = len(os.listdir(descriptors))
    for number in range(1000):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as plain:
            plain.sendall(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"")
        if number % 100 == 0:
            assert service.get("/healthz")[0] == 200
    deadline = time.monotonic() + 20
    while len(os.listdir(descriptors)) > before + 8 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(os.listdir(descriptors)) <= before + 8, (before, len(os.listdir(descriptors)))
    service.stop()


def wrong_pairs(folder):
    """a certificate and a key that do not belong together, or are none, stop the start with file, line and reason"""
    service = Secure(folder)
    other = service.authority.issue("other")[1]
    for content, words in ((other.read_text(), "is not the key of the certificate in"), ("no key\n", "holds no private key in PEM")):
        service.key.write_text(content)
        status, log = service.fails()
        assert status == 78 and f"{service.config}:1: listener: {service.key} {words}" in log, log
    service.take("again")
    service.certificate.write_text("none\n")
    status, log = service.fails()
    assert status == 78 and "holds no certificate in PEM" in log, log


def behind_a_proxy(folder):
    """forwarded headers of a trusted proxy make links and the client in the log, Forwarded before X-Forwarded-*; others' are ignored"""
    service = Service(folder)
    service.sections["listener"]["trusted_proxies"] = ["127.0.0.0/8", "2001:db8::/32"]
    service.start().load()

    def link(**headers):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        connection.request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
        return json.loads(connection.getresponse().read())["versions"][0]["links"][0]["href"]
    own = f"http://127.0.0.1:{service.port}/v2/"
    assert link() == own
    assert link(X_Forwarded_Proto="https", X_Forwarded_Host="compute.example") == "https://compute.example/v2/"
    assert link(X_Forwarded_Proto="https", X_Forwarded_Host="a.example", X_Forwarded_Prefix="/nova/") == "https://a.example/nova/v2/"
    assert link(Forwarded='for=192.0.2.7;proto=https;host="b.example:8443", for=127.0.0.1', X_Forwarded_Host="c.example") == "https://b.example:8443/v2/"
    assert link(X_Forwarded_Host='evil.example/"><script>', X_Forwarded_Proto="javascript") == own
    assert link(X_Forwarded_Host="x" * 300) == own
    link(X_Forwarded_For="203.0.113.9, 192.0.2.44, 127.0.0.1")
    assert '"client": "192.0.2.44"' in service.log.read_text() and "203.0.113.9" not in service.log.read_text()
    service.stop()
    service.sections["listener"]["trusted_proxies"] = ["192.0.2.0/24"]
    service.start().load()
    assert link(X_Forwarded_Proto="https", X_Forwarded_Host="compute.example", Forwarded="host=d.example") == own
    service.stop()


def public_links(folder):
    """public_endpoint is the base of every link: versions, servers, pages, flavors; whatever a proxy says"""
    service = Service(folder, public_endpoint="https://public.example/compute")
    service.sections["listener"]["trusted_proxies"] = "127.0.0.1"
    service.start().load()
    token = service.token("admin", "manager", "member", "reader")
    links = []

    def gather(part):
        if isinstance(part, dict):
            links.extend([part["href"]] if "href" in part else [])
            part = list(part.values())
        for inner in part if isinstance(part, list) else []:
            gather(inner)
    for path in ("/", "/v2.1/", "/v2.1/servers?limit=1", "/v2.1/servers/detail?limit=1&all_tenants=1", "/v2.1/flavors/detail", "/v2.1/os-hypervisors?limit=1"):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        connection.request("GET", path, headers={"X-Auth-Token": token, "X-Forwarded-Host": "other.example", "OpenStack-API-Version": "compute 2.53"})
        gather(json.loads(connection.getresponse().read()))
    # Beside our own there are links to the documentation, and the bookmarks, which stand at the endpoint's root in Nova, too.
    ours = [link for link in links if "docs.openstack.org" not in link]
    assert len(ours) > 8 and all(link.startswith("https://public.example/compute/") for link in ours), ours
    service.stop()


CHECKS = (tls_versions, openstack_over_tls, waiting_over_tls, certificate_exchanged, half_exchanged, broken_handshakes, wrong_pairs, behind_a_proxy,
          public_links)
