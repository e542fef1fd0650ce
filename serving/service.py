"""One serving process put together: its routes, and its life from the warm-up to the drain."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from adapters.redis_connections import RedisConnections
from domain.errors import Transient
from serving.asgi import application, cross_origin
from serving.background import pulse, supervised, sync_spool
from serving.chat import ChatRoute
from serving.conversation import MESSAGES_SECONDS
from serving.conversation_meters import ConversationMeters
from serving.deadlines import sweep
from serving.desk import Desk
from serving.exchange import HotRoute
from serving.feedback import FeedbackRoute
from serving.foundation import Foundation
from serving.gateway import GatewayRoutes
from serving.gateway_line import Outgoing
from serving.gateway_watch import watch
from serving.interactions import InteractionsRoute
from serving.kept_context import KeptContexts
from serving.meters import Meters
from serving.model_path import ModelParts, Shared, put_together, warm_ups
from serving.model_turns import ModelPath
from serving.pages import SessionPage, routes
from serving.parts import Parts
from serving.personal_path import PersonalPath
from serving.protocol import HotRoutes
from serving.readiness import ReadinessChecks
from serving.recommendations import RecommendationsRoute
from serving.static_page import page_routes
from serving.switchboard import MAX_OF_USER, Switchboard
from serving.warming import Warming
from serving.warmup import DryRegistry, DryStock, exercise, first_answers, freeze
from serving.websocket import WebSockets

log = logging.getLogger(__name__)

OUTGOING_SECONDS = 2.0
UNDER_WAY_SECONDS = 10.0
"""How long a stopping process goes on answering what API Gateway passed on: all that one takes."""


class Service:
    """The process's request path; `app` is its ASGI application."""

    def __init__(self, parts: Parts) -> None:
        self._connections = set[object]()
        self._outgoing: Outgoing | None = None
        self._watch_gateway: Callable[[], Awaitable[None]] = _nothing
        self._base = base = Foundation(parts)
        of_model = warm_ups(parts.model, base.watch) if parts.model is not None else {}
        self._warming = Warming(
            {"dynamodb": base.sessions.warm, **of_model, **parts.warm_ups}, parts.metrics
        )
        self.readiness = ReadinessChecks(
            redis=lambda: base.redis.up,
            catalogue=base.watch.loaded,
            classifier=base.watch.ready,
            keys=lambda: base.keys.loaded,
            soft=self._warming.state,
            version=lambda: base.watch.taken,
        )
        self._personal = PersonalPath(base, parts)
        self._model = self._model_path(parts, parts.model) if parts.model is not None else None
        self._close_models = parts.model.close if parts.model is not None else None
        desk = base.desk()
        self._chat = self._chat_route(desk)
        hot = self._hot(desk)
        origins = frozenset(filter(None, map(str.strip, parts.settings.allowed_origins.split(","))))
        self._hot_routes = HotRoutes(
            {path.encode(): route for path, route in hot.items()},
            cross_origin=cross_origin(origins),
            refused=base.meters.refused,
        )
        self._websockets = WebSockets(self._switchboard(parts), origins)
        self.app: Starlette = application(
            self._pages(parts, origins),
            hot,
            refused=base.meters.refused,
            allowed_origins=origins,
            lifespan=self._lifespan,
        )

    def _model_path(self, parts: Parts, model: ModelParts) -> ModelPath:
        base = self._base
        shared = Shared(
            bulk=base.bulk,
            shards=parts.settings.outbox_shards,
            watch=base.watch,
            contexts=base.contexts("chat", ConversationMeters(parts.metrics)),
            sink=base.sink,
            producer=base.producer,
            meters=base.meters,
            clock=base.hot.now,
        )
        return put_together(model, parts.budgets, parts.metrics, shared)

    def _chat_route(self, desk: Desk) -> ChatRoute:
        return ChatRoute(
            desk,
            gate=self._base.gate,
            classify=self._base.watch.classify,
            tracing=self._base.tracing,
            personal=self._personal.answers.open,
            model=self._model.open if self._model is not None else None,
        )

    def _hot(self, desk: Desk) -> Mapping[str, HotRoute]:
        base = self._base
        return {
            "/v1/chat": self._chat,
            "/v1/events": InteractionsRoute(base.noting_desk("events"), base.redis),
            "/v1/feedback": FeedbackRoute(base.noting_desk("feedback"), base.redis),
            "/v1/recommendations": RecommendationsRoute(
                desk, base.gate, self._personal.answers, base.tracing
            ),
        }

    def _switchboard(self, parts: Parts) -> Switchboard:
        counted = ConversationMeters(parts.metrics)
        return Switchboard(
            self._chat,
            self._base.gate,
            self._base.meters,
            counted,
            KeptContexts(self._base.contexts("connect", counted)),
            limit=parts.settings.max_websockets,
        )

    def _pages(self, parts: Parts, origins: frozenset[str]) -> list[BaseRoute]:
        base = self._base
        pages = routes(
            session=SessionPage(
                gate=base.gate,
                reader=base.sessions,
                budget=parts.budgets.routes["sessions"],
                meters=base.meters,
                tracing=base.tracing,
            ),
            readiness=self.readiness,
            metrics=parts.metrics.render,
            version=version("mangaassist"),
        )
        page = page_routes() if parts.settings.page else []
        return [*pages, *self._gateway_routes(parts, origins), *page]

    def _gateway_routes(self, parts: Parts, origins: frozenset[str]) -> list[BaseRoute]:
        if not parts.settings.gateway_key or parts.posts is None:
            return []
        base, counted = self._base, ConversationMeters(parts.metrics)
        seconds = base.redis_seconds("connect")
        connections = RedisConnections(
            base.bulk, of_user=MAX_OF_USER, window_seconds=MESSAGES_SECONDS, clock=time.time
        )
        self._outgoing = Outgoing(
            parts.posts, counted, lambda gone: connections.forget(gone, seconds)
        )
        self._watch_gateway = partial(watch, self._outgoing, connections, seconds)
        return GatewayRoutes(
            key=parts.settings.gateway_key,
            chat=self._chat,
            gate=base.gate,
            connections=connections,
            outgoing=self._outgoing,
            meters=base.meters,
            counted=counted,
            allowed_origins=origins,
            redis_seconds=seconds,
        ).routes()

    def watch_connections(self, connections: set[object]) -> None:
        """Close what is overdue among these from now on."""
        self._connections = connections

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        base = self._base
        await base.start()
        tasks = [
            asyncio.create_task(supervised(name, step), name=name)
            for name, step in {
                "keys": base.keys.keep,
                "catalogue": base.watch.keep,
                "warm-up": self._warm_up,
                "warming": self._warming.keep,
                "pulse": lambda: pulse(base.meters, base.redis, base.spool, base.keys),
                "last good": base.last_good.keep,
                "spool": lambda: sync_spool(base.meters, base.spool),
                "sweep": lambda: sweep(self._connections),
                "gateway": self._watch_gateway,
            }.items()
        ]
        try:
            yield {"hot": self._hot_routes, "ws": self._websockets}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    async def _close(self) -> None:
        await self._personal.settled()
        if self._outgoing is not None:
            await self._outgoing.drain(UNDER_WAY_SECONDS, OUTGOING_SECONDS)
        if self._model is not None and self._close_models is not None:
            await self._model.close()
            await self._close_models()
        await self._base.close()

    async def _warm_up(self) -> None:
        base = self._base
        while not self.readiness.warmable():  # noqa: ASYNC110 - of four parts, none sends events
            await asyncio.sleep(0.02)
        stored = await first_answers(base.redis)
        self.readiness.answers = True
        with contextlib.suppress(Transient):  # else it comes a moment later
            await base.last_good.refresh()
        base.gate.warm_up()
        await base.backends.warm_up()
        await exercise(self._chat.dry(DryStock(stored), Meters(DryRegistry())).handle, base.redis)
        await self._warming.first()
        freeze()
        self.readiness.warm = True
        log.info("ready")


async def _nothing() -> None:
    """Where there is nothing to watch."""
