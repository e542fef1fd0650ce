"""What the commands about features say of what became of users."""

import pytest

from cli import output
from cli.features_deleting import found
from cli.features_syncing import Total, tell_compared
from domain.errors import Transient
from domain.features import GroupRecord, UserFeatures
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
