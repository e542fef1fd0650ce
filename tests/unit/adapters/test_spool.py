"""The write-ahead log: what was written is read, in order, whatever befalls the file's end."""

import contextlib
import errno
import os
import random
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import spool, spool_writing
from adapters.spool import DrainLock, Mark, Record, Segment, SpoolFull, framed, scan
from adapters.spool_writing import SpoolWriter

EVENTS = [f"event {number}".encode() * (number + 1) for number in range(20)]


def records(events: list[bytes]) -> list[Record]:
    return [Record(Mark.SEND, event) for event in events]


def joined(events: list[bytes]) -> bytes:
    return framed(Mark.SEND, events, 1)


def writer(directory: Path, **options: float) -> SpoolWriter:
    return SpoolWriter(directory, max_bytes=int(options.pop("max_bytes", 1 << 20)), **options)  # type: ignore[arg-type]


def everything(directory: Path) -> list[bytes]:
    found = []
    for path in spool.segments(directory):
        found += [spooled.event for spooled in Segment(path).read()[0]]
    return found


@given(st.lists(st.binary(max_size=2000), max_size=20))
def test_what_is_framed_is_read(events: list[bytes]) -> None:
    data = joined(events)
    found, used, damaged = scan(data, is_whole=True)
    assert ([one.event for one in found], used, damaged) == (events, len(data), 0)


def test_a_torn_tail_costs_only_the_frame_that_it_cuts() -> None:
    data = joined(EVENTS)
    ends = [len(joined(EVENTS[:count])) for count in range(len(EVENTS) + 1)]
    for cut in range(len(data)):
        whole = sum(end <= cut for end in ends) - 1
        found, used, damaged = scan(data[:cut], is_whole=True)
        assert [one.event for one in found] == EVENTS[:whole]
        assert (used, damaged) == (cut, cut - ends[whole])


def test_the_unfinished_tail_of_a_living_writer_is_left_for_later() -> None:
    data = joined(EVENTS)
    found, used, damaged = scan(data[:-3], is_whole=False)
    assert ([one.event for one in found], damaged) == (EVENTS[:-1], 0)
    assert used == len(joined(EVENTS[:-1]))


def test_damage_in_the_middle_costs_only_the_frames_it_lies_in() -> None:
    data = bytearray(joined(EVENTS))
    ends = [len(joined(EVENTS[:count])) for count in range(len(EVENTS) + 1)]
    for at in random.Random(7).sample(range(len(data)), 200):
        broken = bytes(data[:at]) + bytes([data[at] ^ 0x40]) + bytes(data[at + 1 :])
        hit = sum(end <= at for end in ends) - 1
        found, used, damaged = scan(broken, is_whole=True)
        assert [one.event for one in found] == EVENTS[:hit] + EVENTS[hit + 1 :]
        assert (used, damaged) == (len(data), ends[hit + 1] - ends[hit])


def test_events_survive_their_writer_in_order_over_many_segments(tmp_path: Path) -> None:
    log = writer(tmp_path, segment_bytes=200)
    for event in EVENTS:
        log.write(records([event]))
    assert len(list(spool.segments(tmp_path))) > 3
    assert everything(tmp_path) == EVENTS
    assert (log.size_bytes(), spool.size_bytes(tmp_path)) == (len(joined(EVENTS)),) * 2


def test_a_segment_ends_with_its_writer_and_not_before(tmp_path: Path) -> None:
    log = writer(tmp_path)
    log.write(records(EVENTS[:2]))
    (path,) = spool.segments(tmp_path)
    segment = Segment(path)
    assert [len(segment.read()[0]), segment.read()] == [2, ([], False)]
    log.write(records(EVENTS[2:3]))
    log.close()
    found, has_ended = segment.read()
    assert ([one.event for one in found], has_ended) == (EVENTS[2:3], True)


def test_a_quiet_segment_ends_by_its_age(tmp_path: Path) -> None:
    log = writer(tmp_path, segment_seconds=0.0)
    log.write(records(EVENTS[:1]))
    log.tick()
    (path,) = spool.segments(tmp_path)
    assert Segment(path).read()[1]


def test_a_full_spool_takes_nothing_of_a_call(tmp_path: Path) -> None:
    log = writer(tmp_path, max_bytes=100)
    log.write(records([b"x" * 20]))
    with pytest.raises(SpoolFull):
        log.write(records([b"y", b"z" * 80]))
    assert everything(tmp_path) == [b"x" * 20]


