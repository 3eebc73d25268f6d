"""A fresh Debian 12 in a folder, for tests that install things: made once per build folder, then unpacked from a tar.

It comes from the mirror that this machine's own apt uses, with apt's proxies, keys and credentials, so that `apt-get` works in
it as it does here. Nothing is mounted: where mounts are refused (an ordinary container) all of it works too.

    debian_root.tar_path()          the tar, made when it is missing (about a minute); it has no device nodes
    debian_root.unpack(folder)      a root in the folder, with device nodes and this machine's name resolution
    debian_root.run(folder, words)  a command in it, as root there
"""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
FOLDER = TOP / "build" / "debian-root"
RELEASE = "bookworm"
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
# What of apt's configuration says how a mirror is reached and believed; the rest is the machine's own taste.
OF_APT = re.compile(r"^(Acquire::(http|https|Retries|ForceIPv4|ForceIPv6|Check-|Allow|Max-)|APT::Get::AllowUnauthenticated)",
                    re.IGNORECASE)
KEYRING = re.compile(r"/[^\s\],;\"]+\.(?:gpg|asc|pgp)")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def mirror():
    """The URI that this machine gets its release from, and the files of apt's sources that name Debian's."""
    uri, files = None, []
    listed = output("apt-get", "indextargets", "--format", "$(RELEASE)\t$(REPO_URI)\t$(SOURCESENTRY)", "Created-By: Packages")
    for line in listed.splitlines():
        release, repository, entry = line.split("\t")
        source = Path(entry.rsplit(":", 1)[0])
        if release == RELEASE:
            uri = uri or repository
        if release.split("-")[0] == RELEASE and source not in files:
            files.append(source)
    if uri is None:
        raise SystemExit(f"debian_root: apt's sources of this machine do not name Debian's {RELEASE}: add its mirror to /etc/apt")
    return uri, files


def settings_of_apt():
    return [line for line in output("apt-config", "dump").splitlines() if OF_APT.match(line) and not line.endswith(' "";')]


def copy(path, root):
    """The file or folder of this machine at the same place in the root; nothing where there is none."""
    path = Path(path)
    target = Path(root) / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, dirs_exist_ok=True)
    elif path.exists():
        shutil.copy2(path, target)


def copy_apt(root):
    """How this machine reaches and believes its mirrors."""
    uri, files = mirror()
    Path(root, "etc/apt/sources.list").unlink(missing_ok=True)
    texts = []
    for source in files:
        copy(source, root)
        texts.append(source.read_text())
    settings = settings_of_apt()
    Path(root, "etc/apt/apt.conf.d/80mirror").write_text("".join(f"{line}\n" for line in settings))
    named = re.findall(r'"(/[^"]+)"', "\n".join(settings))  # certificates and keys of TLS
    bundle = ["/etc/ssl/certs/ca-certificates.crt"] if "https://" in "".join(texts) else []
    for path in [*KEYRING.findall("\n".join(texts)), *named, *bundle, "/etc/apt/trusted.gpg.d", "/etc/apt/auth.conf",
                 "/etc/apt/auth.conf.d", "/etc/apt/preferences.d"]:
        copy(path, root)


def environment_of_mirror(uri):
    """debootstrap knows nothing of apt's proxies; a proxy in the environment comes before them there too."""
    environment = {**os.environ, "DPKG_FORCE": "unsafe-io"}
    for scheme in ("http", "https"):
        host = re.sub(r"^\w+://([^/:]+).*", r"\1", uri)
        for key in (f"Acquire::{scheme}::Proxy::{host}", f"Acquire::{scheme}::Proxy"):
            proxy = output("apt-config", "shell", "proxy", key).partition("=")[2].strip().strip("'")
            if proxy and not environment.get(f"{scheme}_proxy"):
                environment[f"{scheme}_proxy"] = "" if proxy == "DIRECT" else proxy
    return environment


def trust(files):
    """debootstrap's words for what apt's sources say about the mirror's keys; its default is Debian's own."""
    text = "\n".join(source.read_text() for source in files)
    if re.search(r"^Trusted:\s*yes|\[[^]]*trusted=yes", text, re.IGNORECASE | re.MULTILINE):
        return ["--no-check-gpg"]
    return [f"--keyring={path}" for path in KEYRING.findall(text) if path.endswith(".gpg") and Path(path).exists()][:1]


def bootstrap(root):
    uri, files = mirror()
    log = FOLDER / "debootstrap.log"
    words = ["debootstrap", "--variant=minbase", *trust(files), RELEASE, str(root), uri]
    with open(log, "wb") as stream:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                              env=environment_of_mirror(uri), check=False)
    if done.returncode != 0:
        raise SystemExit(f"debian_root: {' '.join(words)} failed:\n{log.read_text(errors='replace')[-3000:]}")
    copy_apt(root)
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
    Path(root, "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("# a root for tests: a power cut takes all of it\nforce-unsafe-io\n")
    # No service is started in a root that only tests live in.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def tar_path():
    """The cached tar; it is made anew when apt's settings here have changed."""
    uri, files = mirror()
    asked = "\n".join([uri, *settings_of_apt(), *(source.read_text() for source in files), Path(__file__).read_text()])
    path = FOLDER / f"{RELEASE}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.tar"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        for old in FOLDER.glob("*.tar"):
            old.unlink()
        with tempfile.TemporaryDirectory(prefix="root.", dir=FOLDER) as folder:
            root = Path(folder) / "root"
            bootstrap(root)
            unfinished = path.with_suffix(".unfinished")
            subprocess.run(["tar", "--create", f"--file={unfinished}", f"--directory={root}", "--numeric-owner",
                            "--one-file-system", "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "."], check=True)
            unfinished.rename(path)
    return path


def make_devices(root):
    for name, (major, minor) in DEVICES.items():
        path = root / "dev" / name
        if not path.exists():
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
            path.chmod(0o666)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        if not (root / "dev" / name).is_symlink():
            (root / "dev" / name).symlink_to(f"/proc/self/fd{target}")


def unpack(folder):
    """A root in the folder, which is made."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--extract", f"--file={tar_path()}", f"--directory={root}", "--numeric-owner"], check=True)
    make_devices(root)
    copy("/etc/resolv.conf", root)
    copy("/etc/hosts", root)
    return root


def run(folder, words, **options):
    """A command in the root; `options` are those of subprocess.run."""
    options.setdefault("env", ENVIRONMENT)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(["chroot", str(folder), *map(str, words)], check=False, **options)


if __name__ == "__main__":
    print(unpack(sys.argv[1]) if len(sys.argv) > 1 else tar_path())
