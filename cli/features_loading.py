"""`mangaassist features load`: records from a file into the feature store, in bounded memory.

The whole file is looked at before anything is written. After each block of rows the place in it is
remembered, so that a call that was interrupted is gone on with. A block that comes twice changes
nothing.
"""

import gzip
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.feature_rows import FeatureRow, rows_of
from adapters.jsonl_lines import refusal
from adapters.sagemaker_loading import SageMakerLoading
from adapters.sqs_queues import SqsQueues
from adapters.token_bucket import TokenBucket
from cli import bad_rows, output, progress
from cli.bookmarks import FileBookmarks
from cli.failures import FAILED, Failure
from cli.features_syncing import bookmarks_of
from cli.target import aim
from config import features, queues
from domain.catalogue import RowError
from domain.errors import MangaAssistError, Permanent
from domain.jobs import SyncFeatures
from workers.sqs_sending import SqsSending, new_pack_id

BLOCK_ROWS = 1000
BOOKMARK = "features-load"
PRODUCER = "mangaassist-cli"


@dataclass(slots=True)
class _Block:
    """Good rows in a row with their lines, and where the next block begins."""

    rows: list[tuple[int, FeatureRow]]
    line: int
    byte: int


@dataclass(slots=True)
class _Total:
    """What this call did; what an earlier one has done of the file is not in it."""

    bad: int = 0
    sent: int = 0
    """To the store, which does not tell which of them were older than what it has."""
    refused: int = 0
    """By the store."""


class Loading:
    """One file on its way into one store."""

    def __init__(
        self,
        file: Path,
        loading: SageMakerLoading,
        sending: SqsSending | None,
        marks: FileBookmarks,
        now: float,
    ) -> None:
        self._file = file
        self._loading = loading
        self._sending = sending
        self._marks = marks
        self._now = now
        """By which all of it is judged: a row is bad in both passes, or in none."""
        self._table = features.declared()
        found = file.stat()
        self._identity = [str(file), found.st_size, found.st_mtime_ns]
        self.size = found.st_size
        self.total = _Total()

    def check(self) -> None:
        """Tell of every bad row; raises Failure for a file that is refused."""
        rows, bad, first = 0, 0, list[RowError]()
        done = self.begun_at()
        with self._file.open("rb") as raw:
            for line, row in rows_of(raw, self._table.groups, self._now):
                rows += 1
                if isinstance(row, RowError):
                    bad += 1
                    self.total.bad += line > done
                    if len(first) < bad_rows.SHOWN_ROWS:
                        first.append(row)
        bad_rows.tell(self._file.name, first, bad)
        if refused := refusal(rows, bad, first[0] if first else ""):
            raise Failure(f"{self._file.name}: {refused}")

    def begun_at(self) -> int:
        """How many lines an earlier call has done of this very file."""
        try:
            identity, line = json.loads(self._marks.get(BOOKMARK) or "")
        except (ValueError, TypeError):
            return 0
        return int(line) if identity == self._identity else 0

    def blocks(self) -> Iterator[_Block]:
        """Load block by block; each is told when it is done."""
        for block in self._read(self.begun_at()):
            self._write(block)
            self._marks.put(BOOKMARK, json.dumps([self._identity, block.line]))
            yield block
        self._marks.remove(BOOKMARK)

    def _read(self, skipped: int) -> Iterator[_Block]:
        block = _Block([], skipped, 0)
        with self._file.open("rb") as raw:
            for line, row in rows_of(raw, self._table.groups, self._now, skipped):
                if not isinstance(row, RowError):
                    block.rows.append((line, row))
                block.line, block.byte = line, raw.tell()
                if len(block.rows) >= BLOCK_ROWS:
                    yield block
                    block = _Block([], line, raw.tell())
        if block.rows:
            yield block

    def _write(self, block: _Block) -> None:
        failed = self._loading.write([row for _, row in block.rows])
        refused = {at: why for at, why in failed.items() if isinstance(why, Permanent)}
        self._tell_of([RowError(block.rows[at][0], str(why)) for at, why in refused.items()])
        for at, why in failed.items():
            if at not in refused:
                raise Failure(f"line {block.rows[at][0]} is not written: {why}", FAILED)
        self.total.sent += len(block.rows) - len(failed)
        self._have_synced([row for at, (_, row) in enumerate(block.rows) if at not in failed])

    def _tell_of(self, refused: Sequence[RowError]) -> None:
        for row in refused[: max(0, bad_rows.SHOWN_ROWS - self.total.refused)]:
            output.warn(f"{self._file.name}: {row}")
        self.total.refused += len(refused)

    def _have_synced(self, rows: Sequence[FeatureRow]) -> None:
        if self._sending is None or not rows:
            return
        self._sending.jobs(
            [
                SyncFeatures(
                    event_id=new_pack_id(),
                    producer=PRODUCER,
                    seq=number,
                    occurred_at=time.time(),
                    user_id=user_id,
                )
                for number, user_id in enumerate(dict.fromkeys(row.user_id for row in rows))
            ]
        )


def run(
    file: Path,
    data_dir: Path | None,
    *,
    rate: float | None,
    restart: bool,
    sync: bool,
    as_json: bool,
) -> None:
    """Load a file; raises Failure where it is refused, or where the store does not take it."""
    path = file.expanduser().resolve()
    if not path.is_file():
        raise Failure(f"{path} is not a file")
    target = aim(data_dir)
    aws, table = AwsClients(), features.declared()
    turns = TokenBucket(rate or table.quotas.cli_per_second)
    sending = SqsSending(SqsQueues(aws), queues.declared()) if sync else None
    marks = bookmarks_of(target)
    if restart:
        marks.remove(BOOKMARK)
    store = SageMakerLoading(aws, table.groups, turns)
    loading = Loading(path, store, sending, marks, time.time())
    with _reading(path):
        loading.check()
        _load(loading, path)
    _tell(loading.total, as_json=as_json)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Failure(f"{path.name}: cannot be read: {error}") from error


def _load(loading: Loading, path: Path) -> None:
    done = loading.begun_at()
    if done:
        output.warn(f"going on behind line {done}, where the last call stopped")
    try:
        with progress.shown(path.name) as advance:
            for block in loading.blocks():
                done = block.line
                if advance:
                    advance(block.byte, loading.size)
    except (KeyboardInterrupt, MangaAssistError, Failure):
        output.warn(f"stopped behind line {done}; the same command goes on from there")
        raise


def _tell(total: _Total, *, as_json: bool) -> None:
    if as_json:
        output.document({"sent": total.sent, "bad": total.bad + total.refused})
    else:
        sent = f"{output.number(total.sent, 'record')} sent, {bad_rows.left_out(total.bad)}"
        output.line(f"{sent}; a record or deletion that is newer stays")
    if total.refused:
        refused = output.number(total.refused, "record")
        raise Failure(f"the store has refused {refused}", FAILED)
