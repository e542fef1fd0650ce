"""The relay loses nothing and acknowledges nothing too early, whatever Redis and SQS do."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count

import pytest

from adapters import msgpack_wire
from adapters.redis_outbox import OutboxEntry
from adapters.spool import digest
from config.queues import declared
from domain.errors import Permanent, Transient
from domain.events import AnswerServed, InteractionRecorded, InteractionType
from domain.jobs import Job
from workers.ledger import Held, Ledger
from workers.packing import Limits, Pack, Packer
from workers.relaying import Bounds, Relay
from workers.sending import QueueSender, Refusal, Sendings

EVENTS = 20
SECONDS = 60.0
BAD = b"\xc1"


class MemoryOutbox:
    """The outbox in memory, with idle entries and faults on demand."""

    def __init__(self, bodies: Iterable[bytes]) -> None:
        self.entries = {
            b"%d-0" % number: OutboxEntry(0, b"%d-0" % number, {b"e": body})
            for number, body in enumerate(bodies)
        }
        self.unread = list(self.entries)
        self.aside: dict[bytes, str] = {}
        self.confirmed: list[bytes] = []
        self.confirms_nothing = False
        self.handed_back: list[bytes] = []
        self.faults = 0
        self.emptied = threading.Event()

    def _may_fail(self) -> None:
        if self.faults:
            self.faults -= 1
            raise Transient("the outbox does not answer")

    def read(self, count: int, block_seconds: float) -> list[OutboxEntry]:
        self._may_fail()
        ids, self.unread = self.unread[:count], self.unread[count:]
        if not ids:
            threading.Event().wait(min(block_seconds, 0.002))
        return [self.entries[entry_id] for entry_id in ids]

    def claim_idle(self, idle_seconds: float, count: int) -> list[OutboxEntry]:
        return []

    def keep(self, entries: Iterable[tuple[int, bytes]]) -> None: ...

    def hand_back(self, entries: Iterable[tuple[int, bytes]]) -> None:
        self.handed_back += [entry_id for _, entry_id in entries]

    def confirm(self, digests: Sequence[bytes]) -> None:
        if self.confirms_nothing:
            raise Transient("the memory is full")
        held = {digest(entry.fields[b"e"]) for entry in self.entries.values()}
        assert held.issuperset(digests), "confirmed before it leaves the outbox"
        self.confirmed += digests

    def acknowledge(self, entries: Iterable[tuple[int, bytes]]) -> None:
        self._may_fail()
        for _, entry_id in entries:
            self._remove(entry_id)

    def set_aside(self, entry: OutboxEntry, reason: str) -> None:
        self.aside[entry.id] = reason
        self._remove(entry.id)

    def fetch(self, shard: int, entry_id: bytes) -> OutboxEntry | None:
        return self.entries.get(entry_id)

    def depth(self) -> int:
        return len(self.entries)

    def malformed(self) -> int:
        return len(self.aside)

    def oldest_seconds(self) -> float:
        return 0.0

    def remove_idle_consumers(self, idle_seconds: float) -> int:
        return 0

    def _remove(self, entry_id: bytes) -> None:
        del self.entries[entry_id]
        if not self.entries:
            self.emptied.set()


class Metrics:
    """Counts, and adds up what is counted."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], float] = {}
        self.gauges: dict[str, float] = {}
        self.shown = threading.Event()

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        key = (name, *labels.values())
        self.counts[key] = self.counts.get(key, 0) + amount

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def set(self, name: str, value: float, **labels: str) -> None:
        self.gauges[name] = value
        if name == "outbox_malformed":
            self.shown.set()


Send = Callable[[str, Sequence[Pack[Held]]], Mapping[str, Refusal]]


class Bench:
    """A relay on a memory outbox, with a scripted SQS."""

    def __init__(
        self,
        bodies: Iterable[bytes],
        send: Send,
        bounds: Bounds | None = None,
        pack_jobs: int = 3,
    ) -> None:
        self.outbox = MemoryOutbox(bodies)
        self.metrics = Metrics()
        self.ledger = Ledger()
        ids = count()
        limits = Limits(pack_jobs=pack_jobs, linger_seconds=0.002)
        senders = {
            name: QueueSender(
                name,
                Packer(limits, lambda: str(next(ids))),
                send,
                Sendings(self.ledger, self.metrics),
            )
            for name in declared().queues
        }
        self.relay = Relay(
            outbox=self.outbox,
            senders=senders,
            queue_of=declared().of_job,
            ledger=self.ledger,
            metrics=self.metrics,
            confirm=self.outbox.confirm,
            bounds=bounds,
        )
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.relay.run, args=(self.stop,))

    def run_until_empty(self) -> None:
        self._thread.start()
        emptied = self.outbox.emptied.wait(SECONDS)
        self.finish()
        assert emptied

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self.stop.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


