"""The store of responses in memory, and a model whose answers a test lets out."""

import asyncio
from dataclasses import dataclass, field

from adapters.msgpack_wire import decode_event, encode_event
from adapters.redis_multiplexed import NotDone
from adapters.redis_serving_responses import Claim, Mine, Shared
from adapters.response_wire import ResponseWire
from config import response_cache
from domain.answers import Damaged, Header
from domain.errors import Transient
from domain.events import AnswerGenerated
from domain.ports import Written
from domain.response_cache import Generated, StoredResponse
from serving.flights import Emit
from serving.outbox import Producer
from serving.response_cache import ResponseCache
from serving.response_making import ResponseMaking
from serving.response_meters import ResponseMeters
from tests.fakes import FakeClock
from tests.samples import LIFETIMES
from tests.unit.serving.fakes import CountingRegistry, FakeSink

WIRE = ResponseWire("secret", compress_bytes=1024)


@dataclass
class FakeResponseStore:
    """What several processes share; `fault` is raised by every call, time stands still."""

    stored: dict[str, bytes] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    retracted: set[bytes] = field(default_factory=set)
    events: list[bytes] = field(default_factory=list)
    fault: Transient | None = None
    unwritten: NotDone | None = None
    claims: int = 0
    replies: asyncio.Event | None = None
    """Claims are carried out at once, and answered when this is set."""

    async def claim(self, key: str, token: str, known: int, seconds: float) -> bytes | Mine | Claim:
        claimed = self._claimed(key, token, known)
        if self.replies is not None:
            await self.replies.wait()
        return claimed

    def _claimed(self, key: str, token: str, known: int) -> bytes | Mine | Claim:
        self._meet_fault()
        self.claims += 1
        found = self.stored.get(key)
        if found is not None and _version(found) > known:
            return found
        holder = self.leases.setdefault(key, token)
        if holder == token:
            return Mine(frozenset(self.retracted))
        return Claim.FAILING if holder == "!" else Claim.ANOTHERS

    async def read(self, key: str, seconds: float) -> bytes | None:
        self._meet_fault()
        return self.stored.get(key)

    async def share(
        self,
        response: StoredResponse,
        stored: bytes,
        *,
        token: str,
        kept_seconds: float,
        event: bytes,
        seconds: float,
    ) -> Shared:
        self._meet_fault()
        written = Written.APPLIED
        if response.fingerprint in self.retracted:
            written = Written.RETRACTED
        elif _version(self.stored.get(response.key)) >= response.version:
            written = Written.SUPERSEDED
        else:
            self.stored[response.key] = stored
        await self.release(response.key, token, 0, seconds)
        if self.unwritten is None:
            self.events.append(event)
        return Shared(written, self.unwritten)

    async def write(self, key: str, event: bytes, seconds: float) -> None:
        self._meet_fault()
        if self.unwritten is not None:
            raise self.unwritten
        self.events.append(event)

    async def release(self, key: str, token: str, failing_seconds: float, seconds: float) -> None:
        self._meet_fault()
        if self.leases.get(key) == token:
            del self.leases[key]
            if failing_seconds:
                self.leases[key] = "!"

    async def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        self._meet_fault()
        if self.stored.get(key) == damaged:
            del self.stored[key]

    def _meet_fault(self) -> None:
        if self.fault is not None:
            raise self.fault


def _version(stored: bytes | None) -> int:
    try:
        return Header.unpack(stored or b"").version
    except Damaged:
        return -1


@dataclass
class FakeModel:
    """Answers in pieces, once it is `let_go`; counts what it was asked and what was broken off."""

    pieces: tuple[str, ...] = ("Try ", "Food ", "Wars!")
    fault: Exception | None = None
    is_negative: bool = False
    calls: int = 0
    cancelled: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, emit: Emit) -> Generated:
        self.calls += 1
        self.asked.set()
        emit(self.pieces[0])
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        for piece in self.pieces[1:]:
            emit(piece)
        if self.fault is not None:
            raise self.fault
        return Generated("".join(self.pieces), [], is_negative=self.is_negative)


def ready_model(*pieces: str, fault: Exception | None = None) -> FakeModel:
    model = FakeModel(pieces or FakeModel.pieces, fault)
    model.let_go.set()
    return model


@dataclass
class Process:
    """One process's cache over a store that others share."""

    store: FakeResponseStore
    clock: FakeClock = field(default_factory=FakeClock)
    sink: FakeSink = field(default_factory=FakeSink)
    registry: CountingRegistry = field(default_factory=CountingRegistry)
    chance: float = 0.0
    wire: ResponseWire = WIRE

    def __post_init__(self) -> None:
        making = ResponseMaking(
            store=self.store,
            wire=self.wire,
            sink=self.sink,
            producer=Producer("serving-test", encode_event),
            table=response_cache.declared(),
            lifetimes=LIFETIMES,
            clock=self.clock,
            chance=lambda: self.chance,
        )
        self.cache = ResponseCache(making, ResponseMeters(self.registry))

    def counted(self, outcome: str) -> float:
        return self.registry.sums.get(("responses_total", outcome), 0)

    def refreshed(self, outcome: str) -> float:
        return self.registry.sums.get(("response_refreshes_total", outcome), 0)


def generated(store: FakeResponseStore) -> list[AnswerGenerated]:
    events = [decode_event(event) for event in store.events]
    return [event for event in events if isinstance(event, AnswerGenerated)]
