"""Packs and batches: nothing lost, nothing twice, nothing over a limit, nothing late."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.celery_envelope import build
from adapters.msgpack_wire import join_pack, largest_job_bytes
from config.queues import MAX_BATCH_BYTES, MAX_BODY_BYTES, declared
from domain.jobs import JOB_TYPES, MAX_PACK_BYTES
from workers.packing import Limits, Pack, Packer

LIMITS = Limits(pack_jobs=4, linger_seconds=0.1, pack_bytes=400, batch_packs=3, batch_bytes=8_000)

arrivals = st.lists(
    st.tuples(
        st.sampled_from(["cache.write", "interaction.count"]),
        st.binary(max_size=largest_job_bytes(LIMITS.pack_bytes)),
        st.floats(min_value=0, max_value=0.2),
    ),
    max_size=60,
)


def packer(limits: Limits = LIMITS) -> Packer[int]:
    ids = count()
    return Packer(limits, lambda: str(next(ids)))


def drain(subject: Packer[int], now: float) -> list[Pack[int]]:
    packs = []
    while batch := subject.take(now, flush=True):
        packs += batch
    return packs


@given(arrivals)
def test_every_job_goes_out_exactly_once_with_its_owner_and_kind(
    jobs: list[tuple[str, bytes, float]],
) -> None:
    subject = packer()
    now = 0.0
    packs: list[Pack[int]] = []
    for number, (kind, job, pause) in enumerate(jobs):
        now += pause
        subject.add(kind, job, number, now)
        packs += subject.take(now)
    packs += drain(subject, now)
    out = sorted(
        (owner, pack.kind, job)
        for pack in packs
        for owner, job in zip(pack.owners, pack.jobs, strict=True)
    )
    assert out == [(number, kind, job) for number, (kind, job, _) in enumerate(jobs)]
    assert len({pack.id for pack in packs}) == len(packs)


@given(arrivals)
def test_no_pack_and_no_batch_is_over_its_limits(jobs: list[tuple[str, bytes, float]]) -> None:
    subject = packer()
    for number, (kind, job, _) in enumerate(jobs):
        subject.add(kind, job, number, 0.0)
    while batch := subject.take(0.0, flush=True):
        assert len(batch) <= LIMITS.batch_packs
        assert sum(pack.body_bytes for pack in batch) <= LIMITS.batch_bytes
        for pack in batch:
            assert 1 <= len(pack.jobs) <= LIMITS.pack_jobs
            assert pack.size_bytes <= LIMITS.pack_bytes


@given(arrivals)
def test_no_job_waits_longer_than_the_linger(jobs: list[tuple[str, bytes, float]]) -> None:
    subject = packer()
    now = 0.0
    added: dict[int, float] = {}
    for number, (kind, job, pause) in enumerate(jobs):
        # The caller comes back when something is due, as a sender's thread does.
        while (due := subject.due_at()) is not None and due <= now + pause:
            now = max(now, due)
            for pack in subject.take(now):
                for owner in pack.owners:
                    assert now - added[owner] <= LIMITS.linger_seconds + 1e-9
        now += pause
        added[number] = now
        subject.add(kind, job, number, now)


def test_a_lone_job_lingers_from_its_own_arrival() -> None:
    subject = packer()
    subject.add("cache.write", b"x", 1, 5.0)
    assert subject.due_at() == 5.1
    assert subject.take(5.09) == []
    assert [pack.owners for pack in subject.take(5.1)] == [[1]]
    assert subject.due_at() is None


def test_a_batch_that_can_take_no_more_does_not_linger() -> None:
    subject = packer()
    for number in range(LIMITS.pack_jobs * LIMITS.batch_packs):
        subject.add("cache.write", b"x", number, 1.0)
    assert len(subject.take(1.0)) == LIMITS.batch_packs


def test_every_kind_of_the_queue_goes_along_when_one_is_due() -> None:
    subject = packer()
    subject.add("cache.write", b"x", 1, 1.0)
    subject.add("interaction.count", b"y", 2, 1.09)
    assert {pack.kind for pack in subject.take(1.1)} == {"cache.write", "interaction.count"}


def test_a_pack_that_was_not_sent_goes_first_and_keeps_its_id() -> None:
    subject = packer()
    subject.add("cache.write", b"x", 1, 1.0)
    (sent,) = subject.take(2.0)
    subject.add("cache.write", b"y", 2, 2.0)
    subject.put_back([sent])
    again, other = subject.take(2.0)
    assert again is sent
    assert other.owners == [2]


@pytest.mark.parametrize("size", [largest_job_bytes(), 1000, 40])
def test_a_full_pack_and_its_envelope_are_no_larger_than_a_message_may_be(size: int) -> None:
    longest = max((job_type.kind for job_type in JOB_TYPES), key=len)
    most = max(row.pack_jobs for row in declared().queues.values())
    subject = packer(Limits(pack_jobs=most, linger_seconds=0.1))
    for number in range(most + 1):
        subject.add(longest, bytes(size), number, 0.0)
    batch = subject.take(0.0, flush=True)
    assert 0 < sum(pack.body_bytes for pack in batch) <= MAX_BATCH_BYTES
    for pack in batch:
        joined = join_pack(longest, 1, pack.jobs)
        assert len(joined) <= MAX_PACK_BYTES
        body = build(longest, joined, message_id="0199c4a6-7c1e-7a3e-8f25-5d6a2d1f4b11")
        assert len(body) <= pack.body_bytes <= MAX_BODY_BYTES


def test_what_is_sent_is_no_larger_than_servers_with_the_older_limit_take() -> None:
    assert MAX_BODY_BYTES == MAX_BATCH_BYTES == 262_144


def test_a_job_that_fits_into_no_pack_is_refused_before_anything_changes() -> None:
    subject = packer()
    with pytest.raises(ValueError, match=r"cache\.write"):
        subject.add("cache.write", b"x" * LIMITS.pack_bytes, 1, 0.0)
    assert subject.due_at() is None
