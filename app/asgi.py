"""The web process: everything made once, in one place, and every door mounted."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.abtests.analyzing import Analyzing
from app.abtests.assigning import Assigning
from app.abtests.audiences import is_for
from app.abtests.coursing import Coursing
from app.abtests.crediting import Crediting
from app.abtests.deciding import ExposureDeciding
from app.abtests.definitions import Definitions
from app.abtests.estimating import Estimating
from app.abtests.exposing import Exposing
from app.abtests.guarding import Guarding
from app.abtests.lifecycle import Applied, TestLifecycle
from app.abtests.reallocating import Reallocating
from app.abtests.tabulating import tabulate
from app.auth.auditing import Audit
from app.auth.keys import KeyRing
from app.auth.limiting import RateLimit
from app.auth.middleware import AuthenticationMiddleware, BodyLimitMiddleware
from app.auth.refusals import refuse
from app.campaigns.cohorts import CohortAnalysis
from app.campaigns.editing import CampaignEditing
from app.campaigns.metrics import CampaignMetrics
from app.campaigns.portfolio import PortfolioAnalysis
from app.errors import DomainError, Unavailable
from app.exporting.endpoint import export_routes
from app.exporting.tests import TestExporting
from app.exposures import TestsDecide, record_exposure
from app.ingestion.endpoint import EventsEndpoint
from app.ingestion.pipeline import Ingestion
from app.ofrep.endpoints import FlagDoor, FlagEvaluation, is_flags_path
from app.operations.access_log import access_log
from app.operations.dashboard import dashboard_routes
from app.operations.doors import metrics_registry, operation_routes
from app.operations.job_control import JobControl
from app.operations.observing import ObservingMiddleware, RequestMeasures
from app.operations.readiness import DatabaseReadiness
from app.operations.staleness import Staleness, StaleReadsMiddleware
from app.optimizer.affinities import Affinities
from app.optimizer.recommending import Recommending
from app.optimizer.requesting import TrainingRequests
from app.optimizer.timing import Exploration, Timing
from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock, SystemClock
from app.runtime.compute import Compute, ProcessCompute
from app.runtime.settings import Settings
from app.store.abtest_courses import TestCourses
from app.store.abtest_lists import TestLists
from app.store.abtest_logs import TestLogs
from app.store.abtests import TestStore
from app.store.access import AccessStore
from app.store.campaigns import CampaignStore
from app.store.catalogue import CatalogueStore
from app.store.currencies import CurrencyStore
from app.store.database import Database
from app.store.events import EventStore
from app.store.exports import ExportStore
from app.store.jobs import JobStore
from app.store.learned import LearnedStore
from app.store.live_offers import LiveOffers
from app.store.notifications import PostgresBroadcast
from app.store.performance import PerformanceStore
from app.store.policies import PolicyStore
from app.store.queue import JobQueue
from app.store.reading import ReplicatedDatabase, replica_of
from app.store.recommendations import RecommendationStore
from app.store.replica import Replica
from app.store.user_assignments import UserAssignments
from graph.context import Services
from graph.http import graph_routes
from graph.live.feeds import Feeds
from graph.live.sessions import Sessions
from graph.live.stream import StreamDoor
from graph.live.websocket import LiveDoor
from graph.operations import Operations
from graph.schema import build_schema

EVENTS_PATH = "/v1/events"
MOST_COMPUTING = 8
"""Models that may be fitted, or wait for it, at once while somebody waits for the answer."""


def create_app(settings: Settings | None = None, *, clock: Clock | None = None) -> "WebApplication":
    """Return the application; the database is opened when it starts and closed when it stops."""
    return WebApplication(settings or Settings.load(), clock or SystemClock())


class WebApplication:
    """An ASGI application: what needs the database is made once that is open."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._operations = Operations(build_schema(), settings)
        self._measures = RequestMeasures()
        self._lifespan = Router(lifespan=self._opened)
        self._doors: ASGIApp = self._lifespan
        self._flags: ASGIApp = self._lifespan
        self._streams: StreamDoor | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the application's own start and stop."""
        await self._serving(scope)(scope, receive, send)

    def _serving(self, scope: Scope) -> ASGIApp:
        if scope["type"] == "http" and is_flags_path(scope["path"]):
            return self._flags
        return self._lifespan if scope["type"] == "lifespan" else self._doors

    def finish(self) -> None:
        """Break off what would go on for ever: a server that stops waits for the requests it has."""
        if self._streams is not None:
            self._streams.interrupt()

    @asynccontextmanager
    async def _opened(self, _router: object) -> AsyncGenerator[None]:
        database = await open_database(self._settings, self._clock)
        broadcast = PostgresBroadcast(database)
        try:
            await broadcast.start()
            async with assembled(database, broadcast, self._clock, settings=self._settings) as assembly:
                sessions = Sessions(AccessStore(database).revoked_among)
                self._doors = self._make_doors(database, broadcast, assembly, sessions=sessions)
                async with (
                    _guarded(database, broadcast, self._clock, assembly.services),
                    _running(sessions.run(), name="end-revoked-sessions"),
                ):
                    yield
        finally:
            await broadcast.close()
            await database.close()

    def _make_doors(
        self, database: Database, broadcast: Broadcast, assembly: "Assembly", *, sessions: Sessions
    ) -> Starlette:
        services, store, settings = assembly.services, AccessStore(database), self._settings
        keys = KeyRing(store, audit=Audit(store), clock=self._clock)
        limit = RateLimit(per_second=settings.requests_per_second, burst=settings.requests_burst, clock=self._clock)
        self._flags = self._flag_door(assembly, keys, limit)
        exporting = TestExporting(
            ExportStore(database), tests=services.tests, tabulate=partial(tabulate, services.analyzing)
        )
        routes = [
            *graph_routes(self._operations, services),
            *self._live_routes(services, broadcast, keys, sessions, limit=limit),
            self._events_route(services.ingestion),
            *export_routes(exporting, [Middleware(StaleReadsMiddleware, staleness=services.staleness)]),
            *operation_routes(
                DatabaseReadiness(database),
                registry=metrics_registry(self._settings.metrics_dir),
                also=services.staleness.state,
            ),
            *dashboard_routes(),
        ]
        middleware = self._middleware(keys, limit)
        return Starlette(routes=routes, middleware=middleware, exception_handlers={DomainError: _refuse})

    def _flag_door(self, assembly: "Assembly", keys: KeyRing, limit: RateLimit) -> ASGIApp:
        door: ASGIApp = FlagDoor(
            FlagEvaluation(assembly.assigning, assembly.services.exposing),
            authenticate=keys.authenticate,
            limit=limit,
            max_bytes=self._settings.max_request_bytes,
            count=self._measures.of_route,
        )
        for layer in _cross_origin(self._settings.allowed_origins):
            door = layer.cls(door, *layer.args, **layer.kwargs)
        return door

    def _live_routes(
        self, services: Services, broadcast: Broadcast, keys: KeyRing, sessions: Sessions, *, limit: RateLimit
    ) -> list[BaseRoute]:
        feeds = Feeds(self._operations, broadcast, most=self._settings.max_feeds)
        door = LiveDoor(
            self._operations,
            services,
            feeds,
            sessions=sessions,
            authenticate=keys.authenticate,
            allowed_origins=self._settings.allowed_origins,
            max_subscriptions=self._settings.max_subscriptions,
            limit=limit,
        )
        stream = self._streams = StreamDoor(self._operations, services, feeds, sessions=sessions)
        return [
            WebSocketRoute("/graphql", door),
            Route("/graphql/stream", stream.respond, methods=["GET", "POST"]),
        ]

    def _middleware(self, keys: KeyRing, requests: RateLimit) -> list[Middleware]:
        settings, clock = self._settings, self._clock
        limits = {EVENTS_PATH: settings.max_events_bytes}
        return [
            Middleware(ObservingMiddleware, clock=clock, measures=self._measures, log=access_log(settings)),
            *_cross_origin(settings.allowed_origins),
            Middleware(BodyLimitMiddleware, default=settings.max_request_bytes, limits=limits),
            Middleware(AuthenticationMiddleware, authenticate=keys.authenticate, limit=requests),
        ]

    def _events_route(self, ingestion: Ingestion) -> BaseRoute:
        settings = self._settings
        limit = RateLimit(per_second=settings.events_per_second, burst=settings.events_burst, clock=self._clock)
        endpoint = EventsEndpoint(ingestion, limit=limit, max_bytes=settings.max_events_bytes)
        return Route(EVENTS_PATH, endpoint.post, methods=["POST"])


