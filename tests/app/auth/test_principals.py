import pytest

from app.auth.principals import COMMAND_LINE, PERMISSIONS, Permission, Principal
from app.errors import NotAllowed
from app.store.models.codes import Role

# written out by hand, from what the roles are for: every role against every permission
A, N, S, C = Role.ADMIN, Role.ANALYST, Role.SENDER, Role.CLIENT
ALLOWED = {
    Permission.READ_CATALOGUE: {A, N, S, C},
    Permission.READ_ANALYTICS: {A, N},
    Permission.READ_TESTS: {A, N},
    Permission.READ_USERS: {A, N, C},
    Permission.READ_MODELS: {A, N},
    Permission.READ_JOBS: {A, N},
    Permission.EXPORT: {A, N},
    Permission.EDIT_CATALOGUE: {A},
    Permission.EDIT_TESTS: {A, N},
    Permission.ANALYZE_TESTS: {A, N},
    Permission.UPSERT_USERS: {A, S},
    Permission.RECORD_EVENTS: {A, S},
    Permission.ASSIGN_USERS: {A, C},
    Permission.TRAIN_MODELS: {A},
    Permission.CANCEL_JOBS: {A},
}


def test_every_permission_and_role_is_decided():
    assert set(ALLOWED) == set(Permission)
    assert set(PERMISSIONS) == set(Role)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("permission", list(Permission))
def test_a_role_may_what_the_table_says_and_no_more(role, permission):
    principal = Principal(1, "k", role)
    expected = role in ALLOWED[permission]
    assert principal.may(permission) is expected
    if expected:
        principal.require(permission)
    else:
        with pytest.raises(NotAllowed):
            principal.require(permission)


def test_a_refusal_says_which_role_would_do():
    with pytest.raises(
        NotAllowed, match="A key of role client may not record events: use a key of role admin or sender"
    ):
        Principal(1, "k", Role.CLIENT).require(Permission.RECORD_EVENTS)


def test_the_command_line_may_everything():
    assert all(COMMAND_LINE.may(permission) for permission in Permission)
