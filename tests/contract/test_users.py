"""Merged features: the contract of `UserCache`, that every order of writes ends alike, and what
DynamoDB adds to it."""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, permutations

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.aws_clients import AwsClients
from adapters.dynamodb_users import DynamoDBUsers
from domain.errors import Permanent, Transient
from domain.features import GroupRecord, UserFeatures, merge, tombstone, tombstone_over
from domain.ports import UserCache, Written
from tests.fakes import NOW, FakeClock, FakeUserCache
from tests.samples import DAY

TABLE = "mangaassist-users"
ITEM_BYTES = 400 * 1024
_ids = count()

Writes = Sequence[Mapping[str, GroupRecord]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def user_id() -> str:
    return f"user-{next(_ids)}"


@pytest.fixture
def table(aws: AwsClients, clock: FakeClock) -> DynamoDBUsers:
    return DynamoDBUsers(aws, TABLE, clock)


@pytest.fixture(params=["fake", "dynamodb"])
def users(request: pytest.FixtureRequest) -> UserCache:
    if request.param == "fake":
        return FakeUserCache()
    found: DynamoDBUsers = request.getfixturevalue("table")
    return found


def record(at: float = NOW, **values: str) -> GroupRecord:
    return GroupRecord(at, values)


def test_nothing_is_known_of_a_stranger(users: UserCache, user_id: str) -> None:
    assert users.get(user_id) is None
    assert users.get_all([user_id]) == {}


def test_groups_are_stored_whole(users: UserCache, user_id: str) -> None:
    groups = {
        "user-profile": GroupRecord(NOW + 0.123456, {"名": "花", "empty": ""}, NOW + DAY),
        "user-activity": tombstone(NOW, DAY),
    }
    assert users.merge(user_id, groups) == dict.fromkeys(groups, Written.APPLIED)
    assert users.get(user_id) == UserFeatures(user_id, groups)
    assert users.get_all([user_id, "nobody"]) == {user_id: UserFeatures(user_id, groups)}


def test_what_became_of_each_group_is_told(users: UserCache, user_id: str) -> None:
    users.merge(user_id, {"a": record(NOW, v="1"), "b": record(NOW)})
    written = users.merge(
        user_id, {"a": record(NOW - 1), "b": record(NOW), "c": record(NOW), "d": record(NOW)}
    )
    assert written == {
        "a": Written.SUPERSEDED,
        "b": Written.ALREADY_APPLIED,
        "c": Written.APPLIED,
        "d": Written.APPLIED,
    }


def test_a_group_that_is_older_does_not_hold_up_another(users: UserCache, user_id: str) -> None:
    users.merge(user_id, {"a": record(NOW + 5)})
    users.merge(user_id, {"a": record(NOW), "b": record(NOW, v="new")})
    found = users.get(user_id)
    assert found is not None
    assert found.groups == {"a": record(NOW + 5), "b": record(NOW, v="new")}


def test_a_missing_group_erases_nothing_and_a_deleted_one_stays_away(
    users: UserCache, user_id: str
) -> None:
    users.merge(user_id, {"a": record(NOW, v="1"), "b": record(NOW)})
    users.merge(user_id, {"b": tombstone(NOW + 1, DAY)})
    users.merge(user_id, {"b": record(NOW)})
    found = users.get(user_id)
    assert found is not None
    assert found.live(NOW) == {"a": {"v": "1"}}


def test_event_times_are_compared_as_numbers(users: UserCache, user_id: str) -> None:
    users.merge(user_id, {"a": record(1_000_000_000.0, v="new")})
    users.merge(user_id, {"a": record(999_999_999.5, v="old")})
    found = users.get(user_id)
    assert found is not None
    assert found.groups["a"].values == {"v": "new"}


def test_a_tombstone_for_one_record_gives_way_to_the_next(users: UserCache, user_id: str) -> None:
    users.merge(user_id, {"a": record(NOW + 0.001)})
    assert users.merge(user_id, {"a": tombstone_over(record(NOW + 0.001), DAY)}) == {
        "a": Written.APPLIED
    }
    assert users.merge(user_id, {"a": record(NOW + 0.002)}) == {"a": Written.APPLIED}


def test_many_users_are_written_at_once(users: UserCache) -> None:
    records = {f"many-{at:03}": {"a": record(NOW + at)} for at in range(250)}
    batch = users.merge_all(records)
    assert not batch.failed
    assert batch.merged.keys() == records.keys()
    assert users.get_all(list(records)) == {
        user_id: UserFeatures(user_id, groups) for user_id, groups in records.items()
    }
    again = users.merge_all(records).merged.values()
    assert {what for each in again for what in each.written.values()} == {Written.ALREADY_APPLIED}


def test_pages_show_every_user_once_and_begin_anywhere(users: UserCache) -> None:
    ids = {f"page-{at:02}" for at in range(23)}
    users.merge_all({user_id: {"a": record()} for user_id in ids})
    seen: list[str] = []
    page = users.page(None, 5)
    seen += page.user_ids
    while page.after is not None:
        page = users.page(page.after, 5)
        seen += page.user_ids
    assert len(seen) == len(set(seen))
    assert ids <= set(seen)
    assert len(users.page("a made-up one", 3).user_ids) <= 3


# Two event times and two contents, so that ties are as frequent as order.
_records = st.one_of(
    st.builds(
        GroupRecord,
        st.sampled_from([NOW, NOW + 0.5, NOW + 1]),
        st.sampled_from([{}, {"v": "1"}, {"v": "2"}]),
        st.sampled_from([None, NOW + 60, NOW + 90]),
    ),
    st.sampled_from([tombstone(NOW, DAY), tombstone(NOW + 0.5, DAY)]),
)
_writes = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), _records, min_size=1, max_size=3),
    min_size=1,
    max_size=6,
)


