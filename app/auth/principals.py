"""Who calls, and what their role lets them do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.errors import NotAllowed
from app.store.models.codes import Role

__all__ = ["COMMAND_LINE", "PERMISSIONS", "Permission", "Principal", "Role"]


class Permission(StrEnum):
    """One kind of thing a caller may do; each query, mutation, subscription and door names one."""

    READ_CATALOGUE = "read_catalogue"
    """Merchants and campaigns as they were entered, without their figures."""
    READ_ANALYTICS = "read_analytics"
    """Metrics, trends, segments, cohorts, returns on cost, the portfolio."""
    READ_TESTS = "read_tests"
    """A/B tests, their results, allocations and saved analyses."""
    READ_USERS = "read_users"
    """A user, what was assigned to it and what is recommended for it."""
    READ_MODELS = "read_models"
    """Trained models and the recommendations made from them."""
    READ_JOBS = "read_jobs"
    """The state of long work."""
    EXPORT = "export"
    """Results and assignment logs as files."""
    EDIT_CATALOGUE = "edit_catalogue"
    """Make and change merchants and campaigns."""
    EDIT_TESTS = "edit_tests"
    """Make, start, pause, end and reallocate tests."""
    ANALYZE_TESTS = "analyze_tests"
    """Compute and save an analysis."""
    UPSERT_USERS = "upsert_users"
    """Make and change users."""
    RECORD_EVENTS = "record_events"
    """Send what happened."""
    ASSIGN_USERS = "assign_users"
    """Decide which variant a user gets; evaluate flags."""
    TRAIN_MODELS = "train_models"
    """Start training."""
    CANCEL_JOBS = "cancel_jobs"
    """End long work early."""


_READING = frozenset(
    {
        Permission.READ_CATALOGUE,
        Permission.READ_ANALYTICS,
        Permission.READ_TESTS,
        Permission.READ_USERS,
        Permission.READ_MODELS,
        Permission.READ_JOBS,
        Permission.EXPORT,
    }
)

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.ANALYST: _READING | {Permission.EDIT_TESTS, Permission.ANALYZE_TESTS},
    Role.SENDER: frozenset({Permission.READ_CATALOGUE, Permission.UPSERT_USERS, Permission.RECORD_EVENTS}),
    Role.CLIENT: frozenset({Permission.READ_CATALOGUE, Permission.READ_USERS, Permission.ASSIGN_USERS}),
}
"""What each role may do."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: the key that was shown, its name, and its role. `key_id` is 0 for the command line."""

    key_id: int
    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Say whether the role allows this."""
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raise NotAllowed unless the role allows this."""
        if not self.may(permission):
            raise NotAllowed(
                f"A key of role {self.role} may not {permission.replace('_', ' ')}: "
                f"use a key of role {_able(permission)}."
            )


COMMAND_LINE = Principal(0, "command line", Role.ADMIN)
"""Whoever runs a command on the server's own machine."""


def _able(permission: Permission) -> str:
    return " or ".join(role for role, allowed in PERMISSIONS.items() if permission in allowed)
