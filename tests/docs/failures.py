"""docs/failures.md tells every text that the service can, and none that it cannot. Speaks TAP.

An entry is a code span in the first column of a table whose head is `text`. A whole text of the sources must be an entry as it is, with words in capitals for
its variable parts; a part of one must stand within an entry. An entry must be a whole text, or be made of parts and of words that stand alone in strings.
"""

import re
import sys
from collections import defaultdict

from texts import TOP, texts

sys.path.append(str(TOP / "tests/harness"))

from tap import OF_TEXTS, line_of  # noqa: E402

PAGE = TOP / "docs" / "failures.md"
SPAN = re.compile(r"``\s?(.+?)\s?``|`([^`]+)`")


def entries():
    """Text → line; a text that stands twice is told."""
    found, repeated = {}, []
    is_of_texts = False
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        is_of_texts = line.startswith("| text |") or is_of_texts and line.startswith("|")
        if not is_of_texts or not line.startswith("| `"):
            continue
        cells = re.split(r"(?<!\\) \| ", line[2:])
        for match in SPAN.finditer(cells[0]):
            entry = (match[1] or match[2]).replace("\\|", "|")
            if entry in found:
                repeated.append(f"docs/failures.md:{number}: {entry}: stands in line {found[entry]} too")
            found.setdefault(entry, number)
        if len(cells) != 3 or not all(cell.strip(" |") for cell in cells):
            repeated.append(f"docs/failures.md:{number}: a row is a text, what it means and what to do")
    return found, repeated


def main():
    told, faults = entries()
    untold, parts_of = [], defaultdict(list)
    sources, words_alone = texts()
    for text in sources:
        tellers = [entry for entry in told if text.is_told_by(entry)]
        if not tellers:
            untold.append(f"{text.place}: {text.shown()}")
        for entry in tellers:
            parts_of[entry].append(text)
    stale = []
    for entry, number in told.items():
        letters = list(entry)
        for text in parts_of[entry]:
            for match in text.pattern().finditer(entry):
                letters[match.start():match.end()] = " " * (match.end() - match.start())
        unsaid = [word for word in re.findall(r"[A-Za-z]*[a-z]{2}[A-Za-z]*", "".join(letters)) if word not in words_alone]
        if unsaid:
            stale.append(f"docs/failures.md:{number}: {entry}: not said by the sources: {' '.join(unsaid)}")
    statuses = set(re.findall(r'"([a-z][a-z() -]+)"', (TOP / "db/migration_status.h").read_text(encoding="utf-8").replace("'", '"')))
    page = PAGE.read_text(encoding="utf-8")
    missing = [status for status in statuses if f"`{status}`" not in page]
    results = ((f"docs/failures.md tells each of the {len(sources)} texts of the sources", untold),
               (f"each of the {len(told)} texts of docs/failures.md is said by the sources", stale),
               ("each stands there once, with what it means and what to do", faults),
               ("every status of a migration is told", missing))
    print(f"1..{len(results)}")
    for number, (what, why) in enumerate(results, 1):
        print("\n".join(f"# {line}" for line in why), end="\n" if why else "")
        print(line_of(not why, number, OF_TEXTS + what))
    return 1 if any(why for _, why in results) else 0


if __name__ == "__main__":
    sys.exit(main())
