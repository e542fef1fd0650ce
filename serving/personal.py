"""Answers that are one user's own: the stored one, else one that is made while the user waits.

A turn here has the one round trip of every question. Where that finds no answer of the user's, the
popular titles that came with it wait until a recommendation is made or the time is over. Of one
that was made of another catalogue only the titles that are in this one too are shown, and popular
ones behind them. What is answered after the round trip is told to the session by an event of its
own.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from config import texts
from domain.answers import AnswerKey, Damage, Damaged, StoredAnswer
from domain.catalogue import Catalogue
from domain.errors import MangaAssistError
from domain.events import QuestionTaken, RecommendationServed
from domain.personal_answers import catalogue_in, recommendation_key, render, unpack, version_at
from domain.questions import Question
from domain.recommendations import presentable
from domain.sentences import Phrases
from serving.answers import Seen, Source
from serving.completing import Completed, CompletingTurn
from serving.desk import Desk
from serving.exchange import Exchange, guarded
from serving.personal_bodies import cut_own, cut_popular, recommended
from serving.places import Place
from serving.recommending import SEGMENTS, Made, Recommending, Spent
from serving.tracing import Part


class PersonalAnswers:
    """Opens the turns of questions for recommendations."""

    def __init__(
        self,
        recommending: Recommending,
        catalogue: Callable[[], Catalogue | None],
        *,
        limit: int,
        keep_task: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.recommending = recommending
        self.catalogue = catalogue
        self.limit = limit
        self.keep_task = keep_task

    def open(
        self,
        desk: Desk,
        exchange: Exchange,
        question: Question,
        event: QuestionTaken | RecommendationServed,
    ) -> "PersonalTurn":
        """The turn of this question."""
        return PersonalTurn(self, desk, exchange, question, event)


class PersonalTurn(CompletingTurn):
    """One question for recommendations, of a user or of somebody unknown."""

    __slots__ = ("answers", "catalogue_version", "limit", "spent")

    def __init__(
        self,
        answers: PersonalAnswers,
        desk: Desk,
        exchange: Exchange,
        question: Question,
        event: QuestionTaken | RecommendationServed,
    ) -> None:
        catalogue = answers.catalogue()
        if event.owner and catalogue is not None:
            event = replace(event, catalogue=catalogue.version)
        super().__init__(desk, exchange, question, event)
        self.catalogue_version = event.catalogue
        self.answers = answers
        self.limit = answers.limit
        self.spent = Spent()
        self.after = tuple((name, 0.0) for name in SEGMENTS[1:])
        if event.owner:
            popular = AnswerKey(question.kind, "", question.locale)
            self.place = Place(
                recommendation_key(event.owner), popular.redis_key(), popular, popular
            )

    def settle(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        """Respond with the user's own answer, or have one made; nobody's else is looked at."""
        if not self.event.owner:
            super().settle(stored, is_fallback)
            return
        if type(stored) is bytes and not is_fallback:
            mine = self._mine(stored)
            if mine is not None:
                self._complete(mine)
                return
            stored, is_fallback, self.is_told = None, True, False
        self.answers.keep_task(asyncio.create_task(self._make(stored, is_fallback)))

    def choose(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool
    ) -> tuple[Seen, Source]:
        """The popular titles, as many as were asked for."""
        answer, source = super().choose(stored, is_fallback)
        return replace(answer, body=self._shortened(answer.body, cut_popular)), source

    def _shortened(self, body: bytes, cut: Callable[[bytes, int, Phrases], bytes]) -> bytes:
        if self.limit >= self.answers.limit:
            return body
        return cut(body, self.limit, texts.declared())

    def parts(self) -> Iterator[Part]:
        """The segments of the one round trip, and those of making one."""
        again = self.spent.seconds.get("redis", 0.0)
        for part in super().parts():
            yield part._replace(ended=part.ended - again) if part.name == "redis" else part
        yield from self.spent.parts

    async def _make(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        spent, recommending = self.spent, self.answers.recommending
        seconds = recommending.total_seconds - (time.perf_counter() - self.started)
        found = await recommending.find(self.event.owner, seconds, spent)
        self.answered_at += spent.seconds.get("redis", 0.0)
        self.after = tuple((name, spent.seconds.get(name, 0.0)) for name in SEGMENTS[1:])

        def respond() -> None:
            made = self._rendered(found.made) if found is not None else None
            if made is None or found is None:
                answer, source = self.choose(stored, is_fallback)
                rung = "generic" if answer.stored else "canned"
                self._complete(Completed(answer, source, rung))
            else:
                source = "cache" if found.is_remembered else "model"
                self._complete(Completed(made, source, "fresh"))

        guarded(respond, self.route, self.exchange, self.desk.meters.refused)

    def _mine(self, stored: bytes) -> Completed | None:
        """The user's own answer in these bytes, as far as the catalogue has its titles."""
        try:
            answer = unpack(stored, self.event.owner, self.question.locale)
        except Damaged as error:
            self.desk.meters.invalid(error.damage).inc()
            # The one that is made now could not replace it: what it says of its age is damaged too.
            self.desk.stock.drop(self.place.key, stored, self.desk.redis_seconds)
            return None
        if catalogue_in(answer.preview) != self.catalogue_version:
            return self._outdated(answer)
        seen = Seen(
            b"",
            self._shortened(answer.body, cut_own),
            answer.generated_at,
            answer.soft_expires_at,
            answer.hard_expires_at,
        )
        if self.event.occurred_at > answer.soft_expires_at:
            return Completed(seen, "stale", "stale")
        return Completed(seen, "precomputed", "fresh")

    def _outdated(self, answer: StoredAnswer) -> Completed | None:
        """What is left of an answer of another catalogue; who reads the event has it made anew."""
        self.is_told = False
        made = Made(self.event.owner, recommended(answer.body), (), answer.generated_at)
        left = self._rendered(made)
        return Completed(left, "stale", "stale") if left is not None else None

    def _rendered(self, made: Made) -> Seen | None:
        catalogue = self.answers.catalogue()
        if catalogue is None or made.user_id != self.event.owner:
            return None
        rows = presentable(made.items, catalogue, set(made.recent), self.limit)
        if not rows:
            return None
        answer = render(rows, texts.declared(), self.question.locale)
        at = made.generated_at
        return Seen(b"", answer.body(version_at(at), at), at, at, at)

    def _mend(self, key: str, damaged: bytes, damage: Damage) -> None:
        if key == self.place.key and self.event.owner:
            self.desk.meters.invalid(damage).inc()
        else:
            super()._mend(key, damaged, damage)
