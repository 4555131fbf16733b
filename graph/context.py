"""What a resolver may lean on: who asks, and the use cases."""

from dataclasses import dataclass

from app.abtests.analyzing import Analyzing
from app.abtests.coursing import Coursing
from app.abtests.crediting import Crediting
from app.abtests.estimating import Estimating
from app.abtests.exposing import Exposing
from app.abtests.lifecycle import TestLifecycle
from app.abtests.reallocating import Reallocating
from app.auth.principals import Principal
from app.campaigns.cohorts import CohortAnalysis
from app.campaigns.editing import CampaignEditing
from app.campaigns.metrics import CampaignMetrics
from app.campaigns.portfolio import PortfolioAnalysis
from app.ingestion.pipeline import Ingestion
from app.operations.job_control import JobControl
from app.operations.staleness import Staleness
from app.optimizer.affinities import Affinities
from app.optimizer.recommending import Recommending
from app.optimizer.requesting import TrainingRequests
from app.optimizer.timing import Timing
from app.store.abtest_lists import TestLists
from app.store.abtests import TestStore
from app.store.campaigns import CampaignStore
from app.store.jobs import JobStore
from app.store.learned import LearnedStore
from app.store.reading import Reading
from app.store.recommendations import RecommendationStore
from app.store.user_assignments import UserAssignments


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases, made once for the process."""

    campaigns: CampaignStore
    editing: CampaignEditing
    metrics: CampaignMetrics
    cohorts: CohortAnalysis
    portfolio: PortfolioAnalysis
    ingestion: Ingestion
    tests: TestStore
    test_lists: TestLists
    lifecycle: TestLifecycle
    analyzing: Analyzing
    reallocating: Reallocating
    coursing: Coursing
    estimating: Estimating
    crediting: Crediting
    exposing: Exposing
    jobs: JobStore
    job_control: JobControl
    user_assignments: UserAssignments
    learned: LearnedStore
    recommendations: RecommendationStore
    timing: Timing
    affinities: Affinities
    recommending: Recommending
    training: TrainingRequests
    staleness: Staleness


@dataclass(frozen=True, slots=True)
class Context:
    """One operation's caller and the use cases, and what its reads may go to where there is a read replica."""

    principal: Principal
    services: Services
    reading: Reading | None = None
