"""A copy goes when its event is confirmed; one whose event is lost becomes an event to be sent."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters import spool
from adapters.redis_confirmations import EntryId, Sight
from adapters.spool import Segment, digest
from adapters.spool_writing import SpoolWriter
from domain.errors import Transient
from tests.unit.draining import SECONDS, Metrics, until
from workers.copy_watching import CopyWatch, Limits

QUICK = Limits(look_seconds=0.01)


class Redis:
    """The outbox by shard, and what is confirmed."""

    def __init__(self) -> None:
        self.outbox: Mapping[int, Sequence[EntryId]] = {}
        self.news: list[bytes] = []
        self.is_down = False
        self.looks = 0
        self.looked = threading.Condition()

    def turns(self, count: int = 2) -> None:
        """Wait for whole turns of whoever watches copies."""
        with self.looked:
            wanted = self.looks + count
            assert self.looked.wait_for(lambda: self.looks >= wanted, SECONDS)

    def look(self) -> Sight:
        with self.looked:
            self.looks += 1
            self.looked.notify_all()
        if self.is_down:
            raise Transient("no answer")
        return Sight(
            {shard: ids[0] for shard, ids in self.outbox.items() if ids},
            {shard: ids[-1] for shard, ids in self.outbox.items() if ids},
        )

    def confirmed(self) -> tuple[Sequence[bytes], bool]:
        news, self.news = self.news[:2], self.news[2:]
        return news, bool(self.news)


class Watching:
    """A watch in a thread of its own."""

    def __init__(self, directory: Path, redis: Redis, limits: Limits = QUICK) -> None:
        self.metrics = Metrics()
        watch = CopyWatch(
            directory,
            confirmations=redis,
            spool_writer=SpoolWriter(directory, max_bytes=1 << 20),
            metrics=self.metrics,
            limits=limits,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=watch.run, args=(self._stop,))

    def __enter__(self) -> "Watching":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def copy(directory: Path, *events: bytes) -> None:
    writer = SpoolWriter(directory, max_bytes=1 << 20)
    writer.copy(events)
    writer.close()


def to_send(directory: Path) -> list[bytes]:
    return [one.event for path in spool.segments(directory) for one in Segment(path).read()[0]]


def has_none(directory: Path) -> bool:
    return not list(spool.copies(directory))


def test_confirmed_copies_go_and_nothing_is_sent(tmp_path: Path) -> None:
    redis = Redis()
    events = [b"%d" % number for number in range(7)]
    redis.news = [digest(event) for event in events]
    copy(tmp_path, *events[:4])
    copy(tmp_path, *events[4:])
    with Watching(tmp_path, redis) as watching:
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == []
    assert watching.metrics.counts == {"confirmed": 7}


def test_a_confirmation_that_comes_before_its_copy_counts(tmp_path: Path) -> None:
    redis = Redis()
    redis.outbox = {0: [(9, 0)]}
    copy(tmp_path, b"other")
    with Watching(tmp_path, redis) as watching:
        redis.news = [digest(b"a")]
        until(lambda: not redis.news)
        copy(tmp_path, b"a")
        until(lambda: len(list(spool.copies(tmp_path))) == 1)
    assert to_send(tmp_path) == []
    assert watching.metrics.counts == {"confirmed": 1}


def test_more_copies_than_are_held_at_a_time_are_all_confirmed(tmp_path: Path) -> None:
    redis = Redis()
    events = [b"%d" % number for number in range(100)]
    for at in range(0, 100, 5):
        copy(tmp_path, *events[at : at + 5])
    redis.news = [digest(event) for event in events]
    with Watching(tmp_path, redis, Limits(0.01, awaited=10, early=10)) as watching:
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == []
    assert watching.metrics.counts == {"confirmed": 100}


def test_while_the_outbox_may_hold_an_event_its_copy_waits(tmp_path: Path) -> None:
    redis = Redis()
    redis.outbox = {0: [(5, 0), (7, 0)], 1: [(3, 1)]}
    copy(tmp_path, b"a")
    with Watching(tmp_path, redis):
        redis.turns()
        for outbox in ({0: [(7, 0)], 1: [(9, 0)]}, {0: [(8, 0)], 1: [(3, 1)]}):
            redis.outbox = outbox
            redis.turns()
            assert (has_none(tmp_path), to_send(tmp_path)) == (False, [])
        redis.outbox = {0: [(7, 1)], 1: []}
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == [b"a"]


def test_an_event_may_reach_the_outbox_a_moment_after_its_copy(tmp_path: Path) -> None:
    class Slow(Redis):
        def look(self) -> Sight:
            sight = super().look()
            self.outbox = {0: [(5, 0)]}
            return sight

    redis = Slow()
    copy(tmp_path, b"a")
    with Watching(tmp_path, redis):
        redis.turns()
        assert (has_none(tmp_path), to_send(tmp_path)) == (False, [])
        redis.news = [digest(b"a")]
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == []


def test_of_what_redis_lost_only_the_unconfirmed_events_are_sent(tmp_path: Path) -> None:
    redis = Redis()
    redis.news = [digest(b"b"), digest(b"d")]
    copy(tmp_path, b"a", b"b", b"c", b"d")
    with Watching(tmp_path, redis) as watching:
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == [b"a", b"c"]
    assert watching.metrics.counts == {"confirmed": 2, "lost": 2}


def test_the_copies_of_a_writer_that_lives_are_not_given_up(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, max_bytes=1 << 20)
    writer.copy([b"a"])
    redis = Redis()
    with Watching(tmp_path, redis):
        redis.turns()
        writer.copy([b"b"])
        redis.turns()
        assert (has_none(tmp_path), to_send(tmp_path)) == (False, [])
        writer.close()
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == [b"a", b"b"]


def test_without_redis_copies_wait(tmp_path: Path) -> None:
    redis = Redis()
    redis.is_down = True
    copy(tmp_path, b"a")
    with Watching(tmp_path, redis):
        redis.turns()
        assert (has_none(tmp_path), to_send(tmp_path)) == (False, [])
        redis.news, redis.is_down = [digest(b"a")], False
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == []


def test_the_next_relay_finds_what_was_confirmed_to_the_one_before(tmp_path: Path) -> None:
    redis = Redis()
    redis.outbox = {0: [(1, 0)]}
    copy(tmp_path, b"a", b"b")
    with Watching(tmp_path, redis):
        redis.news = [digest(b"a")]
        redis.turns()
    assert not has_none(tmp_path)
    redis.news, redis.outbox = [digest(b"a"), digest(b"b")], {}
    with Watching(tmp_path, redis):
        until(lambda: has_none(tmp_path))
    assert to_send(tmp_path) == []


def test_copies_that_had_to_make_room_are_forgotten_and_unreadable_ones_stop_nobody(
    tmp_path: Path,
) -> None:
    redis = Redis()
    redis.outbox = {0: [(1, 0)]}
    copy(tmp_path, b"a")
    (dropped,) = spool.copies(tmp_path)
    (tmp_path / f"0{spool.COPY}").mkdir()
    with Watching(tmp_path, redis) as watching:
        redis.turns()
        dropped.unlink()
        copy(tmp_path, b"b")
        redis.turns()
        redis.news = [digest(b"a"), digest(b"b")]
        until(lambda: len(list(spool.copies(tmp_path))) == 1)
    assert to_send(tmp_path) == []
    assert watching.metrics.counts == {"unreadable": 1, "confirmed": 1}
