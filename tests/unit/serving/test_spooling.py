"""What becomes of events that Redis did not take: disk, then SQS, then memory, then a refusal."""

import asyncio
import threading
from collections.abc import Sequence

from adapters.spool import Record, SpoolFull
from domain.errors import Transient
from serving.overflow import Overflow
from serving.spooling import SpooledEvents


class FakeSpool:
    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.copies: list[list[bytes]] = []
        self.is_full = False

    def write(self, records: Sequence[Record]) -> None:
        if self.is_full:
            raise SpoolFull("full")
        self.writes.append([record.event for record in records])

    def copy(self, events: Sequence[bytes]) -> None:
        if self.is_full:
            raise SpoolFull("full")
        self.copies.append(list(events))


class FakeSqs:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_down = True
        self.asked = threading.Event()
        self.took = threading.Event()

    def send(self, events: Sequence[bytes]) -> None:
        self.asked.set()
        if self.is_down:
            raise Transient("down")
        self.sent += events
        self.took.set()


class Counted:
    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], int] = {}
        self.shed: dict[str, int] = {}
        self.uncopied: list[int] = []

    def kept(self, kind: str, outcome: str, count: int) -> None:
        self.outcomes[kind, outcome] = self.outcomes.get((kind, outcome), 0) + count

    def gave_up(self, kind: str, count: int) -> None:
        self.shed[kind] = self.shed.get(kind, 0) + count


def chain(max_bytes: int = 1000) -> tuple[FakeSpool, FakeSqs, Overflow, SpooledEvents, Counted]:
    disk, sqs, counted = FakeSpool(), FakeSqs(), Counted()
    overflow = Overflow(disk, sqs.send, max_bytes=max_bytes, shed=counted.gave_up)
    sink = SpooledEvents(disk, overflow, counted.kept, counted.uncopied.append)
    return disk, sqs, overflow, sink, counted


async def kept(sink: SpooledEvents, *events: bytes, is_audited: bool = True) -> bool:
    told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    sink.keep("answer.served", events, told.set_result, is_audited=is_audited)
    return await told


async def test_the_events_of_one_turn_of_the_loop_are_one_write() -> None:
    disk, _, _, sink, counted = chain()
    assert all(await asyncio.gather(kept(sink, b"a"), kept(sink, b"b", b"c")))
    assert disk.writes == [[b"a", b"b", b"c"]]
    assert counted.outcomes == {("answer.served", "spooled"): 3}


async def test_with_the_disk_full_events_go_straight_to_sqs() -> None:
    disk, sqs, overflow, sink, counted = chain()
    disk.is_full, sqs.is_down = True, False
    assert await kept(sink, b"a", b"b")
    assert await asyncio.to_thread(sqs.took.wait, 60)
    assert overflow.close(60) == 0
    assert sqs.sent == [b"a", b"b"]
    assert counted.outcomes == {("answer.served", "overflowed"): 2}


async def test_memory_keeps_events_until_sqs_is_back() -> None:
    disk, sqs, overflow, sink, _ = chain()
    disk.is_full = True
    assert await kept(sink, b"a")
    assert await asyncio.to_thread(sqs.asked.wait, 60)
    sqs.is_down = False
    assert await asyncio.to_thread(sqs.took.wait, 60)
    assert overflow.close(60) == 0
    assert sqs.sent == [b"a"]


async def test_memory_goes_back_to_the_disk_as_soon_as_it_has_room() -> None:
    disk, sqs, overflow, sink, _ = chain()
    disk.is_full = True
    assert await kept(sink, b"a")
    assert await asyncio.to_thread(sqs.asked.wait, 60)
    disk.is_full = False
    assert await asyncio.to_thread(overflow.close, 60) == 0
    assert disk.writes == [[b"a"]]


async def test_what_is_not_audited_is_given_up_first_and_nothing_is_taken_beyond_the_bound() -> (
    None
):
    disk, _, overflow, sink, counted = chain(max_bytes=100)
    disk.is_full = True
    assert await kept(sink, b"x" * 70, is_audited=False)
    assert not await kept(sink, b"x" * 10, is_audited=False)
    assert counted.shed == {"answer.served": 1}
    assert await kept(sink, b"x" * 30)
    assert not await kept(sink, b"x")
    assert counted.shed == {"answer.served": 1}
    assert await asyncio.to_thread(overflow.close, 0.1) == 2


async def copied(sink: SpooledEvents, event: bytes) -> None:
    done = asyncio.Event()
    sink.copy((event,), done.set)
    assert not done.is_set()
    await done.wait()


async def test_copies_of_one_turn_are_one_write_and_made_before_anybody_is_told() -> None:
    disk, _, _, sink, counted = chain()
    await asyncio.gather(copied(sink, b"a"), copied(sink, b"b"), kept(sink, b"c"))
    assert (disk.copies, disk.writes) == ([[b"a", b"b"]], [[b"c"]])
    seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    sink.copy((b"d",), lambda: seen.set_result(len(disk.copies)))
    assert (await seen, counted.uncopied) == (2, [])


async def test_without_room_a_copy_is_left_out_and_counted_and_the_answer_goes_out() -> None:
    disk, _, _, sink, counted = chain()
    disk.is_full = True
    await asyncio.gather(copied(sink, b"a"), copied(sink, b"b"))
    assert (disk.copies, counted.uncopied, counted.outcomes) == ([], [2], {})
