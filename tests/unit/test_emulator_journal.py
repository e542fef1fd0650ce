"""The emulators' journal: what was appended is what a reopened journal replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulators.journal import Journal, JournalError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.journal"


def written(path: Path, *payloads: bytes) -> None:
    journal = Journal(path)
    list(journal.replay())
    for payload in payloads:
        journal.append(payload)
    journal.close()


def replayed(path: Path) -> list[bytes]:
    journal = Journal(path)
    try:
        return list(journal.replay())
    finally:
        journal.close()


def test_payloads_come_back_in_order(path: Path) -> None:
    written(path, b"one", b"", b"three")
    written(path, b"four")
    assert replayed(path) == [b"one", b"", b"three", b"four"]


@pytest.mark.parametrize("cut", [1, 3, 9, 11])
def test_a_torn_tail_is_cut_off_and_appending_goes_on(path: Path, cut: int) -> None:
    written(path, b"whole", b"torn")
    path.write_bytes(path.read_bytes()[:-cut])
    assert replayed(path) == [b"whole"]
    written(path, b"after")
    assert replayed(path) == [b"whole", b"after"]


def test_a_corrupt_record_ends_the_replay(path: Path) -> None:
    written(path, b"good", b"spoilt")
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    path.write_bytes(data)
    assert replayed(path) == [b"good"]


@pytest.mark.parametrize("size", range(9))
def test_a_file_torn_in_its_head_counts_as_empty(path: Path, size: int) -> None:
    written(path)
    path.write_bytes(path.read_bytes()[:size])
    assert replayed(path) == []
    written(path, b"x")
    assert replayed(path) == [b"x"]


def test_another_file_is_refused_untouched(path: Path) -> None:
    path.write_bytes(b"precious words")
    with pytest.raises(JournalError, match="not a journal"):
        replayed(path)
    assert path.read_bytes() == b"precious words"


def test_a_journal_has_one_owner(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(JournalError, match="held by another process"):
        Journal(path)
    journal.close()
    Journal(path).close()


def test_compaction_replaces_the_history(path: Path) -> None:
    journal = Journal(path, compact_at_bytes=100)
    list(journal.replay())
    grown = []
    for _ in range(20):
        journal.append(b"noise")
        grown.append(journal.wants_compaction)
    assert (grown[0], grown[-1]) == (False, True)
    journal.compact([b"state"])
    after = journal.wants_compaction
    assert not after
    journal.append(b"later")
    journal.close()
    assert replayed(path) == [b"state", b"later"]


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="cannot open"):
        Journal(tmp_path / "file" / "queue.journal")
