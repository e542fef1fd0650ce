"""What is said of a body that does not fit: where it is wrong, and what belongs there."""

import json
from typing import Any

import msgspec
import pytest

from serving import frames, models
from serving.exchange import decoded
from serving.problems import Problem

CHAT = {"session_id": "s-1", "message": "hello"}
EVENT = {
    "event_id": "e-1",
    "type": "view",
    "item_id": "toriko",
    "user_id": "ann",
    "occurred_at": "2026-01-02T03:04:05Z",
}
FEEDBACK = {
    "session_id": "s-1",
    "event_id": "018f0000-0000-7000-8000-000000000001",
    "signal": "up",
}
LIBRARY = ("Expected", "Object", "Invalid", "enum", "`", "$", "regex", "array", "str")


def refusal(wanted: Any, body: object) -> dict[str, Any]:
    """The problem document for this body."""
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Problem) as raised:
        decoded(msgspec.json.Decoder(wanted), written)
    document: dict[str, Any] = json.loads(raised.value.body())
    return document


@pytest.mark.parametrize(
    ("wanted", "body", "pointer", "detail"),
    [
        (models.ChatRequest, [], "#", "the body must be an object"),
        (models.ChatRequest, {"message": "x"}, "#/session_id", "session_id is missing"),
        (
            models.ChatRequest,
            {**CHAT, "session_id": "a b"},
            "#/session_id",
            "session_id must be 1 to 128 of A-Z a-z 0-9 . _ : -",
        ),
        (
            models.ChatRequest,
            {**CHAT, "message": ""},
            "#/message",
            "message must be a text of 1 to 4000 characters",
        ),
        (
            models.ChatRequest,
            {**CHAT, "locale": "fr"},
            "#/locale",
            'locale must be "en", "ja" or null',
        ),
        (models.ChatRequest, {**CHAT, "usr": 1}, "#/usr", "usr is not a known field"),
        (
            models.ChatRequest,
            {**CHAT, "a/b~c d": 1},
            "#/a~1b~0c%20d",
            "a/b~c d is not a known field",
        ),
        (
            models.InteractionsRequest,
            {"events": []},
            "#/events",
            "events must be a list of 1 to 500 entries",
        ),
        (
            models.InteractionsRequest,
            {"events": [EVENT, {**EVENT, "value": 11}]},
            "#/events/1/value",
            "events.1.value must be a number from 0 to 10 or null",
        ),
        (
            models.InteractionsRequest,
            {"events": [{**EVENT, "occurred_at": "2026-01-02T03:04:05"}]},
            "#/events/0/occurred_at",
            "events.0.occurred_at must be a time as in RFC 3339, with its offset",
        ),
        (
            models.FeedbackRequest,
            {**FEEDBACK, "event_id": "e-1"},
            "#/event_id",
            "event_id must be the event_id that came with the answer, a UUID",
        ),
        (
            models.FeedbackRequest,
            {**FEEDBACK, "comment": "x" * 501},
            "#/comment",
            "comment must be a text of at most 500 characters or null",
        ),
        (frames.Incoming, {"type": "shout"}, "#/type", 'type must be "auth" or "message"'),
        (
            frames.Incoming,
            {"type": "message", "message": "x", "timing": 1},
            "#/timing",
            "timing must be true or false",
        ),
    ],
)
def test_it_is_said_where_a_body_does_not_fit_and_what_belongs_there(
    wanted: Any, body: object, pointer: str, detail: str
) -> None:
    document = refusal(wanted, body)
    assert (document["status"], document["detail"]) == (422, detail)
    assert document["errors"] == [{"pointer": pointer, "detail": detail}]
    assert not any(word in detail for word in LIBRARY)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"session_id" 1}', "the body is not JSON from byte 14 on"),
        (b"{", "the body is not JSON"),
        (b"", "the body is not JSON"),
        (b'{"session_id": "\xff"}', "the body is not in UTF-8"),
    ],
)
def test_it_is_said_where_a_body_ceases_to_be_json(body: bytes, detail: str) -> None:
    document = refusal(models.ChatRequest, body)
    assert (document["status"], document["detail"]) == (400, detail)
    assert "errors" not in document


def test_no_value_is_repeated_and_of_an_unknown_name_no_more_than_a_part() -> None:
    secret = "hunter2" * 40
    for body in ({**CHAT, "locale": secret}, {**CHAT, "session_id": f"{secret} "}):
        assert "hunter2" not in json.dumps(refusal(models.ChatRequest, body))
    assert len(json.dumps(refusal(models.ChatRequest, {**CHAT, "x" * 4000: 1}))) < 400