@given(writes=_writes, order=st.randoms(use_true_random=False), repeats=st.integers(1, 2))
@settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck])
@pytest.mark.parametrize("kind", ["fake", "dynamodb"])
def test_every_order_of_writes_ends_alike(
    kind: str,
    writes: Writes,
    order: random.Random,
    repeats: int,
    request: pytest.FixtureRequest,
) -> None:
    table: DynamoDBUsers = request.getfixturevalue("table")
    users: UserCache = FakeUserCache() if kind == "fake" else table
    user_id = f"user-{next(_ids)}"
    shuffled = list(writes) * repeats
    order.shuffle(shuffled)
    for groups in shuffled:
        users.merge(user_id, groups)
    assert users.get(user_id) == merge(user_id, writes)


class LossyClient:
    """A DynamoDB client that loses requests, or the replies to requests that were carried out."""

    def __init__(self, aws: AwsClients, faults: Sequence[str]) -> None:
        self._real = aws.dynamodb
        self._faults = list(faults)

    def __getattr__(self, name: str) -> Callable[..., object]:
        call: Callable[..., object] = getattr(self._real, name)

        def lossy(**arguments: object) -> object:
            fault = self._faults.pop(0) if self._faults else ""
            if fault == "request":
                raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
            answer = call(**arguments)
            if fault == "reply":
                raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
            return answer

        return lossy


class LossyClients(AwsClients):
    """Clients with a lossy DynamoDB."""

    def __init__(self, aws: AwsClients, faults: Sequence[str]) -> None:
        super().__init__()
        self._clients["dynamodb"] = LossyClient(aws, faults)


@given(
    writes=_writes,
    faults=st.lists(st.sampled_from(["", "request", "reply"]), max_size=12),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck])
def test_writes_that_are_lost_and_tried_again_end_alike(
    aws: AwsClients, writes: Writes, faults: Sequence[str]
) -> None:
    user_id = f"user-{next(_ids)}"
    users = DynamoDBUsers(LossyClients(aws, faults), TABLE, FakeClock())
    left = list(writes)
    for _ in range(len(faults) + 1):
        failed = []
        for groups in left:
            try:
                users.merge(user_id, groups)
            except Transient:
                failed.append(groups)
        left = failed
    assert not left
    assert DynamoDBUsers(aws, TABLE, FakeClock()).get(user_id) == merge(user_id, writes)


def test_writers_at_once_end_in_what_any_order_would(
    aws: AwsClients, table: DynamoDBUsers, user_id: str
) -> None:
    writes = [
        {group: record(NOW + at, by=str(at))} for at in range(6) for group in ("a", "b", "c", "d")
    ]
    others = [DynamoDBUsers(aws, TABLE, FakeClock()) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        for at, groups in enumerate(writes):
            threads.submit(others[at % 4].merge, user_id, groups)
    # Whoever gave up because of the others comes again, as a pack would.
    for groups in writes:
        table.merge(user_id, groups)
    assert table.get(user_id) == merge(user_id, writes)


def test_a_user_who_cannot_be_written_does_not_cost_the_others(table: DynamoDBUsers) -> None:
    huge = {"a": record(NOW, v="x" * (ITEM_BYTES + 1))}
    batch = table.merge_all({"huge": huge, "small": {"a": record()}})
    assert batch.merged.keys() == {"small"}
    assert isinstance(batch.failed["huge"], Permanent)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_item_expires_with_the_last_of_its_groups(
    aws: AwsClients, table: DynamoDBUsers, clock: FakeClock, user_id: str, order: Sequence[int]
) -> None:
    writes = [
        {"a": GroupRecord(NOW, {}, NOW + 10)},
        {"b": GroupRecord(NOW, {}, NOW + 20)},
        {"a": GroupRecord(NOW + 1, {}, NOW + 5)},
    ]
    for at in order:
        table.merge(user_id, writes[at])
    item = aws.dynamodb.get_item(TableName=TABLE, Key={"user_id": {"S": user_id}})["Item"]
    assert float(item["expires_at"]["N"]) == NOW + 20
    clock.now = NOW + 21
    assert table.get(user_id) is None
    assert table.get_all([user_id]) == {}


def test_an_item_with_a_group_that_is_kept_for_good_does_not_expire(
    aws: AwsClients, table: DynamoDBUsers, user_id: str
) -> None:
    table.merge(user_id, {"a": GroupRecord(NOW, {}, NOW + 10)})
    table.merge(user_id, {"b": record()})
    item = aws.dynamodb.get_item(TableName=TABLE, Key={"user_id": {"S": user_id}})["Item"]
    assert "expires_at" not in item


def test_what_does_not_change_is_read_and_not_written(
    aws: AwsClients, table: DynamoDBUsers, user_id: str
) -> None:
    table.merge(user_id, {"a": record(NOW)})
    before = aws.dynamodb.get_item(TableName=TABLE, Key={"user_id": {"S": user_id}})["Item"]
    table.merge(user_id, {"a": record(NOW)})
    table.merge(user_id, {"a": record(NOW - 1)})
    after = aws.dynamodb.get_item(TableName=TABLE, Key={"user_id": {"S": user_id}})["Item"]
    assert after == before
    assert after["revision"] == {"N": "1"}
