"""What befalls Redis itself: its memory, its answers, its place as the primary."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import uuid4

import redis

from adapters.connection import trending_rule
from adapters.redis_hot_users import features_key, interactions_key
from adapters.redis_preferences import preferences_key
from config import answers
from domain.answers import AnswerKey, Damaged, StoredAnswer
from domain.personal_answers import recommendation_key
from tests.faults.proxy import Fault, Mode
from tests.faults.running import USER, Deed, Stage, most_is_done

ANSWERS = [AnswerKey("trending", "", "en"), AnswerKey("new_releases", "", "ja")]
REBUILD_SECONDS = 120.0


def without_memory(stage: Stage) -> None:
    """Redis takes no more writes."""
    with stage.rig.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")


def with_memory_again(stage: Stage) -> None:
    """Redis is as it was started."""
    with stage.rig.client() as client:
        client.config_set("maxmemory", "512mb")
        client.config_set("maxmemory-policy", "volatile-ttl")


def filled(stage: Stage) -> None:
    """Redis is full of short-lived keys, so that it evicts from now on."""
    with stage.rig.client() as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", str(used + 2_000_000))
        for at in range(2000):
            client.set(f"filler:{uuid4()}", b"x" * 4096, ex=60 + at % 10)
        assert int(client.info("stats")["evicted_keys"]) > 0


def damaged(how: Callable[[bytes], bytes | None]) -> Deed:
    """Stored answers are replaced; None puts a list in their place."""

    def do(stage: Stage) -> None:
        with stage.rig.client() as client:
            for key in ANSWERS:
                stored = client.get(key.redis_key())
                bad = how(stored or b"")
                client.delete(key.redis_key())
                if bad is None:
                    client.rpush(key.redis_key(), "no answer")
                else:
                    client.set(key.redis_key(), bad, ex=9000)

    return do


def spoilt_counters(stage: Stage) -> None:
    """Hashes stand where the counters of what is about to happen belong."""
    rule = trending_rule(answers.declared().trending)
    now = rule.bucket(time.time())
    with stage.rig.client() as client:
        for bucket in (now - rule.bucket_seconds, now):
            for key in (f"trend:{bucket}", f"trend_log:{bucket}"):
                _put_wrong(client, key)


def without_spoilt_counters(stage: Stage) -> None:
    """What stands where nothing happened is gone, so that the counters can be read."""
    with stage.rig.client() as client:
        for key in client.scan_iter("trend*:[0-9]*", count=1000, _type="HASH"):
            client.delete(key)


def spoilt_user(stage: Stage) -> None:
    """The same stands where Redis keeps what it knows of the customer."""
    with stage.rig.client() as client:
        for key_of in (features_key, interactions_key, preferences_key, recommendation_key):
            _put_wrong(client, key_of(USER))


def user_is_noted(stage: Stage) -> bool:
    """Whether what the customer does is remembered again, and most of it is done."""
    with stage.rig.client() as client:
        kinds = {client.type(key_of(USER)) for key_of in (interactions_key, preferences_key)}
    return kinds == {b"zset"} and most_is_done(stage)


def _put_wrong(client: redis.Redis, key: str) -> None:
    client.delete(key)
    client.hset(key, "no", "such thing")


def aged(stored: bytes) -> bytes:
    """A stored answer that was due to be made anew a minute ago."""
    return replace(StoredAnswer.unpack(stored), soft_expires_at=time.time() - 60).pack()


def of_another_key(stored: bytes) -> bytes:
    """A stored answer that is whole, but was made for another key."""
    answer = StoredAnswer.unpack(stored)
    return replace(answer, key_hash=answer.key_hash ^ 1).pack()


def rebuilt(stage: Stage) -> None:
    """Wait until the answers are good and fresh again."""
    stage.rig.until(lambda: _are_good(stage), REBUILD_SECONDS, "answers are not made anew")


def _are_good(stage: Stage) -> bool:
    with stage.rig.client() as client:
        for key in ANSWERS:
            name = key.redis_key()
            if client.type(name) != b"string":
                return False
            try:
                answer = StoredAnswer.unpack(client.get(name) or b"", name)
            except Damaged:
                return False
            if answer.soft_expires_at <= time.time():
                return False
    return True


def followed(stage: Stage) -> None:
    """Redis has a replica."""
    stage.rig.start_replica()


def demoted(stage: Stage) -> None:
    """Primary and replica change places, and nobody's connection ends."""
    stage.rig.swap_with_replica()


def promoted(lag_seconds: float = 0.0) -> Deed:
    """The primary dies, and its replica, that is so far behind, becomes one."""
    return partial(_promote, lag_seconds=lag_seconds)


def _promote(stage: Stage, lag_seconds: float) -> None:
    rig = stage.rig
    if lag_seconds:
        rig.nemesis.strike("replication", Fault(mode=Mode.BLACK_HOLE))
        rig.until_later(lag_seconds)
    rig.remove("redis", at_once=True)
    rig.promote_replica()
