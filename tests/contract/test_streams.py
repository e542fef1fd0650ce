"""Analytics and audit: the contracts of `AnalyticsStream` and `AuditLog` on real adapters."""

import json
import time
from dataclasses import replace
from itertools import count

import pytest

from adapters.aws_clients import AwsClients
from adapters.cloudwatch_audit import CloudWatchAudit
from adapters.kinesis_analytics import KinesisAnalytics
from adapters.pseudonyms import Pseudonyms
from domain.answers import rfc3339
from domain.errors import Transient
from domain.ports import AnalyticsStream, AuditLog
from tests.fakes import NOW, FakeAnalytics, FakeAudit
from tests.samples import DAY, analytics, audit

STREAM = "mangaassist-analytics"
GROUP = "/mangaassist/audit"
PSEUDONYMS = Pseudonyms("a key of tests")
_groups = count()


@pytest.fixture(params=["fake", "kinesis"])
def stream(request: pytest.FixtureRequest) -> AnalyticsStream:
    if request.param == "fake":
        return FakeAnalytics()
    return KinesisAnalytics(request.getfixturevalue("aws"), STREAM, PSEUDONYMS)


@pytest.fixture(params=["fake", "logs"])
def log(request: pytest.FixtureRequest) -> AuditLog:
    if request.param == "fake":
        return FakeAudit()
    return CloudWatchAudit(request.getfixturevalue("aws"), GROUP, PSEUDONYMS, time.time)


def records(aws: AwsClients) -> list[dict[str, object]]:
    found = []
    for shard in aws.kinesis.list_shards(StreamName=STREAM)["Shards"]:
        iterator = aws.kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        answer = aws.kinesis.get_records(ShardIterator=iterator, Limit=10_000)
        found += [json.loads(record["Data"]) for record in answer["Records"]]
    return found


def lines(aws: AwsClients, group: str) -> list[dict[str, object]]:
    answer = aws.logs.filter_log_events(logGroupName=group)
    return [json.loads(event["message"]) for event in answer["events"]]


def new_group(aws: AwsClients) -> str:
    name = f"/test/{next(_groups)}"
    aws.logs.create_log_group(logGroupName=name)
    return name


def test_every_record_is_taken(stream: AnalyticsStream) -> None:
    assert stream.put([analytics(f"r{at}") for at in range(3)]) == {}
    assert stream.put([]) == {}


def test_every_line_is_taken(log: AuditLog) -> None:
    assert log.append([audit(f"l{at}", time.time()) for at in range(3)]) == {}
    assert log.append([]) == {}


def test_records_carry_the_event(aws: AwsClients) -> None:
    KinesisAnalytics(aws, STREAM, PSEUDONYMS).put([analytics("carried", NOW)])
    [found] = [record for record in records(aws) if record["event_id"] == "carried"]
    assert found == {
        "event_id": "carried",
        "type": "answer.served",
        "occurred_at": "2027-01-15T08:00:00.000Z",
        "attributes": {"kind": "trending", "signed_in": True, "age": 1.5, "nothing": None},
    }


def test_records_name_a_user_by_a_pseudonym_only(aws: AwsClients) -> None:
    jobs = [
        replace(analytics(f"pseudonymous-{user}"), attributes={"user": user, "item_id": "t-1"})
        for user in ("hana", "")
    ]
    KinesisAnalytics(aws, STREAM, PSEUDONYMS).put(jobs)
    found = {record["event_id"]: record["attributes"] for record in records(aws)}
    assert found["pseudonymous-hana"] == {"user": PSEUDONYMS.of("hana"), "item_id": "t-1"}
    assert found["pseudonymous-"] == {"user": "", "item_id": "t-1"}


def test_more_records_than_one_request_may_carry(aws: AwsClients) -> None:
    ids = {f"many-{at}" for at in range(1001)}
    stream = KinesisAnalytics(aws, STREAM, PSEUDONYMS)
    assert stream.put([analytics(event_id) for event_id in ids]) == {}
    assert ids <= {str(record["event_id"]) for record in records(aws)}


def test_a_stream_that_is_not_there_yet_is_transient(aws: AwsClients) -> None:
    with pytest.raises(Transient):
        KinesisAnalytics(aws, "no-such-stream", PSEUDONYMS).put([analytics("e")])


def test_lines_carry_who_did_what(aws: AwsClients) -> None:
    group, now = new_group(aws), time.time()
    CloudWatchAudit(aws, group, PSEUDONYMS, time.time).append([audit("e1", now)])
    assert lines(aws, group) == [
        {
            "event_id": "e1",
            "occurred_at": rfc3339(now),
            "action": "answer.served",
            "actor": PSEUDONYMS.of("user-1"),
            "subject": "session-1",
            "outcome": "precomputed",
        }
    ]


def test_lines_of_several_weeks_in_any_order_are_all_filed(aws: AwsClients) -> None:
    group, now = new_group(aws), time.time()
    ages = [0.5, 20, 3, 0, 13.5, -0.5, 1]
    late = [audit(f"e{age}", now - age * DAY) for age in ages]
    assert CloudWatchAudit(aws, group, PSEUDONYMS, time.time).append(late) == {}
    found = {line["event_id"]: line["occurred_at"] for line in lines(aws, group)}
    assert found == {f"e{age}": rfc3339(now - age * DAY) for age in ages}


def test_a_log_group_that_is_not_there_yet_is_transient(aws: AwsClients) -> None:
    with pytest.raises(Transient):
        CloudWatchAudit(aws, "/no/such/group", PSEUDONYMS, time.time).append([audit("e")])
