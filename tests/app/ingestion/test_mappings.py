"""Mappings of columns: what they make of rows, and how a wrong one is refused before the first row."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest

from app.errors import InvalidInput
from app.ingestion.batches import IncomingEvent
from app.ingestion.mappings import OPTIONAL, REQUIRED, Kind, Unusable, read_mapping_file

FIELDS = {
    "id": '{ template = "order-{order}" }',
    "type": '{ constant = "CONVERTED" }',
    "occurredAt": '{ column = "at", timezone = "Europe/Paris" }',
    "userId": '"person"',
}
ROW = {"order": 7, "at": "2026-07-01 12:00:00", "person": "ann"}


def _mapping(head: str = 'kind = "events"', **fields: str):
    merged = {name: rule for name, rule in (FIELDS | fields).items() if rule}
    return read_mapping_file(head + "\n[fields]\n" + "\n".join(f"{name} = {rule}" for name, rule in merged.items()))


def test_a_row_becomes_fields():
    mapping = _mapping(
        value='{ column = "cents", scale = "0.01" }',
        channel='{ column = "via", values = { mail = "EMAIL" } }',
        properties='{ object = { store = "store", note = "note" } }',
        campaignId='{ column = "campaign", default = "none-given" }',
        cost='"cost"',
    )
    made = mapping.apply(ROW | {"cents": "1999", "via": "mail", "store": 3, "note": "", "campaign": "", "cost": None})
    assert mapping.kind is Kind.EVENTS
    assert made == {
        "id": "order-7",
        "type": "CONVERTED",
        "occurredAt": datetime(2026, 7, 1, 10, tzinfo=UTC),
        "userId": "ann",
        "value": Decimal("19.99"),
        "channel": "EMAIL",
        "properties": {"store": 3},
        "campaignId": "none-given",
    }


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        ("2026-07-01T12:00:00+02:00", '"at"', datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-07-01T12:00:00Z", '{ column = "at", timezone = "Europe/Paris" }', datetime(2026, 7, 1, 12, tzinfo=UTC)),
        (
            "01/07/2026 12h",
            '{ column = "at", format = "%d/%m/%Y %Hh", timezone = "UTC" }',
            datetime(2026, 7, 1, 12, tzinfo=UTC),
        ),
        (date(2026, 7, 1), '{ column = "at", timezone = "America/New_York" }', datetime(2026, 7, 1, 4, tzinfo=UTC)),
        (datetime(2026, 7, 1, 12, tzinfo=UTC), '"at"', datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ],
)
def test_times_become_utc(value, rule, expected):
    assert _mapping(occurredAt=rule).apply(ROW | {"at": value})["occurredAt"] == expected


@pytest.mark.parametrize("value", ["7", 7, 7.0, Decimal("7.0")])
def test_a_policy_version_is_a_whole_number_whatever_the_file_has(value):
    made = _mapping(policyVersion='"pv"').apply(ROW | {"pv": value})["policyVersion"]
    assert (made, type(made)) == (7, int)
    assert "policyVersion" not in _mapping(policyVersion='"pv"').apply(ROW | {"pv": ""})


def test_every_field_of_an_event_can_be_mapped():
    known = {field.encode_name for field in msgspec.structs.fields(IncomingEvent)}
    assert known == {*REQUIRED[Kind.EVENTS], *OPTIONAL[Kind.EVENTS]}


def test_amounts_stay_exact_whatever_the_file_has():
    mapping = _mapping(value='{ column = "v", scale = "0.01" }')
    for value, expected in (
        (1999, "19.99"),
        ("0.1", "0.001"),
        (Decimal("3.3"), "0.033"),
        (0.07, "0.0007"),
        (7.0, "0.07"),
    ):
        assert mapping.apply(ROW | {"v": value})["value"] == Decimal(expected)


def test_an_id_that_became_a_float_is_still_itself():
    assert _mapping(userId='"person"').apply(ROW | {"person": 12.0})["userId"] == "12"


def test_rows_are_filtered():
    mapping = _mapping('kind = "events"\n[where]\ncountry = ["US", "CA"]\nactive = [1]\n')
    wanted = [
        mapping.wants(ROW | {"country": c, "active": a}) for c, a in (("US", 1), ("CA", "1"), ("FR", 1), ("US", 0))
    ]
    assert wanted == [True, True, False, False]


@pytest.mark.parametrize(
    ("fields", "row", "field"),
    [
        ({"value": '"v"'}, {"v": "much"}, "value"),
        ({"occurredAt": '"at"'}, {}, "occurredAt"),
        ({}, {"at": "some day"}, "occurredAt"),
        ({"channel": '{ column = "via", values = { mail = "EMAIL" } }'}, {"via": "fax"}, "channel"),
        ({"latitude": '"lat"'}, {"lat": "north"}, "latitude"),
        ({"policyVersion": '"pv"'}, {"pv": "2.5"}, "policyVersion"),
        ({"policyVersion": '"pv"'}, {"pv": "second"}, "policyVersion"),
        ({"policyVersion": '"pv"'}, {"pv": "Infinity"}, "policyVersion"),
    ],
)
def test_a_value_that_cannot_be_is_unusable(fields, row, field):
    with pytest.raises(Unusable) as refused:
        _mapping(**fields).apply(ROW | row)
    assert refused.value.field == field
    assert refused.value.message.endswith(".")


WRONG = [
    ("kind = events", "TOML"),
    ('kind = "orders"\n[fields]\n', "kind"),
    ("[fields]\n", "kind"),
    ('kind = "events"\ncolour = 1\n[fields]\n', "colour"),
    ('kind = "events"\n[fields]\nid = "order"\n', "fields.type"),
    ('kind = "users"\n[fields]\nexternalId = "a"\nname = "b"\n', "fields.name"),
]


@pytest.mark.parametrize(("text", "key"), WRONG)
def test_a_wrong_document_names_the_key(text, key):
    with pytest.raises(InvalidInput, match=key):
        read_mapping_file(text)


@pytest.mark.parametrize(
    ("name", "rule", "key"),
    [
        ("value", '{ colunm = "v" }', "fields.value.*colunm"),
        ("value", "{ }", "fields.value"),
        ("value", '{ column = "v", constant = 1 }', "fields.value"),
        ("value", '{ column = "v", scale = "x" }', "fields.value.scale"),
        ("campaignId", '{ column = "v", scale = "2" }', "fields.campaignId.scale"),
        ("occurredAt", '{ column = "at", timezone = "Mars/Olympus" }', "fields.occurredAt.timezone"),
        ("id", '{ template = "fixed" }', "fields.id.template"),
        ("id", '{ template = "{open" }', "fields.id"),
        ("properties", '{ template = "{a}" }', "fields.properties"),
    ],
)
def test_a_wrong_rule_names_its_key(name, rule, key):
    with pytest.raises(InvalidInput, match=key):
        _mapping(**{name: rule})


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(InvalidInput, match=r"fields\.userId.*'person'.*order, at"):
        _mapping().require_columns({"order": 1, "at": 2})
    with pytest.raises(InvalidInput, match=r"where.*'country'"):
        _mapping('kind = "events"\n[where]\ncountry = ["US"]\n').require_columns(ROW)
