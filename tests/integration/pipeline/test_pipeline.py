"""An event in the outbox becomes its effects, through real processes, whoever is killed."""

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from adapters.aws_clients import AwsClients
from adapters.connection import connect
from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from adapters.redis_outbox import malformed_key
from cli.answers_refresh import precomputed_kinds
from config.queues import declared
from config.settings import Settings
from domain.answers import HEADER
from domain.catalogue import Catalogue, Title
from domain.events import AnswerServed, Event, InteractionRecorded, InteractionType
from emulators import FaultRule

if TYPE_CHECKING:
    import redis

    from tests.integration.pipeline.conftest import Pipeline
    from tests.integration.transport_stage import Clock

    Eventually = Callable[[Callable[[], object], float, str], None]

STREAM = "mangaassist-analytics"
UNHURRIED = "tests.integration.pipeline.unhurried"
PREVIEW = "今週の人気は"


def event_id(number: int) -> str:
    return str(UUID(int=number + (4 << 76)))


def question(number: int, session: int) -> Event:
    return AnswerServed(
        event_id=event_id(number),
        occurred_at=time.time(),
        producer="test",
        seq=number,
        session_id=f"session-{session}",
        owner="user-1",
        message_id=f"m{number}",
        question="今週の人気",
        kind="chat",
        slug="",
        locale="ja",
    )


def view(number: int) -> Event:
    return InteractionRecorded(
        event_id=event_id(number),
        occurred_at=time.time(),
        producer="test",
        seq=number,
        interaction=InteractionType.VIEW,
        item_id="one-piece",
        user_id="user-1",
    )


def title(number: int) -> Title:
    return Title(
        id=f"t{number}",
        title=f"Title {number}",
        genres=("Action",),
        demographic=("Shounen",),
        published_from="2020-01-01",
        popularity=number,
    )


def put(valkey: "redis.Redis", events: Iterable[Event]) -> None:
    now = time.time()
    preview = PREVIEW.encode()
    head = HEADER.pack(b"MAA2", 0, len(preview), 7, now, now + 900, now + 9000, 0, 0, 0)
    head += preview
    for event in events:
        valkey.xadd("outbox:0", {"e": encode_event(event), "f": 1, "h": head})


def counted(valkey: "redis.Redis") -> int:
    """How many interactions trending has counted, doubles included."""
    return sum(int(valkey.llen(key)) for key in valkey.scan_iter("trend_log:*"))