async def open_database(settings: Settings, clock: Clock) -> Database:
    """Open the database that the settings name, with its replica; `winnow serve` names the embedded one, too."""
    if settings.database_url is None:
        raise Unavailable("DATABASE_URL names no database: start with `winnow serve`, which brings its own.")
    kind = Database if settings.replica_url is None else ReplicatedDatabase
    database = await kind.open(
        settings.database_url.get_secret_value(),
        pool_size=settings.pool_size,
        orm_pool_size=settings.orm_pool_size,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
    if isinstance(database, ReplicatedDatabase) and settings.replica_url is not None:
        database.replica = await _opened_replica(settings, database, clock, url=settings.replica_url.get_secret_value())
    return database


async def _opened_replica(settings: Settings, primary: Database, clock: Clock, *, url: str) -> Replica:
    replica = Replica(
        url,
        primary_url=primary.url,
        clock=clock,
        max_lag_seconds=settings.replica_max_lag_seconds,
        pool_size=settings.pool_size,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
    await replica.start()
    return replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The use cases on one database, and what they share."""

    services: Services
    assigning: Assigning


@asynccontextmanager
async def assembled(
    database: Database, broadcast: Broadcast, clock: Clock, *, settings: Settings | None = None
) -> AsyncGenerator[Assembly]:
    """Put the use cases together; what is on its way is stored before the context is left."""
    campaigns, tests = CampaignStore(database), TestStore(database)
    definitions = Definitions(tests, broadcast, clock=clock)
    assigning = Assigning(definitions, tests=tests, users=campaigns, clock=clock)
    deciding = TestsDecide(ExposureDeciding(assigning, tests=tests, broadcast=broadcast))
    ingestion = Ingestion(EventStore(database), clock, broadcast=broadcast, deciding=deciding)
    exposing = Exposing(assigning, partial(record_exposure, ingestion))
    compute = ProcessCompute(most=MOST_COMPUTING)
    await definitions.start()
    try:
        services = _services(
            database,
            broadcast,
            clock,
            ingestion=ingestion,
            exposing=exposing,
            compute=compute,
            applied=definitions.refresh,
            settings=settings or Settings.load(),
        )
        yield Assembly(services=services, assigning=assigning)
        await ingestion.drain()
    finally:
        await definitions.close()
        await compute.close()


def _services(
    database: Database,
    broadcast: Broadcast,
    clock: Clock,
    *,
    ingestion: Ingestion,
    exposing: Exposing,
    compute: Compute,
    applied: Applied,
    settings: Settings,
) -> Services:
    campaigns, performance, tests = CampaignStore(database), PerformanceStore(database), TestStore(database)
    audit, jobs, learned = Audit(AccessStore(database)), JobStore(database, broadcast), LearnedStore(database)
    queue = JobQueue(database, broadcast)
    lifecycle = TestLifecycle(
        database, tests=tests, campaigns=campaigns, audit=audit, broadcast=broadcast, clock=clock, applied=applied
    )
    return Services(
        campaigns=campaigns,
        editing=CampaignEditing(campaigns, CatalogueStore(database), audit=audit, clock=clock),
        metrics=CampaignMetrics(performance, clock),
        cohorts=CohortAnalysis(performance),
        portfolio=PortfolioAnalysis(performance, campaigns, clock, currencies=CurrencyStore(database)),
        ingestion=ingestion,
        tests=tests,
        test_lists=TestLists(database),
        lifecycle=lifecycle,
        analyzing=Analyzing(database, tests=tests, lifecycle=lifecycle, audit=audit, clock=clock, compute=compute),
        reallocating=Reallocating(
            database,
            tests=tests,
            policies=PolicyStore(database),
            audit=audit,
            broadcast=broadcast,
            clock=clock,
            applied=applied,
        ),
        coursing=Coursing(TestCourses(database), clock=clock),
        estimating=Estimating(PolicyStore(database), clock=clock),
        crediting=Crediting(TestLogs(database)),
        exposing=exposing,
        jobs=jobs,
        job_control=JobControl(database, jobs=jobs, queue=queue, audit=audit, clock=clock),
        user_assignments=UserAssignments(database, tests),
        learned=learned,
        recommendations=RecommendationStore(database),
        timing=Timing(
            learned,
            clock=clock,
            quiet_hours=settings.quiet_hours,
            exploration=Exploration(share=settings.send_time_exploration),
        ),
        affinities=Affinities(learned, campaigns),
        recommending=Recommending(learned, LiveOffers(database), campaigns=campaigns, targets=is_for, clock=clock),
        training=TrainingRequests(database, jobs=jobs, queue=queue, audit=audit, clock=clock),
        staleness=Staleness(replica_of(database), clock),
    )


@asynccontextmanager
async def _guarded(database: Database, broadcast: Broadcast, clock: Clock, services: Services) -> AsyncGenerator[None]:
    """Let guardrails pause tests while the context lasts."""
    guarding = Guarding(database, tests=services.tests, lifecycle=services.lifecycle, broadcast=broadcast, clock=clock)
    async with _running(guarding.run(), name="guard-tests"):
        yield


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], *, name: str) -> AsyncGenerator[None]:
    """Let something go on while the context lasts."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _cross_origin(origins: tuple[str, ...]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=[
                "Authorization",
                "X-API-Key",
                "Content-Type",
                "If-None-Match",
                "X-Winnow-Expose",
                "X-Winnow-Source",
            ],
            expose_headers=["ETag", "Retry-After", "X-Request-ID", "X-Winnow-Source", "X-Winnow-As-Of"],
        )
    ]


async def _refuse(_request: Request, error: Exception) -> Response:
    if not isinstance(error, DomainError):
        raise error
    return refuse(error)
