"""Durations in fixed logarithmic buckets, so that counts of different minutes and nodes can be added."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping

WIDTH = 1.04
"""Each bucket ends 4 % above its start."""
SHORTEST = 1e-6
"""Seconds: the end of bucket 0, which also takes 0 and less."""
LAST = 885
"""The last bucket, from about 36 years on: 886 buckets in all."""


def bucket(seconds: float) -> int:
    """The bucket, 0 to `LAST`, of a duration: lower(bucket) < seconds <= upper(bucket), but for the two ends."""
    return bisect.bisect_left(_ENDS, seconds)


def lower(bucket: int) -> float:
    """Seconds above which *bucket* starts; 0 for bucket 0."""
    return upper(bucket - 1) if bucket else 0.0


def upper(bucket: int) -> float:
    """Seconds, inclusive, at which *bucket* ends."""
    return float(SHORTEST * WIDTH**bucket)


_ENDS = [upper(bucket) for bucket in range(LAST)]


def quantile(counts: Mapping[int, int], q: float) -> float:
    """Seconds below or at which the share *q* (0 to 1) of the durations lie; 0 without any.

    *counts* is bucket → number of durations. The answer is the middle of a bucket: off by at most 2 %.
    """
    wanted = max(1, math.ceil(q * sum(counts.values())))
    for number in sorted(counts):
        wanted -= counts[number]
        if wanted <= 0:
            return math.sqrt(lower(number) * upper(number)) if number else SHORTEST
    return 0.0
