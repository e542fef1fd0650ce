"""For whom an answer of the model may be kept, and what may go into it therefore.

Nothing of who asks, nor of what was said before, goes into an answer that others may be given.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from config.models import Model
from domain.model_answers import NOTHING_KNOWN, Background
from domain.questions import Question, QuestionKind
from domain.response_cache import Asked, Scope, scope_of

KIND = QuestionKind.CHAT.value
"""What answers of the model are, whatever they were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseScope:
    """Decides it, for one process; `pseudonym` stands for a user, and is empty for nobody."""

    own_words: re.Pattern[str]
    pseudonym: Callable[[str], str]
    model_of: Callable[[str], Model]
    prompt_version: str
    catalogue: Callable[[], str]
    """The version of the catalogue of the moment."""

    def asked(
        self, question: Question, words: str, owner: str, known: Background
    ) -> tuple[Asked | None, Background]:
        """What the response depends on, and what goes into its prompt.

        None where it is kept for nobody.
        """
        scope = scope_of(
            words, is_public=known.is_first, user=self.pseudonym(owner), own_words=self.own_words
        )
        used = NOTHING_KNOWN if scope is not None and scope.is_public else known
        if scope is None:
            return None, used
        return self._in(scope, question, words, "" if scope.is_public else used.digest()), used

    def of_one_turn(self, question: Question, words: str, event_id: str) -> Asked:
        """What a response depends on that no other question is ever given."""
        return self._in(Scope(event_id), question, words, "")

    def _in(self, scope: Scope, question: Question, words: str, context: str) -> Asked:
        model = self.model_of(words)
        return Asked(
            scope=scope,
            locale=question.locale,
            kind=KIND,
            question=words,
            model=f"{model.provider}:{model.id}",
            prompt_version=self.prompt_version,
            catalogue=self.catalogue(),
            context=context,
        )
