"""What the routes of a process stand on: Redis, the sink of events, keys, catalogue."""

import asyncio
import os
import socket
import time

from adapters.redis_kept import KeptRedis
from adapters.redis_serving import ServingRedis
from adapters.redis_serving_visitors import ServingVisitors
from config import answers, features, models, tracing
from domain.tracing import Traces
from serving.answers import BuiltInAnswers, SeenAnswers
from serving.backends import ThreadedBackends
from serving.canned import canned
from serving.catalogue_watch import CatalogueWatch
from serving.context import ContextReader
from serving.conversation_meters import ConversationMeters
from serving.desk import Desk
from serving.keys import KeySet
from serving.last_good import LastGood
from serving.mending import Mending
from serving.meters import Meters
from serving.noting import NotingDesk
from serving.outbox import Producer
from serving.overflow import Overflow
from serving.parts import MIB, Parts
from serving.session_reader import SessionReader
from serving.spooling import SpooledEvents
from serving.tastes import TasteReader
from serving.tokens import Gate
from serving.tracing import UNTRACED, SampledTracing, Tracing

OVERFLOW_SECONDS = 5.0
FIRST_REDIS_SECONDS = 0.5
"""How long no request is accepted for want of Redis."""


class Foundation:
    """Built once for each process; `start` and `close` are its life on the event loop."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        self._budgets = parts.budgets
        self.hot = KeptRedis(settings.redis_url, name="mangaassist-hot")
        self.bulk = KeptRedis(settings.redis_url, name="mangaassist-bulk")
        self.redis = ServingRedis(
            self.hot,
            self.bulk,
            shards=settings.outbox_shards,
            owner_seconds=settings.session_seconds,
        )
        self.visitors = ServingVisitors(self.bulk)
        self.keys = KeySet(settings.jwks_url)
        self.gate = Gate(self.keys, issuer=settings.token_issuer, audience=settings.token_audience)
        self.producer = Producer(_producer_name(), parts.encode_event)
        self.meters = Meters(parts.metrics)
        self.spool = parts.spool
        self.overflow = Overflow(
            parts.spool,
            parts.send_events,
            max_bytes=settings.overflow_max_mb * MIB,
            shed=self.meters.shed,
        )
        self.sink = SpooledEvents(
            parts.spool, self.overflow, self.meters.kept, self.meters.uncopied
        )
        self.traces = parts.traces
        self.tracing = tracing_over(parts.traces)
        self.seen = SeenAnswers()
        self.last_good = LastGood(self.redis, tuple(answers.declared().kinds.rows()), self.seen)
        self.watch = CatalogueWatch(
            parts.catalogue,
            parts.build_classifier,
            poll_seconds=settings.catalogue_poll_seconds,
            titles=parts.metrics.gauge("catalogue_titles"),
            build_search=parts.model.build_search if parts.model is not None else None,
        )
        self.sessions = SessionReader(
            self.visitors, parts.decode_session, parts.sessions, self.meters
        )
        self.backends = ThreadedBackends(
            redis=self.visitors,
            decode_features=parts.decode_features,
            users=parts.users,
            features=parts.features,
            recommender=parts.recommender,
            groups=tuple(features.declared().groups),
            damaged=lambda: self.meters.damaged("features"),
        )

    def desk(self) -> Desk:
        """What the turns of questions share."""
        return Desk(
            stock=self.redis,
            sink=self.sink,
            producer=self.producer,
            seen=self.seen,
            mending=Mending(self.redis, self.producer, self.meters.invalid, self.hot.now),
            built_in=BuiltInAnswers(lambda locale: canned(self.watch.catalogue, locale)),
            meters=self.meters,
            redis_seconds=self.redis_seconds("chat"),
            clock=self.hot.now,
        )

    def noting_desk(self, route: str) -> NotingDesk:
        """What a route works with that only notes events."""
        return NotingDesk(
            gate=self.gate,
            sink=self.sink,
            producer=self.producer,
            meters=self.meters,
            redis_seconds=self.redis_seconds(route),
            tracing=self.tracing,
            clock=self.hot.now,
        )

    def contexts(self, route: str, counted: ConversationMeters) -> ContextReader:
        """What reads ahead of questions, within the budget of this route."""
        return ContextReader(
            sessions=self.sessions,
            users=self.visitors,
            tastes=TasteReader(
                self.backends,
                self.meters,
                wanted=models.declared().customer_features,
                clock=self.hot.now,
            ),
            answers=self.redis,
            seen=self.seen,
            budget=self._budgets.routes[route],
            meters=counted,
            clock=self.hot.now,
        )

    def redis_seconds(self, route: str) -> float:
        """What a route may wait for Redis."""
        return self._budgets.routes[route].seconds("redis")

    async def start(self) -> None:
        """Begin to connect, and wait for what the first requests would miss."""
        self.hot.start()
        self.bulk.start()
        if not self.keys.loaded:  # or the first good token would be refused
            await asyncio.to_thread(self.keys.refresh)
        await self.hot.first(FIRST_REDIS_SECONDS)  # and the first events be of a wrong time

    async def close(self) -> None:
        """Let go of Redis, and of events and spans once they would outlive this process."""
        self.backends.close()
        await self.hot.close()
        await self.bulk.close()
        await asyncio.to_thread(self.overflow.close, OVERFLOW_SECONDS)
        self.spool.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)


def tracing_over(traces: Traces | None) -> Tracing:
    """What decides which requests are traced, as declared."""
    return UNTRACED if traces is None else SampledTracing(traces, tracing.declared().requests)


def _producer_name() -> str:
    return f"serving-{socket.gethostname()[:64]}-{os.getpid()}-{time.time_ns() // 1_000_000:x}"
