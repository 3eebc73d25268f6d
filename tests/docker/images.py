"""Images by buildah: the Dockerfiles built from the tree, on a Debian 12 that is made here, in a storage of their own.

The storage is under build/ and is taken away whole at the end: nothing of the machine's own images is seen or touched.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import debian_root  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
BASE = "localhost/debian"


class ImageError(Exception):
    """buildah refused something; the text has its words."""


class Storage:
    """buildah's containers and images in a folder; the driver copies whole trees, which works on any file system."""

    def __init__(self, folder, is_kept=False):
        """Kept: what an earlier run left there is taken as it is."""
        self.folder = Path(folder)
        if not is_kept:
            self.clear()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run("rm", "--all")

    def words(self):
        return ["buildah", "--storage-driver=vfs", f"--root={self.folder}/root", f"--runroot={self.folder}/run"]

    def run(self, *words):
        done = subprocess.run([*self.words(), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"buildah {' '.join(map(str, words))} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-6000:]}")
        return done.stdout.strip()

    def clear(self):
        if self.folder.exists():
            subprocess.run([*self.words(), "umount", "--all"], capture_output=True, check=False)
            shutil.rmtree(self.folder)

    def has(self, image):
        return f"localhost/{image}:latest" in self.run("images", "--format={{.Name}}:{{.Tag}}").splitlines()

    def import_base(self):
        """A Debian 12 as the image that the Dockerfiles start from."""
        container = self.run("from", "scratch")
        tree = self.run("mount", container)
        subprocess.run(["tar", "--extract", f"--file={debian_root.tar_path()}", f"--directory={tree}", "--numeric-owner"], check=True)
        self.run("umount", container)
        self.run("commit", "--quiet", "--rm", container, BASE)

    def build(self, dockerfile, context, image):
        # Docker's own format: the other one has no place for a health check.
        self.run("build", "--quiet", "--isolation=chroot", "--network=host", "--format=docker", "--pull-never", f"--build-arg=BASE={BASE}",
                 f"--file={dockerfile}", f"--tag=localhost/{image}", context)

    def config(self, image):
        return json.loads(self.run("inspect", "--type=image", f"localhost/{image}"))["Docker"]["config"]

    def diff_ids(self, image):
        """Digests of its layers, not compressed."""
        return json.loads(self.run("inspect", "--type=image", image))["Docker"]["rootfs"]["diff_ids"]

    def layers(self, image):
        """(digest, bytes) of each layer, not compressed, as a registry would get them."""
        folder = self.folder / "pushed"
        self.run("push", "--quiet", "--disable-compression", f"localhost/{image}", f"dir:{folder}")
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            return [(layer["digest"], layer["size"]) for layer in manifest["layers"]]
        finally:
            shutil.rmtree(folder)


def bytes_over_base(storage, image):
    """What the image's own layers hold."""
    base = storage.diff_ids(BASE)
    layers = storage.layers(image)
    if [digest for digest, _ in layers[:len(base)]] != base:
        raise ImageError(f"{image} does not stand on {BASE}: {layers}")
    return sum(size for _, size in layers[len(base):])
