from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

import pytest
from graphql import BooleanValueNode, FloatValueNode, GraphQLError, StringValueNode
from hypothesis import given
from hypothesis import strategies as st

from graph.scalars import (
    DEEPEST_JSON,
    Amount,
    read_bigint,
    read_date,
    read_datetime,
    read_decimal,
    read_decimal_literal,
    read_json,
    write_datetime,
    write_decimal,
    write_micros,
)


@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 2 <= moment.year <= 9998))
def test_moments_come_back_in_utc(moment: datetime) -> None:
    written = write_datetime(moment)
    assert written.endswith("Z")
    assert read_datetime(written) == moment.astimezone(UTC)
    assert read_datetime(written).tzinfo is UTC


def test_offsets_are_understood() -> None:
    assert read_datetime("2026-03-01T10:00:00+02:00") == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert write_datetime(datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2)))) == "2026-03-01T08:00:00Z"


@pytest.mark.parametrize(
    "value", ["2026-03-01T10:00:00", "2026-03-01", "yesterday", 17, None, "0001-01-01T00:00+14:00"]
)
def test_moments_without_a_place_in_time_are_refused(value: object) -> None:
    with pytest.raises(GraphQLError, match="DateTime"):
        read_datetime(value)


def test_days() -> None:
    assert read_date("2026-02-28") == date(2026, 2, 28)
    for wrong in ("2026-02-30", 5):
        with pytest.raises(GraphQLError, match="write it as 2026-03-01"):
            read_date(wrong)


@pytest.mark.parametrize(
    ("amount", "written"),
    [("1", "1.00"), ("0.125", "0.12"), ("0.135", "0.14"), ("-3.999", "-4.00"), ("1234567890.10", "1234567890.10")],
)
def test_money_has_two_decimals_halves_to_even(amount: str, written: str) -> None:
    assert write_decimal(Decimal(amount)) == written


@given(st.integers(-(10**20), 10**20) | st.integers(-100, 100).map(lambda halves: halves * 5_000))
def test_millionths_are_written_as_the_amount_is(micros: int) -> None:
    assert write_micros(micros) == write_decimal(Amount("micros")(SimpleNamespace(micros=micros)))


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_money_round_trips(amount: Decimal) -> None:
    assert read_decimal(write_decimal(amount)) == amount


def test_numbers_are_money_too_digit_by_digit() -> None:
    assert read_decimal(5) == 5
    assert read_decimal(0.1) == Decimal("0.1")
    assert read_decimal_literal(FloatValueNode(value="12345678901.123456789")) == Decimal("12345678901.123456789")
    assert read_decimal_literal(StringValueNode(value="2.50")) == Decimal("2.50")


@pytest.mark.parametrize(
    "value", ["NaN", float("nan"), float("inf"), "-Infinity", "1e400", "ten", True, None, [1], 10**15]
)
def test_what_is_no_amount_is_refused(value: object) -> None:
    with pytest.raises(GraphQLError, match="Decimal"):
        read_decimal(value)


def test_a_boolean_literal_is_no_amount() -> None:
    with pytest.raises(GraphQLError, match="Decimal"):
        read_decimal_literal(BooleanValueNode(value=True))


def test_counts_are_whole() -> None:
    assert read_bigint(2**53) == 2**53
    assert read_bigint(3.0) == 3
    for wrong in (1.5, "3", True, None):
        with pytest.raises(GraphQLError, match="whole"):
            read_bigint(wrong)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_json_is_as_deep_as_can_be_written_again(wrap) -> None:
    value: object = "x"
    for _ in range(DEEPEST_JSON):
        value = wrap(value)
    assert read_json(value) is value
    with pytest.raises(GraphQLError, match="nested more than 100 levels deep"):
        read_json(wrap(value))
