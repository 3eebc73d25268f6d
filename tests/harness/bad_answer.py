"""The suite `replay` in front of a daemon one of whose answers has one false field. The harness's own suite runs it. Speaks TAP:
bad_answer.py [NAME...], as replay/suite.py takes them.
"""

import json
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[0] = str(TOP / "tests/replay")  # in place of this folder, which has a suite.py, too

import lies  # noqa: E402
import replay  # noqa: E402
import suite  # noqa: E402


def falsified(value):
    """With the first text in it another one; None where there is none."""
    if isinstance(value, str):
        return value + "x"
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        false = falsified(part)
        if false is not None:
            value[key] = false
            return value
    return None


def false_once():
    told = []

    def lie(status, headers, body):
        false = falsified(json.loads(body)) if body.startswith(b"{") and not told else None
        if false is None:
            return status, headers, body
        told.append(body)
        return status, headers, json.dumps(false).encode()
    return lie


if __name__ == "__main__":
    replay.Service = lambda lie=false_once(): lies.Liar(lie)
    sys.exit(suite.main())
