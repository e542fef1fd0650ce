"""The cells that strike Redis, SQS and the stores."""

import signal
from collections.abc import Iterator

from emulators import FaultRule
from tests.faults import redis_strikes, strikes
from tests.faults.history import Effect
from tests.faults.producers import Change
from tests.faults.proxy import Fault, Mode
from tests.faults.running import Cell

STREAMS = "worker-streams"
EVERY_MESSAGE = "*Message*"
THROTTLED = "ProvisionedThroughputExceededException"
DAY_SECONDS = 40
"""A day of K2: eight times what all tries of a message take there, and its backoff is a second."""
REPLICATION = "Redis itself replicates its counters asynchronously"


def of_redis() -> Iterator[Cell]:
    wire = strikes.on_the_wire
    yield Cell(
        name="R1 refused",
        fault="Redis refuses connections",
        strike=wire("redis", Fault(mode=Mode.REFUSED)),
        is_short=True,
    )
    yield Cell(
        name="R1 reset",
        fault="connections to Redis are reset",
        strike=wire("redis", Fault(mode=Mode.RESET)),
    )
    yield Cell(
        name="R1 killed",
        fault="SIGKILL of Redis, twice",
        strike=strikes.killed("redis", times=2),
        kills=frozenset({"redis"}),
    )
    yield Cell(
        name="R2 slow",
        fault="every reply of Redis takes 200 ms longer",
        strike=wire("redis", Fault(mode=Mode.SLOW, seconds=0.1)),
    )
    yield Cell(
        name="R3 black hole",
        fault="what is sent to Redis vanishes",
        strike=wire("redis", Fault(mode=Mode.BLACK_HOLE)),
    )
    yield Cell(
        name="R3 stopped",
        fault="SIGSTOP of Redis",
        strike=strikes.signalled("redis", signal.SIGSTOP),
    )
    yield Cell(
        name="R4 failover",
        fault="the primary is killed, its replica promoted",
        prepare=redis_strikes.followed,
        strike=redis_strikes.promoted(),
        forgives=frozenset({Effect.COUNT}),
        why=REPLICATION,
        spoils=True,
    )
    yield Cell(
        name="R4 lagging failover",
        fault="the same, the replica 1 s behind and the relay stopped",
        prepare=redis_strikes.followed,
        strike=strikes.all_of(
            strikes.signalled("relay", signal.SIGSTOP), redis_strikes.promoted(lag_seconds=1.0)
        ),
        forgives=frozenset({Effect.COUNT}),
        why=REPLICATION,
        spoils=True,
    )
    yield Cell(
        name="R4 demoted",
        fault="primary and replica change places, connections stay: READONLY",
        prepare=redis_strikes.followed,
        strike=redis_strikes.demoted,
        spoils=True,
    )
    yield Cell(
        name="R5 no memory",
        fault="Redis refuses writes for want of memory",
        strike=redis_strikes.without_memory,
        heal=redis_strikes.with_memory_again,
    )
    yield Cell(
        name="R5 eviction",
        fault="Redis is full and evicts what expires soonest",
        strike=redis_strikes.filled,
        heal=redis_strikes.with_memory_again,
    )
    yield Cell(
        name="R6 wrong type",
        fault="lists stand where stored answers were",
        strike=redis_strikes.damaged(lambda _stored: None),
        heal=redis_strikes.rebuilt,
    )
    yield Cell(
        name="R6 wrong type of counters",
        fault="hashes stand where counters and what is known of a customer belong",
        prepare=redis_strikes.spoilt_counters,
        strike=redis_strikes.spoilt_user,
        heal=redis_strikes.without_spoilt_counters,
        met=redis_strikes.user_is_noted,
    )
    yield Cell(
        name="R6 cut off",
        fault="stored answers lack their end",
        strike=redis_strikes.damaged(lambda stored: stored[:-20]),
        heal=redis_strikes.rebuilt,
    )
    yield Cell(
        name="R6 bits flipped",
        fault="stored answers have a changed byte",
        strike=redis_strikes.damaged(
            lambda stored: stored[:-9] + bytes([stored[-9] ^ 1]) + stored[-8:]
        ),
        heal=redis_strikes.rebuilt,
    )

    for name, text, how in (
        ("R6 of another key", "stored answers of other keys", redis_strikes.of_another_key),
        ("R7 stale", "stored answers are past their time", redis_strikes.aged),
    ):
        yield Cell(
            name=name, fault=text, strike=redis_strikes.damaged(how), heal=redis_strikes.rebuilt
        )


