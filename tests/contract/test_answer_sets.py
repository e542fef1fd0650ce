"""Published answers: the contract of `AnswerSets`, and what Redis adds to it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, takewhile

import pytest

from adapters.redis_answers import VERSIONS_KEPT, RedisAnswers
from adapters.redis_connection import RedisConnection
from adapters.redis_kept import KeptRedis
from adapters.redis_serving import ServingRedis
from domain.answers import AnswerKey, StoredAnswer
from domain.errors import Refused
from domain.ports import AnswerSets, PublishedSet, Written
from tests.fakes import NOW, FakeAnswerSets
from tests.samples import answer

KIND = "genre"
CATALOGUE = "v-1"
SECONDS = 30.0
ACTION = AnswerKey(KIND, "action", "ja")
SPORTS = AnswerKey(KIND, "sports", "en")


@dataclass
class Shelf:
    """The sets, and a reader of what is served."""

    sets: AnswerSets
    read: Callable[[AnswerKey], StoredAnswer | None]

    def publish(self, version: int, *keys: AnswerKey, tick: int | None = None) -> Written:
        return self.sets.publish(*publication(version, *keys, tick=tick))

    def versions(self, *keys: AnswerKey) -> list[int | None]:
        found = [self.read(key) for key in keys]
        return [None if it is None else it.version for it in found]


def publication(
    version: int, *keys: AnswerKey, tick: int | None = None, text: str = "text"
) -> tuple[PublishedSet, Mapping[AnswerKey, StoredAnswer]]:
    answers = {key: answer(key, version, text) for key in keys}
    return PublishedSet(keys[0].kind, version, NOW, tick, len(answers), CATALOGUE), answers


@pytest.fixture(params=["fake", "redis"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    if request.param == "fake":
        fake = FakeAnswerSets()
        return Shelf(fake, fake.read)
    sets = RedisAnswers(request.getfixturevalue("redis_connection"))
    return Shelf(sets, lambda key: sets.show(key.redis_key()))


def test_nothing_is_current_before_the_first_publication(shelf: Shelf) -> None:
    assert shelf.sets.current(KIND) is None


def test_a_published_set_is_served_and_described(shelf: Shelf) -> None:
    assert shelf.publish(7, ACTION, SPORTS, tick=3) is Written.APPLIED
    assert shelf.versions(ACTION, SPORTS) == [7, 7]
    assert shelf.sets.current(KIND) == PublishedSet(KIND, 7, NOW, 3, 2, CATALOGUE)


def test_a_version_that_is_not_newer_is_not_published(shelf: Shelf) -> None:
    shelf.publish(7, ACTION)
    assert shelf.publish(7, SPORTS) is Written.ALREADY_APPLIED
    assert shelf.publish(6, SPORTS) is Written.SUPERSEDED
    assert shelf.versions(ACTION, SPORTS) == [7, None]


def test_an_answer_that_the_new_set_lacks_is_gone(shelf: Shelf) -> None:
    shelf.publish(1, ACTION, SPORTS)
    shelf.publish(2, ACTION)
    assert shelf.versions(ACTION, SPORTS) == [2, None]


def test_kinds_do_not_disturb_each_other(shelf: Shelf) -> None:
    trending = AnswerKey("trending", "", "ja")
    shelf.publish(5, ACTION)
    shelf.publish(2, trending)
    assert shelf.versions(ACTION, trending) == [5, 2]


def test_a_rollback_serves_the_whole_set_before_and_holds(shelf: Shelf) -> None:
    shelf.publish(1, ACTION, SPORTS)
    shelf.publish(2, ACTION)
    assert not shelf.sets.held(KIND)
    assert shelf.sets.roll_back(KIND, 60).version == 1
    assert shelf.versions(ACTION, SPORTS) == [1, 1]
    assert shelf.sets.current(KIND) == PublishedSet(KIND, 1, NOW, None, 2, CATALOGUE)
    assert shelf.sets.held(KIND)


def test_a_kind_that_is_withdrawn_has_no_answers_and_can_be_returned_from(shelf: Shelf) -> None:
    shelf.publish(1, ACTION, SPORTS)
    none = PublishedSet(KIND, 2, NOW, 4, 0)
    assert shelf.sets.withdraw(none, 600) is Written.APPLIED
    assert shelf.sets.withdraw(none, 600) is Written.ALREADY_APPLIED
    assert shelf.versions(ACTION, SPORTS) == [None, None]
    assert shelf.sets.current(KIND) == none
    assert shelf.publish(2, ACTION) is Written.ALREADY_APPLIED
    shelf.sets.roll_back(KIND, 60)
    assert shelf.versions(ACTION, SPORTS) == [1, 1]


def test_a_rollback_passes_over_a_withdrawal(shelf: Shelf) -> None:
    shelf.publish(1, ACTION)
    shelf.sets.withdraw(PublishedSet(KIND, 2, NOW, None, 0), 600)
    shelf.publish(3, SPORTS)
    assert shelf.sets.roll_back(KIND, 60).version == 1
    assert shelf.versions(ACTION, SPORTS) == [1, None]


def test_withdrawals_leave_the_versions_to_return_to(shelf: Shelf) -> None:
    shelf.publish(1, ACTION)
    for version in range(2, 2 * VERSIONS_KEPT):
        shelf.sets.withdraw(PublishedSet(KIND, version, NOW, None, 0), 600)
    assert shelf.sets.roll_back(KIND, 60).version == 1
    assert shelf.versions(ACTION) == [1]


def test_a_rollback_without_a_version_before_is_refused(shelf: Shelf) -> None:
    with pytest.raises(Refused):
        shelf.sets.roll_back(KIND, 60)
    shelf.publish(1, ACTION)
    with pytest.raises(Refused):
        shelf.sets.roll_back(KIND, 60)
    assert shelf.versions(ACTION) == [1]


def test_two_rollbacks_go_back_two_versions(shelf: Shelf) -> None:
    for version in (1, 2, 3):
        shelf.publish(version, ACTION)
    shelf.sets.roll_back(KIND, 60)
    assert shelf.sets.roll_back(KIND, 60).version == 1


def test_a_newer_set_can_be_published_after_a_rollback(shelf: Shelf) -> None:
    shelf.publish(1, ACTION)
    shelf.publish(2, ACTION)
    shelf.sets.roll_back(KIND, 60)
    assert shelf.publish(3, ACTION) is Written.APPLIED
    shelf.sets.roll_back(KIND, 60)
    assert shelf.versions(ACTION) == [1]


def test_a_hold_can_be_ended(shelf: Shelf) -> None:
    shelf.publish(1, ACTION)
    shelf.publish(2, ACTION)
    shelf.sets.roll_back(KIND, 60)
    shelf.sets.release(KIND)
    assert not shelf.sets.held(KIND)


def test_one_answer_is_written_only_if_it_is_newer(shelf: Shelf) -> None:
    shelf.publish(5, ACTION)
    assert shelf.sets.write(ACTION, answer(ACTION, 5)) is Written.ALREADY_APPLIED
    assert shelf.sets.write(ACTION, answer(ACTION, 4)) is Written.SUPERSEDED
    assert shelf.sets.write(ACTION, answer(ACTION, 6)) is Written.APPLIED
    assert shelf.sets.write(SPORTS, answer(SPORTS, 1)) is Written.APPLIED
    assert shelf.versions(ACTION, SPORTS) == [6, 1]


def test_only_one_has_the_lease(shelf: Shelf) -> None:
    assert shelf.sets.claim(KIND, 60)
    assert not shelf.sets.claim(KIND, 60)
    shelf.sets.unclaim(KIND)
    assert shelf.sets.claim(KIND, 60)


def test_a_lease_that_somebody_else_took_since_stays_theirs(
    redis_connection: RedisConnection,
) -> None:
    mine, theirs = RedisAnswers(redis_connection), RedisAnswers(redis_connection)
    assert mine.claim(KIND, 60)
    redis_connection.client.delete(f"answer_lease:{KIND}")
    assert theirs.claim(KIND, 60)
    mine.unclaim(KIND)
    assert not mine.claim(KIND, 60)


def test_the_default_locale_is_also_served_under_the_key_without_one(
    redis_connection: RedisConnection,
) -> None:
    sets = RedisAnswers(redis_connection)
    sets.publish(*publication(1, AnswerKey("trending", "", "ja"), AnswerKey("trending", "", "en")))
    stored = redis_connection.client.mget("trending:manga:top10", "trending:manga:top10:ja")
    assert stored[0] == stored[1] is not None


def test_a_set_of_a_worker_that_did_not_name_its_catalogue_is_known(
    redis_connection: RedisConnection,
) -> None:
    meta = '{"kind":"genre","version":7,"generated_at":1.5,"tick":3,"answers":2}'
    redis_connection.client.hset(f"answer_set:{KIND}", "meta", meta)
    assert RedisAnswers(redis_connection).current(KIND) == PublishedSet(KIND, 7, 1.5, 3, 2, "")


def test_every_key_has_a_time_to_live(redis_connection: RedisConnection) -> None:
    sets = RedisAnswers(redis_connection)
    for version in range(1, VERSIONS_KEPT + 3):
        sets.publish(*publication(version, ACTION, SPORTS))
    sets.write(AnswerKey("title", "1", "ja"), answer(ACTION, 1))
    sets.withdraw(PublishedSet("title", 1, NOW, None, 0), 600)
    sets.roll_back(KIND, 60)
    sets.claim(KIND, 60)
    client = redis_connection.client
    ttls = {key: client.ttl(key) for key in client.scan_iter()}
    assert all(0 < ttl <= 600 for ttl in ttls.values()), ttls


def test_a_rollback_whose_reply_was_lost_may_be_repeated(
    redis_connection: RedisConnection,
) -> None:
    sets = RedisAnswers(redis_connection)
    for version in (1, 2, 3):
        sets.publish(*publication(version, ACTION))
    for _ in range(2):
        redis_connection.call("ma3_roll_back", (), KIND, 60, 3)
    current = sets.current(KIND)
    assert current is not None
    assert current.version == 2


async def test_whoever_keeps_copies_learns_of_a_withdrawal(
    redis_connection: RedisConnection, valkey_url: str
) -> None:
    sets = RedisAnswers(redis_connection)
    sets.publish(*publication(1, ACTION))
    sets.withdraw(PublishedSet(KIND, 2, NOW, None, 0), 600)
    kept = KeptRedis(valkey_url, name="test")
    kept.start()
    while not kept.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    reader = ServingRedis(kept, kept, shards=1, owner_seconds=60)
    assert await reader.versions([KIND], SECONDS) == [b"2"]
    assert await reader.published(KIND, b"2", SECONDS) == {}
    before = await reader.published(KIND, b"1", SECONDS)
    assert before is not None
    assert before.keys() == set(ACTION.redis_keys())
    assert await reader.published(KIND, b"3", SECONDS) is None
    await kept.close()


def test_old_versions_are_forgotten(redis_connection: RedisConnection) -> None:
    sets = RedisAnswers(redis_connection)
    for version in range(1, VERSIONS_KEPT + 4):
        sets.publish(*publication(version, ACTION))
    [listed] = sets.listing()
    assert listed.versions == list(range(VERSIONS_KEPT + 3, 3, -1))
    assert len(list(redis_connection.client.scan_iter("answer_archive:*:meta"))) == VERSIONS_KEPT


def test_the_listing_names_the_keys_and_the_hold(redis_connection: RedisConnection) -> None:
    sets = RedisAnswers(redis_connection)
    sets.publish(*publication(1, ACTION, SPORTS))
    sets.publish(*publication(2, ACTION, SPORTS))
    sets.roll_back(KIND, 60)
    [listed] = sets.listing()
    assert listed.keys == ["answer:genre:action:ja", "answer:genre:sports:en"]
    assert (listed.is_held, listed.published.version) == (True, 1)


def test_functions_are_loaded_again_after_redis_lost_them(
    redis_connection: RedisConnection,
) -> None:
    sets = RedisAnswers(redis_connection)
    redis_connection.client.function_flush()
    assert sets.publish(*publication(1, ACTION)) is Written.APPLIED


def test_loading_the_functions_at_the_same_time_does_no_harm(
    redis_connection: RedisConnection,
) -> None:
    threads = [threading.Thread(target=redis_connection.load_functions) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert RedisAnswers(redis_connection).publish(*publication(1, ACTION)) is Written.APPLIED


def test_a_reader_never_sees_parts_of_two_sets(redis_connection: RedisConnection) -> None:
    keys = [AnswerKey(KIND, f"genre-{number}", "ja") for number in range(50)]
    names = [key.redis_key() for key in keys]
    sets = RedisAnswers(redis_connection)
    sets.publish(*publication(1, *keys, text="x" * 500))
    stop, enough = threading.Event(), threading.Event()
    torn, reads = list[set[int]](), count()

    def read() -> None:
        while not stop.is_set():
            found = redis_connection.client.mget(names)
            versions = {-1 if it is None else StoredAnswer.unpack(it).version for it in found}
            if len(versions) > 1 or -1 in versions:
                torn.append(versions)
            if next(reads) == 10:
                enough.set()

    def is_needed() -> bool:
        return reader.is_alive() and not enough.is_set()

    reader = threading.Thread(target=read)
    reader.start()
    for version in takewhile(lambda at: at < 80 or is_needed(), count(2)):
        assert sets.publish(*publication(version, *keys, text="x" * 500)) is Written.APPLIED
        if version % 10 == 0:
            sets.roll_back(KIND, 1)
    stop.set()
    reader.join()
    assert not torn
    assert enough.is_set()
