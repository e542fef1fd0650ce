"""Stored answers on their way out: checked once, spliced with what only the reader knows.

Nothing is decoded: an answer that equals the one seen last under its key needs no check either.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from domain.answers import Answer, Damaged, StoredAnswer
from domain.events import Locale

MAX_SEEN = 8192
MAX_SEEN_BYTES = 64 * 1024 * 1024

Source = Literal["precomputed", "cache", "model", "stale", "fallback"]


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer found undamaged, with the bytes that it was found in."""

    stored: bytes
    body: bytes
    generated_at: float
    soft_expires_at: float
    hard_expires_at: float


class SeenAnswers:
    """The answers seen last, one for each key: what is left when Redis does not answer.

    Bounded in number and bytes; the one that came first goes first.
    """

    def __init__(self, limit: int = MAX_SEEN, limit_bytes: int = MAX_SEEN_BYTES) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._seen: dict[str, Seen] = {}

    def check(self, key: str, stored: bytes) -> Seen:
        """The answer in these bytes; raises Damaged unless they are a good one for this key."""
        seen = self._seen.get(key)
        if seen is not None and seen.stored == stored:
            return seen
        answer = StoredAnswer.unpack(stored, key)
        seen = Seen(
            stored,
            answer.body,
            answer.generated_at,
            answer.soft_expires_at,
            answer.hard_expires_at,
        )
        self._keep(key, seen)
        return seen

    def learn(self, key: str, stored: bytes) -> None:
        """Remember an answer that nobody has asked for; one that is no good is left out."""
        with contextlib.suppress(Damaged):
            self.check(key, stored)

    def last(self, key: str, now: float) -> Seen | None:
        """The answer seen last under this key, unless it is past its hard expiry."""
        seen = self._seen.get(key)
        return seen if seen is not None and now < seen.hard_expires_at else None

    def forget(self, key: str) -> None:
        """Drop an answer that was withdrawn."""
        seen = self._seen.pop(key, None)
        if seen is not None:
            self._bytes -= _weight(seen)

    def _keep(self, key: str, seen: Seen) -> None:
        self.forget(key)
        weight = _weight(seen)
        while self._seen and (
            len(self._seen) >= self._limit or self._bytes + weight > self._limit_bytes
        ):
            self.forget(next(iter(self._seen)))
        self._seen[key] = seen
        self._bytes += weight


class BuiltInAnswers:
    """The answer for when there is no other, made anew once a second so that its time is true."""

    def __init__(
        self, make: Callable[[Locale], Answer], clock: Callable[[], float] = time.time
    ) -> None:
        self._make = make
        self._clock = clock
        self._made: dict[Locale, Seen] = {}

    def get(self, locale: Locale) -> Seen:
        """The built-in answer in this locale."""
        now = self._clock()
        made = self._made.get(locale)
        if made is None or now - made.generated_at >= 1:
            made = Seen(b"", self._make(locale).body(0, now), now, now, now)
            self._made[locale] = made
        return made


def _weight(seen: Seen) -> int:
    return len(seen.stored) + len(seen.body)


def splice(answer: Seen, source: Source, age_seconds: float, event_id: str) -> bytes:
    """The whole JSON body."""
    return b'%b,"source":"%b","age_seconds":%.3f,"event_id":"%b"}' % (
        answer.body,
        source.encode(),
        age_seconds,
        event_id.encode(),
    )
