"""What clients see of background work."""

from datetime import datetime

import strawberry

from app.store.models.codes import JobStatus
from graph.fields import reading
from graph.identifiers import Identified, Kind

strawberry.enum(JobStatus, description="A job's place in its life.")


@strawberry.type(description="One piece of background work.")
class Job:
    """The row is an `app.store.jobs.JobRow`."""

    id: strawberry.ID = reading("Opaque id.", Identified(Kind.JOB))
    kind: str = reading("What is done.")
    status: JobStatus = reading("Its place in its life.")
    progress: float = reading("How much of it is done, a fraction.")
    message: str | None = reading("What is being done now, in words.")
    created_at: datetime = reading("When it was asked for, UTC.")
    finished_at: datetime | None = reading("When it ended, UTC; null until then.")
    error: str | None = reading("Why it failed; null where it did not.")
