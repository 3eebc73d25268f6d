"""Every test that docs/mosk.md names is one: its sentence stands in the files of the suite that the table says. Speaks TAP."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.append(str(TOP / "tests/harness"))

from tap import OF_TEXTS, line_of  # noqa: E402

FOLDERS = {"lab": "tests/lab", "network": "tests/lab", "configuration": "tests/configuration", "unit": "tests/unit"}
ROW = re.compile(r"^\| (?P<promise>.+?) \| (?P<suite>\w+): `(?P<sentence>[^`]+)` \| (?P<result>\w+) \|$")


def text_of(folder):
    """All sources of a folder; a sentence that is broken over two lines of a string is put together."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((TOP / folder).glob("*.[pc]*")))
    return re.sub(r'"\s*\n\s*"', "", text)


def main():
    rows = [line for line in (TOP / "docs/mosk.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`" in line
            and re.search(r"\| (holds|fails) \|$", line)]
    print(f"1..{len(rows) + 1}")
    bad = 0
    for number, line in enumerate(rows, 1):
        row = ROW.match(line)
        is_good = bool(row) and row["suite"] in FOLDERS and row["sentence"] in text_of(FOLDERS[row["suite"]])
        bad += not is_good
        print(line_of(is_good, number, f"{OF_TEXTS}docs/mosk.md: {row['promise'] if row else line}"))
    is_good = len(rows) >= 20
    print(line_of(is_good, len(rows) + 1, f"{OF_TEXTS}docs/mosk.md has a row for each promise"))
    return 1 if bad or not is_good else 0


if __name__ == "__main__":
    sys.exit(main())
