"""One question between its one round trip and its response.

Degrades and never fails for a dependency: fresh, stale, the answer seen last, the built-in one.
"""

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from adapters.redis_multiplexed import Late
from adapters.redis_serving import Answered, Begun, Complaint, First, Looked
from config.failpoints import Failpoint, reach
from domain.answers import Damage, Damaged
from domain.errors import MangaAssistError, Refused, Transient
from domain.events import AnswerServed, RecommendationServed
from domain.questions import Question
from domain.tracing import Value
from serving.answers import Seen, Source, splice
from serving.desk import Desk
from serving.exchange import JSON_LINES, Exchange, guarded
from serving.problems import forbidden, too_busy
from serving.tracing import Part

OK = int(HTTPStatus.OK)  # reading a member of an enum takes as long as the rest of a header

Segments = tuple[tuple[str, float], ...]


class Turn:
    """One question between its one round trip and its response."""

    __slots__ = (
        "after", "answered_at", "asked_at", "before", "desk", "encoded", "event", "exchange",
        "place", "question", "remark", "route", "started",
    )  # fmt: skip

    route: str
    """What the metrics call the way that the question came."""
    started: float
    asked_at: float
    answered_at: float
    before: Segments
    """The segments before Redis was asked, with their seconds; `after` are those behind it."""
    after: Segments
    remark: str
    """What else Server-Timing says, each entry behind a comma."""

    def __init__(
        self,
        desk: Desk,
        exchange: Exchange,
        question: Question,
        event: AnswerServed | RecommendationServed,
    ) -> None:
        self.desk = desk
        self.exchange = exchange
        self.question = question
        self.event = event
        self.encoded = desk.producer.encode(event)
        self.place = desk.places.of(question)
        self.after = ()
        self.remark = ""

    def serve(self, session_id: str, *, first: First | None = None) -> None:
        """Ask Redis for the answer, and hand the event over with that."""
        reach(Failpoint.SERVING_BEFORE_REDIS)
        self.desk.stock.serve(
            answer_key=self.place.key,
            fallback_key=self.place.fallback_key,
            session_id=session_id,
            owner=self.event.owner,
            event=self.encoded,
            seconds=self.desk.redis_seconds,
            found=self.found,
            first=first,
        )

    def found(self, stored: Answered, is_fallback: bool) -> None:
        """Respond with what Redis had to say; what it did not write is kept elsewhere first."""
        if isinstance(stored, Begun):
            stored = stored.stored
        self.answered_at = time.perf_counter()
        reach(Failpoint.SERVING_AFTER_REDIS)
        if self.exchange.trace is not None:
            self.exchange.trace.redis = _outcome(stored, is_fallback)
        if type(stored) is bytes or stored is None:
            self._copy(stored, is_fallback)
        elif isinstance(stored, Complaint):
            self._complain(stored, is_fallback)
        elif isinstance(stored, Transient):
            if isinstance(stored, Late):
                self.desk.meters.budget_exceeded("redis").inc()
            self._keep(stored, is_fallback)
        else:  # somebody else's session
            self._finish(stored, is_fallback, is_kept=True)

    def _complain(self, complaint: Complaint, is_fallback: bool) -> None:
        for key in complaint.spoilt:
            self._mend(key, b"", Damage.WRONG_TYPE)
        if complaint.unwritten is not None:
            self._keep(complaint.stored, is_fallback)
        else:
            self._copy(complaint.stored, is_fallback)

    def _copy(self, stored: bytes | None, is_fallback: bool) -> None:
        self.desk.sink.copy(
            (self.encoded,), lambda: self._finish(stored, is_fallback, is_kept=True)
        )

    def _keep(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        self.desk.sink.keep(
            self.event.type,
            (self.encoded,),
            lambda is_kept: self._finish(stored, is_fallback, is_kept=is_kept),
            is_audited=self.event.is_audited,
        )

    def _mend(self, key: str, damaged: bytes, damage: Damage) -> None:
        place = self.place
        named = place.own if key == place.key else place.fallback
        self.desk.mending.report(named, damaged, damage)

    def _finish(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool, *, is_kept: bool
    ) -> None:
        guarded(
            lambda: self._answer(stored, is_fallback, is_kept=is_kept),
            self.route,
            self.exchange,
            self.desk.meters.refused,
        )

    def _answer(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool, *, is_kept: bool
    ) -> None:
        if isinstance(stored, Refused):
            raise forbidden(
                "the session belongs to another user, or was opened before signing in: "
                "open one with another session_id"
            )
        if not is_kept:
            raise too_busy("the question can't be taken note of at the moment, ask again")
        self.settle(stored, is_fallback)
        reach(Failpoint.SERVING_AFTER_RESPONSE)

    def settle(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        """Respond with the best answer there is, now or later."""
        self.respond(*self.choose(stored, is_fallback))

    def choose(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool
    ) -> tuple[Seen, Source]:
        place, seen, now = self.place, self.desk.seen, self.event.occurred_at
        if type(stored) is bytes:
            key = place.fallback_key if is_fallback else place.key
            try:
                answer = seen.check(key, stored)
            except Damaged as error:  # as if it were not there
                self._mend(key, stored, error.damage)
            else:
                if key is place.fallback_key:
                    return answer, "fallback"
                return answer, "stale" if now > answer.soft_expires_at else "precomputed"
        elif isinstance(stored, MangaAssistError):
            last = seen.last(place.key, now)
            if last is not None:
                return last, "fallback" if place.key is place.fallback_key else "stale"
        last = seen.last(place.fallback_key, now)
        return last or self.desk.built_in.get(self.question.locale), "fallback"

    def respond(self, answer: Seen, source: Source) -> None:
        """Send the answer, with where it comes from and what took how long."""
        total_seconds = time.perf_counter() - self.started
        age = max(0.0, self.event.occurred_at - answer.generated_at)
        redis = ("redis", self.answered_at - self.asked_at)
        segments = (*self.before, redis, *self.after)
        event_id = self.event.event_id
        timing = ", ".join([f"{name};dur={seconds * 1000:.3f}" for name, seconds in segments])
        lines = (
            b"%bx-answer-source: %b\r\nx-event-id: %b\r\nserver-timing: %b, total;dur=%.3f%b\r\n"
        ) % (
            JSON_LINES,
            source.encode(),
            event_id.encode(),
            timing.encode(),
            total_seconds * 1000,
            self.remark.encode(),
        )
        self.exchange.respond(OK, lines, splice(answer, source, age, event_id))
        self._measure(source, age, (*self.before, redis), total_seconds)
        if self.exchange.trace is not None:
            self.exchange.trace.answered(OK, self.parts(), self._said(answer, source))

    def parts(self) -> Iterator[Part]:
        """The segments that took time, for a turn that is traced."""
        yield from in_a_row(self.before, self.started, self.asked_at)
        yield Part("redis", self.asked_at, self.answered_at)

    def rung_of(self, answer: Seen, source: Source) -> str:
        """The rung of the ladder that this answer stands on."""
        if source == "fallback":
            return "generic" if answer.stored else "canned"
        return "stale" if source == "stale" else "fresh"

    def _said(self, answer: Seen, source: Source) -> Mapping[str, Value]:
        return {
            "mangaassist.source": source,
            "mangaassist.rung": self.rung_of(answer, source),
            "mangaassist.kind": self.question.kind.value,
            "mangaassist.locale": self.question.locale,
        }

    def _measure(
        self, source: Source, age: float, segments: Segments, total_seconds: float
    ) -> None:
        meters = self.desk.meters
        meters.requests(self.route, source).inc()
        meters.request_seconds(self.route).observe(total_seconds)
        for name, seconds in segments:
            meters.segment_seconds(name).observe(seconds)
        kind = "fallback" if source == "fallback" else self.question.kind
        meters.answer_age(kind).observe(age)


def in_a_row(segments: Segments, started: float, ended: float) -> Iterator[Part]:
    """Segments that followed each other up to this moment, but for the first."""
    (first, seconds), *others = segments
    yield Part(first, started, started + seconds)
    for name, seconds in reversed(others):
        yield Part(name, ended - seconds, ended)
        ended -= seconds


def _outcome(stored: Looked, is_fallback: bool) -> str:
    """What Redis had to say, for the span of the request."""
    if isinstance(stored, Complaint):
        return "damaged" if stored.spoilt else "unwritten"
    if isinstance(stored, MangaAssistError):
        if not isinstance(stored, Transient):
            return "refused"
        return "late" if isinstance(stored, Late) else "unavailable"
    if stored is None:
        return "nothing"
    return "fallback" if is_fallback else "hit"
