"""What the commands about features say of what became of users."""

import pytest

from cli import output
from cli.features_syncing import Total
from domain.features import GroupRecord, UserFeatures
from domain.ports import Merged, Written
from tasks.syncing import Synced
from tests.fakes import NOW

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
