"""The lines of a JSONL file, plain or gzip, however long one is, and how many may be bad."""

import gzip
import io
from collections.abc import Iterator
from typing import IO

MAX_LINE_BYTES = 256 * 1024
GZIP_MAGIC = b"\x1f\x8b"
MAX_BAD_SHARE = 0.05


def lines_of(raw: IO[bytes]) -> Iterator[bytes | None]:
    """The lines of a plain or compressed stream; None for one too long to be a row."""
    magic = raw.read(len(GZIP_MAGIC))
    raw.seek(0)
    stream = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if magic == GZIP_MAGIC else raw
    while data := stream.readline(MAX_LINE_BYTES):
        if data.endswith(b"\n") or len(data) < MAX_LINE_BYTES:
            yield data
            continue
        while data and not data.endswith(b"\n"):
            data = stream.readline(MAX_LINE_BYTES)
        yield None


def refusal(rows: int, bad: int, first: object) -> str:
    """Why a file with so many rows is not to be taken; empty where it is."""
    if rows == 0:
        return "the file has no rows"
    if bad > rows * MAX_BAD_SHARE:
        return f"{bad} of {rows} rows are bad, more than {MAX_BAD_SHARE:.0%}; the first is {first}"
    return ""
