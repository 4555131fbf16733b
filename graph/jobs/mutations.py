"""What clients do to background work."""

import strawberry

from app.auth.principals import Permission
from app.store.jobs import JobRow
from graph.context import Context
from graph.errors import UserError
from graph.fields import answers, reading, related
from graph.jobs import types
from graph.jobs.queries import JobReference, found_job
from graph.payloads import Payload, payload, refused


@strawberry.type(description="The job, or why it was not changed.")
class JobPayload:
    """The row is a `graph.payloads.Payload`."""

    job: types.Job | None = payload("The job as it is now; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@strawberry.type
class Mutation:
    """Background work's part of what can be changed."""

    cancel_job: JobPayload = related(
        "End a job early: at once where it waits, at its next step where it runs.",
        permission=Permission.CANCEL_JOBS,
        refused=refused,
    )


@answers(Mutation, "cancel_job")
async def cancel_job(context: Context, *, id: JobReference) -> Payload[JobRow]:  # noqa: A002  # the contract's name
    """Cancel a job."""
    job = await found_job(context, id)
    return Payload(await context.services.job_control.cancel(job.id, principal=context.principal))
