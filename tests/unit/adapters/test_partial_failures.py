"""Services that answer 200 while some entries fail: only those are sent again or told."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from adapters.aws_clients import AwsClients
from adapters.cloudwatch_audit import CloudWatchAudit
from adapters.kinesis_analytics import TRIES, KinesisAnalytics
from adapters.pseudonyms import Pseudonyms
from domain.errors import Transient
from tests.fakes import FakeClock
from tests.samples import analytics, audit

PSEUDONYMS = Pseudonyms("a key of tests")


class ScriptedAws:
    """Answers as told: which entries of each request fail, and what a log batch rejects."""

    def __init__(self, *failing: set[str], rejected: dict[str, int] | None = None) -> None:
        self.kinesis = self.logs = self
        self.sent: list[list[str]] = []
        self.slept: list[float] = []
        self._failing = list(failing)
        self._rejected = rejected or {}

    def put_records(self, *, StreamName: str, Records: Sequence[Any]) -> object:  # noqa: N803
        failing = self._failing.pop(0) if self._failing else set()
        keys = [record["PartitionKey"] for record in Records]
        self.sent.append(keys)
        return {"Records": [{"ErrorCode": "Throttled"} if k in failing else {} for k in keys]}

    def put_log_events(self, **request: Any) -> object:
        self.sent.append([event["message"] for event in request["logEvents"]])
        return {"rejectedLogEventsInfo": self._rejected} if self._rejected else {}

    def as_clients(self) -> AwsClients:
        return cast("AwsClients", self)


def test_only_the_records_that_failed_are_sent_again() -> None:
    aws = ScriptedAws({"b", "c"}, {"c"})
    stream = KinesisAnalytics(aws.as_clients(), "stream", PSEUDONYMS, aws.slept.append)
    assert stream.put([analytics("a"), analytics("b"), analytics("c")]) == {}
    assert aws.sent == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert len(aws.slept) == 2


def test_records_that_keep_failing_are_told() -> None:
    aws = ScriptedAws(*[{"b"}] * TRIES)
    stream = KinesisAnalytics(aws.as_clients(), "stream", PSEUDONYMS, aws.slept.append)
    assert stream.put([analytics("a"), analytics("b")]) == {"b": "Throttled"}
    assert len(aws.sent) == TRIES


def test_a_stream_that_takes_nothing_is_what_fails() -> None:
    aws = ScriptedAws(*[{"a", "b"}] * TRIES)
    stream = KinesisAnalytics(aws.as_clients(), "stream", PSEUDONYMS, aws.slept.append)
    with pytest.raises(Transient) as raised:
        stream.put([analytics("a"), analytics("b")])
    assert raised.value.dependency == "kinesis"


@pytest.mark.parametrize(
    ("rejected", "left"),
    [
        ({}, {}),
        ({"tooOldLogEventEndIndex": 1}, {"e0": "too old"}),
        ({"tooNewLogEventStartIndex": 2}, {"e2": "too new"}),
        ({"expiredLogEventEndIndex": 2}, {"e0": "too old", "e1": "too old"}),
    ],
)
def test_lines_that_the_log_rejects_are_told(
    rejected: dict[str, int], left: dict[str, str]
) -> None:
    clock, aws = FakeClock(), ScriptedAws(rejected=rejected)
    log = CloudWatchAudit(aws.as_clients(), "group", PSEUDONYMS, clock)
    lines = [audit(f"e{at}", clock.now + at) for at in (2, 0, 1)]
    assert log.append(lines) == left


def test_a_batch_of_lines_is_in_order_and_spans_no_more_than_a_day() -> None:
    clock, aws = FakeClock(), ScriptedAws()
    lines = [audit(f"e{at}", clock.now - at * 15 * 3600) for at in (0, 3, 1, 2)]
    CloudWatchAudit(aws.as_clients(), "group", PSEUDONYMS, clock).append(lines)
    assert [len(batch) for batch in aws.sent] == [2, 2]
