"""Reading catalogue files, good, bad and hostile, and shipping one as a snapshot."""

import gzip
import json
from pathlib import Path

import pytest

from adapters.jsonl_catalogue import KEPT_ERRORS, dump_snapshot, load_snapshot, read_catalogue
from adapters.jsonl_lines import MAX_LINE_BYTES
from domain.catalogue import CatalogueRejected
from domain.errors import Malformed
from domain.genres import DEMOGRAPHICS, GENRE_NAMES, slug_of
from tests.shared_data import REPOSITORY, shared

GOOD = [json.dumps({"id": f"t{n}", "title": f"Title {n}"}).encode() for n in range(99)]


def write(directory: Path, *lines: bytes) -> Path:
    path = directory / "catalogue.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"{", "not JSON"),
        (b"[1]", "no title"),
        (b"[" * 5000, "not JSON"),
        (b'{"id": "x"}', "neither title nor title_romaji is there"),
        (b'{"id": "x", "title_ja": "y"}', "nor title_ja with first_published"),
        (b'{"id": "x", "first_published": "1997"}', "missing required field `title_ja`"),
        (b'{"title": "x"}', "missing required field `id`"),
        (b'{"id": 5, "title": "x"}', "Expected `str`"),
        (b'{"id": "x", "title": 5}', "Expected `str`"),
        (b'{"id": "x", "title": "  "}', "blank"),
        (b'{"id": "x y", "title": "x"}', "$.id"),
        (b'{"id": "t1", "title": "x"}', "earlier row"),
        (b'{"id": "x", "title": "x", "published_from": "1997-02-30"}', "does not exist"),
        (b'{"id": "x", "title": "x", "published_from": "soon"}', "not YYYY"),
        (b'{"id": "x", "title": "x", "genres": "Action"}', "$.genres"),
        (b'{"id": "x", "title": "' + b"y" * 501 + b'"}', "$.title"),
        (b'{"id": "x", "title": "' + b"y" * MAX_LINE_BYTES + b'"}', "longer than"),
        (b'{"id": "x", "title": "\xff"}', "not UTF-8"),
        (b'{"id": -5, "title_romaji": "x"}', "$.id"),
        (b'{"id": "x", "title": "x", "popularity": -1}', "$.popularity"),
    ],
)
def test_a_bad_row_is_skipped_and_named(tmp_path: Path, row: bytes, reason: str) -> None:
    loaded = read_catalogue(write(tmp_path, *GOOD[:50], row, *GOOD[50:]))
    assert len(loaded.catalogue) == 99
    (error,) = loaded.errors
    assert error.line == 51
    assert reason in error.reason
    assert "\n" not in str(error)


def test_one_bad_row_in_twenty_is_borne_and_one_more_is_not(tmp_path: Path) -> None:
    bad = [b"{"] * 5
    assert len(read_catalogue(write(tmp_path, *GOOD[:95], *bad)).errors) == 5
    with pytest.raises(CatalogueRejected, match=r"6 of 101 rows are bad.*line 96") as refusal:
        read_catalogue(write(tmp_path, *GOOD[:95], *bad, b"{"))
    assert (len(refusal.value.errors), refusal.value.bad) == (6, 6)


def test_of_very_many_bad_rows_the_first_are_kept_and_all_counted(tmp_path: Path) -> None:
    bad = [b"{"] * (KEPT_ERRORS + 5)
    with pytest.raises(CatalogueRejected) as refusal:
        read_catalogue(write(tmp_path, *bad))
    assert (len(refusal.value.errors), refusal.value.bad) == (KEPT_ERRORS, KEPT_ERRORS + 5)
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(b"{\n" * 3 * KEPT_ERRORS)[:-9])
    with pytest.raises(CatalogueRejected, match="breaks off") as refusal:
        read_catalogue(path)
    assert refusal.value.bad > KEPT_ERRORS


@pytest.mark.parametrize("data", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(data)
    with pytest.raises(CatalogueRejected, match="no rows"):
        read_catalogue(path)


def test_a_gzip_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(b"\n".join(GOOD))
    for cut in (whole[:-9], whole[: len(whole) // 2], whole[:5], whole[:40] + b"\0" * 40):
        path.write_bytes(cut)
        with pytest.raises(CatalogueRejected, match="breaks off"):
            read_catalogue(path)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(CatalogueRejected, match="cannot be read"):
            read_catalogue(path)


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, *(GOOD[:1] * 0), *GOOD)
    seen: list[tuple[int, int]] = []
    read_catalogue(path, lambda done, size: seen.append((done, size)))
    assert seen[-1] == (path.stat().st_size,) * 2


@pytest.mark.parametrize(
    ("name", "rows"), [("manga_catalogue.jsonl.gz", 13_233), ("madb_works.jsonl.gz", 21_084)]
)
def test_a_real_feed_loads_without_a_bad_row(name: str, rows: int) -> None:
    loaded = read_catalogue(shared(name))
    assert (len(loaded.catalogue), loaded.errors) == (rows, ())


def test_the_bundled_sample_is_whole() -> None:
    loaded = read_catalogue(REPOSITORY / "config" / "sample_catalogue.jsonl")
    assert not loaded.errors
    titles = loaded.catalogue.titles.values()
    assert len(titles) >= 320
    assert all(title.title_ja and title.title_kana and title.authors for title in titles)
    assert all(title.published_from and title.popularity for title in titles)
    used = {slug_of(genre) for title in titles for genre in (*title.genres, *title.demographic)}
    assert used <= GENRE_NAMES.keys()
    browsable = {count.slug for count in loaded.catalogue.browsable()}
    assert browsable >= DEMOGRAPHICS
    assert len(browsable - DEMOGRAPHICS) >= 15


def test_a_snapshot_is_the_same_catalogue() -> None:
    catalogue = read_catalogue(REPOSITORY / "config" / "sample_catalogue.jsonl").catalogue
    data = dump_snapshot(catalogue)
    again = load_snapshot(data)
    assert again.titles == catalogue.titles
    assert again.by_popularity == catalogue.by_popularity
    assert dump_snapshot(again) == data


def test_damaged_snapshots_are_refused() -> None:
    data = dump_snapshot(read_catalogue(REPOSITORY / "config" / "sample_catalogue.jsonl").catalogue)
    for wrong in (b"", b"PK", data[:-20], data[:4] + b"\0" * 40, data[:4]):
        with pytest.raises(Malformed):
            load_snapshot(wrong)