class Sqs:
    """Accepts what `refuse` does not object to, and remembers it."""

    def __init__(self, refuse: Callable[[int, Pack[Held]], Refusal | None]) -> None:
        self._refuse = refuse
        self._lock = threading.Lock()
        self.accepted: list[tuple[str, str]] = []
        self.sends = 0

    def __call__(self, queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        with self._lock:
            self.sends += 1
            refused = {}
            for pack in packs:
                refusal = self._refuse(self.sends, pack)
                if refusal is not None:
                    refused[pack.id] = refusal
                    continue
                for job in jobs_of(pack):
                    self.accepted.append((job.kind, job.event_id))
            return refused


def jobs_of(pack: Pack[Held]) -> list[Job]:
    return msgpack_wire.decode_pack(msgpack_wire.join_pack(pack.kind, 1, pack.jobs))


def event_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def event(number: int) -> bytes:
    return msgpack_wire.encode_event(
        InteractionRecorded(
            event_id=event_id(number),
            occurred_at=1.0,
            producer="test",
            seq=number,
            interaction=InteractionType.VIEW,
            item_id="one-piece",
            user_id="u1",
        )
    )


def expected() -> list[tuple[str, str]]:
    kinds = ("analytics.emit", "interaction.count")
    return sorted((kind, event_id(number)) for number in range(EVENTS) for kind in kinds)


def test_every_job_of_every_event_is_sent_once_and_then_acknowledged() -> None:
    sqs = Sqs(lambda _number, _pack: None)
    bench = Bench(map(event, range(EVENTS)), sqs)
    bench.run_until_empty()
    assert sorted(sqs.accepted) == expected()
    assert bench.metrics.counts["events_total", "interaction.recorded", "relayed"] == EVENTS
    assert bench.ledger.load().entries == 0


def question(number: int) -> bytes:
    return msgpack_wire.encode_event(
        AnswerServed(
            event_id=event_id(number),
            occurred_at=1.0,
            producer="test",
            seq=number,
            session_id="s",
            owner="u1",
            message_id="m",
            question="?",
            kind="chat",
            slug="",
            locale="en",
        )
    )


def test_what_sqs_has_is_confirmed_and_so_is_what_is_set_aside() -> None:
    events = [*(question(number) for number in range(EVENTS)), event(99), BAD]
    bench = Bench(events, Sqs(lambda _number, _pack: None))
    bench.run_until_empty()
    assert sorted(bench.outbox.confirmed) == sorted(map(digest, events))


def test_what_can_not_be_confirmed_leaves_the_outbox_all_the_same() -> None:
    bench = Bench([question(1)], Sqs(lambda _number, _pack: None))
    bench.outbox.confirms_nothing = True
    bench.run_until_empty()
    assert bench.outbox.confirmed == []


def test_a_refused_pack_is_sent_again_and_the_others_are_not() -> None:
    sqs = Sqs(
        lambda number, _pack: Refusal("ServiceUnavailable", final=False) if number < 3 else None
    )
    bench = Bench(map(event, range(EVENTS)), sqs)
    bench.run_until_empty()
    assert sorted(sqs.accepted) == expected()


def test_a_send_that_fails_altogether_is_repeated() -> None:
    failures = iter([Transient("timed out"), RuntimeError("a fault of ours")])
    sqs = Sqs(lambda _number, _pack: None)

    def send(queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return sqs(queue, packs)

    Bench(map(event, range(EVENTS)), send).run_until_empty()
    assert sorted(sqs.accepted) == expected()


def test_a_redis_that_fails_in_between_costs_no_event_and_doubles_none() -> None:
    sqs = Sqs(lambda _number, _pack: None)
    bench = Bench(map(event, range(EVENTS)), sqs)
    bench.outbox.faults = 3
    bench.run_until_empty()
    assert sorted(sqs.accepted) == expected()


def test_what_can_not_be_understood_is_set_aside_and_the_rest_goes_on() -> None:
    sqs = Sqs(lambda _number, _pack: None)
    bench = Bench([*map(event, range(EVENTS)), BAD, b""], sqs)
    bench.run_until_empty()
    assert sorted(sqs.accepted) == expected()
    assert len(bench.outbox.aside) == 2
    assert bench.metrics.counts["events_total", "unknown", "malformed"] == 2


def test_what_sqs_refuses_for_good_is_set_aside_with_its_reason() -> None:
    def refuse(_number: int, pack: Pack[Held]) -> Refusal | None:
        final = pack.kind == "interaction.count"
        return Refusal("InvalidMessageContents", final=True) if final else None

    bench = Bench([event(1)], Sqs(refuse))
    bench.run_until_empty()
    assert list(bench.outbox.aside.values()) == ["SQS refused a pack: InvalidMessageContents"]


@pytest.mark.parametrize("bad", [set(), {2, 3}, set(range(EVENTS))])
def test_of_a_batch_refused_for_good_only_the_packs_that_are_refused_alone_are_set_aside(
    bad: set[int],
) -> None:
    sqs = Sqs(lambda _number, _pack: None)
    bad_ids = {event_id(number) for number in bad}

    def send(queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        if len(packs) > 1:
            raise Permanent("sqs answers BatchRequestTooLong to SendMessageBatch")
        if bad_ids.intersection(job.event_id for job in jobs_of(packs[0])):
            raise Permanent("sqs answers InvalidMessageContents to SendMessageBatch")
        return sqs(queue, packs)

    bench = Bench(map(event, range(EVENTS)), send, pack_jobs=1)
    bench.run_until_empty()
    assert sorted(sqs.accepted) == [(kind, one) for kind, one in expected() if one not in bad_ids]
    assert bench.outbox.aside == {
        b"%d-0"
        % number: "SQS refused a pack: sqs answers InvalidMessageContents to SendMessageBatch"
        for number in bad
    }


def test_a_pack_sent_alone_that_fails_in_passing_is_sent_again() -> None:
    sqs = Sqs(lambda _number, _pack: None)
    alone = iter([Transient("throttled"), RuntimeError("a fault of ours")])

    def send(queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        if len(packs) > 1:
            raise Permanent("sqs answers BatchRequestTooLong to SendMessageBatch")
        failure = next(alone, None)
        if failure is not None:
            raise failure
        return sqs(queue, packs)

    bench = Bench(map(event, range(EVENTS)), send)
    bench.run_until_empty()
    assert sorted(sqs.accepted) == expected()
    assert bench.outbox.aside == {}


def test_how_many_entries_are_set_aside_is_shown() -> None:
    bench = Bench([], Sqs(lambda _number, _pack: None))
    bench.outbox.aside[b"1-0"] = "not msgpack"
    bench.start()
    assert bench.metrics.shown.wait(SECONDS)
    bench.finish()
    assert bench.metrics.gauges["outbox_malformed"] == 1


def test_while_too_much_is_unsent_the_outbox_waits_in_redis() -> None:
    blocked = threading.Event()
    open_again = threading.Event()

    def send(_queue: str, _packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        blocked.set()
        open_again.wait(SECONDS)
        return {}

    bench = Bench(map(event, range(2000)), send, Bounds(entries=1))
    bench.start()
    assert blocked.wait(SECONDS)
    assert len(bench.outbox.unread) == 1500  # one read, then no more
    open_again.set()
    assert bench.outbox.emptied.wait(SECONDS)
    bench.finish()


def test_a_relay_that_must_leave_hands_back_what_it_could_not_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.relaying.FLUSH_SECONDS", 0.1)
    refused, left = threading.Event(), threading.Event()

    def send(_queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        refused.set()
        if left.is_set():
            return {}  # its senders are left to end, not to try for ever
        return {pack.id: Refusal("ServiceUnavailable", final=False) for pack in packs}

    bench = Bench([event(1)], send)
    bench.start()
    assert refused.wait(SECONDS)
    bench.finish()
    left.set()
    assert bench.outbox.handed_back == [b"0-0"]
    assert bench.outbox.depth() == 1
