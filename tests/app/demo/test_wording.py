from decimal import Decimal

import msgspec
import numpy as np
import pytest

from app.demo.wording import Wording
from app.demo.world import NONE
from app.ingestion.batches import IncomingEvent, read_mapping
from app.store.models.codes import EventType


@pytest.fixture(scope="module")
def some(history):
    return history.events.take(slice(0, 3_000))


@pytest.fixture(scope="module")
def worded(world, some):
    return Wording(world.population).word(some, prefix="t")


def test_events_are_such_as_ingestion_takes(worded):
    encoded = msgspec.json.encode(worded)
    assert msgspec.json.decode(encoded, type=list[IncomingEvent]) == worded
    given = [{name: value for name, value in one.items() if value is not None} for one in msgspec.to_builtins(worded)]
    assert [read_mapping(one) for one in given] == worded


def test_ids_are_unique_and_the_same_again(world, some, worded):
    assert len({event.id for event in worded}) == len(some)
    again = Wording(world.population).word(some.take(slice(10, 20)), prefix="t")
    assert again == worded[10:20]


def test_money_and_places_are_exact_or_absent(some, worded):
    assert [event.value for event in worded] == [None if v == NONE else Decimal(int(v)) / 100 for v in some.values]
    assert [event.cost for event in worded] == [None if c == NONE else Decimal(int(c)) / 1_000_000 for c in some.costs]
    fenced = some.types == EventType.GEOFENCE_ENTERED
    assert fenced.any()
    assert [event.latitude is not None for event in worded] == fenced.tolist()
    assert [event.probability is not None for event in worded] == (~np.isnan(some.probabilities)).tolist()


def test_times_are_exact_to_the_microsecond(some, worded):
    assert [round(event.occurred_at.timestamp() * 1_000_000) for event in worded] == some.at.tolist()
