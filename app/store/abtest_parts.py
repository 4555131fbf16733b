"""What is read of a test beside the first of its columns: lists show a part of each test."""

from enum import Enum, auto


class Part(Enum):
    """What is read of a test beside its own row; what is not read is empty."""

    DETAILS = auto()
    """Of its own row, what few lists show: hypothesis, planned size and effect, holdout, winner, its making and end."""
    PLAN = auto()
    """Of its own row, what only decides: statistics' settings, traffic, targeting, guardrails' stops."""
    VARIANTS = auto()
    METRICS = auto()
    ALLOCATION = auto()
    OWN_TOTALS = auto()
    """What units did by the test's own metric; it decides nothing."""


type Parts = frozenset[Part]

WHOLE: Parts = frozenset(Part) - {Part.OWN_TOTALS}
"""All that decides."""

TOTALLED: Parts = frozenset({Part.VARIANTS, Part.OWN_TOTALS})
"""What totals by the test's own metric need."""
