"""Asking how far background work is."""

from typing import Annotated

import strawberry

from app.auth.principals import Permission
from app.errors import NotFound
from app.store.jobs import JobRow
from graph.context import Context
from graph.fields import answers, related
from graph.identifiers import Kind, decode
from graph.jobs import types

JobReference = Annotated[strawberry.ID, strawberry.argument(description="The job's id.")]


@strawberry.type
class Query:
    """Background work's part of what can be asked."""

    job: types.Job | None = related(
        "A job by id; null, with an error NOT_FOUND, where there is none.",
        permission=Permission.READ_JOBS,
        current=True,
    )


@answers(Query, "job")
async def job(context: Context, *, id: JobReference) -> JobRow:  # noqa: A002  # the contract's name
    """Find a job."""
    return await found_job(context, id)


async def found_job(context: Context, reference: str) -> JobRow:
    """Return a job by its id; raise NotFound where there is none."""
    number = decode(Kind.JOB, reference)
    found = await context.services.jobs.jobs([number]) if isinstance(number, int) else {}
    if number not in found:
        raise NotFound(f"There is no job {reference!r}: check the id.", path=("id",))
    return next(iter(found.values()))
