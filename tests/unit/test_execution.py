"""What becomes of a message follows from how its jobs ended, and every end is measured."""

import logging
from collections.abc import Callable, Sequence

import pytest

from adapters.msgpack_wire import decode_pack, encode_job, encode_pack, join_pack
from config.queues import declared
from domain.catalogue import Catalogue
from domain.errors import PartlyFailed, Permanent, Transient
from domain.jobs import Job, WriteAnswer
from domain.parking import Reason
from domain.ports import Ports
from tests import logs
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE
from workers.execution import Delivery, Ending, Perform, Verdict, execute
from workers.isolating import Unexpected

QUESTION = "what somebody typed"
KIND = "cache.write"
LAST_RECEIVE = declared().queues["cache-writes"].max_receives
DONE = Ending(Verdict.ACKNOWLEDGE)
AGAIN = Ending(Verdict.REDELIVER)


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore(Catalogue([])))


def job(event_id: str, number: int = 0) -> WriteAnswer:
    return WriteAnswer(
        event_id=event_id,
        producer="p",
        seq=1,
        occurred_at=NOW - 10 + number,
        answer_kind="title",
        slug=QUESTION,
        locale="ja",
    )


def pack(*event_ids: str) -> bytes:
    return encode_pack([job(event_id, number) for number, event_id in enumerate(event_ids)])


def pack_with_one_malformed_job() -> bytes:
    return join_pack(KIND, 1, [encode_job(job("a")), b"\x90", encode_job(job("b"))])


def delivery(receives: int = 1, kind: str = KIND) -> Delivery:
    return Delivery(kind=kind, message_id="m1", queue="cache-writes", receives=receives)


def raising(error: Exception) -> Perform:
    def perform(_jobs: Sequence[Job], _ports: Ports) -> None:
        raise error

    return perform


def failing(reasons: dict[str, Exception]) -> Perform:
    """Performs all but the named jobs."""

    def perform(jobs: Sequence[Job], _ports: Ports) -> None:
        named = {one.event_id: reasons[one.event_id] for one in jobs if one.event_id in reasons}
        if named:
            raise PartlyFailed(named)  # type: ignore[arg-type]

    return perform


def nothing(_jobs: Sequence[Job], _ports: Ports) -> None:
    return


def outcomes(world: World) -> dict[str, int]:
    return {
        key[1]: count for key, count in world.metrics.counted.items() if key[0] == "task_jobs_total"
    }


def parked_events(world: World) -> dict[str, Reason]:
    return {one.event_id: one.reason for one in world.parking.each()}


def test_a_pack_that_succeeds_is_acknowledged_and_its_jobs_are_counted(world: World) -> None:
    assert execute(nothing, pack("a", "b"), delivery(), world.ports) == DONE
    assert world.metrics.counted == {("task_jobs_total", "done", KIND): 2}
    assert world.metrics.observed["task_seconds", "done", KIND] == [0.0]
    assert world.metrics.observed["event_age_seconds", KIND] == [10.0, 9.0]
    assert world.metrics.gauges["queue_oldest_seconds", "cache-writes"] == 10.0
    assert world.failures.noted == {}


def test_the_task_gets_the_jobs_and_the_ports(world: World) -> None:
    got: list[str] = []
    execute(
        lambda jobs, given: got.extend(f"{one.event_id}{given is world.ports}" for one in jobs),
        pack("a", "b"),
        delivery(),
        world.ports,
    )
    assert got == ["aTrue", "bTrue"]


@pytest.mark.parametrize(
    ("perform", "ending", "counted", "parked"),
    [
        (raising(Transient("throttled")), AGAIN, {"transient": 2}, set()),
        (raising(RuntimeError("ours")), AGAIN, {"unexpected": 2}, set()),
        (raising(Permanent("no such kind")), DONE, {"permanent": 2}, {"a", "b"}),
        (failing({"a": Transient("slow")}), AGAIN, {"done": 1, "transient": 1}, set()),
        (failing({"a": Permanent("wrong")}), DONE, {"done": 1, "permanent": 1}, {"a"}),
        (
            failing({"a": Permanent("wrong"), "b": Transient("slow")}),
            AGAIN,
            {"permanent": 1, "transient": 1},
            {"a"},
        ),
    ],
)
def test_each_failure_has_its_ending_and_its_counts(
    world: World, perform: Perform, ending: Ending, counted: dict[str, int], parked: set[str]
) -> None:
    assert execute(perform, pack("a", "b"), delivery(), world.ports) == ending
    assert outcomes(world) == counted
    assert parked_events(world) == dict.fromkeys(parked, Reason.PERMANENT)


def test_a_job_that_can_never_succeed_is_parked_as_it_can_be_sent_again(world: World) -> None:
    execute(raising(Permanent("no such kind")), pack("a"), delivery(2), world.ports)
    (parked,) = world.parking.each()
    assert decode_pack(parked.payload) == [job("a")]
    assert (parked.queue, parked.kind, parked.detail) == ("cache-writes", KIND, "no such kind")
    assert (parked.receives, parked.parked_at, parked.first_sent_at) == (2, NOW, NOW - 10)
    assert "receive 2 of message m1: no such kind" in parked.history[-1]


def test_a_redelivered_pack_parks_its_jobs_once_and_says_so_once(world: World) -> None:
    perform = failing({"a": Permanent("wrong"), "b": Transient("slow")})
    for receives in (1, 2, 3):
        assert execute(perform, pack("a", "b"), delivery(receives), world.ports) == AGAIN
        world.clock.now += 60
    (parked,) = world.parking.each()
    assert parked.parked_at == NOW
    assert len(parked.history) == 3
    assert world.metrics.counted["parked_total", "permanent"] == 1
    assert execute(nothing, pack("b"), delivery(4), world.ports) == DONE


