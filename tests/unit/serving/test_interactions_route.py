"""POST /v1/events without HTTP and without Redis."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from adapters.redis_multiplexed import Late, NotDone
from domain.events import InteractionRecorded, InteractionType
from serving.interactions import SEND_AGAIN
from tests.unit.serving.fakes import NOW, RequestPath

ALICE = (b"authorization", b"Bearer alice")
SHOP = (b"authorization", b"Bearer shop+events:write")


def at(seconds: float) -> str:
    return (datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds)).isoformat()


def view(number: int = 1, **fields: object) -> dict[str, object]:
    return {
        "event_id": f"e-{number}",
        "type": "view",
        "item_id": "t-1",
        "user_id": "alice",
        "occurred_at": at(-60),
        **fields,
    }


def test_good_events_are_written_and_confirmed(path: RequestPath) -> None:
    stars = view(2, type="rating", value=8, occurred_at="2027-01-15T17:00:00+09:00")
    response = path.record({"events": [view(1), stars]}, ALICE)
    assert (response.status, response.json) == (202, {"accepted": 2, "rejected": []})
    first, second = path.stock.events
    assert isinstance(first, InteractionRecorded)
    assert isinstance(second, InteractionRecorded)
    assert (first.event_id, first.interaction, first.occurred_at) == ("e-1", "view", NOW - 60)
    assert (second.interaction, second.value) == (InteractionType.RATING, 8.0)
    assert second.occurred_at == NOW
    assert path.stock.calls == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"event_id": ""}, "event_id must be 1 to 128 of A-Z a-z 0-9 . _ : -"),
        ({"event_id": "a b"}, "1 to 128 of"),
        ({"event_id": 7}, "1 to 128 of"),
        ({"type": "lookup"}, 'type must be "cart", "purchase"'),
        ({"type": "VIEW"}, 'or "view"'),
        ({"item_id": "x" * 129}, "item_id must be 1 to 128 of"),
        ({"user_id": "bob"}, "events:write"),
        ({"user_id": "alice\n"}, "user_id must be 1 to 255 of the visible"),
        ({"occurred_at": "yesterday"}, "occurred_at must be a time as in RFC 3339"),
        ({"occurred_at": "2027-01-15T08:00:00"}, "with its offset"),
        ({"occurred_at": 1_800_000_000}, "a time as in RFC 3339"),
        ({"occurred_at": at(301)}, "future"),
        ({"occurred_at": at(-30 * 86_400 - 1)}, "30 days"),
        ({"value": 5}, "rating"),
        ({"type": "rating"}, "rating"),
        ({"type": "rating", "value": 10.5}, "value must be a number from 0 to 10"),
        ({"type": "rating", "value": -1}, "from 0 to 10"),
        ({"type": "rating", "value": "8"}, "a number from 0 to 10 or null"),
        ({"comment": "x"}, "comment is not a known field"),
    ],
)
def test_a_wrong_event_is_named_with_its_reason_and_spoils_no_other(
    path: RequestPath, wrong: dict[str, object], reason: str
) -> None:
    response = path.record({"events": [view(1), view(2, **wrong), view(3)]}, ALICE)
    rejected = response.json["rejected"]
    assert (response.status, response.json["accepted"]) == (202, 2)
    assert isinstance(rejected, list)
    assert [one["index"] for one in rejected] == [1]
    assert reason in rejected[0]["reason"]
    assert [event.event_id for event in path.stock.events] == ["e-1", "e-3"]


def test_something_that_is_no_event_spoils_no_other(path: RequestPath) -> None:
    content = b'{"events":[5,null,[[[]]],"x",' + json.dumps(view(9)).encode() + b"]}"
    response = path.record(content, ALICE)
    assert response.json["accepted"] == 1


def test_a_scope_allows_anybodys_events(path: RequestPath) -> None:
    response = path.record({"events": [view(1, user_id="alice"), view(2, user_id="bob")]}, SHOP)
    assert response.json == {"accepted": 2, "rejected": []}


def test_a_repeated_event_id_is_written_once_and_confirmed_each_time(path: RequestPath) -> None:
    response = path.record({"events": [view(1), view(1), view(2)]}, ALICE)
    assert response.json == {"accepted": 3, "rejected": []}
    assert [event.event_id for event in path.stock.events] == ["e-1", "e-2"]


def test_what_redis_did_not_take_is_accepted_once_it_is_kept(path: RequestPath) -> None:
    path.stock.append_faults = {0: NotDone("full"), 2: Late("late")}
    response = path.record({"events": [view(1), view(2), view(3), view(1)]}, ALICE)
    assert response.json == {"accepted": 4, "rejected": []}
    assert [(kind, event.event_id) for kind, event in path.sink.kept] == [
        ("interaction.recorded", "e-1"),
        ("interaction.recorded", "e-3"),
    ]


def test_what_redis_took_is_copied_before_it_is_confirmed(path: RequestPath) -> None:
    path.stock.append_faults = {0: NotDone("full")}
    path.record({"events": [view(1), view(2), view(3)]}, ALICE)
    assert [event.event_id for event in path.sink.copied] == ["e-2", "e-3"]


def test_what_nothing_took_is_rejected(path: RequestPath) -> None:
    path.stock.append_faults = {0: NotDone("full"), 2: Late("late")}
    path.sink.is_full = True
    response = path.record({"events": [view(1), view(2), view(3), view(1)]}, ALICE)
    assert response.status == 202
    assert response.json == {
        "accepted": 1,
        "rejected": [{"index": index, "reason": SEND_AGAIN} for index in (0, 2, 3)],
    }
    assert path.registry.sums["budget_exceeded_total", "redis"] == 1
    assert path.registry.sums["segment_seconds", "redis"] > 0


def test_when_all_are_wrong_redis_is_not_asked(path: RequestPath) -> None:
    response = path.record({"events": [{}]}, ALICE)
    assert (response.status, path.stock.calls) == (202, 0)
    assert ("segment_seconds", "redis") not in path.registry.sums


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        ({}, 422),
        ({"events": []}, 422),
        ({"events": [view(n) for n in range(501)]}, 422),
        ({"events": {}}, 422),
        ({"events": [view()], "more": 1}, 422),
        (b'{"events":' + b"[" * 50_000, 400),
    ],
)
def test_a_wrong_request_is_refused(path: RequestPath, body: object, status: int) -> None:
    assert path.record(body, ALICE).status == status
    assert path.stock.calls == 0


def test_nobody_records_without_a_token(path: RequestPath) -> None:
    response = path.record({"events": [view()]})
    assert response.status == 401
    assert b"www-authenticate: Bearer\r\n" in response.lines
