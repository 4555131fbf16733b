from datetime import UTC, datetime

import pytest

from app.demo.world import World

ANCHOR = datetime(2026, 3, 30, 14, tzinfo=UTC)


@pytest.fixture(scope="session")
def world():
    """The demo's own world, as if its first start had been on a Monday afternoon."""
    return World(ANCHOR)


@pytest.fixture(scope="session")
def history(world):
    return world.history()


@pytest.fixture(scope="session")
def events(world, history):
    """What had happened at the anchor."""
    return history.events.until(world.anchor)
