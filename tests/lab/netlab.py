"""A lab whose hosts stand in network namespaces of their own, each with two NICs, so that networks can be cut.

The process that makes it must itself be in a fresh network namespace with the right to configure it (suite.py sees to
that); there the bridges `manage` and `migrate` stand, and migrationd runs. Namespaces have no names: each is held by a
`cat` that ends when we do, so that nothing can be left behind.
"""

import subprocess

import postcopy
from lab import Lab, as_user

NICS = {"manage": "10.91.0", "migrate": "10.92.0"}


def ip(*words, inside=()):
    subprocess.run([*inside, "ip", *map(str, words)], check=True, capture_output=True, text=True)


class NetLab(Lab):
    """As a Lab; besides, a host's NICs can be cut and joined again."""

    def __init__(self, hosts=3, has_tls=False):
        super().__init__(hosts, has_tls=has_tls)
        self.holders = {}

    def as_hosts_user(self):
        """With post-copy, where this machine lets us."""
        return postcopy.permit(as_user()) or as_user()

    def addresses(self, number):
        return f"10.91.0.{number}", f"10.92.0.{number}"

    def listen_address(self, number):
        return "::"  # IPv4 too

    @staticmethod
    def ipv6_address(number):
        """Another address of the host's migration NIC."""
        return f"fd00:92::{number}"

    def make_networks(self):
        ip("link", "set", "lo", "up")
        for nic, prefix in NICS.items():
            ip("link", "add", "name", nic, "type", "bridge")
            ip("addr", "add", f"{prefix}.254/24", "dev", nic)
            ip("link", "set", nic, "up")
        for number in range(1, self.host_count + 1):
            holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
            self.holders[number] = holder
            holder.stdout.readline()  # it is in its namespace
            inside = ["nsenter", "--target", str(holder.pid), "--net"]
            ip("link", "set", "lo", "up", inside=inside)
            for nic, prefix in NICS.items():
                port = f"{nic}{number}"
                ip("link", "add", "name", port, "type", "veth", "peer", "name", nic, "netns", holder.pid)
                ip("link", "set", port, "master", nic, "up")
                ip("addr", "add", f"{prefix}.{number}/24", "dev", nic, inside=inside)
                ip("link", "set", nic, "up", inside=inside)
            ip("addr", "add", f"{self.ipv6_address(number)}/64", "dev", "migrate", "nodad", inside=inside)

    def inside(self, host):
        return ["nsenter", "--target", str(self.holders[host.number].pid), "--net"]

    def remove_networks(self):
        for holder in self.holders.values():
            holder.kill()
            holder.communicate()
        self.holders.clear()
        for nic in NICS:
            subprocess.run(["ip", "link", "delete", nic], capture_output=True, check=False)

    def cut(self, host, nic):
        ip("link", "set", f"{nic}{host.number}", "down")

    def join(self, host, nic):
        ip("link", "set", f"{nic}{host.number}", "up")

    def join_all(self):
        for host in self.hosts:
            for nic in NICS:
                self.join(host, nic)
