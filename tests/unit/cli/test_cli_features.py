"""What the commands about features say of what became of users."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from adapters.feature_rows import FeatureRow
from adapters.sagemaker_loading import SageMakerLoading
from cli import output
from cli.bookmarks import FileBookmarks
from cli.features_deleting import found
from cli.features_loading import BLOCK_ROWS, Loading
from cli.features_syncing import Total, tell_compared
from domain.errors import MangaAssistError, Transient
from domain.features import FUTURE_SECONDS, GroupRecord, UserFeatures
from domain.ports import Merged, Written
from tasks.comparing import Compared
from tasks.syncing import Synced
from tests.fakes import NOW, FakeFeatures

ANN = Merged(UserFeatures("ann", {"g": GroupRecord(NOW, {})}), {"g": Written.APPLIED})


@pytest.mark.parametrize(("count", "said"), [(0, "0 users"), (1, "1 user"), (2, "2 users")])
def test_one_is_no_plural(count: int, said: str) -> None:
    assert output.number(count, "user") == said
    assert output.number(count, "entry", "entries").endswith("entry") is (count == 1)


def test_users_whom_the_store_does_not_know_are_told_from_merged_ones() -> None:
    total = Total()
    total.add(["ann", "nobody"], Synced({"ann": ANN}, {}, {}))
    document = total.document()
    assert (document["users"], document["merged"]) == (2, 1)


class TakesAll(SageMakerLoading):
    """A store that takes whatever it is given."""

    def __init__(self) -> None:
        self.taken: list[FeatureRow] = []

    def write(self, rows: Sequence[FeatureRow]) -> Mapping[int, MangaAssistError]:
        self.taken += rows
        return {}


def row(user_id: str, event_time: float = NOW) -> str:
    features = {"locale": "ja"}
    fields = {"user_id": user_id, "group": "user-profile", "event_time": event_time}
    return json.dumps({**fields, "features": features}) + "\n"


def loading_of(file: Path, store: TakesAll, now: float = NOW) -> Loading:
    return Loading(file, store, None, FileBookmarks(file.parent), now)


def test_what_is_bad_when_a_file_is_looked_at_is_not_written_after_all(tmp_path: Path) -> None:
    file, store = tmp_path / "rows.jsonl", TakesAll()
    ahead = row("ahead", NOW + FUTURE_SECONDS + 1)  # of a clock that is long past by the machine's
    file.write_text("".join(row(f"u{at}") for at in range(30)) + ahead)
    loading = loading_of(file, store)
    loading.check()
    assert len(list(loading.blocks())) == 1
    assert (loading.total.sent, loading.total.bad) == (30, 1)
    assert [one.user_id for one in store.taken] == [f"u{at}" for at in range(30)]


def test_a_call_that_goes_on_counts_what_is_behind_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, store = tmp_path / "rows.jsonl", TakesAll()
    rows = [row(f"u{at}") for at in range(BLOCK_ROWS + 10)]
    file.write_text("".join(["{\n", "{\n", *rows, "{\n"]))
    first = loading_of(file, store)
    first.check()
    next(first.blocks())
    again = loading_of(file, store)
    capsys.readouterr()
    again.check()
    assert capsys.readouterr().err.count("not JSON") == 3, "all of the file is looked at"
    list(again.blocks())
    assert (first.total.bad, first.total.sent) == (3, BLOCK_ROWS)
    assert (again.total.bad, again.total.sent) == (1, 10)
    assert len(store.taken) == len(rows)


@pytest.mark.parametrize(
    ("user_ids", "said"),
    [
        (["nobody"], "there was no record"),
        (["ann", "nobody"], "1 record deleted"),
        (["ann", "odd"], "2 records deleted"),
        (["ann", "silent"], "1 record deleted, 1 user deleted unread"),
    ],
)
def test_a_deletion_says_what_there_was(user_ids: list[str], said: str) -> None:
    store = FakeFeatures()
    store.put("ann", "g", GroupRecord(NOW, {}))
    store.put("ann", "other", GroupRecord(NOW, {}))
    store.unusable["odd"] = {"g"}
    store.silent["silent"] = "not answered"
    assert found(store, user_ids, ["g"]) == said


def test_what_cannot_be_read_is_deleted_all_the_same() -> None:
    store = FakeFeatures()
    store.fail = Transient("no answer")
    assert found(store, ["ann"], ["g"]).startswith("deleted, whatever was there")


def test_a_check_without_anybody_says_that_there_is_nothing_to_compare(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_compared(Compared(), as_json=False)
    assert capsys.readouterr().out == "nobody has merged features: there is nothing to compare\n"
    tell_compared(Compared(users=1, records=2), as_json=False)
    assert capsys.readouterr().out == "1 user with 2 records compared\n0 repaired\n"
