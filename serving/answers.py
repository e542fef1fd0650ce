"""Stored answers on their way out: checked once, spliced with what only the reader knows.

Nothing is decoded: an answer that equals the one seen last under its key needs no check either.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from domain.answers import Answer, StoredAnswer
from domain.errors import Malformed
from domain.events import Locale

MAX_SEEN = 1024

Source = Literal["precomputed", "stale", "fallback"]


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer found undamaged, with the bytes that it was found in."""

    stored: bytes
    body: bytes
    generated_at: float
    soft_expires_at: float


class SeenAnswers:
    """The answers seen last, one for each key: what is left when Redis does not answer."""

    def __init__(self, limit: int = MAX_SEEN) -> None:
        self._limit = limit
        self._seen: dict[str, Seen] = {}

    def check(self, key: str, stored: bytes) -> Seen | None:
        """The answer in these bytes, None for any that are not an undamaged answer."""
        seen = self._seen.get(key)
        if seen is not None and seen.stored == stored:
            return seen
        try:
            answer = StoredAnswer.unpack(stored)
        except Malformed:
            return None
        seen = Seen(stored, answer.body, answer.generated_at, answer.soft_expires_at)
        self._keep(key, seen)
        return seen

    def last(self, key: str) -> Seen | None:
        """The answer seen last under this key."""
        return self._seen.get(key)

    def _keep(self, key: str, seen: Seen) -> None:
        if key not in self._seen and len(self._seen) >= self._limit:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = seen


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
            made = Seen(b"", self._make(locale).body(0, now), now, now)
            self._made[locale] = made
        return made


def splice(answer: Seen, source: Source, age_seconds: float, event_id: str) -> bytes:
    """The whole JSON body."""
    return b'%b,"source":"%b","age_seconds":%.3f,"event_id":"%b"}' % (
        answer.body,
        source.encode(),
        age_seconds,
        event_id.encode(),
    )
