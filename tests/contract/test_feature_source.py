"""Features from the store: the contract of `FeatureSource`, and what Feature Store adds to it."""

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from adapters.aws_clients import AwsClients
from adapters.sagemaker_features import SageMakerFeatures
from adapters.token_bucket import TokenBucket
from config import features
from domain.errors import Permanent, Transient
from domain.features import GroupRecord, iso_8601
from domain.ports import FeatureSource
from emulators import FaultRule, RunningEmulator
from tests.fakes import FakeFeatures, RecordingMetrics

GROUPS = ("user-profile", "user-activity")
NOW = float(int(time.time()))
TTL_SECONDS = 90 * 86_400.0
_runs = count()

Put = Callable[[str, str, GroupRecord], None]


@pytest.fixture
def metrics() -> RecordingMetrics:
    return RecordingMetrics()


@pytest.fixture
def store(aws: AwsClients, metrics: RecordingMetrics) -> SageMakerFeatures:
    groups = features.declared().groups
    return SageMakerFeatures(aws, groups, TokenBucket(10_000), metrics, sleep=lambda _: None)


@pytest.fixture
def emulator(aws_environment: RunningEmulator) -> Iterator[RunningEmulator]:
    aws_environment.reset_calls()
    yield aws_environment
    aws_environment.heal()


def put_record(aws: AwsClients, user_id: str, group: str, record: GroupRecord) -> None:
    given = {"user_id": user_id, "event_time": iso_8601(record.event_time), **record.values}
    aws.feature_store.put_record(
        FeatureGroupName=group,
        Record=[{"FeatureName": k, "ValueAsString": v} for k, v in given.items()],
    )


@pytest.fixture(params=["fake", "sagemaker"])
def source(request: pytest.FixtureRequest) -> tuple[FeatureSource, Put]:
    if request.param == "fake":
        fake = FakeFeatures()
        return fake, fake.put
    real: SageMakerFeatures = request.getfixturevalue("store")
    aws: AwsClients = request.getfixturevalue("aws")
    return real, lambda user_id, group, record: put_record(aws, user_id, group, record)


@pytest.fixture
def prefix() -> str:
    return f"run{next(_runs)}-"


def profile(at: float = NOW, **values: str) -> GroupRecord:
    return GroupRecord(at, {"locale": "ja", **values})


def activity(at: float = NOW) -> GroupRecord:
    return GroupRecord(at, {"views_7d": "3"}, at + TTL_SECONDS)


def test_records_are_read_by_user_and_group(source: tuple[FeatureSource, Put], prefix: str) -> None:
    features_, put = source
    ann, bob = prefix + "花", prefix + "bob"
    put(ann, "user-profile", profile(NOW + 0.25))
    put(ann, "user-activity", activity())
    put(bob, "user-activity", activity(NOW - 5))
    batch = features_.read([ann, bob, prefix + "nobody"], GROUPS)
    assert batch.records == {
        ann: {"user-profile": profile(NOW + 0.25), "user-activity": activity()},
        bob: {"user-activity": activity(NOW - 5)},
    }
    assert (batch.unread, batch.unusable) == ({}, {})


def test_only_the_groups_that_are_asked_for_are_read(
    source: tuple[FeatureSource, Put], prefix: str
) -> None:
    features_, put = source
    put(prefix, "user-profile", profile())
    put(prefix, "user-activity", activity())
    assert features_.read([prefix], ["user-activity"]).records[prefix].keys() == {"user-activity"}


def test_no_user_is_no_request(source: tuple[FeatureSource, Put]) -> None:
    assert source[0].read([], GROUPS).records == {}


def test_pages_list_everybody_once(source: tuple[FeatureSource, Put], prefix: str) -> None:
    features_, put = source
    mine = {f"{prefix}{at}" for at in range(7)}
    for user_id in mine:
        put(user_id, "user-profile", profile())
    seen: list[str] = []
    after: str | None = None
    while True:
        page = features_.page("user-profile", after)
        seen += page.user_ids
        after = page.after
        if after is None:
            break
    assert len(seen) == len(set(seen))
    assert mine <= set(seen)


