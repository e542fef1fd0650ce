"""One serving process put together: its parts, and what runs in its background."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Protocol

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from adapters.redis_connections import RedisConnections
from adapters.redis_kept import KeptRedis
from adapters.redis_serving import ServingRedis
from adapters.spool_writing import SpoolWriter
from config import answers, features, recommendations
from config.budgets import Budgets
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.errors import Transient
from domain.events import Event
from domain.features import UserFeatures
from domain.ports import CatalogueStore, FeatureSource, Recommender, Sessions, UserCache
from domain.sessions import Session
from serving.answers import BuiltInAnswers, SeenAnswers
from serving.asgi import application, cross_origin
from serving.backends import ThreadedBackends
from serving.canned import canned
from serving.catalogue_watch import CatalogueWatch
from serving.chat import ChatRoute, Classify
from serving.context import ContextReader
from serving.conversation import MESSAGES_SECONDS
from serving.feedback import FeedbackRoute
from serving.gateway import GatewayRoutes
from serving.gateway_line import Outgoing, Posts
from serving.interactions import InteractionsRoute
from serving.keys import KeySet
from serving.last_good import LastGood
from serving.mending import Mending
from serving.meters import ConversationMeters, Meters, Registry
from serving.model_path import Desk, ModelParts, put_together, warm_ups
from serving.model_turn import ModelPath
from serving.outbox import Producer
from serving.overflow import Overflow, SendEvents
from serving.pages import SessionPage, routes
from serving.personal import PersonalAnswers
from serving.protocol import HotRoutes, sweep
from serving.readiness import ReadinessChecks
from serving.recommendations import RecommendationsRoute
from serving.recommending import Recommending
from serving.session_reader import SessionReader
from serving.spooling import SpooledEvents
from serving.static_page import page_routes
from serving.switchboard import MAX_OF_USER, Switchboard
from serving.tokens import Gate
from serving.warming import Warming, WarmUp
from serving.warmup import DryRegistry, DryStock, exercise, first_answers, freeze
from serving.websocket import WebSockets
from serving.writing_back import WriteBack

log = logging.getLogger(__name__)

PULSE_SECONDS = 0.5
FIRST_REDIS_SECONDS = 0.5
"""How long no request is accepted for want of Redis."""
RESTART_SECONDS = 1.0
SYNC_SECONDS = 0.05
OVERFLOW_SECONDS = 5.0
OUTGOING_SECONDS = 2.0
UNDER_WAY_SECONDS = 10.0
"""How long a stopping process goes on answering what API Gateway passed on: all that one takes."""
MIB = 1024 * 1024


class Exposed(Registry, Protocol):
    """A registry that can show its metrics."""

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a serving process is given: everything that other rooms make."""

    settings: Settings
    budgets: Budgets
    catalogue: CatalogueStore
    sessions: Sessions
    users: UserCache
    features: FeatureSource
    recommender: Recommender
    decode_features: Callable[[bytes, str], UserFeatures]
    metrics: Exposed
    encode_event: Callable[[Event], bytes]
    decode_session: Callable[[bytes], Session]
    build_classifier: Callable[[Catalogue], Classify]
    spool: SpoolWriter
    send_events: SendEvents
    warm_ups: Mapping[str, WarmUp] = field(default_factory=dict)
    """What else is to be kept warm, by the name of the dependency."""
    posts: Posts | None = None
    """The way to connections that API Gateway holds, where there are such."""
    model: ModelParts | None = None
    """What answers questions that no precomputed answer fits."""


