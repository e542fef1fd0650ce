"""Fakes of the request path's surroundings, typed by its ports."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.msgpack_wire import decode_event, encode_event
from adapters.redis_serving import Answered, Begun, Complaint, First
from adapters.redis_serving_events import Noted
from domain.answers import Answer, AnswerKey, StoredAnswer, store
from domain.errors import MangaAssistError, Transient
from domain.events import Event, Locale
from domain.questions import Question, QuestionKind
from serving.answers import BuiltInAnswers, SeenAnswers
from serving.chat import ChatRoute
from serving.desk import Desk
from serving.exchange import HeaderList, HotRoute, dispatch
from serving.feedback import FeedbackRoute
from serving.interactions import InteractionsRoute
from serving.keys import KeySet
from serving.mending import Mending
from serving.meters import Meters
from serving.noting import NotingDesk
from serving.outbox import Producer
from serving.tokens import Caller, Gate
from serving.tracing import RequestTrace

NOW = 1_800_000_000.0


@dataclass
class FakeStock:
    """Redis: answers by key, or one fault for everything."""

    answers: dict[str, bytes] = field(default_factory=dict)
    fault: MangaAssistError | None = None
    complaint: Complaint | None = None
    append_faults: Mapping[int, Transient] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    calls: int = 0
    owners: dict[str, str] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    """The sessions in which something was asked."""

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        if self.answers.get(key) == damaged:
            del self.answers[key]

    def serve(
        self,
        *,
        answer_key: str,
        fallback_key: str,
        session_id: str,
        owner: str,
        event: bytes,
        seconds: float,
        found: Callable[[Answered, bool], None],
        first: First | None = None,
    ) -> None:
        self.calls += 1
        if self.fault is not None:
            found(self.fault, False)
            return
        if self.complaint is not None:
            found(self.complaint, False)
            return
        self.events.append(decode_event(event))
        is_begun = first is not None and session_id in self.begun
        self.begun.add(session_id)
        key = fallback_key if is_begun and first is First.REQUIRE else answer_key
        is_own = key != fallback_key and key in self.answers
        stored = self.answers.get(key if is_own else fallback_key)
        found(Begun(stored) if is_begun else stored, not is_own)

    def append(
        self,
        events: Sequence[tuple[str, bytes]],
        seconds: float,
        written: Callable[[Sequence[Transient | None]], None],
    ) -> None:
        self.calls += 1
        self.events += [decode_event(event) for _, event in events]
        written([self.append_faults.get(place) for place in range(len(events))])

    def note(
        self,
        session_id: str,
        owner: str,
        event: bytes,
        seconds: float,
        noted: Callable[[Noted | Transient], None],
    ) -> None:
        if isinstance(self.fault, Transient):
            noted(self.fault)
        elif session_id not in self.owners:
            noted(Noted.UNKNOWN)
        elif self.owners[session_id] != owner:
            noted(Noted.FOREIGN)
        else:
            self.events.append(decode_event(event))
            noted(Noted.WRITTEN)


@dataclass
class FakeSink:
    """The spool: what it was given by kind, at once; `is_full` takes nothing."""

    is_full: bool = False
    kept: list[tuple[str, Event]] = field(default_factory=list)
    copied: list[Event] = field(default_factory=list)

    def keep(
        self, kind: str, events: Sequence[bytes], done: Callable[[bool], None], *, is_audited: bool
    ) -> None:
        if not self.is_full:
            self.kept += [(kind, decode_event(event)) for event in events]
        done(not self.is_full)

    def copy(self, events: Sequence[bytes], done: Callable[[], None]) -> None:
        if not self.is_full:
            self.copied += map(decode_event, events)
        done()


@dataclass
class FakeMenders:
    """Mending: what was asked for."""

    mended: list[tuple[AnswerKey, bytes, Event]] = field(default_factory=list)
    outcome: str | Transient | None = "rebuilt"

    async def mend(
        self, key: AnswerKey, damaged: bytes, event: bytes, seconds: float
    ) -> str | None:
        self.mended.append((key, damaged, decode_event(event)))
        if isinstance(self.outcome, Transient):
            raise self.outcome
        return self.outcome


@dataclass
class FakeExchange:
    """A request and the response to it."""

    body: bytes | bytearray
    headers: HeaderList = ((b"content-type", b"application/json"),)
    started: float = 0.0
    query: bytes = b""
    trace: RequestTrace | None = None
    status: int = 0
    lines: bytes = b""
    answer: bytes = b""
    leave: Callable[[], object] = bool
    """The client goes."""

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        if not self.status:
            self.status, self.lines, self.answer = status, lines, body

    def when_abandoned(self, tell: Callable[[], object]) -> None:
        self.leave = tell

    @property
    def json(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.answer)
        return document


@dataclass
class CountingRegistry:
    """Metrics as sums by name and label values."""

    sums: dict[tuple[str, ...], float] = field(default_factory=dict)

    def counter(self, name: str, **labels: str) -> "CountingMetric":
        return CountingMetric(self.sums, (name, *labels.values()))

    histogram = gauge = counter


@dataclass
class CountingMetric:
    sums: dict[tuple[str, ...], float]
    key: tuple[str, ...]

    def inc(self, amount: float = 1) -> None:
        self.sums[self.key] = self.sums.get(self.key, 0) + amount

    def observe(self, value: float) -> None:
        self.sums[self.key] = self.sums.get(self.key, 0) + value

    def set(self, value: float) -> None:
        self.sums[self.key] = value


class KnownCallers(Gate):
    """Takes `Bearer NAME` for the user NAME, and `Bearer NAME+SCOPE` with a scope."""

    def __init__(self) -> None:
        super().__init__(KeySet(""), issuer="", audience="")

    def caller(self, authorization: bytes | None) -> Caller:
        if authorization is None or authorization.count(b".") == 2:
            return super().caller(authorization)
        user, _, scope = authorization.decode().removeprefix("Bearer ").partition("+")
        return Caller(user, frozenset(scope.split()))


@dataclass
class RequestPath:
    """The hot routes over the same fakes."""

    stock: FakeStock
    registry: CountingRegistry
    chat: ChatRoute
    interactions: InteractionsRoute
    feedback: FeedbackRoute
    meters: Meters
    sink: FakeSink
    menders: FakeMenders
    mending: Mending

    def ask(self, body: object, *headers: tuple[bytes, bytes]) -> FakeExchange:
        return self.send(self.chat, body, *headers)

    def record(self, body: object, *headers: tuple[bytes, bytes]) -> FakeExchange:
        return self.send(self.interactions, body, *headers)

    def send(self, route: HotRoute, body: object, *headers: tuple[bytes, bytes]) -> FakeExchange:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        exchange = FakeExchange(content, [(b"content-type", b"application/json"), *headers])
        dispatch(route, exchange, self.meters.refused)
        assert exchange.status, "every request has a response"
        return exchange


def classify(message: str, locale: Locale | None) -> Question:
    if "popular" in message:
        return Question(QuestionKind.TRENDING, "", locale or "en")
    return Question(QuestionKind.CHAT, "", locale or "en")


def stored(
    kind: str = "trending", *, key: AnswerKey | None = None, age: float = 10.0, ttl: float = 900.0
) -> bytes:
    answer = Answer(key or AnswerKey(kind, "", "en"), f"the {kind} answer", [])
    published: StoredAnswer = store(
        answer, version=7, now=NOW - age, ttl_seconds=ttl, hard_ttl_seconds=10 * ttl
    )
    return published.pack()


def request_path() -> RequestPath:
    stock, registry = FakeStock(), CountingRegistry()
    meters, gate = Meters(registry), KnownCallers()
    producer = Producer("serving-test", encode_event)
    sink, menders = FakeSink(), FakeMenders()
    mending = Mending(menders, producer, meters.invalid, lambda: NOW)
    desk = Desk(
        stock=stock,
        sink=sink,
        producer=producer,
        seen=SeenAnswers(),
        mending=mending,
        built_in=BuiltInAnswers(
            lambda locale: Answer(AnswerKey("fallback", "", locale), "built in", []),
            lambda: NOW,
        ),
        meters=meters,
        redis_seconds=0.02,
        clock=lambda: NOW,
    )
    noting = NotingDesk(
        gate=gate,
        sink=sink,
        producer=producer,
        meters=meters,
        redis_seconds=0.1,
        clock=lambda: NOW,
    )
    return RequestPath(
        stock,
        registry,
        ChatRoute(desk, gate=gate, classify=classify),
        InteractionsRoute(noting, stock),
        FeedbackRoute(noting, stock),
        meters,
        sink,
        menders,
        mending,
    )
