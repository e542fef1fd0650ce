"""The cells that strike our own processes: from outside, and at their numbered failpoints."""

import signal
from collections.abc import Iterator

from config.failpoints import Failpoint
from tests.faults import strikes
from tests.faults.dependency_cells import EVERY_MESSAGE, STREAMS, rule_of
from tests.faults.poison import malformed
from tests.faults.proxy import Fault, Mode
from tests.faults.running import Cell, nothing

INTERACTIVE, PRECOMPUTE = "worker-interactive", "worker-precompute"
HOUR = 3600
FILLED_BYTES = 20_000
OF_OURS = frozenset({"serving", "relay", "beat", INTERACTIVE, STREAMS, PRECOMPUTE})


def of_processes() -> Iterator[Cell]:
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
        strike=strikes.all_of(strikes.twin("beat"), strikes.pause(3), strikes.killed("beat")),
        heal=strikes.twin_gone("beat"),
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
        name="P8 disk fills up",
        fault="Redis refuses, and the disk takes a part of the spool",
        strike=strikes.all_of(
            strikes.disk_filling("serving", FILLED_BYTES),
            strikes.on_the_wire("redis", Fault(mode=Mode.REFUSED)),
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
    yield from _of_clocks()
    yield Cell(
        name="P11 poison",
        fault="messages of 15 malformed kinds on every queue",
        strike=strikes.poisoned(malformed),
        heal=strikes.set_aside(len(malformed()) * len(strikes.QUEUES)),
        is_short=True,
    )
    yield from _warming_up()
    yield Cell(
        name="P13 everything",
        fault="Redis killed, SQS answers 500, DynamoDB slow, workers and relay killed",
        strike=strikes.all_of(
            strikes.in_emulators(rule_of("http500", EVERY_MESSAGE, 0.5)),
            strikes.on_the_wire("dynamodb", Fault(mode=Mode.SLOW, seconds=0.1)),
            strikes.killed("redis", INTERACTIVE, STREAMS, "relay", times=2),
        ),
        heal=strikes.emulators_healed,
        kills=OF_OURS | {"redis"},
    )


def _of_clocks() -> Iterator[Cell]:
    workers = ("relay", INTERACTIVE, STREAMS, "beat")
    for name, text, seconds, names in (
        ("workers ahead", "clocks of relay, workers and beat an hour ahead", HOUR, workers),
        ("workers behind", "the same an hour behind", -HOUR, workers),
        ("serving ahead", "the request path's clock an hour ahead", HOUR, ("serving",)),
    ):
        yield Cell(
            name=f"P10 {name}",
            fault=text,
            strike=strikes.wrong_clocks(seconds, *names),
            heal=strikes.all_of(*map(strikes.restarted, names)),
        )


def _warming_up() -> Iterator[Cell]:
    refused = Fault(mode=Mode.REFUSED)
    for name, proxy in (("Redis", "redis"), ("DynamoDB", "dynamodb")):
        yield Cell(
            name=f"P12 without {name}",
            fault=f"the request path begins while {name} refuses, and is not ready",
            strike=strikes.all_of(
                strikes.on_the_wire(proxy, refused), strikes.restarted("serving")
            ),
            met=strikes.is_not_ready,
            heal=strikes.still_not_ready,
        )
    yield Cell(
        name="P12 degraded",
        fault="the request path begins while Bedrock refuses, and is ready",
        strike=strikes.all_of(strikes.on_the_wire("models", refused), strikes.restarted("serving")),
        met=strikes.is_degraded("model-small", "model-large"),
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
    Failpoint.DEAD_LETTERS_AFTER_PARK: (PRECOMPUTE, strikes.unreadable_letter),
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


def of_failpoints() -> Iterator[Cell]:
    for point in Failpoint:
        family = point.partition(".")[0]
        name, then = _ARMED.get(point, (_PROCESS_OF[family], nothing))
        strike = strikes.all_of(strikes.armed(name, point), then)
        if family == "dead_letters":
            stopped = strikes.signalled(INTERACTIVE, signal.SIGSTOP)
            strike = strikes.all_of(stopped, strike, strikes.buried)
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
