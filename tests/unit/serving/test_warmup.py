"""A process waits for the first answers, and says once what it waits for."""

import logging
from dataclasses import dataclass

import pytest

from domain.answers import Answer, AnswerKey, store
from domain.errors import Transient
from serving import warmup
from tests import logs
from tests.unit.serving.fakes import NOW

KEYS = AnswerKey("trending", "", "ja"), AnswerKey("trending", "", "en")


def packed(key: AnswerKey) -> bytes:
    answer = Answer(key, "text", [])
    return store(answer, version=7, now=NOW, ttl_seconds=60, hard_ttl_seconds=600).pack()


@dataclass
class Stages:
    """Redis as it is filled: each stage is what one look finds."""

    stages: list[dict[AnswerKey, bytes] | Transient]

    async def stored_answer(self, key: AnswerKey, seconds: float) -> bytes | None:
        stage = self.stages[0]
        if isinstance(stage, Transient):
            self.stages.pop(0)
            raise stage
        if key not in stage and len(self.stages) > 1:
            self.stages.pop(0)
            return None
        return stage.get(key)


async def test_what_is_missing_is_said_once_and_called_missing_not_damaged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ja, en = KEYS
    both = {key: packed(key) for key in KEYS}
    stages = Stages([Transient("gone"), {}, {}, {}, {ja: both[ja]}, both])
    with caplog.at_level(logging.INFO, logger="serving.warmup"):
        assert await warmup.first_answers(stages) == both[ja]
    assert [record.getMessage().partition(": ")[2] for record in logs.here(caplog)] == [
        "gone",
        f"{ja.redis_key()} is not published",
        f"{en.redis_key()} is not published",
    ]
