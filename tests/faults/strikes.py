"""The deeds that cells are made of: what strikes, at what, and how it ends."""

import resource
import signal
import time
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from uuid import uuid4

import msgspec

from adapters.celery_envelope import build
from adapters.msgpack_wire import encode_pack
from config.failpoints import Failpoint
from domain.answers import AnswerKey, Damaged, StoredAnswer
from domain.jobs import RetryDeadLetters, WriteAnswer
from emulators import FaultRule
from tests.faults.proxy import Fault
from tests.faults.rig import REPLICA
from tests.faults.running import Deed, Stage

ANSWERS = [AnswerKey("trending", "", "en"), AnswerKey("new_releases", "", "ja")]
REBUILD_SECONDS = 30.0
QUEUES = ("sessions", "cache-writes", "analytics", "audit")


def all_of(*deeds: Deed) -> Deed:
    """Several deeds, one after the other."""

    def do(stage: Stage) -> None:
        for deed in deeds:
            deed(stage)

    return do


def on_the_wire(proxy: str, fault: Fault) -> Deed:
    """A proxy misbehaves until all is healed."""
    return lambda stage: stage.rig.nemesis.strike(proxy, fault)


def in_sqs(*rules: FaultRule) -> Deed:
    """The SQS emulator misbehaves until `sqs_healed`."""
    return lambda stage: order_sqs(stage.rig.sqs_url, "PUT", rules)


def sqs_healed(stage: Stage) -> None:
    """The SQS emulator behaves."""
    order_sqs(stage.rig.sqs_url, "DELETE", ())


def order_sqs(url: str, method: str, rules: Sequence[FaultRule]) -> None:
    """Set or delete the fault rules of an emulator."""
    request = urllib.request.Request(  # noqa: S310 - our own emulator
        f"{url}/_emulator/faults", msgspec.json.encode(rules), method=method
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


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


def without_memory(stage: Stage) -> None:
    """Redis takes no more writes."""
    with stage.rig.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")


def with_memory_again(stage: Stage) -> None:
    """Redis is as it was started."""
    with stage.rig.client() as client:
        client.config_set("maxmemory", "512mb")
        client.config_set("maxmemory-policy", "volatile-ttl")


def filled(stage: Stage) -> None:
    """Redis is full of short-lived keys, so that it evicts from now on."""
    with stage.rig.client() as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", str(used + 2_000_000))
        for at in range(2000):
            client.set(f"filler:{uuid4()}", b"x" * 4096, ex=60 + at % 10)
        assert int(client.info("stats")["evicted_keys"]) > 0


def damaged(how: Callable[[bytes], bytes | None]) -> Deed:
    """Stored answers are replaced; None puts a list in their place."""

    def do(stage: Stage) -> None:
        with stage.rig.client() as client:
            for key in ANSWERS:
                stored = client.get(key.redis_key())
                bad = how(stored or b"")
                client.delete(key.redis_key())
                if bad is None:
                    client.rpush(key.redis_key(), "no answer")
                else:
                    client.set(key.redis_key(), bad, ex=9000)

    return do


def rebuilt(stage: Stage) -> None:
    """Wait until the answers are good again."""
    stage.rig.until(lambda: _are_good(stage), REBUILD_SECONDS, "answers are not made anew")


def _are_good(stage: Stage) -> bool:
    with stage.rig.client() as client:
        for key in ANSWERS:
            name = key.redis_key()
            if client.type(name) != b"string":
                return False
            try:
                StoredAnswer.unpack(client.get(name) or b"", name)
            except Damaged:
                return False
    return True


def disk_full(name: str) -> Deed:
    """A process can write no file any more."""
    return lambda stage: _limit_files(stage.rig.pid(name), 0)


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
    rig.until(lambda: any(spool.glob("*.wal")), 20, "nothing is spooled")
    rig.kill("serving")
    newest = max(spool.glob("*.wal"))
    whole = newest.read_bytes()
    with newest.open("ab") as file:
        file.write(whole[: min(40, len(whole) // 2)])


def buried(stage: Stage) -> None:
    """Packs that wait for a worker become dead letters, as if they had failed too often."""
    stage.rig.signal("worker-interactive", signal.SIGSTOP)
    for _ in range(20):
        if stage.stores.bury("cache-writes"):
            break
        stage.rig.until_later(0.2)
    else:
        raise AssertionError("no message came to be buried")
    stage.rig.signal("worker-interactive", signal.SIGCONT)


def poisoned(bodies: Callable[[], Sequence[str]]) -> Deed:
    """Messages that are no jobs arrive on every queue."""

    def do(stage: Stage) -> None:
        for queue in QUEUES:
            stage.stores.send(queue, *bodies())

    return do


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


def second_beat(stage: Stage) -> None:
    """Two beats send the same ticks."""
    stage.rig.add_twin("beat")


def second_beat_gone(stage: Stage) -> None:
    """Only one is left."""
    stage.rig.remove("beat-twin")


def promoted(lag_seconds: float = 0.0) -> Deed:
    """The primary dies, and a replica that is so far behind becomes one."""
    return partial(_promote, lag_seconds=lag_seconds)


def _promote(stage: Stage, lag_seconds: float) -> None:
    rig = stage.rig
    rig.start_replica()
    if lag_seconds:
        rig.signal(REPLICA, signal.SIGSTOP)
        rig.until_later(lag_seconds)
    rig.remove("redis", at_once=True)
    rig.signal(REPLICA, signal.SIGCONT)
    rig.promote_replica()
