"""Reads a catalogue from a JSONL file (plain or gzip) row by row, and ships one between processes.

A bad row is skipped and reported; a file that is bad as a whole raises CatalogueRejected, with
one line that says why: unreadable, cut short, empty, or more than 5% of its rows bad. Memory is
bounded by the titles kept, whatever a line's length.
"""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import zstandard

from adapters.catalogue_rows import parse_row
from adapters.jsonl_lines import MAX_LINE_BYTES, lines_of, refusal
from domain.catalogue import Catalogue, CatalogueRejected, RowError, Title
from domain.errors import Malformed

_PROGRESS_ROWS = 500
KEPT_ERRORS = 10_000
_SNAPSHOT_MAGIC = b"MAC1"

Progress = Callable[[int, int], None]
"""Called with the bytes of the file read so far and its size."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A catalogue and the rows of its file that were left out, the first of them with why."""

    catalogue: Catalogue
    rows: int
    errors: tuple[RowError, ...]

    @property
    def bad(self) -> int:
        """How many rows were left out."""
        return self.rows - len(self.catalogue)


def read_catalogue(path: Path, on_progress: Progress | None = None) -> Loaded:
    """The catalogue in a file; raises CatalogueRejected."""
    try:
        with path.open("rb") as raw:
            return _read(raw, path, on_progress)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CatalogueRejected(f"{path.name}: cannot be read: {reason}") from error


def _read(raw: IO[bytes], path: Path, on_progress: Progress | None) -> Loaded:
    size = path.stat().st_size
    titles: dict[str, Title] = {}
    errors: list[RowError] = []
    bad = rows = line = 0
    try:
        for line, data in enumerate(lines_of(raw), 1):
            if on_progress and line % _PROGRESS_ROWS == 0:
                on_progress(raw.tell(), size)
            if data is not None and not data.strip():
                continue
            rows += 1
            reason = _take(data, titles)
            if reason is not None:
                bad += 1
                if len(errors) < KEPT_ERRORS:
                    errors.append(RowError(line, reason))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CatalogueRejected(
            f"{path.name}: the gzip stream breaks off after line {line}", errors, bad
        ) from error
    if on_progress:
        on_progress(size, size)
    refused = refusal(rows, bad, errors[0] if errors else "")
    if refused:
        raise CatalogueRejected(f"{path.name}: {refused}", errors, bad)
    return Loaded(Catalogue(titles.values()), rows, tuple(errors))


def _take(data: bytes | None, titles: dict[str, Title]) -> str | None:
    """Adds the title of a line; returns why there is none."""
    if data is None:
        return f"longer than {MAX_LINE_BYTES} bytes"
    try:
        title = parse_row(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte {error.start} is {data[error.start]:#04x}"
    except ValueError as error:
        return str(error)
    if title.id in titles:
        return f"id {title.id!r} is used by an earlier row"
    titles[title.id] = title
    return None


def dump_snapshot(catalogue: Catalogue) -> bytes:
    """The catalogue as bytes; equal catalogues of one order give equal bytes."""
    titles = msgspec.msgpack.encode(list(catalogue.titles.values()))
    return _SNAPSHOT_MAGIC + zstandard.ZstdCompressor(level=6).compress(titles)


def load_snapshot(data: bytes, version: str = "") -> Catalogue:
    """The catalogue that `dump_snapshot` wrote; raises Malformed for any other bytes."""
    if not data.startswith(_SNAPSHOT_MAGIC):
        raise Malformed("not a catalogue snapshot of this version")
    try:
        packed = zstandard.ZstdDecompressor().decompress(data[len(_SNAPSHOT_MAGIC) :])
        return Catalogue(msgspec.msgpack.decode(packed, type=list[Title]), version)
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError) as error:
        raise Malformed(f"a damaged catalogue snapshot: {error}") from error
