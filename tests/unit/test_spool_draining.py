"""The spool is drained in order, and a segment goes only when SQS has all that follows from it."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from adapters import spool
from adapters.msgpack_wire import encode_event
from adapters.spool import Mark, Record
from adapters.spool_writing import SpoolWriter
from config.queues import declared
from domain.errors import Transient
from domain.events import AnswerServed
from tests.unit.draining import SECONDS, Metrics, until
from workers.ledger import Held, Ledger
from workers.packing import Limits, Pack, Packer
from workers.relaying import Bounds
from workers.sending import QueueSender, Refusal, Sendings
from workers.spool_draining import SpoolDrain
from workers.sqs_sending import new_pack_id


class Sqs:
    def __init__(self) -> None:
        self.jobs: list[tuple[str, int]] = []
        self.is_down = False
        self.asked = threading.Event()

    def send(self, queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        self.asked.set()
        if self.is_down:
            raise Transient("down")
        self.jobs += [(queue, len(pack.jobs)) for pack in packs]
        return {}

    def sent(self, queue: str) -> int:
        return sum(jobs for name, jobs in self.jobs if name == queue)


class Draining:
    """A drain in a thread of its own."""

    def __init__(self, directory: Path, sqs: Sqs, bounds: Bounds | None = None) -> None:
        self.metrics, table, ledger = Metrics(), declared(), Ledger()
        drain = SpoolDrain(
            directory,
            senders={
                name: QueueSender(
                    name,
                    Packer(Limits(pack_jobs=100, linger_seconds=0.0), new_pack_id),
                    sqs.send,
                    Sendings(ledger, self.metrics),
                )
                for name, row in table.queues.items()
                if row.jobs
            },
            queue_of=table.of_job,
            ledger=ledger,
            metrics=self.metrics,
            bounds=bounds,
        )
        self._ledger, self._sqs = ledger, sqs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=drain.run, args=(self._stop,))

    def held(self) -> int:
        return self._ledger.load().entries

    def __enter__(self) -> "Draining":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sqs.is_down = False  # its senders are left to end, not to try for ever


def question(number: int) -> bytes:
    return encode_event(
        AnswerServed(
            event_id=f"e-{number}",
            occurred_at=1.0,
            producer="p",
            seq=number,
            session_id="s",
            owner="alice",
            message_id=f"m-{number}",
            question="?",
            kind="chat",
            slug="",
            locale="en",
        )
    )


def write(directory: Path, *events: bytes) -> None:
    log = SpoolWriter(directory, max_bytes=1 << 20)
    log.write([Record(Mark.SEND, event) for event in events])
    log.close()


def is_empty(directory: Path) -> bool:
    return not list(spool.segments(directory))


def test_everything_is_sent_and_the_segments_go(tmp_path: Path) -> None:
    write(tmp_path, *map(question, range(50)))
    write(tmp_path, *map(question, range(50, 60)))
    sqs = Sqs()
    with Draining(tmp_path, sqs) as draining:
        until(lambda: is_empty(tmp_path))
    assert [sqs.sent(name) for name in ("sessions", "analytics", "audit")] == [60, 60, 60]
    assert draining.metrics.counts["drained"] == 60


def test_nothing_leaves_the_spool_before_sqs_has_it(tmp_path: Path) -> None:
    write(tmp_path, question(1))
    sqs = Sqs()
    sqs.is_down = True
    with Draining(tmp_path, sqs):
        assert sqs.asked.wait(SECONDS)
    assert not is_empty(tmp_path)
    sqs = Sqs()
    with Draining(tmp_path, sqs):  # another relay, after the first one died
        until(lambda: is_empty(tmp_path))
    assert sqs.sent("audit") == 1


def test_an_event_that_means_nothing_is_kept_beside_and_stops_nobody(tmp_path: Path) -> None:
    write(tmp_path, b"not an event", question(1))
    sqs = Sqs()
    with Draining(tmp_path, sqs) as draining:
        until(lambda: is_empty(tmp_path))
    (aside,) = tmp_path.glob(f"*{spool.MALFORMED}")
    found, _, _ = spool.scan(aside.read_bytes(), is_whole=True)
    assert [one.event for one in found] == [b"not an event"]
    assert (sqs.sent("audit"), draining.metrics.counts["malformed"]) == (1, 1)


def test_what_a_living_process_goes_on_writing_is_sent_as_well(tmp_path: Path) -> None:
    log = SpoolWriter(tmp_path, max_bytes=1 << 20)
    sqs = Sqs()
    with Draining(tmp_path, sqs):
        for number in range(3):
            log.write([Record(Mark.SEND, question(number))])
            until(lambda expected=number + 1: sqs.sent("audit") == expected)  # type: ignore[misc]
        assert not is_empty(tmp_path)
        log.close()
        until(lambda: is_empty(tmp_path))
    assert sqs.sent("audit") == 3


def test_an_event_that_cannot_be_set_aside_keeps_its_segment_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(path: Path, event: bytes) -> None:
        raise OSError(28, "no space left", str(path), len(event))

    monkeypatch.setattr(spool, "put_aside", disk_full)
    write(tmp_path, b"not an event", *map(question, range(5)))
    sqs = Sqs()
    with Draining(tmp_path, sqs):
        until(lambda: sqs.sent("audit") == 5)
    assert not is_empty(tmp_path)


def test_a_segment_that_cannot_be_opened_is_counted_once_and_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / f"0{spool.SUFFIX}").mkdir()
    write(tmp_path, question(1))
    sqs = Sqs()
    with Draining(tmp_path, sqs) as draining:
        until(lambda: len(list(spool.segments(tmp_path))) == 1)
        write(tmp_path, question(2))
        until(lambda: len(list(spool.segments(tmp_path))) == 1)
    assert sqs.sent("audit") == 2
    assert draining.metrics.counts == {"unreadable": 1, "drained": 2, "relayed": 2}


def test_a_segment_that_vanishes_is_forgotten_once_its_events_are_sent(tmp_path: Path) -> None:
    log = SpoolWriter(tmp_path, max_bytes=1 << 20)
    log.write([Record(Mark.SEND, question(1))])
    sqs = Sqs()
    sqs.is_down = True
    with Draining(tmp_path, sqs) as draining:
        until(lambda: draining.held() == 1)
        (path,) = spool.segments(tmp_path)
        path.unlink()
        sqs.is_down = False
        until(lambda: draining.held() == 0)
    assert sqs.sent("audit") == 1
    assert draining.metrics.counts["drained"] == 1


def test_beyond_so_many_bytes_the_rest_waits_on_the_disk(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, question(number))
    sqs = Sqs()
    sqs.is_down = True
    size = len(question(0))
    with Draining(tmp_path, sqs, Bounds(size_bytes=2 * size)) as draining:
        assert sqs.asked.wait(SECONDS)
        until(lambda: draining.held() == 2)
        sqs.asked.clear()
        assert sqs.asked.wait(SECONDS)
        assert draining.held() == 2
        sqs.is_down = False
        until(lambda: is_empty(tmp_path))
    assert sqs.sent("audit") == 4
