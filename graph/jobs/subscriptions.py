"""What clients follow of background work: a job, until it ends."""

from collections.abc import Mapping
from typing import Any

import strawberry

from app.auth.principals import Permission
from app.store.jobs import JobRow
from app.store.notifications import JOBS
from graph.context import Context
from graph.fields import answers, related
from graph.jobs import types
from graph.jobs.queries import JobReference, found_job
from graph.live.sources import Source, follows

PAUSE_SECONDS = 0.2
"""Between two answers: work may report its progress far more often than anybody looks."""


@strawberry.type
class Subscription:
    """Background work's part of what can be followed."""

    job: types.Job = related(
        "The job as it stands first, then each change; completes when the job does.", permission=Permission.READ_JOBS
    )


@answers(Subscription, "job")
async def job(context: Context, *, id: JobReference) -> JobRow:  # noqa: A002  # the contract's name
    """Return the job as it stands."""
    return await found_job(context, id)


@follows("job")
async def job_source(context: Context, arguments: Mapping[str, Any]) -> Source:
    """Follow a job to its end."""
    reference = arguments["id"]

    async def ended() -> bool:
        return (await found_job(context, reference)).ended

    number = (await found_job(context, reference)).id
    return Source((JOBS,), str(number), PAUSE_SECONDS, ended)
