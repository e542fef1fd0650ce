"""An operator parks dead letters and sends parked jobs again: no interruption loses one."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.celery_envelope import build, check
from adapters.msgpack_wire import decode_pack, encode_pack, join_pack
from domain.catalogue import Catalogue
from domain.errors import MangaAssistError, Transient
from domain.jobs import WriteAnswer
from domain.parking import UNREADABLE, Parked, Reason, id_of_job
from tests.fakes import FakeCatalogueStore, FakeParking, World
from tests.samples import RULE
from tests.unit.test_dead_letters import QUEUE, Queues
from workers import parked_jobs
from workers.dead_letters import Choice, Retried
from workers.setting_aside import Delivery, parked_job

KIND = "cache.write"
EVERYTHING = Choice(queues=[QUEUE, "cache-writes"])


def job(event_id: str) -> WriteAnswer:
    return WriteAnswer(
        event_id=event_id,
        producer="p",
        seq=1,
        occurred_at=1.0,
        answer_kind="title",
        slug="s",
        locale="ja",
    )


def aside(event_id: str, **others: object) -> Parked:
    one = parked_job(job(event_id), "no", Delivery(KIND, "m", "cache-writes", 1), 100.0)
    return replace(one, **others)  # type: ignore[arg-type]


@pytest.fixture
def parking() -> FakeParking:
    world = World(RULE, FakeCatalogueStore(Catalogue([])))
    world.clock.now = 0.0
    return world.parking


class Sent:
    """The queues; `then` is called with each message that they took."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.bodies: list[tuple[str, str]] = []
        self.refuse: MangaAssistError | None = None
        self._then = then

    def __call__(self, queue: str, body: str) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.bodies.append((queue, body))
        self._then()

    def event_ids(self) -> list[str]:
        packs = [check(body).args[0] for _, body in self.bodies]
        return [one.event_id for pack in packs for one in decode_pack(pack)]  # type: ignore[arg-type]


def retry(
    parking: FakeParking, sent: Sent, choice: Choice = EVERYTHING, *, dry_run: bool = False
) -> Retried:
    steps = list(parked_jobs.retry(parking, sent, choice, dry_run=dry_run, per_second=1e9))
    return steps[-1] if steps else Retried()


def test_parked_jobs_are_sent_as_they_were_and_are_parked_no_more(parking: FakeParking) -> None:
    parking.park([aside("a"), aside("b")])
    sent = Sent()
    done = retry(parking, sent)
    assert sorted(sent.event_ids()) == ["a", "b"]
    assert {queue for queue, _ in sent.bodies} == {"cache-writes"}
    assert len(done.sent) == 2
    assert parking.count() == 0
    assert retry(parking, sent) == Retried()


def test_a_dry_run_sends_and_removes_nothing(parking: FakeParking) -> None:
    parking.park([aside("a")])
    sent = Sent()
    assert retry(parking, sent, dry_run=True).sent == [aside("a").id]
    assert sent.bodies == []
    assert parking.count() == 1


def test_only_the_chosen_ones_are_sent(parking: FakeParking) -> None:
    parking.park([aside("a"), aside("b"), aside("c", queue="audit")])
    sent = Sent()
    retry(parking, sent, Choice(queues=["cache-writes"], ids=frozenset({aside("b").id, "no"})))
    assert sent.event_ids() == ["b"]
    retry(parking, sent, Choice(queues=["audit"]))
    assert sent.event_ids() == ["b", "c"]


def test_what_a_queue_does_not_take_stays_parked(parking: FakeParking) -> None:
    parking.park([aside("a")])
    sent = Sent()
    sent.refuse = Transient("throttled")
    assert retry(parking, sent).refused == {aside("a").id: "throttled"}
    assert parking.count() == 1


def test_what_no_worker_can_read_is_not_sent(parking: FakeParking) -> None:
    broken = join_pack(KIND, 1, [b"\x90"])
    parking.park(
        [aside("a", payload=broken), aside("b", id="b" * 36, kind=UNREADABLE, payload=b"hello")]
    )
    sent = Sent()
    assert set(retry(parking, sent).refused) == {aside("a").id, "b" * 36}
    assert sent.bodies == []
    assert parking.count() == 2


def test_one_that_fails_again_before_it_was_removed_stays_parked(parking: FakeParking) -> None:
    def fails_again() -> None:
        parking.park([aside("a", parked_at=time.time(), history=("failed again",))])

    parking.park([aside("a")])
    sent = Sent(fails_again)
    retry(parking, sent)
    assert sent.event_ids() == ["a"], "it goes round and round"
    assert parking.count() == 1


def test_one_that_comes_back_under_a_new_time_is_not_sent_in_the_same_run(
    parking: FakeParking,
) -> None:
    parking.park([aside("a", parked_at=time.time() + 60)])
    sent = Sent()
    retry(parking, sent)
    assert sent.bodies == []


def letters(*bodies: str) -> Queues:
    return Queues(bodies)


def park(queues: Queues, parking: FakeParking, message_id: str = "id0") -> list[Parked]:
    return parked_jobs.park(queues, parking, ["sessions", QUEUE], message_id, "as told")


def test_each_job_of_a_letter_is_parked_alone_with_the_reason(parking: FakeParking) -> None:
    pack = encode_pack([job("a"), job("b")])
    queues = letters("not ours", build(KIND, pack, message_id="m"))
    parked = park(queues, parking, "id1")
    assert [one.id for one in parked] == [id_of_job(job("a")), id_of_job(job("b"))]
    assert {(one.reason, one.detail, one.queue, one.kind) for one in parked} == {
        (Reason.OPERATOR, "as told", QUEUE, KIND)
    }
    assert set(queues.dead) == {"id0"}
    assert queues.hidden == set()
    sent = Sent()
    retry(parking, sent)
    assert sorted(sent.event_ids()) == ["a", "b"]


def test_a_letter_that_is_no_job_is_parked_whole(parking: FakeParking) -> None:
    queues = letters("hello \ud800 world")
    (one,) = park(queues, parking)
    assert (one.kind, one.reason) == (UNREADABLE, Reason.OPERATOR)
    assert one.payload.decode("utf-8", "surrogatepass") == "hello \ud800 world"
    assert queues.dead == {}


def test_a_letter_stays_where_it_is_unless_all_of_it_is_parked(parking: FakeParking) -> None:
    queues = letters(build(KIND, encode_pack([job("a"), job("b")]), message_id="m"))
    parking.refusing = {id_of_job(job("b")): "too large"}
    with pytest.raises(MangaAssistError, match="too large"):
        park(queues, parking)
    assert set(queues.dead) == {"id0"}
    assert queues.hidden == set()
    parking.refusing = {}
    assert len(park(queues, parking)) == 2
    assert queues.dead == {}
    assert parking.count() == 2


def test_a_letter_that_is_not_there_is_not_parked(parking: FakeParking) -> None:
    queues = letters("not ours")
    assert park(queues, parking, "no-such-id") == []
    assert queues.hidden == set()
    assert parking.count() == 0