class Service:
    """The process's request path; `app` is its ASGI application."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        self._connections = set[object]()
        self._outgoing: Outgoing | None = None
        self._hot = KeptRedis(settings.redis_url, name="mangaassist-hot")
        self._bulk = KeptRedis(settings.redis_url, name="mangaassist-bulk")
        self._redis = ServingRedis(
            self._hot,
            self._bulk,
            shards=settings.outbox_shards,
            owner_seconds=settings.session_seconds,
        )
        self._keys = KeySet(settings.jwks_url)
        self._gate = Gate(
            self._keys, issuer=settings.token_issuer, audience=settings.token_audience
        )
        self._producer = Producer(_producer_name(), parts.encode_event)
        self._meters = Meters(parts.metrics)
        self._spool = parts.spool
        self._overflow = Overflow(
            parts.spool,
            parts.send_events,
            max_bytes=settings.overflow_max_mb * MIB,
            shed=self._meters.shed,
        )
        self._sink = SpooledEvents(
            parts.spool,
            self._overflow,
            self._meters.kept,
            self._meters.uncopied,
        )
        self._seen = SeenAnswers()
        kinds = answers.declared().kinds.rows()
        self._last_good = LastGood(self._redis, tuple(kinds), self._seen)
        self._mending = Mending(self._redis, self._producer, self._meters.invalid)
        self._watch = CatalogueWatch(
            parts.catalogue,
            parts.build_classifier,
            poll_seconds=settings.catalogue_poll_seconds,
            titles=parts.metrics.gauge("catalogue_titles"),
            build_search=parts.model.build_search if parts.model is not None else None,
        )
        self._session_reader = SessionReader(
            self._redis, parts.decode_session, parts.sessions, self._meters
        )
        of_model = warm_ups(parts.model, self._watch) if parts.model is not None else {}
        self._warming = Warming(
            {"dynamodb": self._session_reader.warm, **of_model, **parts.warm_ups}, parts.metrics
        )
        self.readiness = ReadinessChecks(
            redis=lambda: self._redis.up,
            catalogue=self._watch.loaded,
            classifier=self._watch.ready,
            keys=lambda: self._keys.loaded,
            soft=self._warming.state,
        )
        self._backends = self._recommendation_backends(parts)
        self._making = set[asyncio.Task[None]]()
        personal = self._personal_answers(parts)
        self._model = self._model_path(parts, parts.model) if parts.model is not None else None
        self._close_models = parts.model.close if parts.model is not None else None
        self._chat = self._chat_route(parts, personal)
        hot: Mapping[str, ChatRoute | InteractionsRoute | FeedbackRoute | RecommendationsRoute] = {
            "/v1/chat": self._chat,
            "/v1/events": self._interactions_route(parts),
            "/v1/feedback": self._feedback_route(parts),
            "/v1/recommendations": RecommendationsRoute(self._chat, personal),
        }
        origins = frozenset(filter(None, map(str.strip, settings.allowed_origins.split(","))))
        self._hot_routes = HotRoutes(
            {path.encode(): route for path, route in hot.items()},
            cross_origin=cross_origin(origins),
            refused=self._meters.refused,
        )
        switchboard = self._switchboard(parts)
        self._websockets = WebSockets(switchboard, origins)
        pages = routes(
            session=self._session_page(parts),
            readiness=self.readiness,
            metrics=parts.metrics.render,
            version=version("mangaassist"),
        )
        self.app: Starlette = application(
            [
                *pages,
                *self._gateway_routes(parts, origins),
                *(page_routes() if settings.page else []),
            ],
            hot,
            refused=self._meters.refused,
            allowed_origins=origins,
            lifespan=self._lifespan,
        )

    def _recommendation_backends(self, parts: Parts) -> ThreadedBackends:
        return ThreadedBackends(
            redis=self._redis,
            decode_features=parts.decode_features,
            users=parts.users,
            features=parts.features,
            recommender=parts.recommender,
            groups=tuple(features.declared().groups),
            damaged=lambda: self._meters.damaged("features"),
        )

    def _personal_answers(self, parts: Parts) -> PersonalAnswers:
        limit = answers.declared().kinds.recommendation.top_n
        write_back = WriteBack(self._redis, self._producer, self._meters)
        recommending = Recommending(
            self._backends,
            parts.budgets.routes["recommendations"],
            self._meters,
            wanted=recommendations.declared().features,
            limit=limit,
            done=write_back,
            missed=write_back.missed,
        )

        def keep(task: asyncio.Task[None]) -> None:
            self._making.add(task)
            task.add_done_callback(self._making.discard)

        return PersonalAnswers(
            recommending, lambda: self._watch.catalogue, limit=limit, keep_task=keep
        )

    def _chat_route(self, parts: Parts, personal: PersonalAnswers) -> ChatRoute:
        return ChatRoute(
            gate=self._gate,
            classify=self._watch.classify,
            stock=self._redis,
            sink=self._sink,
            producer=self._producer,
            seen=self._seen,
            mending=self._mending,
            built_in=BuiltInAnswers(lambda locale: canned(self._watch.catalogue, locale)),
            meters=self._meters,
            clock=self._hot.now,
            redis_seconds=parts.budgets.routes["chat"].seconds("redis"),
            personal=personal.open,
            model=self._model.open if self._model is not None else None,
        )

    def _model_path(self, parts: Parts, model: ModelParts) -> ModelPath:
        counted = ConversationMeters(parts.metrics)
        desk = Desk(
            bulk=self._bulk,
            shards=parts.settings.outbox_shards,
            watch=self._watch,
            contexts=self._contexts(parts, "chat", counted),
            sink=self._sink,
            producer=self._producer,
            meters=self._meters,
        )
        return put_together(model, parts.budgets, parts.metrics, desk)

    def _contexts(self, parts: Parts, route: str, counted: ConversationMeters) -> ContextReader:
        return ContextReader(
            sessions=self._session_reader,
            users=self._redis,
            answers=self._redis,
            seen=self._seen,
            budget=parts.budgets.routes[route],
            meters=counted,
        )

    def _switchboard(self, parts: Parts) -> Switchboard:
        counted = ConversationMeters(parts.metrics)
        contexts = self._contexts(parts, "connect", counted)
        return Switchboard(
            self._chat,
            self._gate,
            self._meters,
            counted,
            contexts,
            limit=parts.settings.max_websockets,
        )

    def _gateway_routes(self, parts: Parts, origins: frozenset[str]) -> list[BaseRoute]:
        if not parts.settings.gateway_key or parts.posts is None:
            return []
        counted = ConversationMeters(parts.metrics)
        seconds = parts.budgets.routes["connect"].seconds("redis")
        connections = RedisConnections(
            self._bulk, of_user=MAX_OF_USER, window_seconds=MESSAGES_SECONDS, clock=time.time
        )
        self._outgoing = Outgoing(
            parts.posts, counted, lambda gone: connections.forget(gone, seconds)
        )
        return GatewayRoutes(
            key=parts.settings.gateway_key,
            chat=self._chat,
            gate=self._gate,
            connections=connections,
            outgoing=self._outgoing,
            meters=self._meters,
            counted=counted,
            allowed_origins=origins,
            redis_seconds=seconds,
        ).routes()

    def _interactions_route(self, parts: Parts) -> InteractionsRoute:
        return InteractionsRoute(
            gate=self._gate,
            stock=self._redis,
            sink=self._sink,
            producer=self._producer,
            meters=self._meters,
            redis_seconds=parts.budgets.routes["events"].seconds("redis"),
            clock=self._hot.now,
        )

    def _feedback_route(self, parts: Parts) -> FeedbackRoute:
        return FeedbackRoute(
            gate=self._gate,
            outbox=self._redis,
            sink=self._sink,
            producer=self._producer,
            meters=self._meters,
            redis_seconds=parts.budgets.routes["feedback"].seconds("redis"),
        )

    def _session_page(self, parts: Parts) -> SessionPage:
        return SessionPage(
            gate=self._gate,
            reader=self._session_reader,
            budget=parts.budgets.routes["sessions"],
            meters=self._meters,
        )

    def watch_connections(self, connections: set[object]) -> None:
        """Close what is overdue among these from now on."""
        self._connections = connections

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        self._hot.start()
        self._bulk.start()
        if not self._keys.loaded:  # or the first good token would be refused
            await asyncio.to_thread(self._keys.refresh)
        await self._hot.first(FIRST_REDIS_SECONDS)  # and the first events be of a wrong time
        tasks = [
            asyncio.create_task(_supervised(name, step), name=name)
            for name, step in {
                "keys": self._keys.keep,
                "catalogue": self._watch.keep,
                "warm-up": self._warm_up,
                "warming": self._warming.keep,
                "pulse": self._pulse,
                "last good": self._last_good.keep,
                "spool": self._sync_spool,
                "sweep": lambda: sweep(self._connections),
            }.items()
        ]
        try:
            yield {"hot": self._hot_routes, "ws": self._websockets}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._making, return_exceptions=True)
            if self._outgoing is not None:
                await self._outgoing.drain(UNDER_WAY_SECONDS, OUTGOING_SECONDS)
            self._backends.close()
            if self._model is not None and self._close_models is not None:
                await self._model.close()
                await self._close_models()
            await self._hot.close()
            await self._bulk.close()
            await asyncio.to_thread(self._overflow.close, OVERFLOW_SECONDS)
            self._spool.close()

    async def _sync_spool(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            dropped = await asyncio.to_thread(self._spool.tick)
            if dropped:
                self._meters.uncopied(dropped)

    async def _warm_up(self) -> None:
        while not self.readiness.warmable():  # noqa: ASYNC110 - of four parts, none sends events
            await asyncio.sleep(0.02)
        stored = await first_answers(self._redis)
        self.readiness.answers = True
        with contextlib.suppress(Transient):  # else it comes a moment later
            await self._last_good.refresh()
        self._gate.warm_up()
        await self._backends.warm_up()
        await exercise(self._chat.dry(DryStock(stored), Meters(DryRegistry())).handle, self._redis)
        await self._warming.first()
        freeze()
        self.readiness.warm = True
        log.info("ready")

    async def _pulse(self) -> None:
        lag, up = self._meters.gauge("event_loop_lag_seconds"), self._meters.gauge("redis_up")
        spool, copies = self._meters.gauge("spool_bytes"), self._meters.gauge("spool_copies_bytes")
        while True:
            before = time.perf_counter()
            await asyncio.sleep(PULSE_SECONDS)
            lag.set(max(0.0, time.perf_counter() - before - PULSE_SECONDS))
            up.set(float(self._redis.up))
            spool.set(self._spool.size_bytes())
            copies.set(self._spool.copies_bytes())


async def _supervised(name: str, step: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await step()
        except Exception:  # the edge of a background task: it starts again
            log.exception("the background task %s failed", name)
            await asyncio.sleep(RESTART_SECONDS)
        else:
            return


def _producer_name() -> str:
    return f"serving-{socket.gethostname()[:64]}-{os.getpid()}-{time.time_ns() // 1_000_000:x}"
