"""The fault matrix as a table: every fault that the kit strikes with, by what it strikes.

Names begin with the row of the matrix: R Redis, Q SQS, D DynamoDB, K Kinesis, C CloudWatch Logs,
P processes.
"""

import signal
from collections.abc import Iterator, Sequence

from config.failpoints import Failpoint
from emulators import FaultRule
from tests.faults import strikes
from tests.faults.history import Effect
from tests.faults.poison import malformed
from tests.faults.proxy import Fault, Mode
from tests.faults.running import Cell, nothing

INTERACTIVE, STREAMS, PRECOMPUTE = "worker-interactive", "worker-streams", "worker-precompute"
OF_OURS = frozenset({"serving", "relay", "beat", INTERACTIVE, STREAMS, PRECOMPUTE})
EVERY_MESSAGE = "*Message*"
THROTTLED = "ProvisionedThroughputExceededException"
REPLICATION = "Redis itself replicates its counters asynchronously"


def cells() -> Sequence[Cell]:
    """All of them."""
    return [*_redis(), *_sqs(), *_stores(), *_processes(), *_failpoints()]


def _redis() -> Iterator[Cell]:
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
        strike=strikes.promoted(),
        forgives=frozenset({Effect.COUNT}),
        why=REPLICATION,
        spoils=True,
    )
    yield Cell(
        name="R4 lagging failover",
        fault="the same, the replica 0.5 s behind and the relay stopped",
        strike=strikes.all_of(
            strikes.signalled("relay", signal.SIGSTOP), strikes.promoted(lag_seconds=0.5)
        ),
        forgives=frozenset({Effect.COUNT}),
        why=REPLICATION,
        spoils=True,
    )
    yield Cell(
        name="R5 no memory",
        fault="Redis refuses writes for want of memory",
        strike=strikes.without_memory,
        heal=strikes.with_memory_again,
    )
    yield Cell(
        name="R5 eviction",
        fault="Redis is full and evicts what expires soonest",
        strike=strikes.filled,
        heal=strikes.with_memory_again,
    )
    yield Cell(
        name="R6 wrong type",
        fault="lists stand where stored answers were",
        strike=strikes.damaged(lambda _stored: None),
        heal=strikes.rebuilt,
    )
    yield Cell(
        name="R6 cut off",
        fault="stored answers lack their end",
        strike=strikes.damaged(lambda stored: stored[:-20]),
        heal=strikes.rebuilt,
    )
    yield Cell(
        name="R6 bits flipped",
        fault="stored answers have a changed byte",
        strike=strikes.damaged(lambda stored: stored[:-9] + bytes([stored[-9] ^ 1]) + stored[-8:]),
        heal=strikes.rebuilt,
    )


