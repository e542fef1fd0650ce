"""The deeds that cells are made of: what strikes, at what, and how it ends."""

import json
import resource
import signal
import time
import urllib.request
from collections.abc import Callable, Sequence
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from adapters.celery_envelope import build
from adapters.msgpack_wire import encode_pack
from config.failpoints import Failpoint
from domain.jobs import RetryDeadLetters, WriteAnswer
from emulators import FaultRule
from tests.faults.proxy import Fault
from tests.faults.running import Deed, Stage, most_is_done
from tests.faults.waiting import answers_ok, page

BURY_SECONDS = 120.0
PARK_SECONDS = 120.0
RETRACT_SECONDS = 120.0
LOOK_SECONDS = 0.5
EMULATOR_SECONDS = 60.0
QUEUES = ("sessions", "cache-writes", "analytics", "audit")


def all_of(*deeds: Deed) -> Deed:
    """Several deeds, one after the other."""

    def do(stage: Stage) -> None:
        for deed in deeds:
            deed(stage)

    return do


def on_the_wire(proxy: str, fault: Fault) -> Deed:
    """A proxy misbehaves until all is healed."""

    def do(stage: Stage) -> None:
        stage.rig.nemesis.strike(proxy, fault)
        stage.witnesses.append(lambda: stage.rig.nemesis.has_struck(proxy))

    return do


def in_emulators(*rules: FaultRule) -> Deed:
    """The emulators, SQS among them, misbehave until `emulators_healed`.

    What strikes by chance strikes the first call for certain: there may be few.
    """
    first = [replace(rule, probability=1.0, times=1) for rule in rules if rule.probability < 1]

    def do(stage: Stage) -> None:
        order_emulators(stage.rig.sqs_url, "PUT", [*rules, *first])
        stage.witnesses.append(lambda: have_struck(stage.rig.sqs_url))

    return do


def emulators_healed(stage: Stage) -> None:
    """The emulators behave."""
    rules = order_emulators(stage.rig.sqs_url, "GET")
    stage.struck_in_emulators += sum(rule.struck for rule in rules)
    order_emulators(stage.rig.sqs_url, "DELETE")


def have_struck(url: str) -> bool:
    """Whether any rule of an emulator has."""
    return any(rule.struck for rule in order_emulators(url, "GET"))


def emulators_struck(stage: Stage) -> bool:
    """Whether the emulators have met what they were to strike, and most is done."""
    rules = order_emulators(stage.rig.sqs_url, "GET")
    return most_is_done(stage) and all(rule.struck for rule in rules)


def order_emulators(url: str, method: str, rules: Sequence[FaultRule] = ()) -> Sequence[FaultRule]:
    """Read, set or delete the fault rules of an emulator; those that it has then."""
    request = urllib.request.Request(  # noqa: S310 - our own emulator
        f"{url}/_emulator/faults", msgspec.json.encode(rules), method=method
    )
    with urllib.request.urlopen(request, timeout=EMULATOR_SECONDS) as answer:  # noqa: S310
        return msgspec.json.decode(answer.read(), type=list[FaultRule])


def killed(*names: str, times: int = 1, pause_seconds: float = 0.5) -> Deed:
    """Processes are killed, again and again where asked for."""

    def do(stage: Stage) -> None:
        for _ in range(times):
            for name in names:
                stage.rig.kill(name)
                stage.rig.until_later(pause_seconds)

    return do


def signalled(name: str, number: signal.Signals) -> Deed:
    """A process gets a signal."""
    return lambda stage: stage.rig.signal(name, number)


def restarted(name: str) -> Deed:
    """A process is asked to end, and another takes its place."""
    return lambda stage: stage.rig.replace(name)


def armed(name: str, point: Failpoint) -> Deed:
    """A process is started anew, to die when it reaches this point."""
    return lambda stage: stage.rig.replace(name, point)


def has_died(name: str) -> Callable[[Stage], bool]:
    """Whether a process has died since the cell began; a forked child's death is in its log."""

    def told(stage: Stage) -> bool:
        return any(one.name == name for one in stage.deaths()) or stage.logged(name, "signal 9")

    return told


def disk_full(name: str) -> Deed:
    """A process can write no file any more."""
    return lambda stage: _limit_files(stage.rig.pid(name), 0)


def disk_filling(name: str, bytes_: int) -> Deed:
    """A process can write no more than so much into a file, and then a part of what it wants to."""
    return lambda stage: _limit_files(stage.rig.pid(name), bytes_)


def disk_free(name: str) -> Deed:
    """It can again."""
    return lambda stage: _limit_files(stage.rig.pid(name), resource.RLIM_INFINITY)


def _limit_files(pid: int, limit: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, hard))


