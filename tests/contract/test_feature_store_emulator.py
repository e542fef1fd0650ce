"""The Feature Store runtime emulator as boto3 meets it."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from emulators import EmulatorSettings, FaultRule, RunningEmulator, run_in_thread
from tests.emulator_clients import client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_sagemaker_featurestore_runtime import SageMakerFeatureStoreRuntimeClient

GROUPS = ("users:user_id:at", "updatable:user_id:at:Standard_V2")


class Clock:
    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aws(clock: Clock) -> Iterator[RunningEmulator]:
    settings = EmulatorSettings(
        services=("featurestore", "sqs"), feature_groups=GROUPS, clock=clock, seed=5
    )
    with run_in_thread(settings=settings) as emulator:
        yield emulator


@pytest.fixture
def store(aws: RunningEmulator) -> Iterator[SageMakerFeatureStoreRuntimeClient]:
    client: SageMakerFeatureStoreRuntimeClient = client_of(
        "sagemaker-featurestore-runtime", aws.url
    )
    yield client
    client.close()


def record(user: str, at: object, **values: str) -> Any:
    given = {"user_id": user, "at": str(at), **values}
    return [{"FeatureName": name, "ValueAsString": value} for name, value in given.items()]


def values(features: Any) -> dict[str, str]:
    return {feature["FeatureName"]: feature["ValueAsString"] for feature in features}


def read(
    store: SageMakerFeatureStoreRuntimeClient, user: str, group: str = "users"
) -> dict[str, str] | None:
    # the stubs say that Record is always there
    answer: Any = store.get_record(FeatureGroupName=group, RecordIdentifierValueAsString=user)
    found = answer.get("Record")
    return None if found is None else values(found)


def refused(call: Callable[..., object], **arguments: object) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


class TestOneRecord:
    def test_what_is_put_is_read_back(self, store: SageMakerFeatureStoreRuntimeClient) -> None:
        store.put_record(FeatureGroupName="users", Record=record("ü/1 ?", 10, genre="少年"))
        assert read(store, "ü/1 ?") == {"user_id": "ü/1 ?", "at": "10", "genre": "少年"}

    def test_a_group_may_be_named_by_its_arn(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        arn = "arn:aws:sagemaker:ap-northeast-1:000000000000:feature-group/users"
        store.put_record(FeatureGroupName=arn, Record=record("u", 1))
        assert read(store, "u", arn) == read(store, "u")

    def test_a_missing_record_is_an_empty_answer(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        assert read(store, "nobody") is None

    def test_an_unknown_group_is_not_found(self, store: SageMakerFeatureStoreRuntimeClient) -> None:
        with pytest.raises(store.exceptions.ResourceNotFound):
            read(store, "u", "strangers")
        code = refused(store.put_record, FeatureGroupName="strangers", Record=record("u", 1))
        assert code == ("ResourceNotFound", 404)

    def test_an_older_record_is_ignored_without_an_error(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        newest = record("u", "2026-01-02T00:00:00Z", n="new")
        store.put_record(FeatureGroupName="users", Record=newest)
        for at in ("999999999", "2026-01-01T23:59:59.999Z", "2026-01-02T00:00:00Z"):
            store.put_record(FeatureGroupName="users", Record=record("u", at, n="old"))
        found = read(store, "u")
        assert found is not None
        assert found["n"] == "new"

    def test_a_newer_record_replaces_every_feature(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="users", Record=record("u", 999_999_999, a="1"))
        store.put_record(FeatureGroupName="users", Record=record("u", 1_000_000_000, b="2"))
        assert read(store, "u") == {"user_id": "u", "at": "1000000000", "b": "2"}

    def test_features_can_be_chosen(self, store: SageMakerFeatureStoreRuntimeClient) -> None:
        store.put_record(FeatureGroupName="users", Record=record("u", 1, a="1", b="2", c="3"))
        answer = store.get_record(
            FeatureGroupName="users",
            RecordIdentifierValueAsString="u",
            FeatureNames=["a", "c"],
        )
        assert values(answer["Record"]) == {"a": "1", "c": "3"}

    def test_lists_are_values_too(self, store: SageMakerFeatureStoreRuntimeClient) -> None:
        vector: Any = {"FeatureName": "vector", "ValueAsStringList": ["0.1", "0.2"]}
        store.put_record(FeatureGroupName="users", Record=[*record("u", 1), vector])
        answer = store.get_record(
            FeatureGroupName="users", RecordIdentifierValueAsString="u", FeatureNames=["vector"]
        )
        assert answer["Record"][0]["ValueAsStringList"] == ["0.1", "0.2"]

    def test_what_is_meant_for_the_offline_store_is_not_online(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(
            FeatureGroupName="users", Record=record("u", 1), TargetStores=["OfflineStore"]
        )
        assert read(store, "u") is None

    def test_a_record_without_its_event_time_is_refused(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        for bad in (record("u", 1)[:1], record("u", "soon"), record("", 1)):
            code = refused(store.put_record, FeatureGroupName="users", Record=bad)
            assert code == ("ValidationError", 400)


class TestExpiry:
    def test_a_record_expires_and_says_when(
        self, store: SageMakerFeatureStoreRuntimeClient, clock: Clock
    ) -> None:
        at = int(time.time())
        store.put_record(
            FeatureGroupName="users",
            Record=record("u", at),
            TtlDuration={"Unit": "Hours", "Value": 1},
        )
        answer = store.get_record(
            FeatureGroupName="users",
            RecordIdentifierValueAsString="u",
            ExpirationTimeResponse="Enabled",
        )
        expected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at + 3600))
        assert answer["ExpiresAt"] == expected
        clock.offset += 3601
        assert read(store, "u") is None

    def test_the_expiry_is_told_only_when_asked_for(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(
            FeatureGroupName="users",
            Record=record("u", int(time.time())),
            TtlDuration={"Unit": "Days", "Value": 1},
        )
        answer = store.get_record(FeatureGroupName="users", RecordIdentifierValueAsString="u")
        assert "ExpiresAt" not in answer


class TestDelete:
    def test_a_soft_deleted_record_stays_gone_for_older_writes(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="users", Record=record("u", 10))
        store.delete_record(
            FeatureGroupName="users", RecordIdentifierValueAsString="u", EventTime="20"
        )
        assert read(store, "u") is None
        store.put_record(FeatureGroupName="users", Record=record("u", 15))
        assert read(store, "u") is None
        store.put_record(FeatureGroupName="users", Record=record("u", 21))
        assert read(store, "u") is not None

    def test_a_hard_deleted_record_leaves_no_trace(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="users", Record=record("u", 10))
        store.delete_record(
            FeatureGroupName="users",
            RecordIdentifierValueAsString="u",
            EventTime="20",
            DeletionMode="HardDelete",
        )
        assert read(store, "u") is None
        store.put_record(FeatureGroupName="users", Record=record("u", 5))
        assert read(store, "u") is not None

    def test_a_delete_older_than_the_record_does_not_delete(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="users", Record=record("u", 10))
        late: dict[str, str] = {
            "FeatureGroupName": "users",
            "RecordIdentifierValueAsString": "u",
            "EventTime": "10",
        }
        store.delete_record(**late)  # type: ignore[arg-type]
        hard = refused(store.delete_record, **late, DeletionMode="HardDelete")
        assert hard == ("ValidationError", 400)
        assert read(store, "u") is not None


class TestUpdate:
    def update(
        self, store: SageMakerFeatureStoreRuntimeClient, group: str = "updatable", **given: str
    ) -> None:
        features: Any = [{"FeatureName": k, "ValueAsString": v} for k, v in given.items()]
        store.update_record(
            FeatureGroupName=group, RecordIdentifierValueAsString="u", Features=features
        )

    def test_only_the_named_features_change(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="updatable", Record=record("u", 10, a="1", b="2"))
        self.update(store, b="3", at="10")
        self.update(store, c="4")
        found = read(store, "u", "updatable")
        assert found == {"user_id": "u", "at": "10", "a": "1", "b": "3", "c": "4"}

    def test_an_older_update_conflicts(self, store: SageMakerFeatureStoreRuntimeClient) -> None:
        store.put_record(FeatureGroupName="updatable", Record=record("u", 10, a="1"))
        with pytest.raises(ClientError) as caught:
            self.update(store, a="2", at="9")
        assert caught.value.response["Error"]["Code"] == "ConflictException"
        found = read(store, "u", "updatable")
        assert found is not None
        assert found["a"] == "1"

    def test_a_missing_record_cannot_be_updated(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        with pytest.raises(store.exceptions.ResourceNotFound):
            self.update(store, a="1")

    def test_standard_storage_has_no_updates(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="users", Record=record("u", 10))
        with pytest.raises(ClientError, match="Standard_V2"):
            self.update(store, "users", a="1")

    def test_a_duration_needs_an_event_time(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="updatable", Record=record("u", 10))
        code = refused(
            store.update_record,
            FeatureGroupName="updatable",
            RecordIdentifierValueAsString="u",
            Features=[{"FeatureName": "a", "ValueAsString": "1"}],
            TtlDuration={"Unit": "Days", "Value": 1},
        )
        assert code == ("ValidationError", 400)


class TestBatches:
    def test_found_missing_and_failed_are_told_apart(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="users", Record=record("a", 1, x="1", y="2"))
        answer = store.batch_get_record(
            Identifiers=[
                {
                    "FeatureGroupName": "users",
                    "RecordIdentifiersValueAsString": ["a", "nobody"],
                    "FeatureNames": ["x"],
                },
                {"FeatureGroupName": "strangers", "RecordIdentifiersValueAsString": ["b"]},
            ]
        )
        [found] = answer["Records"]
        assert found["RecordIdentifierValueAsString"] == "a"
        assert values(found["Record"]) == {"x": "1"}
        [error] = answer["Errors"]
        assert (error["RecordIdentifierValueAsString"], error["ErrorCode"]) == (
            "b",
            "ResourceNotFound",
        )
        assert answer["UnprocessedIdentifiers"] == []

    def test_records_beyond_the_quota_come_back_unprocessed(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        for i in range(101):
            store.put_record(FeatureGroupName="users", Record=record(f"u{i}", 1))
        names = [f"u{i}" for i in range(101)]
        identifiers: Any = [
            {"FeatureGroupName": "users", "RecordIdentifiersValueAsString": part}
            for part in (names[:60], names[60:])
        ]
        answer = store.batch_get_record(Identifiers=identifiers)
        assert len(answer["Records"]) == 100
        assert answer["UnprocessedIdentifiers"] == [
            {"FeatureGroupName": "users", "RecordIdentifiersValueAsString": ["u100"]}
        ]

    def test_more_than_a_hundred_identifiers_are_refused(
        self, aws: RunningEmulator, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        del aws
        many: Any = [{"FeatureGroupName": "users", "RecordIdentifiersValueAsString": ["u"] * 101}]
        assert refused(store.batch_get_record, Identifiers=many) == ("ValidationError", 400)

    def test_a_batch_write_reports_what_failed(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        answer = store.batch_write_record(
            Entries=[
                {"FeatureGroupName": "users", "Record": record("a", 10, x="1")},
                {"FeatureGroupName": "users", "Record": record("b", "soon")},
                {"FeatureGroupName": "strangers", "Record": record("c", 1)},
                {"FeatureGroupName": "users", "Record": record("a", 9, x="0")},
            ]
        )
        codes = [error["ErrorCode"] for error in answer["Errors"]]
        assert codes == ["ValidationError", "ResourceNotFound"]
        assert values(answer["Errors"][0]["Entry"]["Record"])["user_id"] == "b"
        assert answer["UnprocessedEntries"] == []
        assert read(store, "a") == {"user_id": "a", "at": "10", "x": "1"}

    def test_twenty_six_writes_are_refused(self, store: SageMakerFeatureStoreRuntimeClient) -> None:
        entries: Any = [{"FeatureGroupName": "users", "Record": record("a", 1)}] * 26
        assert refused(store.batch_write_record, Entries=entries) == ("ValidationError", 400)

    def test_a_partial_fault_leaves_some_unprocessed(
        self, aws: RunningEmulator, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        aws.inject(FaultRule(kind="partial", service="featurestore", fraction=0.5))
        entries: Any = [
            {"FeatureGroupName": "users", "Record": record(f"u{i}", 1)} for i in range(20)
        ]
        answer = store.batch_write_record(Entries=entries)
        assert 0 < len(answer["UnprocessedEntries"]) < 20
        aws.heal()
        left = {values(entry["Record"])["user_id"] for entry in answer["UnprocessedEntries"]}
        assert {f"u{i}" for i in range(20) if read(store, f"u{i}") is None} == left

    def test_identifiers_are_listed_in_pages(
        self, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        for name in ("c", "a", "b"):
            store.put_record(FeatureGroupName="updatable", Record=record(name, 1))
        store.delete_record(
            FeatureGroupName="updatable", RecordIdentifierValueAsString="b", EventTime="2"
        )
        first = store.list_records(FeatureGroupName="updatable", MaxResults=1)
        assert first["RecordIdentifiers"] == ["a"]
        rest = store.list_records(FeatureGroupName="updatable", NextToken=first["NextToken"])
        assert rest["RecordIdentifiers"] == ["c"]
        assert "NextToken" not in rest
        everything = store.list_records(
            FeatureGroupName="updatable", IncludeSoftDeletedRecords=True
        )
        assert everything["RecordIdentifiers"] == ["a", "b", "c"]

    def test_standard_storage_has_no_list(self, store: SageMakerFeatureStoreRuntimeClient) -> None:
        assert refused(store.list_records, FeatureGroupName="users") == ("ValidationError", 400)

    def test_an_entry_error_is_told_of_each_record(
        self, aws: RunningEmulator, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        store.put_record(FeatureGroupName="users", Record=record("u", 1))
        aws.inject(FaultRule(kind="entry_error", service="featurestore", fraction=1.0))
        answer = store.batch_get_record(
            Identifiers=[{"FeatureGroupName": "users", "RecordIdentifiersValueAsString": ["u"]}]
        )
        assert answer["Records"] == []
        assert [error["ErrorCode"] for error in answer["Errors"]] == ["InternalFailure"]
        failed = store.batch_write_record(
            Entries=[{"FeatureGroupName": "users", "Record": record("v", 1)}]
        )
        assert [error["ErrorCode"] for error in failed["Errors"]] == ["InternalFailure"]
        aws.heal()
        assert read(store, "v") is None

    def test_a_quota_throttles_what_is_beyond_it(
        self, aws: RunningEmulator, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        aws.inject(FaultRule(kind="throttle", action="GetRecord", per_second=0.001))
        assert read(store, "u") is None
        code = refused(
            store.get_record, FeatureGroupName="users", RecordIdentifierValueAsString="u"
        )
        assert code == ("ThrottlingException", 400)


@pytest.fixture
def control(aws: RunningEmulator) -> Iterator[Any]:
    client = client_of("sagemaker", aws.url)
    yield client
    client.close()


class TestGroups:
    GROUP: ClassVar[dict[str, Any]] = {
        "FeatureGroupName": "made",
        "RecordIdentifierFeatureName": "user_id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": name, "FeatureType": "String"} for name in ("user_id", "at", "genre")
        ],
        "OnlineStoreConfig": {
            "EnableOnlineStore": True,
            "StorageType": "InMemory",
            "TtlDuration": {"Unit": "Hours", "Value": 1},
        },
    }

    def test_a_group_is_created_once_and_described(self, control: Any) -> None:
        arn = control.create_feature_group(**self.GROUP)["FeatureGroupArn"]
        found = control.describe_feature_group(FeatureGroupName="made")
        assert found["FeatureGroupArn"] == arn
        assert found["FeatureGroupStatus"] == "Created"
        assert found["OnlineStoreConfig"]["StorageType"] == "InMemory"
        assert found["OnlineStoreConfig"]["TtlDuration"] == {"Unit": "Seconds", "Value": 3600}
        assert refused(control.create_feature_group, **self.GROUP) == ("ResourceInUse", 400)

    def test_a_group_that_is_not_there_is_not_found(self, control: Any) -> None:
        code = refused(control.describe_feature_group, FeatureGroupName="strangers")
        assert code == ("ResourceNotFound", 404)

    def test_a_group_takes_only_the_features_it_defines(
        self, control: Any, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        control.create_feature_group(**self.GROUP)
        now = int(time.time())
        store.put_record(FeatureGroupName="made", Record=record("u", now, genre="少年"))
        assert read(store, "u", "made") is not None
        code = refused(
            store.put_record, FeatureGroupName="made", Record=record("u", now + 1, colour="red")
        )
        assert code == ("ValidationError", 400)

    def test_a_group_without_an_online_store_is_refused(self, control: Any) -> None:
        offline = {**self.GROUP, "OnlineStoreConfig": {"EnableOnlineStore": False}}
        assert refused(control.create_feature_group, **offline) == ("ValidationError", 400)


class TestControl:
    @pytest.mark.parametrize(
        ("kind", "answer"),
        [
            ("http500", ("InternalFailure", 500)),
            ("http503", ("ServiceUnavailable", 503)),
            ("throttle", ("ThrottlingException", 400)),
            ("access_denied", ("AccessForbidden", 403)),
            ("expired_token", ("ExpiredTokenException", 403)),
        ],
    )
    def test_injected_errors_have_the_services_own_names(
        self,
        aws: RunningEmulator,
        store: SageMakerFeatureStoreRuntimeClient,
        kind: Any,
        answer: tuple[str, int],
    ) -> None:
        aws.inject(FaultRule(kind=kind, resource="users"))
        code = refused(
            store.get_record, FeatureGroupName="users", RecordIdentifierValueAsString="u"
        )
        assert code == answer

    def test_groups_are_declared_over_http(
        self, aws: RunningEmulator, store: SageMakerFeatureStoreRuntimeClient
    ) -> None:
        connection = http.client.HTTPConnection(aws.host, aws.port)

        def put(value: object) -> int:
            path = "/_emulator/featurestore/groups"
            connection.request("PUT", path, json.dumps(value))
            answer = connection.getresponse()
            answer.read()
            return answer.status

        group = {"name": "late", "record_identifier_name": "user_id", "event_time_name": "at"}
        assert put([group]) == 200
        assert put([{**group, "storage_type": "Fast"}]) == 400
        assert put([{"name": "x"}]) == 400
        connection.close()
        store.put_record(FeatureGroupName="late", Record=record("u", 1))
        assert read(store, "u", "late") is not None
        assert aws.calls()["featurestore"] == {"PutRecord": 1, "GetRecord": 1}