def _sqs() -> Iterator[Cell]:
    yield from _sqs_wire()
    for name, text, rule in (
        ("Q1 send 503", "SendMessageBatch answers 503", _rule("http503", "Send*")),
        ("Q1 send throttled", "SendMessageBatch is throttled", _rule("throttle", "Send*")),
        ("Q1 token expired", "every call: token expired", _rule("expired_token", EVERY_MESSAGE)),
        ("Q2 partly sent", "half of each batch is refused", _rule("partial", "Send*")),
        (
            "Q3 send reply lost",
            "a third of the replies to sends",
            _rule("lose_reply", "Send*", 0.3),
        ),
        ("Q4 receive 500", "ReceiveMessage answers 500", _rule("http500", "Receive*")),
        ("Q4 receive throttled", "ReceiveMessage is throttled", _rule("throttle", "Receive*")),
        ("Q4 receive expired", "ReceiveMessage: token expired", _rule("expired_token", "Receive*")),
        ("Q4 receive denied", "ReceiveMessage: access denied", _rule("access_denied", "Receive*")),
        ("Q4 receive reset", "ReceiveMessage is cut", _rule("reset", "Receive*")),
        ("Q4 receive hangs", "ReceiveMessage is not answered", _rule("hang", "Receive*")),
        ("Q4 receive reply lost", "messages go astray", _rule("lose_reply", "Receive*", 0.3)),
        ("Q5 delete 500", "DeleteMessageBatch answers 500", _rule("http500", "Delete*")),
        ("Q5 partly deleted", "half of each batch is refused", _rule("partial", "Delete*")),
        ("Q5 delete reply lost", "no reply to deletes", _rule("lose_reply", "Delete*")),
        ("Q6 duplicates", "half of the messages come twice", _rule("duplicate", "Receive*", 0.5)),
        ("Q6 reordered", "messages come in any order", _rule("reorder", "Receive*")),
    ):
        yield Cell(
            name=name,
            fault=text,
            strike=strikes.in_sqs(rule),
            heal=strikes.sqs_healed,
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


def _rule(kind: str, action: str, probability: float = 1.0) -> FaultRule:
    return FaultRule(kind=kind, action=action, probability=probability)  # type: ignore[arg-type]


def _stores() -> Iterator[Cell]:
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


def _processes() -> Iterator[Cell]:
    yield from _killed()
    yield Cell(
        name="P2 relay stopped",
        fault="SIGSTOP of the relay",
        strike=strikes.signalled("relay", signal.SIGSTOP),
    )
    yield Cell(
        name="P3 worker stopped",
        fault="SIGSTOP of a worker for longer than messages stay hidden",
        strike=strikes.signalled(INTERACTIVE, signal.SIGSTOP),
        seconds=7.0,
    )
    yield Cell(
        name="P4 two beats",
        fault="two beats send the same ticks, one is killed",
        strike=strikes.all_of(strikes.second_beat, strikes.pause(3), strikes.killed("beat")),
        heal=strikes.second_beat_gone,
        kills=frozenset({"beat"}),
    )
    for name in ("serving", INTERACTIVE, "relay"):
        yield Cell(
            name=f"P{'56'[name != 'serving']} SIGTERM of {name}",
            fault="asked to end, and replaced",
            strike=strikes.restarted(name),
        )
    yield Cell(
        name="P7 out of memory",
        fault="the forked child of a worker is killed",
        strike=strikes.fork_killed,
    )
    yield Cell(
        name="P8 disk full",
        fault="Redis refuses, and the disk takes no spool",
        strike=strikes.all_of(
            strikes.disk_full("serving"), strikes.on_the_wire("redis", Fault(mode=Mode.REFUSED))
        ),
        heal=strikes.disk_free("serving"),
    )
    yield Cell(
        name="P9 torn spool",
        fault="the request path dies while it appends to the spool",
        strike=strikes.all_of(strikes.on_the_wire("redis", Fault(mode=Mode.REFUSED)), strikes.torn),
        met=strikes.has_died("serving"),
        kills=frozenset({"serving"}),
    )
    yield Cell(
        name="P11 poison",
        fault="messages of 14 malformed kinds on every queue",
        strike=strikes.poisoned(malformed),
        is_short=True,
    )
    yield Cell(
        name="P13 everything",
        fault="Redis killed, SQS answers 500, DynamoDB slow, workers and relay killed",
        strike=strikes.all_of(
            strikes.in_sqs(_rule("http500", EVERY_MESSAGE, 0.5)),
            strikes.on_the_wire("dynamodb", Fault(mode=Mode.SLOW, seconds=0.1)),
            strikes.killed("redis", INTERACTIVE, STREAMS, "relay", times=2),
        ),
        heal=strikes.sqs_healed,
        kills=OF_OURS | {"redis"},
    )


def _killed() -> Iterator[Cell]:
    for row, name in (("P1", "serving"), ("P2", "relay"), ("P3", INTERACTIVE), ("P3", STREAMS)):
        yield Cell(
            name=f"{row} {name} killed",
            fault="SIGKILL, three times",
            strike=strikes.killed(name, times=3),
            kills=frozenset({name}),
            is_short=name == INTERACTIVE,
        )


_REDIS_REFUSED = strikes.on_the_wire("redis", Fault(mode=Mode.REFUSED))

_ARMED = {
    Failpoint.WORKER_AFTER_PARK: (INTERACTIVE, strikes.refused_job),
    Failpoint.SERVING_AFTER_SPOOL: ("serving", _REDIS_REFUSED),
    Failpoint.RELAY_AFTER_SPOOL_READ: ("relay", _REDIS_REFUSED),
    Failpoint.RELAY_BEFORE_SPOOL_DELETE: ("relay", _REDIS_REFUSED),
}
"""Where a process must be brought to its failpoint by something more than events."""

_PROCESS_OF = {
    "serving": "serving",
    "relay": "relay",
    "worker": INTERACTIVE,
    "dead_letters": PRECOMPUTE,
    "beat": "beat",
}


def _failpoints() -> Iterator[Cell]:
    for point in Failpoint:
        family = point.partition(".")[0]
        name, then = _ARMED.get(point, (_PROCESS_OF[family], nothing))
        strike = strikes.all_of(strikes.armed(name, point), then)
        if family == "dead_letters":
            strike = strikes.all_of(strikes.armed(name, point), strikes.buried)
        yield Cell(
            name=f"{_ROW[family]} {point}",
            fault="SIGKILL at this point",
            strike=strike,
            met=strikes.has_died(name),
            # A forked child that dies leaves its parent armed.
            heal=strikes.restarted(name) if family == "dead_letters" else nothing,
            seconds=0.0,
            kills=frozenset({name}),
        )


_ROW = {"serving": "P1", "relay": "P2", "worker": "P3", "dead_letters": "P3", "beat": "P4"}