def test_a_pack_is_not_acknowledged_before_its_jobs_are_parked(world: World) -> None:
    world.parking.fail = Transient("down", dependency="dynamodb")
    ending = execute(raising(Permanent("no")), pack("a"), delivery(), world.ports)
    assert ending == Ending(Verdict.REDELIVER, "dynamodb")
    world.parking.fail = None
    assert execute(raising(Permanent("no")), pack("a"), delivery(2), world.ports) == DONE
    assert parked_events(world) == {"a": Reason.PERMANENT}


def test_a_job_that_parking_does_not_take_comes_again(world: World) -> None:
    execute(raising(Permanent("no")), pack("a"), delivery(), world.ports)
    world.parking.refusing = {one.id: "too large" for one in world.parking.each()}
    assert execute(raising(Permanent("no")), pack("a"), delivery(), world.ports) == AGAIN


def test_only_the_malformed_job_of_a_pack_is_parked(world: World) -> None:
    got: list[str] = []
    ending = execute(
        lambda jobs, _: got.extend(one.event_id for one in jobs),
        pack_with_one_malformed_job(),
        delivery(),
        world.ports,
    )
    assert ending == DONE
    assert got == ["a", "b"]
    (parked,) = world.parking.each()
    assert parked.reason is Reason.MALFORMED
    assert parked.payload == join_pack(KIND, 1, [b"\x90"])
    assert outcomes(world) == {"done": 2, "malformed": 1}


@pytest.mark.parametrize(("data", "kind"), [(b"\xc1", KIND), (pack("a"), "session.update")])
def test_a_pack_that_can_not_be_split_is_parked_whole(world: World, data: bytes, kind: str) -> None:
    for _ in range(2):
        assert execute(nothing, data, delivery(kind=kind), world.ports) == DONE
    (parked,) = world.parking.each()
    assert (parked.reason, parked.payload) == (Reason.MALFORMED, data)
    assert world.metrics.observed["task_seconds", "malformed", kind] == [0.0, 0.0]
    assert world.metrics.counted["parked_total", "malformed"] == 1


def test_the_others_of_a_pack_are_done_when_one_raises_what_it_should_not(world: World) -> None:
    done: list[str] = []

    def perform(jobs: Sequence[Job], _ports: Ports) -> None:
        if any(one.event_id == "c" for one in jobs):
            raise ZeroDivisionError
        done.extend(one.event_id for one in jobs)

    assert execute(perform, pack(*"abcde"), delivery(), world.ports) == AGAIN
    assert sorted(done) == ["a", "b", "d", "e"]
    assert outcomes(world) == {"done": 4, "unexpected": 1}


@pytest.mark.parametrize(
    ("perform", "down"),
    [
        (raising(Transient("no", dependency="redis")), "redis"),
        (raising(Transient("somebody else is at it")), ""),
        (failing({"a": Transient("no", dependency="redis")}), "redis"),
        (failing(dict.fromkeys("ab", Transient("no", dependency="kinesis"))), "kinesis"),
        (failing({"a": Permanent("no"), "b": Transient("no", dependency="logs")}), "logs"),
        (failing({"a": Transient("", dependency="x"), "b": Transient("", dependency="y")}), "x"),
        (failing({"a": Transient("held"), "b": Transient("", dependency="y")}), "y"),
        (failing({"a": Unexpected("ours"), "b": Transient("", dependency="y")}), ""),
        (raising(RuntimeError()), ""),
    ],
)
def test_a_dependency_is_down_where_half_of_a_pack_or_more_met_nothing_else(
    world: World, perform: Perform, down: str
) -> None:
    ending = execute(perform, pack("a", "b"), delivery(), world.ports)
    assert ending == Ending(Verdict.REDELIVER, down)


def test_one_of_many_jobs_that_a_dependency_refuses_is_no_outage(world: World) -> None:
    hot = failing({"a": Transient("throttled", dependency="dynamodb")})
    assert execute(hot, pack(*"abc"), delivery(), world.ports) == AGAIN


def test_a_message_that_came_back_counts_as_a_retry(world: World) -> None:
    execute(nothing, pack("a"), delivery(receives=2), world.ports)
    assert world.metrics.counted["task_retries_total", KIND] == 1


def test_the_last_failure_of_a_message_is_noted_for_whoever_finds_it_dead(world: World) -> None:
    slow = raising(Transient("kinesis is slow"))
    execute(slow, pack("a", "b"), delivery(LAST_RECEIVE - 1), world.ports)
    assert world.failures.noted == {}
    execute(slow, pack("a", "b"), delivery(LAST_RECEIVE), world.ports)
    assert world.failures.noted["m1"].line == "2 of 2 failed: kinesis is slow"
    assert world.failures.noted["m1"].at == NOW


@pytest.mark.parametrize("make", [lambda: pack("a"), pack_with_one_malformed_job])
def test_the_log_has_one_line_and_nothing_of_the_payload(
    world: World, caplog: pytest.LogCaptureFixture, make: Callable[[], bytes]
) -> None:
    caplog.set_level(logging.INFO)
    execute(nothing, make(), delivery(), world.ports)
    (record,) = logs.here(caplog)
    assert "task=cache.write outcome=" in record.message
    assert QUESTION not in caplog.text
