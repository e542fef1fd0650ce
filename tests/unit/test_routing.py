"""Which questions go to the large model, by the table that ships."""

import pytest

from config import models
from domain.prompts import Asked, Limits, assemble, estimated_tokens
from domain.routing import Router, Size

TABLE = models.load()
ROUTER = Router(TABLE.routing.long_question_tokens, TABLE.routing.phrases)
MAX_QUESTION = "漫" * 4000


@pytest.mark.parametrize(
    "question",
    [
        "is there anything with cooking in it",
        "who wrote Berserk",
        "whyever not",  # only whole words count
        "料理の漫画はありますか",
        "",
    ],
)
def test_simple_questions_go_to_the_small_model(question: str) -> None:
    assert ROUTER.size(question) is Size.SMALL


@pytest.mark.parametrize(
    "question",
    [
        "Compare Berserk and Vagabond",
        "WHY does everyone like it?",
        "something like Monster, but not as long",
        "ベルセルクとバガボンドの違いは？",
        "ドラゴンボール の ような 作品",
        "a " * 200,
        "あ" * 61,
    ],
)
def test_hard_and_long_questions_go_to_the_large_model(question: str) -> None:
    assert ROUTER.size(question) is Size.LARGE


def test_an_answers_version_names_prompt_provider_and_model() -> None:
    row = TABLE.models.small
    assert TABLE.version(row) == f"{TABLE.prompt_version}:{row.provider}:{row.id}"
    assert TABLE.version(row) != TABLE.version(TABLE.models.large)


@pytest.mark.parametrize("row", [TABLE.models.small, TABLE.models.large])
def test_the_longest_question_leaves_room_in_the_smallest_window(row: models.Model) -> None:
    prompt = assemble(
        TABLE.instructions.ja,
        Asked(question=MAX_QUESTION, facts=[{"title": "漫" * 200}] * 5),
        Limits(TABLE.history_turns, row.context_tokens),
    )
    assert estimated_tokens(MAX_QUESTION) <= prompt.tokens
    assert prompt.tokens + row.max_tokens < 16_000


def test_both_locales_are_instructed_in_their_language() -> None:
    assert "日本語で" in TABLE.instructions.of("ja")
    assert "English" in TABLE.instructions.of("en")
