"""What ingestion counts for /metrics."""

from prometheus_client import Counter, Histogram

from app.ingestion.rejections import STEPS, Receipt

EVENTS = Counter("winnow_events", "Events received, by what became of them", ["outcome"])
DROPPED = Counter("winnow_events_dropped", "Events refused, by step and reason", ["step", "reason"])
COMMITS = Counter("winnow_event_commits", "Transactions that stored events")
COMMIT_EVENTS = Histogram(
    "winnow_event_commit_events", "Events merged into one transaction", buckets=(1, 10, 100, 200, 500, 1000, 2000, 5000)
)

_ACCEPTED, _DUPLICATE, _REJECTED = (EVENTS.labels(outcome) for outcome in ("accepted", "duplicate", "rejected"))
_DROPPED = {reason: DROPPED.labels(step, reason) for reason, step in STEPS.items()}


def count(receipt: Receipt) -> None:
    """Count what became of one request's events."""
    _ACCEPTED.inc(receipt.accepted)
    _DUPLICATE.inc(receipt.duplicates)
    _REJECTED.inc(len(receipt.rejected))
    for rejected in receipt.rejected:
        _DROPPED[rejected.rejection.reason].inc()


def count_commit(events: int) -> None:
    """Count one transaction."""
    COMMITS.inc()
    COMMIT_EVENTS.observe(events)