def test_many_users_are_read_in_few_requests(
    aws: AwsClients,
    store: SageMakerFeatures,
    metrics: RecordingMetrics,
    emulator: RunningEmulator,
    prefix: str,
) -> None:
    users = [f"{prefix}{at}" for at in range(120)]
    for user_id in users:
        put_record(aws, user_id, "user-profile", profile())
    batch = store.read(users, GROUPS)
    assert batch.records.keys() == set(users)
    # 50 users with two groups each are the 100 records of a request.
    assert emulator.calls()["featurestore"]["BatchGetRecord"] == 3
    assert metrics.counted["feature_store_requests_total", "BatchGetRecord"] == 3


@pytest.mark.parametrize("kind", ["partial", "entry_error"])
def test_what_a_reply_leaves_out_is_asked_for_again(
    aws: AwsClients,
    store: SageMakerFeatures,
    emulator: RunningEmulator,
    prefix: str,
    kind: str,
) -> None:
    users = [f"{prefix}{at}" for at in range(40)]
    for user_id in users:
        put_record(aws, user_id, "user-profile", profile())
    # Two requests leave half of it out, the third nothing.
    rule = FaultRule(kind=kind, action="BatchGetRecord", fraction=0.5, times=2)  # type: ignore[arg-type]
    emulator.inject(rule)
    batch = store.read(users, ["user-profile"])
    assert batch.records.keys() == set(users)
    assert batch.unread == {}


def test_who_was_never_answered_is_named(
    aws: AwsClients, store: SageMakerFeatures, emulator: RunningEmulator, prefix: str
) -> None:
    users = [f"{prefix}{at}" for at in range(60)]
    for user_id in users:
        put_record(aws, user_id, "user-profile", profile())
    emulator.inject(FaultRule(kind="partial", action="BatchGetRecord", fraction=0.8))
    batch = store.read(users, ["user-profile"])
    assert batch.records.keys() | batch.unread.keys() == set(users)
    assert not batch.records.keys() & batch.unread.keys()
    assert batch.records
    assert set(batch.unread.values()) == {"feature-store leaves records unprocessed"}


def test_a_store_that_answers_nothing_is_transient_and_named(
    store: SageMakerFeatures, emulator: RunningEmulator
) -> None:
    emulator.inject(FaultRule(kind="http503", action="BatchGetRecord"))
    with pytest.raises(Transient) as caught:
        store.read(["ann"], GROUPS)
    assert caught.value.dependency == "feature-store"


def test_a_group_that_is_not_there_costs_only_its_own_records(
    aws: AwsClients, store: SageMakerFeatures, prefix: str
) -> None:
    put_record(aws, prefix, "user-profile", profile())
    batch = store.read([prefix], ["user-profile", "strangers"])
    assert batch.records[prefix].keys() == {"user-profile"}
    assert batch.unread == {prefix: "feature-store answers ResourceNotFound"}


def test_a_deleted_record_is_not_answered(
    aws: AwsClients, store: SageMakerFeatures, prefix: str
) -> None:
    put_record(aws, prefix, "user-profile", profile())
    aws.feature_store.delete_record(
        FeatureGroupName="user-profile",
        RecordIdentifierValueAsString=prefix,
        EventTime=iso_8601(NOW + 1),
    )
    assert store.read([prefix], ["user-profile"]).records == {}


def test_lists_are_text_of_json(aws: AwsClients, store: SageMakerFeatures, prefix: str) -> None:
    aws.feature_store.put_record(
        FeatureGroupName="user-profile",
        Record=[
            {"FeatureName": "user_id", "ValueAsString": prefix},
            {"FeatureName": "event_time", "ValueAsString": str(NOW)},
            {"FeatureName": "favourite_genres", "ValueAsStringList": ["少年", "sf"]},
        ],
    )
    found = store.read([prefix], ["user-profile"]).records[prefix]["user-profile"]
    assert found.values == {"favourite_genres": '["少年","sf"]'}


def test_a_group_of_standard_storage_is_not_listed(
    aws: AwsClients, metrics: RecordingMetrics
) -> None:
    group = features.declared().groups["user-profile"]
    plain = features.FeatureGroup(
        record_id=group.record_id,
        event_time=group.event_time,
        event_time_type="String",
        storage="Standard",
        features=group.features,
    )
    store = SageMakerFeatures(aws, {"user-profile": plain}, TokenBucket(10), metrics)
    with pytest.raises(Permanent, match="listed"):
        store.page("user-profile", None)
