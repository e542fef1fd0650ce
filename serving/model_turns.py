"""What the turns share that the model may have to answer: one `ModelPath` for each process."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Protocol

from config.budgets import Budgets
from domain.events import QuestionTaken
from domain.questions import Question
from domain.response_cache import Generated
from serving.context import Context
from serving.desk import Desk
from serving.exchange import Exchange, refuse
from serving.generating import Generating
from serving.generation_meters import GenerationMeters
from serving.ladder import Ladder
from serving.model_turn import ModelTurn
from serving.problems import internal_error
from serving.response_cache import ResponseCache
from serving.response_scope import ResponseScope
from serving.similar_questions import SimilarQuestions
from serving.spending import Allowances

log = logging.getLogger(__name__)


class ReadsContexts(Protocol):
    """Reads what is known before a question; see `serving/context.py`."""

    async def read(self, session_id: str, user: str, *, is_new: bool = False) -> Context:
        """What is known, as far as it could be read; of a new session there are no turns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPath:
    """The parts, and what is under way."""

    generating: Generating
    cache: ResponseCache
    contexts: ReadsContexts
    scope: ResponseScope
    ladder: Ladder
    budgets: Budgets
    history_turns: int
    meters: GenerationMeters
    allowances: Allowances
    similar: SimilarQuestions | None
    """Finds the reviewed question that asks the same, where that is switched on."""
    under_way: set[asyncio.Task[None]]
    alone: set[asyncio.Task[Generated]] = field(default_factory=set)
    """Answers being made that nobody shares."""

    def open(
        self, desk: Desk, exchange: Exchange, question: Question, event: QuestionTaken
    ) -> ModelTurn:
        """The turn of this question."""
        return ModelTurn(self, desk, exchange, question, event)

    def start(self, steps: Coroutine[None, None, None], exchange: Exchange) -> None:
        """Go on in the background, until the client leaves."""
        task = asyncio.create_task(_answered(steps, exchange), name="answer of the model")
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        if exchange.trace is not None:
            task.add_done_callback(exchange.trace.done)
        exchange.when_abandoned(task.cancel)

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self.under_way:
            task.cancel()
        await asyncio.gather(*self.under_way, return_exceptions=True)
        if self.similar is not None:
            await self.similar.close()
        await self.cache.close()


async def _answered(steps: Coroutine[None, None, None], exchange: Exchange) -> None:
    try:
        await steps
    except Exception:  # the edge of a background task: the client gets no stack trace
        log.exception("a question failed")
        refuse(exchange, internal_error())