def test_a_full_disk_leaves_no_torn_frame_and_the_next_write_counts(tmp_path: Path) -> None:
    # In a process of its own: the limit would hold for whatever else this one writes.
    code = f"""
import resource
from pathlib import Path
from adapters.spool import Mark, Record, SpoolFull
from adapters.spool_writing import SpoolWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
log = SpoolWriter(Path({str(tmp_path)!r}), max_bytes=1 << 20)
log.write([Record(Mark.SEND, b"a" * 200)])
try:
    log.write([Record(Mark.SEND, b"b" * 200)])
except SpoolFull as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write([Record(Mark.SEND, b"c" * 200)])
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(spool.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert "the disk took only a part" in done.stdout or "can't be written" in done.stdout
    assert everything(tmp_path) == [b"a" * 200, b"c" * 200]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 300


def test_a_segment_with_damage_is_kept_for_a_person(tmp_path: Path) -> None:
    path = tmp_path / f"1{spool.SUFFIX}"
    path.write_bytes(joined(EVENTS[:2])[:-1])
    segment = Segment(path)
    segment.read()
    segment.remove()
    assert [entry.name for entry in tmp_path.iterdir()] == [f"1{spool.DAMAGED}"]


@pytest.mark.parametrize("suffix", [spool.DAMAGED, spool.MALFORMED])
def test_what_was_put_aside_takes_room_until_it_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(spool_writing, "_SIZE_SECONDS", 0.0)
    log = writer(tmp_path, max_bytes=1000)
    log.copy([b"c" * 100])
    aside = tmp_path / f"1{suffix}"
    aside.write_bytes(b"x" * 990)
    log.tick()
    for full in (log, writer(tmp_path, max_bytes=1000)):
        with pytest.raises(SpoolFull):
            full.write(records([b"y" * 20]))
        with pytest.raises(SpoolFull):
            full.copy([b"y"])
    aside.unlink()
    log.tick()
    log.write(records([b"y" * 20]))
    assert everything(tmp_path) == [b"y" * 20]


def test_one_relay_at_a_time_drains_a_directory(tmp_path: Path) -> None:
    first, second = DrainLock(tmp_path), DrainLock(tmp_path)
    assert [first.take(), first.take(), second.take()] == [True, True, False]
    first.give_up()
    assert second.take()
    second.give_up()


def test_segments_are_their_owners_alone(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    writer(directory).write(records(EVENTS[:1]))
    (path,) = spool.segments(directory)
    assert [oct(entry.stat().st_mode & 0o777) for entry in (directory, path)] == ["0o700", "0o600"]


def copied(directory: Path) -> list[bytes]:
    return [one.event for path in spool.copies(directory) for one in Segment(path).read()[0]]


def test_copies_lie_apart_from_what_is_to_be_sent(tmp_path: Path) -> None:
    log = writer(tmp_path)
    log.copy([b"a", b"b"])
    log.write(records([b"c"]))
    log.copy([b"d"])
    assert (copied(tmp_path), everything(tmp_path)) == ([b"a", b"b", b"d"], [b"c"])
    (path,) = spool.copies(tmp_path)
    assert {one.mark for one in Segment(path).read()[0]} == {Mark.AWAIT}
    assert (log.size_bytes(), log.copies_bytes()) == (
        spool.size_bytes(tmp_path), spool.size_bytes(tmp_path, spool.COPY),
    )  # fmt: skip


def test_the_oldest_copies_make_room_and_never_what_is_to_be_sent(tmp_path: Path) -> None:
    log = writer(tmp_path, max_bytes=4000, segment_bytes=200)
    for number in range(60):
        with contextlib.suppress(SpoolFull):
            log.copy([b"%d" % number * 20])
    assert log.copies_bytes() <= 2000
    last = copied(tmp_path)[-1]
    dropped = log.tick()
    assert dropped > 0
    assert log.copies_bytes() <= 1750
    assert copied(tmp_path)[-1] == last
    for _ in range(15):
        log.write(records([b"x" * 200]))
    log.tick()
    assert log.copies_bytes() <= (4000 - log.size_bytes()) // 2
    assert len(everything(tmp_path)) == 15
    with pytest.raises(SpoolFull):
        log.copy([b"y" * 2000])


def test_on_a_full_disk_the_copies_make_room_for_what_is_to_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, is_full = os.write, True

    def write_on_full_disk(file: int, data: bytes) -> int:
        if is_full and data.find(b"to be sent") >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", write_on_full_disk)
    monkeypatch.setattr(spool_writing, "COPIES_REST_SECONDS", 3600.0)
    log = writer(tmp_path)
    log.copy([b"a", b"b"])
    with pytest.raises(SpoolFull):
        log.write(records([b"to be sent"]))
    assert log.tick() == 2
    assert copied(tmp_path) == []
    with pytest.raises(SpoolFull):
        log.copy([b"c"])
    is_full = False
    monkeypatch.setattr("adapters.spool_writing.time.monotonic", lambda: float("inf"))
    log.write(records([b"to be sent"]))
    assert everything(tmp_path) == [b"to be sent"]


def test_a_slow_disk_delays_no_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = writer(tmp_path, segment_bytes=100)
    syncing, go_on = threading.Event(), threading.Event()

    def slow_sync(_file: int) -> None:
        syncing.set()
        assert go_on.wait(60)

    monkeypatch.setattr(os, "fdatasync", slow_sync)
    log.write(records([b"a" * 100]))  # ends its segment
    syncer = threading.Thread(target=log.tick)
    syncer.start()
    assert syncing.wait(60)
    log.write(records([b"b" * 100]))
    log.write(records([b"c"]))
    (first, *_) = spool.segments(tmp_path)
    assert Segment(first).read()[1] is False  # it has its lock until it is on the disk
    go_on.set()
    syncer.join()
    assert Segment(first).read()[1]
    assert len(everything(tmp_path)) == 3
