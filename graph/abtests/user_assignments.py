"""What users were assigned to: a field of theirs that tests answer."""

from collections.abc import Mapping, Sequence

from app.auth.principals import Permission
from app.store.abtest_rows import AssignmentRow, TestDefinition
from app.store.campaigns import UserRow
from app.store.cursors import Page
from graph.abtests import rows, types
from graph.campaigns.inputs import After, First
from graph.campaigns.types import User
from graph.connections import Connection, Listing, checked_first
from graph.context import Context
from graph.fields import extend, loads, related

extend(
    User,
    "assignments",
    Connection[types.Assignment],
    related("What the user was assigned to, newest test first, in pages.", permission=Permission.READ_USERS),
)


@loads(User, "assignments")
async def user_assignments(
    context: Context, users: Sequence[UserRow], *, first: First = 20, after: After = None
) -> list[Listing[rows.Decided]]:
    """Load what users were assigned to."""
    pages = await context.services.user_assignments.pages([user.id for user in users], checked_first(first), after)
    return [Listing(page=_decided(pages[user.id]), count=_count, of=user.id) for user in users]


def _decided(page: Page[tuple[AssignmentRow, TestDefinition]]) -> Page[rows.Decided]:
    return Page(
        rows=tuple(_assignment(row, definition) for row, definition in page.rows),
        cursors=page.cursors,
        has_next=page.has_next,
        has_previous=page.has_previous,
    )


def _assignment(row: AssignmentRow, definition: TestDefinition) -> rows.Decided:
    variant = next(one for one in definition.variants if one.id == row.variant_id)
    return rows.Decided(definition, variant, row.external_id, row.assigned_at, row.probability, row.policy_version)


async def _count(context: Context, user_ids: Sequence[int]) -> Mapping[int, int]:
    return await context.services.user_assignments.count(user_ids)
