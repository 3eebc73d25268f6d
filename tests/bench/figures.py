"""Figures: what is measured, the limits that it has to hold, the values of each round, and what is told of them."""

import dataclasses
import math

import rounds

OURS = "migrationd"
AGAINST = "against"  # the side of another build


@dataclasses.dataclass(frozen=True)
class Limit:
    """Holds the median: of the figure itself, or of the ratio to a peer, of which more is always better."""

    bound: float
    peer: str | None = None
    is_at_most: bool = False

    def text(self, unit):
        return f"{'≤' if self.is_at_most else '≥'} {short(self.bound)} {f'of {self.peer}' if self.peer else unit}"

    def holds(self, value):
        return value <= self.bound if self.is_at_most else value >= self.bound


@dataclasses.dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    is_more_better: bool
    limits: tuple = ()
    is_in_table: bool = True


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a round measures one after the other, each side in its turn. A side is a function that gives (figure, side, value)s;
    `every` says of a side that only each Nth round has it."""

    name: str
    sides: dict
    every: dict = dataclasses.field(default_factory=dict)

    def turns(self, number):
        """The round's sides, beginning with another one each time."""
        names = [name for name in self.sides if number % self.every.get(name, 1) == 0]
        first = number % len(names)
        return [self.sides[name] for name in names[first:] + names[:first]]


class FigureGroup:
    """Figures that are measured by the same means. One has a `name`, `names()` of its measurements, `figures()`, and
    `measurements(chosen)`, once it is prepared."""

    has_warm_up = True
    rounds = 15

    def __init__(self, context):
        self.context = context
        self.notes = {}  # lines to tell beside the figures, by a heading

    def prepare(self, chosen, rounds_to_come):
        """What the chosen measurements need."""

    def close(self):
        """Ends all that `prepare` has begun, as far as it came."""


class Samples:
    """Values by figure, side and round."""

    def __init__(self):
        self.values = {}

    def add(self, number, figure, side, value):
        self.values.setdefault(figure, {}).setdefault(side, {})[number] = value

    def report(self, figure, are_limits_judged=True):
        """All that is told of a figure, as it stands in the JSON; None when it was not measured."""
        sides = self.values.get(figure.name, {})
        if OURS not in sides:
            return None
        row = {"name": figure.name, "unit": figure.unit, "is_more_better": figure.is_more_better,
               "sides": {side: {**rounds.spread(values.values()), "values": list(values.values())} for side, values in sides.items()},
               "ratios": {}, "limits": []}
        for side, values in sides.items():
            pairs = rounds.ratios(sides[OURS], values, figure.is_more_better) if side != OURS else []
            if pairs:
                row["ratios"][side] = {**rounds.spread(pairs), "rounds": len(pairs), "interval": rounds.interval(pairs)}
        for limit in figure.limits:
            of = row["ratios"].get(limit.peer) if limit.peer else row["sides"][OURS]
            row["limits"].append({"limit": limit.text(figure.unit), "bound": limit.bound, "peer": limit.peer, "is_at_most": limit.is_at_most,
                                  "median": of and of["median"],
                                  "holds": limit.holds(of["median"]) if of and are_limits_judged else None})
        return row


def short(value):
    """Three significant digits, without an exponent: 12300, 1.23, 0.0123."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def with_spread(part, tail=""):
    return f"{short(part['median'])}{tail} ({short(part['p5'])} to {short(part['p95'])})"


def verdict(interval):
    """What the interval of a ratio says: of another build, for instance."""
    if interval is None:
        return "too few rounds to tell"
    low, high = interval
    return "slower" if high < 1 else "quicker" if low > 1 else "no difference shown"


def table(reports):
    """Lines of Markdown, as docs/performance.md has them."""
    lines = ["| figure | migrationd | limit | beside its peers |", "|---|---|---|---|"]
    for row in reports:
        beside = []
        for peer, ratio in row["ratios"].items():
            text = f"{with_spread(ratio)} of {peer}"
            if peer == AGAINST:
                low, high = ratio["interval"] or (None, None)
                text += f", 95 % in {short(low)} to {short(high)}: {verdict(ratio['interval'])}" if low else f": {verdict(None)}"
            beside.append(text)
        limits = [f"{limit['limit']}{' **broken**' if limit['holds'] is False else ''}" for limit in row["limits"]]
        lines.append(f"| {row['name']} | {with_spread(row['sides'][OURS])} {row['unit']} | {'; '.join(limits) or '–'} |"
                     f" {'; '.join(beside) or '–'} |")
    return lines
