"""The buckets in which times are counted, in every interpreter and on the live page: the same, so they can be added."""

from typing import Final

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds; the upper bounds of the buckets of a histogram, to which the last one without a bound comes."""
