"""Makes the first request as fast as the thousandth: runs the hot path before traffic comes.

It reads real answers over the real connection, then answers questions through the real route
with a stand-in for Redis, so that nothing is written and nothing is counted.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from adapters.redis_serving import Answered, First
from domain.answers import AnswerKey, Damaged, StoredAnswer, hash_of
from domain.errors import Transient
from domain.events import Locale
from serving.exchange import HeaderList
from serving.outbox import Reader
from serving.tracing import RequestTrace

log = logging.getLogger(__name__)

ROUNDS = 200
RETRY_SECONDS = 0.1
READ_SECONDS = 1.0
QUESTIONS = (
    "今週の人気マンガを教えて", "what's popular this week", "新刊はありますか", "new releases",
    "少年漫画のおすすめ", "show me fantasy manga", "ワンピース 最新刊", "one piece latest volume",
    "送料はいくらですか", "where is my order?",
)  # fmt: skip

_LOCALES: tuple[Locale, ...] = ("ja", "en")


async def first_answers(reader: Reader) -> bytes:
    """A stored answer, as soon as the first are published."""
    said = ""
    while True:
        try:
            return await _first_answer(reader)
        except (Transient, Damaged) as error:
            if str(error) != said:
                said = str(error)
                log.info("the first answers cannot be read yet: %s", said)
        await asyncio.sleep(RETRY_SECONDS)


async def _first_answer(reader: Reader) -> bytes:
    """Raises Transient while one is missing, Damaged for one that is not sound."""
    keys = [AnswerKey("trending", "", locale) for locale in _LOCALES]
    found = []
    for key in keys:
        stored = await reader.stored_answer(key, READ_SECONDS)
        if stored is None:
            raise Transient(f"{key.redis_key()} is not published")
        StoredAnswer.unpack(stored, key.redis_key())
        found.append(stored)
    return found[0]


async def exercise(ask: "Callable[[DryExchange], None]", reader: Reader) -> None:
    """Run the hot path often enough that nothing on it happens for the first time."""
    key = AnswerKey("trending", "", "ja")
    for turn in range(ROUNDS):
        body = {"session_id": "warm-up", "message": QUESTIONS[turn % len(QUESTIONS)]}
        ask(DryExchange(msgspec.json.encode(body)))
        if turn % len(QUESTIONS) == 0:
            await reader.stored_answer(key, READ_SECONDS)


def freeze() -> None:
    """Take what lives as long as the process out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@dataclass(slots=True)
class DryExchange:
    """A request that nobody sent."""

    body: bytes | bytearray
    headers: HeaderList = ((b"content-type", b"application/json"),)
    started: float = 0.0
    query: bytes = b""
    trace: RequestTrace | None = None
    status: int = 0

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        """Keep the status."""
        self.status = status

    def when_abandoned(self, tell: Callable[[], object]) -> None:
        """Nobody leaves."""


class DryStock:
    """Redis where every question has the same stored answer and no event is kept."""

    def __init__(self, stored: bytes) -> None:
        self._answer = StoredAnswer.unpack(stored)
        self._packed: dict[str, bytes] = {}

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
        """Find the answer, as it would be stored under the key."""
        if answer_key not in self._packed:
            answer = replace(self._answer, key_hash=hash_of(answer_key))
            self._packed[answer_key] = answer.pack()
        found(self._packed[answer_key], False)

    def append(
        self,
        events: Sequence[tuple[str, bytes]],
        seconds: float,
        written: Callable[[Sequence[Transient | None]], None],
    ) -> None:
        """Confirm everything."""
        written([None] * len(events))

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Leave everything as it is."""


class DryRegistry:
    """Metrics that go nowhere."""

    def counter(self, name: str, **labels: str) -> "DryMetric":
        """A counter."""
        return DryMetric()

    histogram = gauge = counter


class DryMetric:
    """A metric that forgets."""

    def inc(self, amount: float = 1) -> None:
        """Forget it."""

    def observe(self, value: float) -> None:
        """Forget it."""

    def set(self, value: float) -> None:
        """Forget it."""
