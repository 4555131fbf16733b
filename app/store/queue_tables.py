"""What PgQueuer's tables are called here."""

from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

# Every name is said, as PgQueuer would else take it from the environment.
QUEUE_TABLES = DBSettings(
    prefix="",
    channel=Channel("winnow_job_queue"),
    function="job_queue_changed",
    statistics_table="job_queue_statistics",
    queue_status_type="job_queue_status",
    queue_table="job_queue",
    queue_table_log="job_queue_log",
    trigger="job_queue_changed",
    schedules_table="job_schedule",
    durability=Durability.durable,
    widen_id=False,
)
