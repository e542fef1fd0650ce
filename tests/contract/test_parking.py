"""Parking: the contract of `Parking`, and what DynamoDB adds to it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from adapters.aws_clients import AwsClients
from adapters.dynamodb_parking import DynamoDBParking
from domain.errors import Transient
from domain.parking import MAX_HISTORY, Parked, Reason
from domain.ports import Parking
from tests.fakes import NOW, PARKED_SECONDS, FakeClock, FakeParking, RecordingMetrics
from tests.samples import DAY

TABLE = "mangaassist-parked"
DAYS = 30


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def metrics() -> RecordingMetrics:
    return RecordingMetrics()


@pytest.fixture
def table(aws: AwsClients, clock: FakeClock, metrics: RecordingMetrics) -> DynamoDBParking:
    found = DynamoDBParking(aws, TABLE, DAYS, clock, metrics)
    for one in list(found.each()):
        found.remove(one)
    return found


@pytest.fixture(params=["fake", "dynamodb"])
def parking(request: pytest.FixtureRequest, clock: FakeClock, metrics: RecordingMetrics) -> Parking:
    if request.param == "fake":
        return FakeParking(clock, metrics, PARKED_SECONDS)
    found: DynamoDBParking = request.getfixturevalue("table")
    return found


def parked(parked_at: float = NOW, **others: object) -> Parked:
    given = Parked(
        id=str(uuid4()),
        queue="audit",
        kind="audit.append",
        event_id="e1",
        reason=Reason.PERMANENT,
        detail="dynamodb answers ValidationException to UpdateItem",
        payload=b"\x93\x00 a pack",
        first_sent_at=NOW - 9.25,
        parked_at=parked_at,
        receives=3,
        replays=1,
        history=("first", "second"),
    )
    return replace(given, **others)  # type: ignore[arg-type]


def test_what_is_parked_is_found_by_its_id(parking: Parking) -> None:
    one = parked()
    assert parking.get(one.id) is None
    assert parking.park([one]) == {}
    assert parking.get(one.id) == one
    assert parking.park([]) == {}


def test_everything_is_listed_oldest_first(parking: Parking) -> None:
    order = [NOW - at * 7 * 3600 for at in (3, 0, 5, 1, 4, 2)]
    everything = [parked(at) for at in order for _ in range(12)]
    assert parking.park(everything) == {}
    listed = list(parking.each())
    assert [one.parked_at for one in listed] == sorted(at for at in order for _ in range(12))
    assert {one.id for one in listed} == {one.id for one in everything}
    assert parking.count() == len(everything)


def test_parking_twice_keeps_the_first_time_and_joins_the_history(
    parking: Parking, clock: FakeClock, metrics: RecordingMetrics
) -> None:
    one = parked()
    parking.park([one])
    clock.now += DAY
    parking.park([replace(one, parked_at=clock.now, detail="newer", history=("second", "third"))])
    found = parking.get(one.id)
    assert found == replace(one, detail="newer", history=("first", "second", "third"))
    assert list(parking.each()) == [found]
    assert metrics.counted["parked_total", "permanent"] == 1


def test_the_same_parking_again_changes_nothing(parking: Parking) -> None:
    one = parked()
    parking.park([one])
    parking.park([one])
    assert parking.get(one.id) == one
    assert parking.count() == 1


def test_only_the_newest_lines_of_a_history_are_kept(parking: Parking) -> None:
    one = parked()
    for at in range(MAX_HISTORY + 5):
        parking.park([replace(one, history=(f"line {at}",))])
    found = parking.get(one.id)
    assert found is not None
    assert found.history == tuple(f"line {at}" for at in range(5, MAX_HISTORY + 5))


def test_what_is_removed_is_gone(parking: Parking) -> None:
    one, other = parked(), parked()
    parking.park([one, other])
    assert parking.remove(one)
    assert not parking.remove(one)
    assert parking.get(one.id) is None
    assert list(parking.each()) == [other]
    assert parking.count() == 1


def test_what_was_parked_once_more_is_not_removed_by_who_read_it_before(
    parking: Parking, clock: FakeClock
) -> None:
    one = parked(history=("failed",))
    parking.park([one])
    clock.now += 1
    parking.park([replace(one, history=("failed again",))])
    assert not parking.remove(one)
    found = parking.get(one.id)
    assert found is not None
    assert list(parking.each()) == [found]
    assert parking.remove(found)


def test_what_expired_is_as_if_it_were_not_there(parking: Parking, clock: FakeClock) -> None:
    one = parked()
    parking.park([one])
    clock.now += (DAYS + 1) * DAY
    assert parking.get(one.id) is None
    assert list(parking.each()) == []
    assert parking.count() == 0
    assert not parking.remove(one)
    again = replace(one, parked_at=clock.now)
    parking.park([again])
    assert list(parking.each()) == [again]


def test_parking_again_keeps_it_for_longer(parking: Parking, clock: FakeClock) -> None:
    one = parked()
    parking.park([one])
    for _ in range(3):
        clock.now += 20 * DAY
        parking.park([one])
    assert list(parking.each()) == [one]
    assert parking.count() == 1


def test_a_payload_that_fills_a_message_fits(parking: Parking) -> None:
    one = parked(payload=os.urandom(256 * 1024), history=("x" * 300,) * MAX_HISTORY)
    assert parking.park([one]) == {}
    found = parking.get(one.id)
    assert found is not None
    assert found.payload == one.payload


def test_what_does_not_fit_is_told_and_the_others_are_parked(table: DynamoDBParking) -> None:
    too_large, one = parked(payload=os.urandom(500 * 1024)), parked()
    assert list(table.park([too_large, one])) == [too_large.id]
    assert list(table.each()) == [one]


def test_a_text_is_stored_compressed(table: DynamoDBParking, aws: AwsClients) -> None:
    one = parked(payload=b"abc" * 50_000)
    table.park([one])
    key = {"pk": {"S": f"job#{one.id}"}, "sk": {"S": "job"}}
    item = aws.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    assert len(item["payload"]["B"]) < 1000
    assert item["expires_at"] == {"N": str(int(NOW) + DAYS * 86_400)}


def test_many_who_park_the_same_at_once_park_it_once(
    table: DynamoDBParking, metrics: RecordingMetrics
) -> None:
    one = parked()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda at: table.park([replace(one, history=(f"{at}",))]), range(4)))
    (found,) = table.each()
    assert sorted(found.history) == ["0", "1", "2", "3"]
    assert metrics.counted["parked_total", "permanent"] == 1


def test_a_table_that_is_not_there_is_transient(
    aws: AwsClients, clock: FakeClock, metrics: RecordingMetrics
) -> None:
    nowhere = DynamoDBParking(aws, "no-such-table", DAYS, clock, metrics)
    calls = [
        lambda: nowhere.park([parked()]),
        lambda: nowhere.get("0"),
        lambda: list(nowhere.each()),
        nowhere.count,
    ]
    for call in calls:
        with pytest.raises(Transient) as raised:
            call()
        assert raised.value.dependency == "dynamodb"
