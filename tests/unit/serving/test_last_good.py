"""The answers that are served without Redis: bounded, followed as they are published."""

from dataclasses import dataclass, field

import pytest

from domain.answers import Answer, AnswerKey, Damaged, store
from domain.errors import Transient
from serving.answers import SeenAnswers
from serving.last_good import LastGood
from tests.unit.serving.fakes import NOW

ACTION, SPORTS, TRENDING = (
    AnswerKey("genre", "action", "en"),
    AnswerKey("genre", "sports", "en"),
    AnswerKey("trending", "", "ja"),
)


def packed(key: AnswerKey, text: str = "text") -> bytes:
    answer = Answer(key, text, [])
    return store(answer, version=7, now=NOW, ttl_seconds=60, hard_ttl_seconds=600).pack()


def published(*keys: AnswerKey, text: str = "text") -> dict[str, bytes]:
    return {name: packed(key, text) for key in keys for name in key.redis_keys()}


@dataclass
class FakeSets:
    """The published sets of each kind, by version."""

    sets: dict[str, tuple[bytes, dict[str, bytes] | None]] = field(default_factory=dict)
    reads: list[tuple[str, bytes]] = field(default_factory=list)
    fault: Transient | None = None

    async def versions(self, kinds: list[str], seconds: float) -> list[bytes | None]:
        if self.fault is not None:
            raise self.fault
        return [self.sets[kind][0] if kind in self.sets else None for kind in kinds]

    async def published(self, kind: str, version: bytes, seconds: float) -> dict[str, bytes] | None:
        self.reads.append((kind, version))
        return self.sets[kind][1]


def names(seen: SeenAnswers, *keys: AnswerKey, now: float = NOW) -> list[AnswerKey]:
    return [key for key in keys if seen.last(key.redis_key(), now) is not None]


def watch(sets: FakeSets) -> tuple[LastGood, SeenAnswers]:
    seen = SeenAnswers()
    return LastGood(sets, ["genre", "trending", "title"], seen), seen  # type: ignore[arg-type]


async def test_every_published_answer_is_known_though_nobody_asked() -> None:
    sets = FakeSets(
        {"genre": (b"1", published(ACTION, SPORTS)), "trending": (b"5", published(TRENDING))}
    )
    last_good, seen = watch(sets)
    await last_good.refresh()
    assert names(seen, ACTION, SPORTS, TRENDING) == [ACTION, SPORTS, TRENDING]
    assert names(seen, ACTION, now=NOW + 600) == []


async def test_only_a_set_whose_version_changed_is_read() -> None:
    sets = FakeSets({"genre": (b"1", published(ACTION)), "trending": (b"5", published(TRENDING))})
    last_good, seen = watch(sets)
    await last_good.refresh()
    sets.sets["genre"] = (b"2", published(ACTION, text="newer"))
    await last_good.refresh()
    assert sets.reads == [("genre", b"1"), ("trending", b"5"), ("genre", b"2")]
    found = seen.last(ACTION.redis_key(), NOW)
    assert found is not None
    assert b"newer" in found.body


async def test_an_answer_that_was_withdrawn_is_forgotten() -> None:
    sets = FakeSets({"genre": (b"2", published(ACTION, SPORTS))})
    last_good, seen = watch(sets)
    await last_good.refresh()
    sets.sets["genre"] = (b"1", published(ACTION))  # as after a rollback
    await last_good.refresh()
    assert names(seen, ACTION, SPORTS) == [ACTION]


async def test_of_a_kind_that_was_withdrawn_everything_is_forgotten() -> None:
    sets = FakeSets({"genre": (b"1", published(ACTION, SPORTS))})
    last_good, seen = watch(sets)
    await last_good.refresh()
    sets.sets["genre"] = (b"2", {})
    await last_good.refresh()
    assert names(seen, ACTION, SPORTS) == []


async def test_a_set_that_was_replaced_meanwhile_is_read_the_next_time() -> None:
    sets = FakeSets({"genre": (b"1", None)})
    last_good, seen = watch(sets)
    await last_good.refresh()
    sets.sets["genre"] = (b"1", published(ACTION))
    await last_good.refresh()
    assert names(seen, ACTION) == [ACTION]


async def test_damaged_answers_are_left_out_and_the_others_kept() -> None:
    answers = {**published(ACTION), SPORTS.redis_key(): packed(SPORTS)[:-1]}
    last_good, seen = watch(FakeSets({"genre": (b"1", answers)}))
    await last_good.refresh()
    assert names(seen, ACTION, SPORTS) == [ACTION]


async def test_without_redis_what_is_known_stays() -> None:
    sets = FakeSets({"genre": (b"1", published(ACTION))})
    last_good, seen = watch(sets)
    await last_good.refresh()
    sets.fault = Transient("gone")
    with pytest.raises(Transient):
        await last_good.refresh()
    assert names(seen, ACTION) == [ACTION]


def test_the_answers_seen_last_are_bounded_in_number() -> None:
    seen = SeenAnswers(limit=2)
    for key in (ACTION, SPORTS, TRENDING):
        seen.check(key.redis_key(), packed(key))
    assert names(seen, ACTION, SPORTS, TRENDING) == [SPORTS, TRENDING]


def test_the_answers_seen_last_are_bounded_in_bytes() -> None:
    seen = SeenAnswers(limit_bytes=5000)
    for key in (ACTION, SPORTS, TRENDING):
        seen.check(key.redis_key(), packed(key, "x" * 1000))
    assert names(seen, ACTION, SPORTS, TRENDING) == [SPORTS, TRENDING]


def test_an_answer_seen_is_replaced_by_a_newer_one_and_never_by_a_damaged_one() -> None:
    seen, key = SeenAnswers(), ACTION.redis_key()
    seen.check(key, packed(ACTION))
    seen.check(key, packed(ACTION, "newer"))
    with pytest.raises(Damaged):
        seen.check(key, packed(ACTION)[:-1])
    found = seen.last(key, NOW)
    assert found is not None
    assert b"newer" in found.body