def alive(pid: int) -> bool:
    """Whether a process does anything: one that has ended may stay for whoever adopted it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


class Effects:
    """What arrived where."""

    def __init__(self, url: str) -> None:
        self._aws = AwsClients()
        self._ports = connect(Settings(redis_url=url), Metrics())

    def turns(self, session: int) -> list[str]:
        found = self._ports.sessions.get(f"session-{session}", "user-1")
        return [turn.event_id for turn in found.in_order()] if found else []

    def previews(self, session: int) -> set[str]:
        found = self._ports.sessions.get(f"session-{session}", "user-1")
        return {turn.answer_preview for turn in found.in_order()} if found else set()

    def records(self) -> Counter[str]:
        kinesis = self._aws.kinesis
        found: Counter[str] = Counter()
        for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while records := (answer := kinesis.get_records(ShardIterator=iterator))["Records"]:
                found.update(json.loads(record["Data"])["event_id"] for record in records)
                iterator = answer["NextShardIterator"]
        return found

    def audited(self) -> set[str]:
        logs = self._aws.logs
        events = logs.filter_log_events(logGroupName="/mangaassist/audit")["events"]
        return {json.loads(event["message"])["event_id"] for event in events}


def test_events_reach_every_sink_and_leave_the_outbox(
    pipeline: "Pipeline", valkey: "redis.Redis", valkey_url: str, eventually: "Eventually"
) -> None:
    relay = pipeline.start("workers.relay")
    interactive = pipeline.start("workers.worker", "interactive")
    pipeline.start("workers.worker", "streams")
    put(valkey, [question(number, number % 3) for number in range(30)])
    put(valkey, [view(number) for number in range(100, 120)])
    valkey.xadd("outbox:0", {"e": b"\xc1"})
    effects = Effects(valkey_url)
    expected = {event_id(number) for number in (*range(30), *range(100, 120))}
    eventually(lambda: sum(len(effects.turns(n)) for n in range(3)) == 30, 30, "turns")
    eventually(lambda: set(effects.records()) == expected, 30, "analytics")
    eventually(lambda: len(effects.audited()) == 30, 30, "audit")
    eventually(lambda: counted(valkey) == 20, 10, "trending")
    # Effects come before their messages are acknowledged and counted.
    eventually(lambda: valkey.xlen("outbox:0") == 0, 10, "the outbox is not empty")
    relayed = 'events_total{kind="answer.served",outcome="relayed"}'
    eventually(lambda: relay.metric(relayed) >= 30, 10, "not all is counted")
    done = 'task_jobs_total{outcome="done",task="session.update"}'
    eventually(lambda: interactive.metric(done) >= 30, 10, "not all is counted")
    assert effects.previews(0) == {PREVIEW}
    assert valkey.xlen(malformed_key(0)) == 1
    malformed = 'events_total{kind="unknown",outcome="malformed"}'
    eventually(lambda: relay.metric(malformed) >= 1, 10, "what is set aside is not counted")
    assert relay.metric(malformed) == 1
    assert relay.metric(relayed) == 30
    assert interactive.metric(done) == 30
    assert relay.stop() == 0
    assert interactive.stop() == 0


def test_kills_in_the_middle_lose_nothing_and_double_no_effect(
    pipeline: "Pipeline",
    clock: "Clock",
    valkey: "redis.Redis",
    valkey_url: str,
    eventually: "Eventually",
) -> None:
    events, sessions = 300, 20
    pipeline.start("workers.worker", "streams")
    for round_number in range(3):
        relay = pipeline.start("workers.relay")
        worker = pipeline.start("workers.worker", "interactive")
        first = round_number * 100
        put(valkey, [question(number, number % sessions) for number in range(first, first + 50)])
        begun = 'task_jobs_total{outcome="done",task="session.update"}'
        eventually(lambda: worker.metric(begun) > 0, 20, "nothing is done")  # noqa: B023
        put(valkey, [view(1000 + number) for number in range(first, first + 100)])
        put(valkey, [question(n, n % sessions) for n in range(first + 50, first + 100)])
        eventually(lambda: valkey.xlen("outbox:0") < 150, 20, "nothing is relayed")
        relay.kill()
        worker.kill()
    clock.advance(max(queue.visibility_seconds for queue in declared().queues.values()))
    pipeline.start("workers.relay")
    pipeline.start("workers.worker", "interactive")
    effects = Effects(valkey_url)
    eventually(
        lambda: sum(len(effects.turns(n)) for n in range(sessions)) == events, 60, "lost turns"
    )
    eventually(lambda: counted(valkey) == events, 40, "lost or doubled counts")
    expected = {event_id(number) for number in range(events)}
    turns = [turn for session in range(sessions) for turn in effects.turns(session)]
    assert sorted(turns) == sorted(expected)
    views = {event_id(1000 + number) for number in range(events)}
    eventually(lambda: expected | views <= set(effects.records()), 20, "lost records")
    eventually(lambda: valkey.xlen("outbox:0") == 0, 20, "the outbox is not empty")


def test_a_relay_that_is_asked_to_stop_has_sent_and_acknowledged(
    pipeline: "Pipeline", valkey: "redis.Redis"
) -> None:
    relay = pipeline.start_healthy(UNHURRIED, "workers.relay")
    put(valkey, [question(number, 1) for number in range(200)])
    assert relay.stop() == 0
    left = valkey.xlen("outbox:0")
    assert left == 0 or valkey.xpending("outbox:0", "relay")["pending"] == 0
    assert pipeline.sqs.calls()


def test_two_beats_have_one_effect_per_tick(
    pipeline: "Pipeline", valkey: "redis.Redis", valkey_url: str, eventually: "Eventually"
) -> None:
    ports = connect(Settings(redis_url=valkey_url), Metrics())
    ports.catalogue.publish(Catalogue(map(title, range(12))))
    still = (pipeline.still_clock(),)
    *beats, worker = pipeline.start_all_healthy(still, still, ("workers.worker", "precompute"))
    kinds = precomputed_kinds()
    duplicates = 'duplicates_total{kind="answers.precompute"}'
    eventually(lambda: worker.metric(duplicates) == len(kinds), 30, "second ticks")
    sets = {kind: ports.answers.current(kind) for kind in kinds}
    for kind in kinds:
        assert valkey.zcard(f"answer_versions:{kind}") <= 1, kind
    assert sets["trending"] is not None
    ticks = 'beat_ticks_total{schedule="precompute-trending"}'
    for beat in beats:
        eventually(lambda: beat.metric(ticks) > 0, 10, "no tick is counted")  # noqa: B023
        assert beat.metric(ticks) == 1
        assert beat.stop() == 0
    assert worker.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_worker_that_forks_leaves_no_child_behind(
    pipeline: "Pipeline", eventually: "Eventually"
) -> None:
    worker = pipeline.start_healthy("workers.worker", "precompute")
    eventually(worker.children, 10, "no child")
    forked = worker.children()
    worker.kill()
    eventually(lambda: not any(alive(pid) for pid in forked), 5, "a child outlives its parent")


def test_a_worker_ends_quietly_on_a_signal(pipeline: "Pipeline", eventually: "Eventually") -> None:
    signals = (signal.SIGTERM, signal.SIGINT)
    command = ("workers.worker", "interactive")
    for number in signals:
        starting = pipeline.start_healthy(*command)
        assert starting.stop(number) == 0
    workers = pipeline.start_all_healthy(*[command] * len(signals))
    received = 'sqs_requests_total{action="ReceiveMessage"}'
    for worker, number in zip(workers, signals, strict=True):
        eventually(lambda: worker.metric(received) > 0, 10, "it does not receive")  # noqa: B023
        assert worker.stop(number) == 0


def test_an_outage_of_sqs_delays_events_and_doubles_no_effect(
    pipeline: "Pipeline", valkey: "redis.Redis", eventually: "Eventually"
) -> None:
    relay, _ = pipeline.start_all_healthy(("workers.relay",), ("workers.worker", "interactive"))
    pipeline.sqs.inject(
        FaultRule(kind="partial", action="SendMessageBatch", times=3),
        FaultRule(kind="lose_reply", action="SendMessageBatch", times=2),
        FaultRule(kind="http503", action="SendMessageBatch", times=20),
    )
    put(valkey, map(view, range(100)))
    failed = 'relay_send_failures_total{queue="cache-writes",reason="Transient"}'
    eventually(lambda: relay.metric(failed) > 0, 20, "nothing has failed")
    assert relay.healthy()
    pipeline.sqs.heal()
    eventually(lambda: valkey.xlen("outbox:0") == 0, 30, "the outbox is not empty")
    eventually(lambda: counted(valkey) == 100, 10, "lost or doubled counts")
