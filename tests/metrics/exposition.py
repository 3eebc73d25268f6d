"""Prometheus' text format, read strictly: each family's head once and before its samples, no sample twice."""

import re
import subprocess

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


class Exposition:
    def __init__(self, text):
        self.text = text
        self.types = {}
        self.samples = {}  # (name, frozenset of labels): value
        family = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ")[2]
                assert family not in self.types, f"{family} has two heads"
                self.types[family] = None
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name == family, line
                self.types[name] = kind
            else:
                self.take(line, family)

    def take(self, line, family):
        found = SAMPLE.fullmatch(line)
        assert found, f"no sample: {line!r}"
        name, labels, value = found.groups()
        assert name in {family, *(family + suffix for suffix in SUFFIXES.get(self.types[family], ()))}, \
            f"{name} stands below {family}"
        labels = labels[1:-1] if labels else ""
        pairs = LABEL.findall(labels)
        assert sum(len(key) + len(word) + 4 for key, word in pairs) >= len(labels), f"labels of {line!r}"
        key = (name, frozenset((key, re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), word)) for key, word in pairs))
        assert key not in self.samples, f"twice: {line!r}"
        self.samples[key] = float(value)

    def value(self, name, **labels):
        return self.samples.get((name, frozenset(labels.items())))

    def family(self, name):
        """Labels and value of each sample of that name."""
        return [(dict(labels), value) for (sample, labels), value in self.samples.items() if sample == name]

    def names(self):
        """Those that a query may name: histograms by their parts."""
        return {family + suffix for family, kind in self.types.items() for suffix in SUFFIXES.get(kind, ("",))}


def promtool(*words, stdin=None):
    done = subprocess.run(["promtool", *map(str, words)], input=stdin, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()
