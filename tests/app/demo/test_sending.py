from zoneinfo import ZoneInfo

import numpy as np
from scipy.stats import binomtest

from app.demo.population import AMOUNT_FACTORS, CITIES
from app.demo.sending import MICROS
from app.store.models.codes import CampaignStatus

SURE = 1e-5


def test_amounts_are_tried_each_as_often(world, history):
    tried = ~np.isnan(history.sends.probabilities)
    own = np.array([float(plan.amount) for plan in world.population.campaigns])[history.sends.campaigns]
    ratios = history.sends.amounts[tried] / own[tried]
    assert np.all(history.sends.probabilities[tried] == 1 / len(AMOUNT_FACTORS))
    for factor in AMOUNT_FACTORS:
        near = int((np.abs(ratios - factor) < 0.1).sum())
        assert binomtest(near, len(ratios), 1 / len(AMOUNT_FACTORS)).pvalue > SURE


def test_sends_follow_the_local_clock(world, history):
    for number, city in enumerate(CITIES):
        there = np.flatnonzero(world.population.users.city[history.sends.users] == number)[:400]
        hours = history.sends.hours[there]
        local = [
            (np.datetime64(int(at), "us").item()).replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(city.timezone))
            for at in history.sends.at[there]
        ]
        clock = np.array([moment.hour + moment.minute / 60 for moment in local])
        distance = np.abs((clock - hours + 12) % 24 - 12)
        assert np.quantile(distance, 0.95) < 0.1  # the hour of a change to summer time apart
        assert (((hours >= 8) & (hours < 21)).mean()) > 0.8


def test_weekends_are_quieter(world, history):
    weekday = (history.sends.at // (86_400 * MICROS) + 3) % 7
    daily = np.bincount(weekday, minlength=7)
    assert daily[6] < 0.8 * daily[4]


def test_drafts_send_nothing_and_campaigns_keep_to_their_days(world, history):
    for number, campaign in enumerate(world.population.campaigns):
        sent = np.flatnonzero(history.sends.campaigns == number)
        if campaign.status is CampaignStatus.DRAFT:
            assert len(sent) == 0
            continue
        assert len(sent) > 100
        day = (history.sends.at[sent] / MICROS / 86_400) - (np.datetime64(world.start, "D").astype(int))
        assert day.min() > campaign.first_day - 1  # the east's day begins sooner
        assert campaign.last_day is None or day.max() < campaign.last_day + 1
        assert set(world.population.users.segment[history.sends.users[sent]].tolist()) <= set(campaign.segments)


def test_channels_are_shared_as_the_campaign_says(world, history):
    for number, campaign in enumerate(world.population.campaigns):
        channels = history.sends.channels[history.sends.campaigns == number]
        assert set(channels.tolist()) <= set(campaign.channels)
        for channel, weight in zip(campaign.channels, campaign.weights, strict=True):
            if len(channels):
                assert binomtest(int((channels == channel).sum()), len(channels), weight).pvalue > SURE


def test_users_who_like_a_merchant_get_more_of_its_offers(world, history):
    liking = world.liking[history.sends.users, history.sends.merchants]
    assert liking.mean() > world.liking.mean() * 1.05
