"""The mix of questions of a busy store, and custom ones of which no two are alike.

Which of them a precomputed answer fits is the classifier's word, as on the request path.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.recommending_app import SampleCatalogue
from bench.stored import Asked, asked
from config import answers
from domain.questions import QuestionKind
from serving.questions import QuestionClassifier

SHARES = {"trending": 0.22, "new_releases": 0.15, "genre": 0.12, "title": 0.08}
"""The rest, 43%, is custom."""

PRECOMPUTED: dict[str, Sequence[Asked]] = {
    "trending": (
        asked("what's popular this week", "trending", "", "en"),
        asked("今週の人気", "trending", "", "ja"),
        asked("人気ランキング", "trending", "", "ja"),
    ),
    "new_releases": (
        asked("new releases", "new_releases", "", "en"),
        asked("新刊", "new_releases", "", "ja"),
    ),
    "genre": (
        asked("show me shonen", "genre", "shonen", "en"),
        asked("少年漫画おすすめ", "genre", "shonen", "ja"),
    ),
    "title": (
        asked("One Piece latest volume", "title", "one-piece", "en"),
        asked("ワンピース 最新刊", "title", "one-piece", "ja"),
        asked("Akira", "title", "akira", "en"),
    ),
}
_TEMPLATES = (
    "Who drew {en} and when did it begin?",
    "{ja}の作者は誰で、いつ始まりましたか",
    "Is {en} finished or still running?",
    "{ja}は完結していますか、何巻ありますか",
    "What else is there for readers of {en}?",
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question and its kind; `key` names the stored answer that it must get."""

    kind: str
    message: str
    asked: Asked | None = None


def mix(count: int, skip: int = 0) -> list[Question]:
    """So many questions in the shares of the mix, shuffled; not the first `skip` custom ones."""
    chance = random.Random(7)
    questions = [
        Question(kind, row.message, row)
        for kind, share in SHARES.items()
        for row in itertools.islice(itertools.cycle(PRECOMPUTED[kind]), round(share * count))
    ]
    questions += itertools.islice(custom(), skip, skip + count - len(questions))
    chance.shuffle(questions)
    return questions


def custom() -> Iterator[Question]:
    """Custom questions, no two alike."""
    catalogue = SampleCatalogue().load()
    classify = QuestionClassifier(catalogue, answers.declared().patterns).classify
    for number in itertools.count():
        for template, title in itertools.product(_TEMPLATES, catalogue.by_popularity):
            text = template.format(en=title.title, ja=title.title_ja or title.title)
            message = f"{text} ({number})" if number else text
            if classify(message).kind is QuestionKind.CHAT:
                yield Question("custom", message)
