"""Certificates for hosts that speak TLS, made by GnuTLS's certtool: a CA, one for each host and one for migrationd, and those
that are wrong in one way each."""

import datetime
import subprocess
from pathlib import Path


def certtool(*words):
    subprocess.run(["certtool", *map(str, words)], check=True, capture_output=True, text=True)


class Authority:
    """A CA in a folder, and what it signs. A certificate is NAME-cert.pem and NAME-key.pem there."""

    def __init__(self, folder, name="lab"):
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self.certificate = self.folder / "ca-cert.pem"
        self.key = self.folder / "ca-key.pem"
        certtool("--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile", self.key)
        self.sign_itself(name)

    def sign_itself(self, name):
        template = self.template("ca", f"cn = {name}", "ca", "cert_signing_key", "expiration_days = 3650")
        certtool("--generate-self-signed", "--load-privkey", self.key, "--template", template, "--outfile", self.certificate)

    def template(self, name, *lines):
        path = self.folder / f"{name}.info"
        path.write_text("\n".join(lines) + "\n")
        return path

    def issue(self, name, dns=(), addresses=(), has_expired=False):
        """The paths of a certificate and its key, for a server and a client alike."""
        certificate, key = self.folder / f"{name}-cert.pem", self.folder / f"{name}-key.pem"
        if has_expired:
            ended = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)
            days = [f'activation_date = "{ended - datetime.timedelta(days=9):%Y-%m-%d %H:%M:%S}"',
                    f'expiration_date = "{ended:%Y-%m-%d %H:%M:%S}"']
        else:
            days = ["expiration_days = 365"]
        template = self.template(name, f"cn = {name}", "organization = lab", *(f"dns_name = {word}" for word in dns),
                                 *(f"ip_address = {word}" for word in addresses), "tls_www_server", "tls_www_client",
                                 "signing_key", "encryption_key", *days)
        certtool("--generate-privkey", "--key-type", "rsa", "--bits", "2048", "--outfile", key)
        certtool("--generate-certificate", "--load-privkey", key, "--load-ca-certificate", self.certificate,
                 "--load-ca-privkey", self.key, "--template", template, "--outfile", certificate)
        return certificate, key