def of_sqs() -> Iterator[Cell]:
    yield from _sqs_wire()
    for name, text, rule in (
        ("Q1 send 503", "SendMessageBatch answers 503", rule_of("http503", "Send*")),
        ("Q1 send throttled", "SendMessageBatch is throttled", rule_of("throttle", "Send*")),
        ("Q1 token expired", "every call: token expired", rule_of("expired_token", EVERY_MESSAGE)),
        ("Q2 partly sent", "half of each batch is refused", rule_of("partial", "Send*")),
        (
            "Q3 send reply lost",
            "a third of the replies to sends",
            rule_of("lose_reply", "Send*", 0.3),
        ),
        ("Q4 receive 500", "ReceiveMessage answers 500", rule_of("http500", "Receive*")),
        ("Q4 receive throttled", "ReceiveMessage is throttled", rule_of("throttle", "Receive*")),
        (
            "Q4 receive expired",
            "ReceiveMessage: token expired",
            rule_of("expired_token", "Receive*"),
        ),
        (
            "Q4 receive denied",
            "ReceiveMessage: access denied",
            rule_of("access_denied", "Receive*"),
        ),
        ("Q4 receive reset", "ReceiveMessage is cut", rule_of("reset", "Receive*")),
        ("Q4 receive hangs", "ReceiveMessage is not answered", rule_of("hang", "Receive*")),
        ("Q4 receive reply lost", "messages go astray", rule_of("lose_reply", "Receive*", 0.3)),
        ("Q5 delete 500", "DeleteMessageBatch answers 500", rule_of("http500", "Delete*")),
        ("Q5 partly deleted", "half of each batch is refused", rule_of("partial", "Delete*")),
        ("Q5 delete reply lost", "no reply to deletes", rule_of("lose_reply", "Delete*")),
        ("Q6 duplicates", "half of the messages come twice", rule_of("duplicate", "Receive*", 0.5)),
        ("Q6 reordered", "messages come in any order", rule_of("reorder", "Receive*")),
    ):
        yield Cell(
            name=name,
            fault=text,
            strike=strikes.in_emulators(rule),
            heal=strikes.emulators_healed,
            is_short=name == "Q3 send reply lost",
        )


def _sqs_wire() -> Iterator[Cell]:
    for mode, text in (
        (Mode.REFUSED, "SQS refuses connections"),
        (Mode.RESET, "connections to SQS are reset"),
        (Mode.BLACK_HOLE, "what is sent to SQS vanishes"),
        (Mode.SLOW, "everything takes 200 ms longer"),
    ):
        yield Cell(
            name=f"Q1 {mode}",
            fault=text,
            strike=strikes.on_the_wire("sqs", Fault(mode=mode)),
        )


def rule_of(kind: str, action: str, probability: float = 1.0) -> FaultRule:
    """A rule of the SQS emulator."""
    return FaultRule(kind=kind, action=action, probability=probability)  # type: ignore[arg-type]


def of_stores() -> Iterator[Cell]:
    yield Cell(
        name="D3 older write",
        fault="two workers write the same users' features, DynamoDB takes 0 to 300 ms longer",
        strike=strikes.all_of(
            strikes.twin(STREAMS),
            strikes.on_the_wire(
                "dynamodb", Fault(mode=Mode.SLOW, seconds=0.15, jitter_seconds=0.15)
            ),
        ),
        heal=strikes.twin_gone(STREAMS),
        changes=(Change.NEWER,),
    )
    yield Cell(
        name="D5 stale read",
        fault="reads of DynamoDB that ask for no better answer as they first did",
        strike=strikes.on_the_wire("dynamodb", Fault(mode=Mode.STALE)),
        changes=(Change.NEWER,),
    )
    refused, hole = Fault(mode=Mode.REFUSED), Fault(mode=Mode.BLACK_HOLE)
    slow = Fault(mode=Mode.SLOW, seconds=0.1)
    failing, lost = Fault(mode=Mode.ERROR), Fault(mode=Mode.LOSE_REPLY)
    throttled = Fault(mode=Mode.ERROR, status=400, code=THROTTLED)
    expired = Fault(mode=Mode.ERROR, status=403, code="ExpiredTokenException")
    partly = Fault(mode=Mode.PARTIAL)
    for name, proxy, fault, text in (
        ("D1 refused", "dynamodb", refused, "DynamoDB refuses connections"),
        ("D1 black hole", "dynamodb", hole, "what is sent to DynamoDB vanishes"),
        ("D1 slow", "dynamodb", slow, "DynamoDB takes 100 ms longer"),
        ("D1 500", "dynamodb", failing, "DynamoDB answers 500"),
        ("D1 token expired", "dynamodb", expired, "DynamoDB: token expired"),
        ("D2 throttled", "dynamodb", throttled, "DynamoDB throttles"),
        ("D4 reply lost", "dynamodb", lost, "DynamoDB writes, and its replies are lost"),
        ("K1 partial", "kinesis", partly, "half of each PutRecords fails"),
        ("K1 throttled", "kinesis", throttled, "Kinesis throttles"),
        ("K1 refused", "kinesis", refused, "Kinesis refuses connections"),
        ("K1 reply lost", "kinesis", lost, "Kinesis takes records, and its replies are lost"),
        ("C1 500", "logs", failing, "Logs answers 500"),
        ("C1 rejected", "logs", partly, "Logs rejects half of the lines as too old"),
        ("C2 reply lost", "logs", lost, "Logs takes lines, and its replies are lost"),
    ):
        yield Cell(
            name=name,
            fault=text,
            strike=strikes.on_the_wire(proxy, fault),
            is_short=name in {"D4 reply lost", "K1 partial"},
        )
    yield Cell(
        name="K2 a day",
        fault="connections to Kinesis are reset for a quarter of the time that SQS keeps messages",
        strike=strikes.all_of(
            strikes.kept_for("analytics", 4 * DAY_SECONDS),
            strikes.impatient(STREAMS),
            strikes.on_the_wire("kinesis", Fault(mode=Mode.RESET)),
            strikes.endured("analytics", DAY_SECONDS),
        ),
        spoils=True,
    )
