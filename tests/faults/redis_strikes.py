"""What befalls Redis itself: its memory, its answers, its place as the primary."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import uuid4

from domain.answers import AnswerKey, Damaged, StoredAnswer
from tests.faults.proxy import Fault, Mode
from tests.faults.running import Deed, Stage

ANSWERS = [AnswerKey("trending", "", "en"), AnswerKey("new_releases", "", "ja")]
REBUILD_SECONDS = 30.0


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
