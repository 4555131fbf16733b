from collections import Counter

import numpy as np
import pytest

from app.demo.population import CAMPAIGNS, CITIES, MERCHANTS, SEGMENTS, USERS, populate
from app.store.models.codes import CampaignStatus


@pytest.fixture(scope="module")
def population():
    return populate(np.random.default_rng(1))


def test_as_many_as_promised(population):
    assert (len(population.merchants), len(population.campaigns), len(population.users)) == (12, 40, 5_000)
    assert (MERCHANTS, CAMPAIGNS, USERS) == (12, 40, 5_000)


def test_names_are_unique_and_from_many_scripts(population):
    keys = [campaign.key for campaign in population.campaigns] + [merchant.key for merchant in population.merchants]
    assert len(set(keys)) == len(keys)
    assert sum(not merchant.name.isascii() for merchant in population.merchants) >= 5


def test_every_merchant_has_campaigns_and_every_status_occurs(population):
    assert {campaign.merchant for campaign in population.campaigns} == set(range(MERCHANTS))
    statuses = Counter(campaign.status for campaign in population.campaigns)
    assert set(statuses) == set(CampaignStatus)
    assert statuses[CampaignStatus.ACTIVE] >= 12


def test_campaigns_over_channels_and_targets_are_sound(population):
    for campaign in population.campaigns:
        assert len(set(campaign.channels)) == len(campaign.channels) == len(campaign.weights) > 0
        assert sum(campaign.weights) == pytest.approx(1)
        assert set(campaign.segments) <= set(range(len(SEGMENTS)))
        assert campaign.amount > 0
        assert campaign.last_day is None or campaign.last_day > campaign.first_day


def test_users_spread_over_segments_and_cities_as_told(population):
    for column, shares in ((population.users.segment, SEGMENTS), (population.users.city, CITIES)):
        counts = np.bincount(column, minlength=len(shares))
        expected = np.array([kind.share for kind in shares]) * USERS
        assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_places_are_near_their_cities(population):
    centres = np.array([(city.latitude, city.longitude) for city in CITIES])
    assert np.abs(population.users.places - centres[population.users.city]).max() < 0.5
