"""Use cases that several commands put together on a database of their own; what they change is announced to nobody."""

from app.abtests.analyzing import Analyzing
from app.abtests.audiences import is_for
from app.abtests.lifecycle import TestLifecycle
from app.auth.auditing import Audit
from app.optimizer.courses import plan_of
from app.optimizer.training import Training
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import Clock
from app.runtime.compute import Compute, InlineCompute
from app.runtime.settings import Settings
from app.store.abtests import TestStore
from app.store.access import AccessStore
from app.store.campaigns import CampaignStore
from app.store.database import Database


def lifecycle_and_analyzing(database: Database, clock: Clock) -> tuple[TestLifecycle, Analyzing]:
    """Return what starts and ends tests, and what reads their results, at the time of a clock."""
    tests, audit = TestStore(database), Audit(AccessStore(database))
    lifecycle = TestLifecycle(
        database,
        tests=tests,
        campaigns=CampaignStore(database),
        audit=audit,
        broadcast=LocalBroadcast(),
        clock=clock,
    )
    compute = InlineCompute()
    return lifecycle, Analyzing(database, tests=tests, lifecycle=lifecycle, audit=audit, clock=clock, compute=compute)


def training_of(database: Database, *, compute: Compute, clock: Clock, settings: Settings) -> Training:
    """Return what trains models, as the settings say."""
    return Training(database, targets=is_for, compute=compute, clock=clock, plan=plan_of(settings))
