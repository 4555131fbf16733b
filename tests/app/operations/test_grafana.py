"""The Grafana dashboard asks for metrics that there are."""

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from app.ingestion import counters
from app.operations.observing import RequestMeasures

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana" / "winnow.json"


def _names(registry: CollectorRegistry) -> set[str]:
    return set(re.findall(r"^# TYPE (\w+)", generate_latest(registry).decode(), re.MULTILINE))


def test_every_metric_of_the_dashboard_is_exported():
    registry = CollectorRegistry()
    RequestMeasures(registry)
    for metric in (counters.EVENTS, counters.DROPPED, counters.COMMITS, counters.COMMIT_EVENTS):
        registry.register(metric)
    exported = _names(registry)
    targets = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]
    asked = {name for text in targets for name in re.findall(r"\bwinnow_\w+", text)}
    assert len(asked) >= 6
    missing = {
        name for name in asked if re.sub(r"_(bucket|sum|count)$", "", name) not in exported and name not in exported
    }
    assert missing == set()