def torn(stage: Stage) -> None:
    """The request path dies while it appends to the spool, as the bytes that it leaves say."""
    rig = stage.rig
    spool = rig.directory.state / "spool"
    rig.signal("relay", signal.SIGSTOP)
    rig.until(lambda: any(spool.glob("*.wal")), BURY_SECONDS, "nothing is spooled")
    rig.kill("serving")
    newest = max(spool.glob("*.wal"))
    whole = newest.read_bytes()
    with newest.open("ab") as file:
        file.write(whole[: min(40, len(whole) // 2)])


def buried(stage: Stage) -> None:
    """Packs that wait for a stopped worker become dead letters, as if they had failed too often."""
    stage.rig.until(
        lambda: stage.stores.bury("cache-writes") > 0, BURY_SECONDS, "no message came to be buried"
    )
    stage.rig.signal("worker-interactive", signal.SIGCONT)


def unreadable_letter(stage: Stage) -> None:
    """A dead letter that is no message of ours."""
    stage.stores.send_dead("cache-writes", "never a message")


def poisoned(bodies: Callable[[], Sequence[str]]) -> Deed:
    """Messages that are no jobs arrive on every queue."""

    def do(stage: Stage) -> None:
        for queue in QUEUES:
            stage.stores.send(queue, *bodies())

    return do


def set_aside(count: int) -> Deed:
    """Wait until so many messages are parked."""
    return lambda stage: stage.rig.until(
        lambda: stage.parked() >= count, PARK_SECONDS, "poison is not parked"
    )


def refused_job(stage: Stage) -> None:
    """A job that can never succeed arrives."""
    job = WriteAnswer(
        event_id=str(uuid4()), producer="faults", seq=1, occurred_at=time.time(),
        answer_kind="no such kind", slug="x", locale="ja",
    )  # fmt: skip
    stage.stores.send("cache-writes", message(job))


def message(job: WriteAnswer | RetryDeadLetters) -> str:
    """One job as a message."""
    return build(job.kind, encode_pack([job]), message_id=str(uuid4()))


def pause(seconds: float) -> Deed:
    """Let some time pass."""
    return lambda stage: stage.rig.until_later(seconds)


def fork_killed(stage: Stage) -> None:
    """The process that does the work of a forking worker is killed, as for want of memory."""
    stage.rig.kill_fork("worker-precompute")


def twin(name: str) -> Deed:
    """Two processes do what one is there for."""
    return lambda stage: stage.rig.add_twin(name)


def twin_gone(name: str) -> Deed:
    """Only one is left."""
    return lambda stage: stage.rig.remove(f"{name}-twin")


def kept_for(queue: str, seconds: int) -> Deed:
    """A queue keeps messages no longer than this."""
    return lambda stage: stage.stores.keep_for(queue, seconds)


def impatient(name: str) -> Deed:
    """A process is started anew, to put off what fails for a second at the most."""
    return lambda stage: stage.rig.replace(name, backoff_seconds=1)


def endured(queue: str, seconds: float) -> Deed:
    """Time passes, and what waits on a queue becomes no dead letter for it."""

    def do(stage: Stage) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            stage.rig.until_later(LOOK_SECONDS)
            assert f"{queue} dead" not in stage.stores.pending(), "the outage makes dead letters"
        assert queue in stage.stores.pending(), "nothing waits for the end of the outage"

    return do


def wrong_clocks(seconds: int, *names: str) -> Deed:
    """Processes are started anew with clocks that are wrong by so much."""

    def do(stage: Stage) -> None:
        for name in names:
            stage.rig.replace(name, clock_seconds=seconds)

    return do


def bad_is_gone(stage: Stage) -> None:
    """Wait until nothing that a model said while it was struck is kept."""
    whole = set(stage.load.whole.values())
    stage.rig.until(
        lambda: whole >= set(stage.stores.kept(stage.began_at)),
        RETRACT_SECONDS,
        "what a model should not have said is kept",
    )


def is_not_ready(stage: Stage) -> bool:
    """Whether the request path lives, and says that it is not ready."""
    port = stage.rig.http_port
    return answers_ok(port, "/healthz") and not answers_ok(port, "/readyz")


def still_not_ready(stage: Stage) -> None:
    """It says so until the fault ends."""
    assert is_not_ready(stage), "it is ready without what it needs"


def is_degraded(*missing: str) -> Callable[[Stage], bool]:
    """Whether the request path is ready without these, says so, and most is done."""

    def told(stage: Stage) -> bool:
        found = page(stage.rig.http_port, "/readyz")
        soft = json.loads(found)["checks"]["soft"] if found else {}
        return most_is_done(stage) and not any(soft.get(name, True) for name in missing)

    return told
