"""The indented blocks of the README and the manual, and who runs each.

Who runs a block stands above it, in a comment that a reader of the page does not see, and holds for all blocks until the next such
comment or heading of a chapter:

    <!-- run: lab -->               a shell beside a lab of three hosts, the daemon and a Keystone, as after `. build/run.env`
    <!-- run: machine -->           root's shell on a Debian 12: by the package's suite, which has one (tests/docs/machine.py)
    <!-- run: source -->            a shell in the clone, with a DESTDIR
    <!-- run: configuration -->     YAML that `migrationd check` must take
    <!-- run: usage -->             `./dev VERB`, which its usage must name
    <!-- run: by tests/FILE -->     that file, which names the document
    <!-- run: all by tests/FILE --> the same for the whole document
    <!-- run: nothing -->           a picture, or what is printed: no line of it may be a command
"""

import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
RUNNERS = ("lab", "machine", "source", "configuration", "usage", "by", "nothing")
MARK = re.compile(r"<!-- run: (all )?(\w+) ?(\S*) -->$")
HEADING = re.compile(r"#{1,2} ")
HERE = re.compile(r"<<-?'?(\w+)'?")
COMMAND = re.compile(r"(\./dev|migrationd|curl|openstack|nova|apt(-get)?|dpkg|systemctl|journalctl|docker|podman|buildah|virsh|meson|ninja|"
                     r"python3|go|git|kubectl|certtool|openssl|export|cat|install|sudo|chmod|chown|cp|mv|rm|tar|source|\.) ")


class Block:
    def __init__(self, path, number, runner, where):
        self.path, self.number, self.runner, self.where = path, number, runner, where
        self.lines = []

    @property
    def place(self):
        return f"{self.path.relative_to(TOP)}:{self.number}"

    @property
    def text(self):
        return "\n".join(self.lines).rstrip() + "\n"

    def commands(self):
        """(line number, command): a here-document, or a line that is continued, is one with what follows."""
        rest = iter(enumerate(self.lines, self.number))
        for number, line in rest:
            if not line.strip():
                continue
            parts = [line]
            here = HERE.search(line)
            while here and parts[-1].strip() != here[1] or parts[-1].endswith("\\"):
                parts.append(next(rest)[1])
            yield number, "\n".join(parts)

    def faults(self):
        """What is wrong with the block before anybody runs it."""
        if self.runner not in RUNNERS:
            return "nobody runs this block: a `run:` comment above it says who does"
        if self.runner == "nothing":
            commands = [line for line in self.lines if COMMAND.match(line.strip())]
            return f"a command that nobody runs: {commands[0].strip()}" if commands else ""
        if self.runner == "usage":
            usage = (TOP / "dev").read_text(encoding="utf-8")
            unknown = [line for line in self.lines if line and not re.search(rf"^\s+{line.split()[1]}\b", usage, re.M)]
            return f"./dev has no such verb: {unknown[0]}" if unknown else ""
        if self.runner == "machine" and "machine.follow(" not in (TOP / "tests/package/suite.py").read_text(encoding="utf-8"):
            return "tests/package/suite.py does not follow the manual"
        if self.runner == "by":
            other = TOP / self.where
            if not other.is_file():
                return f"there is no {self.where}"
            if self.path.name not in other.read_text(encoding="utf-8"):
                return f"{self.where} does not name {self.path.name}"
        return ""


def documents():
    return [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]


def broken_links(path):
    """Links to files that are not there."""
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", path.read_text(encoding="utf-8"))
    return [link for link in links if not (path.parent / link).exists()]


def blocks(path):
    """All blocks of a document. Fenced ones are blocks as well; an indented line within a list is text."""
    runner, where = of_all = ("", "")
    found, block, fence, is_list, was_blank = [], None, None, False, True
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if fence is not None:
            if line.strip().startswith("```"):
                fence = block = None
            else:
                block.lines.append(line)
        elif line.startswith("```"):
            fence = block = Block(path, number + 1, runner, where)
            found.append(block)
        elif line.startswith("    ") and not is_list and (block or was_blank):
            if block is None:
                block = Block(path, number, runner, where)
                found.append(block)
            block.lines.append(line[4:])
        elif not line.strip():
            if block:
                block.lines.append("")
        else:
            block = None
            is_list = re.match(r"\s*([-*]|\d+\.) ", line) is not None or is_list and line.startswith(" ")
            mark = MARK.match(line.strip())
            if mark:
                runner, where = mark[2], mark[3]
                of_all = (runner, where) if mark[1] else of_all
            elif HEADING.match(line):
                runner, where = of_all
        was_blank = not line.strip()
    return found
