"""What becomes of a message follows from how its pack ended, and every end is measured."""

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from adapters.msgpack_wire import encode_pack
from domain.errors import PartlyFailed, Permanent, Transient
from domain.jobs import Job, WriteAnswer
from domain.ports import Ports
from workers.execution import Delivery, Perform, Verdict, execute

QUESTION = "what somebody typed"


class Metrics:
    """Remembers every call as name, labels and value."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[str, ...], float]] = []

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self.seen.append((name, tuple(labels.values()), amount))

    observe = set = count

    def of(self, name: str) -> list[tuple[tuple[str, ...], float]]:
        return [(labels, value) for seen, labels, value in self.seen if seen == name]


def ports(metrics: Metrics) -> Ports:
    return cast("Ports", SimpleNamespace(clock=lambda: 100.0, metrics=metrics))


def pack(*event_ids: str) -> bytes:
    return encode_pack(
        [
            WriteAnswer(
                event_id=event_id,
                producer="p",
                seq=1,
                occurred_at=90.0 + number,
                answer_kind="title",
                slug=QUESTION,
                locale="ja",
            )
            for number, event_id in enumerate(event_ids)
        ]
    )


def delivery(receives: int = 1, kind: str = "cache.write") -> Delivery:
    return Delivery(kind=kind, message_id="m1", queue="cache-writes", receives=receives)


def raising(error: Exception) -> Perform:
    def perform(_jobs: Sequence[Job], _ports: Ports) -> None:
        raise error

    return perform


def nothing(_jobs: Sequence[Job], _ports: Ports) -> None:
    return


def test_a_pack_that_succeeds_is_acknowledged_and_its_jobs_are_counted() -> None:
    metrics = Metrics()
    verdict = execute(nothing, pack("a", "b"), delivery(), ports(metrics))
    assert verdict is Verdict.ACKNOWLEDGE
    assert metrics.of("task_jobs_total") == [(("cache.write", "done"), 2)]
    assert metrics.of("task_seconds") == [(("cache.write", "done"), 0.0)]
    assert [value for _, value in metrics.of("event_age_seconds")] == [10.0, 9.0]
    assert metrics.of("queue_oldest_seconds") == [(("cache-writes",), 10.0)]
    assert metrics.of("task_retries_total") == []


def test_the_task_gets_the_jobs_and_the_ports() -> None:
    got: list[str] = []
    execute(
        lambda jobs, given: got.extend(f"{job.event_id}{given.clock()}" for job in jobs),
        pack("a", "b"),
        delivery(),
        ports(Metrics()),
    )
    assert got == ["a100.0", "b100.0"]


@pytest.mark.parametrize(
    ("error", "verdict", "outcome", "done", "failed"),
    [
        (Transient("throttled"), Verdict.REDELIVER, "transient", 0, 2),
        (RuntimeError("ours"), Verdict.REDELIVER, "unexpected", 0, 2),
        (Permanent("no such kind"), Verdict.PARK, "permanent", 0, 2),
        (PartlyFailed({"a": Transient("slow")}), Verdict.REDELIVER, "partly_failed", 1, 1),
        (PartlyFailed({"a": Permanent("wrong")}), Verdict.PARK, "permanent", 1, 1),
    ],
)
def test_each_failure_has_its_verdict_and_its_counts(
    error: Exception, verdict: Verdict, outcome: str, done: int, failed: int
) -> None:
    metrics = Metrics()
    assert execute(raising(error), pack("a", "b"), delivery(), ports(metrics)) is verdict
    expected = [(("cache.write", "done"), done)] if done else []
    assert metrics.of("task_jobs_total") == [*expected, (("cache.write", outcome), failed)]


@pytest.mark.parametrize(
    ("data", "kind"), [(b"\xc1", "cache.write"), (pack("a"), "session.update")]
)
def test_a_pack_that_can_not_be_read_is_for_parking(data: bytes, kind: str) -> None:
    metrics = Metrics()
    assert execute(nothing, data, delivery(kind=kind), ports(metrics)) is Verdict.PARK
    assert metrics.of("task_seconds") == [((kind, "malformed"), 0.0)]


def test_a_message_that_came_back_counts_as_a_retry() -> None:
    metrics = Metrics()
    execute(nothing, pack("a"), delivery(receives=2), ports(metrics))
    assert metrics.of("task_retries_total") == [(("cache.write",), 1)]


def test_the_log_has_one_line_and_nothing_of_the_payload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    execute(nothing, pack("a"), delivery(), ports(Metrics()))
    (record,) = caplog.records
    assert "task=cache.write outcome=done jobs=1" in record.message
    assert QUESTION not in caplog.text
