"""The settings that the manual names: each is one, and where a table gives its default, it is that."""

import re
import subprocess

from blocks import TOP

NAMED = re.compile(r"`([a-z_]+\.[a-z_.]+)`")
ROW = re.compile(r"^\| .* \| `([a-z_.]+)` \| ([^|`]+) \|$")
LINE = re.compile(r"^([a-z_.]+): (.*?)  # ")
OF_ITEMS = re.compile(r"^(auth\.keys|identity\.jwks|hosts|simulation)\b")
NO_SETTING = re.compile(r"\.(d|yaml|yml|py|c|h|conf|pem|db|md|service|json|sock|password|raw)$|^(spec|build|hw)\.|^[a-z_.]+\.(example|so)$")


def defaults(binary, base):
    printed = subprocess.run([str(binary), "check", str(base)], capture_output=True, text=True, check=True).stdout
    return dict(match.groups() for match in map(LINE.match, printed.splitlines()) if match)


def faults(path, known):
    sections = {name.rsplit(".", count)[0] for name in known for count in range(1, name.count(".") + 1)}
    wrong = []
    has_defaults = has_names = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{path.relative_to(TOP)}:{number}"
        wrong += [f"{place}: there is no setting {name}" for name in NAMED.findall(line)
                  if name not in known and name not in sections and not NO_SETTING.search(name) and not OF_ITEMS.match(name)]
        has_names = line == "| in Nova | here |" or has_names and line.startswith("|")
        if has_names and line.startswith("| `["):
            named = re.findall(r"`([a-z_.]+)`", line.split(" | ")[1])
            wrong += [f"{place}: there is no setting {name}" for name in named if name not in known and name not in ("hosts", "uri")]
        has_defaults = line == "| what | setting | default |" or has_defaults and line.startswith("|")
        row = ROW.match(line) if has_defaults else None
        if row and row[1] not in known:
            wrong.append(f"{place}: there is no setting {row[1]}")
        elif row and row[2].strip() not in (known[row[1]], "none" if known[row[1]] in ("null", "[]") else known[row[1]]):
            wrong.append(f"{place}: the default of {row[1]} is {known[row[1]]}, not {row[2].strip()}")
    return wrong
