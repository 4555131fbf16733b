import json

import pytest

from app.auth.principals import Permission, Principal
from app.auth.refusals import STATUS, principal_of, refuse
from app.errors import DatabaseUnavailable, ErrorCode, InvalidInput, NotAllowed, RateLimited, Unauthenticated
from app.store.models.codes import Role


def test_every_code_has_a_status():
    assert set(STATUS) == set(ErrorCode)


def test_a_refusal_reads_as_json_and_as_graphql():
    answer = refuse(InvalidInput("The name is empty: give one."))
    body = json.loads(answer.body)
    assert answer.status_code == 400
    assert (body["code"], body["message"]) == ("INVALID_INPUT", "The name is empty: give one.")
    assert body["errors"] == [{"message": "The name is empty: give one.", "extensions": {"code": "INVALID_INPUT"}}]


@pytest.mark.parametrize(("wait", "shown"), [(0.001, "1"), (1.0, "1"), (1.2, "2"), (60.0, "60")])
def test_when_to_come_back_is_in_whole_seconds_never_too_soon(wait, shown):
    assert refuse(RateLimited("wait", retry_after=wait)).headers["retry-after"] == shown


def test_what_does_not_answer_now_is_worth_another_try_soon():
    answer = refuse(DatabaseUnavailable("It is away: try again."))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_refusal_for_want_of_a_key_says_how_to_show_one():
    assert refuse(Unauthenticated("no")).headers["www-authenticate"] == 'Bearer realm="winnow"'
    assert "www-authenticate" not in refuse(NotAllowed("no")).headers


@pytest.mark.parametrize("state", [{}, {"state": {}}, {"state": {"principal": None}}])
def test_without_a_principal_nothing_is_allowed(state):
    with pytest.raises(Unauthenticated):
        principal_of(state, Permission.READ_CATALOGUE)


def test_a_principal_needs_the_permission():
    principal = Principal(1, "app", Role.CLIENT)
    assert principal_of({"state": {"principal": principal}}, Permission.ASSIGN_USERS) is principal
    with pytest.raises(NotAllowed):
        principal_of({"state": {"principal": principal}}, Permission.EXPORT)
