"""Reads what a run left in DynamoDB, Kinesis, Logs, Redis and the queues, past every proxy."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import boto3

from adapters import spool
from adapters.connection import response_wire, trending_rule
from cli.embedded import PSEUDONYM_VARIABLE
from cli.endpoints import endpoint_variable
from config import answers, queues, response_cache
from config.queues import dead_letter_name, sqs_name
from config.settings import Settings
from domain.response_cache import PREFIX
from tests.faults.history import History, Observed, Record, StoredTurn

if TYPE_CHECKING:
    from tests.faults.rig import Rig

GROUP, STREAM, TABLE = "/mangaassist/audit", "mangaassist-analytics", "mangaassist-sessions"
USERS = "mangaassist-users"
SPOOL = "spool"
PARKED = "mangaassist-parked"
DEPTHS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
KEYS_OF_A_READ = 100
EFFECT_QUEUES = tuple(name for name, row in queues.declared().queues.items() if row.jobs)
TICK_QUEUE = queues.declared().of_job("answers.precompute")
"""Its scheduled jobs come and go by themselves."""


class Stores:
    """The stores of one rig."""

    def __init__(self, rig: "Rig") -> None:
        self._rig = rig
        self._dynamodb = self._client("dynamodb")
        self._kinesis = self._client("kinesis")
        self._logs = self._client("logs")
        self._sqs = self._client("sqs")
        self._features = self._client("sagemaker-featurestore-runtime")
        self._read_until: dict[str, str] = {}
        self._records: Counter[str] = Counter()

    def pending(self) -> dict[str, int]:
        """What is still under way, by where it is."""
        found = {SPOOL: spool.size_bytes(self._rig.directory.state / "spool")}
        with self._rig.client() as client:
            found["outbox"] = int(client.xlen("outbox:0"))
        for name in EFFECT_QUEUES:
            if name != TICK_QUEUE:
                found[name] = self._depth(sqs_name(name))
            found[f"{name} dead"] = self._depth(dead_letter_name(name))
        return {name: count for name, count in found.items() if count}

    def observe(self, history: History, sessions: list[str], run: str) -> Observed:
        """What there is of a run."""
        self._read_records()
        own = {one.event_id for one in (*history.events, *history.changed)}
        counts, expected = self._counts(f"{run}-")
        return Observed(
            turns=list(self._turns(sessions)),
            records=Counter({name: n for name, n in self._records.items() if name in own}),
            lines=Counter(name for name in self._lines() if name in own),
            counts=counts,
            sums=self._sums(f"{run}-"),
            expected_sums=expected,
            parked=Counter(event_id for event_id in self._parked() if event_id in own),
            features=self.features({one.user_id for one in history.changed}),
        )

    def features(self, user_ids: Collection[str]) -> Mapping[tuple[str, str], Record]:
        """What is merged of these users, by user and feature group."""
        keys = [{"user_id": {"S": user_id}} for user_id in user_ids]
        return {
            (item["user_id"]["S"], name.removeprefix("group:")): Record(
                float(value["M"]["event_time"]["N"]), json.loads(value["M"]["values"]["S"])
            )
            for item in self._items(USERS, keys)
            for name, value in item.items()
            if name.startswith("group:")
        }

    def put_record(self, group: str, features: Mapping[str, str]) -> None:
        """Tell the feature store a record."""
        record = [{"FeatureName": name, "ValueAsString": text} for name, text in features.items()]
        self._features.put_record(FeatureGroupName=group, Record=record)

    def remove_record(self, group: str, user_id: str, event_time: str) -> None:
        """Have the feature store forget that there ever was a record."""
        self._features.delete_record(
            FeatureGroupName=group,
            RecordIdentifierValueAsString=user_id,
            EventTime=event_time,
            DeletionMode="HardDelete",
        )

    def kept(self, since: float) -> list[str]:
        """The texts of the models' answers that are cached for long, of those made since then."""
        wire = response_wire(Settings(pseudonym_key=self._rig.environment[PSEUDONYM_VARIABLE]))
        with self._rig.client() as client:
            found = {key.decode(): client.get(key) for key in client.scan_iter(f"{PREFIX}*")}
        made = [wire.unpack(stored, key) for key, stored in found.items() if stored is not None]
        brief = response_cache.declared().negative_ttl_seconds
        return [
            one.text()
            for one in made
            if one.generated_at >= since and one.hard_expires_at - one.generated_at > brief + 1
        ]

    def send(self, queue: str, *bodies: str) -> None:
        """Put messages of anybody's making on a queue of ours."""
        self._send(sqs_name(queue), bodies)

    def send_dead(self, queue: str, *bodies: str) -> None:
        """Put them on its dead-letter queue."""
        self._send(dead_letter_name(queue), bodies)

    def bury(self, queue: str) -> int:
        """Move what waits on a queue to its dead letters; how many messages."""
        url, dead = self._url(sqs_name(queue)), self._url(dead_letter_name(queue))
        answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self._sqs.send_message(QueueUrl=dead, MessageBody=message["Body"])
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(answer.get("Messages", []))

    def keep_for(self, queue: str, seconds: int) -> None:
        """Have a queue drop messages that are older."""
        self._sqs.set_queue_attributes(
            QueueUrl=self._url(sqs_name(queue)),
            Attributes={"MessageRetentionPeriod": str(seconds)},
        )

    def parked(self) -> int:
        """How many jobs are parked in all."""
        return sum(1 for _ in self._parked())

    def close(self) -> None:
        """Close every connection."""
        for client in (self._dynamodb, self._kinesis, self._logs, self._sqs, self._features):
            client.close()

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self._rig.environment[endpoint_variable(service)],
            region_name=self._rig.environment["AWS_REGION"],
            aws_access_key_id="faults",
            aws_secret_access_key="faults",  # noqa: S106
        )

    def _send(self, name: str, bodies: Sequence[str]) -> None:
        url = self._url(name)
        for body in bodies:
            self._sqs.send_message(QueueUrl=url, MessageBody=body)

    def _url(self, name: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def _depth(self, name: str) -> int:
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self._url(name), AttributeNames=list(DEPTHS)
        )
        return sum(map(int, answer["Attributes"].values()))

    def _turns(self, sessions: list[str]) -> Iterator[StoredTurn]:
        for item in self._items(TABLE, [{"session_id": {"S": name}} for name in sessions]):
            turns = item["turns"]["M"].items()
            for event_id, turn in sorted(turns, key=_place):
                yield StoredTurn(event_id, item["session_id"]["S"], turn["M"]["message_id"]["S"])

    def _items(self, table: str, keys: Sequence[Any]) -> Iterator[dict[str, Any]]:
        for at in range(0, len(keys), KEYS_OF_A_READ):
            some = {"Keys": keys[at : at + KEYS_OF_A_READ], "ConsistentRead": True}
            answer = self._dynamodb.batch_get_item(RequestItems={table: some})
            assert not answer["UnprocessedKeys"]
            yield from answer["Responses"][table]

    def _read_records(self) -> None:
        """Read what has come since the last time."""
        for shard in self._kinesis.list_shards(StreamName=STREAM)["Shards"]:
            name = shard["ShardId"]
            after = self._read_until.get(name)
            since: dict[str, str] = (
                {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
                if after
                else {"ShardIteratorType": "TRIM_HORIZON"}
            )
            iterator = self._kinesis.get_shard_iterator(StreamName=STREAM, ShardId=name, **since)[
                "ShardIterator"
            ]
            while records := (answer := self._kinesis.get_records(ShardIterator=iterator))[
                "Records"
            ]:
                self._records.update(json.loads(one["Data"])["event_id"] for one in records)
                self._read_until[name] = records[-1]["SequenceNumber"]
                iterator = answer["NextShardIterator"]

    def _lines(self) -> Iterator[str]:
        for page in self._logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP):
            for line in page["events"]:
                yield json.loads(line["message"])["event_id"]

    def _counts(self, prefix: str) -> tuple[Counter[tuple[str, float]], dict[str, float]]:
        rule = trending_rule(answers.declared().trending)
        counts: Counter[tuple[str, float]] = Counter()
        sums: dict[str, list[float]] = {}
        with self._rig.client() as client:
            for key in client.scan_iter("trend_log:*", count=1000):
                bucket = int(key.rpartition(b":")[2])
                for entry in client.lrange(key, 0, -1):
                    weight, happened, item = entry.decode().split(" ", 2)
                    if item.startswith(prefix):
                        counts[item, float(happened)] += 1
                        age = (float(happened) - bucket) / rule.half_life_seconds
                        sums.setdefault(item, []).append(float(weight) * 2**age)
        return counts, {item: math.fsum(parts) for item, parts in sums.items()}

    def _sums(self, prefix: str) -> Mapping[str, float]:
        sums: Counter[str] = Counter()
        with self._rig.client() as client:
            for key in client.scan_iter("trend:[0-9]*", count=1000):
                for item, total in client.zrange(key, 0, -1, withscores=True):
                    if item.decode().startswith(prefix):
                        sums[item.decode()] += total
        return sums

    def _parked(self) -> Iterator[str]:
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=PARKED):
            for item in page["Items"]:
                if item["pk"]["S"].startswith("job#"):
                    yield item["event_id"]["S"]


def _place(turn: tuple[str, Any]) -> tuple[float, str]:
    return float(turn[1]["M"]["at"]["N"]), turn[0]
