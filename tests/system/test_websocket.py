"""A conversation over a WebSocket, through everything that follows from it."""

import json
from typing import Any

from websockets.sync.client import ClientConnection

from tests.system.running import Stack, eventually
from tests.system.talking import SECONDS, opened

TRENDING = "what's popular this week"


def ask(client: ClientConnection, message: str, message_id: str) -> dict[str, Any]:
    client.send(json.dumps({"type": "message", "message_id": message_id, "message": message}))
    found: dict[str, Any] = json.loads(client.recv(SECONDS))
    return found


def session(stack: Stack, name: str, token: str) -> dict[str, Any]:
    reply = stack.request("GET", f"/v1/sessions/{name}", token=token)
    found: dict[str, Any] = reply.body if reply.status == 200 else {"turns": []}
    return found


def asked(found: dict[str, Any]) -> list[str]:
    return [turn["message_id"] for turn in found["turns"]]


def test_a_conversation_is_a_session_that_goes_on_after_a_new_connection(stack: Stack) -> None:
    token = stack.token("hana")
    for number in range(2):
        with opened(stack, "ws-hana") as client:
            client.send(json.dumps({"type": "auth", "token": token}))
            frame = ask(client, TRENDING, f"m-{number}")
        # "stale" where Redis was late on a busy machine.
        assert (frame["type"], frame["source"] in {"precomputed", "stale"}) == ("answer", True)
        assert frame["answer"]["items"]
        whole = [f"m-{earlier}" for earlier in range(number + 1)]
        eventually(
            lambda: asked(session(stack, "ws-hana", token)),
            lambda found: found == whole,  # noqa: B023
        )


def test_a_long_conversation_is_summarised(stack: Stack) -> None:
    token = stack.token("long")
    with opened(stack, "ws-long") as client:
        client.send(json.dumps({"type": "auth", "token": token}))
        for number in range(12):
            assert ask(client, TRENDING, f"m-{number}")["type"] == "answer"
    # The summary is written behind the turns.
    found = eventually(
        lambda: session(stack, "ws-long", token),
        lambda it: len(it["turns"]) == 12 and "summary" in it,
    )
    assert found["summary"].startswith(TRENDING)


def test_an_opinion_of_an_answer_is_taken_from_its_user_alone(stack: Stack) -> None:
    alice, bob = stack.token("alice"), stack.token("bob")
    reply = stack.asked_until("precomputed", TRENDING, session="judged", token=alice)
    opinion = {"session_id": "judged", "event_id": reply.body["event_id"], "signal": "up"}
    # Whose session it is cannot be told where Redis is late: the opinion is then kept for later.
    eventually(
        lambda: stack.request("POST", "/v1/feedback", opinion, bob).status,
        lambda status: status == 403,
    )
    assert stack.request("POST", "/v1/feedback", opinion, alice).status == 202
