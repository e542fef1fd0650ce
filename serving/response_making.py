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

from config.response_cache import ResponseCacheTable
from domain.errors import MangaAssistError, Transient
from domain.events import AnswerGenerated
from domain.response_cache import Asked, Generated, Lifetimes, StoredResponse, respond
from serving.exchange import new_id
from serving.flights import Broadcast
from serving.outbox import EventSink, Producer
from serving.response_store import STORE_SECONDS, Compute, ResponseStore, Wire

log = logging.getLogger(__name__)


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

    def to_check(self, asked: Asked, generated: Generated) -> bytes | None:
        """The event that has a response checked which is kept nowhere; None for one too large."""
        now, whole = self.clock(), _with_plan(generated, Broadcast())
        response = respond(
            asked, whole, started=now, now=now, lifetimes=self.lifetimes, chance=self.chance()
        )
        stored = self.wire.pack(response)
        return None if stored is None else self._event(response, stored, is_kept=False)

    def give_back(self, key: str, token: str) -> None:
        """End a lease that may have been given, in the background: for whoever is cancelled."""
        self._keep(asyncio.create_task(self._release(key, token, 0), name="give a lease back"))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self.sharing.add(task)
        task.add_done_callback(self.sharing.discard)

    async def _share(self, response: StoredResponse, token: str) -> None:
        """Give it to the other processes; what Redis does not take is spooled."""
        stored = self.wire.pack(response)
        if stored is None:  # too large: given now, and computed for whoever asks next
            await self._release(response.key, token, failing_seconds=0)
            return
        event = self._event(response, stored)
        hard_seconds = response.hard_expires_at - response.generated_at
        try:
            shared = await self.store.share(
                response,
                stored,
                token=token,
                kept_seconds=min(self.table.short_seconds, hard_seconds),
                event=event,
                seconds=STORE_SECONDS,
            )
        except Transient as error:
            log.debug("a response could not be shared: %s", error)
            self._spool(event)
            return
        if shared.unwritten is not None:
            self._spool(event)

    def _event(self, response: StoredResponse, stored: bytes, *, is_kept: bool = True) -> bytes:
        return self.producer.encode(
            AnswerGenerated(
                event_id=new_id(),
                occurred_at=response.generated_at,
                producer=self.producer.name,
                seq=self.producer.next(),
                response_key=response.key,
                stored=stored,
                is_kept=is_kept,
            )
        )

    def _spool(self, event: bytes) -> None:
        def done(is_kept: bool) -> None:
            if not is_kept:
                log.warning("an answer of the model is neither cached nor checked")

        self.sink.keep(AnswerGenerated.type, (event,), done, is_audited=AnswerGenerated.is_audited)

    async def _release(self, key: str, token: str, failing_seconds: float) -> None:
        try:
            await self.store.release(key, token, failing_seconds, STORE_SECONDS)
        except Transient as error:  # the lease expires by itself
            log.debug("a lease could not be given back: %s", error)


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
