"""What the operator is told of a kind that was made anew."""

import pytest

from cli.answers_refresh import outcome
from domain.ports import PublishedSet


def published(kind: str, answers: int) -> PublishedSet:
    return PublishedSet(kind=kind, version=7, generated_at=0.0, tick=None, answers=answers)


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (published("genre", 3), published("genre", 9), "genre: version 7"),
        (
            published("genre", 0),
            published("genre", 106),
            "genre: no genre or demographic has 5 titles to list, 106 withdrawn",
        ),
        (published("title", 0), None, "title: the catalogue gives no answers"),
    ],
)
def test_a_kind_without_answers_says_why(
    now: PublishedSet, before: PublishedSet | None, said: str
) -> None:
    assert outcome(now, before) == said
