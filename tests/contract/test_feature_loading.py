"""Writing records into the feature store: all of them, or each with a reason."""

import time
from collections.abc import Iterator
from itertools import count

import pytest

from adapters.aws_clients import AwsClients
from adapters.feature_rows import FeatureRow
from adapters.sagemaker_features import SageMakerFeatures
from adapters.sagemaker_loading import SageMakerLoading
from adapters.token_bucket import TokenBucket
from config import features
from domain.errors import Permanent, Transient
from emulators import FaultRule, RunningEmulator
from tests.fakes import RecordingMetrics

NOW = float(int(time.time()))
GROUPS = features.declared().groups
_runs = count()


@pytest.fixture
def emulator(aws_environment: RunningEmulator) -> Iterator[RunningEmulator]:
    aws_environment.reset_calls()
    yield aws_environment
    aws_environment.heal()


@pytest.fixture
def loading(aws: AwsClients) -> SageMakerLoading:
    return SageMakerLoading(aws, GROUPS, TokenBucket(10_000), sleep=lambda _: None)


@pytest.fixture
def store(aws: AwsClients) -> SageMakerFeatures:
    return SageMakerFeatures(aws, GROUPS, TokenBucket(10_000), RecordingMetrics())


@pytest.fixture
def prefix() -> str:
    return f"load{next(_runs)}-"


def rows(prefix: str, users: int) -> list[FeatureRow]:
    return [
        FeatureRow(f"{prefix}{at}", "user-profile", NOW - 1 + 0.25, {"locale": "ja"})
        for at in range(users)
    ]


def test_rows_are_written_in_full_batches(
    loading: SageMakerLoading, store: SageMakerFeatures, emulator: RunningEmulator, prefix: str
) -> None:
    assert loading.write(rows(prefix, 60)) == {}
    assert emulator.calls()["featurestore"] == {"BatchWriteRecord": 3}
    found = store.read([f"{prefix}{at}" for at in range(60)], ["user-profile"]).records
    assert len(found) == 60
    record = found[f"{prefix}7"]["user-profile"]
    assert (record.event_time, record.values) == (NOW - 0.75, {"locale": "ja"})


def test_of_two_records_of_a_user_the_newer_stands(
    loading: SageMakerLoading, store: SageMakerFeatures, prefix: str
) -> None:
    both = [
        FeatureRow(prefix, "user-profile", NOW - age, {"locale": locale})
        for age, locale in ((1, "ja"), (2, "en"))
    ]
    assert loading.write(both) == {}
    assert store.read([prefix], ["user-profile"]).records[prefix]["user-profile"].values == {
        "locale": "ja"
    }


@pytest.mark.parametrize("kind", ["partial", "entry_error"])
def test_what_was_not_taken_is_sent_again(
    loading: SageMakerLoading,
    store: SageMakerFeatures,
    emulator: RunningEmulator,
    prefix: str,
    kind: str,
) -> None:
    rule = FaultRule(kind=kind, action="BatchWriteRecord", fraction=0.5, times=3)  # type: ignore[arg-type]
    emulator.inject(rule)
    assert loading.write(rows(prefix, 50)) == {}
    users = [f"{prefix}{at}" for at in range(50)]
    assert len(store.read(users, ["user-profile"]).records) == 50


def test_what_is_never_taken_is_named_by_its_place(
    loading: SageMakerLoading, emulator: RunningEmulator, prefix: str
) -> None:
    strange = FeatureRow(prefix, "user-profile", NOW, {"colour": "red"})
    failed = loading.write([*rows(prefix, 2), strange])
    assert failed.keys() == {2}
    assert isinstance(failed[2], Permanent)
    emulator.inject(FaultRule(kind="partial", action="BatchWriteRecord", fraction=1.0))
    failed = loading.write(rows(prefix, 30))
    assert failed.keys() == set(range(30))
    assert all(isinstance(why, Transient) for why in failed.values())


def test_a_store_that_is_down_fails_every_row(
    loading: SageMakerLoading, emulator: RunningEmulator, prefix: str
) -> None:
    emulator.inject(FaultRule(kind="http503", action="BatchWriteRecord"))
    failed = loading.write(rows(prefix, 3))
    assert [str(why) for why in failed.values()] == [
        "feature-store answers ServiceUnavailable to BatchWriteRecord"
    ] * 3


@pytest.mark.parametrize("for_good", [False, True])
def test_a_deleted_record_is_gone(
    loading: SageMakerLoading, store: SageMakerFeatures, prefix: str, for_good: bool
) -> None:
    loading.write(rows(prefix, 2))
    loading.delete(f"{prefix}0", "user-profile", NOW, for_good=for_good)
    found = store.read([f"{prefix}0", f"{prefix}1"], ["user-profile"]).records
    assert found.keys() == {f"{prefix}1"}


def test_a_record_that_is_newer_than_its_deletion_stays(
    loading: SageMakerLoading, store: SageMakerFeatures, prefix: str
) -> None:
    loading.write(rows(prefix, 1))
    loading.delete(f"{prefix}0", "user-profile", NOW - 60, for_good=False)
    with pytest.raises(Permanent):
        loading.delete(f"{prefix}0", "user-profile", NOW - 60, for_good=True)
    assert store.read([f"{prefix}0"], ["user-profile"]).records
