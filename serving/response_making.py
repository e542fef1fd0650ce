"""Computes a response under a lease and hands it over: to those who wait, and to the queue.

The response itself lives shortly in Redis, put there with its event in one call; the queue's job
makes it last. Who waits here does not wait for that call: what is lost on the way costs one
computation.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from typing import TypedDict

from config.response_cache import ResponseCacheTable
from domain.errors import MangaAssistError, Transient
from domain.events import AnswerGenerated, AnswerUnkept, Event
from domain.model import MAX_ANSWER_CHARS
from domain.response_cache import Asked, Generated, Lifetimes, StoredResponse, respond
from serving import response_store
from serving.exchange import new_id
from serving.flights import Broadcast
from serving.outbox import EventSink, Producer
from serving.response_store import Compute, ResponseStore, Wire

log = logging.getLogger(__name__)


class _Header(TypedDict):
    event_id: str
    occurred_at: float
    producer: str
    seq: int


@dataclass(frozen=True, slots=True)
class Unkept:
    """A response that is kept nowhere, and the encoded event that has it checked."""

    response: StoredResponse
    event: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseMaking:
    """What makes the responses of one process."""

    store: ResponseStore
    wire: Wire
    sink: EventSink
    producer: Producer
    table: ResponseCacheTable
    lifetimes: Lifetimes
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    sharing: set[asyncio.Task[None]] = field(default_factory=set)

    async def settled(self) -> None:
        """Wait until everything is handed over."""
        await asyncio.gather(*self.sharing)

    async def make(
        self,
        asked: Asked,
        compute: Compute,
        token: str,
        broadcast: Broadcast,
        *,
        after: int,
        banned: Set[bytes],
    ) -> StoredResponse | None:
        """Compute and return the response, newer than the version `after`, and hand it over.

        None where there is none, or where the fingerprint of its content is banned. Ends the lease
        of `token`.
        """
        started = self.clock()
        generated = await self._computed(asked, compute, token, broadcast)
        if generated is None:
            return None
        response = respond(
            asked,
            _with_plan(generated, broadcast),
            started=started,
            now=self.clock(),
            lifetimes=self.lifetimes,
            chance=self.chance(),
            after=after,
        )
        if response.fingerprint in banned:
            await self._release(response.key, token, failing_seconds=0)
            return None
        self._keep(asyncio.create_task(self._share(response, token), name="share a response"))
        return response

    async def _computed(
        self, asked: Asked, compute: Compute, token: str, broadcast: Broadcast
    ) -> Generated | None:
        generated, failing_seconds = None, self.table.failing_seconds
        try:
            async with asyncio.timeout(self.table.lease_seconds):
                generated = await compute(broadcast.emit)
        except (MangaAssistError, TimeoutError) as error:
            log.info("a response could not be computed: %s", type(error).__name__)
        except asyncio.CancelledError:  # nobody wanted it any more: that is no failure
            failing_seconds = 0
            raise
        finally:
            if generated is None:
                await asyncio.shield(self._release(asked.key, token, failing_seconds))
        return generated

    def unkept(self, asked: Asked, generated: Generated) -> Unkept:
        """A response that is kept nowhere, with the event that has it checked."""
        now, whole = self.clock(), _with_plan(generated, Broadcast())
        response = respond(
            asked, whole, started=now, now=now, lifetimes=self.lifetimes, chance=self.chance()
        )
        return Unkept(response, self._to_check(response))

    def give_back(self, key: str, token: str) -> None:
        """End a lease that may have been given, in the background: for whoever is cancelled."""
        self._keep(asyncio.create_task(self._release(key, token, 0), name="give a lease back"))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self.sharing.add(task)
        task.add_done_callback(self.sharing.discard)

    async def _share(self, response: StoredResponse, token: str) -> None:
        """Give it to the other processes; what Redis does not take is spooled."""
        stored = self.wire.pack(response)
        if stored is None:
            await self._check(response, token)
            return
        event = self.producer.encode(
            AnswerGenerated(**self._header(response), response_key=response.key, stored=stored)
        )
        hard_seconds = response.hard_expires_at - response.generated_at
        try:
            shared = await self.store.share(
                response,
                stored,
                token=token,
                kept_seconds=min(self.table.short_seconds, hard_seconds),
                event=event,
                seconds=response_store.STORE_SECONDS,
            )
        except Transient as error:
            log.debug("a response could not be shared: %s", error)
            self._spool(AnswerGenerated, event)
            return
        if shared.unwritten is not None:
            self._spool(AnswerGenerated, event)

    async def _check(self, response: StoredResponse, token: str) -> None:
        """Have a response checked that cannot be kept, and let whoever asks next compute his own.

        It is too large, or there is no secret to seal it with.
        """
        event = self._to_check(response)
        try:
            await self.store.write(response.key, event, response_store.STORE_SECONDS)
        except Transient as error:
            log.debug("an answer could not be handed over: %s", error)
            self._spool(AnswerUnkept, event)
        await self._release(response.key, token, failing_seconds=0)

    def _to_check(self, response: StoredResponse) -> bytes:
        answer = response.answer()
        return self.producer.encode(
            AnswerUnkept(
                **self._header(response),
                answer_id=response.answer_id,
                text=response.text()[:MAX_ANSWER_CHARS],
                item_ids=_ids_of(answer["items"]),
                locale="en" if answer["locale"] == "en" else "ja",
                is_negative=response.is_negative,
            )
        )

    def _header(self, response: StoredResponse) -> _Header:
        return {
            "event_id": new_id(),
            "occurred_at": response.generated_at,
            "producer": self.producer.name,
            "seq": self.producer.next(),
        }

    def _spool(self, event_type: type[Event], event: bytes) -> None:
        def done(is_kept: bool) -> None:
            if not is_kept:
                log.warning("an answer of the model is neither cached nor checked")

        self.sink.keep(event_type.type, (event,), done, is_audited=event_type.is_audited)

    async def _release(self, key: str, token: str, failing_seconds: float) -> None:
        try:
            await self.store.release(key, token, failing_seconds, response_store.STORE_SECONDS)
        except Transient as error:  # the lease expires by itself
            log.debug("a lease could not be given back: %s", error)


def _ids_of(items: object) -> tuple[str, ...]:
    found = items if isinstance(items, list) else []
    return tuple(str(item["id"]) for item in found if isinstance(item, dict) and "id" in item)


def _with_plan(generated: Generated, broadcast: Broadcast) -> Generated:
    """As it can be kept: with the chunk plan of what was streamed, if that was the text it is now.

    Half a surrogate pair, which JSON lets a model send, cannot be encoded.
    """
    is_plan = "".join(broadcast.pieces) == generated.text
    return replace(
        generated,
        text=generated.text.encode("utf-8", "replace").decode(),
        chunks=tuple(map(len, broadcast.pieces)) if is_plan else generated.chunks,
    )
