import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import pytest

from bench.peers import questions

OURS = {
    "campaign": {
        "id": "cmp_7",
        "offerAmount": "1.70",
        "budget": None,
        "startsAt": "2026-08-11T00:00:00Z",
        "trend": [{"startsAt": "2026-08-11T00:00:00Z", "metrics": {"sent": 3, "cost": "0.10", "roi": 1 / 3}}],
        "tests": {
            "nodes": [
                {
                    "id": "tst_9",
                    "metric": {"key": "bought"},
                    "variants": [{"id": "var_2", "isControl": True, "payload": {"amount": 5}}],
                    "results": {"totals": [{"variant": {"id": "var_2"}, "exposed": 10, "mean": 0.1}]},
                }
            ]
        },
    }
}
THEIRS = {
    "campaignByRowId": {
        "rowId": "7",
        "offerAmount": "1.7",
        "budget": None,
        "startsAt": "2026-08-11T02:00:00.000000+02:00",
        "trendList": [{"startsAt": "2026-08-11 00:00:00+00", "sent": 3, "cost": "0.1", "roi": 0.33333333333333337}],
        "abTestsByCampaignIdList": [
            {
                "rowId": 9,
                "abTestMetricsByTestIdList": [{"key": "bought"}],
                "abTestVariantsByTestIdList": [{"rowId": "2", "isControl": True, "payload": '{"amount": 5}'}],
                "totalsList": [{"variantId": "2", "exposed": 10, "mean": 0.1}],
            }
        ],
    }
}


def _answer(data):
    return json.dumps({"data": data}).encode()


def test_the_same_facts_have_the_same_shape_whoever_tells_them():
    shape = questions.WINNOW.shape(_answer(OURS))
    assert questions.POSTGRAPHILE.shape(_answer(THEIRS)) == shape
    campaign = shape["campaign"]
    assert campaign["id"] == 7
    assert campaign["offerAmount"] == Decimal("1.7")
    assert campaign["startsAt"] == datetime(2026, 8, 11, tzinfo=UTC)
    assert campaign["tests"][0]["totals"] == [{"variantId": 2, "exposed": 10, "mean": 0.1}]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"exposed": 10', '"exposed": 11'),
        ('"mean": 0.1', '"mean": 0.10000001'),
        ('"1.7"', '"1.71"'),
        ("02:00:00.000000+02", "02:00:01.000000+02"),
        ('"isControl": true', '"isControl": false'),
        ('"bought"', '"sold"'),
        ('"budget": null', '"budget": "0"'),
    ],
)
def test_another_fact_has_another_shape(before, after):
    theirs = _answer(THEIRS).decode()
    assert before in theirs
    changed = questions.POSTGRAPHILE.shape(theirs.replace(before, after).encode())
    assert changed != questions.WINNOW.shape(_answer(OURS))


def test_a_totals_order_does_not_matter_but_the_variants_does():
    totals = [{"variantId": 2}, {"variantId": 1}]
    assert questions.shaped({"totals": totals}, {}) == questions.shaped({"totals": totals[::-1]}, {})
    assert questions.shaped({"variants": totals}, {}) != questions.shaped({"variants": totals[::-1]}, {})


@pytest.mark.parametrize("answer", [b'{"data": null}', b'{"errors": [{"message": "no"}], "data": {"campaign": {}}}'])
def test_an_answer_with_errors_is_none(answer):
    with pytest.raises(ValueError, match="errors"):
        questions.WINNOW.shape(answer)


def test_every_server_is_asked_about_the_same_campaigns_each_within_the_asked():
    asked = list(islice(questions.campaigns_asked(), questions.ASKED_CAMPAIGNS))
    assert asked[:3] == [1, 98, 195]
    assert set(asked) == set(range(1, questions.ASKED_CAMPAIGNS + 1))
    bodies = [
        json.loads(one.body("Q2", 98))["variables"]["id"]
        for one in (questions.WINNOW, questions.POSTGRAPHILE, questions.BY_HAND)
    ]
    assert bodies == ["cmp_98", "98", 98]
