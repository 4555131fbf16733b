"""Sums past what can be told are refused in words, not masked as an accident."""

import pytest

WINDOW = '(window: { from: "2025-12-01T00:00:00Z", to: "2026-01-01T00:00:00Z" })'


@pytest.mark.parametrize(
    "asked",
    [f"portfolio{WINDOW} {{ metrics {{ revenue }} }}", f"merchants {{ nodes {{ metrics{WINDOW} {{ revenue }} }} }}"],
)
async def test_a_sum_that_cannot_be_told_is_a_refusal(ask, grow_catalogue, clean_database, asked: str) -> None:
    await grow_catalogue(1)
    for table, owner in (("merchant_day", "merchant_id, channel"), ("campaign_day", "campaign_id")):
        values = "1, 1" if "channel" in owner else "1"
        await clean_database.execute(
            f"INSERT INTO {table} ({owner}, day, slot, revenue_micros) "
            f"SELECT {values}, '2025-12-30', slot, {2**63 - 1} FROM generate_series(0, 1) AS slot"
        )
    answer = await ask(f"{{ {asked} }}")
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["INVALID_INPUT"]
    assert "narrower window" in answer["errors"][0]["message"]
