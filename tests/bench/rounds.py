"""What is said about interleaved rounds: medians and spreads, ratios of the same round, and the interval of their median.

Drift of the machine is in every side of a round alike, so that it cancels in a round's ratio; it does not in two medians.
"""

import random

RESAMPLES = 10000
FEWEST_FOR_INTERVAL = 6  # with fewer pairs no interval of a median holds 95 %: 1 - 2 * 0.5 ** 5 is 94 %


def percentile(values, part):
    """Between the two values that stand around it, as their distance says."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values):
    return percentile(values, 0.5)


def spread(values):
    return {"median": median(values), "p5": percentile(values, 0.05), "p95": percentile(values, 0.95)}


def ratios(ours, theirs, is_more_better):
    """How many times as good ours was, of each round that has both: above 1 is better, whatever is measured. Both are maps of
    rounds to values."""
    return [ours[number] / theirs[number] if is_more_better else theirs[number] / ours[number]
            for number in sorted(ours) if number in theirs]


def interval(values, resamples=RESAMPLES):
    """Where the median lies with 95 % certainty, by the bootstrap; None when there are too few values to tell. The same values
    have the same interval."""
    if len(values) < FEWEST_FOR_INTERVAL:
        return None
    draw = random.Random(1)
    medians = [median(draw.choices(values, k=len(values))) for _ in range(resamples)]
    return [percentile(medians, 0.025), percentile(medians, 0.975)]
